"""Killed, damaged and continued runs end where an uninterrupted one does, bit for bit on a CPU."""

import multiprocessing
import random
import shutil
import time
from pathlib import Path

import pytest
from toys import fit_until, images, same, terms_of, tiny_run, tiny_vae, weights

from course_utils import tensors
from course_utils.errors import CourseError
from course_utils.processes import only_trainer
from course_utils.training import fit
from course_utils.training import state as run_state
from course_utils.training.log import read

KILLS = 10
LONG = {"steps": 150, "checkpoint_every": 2, "log_every": 3, "ema": 0.9, "lr": 3e-3, "grad_clip": 1.0}


def train(out, stop_at=None, resume=True, **changes):
    config = tiny_run(**{"eval_every": 1, "ema": 0.9, **changes})
    return fit_until(stop_at, tiny_vae(), images(), config, out=out, resume=resume)


# kill -9


def work(out, started):
    """What the killed process does: the whole run, then its weights into a file."""
    started.set()
    result = fit(tiny_vae(), images(), tiny_run(**LONG), out=out, quiet=True)
    tensors.save(Path(out) / "final.safetensors", weights(result.model), {})


@pytest.fixture(scope="module")
def processes():
    """Processes that start with torch already imported where the system can fork, so that there is time for many."""
    kind = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(kind)
    if kind == "forkserver":
        context.set_forkserver_preload(["toys", "lightning_fabric", "course_utils.training"])
    return context


def start(context, out):
    started = context.Event()
    process = context.Process(target=work, args=(out, started))
    process.start()
    assert started.wait(120)
    return process


@pytest.mark.slow
def test_killed_at_ten_random_moments_it_ends_where_an_uninterrupted_run_ends(tmp_path, processes):
    whole = tmp_path / "whole"
    process, began = start(processes, whole), time.perf_counter()
    process.join(120)
    seconds = time.perf_counter() - began
    assert process.exitcode == 0
    want, _ = tensors.load(whole / "final.safetensors")
    rng, kills, folder, resumed = random.Random(), 0, tmp_path / "run0", 0
    while kills < KILLS:
        process = start(processes, folder)
        time.sleep(rng.uniform(0.01, 0.2) * seconds)
        alive = process.is_alive()
        process.kill()
        process.join(60)
        kills += alive
        for path in run_state.saved(folder):
            tensors.load(path)  # whatever bears a state's name is whole
        if (folder / "log.csv").exists():
            read(folder / "log.csv")
            resumed += alive
        if (folder / "final.safetensors").exists():  # it got to the end between two kills: once more from the start
            folder = tmp_path / f"run{kills}"
    assert resumed >= KILLS // 2  # most kills hit a run under way
    for path in tmp_path.glob("run*"):
        process = start(processes, path)
        process.join(120)
        assert process.exitcode == 0
        got, _ = tensors.load(path / "final.safetensors")
        assert same(got, want)
        assert terms_of(path) == terms_of(whole)
        assert not list(path.glob(".*.part"))


# Continued runs


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("channels_last", [True, False])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path, optimizer, channels_last):
    options = {"optimizer": optimizer, "channels_last": channels_last, "lr": 1e-3, "lr_schedule": "cosine"}
    want = train(tmp_path / "whole", **options)
    assert train(tmp_path / "cut", stop_at=13, **options) is None
    assert run_state.saved(tmp_path / "cut")[0].name == "state-000000010.safetensors"
    got = train(tmp_path / "cut", **options)
    assert same(weights(got.model), weights(want.model))
    assert terms_of(tmp_path / "cut") == terms_of(tmp_path / "whole")
    steps = [row["step"] for row in read(tmp_path / "cut" / "log.csv")]
    assert steps == sorted(set(steps))


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = train(tmp_path)
    before = (tmp_path / "log.csv").read_text(encoding="utf-8")
    again = fit(tiny_vae(seed=5), images(), tiny_run(ema=0.9, eval_every=1), out=tmp_path, quiet=True)
    assert same(weights(again.model), weights(first.model)) and again.steps == 20
    assert again.minutes == pytest.approx(first.minutes)
    assert (tmp_path / "log.csv").read_text(encoding="utf-8") == before


def test_a_longer_run_goes_on_from_a_shorter_one(tmp_path, capsys):
    train(tmp_path, steps=10)
    assert train(tmp_path, steps=20).steps == 20
    assert "steps was 10, is 20" in capsys.readouterr().out
    with pytest.raises(CourseError, match="at step 20, past the 12 asked for"):
        train(tmp_path, steps=12)


def test_only_the_two_newest_states_are_kept(tmp_path):
    train(tmp_path)
    assert [path.name[6:15] for path in run_state.saved(tmp_path)] == ["000000020", "000000015"]


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def damage_empty(path):
    path.write_bytes(b"")


def damage_flip(path):
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)


def damage_header(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b'\\"step\\": ', b'\\"step\\"; ', 1))


@pytest.mark.parametrize("damage", [damage_truncate, damage_empty, damage_flip, damage_header])
def test_a_damaged_newest_state_is_passed_over(tmp_path, capsys, damage):
    want = train(tmp_path / "whole")
    cut = tmp_path / "cut"
    train(cut, stop_at=13)
    newest, older = run_state.saved(cut)
    before = newest.read_bytes()
    damage(newest)
    assert newest.read_bytes() != before
    _, header = run_state.load_newest(cut)
    assert header["step"] == 5 and older.name == "state-000000005.safetensors"
    got = train(cut)
    assert f"passed over a damaged state: {newest}" in capsys.readouterr().out
    assert same(weights(got.model), weights(want.model)) and terms_of(cut) == terms_of(tmp_path / "whole")


def test_with_every_state_damaged_the_run_starts_over_aloud(tmp_path, capsys):
    want = train(tmp_path / "whole")
    cut = tmp_path / "cut"
    train(cut, stop_at=13)
    for path in run_state.saved(cut):
        damage_truncate(path)
    got = train(cut)
    assert capsys.readouterr().out.count("passed over a damaged state") == 2
    assert same(weights(got.model), weights(want.model))


def test_starting_over_forgets_the_states_of_the_run_before(tmp_path):
    train(tmp_path)
    assert train(tmp_path, stop_at=8, resume=False, seed=1) is None
    assert [path.name for path in run_state.saved(tmp_path)] == ["state-000000005.safetensors", "state-000000000.safetensors"]
    got = train(tmp_path, seed=1)  # and a resume continues the new run, not the old one
    assert same(weights(got.model), weights(train(tmp_path / "other", seed=1).model))
    assert terms_of(tmp_path) == terms_of(tmp_path / "other")


@pytest.mark.parametrize("changes", [{"seed": 1}, {"batch_size": 8}, {"optimizer": "sgd"}, {"ema": 0.5}], ids=str)
def test_another_run_in_the_same_folder_is_refused(tmp_path, changes):
    train(tmp_path, steps=5)
    with pytest.raises(CourseError, match=f"another {next(iter(changes))}.*--no-resume"):
        train(tmp_path, **changes)


def test_another_model_or_data_set_in_the_same_folder_is_refused(tmp_path):
    header = {"method": "vae", "config": {"beta": 1.0}}
    fit(tiny_vae(), images(), tiny_run(steps=5), out=tmp_path, quiet=True, header=header)
    for other in ({"method": "autoencoder"}, {"config": {"beta": 2.0}}, {"dataset": "mnist"}):
        with pytest.raises(CourseError, match=f"another {next(iter(other))}"):
            fit(tiny_vae(), images(), tiny_run(), out=tmp_path, quiet=True, header={**header, **other})


def test_a_state_of_another_architecture_is_refused(tmp_path):
    from course_utils.methods.vae import VAEConfig

    train(tmp_path, steps=5, ema=0.0)
    wider = tiny_vae(config=VAEConfig(latent_dim=5, widths=(4, 6)))
    with pytest.raises(CourseError, match="another architecture"):
        fit(wider, images(), tiny_run(), out=tmp_path, quiet=True)


def test_states_are_independent_of_the_machine_that_wrote_them(tmp_path):
    """A state holds tensors and JSON alone, and a copy of the folder resumes as well."""
    want = train(tmp_path / "whole")
    train(tmp_path / "cut", stop_at=13)
    shutil.copytree(tmp_path / "cut", tmp_path / "copy")
    assert same(weights(train(tmp_path / "copy").model), weights(want.model))


# two at once


def test_a_folder_takes_one_trainer_at_a_time(tmp_path):
    with only_trainer(tmp_path / "run"), pytest.raises(CourseError, match="another process trains"):
        train(tmp_path / "run", steps=2)
    train(tmp_path / "run", steps=2)
    assert run_state.saved(tmp_path / "run")


def test_the_second_process_of_one_run_does_not_ask(tmp_path, monkeypatch):
    with only_trainer(tmp_path):
        monkeypatch.setenv("LOCAL_RANK", "1")
        with only_trainer(tmp_path):
            pass


def test_a_run_that_is_refused_leaves_no_folder(tmp_path):
    with pytest.raises(CourseError, match="batch_size"):
        train(tmp_path / "deep" / "run", batch_size=10**6)
    assert not (tmp_path / "deep" / "run").exists()

"""The loop: seeds, update, averages, schedules, logs, failures."""

import copy
import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from toys import Duel, images, same, tiny_run, tiny_vae, weights

from course_utils import methods, tensors
from course_utils.data import load
from course_utils.data.image_set import ImageSet
from course_utils.errors import CourseError
from course_utils.methods.gan import GANConfig
from course_utils.methods.soft_intro_vae import SoftIntroVAEConfig
from course_utils.training import Diverged, RunConfig, evaluate, fit
from course_utils.training import state as run_state
from course_utils.training.batches import Batches, mix
from course_utils.training.log import RunLog, dump, read
from course_utils.training.loop import Run
from course_utils.training.parts import make_optimizer, native_precision


def train(out, model=None, data=None, **changes):
    options = {key: changes.pop(key) for key in ("evaluation", "hooks", "header", "resume") if key in changes}
    data = images() if data is None else data
    return fit(model or tiny_vae(), data, tiny_run(**changes), out=out, quiet=True, **options)


def prepare(out, model=None, data=None, **changes) -> Run:
    """A run that is set up and not started, its model ready for single steps."""
    run = Run(
        model or tiny_vae(), images() if data is None else data, tiny_run(**changes),
        out=out, evaluation=None, hooks=(), header={}, resume=True, quiet=True,
    )  # fmt: skip
    run.model.rng = torch.Generator()
    return run


# Randomness


def test_one_seed_gives_the_same_weights_twice_and_another_others(tmp_path):
    a, b, c = (weights(train(tmp_path / n, seed=s).model) for n, s in (("a", 1), ("b", 1), ("c", 2)))
    assert same(a, b) and not same(a, c)


def test_training_does_not_depend_on_or_change_the_global_generator(tmp_path):
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    a = weights(train(tmp_path / "a").model)
    assert torch.equal(torch.rand(3), want)
    torch.manual_seed(6)
    assert same(a, weights(train(tmp_path / "b").model))


def test_noise_is_a_function_of_seed_step_and_rank(tmp_path):
    run, seen = prepare(tmp_path), []
    run.model.step = lambda x, update: seen.append(run.model.noise(4)) or {}
    for seed, step, rank in [(0, 0, 0), (0, 1, 0), (0, 1, 1), (1, 1, 0), (0, 1, 0)]:
        run.step = step
        run.config = tiny_run(seed=seed)
        run.fabric = type("Fabric", (), {"global_rank": rank, "autocast": run.fabric.autocast})()
        run._one_step()
    assert torch.equal(seen[1], seen[4])
    assert len({tuple(noise.tolist()) for noise in seen}) == 4


def test_mixed_seeds_do_not_collide():
    found = {mix(*numbers) for numbers in itertools.product(range(4), (1, 2), range(500), range(4))}
    assert len(found) == 4 * 2 * 500 * 4 and all(0 <= seed < 2**63 for seed in found)


# Compiled networks


def uncompiled_and_compiled(tmp_path, monkeypatch, data, **config):
    """The weights of the same run twice, then the graphs compiled in it: without and with `compile`, on a backend that
    traces and differentiates as the default one does, and needs no C++ compiler."""
    compiled = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled(module, backend="aot_eager"))
    torch.compiler.reset()
    counters.clear()
    found = []
    for on in (False, True):
        model = methods.build("soft-intro-vae", SoftIntroVAEConfig(latent_dim=2, **config), data.shape, seed=0)
        options = {"steps": 4, "eval_every": 2, "batch_size": 8, "optimizer": "sgd", "lr": 1e-4, "compile": on}
        found.append(weights(train(tmp_path / str(on), model, data, evaluation=data, **options).model))
    return *found, counters["stats"]["unique_graphs"]


def test_compiled_players_that_share_a_graph_learn_the_same(tmp_path, monkeypatch):
    data = load("8-gaussians", "train")
    plain, fast, graphs = uncompiled_and_compiled(tmp_path, monkeypatch, data, network="mlp", widths=(8,))
    assert graphs
    for name, value in plain.items():
        torch.testing.assert_close(fast[name], value)


def test_evaluations_are_not_compiled(tmp_path, monkeypatch):
    """Batch norm counts the 40 batches its statistics are estimated from; each count would be a graph."""
    plain, fast, graphs = uncompiled_and_compiled(tmp_path, monkeypatch, images(), widths=(2, 2), warmup=1.0)
    assert 0 < graphs <= 4  # an encoder and a decoder, in two pieces each where a graph breaks
    for name, value in plain.items():
        torch.testing.assert_close(fast[name], value)


@pytest.mark.parametrize("changes", [{"loss": "wgan-gp"}, {"loss": "hinge", "r1_weight": 1.0}], ids=str)
def test_a_penalty_on_slopes_is_not_compiled(tmp_path, changes):
    model = methods.build("gan", GANConfig(network="mlp", width=8, **changes), (2,), seed=0)
    with pytest.raises(CourseError, match="compile: got True, allowed: False for a loss with a penalty"):
        train(tmp_path / "run", model, load("8-gaussians", "train"), compile=True)
    assert not (tmp_path / "run").exists()


# Batches


def test_an_epoch_shows_each_image_at_most_once_and_epochs_differ():
    data = images(50)
    data.images[:, 0, 0, 0] = torch.arange(50)
    batches = Batches(data.images, 16, seed=0, device="cpu")

    def epoch(number):
        seen = [batches(step)[0][:, 0, 0, 0].mul(255).round().int().tolist() for step in range(3 * number, 3 * number + 3)]
        return [image for batch in seen for image in batch]

    first, second = epoch(0), epoch(1)
    assert len(set(first)) == len(first) == 48 and first != second
    assert epoch(0) == first  # back in time, as after a resume
    missed = [set(range(50)) - set(epoch(e)) for e in range(8)]
    assert all(len(m) == 2 for m in missed) and len({frozenset(m) for m in missed}) > 1  # others fall away each epoch


def test_batches_are_floats_in_zero_to_one_in_the_wanted_layout():
    data = images(32)
    data.images[0] = 255
    for layout in (True, False):
        batch = Batches(data.images, 32, 0, "cpu", channels_last=layout)(0)[0]
        assert batch.dtype == torch.float32 and batch.min() == 0 and batch.max() == 1
        assert batch.is_contiguous(memory_format=torch.channels_last if layout else torch.contiguous_format)


def test_ranks_share_a_batch_without_overlap():
    data = images(64)
    (whole,) = Batches(data.images, 16, 3, "cpu")(5)
    parts = [Batches(data.images, 16, 3, "cpu", rank=rank, world=4)(5)[0] for rank in range(4)]
    assert torch.equal(torch.cat(parts), whole)


def test_labels_come_with_their_images():
    data = images(50)
    data.images[:, 0, 0, 0] = torch.arange(50)
    x, labels = Batches(data.images, 16, 0, "cpu", rank=1, world=2, labels=torch.arange(50))(4)
    assert len(labels) == 8 and torch.equal(x[:, 0, 0, 0].mul(255).round().long(), labels)


def test_points_keep_their_values():
    points = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    (batch,) = Batches(points, 20, 0, "cpu")(0)
    assert torch.equal(batch.sort(0).values, points.sort(0).values)


# Update


def test_update_changes_that_players_parameters_alone(tmp_path):
    run = prepare(tmp_path, Duel())
    run._one_step()
    seen = run.model.seen
    changed = {
        stage: {name for name in seen[a] if not torch.equal(seen[a][name], seen[b][name])}
        for stage, a, b in (("left", "before", "between"), ("right", "between", "after"))
    }
    assert changed == {"left": {"left.weight", "left.bias"}, "right": {"right.weight", "right.bias"}}
    assert all(p.grad is None for p in run.model.parameters())  # none left over for the next step


def test_update_is_the_optimizers_own_step(tmp_path):
    """Two players by the loop, against two plain Adams on the same losses."""
    torch.manual_seed(0)
    model = Duel()
    plain = copy.deepcopy(model)
    run = prepare(tmp_path, model)
    adams = {p: torch.optim.Adam(plain.parameters_of(p), 1e-2) for p in plain.players}

    def update(player, loss):
        for parameter, slope in zip(
            plain.parameters_of(player), torch.autograd.grad(loss, plain.parameters_of(player)), strict=True
        ):
            parameter.grad = slope
        adams[player].step()

    for step in range(5):
        plain.step(*run.batches(step), update)
        run._one_step()
    for name, value in weights(model).items():
        torch.testing.assert_close(value, plain.state_dict()[name], rtol=1e-5, atol=1e-6)


def test_two_players_may_share_a_graph(tmp_path):
    """left's gradient runs through right, not the other way round: left first, and both at the weights of one pass."""
    run = prepare(tmp_path, Duel(), optimizer="sgd", lr=0.1)
    model = run.model
    x = torch.rand(4, 192, generator=torch.Generator().manual_seed(0))
    before, loss = weights(model), (model.right(model.left(x)) - x).square().mean()
    slopes = dict(zip(before, torch.autograd.grad(loss, list(model.parameters()), retain_graph=True), strict=True))
    for group in (group for optimizer in run.optimizers.values() for group in optimizer.param_groups):
        group["lr"] = 0.1
    run.update("left", loss, retain_graph=True)
    run.update("right", loss)
    for name, value in weights(model).items():
        torch.testing.assert_close(value, before[name] - 0.1 * slopes[name])
    with pytest.raises(RuntimeError, match="second time"):  # kept only where asked for
        run.update("right", loss)


def test_in_low_precision_the_second_player_sees_the_firsts_new_weights(tmp_path):
    """Autocast keeps bfloat16 copies of weights for a whole step: after an update they must not be used again."""
    run = prepare(tmp_path, Duel(), precision="bf16", lr=1.0)
    run._one_step()
    seen = run.model.seen
    fresh = Duel()
    fresh.load_state_dict(seen["between"])
    with torch.autocast("cpu", torch.bfloat16):
        want = fresh.right(fresh.left(seen["x"])).abs().mean()
        fresh.load_state_dict(seen["before"])
    torch.testing.assert_close(seen["second"], want.detach(), rtol=0, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert (fresh.right(fresh.left(seen["x"])).abs().mean() - want).abs() > 0.1  # the stale value is another


def test_gradients_are_clipped_by_the_players_own_norm(tmp_path):
    run = prepare(tmp_path, Duel(), optimizer="sgd", lr=1.0, grad_clip=0.01)
    run._one_step()
    seen = run.model.seen
    for player, a, b in (("left", "before", "between"), ("right", "between", "after")):
        moved = [seen[b][n] - seen[a][n] for n in seen[a] if n.startswith(player)]
        assert torch.cat([m.flatten() for m in moved]).norm().item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("grad_clip", [0.0, 1.0])
@pytest.mark.parametrize("method", [tiny_vae, Duel])
def test_a_step_never_waits_for_the_device(tmp_path, monkeypatch, method, grad_clip):
    run = prepare(tmp_path, method(), grad_clip=grad_clip)
    run._one_step()

    def refuse(self, *args):
        raise AssertionError("a step reads a tensor's value on the host")

    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "__index__", "numpy", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    with pytest.raises(AssertionError, match="on the host"):
        bool(torch.ones(()))
    run._one_step()
    run._one_step()


def test_optimizers_are_what_the_configuration_says(tmp_path):
    parameters = [nn.Parameter(torch.zeros(2))]
    for kind in (torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.SGD):
        name = kind.__name__.lower()
        made = make_optimizer(tiny_run(optimizer=name, weight_decay=0.1), parameters, "32")
        assert type(made) is kind and made.defaults["lr"] == 1e-2 and made.defaults["weight_decay"] == 0.1
    made = make_optimizer(tiny_run(betas=(0, 0.9)), parameters, "32")  # an int, which Adam itself refuses
    assert made.defaults["betas"] == (0.0, 0.9)
    # With scaled gradients the loop must be able to unscale before it clips, also where "auto" came to fp16.
    assert not make_optimizer(tiny_run(precision="auto"), parameters, "fp16").defaults["fused"]


# Schedules, averages, precision


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("constant", [1, 1, 1, 1]), ("linear", [1, 0.75, 0.5, 0.25]), ("step", [1, 1, 0.1, 0.1]),
     ("cosine", [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2])],
)  # fmt: skip
def test_learning_rate_schedules(tmp_path, schedule, rates):
    run, seen = prepare(tmp_path, steps=4, lr_schedule=schedule, lr=1.0), []
    step = run.model.step
    run.model.step = lambda x, u: seen.append(run.optimizers["model"].param_groups[0]["lr"]) or step(x, u)
    for _ in range(4):
        run._one_step()
    assert seen == pytest.approx(rates)


def test_the_step_schedule_drops_at_each_share_of_the_run(tmp_path):
    """Iterations 10k and 15k of 30k, in little."""
    run, seen = prepare(tmp_path, steps=30, lr_schedule="step", lr=1.0, lr_drop=(1 / 3, 1 / 2)), []
    step = run.model.step
    run.model.step = lambda x, u: seen.append(run.optimizers["model"].param_groups[0]["lr"]) or step(x, u)
    for _ in range(30):
        run._one_step()
    assert seen == pytest.approx(10 * [1.0] + 5 * [0.1] + 15 * [0.01])


def test_terms_that_come_and_go_are_means_over_the_steps_that_had_them(tmp_path):
    class Changing(Duel):
        def step(self, x, update):
            terms = super().step(x, update)
            early = {"early": torch.tensor(4.0 + self.steps_done), **terms}
            return early if self.steps_done < 3 else {"late": torch.tensor(float(self.steps_done)), **terms}

    train(tmp_path, Changing(), steps=10, log_every=5, checkpoint_every=0)
    rows = {row["step"]: row for row in read(tmp_path / "log.csv")}
    assert (rows[5]["early"], rows[5]["late"]) == (5.0, 3.5) and rows[10]["late"] == 7.0 and "early" not in rows[10]


def test_a_model_is_prepared_before_each_evaluation_and_at_the_end(tmp_path):
    asked, data = [], images(64)

    class Preparing(Duel):
        def prepare_evaluation(self, images):
            asked.append((self.steps_done, images is data, self.training))

    train(tmp_path, Preparing(), data=data, steps=10, eval_every=4)
    assert [step for step, *_ in asked] == [3, 7, 9] and all(same for _, same, _ in asked)


def test_the_average_of_the_weights_is_what_is_returned(tmp_path):
    model, decay, history = tiny_vae(), 0.8, []
    run = prepare(tmp_path, model, ema=decay)
    for _ in range(6):
        run._one_step()
        history.append(weights(model))
    want = history[0]
    for state in history[1:]:
        want = {k: decay * want[k] + (1 - decay) * state[k] for k in want}
    for name, value in run.averaged().state_dict().items():
        torch.testing.assert_close(value, want[name], rtol=1e-4, atol=1e-6)
    assert not same(weights(run.averaged()), history[-1])
    result = train(tmp_path / "b", ema=decay, steps=6)
    assert same(weights(result.model), weights(run.averaged())) and not result.model.training


def test_a_torch_that_cannot_say_computes_in_32_bits(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert native_precision(torch.device("cpu")) == "32"


def test_precision_auto_is_what_the_machine_computes_in(tmp_path):
    result = train(tmp_path, precision="auto", steps=2)
    assert result.precision == ("bf16" if torch.cpu._is_avx512_bf16_supported() else "32")
    assert all(p.dtype == torch.float32 for p in result.model.parameters())


def test_low_precision_trains_about_as_well(tmp_path):
    losses = {p: read_last(tmp_path / p, train(tmp_path / p, precision=p, steps=60)) for p in ("32", "bf16")}
    assert losses["bf16"] == pytest.approx(losses["32"], rel=0.05)


def read_last(folder, _result):
    return read(folder / "log.csv")[-1]["loss"]


class Greedy(Duel):
    """Wants labels, and two batches a step; its right player learns at a tenth of the rate."""

    supervised, batches_per_step = True, 2

    def lr_factor(self, player):
        return 0.1 if player == "right" else 1.0

    def step(self, x, update, labels):
        self.given = x, labels
        return super().step(x, update)

    def evaluation_terms(self, x, generator=None, labels=None):
        return {"label": labels.double()}


def test_a_step_gets_its_batches_and_labels_and_each_player_its_rate(tmp_path):
    data = replace(images(64), labels=torch.arange(64))
    run = prepare(tmp_path, Greedy(), data=data, lr=1e-2, lr_schedule="linear", lr_steps=100)
    for _ in range(2):
        run._one_step()
    x, labels = run.model.given
    assert torch.equal(x, data.floats(labels)) and len(labels) == len(set(labels.tolist())) == 32
    rates = {player: optimizer.param_groups[0]["lr"] for player, optimizer in run.optimizers.items()}
    assert rates == pytest.approx({"left": 1e-2 * 0.99, "right": 1e-3 * 0.99})
    assert evaluate(run.model, data, batch_size=7)["label"] == 31.5


def test_several_batches_a_step_must_fit_the_data(tmp_path):
    with pytest.raises(CourseError, match="at most 32, .* over the 2 batches"):
        train(tmp_path, Greedy(), replace(images(64), labels=torch.arange(64)), batch_size=40)


# Evaluation and log


class Brightness(Duel):
    """Its only term is each image's mean."""

    def evaluation_terms(self, x, generator=None):
        return {"mean": x.mean((1, 2, 3))}


def test_a_ragged_last_batch_weighs_what_it_holds():
    bright = torch.zeros(7, 1, 8, 8, dtype=torch.uint8)
    bright[6:] = 255  # alone in the last batch
    data = ImageSet(bright, None, "toy", "test")
    for size in (1, 2, 3, 4, 6, 7, 100):
        assert evaluate(Brightness(data_shape=(1, 8, 8)), data, batch_size=size)["mean"] == pytest.approx(1 / 7)


def test_evaluation_gives_the_same_numbers_twice_and_keeps_the_mode():
    model, data = tiny_vae().train(), images(30)
    a, b, c = (evaluate(model, data, seed=s) for s in (0, 0, 1))
    assert a == b and a != c and model.training


def test_rows_of_the_log_are_means_since_the_row_before(tmp_path):
    seen = []

    class Counting(Duel):
        def step(self, x, update):
            super().step(x, update)
            seen.append(float(len(seen)))
            return {"loss": torch.tensor(seen[-1])}

    train(tmp_path, Counting(), steps=12, log_every=5, checkpoint_every=6)
    rows = read(tmp_path / "log.csv")
    assert [row["step"] for row in rows] == [5, 6, 10, 12]
    assert [row["loss"] for row in rows] == [2.0, 5.0, 7.5, 10.5]
    assert all(row["images_per_second"] > 0 for row in rows)


def test_evaluations_and_hooks_stand_in_the_log(tmp_path):
    hooks = [lambda step, model: {"twice": 2.0 * step}]
    result = train(tmp_path, steps=12, eval_every=4, evaluation=images(10, seed=9), hooks=hooks)
    rows = {row["step"]: row for row in read(tmp_path / "log.csv")}
    assert [step for step, row in rows.items() if "val_sse" in row] == [4, 8, 12]
    assert [row["twice"] for row in rows.values() if "twice" in row] == [8, 16, 24]
    want = evaluate(result.model, images(10, seed=9))["sse"]
    assert result.metrics["val_sse"] == pytest.approx(want) and rows[12]["val_sse"] == pytest.approx(want, rel=1e-5)


def test_log_text_round_trip(tmp_path):
    rows = [{"step": 1, "loss": 0.5}, {"step": 2, "val": 1e-7}, {"step": 3, "loss": 2.0, "val": 3.0}]
    (tmp_path / "a.csv").write_text(dump(rows), encoding="utf-8")
    assert read(tmp_path / "a.csv") == rows
    assert dump(rows).splitlines()[:2] == ["step,loss,val", "1,0.5,"]


def test_a_quiet_run_writes_its_csv_alone(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("course_utils.training.log._tensorboard", asked.append)
    RunLog(tmp_path / "a" / "log.csv", 0, 20, quiet=True).close()
    assert asked == []
    RunLog(tmp_path / "b" / "log.csv", 0, 20).close()
    assert asked == [tmp_path / "b"]


def test_a_reopened_log_drops_what_came_after(tmp_path):
    log = RunLog(tmp_path / "log.csv", 0, 20, quiet=True)
    for step in (5, 10, 15):
        log.write(step, {"loss": step})
    log.close()
    log = RunLog(tmp_path / "log.csv", 10, 20, quiet=True)
    log.write(15, {"loss": -1})
    log.write(15, {"val": 2})
    log.close()
    found = read(tmp_path / "log.csv")
    assert found == [{"step": 5, "loss": 5}, {"step": 10, "loss": 10}, {"step": 15, "loss": -1, "val": 2}]


# Failures


class Poisoned(Duel):
    """From step `at` on, the term named `second` is NaN; with `quiet`, only a weight is."""

    at, quiet = 12, False

    def step(self, x, update):
        terms = super().step(x, update)
        if round(self.progress * 20) >= self.at:
            if self.quiet:
                with torch.no_grad():
                    self.left.weight[0, 0] = math.inf
                return {"loss": torch.tensor(1.0)}
            terms["second"] = terms["second"] * math.nan
        return terms


def test_a_nan_names_its_term_and_the_last_good_state(tmp_path):
    with pytest.raises(Diverged, match=r"'second' is not finite at step 15.*state-000000010") as caught:
        train(tmp_path, Poisoned())
    assert isinstance(caught.value, CourseError) and "--lr" in str(caught.value)
    assert run_state.saved(tmp_path)[0].name == "state-000000010.safetensors"
    _, header = run_state.load_newest(tmp_path)
    assert header["step"] == 10
    result = train(tmp_path, Duel(), lr=1e-3)  # as the message says: it goes on from there with a smaller lr
    assert result.steps == 20 and [row["step"] for row in read(tmp_path / "log.csv")] == [5, 10, 15, 20]


def test_a_nan_before_the_first_checkpoint_leaves_the_first_weights(tmp_path):
    model = Poisoned()
    model.at = 0
    with pytest.raises(Diverged, match="at step 5. The last good state is .*state-000000000"):
        train(tmp_path, model)
    result = train(tmp_path, Duel())
    assert result.steps == 20


def test_a_nan_before_any_state_says_so(tmp_path):
    model = Poisoned()
    model.at = 0
    with pytest.raises(Diverged, match="at step 5. No state had been saved yet"):
        train(tmp_path, model, checkpoint_every=0)
    assert run_state.saved(tmp_path) == []


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    model = Poisoned()
    model.quiet = True
    with pytest.raises(CourseError, match=r"left.weight.*not finite; not saved.*state-000000010"):
        train(tmp_path, model)
    assert [path.name[6:15] for path in run_state.saved(tmp_path)] == ["000000010", "000000005"]


def test_a_full_disk_keeps_the_state_before(tmp_path, monkeypatch):
    write = tensors.save_file

    def full(state, name, metadata):
        if '"step": 15' in metadata["header"]:
            with open(name, "wb") as file:
                file.write(b"half")
            raise OSError(28, "No space left on device")
        write(state, name, metadata=metadata)

    monkeypatch.setattr(tensors, "save_file", full)
    with pytest.raises(CourseError, match="state-000000015.safetensors: the disk is full"):
        train(tmp_path)
    assert not list(tmp_path.glob(".*.part"))
    assert [path.name[6:15] for path in run_state.saved(tmp_path)] == ["000000010", "000000005"]
    monkeypatch.setattr(tensors, "save_file", write)
    assert same(weights(train(tmp_path).model), weights(train(tmp_path / "whole").model))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 65}, "batch_size: got 65, allowed: at most 64"),
        ({"data": images(16, (1, 8, 8))}, r"images: got \(1, 1, 8, 8\)"),
        ({"data": images(0)}, "at most 0"),
        ({"evaluation": images(8, (3, 16, 16))}, r"images: got \(1, 3, 16, 16\)"),
        ({"accelerator": "cuda"}, "accelerator: got 'cuda'"),
        ({"accelerator": "mps"}, "accelerator: got 'mps'"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tmp_path, changes, message):
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if here.get(changes.get("accelerator")):
        pytest.skip("this machine has an accelerator")
    with pytest.raises(CourseError, match=message):
        train(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "values",
    [{"batch_size": 0}, {"steps": 0}, {"epochs": -1}, {"epochs": math.nan}, {"lr": 0}, {"lr": math.nan},
     {"lr": math.inf}, {"ema": 1.0}, {"ema": -0.1}, {"grad_clip": -1}, {"grad_clip": math.nan}, {"weight_decay": -1},
     {"betas": (0.9, 1.0)},
     {"lr_drop": (0.2, 2.0)}, {"lr_drop": (math.nan,)},
     {"optimizer": "adm"}, {"precision": "16"}, {"lr_schedule": "cos"}, {"accelerator": "tpu"},
     {"devices": 0}, {"num_nodes": 0}, {"log_every": 0}, {"eval_every": -1}, {"checkpoint_every": -1}],
    ids=str,
)  # fmt: skip
def test_a_bad_run_configuration_is_refused_by_name(values):
    with pytest.raises(CourseError, match=next(iter(values))):
        RunConfig(**values)


def test_epochs_count_whole_batches():
    assert RunConfig(epochs=20, batch_size=256).total_steps(50_000) == 20 * 195
    assert RunConfig(epochs=0.5, batch_size=10).total_steps(100) == 5
    assert RunConfig(epochs=20, batch_size=64).total_steps(50_000, 5) == 20 * 156  # five batches a step
    assert RunConfig(epochs=1e-6, batch_size=10).total_steps(100) == 1
    assert RunConfig(steps=7).total_steps(1000) == 7

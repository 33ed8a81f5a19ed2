"""Two gloo processes take the same step as one process with the joined batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import two_processes

from course_utils import tensors
from course_utils.training.log import read
from course_utils.training.state import saved

TESTS = Path(__file__).parent.parent


def run(out, devices, steps):
    """Train; return the weights before and after of each process."""
    if devices == 1:
        two_processes.main(out, 1, steps)
    else:
        launch(out, devices, steps)
    found = []
    for rank in range(devices):
        state, _ = tensors.load(out / f"rank{rank}.safetensors")
        parts = [{k.removeprefix(w): v for k, v in state.items() if k.startswith(w)} for w in ("before.", "after.")]
        found.append(parts)
    return found


def launch(out, devices, steps):
    command = [sys.executable, str(Path(__file__).with_name("two_processes.py"))]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "LOCAL_RANK", "MASTER_"))}
    environment["PYTHONPATH"] = os.pathsep.join([str(TESTS), environment["PYTHONPATH"]])
    done = subprocess.run(
        [*command, str(out), str(devices), str(steps)],
        cwd=out.parent, env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.slow
def test_two_processes_take_the_step_of_one_with_the_joined_batch(tmp_path):
    ((_, one),) = run(tmp_path / "one", 1, 6)
    (before, first), (other_before, second) = run(tmp_path / "two", 2, 6)
    for name, value in first.items():
        assert torch.equal(value, second[name])  # both processes hold the same weights
        torch.testing.assert_close(value, one[name], rtol=0, atol=1e-5)
    assert max((first[k] - before[k]).abs().max() for k in first) > 1e-3  # far more than the tolerance
    # They began apart: it is the broadcast that made them one.
    assert any(not torch.equal(before[k], other_before[k]) for k in before)
    # What is logged is of the joined batch.
    for a, b in zip(read(tmp_path / "one" / "log.csv"), read(tmp_path / "two" / "log.csv"), strict=True):
        for term in ("step", "loss", "rec", "kl"):
            assert a[term] == pytest.approx(b[term], rel=1e-4)
    # And it goes on, both processes from the state that the first one wrote.
    assert [path.name[6:15] for path in saved(tmp_path / "two")] == ["000000006", "000000004"]
    ((_, one),) = run(tmp_path / "one", 1, 8)
    (_, first), (_, second) = run(tmp_path / "two", 2, 8)
    for name, value in first.items():
        assert torch.equal(value, second[name])
        torch.testing.assert_close(value, one[name], rtol=0, atol=1e-5)

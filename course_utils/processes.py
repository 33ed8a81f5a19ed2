"""Which process this is, of several that train together, and which may write to a run's folder. Needs no torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import CourseError

# Set in the processes that Fabric's launcher, torchrun or SLURM start.
RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def is_chief() -> bool:
    """Whether this process is the one that speaks and writes: of several that train together, only the first does."""
    return all(not os.environ.get(name, "0").strip("0") for name in RANKS)


@contextmanager
def only_trainer(folder: Path | str) -> Iterator[None]:
    """Hold a run's folder while the block runs. CourseError if another process trains there: each would undo what the
    other writes. A process that is killed holds it no longer. Of several that train together only the first asks."""
    if not is_chief():
        yield
        return
    from filelock import FileLock, Timeout

    folder = Path(folder)
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".training.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as held:
        raise CourseError(f"{folder}: another process trains in this folder. Wait for it, or give another one (--out).") from held
    try:
        yield
    finally:
        lock.release()
        if new and [path.name for path in folder.iterdir()] in ([], [".training.lock"]):  # refused before it began
            shutil.rmtree(folder)

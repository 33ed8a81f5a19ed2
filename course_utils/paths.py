"""Where data, checkpoints and the repository live: the checkout, the environment variables, or a cache of the user."""

from __future__ import annotations

import os
import tomllib
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def repository_root() -> Path | None:
    """The checkout that holds this package (it has pyproject.toml beside course_utils/), or None when installed without one."""
    root = PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "notebooks").is_dir() else None


def cache_dir() -> Path:
    """A folder of the user's for what has no checkout to live in: XDG_CACHE_HOME or ~/.cache, then soft-introvae-course."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "soft-introvae-course"


def data_dir() -> Path:
    """The folder of the embedded data: data/ of the checkout, else a folder of the user's cache."""
    root = repository_root()
    return root / "data" if root else cache_dir() / "data"


def data_roots() -> list[Path]:
    """Where full-size data sets are looked for, in this order: COURSE_DATA, then downloads/ of the data folder."""
    named = os.environ.get("COURSE_DATA")
    return ([Path(named).expanduser()] if named else []) + [data_dir() / "downloads"]


def checkpoint_dir() -> Path:
    """COURSE_CHECKPOINTS if set, else checkpoints/ of the checkout, else a folder of the user's cache."""
    named = os.environ.get("COURSE_CHECKPOINTS")
    if named:
        return Path(named).expanduser()
    root = repository_root()
    return root / "checkpoints" if root else cache_dir() / "checkpoints"


def runs_dir() -> Path:
    """Where the runs of notebooks go: COURSE_RUNS if set, else runs/ of the checkout or of the current folder."""
    named = os.environ.get("COURSE_RUNS")
    return Path(named).expanduser() if named else (repository_root() or Path()) / "runs"


def repository_url() -> str:
    """The repository's address, from [project.urls] of pyproject.toml, the one place that knows it."""
    root = repository_root()
    if root:
        return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
    for line in metadata.metadata("course-utils").get_all("Project-URL") or []:
        label, _, url = line.partition(", ")
        if label == "Repository":
            return url
    raise LookupError("the installed package names no repository: install it again from a checkout")

"""Where a data set's files lie, how to get them, and what to say when they are not there."""

from __future__ import annotations

import hashlib
from pathlib import Path

from course_utils import paths
from course_utils.errors import CourseError


def search_roots(root: Path | None) -> list[Path]:
    """Folders to look in: the one given, else the known roots."""
    return [Path(root).expanduser()] if root is not None else paths.data_roots()


def download_root(root: Path | None) -> Path:
    """Where a download goes: the folder given, else downloads/ of the data folder (COURSE_DATA may be read-only)."""
    return Path(root).expanduser() if root is not None else paths.data_dir() / "downloads"


def position(text: str) -> float:
    """A number in [0, 1) by a text's hash, to split by: the same on every machine, whatever else is in the set."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def missing(name: str, root: Path | None, marker: str, more: str = "") -> CourseError:
    """The error for a set that is not on this machine: where it was looked for, and what to do."""
    looked = ", ".join(str(folder) for folder in search_roots(root))
    return CourseError(
        f"dataset: {name!r} is not on this machine (looked for {marker} in {looked}). Get it with "
        f"load({name!r}, download=True) or `course data get {name}`; without a network, put the file at "
        f"{download_root(root) / marker}, or name the folder that holds it in COURSE_DATA. {more}".strip())


def embedded_path(name: str, file: str) -> Path:
    """Where a file that comes with the repository belongs."""
    return paths.data_dir() / name / file


def embedded(name: str, file: str) -> Path:
    """A file that comes with the repository; CourseError where the package was installed without it."""
    path = embedded_path(name, file)
    if not path.is_file():
        raise CourseError(f"dataset: {name!r} comes with the repository, but {path} is not there. `course fetch` "
                          f"gets it; in a checkout: git restore data/{name}.")
    return path


def from_torchvision(name: str, cls: str, folder: Path, **arguments: object) -> object:
    """The torchvision data set object over `folder`; raises torchvision's RuntimeError where files are missing."""
    from torchvision import datasets  # here: it takes a second to import, and embedded sets do not need it

    return getattr(datasets, cls)(str(folder), **arguments)


def download(name: str, cls: str, root: Path | None, **arguments: object) -> object:
    """The same after torchvision's download (which verifies checksums); a CourseError when that fails."""
    folder = download_root(root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return from_torchvision(name, cls, folder, download=True, **arguments)
    except (OSError, RuntimeError, ImportError) as failed:  # URLError is an OSError; gdown may be missing for CelebA
        raise CourseError(f"dataset: the download of {name!r} into {folder} failed ({failed}). Check the network and "
                          "try again, or put torchvision's files for it there by hand.") from failed

"""The data sets, and what an installation without a checkout has to fetch."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import tyro

from ..errors import CourseError, reject
from ..files import atomic, write_json
from ..paths import checkpoint_dir, data_dir, data_roots, repository_url
from .common import Name, command, option, table


@command
def data(
    action: Annotated[Literal["list", "get"], tyro.conf.Positional] = "list",
    name: Name = None,
    /,
) -> None:
    """List the data sets, or download one (`course data get cifar10`).

    Args:
        action: list, or get
        name: which one to get
    """
    from .. import data as sets

    if action == "get":
        if name is None:
            raise reject("NAME", None, sets.names(), "course data get NAME")
        splits = sets.get(name)
        print(f"{name} is here: {', '.join(f'{split} {count:,}' for split, count in splits.items())}")
        return
    rows = [["name", "images (C, H, W)", "train", "test", "in memory", "here", "source", "license"]]
    for row in sets.catalog():
        if name in (None, row.name):
            here, size = "yes" if row.present else "no", f"{row.bytes / 1e6:,.0f} MB"
            shape = f"{row.shape[0]} x {row.shape[1]} x {row.shape[2]}"
            rows.append([row.name, shape, row.train, row.test, size, here, row.source, row.license])
    if len(rows) == 1:
        raise reject("NAME", name, sets.names())
    print(table(rows))
    print("folder:PATH takes any folder of pictures, RGB, at --size (64 if not given); a tenth of them is for testing.")
    print(f"Looked for in {', '.join(map(str, data_roots()))}; COURSE_DATA names another folder.")
    print("`course data get NAME` downloads one.")


@command
def fetch(url: Annotated[str | None, option("URL")] = None, replace: bool = False) -> None:
    """Get the shipped weights and the embedded data from the course's repository; a checkout has them already.

    Args:
        url: address of a .tar.gz of the repository; its own archive if not given
        replace: write over files that are here and differ
    """
    url = url or f"{repository_url()}/archive/HEAD.tar.gz"
    print(f"weights go to {checkpoint_dir()}, data to {data_dir()}; from {url}")
    with tempfile.TemporaryFile() as kept:
        _download(url, kept)
        kept.seek(0)
        try:
            with tarfile.open(fileobj=kept, mode="r:gz") as archive:
                written, same, differing = _unpack(archive, replace)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise CourseError(f"url: {url} is not a whole .tar.gz archive ({error}). Try again.") from error
    print(f"{written} files written, {same} were here already")
    if differing:
        shown = ", ".join(map(str, differing[:5]))
        print(f"{len(differing)} differ from the repository's and were left as they are (--replace): {shown}")


def _download(url: str, target) -> None:
    remedy = "Check the network, or copy checkpoints/ and data/ of the repository to the folders above by hand."
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            while chunk := answer.read(1 << 20):
                target.write(chunk)
    except (urllib.error.URLError, TimeoutError, ValueError, ConnectionError) as error:
        raise CourseError(f"url: {url} could not be fetched ({error}). {remedy}") from error


def _unpack(archive: tarfile.TarFile, replace: bool) -> tuple[int, int, list[Path]]:
    """Write the archive's checkpoints and data into their folders: (written, already here, those that differ).

    The first part of a member's path is the archive's own folder. Weights are verified against the archive's manifest
    before anything is written."""
    members = {}
    for member in archive.getmembers():
        parts = PurePosixPath(member.name).parts[1:]
        outside = ".." in parts or {"\\", ":"} & set(member.name)  # the latter lead elsewhere on Windows
        if member.isfile() and len(parts) > 1 and parts[0] in ("checkpoints", "data") and not outside:
            members[parts] = member
    manifest_key = ("checkpoints", "manifest.json")
    if manifest_key not in members:
        raise CourseError(
            "url: the archive holds no checkpoints/manifest.json, so it is not of this course's repository."
        )
    content = {parts: archive.extractfile(member).read() for parts, member in members.items()}
    manifest = json.loads(content.pop(manifest_key))
    _verify(manifest, content)
    written, same, differing = 0, 0, []
    for parts, body in content.items():
        path = (checkpoint_dir() if parts[0] == "checkpoints" else data_dir()).joinpath(*parts[1:])
        if path.is_file() and path.read_bytes() == body:
            same += 1
        elif path.is_file() and not replace:
            differing.append(path)
        else:
            with atomic(path) as temporary:
                temporary.write_bytes(body)
            written += 1
    _merge(manifest, replace)
    return written, same, differing


def _verify(manifest: dict, content: dict[tuple, bytes]) -> None:
    from hashlib import file_digest

    for name, entry in manifest.items():
        body = content.get(("checkpoints", entry.get("file") or ""))
        if body is not None and file_digest(io.BytesIO(body), "sha256").hexdigest() != entry["sha256"]:
            raise CourseError(f"url: the weights of {name!r} do not match their hash; nothing was written. Try again.")


def _merge(manifest: dict, replace: bool) -> None:
    """Add the fetched entries to the manifest; one's own stay, unless they are to be replaced."""
    path = checkpoint_dir() / "manifest.json"
    own = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_json(path, {**own, **manifest} if replace else {**manifest, **own})

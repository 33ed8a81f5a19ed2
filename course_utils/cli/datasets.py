"""The data sets, and what an installation without a checkout has to fetch."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
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
    rows = [["name", "(C, H, W) or (D,)", "train", "test", "in memory", "here", "source", "license"]]
    for row in sets.catalog():
        if name in (None, row.name):
            here, size = "yes" if row.present else "no", f"{row.bytes / 1e6:,.0f} MB"
            shape = " x ".join(map(str, row.shape))
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
    manifest, content = _read(url)
    written, same, differing = _write(manifest, content, replace)
    print(f"{written} files written, {same} were here already")
    if differing:
        shown = ", ".join(map(str, differing[:5]))
        print(f"{len(differing)} differ from the repository's and were left as they are (--replace): {shown}")


def _read(url: str) -> tuple[dict, dict[tuple[str, ...], bytes]]:
    """The archive's manifest, and its other files under checkpoints/ and data/ by the parts of their paths."""
    with tempfile.TemporaryFile() as packed, tempfile.TemporaryFile() as plain:
        _download(url, packed)
        packed.seek(0)
        try:
            with gzip.open(packed) as stream:  # to its end, where the checksum stands: tarfile stops before it
                shutil.copyfileobj(stream, plain)
            plain.seek(0)
            with tarfile.open(fileobj=plain, mode="r:") as archive:
                content = {parts: archive.extractfile(member).read() for parts, member in _members(archive)}
            manifest = json.loads(content.pop(("checkpoints", "manifest.json"), b"null"))
        except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, json.JSONDecodeError) as error:
            raise CourseError(f"url: {url} is not a whole .tar.gz archive of the course ({error}). Try again.") from error
    if not manifest:
        raise CourseError("url: the archive holds no checkpoints/manifest.json, so it is not of this course's repository.")
    for name, entry in manifest.items():
        body = content.get(("checkpoints", entry.get("file") or ""))
        if body is not None and hashlib.sha256(body).hexdigest() != entry["sha256"]:
            raise CourseError(f"url: the weights of {name!r} do not match their hash; nothing was written. Try again.")
    return manifest, content


def _download(url: str, target) -> None:
    remedy = "Check the network, or copy checkpoints/ and data/ of the repository to the folders above by hand."
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            shutil.copyfileobj(answer, target)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ValueError, ConnectionError) as error:
        raise CourseError(f"url: {url} could not be fetched ({error}). {remedy}") from error


def _members(archive: tarfile.TarFile) -> Iterator[tuple[tuple[str, ...], tarfile.TarInfo]]:
    """The files that are wanted. The first part of a member's path is the archive's own folder."""
    for member in archive.getmembers():
        parts = PurePosixPath(member.name).parts[1:]
        outside = ".." in parts or {"\\", ":"} & set(member.name)  # the latter lead elsewhere on Windows
        if member.isfile() and len(parts) > 1 and parts[0] in ("checkpoints", "data") and not outside:
            yield parts, member


def _write(manifest: dict, content: dict[tuple[str, ...], bytes], replace: bool) -> tuple[int, int, list[Path]]:
    """Write files into their folders: (written, already here, those that differ). Entries of one's own stay in the
    manifest, unless they are to be replaced."""
    from ..checkpoints import manifest as manifest_of

    own = manifest_of()  # first: if it is damaged, nothing is written
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
    write_json(checkpoint_dir() / "manifest.json", {**own, **manifest} if replace else {**manifest, **own})
    return written, same, differing

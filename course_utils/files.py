"""Writing files so that nothing is ever half-written, and hashing what was written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import CourseError


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place if the block succeeds, delete it if not.

    A reader sees the old file or the new one, whole; a link still points where it did. CourseError for a full disk, and for a
    device or a pipe, in whose place the rename would put a file."""
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise CourseError(f"{path}: is a device or a pipe, and cannot be written whole or not at all. Give a file's name.")
    path = Path(os.path.realpath(path))
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
        temporary.touch(exist_ok=False)
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())  # the rename must not reach the disk before the contents
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "Nothing was half-written, older files are as they were. Free some space, or write elsewhere, and run again."
            raise CourseError(f"{path}: the disk is full. {remedy}") from error
        raise
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path | str) -> None:
    """Delete what a process that was killed while writing left behind in `folder`: the temporary files of `atomic`."""
    for leftover in Path(folder).glob(".*.part"):
        leftover.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write text atomically, UTF-8, newlines as given."""
    with atomic(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: Path | str, value) -> None:
    """Write JSON atomically, indented and with sorted keys, so that diffs are small."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

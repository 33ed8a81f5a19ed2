import errno
import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from course_utils import files
from course_utils.errors import CourseError


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_and_json_are_written_whole(tmp_path):
    files.write_text(tmp_path / "new" / "a.txt", "één\nline\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "één\nline\n".encode()
    files.write_json(tmp_path / "b.json", {"z": 1, "a": "ü"})
    text = (tmp_path / "b.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"z": 1, "a": "ü"} and text.index('"a"') < text.index('"z"') and "ü" in text
    assert listing(tmp_path) == ["b.json", "new"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError, match="half way"), files.atomic(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError("half way")
    assert path.read_text(encoding="utf-8") == "old" and listing(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("stage", ["make", "write", "sync"])
def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path, monkeypatch, code, stage):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def full(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    if stage == "make":
        monkeypatch.setattr(Path, "touch", full)
    elif stage == "sync":
        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CourseError, match="a.txt: the disk is full"), files.atomic(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
        if stage == "write":
            full()
    assert path.read_text(encoding="utf-8") == "old" and listing(tmp_path) == ["a.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a named pipe, and links")
def test_a_device_stays_one_and_a_link_still_points_where_it_did(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CourseError, match="pipe: is a device or a pipe.*Give a file's name"):
        files.write_text(tmp_path / "pipe", "new")
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "a.txt")  # where nothing is yet
    for text in ("new", "newer"):
        files.write_text(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink() and (tmp_path / "there" / "a.txt").read_text(encoding="utf-8") == text
    assert listing(tmp_path) == ["link", "pipe", "there"] and listing(tmp_path / "there") == ["a.txt"]


def test_other_errors_of_the_system_are_not_called_a_full_disk(tmp_path):
    with pytest.raises(PermissionError), files.atomic(tmp_path / "a") as _:
        raise PermissionError("no")
    assert listing(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="file modes are POSIX's")
def test_files_have_ordinary_permissions(tmp_path):
    mask = os.umask(0o022)
    try:
        files.write_text(tmp_path / "a", "x")
    finally:
        os.umask(mask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path):
    context = files.atomic(tmp_path / "a.txt")
    context.__enter__().write_text("half", encoding="utf-8")  # and never left, as in a killed process
    (tmp_path / "mine.part").write_text("kept", encoding="utf-8")
    assert len(listing(tmp_path)) == 2
    files.remove_leftovers(tmp_path)
    assert listing(tmp_path) == ["mine.part"]


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert files.sha256_of(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()

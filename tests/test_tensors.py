import json
import lzma
import pickle

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from toys import Bomb

from course_utils import tensors
from course_utils.errors import CourseError

HEADER = {"name": "é", "numbers": [1, 2.5], "nested": {"b": None, "a": True}}


def sample():
    return {
        "half": torch.randn(2, 3).half(),
        "integer": torch.tensor(7),
        "empty": torch.zeros(0, 4),
        "flags": torch.tensor([True, False]),
        "conv": torch.randn(2, 3, 2, 2).to(memory_format=torch.channels_last),
    }


BOTH = pytest.mark.parametrize("name", ["a.safetensors", "a.safetensors.xz"])


@BOTH
def test_round_trip(tmp_path, name):
    wrote = sample()
    wrote["shared"] = wrote["half"]  # safetensors refuses shared memory; save() must not
    tensors.save(tmp_path / name, wrote, HEADER)
    read, header = tensors.load(tmp_path / name)
    assert header == HEADER and read.keys() == wrote.keys()
    for name, value in wrote.items():
        assert read[name].dtype == value.dtype and torch.equal(read[name], value)


def test_a_compressed_file_holds_a_plain_one(tmp_path):
    packed, plain, wrote = tmp_path / "a.safetensors.xz", tmp_path / "a.safetensors", torch.arange(5000).half()
    tensors.save(packed, {"w": wrote}, HEADER)
    plain.write_bytes(lzma.decompress(packed.read_bytes()))
    assert torch.equal(load_file(plain)["w"], wrote)  # by the format's own reader
    assert tensors.load(plain)[1] == HEADER and packed.stat().st_size < plain.stat().st_size / 2


def test_the_digest_sees_names_types_shapes_values_and_header():
    base = {"a": torch.zeros(2, 3)}
    others = [{"b": torch.zeros(2, 3)}, {"a": torch.zeros(3, 2)}, {"a": torch.zeros(2, 3, dtype=torch.int32)}]
    others += [{"a": torch.tensor([[0, 0, 0], [0, 0, 1e-40]])}, {"a": torch.zeros(2, 3), "b": torch.zeros(0)}]
    digests = {tensors.digest(base, {}), tensors.digest(base, {"x": 1})} | {tensors.digest(o, {}) for o in others}
    assert len(digests) == 7
    plain = torch.randn(2, 3, 4, 4)
    last = plain.to(memory_format=torch.channels_last)
    assert tensors.digest({"a": plain}, {}) == tensors.digest({"a": last}, {})  # memory layout is not content


@BOTH
def test_every_flipped_byte_is_noticed(tmp_path, name):
    """All bits of all bytes: the file is refused as damaged, or what is read is what was written. No other error."""
    path, wrote = tmp_path / name, {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}
    tensors.save(path, wrote, {"step": 3})
    whole, accepted = path.read_bytes(), 0
    for place in range(len(whole)):
        for bit in (0, 3, 6):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                read, header = tensors.load(path)
            except CourseError:
                continue
            accepted += 1
            assert header == {"step": 3} and read.keys() == wrote.keys()
            assert all(torch.equal(read[k], wrote[k]) and read[k].dtype == wrote[k].dtype for k in wrote)
    assert accepted < len(whole) // 10  # padding at most


@BOTH
def test_every_truncation_is_noticed(tmp_path, name):
    path = tmp_path / name
    tensors.save(path, {"w": torch.randn(5)}, {})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CourseError, match="not a whole safetensors file"):
            tensors.load(path)


@BOTH
@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_pickled_file_is_refused_and_does_not_run(tmp_path, write, name):
    path, target = tmp_path / name, tmp_path / "ran"
    write({"w": Bomb(target)}, path)
    with pytest.raises(CourseError, match="not a whole safetensors file"):
        tensors.load(path)
    assert not target.exists()
    assert Bomb(target).works()


def test_a_safetensors_file_from_elsewhere_is_refused(tmp_path):
    save_file({"w": torch.zeros(2)}, str(tmp_path / "a.safetensors"))
    with pytest.raises(CourseError, match="no digest"):
        tensors.load(tmp_path / "a.safetensors")
    save_file({"w": torch.zeros(2)}, str(tmp_path / "b.safetensors"), metadata={"header": "{", "digest": "0"})
    with pytest.raises(CourseError, match="do not match"):
        tensors.load(tmp_path / "b.safetensors")
    with pytest.raises(CourseError, match="no such file"):
        tensors.load(tmp_path / "c.safetensors")
    with pytest.raises(CourseError, match="no such file"):
        tensors.load(tmp_path)


def test_a_changed_header_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    kept = {"w": torch.zeros(2)}
    metadata = {"header": json.dumps({"seed": 1}), "digest": tensors.digest(kept, {"seed": 0})}
    save_file(kept, str(path), metadata=metadata)
    with pytest.raises(CourseError, match="do not match"):
        tensors.load(path)


@pytest.mark.parametrize(
    "message",
    ["I/O error: No space left on device (os error 28)", "No space left", "not enough space on the disk. (os error 112)"],
)
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, message):
    path = tmp_path / "a.safetensors"
    tensors.save(path, {"w": torch.zeros(2)}, {"old": True})

    def full(state, name, metadata):
        with open(name, "wb") as file:
            file.write(b"half")
        raise SafetensorError(message)

    monkeypatch.setattr(tensors, "save_file", full)
    with pytest.raises(CourseError, match="disk is full"):
        tensors.save(path, {"w": torch.ones(2)}, {"old": False})
    assert tensors.load(path)[1] == {"old": True} and [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]

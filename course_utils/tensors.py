"""Tensors in safetensors files that verify themselves: a hash of names, types, shapes and bytes stands in the header.

A file whose name ends in .xz is a safetensors file, compressed: `xz -d` makes one that any reader opens."""

from __future__ import annotations

import hashlib
import json
import lzma
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_bytes
from safetensors.torch import save as save_bytes
from safetensors.torch import save_file
from torch import Tensor

from .errors import CourseError
from .files import atomic

# Weights have two bytes each, or one: with positions counted in twos a float16 file is 4 % smaller than by default.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lp": 1, "pb": 1}]


def digest(tensors: dict[str, Tensor], header: dict) -> str:
    """SHA-256 over the header and every tensor's name, dtype, shape and bytes, in hex."""
    total = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy() if tensor.numel() else b"")
    return total.hexdigest()


def save(path: Path | str, tensors: dict[str, Tensor], header: dict) -> None:
    """Write tensors and a JSON header atomically, compressed if the path ends in .xz.

    safetensors wants contiguous tensors that share no memory."""
    kept = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = {"header": json.dumps(header, sort_keys=True), "digest": digest(kept, header)}
    with atomic(path) as temporary:
        if Path(path).suffix == ".xz":
            temporary.write_bytes(lzma.compress(save_bytes(kept, metadata), filters=FILTERS))
            return
        try:
            save_file(kept, str(temporary), metadata=metadata)
        except SafetensorError as error:  # it wraps the operating system's error in its own
            if any(sign in str(error) for sign in ("os error 28", "os error 112", "No space left")):  # 112: on Windows
                raise OSError(28, "No space left on device") from error
            raise


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    with safe_open(str(path), framework="pt") as file:
        return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _read_compressed(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    raw = lzma.decompress(path.read_bytes())
    tensors = load_bytes(raw)
    length = int.from_bytes(raw[:8], "little")  # of the format's JSON, which `load_bytes` leaves out
    return json.loads(raw[8 : 8 + length]).get("__metadata__", {}), tensors


def load(path: Path | str) -> tuple[dict[str, Tensor], dict]:
    """Read tensors and header, and verify the hash. Nothing is unpickled. CourseError if the file is not whole."""
    path = Path(path)
    if not path.is_file():
        raise CourseError(f"{path}: there is no such file.")
    try:
        metadata, tensors = _read_compressed(path) if path.suffix == ".xz" else _read(path)
    except (SafetensorError, lzma.LZMAError, EOFError, ValueError, OSError) as error:
        raise CourseError(f"{path}: not a whole safetensors file ({error}). Fetch or train it again.") from error
    if "header" not in metadata or "digest" not in metadata:
        raise CourseError(f"{path}: a safetensors file, but not one of this course (its header has no digest).")
    try:
        header = json.loads(metadata["header"])
    except ValueError:  # a damaged header
        header = None
    if header is None or digest(tensors, header) != metadata["digest"]:
        raise CourseError(f"{path}: the contents do not match the hash in the header. Fetch or train it again.")
    return tensors, header

"""pytorch-fid's Inception: its weights are found or downloaded, verified, and loaded without unpickling code."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import CourseError
from ..files import sha256_of

FILE = "pt_inception-2015-12-05-6726825d.pth"  # as pytorch-fid and torch hub name it
SIZE = 95_628_359  # bytes
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
DIMENSION, SIDE = 2048, 299


def load(file: Path | str | None = None) -> nn.Module:
    """pytorch-fid's InceptionV3 up to its last pooling, in eval mode, frozen. Weights: see `find_weights`."""
    return build(torch.load(find_weights(file), map_location="cpu", weights_only=True))


def find_weights(file: Path | str | None = None) -> Path:
    """The verified file of weights: the one given, else pytorch-fid's own in torch hub's cache, else its download to there."""
    if file is not None:
        return verified(Path(file).expanduser())
    path = Path(torch.hub.get_dir()) / "checkpoints" / FILE
    if not path.is_file():
        _download(path)
    return verified(path)


def verified(path: Path) -> Path:
    """`path` if the file is the published one; CourseError otherwise."""
    if not path.is_file():
        raise CourseError(f"inception weights: {path} is not a file. {_remedy()}")
    size = path.stat().st_size
    if size != SIZE:
        raise CourseError(f"inception weights: {path} has {size:,} bytes, not {SIZE:,}; it was not loaded. {_remedy()}")
    actual = sha256_of(path)
    if actual != SHA256:
        raise CourseError(f"inception weights: SHA-256 of {path} is {actual}, not {SHA256}; it was not loaded. {_remedy()}")
    return path


def build(state: dict[str, Tensor]) -> nn.Module:
    """pytorch-fid's network with these weights in place of the file it would download."""
    from pytorch_fid import inception

    original = inception.load_state_dict_from_url
    inception.load_state_dict_from_url = lambda *_, **__: state
    try:
        with torch.random.fork_rng(devices=[]):  # building draws weights that are thrown away
            return inception.InceptionV3().eval().requires_grad_(False)
    finally:
        inception.load_state_dict_from_url = original


def _download(path: Path) -> None:
    from pytorch_fid.inception import FID_WEIGHTS_URL

    print(f"downloading Inception's weights ({SIZE / 1e6:.0f} MB) to {path}", file=sys.stderr)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(FID_WEIGHTS_URL, str(path), hash_prefix=SHA256, progress=sys.stderr.isatty())
    except (OSError, RuntimeError) as failed:  # URLError is an OSError; a wrong hash is a RuntimeError
        raise CourseError(f"inception weights: {path} is not there, and its download failed ({failed}). {_remedy()}") from failed


def _remedy() -> str:
    from pytorch_fid.inception import FID_WEIGHTS_URL

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    return (
        f"Get {FID_WEIGHTS_URL} ({SIZE:,} bytes, SHA-256 {SHA256}), put it into {folder}, or name it with "
        "--inception-weights FILE. Without it: metrics on the course's own networks, such as fd_fashion."
    )

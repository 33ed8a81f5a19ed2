"""One split of a data set: all images in one uint8 tensor, so that training needs no loader processes, no decoding."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F

from course_utils.errors import reject

SMALLEST, LARGEST = 8, 1024
CHUNK = 4096  # images converted to float at a time: bounds the memory of a resize and of a hash


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """images: uint8 (N, C, H, W). labels: int64 (N,) or None where the set has no classes.

    attributes: what else is known of each image, one entry per image under each key (lists of str, or tensors).
    meta: what is known of the set as a whole (factor names and sizes, a folder's report of skipped files).
    """

    images: torch.Tensor
    labels: torch.Tensor | None
    name: str
    split: str
    class_names: tuple[str, ...] = ()
    attributes: dict[str, list | torch.Tensor] = field(default_factory=dict)
    license: str = ""
    meta: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise reject("images", f"{self.images.dtype} {tuple(self.images.shape)}", "a uint8 tensor (N, C, H, W)")
        lengths = {key: len(values) for key, values in {"labels": self.labels, **self.attributes}.items()
                   if values is not None}
        for key, length in lengths.items():
            if length != len(self.images):
                raise reject(key, f"{length} entries", f"one per image, {len(self.images)}")

    def __repr__(self) -> str:
        size = "x".join(map(str, self.shape))
        return f"ImageSet({self.name!r}, {self.split!r}: {len(self)} images of {size})"

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        return tuple(self.images.shape[1:])

    def floats(self, index: object = None) -> torch.Tensor:
        """Images as float32 in [0, 1], (B, C, H, W). index: a slice, a list or a tensor of ints; None for all of them.

        A single int gives a batch of one.
        """
        picked = self.images if index is None else self.images[[index] if isinstance(index, int) else index]
        return picked.float().div_(255)

    def subset(self, index: object) -> ImageSet:
        """The images at `index` (a slice, a list or a tensor of ints or bools) with their labels and attributes."""
        rows = torch.arange(len(self), device=self.images.device)[index]
        rows = rows.reshape(-1)

        def pick(values: list | torch.Tensor) -> list | torch.Tensor:
            if isinstance(values, torch.Tensor):
                return values[rows.to(values.device)]
            return [values[i] for i in rows.tolist()]

        return replace(self, images=self.images[rows], labels=None if self.labels is None else pick(self.labels),
                       attributes={key: pick(values) for key, values in self.attributes.items()})

    def to(self, device: torch.device | str) -> ImageSet:
        """The same set with images, labels and tensor attributes on `device`."""
        def move(values: list | torch.Tensor | None) -> list | torch.Tensor | None:
            return values.to(device) if isinstance(values, torch.Tensor) else values

        return replace(self, images=move(self.images), labels=move(self.labels),
                       attributes={key: move(values) for key, values in self.attributes.items()})

    def sha256(self) -> str:
        """Hex digest over shape, images and labels; the same on every machine, whatever the device or memory layout."""
        digest = hashlib.sha256(f"uint8 {tuple(self.images.shape)}".encode())
        for chunk in self.images.split(CHUNK):
            digest.update(chunk.cpu().contiguous().numpy())
        if self.labels is not None:
            digest.update(b"labels")
            digest.update(self.labels.cpu().contiguous().numpy().astype("<i8").tobytes())
        return digest.hexdigest()


def check_size(size: int | None, default: int) -> int:
    """`size` if it is a sensible side in pixels, `default` for None; CourseError otherwise."""
    if size is None:
        return default
    if isinstance(size, bool) or not isinstance(size, int) or not SMALLEST <= size <= LARGEST:
        raise reject("size", size, f"a whole number of pixels from {SMALLEST} to {LARGEST}",
                     f"Leave it out for {default}.")
    return size


def pad_to_32(images: torch.Tensor) -> torch.Tensor:
    """(N, 1, 28, 28) -> (N, 1, 32, 32): two zero pixels on each side, so that four halvings are exact."""
    return F.pad(images, (2, 2, 2, 2))


def resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """uint8 (N, C, H, H) -> (N, C, size, size). Where size divides H: the mean over blocks, in integers, so exact.

    Otherwise bilinear with antialiasing, rounded to the nearest integer.
    """
    side = images.shape[-1]
    if side == size:
        return images
    return torch.cat([_resize_chunk(chunk, size) for chunk in images.split(CHUNK)])


def _resize_chunk(images: torch.Tensor, size: int) -> torch.Tensor:
    n, c, h, w = images.shape
    if h % size == 0 and w % size == 0:
        fh, fw = h // size, w // size
        total = images.reshape(n, c, size, fh, size, fw).sum(dim=(3, 5), dtype=torch.int32)  # (N, C, size, size)
        return ((total + fh * fw // 2) // (fh * fw)).to(torch.uint8)
    scaled = F.interpolate(images.float(), (size, size), mode="bilinear", antialias=True, align_corners=False)
    return scaled.round().clamp(0, 255).to(torch.uint8)

"""Augmentation of what an encoder or a critic is shown: random, per image, differentiable, and in training only.

A critic that has few images learns them by heart. If it is shown each one moved, or with a hole in it, it cannot, as long
as it is shown the other side's images in the same way: then there is nothing to be won by making images that look
augmented, and gradients reach whoever made them through the augmentation. What is compared with a reconstruction stays as
it was. Zhao et al., arXiv 2006.10738; Karras et al., arXiv 2006.06676.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, distributed, nn

from .errors import CourseError, reject

# What a policy is made of; one that has several joins them by +, in the order in which they act.
OPERATIONS = {
    "translate": "moved by up to an eighth of the width and of the height",
    "erase": "a rectangle erased, 0.3 to 3.3 times as high as wide, of up to half of the area",
    "flip": "mirrored left to right",
    "color": "brighter or darker, and of more or less contrast and saturation",
    "cutout": "a square of half the side erased",
    "affine": "turned by up to 15 degrees, moved by up to an eighth, scaled by 0.9 to 1.1",
}
SHIFT = (1 / 8, 1 / 8)  # of the width and of the height
MAX_ADAPTIVE_P = 0.8  # above it images that are almost never seen whole leak into samples (arXiv 2006.06676, section 2.2)


def operations(policy: str, argument: str = "policy") -> list[str]:
    """The operations of a policy such as "translate+erase"; CourseError for one that is unknown or there twice."""
    names = policy.split("+")
    for name in names:
        if name not in OPERATIONS:
            raise reject(argument, name, OPERATIONS, "Join several by +, as in translate+erase.")
    if len(set(names)) < len(names):
        raise reject(argument, policy, "each operation once")
    return names


def check_settings(policy, p, erase, target, images, prefix: str = "") -> None:
    """Raise CourseError for settings that no `Augmentation` has. prefix: what stands before their names at the caller's."""
    operations(policy, f"{prefix}policy")
    if not 0 <= p <= 1:
        raise reject(f"{prefix}p", p, "a probability, from 0 to 1")
    if len(erase) != 2 or not 0 <= erase[0] <= erase[1] <= 1:
        remedy = "It is the smallest and the largest share of the area, the smaller first."
        raise reject(f"{prefix}erase", tuple(erase), "two numbers from 0 to 1, as 0 0.5", remedy)
    if not 0 <= target < 1:
        raise reject(f"{prefix}target", target, "at least 0 and less than 1", "0 leaves p as it is.")
    if target and p > MAX_ADAPTIVE_P:
        raise reject(f"{prefix}p", p, f"at most {MAX_ADAPTIVE_P} if it is adaptive", "It is what p starts from.")
    if images < 1:
        raise reject(f"{prefix}images", images, "1 or more", "In so many images an adaptive p goes from 0 to 1.")


def real_fake_gap(kl_real: Tensor, kl_fake: Tensor) -> Tensor:
    """How far apart an introspective encoder holds real and fake images, in [-1, 1]: (B,), (B',) -> ().

    (mean kl_fake - mean kl_real) / (mean kl_fake + mean kl_real), in which nats cancel. 0: it finds both alike; near 1: it
    knows every fake, which on few data it can by knowing the real ones. It stands for r_t of Karras et al., arXiv
    2006.06676, the mean sign of a discriminator's outputs on real images, which an encoder does not have."""
    real, fake = kl_real.mean(), kl_fake.mean()
    return (fake - real) / (fake + real).clamp_min(1e-12)


def random_saturation(x: Tensor) -> Tensor:
    """Each image's colors 0.5 to 1.5 times as far from gray: (B, 3, H, W) -> (B, 3, H, W); gray images as they are.

    Not kornia's own: that clips to [0, 1], where an image of the decoder's may well not be, and its gradient ends there."""
    if x.shape[1] != 3:
        return x
    from kornia.color import rgb_to_grayscale

    gray = rgb_to_grayscale(x)  # (B, 1, H, W)
    return gray + (0.5 + torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype)) * (x - gray)


def _build(name: str, erase: tuple[float, float]) -> list:
    """The functions (B, C, H, W) -> (B, C, H, W) that are one operation, each on every image (p = 1)."""
    from kornia import augmentation as kornia

    if name == "translate":
        return [kornia.RandomAffine(degrees=0.0, translate=SHIFT, p=1.0)]
    if name == "erase":
        return [kornia.RandomErasing(scale=erase, p=1.0)]
    if name == "flip":
        return [kornia.RandomHorizontalFlip(p=1.0)]
    if name == "color":
        brightness = kornia.RandomBrightness((0.8, 1.2), clip_output=False, p=1.0)
        return [brightness, kornia.RandomContrast((0.7, 1.3), clip_output=False, p=1.0), random_saturation]
    if name == "cutout":
        return [kornia.RandomErasing(scale=(0.25, 0.25), ratio=(1.0, 1.0), p=1.0)]
    return [kornia.RandomAffine(degrees=15.0, translate=SHIFT, scale=(0.9, 1.1), p=1.0)]


class Augmentation(nn.Module):
    """(B, C, H, W) -> (B, C, H, W), in any range: each operation of a policy on each image with probability p.

    policy: operations joined by +, see `OPERATIONS`. p: of each operation, apart from the others and from other images; at
    0.5 a quarter of the images pass "translate+erase" as they are. erase: smallest and largest share of the area that
    `erase` takes, less where a long rectangle does not fit the image. What moves in and what is erased is 0. In eval mode
    nothing happens: unlike kornia's modules, whose train and eval mode are one. Draws follow torch's global generators: a
    seed set before a call decides it.

    target: if not 0, p is adaptive, and `adapt` moves it: by 1 in `images` images. It is a buffer, of the model's state.
    Raises CourseError for a bad setting, for what is not a batch of images, and where kornia is missing; it is imported
    when first used, as a trained model does without."""

    p: Tensor

    def __init__(self, policy="translate+erase", p=0.5, *, erase=(0.0, 0.5), target=0.0, images=50_000):
        super().__init__()
        check_settings(policy, p, erase, target, images)
        self.policy, self.erase, self.target, self.images = policy, tuple(erase), target, images
        self.register_buffer("p", torch.tensor(float(p)))

    @cached_property
    def operations(self) -> list[list]:
        """The functions of each operation. They are no submodules: a state that holds them would depend on kornia's version."""
        try:
            return [_build(name, self.erase) for name in operations(self.policy)]
        except ImportError as error:
            raise CourseError("augmentation needs kornia, which is not installed: pip install kornia") from error

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise reject("images", tuple(x.shape), "(B, C, H, W)", "Augmentation is for images; points have none.")
        if not self.training:
            return x
        with torch.autocast(x.device.type, enabled=False):  # a shift in bfloat16 is off by pixels
            augmented = x
            for functions in self.operations:
                changed = augmented
                for function in functions:
                    changed = function(changed)
                chosen = torch.rand(len(x), 1, 1, 1, device=x.device) < self.p  # p stays on the device
                augmented = torch.where(chosen, changed, augmented)
        channels_last = x.is_contiguous(memory_format=torch.channels_last)
        return augmented.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)

    @torch.no_grad()
    def adapt(self, gap: Tensor, count: int) -> None:
        """Raise p where `gap` () is above the target and lower it where it is below, after a step of `count` images."""
        if distributed.is_available() and distributed.is_initialized():  # p must not differ between processes
            gap, count = gap.clone(), count * distributed.get_world_size()
            distributed.all_reduce(gap)
            gap /= distributed.get_world_size()
        self.p.add_((gap - self.target).sign() * (count / self.images)).clamp_(0, MAX_ADAPTIVE_P)

    def compile(self, *args, **kwargs) -> None:
        """Nothing: kornia draws on the host, and a graph would break at each operation."""

    def require(self) -> None:
        """Raise CourseError if what this policy needs is not installed."""
        _ = self.operations

    def extra_repr(self) -> str:
        return f"policy={self.policy!r}, p={self.p.item():g}, target={self.target:g}"

"""A made-up record of the ablation, its numbers known."""

from __future__ import annotations

from course_utils import ablation

SCALARS = ("sse_held_out", "sse_train", "kl_held_out", "kl_train")
LISTS = ("fd_cifar_held_out", "fd_cifar_train", "kd_cifar_held_out", "kd_cifar_train", "gap_train", "gap_held_out", "gap_unseen",
         "kl_fake", *(f"{name}{how}_{space}" for name in ("nearer", "ratio", "copies") for how in ("", "_relative")
                      for space in ("cifar", "pixels")))  # fmt: skip


def row(recipe: str, number: int, steps: int = 8000) -> dict:
    """The n-th row: each value is of n, and draws of samples are 0.1 below, at and above it, or 0.01 for what is a share."""
    def draws(name):
        middle, off = (5 + number, 0.1) if name[0] in "fk" else (0.4 + number / 100, 0.01)
        return [middle - off, middle, middle + off]

    values = {name: 10.0 + number for name in SCALARS} | {name: draws(name) for name in LISTS}
    about = {"recipe": recipe, "weights_sha256": f"{number:064x}", "seed": int(recipe.endswith("_s1")), "steps": steps}
    return about | {"samples": 2000, "values": values}


def record(*without: str, **steps: int) -> dict:
    """A record of all recipes but those `without`. steps: of some recipes."""
    rows = [row(name, i, steps.get(name, 8000)) for i, name in enumerate(ablation.names()) if name not in without]
    data = {"train": {"images": 3577, "sha256": "t"}, "held_out": {"images": 335, "sha256": "h"}, "network_sha256": "n",
            "mirror_twins": ["left-facing fist", "leftwards hand"],
            "real": {"fd_cifar_train": 2.5, "kd_cifar_train": 0.01, "fd_cifar_held_out": 3.5,
                     "kd_cifar_held_out": 0.02}}  # fmt: skip
    return {"settings": ablation.settings(), "data": data, "runs": rows}

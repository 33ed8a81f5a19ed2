"""Draws docs/cover.png, README's picture, from the shipped two-dimensional VAE: `python docs/make_cover.py`."""

from pathlib import Path

import torch
from PIL import Image

from course_utils import checkpoints
from course_utils.figures.style import png_of

ROWS, COLUMNS = 9, 26

model = checkpoints.load("vae_fashion_z2")
# Quantiles of the prior on both axes: every picture stands for the same share of it.
across, down = (torch.special.ndtri((torch.arange(n) + 0.5) / n) for n in (COLUMNS, ROWS))
z = torch.cartesian_prod(down.flip(0), across).flip(1)  # (ROWS * COLUMNS, 2)
images = model.decode(z)[:, 0]  # (ROWS * COLUMNS, 32, 32)
sheet = images.unflatten(0, (ROWS, COLUMNS)).permute(0, 2, 1, 3).reshape(ROWS * 32, COLUMNS * 32)
picture = Image.fromarray((255 * sheet).round().to(torch.uint8).numpy()).convert("RGB")
Path(__file__).with_name("cover.png").write_bytes(png_of(picture))

"""Chapter 00: right answers in several spellings, and known wrong ones, each with a phrase of its diagnosis."""

import torch

RIGHT = {
    "0.1": [
        lambda x, y: ((x - y) ** 2).flatten(1).sum(1),
        lambda x, y: torch.einsum("bchw,bchw->b", x - y, x - y),
        lambda x, y: (x.double() - y.double()).pow(2).sum(-1).sum(-1).sum(-1),
    ],
}
WRONG = [
    ("0.1", lambda x, y: ((x - y) ** 2).mean((1, 2, 3)), "times too small"),
    ("0.1", lambda x, y: ((x - y) ** 2).sum(), "one number for the whole batch"),
    ("0.1", lambda x, y: torch.nn.functional.mse_loss(x, y), "and a mean"),
    ("0.1", lambda x, y: (x - y).flatten(1).norm(dim=1), "root"),
    ("0.1", lambda x, y: (x - y).abs().sum((1, 2, 3)), "absolute"),
    ("0.1", lambda x, y: ((x - y) ** 2).sum(1), "one number per image"),
    ("0.1", lambda x, y: ((x - y) ** 2).sum((2, 3)).squeeze(), "one number per image"),
    ("0.1", lambda x, y: ((x - y) ** 2).mean((1, 2, 3)) * x.shape[2] * x.shape[3], "expected the sum"),
    ("0.1", lambda x, y: [((a - b) ** 2).sum() for a, b in zip(x, y, strict=True)], "`torch.stack`"),
    ("0.1", lambda x, y: ((x.numpy() - y.numpy()) ** 2).sum((1, 2, 3)), "stay with torch"),
    ("0.2", "ae_fashion_z2", "two numbers"),
    ("0.2", "the best one", "no model of that name"),
    ("0.2", "beta_vae_shapes_b1", "no model of that name"),
    ("0.2", "vae_fashion_z32", "not the one"),
    ("0.2", 3, "text in quotation marks"),
]

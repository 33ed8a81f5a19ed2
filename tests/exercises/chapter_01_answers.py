"""Chapter 01: right answers in several spellings, and known wrong ones, each with a phrase of its diagnosis."""

import torch
import torch.nn.functional as F


def sse(x, y):
    return (x - y).square().flatten(1).sum(1)


def ends(model, x0, x1):
    return model.encode(x0).mean, model.encode(x1).mean


def shares(n):
    return torch.linspace(0, 1, n).unsqueeze(1)


def one_by_one(model, x0, x1, n):
    z0, z1 = ends(model, x0, x1)
    return torch.cat([model.decode(torch.lerp(z0, z1, i / (n - 1))) for i in range(n)])


def along(model, x0, x1, t):
    z0, z1 = ends(model, x0, x1)
    return model.decode(z0 + t * (z1 - z0))


def mixed(a, b, n):
    t = shares(n).view(-1, 1, 1, 1)
    return (1 - t) * a + t * b


def noisy(x, std):
    return x + std * torch.randn(x.shape)


def seeded(model, x, std):
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return sse(model(x + std * noise), x).mean()


def noisy_target(model, x, std):
    seen = noisy(x, std)
    return sse(model(seen), seen).mean()


RIGHT = {
    "1.1": [
        lambda x, y: (x - y).pow(2).sum((1, 2, 3)).mean(),
        lambda x, y: F.mse_loss(y, x, reduction="sum") / len(x),
        lambda x, y: ((y.double() - x.double()) ** 2).mean() * x[0].numel(),
        lambda x, y: torch.linalg.vector_norm((x - y).flatten(1), dim=1).square().mean(),
    ],
    "1.2": ["a", "A", " a "],
    "1.3": [
        one_by_one,
        lambda m, a, b, n: along(m, a, b, shares(n)),
        lambda m, a, b, n: m.decode((1 - shares(n)) * ends(m, a, b)[0] + shares(n) * ends(m, a, b)[1]),
        lambda m, a, b, n: along(m, a, b, shares(n)).double(),
    ],
    "1.4": [
        lambda m, x, s: sse(m(noisy(x, s)), x).mean(),
        lambda m, x, s: F.mse_loss(m(torch.normal(x, s)), x, reduction="sum") / len(x),
        lambda m, x, s: sse(x.double(), m(x.double() + s * torch.randn_like(x.double()))).mean(),
    ],
    "1.5": [
        lambda i: i.movedim(-1, 1),
        lambda i: torch.einsum("nhwc->nchw", i),
        lambda i: i.transpose(2, 3).transpose(1, 2).contiguous(),
        lambda i: torch.stack([i[..., c] for c in range(i.shape[-1])], 1),
    ],
}

WRONG = [
    ("1.1", lambda x, y: F.mse_loss(x, y), "averaged over the"),
    ("1.1", lambda x, y: sse(x, y).sum(), "summed over the"),
    ("1.1", sse, "one number per image"),
    ("1.1", lambda x, y: (x - y).abs().flatten(1).sum(1).mean(), "absolute differences"),
    ("1.1", lambda x, y: sse(x, y).sqrt().mean(), "root of each"),
    ("1.1", lambda x, y: 0.5 * sse(x, y).mean(), "half of what"),
    ("1.1", lambda x, y: (x - y).square().sum((2, 3)).mean(), "averaged over the channels"),
    ("1.1", lambda x, y: (x - y).sum((1, 2, 3)).mean(), "not squared"),
    ("1.1", lambda x, y: sse(x, y.detach()).mean(), "no gradient"),
    ("1.1", lambda x, y: sse(x, y).mean().item(), "no gradient"),
    ("1.1", lambda x, y: (x - y).square().sum() / x.shape[-1], "expected the squared error"),
    ("1.1", lambda x, y: (x - y).square().sum(0).mean(), "are swapped"),
    ("1.1", lambda x, y: F.mse_loss(x, y) * 1024, "1 x 32 x 32"),
    ("1.2", "b", "low contrast"),
    ("1.2", "c", "a tenth of the brightness"),
    ("1.2", "d", "standard deviation of 0.05"),
    ("1.2", "all the same", "one letter"),
    ("1.3", lambda m, a, b, n: mixed(a, b, n), "mixes the *pixels*"),
    ("1.3", lambda m, a, b, n: mixed(m.reconstruct(a), m.reconstruct(b), n), "decode first and mix then"),
    ("1.3", lambda m, a, b, n: along(m, a, b, shares(n + 1)[:-1]), "far end is missing"),
    ("1.3", lambda m, a, b, n: along(m, a, b, shares(n + 1)[1:]), "near end is missing"),
    ("1.3", lambda m, a, b, n: along(m, a, b, shares(9)), "the result has shape (9,"),
    ("1.3", lambda m, a, b, n: along(m, a, b, shares(n + 2)[1:-1]), "both ends are missing"),
    ("1.3", lambda m, a, b, n: along(m, a, b, torch.arange(n).float().unsqueeze(1)), "beyond `x1`"),
    ("1.3", lambda m, a, b, n: along(m, b, a, shares(n)), "backwards"),
    ("1.3", lambda m, a, b, n: m.decode(ends(m, a, b)[0] + shares(n) * ends(m, a, b)[1]), "full weight"),
    ("1.3", lambda m, a, b, n: torch.lerp(*ends(m, a, b), shares(n)), "the result has shape"),
    ("1.4", noisy_target, "compare with the *noisy*"),
    ("1.4", lambda m, x, s: sse(m(x), x).mean(), "sees the clean images"),
    ("1.4", lambda m, x, s: sse(m(x), noisy(x, s)).mean(), "sees the clean images"),
    ("1.4", lambda m, x, s: sse(m(noisy(x, s).clamp(0, 1)), x).mean(), "clipped"),
    ("1.4", lambda m, x, s: sse(m(noisy(x, s**2)), x).mean(), "square of `std`"),
    ("1.4", lambda m, x, s: sse(m(noisy(x, s**0.5)), x).mean(), "root of `std`"),
    ("1.4", lambda m, x, s: sse(m(noisy(x, 1.0)), x).mean(), "not scaled"),
    ("1.4", lambda m, x, s: sse(m(x + s * torch.rand_like(x)), x).mean(), "never negative"),
    ("1.4", lambda m, x, s: sse(m(x + s * torch.randn(x.shape[1:])), x).mean(), "draw it with the shape"),
    ("1.4", seeded, "two calls draw the same noise"),
    ("1.4", lambda m, x, s: F.mse_loss(m(noisy(x, s)), x), "averaged over the pixels"),
    ("1.4", lambda m, x, s: sse(m(noisy(x, s)), x), "the result has shape"),
    ("1.4", lambda m, x, s: sse(m(x + s * torch.randn(len(x), 1, *x.shape[2:])), x).mean(), "all channels"),
    ("1.4", lambda m, x, s: sse(m(x + s * torch.randn(*x.shape[:2], 1, 1)), x).mean(), "all rows"),
    ("1.4", lambda m, x, s: sse(m(x + s * torch.randn(*x.shape[:3], 1)), x).mean(), "all columns"),
    ("1.4", lambda m, x, s: sse(m(x + s * torch.randn(1)), x).mean(), "all images"),
    ("1.4", lambda m, x, s: sse(m(x * (1 + s * torch.randn_like(x))), x).mean(), "multiply the image"),
    ("1.4", lambda m, x, s: sse(m((1 - s) * x + s * torch.randn_like(x)), x).mean(), "times the image"),
    ("1.4", lambda m, x, s: sse(m(x + s * 12**0.5 * (torch.rand_like(x) - 0.5)), x).mean(), "sharp edge"),
    ("1.4", lambda m, x, s: sse(m(x + torch.normal(0.5, s, x.shape)), x).mean(), "a mean of"),
    ("1.4", lambda m, x, s: sse(m(noisy(x, s).clamp(min=0)), x).mean(), "clipped"),
    ("1.4", lambda m, x, s: sse(m(noisy(x, s)), m(x)).mean(), "more than once"),
    ("1.4", lambda m, x, s: sse(m(noisy(x, s)).detach(), x).mean(), "no gradient"),
    ("1.4", lambda m, x, s: (m(noisy(x, s)) - x).square().sum((2, 3)).mean(), "averaged over the channels"),
    ("1.4", lambda m, x, s: F.mse_loss(m(noisy(x, s)), x) * 1024, "expected the squared error"),
    ("1.5", lambda i: i.permute(0, 3, 2, 1), "lying on their side"),
    ("1.5", lambda i: i.reshape(len(i), i.shape[3], *i.shape[1:3]), "move nothing"),
    ("1.5", lambda i: i.permute(0, 3, 2, 1).flip(3), "quarter turn"),
    ("1.5", lambda i: i.permute(0, 3, 1, 2).flip(2), "mirrored"),
    ("1.5", lambda i: i.permute(0, 3, 1, 2) / 255, "divided by 255"),
    ("1.5", lambda i: i.permute(0, 3, 1, 2).float(), "torch.float32 now"),
    ("1.5", lambda i: i, "channels still come last"),
    ("1.5", lambda i: i.permute(3, 0, 1, 2), "the result has shape"),
    ("1.5", lambda i: i.permute(0, 3, 1, 2).flip(1), "red has become blue"),
    ("1.5", lambda i: i.permute(0, 3, 1, 2).flip(2, 3), "mirrored"),
    ("1.5", lambda i: i.permute(0, 3, 1, 2).squeeze(), "one channel"),
    ("1.5", lambda i: torch.stack([i[..., 0], i[..., 1], i[..., 2]], 1), "out of bounds"),
    ("1.5", lambda i: i.permute(0, 3, 1, 2).numpy(), "numpy array"),
]  # fmt: skip

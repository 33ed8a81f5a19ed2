"""Chapter 05: right answers in several spellings, and known wrong ones, each with a phrase of its diagnosis."""

import copy

import torch
from torch import nn

from course_utils.exercises import chapter_05 as chapter
from course_utils.metrics import Moments
from course_utils.metrics import frechet_distance as package_distance

eig = torch.linalg.eigvals


def root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def by_symmetric_root(m1, c1, m2, c2):
    inner = root(root(c1) @ c2 @ root(c1))
    return ((m1 - m2) ** 2).sum() + torch.trace(c1 + c2 - 2 * inner)


def fd(overlap, means=lambda d: (d**2).sum(), factor=2):
    """The distance with another overlap, another distance of the means, or another factor."""
    return lambda m1, c1, m2, c2: means(m1 - m2) + c1.trace() + c2.trace() - factor * overlap(c1, c2)


def true_overlap(a, b):
    return eig(a @ b).real.clamp_min(0).sqrt().sum()


right_fd = fd(true_overlap)


# 5.3: moments of batches


def by_merging(batches):
    merged = Moments()
    for batch in batches:
        merged.add(batch)
    return merged.mean, merged.covariance


def of_all(batches):
    x = torch.cat(batches)
    return x.mean(0), torch.cov(x.T)


def by_squares(batches):
    count, total, squares = 0, 0, 0
    for batch in batches:
        batch = batch.double()
        count, total, squares = count + len(batch), total + batch.sum(0), squares + batch.T @ batch
    mean = total / count
    return mean, (squares - count * torch.outer(mean, mean)) / (count - 1)


def by_squares_in_float32(batches):
    x = torch.cat(batches)
    return x.mean(0), (x.T @ x - len(x) * torch.outer(x.mean(0), x.mean(0))) / (len(x) - 1)


def published(batches):
    covariances = torch.stack([torch.cov(batch.T) for batch in batches])
    return torch.stack([batch.mean(0) for batch in batches]).mean(0), covariances.mean(0)


def mean_mended(batches):
    return of_all(batches)[0], published(batches)[1]


def weighted_inside(batches):
    x = torch.cat(batches)
    return x.mean(0), sum(len(b) * torch.cov(b.T) for b in batches) / len(x)


def around_batch_means(batches):
    x = torch.cat(batches)
    off = torch.cat([b - b.mean(0) for b in batches])
    return x.mean(0), off.T @ off / (len(x) - 1)


def around_mean_of_means(batches):
    x = torch.cat(batches)
    off = x - published(batches)[0]
    return x.mean(0), off.T @ off / (len(x) - 1)


def scaled(factor):
    return lambda batches: (of_all(batches)[0], factor(len(torch.cat(batches))) * of_all(batches)[1])


def pooled_with_single(batches):
    """Right, but a batch of one gives NaN: within and between, added up."""
    x = torch.cat(batches)
    scatter = sum(
        (len(b) - 1) * torch.cov(b.T) + len(b) * torch.outer(b.mean(0) - x.mean(0), b.mean(0) - x.mean(0)) for b in batches
    )
    return x.mean(0), scatter / (len(x) - 1)


# 5.4: the unbiased estimate


def total(k):
    return k.sum() - k.trace()


def pairs(k):
    return len(k) * (len(k) - 1)


def masked(a, b, c):
    off = [k[~torch.eye(len(k), dtype=torch.bool)].mean() for k in (a, b)]
    return off[0] + off[1] - 2 * c.mean()


def mmd(within=lambda k: total(k) / pairs(k), between=torch.mean, factor=2.0):
    return lambda a, b, c: within(a) + within(b) - factor * between(c)


# 5.5: precision and recall


def shares(**mistake):
    return lambda real, fake, k: (chapter._share(fake, real, k, **mistake), chapter._share(real, fake, k, **mistake))


def farthest(real, fake, k):
    known = chapter._known_shares(real, fake, k)
    return known["far"]


def by_sorting(real, fake, k):
    def inside(points, centers):
        radii = torch.sort(torch.cdist(centers, centers), 1).values[:, k]
        return (torch.cdist(points, centers) <= radii).any(1).float().mean().item()

    return inside(fake, real), inside(real, fake)


def by_infinity(real, fake, k):
    def radius(x):
        return torch.cdist(x, x).fill_diagonal_(torch.inf).kthvalue(k, 1).values

    d = torch.cdist(real, fake)
    return (d <= radius(real)[:, None]).any(0).double().mean(), (d <= radius(fake)).any(1).double().mean()


# 5.6: the network in train mode


def measured(model, classifier, real, z, batch_size):
    with torch.no_grad():
        fake = torch.cat([model.decode(part) for part in z.split(batch_size)])
        a, b = (torch.cat([classifier.features(part) for part in x.split(batch_size)]).double() for x in (real, fake))
    return right_fd(a.mean(0), torch.cov(a.T), b.mean(0), torch.cov(b.T))


def prepared(change):
    """The score after `change(model, classifier)`."""

    def answer(model, classifier, real, z, batch_size):
        change(model, classifier)
        return measured(model, classifier, real, z, batch_size)

    return answer


def both_eval(model, classifier):
    model.eval()
    classifier.train(False)


def only_model(model, classifier):
    model.eval()
    classifier.requires_grad_(False)


def only_norms(model, classifier):
    model.eval()
    for layer in classifier.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


def momentum_zero(model, classifier):
    model.eval()
    for layer in classifier.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.0


def one_batch(model, classifier, real, z, batch_size):
    model.eval()
    return measured(model, classifier, real, z, len(real))


def on_copies(model, classifier, real, z, batch_size):
    return measured(copy.deepcopy(model).eval(), copy.deepcopy(classifier).eval(), real, z, batch_size).item()


def too_late(first):
    """Eval mode for the second of the two sets alone."""

    def answer(model, classifier, real, z, batch_size):
        model.eval()
        with torch.no_grad():
            fake = torch.cat([model.decode(part) for part in z.split(batch_size)])
            found = {}
            for name in (first, "fake" if first == "real" else "real"):
                images = real if name == "real" else fake
                found[name] = torch.cat([classifier.features(part) for part in images.split(batch_size)]).double()
                classifier.eval()
        a, b = found["real"], found["fake"]
        return right_fd(a.mean(0), torch.cov(a.T), b.mean(0), torch.cov(b.T))

    return answer


def warmed_up(model, classifier, real, z, batch_size):
    """Right networks at the end, but one pass in train mode has moved the statistics."""
    model.eval()
    with torch.no_grad():
        classifier.features(real)
    classifier.eval()
    return measured(model, classifier, real, z, batch_size)


RIGHT = {
    "5.1": [(0.5, 1.3), [0.5, 1.3], (0.52, 1.29)],
    "5.2": [by_symmetric_root, package_distance, lambda *m: torch.tensor(package_distance(*m), dtype=torch.float32)],
    "5.3": [by_merging, of_all, by_squares, lambda b: tuple(v.float() for v in by_squares(b))],
    "5.4": [masked, lambda a, b, c: mmd()(a, b, c).item(), lambda a, b, c: mmd()(a.float(), b.float(), c.float())],
    "5.5": [by_sorting, by_infinity, lambda r, f, k: shares()(r.double(), f.double(), k)],
    "5.6": [prepared(both_eval), prepared(only_norms), on_copies],
}

WRONG = [
    ("5.1", (0, 1), "part of the means"),
    ("5.1", (1.3, 0.5), "other order"),
    ("5.1", (1.7, 0.5), "*one* of the peaks"),
    ("5.1", (-0.7, 1.3), "*one* of the peaks"),
    ("5.1", (0.5, 1.69), "the variance"),
    ("5.1", (0.5, 0.5), "*one* peak"),
    ("5.1", (0.5, 1.2), "width of its own"),
    ("5.1", (0.5, 1.0), "part of the widths"),
    ("5.1", 0.5, "expected 2 values"),
    ("5.2", lambda m1, c1, m2, c2: (m1 - m2).square().sum(), "means alone"),
    ("5.2", fd(true_overlap, means=lambda d: 0), "covariances alone"),
    ("5.2", fd(true_overlap, means=torch.norm), "not squared"),
    ("5.2", fd(true_overlap, means=lambda d: (d**2).mean()), "*averaged*"),
    ("5.2", fd(true_overlap, means=lambda d: d.abs().sum()), "absolute"),
    ("5.2", fd(true_overlap, factor=1), "*twice*"),
    ("5.2", fd(lambda a, b: (a @ b).trace()), "root is missing"),
    ("5.2", fd(lambda a, b: (a @ b).abs().sqrt().trace()), "each *entry*"),
    ("5.2", fd(lambda a, b: (a * b).abs().sqrt().trace()), "entry by entry"),
    ("5.2", fd(lambda a, b: (a @ b).trace().sqrt()), "root of the trace"),
    ("5.2", fd(lambda a, b: (root(a) @ root(b)).trace()), "product of the roots"),
    ("5.2", fd(lambda a, b: (torch.linalg.eigvalsh(a) * torch.linalg.eigvalsh(b)).sqrt().sum()), "pair the eigenvalues"),
    ("5.2", lambda *m: right_fd(*m).sqrt(), "squared one"),
    ("5.2", lambda m1, c1, m2, c2: (m1 - m2) ** 2, "one number"),
    ("5.2", fd(lambda a, b: eig(a @ b).sqrt().sum()), "complex"),
    ("5.2", fd(lambda a, b: eig(a @ b).real.sqrt().sum()), "not finite"),
    ("5.3", published, "mean of the batches' means"),
    ("5.3", lambda b: (torch.cat(b).sum(0) / (len(b) * len(b[0])), of_all(b)[1]), "number of batches times"),
    ("5.3", lambda b: of_all(b[:-1]), "left out"),
    ("5.3", mean_mended, "*within* batches"),
    ("5.3", weighted_inside, "*within* batches"),
    ("5.3", around_batch_means, "*within* batches"),
    ("5.3", lambda b: (of_all(b)[0], torch.cov(torch.stack([x.mean(0) for x in b]).T)), "of the batches' means"),
    ("5.3", scaled(lambda n: (n - 1) / n), "divided by n."),
    ("5.3", scaled(lambda n: n - 1), "never divided"),
    ("5.3", scaled(lambda n: (n - 1) / (n - 4)), "number of batches"),
    ("5.3", lambda b: (of_all(b)[0], torch.cat(b).T @ torch.cat(b) / (len(torch.cat(b)) - 1)), "not subtracted"),
    ("5.3", around_mean_of_means, "mean that you return"),
    ("5.3", by_squares_in_float32, "two large numbers"),
    ("5.3", pooled_with_single, "single image"),
    ("5.3", lambda b: of_all(b)[0], "expected 2 values"),
    ("5.4", mmd(torch.mean), "paired with *itself*"),
    ("5.4", mmd(lambda k: total(k) / k.numel()), "still divide"),
    ("5.4", mmd(lambda k: k.sum() / pairs(k)), "still in the sums"),
    ("5.4", mmd(lambda k: 2 * total(k) / pairs(k)), "holds it twice"),
    ("5.4", mmd(factor=1), "counts *twice*"),
    ("5.4", mmd(factor=-2), "is subtracted"),
    ("5.4", lambda a, b, c: -mmd()(a, b, c), "sign"),
    ("5.4", mmd(between=lambda k: (k.sum() - k.trace()) / (k.numel() - min(k.shape))), "`k_xy` as well"),
    ("5.4", lambda a, b, c: total(a) / pairs(a) + total(b) / pairs(a) - 2 * c.mean(), "differ in size"),
    ("5.4", lambda a, b, c: mmd()(a, b, c).clamp_min(0), "cut it off"),
    ("5.4", lambda a, b, c: a.mean(1), "one number"),
    ("5.5", lambda r, f, k: shares()(r, f, k)[::-1], "exchanged"),
    ("5.5", shares(own=0), "too small"),
    ("5.5", shares(own=2), "too large"),
    ("5.5", farthest, "*farthest*"),
    ("5.5", shares(how="all"), "*all* balls"),
    ("5.5", shares(how="nearest"), "*nearest* image only"),
    ("5.5", shares(power=2.0), "squared distances"),
    ("5.5", shares(how="mean"), "all pairs"),
    ("5.5", shares(how="centers"), "count the *balls*"),
    ("5.5", lambda r, f, k: (by_sorting(r, f, k)[0], 0.123), "precision is right"),
    ("5.6", prepared(only_model), "still the same score"),
    ("5.6", prepared(momentum_zero), "still the same score"),
    ("5.6", prepared(lambda model, classifier: None), "*both* networks"),
    ("5.6", prepared(lambda model, classifier: classifier.eval()), "generator is not"),
    ("5.6", one_batch, "one large batch"),
    ("5.6", too_late("real"), "real ones still in train mode"),
    ("5.6", too_late("fake"), "fake ones still in train mode"),
    ("5.6", warmed_up, "both networks in eval mode"),
]

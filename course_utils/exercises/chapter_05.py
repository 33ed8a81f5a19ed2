"""Exercises of chapter 05, measuring generators."""

from __future__ import annotations

import copy
import itertools
import math

import torch
from torch import nn

from ..metrics import frechet, neighbors
from .framework import between, close, differs, exercise, finite, is_scalar, parts, same_shape


@exercise(
    "5.1",
    reference=(0.5, 1.3),
    name="answer_5_1",
    title="A distance of zero",
    kind="explore",
    minutes=5,
    points=1,
    difficulty=1,
    hints=[
        "The line under the picture splits the distance into two parts. Bring the part of the means to 0 first.",
        "The width is the standard deviation of *all* real values, not that of one peak.",
        "Half of the values lie around -0.7, half around 1.7. The variance is that inside a peak, plus the square of a peak's distance from the middle.",
    ],
)
def _distance_of_zero(answer, fresh):
    mean, width = parts(answer, 2, "mean, width")
    yield not (close(mean, 1.3, atol=0.03) and close(width, 0.5, atol=0.03)), "Right numbers, other order: the mean first, then the width."
    yield all(differs(mean, peak, rtol=0.01) for peak in (-0.7, 1.7)), "The fake now sits on *one* of the peaks. The distance sees no peaks: where is the mean of all real values?"
    yield close(mean, 0.5, atol=0.03), "With the fake's mean at {got:g} the part of the means is not 0."
    yield differs(width, 1.69), "1.69 is the variance. The slider sets the width, its square root."
    yield differs(width, 0.5), "0.5 is the width of *one* peak. The values spread over both: go on until the part of the widths is 0."
    yield differs(width, 1.2), "1.2 is how far each peak lies from the middle. Each peak has a width of its own on top."
    yield close(width, 1.3, atol=0.03), "With the width {got:g} the part of the widths is not 0."


def frechet_distance(mean1, covariance1, mean2, covariance2):
    """Reference of 5.2."""
    overlap = torch.linalg.eigvals(covariance1 @ covariance2).real.clamp_min(0).sqrt().sum()
    return (mean1 - mean2).square().sum() + covariance1.trace() + covariance2.trace() - 2 * overlap


def _root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


@exercise(
    "5.2",
    reference=frechet_distance,
    name="frechet_distance",
    title="The Fréchet distance in many dimensions",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "Three parts: the squared distance of the means, the two traces, and twice the trace of the root.",
        "The trace of a matrix is the sum of its eigenvalues, and the eigenvalues of its root are their roots. `torch.linalg.eigvals` gives those of a matrix that is not symmetric.",
        "`eigvals` gives complex numbers. Here the imaginary parts are rounding: `.real.clamp_min(0)` before the root.",
    ],
)
def _frechet_distance(answer, fresh):
    size, count = fresh.integer(4, 8), 60
    draws = [fresh.normal(count, size, dtype=torch.float64) @ fresh.normal(size, size, dtype=torch.float64) for _ in range(2)]
    (m1, c1), (m2, c2) = ((x.mean(0) + fresh.normal(size, dtype=torch.float64), torch.cov(x.T)) for x in draws)
    got, want = answer(m1, c1, m2, c2), frechet_distance(m1, c1, m2, c2)
    yield not torch.is_tensor(got) or not got.is_complex(), "The result is a complex number: `eigvals` gives complex eigenvalues. Take their `.real` before the root."
    yield is_scalar(got), "The result has shape {got}; a distance is one number."
    means, traces = (m1 - m2).square().sum(), c1.trace() + c2.trace()
    overlap = (want - means - traces) / -2
    yield differs(got, means), "The means alone: a fake with the right mean and no variety at all would score 0."
    yield differs(got, traces - 2 * overlap), "The covariances alone: the distance of the means is missing."
    yield differs(got, want - means + means.sqrt()), "The distance of the means is not squared. All parts have the unit of a variance."
    yield differs(got, want - means + means / size), "The distance of the means is *averaged* over the dimensions. It is a sum, as the traces are."
    yield differs(got, want - means + (m1 - m2).abs().sum()), "Absolute differences of the means. The formula has squared ones."
    yield differs(got, want + overlap), "The root is subtracted once; the formula subtracts it *twice*. For equal distributions the distance must be 0."
    yield differs(got, means + traces - 2 * (c1 @ c2).trace()), "The root is missing: you subtract the trace of the product itself."
    yield (
        differs(got, means + traces - 2 * (c1 @ c2).abs().sqrt().trace()) and differs(got, means + traces - 2 * (c1 @ c2).diagonal().clamp_min(0).sqrt().sum()),
        "You take the root of each *entry*. The root of a matrix is the matrix whose product with itself gives it back: work with its eigenvalues.",
    )
    yield (
        differs(got, means + traces - 2 * (c1 * c2).abs().sqrt().trace()),
        "`*` multiplies entry by entry, so only the variances count and correlations do not. The matrix product is `@`.",
    )
    yield differs(got, means + traces - 2 * (c1 @ c2).trace().sqrt()), "You take the root of the trace. First the root of each eigenvalue, then their sum."
    yield (
        differs(got, means + traces - 2 * (_root(c1) @ _root(c2)).trace()),
        "The root of a product is not the product of the roots, unless both matrices have the same axes. Take the eigenvalues of the product.",
    )
    paired = (torch.linalg.eigvalsh(c1) * torch.linalg.eigvalsh(c2)).sqrt().sum()
    yield (
        differs(got, means + traces - 2 * paired),
        "You pair the eigenvalues of one matrix with those of the other, as if both had the same axes. Take the eigenvalues of the *product*.",
    )
    yield differs(got, want.sqrt()), "That is the root of the distance. What is published as FID is the squared one."
    yield close(got, want), "Expected {want:.6g}, got {got:.6g}."
    yield close(answer(m1, c1, m1, c1), 0.0, atol=1e-5), "Between a distribution and itself the distance should be 0, not {got:.3g}."
    for _ in range(50):  # until rounding makes an eigenvalue negative
        flat = torch.cov(fresh.normal(3, size, dtype=torch.float64).T)
        if torch.linalg.eigvals(flat @ c2).real.min() < 0:
            break
    found = answer(m1, flat, m2, c2)
    yield finite(found), "Where a covariance has no full rank, the result is not finite: rounding makes an eigenvalue slightly negative. Clamp at 0 before the root."
    yield close(found, frechet_distance(m1, flat, m2, c2), rtol=1e-3), "With a covariance of lower rank expected {want:.6g}, got {got:.6g}."


def moments(batches):
    """Reference of 5.3."""
    count = sum(map(len, batches))
    mean = sum(batch.sum(0) for batch in batches) / count
    scatter = sum((batch - mean).T @ (batch - mean) for batch in batches)
    return mean, scatter / (count - 1)


@exercise(
    "5.3",
    reference=moments,
    name="moments",
    title="A score that depends on the batch size",
    kind="bug hunt",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "Two mistakes. The first shows where the last batch is smaller than the others: how much does one of its images count?",
        "The second shows where batches differ from each other. What does a covariance *within* batches not know?",
        "Add up counts and sums for the mean. Then, around *that* mean, add up the products of the deviations, and divide once, by N - 1.",
    ],
)
def _moments(answer, fresh):
    size, big, small = fresh.integer(3, 6), fresh.integer(12, 20), fresh.integer(3, 6)
    shifts = 2 * fresh.normal(4, 1, size)  # batches differ, as those of images that are sorted by class
    batches = [fresh.normal(n, size) + shift for n, shift in zip((big, big, big, small), shifts, strict=True)]
    x = torch.cat(batches)
    count, center, covariance = len(x), x.mean(0), torch.cov(x.T)
    mean, found = parts(answer(batches), 2, "mean, covariance")
    yield same_shape(mean, (size,)), "The mean has shape {got}; expected {want}: one number for each feature."
    yield same_shape(found, (size, size)), "The covariance has shape {got}; expected {want}."
    means = torch.stack([batch.mean(0) for batch in batches])
    yield differs(mean, means.mean(0)), f"Still the mean of the batches' means: an image of the last batch, with {small} images, counts {big / small:.1f} times as much as one of the others."
    yield differs(mean, x.sum(0) / (len(batches) * big)), "You divide by the number of batches times the size of the first. The last batch is smaller: count the images."
    yield differs(mean, torch.cat(batches[:-1]).mean(0)), "The last batch is left out. Its images count as much as any."
    yield close(mean, center), "The mean is off by {error:.2g}."
    within = torch.stack([torch.cov(batch.T) for batch in batches])
    weights = torch.tensor([len(batch) for batch in batches]).view(-1, 1, 1)
    deviations = torch.cat([batch - batch.mean(0) for batch in batches])
    inside = "The mean is right. The covariance is still that *within* batches: what the batches differ in is lost. Take deviations from the mean of all images."
    yield differs(found, within.mean(0)), inside
    yield differs(found, (weights * within).sum(0) / count), inside
    yield differs(found, ((weights - 1) * within).sum(0) / (count - 4)), inside
    yield differs(found, deviations.T @ deviations / (count - 1)), inside
    yield differs(found, deviations.T @ deviations / count), inside
    yield differs(found, torch.cov(means.T)), "That is the covariance of the batches' means. What images of one batch differ in is lost."
    yield differs(found, covariance * (count - 1) / count), "Divided by N. For an estimate without bias, as `torch.cov` gives it, divide by N - 1."
    yield differs(found, covariance * (count - 1)), "Never divided: that is the sum of products. It would grow with the number of images."
    yield differs(found, covariance * (count - 1) / (count - len(batches))), "Divided by N minus the number of batches. One mean was estimated from the data, not one a batch: divide by N - 1."
    second = x.T @ x
    yield all(differs(found, second / n) for n in (count, count - 1)), "The mean is not subtracted: these are mean products, not a covariance."
    off = x - means.mean(0)
    yield differs(found, off.T @ off / (count - 1)), "The deviations are from the mean of the batches' means. Take them from the mean that you return."
    yield close(found, covariance, rtol=1e-3), "The covariance is off by {error:.2g}."
    far = [batch + 3000 for batch in batches]
    moved = parts(answer(far), 2, "mean, covariance")[1]
    yield (
        close(moved, covariance, rtol=0.02, atol=0.05),
        "For features around 3000 the covariance is off by {error:.2g}: mean square minus squared mean is a small difference of two large numbers. "
        "Subtract the mean first, or calculate in float64.",
    )
    alone = [*batches[:3], batches[3][:1]]
    got = parts(answer(alone), 2, "mean, covariance")[1]
    yield finite(got), "When the last batch holds a single image, {got} of {want} numbers are not finite: one image has no covariance of its own."
    yield close(got, torch.cov(torch.cat(alone).T), rtol=1e-3), "When the last batch holds a single image, the covariance is off by {error:.2g}."


def unbiased_mmd(k_xx, k_yy, k_xy):
    """Reference of 5.4."""
    n, m = len(k_xx), len(k_yy)
    within = (k_xx.sum() - k_xx.trace()) / (n * (n - 1)) + (k_yy.sum() - k_yy.trace()) / (m * (m - 1))
    return within - 2 * k_xy.mean()


def _kernels(x, y):
    return tuple((a @ b.T / a.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))


@exercise(
    "5.4",
    reference=unbiased_mmd,
    name="unbiased_mmd",
    title="An estimate without bias",
    minutes=10,
    points=2,
    difficulty=1,
    hints=[
        "The sum over all pairs of *different* images is `k.sum() - k.trace()`. How many such pairs are there?",
        "Of N images there are N * (N - 1) ordered pairs of different ones. Between the sets all N * M pairs are of different images.",
    ],
)
def _unbiased_mmd(answer, fresh):
    n, m, size = fresh.integer(8, 14), fresh.integer(16, 24), fresh.integer(4, 9)
    for _ in range(50):  # until the diagonal of k_xy is unlike the rest of it
        x, y = fresh.normal(n, size, dtype=torch.float64), 1.0 + 1.2 * fresh.normal(m, size, dtype=torch.float64)
        kxx, kyy, kxy = _kernels(x, y)
        less = (kxy.sum() - kxy.trace()) / (n * m - n)  # n < m: the diagonal has n entries
        if abs(less / kxy.mean() - 1) > 0.05:
            break
    got = answer(kxx, kyy, kxy)
    a, b, c = kxx.sum(), kyy.sum(), kxy.mean()
    ta, tb = kxx.trace(), kyy.trace()
    first, second = (a - ta) / (n * (n - 1)), (b - tb) / (m * (m - 1))
    yield is_scalar(got), "The result has shape {got}; a distance is one number."
    yield differs(got, kxx.mean() + kyy.mean() - 2 * c), "The diagonal is still in: each image is paired with *itself*, which is always alike. That is the bias."
    yield differs(got, (a - ta) / n**2 + (b - tb) / m**2 - 2 * c), "The diagonal is out of the sums, but you still divide by all N * N pairs. Only N * (N - 1) are left."
    yield differs(got, a / (n * (n - 1)) + b / (m * (m - 1)) - 2 * c), "You divide by N * (N - 1), but the diagonal is still in the sums."
    yield differs(got, 2 * (first + second) - 2 * c), "N * (N - 1) / 2 counts each pair once, but the sum of the matrix holds it twice."
    yield differs(got, first + second - c), "The kernel between the sets counts *twice*: for equal distributions the three parts must cancel."
    yield differs(got, 2 * c - first - second), "The sign is turned around: that is how *alike* the sets are."
    yield differs(got, first + second + 2 * c), "The kernel between the sets is subtracted: the more alike the sets, the smaller the distance."
    yield (
        differs(got, first + second - 2 * less),
        "You left out the diagonal of `k_xy` as well. Its entries pair a real image with a fake one: different images, like all others there.",
    )
    yield (
        differs(got, first + (b - tb) / (n * (n - 1)) - 2 * c),
        "You divide the second part by the number of pairs of the first set. The sets may differ in size.",
    )
    yield differs(got, first), "Only the first part is there."
    yield close(got, first + second - 2 * c), "Expected {want:.6g}, got {got:.6g}."
    # Of sets from one distribution: in half of all draws the estimate is negative.
    same = [_kernels(*fresh.normal(2, 12, size, dtype=torch.float64)) for _ in range(30)]
    values = torch.stack([unbiased_mmd(*kernels) for kernels in same])
    lowest = same[int(values.argmin())]
    negative = answer(*lowest)
    yield finite(negative), "For two sets of one distribution the result is not finite: a root of a negative number? The estimate may be negative."
    yield between(negative, -math.inf, -1e-12), "Here the estimate is negative, {want}, and you give {got:.3g}. Do not cut it off: estimates that err to both sides have no bias; cut at 0 they have one."
    yield close(negative, values.min()), "For two sets of one distribution expected {want:.5g}, got {got:.5g}."


def precision_and_recall(real, fake, k):
    """Reference of 5.5."""
    found = neighbors.precision_recall_density_coverage(real, fake, k, k)
    return found["precision"], found["recall"]


def _share(points, centers, k, how="any", own=1, power=1.0):
    """Share of points in a ball of a center; `own` and `power` are known mistakes."""
    radii = torch.cdist(centers, centers).topk(k + own, dim=1, largest=False).values[:, -1]
    distances = torch.cdist(points, centers) ** power  # (P, C)
    if how == "nearest":
        nearest = distances.argmin(1)
        return (distances.min(1).values <= radii[nearest]).double().mean()
    inside = distances <= radii
    return {"any": inside.any(1).double().mean(), "all": inside.all(1).double().mean(), "mean": inside.double().mean(),
            "centers": inside.any(0).double().mean()}[how]  # fmt: skip


def _known_shares(real, fake, k):
    """What answers with a known mistake give: name -> (precision, recall)."""
    largest = [torch.cdist(a, a).topk(k, dim=1).values[:, -1] for a in (real, fake)]
    between_sets = torch.cdist(fake, real)  # (M, N)
    mistakes = {
        "self": {"own": 0}, "all": {"how": "all"}, "nearest": {"how": "nearest"}, "squared": {"power": 2.0},
        "pairs": {"how": "mean"}, "next": {"own": 2}, "centers": {"how": "centers"},
    }  # fmt: skip
    known = {name: (_share(fake, real, k, **how), _share(real, fake, k, **how)) for name, how in mistakes.items()}
    right = _share(fake, real, k), _share(real, fake, k)
    far = ((between_sets <= largest[0]).any(1).double().mean(), (between_sets.T <= largest[1]).any(1).double().mean())
    return {"right": right, "swapped": right[::-1], "far": far, **known}


def _points(fresh):
    """Real and fake points and k for which every known mistake shows in both numbers, each in its own way."""
    for _ in range(200):
        n, m, size, k = fresh.integer(50, 70), fresh.integer(80, 100), fresh.integer(2, 4), fresh.integer(3, 6)
        real = fresh.normal(n, size, dtype=torch.float64)
        fake = torch.tensor([1.3] + [0.0] * (size - 1)) + 0.7 * fresh.normal(m, size, dtype=torch.float64)
        known = _known_shares(real, fake, k)
        right = known.pop("right")
        shows = all(abs(a - b) > 1e-3 for shares in known.values() for a, b in zip(shares, right, strict=True))
        if shows and len({tuple(map(float, shares)) for shares in known.values()}) == len(known):
            return real, fake, k, known
    raise RuntimeError("no draw shows all mistakes")


@exercise(
    "5.5",
    reference=precision_and_recall,
    name="precision_and_recall",
    title="How good, how varied",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "`torch.cdist(real, real)` holds, in each row, one image's distances to all real images, its own zero among them.",
        "`topk(k + 1, largest=False)` of a row: the first is the image itself, the last its k-th neighbor. That is the radius of its ball.",
        "Precision: for each fake, is it inside the ball of *any* real image? `(torch.cdist(fake, real) <= radii).any(1)`. Recall is the same with the roles exchanged.",
    ],
)
def _precision_and_recall(answer, fresh):
    real, fake, k, known = _points(fresh)
    got = parts(answer(real, fake, k), 2, "precision, recall")
    yield is_scalar(got[0]), "Precision has shape {got}; it is one number, a share."
    yield is_scalar(got[1]), "Recall has shape {got}; it is one number, a share."
    want = torch.tensor(precision_and_recall(real, fake, k), dtype=torch.float64)
    found = torch.stack([torch.as_tensor(value).detach().double() for value in got])

    def unlike(name):
        """Whether not each number is right or as this mistake makes it, or all are right."""
        mistaken, right = (found - torch.stack(known[name])).abs() < 1e-6, (found - want).abs() < 1e-6
        return not (mistaken | right).all() or bool(right.all())

    yield unlike("swapped"), "The two are exchanged. Precision asks for each *fake* whether it is near real images; recall asks for each *real* image."
    yield unlike("self"), f"Your balls are too small: an image's nearest neighbor in its own set is the image itself, at distance 0. Your k = {k} finds {k - 1} others."
    yield unlike("next"), f"Your balls are too large by one neighbor. The image itself counts once: the smallest {k + 1} of a row hold {k} others."
    yield unlike("far"), "Your balls reach to the k-th *farthest* image: `topk` takes the largest unless `largest=False`."
    yield unlike("all"), "You ask for a place in *all* balls. One is enough."
    yield unlike("nearest"), "You look into the ball of the *nearest* image only. One that is farther away may have a larger ball: ask whether the point is in any."
    yield unlike("squared"), "Squared distances are compared with radii that are not squared."
    yield unlike("pairs"), "You average over all pairs. First ask for each point whether it is in any ball, then average over the points."
    yield unlike("centers"), "You count the *balls* that hold something. Precision counts the fakes that lie in a ball: reduce over the other axis."
    yield close(found[0], want[0]), "Precision: expected {want:.4f}, got {got:.4f}."
    yield close(found[1], want[1]), "Precision is right. Recall: expected {want:.4f}, got {got:.4f}."


class _Decoder(nn.Module):
    """A generator with batch norm, as the chapter's: `decode`."""

    def __init__(self, latent_dim: int):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(latent_dim, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 36))

    def decode(self, z):
        return self.net(z).sigmoid().unflatten(1, (1, 6, 6))


class _Features(nn.Module):
    """A classifier's body with batch norm, as the chapter's: `features`."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def features(self, x):
        return self.net(x)


MODES = tuple(itertools.product((False, True), repeat=2))  # generator, classifier: whether in train mode


def _networks(fresh, latent_dim):
    """Both, in train mode, with running statistics that are not those of any batch here."""
    with torch.random.fork_rng():
        torch.manual_seed(fresh.seed())
        model, classifier = _Decoder(latent_dim), _Features()
        for network in (model, classifier):
            for layer in network.modules():
                if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                    nn.init.uniform_(layer.running_var, 0.02, 0.3)
                    nn.init.uniform_(layer.running_mean, -0.3, 0.3)
                    nn.init.uniform_(layer.bias, 0.2, 0.6)
    return model.train(), classifier.train()


@torch.no_grad()
def _scored(model, classifier, real, z, batch_size, modes=(False, False), only=None):
    """The score with the two networks in these modes. only: the set for which the classifier is in train mode."""
    model, classifier = copy.deepcopy(model).train(modes[0]), copy.deepcopy(classifier)
    fake = torch.cat([model.decode(part) for part in z.split(batch_size)])
    features = []
    sets = [("real", real), ("fake", fake)]
    for name, images in reversed(sets) if only == "fake" else sets:  # train mode comes first: it moves what eval mode uses
        classifier.train(modes[1] and only in (None, name))
        features.append(torch.cat([classifier.features(part) for part in images.split(batch_size)]).double())
    (m1, c1), (m2, c2) = ((x.mean(0), torch.cov(x.T)) for x in features)
    return frechet.frechet_distance(m1, c1, m2, c2)


def score(model, classifier, real, z, batch_size):
    """Reference of 5.6."""
    model.eval()
    classifier.eval()
    return _scored(model, classifier, real, z, batch_size)


@exercise(
    "5.6",
    reference=score,
    name="score",
    title="The network that was left behind",
    kind="bug hunt",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "An image's features should not change with the images beside it. Which layers look at the other images of a batch, and when?",
        "`requires_grad_(False)` and `no_grad()` say that no gradients are wanted. Neither says that batch norm shall use its running statistics.",
        "Two networks take part in the score. Which of them is never told `.eval()`?",
    ],
)
def _score(answer, fresh):
    latent_dim, batch_size = fresh.integer(3, 6), fresh.integer(7, 12)
    for _ in range(50):  # until each mode makes a score of its own
        real, z = fresh.images(90, 1, 6), fresh.normal(90, latent_dim)
        model, classifier = _networks(fresh, latent_dim)
        cells = {modes: _scored(model, classifier, real, z, batch_size, modes) for modes in MODES}
        ranked = sorted(cells.values())
        if all(high > 1.05 * low > 1e-4 for low, high in itertools.pairwise(ranked)):
            break
    before = copy.deepcopy(classifier.state_dict())

    def run(size, images=real):
        return answer.uncloned(copy.deepcopy(model), copy.deepcopy(classifier), images, z, size)

    got = run(batch_size)
    yield is_scalar(got), "The result has shape {got}; a score is one number."
    yield differs(got, cells[True, True]), "Now *both* networks are in train mode. The generator needs `.eval()`, and so does the other one."
    yield (
        differs(got, cells[False, True]),
        "Still the same score: the classifier's batch norm uses the statistics of each batch. Switching gradients off does not change that. What does?",
    )
    whole = _scored(model, classifier, real, z, len(real), (False, True))
    yield (
        differs(got, whole),
        "One large batch instead of many small ones: the score no longer depends on the batch size, but batch norm still measures each set by itself. Use the running statistics.",
    )
    yield differs(got, cells[True, False]), "The classifier is in eval mode now, but the generator is not any more: each of its images depends on its batch."
    for only, other in (("real", "fake"), ("fake", "real")):
        mixed = _scored(model, classifier, real, z, batch_size, (False, True), only)
        yield differs(got, mixed), f"The {other} images go through the classifier in eval mode, the {only} ones still in train mode. Call `.eval()` before the first of them."
    yield close(got, cells[False, False], rtol=1e-3), "Expected {want:.5g}, the score with both networks in eval mode; got {got:.5g}."
    yield close(run(batch_size + 20), got, rtol=1e-3), "Another batch size gives another score, {got:.5g} and not {want:.5g}."
    used = copy.deepcopy(classifier)
    answer.uncloned(copy.deepcopy(model), used, real, z, batch_size)
    changed = [name for name, value in used.state_dict().items() if not torch.equal(value, before[name])]
    yield not changed, f"Measuring changed the classifier's `{changed[0] if changed else ''}`: the next score will be another one. In eval mode nothing is updated."

"""A toy chapter, found through COURSE_EXERCISES, that only tests use."""

import torch

from course_utils.exercises.framework import (
    between,
    close,
    differs,
    equals,
    exercise,
    finite,
    has_gradient,
    is_scalar,
    one_of,
    parts,
    same_shape,
)


def sample(mu, logvar, noise):
    """mu + std * noise."""
    return mu + noise * (logvar / 2).exp()


def summed(x):
    """The sum over all but the first dimension."""
    return x.flatten(1).sum(1)


def spread(x):
    """Mean and standard deviation."""
    return x.mean(), x.std()


@exercise(
    "90.1",
    reference=sample,
    title="Sample, and keep the gradient",
    minutes=10,
    points=2,
    difficulty=1,
    hints=["The noise is given: shift and scale it.", "`logvar` is log(std**2), so std = exp(logvar / 2)."],
)
def reparameterize(answer, fresh):
    mu, logvar, noise = fresh.normal(3, fresh.integer(4, 9), 5, grad=True)  # each (B, Z)
    got = answer(mu, logvar, noise)
    yield same_shape(got, mu), "The result has shape {got}; one sample per row of mu means {want}."
    yield differs(got, mu + noise * logvar), "You scale the noise by logvar. The standard deviation is exp(logvar / 2)."
    yield (
        differs(got, mu + noise * logvar.exp()),
        "You scale by the variance; its square root is the standard deviation.",
    )
    yield close(got, mu + noise * (logvar / 2).exp()), "Expected mu + std * noise, largest difference {error:.2g}."
    yield has_gradient(got, mu, logvar), "No gradient reaches input {got}: was something detached?"


@exercise(
    "90.2",
    reference=summed,
    title="Sum, not mean",
    minutes=5,
    points=1,
    difficulty=1,
    kind="bug hunt",
    hints=["How many terms?"],
)
def row_sums(answer, fresh):
    x = fresh.images(4, 2, 8)
    got = answer(x)
    yield (
        differs(got, x.flatten(1).mean(1)),
        "The values shrink when the pictures grow: {got:.3g} where {want:.3g} was seen.",
    )
    yield close(got, x.flatten(1).sum(1)), "Largest difference {error:.2g}; got / want is {factor:.3g}."


@exercise(
    "90.3",
    reference="b",
    title="What blurs first?",
    minutes=3,
    points=1,
    difficulty=1,
    kind="predict",
    hints=["Look at edges."],
)
def answer_90_3(answer, fresh):
    yield one_of(answer, "abc"), "Answer with one of {want}; got {got!r}."
    yield differs(answer, "a"), "Compare the two rows again: `a` is sharp in both."
    yield equals(answer, "b"), "Not that one."


@exercise(
    "90.4", reference=spread, title="Two values", minutes=5, points=3, difficulty=2, kind="stretch", hints=["mean, std"]
)
def mean_and_std(answer, fresh):
    x = fresh.normal(50, mean=fresh.number(1, 2))
    mean, std = parts(answer(x), 2, "mean, std")
    yield is_scalar(mean), "mean has shape {got}."
    yield finite(std), "{got} of {want} values are not finite."
    yield between(std, 0, 100), "std is {got:.3g}, outside {want}."
    yield close(mean, x.mean()), "mean is off by {error:.2g}."
    yield differs(std, x.var()), "That is the variance."
    yield close(std, x.std()), "std is off by {error:.2g}."


@exercise(
    "90.5",
    reference=lambda: 0.25 * 4,
    title="Read a number off",
    minutes=2,
    points=1,
    kind="explore",
    hints=["Move the slider."],
)
def answer_90_5(answer, fresh):
    yield close(answer, 1.0, atol=0.1), "{got:.3g} is not where the curve turns."
    yield torch.as_tensor(answer).numel() == 1, "One number."

"""Exercises of chapter 00, start here."""

from __future__ import annotations

import functools

from .framework import close, differs, equals, exercise, same_shape


def squared_error(x, y):
    """Reference of 0.1."""
    return (x - y).square().sum((1, 2, 3))


@exercise(
    "0.1",
    reference=squared_error,
    name="squared_error",
    title="One number per image",
    minutes=5,
    points=1,
    hints=["Subtract, square, and sum over the last three axes.", "`.sum((1, 2, 3))` sums over channels, height and width."],
)
def _squared_error(answer, fresh):
    # Never equal, and more than one channel: an axis taken for another must show.
    batch, channels, size = 2 * fresh.integer(4, 8) + 1, fresh.integer(2, 5), fresh.integer(5, 9)
    x, y = fresh.uniform(2, batch, channels, size, size)
    got, d = answer(x, y), (x - y).square()
    yield differs(got, d.sum()), "One number for the whole batch: the images can't be told apart any more. Sum over all axes but the first."
    yield differs(got, d.mean()), "One number for the whole batch, and a mean. Sum over all axes but the first."
    yield (
        differs(got, d.mean((1, 2, 3))),
        f"Your error is {channels * size * size} times too small: a mean over the {channels} x {size} x {size} pixels. "
        "Later a KL is added to this number, and their ratio would be off by that factor.",
    )
    yield differs(got, d.sum((1, 2, 3)).sqrt()), "That is the distance, the root of the squared error. Leave the root out."
    yield differs(got, (x - y).abs().sum((1, 2, 3))), "You sum absolute differences. Square them."
    yield differs(got, d.sum((0, 2, 3))), "You keep the channels and sum over the batch: keep the first axis, sum over the others."
    yield same_shape(got, (batch,)), "The result has shape {got}; one number per image means {want}."
    yield close(got, d.sum((1, 2, 3))), "Expected the sum of squared differences, {want:.4g}; got {got:.4g}."


def _ranking() -> list[str]:
    """The shipped Fashion-MNIST models, the smallest error first, measured as the chapter does."""
    from .. import checkpoints

    return _ranked(tuple(checkpoints.shipped("fashion-mnist")))


@functools.cache  # a check asks several times, and ten models take seconds
def _ranked(shipped: tuple[str, ...]) -> list[str]:
    from .. import checkpoints, data

    x = data.load("fashion-mnist-mini", "test").floats(slice(0, 1000))
    errors = {name: squared_error(x, checkpoints.load(name).reconstruct(x)).mean().item() for name in shipped}
    return sorted(errors, key=errors.get)


def _smallest() -> str:
    """Reference of 0.2."""
    return _ranking()[0]


@exercise(
    "0.2",
    reference=_smallest,
    title="Which one is closest?",
    kind="predict",
    minutes=2,
    points=1,
    hints=["The list above is sorted: the smallest error stands first.", "Write it as a text: `answer_0_2 = \"...\"`."],
)
def answer_0_2(answer, fresh):
    ranking = _ranking()
    yield isinstance(answer, str), "Answer with a name from the list, as a text in quotation marks."
    yield differs(answer, "ae_fashion_z2"), "An autoencoder, but with two numbers per code. More numbers hold more of the picture."
    yield differs(answer, ranking[-1]), "That is at the other end of the list. The *smallest* error is asked for."
    yield answer.strip() in ranking, "No model of that name is in the list. Copy the name as printed."
    yield equals(answer, ranking[0]), "`{got}` is not the one: look at the number beside it, and at the first line of the list."

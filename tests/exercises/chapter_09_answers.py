"""Chapter 09: right answers in several spellings, and known wrong ones, each with a phrase of its diagnosis."""

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises import chapter_09 as chapter
from course_utils.methods.autoencoder import sse

# 9.1: moved images


def steps(n, reach):
    return torch.randint(-reach, reach + 1, (n, 2)).tolist()


def windows(x, reach, corners, mode="constant"):
    h, w = x.shape[2:]
    padded = F.pad(x, (reach,) * 4, mode=mode)
    return torch.stack([image[:, i : i + h, j : j + w] for image, (i, j) in zip(padded, corners, strict=True)])


def moved(x, reach, *, span=None, mode="constant", edit=lambda corners: corners):
    """Right, but for what is given. span: how far; edit: changes the corners (B, 2) from 0 to 2 span."""
    span = reach if span is None else span
    corners = edit(torch.randint(0, 2 * span + 1, (len(x), 2)))
    return windows(x, span, corners.tolist(), mode)


def by_copying(x, reach):
    out = torch.zeros_like(x)
    h, w = x.shape[2:]
    for i, (down, right) in enumerate(steps(len(x), reach)):
        here = slice(max(down, 0), h + min(down, 0)), slice(max(right, 0), w + min(right, 0))
        there = slice(max(-down, 0), h + min(-down, 0)), slice(max(-right, 0), w + min(-right, 0))
        out[i, :, here[0], here[1]] = x[i, :, there[0], there[1]]
    return out


def by_index(x, reach):
    b, _, h, w = x.shape
    draw = torch.randint(-reach, reach + 1, (2, b, 1))
    rows, columns = torch.arange(h) - draw[0], torch.arange(w) - draw[1]  # (B, H), (B, W)
    inside = ((rows >= 0) & (rows < h))[:, :, None] & ((columns >= 0) & (columns < w))[:, None]  # (B, H, W)
    taken = x[torch.arange(b)[:, None, None], :, rows.clamp(0, h - 1)[:, :, None], columns.clamp(0, w - 1)[:, None]]
    return taken.permute(0, 3, 1, 2) * inside[:, None]


def rolled(x, reach):
    return torch.stack([image.roll(step, dims=(1, 2)) for image, step in zip(x, map(tuple, steps(len(x), reach)), strict=True)])


def one_draw(corners):
    return corners[:1].expand_as(corners)


def along(axis):
    """Moved along one axis alone."""

    def answer(x, reach):
        def edit(corners):
            corners[:, 1 - axis] = reach
            return corners

        return moved(x, reach, edit=edit)

    return answer


def seeded(x, reach):
    torch.manual_seed(0)
    return moved(x, reach)


def without_gradients(x, reach):
    with torch.no_grad():
        return moved(x, reach)


def channels_apart(x, reach):
    return torch.cat([moved(x[:, [c]], reach) for c in range(3)], 1)


# 9.2: an augmentation that rests


class Base(nn.Module):
    def __init__(self, augmentation, encoder):
        super().__init__()
        self.augmentation, self.encoder = augmentation, encoder


class ByIf(Base):
    def forward(self, x):
        if self.training:
            x = self.augmentation(x)
        return self.encoder(x)


class ByTheEncodersMode(Base):
    def forward(self, x):
        return self.encoder(self.augmentation(x)) if self.encoder.training else self.encoder(x)


class Still(Base):
    def forward(self, x):
        return self.encoder(self.augmentation(x))


class EvalForKornia(Base):
    def forward(self, x):
        if not self.training:
            self.augmentation.eval()
        return self.encoder(self.augmentation(x))


class OwnEval(Base):
    resting = False

    def eval(self):
        self.resting = True
        return super().eval()

    def forward(self, x):
        return self.encoder(x if self.resting else self.augmentation(x))


class Never(Base):
    def forward(self, x):
        return self.encoder(x)


class ByGradients(Base):
    def forward(self, x):
        return self.encoder(self.augmentation(x) if torch.is_grad_enabled() and self.training else x)


class OnlyByGradients(Base):
    def forward(self, x):
        return self.encoder(self.augmentation(x) if torch.is_grad_enabled() else x)


class ForGood(Base):
    def forward(self, x):
        if not self.training:
            self.augmentation = nn.Identity()
        return self.encoder(self.augmentation(x))


class Blind(Base):
    def forward(self, x):
        if self.training:
            with torch.no_grad():
                x = self.augmentation(x)
        return self.encoder(x)


class TurnedAround(Base):
    def forward(self, x):
        return self.encoder(x if self.training else self.augmentation(x))


# 9.3: who sees what


def by_table(place, augment, x, made):
    where = {"off": "", "real": "r", "encoder": "re", "everywhere": "red"}[place]
    return tuple(augment(y) if key in where else y for key, y in zip("red", (x, made.detach(), made), strict=True))


def one_pass(place, augment, x, made):
    """All that is augmented in one call for each step."""
    if place in ("off", "real"):
        return by_table(place, augment, x, made)
    shown = augment(torch.cat([x, made.detach()]))
    return shown[: len(x)], shown[len(x) :], augment(made) if place == "everywhere" else made


def same_draw(place, augment, x, made):
    """Right as well: the decoder's images look the same in both steps."""
    real = x if place == "off" else augment(x)
    if place == "everywhere":
        seen = augment(made)
        return real, seen.detach(), seen
    return real, augment(made.detach()) if place == "encoder" else made.detach(), made


LATER = ("encoder", "everywhere")


def inputs(*, real=("real", *LATER), judged=LATER, pulled=LATER[1:], cut=True, freed=True):
    """The reference with other places, or with other cuts."""

    def answer(place, augment, x, made):
        first = augment(x) if place in real else x
        second = made.detach() if cut else made
        third = made if freed else made.detach()
        return first, augment(second) if place in judged else second, augment(third) if place in pulled else third

    return answer


def no_grad_in_the_decoders(place, augment, x, made):
    real, judged, pulled = chapter.encoder_inputs(place, augment, x, made)
    if place == "everywhere":
        with torch.no_grad():
            pulled = augment(made)
    return real, judged, pulled


def twice(place, augment, x, made):
    real, judged, pulled = chapter.encoder_inputs(place, augment, x, made)
    return augment(real) if place == "everywhere" else real, judged, pulled


# 9.4: the target


def error(target, rec):
    return (target - rec).square().flatten(1).sum(1)


def target_too(encode, decode, augment, x):
    x = augment(x)
    return error(x, decode(encode(x)))


def with_a_name(encode, decode, augment, x):
    shown = augment(x)
    return error(x, decode(encode(shown)))


def two_draws(encode, decode, augment, x):
    return error(augment(x), decode(encode(augment(x))))


def two_draws_other_way(encode, decode, augment, x):
    rec = decode(encode(augment(x)))
    return error(augment(x), rec)


def rec_augmented(encode, decode, augment, x):
    shown = augment(x)
    return error(shown, augment(decode(encode(shown))))


# 9.5: adaptive p


def gap(real, fake):
    return (fake.mean() - real.mean()) / (fake.mean() + real.mean())


def moving(found=gap, *, count=lambda real, fake: len(real), low=0.0, high=0.8, sign=1.0, by=None):
    def answer(p, real, fake, target, images):
        ahead = float(found(real, fake)) - target
        move = by(ahead) if by else (1.0 if ahead > 0 else -1.0)
        return min(max(p + sign * move * count(real, fake) / images, low), high)

    return answer


def as_tensor(p, real, fake, target, images):
    ratio = real.mean() / fake.mean()
    ahead = (1 - ratio) / (1 + ratio) - target
    return (p + ahead.sign() * real.shape[0] / images).clamp(0, 0.8)


# 9.6: switched labels


def by_masks(real, fake, made_real, made_fake, rows):
    both = torch.cat([rows, rows])
    made = made_real * both + made_fake * ~both
    return (fake * rows + real * ~rows).sum() / len(rows) + made.mean()


def by_halves(real, fake, made_real, made_fake, rows):
    made = [torch.where(rows, a, b) for a, b in zip(made_real.chunk(2), made_fake.chunk(2), strict=True)]
    return (torch.where(rows, fake, real) + (made[0] + made[1]) / 2).mean()


def labels(*, first=None, second=None, rows=lambda rows: rows, both=lambda rows: rows.repeat(2), join=None):
    """The reference with one part different. first, second: the rows that real images, and the decoder's, go by."""

    def answer(real, fake, made_real, made_fake, given):
        given = rows(given)
        mine, theirs = first(given) if first else given, second(given) if second else both(given)
        a, b = torch.where(mine, fake, real), torch.where(theirs, made_real, made_fake)
        return join(a, b) if join else a.mean() + b.mean()

    return answer


def nothing(rows):
    return torch.zeros_like(rows)


def half(which):
    def choose(rows):
        kept = [rows, nothing(rows)]
        return torch.cat(kept if which == 0 else kept[::-1])

    return choose


def apart(real, fake, made_real, made_fake, rows):
    both = rows.repeat(2)
    return real[~rows].mean() + fake[rows].mean() + made_fake[~both].mean() + made_real[both].mean()


def left_out(real, fake, made_real, made_fake, rows):
    return real[~rows].mean() + made_fake[~rows.repeat(2)].mean()


def apart_and_weighed(real, fake, made_real, made_fake, rows):
    """Right where a row is switched; with none it is the mean over nothing."""
    share = rows.double().mean()
    both = rows.repeat(2)
    first = (1 - share) * real[~rows].mean() + share * fake[rows].mean()
    return first + (1 - share) * made_fake[~both].mean() + share * made_real[both].mean()


# 9.7: inpainting


def by_products(reconstruct, x, hole, passes):
    known = 1 - hole.to(x.dtype)
    filled = x * known
    for _ in range(passes):
        filled = x * known + reconstruct(filled) * (1 - known)
    return filled, ((filled - x) ** 2).sum((1, 2, 3)) / hole.sum((1, 2, 3))  # known pixels differ by 0


def one_by_one(reconstruct, x, hole, passes):
    filled, errors = [], []
    for image, missing in zip(x, hole, strict=True):
        now = image.masked_fill(missing, 0)[None]
        for _ in range(passes):
            now = torch.where(missing, reconstruct(now), image)
        filled.append(now[0])
        errors.append((now[0] - image)[:, missing[0]].square().sum(0).mean())
    return torch.stack(filled), torch.stack(errors)


def filling(picture=None, measure=None):
    """The reference with another picture, or another error of it."""

    def answer(reconstruct, x, hole, passes):
        filled = chapter._filled(reconstruct, x, hole, passes, **(picture or {}))
        return filled, (measure or chapter.hole_error)(x, filled, hole)

    return answer


def fixed_passes(count):
    return lambda r, x, hole, passes: chapter.fill(r, x, hole, count(passes))


def inside(x, filled, hole):
    """Squared error inside the hole, summed: (B,)."""
    return ((x - filled).square() * hole).sum((1, 2, 3))


def sizes(hole):
    return hole.double().sum((1, 2, 3))


RIGHT = {
    "9.1": [moved, by_copying, by_index],
    "9.2": [ByIf, ByTheEncodersMode],
    "9.3": [by_table, one_pass, same_draw],
    "9.4": [with_a_name, lambda e, d, a, x: sse(d(e(a(x))), x), lambda e, d, a, x: (x - d(e(a(x)))).pow(2).sum((1, 2, 3))],
    "9.5": [moving(), as_tensor, lambda p, r, f, t, n: min(0.8, max(0.0, p + (len(r) if gap(r, f) >= t else -len(r)) / n))],
    "9.6": [by_masks, by_halves, labels(both=lambda rows: torch.cat([rows, rows]))],
    "9.7": [by_products, one_by_one],
}
WRONG = [
    ("9.1", lambda x, reach: x.clone(), "no image has moved"),
    ("9.1", lambda x, reach: moved(x, reach, edit=one_draw), "one draw for the whole batch"),
    ("9.1", rolled, "comes in on the other"),
    ("9.1", lambda x, reach: moved(x, reach, mode="replicate"), "edge is repeated"),
    ("9.1", lambda x, reach: moved(x, reach, mode="reflect"), "mirrored"),
    ("9.1", lambda x, reach: moved(x, reach).clamp(0, 1), "clip"),
    ("9.1", lambda x, reach: moved(x, reach, span=2 * reach), "by more than `reach`"),
    ("9.1", channels_apart, "channels of an image move apart"),
    ("9.1", lambda x, reach: moved(x, reach) + 0.01, "not the images moved"),
    ("9.1", lambda x, reach: moved(x, reach, edit=lambda c: c[:, :1].expand(-1, 2)), "along a diagonal"),
    ("9.1", along(0), "nothing moves by columns"),
    ("9.1", along(1), "nothing moves by rows"),
    ("9.1", lambda x, reach: moved(x, reach, edit=lambda c: c.clamp(max=reach)), "down and to the right"),
    ("9.1", lambda x, reach: moved(x, reach, edit=lambda c: c.clamp(min=reach)), "up and to the left"),
    ("9.1", lambda x, reach: moved(x, reach, edit=lambda c: c.clamp(max=2 * reach - 1)), "leaves its upper end out"),
    ("9.1", seeded, "seed set inside"),
    ("9.1", without_gradients, "no gradient reaches the images"),
    ("9.1", lambda x, reach: moved(x.detach(), reach), "no gradient reaches the images"),
    ("9.1", lambda x, reach: F.pad(x, (reach,) * 4), "what moves out is lost"),
    ("9.2", Still, "kornia's module to eval mode does not help"),
    ("9.2", EvalForKornia, "kornia's module to eval mode does not help"),
    ("9.2", OwnEval, "arrives as `.train(false)`"),
    ("9.2", Never, "nothing is augmented in training either"),
    ("9.2", TurnedAround, "nothing is augmented in training either"),
    ("9.2", ByGradients, "whether gradients are recorded"),
    ("9.2", OnlyByGradients, "still augmented after"),
    ("9.2", ForGood, "one evaluation in the middle"),
    ("9.2", Blind, "no gradient passes the augmentation"),
    ("9.2", lambda augmentation, encoder: lambda x: encoder(x), "no `torch.nn.module`"),
    ("9.3", inputs(real=()), "real images are augmented in (i)"),
    ("9.3", inputs(judged=("real", *LATER)), "are not augmented in (i)"),
    ("9.3", inputs(judged=("everywhere",)), "are augmented in (ii)"),
    ("9.3", inputs(judged=("encoder",)), "tells real from fake"),
    ("9.3", inputs(pulled=LATER), "are not augmented in (ii)"),
    ("9.3", inputs(pulled=()), "never met"),
    ("9.3", inputs(real=("off", "real", *LATER)), "real images are not augmented in off"),
    ("9.3", inputs(cut=False), "has to be cut off"),
    ("9.3", inputs(freed=False), "*and* through the augmentation"),
    ("9.3", no_grad_in_the_decoders, "*and* through the augmentation"),
    ("9.3", twice, "augmented twice"),
    ("9.3", lambda place, augment, x, made: augment(x), "expected 3 values"),
    ("9.4", target_too, "paint the holes"),
    ("9.4", lambda e, d, a, x: error(x, d(e(x))), "nothing is augmented"),
    ("9.4", lambda e, d, a, x: error(a(x), d(e(x))), "turned around"),
    ("9.4", two_draws, "two draws"),
    ("9.4", two_draws_other_way, "two draws"),
    ("9.4", rec_augmented, "what the decoder has painted"),
    ("9.4", lambda e, d, a, x: with_a_name(e, d, a, x).mean(), "one error per image"),
    ("9.4", lambda e, d, a, x: error(x, d(e(a(x)).detach())), "reaches the encoder"),
    ("9.4", lambda e, d, a, x: with_a_name(e, d, a, x) / x[0].numel(), "squared error of the image as it was"),
    ("9.5", moving(sign=-1.0), "the sign"),
    ("9.5", moving(count=lambda r, f: 1), "1 / images"),
    ("9.5", moving(count=lambda r, f: len(f)), "twice as many. count real"),
    ("9.5", moving(count=lambda r, f: len(f) + len(r)), "counts real images and fakes"),
    ("9.5", moving(by=lambda ahead: ahead), "grows with the gap"),
    ("9.5", lambda p, r, f, t, n: float(gap(r, f)), "set to the gap"),
    ("9.5", moving(lambda r, f: f.mean() - r.mean()), "in nats"),
    ("9.5", moving(lambda r, f: (f.mean() - r.mean()) / r.mean()), "real images alone"),
    ("9.5", moving(lambda r, f: f.mean() / r.mean()), "a ratio alone"),
    ("9.5", moving(lambda r, f: (f.sum() - r.sum()) / (f.sum() + r.sum())), "sums, not means"),
    ("9.5", moving(by=lambda ahead: float(ahead > 0)), "it should fall"),
    ("9.5", moving(low=-1.0), "a probability ends at 0"),
    ("9.5", moving(high=1.0), "above 0.8"),
    ("9.6", lambda r, f, mr, mf, rows: r.mean() + mf.mean(), "no label is switched"),
    ("9.6", labels(second=lambda rows: nothing(rows).repeat(2)), "only real images"),
    ("9.6", labels(first=nothing), "only the decoder's images"),
    ("9.6", labels(rows=lambda rows: ~rows), "does *not* name"),
    ("9.6", labels(both=lambda rows: rows.repeat_interleave(2)), "rec, sample, rec, sample"),
    ("9.6", labels(second=half(0)), "only the reconstructions"),
    ("9.6", labels(second=half(1)), "only the samples"),
    ("9.6", labels(join=lambda a, b: a.mean() + 2 * b.mean()), "fake are added"),
    ("9.6", labels(join=lambda a, b: torch.cat([a, b]).mean()), "all 3b values"),
    ("9.6", labels(join=lambda a, b: a + b.view(2, -1).mean(0)), "one value per row"),
    ("9.6", labels(rows=torch.ones_like), "all labels are switched"),
    ("9.6", apart, "plus* a mean over the others"),
    ("9.6", left_out, "left out"),
    ("9.6", apart_and_weighed, "not finite"),
    ("9.6", lambda r, f, mr, mf, rows: by_masks(r.detach(), f, mr, mf, rows), "argument 1"),
    ("9.7", filling({"peek": True}), "shown what is in the hole"),
    ("9.7", filling({"composite": "never"}), "not put back"),
    ("9.7", filling({"composite": "end"}), "at the end alone"),
    ("9.7", fixed_passes(lambda passes: 1), "one pass"),
    ("9.7", fixed_passes(lambda passes: passes + 1), "one too many"),
    ("9.7", lambda r, x, hole, passes: chapter.fill(r, x, ~hole, passes), "turned around"),
    ("9.7", filling(measure=lambda x, y, hole: inside(x, y, hole) / x[0].numel()), "*all* pixels"),
    ("9.7", filling(measure=lambda x, y, hole: inside(x, y, hole)), "not divided"),
    ("9.7", filling(measure=lambda x, y, hole: inside(x, y, hole) / (3 * sizes(hole))), "averaged over channels"),
    ("9.7", filling(measure=lambda x, y, hole: chapter.hole_error(x, y, hole).mean()), "whole batch"),
    ("9.7", filling(measure=lambda x, y, hole: inside(x, y, hole) / sizes(hole).mean()), "hole of its own size"),
    ("9.7", filling(measure=lambda x, y, hole: chapter.hole_error(x, y, hole).sqrt()), "the root"),
    ("9.7", lambda r, x, hole, passes: chapter.fill(r, x, hole, passes)[0], "filled, error"),
]

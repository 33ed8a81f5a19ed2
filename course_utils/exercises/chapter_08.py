"""Exercises of chapter 08, Soft-IntroVAE on images."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from ..errors import reject
from ..methods.autoencoder import sse
from ..methods.base import Posterior, kl_standard_normal
from ..methods.soft_intro_vae import SoftIntroVAEConfig, exp_elbo, weighted_elbo_loss
from .framework import close, differs, exercise, finite, has_gradient, is_scalar, parts, same_shape

ALPHA = 2.0


def encoder_turn(encode, decode, x, z_p, noise, beta_rec, beta_kl, beta_neg, scale):
    """Reference of 8.2."""
    q = encode(x)
    rec, fake = decode(q.sample(noise[0])), decode(z_p)
    loss = weighted_elbo_loss(sse(x, rec), q.kl(), beta_rec=beta_rec, beta_kl=beta_kl, scale=scale).mean()
    for image, e in zip((rec, fake), noise[1:], strict=True):
        y = image.detach()
        view = encode(y)
        passed = exp_elbo(sse(y, decode(view.sample(e))), view.kl(), beta_rec=beta_rec, beta_neg=beta_neg, scale=scale)
        loss = loss + passed.mean() / (2 * ALPHA)
    return loss


class Pair:
    """A small encoder and decoder of images, both curved, in float64, and what a turn needs beside them."""

    def __init__(self, fresh):
        side, latent_dim, batch = fresh.integer(3, 6), fresh.integer(2, 4), 2 * fresh.integer(2, 4) + 1
        draw = {"dtype": torch.float64}
        self.shape, self.latent_dim, pixels = (1, side, side), latent_dim, side * side
        self.into = fresh.normal(pixels, 2 * latent_dim, std=1.5 / side, grad=True, **draw)
        self.out = fresh.normal(latent_dim, pixels, std=1.0, grad=True, **draw)
        self.x = fresh.uniform(batch, *self.shape, **draw)
        self.z_p, *noise = fresh.normal(4, batch, latent_dim, **draw)
        self.noise = torch.stack(noise)
        self.betas = fresh.number(0.5, 0.9), fresh.number(1.2, 1.9), fresh.number(2.5, 3.5)
        self.scale = 1 / (2 * pixels)

    def encode(self, x):
        mean, logvar = (x.flatten(1) @ self.into).tanh().chunk(2, 1)
        return Posterior(mean, logvar)

    def decode(self, z):
        return (z @ self.out).sigmoid().unflatten(1, self.shape)

    def turn(self, function):
        """(loss, its gradient in the encoder, its gradient in the decoder), zeros where there is none."""
        loss = function(self.encode, self.decode, self.x, self.z_p, self.noise, *self.betas, self.scale)
        if not isinstance(loss, torch.Tensor) or not loss.requires_grad:
            return loss, torch.zeros_like(self.into), torch.zeros_like(self.out)
        return loss, *torch.autograd.grad(loss.sum(), [self.into, self.out], allow_unused=True, materialize_grads=True)


def wrong_turn(
    *, cut="both", again="sample", noise=(1, 2), against="itself", kinds=(0, 1), weight=1 / (2 * ALPHA), mean_first=False,
    frozen=False, neg=2, kl=1, scales=(1, 1), blind=False, sign=1.0,
):  # fmt: skip
    """A turn with one known mistake, for the diagnoses and the tests."""

    def turn(encode, decode, x, z_p, e, beta_rec, beta_kl, beta_neg, scale):
        betas = beta_rec, beta_kl, beta_neg
        q = encode(x)
        z = q.sample(e[0])
        rec, fake = decode(z.detach() if frozen else z), decode(z_p)
        loss = (scale if scales[0] else 1) * (beta_rec * sse(x, rec) + betas[kl] * q.kl()).mean()
        for i in kinds:
            image = (rec, fake)[i]
            y = image if cut == "none" else image.detach()
            view = encode(y)
            code = view.mean if again == "mean" else view.sample(e[noise[i]])
            second = decode(code).detach() if blind else decode(code)
            target = {"itself": image if cut == "judged" else y, "x": x}[against]
            elbo = (scale if scales[1] else 1) * (beta_rec * sse(target, second) + betas[neg] * view.kl())
            loss = loss + sign * weight * (torch.exp(-ALPHA * elbo.mean()) if mean_first else torch.exp(-ALPHA * elbo).mean())
        return loss

    return turn


@exercise(
    "8.2",
    reference=encoder_turn,
    name="encoder_turn",
    title="The encoder's turn",
    minutes=20,
    points=4,
    difficulty=3,
    hints=[
        "Lines 1 and 2: `q = encode(x)`, `rec = decode(q.sample(noise[0]))`, `fake = decode(z_p)`. The real images' part of the loss needs no more.",
        "Lines 3 and 4, for `rec` and for `fake`: `y = image.detach()`, `view = encode(y)`, `again = decode(view.sample(...))`. The error is that of `y` and `again`.",
        "`weighted_elbo_loss(...).mean()` plus a quarter of the sum of both kinds' `exp_elbo(...).mean()`.",
    ],
)
def _encoder_turn(answer, fresh):
    pair = Pair(fresh)
    loss, encoder, decoder = pair.turn(answer.uncloned)
    right, right_encoder, _ = pair.turn(encoder_turn)
    yield is_scalar(loss), "The result has shape {got}; a loss is one number: take means over the batch."

    def unlike(**mistake):
        """Whether the value is not that of a turn with this mistake."""
        return differs(loss, pair.turn(wrong_turn(**mistake))[0], rtol=1e-6)

    yield unlike(kinds=()), "Only real images are left in the loss. Lines 3 and 4 judge the decoder's."
    yield unlike(kinds=(1,)), "Only samples are judged. Reconstructions are the decoder's work, too."
    yield unlike(kinds=(0,)), "Only reconstructions are judged. Nobody would tell the encoder about codes that belong to no image."
    yield unlike(against="x"), "The second reconstruction is compared with the real image `x`. The ELBO of `y` asks how well *y* is rebuilt."
    yield unlike(again="mean"), "Line 4 decodes the mean. An ELBO has a draw from q(z|y) in it: `view.sample(noise[1])`, and `noise[2]` for samples."
    yield unlike(noise=(0, 0)), "All draws use `noise[0]`. Each has noise of its own: line 1, and line 4 for both kinds."
    yield unlike(noise=(1, 1)) and unlike(noise=(2, 2)), "Both second reconstructions use the same noise. `noise[1]` is for reconstructions, `noise[2]` for samples."
    yield unlike(noise=(2, 1)), "`noise[1]` is for the second pass of reconstructions, `noise[2]` for that of samples: yours are exchanged."
    yield unlike(mean_first=True), "The mean was taken *before* the exponential. One sample that nearly passes would be lost among those that do not: expELBO of each image first, then the mean."
    yield unlike(weight=0.5), "The weight of expELBO is 1/alpha = 1/2, times the mean over *both* kinds: a quarter of their sum. You have twice that."
    yield unlike(weight=1.0), "expELBO has the weight 1/alpha times the mean over both kinds: a quarter of their sum."
    yield unlike(sign=-1.0), "The sign of expELBO: the encoder *maximizes* ELBO(x) - exp(2 ELBO(y)) / 2, so in what it minimizes there is a plus."
    yield unlike(neg=1), "beta_kl stands in the exponent. The KL of the decoder's images has beta_neg there."
    yield unlike(kl=2), "beta_neg weighs the KL of *real* images now. Theirs is beta_kl."
    yield unlike(kl=2, neg=1), "beta_kl and beta_neg are exchanged."
    yield unlike(scales=(1, 0)) and unlike(scales=(0, 0)), "The scale is missing in the exponent, where it matters most."
    yield unlike(scales=(0, 1)), "The scale is missing on the real images' ELBO."
    yield close(loss, right, rtol=1e-6), "Expected {want:.6g}, got {got:.6g}. Compare with lines 1 to 5, one at a time."

    def slope(**mistake):
        """Whether the encoder's gradient is not that of a turn with this mistake."""
        return differs(encoder, pair.turn(wrong_turn(**mistake))[1], rtol=1e-6)

    value = "The value is right, the gradient is not: "
    yield bool((encoder != 0).any()), value + "none reaches the encoder, whose turn it is. Was all of it computed without gradients?"
    yield slope(frozen=True), value + "none runs from the error of real images to the encoder. The decoder does not *move* in this turn, but the gradient passes through it."
    yield slope(cut="none"), value + "the images are not cut off. It runs through `rec` back into z, and teaches the encoder to choose codes whose pictures look fake. `detach` them before they are judged (line 3)."
    yield slope(cut="judged"), value + "the images are cut off where they are judged, but not where they are compared with their second reconstruction: it leaks through that. (Published code has this leak.)"
    yield slope(blind=True), value + "the second reconstruction is cut off. How badly *y* is rebuilt depends on the code that the encoder gives it: that has to be felt."
    yield close(encoder, right_encoder, rtol=1e-5), value + "it differs by {error:.2g}. Only `rec` and `fake` are cut off, and only where they are judged."


PIXELS, BETA_NEG = 32 * 32, 256.0
BALANCE = math.log(BETA_NEG) * PIXELS / (ALPHA * BETA_NEG)  # the KL at which beta_neg exp(-alpha scale beta_neg KL) = 1


@exercise(
    "8.1",
    reference=BALANCE,
    name="answer_8_1",
    title="What 256 means",
    kind="predict",
    minutes=10,
    points=2,
    difficulty=2,
    hints=[
        "Write L_E for one real image and one fake without squared error, and take its derivative by each of the two KLs.",
        "The pull is scale x beta_kl. The push is scale x beta_neg x exp(-2 x scale x beta_neg x KL): alpha has canceled in front of it.",
        "Set both equal: exp(2 x scale x 256 x KL) = 256. Take the logarithm, with scale = 1/1024.",
    ],
)
def answer_8_1(answer, fresh):
    exponent = ALPHA * BETA_NEG / PIXELS  # of a nat
    yield differs(answer, 0.0, rtol=1.0), "At a KL of 0 the push is 256 times the pull: the slope of the exponential has beta_neg in front."
    yield differs(answer, math.log(2) / exponent, rtol=0.02), "That is where expELBO is 1/2. What is asked for is its *slope*, beside that of a real image's KL."
    yield differs(answer, ALPHA * BALANCE, rtol=0.02), "You left out alpha: the exponent is *twice* the ELBO."
    yield differs(answer, math.log(BETA_NEG / ALPHA) / exponent, rtol=0.02), "The factor 1/alpha in front cancels: the slope of exp(-alpha u) / alpha is -exp(-alpha u)."
    yield differs(answer, math.log(BETA_NEG * ALPHA) / exponent, rtol=0.02), "alpha comes down from the exponent, but 1/alpha stands in front: both cancel."
    yield differs(answer, BALANCE * BETA_NEG, rtol=0.02), "That is with beta_neg = 1 in the exponent. It stands there, too, and makes the exponential fall 256 times as fast."
    yield differs(answer, BALANCE / PIXELS, rtol=0.02), "The scale is missing in the exponent: every ELBO is divided by the number of pixels, 1,024."
    yield differs(answer, math.log(BETA_NEG / PIXELS) / exponent, rtol=0.02), "The scale stands before both KLs: in the pull as well as in the push. It cancels outside of the exponent."
    yield differs(answer, 3 * BALANCE, rtol=0.02), "These images are gray: one channel, 1 x 32 x 32 numbers."
    yield differs(answer, BALANCE / math.log(2), rtol=0.02), "KLs here are in nats: take the natural logarithm."
    yield differs(answer, BALANCE / math.log(10), rtol=0.02), "log is the natural logarithm here, not the decimal one."
    yield differs(answer, -BALANCE, rtol=0.02), "A KL is never negative: look at the sign in the exponent."
    yield close(answer, BALANCE, rtol=0.004, atol=0.015), "Not {got:g}. Solve 256 x exp(-2 x 256 / 1024 x KL) = 1."


# The runs of 8.3. The notebook shows their curves before it says which is which.
PATIENTS = {"A": {"beta_kl": 0.0}, "B": {}, "C": {"beta_neg": 1.0}, "D": {"beta_neg": 16384.0}}
SMALL = {"latent_dim": 16, "widths": (8, 16, 32), "norm": "group", "beta_neg": 128.0}


def patient(letter: str) -> SoftIntroVAEConfig:
    """The configuration of one of the runs that 8.3 asks about: small networks, one flag apart."""
    if letter not in PATIENTS:
        raise reject("letter", letter, sorted(PATIENTS))
    return SoftIntroVAEConfig(**SMALL | PATIENTS[letter])


# Of each letter: what is wrong with its settings, and what shows it.
SIGNS = {
    "A": ("beta_kl = 0", "all three KLs grow far beyond those of a healthy run, real images' as well: nothing pulls them to the prior. expELBO falls a hundred times lower because of them"),
    "B": ("all as it should be", "the KLs of reconstructions and samples lie a little above that of real images, and expELBO is neither near 1 nor below the axis"),
    "C": ("beta_neg = 1", "expELBO stays at the top of its axis: whatever the KLs do, they hardly enter it"),
    "D": ("beta_neg = 16384", "expELBO is at the end of its axis or below from the start, although the KLs are small, and the KL of fakes ends *below* that of real images: nobody pushes it up"),
}  # fmt: skip
ASKED = ("B", "C", "D", "A")  # the letters in the order in which the notebook asks for them


@exercise(
    "8.3",
    reference="".join(ASKED),
    name="answer_8_3",
    title="From a sign to a setting",
    kind="predict",
    minutes=12,
    points=3,
    difficulty=2,
    hints=[
        "First the lower panels: in which run is expELBO at the top all the time? In which is the panel (almost) empty from the start?",
        "Of the two that are left, in one all KLs, real images' as well, have grown to two or three times those of the other.",
    ],
)
def answer_8_3(answer, fresh):
    given = "".join(map(str, answer)) if isinstance(answer, list | tuple) else str(answer)
    given = "".join(letter for letter in given.upper() if letter.isalnum())
    yield len(given) == 4 and set(given) <= set(SIGNS), f"Answer with four letters in one text, such as \"ABCD\"; got {given!r}."
    yield len(set(given)) == 4, f"Each run has one letter in the answer, and each letter stands once; got {given!r}."
    for letter, right in zip(given, ASKED, strict=True):
        yield letter == right, f"Not run {letter} for *{SIGNS[right][0]}*. Look again at run {letter}: {SIGNS[letter][1]}."


def judge(encoder, x, rec, fake):
    """Reference of 8.4."""
    return tuple(kl_standard_normal(*encoder(images).chunk(2, 1)) for images in (x, rec, fake))


def _encoder(fresh, shape, latent_dim):
    """A small encoder with batch norm, in train mode, whose running statistics are those of no batch here."""
    with torch.random.fork_rng():
        torch.manual_seed(fresh.seed())
        body = nn.Sequential(
            nn.Conv2d(shape[0], 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.LeakyReLU(0.2), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(6 * shape[1] * shape[2] // 4, 2 * latent_dim),
        )  # fmt: skip
        nn.init.uniform_(body[1].running_mean, -0.3, 0.3)
        nn.init.uniform_(body[1].running_var, 0.02, 0.2)
    return body.double().train()


@exercise(
    "8.4",
    reference=judge,
    name="judge",
    title="Who shares a batch",
    kind="bug hunt",
    minutes=12,
    points=3,
    difficulty=2,
    hints=[
        "Which layers of the encoder look at more than one image at a time? What is in their batch?",
        "The network has to see each kind by itself: three batches, three passes.",
    ],
)
def _judge(answer, fresh):
    batch, side, latent_dim = fresh.integer(4, 8), 2 * fresh.integer(3, 5), fresh.integer(3, 6)
    shape = (1, side, side)
    encoder = _encoder(fresh, shape, latent_dim)
    x = fresh.images(batch, 1, side, dtype=torch.float64)
    rec = (0.7 * x + 0.2 + fresh.normal(batch, *shape, std=0.05, dtype=torch.float64)).requires_grad_()
    fake = (1.5 * fresh.images(batch, 1, side, dtype=torch.float64) - 0.6).requires_grad_()

    def kls(*batches, mode=True):
        """The KLs with these batches passed one after the other, by a copy."""
        copied = copy.deepcopy(encoder).train(mode)
        return torch.cat([kl_standard_normal(*copied(images).chunk(2, 1)) for images in batches]).detach()

    used = copy.deepcopy(encoder)
    got = parts(answer.uncloned(used, x, rec, fake), 3, "KLs of x, of rec, of fake")
    for name, values in zip(("x", "rec", "fake"), got, strict=True):
        yield same_shape(values, (batch,)), f"The KLs of `{name}` have shape {{got}}; one per image means {{want}}."
    found = torch.cat([value.detach() for value in got])
    want = kls(x, rec, fake)
    yield differs(found, kls(torch.cat([x, rec, fake]))), "Still one batch of all three: batch norm subtracts a mean over real images *and* fakes. The KL of a real image should depend on real images alone."
    half = "Half mended: two of the three kinds still share a batch. Real images, reconstructions and samples look different from each other, too."
    yield differs(found, kls(x, torch.cat([rec, fake]))), half
    yield differs(found, torch.cat([kls(torch.cat([x, rec]))[:batch], kls(torch.cat([x, rec]))[batch:], kls(fake)])), half
    frozen = "The encoder is in eval mode: no image sees another now, but by running statistics, with which this network was never trained. Its step would be another one."
    yield differs(found, kls(x, rec, fake, mode=False)), frozen
    yield differs(found, torch.cat([want[:batch], want[2 * batch :], want[batch : 2 * batch]])), "Reconstructions and samples are exchanged."
    yield finite(found), "{got} of {want} KLs are not finite."
    alone = torch.cat([kls(images[i : i + 1]) for images in (x, rec, fake) for i in range(batch)])
    yield differs(found, alone), "One image at a time: now batch norm makes each image's mean 0 and variance 1, and what told it from the others is gone."
    yield close(found, want), "Each kind by itself gives other KLs; the largest difference is {error:.2g}."
    yield used.training, "The encoder was in train mode and is not any more: its next step would use running statistics."
    yield has_gradient(got[1], rec), "The reconstructions are cut off. The decoder learns from this KL: its gradient has to reach `rec`."
    yield has_gradient(got[2], fake), "The samples are cut off. The decoder learns from this KL: its gradient has to reach `fake`."
    for name, value in zip(("x", "rec", "fake"), got, strict=True):
        yield has_gradient(value, used[0].weight), f"No gradient reaches the encoder from the KLs of `{name}`: it could not learn from them."


def reestimate(network, norms, batches):
    """Reference of 8.5."""
    before = [(layer.momentum, layer.training) for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over all batches
        layer.train()
    with torch.no_grad():
        for batch in batches:
            network(batch)
    for layer, (momentum, training) in zip(norms, before, strict=True):
        layer.momentum = momentum
        layer.train(training)


def _trained(fresh, width):
    """A network with two batch norms and a dropout, in eval mode, as after a training: nothing is at its first value."""
    with torch.random.fork_rng():
        torch.manual_seed(fresh.seed())
        network = nn.Sequential(
            nn.Linear(width, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.5), nn.Linear(7, 5), nn.BatchNorm1d(5), nn.Tanh()
        )
        for layer in (network[1], network[5]):
            nn.init.uniform_(layer.running_mean, 1.0, 2.0)
            nn.init.uniform_(layer.running_var, 3.0, 6.0)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
            layer.num_batches_tracked.fill_(100)
    return network.eval()


def statistics(network) -> torch.Tensor:
    """Running means and variances of both batch norms, the first layer's first: (24,)."""
    return torch.cat([part for layer in (network[1], network[5]) for part in (layer.running_mean, layer.running_var)]).clone()


@torch.no_grad()
def passed(network, batches, *, momentum=0.1, reset=True, whole=False, train=True):
    """A copy's statistics after these batches, with known mistakes."""
    network = copy.deepcopy(network).train(whole)
    for layer in (network[1], network[5]):
        layer.train(train)
        layer.momentum = momentum
        if reset:
            layer.reset_running_stats()
    for batch in batches:
        network(batch)
    return statistics(network)


@torch.no_grad()
def layer_by_layer(network, batches):
    """What hooks on the layers' inputs find while the network stays in eval mode: wrong above the first batch norm."""
    first = [network[0](batch) for batch in batches]
    second = [network[4](network[3](network[2](network[1](h)))) for h in first]
    found = []
    for inputs in (first, second):
        found += [torch.stack([h.mean(0) for h in inputs]).mean(0), torch.stack([h.var(0) for h in inputs]).mean(0)]
    return torch.cat(found)


@exercise(
    "8.5",
    reference=reestimate,
    name="reestimate",
    title="Measure again",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "In train mode a batch norm updates its running statistics in every forward pass, and no weight has to move for that.",
        "`layer.reset_running_stats()` forgets the old ones. With `layer.momentum = None` PyTorch keeps the plain mean over all batches since then.",
        "Put only `norms` into train mode, pass the batches under `torch.no_grad()`, and put momentum and mode back afterwards.",
    ],
)
def _reestimate(answer, fresh):
    width, size, count = fresh.integer(4, 7), fresh.integer(9, 14), fresh.integer(5, 8)
    network = _trained(fresh, width)
    # Batches that differ from each other, so that the last ones alone would tell.
    batches = [fresh.normal(size, width, mean=fresh.number(-1, 1), std=fresh.number(0.5, 2.0)) for _ in range(count)]
    before, want = statistics(network), passed(network, batches, momentum=None)

    def run(module):
        answer.uncloned(module, [module[1], module[5]], [batch.clone() for batch in batches])
        return statistics(module)

    used = copy.deepcopy(network)
    got = run(used)
    yield differs(got, before), "Nothing has changed. In eval mode a batch norm only reads its statistics: which mode measures?"
    yield differs(got, torch.cat([torch.zeros(7), torch.ones(7), torch.zeros(5), torch.ones(5)])), "The old statistics are gone, and no new ones came: 0 and 1. Were the layers in train mode when the batches passed?"
    yield finite(got), "{got} of {want} statistics are not finite."
    for momentum in (0.1, 1 / count, 0.01):
        yield differs(got, passed(network, batches, momentum=momentum, reset=False)), f"A running average with a momentum of {momentum:g} that starts from the *old* statistics: part of them is still in there. Reset them, and give each batch the same weight."
        yield differs(got, passed(network, batches, momentum=momentum)), f"A running average with a momentum of {momentum:g}: it starts from 0 and 1, and late batches count more. Give each batch the same weight."
    yield differs(got, passed(network, batches, momentum=None, reset=False)), "The old statistics still count: the layer remembers that it has seen 100 batches, and goes on averaging from there. Reset it first."
    last = passed(network, batches[-1:], momentum=None)
    yield differs(got, last), "Only the last batch counts. With a momentum of 1 each batch replaces the one before."
    yield differs(got, passed(network, batches[:1], momentum=None)), "Only the first batch counts."
    yield differs(got, passed(network, [torch.cat(batches)], momentum=None)), "One pass over all batches at once. That needs memory for all of them, and it is not what a layer sees in training: batches."
    yield differs(got, layer_by_layer(network, batches)), "The first layer is right, the second is not: while you measured, it saw activations that were normalized by the *old* statistics. All layers have to be in train mode at once."
    biased = want.clone()
    for part in (slice(7, 14), slice(19, 24)):
        biased[part] *= (size - 1) / size
    yield differs(got, biased), "The variances are divided by N, not by N - 1. PyTorch keeps the unbiased ones for eval mode."
    again = run(copy.deepcopy(network))
    yield close(again, got), "Two calls with the same batches give different statistics: was dropout switched on? Put only the batch norms into train mode."
    yield close(got, want), "Expected the plain mean over the batches of what each layer sees in train mode; the largest difference is {error:.2g}."
    changed = [name for name, value in used.named_parameters() if not torch.equal(value, dict(network.named_parameters())[name])]
    yield not changed, f"`{changed[0] if changed else ''}` has changed: only the statistics may. `reset_parameters()` also forgets the weights; `reset_running_stats()` does not."
    yield all(layer.momentum == 0.1 for layer in (used[1], used[5])), "The layers' momentum is not put back: if training goes on, their statistics would hardly move any more."
    yield not any(module.training for module in used.modules()), "The network was in eval mode, and part of it is left in train mode: its next image would depend on its batch."


def warm_up(encoder, decoder, target, optimizers, x, noise):
    """Reference of 8.6."""
    mean, logvar = encoder(x).chunk(2, 1)
    z = mean + noise * (logvar / 2).exp()
    loss = (sse(x, decoder(z)) + kl_standard_normal(mean, logvar)).mean()
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    target.load_state_dict(decoder.state_dict())
    return loss.detach()


class _Trio:
    """Encoder, decoder, the target (a copy of the decoder) and the optimizers of the first two."""

    def __init__(self, fresh, width, latent_dim, lr):
        with torch.random.fork_rng():
            torch.manual_seed(fresh.seed())
            self.encoder = nn.Linear(width, 2 * latent_dim).double()
            self.decoder = nn.Sequential(nn.Linear(latent_dim, 6), nn.Tanh(), nn.Linear(6, width)).double()
        self.target, self.lr = copy.deepcopy(self.decoder), lr

    def step(self, function, x, noise, steps):
        """After some steps with new optimizers: the last loss, and encoder, decoder and target as vectors."""
        networks = [copy.deepcopy(part) for part in (self.encoder, self.decoder, self.target)]
        optimizers = [torch.optim.SGD(part.parameters(), self.lr) for part in networks[:2]]
        for _ in range(steps):
            loss = function(*networks, optimizers, x.clone(), noise.clone())
        return loss, *(nn.utils.parameters_to_vector(part.parameters()).detach() for part in networks)


@exercise(
    "8.6",
    reference=warm_up,
    name="warm_up",
    title="The decoder that stands still",
    kind="bug hunt",
    minutes=12,
    points=3,
    difficulty=2,
    hints=[
        "Which networks do the two optimizers hold, and through which networks does the gradient of the loss run?",
        "The target has no optimizer, and should have none: it is a copy. Who has to decode while the VAE is warmed up?",
    ],
)
def _warm_up(answer, fresh):
    width, latent_dim, batch = fresh.integer(4, 7), fresh.integer(2, 4), 2 * fresh.integer(2, 4) + 1
    trio = _Trio(fresh, width, latent_dim, lr=fresh.number(0.01, 0.02))
    start = [nn.utils.parameters_to_vector(part.parameters()).detach() for part in (trio.encoder, trio.decoder)]
    x = fresh.normal(batch, width, mean=0.7, dtype=torch.float64)
    noise = fresh.normal(batch, latent_dim, dtype=torch.float64)
    loss, encoder, decoder, target = trio.step(answer.uncloned, x, noise, steps=1)
    want_loss, want_encoder, want_decoder, _ = trio.step(warm_up, x, noise, steps=1)
    yield is_scalar(loss), "The loss has shape {got}; it is one number."
    still, moved = torch.equal(decoder, start[1]), not torch.equal(target, start[1])
    yield not (still and moved), "Now the *target* is trained. It is to be a copy of the decoder, and the decoder, which plays later, has learned nothing."
    yield not still, "The decoder has not moved: no gradient reaches it. Which network's parameters does the second optimizer hold, and which one decodes?"
    yield not torch.equal(encoder, start[0]), "The decoder moves now, but the encoder does not: a warm-up trains both."
    with torch.no_grad():
        mean, logvar = trio.encoder(x).chunk(2, 1)
        error = sse(x, trio.decoder(mean + noise * (logvar / 2).exp())).mean()  # the target's, too: it is still the same
    yield differs(loss, want_loss + error), "Both decoders are in the loss now. The target has no say in the warm-up: a plain VAE has one decoder."
    yield bool((target - decoder).abs().max() < 1e-12), "After the step the target is not what the decoder is. It has to start the game as its copy."
    yield close(encoder, want_encoder, rtol=1e-5), "The encoder ends elsewhere than that of a plain VAE after the same step: does it learn through `decoder(z)`, and from the KL?"
    yield close(decoder, want_decoder, rtol=1e-5), "The decoder ends elsewhere than that of a plain VAE after the same step."
    yield close(loss, want_loss, rtol=1e-5), "The step is right, but the loss is not: expected {want:.5g}, got {got:.5g}."
    both = [torch.cat(trio.step(function, x, noise, steps=3)[1:]) for function in (answer.uncloned, warm_up)]
    yield close(*both, rtol=1e-5), "The first step is right, the third is not: are old gradients cleared before each `backward()`?"

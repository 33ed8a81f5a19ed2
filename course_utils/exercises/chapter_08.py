"""Exercises of chapter 08, Soft-IntroVAE on images."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from ..errors import reject
from ..methods.autoencoder import sse
from ..methods.base import kl_standard_normal
from ..methods.soft_intro_vae import SoftIntroVAEConfig, exp_elbo, weighted_elbo_loss
from .framework import close, differs, exercise, finite, has_gradient, is_scalar, parts, same_shape

ALPHA = 2.0


def encoder_loss(error, kl, made_error, made_kl, beta_rec, beta_kl, beta_neg, scale):
    """Reference of 8.1."""
    real = weighted_elbo_loss(error, kl, beta_rec=beta_rec, beta_kl=beta_kl, scale=scale)
    passed = exp_elbo(made_error, made_kl, beta_rec=beta_rec, beta_neg=beta_neg, scale=scale)
    return real.mean() + passed.mean() / ALPHA


@exercise(
    "8.1",
    reference=encoder_loss,
    name="encoder_loss",
    title="Three betas and a scale",
    minutes=15,
    points=3,
    difficulty=2,
    hints=[
        "Two parts: the scaled, negative ELBO of real images, and half of the mean expELBO of the decoder's images.",
        "expELBO of one image is `torch.exp(-2 * scale * (beta_rec * error + beta_neg * kl))`. The mean comes after the exponential.",
        "`made_error` and `made_kl` hold both kinds, (2, B). Their mean over everything is the mean over both kinds.",
    ],
)
def _encoder_loss(answer, fresh):
    batch = 2 * fresh.integer(2, 5) + 1
    draw = {"dtype": torch.float64, "grad": True}
    error, kl = fresh.uniform(batch, low=15.0, high=40.0, **draw), fresh.uniform(batch, low=8.0, high=20.0, **draw)
    # Small enough that expELBO is not 0 even without the scale: two mistakes must not meet there.
    e, k = fresh.uniform(2, batch, low=0.5, high=3.0, **draw), fresh.uniform(2, batch, low=0.02, high=0.3, **draw)
    b_rec, b_kl, b_neg = fresh.number(0.5, 0.9), fresh.number(1.2, 1.9), fresh.number(10.0, 20.0)
    s = 1 / (8 * fresh.integer(4, 9))
    got = answer(error, kl, e, k, b_rec, b_kl, b_neg, s)

    def loss(fake=lambda r, d: b_rec * r + b_neg * d, *, inside=s, outside=s, alpha=ALPHA, weight=0.5, real=None):
        own = b_rec * error + b_kl * kl if real is None else real
        return (outside * own).mean() + weight * torch.exp(-alpha * inside * fake(e, k)).mean()

    per_image = s * (b_rec * error + b_kl * kl) + torch.exp(-2 * s * (b_rec * e + b_neg * k)).mean(0) / 2
    want = loss()
    yield differs(got, per_image), "One value per image. A loss is one number: take the mean over the batch at the end."
    yield is_scalar(got), "The result has shape {got}; a loss is one number, shape {want}."
    yield differs(got, per_image.sum()), "Summed over the batch: the loss would grow with the batch size. Take the mean over images."
    mean_first = [(s * (b_rec * error + b_kl * kl)).mean() + 0.5 * torch.exp(-2 * s * part).mean()
                  for part in ((b_rec * e + b_neg * k).mean(), (b_rec * e + b_neg * k).mean(1))]  # fmt: skip
    jensen = "The mean was taken *before* the exponential. exp is not linear: one sample that nearly passes would be lost among those that do not. Take expELBO of each image, then the mean."
    yield all(differs(got, wrong) for wrong in mean_first), jensen
    yield differs(got, loss(inside=1, outside=1)), "No scale. With a thousand numbers in an image the exponents are in the hundreds, and expELBO is 0 for every image: the encoder would learn nothing from fakes."
    yield differs(got, loss(inside=1)), "The scale is missing in the exponent. It belongs to *every* ELBO; inside the exponential it matters most, because without it expELBO is 0."
    yield differs(got, loss(outside=1)), "The scale is missing on the real images' ELBO: it then outweighs the other part by a factor of hundreds."
    yield differs(got, loss(outside=s, weight=0.5 * s)), "The second part is scaled twice: the scale stands inside the exponential, not in front of it as well."
    yield differs(got, s * (b_rec * error + b_kl * kl).mean() + 0.5 * s * torch.exp(-2 * (b_rec * e + b_neg * k)).mean()), "The scale stands in front of the exponential. It belongs to the ELBO, and that is in the exponent."
    yield differs(got, loss(alpha=1.0)) and differs(got, loss(alpha=1.0, weight=1.0)), "alpha is missing in the exponent: it is exp(2 ELBO)."
    yield differs(got, loss(weight=1.0)), "The weight of the second part is 1/alpha = 1/2, times the *mean* over both kinds. You have twice that: summed over the kinds?"
    yield differs(got, loss(weight=0.25)), "Halved once too often: the mean over both kinds has halved their sum already, and 1/alpha is the other half."
    yield differs(got, loss(alpha=-2.0)), "The sign of the exponent: that is exp of the *negative* ELBO, above 1 and without bound. expELBO lies between 0 and 1."
    yield differs(got, loss(weight=-0.5)), "The sign of the second part: the encoder *maximizes* ELBO - exp(2 ELBO) / 2, so what it minimizes has a plus there."
    yield differs(got, -loss(weight=-0.5)) and differs(got, -want), "That is the objective, which is maximized. A loss is minus that."
    yield differs(got, loss(lambda r, d: b_rec * r + b_kl * d)), "beta_kl stands where beta_neg belongs: in the exponential, at the KL of the decoder's images."
    yield differs(got, loss(real=b_rec * error + b_neg * kl)), "beta_neg weighs the KL of *real* images now. That would press all their codes onto the prior; theirs is beta_kl."
    yield differs(got, loss(lambda r, d: b_rec * r + b_kl * d, real=b_rec * error + b_neg * kl)), "beta_kl and beta_neg are exchanged."
    yield differs(got, loss(lambda r, d: b_neg * (b_rec * r + d))) and differs(got, loss(lambda r, d: b_neg * (r + d))), "beta_neg multiplies the whole ELBO of the decoder's images. It belongs to their KL alone; the error has beta_rec."
    yield differs(got, loss(lambda r, d: r + b_neg * d)), "beta_rec is missing in the exponent: it weighs the error of every image, real or not."
    yield differs(got, loss(lambda r, d: b_neg * d)), "The error of the decoder's images is missing in the exponent. Their ELBO has two parts, as any ELBO."
    yield differs(got, loss(lambda r, d: b_rec * r)), "The KL of the decoder's images is missing in the exponent."
    yield differs(got, loss(real=error + kl)) and differs(got, loss(real=b_rec * error + kl)), "A beta is missing on the real images: beta_rec weighs their error, beta_kl their KL."
    yield differs(got, loss(weight=0.0)), "Only the real images are left. The decoder's images make the second part."
    for row, kind in enumerate(("reconstructions", "samples")):
        one = (s * (b_rec * error + b_kl * kl)).mean() + 0.5 * torch.exp(-2 * s * (b_rec * e[row] + b_neg * k[row])).mean()
        yield differs(got, one), f"Only {kind} count. Both rows of `made_error` and `made_kl` do."
    yield close(got, want), "Expected {want:.6g}, got {got:.6g}. Compare with the formula term by term."
    reached = has_gradient(got, error, kl, e, k)
    yield reached, "No gradient reaches argument {got} of `error`, `kl`, `made_error`, `made_kl`: was something detached?"
    far = answer(error, kl, e.detach() + 1e6, k.detach() + 1e6, b_rec, b_kl, b_neg, s)
    yield finite(far), "For an image that the encoder knows well your loss is not finite. exp of a large negative number is 0, and that is right."


PIXELS, BETA_NEG = 32 * 32, 256.0
HALF_WAY = math.log(2) * PIXELS / (ALPHA * BETA_NEG)


@exercise(
    "8.2",
    reference=HALF_WAY,
    name="answer_8_2",
    title="What 256 means",
    kind="predict",
    minutes=8,
    points=1,
    difficulty=2,
    hints=[
        "Set exp(-2 x scale x 256 x KL) = 1/2 and take the logarithm of both sides.",
        "KL = log(2) / (2 x scale x 256), with the natural logarithm and scale = 1/1024.",
    ],
)
def answer_8_2(answer, fresh):
    near = {"rtol": 0.004}  # ten times that, in `differs`, still tells the known mistakes apart
    yield differs(answer, ALPHA * HALF_WAY, rtol=0.02), "You left out alpha: the exponent is *twice* the ELBO."
    yield differs(answer, HALF_WAY * BETA_NEG, rtol=0.02), "That is with beta_neg = 1. Dividing by 256 is the point of beta_neg: without it a sample would have to be hundreds of nats away."
    yield differs(answer, ALPHA * HALF_WAY * BETA_NEG, rtol=0.02), "Both alpha and beta_neg are missing in the exponent."
    yield differs(answer, HALF_WAY / PIXELS, rtol=0.02), "The scale is missing: every ELBO is divided by the number of pixels, 1,024."
    yield differs(answer, 3 * HALF_WAY, rtol=0.02), "These images are gray: one channel, 1 x 32 x 32 numbers."
    yield differs(answer, HALF_WAY / math.log(2), rtol=0.02), "KLs here are in nats: the natural logarithm of 2 is 0.69."
    yield differs(answer, HALF_WAY / math.log(2) * math.log10(2), rtol=0.02), "log is the natural logarithm here, not the decimal one."
    yield differs(answer, -HALF_WAY, rtol=0.02), "A KL is never negative: log(1/2) is, and so is the exponent."
    yield close(answer, HALF_WAY, **near, atol=0.015), "Not {got:g}. Solve exp(-2 x 256 / 1024 x KL) = 1/2."


# The runs of 8.3. The notebook shows their curves before it says which is which.
PATIENTS = {"A": {"beta_kl": 0.0}, "B": {}, "C": {"beta_neg": 1.0}, "D": {"beta_neg": 16384.0}}
SMALL = {"latent_dim": 16, "widths": (8, 16, 32)}


def patient(letter: str) -> SoftIntroVAEConfig:
    """The configuration of one of the runs that 8.3 asks about: small networks, one flag apart."""
    if letter not in PATIENTS:
        raise reject("letter", letter, sorted(PATIENTS))
    return SoftIntroVAEConfig(**SMALL, **PATIENTS[letter])


# Of each letter: what its run suffers from, and what shows it.
SIGNS = {
    "A": ("real images drift away from the prior", "the KL of real images has left that of the other runs far below: nothing pulls them to the prior"),
    "B": ("healthy", "the KLs of reconstructions and samples lie a little above that of real images, and expELBO is neither near 1 nor below the axis"),
    "C": ("fakes pass as real", "expELBO stays near 1"),
    "D": ("the encoder hears nothing of fakes", "expELBO lies far below the axis, and the KL of fakes is *below* that of real images: nobody pushes it up"),
}  # fmt: skip
ASKED = ("B", "C", "D", "A")  # the letters in the order in which the notebook asks for them


@exercise(
    "8.3",
    reference="".join(ASKED),
    name="answer_8_3",
    title="Which run is ill?",
    kind="predict",
    minutes=12,
    points=3,
    difficulty=2,
    hints=[
        "First the lower panels: in which run is expELBO near 1 all the time? In which is it so small that the panel is empty?",
        "Then the upper panels: in which run has the KL of real images left that of all other runs far below?",
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

"""Chapter 08: right answers in several spellings, and known wrong ones, each with a phrase of its diagnosis."""

import copy
import math

import numpy as np
import torch

from course_utils.exercises import chapter_08 as chapter
from course_utils.methods.autoencoder import sse
from course_utils.methods.base import kl_standard_normal

LN2 = math.log(2)


# 8.2: the encoder's turn


def in_one_line(encode, decode, x, z_p, noise, br, bk, bn, s):
    q = encode(x)
    rec = decode(q.mean + (q.logvar / 2).exp() * noise[0])
    made = [rec.detach(), decode(z_p).detach()]
    views = [encode(y) for y in made]
    again = [decode(view.sample(e)) for view, e in zip(views, (noise[1], noise[2]), strict=True)]
    pairs = zip(made, again, views, strict=True)
    passed = torch.stack([torch.exp(-2 * s * (br * sse(y, back) + bn * view.kl())) for y, back, view in pairs])
    return s * (br * sse(x, rec) + bk * q.kl()).mean() + passed.mean() / 2


def samples_without_gradients(encode, decode, x, z_p, noise, *weights):
    """Right: only the first pass of samples is made without gradients, and they are cut off anyway."""
    with torch.no_grad():
        fake = decode(z_p)
    return chapter.encoder_turn(encode, lambda z: fake if z is z_p else decode(z), x, z_p, noise, *weights)


def all_without_gradients(*given):
    with torch.no_grad():
        return chapter.encoder_turn(*given)


def per_image(encode, decode, x, z_p, noise, *weights):
    return chapter.encoder_turn(encode, decode, x, z_p, noise, *weights) * torch.ones(len(x), dtype=x.dtype)


wrong = chapter.wrong_turn


# 8.4: who shares a batch


def kls(encoder, images):
    return kl_standard_normal(*encoder(images).chunk(2, 1))


def together(encoder, x, rec, fake):
    return kls(encoder, torch.cat([x, rec, fake])).chunk(3)


def apart(encoder, x, rec, fake):
    fakes = [kls(encoder, images) for images in (fake, rec)]
    return kls(encoder, x), fakes[1], fakes[0]


def fakes_together(encoder, x, rec, fake):
    return kls(encoder, x), *kls(encoder, torch.cat([rec, fake])).chunk(2)


def in_eval_mode(encoder, x, rec, fake):
    encoder.eval()
    return together(encoder, x, rec, fake)


def back_in_train_mode(encoder, x, rec, fake):
    encoder.eval()
    found = together(encoder, x, rec, fake)
    encoder.train()
    return found


def left_in_eval_mode(encoder, x, rec, fake):
    found = chapter.judge(encoder, x, rec, fake)
    encoder.eval()
    return found


def detached(encoder, x, rec, fake):
    return chapter.judge(encoder, x, rec.detach(), fake.detach())


def without_gradients(encoder, x, rec, fake):
    with torch.no_grad():
        return chapter.judge(encoder, x, rec, fake)


def one_by_one(encoder, x, rec, fake):
    return tuple(torch.cat([kls(encoder, image[None]) for image in images]) for images in (x, rec, fake))


def real_without_gradients(encoder, x, rec, fake):
    with torch.no_grad():
        real = kls(encoder, x)
    return real, kls(encoder, rec), kls(encoder, fake)


# 8.5: statistics, measured again


def measured(momentum=None, *, reset=True, whole=False, train=True, back=True, mode=True, pick=lambda b: b, after=None):
    """The reference with one thing different."""

    def answer(network, norms, batches):
        before = [layer.momentum for layer in norms]
        network.train(whole)
        for layer in norms:
            if reset:
                layer.reset_running_stats()
            layer.momentum = momentum
            layer.train(train)
        with torch.no_grad():
            for batch in pick(batches):
                network(batch)
        if back:
            for layer, old in zip(norms, before, strict=True):
                layer.momentum = old
        if mode:
            network.eval()
        if after:
            after(norms)

    return answer


def biased(batches_size):
    def change(norms):
        for layer in norms:
            layer.running_var.mul_((batches_size - 1) / batches_size)

    return change


def divided_by_n(network, norms, batches):
    measured(after=biased(len(batches[0])))(network, norms, batches)


def reset_parameters(network, norms, batches):
    measured()(network, norms, batches)
    for layer in norms:
        kept = layer.running_mean.clone(), layer.running_var.clone()
        layer.reset_parameters()
        layer.running_mean, layer.running_var = kept


def with_hooks(network, norms, batches):
    """Means over the batches of each layer's inputs, the network in eval mode all the while."""
    seen = [[] for _ in norms]
    handles = [
        layer.register_forward_pre_hook(lambda _, inputs, kept=kept: kept.append(inputs[0]))
        for layer, kept in zip(norms, seen, strict=True)
    ]
    with torch.no_grad():
        for batch in batches:
            network(batch)
        for layer, kept, handle in zip(norms, seen, handles, strict=True):
            handle.remove()
            layer.running_mean.copy_(torch.stack([h.mean(0) for h in kept]).mean(0))
            layer.running_var.copy_(torch.stack([h.var(0) for h in kept]).mean(0))


def falling_momentum(network, norms, batches):
    """Right: 1, 1/2, 1/3, ... by hand, on the layers' own first values."""
    before = [layer.momentum for layer in norms]
    for layer in norms:
        layer.train()
    with torch.no_grad():
        for i, batch in enumerate(batches):
            for layer in norms:
                layer.momentum = 1 / (i + 1)
            network(batch)
    for layer, old in zip(norms, before, strict=True):
        layer.momentum = old
        layer.eval()


# 8.6: the warm-up


def stepped(encoder, decoder, target, optimizers, x, noise, *, decode=None, copied=True, clear=True, z=lambda z: z, kl=1.0):
    mean, logvar = encoder(x).chunk(2, 1)
    code = z(mean + noise * (logvar / 2).exp())
    value = (decode or (lambda c: sse(x, decoder(c))))(code)
    found = (value + kl * kl_standard_normal(mean, logvar)).mean()
    for optimizer in optimizers if clear else ():
        optimizer.zero_grad()
    found.backward()
    for optimizer in optimizers:
        optimizer.step()
    if copied:
        target.load_state_dict(decoder.state_dict())
    return found.detach()


def published(e, d, t, o, x, n):
    return stepped(e, d, t, o, x, n, decode=lambda z: sse(x, t(z)))


def trains_the_target(e, d, t, o, x, n):
    second = [o[0], torch.optim.SGD(t.parameters(), o[1].param_groups[0]["lr"])]
    return stepped(e, d, t, second, x, n, decode=lambda z: sse(x, t(z)), copied=False)


def both_decoders(e, d, t, o, x, n):
    return stepped(e, d, t, o, x, n, decode=lambda z: sse(x, d(z)) + sse(x, t(z)))


def mixed_decoders(e, d, t, o, x, n):
    return stepped(e, d, t, o, x, n, decode=lambda z: sse(x, (d(z) + t(z)) / 2))


def copies_by_hand(e, d, t, o, x, n):
    found = stepped(e, d, t, o, x, n, copied=False)
    with torch.no_grad():
        for old, new in zip(t.parameters(), d.parameters(), strict=True):
            old.copy_(new)
    return found


def two_means(e, d, t, o, x, n):
    """Right: the two terms' means apart."""
    mean, logvar = e(x).chunk(2, 1)
    found = sse(x, d(mean + noise_of(logvar, n))).mean() + kl_standard_normal(mean, logvar).mean()
    o[0].zero_grad(), o[1].zero_grad()
    found.backward()
    o[0].step(), o[1].step()
    t.load_state_dict(copy.deepcopy(d.state_dict()))
    return found.item()


def noise_of(logvar, noise):
    return (0.5 * logvar).exp() * noise


RIGHT = {
    "8.2": [in_one_line, samples_without_gradients, wrong()],
    "8.1": [16 * LN2, 11.09, 11.1, np.float32(11.0904), torch.tensor(11.0904)],
    "8.3": ["bcda", "B C D A", ("B", "C", "D", "A")],
    "8.4": [lambda e, x, r, f: [kls(e, images) for images in (x, r, f)], apart],
    "8.5": [measured(), falling_momentum, measured(mode=True, back=True)],
    "8.6": [two_means, copies_by_hand],
}
WRONG = [
    ("8.2", per_image, "one number"),
    ("8.2", wrong(kinds=()), "only real images"),
    ("8.2", wrong(kinds=(1,)), "only samples"),
    ("8.2", wrong(kinds=(0,)), "only reconstructions"),
    ("8.2", wrong(against="x"), "real image `x`"),
    ("8.2", wrong(again="mean"), "decodes the mean"),
    ("8.2", wrong(noise=(0, 0)), "noise of its own"),
    ("8.2", wrong(noise=(1, 1)), "same noise"),
    ("8.2", wrong(noise=(2, 2)), "same noise"),
    ("8.2", wrong(noise=(2, 1)), "exchanged"),
    ("8.2", wrong(mean_first=True), "*before* the exponential"),
    ("8.2", wrong(weight=0.5), "twice that"),
    ("8.2", wrong(weight=1.0), "a quarter of their sum"),
    ("8.2", wrong(sign=-1.0), "sign of expelbo"),
    ("8.2", wrong(neg=1), "beta_kl stands in the exponent"),
    ("8.2", wrong(kl=2), "kl of *real* images"),
    ("8.2", wrong(kl=2, neg=1), "are exchanged"),
    ("8.2", wrong(scales=(1, 0)), "missing in the exponent"),
    ("8.2", wrong(scales=(0, 0)), "missing in the exponent"),
    ("8.2", wrong(scales=(0, 1)), "missing on the real images"),
    ("8.2", wrong(weight=0.3), "compare with lines"),
    ("8.2", all_without_gradients, "without gradients"),
    ("8.2", wrong(frozen=True), "error of real images to the encoder"),
    ("8.2", wrong(cut="none"), "not cut off"),
    ("8.2", wrong(cut="judged"), "leaks"),
    ("8.2", wrong(blind=True), "second reconstruction is cut off"),
    ("8.1", 0, "push is 256 times"),
    ("8.1", 2 * LN2, "expelbo is 1/2"),
    ("8.1", 32 * LN2, "left out alpha"),
    ("8.1", 14 * LN2, "factor 1/alpha"),
    ("8.1", 18 * LN2, "comes down"),
    ("8.1", 4096 * LN2, "beta_neg = 1"),
    ("8.1", LN2 / 64, "scale is missing"),
    ("8.1", -4 * LN2, "before both"),
    ("8.1", 48 * LN2, "gray"),
    ("8.1", 16, "in nats"),
    ("8.1", 4.82, "decimal"),
    ("8.1", -16 * LN2, "never negative"),
    ("8.1", 8, "not 8."),
    ("8.3", "ABCD", "run a"),
    ("8.3", "BCAD", "*beta_neg = 16384*"),
    ("8.3", "{b, c}", "four letters"),
    ("8.3", "BDCA", "*beta_neg = 1*"),
    ("8.3", "ACDB", "*all as it should be*"),
    ("8.3", "B", "four letters"),
    ("8.3", 3, "four letters"),
    ("8.3", "BBBB", "stands once"),
    ("8.4", together, "still one batch"),
    ("8.4", fakes_together, "half mended"),
    ("8.4", lambda e, x, r, f: (*kls(e, torch.cat([x, r])).chunk(2), kls(e, f)), "half mended"),
    ("8.4", in_eval_mode, "eval mode: no image"),
    ("8.4", back_in_train_mode, "eval mode: no image"),
    ("8.4", left_in_eval_mode, "is not any more"),
    ("8.4", detached, "reconstructions are cut off"),
    ("8.4", lambda e, x, r, f: chapter.judge(e, x, r, f.detach()), "samples are cut off"),
    ("8.4", without_gradients, "reconstructions are cut off"),
    ("8.4", real_without_gradients, "kls of `x`"),
    ("8.4", lambda e, x, r, f: (lambda a, b, c: (a, c, b))(*chapter.judge(e, x, r, f)), "exchanged"),
    ("8.4", lambda e, x, r, f: tuple(v.mean() for v in chapter.judge(e, x, r, f)), "one per image"),
    ("8.4", one_by_one, "one image at a time"),
    ("8.5", measured(train=False, reset=False), "nothing has changed"),
    ("8.5", lambda network, norms, batches: None, "nothing has changed"),
    ("8.5", measured(train=False), "no new ones came"),
    ("8.5", measured(0.1), "starts from 0 and 1"),
    ("8.5", measured(0.1, reset=False), "starts from the *old*"),
    ("8.5", measured(reset=False), "seen 100 batches"),
    ("8.5", measured(1.0), "only the last batch"),
    ("8.5", measured(pick=lambda b: b[:1]), "only the first batch"),
    ("8.5", measured(pick=lambda b: [torch.cat(b)]), "one pass over all"),
    ("8.5", with_hooks, "the first layer is right"),
    ("8.5", divided_by_n, "not by n - 1"),
    ("8.5", measured(whole=True), "dropout"),
    ("8.5", reset_parameters, "has changed"),
    ("8.5", measured(back=False), "momentum is not put back"),
    ("8.5", measured(mode=False), "left in train mode"),
    ("8.6", published, "has not moved"),
    ("8.6", trains_the_target, "*target* is trained"),
    ("8.6", both_decoders, "both decoders"),
    ("8.6", mixed_decoders, "decoder ends elsewhere"),
    ("8.6", lambda e, d, t, o, x, n: stepped(e, d, t, o, x, n, copied=False), "start the game as its copy"),
    ("8.6", lambda e, d, t, o, x, n: stepped(e, d, t, o, x, n, z=torch.Tensor.detach), "encoder ends elsewhere"),
    ("8.6", lambda e, d, t, o, x, n: stepped(e, d, t, o, x, n, clear=False), "old gradients"),
    ("8.6", lambda e, d, t, o, x, n: stepped(e, d, t, o[:1], x, n), "has not moved"),
    ("8.6", lambda e, d, t, o, x, n: stepped(e, d, t, o[1:], x, n), "the encoder does not"),
    ("8.6", lambda e, d, t, o, x, n: 2 * stepped(e, d, t, o, x, n), "the loss is not"),
]



"""Soft-IntroVAE's step as published code computes it, in a straight line from the formulas (arXiv 2012.13253).

Nothing of the package is used: any pair of an encoder (B, ...) -> (B, 2 Z), mean and logvar side by side, and a decoder
(B, Z) -> (B, ...) will do. Every forward pass is made again where published code makes it again (5 of the encoder, 8 of the
decoder), the target inside exp(ELBO) is attached unless `detach_target` says so, as in published code for 3-D, and each
term is read on the host. The tests hold the package's step to it, the benchmark is against it.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class PlainDecoder(nn.Module):
    """The residual decoder of images layer by layer, on the package's weights: doubled first, then convolved."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, z):
        *blocks, last = self.decoder.stages
        h = self.decoder.stem(z).unflatten(1, self.decoder.start)
        for block in blocks:
            h = F.interpolate(h, scale_factor=2, mode="nearest") if block.doubled else h
            h = F.leaky_relu(block.body(block.conv(h)) + block.shortcut(h), 0.2)
        return last(h)


def sse(x, y):
    return (x - y).square().flatten(1).sum(1)


def kl(mean, logvar):
    return -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(1)


def moments(encoder, x):
    return encoder(x).chunk(2, 1)


def sampled(mean, logvar, noise):
    return mean + (0.5 * logvar).exp() * noise


def freeze(network, frozen):
    for parameter in network.parameters():
        parameter.requires_grad = not frozen


def move(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def warm_up_step(encoder, decoder, optimizers, x, noise, *, beta_rec=1.0, beta_kl=1.0):
    """One step of the plain VAE that goes before. noise: (B, Z). Returns its terms as numbers."""
    mean, logvar = moments(encoder, x)
    rec = decoder(sampled(mean, logvar, noise))
    loss_rec, loss_kl = sse(x, rec).mean(), kl(mean, logvar).mean()
    loss = beta_rec * loss_rec + beta_kl * loss_kl
    for optimizer in optimizers.values():
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers.values():
        optimizer.step()
    return {"sse": loss_rec.item(), "kl_real": loss_kl.item()}


def step(
    encoder, decoder, optimizers, x, noise, *, scale, beta_rec=1.0, beta_kl=1.0, beta_neg=256.0, gamma_r=1e-8,
    detach_target=False, target=None,
):  # fmt: skip
    """One step on x (B, ...). noise: six draws (B, Z), of the prior, of q(z|x), and of the second passes, those of the
    reconstruction and of the sample in the encoder's step, then in the decoder's. target: the bootstrap variant's decoder,
    which makes the second passes; nothing is detached in its decoder's step. Returns the terms as numbers."""
    second = decoder if target is None else target
    z_p, noise_real, noise_rec, noise_fake, noise_rec_2, noise_fake_2 = noise

    # Encoder
    freeze(encoder, False)
    freeze(decoder, True)
    fake = decoder(z_p)
    mean, logvar = moments(encoder, x)
    z = sampled(mean, logvar, noise_real)
    rec = decoder(z)
    loss_rec, loss_kl = sse(x, rec).mean(), kl(mean, logvar).mean()

    mean_rec, logvar_rec = moments(encoder, rec.detach())
    rec_rec = second(sampled(mean_rec, logvar_rec, noise_rec))
    mean_fake, logvar_fake = moments(encoder, fake.detach())
    rec_fake = second(sampled(mean_fake, logvar_fake, noise_fake))
    kl_rec, kl_fake = kl(mean_rec, logvar_rec), kl(mean_fake, logvar_fake)
    wanted = rec.detach() if detach_target else rec
    exp_rec = torch.exp(-2 * scale * (beta_rec * sse(wanted, rec_rec) + beta_neg * kl_rec)).mean()
    exp_fake = torch.exp(-2 * scale * (beta_rec * sse(fake, rec_fake) + beta_neg * kl_fake)).mean()

    loss_encoder = scale * (beta_rec * loss_rec + beta_kl * loss_kl) + 0.25 * (exp_rec + exp_fake)
    move(optimizers["encoder"], loss_encoder)
    terms = {"encoder_loss": loss_encoder, "kl_real": loss_kl, "kl_rec": kl_rec.mean(), "kl_fake": kl_fake.mean()}
    terms |= {"exp_elbo_rec": exp_rec, "exp_elbo_fake": exp_fake}

    # Decoder
    freeze(encoder, True)
    freeze(decoder, False)
    fake = decoder(z_p)
    rec = decoder(z.detach())
    loss_rec = sse(x, rec).mean()
    mean_rec, logvar_rec = moments(encoder, rec)
    z_rec = sampled(mean_rec, logvar_rec, noise_rec_2)
    mean_fake, logvar_fake = moments(encoder, fake)
    z_fake = sampled(mean_fake, logvar_fake, noise_fake_2)
    if target is None:
        again_rec = sse(rec.detach(), decoder(z_rec.detach())).mean()
        again_fake = sse(fake.detach(), decoder(z_fake.detach())).mean()
    else:
        again_rec, again_fake = sse(rec, target(z_rec)).mean(), sse(fake, target(z_fake)).mean()
    kl_rec, kl_fake = kl(mean_rec, logvar_rec).mean(), kl(mean_fake, logvar_fake).mean()

    loss_decoder = scale * (
        beta_rec * loss_rec
        + 0.5 * beta_kl * (kl_rec + kl_fake)
        + 0.5 * gamma_r * beta_rec * (again_rec + again_fake)
    )
    move(optimizers["decoder"], loss_decoder)
    freeze(encoder, False)
    terms |= {"decoder_loss": loss_decoder, "sse": loss_rec}
    return {name: value.item() for name, value in terms.items()}

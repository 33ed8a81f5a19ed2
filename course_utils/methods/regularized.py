"""What keeps an introspective encoder from learning few images by heart: augmentation, noise in layers, dropout.

All of it is off by default, acts in training alone, and leaves what reconstructions are compared with as it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..augment import Augmentation, check_settings, real_fake_gap
from ..errors import reject
from ..networks.regularization import Dropout, add_decoder_dropout, add_encoder_dropout, add_noise, check_places
from .autoencoder import sse
from .introspective import Introspective, IntrospectiveConfig

# Which of the encoder's inputs each value of `augment` augments: real images, the decoder's images in the encoder's
# step, and in the decoder's.
AUGMENTED = {
    "off": (),
    "real": ("real",),
    "encoder": ("real", "encoder"),
    "everywhere": ("real", "encoder", "decoder"),
}
DROPOUTS = ("dropout_encoder_first", "dropout_encoder_last", "dropout_decoder_first", "dropout_decoder_last")


@dataclass(frozen=True)
class RegularizedConfig(IntrospectiveConfig):
    # New: everything that keeps the encoder from overfitting.
    augment: str = "off"
    """which of the encoder's inputs are augmented in training: off, real (images alone), encoder (in its step also
    reconstructions and samples) or everywhere (in the decoder's step too, which then learns through the augmentation)"""
    augment_policy: str = "translate+erase"
    """operations joined by +: translate, erase, flip, color, cutout, affine"""
    augment_p: float = 0.5
    """probability of each operation, for each image; if it is adaptive, where it starts"""
    augment_erase: tuple[float, float] = (0.0, 0.5)
    """smallest and largest share of the area that erase takes"""
    augment_target: float = 0.0
    """if not 0, p is adaptive: it rises while (KL of fakes - KL of real) / (their sum) is above this, and falls below it"""
    augment_images: int = 50_000
    """training images in which an adaptive p would go from 0 to 1; it stays between 0 and 0.8"""
    noise_encoder: float = 0.0
    """sigma of the noise behind each of the encoder's stages in training: x + sigma x N(0, 1)"""
    noise_decoder: float = 0.0
    """the same behind each of the decoder's stages; with noise or dropout in it, the decoder makes its images anew for its
    own step, which costs two passes of it"""
    noise_learned: bool = False
    """whether each stage learns its own sigma, from the one given; in some published code such a switch only detaches x"""
    dropout_encoder_first: float = 0.0
    """probability of dropout behind the encoder's first pool"""
    dropout_encoder_last: float = 0.0
    """probability of dropout before the encoder's last Linear"""
    dropout_decoder_first: float = 0.0
    """probability of dropout behind the decoder's first Linear"""
    dropout_decoder_last: float = 0.0
    """probability of dropout before the decoder's last block"""
    dropout_alone: bool = False
    """whether the other network's dropout is off while one trains; a warm-up trains both"""

    def __post_init__(self):
        super().__post_init__()
        if self.augment not in AUGMENTED:
            raise reject("augment", self.augment, AUGMENTED)
        adaptive = (self.augment_target, self.augment_images)
        check_settings(self.augment_policy, self.augment_p, self.augment_erase, *adaptive, prefix="augment_")
        for field in fields(self):
            if self.augment == "off" and field.name.startswith("augment_") and getattr(self, field.name) != field.default:
                allowed = f"{field.default} while augment is off"
                raise reject(field.name, getattr(self, field.name), allowed, "Give augment: real, encoder or everywhere.")
        for name in ("noise_encoder", "noise_decoder"):
            if not 0 <= getattr(self, name) < math.inf:
                raise reject(name, getattr(self, name), "0 or more", "It is a standard deviation, relative to activations.")
        for name in DROPOUTS:
            if not 0 <= getattr(self, name) < 1:
                raise reject(name, getattr(self, name), "at least 0 and less than 1", "At 1 nothing would be left.")
        if self.noise_learned and not (self.noise_encoder or self.noise_decoder):
            raise reject("noise_learned", True, "False without noise", "Give noise_encoder or noise_decoder, to start from.")
        if self.dropout_alone and not any(getattr(self, name) for name in DROPOUTS):
            raise reject("dropout_alone", True, "False without dropout", f"Give one of {', '.join(DROPOUTS)}.")


class Regularized(Introspective):
    """An introspective method that shows its encoder augmented images and has noise and dropout in its networks."""

    def __init__(self, config: RegularizedConfig, data_shape):
        super().__init__(config, data_shape)
        c = config
        self.augmentation = None
        if c.augment != "off":
            if len(self.data_shape) != 3:
                raise reject("augment", c.augment, "off", f"Only images are augmented; these data are {self.data_shape}.")
            adaptive = {"target": c.augment_target, "images": c.augment_images}
            self.augmentation = Augmentation(c.augment_policy, c.augment_p, erase=c.augment_erase, **adaptive)
        for name in (*DROPOUTS, "noise_encoder", "noise_decoder"):
            if getattr(c, name):
                check_places(self.encoder, self.decoder, name)
        if c.dropout_encoder_first or c.dropout_encoder_last:
            add_encoder_dropout(self.encoder, c.dropout_encoder_first, c.dropout_encoder_last)
        if c.dropout_decoder_first or c.dropout_decoder_last:
            add_decoder_dropout(self.decoder, c.dropout_decoder_first, c.dropout_decoder_last)
        if c.noise_encoder:
            add_noise(self.encoder, c.noise_encoder, c.noise_learned)
        if c.noise_decoder:
            add_noise(self.decoder, c.noise_decoder, c.noise_learned)
        self.decoder_is_random = bool(c.noise_decoder or c.dropout_decoder_first or c.dropout_decoder_last)

    def check_data(self, data):
        super().check_data(data)
        if self.augmentation is not None:
            self.augmentation.require()  # before a run has begun

    def corrupted(self, x):
        return self.shown(super().corrupted(x), "real")

    def shown(self, images: Tensor, place: str) -> Tensor:
        """What the encoder is shown of images in training, (B, C, H, W): augmented, if `augment` has this place.

        place: real (images), or in whose step these images of the decoder's are judged: encoder, decoder."""
        return self.augmentation(images) if place in AUGMENTED[self.config.augment] else images

    def take_turns(self, *players: str) -> None:
        """Where `dropout_alone`, let these players' dropout act, and nobody else's; a target decoder's as the decoder's."""
        if self.config.dropout_alone:
            for name, layer in self.named_modules():
                if isinstance(layer, Dropout):
                    layer.resting = name.split(".")[0].replace("target", "decoder") not in players

    def decoders_turn(self, x: Tensor, z: Tensor, z_p: Tensor, made: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
        """The decoder's images (2B, C, H, W) and the error (B,) of its reconstructions, for its own step.

        It has not moved yet, so these are those of the encoder's step; with dropout or noise in it, new ones of the same
        codes, as in published code. z, z_p: (B, Z), of real images and from the prior."""
        self.take_turns("decoder")
        if not self.decoder_is_random:
            return made, error
        rec, fake = self.images(self.decoder, z.detach()), self.images(self.decoder, z_p)
        return torch.cat([rec, fake]), sse(x, rec)

    def adapted(self, kl_real: Tensor, kl_made: Tensor) -> dict[str, Tensor]:
        """Move an adaptive p by what the encoder has just judged, (B,) and (2B,), and say where it is; else nothing."""
        if self.augmentation is None or not self.config.augment_target:
            return {}
        gap = real_fake_gap(kl_real.detach(), kl_made.detach())
        self.augmentation.adapt(gap, len(kl_real))
        return {"augment_gap": gap, "augment_p": self.augmentation.p.clone()}

    def warm_up(self, x, update):
        self.take_turns(*self.players)
        return super().warm_up(x, update)

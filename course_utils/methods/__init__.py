"""The course's methods, by the name the command line and the checkpoints use."""

from __future__ import annotations

import torch

from ..errors import reject
from .autoencoder import Autoencoder
from .base import LatentModel, Posterior
from .classifier import Classifier
from .gan import GAN
from .intro_vae import IntroVAE
from .soft_intro_vae import SoftIntroVAE
from .trainable import Trainable
from .vae import VAE
from .vae_gan import VAEGAN

METHODS: dict[str, type[Trainable]] = {"autoencoder": Autoencoder, "vae": VAE, "classifier": Classifier, "gan": GAN}
METHODS |= {"vae-gan": VAEGAN, "intro-vae": IntroVAE, "soft-intro-vae": SoftIntroVAE}

__all__ = ["METHODS", "Autoencoder", "Classifier", "GAN", "IntroVAE", "LatentModel", "Posterior", "Trainable"]
__all__ += ["SoftIntroVAE", "VAE", "VAEGAN", "build", "method_class", "name_of"]


def method_class(name: str) -> type[Trainable]:
    """The class behind a method's name; CourseError lists the known ones."""
    if name not in METHODS:
        raise reject("method", name, sorted(METHODS))
    return METHODS[name]


def name_of(model: Trainable) -> str:
    """The name under which a model's class is known."""
    for name, cls in METHODS.items():
        if cls is type(model):
            return name
    known = [cls.__name__ for cls in METHODS.values()]
    raise reject("model", type(model).__name__, known, "Add its class to METHODS.")


def build(name: str, config, data_shape, *, seed: int | None = None) -> Trainable:
    """A new model with weights drawn from `seed` (the global generator is left as it was), or from the global one."""
    cls = method_class(name)
    if seed is None:
        return cls(config, data_shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(config, data_shape)

"""Small networks and sets in place of trained ones; an Inception with random weights."""

from __future__ import annotations

import math
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from course_utils import methods
from course_utils.data.image_set import ImageSet
from course_utils.methods.base import LatentModel
from course_utils.methods.classifier import ClassifierConfig
from course_utils.metrics import FeatureNetwork, classifier_features

SHAPE = (1, 8, 8)


def images(n=64, shape=SHAPE, seed=0) -> ImageSet:
    """n pictures of random blobs: neighboring pixels are alike."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, shape[0], shape[1] // 2, shape[2] // 2, generator=generator)
    fine = nn.functional.interpolate(coarse, shape[1:], mode="bilinear")
    return ImageSet((fine * 255).round().to(torch.uint8), None, "blobs", "train")


def network(name="toy", shape=SHAPE, seed=0) -> FeatureNetwork:
    """The features, 8 numbers, of an untrained classifier of the course."""
    model = methods.build("classifier", ClassifierConfig(widths=(4, 8)), shape, seed=seed)
    return classifier_features(name, model.eval())


class Generator(LatentModel):
    """Two layers with batch norm between them, so that its mode matters; it has no encoder."""

    has_encoder = False

    def __init__(self, shape=SHAPE, latent_dim=5, seed=3):
        super().__init__(SimpleNamespace(latent_dim=latent_dim), shape)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.net = nn.Sequential(nn.Linear(latent_dim, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, math.prod(shape)))
            nn.init.uniform_(self.net[1].running_var, 0.5, 2.0)
        self.eval()

    def decode(self, z):
        return self.net(z).sigmoid().unflatten(1, self.data_shape)


def random_inception_weights(seed=0) -> dict[str, Tensor]:
    """Weights for pytorch-fid's Inception: scaled so that activations stay of one size over its depth, norms not trivial."""
    from torchvision.models import inception_v3

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            if isinstance(module, nn.BatchNorm2d):
                for values, low, high in ((module.weight, 0.8, 1.2), (module.running_var, 0.8, 1.2), (module.bias, -0.1, 0.1)):
                    nn.init.uniform_(values, low, high)
                nn.init.uniform_(module.running_mean, -0.1, 0.1)
    return {name: value.detach() for name, value in net.state_dict().items()}

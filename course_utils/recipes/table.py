"""The recipes themselves: what is trained, on what, and how."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..errors import reject
from ..methods.autoencoder import AutoencoderConfig
from ..methods.classifier import ClassifierConfig
from ..methods.gan import GANConfig
from ..methods.gan_losses import LOSSES
from ..methods.intro_vae import IntroVAEConfig
from ..methods.soft_intro_vae import SoftIntroVAEConfig
from ..methods.vae import VAEConfig
from ..methods.vae_gan import VAEGANConfig
from ..training.config import RunConfig


@dataclass(frozen=True)
class Recipe:
    """method and config: what is trained. dataset, size: on what. run: how. weights: whether its weights are shipped.

    expected: held-out terms as published, or as the course asks for; shown beside what a run reaches. watch: metrics of
    `watch_samples` samples against the test images (`metrics.metric_names`), measured at each evaluation and at the end.
    film: whether samples are kept at each evaluation as well (`snapshots`; points alone). keep: how many samples of the
    finished model are kept in place of its weights (images alone). stored: how the weights are (`checkpoints.export`); int8
    moves errors, KL and Fréchet distances of images by a few parts in a thousand."""

    method: str
    config: object
    dataset: str
    run: RunConfig
    size: int | None = None
    weights: bool = True
    about: str = ""
    expected: dict[str, float] = field(default_factory=dict)
    watch: tuple[str, ...] = ()
    watch_samples: int = 5000
    film: bool = False
    keep: int = 0
    stored: str = "int8"


def _fashion(config, about="", **changes) -> Recipe:
    method = "vae" if isinstance(config, VAEConfig) else "autoencoder"
    run = replace(RunConfig(epochs=20, batch_size=128, lr=1e-3, lr_schedule="cosine", log_every=100, eval_every=1170,
                            checkpoint_every=1170), **changes)
    return Recipe(method, config, "fashion-mnist", run, about=about)


def _shapes(config, about="") -> Recipe:
    run = RunConfig(steps=12000, batch_size=128, lr=2e-3, lr_schedule="cosine", log_every=100, eval_every=2000,
                    checkpoint_every=1000)
    return Recipe("vae", config, "shapes", run, about=about)


def _shapes_vae(beta):
    # A constant high price from the start never learns the cheap factors (color): both climb to their price and settle there.
    return VAEConfig(latent_dim=10, likelihood="bernoulli", beta=beta, beta_schedule="linear", beta_fraction=0.6)


def _cifar(config, about="", **expected) -> Recipe:
    method = "vae" if isinstance(config, VAEConfig) else "autoencoder"
    # The assignment: Adam 1e-3, batch 256, 20 epochs, gradient norm clipped at 1; the test images are its validation set.
    run = RunConfig(epochs=20, batch_size=256, lr=1e-3, grad_clip=1.0, log_every=50, eval_every=195, checkpoint_every=195)
    return Recipe(method, config, "cifar10", run, weights=False, about=about, expected=expected)


def _cifar_ae(z):
    return AutoencoderConfig(latent_dim=z, network="cifar-assignment")


def _cifar_vae(**changes):
    return VAEConfig(latent_dim=1024, network="cifar-assignment", **changes)


def _classifier(config, dataset, epochs, about, **expected) -> Recipe:
    run = RunConfig(epochs=epochs, batch_size=128, optimizer="adamw", lr=2e-3, weight_decay=0.02, lr_schedule="cosine",
                    log_every=100, eval_every=1170, checkpoint_every=585)
    # float16: what they measure is not to move. The large one is int8, and whatever it measured was measured so: its accuracy is
    # 0.9098 then, and 0.9092 as float16.
    stored = "int8" if dataset == "cifar10" else "float16"
    return Recipe("classifier", config, dataset, run, about=about, expected=expected, stored=stored)


def _gan(loss, seed) -> Recipe:
    # One network, number of steps and batch for all losses; the rates are the residual pair's. No average of the weights:
    # the curves are to show what a loss does, collapses included.
    run = RunConfig(steps=4000, batch_size=64, lr=2e-4, betas=(0.0, 0.9), seed=seed, log_every=50, eval_every=400,
                    checkpoint_every=200)
    about = f"the same pair, steps and batch for each loss; seed {seed}"
    config = GANConfig(loss=loss, width=32)
    return Recipe("gan", config, "fashion-mnist", run, weights=seed == 0, about=about, watch=("fd_fashion",))


def _assignment_gan(loss, dataset, size=None, **expected) -> Recipe:
    # The assignment: 30,000 critic steps, five to one of the generator's; the rates fall to 0 over 100,000 of the generator's.
    run = RunConfig(steps=6000, batch_size=256, lr=2e-4, betas=(0.0, 0.9), lr_schedule="linear", lr_steps=100_000,
                    log_every=50, eval_every=600, checkpoint_every=300)
    config = GANConfig(loss=loss, n_critic=5)
    about = "the assignment's residual pair" + ("; its published score is fid of 50,000 samples" if expected else "")
    return Recipe("gan", config, dataset, run, size=size, weights=False, about=about, expected=expected)


def _emoji(config, about) -> Recipe:
    method = "vae" if isinstance(config, VAEConfig) else "vae-gan"
    run = RunConfig(steps=10_000, batch_size=64, optimizer="rmsprop", lr=3e-4, lr_schedule="cosine", ema=0.999,
                    log_every=50, eval_every=1000, checkpoint_every=500)
    return Recipe(method, config, "noto-emoji", run, size=32, about=about)


def _introspective(method, config, about, **changes) -> Recipe:
    # A VAE, an IntroVAE and a Soft-IntroVAE of one pair of networks, for equally many images: some minutes of a GPU, an hour
    # of a CPU core, where published runs take days. So the networks are smaller, and the rate is larger. Adam without momentum,
    # as in chapter 04: with the published 0.9 Soft-IntroVAE's fd_fashion is 9.2 at best (step 4,000), without it 2.7 by then, and
    # 1.3 at the end.
    run = RunConfig(steps=12_000, batch_size=64, lr=4e-4, lr_schedule="cosine", betas=(0.0, 0.9), ema=0.999, log_every=50,
                    eval_every=500, checkpoint_every=200)
    return Recipe(method, config, "fashion-mnist", replace(run, **changes), about=about, watch=("fd_fashion",))


def _published_soft(dataset, epochs, batch_size, size=None, about="", **config) -> Recipe:
    # The published settings of a data set: nothing averaged, no warm-up, the rate down to a tenth after 350 epochs.
    run = RunConfig(epochs=epochs, batch_size=batch_size, lr=2e-4, lr_schedule="step", lr_drop=(min(350 / epochs, 1.0),),
                    log_every=100, eval_every=5000, checkpoint_every=1000)
    return Recipe("soft-intro-vae", SoftIntroVAEConfig(**config), dataset, run, size=size, weights=False,
                  about=about or "the published configuration")


def _cifar_soft(about, **config) -> Recipe:
    # Published: 1,000 epochs, the rate down to a tenth after 350. The schedule is that of all of them, so `--steps 10000` is
    # the first part of the same run, which a later, larger number goes on with.
    whole = 1000 * (50_000 // 32)
    run = RunConfig(steps=whole, batch_size=32, lr=2e-4, lr_schedule="step", lr_drop=(0.35,), lr_steps=whole, log_every=100,
                    eval_every=5000, checkpoint_every=500)
    # Its weights are some 7 MB, stored as int8; the course looks at its samples.
    return Recipe("soft-intro-vae", SoftIntroVAEConfig(**config), "cifar10", run, about=about, weights=False, keep=24,
                  watch=("fd_cifar", "kd_cifar", "precision_cifar", "recall_cifar"))


def _plane(method, config, name, seed) -> Recipe:
    # The published first rate. Published runs drop it after a third and a half of 30,000 steps; falling steadily, 20,000 are
    # enough. It stops at an eighth: down to 0 a run freezes where it happens to be (a seed with a JSD of 0.011 comes to
    # 0.007), and the average of the weights, which is ours, has nothing to average. At an eighth the weights alone score 0.025.
    run = RunConfig(steps=20_000, batch_size=512, lr=2e-4, lr_schedule="cosine", lr_steps=26_000, ema=0.999, seed=seed,
                    log_every=100, eval_every=1000, checkpoint_every=500)
    # Weights of what chapter 07 asks about single points; of the others the film holds samples. A mode of the Gaussians is 0.014
    # wide: int8 moves a JSD of 0.0057 to 0.055. Rings bear it (0.0491 to 0.0499).
    asked = name == "8-gaussians" or (name == "rings" and method != "intro-vae")
    return Recipe(method, config, name, run, weights=asked and seed == 0, about=f"the plane; seed {seed}", film=seed == 0,
                  watch=("jsd", "within", "modes", "share_min", "share_max"), watch_samples=20_000,
                  stored="int8" if asked and name == "rings" else "float16")


def _plane_runs() -> dict[str, Recipe]:
    """Four densities and three methods; 8 Gaussians with five seeds."""
    found, net = {}, {"latent_dim": 2, "network": "mlp"}
    for name, (weights, vae_beta) in PLANE.items():
        configs = {
            "vae": VAEConfig(beta=vae_beta, **net),
            # With an error that weighs 1 one mode of eight is left, with 2 some are lost, with 12 the bridges stay. Without
            # momentum a run is ahead at first (JSD 0.09 after 5,000 steps) and lets go of modes later; with it seeds end at
            # 0.053 to 0.138, with all of them.
            "intro-vae": IntroVAEConfig(margin=5.0, beta_rec=4.0, warmup=1 / 15, **net),
            "soft-intro-vae": SoftIntroVAEConfig(warmup=1 / 15, **weights, **net),
        }
        for seed in range(5 if name == "8-gaussians" else 1):
            found |= {f"{method}_{name}_s{seed}": _plane(method, config, name, seed) for method, config in configs.items()}
    return found


# Published: Soft-IntroVAE's weights; of a good plain VAE the KL's weight over the error's. But for the push on 8 Gaussians: with
# twice the published 0.9 a JSD of 0.04 is reached after 4,000 steps, not 11,000, and the modes end with more equal shares (11.8
# to 13.4 %, not 10.8 to 14.0); with more weight on the error (0.6) bridges stay, with less (0.1) it takes longer. And but for the
# encoder's weight of the error, which falls: kept, the JSD of 8 Gaussians comes to 0.015 and stays there, whatever the rate;
# falling it ends at 0.0057 to 0.0073 (five seeds; published code, one run: 0.0164). Down to 0.01 is too far for the spirals (a
# JSD of 0.074, not 0.054); on the checkerboard shares drift apart whenever it falls (0.115, not 0.093).
PLANE = {
    "8-gaussians": ({"beta_kl": 0.3, "beta_rec": 0.2, "beta_neg": 1.8, "encoder_beta_rec_end": 0.01}, 0.05 / 0.8),
    "two-spirals": ({"beta_kl": 0.5, "beta_rec": 0.2, "beta_neg": 1.0, "encoder_beta_rec_end": 0.05}, 0.05),
    "checkerboard": ({"beta_kl": 0.1, "beta_rec": 0.2, "beta_neg": 0.2, "encoder_beta_rec_end": 0.2}, 0.1 / 0.8),
    "rings": ({"beta_kl": 0.2, "beta_rec": 0.2, "beta_neg": 1.0, "encoder_beta_rec_end": 0.01}, 0.05 / 0.8),
}

# What chapter 09 compares on few pictures, besides nothing at all. p is the probability of each operation for each image.
REGULARIZED = {
    "": {},
    "_augment-real": {"augment": "real"},
    "_augment-encoder": {"augment": "encoder"},
    "_augment": {"augment": "everywhere"},
    "_augment-adaptive": {"augment": "everywhere", "augment_p": 0.0, "augment_target": 0.3},
    "_dropout": {"dropout_encoder_first": 0.1, "dropout_encoder_last": 0.1},
    "_noise": {"noise_encoder": 0.1},
    "_label-switch": {"label_switch_encoder": 0.05},
}


def _emoji_runs() -> dict[str, Recipe]:
    """Soft-IntroVAE on emoji, without anything and with each regularizer; without and with augmentation two seeds."""
    run = RunConfig(steps=8000, batch_size=32, lr=2e-4, lr_schedule="cosine", betas=(0.0, 0.9), ema=0.999, log_every=50,
                    eval_every=1000, checkpoint_every=200)
    found = {}
    for name, changes in REGULARIZED.items():
        config = SoftIntroVAEConfig(beta_neg=64.0, warmup=0.1, widths=(32, 64, 128), norm="group", **changes)
        about = f"few pictures; {name[1:] or 'the baseline of augmentation'}"
        recipe = Recipe(
            "soft-intro-vae", config, "noto-emoji", run, size=32, about=about, watch=("fd_cifar", "kd_cifar"),
            watch_samples=2000, weights=name in ("", "_augment"), keep=100 if name == "_augment-real" else 0,
        )
        found[name] = recipe
        if name in ("", "_augment"):
            found[f"{name}_s1"] = replace(recipe, run=replace(run, seed=1), weights=False)
    return found


# The same encoder and decoder for both.
EMOJI_NETS = {"latent_dim": 64, "network": "vae-gan32", "widths": (16, 32, 64)}
FASHION_NETS = {"latent_dim": 32, "network": "introspective", "widths": (16, 32, 64), "norm": "group"}
FASHION_WARMUP = 0.0834  # the first 1,001 of 12,000 steps
CUB = "folder:CUB_200_2011/images"  # where its archive unpacks to, in COURSE_DATA, data/downloads or here

RECIPES: dict[str, Recipe] = {
    "ae_fashion_z2": _fashion(AutoencoderConfig(latent_dim=2), "a code that can be drawn"),
    "ae_fashion_z16": _fashion(AutoencoderConfig(latent_dim=16), "the middle of the bottleneck sweep"),
    "ae_fashion_z128": _fashion(AutoencoderConfig(latent_dim=128), "the wide end of the bottleneck sweep"),
    "ae_fashion_denoise": _fashion(AutoencoderConfig(latent_dim=128, input_noise=0.3), "noise on the input, clean target"),
    "vae_fashion_z2": _fashion(VAEConfig(latent_dim=2), "a VAE whose whole latent space can be drawn"),
    "vae_fashion_z32": _fashion(VAEConfig(latent_dim=32), "the course's plain VAE; beta = 1 of the sweep"),
    "beta_vae_fashion_b0.1": _fashion(VAEConfig(latent_dim=32, beta=0.1), "rate-distortion sweep"),
    "beta_vae_fashion_b0.8": _fashion(VAEConfig(latent_dim=32, beta=0.8), "rate-distortion sweep"),
    "beta_vae_fashion_b1.2": _fashion(VAEConfig(latent_dim=32, beta=1.2), "rate-distortion sweep"),
    "beta_vae_fashion_b4": _fashion(VAEConfig(latent_dim=32, beta=4.0), "rate-distortion sweep"),
    "beta_vae_fashion_linear": replace(_fashion(
        VAEConfig(latent_dim=32, beta=1.0, beta_schedule="linear", beta_fraction=0.5),
        "linear schedule that ends at beta = 1 half way and settles: compare with vae_fashion_z32",
    ), weights=False),
    "beta_vae_shapes_b1": _shapes(_shapes_vae(beta=1.0), "factors, beta = 1"),
    "beta_vae_shapes_high": _shapes(_shapes_vae(beta=8.0), "factors, a high beta"),
    "cifar_vae_linear": _cifar(
        _cifar_vae(beta=1.0, beta_schedule="linear", beta_stairs=20), "beta(epoch) = epoch / 20, as published", sse=117
    ),
    "cifar_vae_b1": _cifar(_cifar_vae(beta=1.0), "the assignment's VAE", sse=130, kl=62),
    # 29, not 17: it has not settled. Float32 follows the same path; without the clipping it is ahead all the way (27 against
    # 33 at step 3,120), and a tenth of the rate takes it from 29 to 25 within two epochs more. The assignment asks for 40.
    "cifar_ae_z1024": _cifar(_cifar_ae(1024), "the assignment's autoencoder", sse=17),
    "cifar_ae_z16": _cifar(_cifar_ae(16), "the narrow end", sse=203),
    "cifar_ae_z128": _cifar(_cifar_ae(128), "the middle", sse=57),
    "cifar_vae_b0.8": _cifar(_cifar_vae(beta=0.8), "less weight on the KL", sse=119, kl=72),
    "cifar_vae_b1.2": _cifar(_cifar_vae(beta=1.2), "more weight on the KL", sse=143, kl=54),
    "classifier_fashion": _classifier(
        ClassifierConfig(widths=(32, 64, 128)), "fashion-mnist", 12, "features that measure generators", accuracy=0.93
    ),
    "classifier_cifar10": _classifier(
        ClassifierConfig(shift=4), "cifar10", 24, "features that measure generators", accuracy=0.90
    ),
    **{f"gan_fashion_{loss}_s{seed}": _gan(loss, seed) for loss in LOSSES for seed in (0, 1)},
    "vae_emoji": _emoji(VAEConfig(**EMOJI_NETS), "compared pixel by pixel"),
    # Its third convolution, at 8x8 as the paper's last: after 500 steps the code holds 64 nats, with the last one, at 4x4, 23.
    # At the rate of the others the discriminator is soon sure of itself (logits of 2.5 and -3.6), and samples are splotches.
    "vae_gan_emoji": _emoji(
        VAEGANConfig(layer=3, gamma=0.1, discriminator_lr_factor=0.1, **EMOJI_NETS),
        "compared in the features of its discriminator",
    ),
    # One student's scores. What was called WGAN-GP there was cross-entropy with a penalty on one norm of a whole batch.
    "gan_cub_non-saturating": _assignment_gan("non-saturating", CUB, 32, fid=146),
    "gan_cub_lsgan": _assignment_gan("lsgan", CUB, 32, fid=52.57),
    "gan_cub_wgan-gp": _assignment_gan("wgan-gp", CUB, 32, fid=38.6),
    **{f"gan_cifar_{loss}": _assignment_gan(loss, "cifar10") for loss in ("non-saturating", "lsgan", "wgan-gp")},
    # The warm-up is a VAE's run; here it is all of it.
    "vae_fashion_introspective": _introspective(
        "soft-intro-vae", SoftIntroVAEConfig(warmup=1.0, **FASHION_NETS), "the game's networks, without the game"
    ),
    # The published weights of the KLs; a margin well above the KL of real images (7 nats in a VAE), and ten times the published
    # weight of the error, which is summed over 64 times fewer pixels.
    "intro_vae_fashion": _introspective(
        "intro-vae", IntroVAEConfig(beta_rec=0.5, margin=40.0, warmup=FASHION_WARMUP, **FASHION_NETS), "a hard threshold"
    ),
    # Push and pull are equal at a KL of log(beta_neg) / (alpha scale beta_neg): 11 nats with the published 256, 19 with 128, 33
    # with 64. With 256 fd_fashion falls slowly (11.8 after 3,000 steps, where it is 9.9 with 128). With Adam's usual momentum
    # 128 turns at step 4,000, 64 before: the encoder holds real images at 13 nats and fakes at 29, and the decoder cannot follow.
    "soft_intro_vae_fashion": _introspective(
        "soft-intro-vae", SoftIntroVAEConfig(beta_neg=128.0, warmup=FASHION_WARMUP, **FASHION_NETS), "a soft threshold"
    ),
    # The same with Adam's usual memory; stopped when it has turned.
    "soft_intro_vae_fashion_momentum": replace(_introspective(
        "soft-intro-vae", SoftIntroVAEConfig(beta_neg=128.0, warmup=0.125, **FASHION_NETS), "Adam with momentum: the judge wins",
        betas=(0.9, 0.999), steps=8000, lr_steps=12_000, eval_every=1000,
    ), weights=False),
    # With batch norm the encoder sees each kind of image normalized by its own batch, and hardly tells fakes from real ones.
    "soft_intro_vae_fashion_batch": _introspective(
        "soft-intro-vae", SoftIntroVAEConfig(beta_neg=128.0, warmup=FASHION_WARMUP, **FASHION_NETS | {"norm": "batch"}),
        "batch norm, whose running averages spoil samples in eval mode",
    ),
    **{f"soft_intro_vae_emoji{name}": recipe for name, recipe in _emoji_runs().items()},
    "soft_intro_vae_cifar10": _cifar_soft("the published configuration"),
    "soft_intro_vae_cifar10_augment": _cifar_soft("the published configuration, with augmentation", augment="everywhere"),
    "soft_intro_vae_svhn": _published_soft("svhn", 400, 32),
    # Its author: with 256 real images end with a larger KL than fakes there.
    "soft_intro_vae_mnist": _published_soft(
        "mnist", 200, 128, latent_dim=32, widths=(64, 128), beta_neg=128.0, about="as published, but with a weaker push"
    ),
    "soft_intro_vae_celeba": _published_soft(
        "celeba", 50, 8, size=128, latent_dim=256, widths=(64, 128, 256, 512, 512), beta_rec=0.5, beta_neg=1024.0,
        about="as published at 128 pixels; sources disagree whether the error or the KL weighs 0.5",
    ),
    **_plane_runs(),
}

# Recipes whose runs are not in checkpoints/ yet: their command works, but there are no curves to draw or figures to quote.
NOT_YET_RECORDED = (
    *(f"gan_{data}_{loss}" for data in ("cub", "cifar") for loss in ("non-saturating", "lsgan", "wgan-gp")),
    *(f"soft_intro_vae_{data}" for data in ("svhn", "mnist", "celeba")),
)


def get(name: str) -> Recipe:
    """The recipe of this name; CourseError lists the known ones."""
    if name not in RECIPES:
        raise reject("recipe", name, sorted(RECIPES))
    return RECIPES[name]

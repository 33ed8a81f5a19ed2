# ---
# title: Soft-IntroVAE on images
# question: Can a VAE be the judge of its own pictures, and how do you see from a few numbers that the game goes well?
# minutes: 120
# goals:
#   - say what the scale is for, and what a beta_neg of 256 means in nats
#   - write the encoder's turn of a training step, and say what need not be computed twice
#   - tell from the health signs of a run which of its settings is wrong
#   - show on one trained model how batch norm spoils samples in eval mode, and cure it without training
#   - compare Soft-IntroVAE with a VAE of the same network, with IntroVAE and with a GAN, by the same questions
# prerequisites:
#   - chapter 07 (the game of encoder and decoder, expELBO, the hinge)
#   - chapter 05 (Fréchet distances, and what train mode does to a score)
# checkpoints: [soft_intro_vae_fashion, soft_intro_vae_fashion_batch, intro_vae_fashion, vae_fashion_introspective, gan_fashion_hinge_s0, soft_intro_vae_emoji, vae_emoji, vae_gan_emoji]
# modes:
#   LOAD: loads the shipped models (under a minute on two CPU cores)
#   FAST: trains each of the eight models for 400 steps (some 10 minutes; the pictures are then worse)
#   FULL: trains each model as its recipe says (hours on one CPU core)
# ---

# %% tags=["setup"]
import copy
import inspect

import torch

from course_utils import checkpoints, data, figures, methods, recipes, widgets
from course_utils.exercises import chapter_08, check, progress
from course_utils.figures import health
from course_utils.figures.autoencoders import image_rows
from course_utils.figures.measuring import scores_over_steps
from course_utils.methods import SoftIntroVAE
from course_utils.methods.autoencoder import sse
from course_utils.methods.base import kl_standard_normal
from course_utils.methods.soft_intro_vae import exp_elbo, weighted_elbo_loss
from course_utils.metrics import Moments, feature_network, generate, precision_recall_density_coverage
from course_utils.networks.introspective import IntrospectiveDecoder, IntrospectiveEncoder
from course_utils.networks.normalization import batch_norms, use_statistics

train, test = (data.load("fashion-mnist-mini", split) for split in ("train", "test"))
some = test.floats(range(0, 320, 40))  # (8, 1, 32, 32), in [0, 1]

# %% [markdown]
# ## The question, in one picture
#
# Two models with the same encoder and the same decoder, trained for the same number of steps on the same pictures. One is a VAE. The other is
# a **Soft-IntroVAE** (Daniel and Tamar 2021). Neither has a third network: no discriminator, no features from elsewhere.

# %% tags=["figure"]
models = {"VAE": recipes.obtain("vae_fashion_introspective", MODE), "Soft-IntroVAE": recipes.obtain("soft_intro_vae_fashion", MODE)}
soft = models["Soft-IntroVAE"]
figures.samples(models, 12, columns=12, title="Noise, decoded: the same codes for both")

# %% tags=["figure"]
figures.reconstructions(models, some)

# %% [markdown]
# Look at the samples first: in which row could they be photographs? Then read the errors of the reconstructions. (Eight images are too few to
# tell which model has the smaller one; further down there are 500.) This chapter takes the step of training apart that makes the difference,
# and shows how to watch it.
#
# ## From points to images
#
# Chapter 07 played the game in the plane: the encoder pulls real points to the prior, and pushes the decoder's points away; the decoder
# pulls its own back. On images the same game is played with other networks and other numbers:
#
# | | points | images |
# |---|---|---|
# | networks | fully connected layers | residual convolutions, with a normalization |
# | scale $s$ of every ELBO | 1/2: a point has two numbers | 1/1024: an image has $1 \times 32 \times 32$ |
# | weight of the KL of fakes, $\beta_\mathrm{neg}$ | 0.2 to 1 | 64 to 1024 |
#
# All three make trouble, or prevent some. We take them one by one, from below.
#
# ### The scale
#
# The encoder pays $\frac1\alpha \exp(\alpha\,\mathrm{ELBO})$ for an image of the decoder's, with $\alpha = 2$. The exponential alone is
# **expELBO**. In the plane its exponent is small. For an image, squared errors are summed over all pixels, and it becomes huge:

# %%
for name, error, kl in (("a good sample", 5.0, 10.0), ("a bad one", 60.0, 20.0)):
    for label, scale in (("s = 1", 1.0), ("s = 1/1024", 1 / 1024)):
        elbo = torch.tensor(-scale * (error + kl), requires_grad=True)
        passed = torch.exp(2 * elbo)
        passed.backward()
        print(f"{name:14s} {label:11s} expELBO = {passed:.3g}, and its slope {elbo.grad:.3g}")

# %% [markdown]
# Where expELBO is 0, so is its slope, and the encoder learns nothing from this image. The scale keeps the exponent in reach. It multiplies
# *every* ELBO, that of real images, too, so that the two parts of the loss stay comparable.
#
# ### The three betas
#
# Each ELBO has two parts, and so there are several weights. With $\mathrm{sse}$ summed over pixels and KL summed over latent dimensions, the
# encoder minimizes
#
# $$L_E = \overline{s\,\left(\beta_\mathrm{rec}\,\mathrm{sse}(x, x_\mathrm{rec}) + \beta_\mathrm{kl}\,\mathrm{KL}(x)\right)}
# + \frac1\alpha\; \overline{\exp\left(-\alpha\, s\,\left(\beta_\mathrm{rec}\,\mathrm{sse}(y, y_\mathrm{rec}) + \beta_\mathrm{neg}\,\mathrm{KL}(y)\right)\right)}$$
#
# and the decoder
#
# $$L_D = \overline{s\,\left(\beta_\mathrm{rec}\,\mathrm{sse}(x, x_\mathrm{rec})\right)} + \overline{s\,\gamma\,\beta_\mathrm{kl}\,\mathrm{KL}(y)}.$$
#
# $x$ is a real image. $y$ is an image of the decoder's: half of them are reconstructions $x_\mathrm{rec}$, half are samples $x_p$.
# $y_\mathrm{rec}$ is what the decoder makes of the encoder's view of $y$: a *second* reconstruction. A bar is a mean over the batch, and
# for $y$ over both kinds. It stands outside of the exponential: each fake is judged by itself. (Published code also has a tiny term in
# $L_D$, $10^{-8}$ times $\mathrm{sse}(y, y_\mathrm{rec})$. We leave it out.)
#
# ### What does 256 mean?
#
# $\beta_\mathrm{neg}$ has to make up for the scale: a KL of ten nats, divided by 1,024, would be next to nothing in the exponent.

# %% [markdown] tags=["exercise"]
# Take a fake that is rebuilt without any error: it has only its KL. $L_E$ **pulls** the KL of a real image down, with a slope that is the same
# everywhere. It **pushes** the KL of a fake up, with a slope that fades as the KL grows. At which KL of the fake, in nats, are both slopes equally
# large? Images have 1 x 32 x 32 pixels, $\alpha = 2$, $\beta_\mathrm{kl} = 1$, $\beta_\mathrm{neg} = 256$. Answer with a number, to two decimals.

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_8_1 = 11.09
### END SOLUTION

# %% tags=["check"]
check("8.1")

# %% tags=["figure"]
recorded = {label: checkpoints.curves(name) for label, name in {
    "VAE": "vae_fashion_introspective", "IntroVAE": "intro_vae_fashion", "Soft-IntroVAE": "soft_intro_vae_fashion"}.items()}
usual = recorded["VAE"]["kl_real"][-1]
health.soft_threshold([1, 128, 256, 1024], scale=1 / 1024, marks={"real images": usual})

# %% [markdown]
# Where a solid line on the right crosses the dashed one, push and pull are equal. That is at
#
# $$\mathrm{KL}^* = \frac{\ln(\beta_\mathrm{neg} / \beta_\mathrm{kl})}{\alpha\, s\, \beta_\mathrm{neg}}$$
#
# An encoder that cannot tell fakes from real images gets both gradients on all of them, and keeps all of them near $\mathrm{KL}^*$ (or
# higher, where rebuilding real images needs more nats than that). So the line should cross well *above* the KL that real images need (the
# dotted line: what a plain VAE of these networks gives them). A larger $\beta_\mathrm{neg}$ pushes harder near 0, and fades sooner: *it is
# not simply more of the same, it moves the place where the game is played.* With the published 256 that place would be close to the dotted
# line, for images as simple as these. We took 128.
#
# ### The networks
#
# A block is two convolutions of 3 x 3, each with a normalization, beside a shortcut. The encoder averages 2 x 2 pixels after each block, the
# decoder repeats each pixel 2 x 2 times. The first two rows are the paper's sizes. The paper normalizes by batches. Our model normalizes by
# *groups* of channels, each image by itself; why is a story of its own, below.

# %%
def parameter_counts(label, config, shape):
    with torch.device("meta"):                                      # shapes without numbers: nothing is allocated
        model = SoftIntroVAE(config, shape)
    return {"networks": label} | {player: sum(p.numel() for p in model.parameters_of(player)) for player in model.players}

rows = [
    parameter_counts("CIFAR-10, 3 x 32 x 32", SoftIntroVAE.Config(latent_dim=128, widths=(64, 128, 256)), (3, 32, 32)),
    parameter_counts("MNIST, 1 x 28 x 28", SoftIntroVAE.Config(latent_dim=32, widths=(64, 128)), (1, 28, 28)),
    parameter_counts("ours, 1 x 32 x 32", soft.config, soft.data_shape),
]
figures.metric_table(rows, caption="Parameters", digits=8)

# %% [markdown]
# ## The step, line by line
#
# This is the algorithm of the paper in our notation. The encoder has the first turn, the decoder the second.
#
# | | line | who |
# |---|---|---|
# | 1 | $z \sim q(z \mid x)$, $x_\mathrm{rec} = D(z)$: rebuild real images | |
# | 2 | $z_p \sim \mathcal N(0, I)$, $x_p = D(z_p)$: sample | |
# | 3 | $q(z \mid y)$ for $y = x_\mathrm{rec}$ and $y = x_p$, cut off from the decoder: judge them | |
# | 4 | $y_\mathrm{rec} = D(z')$ with $z' \sim q(z \mid y)$: rebuild them, too | |
# | 5 | step down $L_E$ | **encoder moves** |
# | 6 | $x_\mathrm{rec} = D(z)$, $x_p = D(z_p)$ again, with the same codes | |
# | 7 | $q(z \mid y)$ for both, *not* cut off: by the encoder as it is now | |
# | 8 | step down $L_D$ | **decoder moves** |
#
# Two lines deserve a second look. In line 3 the images are cut off (`detach`): it is the encoder's turn, and what it thinks of a picture
# is not to change how it came about. In line 7 they are not: the gradient runs *through* the encoder, whose weights stay, back into the
# picture and into the decoder (chapter 07).

# %% [markdown] tags=["exercise"]
# Write the encoder's turn, lines 1 to 5 without the step itself. The two formulas of chapter 07 are given, for each image:
# `weighted_elbo_loss(error, kl, beta_rec=..., beta_kl=..., scale=...)` and `exp_elbo(error, kl, beta_rec=..., beta_neg=..., scale=...)`, both
# `(B,)`, and `sse(x, y)`. The value *and* the gradient have to be right: mind what is cut off, and what is not.

# %% tags=["exercise"]
def encoder_turn(encode, decode, x, z_p, noise, beta_rec, beta_kl, beta_neg, scale):
    """L_E on a batch of images, with alpha = 2. Its gradient is the encoder's.

    encode: (B, C, H, W) -> Posterior, with .sample(noise), .mean and .kl(). decode: (B, Z) -> (B, C, H, W). x: (B, C, H, W).
    z_p: (B, Z), codes of the prior. noise: (3, B, Z): of q(z|x); of the second pass of x_rec; of that of x_p. Returns a scalar."""
    ### BEGIN SOLUTION
    q = encode(x)
    rec, fake = decode(q.sample(noise[0])), decode(z_p)                                # lines 1 and 2
    loss = weighted_elbo_loss(sse(x, rec), q.kl(), beta_rec=beta_rec, beta_kl=beta_kl, scale=scale).mean()
    for image, e in zip((rec, fake), noise[1:], strict=True):
        y = image.detach()
        view = encode(y)                                                               # line 3
        again = decode(view.sample(e))                                                 # line 4
        loss = loss + exp_elbo(sse(y, again), view.kl(), beta_rec=beta_rec, beta_neg=beta_neg, scale=scale).mean() / 4
    return loss
    ### END SOLUTION

# %% tags=["check"]
check("8.2")

# %% [markdown]
# The whole step, with your turn of the encoder and all that the algorithm names:

# %%
def by_the_book(model, update, x, z_p, noise):
    """One step of the algorithm: each line computes what it names. x: (B, C, H, W). z_p: (B, Z). noise: (3, B, Z)."""
    encode, c, s, codes = model.posterior, model.config, model.scale, []

    def decode(z):
        codes.append(z)
        return model.decoder(z)

    update("encoder", encoder_turn(encode, decode, x, z_p, noise, c.beta_rec, c.beta_kl, c.beta_neg, s))               # 1 to 5
    z = next(code for code in codes if code is not z_p).detach()                       # of the real images, from line 1
    rec, fake = decode(z), decode(z_p)                                                 # 6
    pulled = (encode(rec).kl() + encode(fake).kl()).mean() / 2                         # 7: not detached
    update("decoder", s * (c.beta_rec * sse(x, rec).mean() + c.gamma * c.beta_kl * pulled))                            # 8

# %% [markdown]
# And this is the step of the package:

# %%
print(inspect.getsource(SoftIntroVAE.play))

# %% [markdown]
# It has no line 6. The decoder has not moved since lines 1 and 2, so it would paint the same pictures again. Is that all that differs? Let both
# take one step from the same weights with the same noise, and count how often each network runs. (In float64, so that rounding stays
# small.)

# %%
def one_step(step_of):
    """How far one step moves the weights of a small model, and how often each network ran."""
    model = methods.build("soft-intro-vae", SoftIntroVAE.Config(latent_dim=8, widths=(8, 16)), train.shape, seed=0).double().train()
    draws = torch.randn(4, 16, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)    # z_p, and three of noise
    optimizers = {player: torch.optim.SGD(model.parameters_of(player), lr=0.1) for player in model.players}
    runs = dict.fromkeys(model.players, 0)
    for player in runs:
        getattr(model, player).register_forward_hook(lambda *_, player=player: runs.update({player: runs[player] + 1}))

    def update(player, loss, retain_graph=False):
        optimizers[player].zero_grad()
        loss.backward(retain_graph=retain_graph, inputs=model.parameters_of(player))
        optimizers[player].step()

    model.noise = lambda *shape: draws                                                  # what the package draws
    before = torch.nn.utils.parameters_to_vector(model.parameters()).clone()
    step_of(model, update, train.floats(slice(0, 16)).double(), draws)
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach() - before.detach(), runs

book, book_runs = one_step(lambda model, update, x, draws: by_the_book(model, update, x, draws[0], draws[1:]))
package, package_runs = one_step(lambda model, update, x, draws: model.play(x, update))
print(f"the step moves a weight by up to {book.abs().max():.1e}; largest difference between the two {(book - package).abs().max():.1e}")
print("passes by the book:   ", book_runs)
print("passes of the package:", package_runs)

# %% [markdown]
# (With the tiny term of the published code two more passes of the decoder come on top.) `each_posterior` and `each_image` are about which
# images share a batch, further below. `bootstrap` and `gamma_r` belong to the last section. `take_turns`, `corrupted`, `shown`,
# `decoders_turn`, `adapted` and the label switches do nothing before chapter 09.
#
# ## Health signs
#
# A VAE's loss falls, and that is good. In a game the losses of both players say little: each of them may rise because the *other* one got
# better. What should one watch? The recorded run of the model above (the curves are the recorded ones in every mode). For the first 1,001
# steps, its **warm-up**, it was trained as a plain VAE; the game, and the curves of fakes, begin after them:

# %% tags=["figure"]
health.health_signs(recorded["Soft-IntroVAE"], score="fd_fashion", title="Soft-IntroVAE on Fashion-MNIST, the recorded run")

# %% [markdown]
# These are the signs of chapter 07, and a third one. Each can be read while a run is still going on:
#
# | sign | if not |
# |---|---|
# | KL of reconstructions and samples *at or above* that of real images | the encoder does not tell them apart: it cannot, or is not asked to |
# | expELBO neither near 1 nor 0 to many digits | near 1 fakes pass as real; at 0 the encoder learns nothing from fakes any more, and what remains is a VAE |
# | KL of real images *in reach*, some ten or twenty nats | nothing pulls real images to the prior: codes drawn from it will belong to no image |
#
# The score in the right panel is what one wants in the end, but it takes thousands of samples. The two panels on the left cost nothing: they
# are terms of the step.
#
# ### A run that turns
#
# The same networks, data, batches, rate and weights of the loss. One setting differs: this Adam remembers, with the usual $\beta_1 = 0.9$ and
# $\beta_2 = 0.999$. The run above had 0 and 0.9, as the GANs of chapter 04. (Recorded; its warm-up was one step shorter, and it was stopped after
# 8,000 of 12,000 steps.)

# %% tags=["figure"]
health.health_signs(checkpoints.curves("soft_intro_vae_fashion_momentum"), score="fd_fashion", title="The same game with momentum")

# %% [markdown]
# At first it looks like a slower copy. At step 4,000 the score turns, and soon the signs say why. The KL of real images falls, that of fakes
# rises, expELBO sinks below a thousandth: the encoder tells the two apart with ease, and hardly learns from fakes any more. The decoder is
# pulled hard, and does not follow. A first sign was there long before the score turned: from step 2,000 on the encoder judges reconstructions and
# samples apart. In the run above these two lines stay together.
#
# Momentum adds up the gradients of the last ten steps or so; in a game those lead to where the opponent *was*. (It is one run of each. That
# momentum *always* does this, these curves do not show.)
#
# ## What breaks: one flag each
#
# Chapter 07 asked you for the illness. Now find the *cause*. Four runs, live: a small network, the same data, batches and seed. One has the right
# settings. In each of the other three *one* number of the configuration is wrong.

# %% tags=["figure"]
LIVE = {"steps": 40, "batch_size": 32, "lr": 2e-3, "log_every": 2}
patients = {letter: recipes.quick(chapter_08.patient(letter), train, **LIVE) for letter in "ABCD"}
health.clinic({f"run {letter}": history for letter, (_, history) in patients.items()}, title="One of them is healthy")

# %% [markdown] tags=["exercise"]
# Which run has which setting? Answer with four letters in one text, in this order: the one where *all is as it should be*; the one with
# `beta_neg = 1` (as if the scale did not matter); the one with `beta_neg = 16384`; the one with `beta_kl = 0`. For example `"ABCD"`.

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_8_3 = "BCDA"
### END SOLUTION

# %% tags=["check"]
check("8.3")

# %%
for letter in "ABCD":
    setting, sign = chapter_08.SIGNS[letter]
    print(f"run {letter}: {setting}. {sign[0].upper()}{sign[1:].replace('*', '')}.")

# %% tags=["figure"]
figures.samples({f"run {letter}": model for letter, (model, _) in patients.items()}, 12, columns=12, title=f"After {LIVE['steps']} steps")

# %% [markdown]
# After so few steps the pictures of a healthy run and of an ill one can look alike. Their signs do not.
#
# ## Why are samples worse in eval mode?
#
# A frequent complaint of people who train a Soft-IntroVAE: *while it trains, samples look fine; then I call `model.eval()`, and they are
# spoiled.* Here it is in a mild form, on a model that differs from the one above by one flag: `norm="batch"`, as published. Its weights are
# the same in each row, and so are the codes.

# %% tags=["figure"]
def with_statistics(model, statistics):
    """A copy of the model that uses these statistics in eval mode."""
    return use_statistics(copy.deepcopy(model), statistics)

by_batch = recipes.obtain("soft_intro_vae_fashion_batch", MODE)
z = torch.randn(128, by_batch.latent_dim, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    in_train_mode = copy.deepcopy(by_batch).train().decode(z)                           # each image is normalized by this batch
views = {name: with_statistics(by_batch, name) for name in ("running", "estimated")}
pictures = {"train mode": in_train_mode} | {f"eval, {name}": model.decode(z) for name, model in views.items()}
image_rows({name: images[:12] for name, images in pictures.items()}, title="One set of weights, three kinds of statistics")

# %% [markdown]
# Look at the shoes. **Batch norm** normalizes with a mean and a variance. In train mode they are those of the batch. In eval mode they are
# statistics that were kept from before, and which ones is *one flag* here: `running`, the averages that batch norm itself keeps during
# training, or `estimated`, which we come to. Now the numbers, with the instrument of chapter 05: the Fréchet distance in the features of
# our classifier.

# %%
fashion = feature_network("fashion")                                                    # frozen, in eval mode
N = 1000                                                                                # samples of each model
order = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))

def features_of(batches):
    """Features of batches of 8-bit images, (N, 128)."""
    return torch.cat([fashion.extract(images.float() / 255) for images in batches])

def moments_of(features):
    found = Moments()
    found.add(features)
    return found

def fd(model, **how):
    """fd_fashion of N samples against 5,000 real images."""
    return reference.distance(moments_of(features_of(generate(model, N, **how))))

def error_of(model):
    """The mean squared error of its reconstructions of 500 held-out images, summed over pixels."""
    with torch.no_grad():
        return torch.cat([sse(x, model.decode(model.encode(x).mean)) for x in held_out.split(250)]).mean().item()

real = features_of(test.images[order[:5000 + N]].split(500))                            # (6000, 128)
reference = moments_of(real[:5000])
held_out = test.floats(order[:500])                                                     # for squared errors

rows = []
for name, model, how in (("batch norm, train mode", by_batch, {"train_mode": True}), ("batch norm, eval mode, running", views["running"], {}),
                         ("batch norm, eval mode, estimated", views["estimated"], {}), ("group norm, either mode", soft, {})):
    error = error_of(copy.deepcopy(model).train("train_mode" in how))
    rows.append({"normalization": name, "fd_fashion": fd(model, **how), "squared error of reconstructions": error})
figures.metric_table(rows, caption=f"{N:,} samples against 5,000 real images; real against real {reference.distance(moments_of(real[5000:])):.2f}")

# %% [markdown]
# Compare the two rows of eval mode. Nothing but the flag differs, and with the running averages samples are about twice as far from real images.
#
# **Why.** The encoder sees three kinds of images in a step: real ones, reconstructions and samples, one batch after the other. The decoder
# sees codes of real images, codes of the prior, and codes of its own pictures. Batch norm's running averages take all of them in: a
# compromise, and not right for samples. They also lag behind weights that move. Below, one dot for each channel of each batch norm: its
# running standard deviation, and what it is for the *one* kind of input that eval mode is for.

# %% tags=["figure"]
def deviations(network):
    """(running, estimated) standard deviations of all channels of a network's batch norms."""
    layers = batch_norms(network)
    return tuple(torch.cat([getattr(layer, name).sqrt() for layer in layers]) for name in ("running_var", "estimated_var"))

health.statistics_apart({"decoder": deviations(by_batch.decoder), "encoder": deviations(by_batch.encoder)}, title="Standard deviations of the channels")

# %% [markdown]
# The encoder's are nearly right. The decoder's are too large in many channels, and it is the decoder that paints samples.

# %% [markdown]
# ### Who shares a batch

# %% [markdown] tags=["exercise"]
# A colleague makes the step faster. In place of three passes of the encoder there is one, over real images, reconstructions and
# samples together. Without batch norm that would be right. With it, the KL of a *real* image changes when the fakes
# beside it do: run this cell and the one below it, whose two numbers ought to be equal. Mend `judge`.

# %% tags=["exercise"]
def judge(encoder, x, rec, fake):
    """KL of real images, of reconstructions and of samples, as the encoder sees them in training: three times (B,).

    encoder: a network in train mode, (B, C, H, W) -> (B, 2 Z), mean and logvar side by side. x, rec, fake: (B, C, H, W)."""
    ### BEGIN BUG
    # mean, logvar = encoder(torch.cat([x, rec, fake])).chunk(2, 1)                    # one pass is faster than three
    # return kl_standard_normal(mean, logvar).chunk(3)
    ### END BUG
    ### BEGIN SOLUTION
    return tuple(kl_standard_normal(*encoder(images).chunk(2, 1)) for images in (x, rec, fake))
    ### END SOLUTION

# %%
x = test.floats(slice(0, 32))
fakes = by_batch.sample(32, generator=torch.Generator().manual_seed(0))
company = {"reconstructions and samples": (by_batch.reconstruct(x), fakes), "black images": (torch.zeros_like(x), torch.zeros_like(x))}
for name, (rec, fake) in company.items():
    with torch.no_grad():
        kl = judge(copy.deepcopy(by_batch.encoder).train(), x, rec, fake)[0]
    print(f"32 real images beside {name:28s} mean KL {kl.mean():.3f} nats")

# %% tags=["check"]
check("8.4")

# %% [markdown]
# The package's step passes each kind apart for this reason (`each_posterior` in its source above).
#
# ### The cure
#
# The weights are fine, so no training is needed. What is needed are the *right averages*: over real images for the encoder, over codes of
# the prior for the decoder, with the weights as they are at the end. Some forward passes give them.

# %% [markdown] tags=["exercise"]
# Write it. For each batch norm in `norms`, `running_mean` and `running_var` shall become the *plain* mean, over the given batches, of what
# the layer sees in train mode. Every batch counts the same, and nothing is left of the old statistics. All else has to be as before:
# weights, modes, and each layer's `momentum`.

# %% tags=["exercise"]
def reestimate(network, norms, batches):
    """Measure the statistics of eval mode again, in place.

    network: a module in eval mode. norms: its batch norm layers. batches: a list of inputs. Returns nothing."""
    ### BEGIN SOLUTION
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None                # PyTorch then keeps the plain mean since the reset: weights 1, 1/2, 1/3, ...
        layer.train()
    with torch.no_grad():
        for batch in batches:
            network(batch)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
    ### END SOLUTION

# %% tags=["check"]
check("8.5")

# %% [markdown]
# Take the spoiled copy, the one with the running averages, and cure it with *your* function: twenty batches for each network.

# %%
cured, generator = copy.deepcopy(views["running"]), torch.Generator().manual_seed(1)
reestimate(cured.decoder, batch_norms(cured.decoder), [torch.randn(128, by_batch.latent_dim, generator=generator) for _ in range(20)])
reestimate(cured.encoder, batch_norms(cured.encoder), [train.floats(rows_) for rows_ in torch.randperm(len(train), generator=generator)[:2560].split(128)])
same = all(torch.equal(a, b) for a, b in zip(cured.parameters(), by_batch.parameters(), strict=True))
print(f"weights unchanged: {same}; fd_fashion {fd(cured):.2f}, with the package's own estimate {rows[2]['fd_fashion']:.2f}, spoiled {rows[1]['fd_fashion']:.2f}")

# %% [markdown]
# `estimated` is this, done by the package before every evaluation, from forty batches, and stored in the checkpoint. It is *not* train mode: an
# image no longer depends on the images beside it.
#
# Look at the table's last column, too. For *reconstructions* the cure is no cure: they got worse. They are decoded from codes of real images,
# and the decoder's statistics are now those of codes of the prior. If that is the reason, a model with the cured encoder and the old decoder
# must rebuild as well as before:

# %%
encoder_only = with_statistics(by_batch, "estimated")
use_statistics(encoder_only.decoder, "running")
print(f"squared error, both running {error_of(views['running']):.1f}, only the encoder's estimated {error_of(encoder_only):.1f}, both {error_of(views['estimated']):.1f}")

# %% [markdown]
# It does. One set of statistics cannot be right for both.
#
# ### Or no statistics at all
#
# The other way out is a norm that has no statistics of batches: **group norm** (`norm="group"`) normalizes each image by itself, in either
# mode alike. That is what the model of this chapter has. Compare the two games *while they train*:

# %% tags=["figure"]
norms = {"group norm": recorded["Soft-IntroVAE"], "batch norm": checkpoints.curves("soft_intro_vae_fashion_batch")}
health.clinic(norms, title="One flag apart: the recorded runs")

# %% tags=["figure"]
scores_over_steps({label: [run] for label, run in norms.items()}, "fd_fashion", title="Their samples, in eval mode with estimated statistics")

# %% [markdown]
# The games are alike: both encoders end with fakes ten nats or more above real images, and their samples end up about equally good. So it
# is not the game that group norm makes better here, but what is left of it: a model that is one and the same in training, in sampling and
# in reconstructing.
#
# ## IntroVAE: the hinge on images
#
# The older game has a hard threshold in place of the exponential (Huang et al. 2018): the encoder pushes the KL of fakes up to a **margin** $m$,
# $\left[m - \mathrm{KL}\right]_+$, and no further. The same networks, data and number of steps:

# %% tags=["figure"]
intro = recipes.obtain("intro_vae_fashion", MODE)
print(f"margin {intro.config.margin:g} nats, weight of the error {intro.config.beta_rec:g}")
health.health_signs(recorded["IntroVAE"], score="fd_fashion", title="IntroVAE on Fashion-MNIST, the recorded run")

# %% [markdown]
# Read it by the same questions. For 5,000 steps the KL of fakes stays below half of the margin, and the score falls. Then this KL climbs to the
# margin itself, far above that of real images. The hinges all but vanish: the encoder hardly pushes any more, and what is left of its loss
# is a VAE's. From step 6,500 on the score gets no better. (One run with one margin: with another it may end elsewhere. The exponential has a
# scale to choose, too, $\beta_\mathrm{neg}$. But its push fades, and does not end.)
#
# ## The same questions as ever
#
# **Reconstruct.** The same images, three models with the same networks:

# %% tags=["figure"]
three = {"VAE": models["VAE"], "IntroVAE": intro, "Soft-IntroVAE": soft}
figures.reconstructions(three, some)

# %% [markdown]
# **Sample.** With the GAN of chapter 04 beside them, whose networks are others and smaller. (Its generator has batch norm, with running averages:
# in a GAN's game a generator sees codes of one kind only.)

# %% tags=["figure"]
four = {**three, "GAN, hinge": recipes.obtain("gan_fashion_hinge_s0", MODE)}
figures.samples(four, 12, columns=12)

# %% [markdown]
# **Interpolate.** A GAN cannot: it has no encoder that would say where two given pictures lie.

# %% tags=["figure"]
figures.interpolation_strip(three, some[0], some[5])

# %% [markdown]
# **Measure.** All in eval mode, with equal numbers of samples. Precision asks whether fakes are like real images, recall whether all kinds are
# there (chapter 05). The squared error is that of 500 held-out images.

# %%
features = {name: features_of(generate(model, N)) for name, model in four.items()}
rows = []
for name, model in four.items():
    row = {"model": name, "fd_fashion": reference.distance(moments_of(features[name]))}
    row |= {key: value for key, value in precision_recall_density_coverage(real[:N], features[name]).items() if key in ("precision", "recall")}
    if model.has_encoder:
        row["squared error"] = torch.cat([sse(x, model.reconstruct(x)) for x in held_out.split(250)]).mean().item()
    row["parameters"] = sum(p.numel() for p in model.parameters())
    rows.append(row)
best = {"fd_fashion": "min", "precision": "max", "recall": "max", "squared error": "min"}
figures.metric_table(rows, best=best, caption=f"{N:,} samples; fd_fashion against 5,000 real images", digits=3)

# %%
vae_row, soft_row = rows[0], rows[2]
print(f"Soft-IntroVAE against the VAE: {soft_row['fd_fashion'] / vae_row['fd_fashion']:.2f} times its distance, "
      f"{soft_row['squared error'] / vae_row['squared error']:.2f} times its squared error")

# %% [markdown]
# The VAE minimizes the *sum* of squared error and KL. Soft-IntroVAE's error is smaller here because it spends about twice the nats (counted
# below); its sum is the larger one. What the game adds is seen in the other columns. And the price is work: its step has nine passes (counted
# above) where a VAE's has two. The recorded runs, a ring at the lowest value of each:

# %% tags=["figure"]
scores_over_steps({label: [run] for label, run in recorded.items()}, "fd_fashion", title="The same score over the steps, recorded")

# %% [markdown]
# **Where is the information?** The nats of each latent dimension:

# %% tags=["figure"]
figures.kl_per_dimension(three, test.floats(slice(0, 1000)))

# %% [markdown]
# ### Play
#
# The same panel as in every chapter. Press *Random* several times with *truncation* at 1, then at 0.5 and at 1.5, first for the VAE, then for
# Soft-IntroVAE. Which of them still paints garments at 1.5? At 0.5, what have the pictures lost? Then start from an image, and find the
# slider that changes the *kind* of garment.

# %% tags=["widget"] alt="Panel with a menu of three models, a garment, its reconstruction and one slider for each of the six latent dimensions that carry most"
widgets.LatentExplorer(dict(reversed(three.items())), test)

# %% [markdown]
# ### Small data: emoji
#
# The VAE and the VAE-GAN of chapter 06, and a Soft-IntroVAE, on the same emoji, none of which was seen in training. The third model has
# other networks than the first two, so compare the *kind* of their mistakes.

# %% tags=["figure"]
emoji = data.load("noto-emoji", "test", size=32)
on_emoji = {"VAE": recipes.obtain("vae_emoji", MODE), "VAE-GAN": recipes.obtain("vae_gan_emoji", MODE), "Soft-IntroVAE": recipes.obtain("soft_intro_vae_emoji", MODE)}
figures.show(figures.reconstructions(on_emoji, emoji.floats(range(0, len(emoji), len(emoji) // 9))[:9], title="Held-out emoji"))
figures.samples(on_emoji, 12, columns=12)

# %% [markdown]
# This time the game has not helped: its samples are splotches like those of the other two, and it rebuilds new emoji worse than both. There
# are only a few thousand emoji to train on. Chapter 09 will show that its encoder has learned *by heart* which pictures are real, how to see
# that in time, and what helps.
#
# ## The bootstrap variant
#
# In line 4 the decoder rebuilds its own pictures, and its newest mistakes are in both, the picture and its reconstruction. The **bootstrap** variant
# lets another decoder do line 4: the **target**, a copy of the decoder that is renewed only now and then, once an epoch in the paper. Now the
# decoder can also learn from $\mathrm{sse}(y, y_\mathrm{rec})$: $L_D$ has one more term,
# $\overline{s\,\gamma_r\,\beta_\mathrm{rec}\,\mathrm{sse}(y, D'(z'))}$ with the target $D'$ and $\gamma_r = 1$. Its gradient reaches the decoder
# through $y$, and through the encoder's view $z'$ of it.

# %% tags=["figure"]
config = SoftIntroVAE.Config(**chapter_08.SMALL, bootstrap=20, gamma_r=1.0)
_, history = recipes.quick(config, train, **LIVE)
health.clinic({"run B, as before": patients["B"][1], "with a target decoder": history}, title="The same small network, a target renewed every 20 steps")

# %% [markdown]
# In forty steps of so small a network one only sees that the curves swing more. What is asked for is another thing: a decoder that hears what
# is wrong with its own pictures, and a reconstruction of them in which, for a while, its newest mistakes are not as well.

# %% [markdown] tags=["exercise"]
# A colleague writes the warm-up (a plain VAE, as above) of the bootstrap variant. The loss falls, and nobody notices anything until the
# game begins. Run this cell and the one below it: what has not moved? Find out why, and mend it.

# %% tags=["exercise"]
def warm_up(encoder, decoder, target, optimizers, x, noise):
    """One step of the warm-up: a plain VAE of encoder and decoder. After it the target is a copy of the decoder.

    optimizers: the encoder's and the decoder's. x: (B, ...). noise: (B, Z). Returns the loss, detached: the mean over the batch of sse + KL."""
    mean, logvar = encoder(x).chunk(2, 1)
    z = mean + noise * (logvar / 2).exp()
    ### BEGIN BUG
    # rec = target(z)
    ### END BUG
    ### BEGIN SOLUTION
    rec = decoder(z)
    ### END SOLUTION
    loss = (sse(x, rec) + kl_standard_normal(mean, logvar)).mean()
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    target.load_state_dict(decoder.state_dict())
    return loss.detach()                     # a tensor: reading it as a number would wait for the device in every step

# %%
torch.manual_seed(0)
encoder, decoder = IntrospectiveEncoder(train.shape, (8, 16), 16), IntrospectiveDecoder(train.shape, (8, 16), 8)
target = copy.deepcopy(decoder)
weights = {"encoder": (encoder, copy.deepcopy(encoder)), "decoder": (decoder, copy.deepcopy(decoder))}
optimizers = [torch.optim.Adam(part.parameters(), lr=3e-3) for part in (encoder, decoder)]
losses = [warm_up(encoder, decoder, target, optimizers, train.floats(torch.randint(len(train), (32,))), torch.randn(32, 8)) for _ in range(30)]
print(f"loss {losses[0]:.0f} in the first step, {torch.stack(losses[-5:]).mean():.0f} over the last five")
for name, (now, then) in weights.items():
    moved = max((a - b).abs().max().item() for a, b in zip(now.parameters(), then.parameters(), strict=True))
    print(f"{name}: no weight has moved by more than {moved:.3f}")

# %% tags=["check"]
check("8.6")

# %% [markdown]
# ## Key points
#
# - One scale for every ELBO, 1 / (channels x height x width), keeps expELBO away from 0. The mean comes after the exponential.
# - beta_neg decides at which KL a fake still passes: 256 / 1024 in the exponent, times alpha.
# - The decoder learns *through* the encoder; the encoder judges pictures that are cut off. Nothing need be painted twice.
# - Watch the KLs of real images, reconstructions and samples, and expELBO. The losses of a game tell little.
# - Batch norm's running averages mix what the game shows a network. Measure them again, over the one kind of input that eval mode is for, or
#   normalize each image by itself.
# - Real images and fakes pass a network with batch norm in batches of their own.
# - Check that every optimizer holds the network that its loss is about.
#
# **Next:** chapter 09 asks what happens when there are few pictures, and how augmentation helps.
#
# ## Further reading
#
# - Daniel and Tamar, *Soft-IntroVAE: Analyzing and Improving the Introspective Variational Autoencoder*, arXiv 2012.13253: the paper.
# - Huang et al., *IntroVAE: Introspective Variational Autoencoders for Photographic Image Synthesis*, arXiv 1807.06358: the hinge.
# - Ulyanov, Vedaldi and Lempitsky, *It Takes (Only) Two: Adversarial Generator-Encoder Networks*, arXiv 1704.02304: the game without a
#   discriminator, before both.
# - Ioffe and Szegedy, *Batch Normalization*, arXiv 1502.03167; Wu and He, *Group Normalization*, arXiv 1803.08494.
# - Wu and Johnson, *Rethinking "Batch" in BatchNorm*, arXiv 2105.07576: which batch, and statistics measured again.
# - Grill et al., *Bootstrap Your Own Latent*, arXiv 2006.07733: a slow copy as a target.

# %%
progress()

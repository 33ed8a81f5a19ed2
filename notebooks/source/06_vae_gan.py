# ---
# title: VAE-GAN
# question: How should two pictures be compared, if *not* pixel by pixel?
# minutes: 120
# goals:
#   - say why the squared error blurs, and show it by an experiment of one pixel
#   - compare pictures in the features of a discriminator
#   - write the three losses of a VAE-GAN, and prove by gradients who sees which
#   - find a gradient that reaches the wrong player, and a beta that two means have hidden
#   - edit a picture by attribute vectors, and measure how often it works
# prerequisites:
#   - chapter 02 (the VAE, and sums and means in its loss)
#   - chapter 04 (the discriminator, the non-saturating and the minimax loss)
# checkpoints: [vae_emoji, vae_gan_emoji]
# modes:
#   LOAD: loads the shipped models (under a minute on two CPU cores)
#   FAST: trains both models for 400 steps (some 3 minutes; the pictures are then worse, and so are the edits)
#   FULL: trains both models as their recipes say (an hour or more on one CPU core)
# ---

# %% tags=["setup"]
import copy
import inspect
from dataclasses import replace

import torch
from torch.nn.functional import mse_loss, softplus
from torchvision.transforms.functional import gaussian_blur

from course_utils import data, figures, recipes, widgets
from course_utils.exercises import check, progress
from course_utils.figures import vae_gan as drawn
from course_utils.methods import VAEGAN
from course_utils.methods.vae_gan import decoder_gan_loss, discriminator_loss
from course_utils.metrics.attributes import attribute_success, contrast, posterior_means

train, test = (data.load("noto-emoji", split, size=32) for split in ("train", "test"))
names = test.attributes["name"]
PICKED = ["winking face with tongue", "thumbs up: medium-dark skin tone", "woman gesturing NO: light skin tone",
          "woman with headscarf: medium skin tone", "man elf: medium skin tone", "tiger", "taxi", "sheaf of rice", "rose", "flag: Germany"]
some = test.floats([names.index(name) for name in PICKED])  # (10, 3, 32, 32), in [0, 1]

# %% [markdown]
# ## The question, in one picture
#
# Two models with the same encoder and the same decoder, trained for the same number of steps on the same emoji. The first is the
# VAE of chapter 02. The second is a **VAE-GAN** (Larsen et al. 2016): it compares an image with its reconstruction in another way, and
# that is what this chapter is about. None of these ten emoji was seen in training. (Inside, both work with pixels in $[-1, 1]$, so the
# VAE's squared error counts four times as much as in chapter 02. The numbers below are for $[0, 1]$, as everywhere in the course.)

# %% tags=["figure"]
models = {"VAE": recipes.obtain("vae_emoji", MODE), "VAE-GAN": recipes.obtain("vae_gan_emoji", MODE)}
vae, gan = models.values()
figures.reconstructions(models, some)

# %% [markdown]
# Look first, and read the numbers afterwards. Which row looks more like emoji? And which row has the smaller squared error? If your two
# answers differ, the squared error does not measure what you see. (Neither row is sharp: both models are small.)
#
# ## Why the squared error blurs
#
# Take an emoji, and make two copies of it. One is moved to the right by *one* pixel. The other is blurred.

# %% tags=["figure"]
def squared_error(x, y):
    """Summed over the pixels: (B, C, H, W) twice -> (B,)."""
    return (x - y).square().flatten(1).sum(1)

def copies_of(x):
    return {"moved by 1 pixel": x.roll(1, dims=3), "blurred": gaussian_blur(x, 9, 1.5)}

drawn.measured_copies(some, copies_of(some), {"squared error": squared_error}, title="Which copy is nearer to the original?")

# %%
everything = test.floats()
distances = {name: squared_error(everything, moved) for name, moved in copies_of(everything).items()}
for name, values in distances.items():
    print(f"{name:18s} squared error {values.mean():5.1f}")
nearer = distances["blurred"] < distances["moved by 1 pixel"]
print(f"the blurred copy is the nearer one for {nearer.float().mean():.0%} of {len(test)} held-out emoji")

# %% [markdown]
# The moved copy has every line and every color of the original, and to you it is the same picture. To the squared error the blurred one
# is nearer: it compares each pixel with the pixel *in the same place*, and along an edge all of them have changed.
#
# So what does a decoder do that is trained with this error? Chapter 03 showed that a code tells only what is worth its nats. Assume that
# it does not tell whether the emoji stands one pixel to the left, in the middle, or one pixel to the right. The decoder can paint one
# of the three, or their mean:

# %%
three = torch.stack([everything.roll(k, dims=3) for k in (-1, 0, 1)])                       # (3, N, C, H, W), equally likely
def expected_error(guess):
    return torch.stack([squared_error(guess, x) for x in three]).mean()

print(f"paint the one in the middle: expected squared error {expected_error(three[1]):.1f}")
print(f"paint the mean of the three: expected squared error {expected_error(three.mean(0)):.1f}")

# %% [markdown]
# The mean wins, and always will: the point with the smallest expected squared error *is* the mean. A mean of pictures is a blurred
# picture. So blur is no lack of training. It is what this loss asks for wherever the code leaves something open.
#
# ## A similarity that is learned
#
# What we want is a space in which a picture moved by a pixel stays where it is, and a blurred one does not. Chapter 04 has trained a
# network for something close to that. A discriminator has to tell real pictures from painted ones. Blur gives a painted picture away,
# its place does not, so the features inside a discriminator should notice the one and not mind the other.
#
# Take the features of one layer, $\mathrm{Dis}_l(x)$: here 64 channels at 8 x 8 positions, from its third convolution of four. And use
# them as chapter 02 used pixels: let the likelihood be a Gaussian *in feature space*, with variance 1,
#
# $$p(\mathrm{Dis}_l(x) \mid z) = \mathcal N(\mathrm{Dis}_l(x_\mathrm{rec}),\, I), \qquad
# L_\mathrm{feat} = -\log p(\mathrm{Dis}_l(x) \mid z) = \tfrac12 \left\| \mathrm{Dis}_l(x) - \mathrm{Dis}_l(x_\mathrm{rec}) \right\|^2 + \text{const}$$
#
# where $x_\mathrm{rec}$ is the reconstruction.

# %% [markdown] tags=["exercise"]
# Write this loss, without the constant. Mind the rule of chapter 02 about sums and means: what is summed here?

# %% tags=["exercise"]
def feature_loss(f_real, f_rec):
    """L_feat in nats without its constant: the features of each image against those of its reconstruction.

    f_real, f_rec: (B, C, H, W), features of layer l. Returns (B,)."""
    ### BEGIN SOLUTION
    return 0.5 * (f_real - f_rec).square().flatten(1).sum(1)
    ### END SOLUTION

# %% tags=["check"]
check("6.1")

# %% [markdown]
# Now the experiment of one pixel again, in the features of the trained discriminator. Features have a unit of their own, so compare each
# distance with a common one: the mean distance between two *different* emoji.

# %% tags=["figure"]
@torch.no_grad()
def features(x):
    """Dis_l of images (B, 3, H, W) in [0, 1]: (B, C', H', W')."""
    return gan.judge(gan.to_network(x))[0][0]

def learned_distance(x, y):
    return feature_loss(features(x), features(y))

measures = {"squared error": squared_error, "L_feat": learned_distance}
others = everything[torch.randperm(len(everything), generator=torch.Generator().manual_seed(0))]
rows = []
for name, measure in measures.items():
    unit, apart = measure(everything, others).mean(), {kind: measure(everything, x) for kind, x in copies_of(everything).items()}
    rows.append({"measure": name} | {kind: (values.mean() / unit).item() for kind, values in apart.items()})
    rows[-1]["blurred / moved"] = rows[-1]["blurred"] / rows[-1]["moved by 1 pixel"]
    rows[-1]["moved copy nearer"] = f"{(apart['moved by 1 pixel'] < apart['blurred']).float().mean():.0%}"
print(figures.metric_table(rows, caption="Distance to the original; 1 is the distance between two different emoji"))
drawn.measured_copies(some, copies_of(some), measures, title="The same two copies, measured twice")

# %% [markdown]
# Read *blurred / moved*: above 1 a measure minds the blur more than the move, on average. The squared error minds the move more,
# $L_\mathrm{feat}$ the blur, barely. The last column counts: under $L_\mathrm{feat}$ the moved copy is the nearer one for many more emoji,
# and for many it still is not. And compare the two numbers for the move. In features the moved copy is *farther* from its original,
# measured by the distance of two different emoji. So the order turns on average, and yet this small discriminator has not learned to
# ignore place.
#
# ## Three players, three losses
#
# So we need a discriminator inside a VAE. It is trained beside the other two networks, as in chapter 04, and it gets to see two kinds
# of painted pictures: reconstructions $x_\mathrm{rec}$, and samples $x_p$, decoded from the prior. With logits $d$:
#
# | player | minimizes | in words |
# |---|---|---|
# | encoder | $L_\mathrm{prior} + L_\mathrm{feat}$ | the VAE's loss: the KL, and the error, in features |
# | decoder | $\gamma\, L_\mathrm{feat} + L_\mathrm{GAN}$ | stay true to the image, and be taken for real |
# | discriminator | $L_\mathrm{dis}$ | tell real from painted |
#
# with $L_\mathrm{prior} = \mathrm{KL}(q(z \mid x)\,\|\,p(z))$ and
#
# $$L_\mathrm{dis} = -\log\sigma(d_x) - \log(1 - \sigma(d_\mathrm{rec})) - \log(1 - \sigma(d_p)), \qquad
# L_\mathrm{GAN} = -\log\sigma(d_\mathrm{rec}) - \log\sigma(d_p).$$
#
# The last one is the non-saturating form of chapter 04. (The paper writes the minimax form, $-L_\mathrm{dis}$ without its first term.)

# %% tags=["figure"]
drawn.players()

# %% [markdown]
# Two arrows are missing, and that is the point:
#
# - **The encoder sees nothing of $L_\mathrm{GAN}$.** Its job is to describe the image, not to choose codes that flatter the decoder.
# - **The discriminator sees nothing of $L_\mathrm{feat}$.** The cheapest way to make features of $x$ and $x_\mathrm{rec}$ agree is to
#   be blind to what sets the two apart. ("What breaks", below, lets it.)

# %% [markdown] tags=["exercise"]
# Write the decoder's loss. The feature loss of each image is given, and the logits of reconstructions and of samples. Use
# `softplus`: $-\log\sigma(d) = \mathrm{softplus}(-d)$.

# %% tags=["exercise"]
def decoder_loss(feat, d_rec, d_fake, gamma):
    """gamma * L_feat + L_GAN, non-saturating, mean over the batch.

    feat: (B,), L_feat of each image. d_rec, d_fake: (B,), logits of reconstructions and of samples. Returns a scalar."""
    ### BEGIN SOLUTION
    return (gamma * feat + softplus(-d_rec) + softplus(-d_fake)).mean()
    ### END SOLUTION

# %% tags=["check"]
check("6.2")

# %% [markdown] tags=["exercise"]
# A colleague writes the discriminator's loss. The formula is right, and the discriminator learns. But the decoder behaves as if there
# were no discriminator at all. Their loop clears all gradients once per iteration; then it calls `backward()` on the
# discriminator's loss and on the decoder's GAN term, here in the paper's minimax form; then all optimizers step. Run this cell and the
# one below it, which prints the norm of the gradient that each network holds. What is left for the decoder, and why? Mend the mistake.

# %% tags=["exercise"]
def discriminator_loss_of(discriminator, x, rec, fake):
    """The discriminator's loss, mean over the batch. Its gradient must reach the discriminator alone.

    discriminator: (B, C, H, W) -> features and logits (B,). x, rec, fake: (B, C, H, W), images, reconstructions, samples; the decoder
    has made the last two. Returns a scalar."""
    ### BEGIN BUG
    # d_real, d_rec, d_fake = (discriminator(images)[1] for images in (x, rec, fake))
    ### END BUG
    ### BEGIN SOLUTION
    d_real, d_rec, d_fake = (discriminator(images)[1] for images in (x, rec.detach(), fake.detach()))
    ### END SOLUTION
    return (softplus(-d_real) + softplus(d_rec) + softplus(d_fake)).mean()

# %%
student = copy.deepcopy(gan).requires_grad_(True)
x, noise = student.to_network(some), torch.randn(len(some), student.latent_dim, generator=torch.Generator().manual_seed(1))

def gradient_of(part):
    """The norm of the gradient that lies in a network's weights, ready for its optimizer's next step."""
    return torch.cat([p.grad.flatten() for p in part.parameters() if p.grad is not None] or [torch.zeros(1)]).norm()

for kind in ("minimax", "non-saturating"):
    student.zero_grad()
    rec, fake = student.decoder(student.posterior(x).mean), student.decoder(noise)
    discriminator_loss_of(student.discriminator, x, rec, fake).backward(retain_graph=True)
    print(f"{kind:15s} after the discriminator's backward(): discriminator {gradient_of(student.discriminator):8.4f}, decoder {gradient_of(student.decoder):8.4f}")
    logits = [student.discriminator(images)[1] for images in (rec, fake)]
    decoder_gan_loss(*logits, kind=kind).mean().backward()
    print(f"{kind:15s} after the decoder's backward(), too: decoder {gradient_of(student.decoder):8.4f}")

# %% tags=["check"]
check("6.3")

# %% [markdown]
# In the minimax game one player's gain is the other's loss, so the two gradients that met in the decoder were opposite numbers. With the
# non-saturating form they did not cancel completely. There the same mistake is harder to see: some gradient is left.
#
# ### Who sees which: a proof by gradients
#
# The package's training step does it without a `detach`: each loss is sent to one player alone.

# %%
print(inspect.getsource(VAEGAN.step))

# %% [markdown]
# Is the table above what this step *does*? Ask the gradients. Compute the four terms apart, and the gradient of each with respect to each
# player's weights. Then run the step, catch the gradient that each player is handed, and solve for the weights with which the four
# are mixed in it. (In float64, so that rounding stays small.)

# %%
def terms_of(model, x):
    """The four terms of the paper on images x (B, C, H, W) in [0, 1], and nothing else: {name: scalar}."""
    x = model.to_network(x)
    q = model.posterior(x)
    z, z_p = q.sample(model.noise(*q.mean.shape).to(x)), model.noise(*q.mean.shape).to(x)   # of the image, of the prior: (B, Z)
    rec, fake = model.mean_image(model.decoder(torch.cat([z, z_p]))).chunk(2)
    (f_real, f_rec, _), (d_real, d_rec, d_fake) = model.judge(x, rec, fake)
    terms = {"L_prior": q.kl(), "L_feat": feature_loss(f_real, f_rec)}
    terms |= {"L_GAN": decoder_gan_loss(d_rec, d_fake), "L_dis": discriminator_loss(d_real, d_rec, d_fake)}
    return {name: values.mean() for name, values in terms.items()}

def slope(model, player, loss):
    """The gradient of a loss with respect to a player's weights, as one long vector."""
    parameters = model.parameters_of(player)
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(parameters, found, strict=True)])

exact = copy.deepcopy(gan).double().requires_grad_(True).train()
handed = {}
exact.rng = torch.Generator().manual_seed(0)
exact.step(some.double(), lambda player, loss, retain_graph=False: handed.update({player: slope(exact, player, loss)}))
exact.rng = torch.Generator().manual_seed(0)                                                # the same noise once more
terms = terms_of(exact, some.double())
rows = []
for player in exact.players:
    slopes = torch.stack([slope(exact, player, loss) for loss in terms.values()], 1)        # (weights, 4)
    mixed = torch.linalg.lstsq(slopes, handed[player][:, None], driver="gelsd").solution[:, 0]
    rows.append({"player": player} | {name: f"{round(m.item(), 4) + 0.0:g}" if s.norm() else "no gradient" for name, m, s in zip(terms, mixed, slopes.T, strict=True)})
figures.metric_table(rows, caption=f"What each player is handed, as a mixture of the four terms (gamma is {gan.config.gamma:g})")

# %% [markdown]
# Read the rows as the table of losses. Note what "0" means here, in contrast to "no gradient": $L_\mathrm{GAN}$ *has* a gradient with respect
# to the encoder, and so has $L_\mathrm{feat}$ with respect to the discriminator. It is there, and it is not used.
#
# ### The networks
#
# All three are plain convolutions with kernels of 5 (6 where the decoder doubles the size) and batch normalization. With one channel,
# 64 x 64 pixels and 128 latents this is the architecture of the paper. Ours is the same in small, for emoji of 32 x 32.

# %%
def parameter_counts(label, config, shape):
    with torch.device("meta"):                                      # shapes without numbers: nothing is allocated
        model = VAEGAN(config, shape)
    return {"networks": label} | {player: sum(p.numel() for p in model.parameters_of(player)) for player in model.players}

rows = [
    parameter_counts("the paper's, 1 x 64 x 64", VAEGAN.Config(latent_dim=128, network="vae-gan64"), (1, 64, 64)),
    parameter_counts("ours, 3 x 32 x 32", gan.config, gan.data_shape),
]
figures.metric_table(rows, caption="Parameters")

# %% [markdown]
# ### A beta that nobody wrote

# %% [markdown] tags=["exercise"]
# A public implementation trains the paper's networks: 128 latents, and features of 256 channels at 8 x 8 positions. There, the encoder's
# loss is
#
# ```python
# kl = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).mean()        # over batch and latents
# loss = kl + 5 * mse_loss(f_rec, f_real)                        # mean over batch and features
# ```
#
# No beta is in sight. But write the loss as a constant times ($L_\mathrm{feat} + \beta\, L_\mathrm{prior}$), with both terms summed as in this
# chapter. Which $\beta$ is it? Answer with a number.

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_6_4 = 12.8
### END SOLUTION

# %% tags=["check"]
check("6.4")

# %% [markdown]
# A gradient can say it, too. The same loss on *our* model: its gradient in the encoder is a mixture of those of $L_\mathrm{feat}$ and
# $L_\mathrm{prior}$, and $\beta$ is the ratio of the two weights. Our networks have other sizes, so it is another $\beta$: whoever
# changes the width of a network, under such a loss, changes beta.

# %%
x = exact.to_network(some.double())
q = exact.posterior(x)
(f_real, f_rec), _ = exact.judge(x, exact.decoder(q.mean))
theirs = slope(exact, "encoder", q.kl_per_dim().mean() + 5 * mse_loss(f_rec, f_real))
apart = torch.stack([slope(exact, "encoder", loss) for loss in (feature_loss(f_real, f_rec).mean(), q.kl().mean())], 1)
feat_weight, kl_weight = torch.linalg.lstsq(apart, theirs[:, None], driver="gelsd").solution[:, 0]
sizes = f_real[0].numel(), gan.latent_dim
print(f"from the gradients: beta = {kl_weight / feat_weight:.4f}; from the sizes, {sizes[0]} / (2 x 5 x {sizes[1]}) = {sizes[0] / (10 * sizes[1]):g}")

# %% [markdown]
# ## Pixel by pixel, or by features
#
# Now compare the two models fairly: same held-out emoji, both errors for both. And one measure that neither was trained with:
# **edges**, the squared differences between neighboring pixels, as a share of those in the original. Below 1 a picture is
# smoother than the original. Above 1 it has edges that the original has not.

# %%
def edges(x):
    """Squared differences between neighboring pixels, summed: (B, C, H, W) -> (B,)."""
    return x.diff(dim=2).square().flatten(1).sum(1) + x.diff(dim=3).square().flatten(1).sum(1)

rebuilt = {name: model.reconstruct(everything) for name, model in models.items()}
errors = {measure: tuple(f(everything, y) for y in rebuilt.values()) for measure, f in measures.items()}
rows = [
    {"model": name, **{measure: pair[i].mean().item() for measure, pair in errors.items()},
     "edges, share of the original's": (edges(y).sum() / edges(everything).sum()).item()}
    for i, (name, y) in enumerate(rebuilt.items())
]
figures.metric_table(rows, best={"squared error": "min", "L_feat": "min"}, caption=f"{len(test)} held-out emoji")

# %% tags=["figure"]
drawn.paired_errors(errors, ("VAE", "VAE-GAN"), title="Each dot is a held-out emoji; below the line the VAE-GAN is nearer")

# %% [markdown]
# Each model wins in its own measure and loses in the other. Both lose edges, the VAE more of them. But some of the
# VAE-GAN's edges are speckles that the original does not have. Look at its reconstructions again.
#
# Neither error can be the referee: each of them is the loss of one of the two. And the second one is measured with the VAE-GAN's *own*
# discriminator, on which its decoder was trained. (Another VAE-GAN would have other features. Never compare $L_\mathrm{feat}$ between
# runs.) The edges take no side, but they see sharpness alone, not whether a line is in its place.
#
# **Samples** from the prior, the same codes for both:

# %% tags=["figure"]
figures.samples(models, 12, columns=12)

# %% [markdown]
# Look at the two rows with the two questions of chapter 05. Does a sample look like an emoji (precision)? Are they as different as emoji
# are (recall)? The first answer is short: neither row shows emoji yet. Both are small models. Sharp is not yet right.
#
# ## What gamma does
#
# $\gamma$ is a price again, as beta was in chapter 03. It stands in the decoder's loss alone, and says how much being true to the image
# counts against being taken for real. Its size has no meaning by itself: $L_\mathrm{feat}$ is a sum over many features, a
# logit is one number.
#
# To see what it does, we take the trained model and *go on* training it for a moment, three times from the same weights, on the same
# batches: with the gamma it was trained with, with none, and with a hundred times as much. The weights go on; the optimizers begin anew.

# %% tags=["figure"]
def go_on(gamma, steps=30, sees_feat=False):
    """Train a copy of the VAE-GAN further: (the copy in eval mode, its terms as columns)."""
    model = copy.deepcopy(gan).requires_grad_(True).train()
    model.config = replace(model.config, gamma=gamma)
    model.rng = torch.Generator().manual_seed(0)                    # the same batches and the same noise for all
    optimizers = {p: torch.optim.RMSprop(model.parameters_of(p), lr=1e-4) for p in model.players}
    losses, history = {}, []

    def update(player, loss, retain_graph=False):
        losses[player] = loss
        if player == "discriminator" and sees_feat:                 # the flag of "What breaks"
            loss = loss + losses["encoder"]                         # L_prior + L_feat; the first does not depend on this player
        optimizers[player].zero_grad()
        loss.backward(retain_graph=True, inputs=model.parameters_of(player))
        optimizers[player].step()

    for _ in range(steps):
        x = train.floats(torch.randint(len(train), (32,), generator=model.rng))
        history.append({name: value.item() for name, value in model.step(x, update).items()})
    return model.eval().requires_grad_(False), {name: [row[name] for row in history] for name in history[0]}

own = gan.config.gamma
runs = {f"γ = {gamma:g}": go_on(gamma) for gamma in (own, 0.0, 100 * own)}
drawn.gamma_runs({name: history for name, (_, history) in runs.items()}, {"sse": "squared error, pixels in [-1, 1]", "gan": "L_GAN of the decoder"},
                 marked=f"γ = {own:g}", title="Three ways to go on")

# %% tags=["figure"]
figures.reconstructions({"before": gan, **{name: model for name, (model, _) in runs.items()}}, some, title="Held-out emoji, after going on")

# %% [markdown]
# First the jump at the start (the thin lines). It is there with the model's own gamma, too, so gamma does not make it: the optimizers have
# just begun. RMSprop divides a gradient by its running size, this size starts at 0, and so the first steps are far too long. Compare the
# runs with each other, not with step 0.
#
# With $\gamma = 0$ nothing in the decoder's loss knows *which* image to paint. Its reconstructions are thrown off, and come back only in
# part. Does it at least fool the discriminator better? Not in 30 steps: $L_\mathrm{GAN}$ is about the same for the three. With a hundred
# times the weight hardly anything changes. So at the gamma of this model $L_\mathrm{feat}$ has most of the say already: of the two ends,
# a GAN whose encoder works for nothing and a VAE with another error, it is near the second. Gamma says where between them a model is.
#
# ## What breaks: a ruler that is paid for small numbers
#
# One flag: the discriminator is trained on $L_\mathrm{feat}$, too. It sounds reasonable, because everybody would like this loss to be
# small. Before you run the cell: whose work will make it small?

# %% tags=["figure"]
broken, broken_history = go_on(own, sees_feat=True)
sound, sound_history = runs[f"γ = {own:g}"]
both = {"as it should be": sound_history, "sees L_feat": broken_history}
drawn.gamma_runs(both, {"feat": "L_feat", "sse": "squared error, pixels in [-1, 1]"}, marked="as it should be", title="One flag apart")

# %%
for name, model in (("as it should be", sound), ("sees L_feat", broken)):
    with torch.no_grad():
        a, b = (model.judge(model.to_network(x))[0][0] for x in (everything, others))
    print(f"{name:16s} L_feat between two different emoji, on average: {feature_loss(a, b).mean():6.1f}")

# %% [markdown]
# $L_\mathrm{feat}$ falls as never before, and the reconstructions stop improving. The features have not fallen silent: two *different*
# emoji are almost as far apart as before. What they no longer see is what separates a picture from its reconstruction. That is the one
# thing they were there for. A ruler must have no interest in what it reads.
#
# ## Attributes
#
# Sharper pictures were one promise of the paper; the other is that one can calculate with codes. Unicode says of many emoji which skin
# tone, gender and hair they show, and draws the same person in several ways. Such **twins** differ in one attribute alone, by their
# description. An **attribute vector** is the mean step from one twin to the other.
#
# By their description: look at the shirts in the next picture. The men wear teal, the women purple. Shirt and gender are **confounded**:
# whatever differs along with an attribute, the vector learns it, too. And so may a judge that has learned from such pictures.

# %% tags=["figure"]
people, shows, twins, _ = contrast(train, "gender", "woman", "man")
rows_of = {key: [i for i, twin in enumerate(twins) if twin == key] for key in dict.fromkeys(twins)}
pairs = [sorted(rows, key=lambda i: shows[i].item()) for rows in rows_of.values() if len(rows) == 2 and shows[rows].sum() == 1][:60:6]
figures.image_grid(torch.cat([people.floats([pair[k] for pair in pairs]) for k in (0, 1)]), columns=len(pairs),
                   title="Twins: a man above, a woman below",
                   alt="Ten pairs of emoji, above a man and below a woman in the same role and with the same skin tone.")

# %% [markdown] tags=["exercise"]
# You get the codes of many images, whether each shows the attribute, and for each a key: images with the same key are twins. Within each
# key, take the mean code *with* the attribute minus the mean code *without*; then take the mean over keys. A key may hold several images
# of a kind, or none: one that lacks a kind is skipped.

# %% tags=["exercise"]
def attribute_vector(codes, has, twins):
    """The mean step from a picture without the attribute to its twin with it: (Z,).

    codes: (N, Z). has: bool (N,), whether image i shows the attribute. twins: N keys."""
    ### BEGIN SOLUTION
    steps = []
    for key in dict.fromkeys(twins):                               # each key once, in order
        same = torch.tensor([twin == key for twin in twins])
        if has[same].any() and not has[same].all():
            steps.append(codes[same & has].mean(0) - codes[same & ~has].mean(0))
    return torch.stack(steps).mean(0)
    ### END SOLUTION

# %% tags=["check"]
check("6.5")

# %% [markdown]
# Three vectors for each model, from training emoji. Then take a *held-out* emoji, encode it, add the vector some number of
# times, and decode:

# %% tags=["figure"]
SLIDERS = {
    "skin tone: light to dark": ("skin_tone", "dark", "light"),
    "gender: man to woman": ("gender", "woman", "man"),
    "hair: as drawn to bald": ("hair", "bald", "none"),
}
vectors = {name: {} for name in models}
for label, question in SLIDERS.items():
    images, has, twins, _ = contrast(train, *question)
    for name, model in models.items():
        vectors[name][label] = attribute_vector(posterior_means(model, images), has, twins)
start = names.index("woman elf: light skin tone")
drawn.attribute_strips(models, test.floats(start), vectors, title="woman elf: light skin tone, with each vector added -2 to +2 times")

# %% [markdown]
# Read the strips. The gender vector mostly turns the shirt. The hair vector brings skin color and a face along: all its twins come from
# one plain person, so it has never seen hair change on anybody else.
#
# ### Play
#
# One slider per attribute; set several at once. Try a picture that has no skin at all, such as the taxi: what does "darker skin" mean
# there? The panel shows the models of this notebook's MODE.

# %% tags=["widget"] alt="Panel with a menu of emoji, one slider each for skin tone, gender and hair, and the original, its reconstruction and the edited picture"
thumb = names.index("thumbs up: medium-dark skin tone")
widgets.AttributeExplorer(dict(reversed(models.items())), vectors, test, start=thumb)

# %% [markdown] tags=["exercise"]
# Stay with the **VAE-GAN** and the emoji *thumbs up: medium-dark skin tone*. It has a skin tone, and neither gender nor hair. Set *one*
# slider at a time to exactly 1, the others at 0, and read the squared error to the reconstruction, under the picture. Which attribute
# changes the picture most: `"skin tone"`, `"gender"` or `"hair"`? Guess first. (The check knows the shipped model, so do this in LOAD
# mode. Without a live kernel, compare the columns 0 and +1.)

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_6_6 = "hair"
### END SOLUTION

# %% tags=["check"]
check("6.6")

# %% [markdown]
# A hand has no hair, and yet. A vector is the mean step between *other* pictures, here of plain persons. What it does to a picture of
# another kind, nobody has asked.
#
# ### How often does it work?
#
# A picture in a paper shows the best case. To count, we need a judge: a logistic regression on pixels and colors, trained on *real* emoji
# to tell, say, women from men. It never judges an emoji of a family (a **base**, such as "elf" in all its tones and genders) it was
# trained on, and the vector comes from other families, too. Then take the emoji *without* the attribute and ask how often the judge
# sees it
#
# - in the plain reconstruction (*unedited*): how often it errs,
# - after a step of the same length in a **random direction**: how often *any* edit convinces it,
# - after the step along the vector (*edited*).
#
# Only the difference between the last two is the vector's merit. All hair emoji are drawn on *one* base, a plain person. There the
# families are skin tones instead, a weaker split: the judge knows the haircuts of the held-out tone from the others. (The
# *models* have seen nine tenths of these emoji in training.)

# %%
every = data.load("noto-emoji", "all", size=32)
rows = []
for label, question in SLIDERS.items():
    images, has, twins, groups = contrast(every, *question)
    if question[0] == "hair":                                       # the plain person alone, split by skin tone
        bald = {base for base, shown in zip(groups, has.tolist(), strict=True) if shown}
        kept = [i for i, base in enumerate(groups) if base in bald]
        images, has, twins = images.subset(torch.tensor(kept)), has[kept], [twins[i] for i in kept]
        groups = images.attributes["skin_tone"]
    for name, model in models.items():
        found = attribute_success(model, images, has, groups, twins=twins)
        rows.append({"attribute": label, "model": name, "images": found.images, "judge on real": found.judge_real, "judge on rec.": found.judge_rec,
                     "unedited": found.unedited, "random": found.random, "edited": found.edited})
figures.metric_table(rows, digits=2, caption="Shares. Judge on real and on reconstructions: balanced accuracy; then how often the judge sees the attribute")

# %% [markdown]
# Read *edited* against *random*, never alone. A random step of the same length convinces the judge about as often as no step, so the rest
# is the direction's merit. On skin tone the VAE edits better, on gender the two are about even, and so they are on the few pictures with
# hair. So on these counts the VAE-GAN does not edit better.
#
# Then look to the left. On gender the judge errs on *real* pictures already; reconstructions cost it little more. Such a rate counts what
# the *judge* can see of what the *model* can paint. And the judge may look at the shirt.
#
# ## Key points
#
# - The squared error compares pixels in the same place. A picture moved by one pixel is farther away than a blurred one.
# - The best answer under squared error is the mean, and a mean of pictures is blurred.
# - Dis_l, the features of a discriminator, is a learned space to compare pictures in. It changes from run to run.
# - Encoder: L_prior + L_feat. Decoder: gamma L_feat + L_GAN. Discriminator: L_dis. Each gradient goes to one player.
# - Gamma weighs being true to the image against being taken for real.
# - Sum over features and over latents; two means instead hide a beta.
# - An error is no referee for a model that was trained on it.
# - To say that an edit works, show the judge's accuracy on real pictures, and a random direction beside the vector.
#
# **Next:** chapter 07 makes do without the third network: the encoder itself becomes the judge.
#
# ## Further reading
#
# - Larsen et al., *Autoencoding beyond pixels using a learned similarity metric*, arXiv 1512.09300: the paper.
# - Dosovitskiy and Brox, *Generating Images with Perceptual Similarity Metrics based on Deep Networks*, arXiv 1602.02644: features of a
#   classifier in the same place.
# - Johnson, Alahi and Fei-Fei, *Perceptual Losses for Real-Time Style Transfer and Super-Resolution*, arXiv 1603.08155.
# - Zhang et al., *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric*, arXiv 1801.03924: how well such distances agree
#   with people.
# - Blau and Michaeli, *The Perception-Distortion Tradeoff*, arXiv 1711.06077: why no model can win in both measures.
# - Dumoulin et al., *Adversarially Learned Inference*, arXiv 1606.00704: an encoder that does take part in the game.

# %%
progress()

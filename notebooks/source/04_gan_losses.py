# ---
# title: The losses of GANs
# question: What does a generator learn from a *critic*, and what does the choice of the loss change?
# minutes: 120
# goals:
#   - write a critic's and a generator's step, and say which network each loss reaches
#   - derive the critic's best answer, and check it by numbers
#   - say for each of five losses who stops learning, and where
#   - count the modes that a generator covers, and judge a published claim over seeds
#   - catch a collapse with a curve that its last point does not show
# prerequisites:
#   - chapter 02 (a decoder that is sampled by decoding noise)
#   - a sigmoid, cross-entropy, the chain rule
# checkpoints: [vae_fashion_z32, gan_fashion_minimax_s0, gan_fashion_non-saturating_s0, gan_fashion_lsgan_s0, gan_fashion_wgan-gp_s0, gan_fashion_hinge_s0]
# modes:
#   LOAD: loads the shipped models (under a minute on two CPU cores)
#   FAST: trains each of the five GANs for 400 steps (some 10 minutes)
#   FULL: trains each GAN as its recipe says, 4,000 steps (15 to 40 minutes each on one CPU core)
# ---

# %% tags=["setup"]
import inspect
import math

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from course_utils import checkpoints, data, figures, games, methods, recipes, widgets
from course_utils.data.points import density, mixture, points
from course_utils.exercises import check, progress
from course_utils.figures import games as game_figures
from course_utils.figures import gan as gan_figures
from course_utils.methods import GAN
from course_utils.methods.gan_losses import LOSSES

test = data.load("fashion-mnist-mini", "test")

# %% [markdown]
# ## The question, in one picture
#
# The decoders of chapters 01 to 03 were trained to reproduce images: each pixel had a target. A **generator** is a decoder that has no
# target. It never sees a real image. It turns noise into a picture, and a second network, the **critic** (also called the
# discriminator), says whether the picture looks real. The two are trained against each other: a **generative adversarial network**, GAN
# (Goodfellow et al. 2014). Compare what the two ways of training make of noise:

# %% tags=["figure"]
vae = recipes.obtain("vae_fashion_z32", MODE)
gan = recipes.obtain("gan_fashion_wgan-gp_s0", MODE)
real = test.floats(range(0, 360, 30))  # (12, 1, 32, 32), in [0, 1]
drawn = {"VAE": vae.sample(12, torch.Generator().manual_seed(1)), "GAN": gan.sample(12, torch.Generator().manual_seed(1))}
rows = torch.cat([real, *drawn.values()])
figures.image_grid(rows, 12, title="Real garments; below, decoded noise of a VAE, and of a GAN",
                   alt="Three rows of twelve: real garments, samples of a VAE, which are smooth, and samples of a GAN.")

# %% [markdown]
# A pixel-wise error rewards the mean of all images that may be meant, and a mean is blurred. A critic has seen that real images are not
# blurred. On the other hand there is no likelihood any more, no encoder, and no loss that says how far training has come. This
# chapter starts in one dimension, where everything can be seen, and comes back to images at the end.
#
# ## The game
#
# | symbol | meaning | shape in code |
# |---|---|---|
# | $z$ | noise, from $\mathcal N(0, I)$ | `(B, Z)` |
# | $G(z)$ | a **fake**, made by the generator | `(B, C, H, W)`, or `(B, D)` for points |
# | $d$ | the critic's **logit** of a sample: any real number, high for "real" | `(B,)` |
# | $D$ | $\mathrm{sigmoid}(d)$, the critic's probability that the sample is real | `(B,)` |
#
# The original game is a classification. The critic minimizes the cross-entropy of "real" and "fake",
#
# $$L_{\text{critic}} = -\mathbb E_{x \sim \text{data}}[\log D(x)] - \mathbb E_z[\log(1 - D(G(z)))],$$
#
# and the generator wants the opposite for its fakes. One training step is one update of the critic on real samples and new fakes, then
# one update of the generator. This is the package's own code for it (an `n_critic` above 1 gives the critic more updates):

# %%
# New: two players in one step, each with its own loss and its own optimizer.
print(inspect.getsource(GAN.step))
print(inspect.getsource(GAN.critic_step))

# %% [markdown]
# Now let it play, here, on one number: the real points come from two Gaussians, at -2 and 2. Generator and critic are small networks,
# the noise is one number, too. A hook films the game at 30 of its 600 steps.

# %% tags=["figure"]
PLAY = {"batch_size": 128, "lr": 2e-3, "betas": (0.0, 0.9), "lr_schedule": "linear"}
line = torch.linspace(-6, 6, 241)[:, None]  # (241, 1), where the critic is asked

def one_dimensional(loss, **changes):
    """A filmed game in one dimension."""
    config = GAN.Config(network="mlp", latent_dim=1, width=32, loss=loss, **changes)
    return games.filmed("two-gaussians", config, steps=600, frames=30, grid=line, **PLAY)[1]

films = {"non-saturating": one_dimensional("non-saturating")}
game_figures.game_frames(films, title="Two players on one line")

# %% [markdown]
# The fakes go where $D$ is high. The critic, which now sees fakes there, lowers $D$ in that place and raises it where reals are left
# alone. So the fakes move on, and spread. When both agree, $D$ is near one half wherever there are points: the critic can only guess.
#
# ### Play
#
# The same film, frame by frame, and beside it another one, where a single argument was changed: the loss is LSGAN's (you will meet it
# below; the blue line is the sigmoid of its score). Move the slider. When do the fakes find the second mode, if they do? What did $D$ look
# like between the modes just before?

# %% tags=["widget"] alt="Panel with a slider over the frames of two games in one dimension: the density of the real points, a histogram of the fakes, and the critic's D"
films["lsgan"] = one_dimensional("lsgan")
widgets.GameExplorer(films)

# %% [markdown]
# ## The critic's best answer
#
# Hold the generator still. The fakes then have some density $q(x)$, the real points have $p(x)$. At a single place $x$ the critic pays
# $-p \log D - q \log(1 - D)$. Set the derivative by $D$ to zero, $-p/D + q/(1 - D) = 0$, and solve:
#
# $$D^*(x) = \frac{p(x)}{p(x) + q(x)}$$
#
# Put it back into the loss. What is left is $\log 4 - 2\,\mathrm{JS}(p, q)$. Here $\mathrm{JS}$ is the **Jensen-Shannon divergence**, the
# mean of the KL from $p$ and the KL from $q$ to their average $\frac12(p + q)$. It is 0 if $p = q$, and $\log 2$ if they do not overlap.
# Is it true? Train a critic alone, against fakes whose density we know, and compare.

# %% tags=["figure"]
p, q = density("two-gaussians"), mixture([-1.0], 1.0)
p_x, q_x = p.log_density(line).exp(), q.log_density(line).exp()                   # (241,) each
best = p_x / (p_x + q_x)
critic = methods.build("gan", GAN.Config(network="mlp", latent_dim=1, width=32), (1,), seed=0).critic
adam, generator, trained = torch.optim.Adam(critic.parameters(), lr=3e-3), torch.Generator().manual_seed(0), {}
for step in range(1, 801):
    loss = LOSSES["minimax"].critic(critic(p.sample(256, generator)), critic(q.sample(256, generator)))
    loss.backward()
    adam.step()
    adam.zero_grad()
    if step in (20, 800):
        trained[f"{step} steps"] = critic(line).sigmoid().detach()

average, width = (p_x + q_x) / 2, 12 / 240
js = 0.5 * (torch.xlogy(p_x, p_x / average) + torch.xlogy(q_x, q_x / average)).sum() * width   # nats
with torch.no_grad():
    reached = LOSSES["minimax"].critic(critic(p.sample(100_000, generator)), critic(q.sample(100_000, generator)))
print(f"log 4 - 2 JS           {math.log(4) - 2 * js:.4f} nats")
print(f"the trained critic's   {reached:.4f} nats, on 100,000 new points of each kind")
game_figures.best_answer(line[:, 0], p_x, q_x, best, trained, title="A critic against fakes that stand still")

# %% [markdown]
# So a good critic knows the *ratio* of two densities, without knowing either of them. And against a perfect critic the generator of this
# game, which wants the opposite of the critic's loss, would minimize the Jensen-Shannon divergence. (In practice the critic is neither
# perfect nor still; the game is what was filmed above.)
#
# ## Five losses
#
# Where $p$ and $q$ do not overlap, JS is $\log 2$ however far apart they are. A perfect critic is then sure of every sample, and the
# generator's loss is flat: it knows that its fakes are bad, but not which way is better. Most losses after 2014 are answers to this.
# Each is a pair of functions of the logits:
#
# | loss | critic minimizes, mean over reals and fakes | generator minimizes |
# |---|---|---|
# | **minimax** | $\mathrm{softplus}(-d_{real}) + \mathrm{softplus}(d_{fake})$ | $-\mathrm{softplus}(d_{fake})$ |
# | **non-saturating** | the same | $\mathrm{softplus}(-d_{fake})$ |
# | **LSGAN** | $\frac12 (d_{real} - 1)^2 + \frac12 d_{fake}^2$ | $\frac12 (d_{fake} - 1)^2$ |
# | **WGAN-GP** | $d_{fake} - d_{real}$ + 10 times a penalty on the slope | $-d_{fake}$ |
# | **hinge** | $\max(0, 1 - d_{real}) + \max(0, 1 + d_{fake})$ | $-d_{fake}$ |
#
# with $\mathrm{softplus}(d) = \log(1 + e^d)$. The first row is the cross-entropy from above: $-\log \mathrm{sigmoid}(d) =
# \mathrm{softplus}(-d)$. The last three have no sigmoid at all: there, a logit is just a score.

# %% [markdown] tags=["exercise"]
# The generator of the **non-saturating** game minimizes $-\log D$ in place of $\log(1 - D)$. Write it for logits. Logits of -100 do occur,
# and the loss must be right there.

# %% tags=["exercise"]
def non_saturating(fake):
    """-mean log sigmoid(fake).

    fake: (B,), the critic's logits of the fakes. Returns a scalar, the mean over the batch."""
    ### BEGIN SOLUTION
    return softplus(-fake).mean()
    ### END SOLUTION

# %% tags=["check"]
check("4.1")

# %% [markdown] tags=["exercise"]
# A fake has the logit -6: the critic is sure. How hard does each of the five losses push this logit up, in the *generator's* step? Decide
# from the table, before you go on: which loss pushes least, and which most? Answer with two names, `("least", "most")`, out of
# `minimax`, `non-saturating`, `lsgan`, `wgan-gp`, `hinge`.

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_4_2 = ("minimax", "lsgan")
### END SOLUTION

# %% tags=["check"]
check("4.2")

# %% [markdown]
# Here is every push, minus the derivative of the loss by the logit, computed by autograd. (The orange dots lie on the purple line in the
# first panel, and the red dashes on the blue line in the others: these are the same functions.)

# %% tags=["figure"]
gan_figures.logit_gradients()

# %% [markdown]
# Read the panels from the left:
#
# - **minimax** stops pushing where the critic is sure (left end). That is the start of training, when fakes are bad. **Non-saturating** stops where
#   the critic is fooled (right end), when there is nothing left to do.
# - The critic of **hinge** stops at its margin: a real with a logit above 1, or a fake below -1, teaches it nothing more. Cross-entropy never
#   quite stops.
# - **LSGAN** pushes in both directions: a logit of 3 on a fake is "too real" and is pulled down.
# - **WGAN-GP** pushes the same everywhere. Its critic never has enough, so its slope must be held down by the penalty.
#
# But the logit is only half of the way. The other half is how the logit depends on the fake, and then on the generator's weights. To see
# both: let the critic of the one-dimensional game train alone against a generator that stands still, and look at the length of the
# whole gradient that each loss would send to the generator.

# %% tags=["figure"]
still = methods.build("gan", GAN.Config(network="mlp", latent_dim=1, width=32), (1,), seed=0)
line_points, generator = points("two-gaussians").floats(), torch.Generator().manual_seed(0)
adam = torch.optim.Adam(still.critic.parameters(), lr=2e-3, betas=(0.0, 0.9))
noise, when, sizes = torch.randn(512, 1, generator=generator), range(0, 301, 25), {name: [] for name in LOSSES}
for step in range(301):
    if step in when:
        for name, game in LOSSES.items():
            gradients = torch.autograd.grad(game.generator(still.critic(still.generator(noise))), list(still.generator.parameters()))
            sizes[name].append(torch.cat([g.flatten() for g in gradients]).norm().item())
    batch = line_points[torch.randint(len(line_points), (128,), generator=generator)]
    fakes = still.generator(torch.randn(128, 1, generator=generator)).detach()
    LOSSES["minimax"].critic(still.critic(batch), still.critic(fakes)).backward()
    adam.step()
    adam.zero_grad()
gan_figures.gradient_sizes(list(when), sizes, title="A critic that trains alone: minimax stays small, the others explode")

# %% [markdown]
# All five see the same critic. The better it gets, the longer the other gradients grow. Minimax's goes up and down and stays small, in
# the end shorter than the others by orders of magnitude. (Adam divides a gradient by its running size. That hides a small gradient,
# until it is small beside the noise of the batch.)
#
# ## Who sees which loss
#
# There are two networks and two losses, and each loss must reach one network only.

# %% [markdown] tags=["exercise"]
# A colleague writes the loop anew. Each network has an optimizer of its own, each optimizer steps and then clears its gradients. The
# fakes do find a mode, but they never spread. The printed numbers say more: just before the *generator's* backward pass, its weights
# should hold no gradient, yet they hold one. Run this cell and the one below it, find the mistake in the loss, and mend it.

# %% tags=["exercise"]
def critic_loss(critic, real, fake):
    """Cross-entropy of the critic: mean softplus(-critic(real)) + mean softplus(critic(fake)).

    critic: (B, D) -> logits (B,). real, fake: (B, D), fakes as the generator made them. Returns a scalar."""
    ### BEGIN BUG
    # return softplus(-critic(real)).mean() + softplus(critic(fake)).mean()
    ### END BUG
    ### BEGIN SOLUTION
    return softplus(-critic(real)).mean() + softplus(critic(fake.detach())).mean()
    ### END SOLUTION

# %%
pair = methods.build("gan", GAN.Config(network="mlp", latent_dim=1, width=32), (1,), seed=0)
adams = {player: torch.optim.Adam(pair.parameters_of(player), lr=2e-3, betas=(0.0, 0.9)) for player in pair.players}
generator = torch.Generator().manual_seed(0)
for step in range(300):
    batch = line_points[torch.randint(len(line_points), (128,), generator=generator)]
    critic_loss(pair.critic, batch, pair.generator(torch.randn(128, 1, generator=generator))).backward()
    adams["critic"].step()
    adams["critic"].zero_grad()
    held = sum(weight.grad.abs().sum().item() for weight in pair.parameters_of("generator") if weight.grad is not None)
    loss = non_saturating(pair.critic(pair.generator(torch.randn(128, 1, generator=generator))))
    loss.backward(inputs=pair.parameters_of("generator"))
    adams["generator"].step()
    adams["generator"].zero_grad()
    if step % 60 == 59:
        made = pair.sample(2000, torch.Generator().manual_seed(1))
        print(f"step {step + 1:3d}: fakes at {made.mean():5.2f}, spread {made.std():.2f}; in the generator before its own step: {held:.3g}")
print(f"the real points: at {line_points.mean():5.2f}, spread {line_points.std():.2f}")

# %% tags=["check"]
check("4.3")

# %% [markdown]
# In most loops nothing goes wrong visibly: the generator's gradients are cleared before its step, and the mistake only costs the time of
# a backward pass through the generator. With `zero_grad` after the step, as here, it trains a generator that helps the critic.
#
# ### The penalty
#
# The loss of WGAN estimates a distance between $p$ and $q$ (Wasserstein's) *if* the critic's slope is nowhere above 1 (Arjovsky et al.
# 2017). WGAN-GP asks for it by a penalty on the slope $\nabla_{\hat x} d(\hat x)$, at points $\hat x$ on the line between a real image and
# a fake (Gulrajani et al. 2017):
#
# $$10 \cdot \mathbb E\left[\left(\|\nabla_{\hat x}\, d(\hat x)\|_2 - 1\right)^2\right], \qquad \hat x = \varepsilon x + (1 - \varepsilon)\, G(z), \quad \varepsilon \sim U(0, 1)$$
#
# with one $\varepsilon$ and one length **for each sample**. That is also why such a critic has no BatchNorm: a sample's logit
# may not depend on the others.

# %% [markdown] tags=["exercise"]
# This critic is linear, with a slope of length 1 everywhere. So the penalty must be 0, for each batch. The function below gives
# something else. It makes two mistakes, both found in published code; the second does not show in this table. Find and mend both.

# %% tags=["exercise"]
def gradient_penalty(critic, real, fake):
    """Mean over the batch of (||slope of the critic||_2 - 1)^2, at one random point between each real and its fake.

    critic: (B, C, H, W) -> logits (B,). real, fake: (B, C, H, W). Returns a scalar with a gradient into the critic alone."""
    ### BEGIN BUG
    # eps = torch.rand(1, 1, 1, 1)
    ### END BUG
    ### BEGIN SOLUTION
    eps = torch.rand(len(real), 1, 1, 1)
    ### END SOLUTION
    mixed = (eps * real + (1 - eps) * fake).detach().requires_grad_()                  # (B, C, H, W)
    slope = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)[0]      # (B, C, H, W)
    ### BEGIN BUG
    # return (slope.norm() - 1).square()
    ### END BUG
    ### BEGIN SOLUTION
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()
    ### END SOLUTION

# %%
direction = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(0))
direction = (direction / direction.norm()).requires_grad_()
for size in (1, 4, 16, 64):
    penalty = gradient_penalty(lambda x: (direction * x).sum((1, 2, 3)), torch.rand(size, 1, 8, 8), torch.rand(size, 1, 8, 8))
    print(f"batch of {size:2d}: penalty {penalty:.4f}")

# %% tags=["check"]
check("4.4")

# %% [markdown]
# A third mistake of this kind is common: a cross-entropy for the critic, with this penalty added, under the name "WGAN-GP". It may well
# train (Fedus et al. 2017 do it on purpose). But it is the non-saturating game with a penalty, and its number is no Wasserstein distance.
#
# ### Labels
#
# A cross-entropy's best logit is infinite wherever there are reals and no fakes. A remedy from the first years is to aim reals at 0.9 in
# place of 1, **one-sided label smoothing** (Salimans et al. 2016).

# %% [markdown] tags=["exercise"]
# This critic trains against fakes that stand still. Its loss is a sum of two cross-entropies. It falls below zero, and goes on falling;
# the logits grow with it. Run this cell and the one below it, find the mistake, and mend it.

# %% tags=["exercise"]
def smoothed_critic_loss(real, fake, smoothing):
    """Cross-entropy of the critic with one-sided smoothing: reals aimed at 1 - smoothing, fakes at 0.

    real, fake: (B,), logits. smoothing: float in [0, 0.5). Returns a scalar: mean over reals plus mean over fakes."""
    ### BEGIN BUG
    # target = torch.full_like(real, 1 + smoothing)
    ### END BUG
    ### BEGIN SOLUTION
    target = torch.full_like(real, 1 - smoothing)
    ### END SOLUTION
    return binary_cross_entropy_with_logits(real, target) + binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))

# %%
judge = methods.build("gan", GAN.Config(network="mlp", latent_dim=1, width=32), (1,), seed=0).critic
adam, generator = torch.optim.Adam(judge.parameters(), lr=2e-3), torch.Generator().manual_seed(0)
for step in range(401):
    batch = line_points[torch.randint(len(line_points), (128,), generator=generator)]
    logits = judge(batch)
    loss = smoothed_critic_loss(logits, judge(-3 + 0.5 * torch.randn(128, 1, generator=generator)), 0.2)
    if step % 100 == 0:
        print(f"step {step:3d}: loss {loss:12.2f}, largest logit of a real {logits.max():12.2f}")
    loss.backward()
    adam.step()
    adam.zero_grad()

# %% tags=["check"]
check("4.5")

# %% [markdown]
# A game with swapped labels trains, too: the critic aims fakes at 1 and reals at 0, and the generator aims its fakes at 0. It is the same
# game with the sign of the logit turned. Swap them in *one* player's loss, and there is no game any more: both want the same for the
# fakes, and help each other to get it. Each network still learns. That a network trains does not show that its loss is right.
#
# ## What breaks: a critic in a hurry
#
# One argument: `critic_lr_factor=10`, a critic that learns ten times faster than the generator. Beside it the game from above. Where does
# the fast critic see reals and no fakes, and do the fakes get there?

# %% tags=["figure"]
hurried = {"equal rates": films["non-saturating"], "critic 10 x faster": one_dimensional("non-saturating", critic_lr_factor=10)}
game_figures.game_frames(hurried, title="One flag apart")

# %% [markdown]
# The fast critic is sure about the mode without fakes. But a fake learns only from the slope of $D$ *where it is*. This critic makes a
# cliff just beyond the last fake, at the right edge of the fakes. On their side of it $D$ is low, and at step 400 it even falls toward
# the cliff: such a slope sends the fakes back. So they stay in one mode: a **mode collapse**, in a game in which the critic does its job
# very well. A faster critic is not a better teacher.
#
# ## Two dimensions: counting modes
#
# Eight narrow Gaussians on a circle. A mode counts as **covered** if enough of the fakes lie within three standard deviations of its
# center: at least a tenth of its fair share. Beside the number of modes stands the share of fakes that lie near *any* mode. Here is one
# game, played now:

# %% tags=["figure"]
config = GAN.Config(network="mlp", latent_dim=2, width=64, loss="hinge")
_, plane, _ = games.filmed("8-gaussians", config, steps=1200, frames=12, **PLAY | {"batch_size": 256})
game_figures.planes(plane, title="A game in the plane, played now")

# %% [markdown]
# One run shows little: another seed gives another story. So the next figure is a record (`python -m course_utils.games` plays it again,
# in about ten minutes): five losses, five seeds each, and each game twice. Once the learning rates fall to zero during the run, once they
# stay. Networks, steps and batches are equal; WGAN-GP has its five critic steps for each of the generator's, so it sees five times the data.

# %% tags=["figure"]
record = games.recorded()
game_figures.mode_histories(record, title="8 Gaussians: modes covered, five seeds")

# %%
def row(loss, schedule):
    """One line of the table: what the five seeds of a loss and schedule cover at the end, and half way."""
    those = [game for game in record if (game["loss"], game["schedule"]) == (loss, schedule)]
    end, half = (torch.tensor([float(game["covered"][i]) for game in those]) for i in (-1, len(those[0]["covered"]) // 2 - 1))
    near = torch.tensor([game["within"][-1] for game in those])
    return {"loss": loss, "rate": schedule, "modes at the end": f"{end.mean():.1f} ± {end.std():.1f}", "each seed": " ".join(f"{m:.0f}" for m in end),
            "modes half way": f"{half.mean():.1f} ± {half.std():.1f}", "near a mode": f"{near.mean():.0%} ± {near.std():.0%}"}

figures.metric_table([row(loss, schedule) for schedule in games.SCHEDULES for loss in LOSSES],
                     caption="8 Gaussians, mean ± standard deviation over five seeds")

# %% [markdown]
# What do the papers say, and what does the record say? Beside each claim stand the modes that our five seeds cover at the end.

# %%
CLAIMS = {
    "minimax": "visits one of 8 modes after the other, never covers them all (Metz et al. 2016)",
    "non-saturating": "the same fixed point, stronger gradients early on (Goodfellow et al. 2014)",
    "lsgan": "more stable than the original game (Mao et al. 2016)",
    "wgan-gp": "trains stably, with almost no tuning (Gulrajani et al. 2017)",
    "hinge": "converges to an equilibrium (Lim and Ye 2017)",
}
seen = {(loss, rate): row(loss, rate)["each seed"] for loss in LOSSES for rate in games.SCHEDULES}
figures.metric_table([{"loss": loss, "claim": claim, **{f"{rate} rate": seen[loss, rate] for rate in games.SCHEDULES}}
                      for loss, claim in CLAIMS.items()], caption="What was claimed, and the modes that five seeds cover at the end, of 8")

# %% [markdown]
# Three readings of this table:
#
# - **Compare the two columns of a line before you compare two lines.** Nothing changes between the columns but the rates. With rates that
#   fall to zero the original game and LSGAN cover all modes in every run, non-saturating and hinge nearly all. With constant
#   rates no loss keeps all eight in every run, and the original game ends at one mode or none, as the claim says.
# - **A last number is one moment of a game.** Follow the lines of the second row: modes that were found are lost again. The original game
#   happens to end at a low point; a hundred steps earlier it covered several times as many, and would have looked more like the others.
# - **Equal steps are not equal everything.** WGAN-GP covers fewer modes here than the others do with falling rates, and differs most between
#   seeds. But its critic takes five steps for each of the generator's, and its paper uses a tenth of our rate. A comparison that suits
#   one loss may not suit another.
#
# None of this refutes a paper: their networks, rates and data were others. A claim about a loss is a claim about a loss *with* its optimizer,
# its rates and its number of steps, and one run of each shows nothing. A large study with equal budgets and many seeds found no loss that is consistently better
# than the others (Lucic et al. 2017).

# %% tags=["widget"] alt="Panel with menus for loss, learning rate and seed and a slider over recorded steps; a ring of eight dots shows how many fakes are near each mode"
widgets.ModeExplorer(record)

# %% [markdown] tags=["exercise"]
# Choose **hinge** with a **constant** rate in the panel. Of its five runs, how many end with *fewer* modes than they had covered before?
# (Without a live kernel: the thin lines of the last panel in the second row of the figure above show the same.) Answer with a number.

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_4_6 = 4
### END SOLUTION

# %% tags=["check"]
check("4.6")

# %% [markdown]
# Where a run is stopped decides what is reported of it. Keep that in mind for the images.
#
# ## Images
#
# Now Fashion-MNIST, in the same way: five losses with *equal* networks (a small residual pair), steps and batches, two seeds each. A
# generator has no held-out likelihood. So its samples are compared with real images by a distance, `fd_fashion`: the Fréchet distance
# between features of 5,000 samples and of the test images, in a classifier that this course trained. Chapter 05 takes this number apart;
# here it is enough that lower is better. It was measured every 400 steps. A star marks the best point of each run. (These curves are the recorded ones in every mode.)

# %% tags=["figure"]
curves = {loss: [checkpoints.curves(f"gan_fashion_{loss}_s{seed}") for seed in (0, 1)] for loss in LOSSES}
gan_figures.distance_curves(curves, title="Five losses, two seeds: distance over the generator's steps")

# %%
def ends(loss, seed):
    """A run's last and best distance."""
    run = curves[loss][seed]
    measured = run["fd_fashion"] == run["fd_fashion"]                      # NaN where it was not measured
    steps, values = run["step"][measured], run["fd_fashion"][measured]
    return {"run": f"{loss}, seed {seed}", "last": float(values[-1]), "best": float(values.min()),
            "best at step": int(steps[values.argmin()]), "last / best": float(values[-1] / values.min())}

figures.metric_table([ends(loss, seed) for loss in LOSSES for seed in (0, 1)], best={"last": "min", "best": "min", "last / best": "max"},
                     caption="fd_fashion of 5,000 samples; in bold the smallest distances, and the largest fall from a run's best")

# %% [markdown]
# Read each panel from its star to its end. Where the line climbs after the star, the last number tells of a worse generator than the
# run once had. Where the two seeds of a loss lie apart, one run of it shows little.
#
# A story, as it was reported; we have not checked it. A report on a course assignment (birds at 32 x 32) gives such last numbers: 146 for
# the original game, 53 for LSGAN. But its own plot shows the first run passing 49 some thousand steps earlier, and collapsing after it.
# The last numbers say that one loss is nearly three times worse; the curve says that its run was stopped too late. *A curve shows a
# collapse that a last number hides.* And it hides it either way: a run that is stopped just before its collapse looks as good as one that
# would never collapse.
#
# To choose the best point afterward is no way out: the smallest of many noisy measurements is too small by chance. Chapter 05 comes back to it.
# Here are samples of the last step of each loss, from the same noise:

# %% tags=["figure"]
five = {loss: recipes.obtain(f"gan_fashion_{loss}_s0", MODE) for loss in LOSSES}
figures.samples(five, 12, columns=12, title="The same noise, after the last step of each loss (seed 0)")

# %% [markdown]
# Look along a row: do garments repeat although the noise does not? A generator that has collapsed shows a few kinds of garment, or a
# single one. Compare what you see with the last point of the loss's solid line.
#
# ### Does the critic know real images, or *these* images?
#
# The critic has seen each training image several times. If it knows what real garments look like, it gives held-out garments the
# same logits; if it has learned its training images by heart, it does not. The figure shows the recorded logits of the whole run. The
# table asks the critics of the last step, each image by itself.

# %% tags=["figure"]
@torch.no_grad()
def logits(model, images):
    return torch.cat([model.critic(model.to_network(part)) for part in images.split(250)])   # (N,)

asked = {"training images": data.load("fashion-mnist-mini", "train").floats(range(500)), "held-out images": test.floats(range(500))}
rows = []
for loss, model in five.items():
    given = {kind: logits(model, x) for kind, x in (asked | {"fakes": model.sample(500, torch.Generator().manual_seed(0))}).items()}
    rows.append({"loss": loss, **{kind: d.mean().item() for kind, d in given.items()}, "spread of held-out": given["held-out images"].std().item()})
print(figures.metric_table(rows, digits=3, caption="Mean logits of 500 images of each kind, after the last step (seed 0)"))
gan_figures.critic_scores({loss: runs[0] for loss, runs in curves.items()}, title="Logits over the steps: training images, held-out images, fakes")

# %% [markdown]
# Compare within a panel or a row, not between them: the losses do not share a scale. In the figure the dashed line often lies below the
# solid one, in minimax for nearly the whole run. Does that critic know its training images by heart? Look at the fakes: their line is
# down there as well. The critic shifts all its logits up and down as it likes. The solid line is a mean over many steps, which evens that
# out; the two others show single moments, which do not. So only these two may be compared: where dashed and orange part, the critic
# tells real from fake; where they meet, it can only guess.
#
# In the table all columns are of one moment. Compare the first two with the spread over images: training and held-out images get nearly
# the same logits. These critics have not learned their training images by heart.
#
# ### A walk in two of 128 dimensions
#
# A generator has no encoder, so we cannot start from an image. But we can move in its latent space: a 10 x 10 grid over the first two
# latent dimensions, in $[-1, 1]$ and in $[-3, 3]$. The other 126 numbers are drawn once, held, and the same in both grids. So the small
# grid lies in the middle of the large one.

# %% tags=["figure"]
figures.show(gan_figures.latent_grid(five["wgan-gp"], 1.0))
gan_figures.latent_grid(five["wgan-gp"], 3.0)

# %% [markdown]
# Neighbors are alike, so the generator is smooth. But the two numbers do not count the same. `z[1]` closes the neckline, and does most of
# that inside $[-1, 1]$. `z[0]` does almost nothing there, and little even three standard deviations away. Not every latent dimension
# matters equally.
#
# ### Play
#
# Choose two draws and go from one to the other. The straight line passes through codes that are shorter than any draw; the arc keeps
# their length (see the line below the picture). In which loss do you see a difference? Look at the mix of pixels, too: a generator does not mix pixels.

# %% tags=["widget"] alt="Panel with two codes drawn from the prior, a slider for the share of the way between them, and the decoded image"
widgets.InterpolationExplorer(five)

# %% [markdown]
# ## Key points
#
# - A generator learns from the slope of the critic's logit at its own fakes, and from nothing else.
# - Against fakes of density q the best critic is p / (p + q). It knows a ratio, and it changes as soon as the fakes move.
# - Minimax stops pushing where the critic is sure. Non-saturating, LSGAN, WGAN-GP and hinge do not.
# - Detach the fakes in the critic's step. Penalties are per sample: one eps, one length.
# - A collapse is a failure of the game, not of a player: in one dimension a faster critic caused it.
# - Compare losses with equal networks and steps, over seeds, as curves.
#
# **Next:** chapter 05 asks what a distance such as `fd_fashion` measures, and how easily it is measured wrong.
#
# ## Further reading
#
# - Goodfellow et al., *Generative Adversarial Nets*, arXiv 1406.2661: the game, the best answer, both losses of the generator.
# - Arjovsky and Bottou, *Towards Principled Methods for Training Generative Adversarial Networks*, arXiv 1701.04862: why gradients vanish.
# - Mao et al., *Least Squares Generative Adversarial Networks*, arXiv 1611.04076.
# - Arjovsky, Chintala and Bottou, *Wasserstein GAN*, arXiv 1701.07875; Gulrajani et al., *Improved Training of Wasserstein GANs*, arXiv
#   1704.00028: the penalty.
# - Lim and Ye, *Geometric GAN*, arXiv 1705.02894: the hinge.
# - Salimans et al., *Improved Techniques for Training GANs*, arXiv 1606.03498: label smoothing, and why on one side only.
# - Metz et al., *Unrolled Generative Adversarial Networks*, arXiv 1611.02163: 8 Gaussians, and a critic that looks ahead.
# - Fedus et al., *Many Paths to Equilibrium: GANs Do Not Need to Decrease a Divergence At Every Step*, arXiv 1710.08446: penalties with other losses.
# - Mescheder, Geiger and Nowozin, *Which Training Methods for GANs do actually Converge?*, arXiv 1801.04406: the game near its equilibrium.
# - Lucic et al., *Are GANs Created Equal? A Large-Scale Study*, arXiv 1711.10337: many seeds, equal budgets.

# %%
progress()

# ---
# title: Soft-IntroVAE in the plane
# question: Can a VAE be its own *critic*?
# minutes: 120
# goals:
#   - say how an encoder can judge images, and why a VAE's encoder does not
#   - write the soft threshold, the encoder's loss and the decoder's loss, and find a gradient that was lost
#   - compute where the game ends, and what its entropy term does
#   - compare densities with a truth, in nats, beside the floor that real points have
#   - read the signs of a healthy game, and of an ill one
# prerequisites:
#   - chapter 02 (the ELBO, and the importance-weighted bound)
#   - chapter 04 (a game of two players, and modes)
# checkpoints: [vae_8-gaussians_s0, intro-vae_8-gaussians_s0, soft-intro-vae_8-gaussians_s0, vae_rings_s0, soft-intro-vae_rings_s0]
# modes:
#   LOAD: loads the shipped models (under a minute on two CPU cores)
#   FAST: trains each of the twelve models for 400 steps (some 4 minutes; hardly a density is recognized then)
#   FULL: trains each model as its recipe says (5 to 20 minutes each on one CPU core)
# ---

# %% tags=["setup"]
import copy
import inspect
import math
import statistics

import torch
from torch.distributions import MultivariateNormal

from course_utils import checkpoints, figures, recipes, snapshots, stability, widgets
from course_utils.data.points import PLANE, density, points
from course_utils.exercises import check, progress
from course_utils.figures import health
from course_utils.figures import introspective as drawn
from course_utils.figures import plane as plane_figures
from course_utils.methods import VAE, SoftIntroVAE
from course_utils.methods.intro_vae import hinge
from course_utils.metrics import model_density, prior_density, real_against_real, score
from course_utils.metrics.published import published_divergences, published_gnelbo

METHODS = {"VAE": "vae", "IntroVAE": "intro-vae", "Soft-IntroVAE": "soft-intro-vae"}

# %% [markdown]
# ## The question, in one picture
#
# Eight narrow Gaussians on a circle, as in chapter 04. Three models have learned them, with *equal* networks: an encoder, a decoder, a
# code of two numbers. The first is the VAE of chapter 02. The other two differ from it in their losses alone. In none of them is there
# a third network.

# %% tags=["figure"]
def load(name, methods=METHODS):
    """The models of a density, in the notebook's MODE."""
    return {label: recipes.obtain(f"{METHODS[label]}_{name}_s0", MODE) for label in methods}

models = load("8-gaussians")
samples = {"8-gaussians": {label: snapshots.drawn(model) for label, model in models.items()}}   # 20,000 points of each: (20000, 2)
plane_figures.plane_samples(samples, title="Decoded noise of three models")

# %% [markdown]
# Gray is where real points lie. **JSD** is the Jensen-Shannon divergence of chapter 04, here between the share of 20,000 samples in each
# of 100 x 100 cells and the true probability of that cell, in nats. *Real* points do not score 0, because 20,000 of them are few for
# 10,000 cells. The number under the map says what they score: that is the **floor**, and a perfect model stands on it. *Within* is the
# share of samples in the region that holds 98.9 % of the real points.
#
# The VAE draws bridges from mode to mode, and fills what lies between. IntroVAE's bridges are thin, and Soft-IntroVAE's have all but gone.
# Why does a VAE put points where there are none? Its loss looks at real points and at their reconstructions. *No term ever looks at a
# sample.* In chapter 04 a critic looked at samples, and there was no encoder. In chapter 06 there were both, and three networks. Here the
# encoder itself will look.
#
# ## An encoder that judges
#
# | symbol | meaning |
# |---|---|
# | $x$ | a real point (or image) |
# | $z_p$ | noise from the prior; $D(z_p)$ is a sample, a **fake** |
# | rec | $D(z)$ with $z \sim q(z \mid x)$, a reconstruction. It is the decoder's work, too, and also counts as a fake |
# | $\mathrm{KL}(s)$ | $\mathrm{KL}(q(z \mid s) \,\|\, p(z))$: how far the encoder puts $s$ from the prior, in nats |
# | $\mathrm{ELBO}(s)$ | minus (weighted) squared error minus (weighted) KL: large for what the VAE knows |
#
# The KL can serve as a judgement: *near the prior* means "data", *far from the prior* means "not data". Ask each of the three
# encoders, everywhere in the plane:

# %% tags=["figure"]
drawn.judge_maps({"8-gaussians": models}, title="What the encoders think of each place")

# %%
truth = density("8-gaussians")
elsewhere = truth.window * (2 * torch.rand(20_000, 2, generator=torch.Generator().manual_seed(0)) - 1)
real = truth.sample(20_000, torch.Generator().manual_seed(1))

def judged(model, x):
    """The mean KL of points (N, 2), in nats."""
    return model.encode(x).kl().mean().item()

rows = [
    {"encoder of": label, "real points": judged(model, real), "its own fakes": judged(model, samples["8-gaussians"][label]), "points anywhere": judged(model, elsewhere)}
    for label, model in models.items()
]
figures.metric_table(rows, caption="Mean KL in nats")

# %% [markdown]
# The VAE's encoder was never asked about a place without data, and calls the middle nearer to the prior than the data. For a judge,
# two things are missing: the encoder must be *taught* what is not data, and the decoder must listen. The other two encoders have been
# taught: they put the middle far away. And none of the three tells its own fakes from real points any more (the first two columns). The VAE's
# never learned to; in the two games the decoder has caught up.
#
# ## IntroVAE: a hard threshold
#
# Let the encoder push the decoder's work away from the prior, up to a margin $m$ (Huang et al. 2018). Let the decoder pull it back:
#
# | player | minimizes |
# |---|---|
# | encoder | $\beta\,\mathrm{error}(x) + \mathrm{KL}(x) + \alpha \sum_{s \in \{\mathrm{rec},\, \mathrm{fake}\}} \max(0,\; m - \mathrm{KL}(s))$ |
# | decoder | $\beta\,\mathrm{error}(x) + \alpha' \sum_{s \in \{\mathrm{rec},\, \mathrm{fake}\}} \mathrm{KL}(s)$ |
#
# These are two players, as in chapter 04, and the critic is the encoder. In the encoder's step the fakes are fixed pictures (`detach`). $\beta$,
# $\alpha$ and $\alpha'$ are weights; this $\beta$ is that of the *error*, and this $\alpha$ is not that of Soft-IntroVAE below.

# %%
print(inspect.getsource(hinge))

# %% [markdown]
# Three things about this threshold are hard. The margin must fit the data: below the KL that real points need, it asks for nothing; far
# above, the push never ends. As long as the *mean* KL is below the margin, each fake is pushed with the same force, good or bad; above it, none
# is. And so one fake that is far away can excuse another that is near.
#
# ## Soft-IntroVAE: a soft one
#
# Soft-IntroVAE (Daniel and Tamar 2021) replaces the margin by an exponential, and the KL by the whole ELBO. Both players **maximize**:
#
# $$L_E = \mathrm{ELBO}(x) - \tfrac1\alpha \exp\big(\alpha\, \mathrm{ELBO}(D(z))\big), \qquad
# L_D = \mathrm{ELBO}(x) + \gamma\, \mathrm{ELBO}(D(z))$$
#
# with $\alpha = 2$ and $\gamma = 1$. The encoder's first term is the VAE's. Its second lowers the ELBO of fakes. The slope of
# $-\frac1\alpha \exp(\alpha\,\mathrm{ELBO})$ by the ELBO is $-\exp(\alpha\,\mathrm{ELBO})$: it fades as a fake is recognized, for each fake
# by itself. There is no margin to choose (but a weight, as you will see). Compare what the two thresholds do to one fake:

# %% tags=["figure"]
drawn.thresholds(2.0, title="Two thresholds, for a fake without squared error")

# %% [markdown]
# In code each ELBO has weights, and all of it a scale. For a fake with the squared error `rec` (of its *own* reconstruction) and the KL
# `kl`, the ELBO is `-scale * (beta_rec * rec + beta_neg * kl)`. `beta_neg` is a third beta, for fakes alone: how hard the encoder pushes.
# The scale is one over the number of pixels (here: of coordinates, 1/2), or images would have an exponential of 0 from the start.

# %% [markdown] tags=["exercise"]
# Write the exponential, for each fake. It lies in (0, 1], and it is the sign to watch while such a model trains: near 0 the encoder hardly
# pushes any more, near 1 it does not tell fakes at all. A good game settles in between.

# %% tags=["exercise"]
def exp_elbo(rec, kl, *, beta_rec, beta_neg, scale, alpha=2.0):
    """exp(alpha * ELBO) of each fake, with ELBO = -scale * (beta_rec * rec + beta_neg * kl).

    rec: (B,), squared error of a fake and its own reconstruction, summed over pixels. kl: (B,), in nats. Returns (B,)."""
    ### BEGIN SOLUTION
    return torch.exp(-alpha * scale * (beta_rec * rec + beta_neg * kl))
    ### END SOLUTION

# %% tags=["check"]
check("7.1")

# %% [markdown] tags=["exercise"]
# Now the encoder's loss, to be *minimized*. The expectation in the objective runs over both kinds of fake, reconstructions and samples,
# half and half.

# %% tags=["exercise"]
def encoder_loss(elbo_real, passed_rec, passed_fake, alpha):
    """Minus the encoder's objective, mean over the batch.

    elbo_real: (B,), the weighted, scaled ELBO of real points. passed_rec, passed_fake: (B,), exp(alpha * ELBO) of reconstructions and
    of samples. Returns a scalar."""
    ### BEGIN SOLUTION
    return -elbo_real.mean() + (passed_rec.mean() + passed_fake.mean()) / (2 * alpha)
    ### END SOLUTION

# %% tags=["check"]
check("7.2")

# %% [markdown]
# ### The decoder's step
#
# The decoder wants its points reconstructed and near the prior. In published code its loss keeps, of the fakes' ELBO, only the KL (the
# weight of their squared error is $10^{-8}$ there):
#
# $$\mathrm{scale} \cdot \Big( \beta_\mathrm{rec}\, \mathrm{error}(x) + \tfrac12 \beta_\mathrm{kl} \big[ \mathrm{KL}(\mathrm{rec}) + \mathrm{KL}(\mathrm{fake}) \big] \Big)$$

# %% [markdown] tags=["exercise"]
# A colleague has read that the encoder is *frozen* in the decoder's step, and writes it like this. The loss has the right value. But a
# decoder trained with it never learns from a sample. The cell below prints how long the gradient is that each kind of the
# decoder's points receives. Find the mistake, and mend it.

# %% tags=["exercise"]
def decoder_loss(encode, x, rec, fake, *, beta_rec, beta_kl, scale):
    """What the decoder minimizes, mean over the batch. Its gradient reaches rec and fake, which the decoder has made.

    encode: (B, D) -> Posterior, the encoder as it is after its own step. x, rec, fake: (B, D), real points, their reconstructions,
    samples. Returns a scalar."""
    error = (x - rec).square().flatten(1).sum(1).mean()
    ### BEGIN BUG
    # with torch.no_grad():
    #     pulled = (encode(rec).kl() + encode(fake).kl()).mean() / 2
    ### END BUG
    ### BEGIN SOLUTION
    pulled = (encode(rec).kl() + encode(fake).kl()).mean() / 2
    ### END SOLUTION
    return scale * (beta_rec * error + beta_kl * pulled)

# %%
soft = models["Soft-IntroVAE"]
student = copy.deepcopy(soft).requires_grad_(True)
some = truth.sample(512, torch.Generator().manual_seed(2))
rec, fake = (student.decoder(z).detach().requires_grad_() for z in (student.encode(some).mean, torch.randn(512, 2, generator=torch.Generator().manual_seed(3))))
loss = decoder_loss(student.encode, some, rec, fake, beta_rec=soft.config.beta_rec, beta_kl=soft.config.beta_kl, scale=soft.scale)
for name, slope in zip(("reconstructions", "samples"), torch.autograd.grad(loss, [rec, fake], allow_unused=True), strict=True):
    print(f"{name:15s} {'no gradient' if slope is None else f'gradient of length {slope.norm():.4f}'}")

# %% tags=["check"]
check("7.3")

# %% [markdown]
# *Frozen* means that no weight of the encoder moves, not that no gradient passes. The way from the verdict to the decoder leads through
# the judge. (In chapter 04 it was the same: the generator learns *through* the critic.) Whose weights move is decided by the optimizer.
#
# ### One step of the package

# %%
# New: the encoder is a player against the decoder, with a loss of its own. In chapter 02 one loss trained both.
print(inspect.getsource(SoftIntroVAE.play))

# %% [markdown]
# Look for three places. `made.detach()`: the encoder looks at fakes as at fixed points. `update("encoder", ...)` comes *before* `seen` is
# computed again: the decoder hears the judgement of the encoder that has just learned. And `made` itself is not made again: the decoder
# has not moved, so its points would be the same. (`encoder_beta_rec` is a weight that may fall, see the four densities. What else is
# named here and not above can be left aside until chapters 08 and 09.)
#
# ## Watch the game
#
# In one dimension everything can be seen. The real points come from two Gaussians. The code is one number, the networks are small, and
# training takes seconds. A VAE and a Soft-IntroVAE with the same weights for error and KL, filmed now. (The game begins after a tenth of
# the run, the `warmup`: until then the second one is a VAE, too.)

# %% tags=["figure"]
line = torch.linspace(-6, 6, 241)[:, None]                        # (241, 1), where the encoder is asked
small = {"latent_dim": 1, "network": "mlp", "widths": (32, 32, 32)}
game = {"beta_rec": 0.2, "beta_kl": 0.3, "beta_neg": 0.9, "warmup": 0.1}

def play(config, steps=600, **run):
    """A filmed run on two Gaussians."""
    settings = {"batch_size": 128, "lr": 2e-3, "lr_schedule": "linear", "log_every": 20, **run}
    return snapshots.filmed(config, points("two-gaussians"), steps, frames=30, grid=line, **settings)[1]

lines = {"VAE": play(VAE.Config(**small, beta=game["beta_kl"] / game["beta_rec"])), "Soft-IntroVAE": play(SoftIntroVAE.Config(**small, **game))}
drawn.line_frames(lines, title="The same two networks, without and with a game")

# %% [markdown]
# Look at the blue line between the two modes, at $x = 0$. The VAE's encoder finds that place *nearer* to the prior than the modes
# themselves: it lies in the middle, and nobody said that nothing real is there. The introspective encoder has looked at the fakes there, and
# raised it.
#
# ### Play: the game in the plane
#
# These are the recorded runs of the first figure, filmed while they trained (500 samples a frame). Move the slider. When do the
# modes appear, and when do the bridges between them go? Compare the three methods at the same frame.

# %% tags=["widget"] alt="Panel with a menu of recorded runs and a slider over training time; samples are dots over the gray region of real points"
films = {label: snapshots.recorded(f"{method}_8-gaussians_s0") for label, method in METHODS.items()}
films |= {f"Soft-IntroVAE, {name}": snapshots.recorded(f"soft-intro-vae_{name}_s0") for name in PLANE if name != "8-gaussians"}
widgets.FilmExplorer(films)

# %% [markdown]
# ## Where does the game end?
#
# For a GAN the answer was: at the data. For this game it is not. Take a world of finitely many cells, and networks that can do anything. Then
# each ELBO can be raised to $\log p_d(s)$, the log-probability of a cell under the decoder, and no further. The paper proves: if the encoder has
# learned this on the data, and says $-\infty$ elsewhere, the best decoder is
#
# $$d^* = \mathrm{arg\,min}_d\; \mathrm{KL}(p_\text{data} \,\|\, p_d) + \gamma\, H(p_d)$$
#
# with the entropy $H(p_d) = -\sum p_d \log p_d$. The first term alone is maximum likelihood, and its best answer is the data. The second
# one moves it.
#
# Let us compute it. Four cells; the data have the shares 0.4, 0.3, 0.2 and 0.1.

# %% [markdown] tags=["exercise"]
# First predict. $\gamma$ grows from 0. Does the share of the *largest* cell grow, shrink, or stay as in the data? Answer with `"gains"`,
# `"loses"` or `"stays"`.

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_7_4 = "gains"
### END SOLUTION

# %% tags=["check"]
check("7.4")

# %% tags=["figure"]
def best_decoder(p, gamma):
    """argmin KL(p || d) + gamma H(d) over distributions d, found from near the data: (N,)."""
    start = p.log() + 0.05 * torch.eye(len(p), dtype=p.dtype)[0]   # a little more in the first cell
    logits = start.clone().requires_grad_()
    search = torch.optim.LBFGS([logits], max_iter=300, tolerance_grad=1e-10, tolerance_change=0, line_search_fn="strong_wolfe")

    def closure():
        search.zero_grad()
        log_d = logits.log_softmax(0)
        value = (p * (p.log() - log_d)).sum() - gamma * (log_d.exp() * log_d).sum()
        value.backward()
        return value

    search.step(closure)
    return logits.detach().softmax(0)

shares = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
drawn.shares(shares, {f"γ = {gamma:g}": best_decoder(shares, gamma) for gamma in (0.0, 0.25, 0.5, 1.0)}, title="The best decoder, for some gammas")

# %% [markdown]
# The entropy is a cost here, so what is frequent becomes more frequent. But that is a formula. Does the *game* end there? Let both players play it,
# each on its own objective. The decoder holds the shares $d$. The encoder holds, for each cell, the **gap** by which its ELBO stays below
# $\log d$; a gap is never negative.

# %%
def played(p, gamma, alpha=2.0, steps=1000, lr=1.0):
    """The game on cells, by gradients in turn: (the decoder's shares (N,), the encoder's gaps (N,))."""
    logits = (p.log() + 0.05 * torch.eye(len(p), dtype=p.dtype)[0]).requires_grad_()
    gap = torch.zeros_like(p, requires_grad=True)
    for _ in range(steps):
        d = logits.detach().softmax(0)
        elbo = d.log() - gap
        encoder = (p * elbo).sum() - (d * (alpha * elbo).exp()).sum() / alpha
        slope, = torch.autograd.grad(encoder, gap)
        gap = (gap + lr * slope).detach().clamp_min(0).requires_grad_()
        d = logits.softmax(0)
        elbo = d.log() - gap.detach()
        decoder = (p * elbo).sum() + gamma * (d * elbo).sum()
        slope, = torch.autograd.grad(decoder, logits)
        logits = (logits + lr * slope).detach().requires_grad_()
    return logits.detach().softmax(0), gap.detach()

def words(values):
    return " ".join(f"{v:.3f}" for v in values.tolist())

rows = []
for gamma in (0.25, 0.5, 1.0):
    formula, (end, gap) = best_decoder(shares, gamma), played(shares, gamma)
    rows.append({"gamma": gamma, "by the formula": words(formula), "the game's end": words(end), "the encoder's gaps": words(gap),
                 "d* below the limit": "yes" if (formula <= shares ** (1 / 3)).all() else "no"})
figures.metric_table(rows, caption="Four cells with shares 0.4, 0.3, 0.2, 0.1; alpha = 2")

# %% [markdown]
# The game ends where the formula says, as long as $d^* \le p_\text{data}^{1/(1+\alpha)}$ in every cell (the last column). That is the
# theorem's condition. Where the decoder wants more than that of a cell, the encoder is better off with a gap, and holds it back: the game then ends
# nearer to the data than the formula.
#
# Now eight equal cells, like our eight Gaussians:

# %%
equal = torch.full((8,), 1 / 8, dtype=torch.float64)
for gamma in (0.25, 0.75, 1.0):
    print(f"gamma {gamma:4.2f}   by the formula {words(best_decoder(equal, gamma))}   the game's end {words(played(equal, gamma)[0])}")

# %% [markdown]
# With 0.25 and 0.75 both come back to equal shares, from near them. With $\gamma = 1$, the value that is used, the pull to them is no longer
# enough: the formula gives one cell most of everything, and so does the game, if less of it (the formula's share is beyond the limit). Does
# Soft-IntroVAE then collapse to one mode? Count where its samples are: of each model's samples, the share that is nearest to each mode (an
# eighth would be right).

# %%
rows = [{"samples of": label} | {f"mode {i + 1}": f"{share:.1%}" for i, share in enumerate(truth.nearest_mode(x).bincount(minlength=8).div(len(x)).tolist())}
        for label, x in samples["8-gaussians"].items()]
figures.metric_table(rows, caption="8 Gaussians: which mode is the nearest")

# %% [markdown]
# No mode takes over, and Soft-IntroVAE's shares are the nearest to an eighth. So the theorem does not describe the trained model. It is
# about cells, and the plane has none: a *density* can be larger than 1, the limit depends on the unit of length, and the entropy has no
# lower end. Besides, its ELBOs have no betas and no scale, its networks can do anything, and its decoder's loss has the fakes' squared
# error in it. Take from it what the cells have shown: with $\gamma = 1$ little asks for equal shares, and it is worth counting them.
#
# ## Four densities, three methods
#
# Two spirals, a checkerboard and rings are hard in other ways than Gaussians: thin curves, sharp edges, holes. One figure for all, 20,000
# samples each. (Soft-IntroVAE has the published weights, with two departures: on the 8 Gaussians the encoder pushes twice as hard; and
# for the *encoder* the weight of the squared error falls during the game, from 0.2 to 0.01 on Gaussians and rings and to 0.05 on the spirals,
# while the decoder's stays. IntroVAE's error weighs 4, its margin is 5 nats.)

# %% tags=["figure"]
for name in [name for name in PLANE if name not in samples]:        # recorded samples: the weights would be far larger
    samples[name] = {label: snapshots.obtain_samples(f"{method}_{name}_s0", MODE) for label, method in METHODS.items()}
plane_figures.plane_samples(samples, title="Samples of three methods on four densities", shown=2000)

# %%
NUMBERS = ["jsd", "kl_data_model", "kl_model_data", "within"]
rows = []
for name, by_method in samples.items():
    floor = real_against_real(density(name), 20_000, NUMBERS, seeds=5)
    rows.append({"density": name, "samples of": "the density itself"} | {key: floor[key] for key in NUMBERS})
    rows += [{"density": name, "samples of": label} | score(x, density(name), NUMBERS) for label, x in by_method.items()]
figures.metric_table(rows, {"density": "density", "samples of": "samples of", "jsd": "JSD", "kl_data_model": "KL(data, model)",
                            "kl_model_data": "KL(model, data)", "within": "share within"}, digits=3, caption="In nats; 20,000 samples, 100 x 100 cells, seed 0")

# %% [markdown]
# Read each row against the first row of its density. The two KLs ask different things: KL(data, model) grows with what the
# model *misses*, KL(model, data) with what it makes that *is not there*. A VAE's bridges cost it in the second. The last column counts
# the same in another way, by the region that holds 98.9 % of the real mass (of the checkerboard: all).
#
# Soft-IntroVAE has the smallest JSD of the three on each density, and makes the least that is not there. On the spirals and on the checkerboard
# it misses more than the VAE does: look for the end of an arm. IntroVAE misses most (of the rings nearly the outer one), except on the 8 Gaussians.
#
# ## Densities
#
# So far we have looked at samples. But all three models also say how likely a *given* point is. There are three ways to ask; of a GAN one
# could ask in the last way alone:
#
# 1. **exp(ELBO)**, divided by its sum over a grid. The ELBO is a lower bound, and how far it is below differs from place to place. So this is
#    no density of the model. (Nor is it what Soft-IntroVAE's encoder shapes: that ELBO has weights of its own, and the error counts far less.)
# 2. **Importance weighting** (chapter 02): $\log \frac1K \sum_k \frac{p(x \mid z_k)\, p(z_k)}{q(z_k \mid x)}$ with $z_k \sim q$. It tends to the
#    density as $K$ grows.
# 3. **The definition**: decode many codes of the prior, and put a small Gaussian on each. No encoder is needed.

# %% [markdown] tags=["exercise"]
# A colleague has written the second one, and it looks right. But here is a world in which everything is known: $z \sim \mathcal N(0, I)$,
# $x = 2z$ plus noise, and $q$ is the *exact* posterior. Then each $\frac{p(x \mid z)\, p(z)}{q(z \mid x)}$ is $p(x)$ itself, whatever $z$
# was drawn. So the estimate must not depend on $K$, nor on luck. Run this cell and the one below. Find the mistake, and mend it.

# %% tags=["exercise"]
def importance_weighted(log_px, z, mean, logvar):
    """log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x), with q = N(mean, diag(exp(logvar))) and a standard normal prior.

    log_px: (K, B), log p(x|z_k). z: (K, B, Z), drawn from q. mean, logvar: (B, Z). Returns (B,), in nats."""
    prior = MultivariateNormal(torch.zeros_like(mean), torch.eye(mean.shape[1], dtype=mean.dtype))
    ### BEGIN BUG
    # q = MultivariateNormal(mean, torch.diag_embed((logvar / 2).exp()))
    ### END BUG
    ### BEGIN SOLUTION
    q = MultivariateNormal(mean, torch.diag_embed(logvar.exp()))
    ### END SOLUTION
    return (log_px + prior.log_prob(z) - q.log_prob(z)).logsumexp(0) - math.log(len(z))

# %%
variance = 0.1                                                      # of the noise on x = 2 z
x = torch.tensor([[0.0, 0.0], [1.0, -2.0], [4.0, 1.0]], dtype=torch.float64)
posterior_mean, posterior_variance = 2 * x / (4 + variance), variance / (4 + variance)

def normal(at, mean, variance):
    """log N(at; mean, variance I), summed over the last dimension."""
    return -0.5 * ((at - mean).square() / variance + math.log(2 * math.pi * variance)).sum(-1)

print("exact   ", words(normal(x, torch.zeros_like(x), 4 + variance)))
for k in (1, 10, 1000):
    noise = torch.randn(k, *x.shape, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
    z = posterior_mean + posterior_variance**0.5 * noise            # (K, B, Z)
    print(f"K = {k:4d}", words(importance_weighted(normal(x, 2 * z, variance), z, posterior_mean, torch.full_like(x, math.log(posterior_variance)))))

# %% tags=["check"]
check("7.5")

# %% [markdown]
# Published code has this very mistake. It is hard to see where the truth is not known: the result is off, but it looks like a likelihood.
#
# Now the three maps, for one density. A density needs a variance of the decoder. Training does not know one (it knows a ratio of betas), so
# we take the one under which held-out points are likeliest, by the definition.

# %%
def by_definition(model, x, variance, n=10_000):
    """log p(x) of points (B, 2): the mean, over n codes of the prior, of a Gaussian around what is decoded. (B,), in nats."""
    centers = model.sample(n, torch.Generator().manual_seed(5))                         # (n, 2)
    return (-torch.cdist(x, centers).square() / (2 * variance)).logsumexp(1) - math.log(2 * math.pi * variance * n)

# %% tags=["figure"]
SHOWN = "rings"
shown_truth = density(SHOWN)
held_out = shown_truth.sample(500, torch.Generator().manual_seed(4))

maps, found = {}, []
for label, model in load(SHOWN, ["VAE", "Soft-IntroVAE"]).items():
    fitted = max((0.0003, 0.001, 0.003, 0.01, 0.03, 0.1), key=lambda variance: by_definition(model, held_out, variance).mean())
    kinds = {"exp(ELBO)": model_density(model, shown_truth, "elbo", k=8, variance=fitted, bins=60),
             "importance weighted": model_density(model, shown_truth, k=32, variance=fitted, bins=60),
             "by its definition": prior_density(model, shown_truth, fitted, n=50_000, bins=60)}
    maps[label] = {"true density": shown_truth, **kinds}
    found.append({"model": label, "fitted variance": fitted} | {kind: grid.jsd(shown_truth) for kind, grid in kinds.items()})
plane_figures.plane_densities(maps, title=f"{SHOWN.capitalize()}: three ways to ask for a density", bins=60)

# %%
figures.metric_table(found, digits=3, caption=f"{SHOWN.capitalize()}: the fitted variance of a coordinate, and the JSD of each map to the true density, in nats")

# %% [markdown]
# (The integral under a map is that before it was divided by its sum.) Read the table row by row. By the definition Soft-IntroVAE is far nearer
# to the truth than the VAE. Importance weighting comes near the definition with a $K$ that one can afford only *if* the encoder's codes cover
# those from which the decoder makes a point. The VAE's encoder was trained for it. An introspective encoder is trained to judge: it pushes away
# what is not data, and in the end hardly asks how well a point is rebuilt (its weight of the error has fallen). In exp(ELBO) the errors of its
# sampled codes are divided by a small variance, and next to nothing is left of the map. Both depend on the encoder's codes; the definition
# needs the decoder alone. Where they differ, ask the definition.
#
# ## A published measure, once
#
# Published code for these densities prints a "KL" and a "JSD", too. It takes *densities* of histogram cells for probabilities, and
# exchanges the arguments inside of the JSD. What does it make of real points against other real points, where 0 is right?
#
# A third number there is a "gnELBO": the mean negative ELBO of real points, divided by a *sum of negative ELBOs* over a grid (so by a
# sum of logarithms). What does it say of one and the same model, if only the grid gets finer?

# %%
rows = []
for n in (5_000, 20_000):
    one, other = (truth.sample(n, torch.Generator().manual_seed(seed)) for seed in (10, 11))
    published = published_divergences(one, other, truth)
    rows.append({"real points against real points": f"{n:,} each", "published \"KL\"": published["kl"], "published \"JSD\"": published["jsd"],
                 "our JSD to the truth, nats": score(other, truth, ["jsd"])["jsd"]})
for steps in (64, 128, 256):
    print(f"Soft-IntroVAE, grid of {steps} x {steps}: published \"gnELBO\" {published_gnelbo(soft, real[:1000], truth, steps):.3g}")
figures.metric_table(rows, digits=3, caption="8 Gaussians; none of the published numbers is used in this course")

# %% [markdown]
# Real points score far from 0, and the score falls with their number. The gnELBO falls with the grid, and the model has not changed. Both
# mistakes show at once where one knows what a number ought to be: so print what real data score.
#
# ## Stability over seeds
#
# One run shows little. These are five seeds of each method on the 8 Gaussians, with the JSD measured as they trained. The dashed line is the floor,
# a diamond the median of the five ends. (These curves are the recorded ones in every mode.)

# %% tags=["figure"]
curves = {label: [checkpoints.curves(f"{method}_8-gaussians_s{seed}") for seed in range(5)] for label, method in METHODS.items()}
floor = real_against_real(truth, 20_000, ["jsd"], seeds=5)["jsd"]
drawn.seed_curves(curves, floor=floor, title="8 Gaussians, five seeds")

# %%
def last(run, term):
    """The last measured value of a term."""
    return float(run[term][run[term] == run[term]][-1])

rows = []
for label, runs in curves.items():
    jsd, within = (torch.tensor([last(run, term) for run in runs]) for term in ("jsd", "within"))
    rows.append({"method": label, "JSD, median": jsd.median().item(), "smallest": jsd.min().item(), "largest": jsd.max().item(),
                 "share within, median": within.median().item()})
figures.metric_table(rows, digits=3, best={"JSD, median": "min", "share within, median": "max"}, caption=f"At the end of five runs each; real points score {floor:.2g}")

# %% [markdown]
# The worst run of Soft-IntroVAE is far ahead of the best of the other two. And how often does a game fail altogether? Twenty short runs of
# small networks on the 8 Gaussians and five on Fashion-MNIST (chapter 08), at rates five to ten times the usual, so that what can break
# does. *Diverged* means that a loss was no number any more. (A recorded table, made by `python -m course_utils.stability` in some ten
# minutes.)

# %%
rows = []
for dataset, method in stability.OWN:
    runs = [run for run in stability.recorded() if (run["dataset"], run["method"]) == (dataset, method)]
    ended = [run for run in runs if not run["diverged"]]
    row = {"data": dataset, "method": method, "runs": len(runs), "diverged": len(runs) - len(ended)}
    if dataset == stability.PLANE:
        row |= {"all 8 modes": sum(run["modes"] == 8 for run in ended), "JSD, median": statistics.median([run["jsd"] for run in ended] or [math.nan])}
    else:
        row |= {"squared error, median": statistics.median([run["sse"] for run in ended] or [math.nan])}
    rows.append(row)
figures.metric_table(rows, digits=3, caption="Short runs of several seeds; medians of those that did not diverge")

# %% [markdown]
# None has diverged. But few find all modes, whichever the threshold; after so few steps, with other weights than above, the hard one even has the
# better median. That a game goes on does not say that it goes well.

# %% [markdown]
# ## Health, and what breaks
#
# A game has no loss that says how far it has come. But it has signs:
#
# - **The KLs.** The encoder's KL of fakes and of reconstructions should be about that of real points, or higher. Where it is much lower, the
#   judge takes the fakes for the better data.
# - **exp(ELBO) of fakes.** At 0 the encoder is sure and gets no slope any more; at 1 it does not tell fakes at all. In between is where a
#   game can go on.
#
# (Without the first 1,500 steps, which are the warm-up.)

# %% tags=["figure"]
health.clinic({label: curves[label][0] for label in ("IntroVAE", "Soft-IntroVAE")}, skip=1500, title="The recorded runs on 8 Gaussians, seed 0")

# %% [markdown]
# Now the game on a line again, three times, and one flag apart: `beta_neg`, how hard the encoder pushes. One of the three games is the
# healthy one from above. In one the encoder does not push at all (`beta_neg=0`), in one it pushes much too hard.

# %% tags=["widget"] alt="Panel with a menu of three patients and a slider over training time: real density, fakes, the encoder's KL, and the signs of health"
SICK = {"A": 20.0, "B": game["beta_neg"], "C": 0.0}                 # beta_neg of each patient
patients = {name: play(SoftIntroVAE.Config(**small, **game | {"beta_neg": beta_neg})) for name, beta_neg in SICK.items() if name != "B"}
patients = {name: lines["Soft-IntroVAE"] if name == "B" else patients[name] for name in SICK}   # B has been played above
widgets.FilmExplorer(patients)

# %% tags=["figure"]
health.clinic({name: film.terms for name, film in patients.items()}, skip=80, title="Three patients")

# %% [markdown] tags=["exercise"]
# Do not look at the code: a doctor does not see it either. Read the curves, and move the panel's slider. Which patient is `"healthy"`, which has
# `"no push"`, and which `"too hard a push"`? Answer with three texts, for A, B and C.

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_7_6 = ("too hard a push", "healthy", "no push")
### END SOLUTION

# %% tags=["check"]
check("7.6")

# %% tags=["figure"]
named = dict(zip(patients, answer_7_6, strict=True))
drawn.line_frames({f"{name}: {state}": patients[name] for name, state in named.items()}, [9, 29], width=600, title="One flag apart")

# %% [markdown]
# **No push.** The blue line falls to 0 between the modes. With `beta_neg=0` the encoder can lower the ELBO of a fake only through its squared
# error, and the way to spoil a reconstruction is to forget the point: a code that says nothing has a KL of 0. But a low KL is what the
# decoder is pulled to. So the judge calls the fakes to just the place that it has forgotten.
#
# **Too hard a push.** The exponential is 0 at once, for good and bad fakes alike, and so is its slope. What is left of the encoder's loss
# is a VAE's, and the blue line has a VAE's valley again.
#
# ## Key points
#
# - An encoder can be a critic: its KL says how far a point is from the data. A plain VAE's encoder was never taught it.
# - IntroVAE pushes fakes up to a margin, all with the same force. Soft-IntroVAE pushes each by exp(alpha ELBO), and needs no margin.
# - The decoder learns *through* the encoder as it is after its step. Frozen does not mean without gradients.
# - With ideal networks the game ends at argmin KL(data || d) + gamma H(d), if d stays below a limit. That is not the data.
# - Show divergences in nats, beside what as many real points score.
# - exp(ELBO) is no density. Importance weighting tends to one; with codes of variance sigma squared, not sigma.
# - Watch the KLs of real points and fakes, and exp(ELBO): neither 0 nor 1.
#
# **Next:** chapter 08 plays the same game on images, where batch normalization spoils it in a way of its own.
#
# ## Further reading
#
# - Daniel and Tamar, *Soft-IntroVAE: Analyzing and Improving the Introspective Variational Autoencoder*, arXiv 2012.13253: the paper.
# - Huang et al., *IntroVAE: Introspective Variational Autoencoders for Photographic Image Synthesis*, arXiv 1807.06358: the hard threshold.
# - Ulyanov, Vedaldi and Lempitsky, *It Takes (Only) Two: Adversarial Generator-Encoder Networks*, arXiv 1704.02304: an earlier game without a
#   discriminator.
# - Burda, Grosse and Salakhutdinov, *Importance Weighted Autoencoders*, arXiv 1509.00519.
# - Zhao, Mathieu and LeCun, *Energy-based Generative Adversarial Network*, arXiv 1609.03126: a critic that reconstructs.

# %%
progress()

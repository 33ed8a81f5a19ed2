# ---
# title: Beta-VAE
# question: What does *one number* in front of the KL decide, and what can it not decide?
# minutes: 120
# goals:
#   - read the plane of rate and distortion, and beta as the slope in it
#   - find a beta that is not connected, by its symptom
#   - compare two schedules fairly, and say why a well-known comparison is not fair
#   - measure disentanglement with mutual information and its gap
#   - show why no loss on images alone can promise you the axes you want
# prerequisites:
#   - chapter 02 (the ELBO, its two terms, and what "beta = 1" means)
#   - entropy and mutual information, to the extent of one paragraph (it is below)
# checkpoints: [ae_fashion_z16, vae_fashion_z32, beta_vae_fashion_b0.1, beta_vae_fashion_b0.8, beta_vae_fashion_b1.2, beta_vae_fashion_b4, beta_vae_shapes_b1, beta_vae_shapes_high]
# modes:
#   LOAD: loads the shipped models (under a minute on two CPU cores)
#   FAST: trains each of the eight models for 400 steps (some 5 minutes)
#   FULL: trains each model as its recipe says (some 8 minutes a model on one CPU core)
# ---

# %% tags=["setup"]
import math

import torch

from course_utils import checkpoints, data, figures, recipes, widgets
from course_utils.exercises import check, progress
from course_utils.figures import beta as beta_figures
from course_utils.figures import vae as vae_figures
from course_utils.methods import VAE, Autoencoder
from course_utils.methods.base import Posterior, gaussian_log_prob
from course_utils.methods.vae import kl_standard_normal, negative_elbo
from course_utils.metrics.disentanglement import mutual_information_gap
from course_utils.training import evaluate

test = data.load("fashion-mnist-mini", "test")
some = test.floats(range(0, 320, 40))  # (8, 1, 32, 32), in [0, 1]

# %% [markdown]
# ## The question, in one picture
#
# Chapter 02 trained with sse + KL. A **beta-VAE** trains with sse + $\beta$ KL, and that is the whole difference (Higgins et al. 2017).
# Three models with the same network, the same data and the same number of steps, one number apart:

# %% tags=["figure"]
SWEEP = {
    0.1: "beta_vae_fashion_b0.1", 0.8: "beta_vae_fashion_b0.8", 1.0: "vae_fashion_z32",
    1.2: "beta_vae_fashion_b1.2", 4.0: "beta_vae_fashion_b4",
}
models = {beta: recipes.obtain(name, MODE) for beta, name in SWEEP.items()}
three = {f"beta = {beta:g}": models[beta] for beta in (0.1, 1.0, 4.0)}
figures.reconstructions(three, some)

# %% [markdown]
# The smaller beta, the smaller the error. Why not take the smallest, then? Because reconstructing is only half of the job. Here are the
# same decoders, fed with noise, and above them the autoencoder of chapter 01, whose loss has no KL at all:

# %% tags=["figure"]
autoencoder = recipes.obtain("ae_fashion_z16", MODE)
figures.samples({"autoencoder": autoencoder, **three}, 12, columns=12, title="Noise, decoded: the lower the row, the larger the weight of the KL")

# %% [markdown]
# So beta trades one thing for another. The first half of this chapter makes the trade exact. The second half is about what beta-VAEs are
# best known for: that a large beta separates the *causes* of an image, one cause to one latent dimension.
#
# ## Rate and distortion
#
# The two terms of the loss have names in the theory of compression:
#
# | name | symbol | here |
# |---|---|---|
# | **rate** | $R$ | mean of $\mathrm{KL}(q(z \mid x)\,\|\,p(z))$ over images: nats that a code tells about its image |
# | **distortion** | $D$ | mean over images of the squared error, summed over pixels, between an image and what is decoded from a draw from $q(z \mid x)$ |
# | **price of a nat** | $\beta$ | training minimizes $D + \beta R$ |
#
# A nat is worth its price as long as it lowers $D$ by $\beta$ or more. So training ends where one more nat would lower $D$ by just
# $\beta$. Draw the smallest $D$ that the network can reach at each $R$ as a curve: where training with $\beta$ ends, the curve has the
# **slope** $dD/dR = -\beta$. Here are five models, measured on the 10,000 test images, each with a line of slope $-\beta$ through its
# point.

# %% tags=["figure"]
points = [{"beta": beta, **evaluate(model, test)} for beta, model in models.items()]
beta_figures.price_tangents(points)

# %% [markdown]
# Each line should touch the curve and stay below the other points. In numbers: at a given price, the model that was trained at this
# price should be the cheapest. Read the table by columns; the cheapest is in bold. (Neighbors are close: near its lowest point a cost is
# flat, and two training runs differ a little by chance.)

# %%
def costs(point):
    """One model's D + price * R at each of the five prices."""
    return {f"price {price:g}": point["sse"] + price * point["kl"] for price in SWEEP}

figures.metric_table(
    [{"trained with": f"beta = {p['beta']:g}", **costs(p)} for p in points],
    best={name: "min" for name in costs(points[0])}, caption="D + price * R, the cheapest of each column in bold",
)

# %% [markdown]
# **Where does the rate go?** Not into all dimensions alike. The higher the price of a nat, the fewer dimensions are used at all:

# %% tags=["figure"]
figures.kl_per_dimension(three, test.floats(slice(0, 1000)))

# %% [markdown]
# **Is there a right beta?** In chapter 02, sse + $\beta$ KL was, up to a factor and a constant, the negative ELBO of a Gaussian decoder
# with variance $s^2 = \beta/2$ in each pixel. So each model, taken with the variance that it was trained for, has a bound on
# $\log p(x)$, and these can be compared. With all constants, for 1024 pixels, it is $-(D/\beta + R) - \frac{1024}{2}\log(\pi\beta)$.

# %%
bounds = [{**p, "bound": -(p["sse"] / p["beta"] + p["kl"]) - 512 * math.log(math.pi * p["beta"])} for p in points]
figures.metric_table(
    bounds, {"beta": "beta", "kl": "rate R (nats)", "sse": "distortion D", "bound": "bound on log p(x) (nats)"}, best={"bound": "max"},
    caption="Five models, 10,000 test images",
)

# %% [markdown]
# The likelihood prefers the smallest beta of the five: a variance of 1/2 in each pixel claims errors far larger than the decoder makes
# (divide $D$ by 1024). But look at its samples, above, beside those of beta = 1: the bound does not speak of them. *Which beta is right
# depends on what the model is for.*
#
# ## A dial that is not connected

# %% [markdown] tags=["exercise"]
# A colleague writes the loss anew and trains a small network with three values of beta. The printed loss grows with beta, as it should.
# But every beta gives nearly the same model: rate and distortion hardly move. Run this cell and the one below it, find the mistake in
# the loss, and mend it.

# %% tags=["exercise"]
def beta_vae_loss(x, mean, mu, logvar, beta):
    """sse + beta * KL, mean over the batch: error summed over pixels, KL over latents.

    x, mean: (B, C, H, W), images and decoder means. mu, logvar: (B, Z). beta: float. Returns a scalar."""
    rec = (x - mean).square().flatten(1).sum(1)          # (B,)
    kl = kl_standard_normal(mu, logvar)                  # (B,)
    ### BEGIN BUG
    # elbo_loss = rec + kl
    # return (beta * elbo_loss).mean()
    ### END BUG
    ### BEGIN SOLUTION
    return (rec + beta * kl).mean()
    ### END SOLUTION

# %% tags=["figure"]
train = data.load("fashion-mnist-mini", "train")

def small_run(beta, steps=100):
    """A small VAE trained with the loss above; its last loss, and its rate and distortion on 1,000 test images."""
    torch.manual_seed(0)
    model = VAE(VAE.Config(latent_dim=8, widths=(16, 16, 32)), train.shape)
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    for _ in range(steps):
        x = train.floats(torch.randint(len(train), (64,)))           # (64, 1, 32, 32)
        q = model.encode(x)
        loss = beta_vae_loss(x, model.decode(q.sample()), q.mean, q.logvar, beta)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"beta": beta, "last loss": loss.item(), **evaluate(model, test.subset(slice(0, 1000)))}

small = [small_run(beta) for beta in (0.25, 1, 4)]
print(figures.metric_table(small, ["beta", "last loss", "kl", "sse"]))
figures.rate_distortion(small, title="Three betas, 100 steps each")

# %% tags=["check"]
check("3.1")

# %% [markdown]
# A factor that both terms share changes nothing but the scale of the gradient, and Adam divides a gradient by its running size. So only
# the *ratio* of the two weights decides what is learned. The loss alone did not show the mistake; rate and distortion *apart* do.
#
# ## What breaks: nats for nothing
#
# One argument, `beta=0`: the rate is free. Beside it a plain autoencoder and a plain VAE of the same size, trained for the same 150
# steps.

# %% tags=["figure"]
runs = {
    "autoencoder": Autoencoder.Config(latent_dim=32),
    "beta = 0": VAE.Config(latent_dim=32, beta=0.0),
    "beta = 1": VAE.Config(latent_dim=32, beta=1.0),
}
live, histories = {}, {}
for name, config in runs.items():
    live[name], histories[name] = recipes.quick(config, train, steps=150, batch_size=64, log_every=5)
vae_figures.terms_apart({name: histories[name] for name in ("beta = 0", "beta = 1")}, ["rec", "kl"], title="One flag apart")

# %% [markdown]
# With nothing to pay, the KL grows far beyond that of beta = 1: the encoder moves its means apart and shrinks its noise, because noise only harms the
# reconstruction. A posterior without noise is a point, and that is what an *autoencoder* gives. So beta = 0 should resemble the
# autoencoder: in its error, in how far its codes spread (their standard deviation), and in what it makes of noise. Compare:

# %%
few = test.subset(slice(0, 1000))
for name, model in live.items():
    q = model.encode(few.floats())
    line = f"{name:12s} squared error {evaluate(model, few)['sse']:6.2f}, codes spread over {q.mean.std(0).mean():5.2f}"
    noise = "none" if q.logvar is None else f"{(q.logvar / 2).exp().mean():.3f}"
    print(f"{line}, the encoder's noise {noise}")

# %% tags=["figure"]
figures.samples(live, 12, columns=12, title="Noise, decoded, after 150 steps of training")

# %% [markdown]
# ## Schedules, and how to compare them fairly
#
# Chapter 02 met warm-up: beta rises during training. The idea is that nats are cheap at first, so that the decoder learns to use the
# code, and have their full price later.

# %% [markdown] tags=["exercise"]
# Write the schedule: a straight line from 0 to beta over the first `warmup` steps, and beta from then on.

# %% tags=["exercise"]
def linear_schedule(step, warmup, beta):
    """The weight of the KL in this step: 0 at step 0, beta at step `warmup`, beta after it.

    step, warmup: ints, step >= 0, warmup >= 1. beta: float. Returns a float."""
    ### BEGIN SOLUTION
    return beta * min(1, step / warmup)
    ### END SOLUTION

# %% tags=["check"]
check("3.2")

# %% [markdown] tags=["exercise"]
# A published experiment trains for 20 epochs, `for e in range(20)`. At the beginning of each epoch it sets the weight of the KL to
# `e / 20` and keeps it for that epoch. It calls this "a linear schedule from 0 to 1", and compares it with a constant beta of 1. Which
# weight does its *last* epoch use, and what is the *mean* over all epochs? Answer with two numbers, `(last, mean)`.

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_3_3 = (0.95, 0.475)
### END SOLUTION

# %% tags=["check"]
check("3.3")

# %% tags=["figure"]
steps = range(2000)
beta_figures.schedules({
    "constant": [1.0 for _ in steps],
    "linear over half, then constant": [linear_schedule(step, 1000, 1.0) for step in steps],
    "e / 20, as published": [(step // 100) / 20 for step in steps],
})

# %% [markdown]
# The published run reconstructed better than the one at beta = 1, and that was attributed to the schedule. But the two differ in *three*
# ways: in the path, in a lower final price, and in less than half the price on average (see the legend). The scheduled run may simply
# have ended at another point of the same curve.
#
# **As published.** The same experiment, recorded with our code: CIFAR-10, 20 epochs, constant beta 0.8, 1 and 1.2, and `e / 20`. Pixels
# are in $[-1, 1]$, as in the original, so do not compare the errors with those above. Each dot is an epoch, the large mark is the end;
# the beginning of the scheduled run lies outside, far to the right. A schedule that *helped* ends below the dashed line or its
# continuation; one that only changed the price ends on it.

# %% tags=["figure"]
CIFAR = {"beta = 0.8": "cifar_vae_b0.8", "beta = 1": "cifar_vae_b1", "beta = 1.2": "cifar_vae_b1.2", "e / 20": "cifar_vae_linear"}
recorded = {label: checkpoints.curves(name) for label, name in CIFAR.items()}
beta_figures.training_paths(recorded, line=["beta = 0.8", "beta = 1", "beta = 1.2"], title="CIFAR-10, held-out images")

# %% [markdown]
# A smaller error is worth nothing if the code became as much more expensive. So compare at *one* price, whichever it is: the cost
# $D + \beta R$ of each run's last point, at the prices that these runs were trained with, and at 0.95, with which the schedule ended.

# %%
PRICES = (0.8, 0.95, 1.0, 1.2)
rows = []
for label, run in recorded.items():
    rate, distortion = float(run["val_kl"][-1]), float(run["val_sse"][-1])
    costs = {f"D + {price:g} R": distortion + price * rate for price in PRICES}
    rows.append({"run": label, "rate R": rate, "distortion D": distortion, **costs})
figures.metric_table(rows, best={name: "min" for name in rows[0] if name.startswith("D +")} | {"distortion D": "min"},
                     caption="The smallest error need not be the smallest cost")

# %% [markdown]
# The scheduled run has the smallest error. Yet at the price it ended with, and at those next to it, its cost differs by less than one
# from that of the constant 0.8, which needs no schedule; a single run of each does not resolve so little. It is another point of the
# same curve: a smaller error, bought with a more expensive code. It even lies *beyond* the run at 0.8, although its own price ended at
# 0.95: it has not settled, and still carries the small prices of its past. So "the schedule reconstructs better" says at which point of the curve a run was stopped.

# %% [markdown]
# **At equal final beta.** The fair experiment, on Fashion-MNIST: one run at a constant 1, and one whose beta climbs to 1 over the first
# half and then *stays* there, so that the run settles at the same price. Same network, data, steps and seed. (The curves are the
# recorded ones in every mode.)

# %% tags=["figure"]
FAIR = {"beta = 0.8": "beta_vae_fashion_b0.8", "beta = 1": "vae_fashion_z32", "beta = 1.2": "beta_vae_fashion_b1.2",
        "linear to 1, then 1": "beta_vae_fashion_linear"}
fair = {label: checkpoints.curves(name) for label, name in FAIR.items()}
beta_figures.training_paths(fair, line=["beta = 0.8", "beta = 1", "beta = 1.2"], title="Fashion-MNIST, held-out images")

# %%
rows = []
for label in ("beta = 1", "linear to 1, then 1"):
    rate, distortion = (fair[label][name][-1].item() for name in ("val_kl", "val_sse"))
    rows.append({"run": label, "rate R": rate, "distortion D": distortion, "D + R": rate + distortion})
figures.metric_table(rows, caption="Held-out images, where the recorded runs end")

# %% [markdown]
# The final price is the same now, so a difference in the last column is due to the *schedule*, or to chance: it is one run each, and
# another seed would also move the cost a little. Compare it with the column "price 1" of the first table of this chapter, which says how
# much it costs to train at 0.8 or 1.2 instead. Here the schedule does not pay: the scheduled run has the larger cost.
#
# ## Disentanglement
#
# Now the second half. Pictures have causes, or **factors**: here a shape, its color, its scale, its rotation, and its position (x and y).
# A code in which each latent dimension depends on *one* factor and on no other is called **disentangled**. To measure that one must
# know the factors. So the pictures of this data set, `shapes`, are rendered: one for every combination of values of the six factors.
# Each row below changes one factor; in parentheses, how many values it has.

# %% tags=["figure"]
shapes = data.load("shapes", "test")
names = shapes.meta["factor_names"]
beta_figures.factor_rows()

# %% [markdown]
# Two VAEs with ten latent dimensions were trained on these pictures *without* being told the factors: one at beta = 1, one at a high
# beta. In both runs beta climbs from 0 and then stays at its value. Their decoder is Bernoulli: it gives, for each pixel and channel,
# the probability of being bright, and the distortion is the cross-entropy with the true brightness, in nats, in place of the squared
# error.

# %% tags=["figure"]
factor_models = {"beta = 1": recipes.obtain("beta_vae_shapes_b1", MODE), "high beta": recipes.obtain("beta_vae_shapes_high", MODE)}
config = factor_models["high beta"].config
print(f"the high beta: {config.beta:g}, schedule: {config.beta_schedule}")
figures.reconstructions(factor_models, shapes.floats(range(0, 4000, 400)))

# %% [markdown]
# ### Play
#
# One slider for each *true* factor; the bars are the means $\mu$ of the code's dimensions, and those that moved turn orange. In a
# disentangled code one slider moves one bar. The panel shows the shipped models in every mode.

# %% tags=["widget"] alt="Panel with a slider for each true factor, the rendered picture, its reconstruction, and a bar for each latent dimension"
shipped = {"high beta": checkpoints.load("beta_vae_shapes_high"), "beta = 1": checkpoints.load("beta_vae_shapes_b1")}
widgets.FactorExplorer(shipped)

# %% [markdown] tags=["exercise"]
# Which latent dimension of the **high beta** model carries the *horizontal position*, `x`? Find it with the sliders. (Without a live
# kernel, the traversals below show it too.) Answer with the number that stands in the brackets of `z[...]`. Then look for a dimension
# of `rotation` and for one of `color`: are there any? (You will measure it below.)

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_3_4 = 3
### END SOLUTION

# %% tags=["check"]
check("3.4")

# %% [markdown]
# The other way around: move one *latent* dimension and watch the picture. The six dimensions that carry most, first of one
# model, then of the other, from the same picture.

# %% tags=["figure"]
start = shapes.floats(slice(0, 256))
for name, model in factor_models.items():
    figures.show(figures.traversal(model, start, base=100, steps=7, title=f"{name}: one latent dimension at a time"))

# %% [markdown]
# ### How much a dimension knows
#
# An impression is not yet a measurement. The **entropy** $H(v)$ of a factor $v$ is how many nats there are to know about it: $\log 8$ for
# eight equally frequent positions. The **mutual information** $I(z_j; v)$ is how many of them one learns from latent dimension $z_j$
# alone. It is 0 if $z_j$ says nothing about $v$, and $H(v)$ if it says all. We estimate it from one draw of each image's
# posterior: cut the values of each dimension into 20 bins, and count how often which bin and which value of the factor come together.
# (The *means* would not do. A switched-off dimension's means still differ a little from image to image, and counting bins would read
# that little; in a draw it drowns in the posterior's own noise, as it does for the decoder.)

# %%
@torch.no_grad()
def codes_of(model, images):
    """One draw from the posterior of every image of an ImageSet, (N, Z)."""
    generator = torch.Generator().manual_seed(0)
    return torch.cat([model.encode(images.floats(rows)).sample(generator=generator) for rows in torch.arange(len(images)).split(500)])

codes = {name: codes_of(model, shapes) for name, model in factor_models.items()}          # each (4152, 10)
measured = {name: mutual_information_gap(z, shapes.attributes["factors"]) for name, z in codes.items()}
high = measured["high beta"]
for factor, entropy, row in zip(names, high.entropy, high.information, strict=True):
    print(f"{factor:9s} entropy {entropy:.2f} nats; no dimension knows more of it than z[{row.argmax()}]: {row.max():.2f} nats")

# %% [markdown] tags=["exercise"]
# If one dimension knows all about a factor and *no other knows anything*, the factor is disentangled. The **mutual information gap**
# (MIG) measures just that. The gap of one factor is
#
# $$\mathrm{gap}(v) = \frac{1}{H(v)}\left(I(z_{(1)}; v) - I(z_{(2)}; v)\right)$$
#
# where $z_{(1)}$ is the dimension that knows most about $v$ and $z_{(2)}$ the one that knows second most. MIG is the mean of the gaps over all
# factors (Chen et al. 2018). Write the gaps.

# %% tags=["exercise"]
def information_gap(information, entropy):
    """The gap of each factor, from 0 (two dimensions know equally much) to 1 (one knows all, no other anything).

    information: (F, Z), nats that each latent dimension knows of each factor. entropy: (F,), nats. Returns (F,)."""
    ### BEGIN SOLUTION
    best = information.topk(2, dim=1).values                     # (F, 2), the larger first
    return (best[:, 0] - best[:, 1]) / entropy
    ### END SOLUTION

# %% tags=["check"]
check("3.5")

# %% tags=["figure"]
for name, m in measured.items():
    gaps = information_gap(torch.tensor(m.information), torch.tensor(m.entropy))
    print(f"{name:10s}", *(f"{factor} {gap:.2f} " for factor, gap in zip(names, gaps, strict=True)), f" MIG {gaps.mean():.2f}")
beta_figures.information_panels(measured, names)

# %% [markdown]
# Read the panels by rows. A row with one cell far darker than the others is a factor that found its own dimension; a row with several
# pale ones is a factor that is spread over them. A row that is pale *everywhere* is a factor that no single dimension knows. In the
# shipped high-beta model x and y have a dimension each, and scale has a weaker one. Color has none: a few dimensions know a little
# of it, and those of x and y are among them (in the traversals the color changes with the position). Rotation has none at all.
#
# What no single dimension knows may still be in the code as a whole, or it may be lost. Ask the nearest neighbor, as in chapter 01: how
# often has the image with the nearest code the same value of a factor?

# %%
factors = shapes.attributes["factors"]                                                    # (4152, 6)
print(f"{'guessing':10s}", *(f"{factor} {1 / len(values.unique()):.0%} " for factor, values in zip(names, factors.T, strict=True)))
for name, z in codes.items():
    nearest = torch.cdist(z, z).fill_diagonal_(math.inf).argmin(1)                        # (4152,), of the other images
    shares = (factors[nearest] == factors).float().mean(0)                                # (6,)
    print(f"{name:10s}", *(f"{factor} {share:.0%} " for factor, share in zip(names, shares, strict=True)))

# %% [markdown]
# At beta = 1 the code knows even shape and rotation, spread over many dimensions. At the high price it tells less of every factor, and of
# rotation next to nothing: the reconstructions above have lost their corners. So a high price can lead to separate factors, or to
# unknown ones, and MIG alone does not tell you which happened.
#
# ## What beta cannot do
#
# Turn the whole latent space: choose some rotation $Q$ (a matrix with $Q Q^T = I$), encode to $Qz$ in place of $z$, and let the decoder
# turn back before it decodes. The pictures cannot change. What about the loss, and what about the disentanglement?

# %% tags=["figure"]
model, x = factor_models["high beta"], shapes.floats(slice(0, 500))
generator = torch.Generator().manual_seed(3)
Q, _ = torch.linalg.qr(torch.randn(10, 10, generator=generator, dtype=torch.float64))     # random axes: Q Q^T = I
q = model.encode(x)
mean, variance = q.mean.double(), q.logvar.double().exp()                                 # (500, 10) each
z = Posterior(mean, variance.log()).sample(generator=generator)
turned = torch.distributions.MultivariateNormal(mean @ Q.T, Q @ torch.diag_embed(variance) @ Q.T)
prior = torch.distributions.MultivariateNormal(torch.zeros(10).double(), torch.eye(10).double())
before, after = kl_standard_normal(mean, variance.log()), torch.distributions.kl_divergence(turned, prior)
same = (model.decode(z.float()) - model.decode((z @ Q.T @ Q).float())).abs().max()        # turned, and turned back
print(f"log p(z), the prior's density: changes by at most {(gaussian_log_prob(z) - gaussian_log_prob(z @ Q.T)).abs().max():.1e}")
print(f"KL(q || p):                    changes by at most {(before - after).abs().max():.1e} nats")
print(f"the decoded pictures:          change by at most  {same:.1e}")

rotated = mutual_information_gap(codes["high beta"].double() @ Q.T, shapes.attributes["factors"])
beta_figures.information_panels({"as trained": measured["high beta"], "the same codes, rotated": rotated}, names)

# %% [markdown]
# Every picture and every nat is the same, up to rounding; compare the MIG over the two panels. A loss that cannot tell the two codes
# apart cannot prefer one of them. This is the core of an impossibility theorem (Locatello et al. 2019): *from images alone, without a
# bias in the model or in the data, disentanglement cannot be learned*, because for each code that separates the factors there is
# another, just as good, that mixes them.
#
# ### Then why did we see any?
#
# Because of a bias. We allowed the rotated encoder a full covariance matrix, $S = Q\,\mathrm{diag}(\sigma^2)\,Q^T$. A real encoder gives
# `logvar`, one variance per dimension: a *diagonal* covariance, and that depends on the choice of axes. Replace the rotated posterior
# by the diagonal Gaussian $q$ for which $\mathrm{KL}(q\,\|\,\text{rotated posterior})$ is smallest. Its variances are $1/(S^{-1})_{ii}$.
# What does the loss become?

# %%
precision = Q**2 @ (1 / variance).T                              # (10, 500): the diagonal of Q diag(1 / variance) Q^T
diagonal = Posterior(mean @ Q.T, -precision.T.log())
noise = torch.randn(mean.shape, generator=generator, dtype=torch.float64)
beta = model.config.beta
for name, sample, kl in (
    ("axes as trained", mean + noise * variance.sqrt(), before),
    ("rotated, diagonal q", diagonal.sample(noise) @ Q, diagonal.kl()),
):
    rec = model.nll(x, model.decoder(sample.float()))
    print(f"{name:20s} rec {rec.mean():7.2f}, KL {kl.mean():6.2f}, loss {negative_elbo(rec, kl, beta).mean():7.2f}")

# %% [markdown]
# Rotated, the diagonal encoder pays more. So it is neither beta nor the prior that finds the axes, but the diagonal posterior. Rolinek et
# al. (2019) show which axes it favors: those along which the *decoder* is sensitive to different degrees, with little noise where a
# small step changes the picture much, and more where it does not. Whether such axes are your factors depends on your data. Look again at
# the panel "as trained": which factors found a dimension of their own, and how much does a step in each of them change the picture?
#
# ## Key points
#
# - Beta is the price of a nat: training with it ends where the curve of distortion against rate has slope -beta.
# - Report rate and distortion apart. The loss alone does not show that beta has no effect.
# - beta = 0 is an autoencoder with noise that it learns to switch off.
# - Compare schedules at the same final beta, after the run has settled, or at one common price. A schedule that ends lower is another
#   beta.
# - To measure disentanglement one must know the factors. MIG is the mean of one gap per factor; look at the single gaps, and at what the
#   code knows as a whole.
# - The prior and the decoder do not know the axes: rotate codes and posteriors, and loss and pictures stay, but MIG changes. Only a
#   diagonal posterior tells the axes apart.
#
# **Next:** chapter 04 drops the encoder and the likelihood, and lets a second network judge the pictures.
#
# ## Further reading
#
# - Higgins et al., *beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework*, ICLR 2017: the paper.
# - Burgess et al., *Understanding disentangling in beta-VAE*, arXiv 1804.03599: rate as a channel that is opened slowly.
# - Alemi et al., *Fixing a Broken ELBO*, arXiv 1711.00464: rate and distortion, and what the ELBO does not determine.
# - Fu et al., *Cyclical Annealing Schedule: A Simple Approach to Mitigating KL Vanishing*, arXiv 1903.10145: more than one ramp.
# - Rybkin, Daniilidis and Levine, *Simple and Effective VAE Training with Calibrated Decoders*, arXiv 2006.13202: learn the variance instead.
# - Chen et al., *Isolating Sources of Disentanglement in Variational Autoencoders*, arXiv 1802.04942: MIG.
# - Kim and Mnih, *Disentangling by Factorising*, arXiv 1802.05983: a price on dependence between dimensions alone.
# - Locatello et al., *Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations*, arXiv 1811.12359: the
#   theorem, and thousands of models.
# - Rolinek, Zietlow and Martius, *Variational Autoencoders Pursue PCA Directions (by Accident)*, arXiv 1812.06775.

# %%
progress()

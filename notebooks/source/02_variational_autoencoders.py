# ---
# title: Variational autoencoders
# question: How do we train a decoder that turns *noise* into pictures, and how good is it?
# minutes: 120
# goals:
#   - derive the ELBO, and check each of its terms by numbers
#   - write the reparameterization, the closed-form KL and the loss, with every sum and mean in its place
#   - say what "beta = 1" means in somebody else's code
#   - read a latent space; cause a posterior collapse on purpose, and cure it
#   - bound log p(x) more tightly with importance weights
# prerequisites:
#   - chapter 01 (an autoencoder's code, and why decoding noise fails)
#   - the normal distribution, expectations, the chain rule
# checkpoints: [vae_fashion_z32, vae_fashion_z2, ae_fashion_z16, ae_fashion_z2]
# modes:
#   LOAD: loads the shipped models (under a minute on two CPU cores)
#   FAST: trains each model for 400 steps on 10,000 images (some 2 minutes)
#   FULL: trains each model as its recipe says, 20 epochs of Fashion-MNIST (some 6 minutes a model on one CPU core)
# ---

# %% tags=["setup"]
import inspect
import math

import torch

from course_utils import checkpoints, data, figures, recipes, widgets
from course_utils.exercises import check, progress
from course_utils.figures import vae as vae_figures
from course_utils.methods import VAE
from course_utils.methods.base import gaussian_log_prob
from course_utils.metrics.likelihood import importance_log_weights

test = data.load("fashion-mnist-mini", "test")
some = test.floats(range(0, 320, 40))  # (8, 1, 32, 32), in [0, 1]

# %% [markdown]
# ## The question, in one picture
#
# Chapter 01 found a failure: an autoencoder compresses well, but its decoder does not turn *noise* into garments. Nothing in its loss
# says where codes should lie, so the decoder was never trained on most of the space of codes (the **latent space**).
#
# Below, noise from the same distribution goes through two decoders: of the autoencoder with 16 numbers, and of a **variational
# autoencoder** (VAE) with 32. The second was trained with one more term in the loss and one line of randomness. This chapter is
# about that term and that line.

# %% tags=["figure"]
autoencoder = recipes.obtain("ae_fashion_z16", MODE)
vae = recipes.obtain("vae_fashion_z32", MODE)

generator = torch.Generator().manual_seed(2)
figures.samples({"autoencoder": autoencoder, "VAE": vae}, 12, generator, columns=12, title="Decoded noise, z ~ N(0, I)")

# %% [markdown]
# ## A model that can be sampled
#
# We want to *generate* pictures $x$. So we assume that a picture comes about in two steps:
#
# 1. a code $z$ is drawn from a **prior**, a distribution that is easy to sample: $p(z) = \mathcal N(0, I)$;
# 2. the picture is drawn from a **likelihood** whose mean is the decoder's output: $p(x \mid z) = \mathcal N(\mathrm{dec}(z),\, s^2 I)$.
#
# Given a picture, one would like to know which codes it may have come from. That distribution, the **true posterior** $p(z \mid x)$,
# cannot be computed for a network. So the encoder gives an approximation $q(z \mid x)$: no longer one code, but a normal distribution
# over codes, with a mean and a variance for each number. (For the autoencoder of chapter 01 that is a single point, `.mean`.)
#
# | symbol | meaning | shape in code |
# |---|---|---|
# | $x$ | an image, pixels in $[0, 1]$ | `(B, C, H, W)` |
# | $z$ | its code (latent variables) | `(B, Z)` |
# | $p(z)$ | the prior, a standard normal | |
# | $p(x \mid z)$ | the likelihood: decoder mean, variance $s^2$ in every pixel | |
# | $q(z \mid x)$ | the (approximate) **posterior** that the encoder gives: $\mathcal N(\mu(x), \mathrm{diag}\,\sigma^2(x))$ | `mu`, `logvar`: `(B, Z)` |
#
# `logvar` is $\log\sigma^2$, the logarithm of the *variance*: the encoder may output any real number, and $\sigma$ stays positive.
#
# A good model gives the pictures that we have a high probability density. So we would like to maximize
# $\log p(x) = \log \int p(x \mid z)\, p(z)\, dz$. The integral runs over all codes, and for a given $x$ nearly all of them contribute
# next to nothing. The encoder's job is to say *where to look*.
#
# ### The ELBO
#
# To compare two distributions we use the **Kullback-Leibler divergence**, $\mathrm{KL}(q\,\|\,p) = \mathbb E_q[\log q(z) - \log p(z)]$, where
# $\mathbb E_q$ is the mean over $z$ drawn from $q$. It is 0 if the two are equal and positive otherwise. With the natural logarithm its
# unit is called a **nat**.
#
# Take any distribution $q(z)$ that is positive wherever $p(x \mid z)\, p(z)$ is. Multiply and divide by it, and use that the logarithm
# of a mean is at least the mean of the logarithm (Jensen's inequality):
#
# $$\log p(x) = \log \mathbb E_{q}\left[\frac{p(x \mid z)\, p(z)}{q(z)}\right] \;\ge\; \mathbb E_q\left[\log \frac{p(x \mid z)\, p(z)}{q(z)}\right]
# = \underbrace{\mathbb E_q[\log p(x \mid z)]}_{\text{reconstruct}} - \underbrace{\mathrm{KL}(q(z)\,\|\,p(z))}_{\text{stay near the prior}}$$
#
# The right side is the **evidence lower bound**, ELBO. How much is lost? Write $p(x \mid z)\, p(z) = p(z \mid x)\, p(x)$ in
# $\mathbb E_q[\log\,\ldots]$: the ELBO is $\log p(x) - \mathrm{KL}(q(z) \,\|\, p(z \mid x))$. So the gap is that KL, and the bound touches
# when $q$ is the true posterior.
#
# Here is a model in which all of this can be computed: one latent number, one "pixel", $x = w z + \text{noise}$. Its $\log p(x)$ and
# its true posterior are Gaussian formulas. First the numbers; then we slide $q = \mathcal N(m, v)$ across, once its mean $m$ and once
# its variance $v$, and draw the ELBO.

# %% tags=["figure"]
w, s, x0 = 1.5, 0.6, 1.2                                    # decoder slope, noise std, the observed "pixel"
log_px = gaussian_log_prob(torch.tensor([x0]), 0.0, math.log(w**2 + s**2)).item()      # of (value, mean, logvar), in nats
true_mean, true_var = w * x0 / (w**2 + s**2), s**2 / (w**2 + s**2)

def elbo_1d(m, v):
    """E_q[log p(x|z)] - KL(q || prior) for q = N(m, v), in nats, in closed form."""
    expected_error = (x0 - w * m) ** 2 + w**2 * v            # E (x - w z)^2
    rec = -0.5 * (math.log(2 * math.pi * s**2) + expected_error / s**2)      # the term "reconstruct"
    return rec - 0.5 * (m**2 + v - 1 - math.log(v))

print(f"log p(x)                     {log_px:.6f}")
print(f"ELBO at the true posterior   {elbo_1d(true_mean, true_var):.6f}")
gap = 0.5 * (math.log(true_var) + (1 + true_mean**2) / true_var - 1)         # KL(N(0, 1) || true posterior)
print(f"ELBO at the prior, q = p(z)  {elbo_1d(0.0, 1.0):.6f}, and with KL(q || true posterior) added {elbo_1d(0.0, 1.0) + gap:.6f}")
vae_figures.elbo_slices(elbo_1d, log_px, true_mean, true_var)

# %% [markdown]
# The curve never crosses the dashed line, and touches it at one point: the true posterior. Training the *encoder* moves $q$
# toward that point; training the *decoder* lifts the curve, and the dashed line is never below it. One loss does both.
#
# ## From the formula to a step
#
# Three things have to be written: a sample from $q$ that lets gradients through, the KL, and the loss.

# %% [markdown] tags=["exercise"]
# The mean over $q$ is estimated with *one* sample. But "draw from $\mathcal N(\mu, \sigma^2)$" has no derivative with respect to $\mu$
# and $\sigma$. So draw standard normal noise first, and *then* shift it to the mean $\mu$ and scale it to the standard deviation
# $\sigma$: the sample becomes a differentiable function of both.

# %% tags=["exercise"]
def reparameterize(mu, logvar, noise):
    """One sample of N(mu, exp(logvar)) as a differentiable function of mu and logvar.

    mu, logvar: (B, Z), mean and log-variance. noise: (B, Z), standard normal. Returns (B, Z)."""
    ### BEGIN SOLUTION
    return mu + noise * (logvar / 2).exp()
    ### END SOLUTION

# %% tags=["check"]
check("2.1")

# %% [markdown]
# Does it draw from the right distribution? Ten thousand samples for one $\mu$ and $\sigma$, against the density they should have.

# %% tags=["figure"]
mu, logvar = torch.full((10_000, 1), 0.7), torch.full((10_000, 1), 2 * math.log(0.4))
drawn = reparameterize(mu, logvar, torch.randn(10_000, 1, generator=torch.Generator().manual_seed(0)))
print(f"mean {drawn.mean():.3f} (0.7 expected), standard deviation {drawn.std():.3f} (0.4 expected)")
vae_figures.sampler_check(drawn[:, 0], mean=0.7, std=0.4, title="reparameterize(mu = 0.7, logvar = 2 log 0.4)")

# %% [markdown] tags=["exercise"]
# Between two Gaussians the KL needs no sampling. From $\mathcal N(\mu, \sigma^2)$ to $\mathcal N(0, 1)$ it is
# $\frac12\left(\mu^2 + \sigma^2 - 1 - \log \sigma^2\right)$ in each latent dimension. The dimensions are independent, so the KL of the whole
# code is the **sum** over them.

# %% tags=["exercise"]
def kl_to_prior(mu, logvar):
    """KL(N(mu, exp(logvar)) || N(0, I)) in nats.

    mu, logvar: (B, Z). Returns (B,): one KL per image, summed over the latent dimensions."""
    ### BEGIN SOLUTION
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    ### END SOLUTION

# %% tags=["check"]
check("2.2")

# %% [markdown]
# Is the formula right? The KL was defined as a mean, $\mathbb E_q[\log q(z) - \log p(z)]$. The mean over many samples (a Monte Carlo
# estimate) must agree with the formula up to two or three standard errors, the number behind +-.

# %%
posterior = vae.encode(some)                                           # q(z|x), with mean and logvar: (8, 32)
z = torch.stack([posterior.sample() for _ in range(4000)])             # (4000, 8, 32)
log_ratio = posterior.log_prob(z) - gaussian_log_prob(z)               # (4000, 8)
exact, estimate = kl_to_prior(posterior.mean, posterior.logvar), log_ratio.mean(0)
error = log_ratio.std(0) / math.sqrt(len(z))
for i in range(4):
    print(f"image {i}: closed form {exact[i]:7.3f} nats, Monte Carlo {estimate[i]:7.3f} +- {error[i]:.3f}")

# %% [markdown] tags=["exercise"]
# Now the loss: the *negative* ELBO, to be minimized. With a Gaussian likelihood of variance $s^2$ (`variance`),
# $-\log p(x \mid z) = \frac{1}{2 s^2}\,\|x - \mathrm{dec}(z)\|^2 + \text{const}$. The squared error is **summed** over pixels, the KL is
# **summed** over latent dimensions, and one **mean** over the batch is taken at the end. Leave the constant out. You may use
# `kl_to_prior`.

# %% tags=["exercise"]
def negative_elbo(x, mean, mu, logvar, variance):
    """The VAE's loss in nats: squared error / (2 variance) + KL, mean over the batch, without the constant.

    x, mean: (B, C, H, W), images and the decoder's means dec(z), already computed. mu, logvar: (B, Z), of the posterior.
    variance: float, of the likelihood. Returns a scalar."""
    ### BEGIN SOLUTION
    rec = (x - mean).square().flatten(1).sum(1) / (2 * variance)       # (B,)
    return (rec + kl_to_prior(mu, logvar)).mean()
    ### END SOLUTION

# %% tags=["check"]
check("2.3")

# %% [markdown]
# ### What "beta = 1" means
#
# With $s^2 = \tfrac12$ the loss is simply **sse + KL** (sse: summed squared error). This course minimizes that. Other code has other
# factors in front of the two terms, and each is a case of sse + $\beta$ KL with another weight $\beta$. With a general $s^2$ the loss is
# sse / (2 $s^2$) + KL; multiply it by 2 $s^2$, which moves no minimum, and read off $\beta = 2 s^2$. So
#
# $$\text{minimizing} \quad \text{sse} + \beta\,\mathrm{KL} \quad \text{trains with the ELBO of a Gaussian decoder with} \quad s^2 = \beta / 2.$$
#
# A mean in place of a sum is such a factor, too. So "beta = 1" says nothing until somebody says what was summed and what was averaged.

# %% [markdown] tags=["exercise"]
# A library minimizes `mse + kl`: the squared error is *averaged* over the pixels of 1 x 32 x 32 images, the KL is summed over 32 latent
# dimensions; both are averaged over the batch. Write this loss as a constant times (sse + $\beta$ KL). Which $\beta$ is it? Answer with
# a number.

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_2_4 = 1024
### END SOLUTION

# %% tags=["check"]
check("2.4")

# %% [markdown]
# ### The step
#
# The package's own training step, on one screen. You have written its parts: `posterior.sample` is `reparameterize`, `self.nll` is the
# reconstruction term (`rec`), without its constant, and `kl_per_dim` is the KL before the sum. As in chapter 01, `update("model", loss)` computes the
# gradients and steps the optimizer. `beta` is 1 here, and `free_bits` is explained below.

# %%
print(inspect.getsource(VAE.step))

# %% [markdown]
# Let it run for a moment: 60 steps on 10,000 garments, here and now. At first the error falls with hardly any KL: the decoder learns the
# average garment, and that needs no code. To get lower, the code has to tell images apart, and that costs nats: the KL rises. Where it
# falls back although the error still falls, the code says as much with fewer nats.

# %% tags=["figure"]
train = data.load("fashion-mnist-mini", "train")
_, first_steps = recipes.quick(VAE.Config(latent_dim=32), train, steps=60, log_every=2)
vae_figures.terms_apart({"first 60 steps": first_steps}, ["rec", "kl"])

# %% [markdown]
# ## What a trained VAE knows
#
# From here on we use models that were trained for 20 epochs on all 60,000 training images. Their curves were recorded beside their
# weights.

# %% tags=["figure"]
recorded = {name: checkpoints.curves(name) for name in ("vae_fashion_z32", "vae_fashion_z2")}
vae_figures.terms_apart(recorded, ["val_sse", "val_kl"], title="Held-out images, 20 epochs")

# %% tags=["figure"]
figures.reconstructions({"AE, 16 latents": autoencoder, "VAE, 32 latents": vae}, some)

# %% [markdown]
# The VAE's reconstructions are *blurrier* than the autoencoder's, although its code has more numbers. That is the price: a detail goes
# into the code only if it lowers the error by more than its nats cost. What the price buys is where the codes lie.
#
# ### Two latents: the whole space in one picture
#
# With two latent dimensions the latent space is a plane. First the map of chapter 01, the autoencoder's; then the VAE's. Same data,
# same network (but for the encoder's second output, `logvar`). Mind the axes.

# %% tags=["figure"]
plane = recipes.obtain("vae_fashion_z2", MODE)
figures.show(figures.latent_map(recipes.obtain("ae_fashion_z2", MODE), test, title="Autoencoder, two numbers"))
figures.latent_map(plane, test, title="VAE, two latents")

# %% [markdown]
# The autoencoder's codes are spread over a range that nothing in its loss has set. The VAE's fill the disk in which $\mathcal N(0, I)$
# has most of its mass (the circles have radius 1 and 2): noise falls where garments are. Now decode a grid over that disk, with rows and
# columns at quantiles of the prior, so that each picture stands for the same share of it:

# %% tags=["figure"]
figures.decoded_grid(plane, n=12)

# %% [markdown]
# ### Which latents are in use
#
# Of its 32 latent dimensions, how many does the VAE use? Average the KL of each dimension over images. In a dimension with no KL every
# image's posterior *is* the prior, so it tells nothing about the image.

# %% tags=["figure"]
figures.kl_per_dimension(vae, test.floats(slice(0, 1000)))

# %% [markdown]
# ### Does the *average* posterior match the prior?
#
# The decoder was trained on codes drawn from the posteriors of all images; samples come from the prior. So the mixture of all posteriors
# should look like the prior. (If *each* $q(z \mid x)$ looked like the prior, no code would tell anything about its image.) Codes of 2,000
# test images, one draw each, in the four dimensions that carry most:

# %% tags=["figure"]
figures.prior_vs_aggregate(vae, test.floats(slice(0, 2000)))

# %% [markdown]
# ## Play
#
# Pick an image, then move the sliders of the dimensions that carry most KL. Is there a dimension that changes the *kind* of garment, and
# one that changes only its brightness? *Random* draws from the prior; *truncation* multiplies the code: below 1 it pulls it toward zero.
# What does that do to the variety of the pictures?

# %% tags=["widget"] alt="Panel with a garment, its reconstruction and one slider for each of the six latent dimensions that carry most KL"
widgets.LatentExplorer({"VAE, 32 latents": vae, "VAE, 2 latents": plane}, test)

# %% [markdown]
# ## What breaks: posterior collapse
#
# The weight of the KL, beta, decides how expensive a nat is. Make it too expensive, and the cheapest encoder says nothing:
# $q(z \mid x) = p(z)$ for every image, KL = 0, and the decoder paints the average garment. This is called **posterior collapse**, and here
# it takes one argument.
#
# Two remedies are often named. *Warm-up* starts with a small beta and raises it to its value during training. *Free bits* does not
# charge for the first nats of a dimension, here half a nat in each. Which of them helps here? Decide before you run the cell.

# %% tags=["figure"]
runs = {
    "beta = 40": VAE.Config(latent_dim=32, beta=40),
    "beta = 40, warm-up": VAE.Config(latent_dim=32, beta=40, beta_schedule="linear"),
    "beta = 40, free bits 0.5": VAE.Config(latent_dim=32, beta=40, free_bits=0.5),
}
broken, histories = {}, {}
for name, config in runs.items():
    broken[name], histories[name] = recipes.quick(config, train, steps=80, log_every=4, lr=2e-3)
vae_figures.terms_apart(histories, ["rec", "kl"], title="The same network, one flag apart")

# %% tags=["figure"]
figures.posterior_collapse(broken, some, kl_images=test.floats(slice(0, 500)))

# %% [markdown]
# Free bits keeps the code alive: nats below the limit cost nothing, so the encoder spends them, and the reconstructions begin to differ.
# Warm-up does not help here: it changes the way, but ends at the same beta, and here that price is the trouble.
#
# And the reconstruction term fell in all three runs. It does not show the collapse; the KL does. *Always log the two terms apart.*
#
# ## How good is the bound?
#
# The ELBO is a bound; how far below $\log p(x)$ is it? In the ELBO one averages logarithms. Average the **importance weights** $w_k$
# themselves, $K$ of them, and take the logarithm then:
#
# $$\mathcal L_K = \mathbb E\left[\log \frac1K \sum_{k=1}^K w_k\right], \qquad w_k = \frac{p(x \mid z_k)\, p(z_k)}{q(z_k \mid x)}, \quad z_k \sim q(z \mid x).$$
#
# $\mathcal L_1$ is the ELBO, $\mathcal L_K$ never falls as $K$ grows, and it tends to $\log p(x)$ (Burda et al. 2015, arXiv 1509.00519).
# The cell below the exercise draws this for $K$ up to 256.

# %% [markdown] tags=["exercise"]
# Compute $\log \frac1K \sum_k w_k$ for each of $B$ images. You get the *logarithms* of the weights. For images these are numbers like
# -600 (the cell after the check prints their mean, the ELBO), and `exp(-600)` is 0 in float32. So stay with logarithms all the way: PyTorch has `torch.logsumexp`.

# %% tags=["exercise"]
def importance_weighted_bound(log_weights):
    """log of the mean of K weights, given as logarithms.

    log_weights: (K, B), in nats: K samples for each of B images. Returns (B,), in nats."""
    ### BEGIN SOLUTION
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))
    ### END SOLUTION

# %% tags=["check"]
check("2.5")

# %% tags=["figure"]
generator = torch.Generator().manual_seed(5)
log_w = importance_log_weights(vae, test.floats(slice(0, 64)), k=256, generator=generator)          # (256, 64)
ks = [1, 2, 4, 8, 16, 32, 64, 128, 256]
# The 256 weights give 256 / K independent estimates of each bound: their mean and its standard error over images.
bounds = [torch.stack([importance_weighted_bound(part) for part in log_w.split(k)]).mean(0) for k in ks]
gain = [(bound - bounds[0]).mean().item() for bound in bounds]
spread = [(bound - bounds[0]).std().item() / 8 for bound in bounds]                                  # 8: the root of 64 images
print(f"ELBO {bounds[0].mean():.2f} nats, with K = 256 {bounds[-1].mean():.2f} nats, of which {-512 * math.log(math.pi):.2f} are the constant of a decoder with variance 1/2")
figures.iwae_bound(ks, gain, spread, label="gain over the ELBO (nats per image)", title="What K samples gain over the ELBO")

# %% [markdown] tags=["exercise"]
# A colleague computes such weights with their own `log_posterior`, on the one-pixel model from above, where $q$ is the *exact* posterior.
# Then every weight must be the same number, $p(x)$, whichever $z$ was drawn. Theirs vary, and the average "bound" lands *above* the
# exact $\log p(x)$. Run this cell and the one below it, find the line, and mend it.

# %% tags=["exercise"]
def log_posterior(z, mu, logvar):
    """log q(z|x) in nats for q = N(mu, exp(logvar)), with all constants. z, mu, logvar: (B, Z). Returns (B,)."""
    std = (logvar / 2).exp()
    ### BEGIN BUG
    # return torch.distributions.MultivariateNormal(mu, torch.diag_embed(std)).log_prob(z)
    ### END BUG
    ### BEGIN SOLUTION
    return torch.distributions.MultivariateNormal(mu, torch.diag_embed(std**2)).log_prob(z)
    ### END SOLUTION

# %%
n = 20_000
mu, logvar = torch.full((n, 1), true_mean), torch.full((n, 1), math.log(true_var))
z = reparameterize(mu, logvar, torch.randn(n, 1, generator=torch.Generator().manual_seed(1)))
weights = gaussian_log_prob(x0 - w * z, 0.0, math.log(s**2)) + gaussian_log_prob(z) - log_posterior(z, mu, logvar)
print(f"exact log p(x)      {log_px:.4f}")
print(f"mean of log-weights {weights.mean():.4f}, spread {weights.std():.4f} (an exact posterior has spread 0)")

# %% tags=["check"]
check("2.6")

# %% [markdown]
# ## Key points
#
# - The ELBO is a lower bound on $\log p(x)$. The gap is $\mathrm{KL}(q(z) \,\|\, p(z \mid x))$, and 0 for the true posterior.
# - Sum over pixels, sum over latents, mean over the batch. Any other choice is another beta.
# - `sse + KL` is the negative ELBO of a Gaussian decoder with variance 1/2.
# - Log KL and error apart: when the posterior collapses, the error still falls, but the KL goes to zero.
# - Importance weights tighten the bound, provided that every density in them has the right constants and squares.
#
# **Next:** chapter 03 turns the weight of the KL into a dial, and asks what it can and cannot do.
#
# ## Further reading
#
# - Kingma and Welling, *Auto-Encoding Variational Bayes*, arXiv 1312.6114: the paper; appendix B has the KL.
# - Rezende, Mohamed and Wierstra, *Stochastic Backpropagation and Approximate Inference in Deep Generative Models*, arXiv 1401.4082: the
#   same idea, at the same time.
# - Burda, Grosse and Salakhutdinov, *Importance Weighted Autoencoders*, arXiv 1509.00519.
# - Bowman et al., *Generating Sentences from a Continuous Space*, arXiv 1511.06349: collapse, and warm-up.
# - Kingma et al., *Improving Variational Inference with Inverse Autoregressive Flow*, arXiv 1606.04934: free bits, in its appendix.
# - Kingma and Welling, *An Introduction to Variational Autoencoders*, arXiv 1906.02691: the long version.

# %%
progress()

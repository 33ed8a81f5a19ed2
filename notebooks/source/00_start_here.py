# ---
# title: Start here
# question: Is this machine ready, how does a chapter work, and where does the course lead?
# minutes: 20
# goals:
#   - say what this machine has and what it lacks
#   - run a chapter, solve an exercise, unfold its hints, read its check
#   - recognize what each method of the course does to one and the same picture
# prerequisites:
#   - Python, and a first course in deep learning (you have trained a convolutional network)
# modes:
#   LOAD: loads every shipped model (under a minute on two CPU cores)
#   FAST: the same; this chapter trains nothing
#   FULL: the same
# ---

# %% tags=["setup"]

from course_utils import checkpoints, data, doctor, figures, widgets
from course_utils.exercises import check, progress

test = data.load("fashion-mnist-mini", "test")

# %% [markdown]
# ## Where the course leads
#
# The methods of this course draw pictures from short lists of numbers, called **codes**, and most of them also turn a picture into
# a code. Each chapter asks the same questions of another method: what is left of a picture, never seen before, that goes into a code
# and out again (**reconstruct**), what does the method draw from random numbers (**sample**), and what did it cost to train?
#
# The pictures are mostly from Fashion-MNIST: gray photographs of clothes, shoes and bags, of ten kinds, 28 x 28 pixels, to which
# we add a black border so that they have 32 x 32. `fashion-mnist-mini` is the part that comes with the course: all test images,
# and a sixth of the training images.
#
# Here is one picture through every model whose trained weights lie in `checkpoints/`. The names will mean something to you after
# chapter 03; for now, compare the columns.

# %% tags=["figure"]
models = {name: checkpoints.load(name) for name in checkpoints.shipped("fashion-mnist")}
figures.comparison_panel(models, test.floats([21]))

# %% [markdown]
# The number under each reconstruction is its squared error, summed over all pixels: 0 would be perfect. Below it are two samples.
# Which columns keep the details of the picture? Which have samples that could be garments? Does any column do both well? The course
# is about getting both.
#
# The generators of chapter 04 have no encoder: they reconstruct nothing, and draw. Each column is one draw of random numbers, the same
# for all rows:

# %% tags=["figure"]
figures.samples({name: checkpoints.load(name) for name in checkpoints.shipped("fashion-mnist", has_encoder=False)}, 12, columns=12)

# %% [markdown]
# Now choose another picture and another model, and move the numbers of its code (they are also called its **latent
# dimensions**; a model with many of them shows the six that carry most):

# %% tags=["widget"] alt="Panel with a picture, its reconstruction, a choice of methods, and sliders for the latent dimensions that carry most"
widgets.LatentExplorer({"vae_fashion_z32": models["vae_fashion_z32"], **models}, test)

# %% [markdown]
# ## The machine
#
# Every chapter runs on a CPU; a GPU only makes training faster. The doctor says what is here, what is missing, and what to do about
# it. (On the command line: `course doctor`.)

# %% tags=["no-output"]
for line in doctor.examine():
    print(line)

# %% [markdown]
# ## How a chapter works
#
# - **`MODE`**, in the cell near the top, says where models come from. `LOAD` takes the shipped weights: the whole chapter runs within a
#   minute. `FAST` trains each model for a few hundred steps, here and now. `FULL` repeats the training of the shipped weights.
# - **Exercises** are cells with `raise NotImplementedError`. Replace that line, run the cell, and run the check below it. The check says
#   what is wrong and why it matters. In a *bug hunt* the cell holds code that runs, with a mistake in it.
# - **A check never blocks.** Leave an exercise unsolved, and the rest of the chapter uses the reference solution, and says so.
# - **Hints** unfold under the text of the exercise. You can do without them: the text and the docstring say what is asked for.
# - `# New:` in the package's code marks what a chapter adds to the one before.
#
# Try it on a short one.

# %% [markdown] tags=["exercise"]
# Images are tensors of shape `(B, C, H, W)`: batch, channels, height, width, with values in $[0, 1]$. The squared error of a batch is *one number
# per image*: the squared differences, **summed** over everything but the batch. Other code takes the mean, which is 1 x 32 x 32 =
# 1024 times smaller for our pictures. So an error means little until it is said which of the two it is. Here it is the sum.

# %% tags=["exercise"]
def squared_error(x, y):
    """Squared error between each image of x and the image of y with the same index.

    x, y: (B, C, H, W). Returns (B,): squared differences, summed over channels, height and width."""
    ### BEGIN SOLUTION
    return (x - y).square().sum((1, 2, 3))
    ### END SOLUTION

# %% tags=["check"]
check("0.1")

# %% [markdown]
# With it we can measure every model on the same 1,000 test pictures:

# %%
pictures = test.floats(slice(0, 1000))
errors = {name: squared_error(pictures, model.reconstruct(pictures)).mean().item() for name, model in models.items()}
for name, error in sorted(errors.items(), key=lambda pair: pair[1]):
    print(f"{name:28s}{error:8.2f}  squared error per image")

# %% [markdown] tags=["exercise"]
# Another kind of exercise asks for a prediction or an observation. Names that begin with `ae` are autoencoders (chapter 01), `vae`
# variational autoencoders (02), `beta_vae` a variant of these (03). The number after `z` is how many numbers a code holds. Which
# model of the list has the *smallest* error? Write its name as a text.

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_0_2 = min(errors, key=errors.get)
### END SOLUTION

# %% tags=["check"]
check("0.2")

# %% [markdown]
# ## The table of the whole course
#
# One row per training run, as recorded in `checkpoints/manifest.json`. One command repeats a run: `course train --recipe NAME`.
# Minutes are by the clock, on two CPU cores that did other work at the same time: read minutes and images per second as bounds.
# Errors are per image, summed over pixels, on test pictures. On CIFAR-10 (color photographs) they are measured with pixels in
# $[-1, 1]$, which makes them four times what they would be in $[0, 1]$. "KL" is how much a code tells about its picture; chapter 02
# explains it. The errors of variational autoencoders are larger here than those you have just measured, because here their codes are
# drawn at random, as in training. `fd_fashion` says how far a model's samples are from test pictures; chapter 05 explains it.

# %%
rows = [{**facts, **facts["metrics"], "run": name} for name, facts in checkpoints.manifest().items()]
columns = {"run": "run", "method": "method", "dataset": "data", "sse": "squared error", "kl": "KL", "fd_fashion": "fd_fashion", "steps": "steps",
           "minutes": "minutes", "images_per_second": "images/s", "parameters": "parameters"}
figures.metric_table(rows, columns, digits=3)

# %% [markdown]
# ## Notation
#
# The same letters in every chapter. This table is to come back to: each chapter explains the symbols that it uses first.
#
# | symbol | in code | meaning |
# |---|---|---|
# | $x$ | `x (B, C, H, W)` | a batch of images, pixels in $[0, 1]$ |
# | $z$ | `z (B, Z)` | codes, latent variables; $Z$ is `latent_dim` |
# | $p(z) = \mathcal N(0, I)$ | `sample(n)` | the prior over codes |
# | $q(z \mid x)$ | `encode(x)` | the posterior that the encoder gives: `mean`, `logvar` `(B, Z)` |
# | $p(x \mid z)$ | `decode(z)` | the likelihood; `decode` gives its mean |
# | $\mu, \sigma^2, \log\sigma^2$ | `mu`, `logvar` | mean, variance and log-variance of a Gaussian; `logvar` is *not* the logarithm of the standard deviation |
# | sse | `sse(x, y) (B,)` | squared error, **summed** over pixels |
# | KL | `kl (B,)` | Kullback-Leibler divergence in nats (natural logarithms), **summed** over latents |
# | ELBO | `elbo (B,)` | evidence lower bound on $\log p(x)$, in nats |
# | $\beta$ | `beta` | weight of the KL; 1 is the ELBO when $p(x \mid z)$ has variance 1/2 and the error is a plain sum |
#
# Losses are means over the batch of such sums.
#
# ## Key points
#
# - Every method is asked the same: reconstruct, sample, and at what cost?
# - An error is a sum over pixels, one number per image, unless it is said otherwise.
# - Checks say what is wrong; they never stop you from going on.
#
# **Next:** chapter 01 begins with the simplest of these methods, and asks why its samples look the way they do.
#
# ## Further reading
#
# - Xiao, Rasul and Vollgraf, *Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms*, arXiv 1708.07747.
# - Daniel and Tamar, *Soft-IntroVAE: Analyzing and Improving the Introspective Variational Autoencoder*, arXiv 2012.13253: where the
#   course is going.

# %%
progress()

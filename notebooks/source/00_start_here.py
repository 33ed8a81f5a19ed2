# ---
# title: Start here
# question: Is this machine ready, how does a chapter work, and where does the course lead?
# minutes: 20
# goals:
#   - say what this machine has and what it lacks
#   - run a chapter, solve an exercise, unfold its hints, read its check
#   - recognize what each method of the course does to one and the same picture
# ---

# %% tags=["setup"]

from course_utils import checkpoints, data, doctor, figures, widgets
from course_utils.exercises import check, progress

test = data.load("fashion-mnist-mini", "test")

# %% [markdown]
# ## Where the course leads
#
# Every chapter asks the same questions of another method: what does it make of a picture it has never seen
# (**reconstruct**), what does it make of noise (**sample**), and what did it cost? Here is one picture through every
# method whose trained weights lie in `checkpoints/`. As you go on, you will know why each column looks as it does.

# %% tags=["figure"]
shipped = {name: facts for name, facts in checkpoints.manifest().items() if facts["file"] and facts["dataset"] == "fashion-mnist"}
models = {name: checkpoints.load(name) for name in shipped}
figures.comparison_panel(models, test.floats([21]))

# %% [markdown]
# The number under each reconstruction is its squared error, summed over all pixels: 0 would be perfect. Look from left to
# right: which columns keep the details, which columns give clean *samples* in the lower rows? No column here does both well. That
# is what the course is about.
#
# Now choose another picture, another method, and move what the method calls its latent dimensions:

# %% tags=["widget"] alt="Panel with a picture, its reconstruction, a choice of methods, and sliders for the latent dimensions that carry most"
widgets.LatentExplorer(models, test)

# %% [markdown]
# ## The machine
#
# Every chapter runs on a CPU; a GPU makes training faster and changes nothing else. The doctor says what is here, what is missing, and
# what to do about it. (On the command line: `course doctor`.)

# %%
for line in doctor.examine():
    print(line)

# %% [markdown]
# ## How a chapter works
#
# - **`MODE`**, in the cell near the top, says where models come from. `LOAD` takes the shipped weights: the whole chapter runs within a
#   minute. `FAST` trains small versions here and now. `FULL` trains what we trained.
# - **Exercises** are cells with `raise NotImplementedError`. Replace that line. The check below says what is wrong and why it matters.
# - **A check never blocks.** Leave an exercise unsolved and the rest of the chapter uses the reference, and says so.
# - **Hints** unfold under the exercise, or call `hint("0.1")`.
# - `# New:` in the package's code marks what a chapter adds to the one before.
#
# Try it. This one is short.

# %% [markdown] tags=["exercise"]
# Images are tensors of shape `(B, C, H, W)`: batch, channels, height, width, with values in $[0, 1]$. The squared error of a batch is *one number
# per image*: a **sum** over everything that is not the batch. Many a published number is off by a factor of a thousand because
# somebody took a mean here; this course never does without saying so.

# %% tags=["exercise"]
def squared_error(x, y):
    """Squared error of each image.

    x, y: (B, C, H, W). Returns (B,): summed over channels, height and width."""
    ### BEGIN SOLUTION
    return (x - y).square().sum((1, 2, 3))
    ### END SOLUTION

# %% tags=["check"]
check("0.1")

# %% [markdown]
# With it we can measure every method on the same 1,000 test pictures:

# %%
pictures = test.floats(slice(0, 1000))
errors = {name: squared_error(pictures, model.reconstruct(pictures)).mean().item() for name, model in models.items()}
for name, error in sorted(errors.items(), key=lambda pair: pair[1]):
    print(f"{name:28s}{error:8.2f}  squared error per image")

# %% [markdown] tags=["exercise"]
# The next kind of exercise asks for a prediction or an observation. `"ae"` models are autoencoders, `"vae"` and `"beta_vae"` models put a
# price on information; the number after `z` is how many numbers a code holds. Which model of the list has the *smallest* error?
# Write its name as a text.

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_0_2 = min(errors, key=errors.get)
### END SOLUTION

# %% tags=["check"]
check("0.2")

# %% [markdown]
# ## The table of the whole course
#
# One row a run, as far as it is recorded in `checkpoints/manifest.json`. Each row is made again by one command,
# `course train --recipe NAME`. Errors are per image, summed over pixels, on held-out pictures; on CIFAR-10 they are measured with
# pixels in $[-1, 1]$, which makes them four times what they would be in $[0, 1]$. For VAEs they include the noise of one posterior
# sample, as in training. KL is in nats.

# %%
rows = [{"run": name, **facts, **facts["metrics"]} for name, facts in checkpoints.manifest().items()]
columns = {"run": "run", "method": "method", "dataset": "data", "sse": "squared error", "kl": "KL", "steps": "steps",
           "minutes": "minutes", "images_per_second": "images/s", "parameters": "parameters"}
figures.metric_table(rows, columns, digits=3)

# %% [markdown]
# ## Notation
#
# The same letters in every chapter.
#
# | symbol | in code | meaning |
# |---|---|---|
# | $x$ | `x (B, C, H, W)` | a batch of images, pixels in $[0, 1]$ |
# | $z$ | `z (B, Z)` | codes, latent variables; $Z$ is `latent_dim` |
# | $p(z) = \mathcal N(0, I)$ | `sample(n)` | the prior over codes |
# | $q(z \mid x)$ | `encode(x)` | the posterior that the encoder gives: `mean`, `logvar` |
# | $p(x \mid z)$ | `decode(z)` | the likelihood; `decode` gives its mean |
# | $\mu, \sigma^2, \log\sigma^2$ | `mu`, `logvar` | mean, variance and log-variance of a Gaussian; `logvar` is *not* log of the standard deviation |
# | sse | `sse(x, y) (B,)` | squared error, **summed** over pixels |
# | KL | `kl (B,)` | Kullback-Leibler divergence in nats, **summed** over latents |
# | ELBO | `elbo (B,)` | evidence lower bound on $\log p(x)$, in nats |
# | $\beta$ | `beta` | weight of the KL; 1 is the ELBO when $p(x \mid z)$ has variance 1/2 and the error is a plain sum |
#
# Losses are means over the batch of such sums.
#
# ## Go on
#
# Chapter 01 begins with the simplest of these methods, and with the question why its samples look the way they do.

# %%
progress()

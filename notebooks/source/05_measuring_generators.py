# ---
# title: Measuring generators
# question: What does a score of generated images measure, and when may two scores be compared?
# minutes: 120
# goals:
#   - compute a Fréchet distance from its formula, and say what it cannot see
#   - say how the number of images moves a score, and use an estimate that it does not move
#   - tell blurry images from missing kinds of images, and both from memorized ones
#   - find the network that was left in train mode, and measure what that does to a score
#   - state a score so that somebody else can get the same number
# prerequisites:
#   - chapters 02 and 04 (samples of a VAE, samples of GANs)
#   - mean, covariance matrix, eigenvalues
# checkpoints: [classifier_fashion, vae_fashion_z32, gan_fashion_minimax_s0, gan_fashion_non-saturating_s0, gan_fashion_lsgan_s0, gan_fashion_wgan-gp_s0, gan_fashion_hinge_s0]
# modes:
#   LOAD: loads the shipped models (under a minute on two CPU cores)
#   FAST: trains each of the six generators for 400 steps (some 8 minutes)
#   FULL: trains each generator as its recipe says (hours on one CPU core)
# ---

# %% tags=["setup"]
import copy
import io

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from course_utils import checkpoints, data, figures, recipes, widgets
from course_utils.exercises import check, progress
from course_utils.figures import measuring
from course_utils.figures.autoencoders import image_rows
from course_utils.metrics import feature_network, generate, measure, nearest, precision_recall_density_coverage
from course_utils.metrics.samples import codes

test = data.load("fashion-mnist-mini", "test")  # 10,000 real images, none of which a model was trained on

# %% [markdown]
# ## The question, in one picture
#
# Six generators, all trained on the same pictures: the VAE of chapter 02, and the GANs of chapter 04, one for each loss. Above them,
# real pictures. Which generator is the best, which one is second? *Write your order down before you read on.*

# %% tags=["figure"]
GANS = ("minimax", "non-saturating", "lsgan", "wgan-gp", "hinge")
NAMES = {"VAE": "vae_fashion_z32", **{loss: f"gan_fashion_{loss}_s0" for loss in GANS}}
models = {label: recipes.obtain(name, MODE) for label, name in NAMES.items()}
first = {label: next(generate(model, 10)).float() / 255 for label, model in models.items()}   # (10, 1, 32, 32) each
image_rows({"real": test.floats(slice(0, 10)), **first}, title="Real, and six times generated")

# %% [markdown]
# It is hard, for two reasons. Ten pictures are few. And a generator is not good because *one* picture is good: one that draws the same
# perfect shoe every time would be useless. We have to compare **distributions**: all that a generator draws with all that is real.
#
# ## The distance of two distributions
#
# Begin on a line. The real values have the distribution $\mathcal N(m_r, s_r^2)$, the generated ones, the **fakes**,
# $\mathcal N(m_f, s_f^2)$. Move the first onto the second, each bit of it as little as possible. The mean *squared* distance moved is
# the price. On a line the cheapest plan keeps the order: the smallest value goes to the smallest, the largest to the largest. For two
# normal distributions that is a shift and a stretch, and the price is
#
# $$d = (m_r - m_f)^2 + (s_r - s_f)^2$$
#
# This is called the **Fréchet distance** of two normal distributions. (It is the *square* of what mathematicians call so; we follow the
# literature on generators.) Check it: draw many values from both, sort them, and pair them in that order.

# %% tags=["figure"]
generator = torch.Generator().manual_seed(0)
real_values = torch.randn(200_000, generator=generator).sort().values                        # N(0, 1)
pairs = {"the same": (0.0, 1.0), "shifted": (2.0, 1.0), "too wide": (0.0, 3.0), "too narrow": (0.0, 0.4), "both": (1.0, 0.5)}
for name, (m, s) in pairs.items():
    fakes = (m + s * torch.randn(200_000, generator=generator)).sort().values
    print(f"{name:10s} formula {m**2 + (1 - s)**2:.3f}, sorted draws {(real_values - fakes).square().mean():.3f}")
measuring.densities({name: (measuring.REAL["one peak"], m, s) for name, (m, s) in pairs.items()}, title="Real: mean 0, width 1", columns=5)

# %% [markdown]
# A shift by two costs as much as a width larger by two. Both are mistakes of a generator: a shift is *wrong* values, a small width is too
# little *variety*.
#
# ### Play
#
# Move the fake. The menu holds two more distributions of the real values that are *not* normal. For these the formula is used all the
# same, with the mean and the standard deviation of the real values.

# %% tags=["widget"] alt="Panel with two densities on a line, a slider for the mean and one for the width of the fake, and the Fréchet distance"
widgets.FrechetExplorer()

# %% [markdown] tags=["exercise"]
# Choose **two peaks**: half of the real values lie around -0.7, half around 1.7, and each peak has the width 0.5. Bring the Fréchet
# distance to 0. (Without a live kernel, compute where that is.) Answer with `(mean, width)` of the fake. What does the fake look like
# there, and what does the last number under the picture say?

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_5_1 = (0.5, 1.3)
### END SOLUTION

# %% tags=["check"]
check("5.1")

# %% [markdown]
# The distance is 0, and yet many fakes lie between the peaks, where few real values are. *A Fréchet distance sees a mean and a width, and
# nothing else.* The last number is the price of moving one curve onto the other itself; it stays above 0.
#
# ### In many dimensions
#
# A point has $D$ coordinates now. Means $m$ become vectors `(D,)`, and widths become covariance matrices $C$ `(D, D)`. The price of moving one normal
# distribution onto another is
#
# $$d = \|m_r - m_f\|^2 + \mathrm{tr}\left(C_r + C_f - 2\,(C_r C_f)^{1/2}\right)$$
#
# The root of a matrix is the matrix whose product with itself gives it back. With $D = 1$ this is the formula above:
# $s_r^2 + s_f^2 - 2 s_r s_f$.

# %% [markdown] tags=["exercise"]
# Write it. You need no root of a matrix, only the *trace* of one: the sum of its eigenvalues, which are the roots of the eigenvalues of
# $C_r C_f$. `torch.linalg.eigvals` gives those. For covariances they are real and not negative, up to rounding.

# %% tags=["exercise"]
def frechet_distance(mean1, covariance1, mean2, covariance2):
    """The Fréchet distance of two normal distributions, squared as FID is.

    mean1, mean2: (D,). covariance1, covariance2: (D, D). All float64. Returns a scalar tensor."""
    ### BEGIN SOLUTION
    overlap = torch.linalg.eigvals(covariance1 @ covariance2).real.clamp_min(0).sqrt().sum()
    return (mean1 - mean2).square().sum() + covariance1.trace() + covariance2.trace() - 2 * overlap
    ### END SOLUTION

# %% tags=["check"]
check("5.2")

# %% [markdown]
# ## Features, not pixels
#
# Images are points as well, with one coordinate for each pixel. Why not take the distance there? Because pixels are not what we see. So
# one measures in the **features** of a network that was trained to recognize things: its activations before the last layer. A *score* is
# the Fréchet distance of two normal distributions that were fitted to features, one to those of real and one to those of generated
# images. With the features of one particular network, Inception-v3, which was trained on ImageNet, it is called the
# **FID** (Heusel et al. 2017). Here we use our own classifier of garments, whose features are 128 numbers, and call the distance
# `fd_fashion`: *another network gives another number, and so it gets another name.*

# %%
fashion = feature_network("fashion")       # the measuring instrument: the shipped one, whatever MODE says; in eval mode
classifier = fashion.module

@torch.no_grad()
def features_of(images):
    """Features of 8-bit images, (N, 1, 32, 32) -> (N, 128)."""
    return torch.cat([fashion.extract(part.float() / 255) for part in images.split(500)])

N = 1500                                                     # images of each kind, where nothing else is said
order = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))
real_images, labels = test.images[order], test.labels[order]
real = features_of(real_images)                              # (10000, 128)
reference, others = real[:5000], real[5000:]                 # scores are distances from the first half
print(f"features of {len(real):,} real images: {tuple(real.shape)}")

# %% [markdown]
# ### Mean and covariance of many images
#
# Features come in batches, since not all images fit into memory.

# %% [markdown] tags=["exercise"]
# A colleague computes mean and covariance batch by batch. The score should depend neither on the batch size nor on the order of the
# images, and it does on both. Run this cell and the one below it. There are **two** mistakes: find and mend them.

# %% tags=["exercise"]
def moments(batches):
    """Mean and covariance of features that come in batches, as `torch.cov` of all of them would give it.

    batches: a list of (B, D), the last one may be smaller. Returns (D,) and (D, D), divided by N - 1."""
    ### BEGIN BUG
    # means = torch.stack([batch.mean(0) for batch in batches])                # (number of batches, D)
    # covariances = torch.stack([torch.cov(batch.T) for batch in batches])     # (number of batches, D, D)
    # return means.mean(0), covariances.mean(0)
    ### END BUG
    ### BEGIN SOLUTION
    count = sum(len(batch) for batch in batches)
    mean = sum(batch.sum(0) for batch in batches) / count
    scatter = sum((batch - mean).T @ (batch - mean) for batch in batches)
    return mean, scatter / (count - 1)
    ### END SOLUTION

# %%
def score_of(fakes, reals, batch_size=500):
    """Fréchet distance of features (N, D) from features (M, D), in float64."""
    return float(frechet_distance(*moments(fakes.double().split(batch_size)), *moments(reals.double().split(batch_size))))

by_class = others[:N][labels[5000:5000 + N].argsort()]       # the same images, sorted by class
for name, part in (("shuffled", others[:N]), ("by class", by_class)):
    print(f"{name}:", *(f"batches of {size}: {score_of(part, reference, size):.3f}  " for size in (300, 700, 2000)))

# %% tags=["check"]
check("5.3")

# %% [markdown]
# ### What pixels see, and what features see
#
# Now measure the same sets of images twice: in pixels, and in features. (Pixels are those of pictures halved in size, 16 x 16 = 256
# numbers.) Beside other real images and two generators there are two sets that were made on purpose: real images, moved to the side by two
# pixels; and *normal noise* drawn with the mean and the covariance of real pixels, then cut to the range from 0 to 1. Decide before you run
# the cell: which of these two will be nearer to real images in pixels, and which in features?

# %% tags=["figure"]
pixels = real_images.double().flatten(1) / 255                                                # (10000, 1024)
root = torch.linalg.cholesky(torch.cov(pixels.T) + 1e-6 * torch.eye(1024))
noise = pixels.mean(0) + torch.randn(N, 1024, generator=torch.Generator().manual_seed(1)).double() @ root.T
drawn = {label: torch.cat(list(generate(model, N))) for label, model in models.items()}      # 8 bit, (2000, 1, 32, 32)
sets = {
    "other real images": real_images[5000:5000 + N],
    "moved by two pixels": torch.roll(real_images[5000:5000 + N], 2, dims=3),
    "normal noise": (noise.clamp(0, 1) * 255).round().to(torch.uint8).view(N, 1, 32, 32),
    "VAE": drawn["VAE"], "hinge": drawn["hinge"],
}
image_rows({name: images[:10].float() / 255 for name, images in sets.items()}, title="Real images, two ways to disturb them, two generators")

# %%
def small(images):
    """Pixels of the images at half their size, (N, 256)."""
    return F.avg_pool2d(images.float() / 255, 2).flatten(1)

features = {"other real images": others[:N], **{name: features_of(sets[name]) for name in ("moved by two pixels", "normal noise")}}
features |= {label: features_of(images) for label, images in drawn.items()}                   # 128 numbers for each image
in_pixels = small(real_images[:5000])
rows = [{"images": name, "in pixels": score_of(small(images), in_pixels), "in features": score_of(features[name], reference)}
        for name, images in sets.items()]
figures.metric_table(rows, caption=f"Fréchet distances of {N:,} images from {len(reference):,} real ones")

# %% [markdown]
# In pixels the noise is nearer to real images than real images that were moved a little. (It is not as near as other real images: cutting
# it has changed its mean and covariance a bit.) In features it is the other way around. A distance is as good as its features, and no
# better: what our classifier does not look at, this score does not see.
#
# ### The scores
#
# All six generators. The first row is the **floor**: real images measured against other real images.

# %%
table = {"other real images": others[:N], **{label: features[label] for label in models}}
scores = {name: score_of(rows_, reference) for name, rows_ in table.items()}
figures.metric_table([{"images": name, "fd_fashion": scores[name]} for name in sorted(scores, key=scores.get)],
                     caption=f"{N:,} images against {len(reference):,} real ones, the nearest first")

# %% [markdown]
# Compare with the order that you wrote down. Then ask, as the rest of the chapter does: is the difference between two rows real? What
# does a row with a large distance get wrong? And could a *bad* generator come out on top?
#
# ## The number of images
#
# The floor is not 0, although both sets are real. Two scripts measure one checkpoint, one with 1,000 images, one with 5,000. Which of
# them reports the smaller distance? Decide before you run the cell. Both sides hold the same number of images; the band is one
# standard deviation over repeats with other images.

# %% tags=["figure"]
COUNTS = (250, 500, 1000, 2500, 5000)
more = torch.cat(list(generate(models["hinge"], 5000)))[N:]                                   # sample i is the same in any number of samples
hinge = torch.cat([features["hinge"], features_of(more)])                                     # (5000, 128)

def repeats(score, fakes, counts):
    """The score of disjoint parts of the fakes and the reference, up to five for each count."""
    return [[score(fakes[i * n:(i + 1) * n], reference[i * n:(i + 1) * n]) for i in range(min(5, 5000 // n))] for n in counts]

falling = {"hinge": repeats(score_of, hinge, COUNTS), "real": repeats(score_of, others, COUNTS)}
panels = {f"{name} against real": {"Fréchet distance": values} for name, values in falling.items()}
figures.show(measuring.over_counts(COUNTS, panels, title="Fréchet distances of the same two distributions", zero=False))
measuring.extrapolation(COUNTS, falling)

# %% [markdown]
# On the right both sets are real, and yet: the fewer images, the larger the distance. It has a **bias**. (A generator's distance has it as
# well; where that distance is large, the bias may drown in the spread.) The estimated means are a little off, at random, and a *squared*
# difference counts every error as distance. Between two sets of $N$ real images the means alone add $2\,\mathrm{tr}(C) / N$ on average,
# and the covariances add their part. So
#
# - compare two scores only if both used the same number of fakes and the same number of real images;
# - the bias shrinks about as $1/N$: a straight line through the largest counts estimates the distance for infinitely many images
#   (Chong and Forsyth 2020). For real images it should end near 0;
# - with fewer images than features the covariance has no full rank, and the bias is large.

# %%
for n in COUNTS:
    print(f"N = {n:5,}: the means alone add {2 * torch.cov(real.double().T).trace() / n:.3f}; measured between real images "
          f"{np.mean(falling['real'][COUNTS.index(n)]):.3f}")

# %% [markdown]
# ### KID: an estimate without bias
#
# Another distance can be estimated without bias. Take a **kernel**, a function $k(x, y)$ that says how alike two points are. If fakes and
# real points have the same distribution, a fake and a real point are on average as alike as two real points are. The **squared maximum
# mean discrepancy** measures how far they are from that:
#
# $$\mathrm{MMD}^2 = \mathbb E\,k(x, x') + \mathbb E\,k(y, y') - 2\,\mathbb E\,k(x, y)$$
#
# with $x, x'$ two different real points and $y, y'$ two different fakes. With $k(x, y) = (x \cdot y / D + 1)^3$ on Inception's features
# this is the **KID** (Binkowski et al. 2018); on ours it is `kd_fashion`. No normal distribution is fitted, and the cube also sees
# third moments.

# %% [markdown] tags=["exercise"]
# Estimate it from the kernels of all pairs. Each mean is over pairs of *different* points: a point paired with itself, on the diagonal,
# is always alike, and that would be a bias.

# %% tags=["exercise"]
def unbiased_mmd(k_xx, k_yy, k_xy):
    """Unbiased estimate of the squared maximum mean discrepancy.

    k_xx: (N, N), k_yy: (M, M), k_xy: (N, M), the kernel of all pairs. Returns a scalar tensor."""
    ### BEGIN SOLUTION
    n, m = len(k_xx), len(k_yy)
    within = (k_xx.sum() - k_xx.trace()) / (n * (n - 1)) + (k_yy.sum() - k_yy.trace()) / (m * (m - 1))
    return within - 2 * k_xy.mean()
    ### END SOLUTION

# %% tags=["check"]
check("5.4")

# %% tags=["figure"]
def kernel(x, y):
    return (x.double() @ y.double().T / x.shape[1] + 1) ** 3

def kernel_score(x, y):
    return float(unbiased_mmd(kernel(x, x), kernel(y, y), kernel(x, y)))

few = COUNTS[:-1]
flat = repeats(kernel_score, others, few)
for n, values in zip(few, repeats(kernel_score, hinge, few), strict=True):
    print(f"hinge against real, N = {n:5,}: kernel distance {np.mean(values):.4f} +- {np.std(values, ddof=1):.4f}")
panels = {"Fréchet distance": {"real against real": falling["real"][:len(few)]}, "kernel distance": {"real against real": flat}}
measuring.over_counts(few, panels, title="Real against real: one falls, one does not")

# %% [markdown]
# The Fréchet distance falls with the number of images. The kernel distance stays where it is, also that of the generator in the lines above;
# with few images it only *spreads* more, to both sides. Between real images it is often negative, as it has to be if its mean is to be 0.
#
# ## How good, and how varied
#
# One number mixes two questions. *Are the fakes like real images?* And: *are all kinds of real images among the fakes?* To ask them
# apart, look at neighbors. Around each real image draw a ball that reaches to its $k$-th nearest neighbor among the real images. The
# balls cover the region of real images.
#
# - **precision**: the share of fakes that lie in a ball of a real image;
# - **recall**: the share of real images that lie in a ball of a fake, each of which reaches to the fake's $k$-th neighbor among the fakes.
#
# In the plane, with a generator that missed one of two clusters and now and then draws something unlike either:

# %% tags=["figure"]
generator = torch.Generator().manual_seed(4)
clusters = torch.cat([torch.randn(20, 2, generator=generator), torch.randn(20, 2, generator=generator) + torch.tensor([6.0, 2.0])])
misses = torch.cat([0.9 * torch.randn(32, 2, generator=generator), torch.tensor([[-4.0, 3.0], [-4.5, -2.0], [-1.0, -4.5]])])
measuring.balls(clusters, misses, k=3, title="Precision does not see what is missing, recall does")

# %% [markdown] tags=["exercise"]
# Write both. The distance of all pairs is `torch.cdist(a, b)`, `(N, D)`, `(M, D)` -> `(N, M)`. An image is not its own neighbor.

# %% tags=["exercise"]
def precision_and_recall(real, fake, k):
    """Shares of fakes in a ball of a real image, and of real images in a ball of a fake.

    real: (N, D), fake: (M, D), features. k: int, which neighbor of its own kind a ball reaches to. Returns two scalars."""
    ### BEGIN SOLUTION
    real_radii = torch.cdist(real, real).topk(k + 1, largest=False).values[:, -1]            # (N,): the first is the image itself
    fake_radii = torch.cdist(fake, fake).topk(k + 1, largest=False).values[:, -1]            # (M,)
    distances = torch.cdist(fake, real)                                                       # (M, N)
    precision = (distances <= real_radii).any(1).double().mean()
    recall = (distances <= fake_radii[:, None]).any(0).double().mean()
    return precision, recall
    ### END SOLUTION

# %% tags=["check"]
check("5.5")

# %% [markdown]
# One outlier among the real images has a huge ball, and fakes in it count as precise. **Density** and **coverage** (Naeem et al. 2020)
# repair that: density counts in *how many* real balls a fake lies (divided by $k$, so it may exceed 1), coverage the share of real images
# with a fake in *their own* ball. Below, precision and recall use $k = 3$, density and coverage $k = 5$.
#
# Two sets that were made on purpose show what the numbers say: real images, *blurred*; and real images of *five of the ten classes*.

# %% tags=["figure"]
weights = torch.tensor([1.0, 6.0, 1.0]) / 8
blur = weights.outer(weights)[None, None]                                                     # (1, 1, 3, 3): a *slight* blur
blurred = F.conv2d(real_images[5000:5000 + N].float(), blur, padding=1).round().to(torch.uint8)
five = others[labels[5000:] < 5][:N]
print("the five classes:", ", ".join(test.class_names[:5]))
features |= {"blurred": features_of(blurred), "five classes": five}

judged = []
for name in ("other real images", "blurred", "five classes", *models):
    fakes = features[name]
    precision, recall = precision_and_recall(reference[:N].double(), fakes.double(), k=3)
    more = precision_recall_density_coverage(reference[:N], fakes)
    judged.append({"name": name, "fd_fashion": score_of(fakes, reference), **more, "precision": float(precision), "recall": float(recall)})
measuring.fidelity_and_variety(judged)

# %%
columns = {"name": "images", **{key: key for key in ("fd_fashion", "precision", "recall", "density", "coverage")}}
figures.metric_table(judged, columns, caption=f"{N:,} images against {N:,} real ones (fd_fashion: against {len(reference):,})")

# %% [markdown]
# After a slight blur only about half of the images still lie in the region of real ones: that is precision. Recall and coverage fall, too,
# although no kind is missing. So read these two only where precision is high. Missing kinds leave precision and density as they were,
# and cost recall and coverage alone: all is good, but not all is there. The Fréchet distance sees both mistakes, and does
# not say which it was: compare the row of the VAE with that of the five classes. Now read the rows of the GANs: which of them fails in which
# way?
#
# ## A generator that cheats
#
# Here is a "generator" that was never trained: it returns pictures of the training set. How does it score?

# %% tags=["figure"]
train = data.load("fashion-mnist-mini", "train")
memory = features_of(train.images[:3000])                                                     # of training images
cheat = memory[:N]
rows = [row for row in judged if row["name"] not in ("blurred", "five classes")]
rows.append({"name": "returns training images", "fd_fashion": score_of(cheat, reference), **precision_recall_density_coverage(reference[:N], cheat)})
figures.metric_table(sorted(rows, key=lambda row: row["fd_fashion"]), columns, caption="The cheat among the honest")

# %% [markdown]
# It beats every generator in each column, and scores like new real images. No score so far compares with the *training* set, so none can
# tell. To catch it, look for the nearest training image of each generated one.

# %% tags=["figure"]
chosen = torch.randperm(N, generator=torch.Generator().manual_seed(2))[:9]
copies, honest = (nearest(part[chosen], memory)[1][:, 0] for part in (cheat, features["hinge"]))
image_rows({"the cheat draws": train.floats(chosen), "nearest in training": train.floats(copies),
            "hinge draws": drawn["hinge"][chosen].float() / 255, "nearest in training ": train.floats(honest)},
           title="Nearest neighbors among 3,000 training images, by features")

# %% [markdown]
# With nine pictures one sees it, with thousands one counts. How far is a generated image from its nearest training image? *New* real
# images say what to expect: a generator whose images are much closer than those copies.

# %% tags=["figure"]
to_memory = {name: nearest(part, memory)[0][:, 0] for name, part in
             {"new real images": others[:N], "hinge": features["hinge"], "returns training images": cheat}.items()}
figures.histogram(to_memory, "distance to the nearest training image, in features", title="Copies are too close")

# %% [markdown]
# ## Traps on the way to the number
#
# Before it is measured an image is resized, rounded, and saved. Real and generated images often come by different ways. Below, 1,000
# *real* images went through a small change, and the distance is that to *the same images* unchanged. Without the change it would be 0.
# For the two rows on 8 bits the images are the hinge GAN's, because real ones are 8 bit already.

# %%
whole = real_images[5000:6000]                                                                # (1000, 1, 32, 32)

def as_jpeg(images, quality=75):
    """Each image saved as JPEG and read again."""
    read = []
    for image in images[:, 0].numpy():
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        read.append(torch.from_numpy(np.array(Image.open(file))))
    return torch.stack(read)[:, None]

def resized(images, size, antialias=False):
    scaled = F.interpolate(images.float(), (size, size), mode="bilinear", antialias=antialias)
    return scaled.round().clamp(0, 255).to(torch.uint8)

changed = {
    "JPEG, quality 75": as_jpeg(whole),
    "28 pixels resized to 32, not padded": resized(whole[:, :, 2:30, 2:30], 32),
    "halved and doubled, antialiased": resized(resized(whole, 16, antialias=True), 32),
    "halved and doubled, every other pixel": resized(whole[:, :, ::2, ::2], 32),
}
rows = [{"what happened to the images": name, "distance": score_of(features_of(images), others[:1000])} for name, images in changed.items()]
with torch.no_grad():
    z = codes(models["hinge"].latent_dim, 0, 1000, seed=0)
    floats = torch.cat([models["hinge"].decode(part) for part in z.split(500)])               # not rounded to 8 bits
    exact = torch.cat([fashion.extract(part) for part in floats.split(500)])
cut = features_of((floats * 255).to(torch.uint8))                                             # .to() cuts off
rows += [{"what happened to the images": name, "distance": score_of(part, exact)}
         for name, part in {"8 bit, rounded": features["hinge"][:1000], "8 bit, cut off": cut}.items()]
figures.metric_table(rows, caption="1,000 images after the change against the same images before it (last two rows: of the hinge GAN)")

# %% [markdown]
# Compare with the differences between generators in the tables above. Antialiasing is not the safer choice by itself: with it the halved
# images end up *farther* away, because here it blurs more. What counts is that both sides are treated alike. A classic case are FIDs of
# images that were resized by two libraries, one with antialiasing and one without (Parmar et al. 2022).
#
# ## Seeds and spreads
#
# A score depends on chance three times: on *which samples* are drawn, on the *seed of the training*, and on *when* you look. The first
# is cheap to measure: five times 1,000 samples of one generator.

# %%
draws = repeats(score_of, hinge, [1000])[0]
print(f"hinge, 5 x 1,000 samples: {np.mean(draws):.2f} +- {np.std(draws, ddof=1):.2f}, from {min(draws):.2f} to {max(draws):.2f}")

# %% [markdown]
# The other two were recorded while the GANs were trained: each loss with two seeds, measured every 400 steps (5,000 samples against
# 10,000 test images). The ring marks the lowest score of a run. (The curves are the recorded ones in every mode.)

# %% tags=["figure"]
recorded = {loss: [checkpoints.curves(f"gan_fashion_{loss}_s{seed}") for seed in (0, 1)] for loss in GANS}
figures.show(measuring.scores_over_steps(recorded, "fd_fashion", title="One score, five losses, two seeds"))

rows = []
for loss, seeds in recorded.items():
    columns_of = [run["fd_fashion"][np.isfinite(run["fd_fashion"])] for run in seeds]
    last, lowest = [values[-1] for values in columns_of], [values.min() for values in columns_of]
    rows.append({"loss": loss, "last, seed 0": last[0], "last, seed 1": last[1], "lowest, seed 0": lowest[0], "lowest, seed 1": lowest[1]})
figures.metric_table(rows, caption="fd_fashion of the last evaluation, and the lowest of all evaluations of a run")

# %% [markdown]
# Compare the two seeds of a loss with each other, and with the spread over samples above. An order of two losses that does not hold for
# both seeds may be chance; and two seeds that agree prove little. And the lowest of many evaluations is never above the last one: whoever
# reports the *best* score of a run reports luck as well. Choose the checkpoint by one set of samples and real images, and report it on
# another.
#
# ## What breaks: one network in train mode
#
# Now a story, as it was reported; we have not checked it. A project published a score of 4.37 for a model. Somebody measured the same
# checkpoint with the standard tool and got 25.86. In another project the two numbers were 49.3 and 98.1. Neither formula nor samples
# differed. In the first project's script two networks could have been in train mode, the feature network and the generator; which of them
# mattered was never reported. We can find out, on ours.
#
# In train mode **batch norm** subtracts the mean *of the batch* from each channel and divides by the standard deviation *of the batch*.
# In eval mode it uses the running mean and deviation that were recorded while training. So in train mode what comes out for an image depends on the
# images beside it.

# %% [markdown] tags=["exercise"]
# This script scores a generator, and it was careful: the generator is in eval mode, the classifier is frozen, no gradients are computed.
# Both networks come as a training script leaves them. The score should not depend on the batch size. Run this cell and the one below
# it, find out why it does, and mend it.

# %% tags=["exercise"]
def score(model, classifier, real, z, batch_size):
    """Fréchet distance of generated from real images, in the classifier's features; no image depends on its batch.

    model: has decode(z). classifier: has features(x). Both are modules in train mode. real: (N, C, H, W) in [0, 1].
    z: (N, Z). Returns one number."""
    model.eval()
    ### BEGIN BUG
    # classifier.requires_grad_(False)             # it only measures
    ### END BUG
    ### BEGIN SOLUTION
    classifier.eval()
    ### END SOLUTION
    with torch.no_grad():
        fake = torch.cat([model.decode(part) for part in z.split(batch_size)])
        real_features, fake_features = (
            torch.cat([classifier.features(part) for part in images.split(batch_size)]) for images in (real, fake)
        )
    return frechet_distance(*moments([real_features.double()]), *moments([fake_features.double()]))

# %%
some, z = real_images[:300].float() / 255, codes(models["hinge"].latent_dim, 0, 300, seed=0)
for batch_size in (10, 50, 250):
    left = copy.deepcopy(models["hinge"]).train(), copy.deepcopy(classifier).train()          # as a training script leaves them
    print(f"300 images, batches of {batch_size:3d}: score {score(*left, some, z, batch_size):.2f}")

# %% tags=["check"]
check("5.6")

# %% [markdown]
# ### Which network was it?
#
# Four combinations, for one of the shipped checkpoints: each network once in eval mode, as it should be, and once in train mode. The
# package refuses to measure with a network in train mode, unless it is asked for the mistake by name: `train_mode`.

# %%
STORY = {"checkpoint": "gan_fashion_hinge_s0", "samples": 1000, "batch_size": 250}
generator_network, real_set = recipes.obtain(STORY["checkpoint"], MODE), test.subset(slice(0, STORY["samples"]))
modes = {("eval", "eval"): (), ("train", "eval"): ("model",), ("eval", "train"): ("features",), ("train", "train"): ("model", "features")}
story, records = [], []
for (generator_mode, network_mode), mistake in modes.items():
    records.append(measure(generator_network, real_set, ["fd_fashion", "precision_fashion", "recall_fashion"], samples=STORY["samples"],
                           batch_size=STORY["batch_size"], networks={"fashion": fashion}, train_mode=mistake, cache=False, progress=False))
    story.append({"generator": generator_mode, "feature network": network_mode, **records[-1]["values"]})
figures.metric_table(story, caption=f"{STORY['checkpoint']}: {STORY['samples']:,} samples, as many real images, batches of {STORY['batch_size']}")

# %%
right = story[0]["fd_fashion"]
for row in story[1:]:
    print(f"generator in {row['generator']:5s} mode, feature network in {row['feature network']:5s} mode: {row['fd_fashion'] / right:.2f} times the right score")
against = [precision_recall_density_coverage(part, features["hinge"][:1000])["precision"] for part in reference.split(1000)]
print("in eval mode, precision of 1,000 hinge images against five sets of 1,000 real ones:", *(f"{value:.2f}" for value in against))

# %% [markdown]
# Read it like an experiment: from the first row to the second only the generator's mode changes, from the first to the third only the
# feature network's. Whichever of the two moves the score more is the culprit *here*. On our checkpoint the effect is smaller than in
# the story. Precision is not spared either: neighbors are looked for among the same spoiled features. Recall cannot
# fall: it is 0 in all four rows. (Why does this precision differ from that in the table of all generators? Other real images were
# compared, and the last line shows what that does: this GAN draws a few kinds, so it matters much which real images lie near those.)
#
# **Why.** Batch norm in train mode gives each channel mean 0 and variance 1 over the batch, *whatever images are in it*. A batch of real
# images comes out with these, and so does a batch of fakes: what sets the two apart is subtracted and divided away, layer by layer. Here are the
# means of the 128 features over real and over generated images, a dot for each feature. In eval mode the dots leave the line.

# %% tags=["figure"]
left_behind = fashion.left_in_train_mode()

def in_batches(images, size=250):
    return torch.cat([left_behind.extract(part.float() / 255) for part in images.split(size)])

seen = {"eval mode": (reference[:1000], features["hinge"][:1000]),
        "train mode": (in_batches(real_images[:1000]), in_batches(drawn["hinge"][:1000]))}
measuring.feature_means(seen, title="Batch norm in train mode hides what differs")

# %% [markdown]
# Does it hide *any* difference? Here are all six generators and the normal noise from above.

# %%
spoiled = in_batches(real_images[:1000])
rows = []
for name in (*models, "normal noise"):
    fakes = sets[name] if name in sets else drawn[name]
    rows.append({"images": name, "eval mode": score_of(features[name][:1000], reference[:1000]), "train mode": score_of(in_batches(fakes[:1000]), spoiled)})
    rows[-1]["train / eval"] = rows[-1]["train mode"] / rows[-1]["eval mode"]
figures.metric_table(sorted(rows, key=lambda row: row["eval mode"]), caption="fd_fashion of 1,000 images, with the feature network in the right mode and in the wrong one")

# %% [markdown]
# How much is hidden depends less on how bad the images are than on *what* is wrong with them. What all images of a set share, blur or
# noise, is in the batch's mean and deviation, and goes with them. Kinds that are missing stay missing, and the GANs keep most of their
# distance. So the mistake does not only flatter. Look where the VAE stands in either column: it changes the *order*.
#
# ## Stating a score
#
# A score says something only together with: the network and its weights, the real images (which set, which split, how many), the number
# of samples, how images were resized and rounded, the seed, and that both networks were in eval mode. The package writes all this beside
# each score. On the command line it is `course evaluate gan_fashion_hinge_s0 --metrics fd_fashion`; with Inception's weights at hand
# `--metrics fid` gives the number that papers report.

# %%
for key, value in records[0].items():
    print(f"{key}: {value}")

# %% [markdown]
# ## Key points
#
# - A Fréchet distance compares means and covariances of features, and nothing else.
# - It belongs to its feature network: FID is Inception's alone.
# - It has a bias: fewer images, a larger distance. Compare at equal numbers. The unbiased kernel distance only spreads.
# - Low precision: images are not like real ones. High precision with low recall and coverage: whole kinds are missing.
# - Scores do not see memorization. Look for the nearest training image, and compare with new real images.
# - Report spreads over seeds, and not the best of many evaluations.
# - One network in train mode can change a score by a factor of three, and the order of methods. `requires_grad_(False)` is not `.eval()`.
#
# **Next:** chapter 06 takes the features into the training itself: a VAE whose error is measured in a discriminator's features.
#
# ## Further reading
#
# - Heusel et al., *GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium*, arXiv 1706.08500: the FID.
# - Binkowski et al., *Demystifying MMD GANs*, arXiv 1801.01401: the KID, and the bias of the FID.
# - Chong and Forsyth, *Effectively Unbiased FID and Inception Score and Where to Find Them*, arXiv 1911.07023: extrapolation.
# - Kynkäänniemi et al., *Improved Precision and Recall Metric for Assessing Generative Models*, arXiv 1904.06991.
# - Naeem et al., *Reliable Fidelity and Diversity Metrics for Generative Models*, arXiv 2002.09797: density and coverage.
# - Parmar, Zhang and Zhu, *On Aliased Resizing and Surprising Subtleties in GAN Evaluation*, arXiv 2104.11222.
# - Lucic et al., *Are GANs Created Equal? A Large-Scale Study*, arXiv 1711.10337: budgets and seeds.
# - Kynkäänniemi et al., *The Role of ImageNet Classes in Fréchet Inception Distance*, arXiv 2203.06026: what the features look at.
# - Stein et al., *Exposing flaws of generative model evaluation metrics and their unfair treatment of diffusion models*, arXiv
#   2306.04675: scores, people and memorization.
# - Ioffe and Szegedy, *Batch Normalization*, arXiv 1502.03167: the two modes.

# %%
progress()

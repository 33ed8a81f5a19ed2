# ---
# title: Autoencoders
# question: How few numbers can hold a picture, what is lost, and what are the numbers good for?
# minutes: 90
# goals:
#   - write an autoencoder, its loss and its training loop, with every sum and mean in its place
#   - say what a code of 2, 16 or 128 numbers keeps, what it drops first, and why
#   - tell what the nonlinearity buys over principal components
#   - read a map of codes, walk between codes, remove noise
#   - measure why decoding noise fails, and why a small error does not mean a familiar picture
# prerequisites:
#   - PyTorch tensors, modules and one training loop
#   - matrix products and eigenvectors, for the comparison with principal components
# checkpoints: [ae_fashion_z2, ae_fashion_z16, ae_fashion_z128, ae_fashion_denoise]
# modes:
#   LOAD: loads the shipped models (under a minute on two CPU cores)
#   FAST: trains each model for 400 steps on 10,000 images (some 2 minutes)
#   FULL: trains each model as its recipe says, 20 epochs of Fashion-MNIST (some 6 minutes a model on one CPU core)
# ---

# %% tags=["setup"]
import inspect

import torch
from torch import nn
from torch.nn import functional as F

from course_utils import checkpoints, data, figures, recipes, widgets
from course_utils.exercises import check, progress
from course_utils.figures.autoencoders import (
    codes_and_noise,
    curves_with_limit,
    denoising_errors,
    error_by_code_size,
    image_rows,
    loss_by_frequency,
)
from course_utils.methods import Autoencoder
from course_utils.methods.autoencoder import sse

test = data.load("fashion-mnist-mini", "test")
some = test.floats(range(0, 320, 40))  # (8, 1, 32, 32), in [0, 1]

# %% [markdown]
# ## The question, in one picture
#
# A Fashion-MNIST picture of a garment (with its black border) is 32 x 32 = 1024 numbers. Below, each garment was squeezed into a
# **code** of just 2, of 16, or of 128 numbers, and drawn again from the code alone. These are test images: no network was trained
# on them.

# %% tags=["figure"]
models = {size: recipes.obtain(f"ae_fashion_z{size}", MODE) for size in (2, 16, 128)}
figures.bottleneck_sweep({f"{size} numbers": model for size, model in models.items()}, some)

# %% [markdown]
# Two numbers give the kind of garment and its rough shape. Sixteen give *this* garment, mostly without its print. The rest of the chapter
# asks what more numbers buy, what is lost first when there are few, and what codes are good for.
#
# ## Two networks and one loss
#
# | symbol | meaning | shape in code |
# |---|---|---|
# | $x$ | an image, pixels in $[0, 1]$ | `(B, C, H, W)`: batch, channels, height, width |
# | $z$ | its code, $Z$ numbers | `(B, Z)` |
# | $\mathrm{enc}$ | the **encoder**, a network: $z = \mathrm{enc}(x)$ | |
# | $\mathrm{dec}$ | the **decoder**, a network: $\hat x = \mathrm{dec}(z)$ | |
# | $\hat x$ | the **reconstruction** (`x_hat`) | `(B, C, H, W)` |
#
# The code is the **bottleneck**: everything that the decoder knows of $x$ has to pass through $Z$ numbers.

# %%
z = models[16].encode(some).mean            # .mean: the code itself; chapter 02 says why it is called so
x_hat = models[16].decode(z)
print(f"x {tuple(some.shape)}  ->  z {tuple(z.shape)}  ->  x_hat {tuple(x_hat.shape)}")
print("the first garment's code:", [f"{value:.1f}" for value in z[0]])

# %% [markdown] tags=["exercise"]
# Both networks are trained together, on one demand: $\hat x$ should be $x$. The loss is the **squared error**, *summed* over the
# values of an image (channels, height, width), and then the *mean* over the $B$ images of the batch:
#
# $$\frac1B \sum_{b=1}^{B} \left\|x_b - \hat x_b\right\|^2$$
#
# Where to sum and where to average is a detail here: it only scales the loss. From chapter 02 on, the loss has a second term. Then it
# decides how much the one counts against the other, and so what is learned.

# %% tags=["exercise"]
def reconstruction_loss(x, x_hat):
    """Squared error, summed over C, H and W, mean over the batch.

    x, x_hat: (B, C, H, W), images and their reconstructions. Returns a scalar."""
    ### BEGIN SOLUTION
    return (x - x_hat).square().flatten(1).sum(1).mean()
    ### END SOLUTION

# %% tags=["check"]
check("1.1")

# %% [markdown]
# That is all one needs. Here is a whole autoencoder in plain PyTorch, with your loss: two small dense networks and a loop.
# `activation` is the nonlinearity between their layers; a later experiment takes it out. `sse` is the package's squared error, a sum
# for each image: `(B,)`.

# %%
train = data.load("fashion-mnist-mini", "train")
garments, held_out = train.floats(), test.floats(slice(0, 1000))    # (10000, 1, 32, 32) and (1000, 1, 32, 32)

def dense_autoencoder(code_size, activation=nn.ReLU):
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(1024, 256), activation(), nn.Linear(256, code_size))
    decoder = nn.Sequential(nn.Linear(code_size, 256), activation(), nn.Linear(256, 1024), nn.Unflatten(1, (1, 32, 32)))
    return nn.Sequential(encoder, decoder)

def train_dense(net, loss=lambda net, x: reconstruction_loss(x, net(x)), images=garments, held=held_out, steps=200):
    """Adam on batches of 128 of `images`; returns the squared error on the images `held` along the way."""
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    generator, history = torch.Generator().manual_seed(0), {"step": [], "sse": []}
    for step in range(steps + 1):
        if step and step % 20 == 0:
            with torch.no_grad():
                history["step"].append(step)
                history["sse"].append(sse(held, net(held)).mean().item())
        x = images[torch.randint(len(images), (128,), generator=generator)]
        value = loss(net, x)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return history

dense = dense_autoencoder(2)
with_relu = train_dense(dense)
print(f"2 numbers, 200 steps: squared error {with_relu['sse'][-1]:.1f} per test image")

# %% [markdown]
# The package's autoencoder is the same thing with convolutions. Its step does what the body of the loop above does.
# `posterior(seen).mean` is the code, and `update("model", loss)` computes the gradients and steps the optimizer. `to_network` turns
# pixels into the range that the network works in, and `mean_image` turns the network's output into pixels. `input_noise` is for later;
# here it is 0, so `seen` is the image itself.

# %%
print(inspect.getsource(Autoencoder.step))

# %% [markdown]
# The shipped models were trained in this way, for 20 epochs on all 60,000 training images. Their curves were recorded beside their
# weights. Faint: on the training images. Strong, with dots: on the test images, which training never sees.

# %% tags=["figure"]
recorded = {name: checkpoints.curves(name) for name in ("ae_fashion_z2", "ae_fashion_z16", "ae_fashion_z128")}
figures.training_curves(recorded, "sse", log=True)

# %% [markdown]
# ## What is dropped first

# %% [markdown] tags=["exercise"]
# When the numbers of a code are few, training spends them on what lowers the loss most. So what does squared error care about? Take
# the test images and change each of them. It is
#
# - **a**: moved to the right by one pixel,
# - **b**: blurred: each pixel becomes the average of its 3 x 3 neighborhood, which wipes out print and texture,
# - **c**: made darker: each pixel is multiplied by 0.9,
# - **d**: made noisy: Gaussian noise of standard deviation 0.05 is added to each pixel.
#
# Which change causes the *largest* squared error between the original and the changed image, on average? Answer `"a"`, `"b"`, `"c"`
# or `"d"`, before you run the next cells.

# %% tags=["exercise"]
### BEGIN SOLUTION
answer_1_2 = "a"
### END SOLUTION

# %% tags=["check"]
check("1.2")

# %% tags=["figure"]
x = held_out
changed = {
    "a: moved": x.roll(1, dims=3),
    "b: blurred": F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, stride=1),
    "c: darker": 0.9 * x,
    "d: noise": x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)),
    "2 numbers": models[2].reconstruct(x),
}
errors = {name: sse(x, y).mean().item() for name, y in changed.items()}
figures.image_grid(
    torch.stack([x[280], *(y[280].clamp(0, 1) for y in changed.values())]), columns=6,
    titles=["input", *(f"{name}: {error:.1f}" for name, error in errors.items())],
    title="One garment, and the mean squared error over 1,000 test images",
)

# %% [markdown]
# You would hardly notice that a garment has moved by a pixel, but for the loss it is a bigger mistake than wiping out the print. It is
# even a bigger one than describing the garment by two numbers. So training spends the first numbers on the outline, and
# leaves out what costs little: print and texture.
#
# Spatial frequency shows the same. The Fourier transform writes an image as a sum of waves, from coarse (few cycles per image) to fine
# (many). For each frequency, how large is the part of the images' variation that the reconstructions lose? (0: nothing is lost, 1: all.)

# %% tags=["figure"]
loss_by_frequency({f"{size} numbers": model for size, model in models.items()}, held_out)

# %% [markdown]
# The finer the wave, the more is lost, with every code. And at the far left, at 0 cycles, stands the brightness of the whole image: of
# its variation two numbers already keep nearly all.
#
# ## Against principal components
#
# There is a classic way to describe an image by $k$ numbers: **principal component analysis** (PCA). Subtract the mean image, and keep the
# coordinates along the $k$ directions in which images vary most. They are the eigenvectors of the covariance matrix with the
# largest eigenvalues. Among all *linear* encoders and decoders none has a smaller squared error on the images it is fitted to. No
# training, no loop:

# %%
rows = garments.flatten(1)                                            # (10000, 1024)
mean = rows.mean(0)
directions = torch.linalg.eigh(torch.cov(rows.T)).eigenvectors.flip(1)   # (1024, 1024), the largest variance first

def pca_reconstruction(x, k):
    """x: (B, 1, 32, 32). Encodes each image into k numbers and decodes them."""
    z = (x.flatten(1) - mean) @ directions[:, :k]                     # (B, k)
    return (mean + z @ directions[:, :k].T).view_as(x)

def pca_error(k, x=held_out):
    return sse(x, pca_reconstruction(x, k)).mean().item()

print(f"128 components: squared error {pca_error(128, garments):.2f} on the images they are fitted to, {pca_error(128):.2f} on test images")

# %% tags=["figure"]
error_by_code_size({
    "principal components": {k: pca_error(k) for k in (1, 2, 4, 8, 16, 32, 64, 128)},
    "autoencoder": {size: sse(held_out, model.reconstruct(held_out)).mean().item() for size, model in models.items()},
})

# %% [markdown]
# An image is a point in a space of 1024 dimensions. Two principal components describe the *plane* that comes closest to these points;
# two numbers and a nonlinear decoder describe a *curved surface*. With 2 and with 16 numbers the autoencoder is far ahead; at 128
# the two lines come closer.
#
# ### What breaks: take out the nonlinearity
#
# The advantage hangs on one argument. Same dense network, same loop, but `activation=nn.Identity` in place of `nn.ReLU`. A product of
# matrices is a matrix, so encoder and decoder are now linear (up to a constant), however many layers they have.

# %% tags=["figure"]
linear = dense_autoencoder(2, activation=nn.Identity)
without = train_dense(linear)
curves_with_limit(
    {"with ReLU": with_relu, "without (linear)": without}, pca_error(2), "principal components, 2 numbers",
    term="sse", title="Two numbers: where a linear network stops",
)

# %% [markdown]
# The linear network falls to the line of the principal components and stays there. Nothing in its curve looks broken. Its pictures,
# too, are close to those of PCA: it *is* principal component analysis, found the slow way.

# %% tags=["figure"]
by_linear, by_pca = linear(held_out).detach(), pca_reconstruction(held_out, 2)
print(f"squared error between the linear network's pictures and PCA's: {sse(by_linear, by_pca).mean():.1f}")
print(f"between the pictures of the network with ReLU and PCA's:       {sse(dense(held_out).detach(), by_pca).mean():.1f}")
image_rows({"input": held_out[:8], "linear": by_linear[:8], "PCA": by_pca[:8], "with ReLU": dense(held_out[:8]).detach()},
           title="Two numbers, 200 steps of training")

# %% [markdown]
# If an autoencoder of yours is only as good as PCA, look for a missing nonlinearity.
#
# ### Color photographs
#
# Do so few numbers also do for photographs? The same sweep on CIFAR-10 (color photographs of ten kinds of things, 3 x 32 x 32 = 3072
# numbers each), with codes of 16, 128 and 1024 numbers. These runs take long on a CPU, so their curves are recorded (the command
# `course train --recipe cifar_ae_z128` repeats one). Here pixels are in $[-1, 1]$, which makes squared errors four times as large as in $[0, 1]$:
# divide by 4 before you compare with garments, and by 3 for the three channels.

# %% tags=["figure"]
cifar = {f"{z} numbers": f"cifar_ae_z{z}" for z in (16, 128, 1024)}
for label, name in cifar.items():
    error = checkpoints.entry(name)["metrics"]["sse"]
    print(f"{label:12} squared error {error:6.1f} on the test images, comparable with garments: {error / 4 / 3:5.1f}")
figures.training_curves({label: checkpoints.curves(name) for label, name in cifar.items()}, "sse", log=True)

# %% [markdown]
# Compare the last column with the sweep on garments: sixteen numbers hold a photograph hardly better than two hold a garment.
# Photographs vary in more ways. The widest code is still learning at the end: its curve goes down to the last epoch.

# %% [markdown]
# ## Reading a code
#
# Two numbers are a point in the plane. Here are the codes of 1,000 test images. The colors show the class; the network has
# never seen a class.

# %% tags=["figure"]
figures.latent_map(models[2], test.subset(slice(0, 1000)))

# %% [markdown]
# Garments of a kind lie together, because similar pictures get similar codes. How much of "what is it?" do codes keep? Ask the
# nearest neighbor: find the training image with the nearest code, and guess its class. Guessing blindly among ten classes is right
# for one image in ten; the last line of the output uses all 1024 pixels in place of a code.

# %%
def nearest_neighbor_accuracy(known, new):
    """Share of test images whose nearest training image has their class. known: (4000, Z), new: (1000, Z), what describes them."""
    nearest = torch.cdist(new, known).argmin(1)                                   # (1000,)
    return (train.labels[nearest] == test.labels[:1000]).float().mean().item()

for size, model in models.items():
    accuracy = nearest_neighbor_accuracy(model.encode(garments[:4000]).mean, model.encode(held_out).mean)
    print(f"{size:4} numbers: {accuracy:.0%}")
print(f"all pixels:   {nearest_neighbor_accuracy(garments[:4000].flatten(1), held_out.flatten(1)):.0%}")

# %% [markdown]
# And backwards: decode a grid of points from the middle of that map (in each direction, the range that holds the middle 90 % of the
# codes).

# %% tags=["figure"]
plane = models[2].encode(held_out).mean                                       # (1000, 2)
(left, bottom), (right, top) = plane.quantile(0.05, 0).tolist(), plane.quantile(0.95, 0).tolist()
figures.decoded_grid(models[2], 9, (left, right, bottom, top))

# %% [markdown]
# Neighbors look alike, but not every point is a garment: between the regions of the map lie pictures of nothing. How to tell where the
# decoder can be trusted is measured below, in "Decoding noise fails".
#
# ## Between two garments

# %% [markdown] tags=["exercise"]
# Codes can be mixed. Half way between two *pictures* there is a double exposure; half way between two *codes* there may be a garment.
# Walk in a straight line from one code to the other in `steps` evenly spaced stops, both ends included, and decode every stop.

# %% tags=["exercise"]
def interpolate(model, x0, x1, steps):
    """Images decoded on the straight line from the code of x0 to the code of x1, ends included, evenly spaced.

    x0, x1: (1, C, H, W). model: `.encode(x).mean` gives codes (B, Z), `.decode(z)` images (B, C, H, W). steps: int, 2 or more.
    Returns (steps, C, H, W): the first image is the reconstruction of x0, the last that of x1."""
    ### BEGIN SOLUTION
    z0, z1 = model.encode(x0).mean, model.encode(x1).mean            # (1, Z) each
    t = torch.linspace(0, 1, steps).unsqueeze(1)                     # (steps, 1)
    return model.decode((1 - t) * z0 + t * z1)
    ### END SOLUTION

# %% tags=["check"]
check("1.3")

# %% tags=["figure"]
shirt, trousers = some[1:2], some[5:6]
t = torch.linspace(0, 1, 9).view(-1, 1, 1, 1)
image_rows({
    "codes mixed": interpolate(models[16], shirt, trousers, 9),
    "pixels mixed": (1 - t) * shirt + t * trousers,
}, title="From one garment to another, 16 numbers")

# %% [markdown]
# Is the middle of a walk more of a garment than a double exposure is? Measure it on 300 pairs of test images: what is the squared error
# between the half-way picture and the *nearest* of 4,000 training images? (The first line, for scale: real test images.)

# %%
def distance_to_garments(x):
    """Median squared error between an image and the nearest of 4,000 training images."""
    return torch.cdist(x.flatten(1), garments[:4000].flatten(1)).min(1).values.square().median().item()

a, b = held_out[:300], held_out[300:600]
half_way = models[16].decode((models[16].encode(a).mean + models[16].encode(b).mean) / 2)
print(f"held-out garments   {distance_to_garments(a):5.1f}")
print(f"codes mixed         {distance_to_garments(half_way):5.1f}")
print(f"pixels mixed        {distance_to_garments((a + b) / 2):5.1f}")

# %% [markdown]
# ## Taking noise out
#
# A code has no room for noise: noise is different in every pixel, so describing it would take as many numbers as there are pixels. An
# autoencoder therefore removes some noise by itself. It removes more if it is trained to: show it a *noisy* image and demand the
# *clean* one. That is a **denoising autoencoder**.

# %% [markdown] tags=["exercise"]
# Write its loss. The noise is Gaussian with standard deviation `std`, drawn anew for every pixel of every image in every call, and
# added to the image. Do not clip the noisy images.

# %% tags=["exercise"]
def denoising_loss(model, x, std):
    """Squared error between x and what the model makes of x + noise; summed over C, H, W, mean over the batch.

    model: a function of images (B, C, H, W) that returns images. x: (B, C, H, W), clean. std: float. Returns a scalar."""
    ### BEGIN SOLUTION
    noisy = x + std * torch.randn_like(x)
    return (model(noisy) - x).square().flatten(1).sum(1).mean()
    ### END SOLUTION

# %% tags=["check"]
check("1.4")

# %% [markdown]
# Two hundred steps of your loss on the dense network, against two hundred of the plain loss. The noise is strong, so that the
# difference shows after so few.

# %% tags=["figure"]
plain, denoiser = dense_autoencoder(128), dense_autoencoder(128)
train_dense(plain)
train_dense(denoiser, loss=lambda net, x: denoising_loss(net, x, std=0.8))
noisy = held_out + 0.8 * torch.randn(held_out.shape, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    cleaned = {"noisy": noisy, "trained on clean images": plain(noisy), "trained on noisy images": denoiser(noisy)}
for name, images in cleaned.items():
    print(f"{name}: squared error to the clean image {sse(held_out, images).mean():.1f}")
image_rows({name.replace(" on ", "\non "): images[:8] for name, images in {"clean": held_out, **cleaned}.items()}, title="Strong noise, a dense network")

# %% [markdown]
# Now the long-trained convolutional models, both with 128 numbers. The denoising one saw noise of standard deviation 0.3 in every
# step (`input_noise` in the step above). First eight images at this strength, then the error at many strengths; the dashed line
# marks 0.3.

# %% tags=["figure"]
pair = {"plain": models[128], "denoising": recipes.obtain("ae_fashion_denoise", MODE)}
figures.denoising(pair, some, noise=0.3)

# %% tags=["figure"]
denoising_errors(pair, held_out[:400], stds=[0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5], trained_at=0.3)

# %% [markdown]
# It is not free: look at the left end, at *clean* images. There the denoising model is the worse one.
#
# ## Decoding noise fails
#
# A decoder turns numbers into pictures. So can it *invent* garments: draw random numbers, decode? We take normal noise, $z \sim \mathcal N(0, I)$:
# every number of the code drawn from the normal distribution with mean 0 and variance 1, independently.

# %% tags=["figure"]
model, generator = models[16], torch.Generator().manual_seed(3)
codes, held_codes = model.encode(garments[:4000]).mean, model.encode(held_out).mean         # (4000, 16), (1000, 16)
noise = torch.randn(1000, 16, generator=generator)
image_rows({"codes of\ngarments": model.decode(held_codes[:10]), "noise": model.decode(noise[:10])}, title="Decoded: codes of real garments, and noise")

# %% [markdown]
# Why? Nothing in the loss says *where* codes should lie, only that the decoder must tell them apart. The map of two numbers shows where
# they went, and where the noise falls. Real garments are of each kind one time in ten. If every point of noise gets the kind of the
# nearest code, how often does each kind come up?

# %% tags=["figure"]
points = torch.randn(1000, 2, generator=generator)
kinds = test.labels[torch.cdist(points, plane).argmin(1)].bincount(minlength=10) / len(points)
print(", ".join(f"{name} {share:.0%}" for name, share in zip(test.class_names, kinds, strict=True)))
codes_and_noise(models[2], test.subset(slice(0, 1000)), points[:100])

# %% [markdown]
# Some kinds would hardly ever be drawn. And sixteen numbers leave far more room to miss the codes in. An obvious repair: give the
# noise the mean and the covariance of the codes. Is that enough? Three measurements, for the codes of test images (held out from
# training), for noise, and for the fitted noise:
#
# - the distance from a code to the nearest of 4,000 training codes (median),
# - the share of codes that are farther from all training codes than 99 % of held-out codes are: places for which the decoder was hardly
#   trained,
# - the round trip: decode a code, encode the picture, and measure how far from the start it lands (median). Where the decoder can be
#   trusted, the way back should end near the start.

# %%
root = torch.linalg.cholesky(torch.cov(codes.T))                     # (16, 16), root @ root.T is the covariance of the codes
fitted = codes.mean(0) + noise @ root.T                              # (1000, 16), with the mean and the covariance of the codes

def nearest_code(z):
    return torch.cdist(z, codes).min(1).values

limit = nearest_code(held_codes).quantile(0.99)
print(f"standard deviation of the codes: from {codes.std(0).min():.1f} to {codes.std(0).max():.1f} in the 16 dimensions")
for name, z in {"held-out garments": held_codes, "noise N(0, I)": noise, "fitted noise": fitted}.items():
    there_and_back = (model.encode(model.decode(z)).mean - z).norm(dim=1)
    far = (nearest_code(z) > limit).float().mean()
    print(f"{name:18} nearest code {nearest_code(z).median():5.1f}   far from all codes {far:6.1%}   round trip {there_and_back.median():5.1f}")

# %% tags=["figure"]
image_rows({"noise": model.decode(noise[:10]), "fitted\nnoise": model.decode(fitted[:10])}, title="Noise, and noise with the mean and covariance of the codes")

# %% [markdown]
# Better than plain noise, but compare with the held-out garments, in the table and in the first picture of this section. A mean and a
# covariance cannot describe a cloud with a shape as irregular as on the map above. One could fit finer and finer descriptions to the
# codes. Chapter 02 goes the other way: it makes the codes lie where the noise is.
#
# ## Pictures from elsewhere
#
# The model with 16 numbers has seen garments and nothing else. What does it make of emoji (Noto's, turned gray, on black) and of plain
# shapes (rendered, also turned gray)?

# %% tags=["figure"]
emoji = 1 - data.load("noto-emoji", "test", size=32).floats().mean(1, keepdim=True)               # (335, 1, 32, 32)
shapes = data.load("shapes", "test").floats(slice(0, 4000, 8)).mean(1, keepdim=True)              # (500, 1, 32, 32)
figures.reconstructions({"16 numbers": model}, torch.cat([emoji[20:300:70], shapes[:500:125]]), title="Emoji and shapes through a network of garments")

# %% [markdown]
# It draws what it knows. For the emoji, measured as for the walk: what comes out is nearer to real garments than what went in.

# %%
print(f"emoji:               squared error to the nearest garment {distance_to_garments(emoji):.1f}")
print(f"their reconstructions:                                    {distance_to_garments(model.reconstruct(emoji)):.1f}")

# %% [markdown]
# So does a large error tell that the network has never seen pictures of this kind? Look at the histograms before you rely on it.

# %% tags=["figure"]
figures.histogram(
    {name: sse(x, model.reconstruct(x)) for name, x in {
        "garments (test)": held_out, "garments upside down": held_out[:500].flip(2), "emoji": emoji, "shapes": shapes}.items()},
    "squared error of the reconstruction", density=True,
)

# %% [markdown]
# Many emoji and upside-down garments have errors that garments have as well, and shapes have *smaller* ones: in a small bright thing
# on black there is little to get wrong. The error says how *complicated* a picture is as much as how foreign. (Chapter 10 takes
# the question up again.)
#
# ## Play
#
# Two numbers, two sliders: start from a garment and look for the borders between kinds. Then switch to 16 numbers: the sliders are the
# six that vary most. Can you say what one of them stands for? *Random* decodes noise, as above.

# %% tags=["widget"] alt="Panel with a garment, its reconstruction and sliders for the numbers of its code"
widgets.LatentExplorer({"2 numbers": models[2], "16 numbers": models[16]}, test)

# %% [markdown]
# And the walk between two garments of your choice:

# %% tags=["widget"] alt="Panel with two garments and a slider for the mix of their codes, with the decoded picture"
widgets.InterpolationExplorer({"16 numbers": models[16], "2 numbers": models[2]}, test)

# %% [markdown] tags=["exercise"]
# A colleague reads the same garments with an image library, which hands over arrays `(N, H, W, C)`: height, width, and the channels last.
# PyTorch wants `(N, C, H, W)`, so they wrote the function below. They trained an autoencoder on the result: its loss falls as it should,
# and its held-out error is as good as ours. But the shipped model, which does well on our garments, does badly on theirs. Run this cell
# and the two below it, look at the pictures, find the mistake in the function, and mend it.

# %% tags=["exercise"]
def channels_first(images):
    """Images with the channels last -> the same images with the channels first.

    images: uint8 (N, H, W, C). Returns uint8 (N, C, H, W)."""
    ### BEGIN BUG
    # return images.permute(0, 3, 2, 1)
    ### END BUG
    ### BEGIN SOLUTION
    return images.permute(0, 3, 1, 2)
    ### END SOLUTION

# %% tags=["figure"]
stored = train.images.permute(0, 2, 3, 1)                               # as an image library hands them over: (N, H, W, C)
theirs = channels_first(stored).float() / 255                           # (10000, 1, 32, 32)
their_model = dense_autoencoder(16)
figures.training_curves({
    "our garments": train_dense(dense_autoencoder(16)),
    "the colleague's": train_dense(their_model, images=theirs[:9000], held=theirs[9000:]),
}, "sse", title="Held-out squared error")

# %% tags=["figure"]
for name, x in {"our garments": garments[:1000], "the colleague's": theirs[:1000]}.items():
    print(f"shipped model, 16 numbers, on {name}: squared error {sse(x, model.reconstruct(x)).mean():.1f}")
x = theirs[:8]
image_rows({"input": x, "their model": their_model(x).detach(), "shipped model": model.reconstruct(x)}, title="The colleague's garments")

# %% tags=["check"]
check("1.5")

# %% [markdown]
# The loss could not notice: input and target went through the same function, and garments on their side are as easy to learn as upright
# ones. *Look at your data at the place where the network sees it.*
#
# ## Key points
#
# - An autoencoder is two networks and one demand: draw the picture again from a few numbers. Sum over pixels, mean over the batch.
# - In squared error, position and outline count for much, print and texture for little; these are lost first.
# - Without nonlinearity it is principal component analysis. With it, a few numbers describe a curved surface; with many numbers, the
#   advantage shrinks.
# - Codes of similar pictures lie together, and a walk between codes stays nearer to real garments than a mix of pixels.
# - Noise on the input and a clean target make a denoiser; the price is a larger error on clean images.
# - Nothing in the loss says where codes lie, so noise misses them, and decoded noise shows pictures of nothing.
# - The error of a reconstruction is no measure of familiarity: simple foreign pictures have small errors.
#
# **Next:** chapter 02 adds one term to the loss and one line of randomness, and the decoder can be fed noise.
#
# ## Further reading
#
# - Baldi and Hornik, *Neural Networks and Principal Component Analysis: Learning from Examples Without Local Minima*, Neural Networks 2 (1989).
# - Hinton and Salakhutdinov, *Reducing the Dimensionality of Data with Neural Networks*, Science 313 (2006).
# - Vincent et al., *Stacked Denoising Autoencoders*, JMLR 11 (2010).
# - Alain and Bengio, *What Regularized Auto-Encoders Learn from the Data Generating Distribution*, arXiv 1211.4246: what a denoiser knows.
# - Nalisnick et al., *Do Deep Generative Models Know What They Don't Know?*, arXiv 1810.09136: foreign pictures that look too familiar.
# - Bank, Koenigstein and Giryes, *Autoencoders*, arXiv 2003.05991: an overview.

# %%
progress()

# ---
# title: Start here
# question: Is this machine ready, and how does a chapter work?
# minutes: 15
# goals:
#   - say what this machine has and what it lacks
#   - open, run and restart a chapter
#   - use an exercise, its hints and its check
# ---

# %% [markdown]
# ## The machine
# Every chapter runs on a CPU. A GPU makes training faster and changes nothing else.

# %%
import platform

import torch

import course_utils

device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
print(f"Python {platform.python_version()}, torch {torch.__version__}, course {course_utils.__version__}")
print(f"device: {device}, {torch.get_num_threads()} computing threads")

# %% [markdown]
# ## What a generative model draws from
# Every model of this course turns points $z \sim \mathcal{N}(0, I)$ into images. In two dimensions the points can be seen:
# most of them lie within two standard deviations of the origin.

# %% alt="A round cloud of 1,000 points, densest at the origin, with circles at one, two and three standard deviations"
import matplotlib.pyplot as plt

z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))  # (N, Z)
figure, axes = plt.subplots(figsize=(4, 4))
axes.scatter(*z.T, s=6)
for radius in (1, 2, 3):
    axes.add_patch(plt.Circle((0, 0), radius, fill=False, color="black", linewidth=0.8))
axes.set(aspect="equal", xlabel="$z_1$", ylabel="$z_2$")
plt.show()

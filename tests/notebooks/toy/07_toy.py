# ---
# title: A toy chapter
# question: What does the builder do with a small source?
# minutes: 5
# goals:
#   - read $\mathcal{N}(0, 1)$ as a formula
#   - find a *bug*
# prerequisites: [nothing]
# checkpoints: [vae_fashion_z2]
# modes: {FAST: trains for a minute}
# ---

# %% [markdown]
# ## Formulas $\sigma^2$
# Inline $x_i \mid z$ and displayed
# $$\mathrm{KL}(q \| p) = \sum_{i=1}^{Z} \frac{1}{2}\left(\mu_i^2 + \sigma_i^2 - \log \sigma_i^2 - 1\right)$$
#
# \begin{align} a &= b \\ c &= d \end{align}
#
# | a | b |
# |---|---|
# | 1 | $\beta$ |

# %% alt="Two points joined by a line that rises to the right"
import sys

import matplotlib.pyplot as plt

print("seen")
print("noise", file=sys.stderr)
plt.plot([0, 1], [0, 1])
plt.show()


# %%
def check(number):
    print("checked", number)


# %% [markdown] tags=["exercise"]
# Write the function that doubles.

# %% tags=["exercise"]
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


# %% tags=["check"]
check("7.1")

# %% tags=["exercise"]
### BEGIN SOLUTION
answer = 3
### END SOLUTION

# %% tags=["check"]
check("7.2")

# %% [markdown] tags=["solution"]
# Three, because it is one more than two.


# %% tags=["exercise"]
def mean(values):
    """The mean; its symptom is a result that is too large."""
    total = sum(values)
    ### BEGIN BUG
    # if total:
    #     return total / (len(values) - 1)
    ### END BUG
    ### BEGIN SOLUTION
    return total / len(values)
    ### END SOLUTION


# %% tags=["check"]
check("7.3")

# %%
from tqdm.auto import tqdm

for _ in tqdm(range(3)):
    pass

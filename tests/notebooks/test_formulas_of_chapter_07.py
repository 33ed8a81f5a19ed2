"""Chapter 07: the cells on cells, the exact posterior and the decoder's gradient, against answers known otherwise."""

import math
import re

import pytest
import torch
from notebook_helpers import ROOT

from course_utils.exercises import chapter_07
from course_utils.publishing import regions
from course_utils.publishing.source import read

SOURCE = ROOT / "notebooks" / "source" / "07_soft_intro_vae_2d.py"
CELLS = [cell.text for cell in read(SOURCE).cells if cell.kind == "code"]


class Silent:
    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def run_cell(containing, names, form=regions.solved):
    [text] = [text for text in CELLS if containing in text]
    names |= {"torch": torch, "math": math, "figures": Silent(), "drawn": Silent()}
    names["MultivariateNormal"] = torch.distributions.MultivariateNormal
    exec(compile(form(text), f"chapter 07: {containing}", "exec"), names)
    return names


@pytest.fixture(scope="module")
def theory():
    return run_cell("def played", run_cell("def best_decoder", {}))


def cost(p, d, gamma):
    """KL(p || d) + gamma H(d)."""
    return float((p * (p / d).log()).sum() - gamma * (d * d.log()).sum())


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0])
def test_no_decoder_near_the_best_one_or_drawn_at_random_costs_less(theory, gamma):
    p = theory["shares"]
    best, generator = theory["best_decoder"](p, gamma), torch.Generator().manual_seed(0)
    drawn = [torch.randn(4, generator=generator, dtype=p.dtype).mul(3).softmax(0) for _ in range(2000)]
    drawn += [(best.log() + 1e-3 * torch.randn(4, generator=generator, dtype=p.dtype)).softmax(0) for _ in range(100)]
    assert min(cost(p, d, gamma) for d in drawn) > cost(p, best, gamma) - 1e-12
    if gamma == 0:
        assert torch.allclose(best, p)
    else:
        assert best[0] > p[0] and best[3] < p[3]  # what 7.4 asks


@pytest.mark.parametrize("gamma", [0.25, 0.5])
def test_the_game_ends_at_the_formula_where_its_condition_holds(theory, gamma):
    p = theory["shares"]
    best, (end, gap) = theory["best_decoder"](p, gamma), theory["played"](p, gamma)
    assert (best <= p ** (1 / 3)).all() and (gap == 0).all() and torch.allclose(end, best, atol=1e-4)


def test_elsewhere_the_encoders_gap_is_its_best_answer(theory):
    """The encoder maximizes p w - d exp(alpha w) / alpha over w <= log d: w = min(log d, log(p / d) / alpha)."""
    p = theory["shares"]
    best, (end, gap) = theory["best_decoder"](p, 1.0), theory["played"](p, 1.0)
    assert not (best <= p ** (1 / 3)).all() and p[0] < end[0] < best[0]
    assert torch.allclose(gap, (end.log() - (p / end).log() / 2).clamp_min(0), atol=1e-3)


def test_eight_equal_cells_stay_equal_at_a_small_gamma_only(theory):
    equal = torch.full((8,), 1 / 8, dtype=torch.float64)
    for gamma in (0.25, 0.75):
        assert torch.allclose(theory["best_decoder"](equal, gamma), equal, atol=1e-4)
    assert theory["best_decoder"](equal, 1.0).max() > 0.6 and theory["played"](equal, 1.0)[0].max() > 0.5


@pytest.mark.parametrize(("form", "right"), [(regions.solved, True), (regions.unsolved, False)])
def test_with_the_exact_posterior_only_the_mended_estimate_is_the_density(form, right):
    names = run_cell("def importance_weighted", {}, form)
    run_cell("posterior_mean, posterior_variance", names | {"words": lambda values: ""})
    variance, x = 0.1, torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mean, logvar = 2 * x / (4 + variance), torch.full_like(x, math.log(variance / (4 + variance)))
    z = mean + (logvar / 2).exp() * torch.randn(7, 5, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    normal = torch.distributions.Normal
    log_px = normal(2 * z, math.sqrt(variance)).log_prob(x).sum(-1)
    exact = normal(torch.zeros_like(x), math.sqrt(4 + variance)).log_prob(x).sum(-1)
    assert torch.allclose(names["importance_weighted"](log_px, z, mean, logvar), exact, atol=1e-5) == right


def test_the_density_by_definition_is_the_exact_one_of_a_linear_decoder():
    """Of x = 2 z + noise of variance v, with z of the prior: N(0, (4 + v) I)."""
    class Linear:
        def sample(self, n, generator):
            return 2 * torch.randn(n, 2, generator=generator, dtype=torch.float64)

    by_definition, variance = run_cell("def by_definition", {})["by_definition"], 0.5
    x = 2 * torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = torch.distributions.Normal(0.0, math.sqrt(4 + variance)).log_prob(x).sum(-1)
    assert torch.allclose(by_definition(Linear(), x, variance, n=200_000), exact, atol=0.03)


def test_notebook_and_exercise_treat_the_same_patients():
    text = SOURCE.read_text(encoding="utf-8")
    sick = re.search(r'^SICK = \{"A": ([\d.]+), "B": game\["beta_neg"\], "C": ([\d.]+)\}', text, re.MULTILINE)
    assert float(sick[1]) == 20 and float(sick[2]) == 0
    assert chapter_07.PATIENTS == {"A": "too hard a push", "B": "healthy", "C": "no push"}
    assert f"answer_7_6 = {str(tuple(chapter_07.PATIENTS.values())).replace(chr(39), chr(34))}" in text

"""The story's numbers in chapter 05 are those of the shipped checkpoint: measured again, mode by mode.

What is expected is read from the committed notebook's own output, so no figure stands here."""

import ast
import re

import nbformat
import pytest
from notebook_helpers import ROOT

from course_utils import checkpoints, data
from course_utils.metrics import feature_network, measure

PATH = ROOT / "notebooks" / "solutions" / "05_measuring_generators.ipynb"
METRICS = ("fd_fashion", "precision_fashion", "recall_fashion")
MISTAKE = {"eval": (), "train": ("model",)}, {"eval": (), "train": ("features",)}  # of the generator, of the feature network


def story_cell():
    [cell] = [c for c in nbformat.read(PATH, as_version=4).cells if c.cell_type == "code" and "STORY = {" in c.source]
    return cell


def settings(source):
    """The dict STORY = {...} as it is written in the cell."""
    return ast.literal_eval(re.search(r"STORY = (\{.*?\})", source)[1])


def rows_of(cell):
    """The rows of the table that a cell shows: dicts of texts by column."""
    [page] = [output.data["text/html"] for output in cell.outputs if "text/html" in output.get("data", {})]
    head, *rows = [re.findall(r"<t[hd][^>]*>(?:<strong>)?([^<]*)", row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)]
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def measured():
    """modes -> values, measured now on the shipped weights."""
    story = settings(story_cell().source)
    model, network = checkpoints.load(story["checkpoint"]), feature_network("fashion")
    real = data.load("fashion-mnist-mini", "test").subset(slice(0, story["samples"]))
    options = {"samples": story["samples"], "batch_size": story["batch_size"], "networks": {"fashion": network}}
    return {
        (generator, features): measure(
            model, real, METRICS, train_mode=MISTAKE[0][generator] + MISTAKE[1][features], cache=False, progress=False, **options
        )["values"]
        for generator in MISTAKE[0]
        for features in MISTAKE[1]
    }


def test_the_table_holds_what_is_measured_now(measured):
    rows = rows_of(story_cell())
    assert {(row["generator"], row["feature network"]) for row in rows} == set(measured) and len(rows) == len(measured)
    for row in rows:
        now = measured[row["generator"], row["feature network"]]
        assert float(row["fd_fashion"]) == pytest.approx(now["fd_fashion"], rel=0.005), row
        for share in METRICS[1:]:  # a few images in a thousand lie on the edge of a ball, where rounding decides
            assert float(row[share]) == pytest.approx(now[share], abs=0.004), row


def test_the_comparison_could_tell_the_modes_of_the_feature_network_apart(measured):
    for generator in MISTAKE[0]:
        right, wrong = (measured[generator, features]["fd_fashion"] for features in MISTAKE[1])
        assert abs(wrong - right) > 0.05 * right, "the story is not true of this checkpoint: write it anew"

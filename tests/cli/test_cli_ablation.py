"""`course ablation`: the record as tables with spreads, or one clear refusal. Measuring runs: tests/test_ablation.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ablation_records import record

from course_utils import ablation
from course_utils.cli.ablate import TABLES

PREFIX = ablation.PREFIX


@pytest.fixture
def shown(course, tmp_path):
    """Print this record."""

    def call(found) -> str:
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        (tmp_path / "checkpoints" / ablation.FILE).write_text(json.dumps(found), encoding="utf-8")
        done = course("ablation")
        assert done.code == 0, done.err
        return done.out

    return call


def tables(text: str) -> dict[str, list[list[str]]]:
    """The cells of each table, by its title; cells are two spaces or more apart."""
    found = {}
    for title in TABLES:
        lines = text.split(f"{title}\n")[1].split("\n\n")[0].splitlines()
        found[title] = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]
    return found


def test_every_run_has_a_row_in_every_table_with_its_spread(shown):
    text = shown(record())
    for title, rows in tables(text).items():
        assert rows[0] == ["recipe", *TABLES[title].values()]
        assert [row[0] for row in rows[2:12]] == ablation.names()
        assert [row[0] for row in rows[12:14]] == ["seeds apart, nothing", "seeds apart, (iii) augment everywhere"]
    rows = {row[0]: row for row in tables(text)[list(TABLES)[1]]}
    assert rows[f"{PREFIX}_s1"][1:3] == ["6 ± 0.1", "6 ± 0.1"]
    assert rows["other training images"][1:] == ["3.5", "2.5", "0.02", "0.01"]
    first = {row[0]: row for row in tables(text)[list(TABLES)[0]]}
    assert first[f"{PREFIX}_s1"][1:] == ["11", "11", "11", "11", "6 ± 0.1"] and "other training images" not in first
    memory = tables(text)[list(TABLES)[2]]
    assert memory[2][1:] == ["0.4 ± 0.01"] * 6 and memory[12][1:] == ["0.01"] * 6
    assert "3 draws of 2,000 samples" in text and "335 images each" in text and "the 2 held-out images" in text
    assert "NOT equal" not in text and "Not measured yet" not in text


def test_every_measure_of_a_run_is_known_to_the_tables_or_left_out_on_purpose():
    known = {key for columns in TABLES.values() for key in columns}
    values = set(record()["runs"][0]["values"])
    assert known <= values
    assert values - known == {f"{name}_{space}" for name in ("ratio", "ratio_relative", "copies_relative")
                              for space in ("cifar", "pixels")}  # fmt: skip


def test_unequal_budgets_and_missing_runs_are_said(shown):
    text = shown(record(f"{PREFIX}_dropout", f"{PREFIX}_s1", **{f"{PREFIX}_noise": 500}))
    assert "NOT equal budgets: runs of 500, 8,000 steps." in text
    assert f"Not measured yet: {PREFIX}_s1, {PREFIX}_dropout." in text
    found = [row[0] for row in tables(text)[list(TABLES)[0]]]
    assert f"{PREFIX}_dropout" not in found
    assert [name for name in found if "seeds" in name] == ["seeds apart, (iii) augment everywhere"]


@pytest.mark.parametrize(
    "argv, says",
    [
        ([], "no such record. It comes with the repository; `course ablation --runs FOLDER`"),
        (["--out", "here.json"], "out: got 'here.json', allowed: nothing without --runs"),
        (["--runs", "nowhere"], "runs: got 'nowhere', allowed: a folder"),
        (["--runs", "."], "runs: got '.', allowed: a folder with finished runs"),
        (["--runs"], "--runs"),
    ],
)
def test_bad_input(course, tmp_path, argv, says):
    done = course("ablation", *argv)
    assert done.code == 2 and says in done.err and "Traceback" not in done.err, done.err
    assert not list(Path().iterdir()) and not (tmp_path / "checkpoints").exists()


def test_a_damaged_record_and_one_of_other_settings(course, tmp_path):
    path = tmp_path / "checkpoints" / ablation.FILE
    path.parent.mkdir()
    other = [(json.dumps(found), "made with other settings") for found in (record() | {"settings": {}}, {}, [])]
    for text, says in (("{", "not valid JSON"), *other):
        path.write_text(text, encoding="utf-8")
        done = course("ablation")
        assert done.code == 2 and says in done.err and "Traceback" not in done.err

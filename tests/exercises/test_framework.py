"""The exercise framework: diagnoses, what a check leaves alone, what a notebook sees, progress over restarts."""

import inspect
import json
import os
import random
import time
import warnings

import numpy as np
import pytest
import torch
from drafts import draft_chapters

from course_utils.errors import CourseError
from course_utils.exercises import cards, check, framework, hint, notebook, progress
from course_utils.exercises import verdicts as v
from course_utils.exercises.examine import (
    BROKEN,
    FAILED,
    MISSING,
    NOT_ATTEMPTED,
    PASSED,
    REFERENCE,
)
from course_utils.exercises.fresh import Fresh
from course_utils.exercises.notebook import NotPassed, evaluate
from course_utils.exercises.progress import load, progress_file, table

pytestmark = pytest.mark.usefixtures("toy")


def right(mu, logvar, noise):
    return mu + torch.exp(0.5 * logvar) * noise


def made(checks, reference=lambda x: x, number="77.1", **fields):
    """An exercise that is registered nowhere."""
    values = {"title": "t", "kind": "implement", "minutes": 1, "points": 1, "difficulty": 1, "hints": ("h",)} | fields
    return framework.Exercise(number=number, name="f", reference=reference, checks=checks, **values)


def outcome_of(checks, answer, **fields):
    from course_utils.exercises.examine import examine_with

    return examine_with(made(checks, **fields), answer)


class TestDiagnoses:
    def test_right_answers_in_other_words_pass(self, accepts):
        accepts("90.1", right)
        accepts("90.1", lambda mu, logvar, noise: noise * logvar.exp().sqrt() + mu)
        accepts("90.1", lambda mu, logvar, noise: mu.double() + noise.double() * (logvar.double() / 2).exp())
        accepts("90.2", lambda x: torch.stack([image.sum() for image in x]))
        accepts("90.4", lambda x: [x.mean(), x.std()])
        accepts("90.3", " B ")
        accepts("90.5", 0.95)
        accepts("90.5", torch.tensor(1.05))

    def test_each_known_mistake_has_its_own_words(self, rejects):
        rejects("90.1", lambda mu, logvar, noise: mu + noise * logvar, "scale the noise by logvar")
        rejects("90.1", lambda mu, logvar, noise: mu + noise * logvar.exp(), "variance")
        rejects("90.1", lambda mu, logvar, noise: mu.double() + noise.double() * logvar.double().exp(), "variance")
        rejects("90.1", lambda mu, logvar, noise: right(mu, logvar, noise).mean(0), "shape (5,)")
        rejects("90.1", lambda mu, logvar, noise: right(mu.detach(), logvar, noise), "reaches input 1")
        rejects("90.1", lambda mu, logvar, noise: mu - noise, "largest difference")
        rejects("90.2", lambda x: x.flatten(1).mean(1), "shrink")
        rejects("90.2", lambda x: 2 * x.flatten(1).sum(1), "got / want is 2.")
        rejects("90.3", "a", "compare the two rows")
        rejects("90.3", "d", "one of 'a', 'b', 'c'; got 'd'")
        rejects("90.4", lambda x: x.mean(), "2 values (mean, std), got float32 tensor ()")
        rejects("90.4", lambda x: (x, x.std()), "mean has shape (50,)")
        rejects("90.4", lambda x: (x.mean(), x.std() / 0), "1 of 1 values are not finite")
        rejects("90.4", lambda x: (x.mean(), -x.std()), "outside [0, 100]")

    def test_nothing_returned_and_no_tensor_returned(self, rejects):
        rejects("90.1", lambda mu, logvar, noise: None, "is the `return` missing")
        rejects("90.4", lambda x: None, "is the `return` missing")
        rejects("90.2", lambda x: "sum", "where a tensor or a number is expected")
        rejects("90.2", 3, "not a function")

    def test_an_error_names_line_and_inputs(self):
        def answer(x):
            rows = x.flatten(1)
            return rows @ rows

        outcome = framework.examine("90.2", answer)
        assert outcome.state == FAILED and outcome.message.startswith("RuntimeError")
        line = inspect.getsourcelines(answer)[1] + 2
        assert f"line {line} " in outcome.line and "`return rows @ rows`" in outcome.line
        assert outcome.given == "x = float32 tensor (4, 2, 8, 8)"

    def test_unfinished_is_told_from_not_implemented_by_a_library(self):
        def blank(x):
            raise NotImplementedError  # your code here

        def library(x):
            return torch.multinomial(x.long(), 1)

        def other(x):
            raise NotImplementedError("'lu' is not implemented for 'Half'")

        assert framework.examine("90.2", blank).state == NOT_ATTEMPTED
        assert framework.examine("90.2", library).state == FAILED
        assert framework.examine("90.2", other).state == FAILED

    @pytest.mark.parametrize("blank", [None, ..., (1, ...), (1, None)])
    def test_values_not_filled_in(self, blank):
        assert framework.examine("90.3", blank).state == NOT_ATTEMPTED

    def test_stop_button_exit_and_recursion_become_diagnoses(self):
        def stopped(x):
            raise KeyboardInterrupt

        def leaving(x):
            raise SystemExit(3)

        def deep(x):
            return deep(x)

        assert "endless loop" in framework.examine("90.2", stopped).message
        assert "ends Python" in framework.examine("90.2", leaving).message
        assert framework.examine("90.2", deep).message.startswith("RecursionError")

    def test_a_class_as_an_answer(self):
        class Twice(torch.nn.Module):
            def forward(self, x):
                return 2 * x

        class Wrong(torch.nn.Module):
            def forward(self, x):
                return 2 * self.missing

        def checks(answer, fresh):
            x = fresh.normal(3)
            yield v.close(answer()(x), 2 * x), "no"

        assert outcome_of(checks, Twice, reference=Twice).passed
        failed = outcome_of(checks, Wrong, reference=Twice)
        assert "AttributeError" in failed.message and "2 * self.missing" in failed.line

    def test_what_an_answer_prints_and_warns_is_kept_off_the_screen(self, capfd):
        def chatty(x):
            print("rows", len(x))
            warnings.warn("old way", stacklevel=1)
            return x

        outcome = framework.examine("90.2", chatty)
        assert "rows 4" in outcome.printed and "UserWarning: old way" in outcome.printed
        assert capfd.readouterr() == ("", "")

    def test_a_long_print_is_cut(self):
        outcome = framework.examine("90.2", lambda x: print("\n" * 5, *range(500), sep="\n"))
        assert len(outcome.printed.splitlines()) == 13 and outcome.printed.endswith("488 more lines")


class TestFairness:
    def test_a_mistake_that_is_right_by_chance_is_drawn_again(self, monkeypatch):
        """`x * x` is no mistake for x = 1: on such a draw the diagnosis would be wrong."""

        def checks(answer, fresh):
            x = torch.tensor(1.0) if fresh.seed_used % 2 else torch.tensor(3.0)
            yield v.differs(answer(x), x * x), "You square."
            yield v.close(answer(x), x), "no"

        seeds = iter([1, 3, 2])
        monkeypatch.setattr("course_utils.exercises.examine.new_seed", lambda *_: next(seeds))
        assert outcome_of(checks, lambda x: +x).passed
        assert next(seeds, None) is None
        monkeypatch.setattr("course_utils.exercises.examine.new_seed", lambda *_: 2)
        assert outcome_of(checks, lambda x: x * x).message == "You square."

    @pytest.mark.parametrize(
        "checks",
        [
            pytest.param(lambda answer, fresh: iter([(False, "always")]), id="fails for the reference"),
            pytest.param(lambda answer, fresh: iter([(v.Verdict(False), "{nothing}")]), id="unknown field"),
            pytest.param(lambda answer, fresh: iter([(v.equals("a", "b"), "{got:.2f}")]), id="format of a text"),
            pytest.param(lambda answer, fresh: iter([]), id="no verdict"),
            pytest.param(lambda answer, fresh: (_ for _ in [1 / 0]), id="raises"),
        ],
    )
    def test_a_check_that_does_not_work_is_not_the_students_fault(self, checks):
        def generator(answer, fresh):
            yield from checks(answer, fresh)

        assert outcome_of(generator, abs).state == BROKEN

    def test_draws_differ_and_a_seed_repeats_them(self, monkeypatch):
        drawn = []

        def checks(answer, fresh):
            drawn.append(fresh.normal(3))
            yield True, ""

        for _ in range(2):
            outcome_of(checks, abs)
        assert not drawn[0].equal(drawn[1])
        monkeypatch.setenv("COURSE_SEED", "7")
        for _ in range(2):
            outcome_of(checks, abs)
        assert drawn[2].equal(drawn[3])
        outcome_of(checks, abs, number="77.2")
        assert not drawn[3].equal(drawn[4])


class TestFence:
    def test_nothing_global_changes(self):
        def vandal(x):
            torch.manual_seed(0)
            np.random.seed(0)
            random.seed(0)
            torch.set_default_dtype(torch.float64)
            torch.set_grad_enabled(False)
            torch.autograd.set_detect_anomaly(True)
            warnings.simplefilter("error")
            return x.flatten(1).sum(1)

        filters = list(warnings.filters)
        before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
        assert framework.examine("90.2", vandal).passed
        assert framework.examine("90.2", lambda x: torch.randn(4)).state == FAILED
        assert torch.get_rng_state().equal(before[0])
        assert (np.random.get_state()[1] == before[1]).all() and random.getstate() == before[2]
        assert torch.get_default_dtype() == torch.float32 and torch.is_grad_enabled()
        assert not torch.is_anomaly_enabled() and warnings.filters == filters

    def test_a_check_works_whatever_the_notebook_has_set(self):
        torch.set_default_dtype(torch.float64)
        try:
            with torch.no_grad():
                assert framework.examine("90.1", right).passed
                assert not torch.is_grad_enabled()
            with torch.inference_mode():
                assert framework.examine("90.1", right).passed
            assert torch.get_default_dtype() == torch.float64
        finally:
            torch.set_default_dtype(torch.float32)

    def test_inputs_changed_in_place_are_a_diagnosis(self, rejects):
        def in_place(mu, logvar, noise):
            return mu.add_(noise * logvar.div_(2).exp_())

        rejects("90.1", in_place, "changes its argument `mu` in place")

    def test_changes_inside_lists_dicts_and_arrays_are_seen(self):
        def checks(answer, fresh):
            x = fresh.normal(3)
            answer([x, x], option={"a": x.numpy()})
            yield bool(x.isfinite().all()), "The originals were reached."

        def reference(parts, option):
            return parts

        for spoil in (
            lambda p, option: p[1].zero_(),
            lambda p, option: p.pop(),
            lambda p, option: option["a"].fill(np.nan),
        ):
            assert "in place" in outcome_of(checks, spoil, reference=reference).message

    def test_uncloned_is_for_functions_that_have_to_change_things(self):
        def checks(answer, fresh):
            x = fresh.normal(3)
            want = 2 * x
            answer.uncloned(x)
            yield v.close(x, want), "x is not doubled."

        assert outcome_of(checks, lambda x: x.mul_(2), reference=lambda x: x.mul_(2)).passed
        assert outcome_of(checks, lambda x: x * 2, reference=lambda x: x.mul_(2)).state == FAILED


class TestVerdicts:
    def test_close_and_differs_by_precision(self):
        x = torch.tensor([1.0, 1000.0], dtype=torch.float64)
        assert v.close(x.float() * (1 + 1e-6), x)
        assert not v.close(x * (1 + 1e-6), x)
        assert v.close(x.half(), x)
        assert not v.close(x.float() * (1 + 1e-3), x)
        assert not v.differs(x.float() * (1 + 5e-4), x), "a known mistake is recognized a little further off"
        assert v.differs(x.float() * (1 + 5e-3), x)
        assert not v.close(torch.tensor([1.0, 2.0]), torch.tensor([1.0, float("nan")]))
        assert v.close(torch.tensor([float("inf"), float("nan")]), torch.tensor([float("inf"), float("nan")]))
        assert not v.close(torch.tensor([float("-inf")]), torch.tensor([float("inf")]))

    def test_a_small_element_beside_a_large_one_counts(self):
        want = torch.tensor([1.0, 1000.0])
        assert not v.close(torch.tensor([1.1, 1000.0]), want)

    def test_what_verdicts_saw(self):
        seen = v.close(torch.tensor([1.0, 6.0]), torch.tensor([1.0, 3.0])).details
        assert (seen["got"], seen["want"], seen["error"], seen["factor"]) == (6.0, 3.0, 3.0, 2.0)
        assert v.same_shape(torch.zeros(2, 3), (2, 4)).details == {"got": (2, 3), "want": (2, 4)}
        with pytest.raises(v.Diagnosis, match=r"shape \(2,\); expected \(3,\)"):
            v.close(torch.zeros(2), torch.zeros(3))

    def test_shapes_and_numbers(self):
        assert v.is_scalar(3.0) and v.is_scalar(torch.tensor(1)) and not v.is_scalar(torch.ones(1))
        assert v.same_shape(np.zeros((2, 3)), torch.zeros(2, 3))
        assert v.finite([1.0, 2.0]) and not v.finite([1.0, float("nan")])
        assert v.between(0.5, 0, 1) and not v.between([0.5, 2.0], 0, 1) and not v.between(float("nan"), 0, 1)
        assert v.differs(torch.ones(3), torch.ones(2)), "another shape is another mistake"

    def test_texts_and_options(self):
        assert v.equals(" B", "b") and not v.equals("a", "b") and v.equals(3, 3)
        assert v.equals(torch.tensor([1, 2]), torch.tensor([1, 2])) and not v.equals(
            torch.tensor([1]), torch.tensor([1, 2])
        )
        assert v.one_of("A", "abc") and not v.one_of("d", "abc")

    def test_gradients(self):
        a, b = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
        assert v.has_gradient(a * b, a, b) and v.no_gradient(a * 2, b)
        assert v.has_gradient(a * 2, a, b).details["got"] == "2"
        assert not v.has_gradient((a * b).detach(), a, b)
        assert not v.has_gradient(a * 0, a), "a zero gradient does not count"
        assert v.no_gradient(a * b, a, b).details["got"] == "1, 2"
        with pytest.raises(ValueError, match="grad=True"):
            v.has_gradient(a, torch.ones(3))

    def test_fresh_inputs(self):
        fresh = Fresh(3)
        images = fresh.images(4, 3, 16)
        assert images.shape == (4, 3, 16, 16) and images.min() == 0 and images.max() == 1
        assert fresh.normal(2, 3, dtype=torch.float64, grad=True).requires_grad
        u = fresh.uniform(1000, low=2, high=4)
        assert 2 <= u.min() and u.max() < 4
        assert all(3 <= fresh.integer(3, 6) < 6 for _ in range(20))
        assert fresh.generator().initial_seed() != fresh.generator().initial_seed()


class TestInANotebook:
    def test_states_and_the_reference_in_place(self):
        space = {}
        assert evaluate("90.1", space).state == MISSING
        assert space["reparameterize"].course_reference == "90.1"
        assert evaluate("90.1", space).state == REFERENCE, "checking again must not pass"
        space["reparameterize"] = right
        assert evaluate("90.1", space).state == PASSED and space["reparameterize"] is right
        space["reparameterize"] = lambda mu, logvar, noise: mu
        assert evaluate("90.1", space).state == FAILED
        mu, logvar, noise = torch.randn(3, 4, 5)
        assert space["reparameterize"](mu, logvar, noise).equal(right(mu, logvar, noise)), "the rest can go on"
        assert list(inspect.signature(space["reparameterize"]).parameters) == ["mu", "logvar", "noise"]

    def test_values_are_bound_and_marked_as_well(self):
        space = {"answer_90_3": "a", "answer_90_5": ...}
        assert evaluate("90.3", space).state == FAILED and evaluate("90.5", space).state == NOT_ATTEMPTED
        assert space["answer_90_3"] == "b" and space["answer_90_5"] * 2 == 2.0
        assert evaluate("90.3", space).state == REFERENCE and evaluate("90.5", space).state == REFERENCE
        assert evaluate("90.3", {"answer_90_3": "b"}).passed

    def test_the_courses_own_function_is_no_answer(self):
        space = {"reparameterize": framework.find("90.1").reference}
        outcome = evaluate("90.1", space)
        assert outcome.state == FAILED and "course's own" in outcome.message

    def test_a_renamed_function_is_found_by_its_look(self):
        assert "reparametrize`: was it renamed" in evaluate("90.1", {"reparametrize": right}).message

    def test_check_finds_the_callers_globals_and_prints_text(self, capsys):
        space = {"check": check, "torch": torch}
        exec("def row_sums(x):\n    return x.flatten(1).mean(1)\ncheck('90.2')", space)
        out, err = capsys.readouterr()
        assert (
            out.startswith("[not yet] 90.2 Sum, not mean\n")
            and "shrink" in out
            and "hint('90.2', 1)" in out
            and not err
        )
        assert space["row_sums"].course_reference == "90.2"

    @pytest.mark.parametrize("number", ["90.99", "1234.1", "nonsense", None, 77.5])
    def test_check_and_hint_never_raise(self, number, capsys):
        check(number)
        hint(number)
        assert "something is wrong" in capsys.readouterr().out

    def test_hints(self, capsys):
        hint("90.1", 2)
        assert "exp(logvar / 2)" in capsys.readouterr().out
        hint("90.1")
        assert "1. The noise" in capsys.readouterr().out
        hint("90.1", 3)
        assert "has 2 hints" in capsys.readouterr().out

    def test_grading_raises_and_stays_silent(self, monkeypatch, capfd, tmp_path):
        monkeypatch.setenv("COURSE_GRADING", "1")

        def noisy(x):
            warnings.warn("deprecated", stacklevel=1)
            return x.flatten(1).sum(1)

        check("90.2", namespace={"row_sums": noisy})
        space = {"row_sums": lambda x: x.flatten(1).mean(1)}
        with pytest.raises(NotPassed, match="shrink"):
            check("90.2", namespace=space)
        assert space["row_sums"].course_reference == "90.2"
        with pytest.raises(NotPassed, match="99.1"):
            check("99.1", namespace={})
        assert capfd.readouterr() == ("", "") and not (tmp_path / "progress.json").exists()

    def test_in_ipython(self):
        """A real IPython shell: the namespace is the user's, the card is published as HTML and as text."""
        from IPython.core.interactiveshell import InteractiveShell
        from IPython.testing.globalipapp import get_ipython  # noqa: F401  (its presence is part of the test environment)
        from IPython.utils.capture import capture_output

        shell = InteractiveShell.instance()
        try:
            shell.run_cell("from course_utils.exercises import check, progress").raise_error()
            shell.run_cell("def row_sums(x):\n    y = x.sum()\n    return y @ x").raise_error()
            with capture_output() as seen:
                assert shell.run_cell("check('90.2')").success
            data = seen.outputs[0].data
            assert "line 3 of the cell" in data["text/plain"] and "return y @ x" in data["text/plain"]
            assert "<details" in data["text/html"] and "Not yet" in data["text/html"]
            assert shell.run_cell("row_sums.course_reference == '90.2'").result is True
            shell.run_cell("def row_sums(x): return x.flatten(1).sum(1)").raise_error()
            with capture_output() as seen:
                assert shell.run_cell("check('90.2')").success and shell.run_cell("progress()").success
            assert "Passed" in seen.outputs[0].data["text/html"]
            assert "1 of 5 exercises" in seen.outputs[1].data["text/plain"]
        finally:
            InteractiveShell.clear_instance()


class TestCards:
    def test_html_is_escaped(self):
        outcome = framework.examine("90.3", "<script>alert(1)</script>")
        page = cards.outcome_card(framework.find("90.3"), outcome)._repr_html_()
        assert "<script" not in page and "&lt;script" in page

    def test_every_state_has_a_sign_and_words_and_its_color_contrasts(self):
        assert len({sign for sign, _, _ in cards.STATES.values()}) == len(cards.STATES)
        for _, _, color in cards.STATES.values():
            light = luminance(color)
            assert 1.05 / (light + 0.05) >= 3 and (light + 0.05) / (luminance("#111111") + 0.05) >= 3

    def test_a_slow_answer_is_told_so(self):
        from course_utils.exercises.examine import Outcome

        card = cards.outcome_card(framework.find("90.2"), Outcome("90.2", "row_sums", PASSED, seconds=3.21))
        assert "3.2 s" in repr(card) and "1 point" in repr(card)


def luminance(color):
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


class TestProgress:
    def solve(self, **space):
        for number, name in {"90.1": "reparameterize", "90.2": "row_sums"}.items():
            if name in space:
                check(number, namespace={name: space[name]})

    def test_kept_over_restarts_and_never_lost_again(self, capsys, tmp_path):
        self.solve(reparameterize=right, row_sums=lambda x: x)
        kept = json.loads((tmp_path / "progress.json").read_text(encoding="utf-8"))["exercises"]
        assert kept["90.1"]["state"] == PASSED and kept["90.2"]["state"] == FAILED
        self.solve(reparameterize=lambda *_: None)
        rows, note = table(90)
        assert [r["state"] for r in rows] == [PASSED, FAILED] + ["not yet checked"] * 3 and note == ""
        assert sum(r["earned"] for r in rows) == 2
        capsys.readouterr()
        progress()
        assert "1 of 5 exercises, 2 of 8 points; about 15 minutes left" in capsys.readouterr().out
        assert os.listdir(tmp_path) == ["progress.json"]

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"exercises": 3}', '{"exercises": {"90.1": 3}}', "\xff"])
    def test_a_damaged_file_is_set_aside(self, content, tmp_path, capsys):
        (tmp_path / "progress.json").write_bytes(content.encode("latin-1"))
        entries, note = load()
        assert entries == {} and "cannot be read" in note
        self.solve(reparameterize=right)
        assert "progress.json.bad" in capsys.readouterr().out.replace("\n  ", " ")
        assert (tmp_path / "progress.json.bad").read_bytes() == content.encode("latin-1")
        assert load()[0]["90.1"]["state"] == PASSED

    def test_where_nothing_can_be_written_the_check_still_works(self, tmp_path, monkeypatch, capsys):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "file" / "progress.json"))
        self.solve(reparameterize=right)
        out = capsys.readouterr().out
        assert "[passed]" in out and "could not be kept" in out

    def test_off(self, monkeypatch, capsys):
        monkeypatch.setenv("COURSE_PROGRESS", "off")
        self.solve(reparameterize=right)
        assert progress_file() is None and load() == ({}, "")
        progress(90)
        assert "nothing is kept" in capsys.readouterr().out

    def test_elsewhere_than_the_checkout_it_stays_in_the_current_folder(self, monkeypatch, tmp_path):
        monkeypatch.delenv("COURSE_PROGRESS")
        monkeypatch.chdir(tmp_path)
        assert progress_file() == tmp_path / ".course_progress.json"

    def test_bad_chapter(self, capsys):
        progress("ninety")
        assert "chapter: got 'ninety'" in capsys.readouterr().out


class TestChapters:
    def test_a_teachers_folder_is_found(self, tmp_path, monkeypatch):
        (tmp_path / "chapter_91.py").write_text(
            "from course_utils.exercises.framework import equals, exercise\n"
            "@exercise('91.1', reference='x', title='t', minutes=1, points=1, kind='predict', hints=['h'])\n"
            "def answer_91_1(answer, fresh):\n    yield equals(answer, 'x'), 'no'\n",
            encoding="utf-8",
        )
        with pytest.raises(CourseError, match="91.1"):
            framework.find("91.1")
        monkeypatch.setenv("COURSE_EXERCISES", str(tmp_path))
        assert framework.chapters()[-1] == 91
        assert framework.examine("91.1", "x").passed
        monkeypatch.delitem(framework._registry, "91.1")

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"number": "2"}, "number"),
            ({"kind": "essay"}, "kind"),
            ({"difficulty": 4}, "difficulty"),
            ({"hints": []}, "hints"),
            ({"hints": ["a"] * 4}, "hints"),
            ({"hints": "text"}, "hints"),
            ({"reference": True, "kind": "predict"}, "reference"),
            ({"number": "90.1"}, "already taken"),
            ({"number": "90.7", "name": "row_sums"}, "the name of 90.2"),
        ],
    )
    def test_declarations_that_are_refused(self, changes, word):
        known = dict(framework._registry)
        given = {"number": "90.8", "reference": abs, "title": "t", "minutes": 1, "points": 1, "hints": ["h"]} | changes
        with pytest.raises(CourseError, match=word):
            framework.exercise(given.pop("number"), **given)(lambda answer, fresh: iter(()))
        assert framework._registry == known

    def test_every_reference_of_the_course_passes_quickly_whatever_is_drawn(self):
        """All chapters there are, the toy one included; a draft is not one yet, and may want weights not recorded."""
        drafts = draft_chapters()
        for exercise in framework.exercises():
            if exercise.chapter in drafts:
                continue
            reference = (
                exercise.reference() if exercise.is_value and callable(exercise.reference) else exercise.reference
            )
            framework.examine(exercise.number, reference)  # the first run pays for imports
            for seed in range(10):
                outcome = framework.examine(exercise.number, reference, seed=seed)
                assert outcome.passed, f"draw {seed}: {outcome}"
                assert outcome.seconds < 2, f"{exercise.number} takes {outcome.seconds:.1f} s"
            assert framework.exercises(exercise.chapter)

    def test_a_blank_is_not_attempted_in_every_exercise(self):
        def blank(*args, **kwargs):
            raise NotImplementedError

        for exercise in framework.exercises():
            assert framework.examine(exercise.number, ... if exercise.is_value else blank).state == NOT_ATTEMPTED

    def test_a_check_is_quick(self):
        started = time.perf_counter()
        for _ in range(20):
            framework.examine("90.1", right)
        assert (time.perf_counter() - started) / 20 < 0.1


def test_the_module_names_its_public_functions():
    assert notebook.check is check and notebook.hint is hint and callable(progress)

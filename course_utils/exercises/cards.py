"""What a check shows: HTML in a notebook (light or dark, no scripts, nothing from elsewhere), plain text anywhere else.

Text takes the color of the page around it, so that it stays readable in every theme; a state is a word and a sign, and
its color only repeats it."""

from __future__ import annotations

import html
import re
import sys
import textwrap
from dataclasses import dataclass, field
from typing import Any

from course_utils.exercises.examine import (
    BROKEN,
    FAILED,
    MISSING,
    NOT_ATTEMPTED,
    PASSED,
    REFERENCE,
    SLOW_S,
    Outcome,
)

# Sign, words, color. The colors keep 3:1 against white and against #111; sign and words say the same without them.
STATES = {
    PASSED: ("✓", "Passed", "#2a9d5c"),
    FAILED: ("✗", "Not yet", "#d1603d"),
    NOT_ATTEMPTED: ("○", "Not yet attempted", "#6b84a3"),
    MISSING: ("?", "Missing", "#b07d2b"),
    REFERENCE: ("↺", "Still the reference", "#6b84a3"),
    BROKEN: ("!", "Something is wrong with this check", "#a66bbf"),
    "hint": ("→", "Hint", "#6b84a3"),
}
# Inline, since notebook pages drop or leak style sheets; grays are translucent to sit on any background.
BOX = (
    "border:1px solid rgba(128,128,128,.35);border-left:4px solid {color};border-radius:6px;padding:10px 14px;"
    "margin:6px 0;max-width:52em;font-family:system-ui,sans-serif;font-size:14px;line-height:1.5;color:inherit;"
    "background:rgba(128,128,128,.06)"
)
QUIET = "margin-top:6px;opacity:.8;font-size:13px"
CODE = (
    "font-family:ui-monospace,monospace;font-size:.93em;background:rgba(128,128,128,.15);border-radius:3px;"
    "padding:0 3px;color:inherit"
)
PRINTED = (
    "margin:4px 0;padding:6px 8px;white-space:pre-wrap;background:rgba(128,128,128,.12);color:inherit;font-size:12.5px"
)
CELL = "padding:3px 14px 3px 0;border-bottom:1px solid rgba(128,128,128,.25);color:inherit;background:transparent"
LEFT, RIGHT = f"text-align:left;{CELL}", f"text-align:right;{CELL}"
BAR = "height:6px;border-radius:3px"
WIDTH = 96  # of the plain text


@dataclass
class Card:
    """One box. `lines` are paragraphs, `quiet` smaller ones below; text in backticks is code. `hints` fold."""

    state: str
    title: str
    lines: list[str] = field(default_factory=list)
    quiet: list[str] = field(default_factory=list)
    printed: str = ""
    hints: tuple[str, ...] = ()
    number: str = ""
    aside: str = ""  # points and the like, beside the title

    def _repr_html_(self) -> str:
        sign, words, color = STATES[self.state]
        aside = f' <span style="opacity:.8">({_html(self.aside)})</span>' if self.aside else ""
        parts = [f"<div>{_sign(sign, color)} <strong>{words}</strong> · {_html(self.title)}{aside}</div>"]
        parts += [f'<div style="margin-top:6px">{_html(line)}</div>' for line in self.lines]
        if self.printed:
            parts.append(f'<div style="{QUIET}">Your code printed:</div>')
            parts.append(f'<pre style="{PRINTED}">{html.escape(self.printed)}</pre>')
        parts += [f'<div style="{QUIET}">{_html(line)}</div>' for line in self.quiet]
        parts += [self._folded(i, text) for i, text in enumerate(self.hints, 1)]
        return f'<div class="course-card" style="{BOX.format(color=color)}">{"".join(parts)}</div>'

    def _folded(self, i: int, text: str) -> str:
        of = f" {i} of {len(self.hints)}" if len(self.hints) > 1 else ""
        summary = f'<summary style="cursor:pointer">Hint{of}</summary>'
        return (
            f'<details style="margin-top:6px">{summary}<div style="margin:4px 0 0 1.1em">{_html(text)}</div></details>'
        )

    def __repr__(self) -> str:
        head = f"[{STATES[self.state][1].lower()}] {self.title}" + (f" ({self.aside})" if self.aside else "")
        body = [_wrapped(line) for line in self.lines + self.quiet]
        if self.printed:
            body += ["  Your code printed:", textwrap.indent(self.printed, "    ")]
        if self.hints:
            of = f"the first of {len(self.hints)} hints" if len(self.hints) > 1 else "the hint"
            body.append(f"  hint({self.number!r}, 1) shows {of}.")
        return "\n".join([head, *body])


class HintsCard(Card):
    """All hints of an exercise: folded in HTML, listed in text."""

    def __repr__(self) -> str:
        listed = [_wrapped(f"{i}. {text}", "     ") for i, text in enumerate(self.hints, 1)]
        return "\n".join([f"[hints] {self.title}", *listed])


def outcome_card(exercise: Any, outcome: Outcome, note: str = "", in_notebook: bool = True) -> Card:
    """The card of a check. note: what else to say (progress that could not be kept). in_notebook=False leaves out what
    concerns the running notebook, for a feedback page."""
    title = f"{outcome.number} {exercise.title}" if exercise else outcome.number
    card = Card(outcome.state, title, number=outcome.number, printed=outcome.printed)
    if exercise and outcome.passed:
        card.aside = f"{exercise.points:g} {'point' if exercise.points == 1 else 'points'}"
    card.lines = [line for line in [outcome.message, f"Raised in {outcome.line}" if outcome.line else ""] if line]
    if outcome.given:
        card.quiet.append(f"The function was given {outcome.given}.")
    if outcome.seconds > SLOW_S and not (exercise and exercise.is_value):  # a value is not slow; its check may be
        card.quiet.append(f"The check took {outcome.seconds:.1f} s: a vectorized answer takes well under {SLOW_S:g}.")
    if exercise and in_notebook and not outcome.passed and outcome.state != REFERENCE:
        card.quiet.append(f"From here on `{exercise.name}` is the reference, so that the rest of the notebook works.")
    if exercise and outcome.state in (FAILED, NOT_ATTEMPTED):
        card.hints = exercise.hints
    if note:
        card.quiet.append(note)
    return card


def hint_card(exercise: Any, n: int | None) -> Card:
    """One hint, or all of them (folded in HTML)."""
    title = f"{exercise.number} {exercise.title}"
    if n is None:
        return HintsCard("hint", title, hints=exercise.hints)
    return Card("hint", title, lines=[exercise.hints[n - 1]], aside=f"{n} of {len(exercise.hints)}")


@dataclass
class ProgressTable:
    """The rows of `progress.table`, and a note below."""

    rows: list[dict]
    note: str = ""

    def _sums(self) -> str:
        earned, points = sum(r["earned"] for r in self.rows), sum(r["points"] for r in self.rows)
        left = sum(r["minutes"] for r in self.rows if r["state"] != PASSED)
        done = sum(r["state"] == PASSED for r in self.rows)
        text = f"{done} of {len(self.rows)} exercises, {earned:g} of {points:g} points"
        return text + (f"; about {left} minutes left" if left else "")

    def _repr_html_(self) -> str:
        color = STATES[PASSED][2] if self.rows else STATES[NOT_ATTEMPTED][2]
        parts = [f"<strong>{self._sums() if self.rows else 'No exercises here.'}</strong>"]
        if self.rows:
            parts += [self._bar(color), self._html_table()]
        if self.note:
            parts.append(f'<div style="{QUIET}">{_html(self.note)}</div>')
        return f'<div class="course-card" style="{BOX.format(color=color)}">{"".join(parts)}</div>'

    def _bar(self, color: str) -> str:
        share = sum(r["earned"] for r in self.rows) / (sum(r["points"] for r in self.rows) or 1)
        done = f'<div style="{BAR};width:{share:.0%};background:{color}"></div>'
        return f'<div style="{BAR};background:rgba(128,128,128,.25);margin:6px 0 10px" aria-hidden="true">{done}</div>'

    def _html_table(self) -> str:
        columns = {"Exercise": LEFT, "Title": LEFT, "Kind": LEFT, "State": LEFT, "Points": RIGHT, "Minutes": RIGHT}
        head = "".join(f'<th scope="col" style="{style}">{name}</th>' for name, style in columns.items())
        body = "".join(self._html_row(row) for row in self.rows)
        table = f'<table style="border-collapse:collapse;font-size:13.5px;color:inherit"><thead><tr>{head}</tr></thead>'
        return f"{table}<tbody>{body}</tbody></table>"

    @staticmethod
    def _html_row(row: dict) -> str:
        sign, words, color = STATES.get(row["state"], ("·", "Not yet checked", "inherit"))
        texts = [row["number"], _html(row["title"]), row["kind"], f"{_sign(sign, color)} {words}"]
        numbers = [f"{row['earned']:g} / {row['points']:g}", row["minutes"]]
        cells = [f'<td style="{LEFT}">{t}</td>' for t in texts] + [f'<td style="{RIGHT}">{n}</td>' for n in numbers]
        return f"<tr>{''.join(cells)}</tr>"

    def __repr__(self) -> str:
        width = max((len(r["title"]) for r in self.rows), default=0) + 2
        lines = [self._sums() if self.rows else "No exercises here."]
        for r in self.rows:
            state = STATES.get(r["state"], ("", "Not yet checked"))[1].lower()
            points = f"{r['earned']:>4g} / {r['points']:<4g}"
            lines.append(
                f"  {r['number']:<6}{r['title']:<{width}}{r['kind']:<11}{state:<19}{points}{r['minutes']:>4} min"
            )
        return "\n".join(lines + ([self.note] if self.note else []))


def shell() -> Any:
    """The running IPython, or None."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module and hasattr(module, "get_ipython") else None


def show(card: Any) -> None:
    """Display in IPython (which picks HTML or text), print elsewhere."""
    if shell() is not None:
        from IPython.display import display

        display(card)
        return
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # a console may know fewer letters
    print(repr(card).encode(encoding, "replace").decode(encoding))


def _sign(sign: str, color: str) -> str:
    return f'<span style="color:{color};font-weight:700" aria-hidden="true">{sign}</span>'


def _html(text: Any) -> str:
    """Escaped, with `code` in backticks."""
    return re.sub(r"`([^`]+)`", rf'<code style="{CODE}">\1</code>', html.escape(str(text)))


def _wrapped(text: str, hanging: str = "  ") -> str:
    return textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent=hanging)

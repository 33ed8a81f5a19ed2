"""Tables of measured numbers, as HTML in a notebook and as aligned text anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from ..errors import reject

MISSING = "–"


@dataclass(frozen=True)
class Table:
    """Cells as text; a notebook shows it as HTML, print() as aligned columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    numeric: tuple[bool, ...] = ()
    best: frozenset[tuple[int, int]] = field(default_factory=frozenset)
    """(row, column) of the cells in bold"""

    def __str__(self) -> str:
        cells = [[f"{c}*" if (i, j) in self.best else c for j, c in enumerate(row)] for i, row in enumerate(self.rows)]
        widths = [max(map(len, column)) for column in zip(self.columns, *cells, strict=True)]

        def line(row):
            aligned = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, self.numeric, strict=True))
            return "  ".join(aligned).rstrip()

        lines = [line(self.columns), "  ".join("-" * w for w in widths), *map(line, cells)]
        return "\n".join([*([self.caption] if self.caption else []), *lines])

    def _repr_html_(self) -> str:
        sides = ["right" if n else "left" for n in self.numeric]
        head = "".join(f'<th scope="col" style="text-align:{s}">{escape(c)}</th>'
                       for c, s in zip(self.columns, sides, strict=True))  # fmt: skip
        body = "".join(f"<tr>{self._html_row(i, row, sides)}</tr>" for i, row in enumerate(self.rows))
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _html_row(self, i: int, row: Sequence[str], sides: Sequence[str]) -> str:
        parts = []
        for j, (cell, side) in enumerate(zip(row, sides, strict=True)):
            words = f"<strong>{escape(cell)}</strong>" if (i, j) in self.best else escape(cell)
            tag = 'th scope="row"' if j == 0 else "td"
            parts.append(f'<{tag} style="text-align:{side}">{words}</{tag.split()[0]}>')
        return "".join(parts)


def metric_table(
    rows: Sequence[Mapping], columns: Sequence[str] | Mapping[str, str] = (), *, best: Mapping[str, str] | None = None,
    caption: str = "", digits: int = 4,
) -> Table:  # fmt: skip
    """A Table of dicts. columns: the keys to show, in order, or {key: heading}; default every key, as they come.

    best: {key: "min" or "max"}: the best cell of that column in bold (a star in plain text). Numbers are rounded to
    `digits` significant ones; what a row does not have is a dash."""
    keys = list(columns) or list(dict.fromkeys(key for row in rows for key in row))
    if not rows or not keys:
        raise reject("rows", f"{len(rows)} rows", "one or more dicts with something in them")
    unknown = [key for key in best or {} if key not in keys]
    if unknown:
        raise reject("best", unknown, keys)
    headings = tuple(columns.get(key) if isinstance(columns, Mapping) else key for key in keys)
    cells = tuple(tuple(_cell(row.get(key), digits) for key in keys) for row in rows)
    numeric = tuple(any(_is_number(row.get(key)) for row in rows) for key in keys)
    bold = set()
    for key, kind in (best or {}).items():
        values = [(row[key], i) for i, row in enumerate(rows) if _is_number(row.get(key))]
        if values:
            target = {"min": min, "max": max}[kind](v for v, _ in values)
            bold |= {(i, keys.index(key)) for v, i in values if v == target}
    return Table(headings, cells, caption, numeric, frozenset(bold))


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _cell(value, digits: int) -> str:
    if value is None or value != value:
        return MISSING
    if isinstance(value, float):
        return f"{value:,.{digits}g}" if abs(value) < 10**digits else f"{value:,.0f}"
    return f"{value:,}" if _is_number(value) else str(value)

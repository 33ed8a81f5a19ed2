"""The marked regions of an exercise cell, and the two forms of the cell they give.

### BEGIN SOLUTION ... ### END SOLUTION: in the solution notebook as it stands; in the exercise notebook a stub, that is
`raise NotImplementedError  # your code here` inside a function and, at the left margin, where only assignments are
allowed, `name = ...  # your answer here`.

### BEGIN BUG ... ### END BUG: a bug hunt. Commented lines, uncommented in the exercise notebook and absent from the
solution notebook. It stands directly before or after the SOLUTION region that mends it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from course_utils.errors import CourseError

MARKER = re.compile(r"^(\s*)### (BEGIN|END) (SOLUTION|BUG)\s*$")
COMMENTED = re.compile(r"^(\s*)# ?(.*)$")


@dataclass(frozen=True)
class Region:
    kind: str  # "PLAIN", "SOLUTION" or "BUG"
    indent: str  # what stands before the marker
    lines: tuple[str, ...]


def has_regions(source: str) -> bool:
    """Whether any line of the cell is a marker."""
    return any(MARKER.match(line) for line in source.splitlines())


def split(source: str) -> list[Region]:
    """The cell as a list of regions, in order. CourseError on a marker that is nested, unopened or unclosed."""
    regions, kind, indent, lines = [], "PLAIN", "", []
    for line in source.splitlines():
        marker = MARKER.match(line)
        if not marker:
            lines.append(line)
            continue
        begins, name = marker[2] == "BEGIN", marker[3]
        if begins != (kind == "PLAIN") or (not begins and name != kind):
            raise CourseError(
                f"marker out of place: {line.strip()!r} (regions do not nest, and each BEGIN needs its END)"
            )
        if lines or kind != "PLAIN":
            regions.append(Region(kind, indent, tuple(lines)))
        kind, indent, lines = (name, marker[1], []) if begins else ("PLAIN", "", [])
    if kind != "PLAIN":
        raise CourseError(f"region never closed: '### BEGIN {kind}' has no '### END {kind}' in its cell")
    return regions + ([Region(kind, indent, tuple(lines))] if lines else [])


def solved(source: str) -> str:
    """The cell as the solution notebook shows it: solutions in place, bugs and markers gone."""
    return "\n".join(line for region in split(source) if region.kind != "BUG" for line in region.lines)


def unsolved(source: str) -> str:
    """The cell as students get it: solutions replaced by a stub, or by the bug beside them."""
    regions, lines = split(source), []
    for i, region in enumerate(regions):
        beside = {r.kind for r in regions[max(0, i - 1) : i + 2]} - {region.kind}
        if region.kind == "PLAIN":
            lines += region.lines
        elif region.kind == "BUG":
            if "SOLUTION" not in beside:
                raise CourseError("a BUG region needs the SOLUTION region that mends it directly before or after it")
            lines += [_uncomment(line) for line in region.lines]
        elif "BUG" not in beside:
            lines += _stub(region)
    return "\n".join(lines)


def _uncomment(line: str) -> str:
    match = COMMENTED.match(line)
    if line.strip() and not match:
        raise CourseError(f"a BUG region holds commented lines only, found {line!r}")
    return (match[1] + match[2]).rstrip() if match else ""


def _stub(region: Region) -> list[str]:
    if region.indent:
        return [f"{region.indent}raise NotImplementedError  # your code here"]
    names, text = [], "\n".join(region.lines)
    try:
        nodes = ast.parse(text).body
    except SyntaxError as error:
        raise CourseError(f"a SOLUTION region that is no Python ({error.msg}): {text[:60]!r}") from error
    for node in nodes:
        if not isinstance(node, ast.Assign) or not all(isinstance(t, ast.Name) for t in node.targets):
            raise CourseError(
                f"a SOLUTION region at the left margin holds assignments to names only, found {ast.unparse(node)!r}; "
                "put the function's signature outside the region"
            )
        names += [target.id for target in node.targets]
    return [f"{name} = ...  # your answer here" for name in dict.fromkeys(names)]

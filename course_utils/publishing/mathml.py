"""Formulas rendered to MathML when the pages are built, so that a page needs no script; a bad formula is an error."""

from __future__ import annotations

import re
import unicodedata
import xml.etree.ElementTree as ET

from course_utils.errors import CourseError

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
CHILDREN = {"mfrac": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3, "mroot": 2}
TOKENS = {"mi", "mo", "mn", "mtext", "mspace"}
# latex2mathml knows these environments under another name.
RENAMED = {
    "align": "align*",
    "aligned": "align*",
    "gathered": "align*",
    "split": "align*",
    "equation": "align*",
    "equation*": "align*",
}


# \mathcal N is \mathcal{N}: the library looks for the braces.
FONT = re.compile(
    r"\\(mathcal|mathbb|mathbf|mathrm|mathit|mathsf|boldsymbol|bm)(?![A-Za-z])\s*(\\[A-Za-z]+|[A-Za-z0-9])"
)
FUNCTIONS = set("arg cos cosh det dim exp inf lim ln log max min sin sinh sup tan tanh".split())


def to_mathml(latex: str, display: str = "inline") -> str:
    """LaTeX to a <math> element; display is "inline" or "block". CourseError names a formula that does not render."""
    from latex2mathml.converter import convert

    source = re.sub(r"\\(begin|end)\{([a-z*]+)\}", lambda m: f"\\{m[1]}{{{RENAMED.get(m[2], m[2])}}}", latex)
    source = FONT.sub(lambda m: f"\\{m[1]}{{{m[2]}}}", source)
    braces = re.sub(r"\\[{}]", "", source)
    if braces.count("{") != braces.count("}"):
        raise _bad(latex, "its braces do not match")
    try:
        root = ET.fromstring(re.sub(r"&(?![#\w]+;)", "&amp;", convert(source.strip(), display=display)))
    except Exception as error:  # the library raises a different class for each kind of mistake
        raise _bad(latex, repr(error)) from error
    for element in root.iter():
        _inspect(element, latex)
        _space(element)
    ET.register_namespace("", NAMESPACE)
    return ET.tostring(root, encoding="unicode")


def _inspect(element: ET.Element, latex: str) -> None:
    name, text = element.tag.rpartition("}")[2], element.text or ""
    if name in CHILDREN and len(element) != CHILDREN[name]:
        raise _bad(latex, f"an argument is missing ({name})")
    if name in TOKENS and len(element):
        raise _bad(latex, f"{name} holds a formula; write it without the wrapping command")
    if name in TOKENS - {"mtext"} and ("\\" in text or text in ("&", "}", "{") and name == "mi"):
        raise _bad(latex, f"{text!r} is unknown")
    if name == "mo" and not text and element.get("fence") != "true" or name == "mtext" and "$" in text:
        raise _bad(latex, f"an empty or nested {name}; is a starred command or a dollar sign in it?")
    if "bold" in element.get("mathvariant", ""):
        # Browsers dropped mathvariant for all but upright letters; Unicode has the bold letters themselves.
        element.text = "".join(_bold(character) for character in text)
        del element.attrib["mathvariant"]


def _space(parent: ET.Element) -> None:
    """A thin space between a function's name and an argument without parentheses, as in log p."""
    if parent.tag.rpartition("}")[2] not in ("math", "mrow", "mtd", "mstyle"):
        return
    for i, (child, after) in reversed(list(enumerate(zip(parent, parent[1:], strict=False)))):
        named = child[0] if len(child) and child.tag.rpartition("}")[2] in CHILDREN else child
        if named.text in FUNCTIONS and (after.text or "") not in ("(", "[", ")", "]", ","):
            parent.insert(i + 1, ET.Element(f"{{{NAMESPACE}}}mspace", width="0.167em"))


def _bold(character: str) -> str:
    words = unicodedata.name(character, "").removeprefix("GREEK ").removeprefix("LATIN ")
    try:
        return unicodedata.lookup(f"MATHEMATICAL BOLD ITALIC {words.replace('LETTER ', '')}")
    except KeyError:
        return character


def _bad(latex: str, why: str) -> CourseError:
    return CourseError(f"formula {latex.strip()!r} does not render: {why}")

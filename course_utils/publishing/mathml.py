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


def to_mathml(latex: str, display: str = "inline") -> str:
    """LaTeX to a <math> element; display is "inline" or "block". CourseError names a formula that does not render."""
    from latex2mathml.converter import convert

    source = re.sub(r"\\(begin|end)\{([a-z*]+)\}", lambda m: f"\\{m[1]}{{{RENAMED.get(m[2], m[2])}}}", latex)
    braces = re.sub(r"\\[{}]", "", source)
    if braces.count("{") != braces.count("}"):
        raise _bad(latex, "its braces do not match")
    try:
        root = ET.fromstring(re.sub(r"&(?![#\w]+;)", "&amp;", convert(source.strip(), display=display)))
    except Exception as error:  # the library raises a different class for each kind of mistake
        raise _bad(latex, repr(error)) from error
    for element in root.iter():
        _inspect(element, latex)
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


def _bold(character: str) -> str:
    words = unicodedata.name(character, "").removeprefix("GREEK ").removeprefix("LATIN ")
    try:
        return unicodedata.lookup(f"MATHEMATICAL BOLD ITALIC {words.replace('LETTER ', '')}")
    except KeyError:
        return character


def _bad(latex: str, why: str) -> CourseError:
    return CourseError(f"formula {latex.strip()!r} does not render: {why}")

"""What the tests of the widgets share."""

from __future__ import annotations

import types


def every_widget(box):
    """A box and all that is in it."""
    yield box
    for child in getattr(box, "children", ()):
        yield from every_widget(child)


def displayed(panel, monkeypatch) -> list:
    """What a panel displays where there is a kernel."""
    sent = []
    monkeypatch.setattr("IPython.display.display", sent.append)
    monkeypatch.setattr("IPython.get_ipython", lambda: types.SimpleNamespace(kernel=object()))
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    panel._ipython_display_()
    return sent


def stand_in(panel, monkeypatch) -> tuple[dict, str]:
    """The picture that a panel displays in its place on a page, and its alternative text."""
    sent = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: sent.append((data, options)))
    monkeypatch.setenv("COURSE_STATIC", "1")
    panel._ipython_display_()
    ((data, options),) = sent
    return data, options["metadata"]["image/png"]["alt"]

"""Exercises in the notebooks: `check("2.1")`, `hint("2.1")`, `progress()`. How to write them: `framework.py`."""

from course_utils.exercises.notebook import check, hint, progress

__all__ = ["check", "hint", "progress"]

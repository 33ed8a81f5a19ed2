"""The `course` command: one module per group of subcommands, each imported only when it is asked for.

`course --help` needs no torch, so it answers at once, and it answers where torch is missing too.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
import warnings
from collections.abc import Sequence

from .. import __version__
from ..errors import CourseError, reject
from ..processes import is_chief

# name: (module, function, what it does)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "doctor": ("machine", "doctor", "what this machine has, what is missing, and what to do about it"),
    "data": ("datasets", "data", "the data sets: sizes, licenses, which are here; get one"),
    "fetch": ("datasets", "fetch", "get weights and embedded data, for an installation without a checkout"),
    "describe": ("describe", "describe", "a method's layers and parameter counts"),
    "train": ("train", "train", "train a method, or make a recorded run again (--recipe)"),
    "generate": ("look", "generate", "new images from a checkpoint"),
    "reconstruct": ("look", "reconstruct", "images and their reconstructions"),
    "interpolate": ("look", "interpolate", "a path between two images through the latent space"),
    "traverse": ("look", "traverse", "what each latent dimension does to an image"),
    "inpaint": ("inpaint", "inpaint", "fill holes in images by encoding and decoding them"),
    "evaluate": ("measure", "evaluate", "held-out measures of a checkpoint"),
    "overfitting": ("overfit", "overfitting", "whether a model has learned its training images by heart"),
    "ablation": ("ablate", "ablation", "what each regularizer does on few pictures: the record of chapter 09"),
    "checkpoints": ("measure", "checkpoints", "list the shipped checkpoints, or verify hashes and measures"),
    "figures": ("draw", "figures", "draw the figures of the shipped checkpoints again"),
    "grade": ("teach", "grade", "run students' notebooks and make a table of points"),
    "release": ("teach", "release", "write what students get: no solutions"),
}

BAD_INPUT, INTERRUPTED = 2, 130
# The user's to solve, so a sentence and not a traceback: a full disk, a read-only place, a file in place of a folder, a
# name that the file system does not take (EINVAL is what Windows says of one with a question mark).
PLACES = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}
PLACES |= {errno.ENAMETOOLONG, errno.EINVAL}

def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {about}" for name, (_, _, about) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: course COMMAND [OPTIONS]",
            "",
            "From Autoencoders to Soft-IntroVAE: train, look at, measure and verify the models of the course.",
            "",
            *lines,
            "",
            "course COMMAND --help says what a command takes. course --version says which version this is.",
            "A first look:   course doctor",
            "                course generate vae_fashion_z32",
            "                course train vae --dataset fashion-mnist-mini --steps 400",
        ]
    )


def run(argv: Sequence[str]) -> int:
    """Run one command; let its errors through."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if argv[0] in ("-V", "--version"):
        print(f"course {__version__}")
        return 0
    if argv[0] not in COMMANDS:
        raise reject("command", argv[0], COMMANDS, "`course --help` says what each does.")
    module, function, _ = COMMANDS[argv[0]]
    command = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return command(list(argv[1:])) or 0


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point. Exit codes: 0 done, 2 bad input (one message on stderr), 130 interrupted. Bugs keep a trace."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # on Windows, a pipe or a file takes few characters: better a ? than an error
            stream.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note
            code = run(sys.argv[1:] if argv is None else list(argv))
            sys.stdout.flush()  # here, where a reader who is gone is still caught
            return code
    except CourseError as error:
        return _complain(error)
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("course_utils"):
            raise
        return _complain(f"the package {error.name!r} is not installed. `course doctor` says what to install.")
    except KeyboardInterrupt as interrupt:
        # A command that can go on later says how, as the interrupt's message.
        print(f"\n{interrupt or 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `course data | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in PLACES:
            raise
        return _complain(error)
    except SystemExit as stop:  # of the argument parser, which has said why
        return stop.code if isinstance(stop.code, int) else BAD_INPUT


def _note(message, category, filename, lineno, file=None, line=None) -> None:
    """A warning as a reader wants it: the sentence, without the line of code that gave it."""
    print(f"note: {message}", file=sys.stderr)


def _complain(error: object) -> int:
    if is_chief():
        print(f"error: {error}", file=sys.stderr)
    return BAD_INPUT

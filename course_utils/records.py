"""Records of many short runs: a JSON file in the checkpoint folder that knows the settings its runs were made with."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from .errors import CourseError
from .files import write_text
from .paths import checkpoint_dir


@dataclass(frozen=True)
class Record:
    """file: its name. module: the module whose command makes it again. rows: what its runs are called in the file.
    settings: () -> what the record is a record of, as JSON would give it back. today: those found in a file -> the same with
    settings that did not exist when it was made."""

    file: str
    module: str
    rows: str
    settings: Callable[[], dict]
    today: Callable[[dict], dict] = dict

    @property
    def command(self) -> str:
        return f"python -m {self.module}"

    def read(self, folder: Path | None = None) -> list[dict]:
        """Its runs. CourseError where the file is missing, or was made with other settings."""
        path = (folder or checkpoint_dir()) / self.file
        if not path.is_file():
            raise CourseError(f"{path}: no such record. It comes with the repository; `{self.command}` makes it.")
        found = json.loads(path.read_text(encoding="utf-8"))
        if self.today(found["settings"]) != self.settings():
            raise CourseError(f"{path}: made with other settings. `{self.command}` makes it again.")
        return found[self.rows]

    def make(self, play: Callable[..., dict], plays: Iterable[tuple], words: Callable[[dict], str], about: str | None) -> None:
        """The command: play(*each) on one thread, a line of words on each, and the file, where --out says. about: its --help."""
        parser = argparse.ArgumentParser(self.command, description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--out", type=Path, default=checkpoint_dir() / self.file, help="where to write (%(default)s)")
        out, made, start = parser.parse_args().out, [], time.perf_counter()
        torch.set_num_threads(1)  # networks this small are no faster on more
        for each in plays:
            made.append(play(*each))
            print(f"{words(made[-1])} ({time.perf_counter() - start:.0f} s)", flush=True)
        lines = ",\n".join(json.dumps(row) for row in made)  # a line each: small, and a change shows whose it is
        write_text(out, f'{{"settings": {json.dumps(self.settings())}, "{self.rows}": [\n{lines}\n]}}\n')

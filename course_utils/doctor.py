"""What this machine has, what is missing, and what to do: `course doctor`, and the first cell of the first notebook.

Every check stands alone, so that a broken installation is reported by the checks that still run.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .errors import CourseError
from .files import sha256_of
from .paths import cache_dir, checkpoint_dir, data_dir, data_roots, repository_root

OK, NOTE, PROBLEM = "ok", "note", "PROBLEM"
NEEDED = {"torch", "torchvision", "numpy", "safetensors", "matplotlib", "pillow", "ipywidgets"}  # nothing works without
SERVES = {
    "lightning-fabric": "training",
    "tyro": "the command line",
    "tqdm": "training",
    "torchinfo": "course describe",
    "kornia": "augmentation",
    "pytorch-fid": "measuring generators",
    "scikit-learn": "measuring, latent maps",
}
# COURSE_GRADING and the like are set by the course's own programs.
PLACES = {"COURSE_DATA": "a folder", "COURSE_CHECKPOINTS": "a folder"}
SETTINGS = {"COURSE_PROGRESS", "COURSE_GRADING", "COURSE_SEED", "COURSE_MODE", "COURSE_RUNS", "COURSE_STATIC"}
SETTINGS |= {"COURSE_EXERCISES"}
ROOM = 2e9  # bytes free: states and downloads of a chapter's runs


@dataclass(frozen=True)
class Check:
    """One line of the report. status: ok, note (something is limited) or PROBLEM (the course does not run)."""

    topic: str
    status: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{self.topic:12} {self.status:8} {self.found}"
        return f"{line}\n{'':21} -> {self.remedy}" if self.remedy else line


def examine() -> list[Check]:
    """All checks. None of them raises: a check that breaks is a PROBLEM that says so."""
    found: list[Check] = []
    for check in (_python, _packages, _torch, _devices, _memory, _disk, _datasets, _checkpoints, _variables):
        found += _guarded(check)
    return found


def usable(found: list[Check]) -> bool:
    """Whether the course runs here."""
    return all(check.status != PROBLEM for check in found)


def _guarded(check: Callable[[], Iterator[Check]]) -> list[Check]:
    try:
        return list(check())
    except Exception as error:  # whatever is broken here is what the report is for
        topic = check.__name__.strip("_")
        return [Check(topic, PROBLEM, f"the check failed: {type(error).__name__}: {error}", "See the lines above.")]


def _python() -> Iterator[Check]:
    text = f"{platform.python_version()} at {sys.executable}, {platform.system()} {platform.machine()}"
    yield Check("python", OK, text)
    root = repository_root()
    where = f"checkout {root}" if root else f"installed without a checkout; data and weights in {cache_dir()}"
    yield Check("course", OK, where)


def requirements() -> dict[str, list[str]]:
    """What the package asks for, as `name>=version`: {"": always, "notebooks": ..., "test": ...}."""
    root = repository_root()
    if root:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return {"": project["dependencies"], **project["optional-dependencies"]}
    asked: dict[str, list[str]] = {}
    for line in metadata.requires("course-utils") or []:
        requirement, _, marker = line.partition(";")
        extra = re.search(r"extra\s*==\s*['\"](\w+)['\"]", marker)
        asked.setdefault(extra.group(1) if extra else "", []).append(requirement.strip())
    return asked


def _packages() -> Iterator[Check]:
    for extra, asked in requirements().items():
        lacking = {name: (found, least) for name, found, least in map(_installed, asked) if _older(found, least)}
        topic = f"[{extra}]" if extra else "packages"
        if not lacking:
            yield Check(topic, OK, f"all {len(asked)} that {'the extra' if extra else 'the course'} asks for")
            continue
        words = [
            f"{name} {found or 'is missing'}{f' is older than {least}' if found else ''}"
            + (f" (for {SERVES[name]})" if name in SERVES else "")
            for name, (found, least) in lacking.items()
        ]
        command = "pip install " + " ".join(f'"{name}>={least}"' for name, (_, least) in lacking.items())
        yield Check(topic, PROBLEM if NEEDED & set(lacking) else NOTE, "; ".join(words), command)


def _installed(requirement: str) -> tuple[str, str, str]:
    """`name>=1.2` -> (name, installed version or "", least version)."""
    name, _, least = (part.strip() for part in requirement.partition(">="))
    try:
        return name, metadata.version(name), least
    except metadata.PackageNotFoundError:
        return name, "", least


def _older(found: str, least: str) -> bool:
    def numbers(version: str) -> list[int]:
        return [int(part) for part in re.match(r"[\d.]*", version).group().strip(".").split(".") if part]

    return not found or numbers(found) < numbers(least)


def _torch() -> Iterator[Check]:
    try:
        import torch
        import torchvision
    except Exception as error:
        remedy = "Install both together: pip install --force-reinstall torch torchvision"
        yield Check("torch", PROBLEM, f"cannot be imported: {error}", remedy)
        return
    yield Check("torch", OK, f"{torch.__version__}, torchvision {torchvision.__version__}")


def _devices() -> Iterator[Check]:
    import torch

    from .training.parts import native_precision

    cores, threads = os.cpu_count(), torch.get_num_threads()
    says = {"bf16": "computes in bf16", "fp16": "computes in fp16 (with scaling)", "32": "computes in 32 bits only"}
    precision = native_precision(torch.device("cpu"))
    yield Check("cpu", OK, f"{_cpu_name()}, {cores} cores, torch uses {threads} threads, {says[precision]}")
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        with torch.cuda.device(index):
            precision = native_precision(torch.device("cuda", index))
        yield Check(f"cuda:{index}", OK, f"{device.name}, {device.total_memory / 2**30:.0f} GiB, {says[precision]}")
    if torch.backends.mps.is_available():
        yield Check("mps", OK, f"Apple GPU, {says['32']}")
    elif not torch.cuda.is_available():
        yield Check("gpu", NOTE, "none that torch can use", "Enough for every notebook; full-length runs take longer.")


def _cpu_name() -> str:
    try:
        return re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8")).group(1)
    except (OSError, AttributeError):
        return platform.processor() or platform.machine()


def _memory() -> Iterator[Check]:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return
    status = OK if total > 3.5e9 else NOTE
    yield Check(
        "memory", status, f"{total / 2**30:.1f} GiB", "" if status == OK else "Close other programs while you train."
    )


def _disk() -> Iterator[Check]:
    for topic, folder in {"disk": Path.cwd(), "disk (data)": data_dir()}.items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        remedy = "" if free > ROOM else "Free some space, or train with --out on another disk."
        yield Check(topic, NOTE if remedy else OK, f"{free / 1e9:.1f} GB free at {there}", remedy)
        if not os.access(there, os.W_OK):
            yield Check(topic, NOTE, f"{there} cannot be written to", "Work in a folder of your own, or give --out.")


def _datasets() -> Iterator[Check]:
    from .data import catalog

    rows = catalog()
    for row in rows:
        if row.present:
            kind = "images" if len(row.shape) == 3 else "points"
            yield Check("data", OK, f"{row.name}: {row.train + row.test:,} {kind}")
        elif row.source.startswith("in the repository"):
            remedy = "`course fetch` gets it; in a checkout: git restore data"
            yield Check("data", PROBLEM, f"{row.name} comes with the course but is not in {data_dir()}", remedy)
    absent = [row.name for row in rows if not row.present and not row.source.startswith("in the repository")]
    if absent:
        roots = ", ".join(map(str, data_roots()))
        remedy = f"Only needed to train on them. `course data get NAME` downloads one; looked for in {roots}."
        yield Check("data", NOTE, f"not here: {', '.join(absent)}", remedy)


def _checkpoints() -> Iterator[Check]:
    from .checkpoints import manifest

    folder, bad = checkpoint_dir(), []
    try:
        known = manifest()
    except CourseError as error:
        yield Check("checkpoints", PROBLEM, str(error))
        return
    shipped = {name: entry for name, entry in known.items() if entry.get("file")}
    for name, entry in shipped.items():
        path = folder / entry["file"]
        if not path.is_file():
            bad.append(f"{name} is missing")
        elif sha256_of(path) != entry["sha256"]:
            bad.append(f"{name} is damaged")
    if bad:
        remedy = (
            "`course fetch` gets what is missing (--replace: what is damaged); in a checkout: git restore checkpoints"
        )
        yield Check("checkpoints", PROBLEM, f"in {folder}: {', '.join(bad)}", remedy)
    elif not shipped:
        remedy = "`course fetch` gets them; the notebooks' FAST mode trains instead."
        yield Check("checkpoints", NOTE, f"none in {folder}", remedy)
    else:
        yield Check("checkpoints", OK, f"{len(shipped)} in {folder}, every hash as recorded")


def _variables() -> Iterator[Check]:
    for name, value in sorted(os.environ.items()):
        if not name.startswith("COURSE_"):
            continue
        if name in PLACES and not Path(value).expanduser().is_dir():
            remedy = "Create it, name another, or unset the variable."
            yield Check("variable", PROBLEM, f"{name} = {value}, which is not a folder", remedy)
        elif name in PLACES or name in SETTINGS:
            yield Check("variable", OK, f"{name} = {value}")
        else:
            remedy = f"The course knows {', '.join([*PLACES, 'COURSE_PROGRESS'])}."
            yield Check("variable", NOTE, f"{name} = {value} means nothing to the course", remedy)

"""Running a notebook in a fresh kernel, timing it, and keeping only those outputs that belong in a repository."""

from __future__ import annotations

import base64
import io
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nbformat

from course_utils import paths
from course_utils.errors import CourseError

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MAX_BYTES = 1_000_000  # a committed notebook
PALETTE_OVER = 15_000  # bytes; a larger PNG is kept with 256 colors


class NotebookFailed(RuntimeError):
    """A cell raised, or ran out of time: the message names the notebook, the cell and the error."""


@dataclass(frozen=True)
class Run:
    """One execution: the notebook with its outputs, and seconds counted from the kernel's start."""

    name: str
    notebook: nbformat.NotebookNode
    seconds: float
    first_figure: float | None  # seconds until the first picture, None without one


def run(
    path: Path, *, static: bool = True, timeout: float = 600, threads: int | None = None, until_figure: bool = False
) -> Run:
    """Execute a notebook in a fresh kernel and an empty working folder; the file itself stays as it is.

    static: widgets show a picture instead of a live view (COURSE_STATIC=1). timeout: seconds for one cell.
    threads: computing threads of the kernel, default all. until_figure: stop after the cell that shows the first one.
    Raises NotebookFailed.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", record_timing=False, coalesce_streams=True
    )
    client.store_widget_state = False
    client.extra_arguments = ["--log-level=ERROR"]
    figures: list[float] = []

    def watch(cell, cell_index, **_):
        if not figures and any("image/png" in o.get("data", {}) for o in cell.get("outputs", ())):
            figures.append(time.perf_counter() - start)
            if until_figure:
                del notebook.cells[cell_index + 1 :]

    client.on_cell_executed = watch
    with tempfile.TemporaryDirectory(prefix="course-run-", ignore_cleanup_errors=True) as folder:
        client.resources = {"metadata": {"path": folder}}
        start = time.perf_counter()
        try:
            client.execute(env=environment(Path(folder), static, threads))
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise NotebookFailed(f"{Path(path).name}: {error}") from error
        seconds = time.perf_counter() - start
    return Run(Path(path).stem, notebook, seconds, figures[0] if figures else None)


def environment(folder: Path, static: bool, threads: int | None) -> dict[str, str]:
    """The kernel's environment: this package importable from anywhere, and nothing written outside `folder`."""
    made = os.environ | {"COURSE_PROGRESS": str(folder / "progress.json"), "COURSE_RUNS": str(folder / "runs")}
    made["PYTHONPATH"] = os.pathsep.join(filter(None, [str(paths.PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    made.pop("COURSE_GRADING", None)
    made.pop("COURSE_STATIC", None)
    made.pop("MPLBACKEND", None)  # the notebook's own, inline, and not what a shell or a test runner asked for
    if static:
        made["COURSE_STATIC"] = "1"
    if threads:
        made["OMP_NUM_THREADS"] = str(threads)
    return made


def run_all(files: list[Path], workers: int | None = None, **options) -> list[Run]:
    """Execute several notebooks, `workers` at a time (default: one a core, at most 4); results in order."""
    cores = os.cpu_count() or 1
    workers = workers or min(cores, len(files), 4)
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda file: run(file, threads=max(1, cores // workers), **options), files))


def clean(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """Keep results, drop noise: no stderr, no widget views, small pictures with alternative text, one language_info.

    Raises CourseError naming the cells whose pictures have no alternative text, or the notebook when it is too large.
    """
    silent = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            own = [] if "no-output" in cell.metadata.get("tags", []) else cell.outputs  # what tells of one machine only
            cell.outputs = [kept for output in own if (kept := _kept(output)) is not None]
            if not _describe(cell):
                silent.append(cell.source.splitlines()[0])
    if silent:
        raise CourseError(
            f"{name}: pictures without alternative text in the cell(s) that begin {silent}; "
            'write what the picture shows on the cell\'s marker in the source: # %% alt="..."'
        )
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata.pop("widgets", None)
    size = len(nbformat.writes(notebook).encode("utf-8"))
    if size > MAX_BYTES:
        raise CourseError(f"{name}: {size:,} bytes with outputs, allowed: {MAX_BYTES:,}. Make its figures smaller.")
    return notebook


def _kept(output):
    """The output without what does not belong in a repository, or None when nothing is left."""
    if output.output_type == "stream":
        return output if output.name == "stdout" and output.text.strip() else None
    if output.output_type == "error":
        return output
    if WIDGET_VIEW in output.data:
        output.data.pop(WIDGET_VIEW)
        if set(output.data) <= {"text/plain"}:
            return None
    if "image/png" in output.data:
        output.data["image/png"] = _smaller(output.data["image/png"])
    return output


def _smaller(encoded: str) -> str:
    """A large PNG again with 256 colors, if that is smaller."""
    from PIL import Image

    raw = base64.b64decode(encoded)
    if len(raw) <= PALETTE_OVER:
        return encoded
    buffer = io.BytesIO()
    Image.open(io.BytesIO(raw)).convert("RGB").quantize(256).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii") if buffer.tell() < len(raw) else encoded


def _describe(cell) -> bool:
    """Write the cell's alternative text, where it has one, into its pictures; False when a picture has none at all."""
    pictures = [o for o in cell.outputs if "image/png" in o.get("data", {})]
    for i, output in enumerate(pictures, 1):
        own = output.metadata.setdefault("image/png", {})
        place = f" ({i} of {len(pictures)})" if len(pictures) > 1 else ""
        if cell.metadata.get("alt"):
            own["alt"] = cell.metadata["alt"] + place
    return all(o.metadata["image/png"].get("alt") for o in pictures)

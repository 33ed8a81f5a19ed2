"""A Jupyter kernel of its own for untrusted-by-accident code: every piece runs under a time and a memory limit."""

from __future__ import annotations

import ast
import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from course_utils import paths
from course_utils.errors import CourseError

POLL_S = 0.1
START_S = 90.0  # until a kernel must have answered; a cold import of its libraries from a slow disk included
GRACE_S = 3.0  # how long an interrupted cell may take to stop before its kernel is ended


@dataclass
class Ran:
    """What became of one piece of code. `end`: ok, error, timeout (interrupted, the kernel lives), or, where the
    kernel is gone, hung, memory, exit, died."""

    end: str
    message: str = ""
    values: dict = field(default_factory=dict)
    kernel_lives: bool = True


class LimitedKernel:
    """One Python kernel process in a process group of its own; a context manager that leaves no process behind.

    folder: working directory, also for IPython's own files. memory_mb: for the kernel and its children together, as
    resident memory looked at ten times a second (a limit on address space would stop torch before it starts).
    warm_up: code that every new kernel runs first, such as slow imports, outside of any cell's time."""

    def __init__(self, folder: Path, memory_mb: int, warm_up: str = ""):
        self.folder, self.memory_mb, self.warm_up = folder, memory_mb, warm_up
        self._manager = self._client = self._process = self._group = None

    def __enter__(self) -> LimitedKernel:
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def start(self) -> None:
        """Starts a kernel (again, after `stop`). Raises CourseError if none comes up."""
        try:
            import psutil
            from jupyter_client import KernelManager
            from jupyter_client.kernelspec import NoSuchKernel
        except ImportError as error:
            raise CourseError(f"grading needs {error.name}: install the extra 'notebooks'.") from error
        manager = KernelManager(kernel_name="python3")
        try:
            manager.start_kernel(
                cwd=str(self.folder),
                env=_environment(self.folder),
                extra_arguments=["--HistoryManager.enabled=False"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except NoSuchKernel as error:
            raise CourseError("no kernel for grading: install ipykernel, the extra 'notebooks' has it.") from error
        self._manager = manager
        self._process = psutil.Process(self._manager.provisioner.pid)
        self._group = os.getpgid(self._process.pid) if hasattr(os, "getpgid") else None
        self._client = self._manager.blocking_client()
        self._client.start_channels(shell=True, iopub=False, stdin=False, hb=False, control=False)
        ran = self._wait(self._client.kernel_info(), time.monotonic() + START_S)
        if ran.end == "ok" and self.warm_up:
            sent = self._client.execute(self.warm_up, silent=True, store_history=False, allow_stdin=False)
            ran = self._wait(sent, time.monotonic() + START_S)
        if ran.end != "ok":
            self.stop()
            why = ran.message or f"no answer within {START_S:.0f} s"
            raise CourseError(f"no kernel for grading: {why}. Try `jupyter kernelspec list`, and `memory_mb`.")

    def stop(self) -> None:
        """Ends the kernel and whatever it has started, at once."""
        if self._manager is None:
            return
        for process in self._family():
            with contextlib.suppress(Exception):
                process.kill()
        # Also what has left the family, such as a daemon of a student's.
        if self._group is not None and self._group != os.getpgrp():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, signal.SIGKILL)
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()
        self._manager = self._client = self._process = None

    def run(self, code: str, seconds: float, values: dict[str, str] | None = None) -> Ran:
        """Executes `code`, then evaluates the expressions in `values`. A kernel that is gone or had to be ended is
        stopped before this returns: `kernel_lives` says so."""
        if self._manager is None:
            self.start()
        sent = self._client.execute(
            code,
            silent=True,
            store_history=False,
            allow_stdin=False,
            user_expressions=values or {},
            stop_on_error=False,
        )
        ran = self._wait(sent, time.monotonic() + seconds)
        if ran.end == "timeout":
            self._interrupt()
            after = self._wait(sent, time.monotonic() + GRACE_S)
            if after.kernel_lives and after.end != "timeout":
                return Ran("timeout", f"still running after {seconds:g} s", after.values)
            ran = after if not after.kernel_lives else Ran("hung", f"still running after {seconds:g} s", {}, False)
        if not ran.kernel_lives:
            self.stop()
        return ran

    def _wait(self, sent: str, until: float) -> Ran:
        while True:
            with contextlib.suppress(queue.Empty):
                reply = self._client.get_shell_msg(timeout=POLL_S)
                if reply["parent_header"].get("msg_id") == sent:
                    return _of_reply(reply["content"])
            if not self._manager.is_alive():
                return Ran("died", "it ended the kernel", {}, False)
            if self._megabytes() > self.memory_mb:
                return Ran("memory", f"used more than {self.memory_mb} MB of memory", {}, False)
            if time.monotonic() > until:
                return Ran("timeout")

    def _interrupt(self) -> None:
        if sys.platform == "win32":
            self._manager.interrupt_kernel()
            return
        # The kernel alone: to its group, the signal would also end helpers that torch may have started.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGINT)

    def _family(self) -> list:
        try:
            return [*self._process.children(recursive=True), self._process]
        except Exception:  # noqa: BLE001  (psutil's errors: it is gone already)
            return [self._process]

    def _megabytes(self) -> float:
        total = 0
        for process in self._family():
            with contextlib.suppress(Exception):
                total += process.memory_info().rss
        return total / 2**20


def _of_reply(content: dict) -> Ran:
    if any(p.get("source") == "ask_exit" for p in content.get("payload", [])):
        return Ran("exit", "it calls exit(), which ends the kernel", {}, False)
    if content["status"] != "ok":
        text = f"{content.get('ename', 'error')}: {content.get('evalue', '')}".strip().rstrip(":")
        return Ran("error", re.sub(r"\x1b\[[0-9;]*m", "", text))
    found = {}
    for name, value in content.get("user_expressions", {}).items():
        if value["status"] == "ok":
            found[name] = ast.literal_eval(value["data"]["text/plain"])
    return Ran("ok", "", found)


def _environment(folder: Path) -> dict[str, str]:
    """The grader's environment, with this package importable, fixed draws, no window and no traces outside `folder`."""
    env = dict(os.environ)
    env.pop("COURSE_GRADING", None)
    env["PYTHONPATH"] = os.pathsep.join([str(paths.PACKAGE.parent), *filter(None, [env.get("PYTHONPATH")])])
    if env.get("COURSE_EXERCISES"):
        env["COURSE_EXERCISES"] = str(Path(env["COURSE_EXERCISES"]).expanduser().resolve())
    env.setdefault("COURSE_SEED", "1")  # the same notebook gets the same grade
    env.setdefault("OMP_NUM_THREADS", "1")
    env |= {"COURSE_PROGRESS": "off", "MPLBACKEND": "Agg", "IPYTHONDIR": str(folder / ".ipython")}
    return env

"""JupyterLab as a process of its own, on a free port, that leaves neither processes nor settings behind."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from course_utils.publishing.execute import environment

START_S = 120  # until the server must answer; measured about 3 s on an idle machine
QUIET = {"fetchNews": "false", "checkForUpdates": False}  # neither asks the reader nor the network


@dataclass(frozen=True)
class LabServer:
    """folder: what JupyterLab shows."""

    folder: Path
    address: str
    token: str

    def url(self, notebook: str) -> str:
        """The address that opens a notebook of the folder."""
        return f"{self.address}lab/tree/{notebook}?token={self.token}"


@contextmanager
def lab_server(base: Path) -> Iterator[LabServer]:
    """Starts JupyterLab under `base`, yields it, and ends it with every process it has started."""
    folder, own = base / "notebooks", base / "jupyter"
    folder.mkdir()
    settings = own / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(QUIET), encoding="utf-8")
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += ["--ServerApp.port=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    with open(base / "jupyterlab.log", "wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=_environment(base), stdout=log, stderr=log)
        try:
            yield LabServer(folder, _address(process, own / "runtime", base / "jupyterlab.log"), token)
        finally:
            _end(process)


def _environment(base: Path) -> dict[str, str]:
    """The kernels' environment too: live widgets, progress and runs kept outside the repository."""
    own = base / "jupyter"
    names = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    names |= {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython"}
    return environment(base, static=False, threads=None) | {name: str(own / kind) for name, kind in names.items()}


def _address(process: subprocess.Popen, runtime: Path, log: Path) -> str:
    """Where the server answers, from the file it writes once it does."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            text = file.read_text(encoding="utf-8")
            if text.endswith("}"):  # written whole
                return f"http://127.0.0.1:{json.loads(text)['port']}/"
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab does not start:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")


def _end(process: subprocess.Popen) -> None:
    """Ends the server and its kernels: politely, then whatever is left."""
    import psutil

    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in family:
        if child.is_running():
            child.kill()
    psutil.wait_procs(family, timeout=5)

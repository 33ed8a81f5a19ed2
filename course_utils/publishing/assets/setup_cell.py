# @title Set-up: run this cell first, here or on Colab
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = "@REPOSITORY@"
USE_DRIVE = False  # on Colab: True keeps your runs and your progress on your Google Drive
ON_COLAB = "google.colab" in sys.modules
# What the course imports and Colab may lack (module: package). Only what is missing is installed, without dependencies:
# nothing that is already there is changed.
MODULES = {
    "docstring_parser": "docstring-parser",
    "kornia": "kornia",
    "kornia_rs": "kornia-rs",
    "lightning_fabric": "lightning-fabric",
    "lightning_utilities": "lightning-utilities",
    "pytorch_fid": "pytorch-fid",
    "safetensors": "safetensors",
    "torchinfo": "torchinfo",
    "typeguard": "typeguard",
    "tyro": "tyro",
}


def checkout(start):
    """The nearest folder, upwards, that holds the course's package."""
    return next((p for p in (start, *start.parents) if (p / "course_utils" / "__init__.py").is_file()), None)


root = checkout(Path.cwd())
if ON_COLAB:
    if root is None:
        root = Path.cwd() / REPOSITORY.rstrip("/").split("/")[-1]
        if checkout(root) is None:
            subprocess.run(["git", "clone", "--quiet", "--depth", "1", REPOSITORY, str(root)], check=True)
    missing = [package for module, package in MODULES.items() if importlib.util.find_spec(module) is None]
    if missing:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *missing], check=True)
        importlib.invalidate_caches()
    if USE_DRIVE:
        from google.colab import drive

        drive.mount("/content/drive")
        kept = Path("/content/drive/MyDrive") / root.name
        kept.mkdir(parents=True, exist_ok=True)
        os.environ["COURSE_RUNS"] = str(kept / "runs")
        os.environ["COURSE_PROGRESS"] = str(kept / "progress.json")
if root is not None and str(root) not in sys.path:
    sys.path.insert(0, str(root))
if importlib.util.find_spec("course_utils") is None:
    raise ModuleNotFoundError(f"The course's package is not here. Open the notebook inside a checkout of {REPOSITORY}.")

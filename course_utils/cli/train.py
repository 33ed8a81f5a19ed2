"""`course train`: a method with every hyper-parameter as an option, or a recipe. Both end with a picture."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import warnings
from dataclasses import dataclass, fields, make_dataclass, replace
from pathlib import Path
from typing import Annotated

from ..errors import CourseError, reject
from ..processes import is_chief
from .common import check_out, option, parse, table

HELP = """usage: course train METHOD [--dataset NAME] [OPTIONS]
       course train --recipe NAME [OPTIONS]
       course train --list

Train a model, and write its weights, its curves and pictures of what it does to a folder under runs/.
Run the same command again to go on with a run that was interrupted.

  METHOD      {methods}; `course train METHOD --help` lists every hyper-parameter
  --recipe    one of `course train --list`: a recorded run of the course; `--recipe NAME --help` lists its settings

  course train vae --dataset fashion-mnist-mini --latent-dim 16 --steps 400
  course train vae --dataset folder:~/pictures --size 64 --epochs 50
  course train --recipe vae_fashion_z32 --out runs/mine"""


@dataclass(frozen=True)
class DataOptions:
    dataset: str = "fashion-mnist-mini"
    """a name of `course data`, or folder:PATH for pictures of your own"""
    size: Annotated[int | None, option("PIXELS")] = None
    """side of the images in pixels; the data set's own if not given"""


@dataclass(frozen=True)
class FolderOptions:
    out: Annotated[Path | None, option("PATH")] = None
    """folder of the run; runs/NAME if not given"""
    name: str = ""
    """what the run is called; made of method and data, or the recipe, if not given"""
    start: Annotated[str | None, option("CHECKPOINT")] = None
    """weights to begin with: a name of `course checkpoints`, a model.safetensors or a run's folder, of the same networks"""
    resume: bool = True
    """go on from the last whole state in the folder; --no-resume starts over and removes what is there"""
    publish: bool = False
    """when done, copy weights and curves to the checkpoint folder and its manifest, under the run's name"""


def train(argv: list[str]) -> None:
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--recipe")
    first.add_argument("--list", action="store_true")
    method = argv[0] if argv and not argv[0].startswith("-") else None
    known, rest = first.parse_known_args(argv[1:] if method else argv)
    if known.list:
        return _list()
    if method and known.recipe:
        raise reject(
            "METHOD", method, "a method or --recipe, not both", f"The recipe {known.recipe!r} names its method."
        )
    if not method and not known.recipe:
        return _help(rest)
    _quiet_fabric()
    return _train_recipe(known.recipe, rest) if known.recipe else _train_method(method, rest)


def _help(rest: list[str]) -> None:
    from ..methods import METHODS

    if rest and not {"-h", "--help"} & set(rest):
        raise reject("METHOD", rest[0], sorted(METHODS), "The method comes first; or give --recipe NAME.")
    print(HELP.format(methods=", ".join(METHODS)))


def _list() -> None:
    from ..recipes import RECIPES

    rows = [["recipe", "method", "data", "Z", "length", "expected", "about"]]
    for name, recipe in RECIPES.items():
        length = f"{recipe.run.epochs:g} epochs" if recipe.run.epochs else f"{recipe.run.steps} steps"
        latent_dim = getattr(recipe.config, "latent_dim", None)
        expected = ", ".join(f"{term} {value:g}" for term, value in recipe.expected.items())
        rows.append([name, recipe.method, recipe.dataset, latent_dim, length, expected, recipe.about])
    print(table(rows))
    print("expected: published figures, or what the course asks for, on held-out data")
    print("course train --recipe NAME")


def _quiet_fabric() -> None:
    """Fabric announces precision and ranks on stderr, and calls deprecated functions; the summary says what matters."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"lightning_fabric\..*")


def _train_method(method: str, argv: list[str]) -> None:
    from ..methods import method_class
    from ..recipes import Recipe
    from ..training import RunConfig

    config, field = method_class(method).Config, method.replace("-", "_")
    options = make_dataclass(
        "Options", [("data", DataOptions), (field, config), ("run", RunConfig), ("folder", FolderOptions)]
    )
    about = f"Train the method {method}: {config.__module__.rpartition('.')[2]}.py of the package holds its formulas."
    given = parse(options, argv, f"course train {method}", description=about)
    # float16, as it is not known how much the model or its data can bear.
    recipe = Recipe(
        method, getattr(given, field), given.data.dataset, given.run, size=given.data.size, stored="float16"
    )
    void = [part for part in argv if part.startswith(("--augment-", "--augment_"))]
    if void and recipe.config.augment == "off":  # a configuration cannot tell a given 0.5 from the default
        raise reject("augment", "off", "real, encoder or everywhere", f"While it is off {void[0]} does nothing.")
    command = ["course", "train", method, "--dataset", given.data.dataset]
    command += flags(given.data, DataOptions(given.data.dataset)) + flags(recipe.config, config())
    if given.folder.publish and not given.folder.name:
        raise reject("name", "", "a name", "--publish needs --name, which the manifest will hold.")
    name = given.folder.name or "_".join(filter(None, [method, _plain(recipe.dataset), str(recipe.size or "")]))
    _go(recipe, name, None, command + flags(recipe.run, RunConfig()), given.folder)


def _train_recipe(name: str, argv: list[str]) -> None:
    from .. import recipes
    from ..training import RunConfig

    recipe = recipes.get(name)
    options = make_dataclass("Options", [("run", RunConfig), ("folder", FolderOptions)])
    default = options(run=recipe.run, folder=FolderOptions())
    about = f"{recipe.method} on {recipe.dataset}: {recipe.about}. {recipe.config}"
    given = parse(options, argv, f"course train --recipe {name}", description=about, default=default)
    command = ["course", "train", "--recipe", name, *flags(given.run, recipe.run)]
    _go(replace(recipe, run=given.run), given.folder.name or name, name, command, given.folder)


def flags(given, default) -> list[str]:
    """The options of a command line that turn the dataclass `default` into `given`."""
    found = []
    for field in fields(given):
        value, option = getattr(given, field.name), field.name.replace("_", "-")
        if value == getattr(default, field.name):
            continue
        if isinstance(value, bool):
            found.append(f"--{option}" if value else f"--no-{option}")
        else:
            found += [f"--{option}", *map(str, value if isinstance(value, tuple) else (value,))]
    return found


def _plain(dataset: str) -> str:
    kind, _, path = dataset.partition(":")
    return f"{kind}-{Path(path).expanduser().resolve().name}" if path else kind


def _go(recipe, name: str, recipe_name: str | None, command: list[str], folder: FolderOptions) -> None:
    from .. import checkpoints, recipes, snapshots

    _check(recipe, name)
    out = folder.out if folder.out is not None else Path(os.environ.get("COURSE_RUNS") or "runs").expanduser() / name
    check_out(out, folder=True)
    command = [*command, *(["--start", folder.start] if folder.start is not None else [])]
    again = shlex.join([*command, *(["--out", out.as_posix()] if folder.out is not None else [])])
    try:
        header = recipes.train(
            recipe,
            out,
            name=recipe_name or "",
            command=shlex.join(command),
            start=folder.start,
            resume=folder.resume,
            quiet=not is_chief(),
        )
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(_stopped(out, again) if is_chief() else "") from interrupt
    if not is_chief():
        return
    _summary(header, recipe.expected, out, _pictures(recipe, out), again)
    if folder.publish:
        checkpoints.publish(name, out, weights=recipe.weights)
        if recipe.film:
            snapshots.publish(name, out)
        if recipe.keep:
            snapshots.publish_samples(name, out, recipe.keep)
        print(f"published as {name} in {checkpoints.checkpoint_dir()}")


def _check(recipe, name: str) -> None:
    """What only the command line knows to be wrong, before anything is read or written."""
    import torch

    if Path(name).name != name or name.startswith("."):
        raise reject("name", name, "letters, digits, points, hyphens and underscores", "It becomes a file's name.")
    wanted = recipe.run.accelerator
    on_gpu = wanted == "cuda" or (wanted == "auto" and torch.cuda.is_available())
    if on_gpu and torch.cuda.is_available() and recipe.run.devices > torch.cuda.device_count():
        remedy = "`course doctor` lists them; --accelerator cpu takes any number of processes."
        raise reject(
            "devices", recipe.run.devices, f"1 to {torch.cuda.device_count()}, the GPUs of this machine", remedy
        )
    if recipe.run.num_nodes > 1 and not {"MASTER_ADDR", "MASTER_PORT"} <= set(os.environ):
        remedy = "On each machine set MASTER_ADDR, MASTER_PORT and NODE_RANK (0, 1, ...), and run the same command."
        raise CourseError(
            f"num_nodes: got {recipe.run.num_nodes}, but MASTER_ADDR and MASTER_PORT are not set. {remedy}"
        )


def _stopped(out: Path, again: str) -> str:
    from ..training.state import saved

    states = saved(out)
    kept = f"The last whole state is {states[0]}." if states else "No state had been saved yet, so it starts again."
    return f"stopped. {kept}\nTo go on: {again}"


def _pictures(recipe, out: Path) -> list[Path]:
    """Reconstructions of test images, and samples where the model has a prior to draw from."""
    import torch

    from .. import checkpoints, data
    from ..methods import LatentModel
    from . import pictures

    model = checkpoints.load(out)
    if not isinstance(model, LatentModel):
        return []
    if len(model.data_shape) == 1:
        return _points(model, recipe.dataset, out)
    images = data.load(recipe.dataset, "test", size=recipe.size).floats(slice(0, 32))
    made = []
    if model.has_encoder:
        made.append(
            pictures.write(pictures.compared(images, model.reconstruct(images)), out / "reconstructed_test.png")
        )
    if not model.has_encoder or model.encode(images[:1]).logvar is not None:
        samples = model.sample(64, torch.Generator().manual_seed(0))
        made.append(pictures.write(pictures.grid(samples), out / "generated.png"))
    return made


def _points(model, dataset: str, out: Path) -> list[Path]:
    """Samples beside the true density, where the model has a prior to draw from."""
    import torch

    from ..figures.plane import plane_samples
    from ..metrics import generate_points
    from . import pictures

    if model.has_encoder and model.encode(torch.zeros(1, *model.data_shape)).logvar is None:
        return []
    figure = plane_samples({dataset: {"samples": torch.cat(list(generate_points(model, 20_000)))}})
    return [pictures.write_figure(figure, out / "generated.png")]


def _summary(header: dict, expected: dict[str, float], out: Path, made: list[Path], again: str) -> None:
    columns = ["held-out term", "value"] + (["expected"] if expected else [])
    found = {**dict.fromkeys(expected), **header["metrics"]}  # what is expected but not measured here stays blank
    print(table([columns, *([k, v, expected.get(k)][: len(columns)] for k, v in found.items())]))
    where, speed = f"{header['device']} in {header['precision']}", header["images_per_second"]
    print(f"{header['steps']:,} steps, {header['minutes']:g} minutes, {speed:,.0f} images per second on {where}")
    for label, path in (
        ("model", out / "model.safetensors"),
        ("curves", out / "log.csv"),
        *(("picture", p) for p in made),
    ):
        print(f"{label:8} {path}")
    print(f"{'again':8} {again}")

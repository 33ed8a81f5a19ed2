"""The training loop, on Lightning Fabric.

Fabric launches the processes and owns devices and precision. Its DDP wrapper is left out: a wrapped module whose step
sends gradients to one player only waits for the others' and raises. Instead the parameters are broadcast once, and each
update averages that player's gradients over the processes as one flat buffer.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch._functorch import config as aot_config
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..errors import CourseError, reject
from ..files import remove_leftovers
from ..methods.trainable import Trainable
from ..processes import only_trainer
from . import state as run_state
from .batches import Batches, mix
from .config import RunConfig
from .evaluation import evaluate
from .log import RunLog
from .parts import make_fabric, make_optimizer


class Diverged(CourseError):
    """A loss term is not finite: the message names the term, the step and the last good state."""


@dataclass
class FitResult:
    """What a run leaves: the model (the averaged one if it was averaged), in eval mode, and what is worth recording."""

    model: Trainable
    steps: int
    minutes: float
    images_per_second: float
    metrics: dict[str, float]
    precision: str


class Updater:
    """`update(player, loss)`: gradients of the loss into that player's parameters alone, then one optimizer step."""

    def __init__(self, fabric, model: Trainable, optimizers: dict, grad_clip: float):
        self.fabric, self.model, self.optimizers, self.grad_clip = fabric, model, optimizers, grad_clip
        self.parameters = {player: model.parameters_of(player) for player in optimizers}

    def __call__(self, player: str, loss: torch.Tensor, retain_graph: bool = False) -> None:
        optimizer, parameters = self.optimizers[player], self.parameters[player]
        self.fabric.backward(loss, inputs=parameters, retain_graph=retain_graph)
        if self.fabric.world_size > 1:
            self._average_gradients(parameters)
        if self.grad_clip:  # unscales first, where there is a scale; a NaN is the loop's to report, not the clipper's
            self.fabric.clip_gradients(self.model, optimizer, max_norm=self.grad_clip, error_if_nonfinite=False)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch.clear_autocast_cache()  # it holds low-precision copies of the weights as they were before this update

    def _average_gradients(self, parameters) -> None:
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = self.fabric.all_reduce(_flatten_dense_tensors(grads), reduce_op="mean")
        for parameter, grad, mean in zip(parameters, grads, _unflatten_dense_tensors(flat, grads), strict=True):
            parameter.grad = grad.copy_(mean)  # a copy keeps the parameter's memory layout; the buffer's is plain


class Terms:
    """Running means of a step's terms, summed on the device: one host synchronization a log row, none a step.

    A term's mean is over the steps that had it: a warm-up may have others, and one row may hold steps of both kinds.
    Over several processes they are the mean of all: what is logged is of the whole batch, and all see a NaN at once."""

    def __init__(self):
        self.sums: dict[str, torch.Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, terms: dict[str, torch.Tensor]) -> None:
        for name, value in terms.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self, fabric) -> dict[str, float]:
        names = list(self.sums)
        if not names:
            return {}
        values = torch.stack([self.sums[n].float() / self.counts[n] for n in names])
        if fabric.world_size > 1:
            values = fabric.all_reduce(values, reduce_op="mean")
        self.__init__()
        return dict(zip(names, values.tolist(), strict=True))


class Run:
    """One training run: `Run(...).go()`. `fit` is the way in."""

    def __init__(self, model, train, config: RunConfig, *, out, evaluation, hooks, header, resume, quiet):
        self.config, self.out, self.hooks = config, Path(out), tuple(hooks)
        self.train, self.evaluation = train, evaluation
        self.images_per_step = config.batch_size * model.batches_per_step
        self.total = config.total_steps(len(train), model.batches_per_step)
        self.fabric, self.precision = make_fabric(config)
        fabric = self.fabric
        if config.batch_size % fabric.world_size:
            raise reject("batch_size", config.batch_size, f"a multiple of the {fabric.world_size} processes")
        self.chief = fabric.is_global_zero
        if config.compile and model.second_derivatives:
            remedy = "Leave --compile out; the other losses, without r1_weight, can be compiled."
            raise reject("compile", True, "False for a loss with a penalty on slopes, whose gradient torch.compile lacks", remedy)
        layout = torch.channels_last if config.channels_last and len(model.data_shape) == 3 else torch.preserve_format
        self.model = model.to(device=fabric.device, memory_format=layout)
        for tensor in self.model.state_dict().values():
            if fabric.world_size > 1:
                tensor.copy_(fabric.broadcast(tensor))
        average = get_ema_multi_avg_fn(config.ema) if config.ema else None
        self.ema = AveragedModel(model, multi_avg_fn=average, use_buffers=True) if average else None
        made = {p: make_optimizer(config, model.parameters_of(p), self.precision) for p in model.players}
        self.optimizers = {p: fabric.setup_optimizers(optimizer) for p, optimizer in made.items()}
        self.update = Updater(fabric, model, self.optimizers, config.grad_clip)
        self.batches = Batches(
            train.images, self.images_per_step, config.seed, fabric.device, fabric.global_rank, fabric.world_size,
            config.channels_last, train.labels if model.supervised else None,
        )
        settings = json.loads(json.dumps(asdict(config)))  # as a state's header gives it back
        self.header = {"dataset": train.name, **header, "run": settings, "total_steps": self.total}
        self.step, self.seconds = 0, 0.0
        if resume:
            self._resume()
            self._check_same_step()
        elif self.chief:  # starting over: an old state must not be taken for this run's, now or by a later resume
            run_state.clear(self.out)
        if self.chief:
            remove_leftovers(self.out)
        if config.compile:
            for child in model.children():
                child.compile()
        self.log = RunLog(self.out / "log.csv", self.step, self.total, quiet=quiet) if self.chief else None

    def _resume(self) -> None:
        loaded = run_state.load_newest(self.out)
        if loaded is None:
            return
        flat, header = loaded
        config = getattr(self.model, "config", None)
        run_state.check_same_run(self.out, header, self.header, run_state.defaults_of(type(config)) if config else None)
        self.step = run_state.restore(flat, header, self.model, self.ema, self.optimizers)
        self.seconds = header.get("seconds", 0.0)

    def _check_same_step(self) -> None:
        if self.fabric.world_size > 1:
            steps = self.fabric.all_gather(torch.tensor(self.step, device=self.fabric.device)).flatten().tolist()
            if len(set(steps)) > 1:
                raise CourseError(f"resume: the processes found states at steps {steps}: all must see one {self.out}.")

    def go(self) -> FitResult:
        # A compiled backward gives its buffers away, and two players' updates may share a graph.
        with aot_config.patch(donated_buffer=False) if self.config.compile else nullcontext():
            return self._go()

    def _go(self) -> FitResult:
        terms, mark, since = Terms(), time.perf_counter(), self.step
        self.model.rng = torch.Generator(self.fabric.device)
        self.model.train()
        try:
            if self.step == 0 and self.config.checkpoint_every:
                self._save()  # a run that diverges before its first state is due ends with weights all the same
            while self.step < self.total:
                terms.add(self._one_step())
                if self.step % self.config.log_every == 0 or self.step == self.total or self._due("checkpoint_every"):
                    elapsed, done = time.perf_counter() - mark, self.step - since
                    self._row(terms.means(self.fabric), done * self.images_per_step / elapsed)
                    self.seconds += elapsed
                    mark, since = time.perf_counter(), self.step
                if self._due("eval_every") and self.step < self.total:
                    self._evaluate()
                    mark = time.perf_counter()
                if self._due("checkpoint_every") or self.step == self.total:
                    self._save()
            return self._finish()
        finally:
            self.model.rng = None
            if self.log:
                self.log.close()

    def _due(self, name: str) -> bool:
        every = getattr(self.config, name)
        return bool(every) and self.step % every == 0

    def _one_step(self) -> dict[str, torch.Tensor]:
        config, model = self.config, self.model
        seed = mix(config.seed, 2, self.step, self.fabric.global_rank)
        model.rng.manual_seed(seed)  # noise follows from (seed, step, rank): a resumed run draws the same
        # For what takes no generator: dropout, kornia. With the same seed their draws would repeat the model's own.
        torch.manual_seed(mix(config.seed, 3, self.step, self.fabric.global_rank))
        model.steps_done, model.progress = self.step, self.step / self.total
        lr = config.lr_at(self.step / (config.lr_steps or self.total))
        for player, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = lr * model.lr_factor(player)
        x, *labels = self.batches(self.step)
        with self.fabric.autocast():
            terms = model.step(x, self.update, *labels)
        if self.ema is not None:
            self.ema.update_parameters(model)
        self.step += 1
        if self.log:
            self.log.advance()
        return terms

    def _row(self, means: dict[str, float], speed: float) -> None:
        bad = [name for name, value in means.items() if value != value or abs(value) == float("inf")]
        if bad:
            states = run_state.saved(self.out)
            good = f"The last good state is {states[0]}." if states else "No state had been saved yet."
            raise Diverged(
                f"the loss term {bad[0]!r} is not finite at step {self.step}. {good} "
                "Try a smaller --lr, --grad-clip 1, or --precision 32; the run resumes from that state."
            )
        if self.log:
            self.log.write(self.step, {**means, "images_per_second": speed})

    def averaged(self) -> Trainable:
        return self.ema.module if self.ema is not None else self.model

    def _evaluate(self) -> dict[str, float]:
        # Uncompiled: other modes, batch sizes and counters of batch norm's would each be compiled once more.
        with torch.compiler.set_stance("force_eager") if self.config.compile else nullcontext():
            return self._evaluated(self.averaged())

    def _evaluated(self, model: Trainable) -> dict[str, float]:
        model.prepare_evaluation(self.train)
        found = {}
        if self.evaluation is not None:
            with self.fabric.autocast():
                found = {f"val_{k}": v for k, v in evaluate(model, self.evaluation, seed=self.config.seed).items()}
        for hook in self.hooks:
            found |= hook(self.step, model)
        if self.log and found:
            self.log.write(self.step, found)
        return found

    def _save(self) -> None:
        if self.chief:
            header = {**self.header, "seconds": self.seconds}
            run_state.save(self.out, self.step, self.model, self.ema, self.optimizers, header)
        self.fabric.barrier()

    def _finish(self) -> FitResult:
        metrics = self._evaluate()
        speed = self.total * self.images_per_step / max(self.seconds, 1e-9)
        return FitResult(self.averaged().eval(), self.step, self.seconds / 60, speed, metrics, self.precision)


def fit(
    model: Trainable,
    train,
    config: RunConfig,
    *,
    out: Path | str,
    evaluation=None,
    hooks: Sequence[Callable[[int, Trainable], dict[str, float]]] = (),
    header: dict | None = None,
    resume: bool = True,
    quiet: bool = False,
) -> FitResult:
    """Train `model` in place on the ImageSet `train` and return it in eval mode, with what is worth recording.

    out: folder of the run's log.csv and states; a run that was killed goes on from its last whole state and ends, on a
    CPU, bit for bit where it would have. evaluation: ImageSet for held-out terms. hooks: f(step, model) -> more numbers
    at each evaluation. header: facts stored in each state (method, config); a resumed run must agree with them.
    resume=False starts over and deletes the folder's states. quiet: log.csv alone, no progress bar and no TensorBoard.
    Raises CourseError for a batch larger than the data, another run's folder, one that another process trains in, or a full
    disk, Diverged for a NaN."""
    for data in (train, evaluation):
        if data is not None:
            model.check_data(data)
    with only_trainer(out), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        options = {"out": out, "evaluation": evaluation, "hooks": hooks, "header": header or {}}
        return Run(model, train, config, **options, resume=resume, quiet=quiet).go()

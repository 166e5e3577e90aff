"""The one training loop of all stages: exact resume, evaluation, best checkpoint, progress, clean stops.

A run's folder holds config.json (resolved), state.safetensors (to continue), metrics.jsonl, TensorBoard's files, best/ and last/
(a folder a model, as `from_pretrained` takes it) and sheets/. The same command continues a stopped or killed run.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from flexlam_rl.models.checkpoint import PretrainedModel, to_json, write_atomically
from flexlam_rl.train import distributed, optim
from flexlam_rl.train.state import load_state, save_state


@dataclass(frozen=True)
class LoopConfig:
    """How long and how to train; every field has the same meaning in all stages."""

    steps: int = 1000
    """Optimiser steps."""
    batch: int = 64
    """Examples a step and process."""
    optimiser: Literal["adamw", "muon"] = "adamw"
    """"muon": Muon for hidden matrices, AdamW for the rest."""
    lr: float = 1e-3
    """Peak rate of AdamW."""
    matrix_lr: float = 2e-3
    """Peak rate of Muon."""
    warmup: int = 100
    """Steps of linear warm-up; a cosine to a tenth of the peak follows."""
    weight_decay: float = 0.01
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.0
    """Decay of the average of the weights that is evaluated and saved; 0 for none."""
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
    """torch.compile the parts of the models that do the arithmetic."""
    device: str = "cpu"
    seed: int = 0
    eval_every: int = 500
    save_every: int = 500
    log_every: int = 50


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped and what is left."""


class Stage(Protocol):
    """What a stage gives to the loop."""

    name: str

    def saved(self) -> dict[str, PretrainedModel]:
        """What is written to best/<name> and last/<name> at an evaluation."""
        ...

    def trained(self) -> dict[str, nn.Module]:
        """Modules with parameters that train, by name."""
        ...

    def next_batch(self, device: str) -> dict[str, Tensor]:
        """The next batch on `device`."""
        ...

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss and figures to log; all randomness from `generator`."""
        ...

    def evaluate(self, device: str) -> dict[str, float]:
        """Figures on held-out data; "loss" chooses the best checkpoint. Must be deterministic."""
        ...

    def sheet(self, path: Path) -> None:
        """Draw a sample sheet to `path`, where the stage has something to show."""
        ...

    def cursor(self) -> dict[str, Any]:
        """Where the data stands, as JSON."""
        ...

    def seek(self, cursor: dict[str, Any]) -> None:
        """Go back to a saved cursor."""
        ...


class _Average:
    """Exponential moving average of the weights, swapped in for evaluation and saving."""

    def __init__(self, modules: dict[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.parameters = [p for m in modules.values() for p in m.parameters() if p.requires_grad]
        self.shadow = nn.ParameterList([nn.Parameter(p.detach().clone(), requires_grad=False) for p in self.parameters])

    @torch.no_grad()
    def update(self) -> None:
        for shadow, p in zip(self.shadow, self.parameters, strict=True):
            shadow.lerp_(p, 1.0 - self.decay)

    @torch.no_grad()
    def swap(self) -> None:
        for shadow, p in zip(self.shadow, self.parameters, strict=True):
            kept = p.detach().clone()
            p.copy_(shadow)
            shadow.copy_(kept)


def check_folder(out: Path, config: Any) -> None:
    """Make `out` this run's folder, or make sure that it already is.

    Raises:
        TrainingError: If `out` belongs to a run with another configuration.
    """
    text = json.dumps(to_json(config), indent=2, sort_keys=True, default=str) + "\n"
    path = out / "config.json"
    if path.exists():
        before, now = json.loads(path.read_text(encoding="utf-8")), json.loads(text)
        changed = sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
        if changed:
            raise TrainingError(f"{out} holds a run with another configuration (differs in: {', '.join(changed)}); give another --out.")
    else:
        write_atomically(path, text.encode())


def run(stage: Stage, config: LoopConfig, out: Path, on_step: Callable[[int], None] | None = None) -> dict[str, float]:
    """Train `stage` to the end, continuing from `out` where it was stopped.

    Args:
        stage: What trains.
        config: How.
        out: The run's folder.
        on_step: Called after each step with its number; an exception from it stops the run (tests use this).

    Returns:
        The best evaluation's figures.

    Raises:
        TrainingError: On a loss that is no number.
    """
    rank, ranks = distributed.start(config.device)
    device = config.device
    modules = stage.trained()
    for module in modules.values():
        module.to(device)
    parameters = [p for m in modules.values() for p in m.parameters() if p.requires_grad]
    optimisers = optim.build(modules.values(), config.optimiser, config.lr, config.matrix_lr, config.weight_decay)
    # every rank draws its own prefixes and noise
    generator = torch.Generator(device).manual_seed(config.seed * 1_000_003 + rank)
    average = _Average(modules, config.ema) if config.ema else None
    saved = modules | ({"ema": average.shadow} if average else {})
    log = _Log(out, rank)
    start, best = 0, {"loss": math.inf}
    state_path = out / "state.safetensors"
    if state_path.exists():
        generators, extra = load_state(state_path, saved, optimisers)
        if len(generators) != ranks:
            raise TrainingError(f"{state_path} was written by {len(generators)} processes; this run has {ranks}: start as many.")
        generator.set_state(generators[rank])
        start, best = extra["step"], extra["best"]
        stage.seek(extra["cursors"][rank])
    log.rewind(start)

    def save(step: int) -> None:
        generators, cursors = distributed.gather(generator.get_state().cpu()), distributed.gather(stage.cursor())
        if rank == 0:
            save_state(state_path, saved, optimisers, generators, {"step": step, "best": best, "cursors": cursors})

    if config.compile:
        for module in {id(m): m for m in (*modules.values(), getattr(stage, "lam", None)) if isinstance(m, PretrainedModel)}.values():
            module.compile_heavy()
    progress = _Progress(stage.name, config.steps, start, rank)
    step = start
    try:
        for step in range(start, config.steps):
            optim.set_rate(optimisers, optim.learning_rate(step, config.steps, config.warmup))
            batch = stage.next_batch(device)
            with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=config.precision == "bf16"):
                loss, figures = stage.loss(batch, generator)
            if not bool(torch.isfinite(loss)):
                kept = f"the last good state is {state_path}" if state_path.exists() else "nothing had been saved yet"
                raise TrainingError(f"{stage.name}: the loss is {float(loss.detach())} at step {step}; {kept}.")
            loss.backward()
            distributed.average_gradients(parameters)
            norm = nn.utils.clip_grad_norm_(parameters, config.clip)
            for optimiser in optimisers:
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            if average:
                average.update()
            done = step + 1
            if done % config.log_every == 0 or done == config.steps:
                log.write(
                    done, "train", {"loss": float(loss.detach()), "gradient": float(norm), **{k: float(v.detach()) for k, v in figures.items()}}
                )
            progress.advance(done, float(loss.detach()))
            if done % config.eval_every == 0 or done == config.steps:
                best = _evaluate(stage, average, out, log, done, best, device, rank)
            if done % config.save_every == 0 or done == config.steps:
                save(done)
            if on_step:
                on_step(done)
    except KeyboardInterrupt:
        progress.close()
        if rank == 0 and step > start:
            # the interrupted step may be half done, so the run goes on from the last saved state
            print(f"{stage.name}: stopped at step {step}; the same command continues from the last saved state in {out}.")
        raise
    finally:
        progress.close()
        log.close()
    return best


def _evaluate(
    stage: Stage, average: _Average | None, out: Path, log: "_Log", step: int, best: dict[str, float], device: str, rank: int
) -> dict[str, float]:
    if average:
        average.swap()
    modules = stage.trained().values()
    for module in modules:
        module.eval()
    # evaluations have shapes of their own, and are too few to be worth minutes of compiling each
    with torch.compiler.set_stance("force_eager"):
        figures = stage.evaluate(device)
    if rank == 0:
        log.write(step, "eval", figures)
        stage.sheet(out / "sheets" / f"{step:08d}.png")
        better = figures["loss"] < best["loss"]
        for folder in ("last", "best") if better else ("last",):
            for name, model in stage.saved().items():
                model.save_pretrained(out / folder / name)
        if better:
            write_atomically(out / "best" / "metrics.json", (json.dumps({"step": step, **figures}, indent=2) + "\n").encode())
    if figures["loss"] < best["loss"]:
        best = {"step": step, **figures}
    for module in modules:
        module.train()
    if average:
        average.swap()
    return best


class _Log:
    """metrics.jsonl and TensorBoard; only rank 0 writes."""

    def __init__(self, out: Path, rank: int) -> None:
        self.path = out / "metrics.jsonl"
        self.writer: Any = None
        self.rank = rank
        self.out = out

    def rewind(self, step: int) -> None:
        """Drop what a killed run logged after its last saved state."""
        if self.rank == 0 and self.path.exists():
            kept = [line for line in self._lines() if json.loads(line)["step"] <= step]
            write_atomically(self.path, "".join(line + "\n" for line in kept).encode())

    def _lines(self) -> Iterator[str]:
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                json.loads(line)
            except ValueError:
                continue  # the line a kill cut off
            yield line

    def write(self, step: int, part: str, figures: dict[str, float]) -> None:
        if self.rank:
            return
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.out / "tensorboard"), purge_step=step)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "part": part, **figures}) + "\n")
        for name, value in figures.items():
            self.writer.add_scalar(f"{part}/{name}", value, step)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class _Progress:
    """One line on a terminal, a line now and then elsewhere; both with an estimate of what is left."""

    def __init__(self, name: str, steps: int, start: int, rank: int) -> None:
        self.name, self.steps, self.first, self.quiet = name, steps, start, rank != 0
        self.began = self.shown = time.monotonic()
        self.bar: Any = None
        if not self.quiet:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            if Console().is_terminal:
                columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.4f}"), TimeRemainingColumn())
                self.bar = Progress(*columns)
                self.task = self.bar.add_task(name, total=steps, completed=start, loss=float("nan"))
                self.bar.start()

    def advance(self, step: int, loss: float) -> None:
        if self.quiet:
            return
        if self.bar:
            self.bar.update(self.task, completed=step, loss=loss)
            return
        now = time.monotonic()
        if now - self.shown > 30 or step == self.steps:
            self.shown = now
            left = (now - self.began) / max(1, step - self.first) * (self.steps - step)
            print(f"{self.name}: step {step}/{self.steps}, loss {loss:.4f}, about {left / 60:.1f} min left", flush=True)

    def close(self) -> None:
        if self.bar:
            self.bar.stop()

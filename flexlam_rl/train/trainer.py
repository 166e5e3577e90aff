"""The one training loop of all stages: exact resume, evaluation, best checkpoint, progress, clean stops.

A run's folder holds config.json (resolved), state.safetensors (to continue), metrics.jsonl, TensorBoard's files, best/
and last/ (one folder per model, as `from_pretrained` takes it) and sheets/. The same command continues a stopped or
killed run.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from flexlam_rl.nn.modes import neutral_modes
from flexlam_rl.train import distributed, optim
from flexlam_rl.train.errors import TrainingError
from flexlam_rl.train.finite import FirstOdd
from flexlam_rl.train.finite import odd as odd_figure
from flexlam_rl.train.identity import check_folder, refuse_shorter
from flexlam_rl.train.log import RunLog
from flexlam_rl.train.progress import Pace, Progress
from flexlam_rl.train.stage import Stage
from flexlam_rl.train.state import STATE, load_state, save_state
from flexlam_rl.train.stopping import stopping
from flexlam_rl.utils.files import write_atomically
from flexlam_rl.utils.options import free, tidy, whole

__all__ = ["LoopConfig", "Stage", "TrainingError", "check_folder", "run"]


@dataclass(frozen=True)
class LoopConfig:
    """Length and settings of training; every field has the same meaning in all stages."""

    steps: int = field(default=1000, metadata=free())
    """Total number of optimizer steps. A larger number continues a run, at the rates of the new length's schedule from
    there on.
    """
    batch: int = 64
    """Examples per step and process."""
    optimiser: Literal["adamw", "muon"] = "adamw"
    """Optimizer; "muon": Muon for hidden matrices, AdamW for the rest."""
    lr: float = 1e-3
    """Peak learning rate of AdamW."""
    matrix_lr: float = 2e-3
    """Peak learning rate of Muon."""
    warmup: int = field(default=100, metadata={"follows": "steps"})
    """Steps of linear warm-up, followed by a cosine to a tenth of the peak."""
    weight_decay: float = 0.01
    clip: float = 1.0
    """Largest norm of the gradient; larger gradients are scaled down."""
    ema: float = 0.0
    """Decay of the moving average of weights that is evaluated and saved; 0 for none."""
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = field(default=False, metadata=free())
    """Use torch.compile for the modules that do most of the arithmetic."""
    device: str = field(default="cpu", metadata=free())
    seed: int = 0
    eval_every: int = field(default=500, metadata=free())
    save_every: int = field(default=500, metadata=free())
    log_every: int = field(default=50, metadata=free())

    def __post_init__(self) -> None:
        tidy(self)
        object.__setattr__(self, "device", str(self.device))
        for name, low in (
            ("steps", 1),
            ("batch", 1),
            ("warmup", 0),
            ("seed", 0),
            ("eval_every", 1),
            ("save_every", 1),
            ("log_every", 1),
        ):
            whole(self, name, low)


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


@neutral_modes()
def run(stage: Stage, config: LoopConfig, out: Path, on_step: Callable[[int], None] | None = None) -> dict[str, float]:
    """Train `stage` to the end, continuing from `out` where it was stopped.

    A run that was stopped or killed and then continued equals one that never stopped, bit for bit on a CPU. If the
    length changes, later steps use the rates of the new length's schedule. On another kind of device, prefixes and
    noise are drawn from a new stream, which is seeded by the run's seed and the step.

    Args:
        stage: The stage.
        config: The loop configuration.
        out: The run's folder.
        on_step: Called after each step with its number; an exception from it stops the run (tests use this).

    Returns:
        The best evaluation's figures.

    Raises:
        TrainingError: A loss or gradient is not finite, or the run has already trained more steps.
        KeyboardInterrupt: On Ctrl-C or SIGTERM, after the current step was saved; the message says how to continue.
    """
    rank, ranks = distributed.start(config.device)
    device = config.device
    modules = stage.trained()
    for module in modules.values():
        module.to(device)
    parameters = [p for m in modules.values() for p in m.parameters() if p.requires_grad]
    step_loss, odd = distributed.parallel(stage), FirstOdd(device)
    kind, half = torch.device(device).type, config.precision == "bf16"
    optimisers = optim.build(modules.values(), config.optimiser, config.lr, config.matrix_lr, config.weight_decay)
    # every rank draws its own prefixes and noise
    generator = torch.Generator(device).manual_seed(config.seed * 1_000_003 + rank)
    average = _Average(modules, config.ema) if config.ema else None
    saved = modules | ({"ema": average.shadow} if average else {})
    log = RunLog(out, rank)
    start, best, lengths = 0, {"loss": math.inf}, [[0, config.steps]]
    state_path = out / STATE
    if state_path.exists():
        generators, extra = load_state(state_path, saved, optimisers)
        if len(generators) != ranks:
            raise TrainingError(
                f"{state_path} was written by {len(generators)} processes; this run has {ranks}; start the same number."
            )
        start, best, lengths = extra["step"], extra["best"], extra.get("lengths", lengths)
        refuse_shorter(out, start, config.steps)
        _restore_generator(generator, generators[rank], (config.seed, rank, start))
        stage.seek(extra["cursors"][rank])
    log.rewind(start)
    if lengths[-1][1] != config.steps:
        if rank == 0:
            print(
                f"{stage.name}: continues at step {start} with {config.steps} steps instead of {lengths[-1][1]}, on "
                "the schedule of the new length."
            )
        lengths = [*(leg for leg in lengths if leg[0] < start), [start, config.steps]]

    def save(step: int) -> None:
        generators, cursors = distributed.gather(generator.get_state().cpu()), distributed.gather(stage.cursor())
        if rank == 0:
            save_state(
                state_path,
                saved,
                optimisers,
                generators,
                {"step": step, "best": best, "cursors": cursors, "lengths": lengths},
            )

    if config.compile:
        stage.compile()
    pace = Pace(config.steps, {"evaluation": config.eval_every, "save": config.save_every}, stage.grows_at)
    progress = Progress(stage.name, pace, start, quiet=rank != 0)
    done = kept = start
    with stopping() as stop:
        # several processes would stop after different steps, so a signal ends each at once
        stop.patient = ranks == 1
        try:
            for step in range(start, config.steps):
                if stop.asked:
                    break
                optim.set_rate(optimisers, optim.learning_rate(step, config.steps, config.warmup))
                # on a CPU, frozen models that make the batch run in float32, as in earlier runs that may be continued
                with torch.autocast(kind, torch.bfloat16, enabled=half and kind != "cpu"):
                    batch = stage.next_batch(device)
                with torch.autocast(kind, torch.bfloat16, enabled=half):
                    loss, figures = step_loss(batch, generator)
                loss.backward()
                norm = nn.utils.clip_grad_norm_(parameters, config.clip)
                odd.note(step, loss, norm)
                for optimiser in optimisers:
                    optimiser.step()
                    optimiser.zero_grad(set_to_none=True)
                if average:
                    average.update()
                done = step + 1
                # the host waits for the device only here
                if done == config.steps or any(
                    done % every == 0 for every in (config.log_every, config.eval_every, config.save_every)
                ):
                    odd.check(stage.name, state_path)
                if done % config.log_every == 0 or done == config.steps:
                    values = {"loss": loss, "gradient": norm, **figures}
                    log.write(done, "train", {name: float(value.detach()) for name, value in values.items()})
                progress.advance(done, loss.detach())
                if done % config.eval_every == 0 or done == config.steps:
                    best = _evaluate(stage, average, out, log, done, best, device, rank)
                    progress.paused("evaluation")
                if done % config.save_every == 0 or done == config.steps:
                    save(done)
                    kept = done
                    progress.paused("save")
                if on_step:
                    on_step(done)
            if stop.asked:
                if done > kept:
                    odd.check(stage.name, state_path)
                    save(done)
                    kept = done
                raise KeyboardInterrupt
            if done > start:
                progress.finish(float(loss.detach()))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_way_on(stage.name, done, kept, config.steps, out)) from None
        finally:
            stop.patient = stop.asked = False
            progress.close()
            log.close()
    return best


def _way_on(name: str, done: int, kept: int, steps: int, out: Path) -> str:
    """Say where a run stopped and how to continue it."""
    where = (
        f"saved in {out}"
        if done == kept
        else f"step {kept} of which is saved in {out}"
        if kept
        else f"nothing of which was saved in {out} yet"
    )
    return f"{name} stopped after step {done} of {steps}, {where}; the same command continues"


def _restore_generator(generator: torch.Generator, state: Tensor, origin: tuple[int, ...]) -> None:
    """Continue a saved stream of random numbers; a generator of another kind of device cannot, and begins one that is
    seeded by `origin`.
    """
    if state.numel() == generator.get_state().numel():
        generator.set_state(state)
    else:
        generator.manual_seed(int(np.random.SeedSequence(origin).generate_state(1)[0]))


def _evaluate(
    stage: Stage,
    average: _Average | None,
    out: Path,
    log: RunLog,
    step: int,
    best: dict[str, float],
    device: str,
    rank: int,
) -> dict[str, float]:
    if average:
        average.swap()
    modules = stage.trained().values()
    for module in modules:
        module.eval()
    # evaluations have other shapes, and are too few to be worth minutes of compiling each
    with torch.compiler.set_stance("force_eager"):
        figures = stage.evaluate(device)
    if not math.isfinite(figures["loss"]):
        raise odd_figure(stage.name, "loss of the evaluation", figures["loss"], step, out / STATE)
    if rank == 0:
        log.write(step, "eval", figures)
        stage.sheet(out / "sheets" / f"{step:08d}.png")
        better = figures["loss"] < best["loss"]
        for folder in ("last", "best") if better else ("last",):
            for name, model in stage.saved().items():
                model.save_pretrained(out / folder / name)
        if better:
            write_atomically(
                out / "best" / "metrics.json", (json.dumps({"step": step, **figures}, indent=2) + "\n").encode()
            )
    if figures["loss"] < best["loss"]:
        best = {"step": step, **figures}
    for module in modules:
        module.train()
    if average:
        average.swap()
    return best

"""Measure the speed of training: transitions per second of LAM pretraining, with its share of the hardware's matrix
peak, and tokens per second of the sequence model.

    python benchmarks/train_throughput.py [--json FILE] [--preset paper] [--device cpu] [--precision bf16] [--batch 64]
        [--steps 20] [--data DIR]

*Ours* is the stage as `train.lam` runs it: its loop, its recipe's precision and compilation (on a CPU: float32, not
compiled), its optimizer, and batches that are read ahead from rollouts on disk. *Eager* is the same step written
plainly in the same run: the same modules and precision without torch.compile, attention as separate matrix products and
a softmax, batches read one after another, and torch's AdamW. Evaluations and saves are not timed. Model arithmetic is
counted by torch's FlopCounterMode (forward and backward), and divided by the best rate of a large matrix product in the
same precision, measured before. Without --data, the rollouts are synthetic: smooth moving textures.

JSON keys:
    ours_per_s, eager_per_s                                   transitions per second
    mfu, eager_mfu                                            counted arithmetic per second / peak
    peak_flops, flops_per_transition                          figures that these are computed from
    sequence_tokens_per_s, sequence_eager_tokens_per_s        tokens (patches and codes) that enter the transformer
    preset, device, precision, batch, sequence_batch, sequence_frames, machine
"""

import argparse
import datetime
import json
import math
import os
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from flexlam_rl.datasets import Rollouts, RolloutWriter, TransitionPairs, Windows, open_rollouts
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.recipes import RECIPES
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.stages.lam import LAMStage
from flexlam_rl.models.flexlam.stages.sequence import SequenceStage
from flexlam_rl.train.data import CurriculumSource, PairSource, held_out_pairs, held_out_windows
from flexlam_rl.train.source import to_device
from flexlam_rl.train.trainer import LoopConfig, Stage, run


def synthetic(root: Path, episodes: int = 8, length: int = 200) -> Rollouts:
    """Make rollouts of a smooth moving texture, which compress about as well as rendered frames."""
    rng = np.random.default_rng(0)
    with RolloutWriter(root, "texture", "train", Origin(engine="synthetic")) as writer:
        for key in range(episodes):
            at = np.arange(64) * (2 * np.pi / 64)
            down, across = rng.integers(1, 6, (2, 4, 3))
            place = rng.normal(0, 0.05, (length + 1, 2)).cumsum(0)
            waves = np.sin(
                (at + place[:, :1])[:, :, None, None, None] * down
                + (at + place[:, 1:])[:, None, :, None, None] * across
            )
            frames = np.clip(128 + 30 * waves.sum(3) + rng.normal(0, 3, (length + 1, 64, 64, 3)), 0, 255).astype(
                np.uint8
            )
            action = rng.integers(0, 15, length).astype(np.int16)
            writer.append_episodes([Episode(frames, action, np.zeros(length, np.float32), truncated=True, key=key)])
    return open_rollouts(root, split="train")


def synchronise(device: str) -> None:
    """Wait for a GPU; a CPU has always finished."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def peak(device: str, dtype: torch.dtype, seconds: float = 2.0) -> float:
    """Measure the best rate of a large matrix product, in floating-point operations per second."""
    n = 8192 if device.startswith("cuda") else 2048
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    torch.mm(a, b)
    synchronise(device)
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        synchronise(device)
        start = time.perf_counter()
        torch.mm(a, b)
        synchronise(device)
        best = min(best, time.perf_counter() - start)
    return 2.0 * n**3 / best


class _Enough(Exception):
    """Ends a training whose speed has been measured."""


def ours(stage: Stage, config: LoopConfig, warm: int, seconds: float = math.inf) -> float:
    """Measure the seconds per step in the project's own loop, after `warm` steps.

    Args:
        stage: The stage.
        config: Its loop; all steps but the last, which an evaluation follows, are measured.
        warm: Number of steps before the measured ones.
        seconds: Time after which the measurement ends with the step at hand.
    """
    began, ended, count = 0.0, 0.0, 0

    def on_step(step: int) -> None:
        nonlocal began, ended, count
        late = step > warm and time.perf_counter() - began > seconds
        if step == warm or late or step == config.steps - 1:
            synchronise(config.device)
            ended, count = time.perf_counter(), step - warm
            began = ended if step == warm else began
        if late:
            raise _Enough

    with tempfile.TemporaryDirectory() as out, suppress(_Enough):
        run(stage, config, Path(out), on_step)
    return (ended - began) / count


def eager(stage: Any, batch: Callable[[], dict[str, torch.Tensor]], config: LoopConfig, warm: int) -> float:
    """Measure the seconds of the same step written plainly."""
    model = next(iter(stage.trained().values())).to(config.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, betas=(0.9, 0.95))
    generator = torch.Generator(config.device).manual_seed(0)
    start = 0.0
    for step in range(config.steps):
        if step == warm:
            synchronise(config.device)
            start = time.perf_counter()
        with sdpa_kernel(SDPBackend.MATH), _autocast(config):
            loss, _ = stage.loss(batch(), generator)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimiser.step()
        optimiser.zero_grad()
        float(loss.detach())
    synchronise(config.device)
    return (time.perf_counter() - start) / (config.steps - warm)


def _autocast(config: LoopConfig) -> Any:
    return torch.autocast(config.device.split(":")[0], torch.bfloat16) if config.precision == "bf16" else nullcontext()


def operations(stage: Any, batch: dict[str, torch.Tensor], device: str) -> float:
    """Count the floating-point operations of a step's forward and backward pass."""
    generator = torch.Generator(device).manual_seed(0)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        stage.loss(batch, generator)[0].backward()
    return float(counter.get_total_flops())


class Plain:
    """Batches that are read one after another, on demand."""

    def __init__(self, items: Any, batch: int, device: str) -> None:
        self.items, self.batch, self.device, self.rng = items, batch, device, np.random.default_rng(0)

    def frames(self) -> np.ndarray:
        return self.items.read(self.rng.integers(0, len(self.items), self.batch))["frames"]  # type: ignore[no-any-return]

    def pairs(self) -> dict[str, torch.Tensor]:
        frames = self.frames()
        return to_device({"obs": frames[:, 0], "next_obs": frames[:, 1]}, self.device)


def measure(options: argparse.Namespace, data: Rollouts) -> dict[str, Any]:
    """Measure all figures of a preset."""
    recipe, device = RECIPES[options.preset], options.device
    changes: dict[str, Any] = {
        "device": device,
        "warmup": 1,
        "eval_every": 10**9,
        "save_every": 10**9,
        "log_every": 10**9,
    }
    if device == "cpu":
        changes |= {"precision": options.precision or "fp32", "compile": False}
    elif options.precision:
        changes["precision"] = options.precision
    loop = replace(recipe.lam, steps=options.steps, batch=options.batch or recipe.lam.batch, **changes)
    warm = max(1, min(loop.steps // 4, 20))
    rate = peak(device, torch.bfloat16 if loop.precision == "bf16" else torch.float32)
    torch.manual_seed(0)

    def lam_stage() -> LAMStage:
        return LAMStage(LAM(recipe.sizes.lam), PairSource(data, loop.batch, 0), held_out_pairs(data, 16))

    plain = Plain(TransitionPairs(data), loop.batch, device)
    stage = lam_stage()
    stage.model.to(device)
    work = operations(stage, plain.pairs(), device) / loop.batch
    mine = ours(lam_stage(), loop, warm)
    other = eager(lam_stage(), plain.pairs, loop, warm)
    result: dict[str, Any] = {
        "ours_per_s": loop.batch / mine,
        "eager_per_s": loop.batch / other,
        "mfu": work * loop.batch / mine / rate,
        "eager_mfu": work * loop.batch / other / rate,
        "peak_flops": rate,
        "flops_per_transition": work,
        "preset": options.preset, "device": device, "precision": loop.precision, "batch": loop.batch,
    }  # fmt: skip
    return result | sequence(options, data, changes, warm)


def sequence(options: argparse.Namespace, data: Rollouts, changes: dict[str, Any], warm: int) -> dict[str, Any]:
    """Measure the tokens per second of the sequence model, including the codes of the frozen LAM."""
    recipe, device = RECIPES[options.preset], options.device
    config = recipe.sizes.sequence
    length = options.frames or config.frames
    batch = options.sequence_batch or max(1, recipe.sequence.batch // 2)
    loop = replace(recipe.sequence, steps=options.sequence_steps or options.steps, batch=batch, **changes)
    warm = max(1, min(warm, loop.steps // 4))

    def stage() -> SequenceStage:
        # all steps belong to the second part of the curriculum, which halves the batch
        source = CurriculumSource(data, 2 * batch, 2, length, 0, 0)
        return SequenceStage(
            SequenceModel(config), LAM(recipe.sizes.lam).to(device), source, held_out_windows(data, 1, length)
        )

    plain, written = Plain(Windows(data, length), batch, device), stage()

    def windows() -> dict[str, torch.Tensor]:
        frames = to_device({"frames": plain.frames()}, device)["frames"]
        codes = written.lam.encode(frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1)).view(
            batch, length - 1, -1
        )
        return {"frames": frames, "codes": codes}

    tokens = (
        batch * written.model.tokens(**{name: x[:1, : length - 1].cpu() for name, x in windows().items()})[0].shape[1]
    )
    mine, other = ours(stage(), loop, warm), eager(written, windows, loop, warm)
    return {
        "sequence_tokens_per_s": tokens / mine,
        "sequence_eager_tokens_per_s": tokens / other,
        "sequence_batch": batch,
        "sequence_frames": length,
    }


def main() -> None:
    """Measure, print the table, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--preset", default="paper", choices=list(RECIPES))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], help="default: the recipe's on a GPU, fp32 on a CPU")
    parser.add_argument("--batch", type=int, help="transitions per step (default: the recipe's)")
    parser.add_argument("--sequence-batch", type=int, help="windows per step (default: the recipe's)")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--sequence-steps", type=int, help="steps of the sequence model (default: --steps)")
    parser.add_argument(
        "--frames", type=int, help="frames per window (default: the whole context; the recipe's first part has 10)"
    )
    parser.add_argument("--data", type=Path, help="rollouts (default: synthetic)")
    options = parser.parse_args()
    for name in ("steps", "batch", "sequence_batch", "sequence_steps"):
        least = 4 if name.endswith("steps") else 1
        if (getattr(options, name) or least) < least:
            parser.error(f"{name} is {getattr(options, name)}; at least {least} are needed.")
    with tempfile.TemporaryDirectory() as folder:
        data = open_rollouts(options.data, split="train") if options.data else synthetic(Path(folder))
        result = measure(options, data)
    result["machine"] = {
        "processor": torch.cuda.get_device_name()
        if options.device.startswith("cuda")
        else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "date": datetime.date.today().isoformat(),
        "torch": torch.__version__,
    }
    print(
        f"preset {result['preset']}, {options.device}, {result['precision']}, {result['machine']['threads']} threads, "
        f"batch {result['batch']}"
    )
    print("| | ours | eager | ratio |\n|---|--:|--:|--:|")
    for title, first, second in (
        ("transitions/s", "ours_per_s", "eager_per_s"),
        ("share of the matrix peak", "mfu", "eager_mfu"),
        ("sequence model, tokens/s", "sequence_tokens_per_s", "sequence_eager_tokens_per_s"),
    ):
        a, b = result[first], result[second]
        form = ",.0f" if b >= 100 else ".3g"
        print(f"| {title} | {a:{form}} | {b:{form}} | {a / b:.2f} |")
    print(
        f"\npeak {result['peak_flops'] / 1e9:,.0f} GFLOP/s, {result['flops_per_transition'] / 1e9:.2f} GFLOP a "
        "transition"
    )
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

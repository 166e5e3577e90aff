"""Measure the seconds of a training step of TECO and of the models that it is compared with, by DropLoss.

All contenders have transformers of the same sizes and the same clips. Each takes one warm-up step; then all take turns,
and the median counts. On a CPU, processor time is measured, which other jobs on the machine distort less. Operations
are those of a forward and a backward pass, counted by torch. `--count` only counts them and computes nothing, as the
preset `paper` needs on a CPU.

Usage: python benchmarks/teco_steps.py [--preset tiny] [--batch 1] [--rounds 3] [--device cpu] [--count] [--json FILE]
"""

import argparse
import contextlib
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from flexlam_rl.models.teco.config import PRESETS, direct_config
from flexlam_rl.models.teco.direct import Direct
from flexlam_rl.models.teco.recipes import RECIPES
from flexlam_rl.models.teco.stages.vqgan import VQGANStage
from flexlam_rl.models.teco.teco import TECO
from flexlam_rl.models.teco.vqgan import VQGAN
from flexlam_rl.models.teco.world import FrameWorld

DROPS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)
TOLD = 16
"""Number of values of a latent action."""


def contenders(preset: str, device: str) -> dict[str, FrameWorld]:
    """Make TECOs of 1, 4 and 16 tokens per frame, and both models without latent dynamics."""
    teco = replace(PRESETS[preset].teco, latents=TOLD)

    def of_side(side: int) -> TECO:
        return TECO(replace(teco, temporal=replace(teco.temporal, side=side)))

    makers: dict[str, Callable[[], FrameWorld]] = {
        "TECO": lambda: TECO(teco),
        "TECO, side 2": lambda: of_side(2),
        "TECO, side 4": lambda: of_side(4),
        "MaskGIT": lambda: Direct(direct_config(teco, "maskgit")),
        "autoregressive": lambda: Direct(direct_config(teco, "ar")),
    }
    with torch.device(device):
        return {name: make().eval() for name, make in makers.items()}


def step_of(model: FrameWorld, batch: int, drop: float, device: str) -> Callable[[], None]:
    """Make a function that takes a step: loss, backward, AdamW."""
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=0.0)
    generator = torch.Generator(device).manual_seed(0)
    side, codes = model.config.vqgan.side, model.config.vqgan.codes
    clips = torch.randint(0, codes, (batch, model.config.frames, side, side), device=device)
    told = torch.randn(batch, model.config.frames, TOLD, device=device)

    def step() -> None:
        model.loss(clips, told, generator, drop_loss=drop).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def vqgan_step(preset: str, device: str) -> Callable[[], None]:
    """Make a function that takes a step of the first stage, with its recipe's batch."""
    config = PRESETS[preset].vqgan
    frames = torch.zeros(RECIPES[preset].vqgan.batch, 1, config.channels, config.image_size, config.image_size)
    frames = torch.randint_like(frames, 0, 256).to(device, torch.uint8)
    stage: Any = VQGANStage(VQGAN(config).to(device), None, frames, max(8, config.base // 2))  # type: ignore[arg-type]
    modules = stage.trained().values()
    for module in modules:
        module.to(device)
    optimizer = torch.optim.AdamW([p for module in modules for p in module.parameters()], lr=0.0)

    def step() -> None:
        stage.loss({"frames": frames}, torch.Generator(device))[0].backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def seconds(step: Callable[[], None], device: str) -> float:
    """Measure the time of a step: processor time on a CPU, wall-clock time on a GPU."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    if device != "cpu":
        torch.cuda.synchronize()
    began = clock()
    step()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - began


def operations(model: FrameWorld, batch: int, drop: float, device: str) -> float:
    """Count the floating-point operations of a step's passes, in units of 10^9."""
    with FlopCounterMode(display=False) as counter:
        step_of(model, batch, drop, device)()
    return counter.get_total_flops() / 1e9


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="tiny", choices=sorted(PRESETS))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    preset, batch, device = options.preset, options.batch, options.device
    fake: Any = contextlib.nullcontext()
    if options.count:
        from torch._subclasses.fake_tensor import FakeTensorMode

        fake = FakeTensorMode()
    torch.manual_seed(0)
    with fake:
        models = contenders(preset, device)
        plan = [(name, drop) for name in models for drop in (DROPS if name == "TECO" else (DROPS[0], DROPS[-1]))]
        rows = {
            pair: {
                "parameters": sum(p.numel() for p in models[pair[0]].parameters() if p.requires_grad),
                "gflop": round(operations(models[pair[0]], batch, pair[1], device), 1),
            }
            for pair in plan
        }
        if not options.count:
            steps = {pair: step_of(models[pair[0]], batch, pair[1], device) for pair in plan}
            taken: dict[Any, list[float]] = {pair: [] for pair in plan}
            for _ in range(options.rounds):
                for pair, step in steps.items():
                    taken[pair].append(seconds(step, device))
            for pair, values in taken.items():
                rows[pair]["seconds"] = round(statistics.median(values), 4)
    for (name, drop), row in rows.items():
        time_of = f", {row['seconds']:.3f} s" if "seconds" in row else ""
        print(
            f"{name:>15}, DropLoss {drop}: {row['parameters'] / 1e6:.1f}M weights, {row['gflop']:,.1f} GFLOP{time_of}"
        )
    found: dict[str, Any] = {"preset": preset, "batch": batch, "device": device, "threads": torch.get_num_threads()}
    if not options.count:
        step = vqgan_step(preset, device)
        step()
        found["vqgan_seconds"] = round(statistics.median(seconds(step, device) for _ in range(options.rounds)), 4)
        recipe, size = RECIPES[preset], PRESETS[preset].vqgan.image_size
        clip = torch.randint(0, 256, (1, PRESETS[preset].teco.frames, 3, size, size), dtype=torch.uint8, device=device)
        models["TECO"].frame_codes(clip)
        found["codes_seconds"] = round(seconds(lambda: models["TECO"].frame_codes(clip), device), 4)
        step_of_clip = rows["TECO", PRESETS[preset].teco.drop_loss]["seconds"] / batch + found["codes_seconds"]
        whole = step_of_clip * recipe.dynamics.batch
        found["hours"] = {
            "vqgan": round(found["vqgan_seconds"] * recipe.vqgan.steps / 3600, 3),
            "teco": round(whole * recipe.dynamics.steps / 3600, 3),
        }
        print(f"VQ-GAN: {found['vqgan_seconds']:.3f} s per step; hours of the recipes on this device: {found['hours']}")
        print(f"Codes of a clip's frames: {found['codes_seconds']:.3f} s, which the hours of TECO include.")
    found["rows"] = [{"model": name, "drop_loss": drop, **row} for (name, drop), row in rows.items()]
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

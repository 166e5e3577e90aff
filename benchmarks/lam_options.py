"""Train latent action models of the size of `tiny` for equal processor time, and compare them on held-out transitions.

The learning rate falls with the processor time spent, so that slow and fast options end at the same rate. It measures
the PSNR of the next frame from the first K codes in one and in four steps, and the accuracy and the per-action recall
of a small network that predicts actions from only these codes, with few labels.

Usage: python benchmarks/lam_options.py DATA --seconds 100 [--options NAME ...] [--json FILE]
       python benchmarks/lam_options.py DATA --lam RUN/lam/best/lam [--json FILE]      # measure a trained one
"""

import argparse
import datetime
import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flexlam_rl.datasets import TransitionPairs, open_rollouts
from flexlam_rl.models.flexlam.config import PRESETS, DecoderConfig, EncoderConfig, LAMConfig
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.nn import moved_picture
from flexlam_rl.nn.frames import peak_signal_to_noise, to_unit
from flexlam_rl.nn.prefix import null_fill
from flexlam_rl.train.optim import build, set_rate

TINY = PRESETS["tiny"].lam
HELD = replace(TINY, normalize=False)
FREE = replace(HELD, saturation=0.0)
TRANSFORMER = replace(
    FREE,
    encoder=EncoderConfig(width=128, depth=3, heads=4, patch=16),
    decoder=DecoderConfig(width=160, depth=4, heads=5, ffn=640, patch=16, predict="frame"),
)
"""Earlier configuration of `tiny`."""
BUDGETS = (1, 4, 16)


@dataclass(frozen=True)
class Contender:
    """A model, and the options of its training."""

    lam: LAMConfig = FREE
    batch: int = 64
    lr: float = 1e-3
    bfloat16: bool = True
    motions: int = len(moved_picture.STARTS)


CONTENDERS = {
    "transformer": Contender(TRANSFORMER, bfloat16=False),
    "motion": Contender(),
    "motion, batch 32": Contender(batch=32),
    "motion, batch 32, rate 3e-3": Contender(batch=32, lr=3e-3),
    "motion, batch 32, rate 3e-3, held in reach": Contender(HELD, batch=32, lr=3e-3),
    "motion, batch 32, rate 3e-3, held in reach, normalized": Contender(TINY, batch=32, lr=3e-3),
    "U-Net without motion, batch 32": Contender(batch=32, motions=0),
}


class Pairs:
    """Transitions with their actions."""

    def __init__(self, data: Path, split: str, cache: Path | None) -> None:
        self.pairs = TransitionPairs(open_rollouts(data, split=split), ("action",), cache=cache)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw frames before and after, (B, C, H, W) in [-1, 1], and actions (B,)."""
        batch = self.pairs.read(np.sort(rng.choice(len(self.pairs), count, replace=False)))
        frames = torch.from_numpy(np.ascontiguousarray(batch["frames"])).movedim(-1, 2)
        actions = torch.from_numpy(np.asarray(batch["action"]).reshape(count).astype(np.int64))
        return to_unit(frames[:, 0]), to_unit(frames[:, 1]), actions


def trained(contender: Contender, train: Pairs, seconds: float, seed: int) -> tuple[LAM, dict[str, Any]]:
    """Train for a number of processor seconds."""
    torch.manual_seed(seed)
    lam = LAM(contender.lam)
    optimisers = build([lam], "muon", contender.lr, 1e-2, 0.01)
    generator, rng = torch.Generator().manual_seed(seed + 1), np.random.default_rng(seed + 2)
    began, steps, losses = time.process_time(), 0, []
    while (spent := time.process_time() - began) < seconds:
        share = min(1.0, spent / seconds)
        set_rate(optimisers, min(1.0, (steps + 1) / 100) * (0.05 + 0.475 * (1 + math.cos(math.pi * share))))
        obs, following, _ = train.draw(contender.batch, rng)
        flipped = torch.rand(len(obs), 1, 1, 1, generator=generator) < 0.5
        obs, following = (torch.where(flipped, x.flip(-1), x) for x in (obs, following))
        with torch.autocast("cpu", torch.bfloat16, enabled=contender.bfloat16):
            loss = lam(obs, following, generator).loss
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(lam.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        losses.append(float(loss.detach()))
        steps += 1
    parameters = sum(p.numel() for p in lam.parameters())
    return lam.eval(), {
        "steps": steps,
        "seconds": spent,
        "parameters": parameters,
        "loss": float(np.mean(losses[-200:])),
    }


@torch.no_grad()
def pictures(lam: LAM, test: Pairs, count: int = 512) -> dict[str, float]:
    """Measure the PSNR in dB of a copy of the frame, and of decodings in one and in four steps."""
    obs, following, _ = test.draw(count, np.random.default_rng(5))
    codes, figures = lam.encode(obs, following), {"copy": float(peak_signal_to_noise(obs, following).mean())}
    for steps in (1, 4):
        for k in (0, *BUDGETS):
            drawn = lam.sample(obs, lam.keep_prefix(codes, k), steps, torch.Generator().manual_seed(0))
            figures[f"K={k}, {steps} steps"] = float(peak_signal_to_noise(drawn, following).mean())
    return figures


def actions_of(lam: LAM, train: Pairs, test: Pairs, labels: int = 4000) -> dict[str, Any]:
    """Measure accuracy and recall of a small network from only codes to actions at each budget, best of four epochs."""
    sides = []
    for pairs, seed in ((train, 7), (test, 8)):
        obs, following, actions = pairs.draw(min(labels, len(pairs.pairs)), np.random.default_rng(seed))
        with torch.no_grad():
            parts = zip(obs.split(500), following.split(500), strict=True)
            sides.append((torch.cat([lam.quantize(*part).vectors for part in parts]), actions))
    (seen, known), (unseen, asked) = sides
    kinds, figures = int(max(known.max(), asked.max())) + 1, {}
    for k in BUDGETS:
        inputs, others = (null_fill(x, torch.full((len(x),), k), lam.null.detach()).flatten(1) for x in (seen, unseen))
        torch.manual_seed(0)
        width = inputs.shape[1]
        net = nn.Sequential(
            nn.Linear(width, 256), nn.GELU(), nn.Linear(256, 256), nn.GELU(), nn.Linear(256, kinds)
        )  # fmt: skip
        optimiser, best = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.05), -1.0
        for epoch in range(40):
            for rows in torch.randperm(len(inputs)).split(128):
                optimiser.zero_grad()
                F.cross_entropy(net(inputs[rows]), known[rows]).backward()
                optimiser.step()
            if epoch % 10 < 9:
                continue
            right = net(others).argmax(1) == asked
            if float(right.float().mean()) > best:
                best = float(right.float().mean())
                recall = {a: float(right[asked == a].float().mean()) for a in asked.unique().tolist()}
                figures[f"K={k}"] = {"accuracy": best, "recall": recall}
    return figures


def main() -> None:
    """Train all models, print the table, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--options", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--lam", type=Path, help="measure this trained model instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder for a raw copy of the frames, which reads faster")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    train, test = (Pairs(options.data, split, options.cache) for split in ("train", "test"))
    starts = moved_picture.STARTS
    result: dict[str, Any] = {
        "seconds": options.seconds, "seed": options.seed, "date": datetime.date.today().isoformat(),
        "torch": torch.__version__, "threads": torch.get_num_threads(), "rows": {},
    }  # fmt: skip
    print("| option | steps | PSNR, K = 0 | 1 | 4 | 16 | accuracy, K = 1 | 4 | 16 |\n" + "|---" * 9 + "|")
    row: dict[str, Any]
    for name in [str(options.lam)] if options.lam else options.options:
        if options.lam:
            lam, row = LAM.from_pretrained(options.lam), {"steps": 0}
        else:
            moved_picture.STARTS = starts[: CONTENDERS[name].motions]
            lam, row = trained(CONTENDERS[name], train, options.seconds, options.seed)
        row |= {"psnr": pictures(lam, test), "actions": actions_of(lam, train, test)}
        result["rows"][name] = row
        shown = [f"{row['psnr'][f'K={k}, 1 steps']:.2f}" for k in (0, *BUDGETS)]
        shown += [f"{row['actions'][f'K={k}']['accuracy']:.3f}" for k in BUDGETS]
        print(f"| {name} | {row['steps']} | {' | '.join(shown)} |", flush=True)
        if options.json:
            options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

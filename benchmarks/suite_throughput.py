"""Measure decisions per second in closed loop, by budget and by number of environments, and the shares of the time.

A decision is a whole step of one environment: the engine, the encoder, the sequence model's context and generation, and
the translator. The levels of the suite take turns; the context is full before the clock starts.

Usage: python benchmarks/suite_throughput.py [--json FILE] [--checkpoint DIR | --preset tiny] [--budgets 1,4,16]
    [--batches 1,16,64] [--prior factored]
"""

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

import flexlam_rl  # noqa: F401  registers the environments
from flexlam_rl.agents.policy.bundle import BundleConfig, EnvironmentFacts, LabelFacts, load_bundle
from flexlam_rl.agents.policy.bundling import write_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.checkpoints import default
from flexlam_rl.envs.domains.dmlab.actions import action_set
from flexlam_rl.envs.domains.dmlab.levels import SUITE
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.eval.latency import budgets_of, describe_machine
from flexlam_rl.eval.suite.command import CPU_CHUNK, CUDA_CHUNK
from flexlam_rl.models.flexlam.config import PRESETS, TranslatorConfig
from flexlam_rl.models.flexlam.factored.config import SIZES
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.translator import Translator


def random_bundle(preset: str, device: str) -> Any:
    """Make a bundle of random weights, which is as fast as a trained one."""
    sizes, actions = PRESETS[preset], action_set("dreamer15")
    torch.manual_seed(0)
    lam = LAM(sizes.lam)
    spec = ActionSpec((len(actions),), 0, actions.name, actions.hash)
    translator = Translator(TranslatorConfig(slots=sizes.lam.slots, code_dim=len(sizes.lam.levels), actions=spec))
    facts = EnvironmentFacts(actions.name, actions.hash, 4, 64, 64, "litelab", ("procedural",), "full")
    training = {"steps": 0, "experts": [], "levels": [], "weights": "float32", "date": "", "revision": ""}
    with tempfile.TemporaryDirectory() as folder:
        models = {"lam": lam, "sequence": SequenceModel(sizes.sequence), "translator": translator}
        write_bundle(
            Path(folder) / preset, BundleConfig(facts, LabelFacts("none", 0, (), ()), training=training), models
        )
        return load_bundle(Path(folder) / preset, device)


def with_factored_prior(bundle: Any, preset: str) -> Any:
    """Replace a bundle's prior by a factored one of random weights."""
    config = replace(SIZES[preset], slots=bundle.lam.config.slots, codes=bundle.lam.code_count)
    prior = FactoredPrior(config).to(bundle.lam.null.device).eval().requires_grad_(False)
    return replace(bundle, sequence=prior, hash=f"factored-{bundle.hash}")


def measure(policy: LatentActionPolicy, budget: int, batch: int, steps: int) -> dict[str, float]:
    """Measure decisions per second, and the share of each part of the wall-clock time."""
    policy.budget = budget
    levels = [SUITE[i % len(SUITE)] for i in range(batch)]
    env = gym.make_vec("FlexLAM-DMLab-v0", num_envs=batch, level=levels, engine="litelab")
    parts: dict[str, float] = {}
    try:
        observation, _ = env.reset(seed=0)
        state, began, worked, environments = None, 0.0, 0.0, 0.0
        for step in range(policy.decoder.config.frames + steps):
            if step == policy.decoder.config.frames:
                began, environments, parts = time.perf_counter(), 0.0, {}
                worked = time.process_time()
            actions, state = policy.predict(observation, state, np.full(batch, step == 0))
            for part, seconds in policy.last.seconds.items():
                parts[part] = parts.get(part, 0.0) + seconds
            mark = time.perf_counter()
            observation = env.step(actions)[0]
            environments += time.perf_counter() - mark
        wall, worked = time.perf_counter() - began, time.process_time() - worked
    finally:
        env.close()
    # with several threads, the parts' seconds add up to more than the policy's wall-clock time, so they are scaled
    inside = sum(parts[part] for part in ("encode", "context", "generate", "translate"))
    policy_share = parts["total"] / wall
    shares = {
        "environments": environments / wall,
        "encoder": parts["encode"] / inside * policy_share,
        "sequence_model": (parts["context"] + parts["generate"]) / inside * policy_share,
        "translator": parts["translate"] / inside * policy_share,
    }
    rates = {"decisions_per_s": batch * steps / wall, "decisions_per_processor_s": batch * steps / worked}
    return {**rates, **shares}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--checkpoint")
    parser.add_argument("--preset", choices=list(PRESETS))
    parser.add_argument(
        "--prior", choices=("own", "factored"), default="own", help="own, or factored with the preset's size"
    )
    parser.add_argument("--budgets")
    parser.add_argument("--batches", default="1,16,64")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--chunk", type=int, default=None, help="rows computed together (default: as in the suite)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", choices=("fp32", "bf16"), default="fp32")
    args = parser.parse_args()
    on_gpu = args.device.startswith("cuda")
    if args.preset is None and args.checkpoint is None and default() is None:
        args.preset = "tiny"
    bundle = random_bundle(args.preset, args.device) if args.preset else load_bundle(args.checkpoint, args.device)
    if args.prior == "factored":
        bundle = with_factored_prior(bundle, args.preset or "tiny")
    torch.set_num_threads(1)
    executor = None if on_gpu or args.threads < 2 else ThreadPoolExecutor(args.threads)
    chunk = args.chunk or (CUDA_CHUNK if on_gpu else CPU_CHUNK)
    policy = LatentActionPolicy(
        bundle,
        deterministic=True,
        chunk=chunk,
        executor=executor,
        cache=torch.bfloat16 if args.cache == "bf16" else None,
    )
    try:
        budgets = budgets_of(args.budgets, policy.slots, policy.lam.config.prefix)
        batches = [int(part) for part in args.batches.split(",")]
    except ValueError as error:
        sys.exit(f"suite_throughput: {error}")
    rates: dict[str, dict[str, float]] = {}
    worked: dict[str, dict[str, float]] = {}
    shares: dict[str, dict[str, dict[str, float]]] = {}
    about = {
        **describe_machine(args.device),
        "threads": args.threads,
        "chunk": chunk,
        "cache": args.cache,
        "model": args.preset or bundle.hash,
        "prior": args.prior,
    }
    print(
        f"{about['model'][:12]}, {about['device']}, {about['machine']}, {args.threads} threads, chunks of {chunk}, "
        f"cache {args.cache}"
    )
    print(
        f"{'K':>4} {'batch':>6} {'decisions/s':>12} {'per processor s':>16}   environments, encoder, sequence model, "
        "translator"
    )
    for k in budgets:
        for batch in batches:
            found = measure(policy, k, batch, args.steps)
            rate = found.pop("decisions_per_s")
            each = found.pop("decisions_per_processor_s")
            worked.setdefault(str(k), {})[str(batch)] = each
            rates.setdefault(str(k), {})[str(batch)] = rate
            shares.setdefault(str(k), {})[str(batch)] = found
            print(
                f"{k:>4} {batch:>6} {rate:>12.1f} {each:>16.1f}   "
                + ", ".join(f"{100 * share:.0f} %" for share in found.values()),
                flush=True,
            )
    if args.json:
        args.json.write_text(
            json.dumps(
                {**about, "decisions_per_s": rates, "decisions_per_processor_s": worked, "shares": shares}, indent=1
            )
            + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()

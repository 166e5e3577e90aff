"""PPO in latent space and in the native space: one level, the same steps, several seeds, both curves whatever they say.

In latent space an action is the first K codes of a latent action, which the frozen translator turns into a real one.
The same command continues a stopped run: pairs of space and seed that are finished are kept.

Usage: python examples/ppo_latent_space.py --out ppo [--level rooms_watermaze] [--steps 200000] [--seeds 3]
    [--budget 1]
Needs: pip install '.[sb3,models,docs]'
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor

import flexlam_rl  # noqa: F401  registers the environments
from flexlam_rl.agents.adapters.sb3 import SB3VecEnv
from flexlam_rl.agents.latent_space import VectorLatentActionSpace
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.utils.files import write_atomically

SPACES = ("native", "latent")


def make_env(space: str, args: argparse.Namespace, policy: LatentActionPolicy, seed: int, evaluation: bool) -> Any:
    """A batch of environments for Stable-Baselines3, in one of the two spaces."""
    env = gym.make_vec(
        "FlexLAM-DMLab-v0",
        num_envs=args.num_envs,
        level=args.level,
        engine="litelab",
        autoreset_mode="SameStep",
        evaluation=evaluation,
    )
    if space == "latent":
        env = VectorLatentActionSpace(env, policy, args.budget)
    batch = VecMonitor(SB3VecEnv(env))
    batch.seed(seed)
    return batch


class Curve(BaseCallback):
    """Evaluates now and then, and keeps (steps, mean return, standard error)."""

    def __init__(self, env: Any, every: int, episodes: int) -> None:
        super().__init__()
        self.env, self.every, self.episodes, self.rows = env, every, episodes, []

    def measure(self) -> None:
        """Play evaluation episodes, drawn actions as in training."""
        self.env.seed(0)
        returns, _ = evaluate_policy(
            self.model, self.env, self.episodes, deterministic=False, return_episode_rewards=True
        )
        error = float(np.std(returns, ddof=1) / np.sqrt(len(returns))) if len(returns) > 1 else 0.0
        self.rows.append((self.num_timesteps, float(np.mean(returns)), error))
        print(f"  {self.num_timesteps} steps: return {np.mean(returns):.2f} +- {error:.2f}", flush=True)

    def _on_step(self) -> bool:
        if self.num_timesteps >= len(self.rows) * self.every:
            self.measure()
        return True


def train(
    space: str, seed: int, args: argparse.Namespace, policy: LatentActionPolicy
) -> list[tuple[int, float, float]]:
    """One run; returns its curve."""
    env, held_out = (make_env(space, args, policy, seed, evaluation) for evaluation in (False, True))
    model = PPO(
        "CnnPolicy",
        env,
        n_steps=args.rollout,
        batch_size=256,
        n_epochs=3,
        ent_coef=0.01,
        learning_rate=2.5e-4,
        seed=seed,
        device=args.device,
    )
    curve = Curve(held_out, max(args.steps // args.evaluations, 1), args.episodes)
    try:
        model.learn(args.steps, callback=curve)
        curve.measure()
    finally:
        env.close()
        held_out.close()
    return curve.rows


def draw(runs: dict[str, list[list[tuple[int, float, float]]]], args: argparse.Namespace) -> None:
    """Each run thin, the mean over seeds thick."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for (space, curves), colour in zip(runs.items(), ("tab:blue", "tab:orange"), strict=False):
        for curve in curves:
            axes.plot([row[0] for row in curve], [row[1] for row in curve], color=colour, alpha=0.3, linewidth=1)
        shortest = min(map(len, curves))
        mean = np.mean([[row[1] for row in curve[:shortest]] for curve in curves], axis=0)
        axes.plot(
            [row[0] for row in curves[0][:shortest]],
            mean,
            color=colour,
            linewidth=2,
            label=f"{space} ({len(curves)} seeds)",
        )
    axes.set_xlabel("environment steps")
    axes.set_ylabel(f"return on {args.level}, litelab")
    axes.legend()
    figure.tight_layout()
    figure.savefig(args.out / "curves.png", dpi=110)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--checkpoint")
    parser.add_argument("--level", default="rooms_watermaze")
    parser.add_argument("--budget", type=int, default=1)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--num-envs", type=int, default=16)
    parser.add_argument("--rollout", type=int, default=128)
    parser.add_argument("--evaluations", type=int, default=10)
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    policy = LatentActionPolicy.from_pretrained(args.checkpoint)
    settings = {key: str(value) for key, value in vars(args).items() if key not in ("out", "seeds", "device")} | {
        "bundle": policy.bundle.hash
    }
    file = args.out / "curves.json"
    record = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"settings": settings, "runs": {}}
    if record["settings"] != settings:
        sys.exit(f"{file} holds runs with other settings; give another --out.")
    for seed in range(args.seeds):
        for space in SPACES:
            if (name := f"{space}-{seed}") in record["runs"]:
                continue
            print(f"{space}, seed {seed}", flush=True)
            record["runs"][name] = train(space, seed, args, policy)
            write_atomically(file, (json.dumps(record, indent=1) + "\n").encode())
    draw({space: [record["runs"][f"{space}-{seed}"] for seed in range(args.seeds)] for space in SPACES}, args)
    print(f"Curves are in {args.out}.")


if __name__ == "__main__":
    main()

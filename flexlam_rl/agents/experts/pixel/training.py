"""Training a learned expert: sb3-contrib's recurrent PPO on the native batch, resumed by the same command.

Metrics in TensorBoard are those of Stable-Baselines3 (`rollout/ep_rew_mean`, `train/entropy_loss`, ...) and
`eval/return`, the mean return of evaluation episodes; `curve.jsonl` holds the latter as text. A resumed run continues
weights, optimiser and step count, and begins new episodes (the environments' state is not kept).
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import safe_open
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecMonitor, VecTransposeImage

from flexlam_rl.agents.adapters.sb3 import make_sb3
from flexlam_rl.agents.collection.schedule import Settings
from flexlam_rl.agents.experts.pixel.recipe import Recipe
from flexlam_rl.agents.experts.pixel.recurrent import Network, parts, save_policy
from flexlam_rl.agents.experts.scores import measure
from flexlam_rl.train.state import load_state, save_state

STATE = "state.safetensors"  # weights, optimiser, step count and recipe in one file, replaced whole
SELECTION = 1_000_000  # number of the first selection episode, far behind those that scores are measured on


def train(recipe: Recipe, out: Path, report: Callable[[str], None] = lambda text: None) -> Path:
    """Train until `recipe.steps`, continuing what `out` holds; returns the folder of the best policy.

    Raises:
        ValueError: `out` holds a run of another recipe.
    """
    recipe.check()
    out.mkdir(parents=True, exist_ok=True)
    network = Network(
        recipe.level, words=recipe.level.startswith("language_"), lstm=recipe.lstm, features=recipe.features
    )
    resumes = (out / STATE).exists()
    state: dict[str, Any] = {"recipe": recipe.same_run(), "steps": 0, "best": None}
    if resumes:
        with safe_open(out / STATE, "pt") as file:
            state = json.loads(file.metadata()["extra"])
        for name, value in recipe.same_run().items():
            if state["recipe"].get(name) != value:
                raise ValueError(
                    f"{out} holds a run with {name} {state['recipe'].get(name)!r}, the command says {value!r}: use "
                    "another folder."
                )
    options: dict[str, Any] = {"observations": ("RGB_INTERLEAVED", "INSTR")} if network.words else {}
    # another seed after each resume: the episodes played so far are not played again
    env = VecTransposeImage(
        VecMonitor(
            make_sb3(
                recipe.num_envs,
                level=recipe.level,
                engine="litelab",
                seed=recipe.seed + recipe.num_envs * state["steps"],
                **options,
            )
        )
    )
    try:
        model = RecurrentPPO(
            "MultiInputLstmPolicy" if network.words else "CnnLstmPolicy",
            env,
            n_steps=recipe.rollout,
            batch_size=max(2, recipe.num_envs * recipe.rollout // 4),
            n_epochs=4,
            gamma=0.99,
            learning_rate=recipe.learning_rate,
            ent_coef=recipe.entropy,
            policy_kwargs=network.policy_kwargs(),
            seed=recipe.seed,
            device=recipe.device,
        )
        model.set_logger(configure(str(out / "tensorboard"), ["tensorboard"]))
        if resumes:
            load_state(out / STATE, parts(model.policy), [model.policy.optimizer])
            model.num_timesteps = state["steps"]
            report(f"Resumed at {state['steps']} steps.")
        while model.num_timesteps < recipe.steps:
            until = min(recipe.steps, (model.num_timesteps // recipe.evaluate_every + 1) * recipe.evaluate_every)
            model.learn(until - model.num_timesteps, reset_num_timesteps=False)
            state = _evaluate(model, recipe, network, out, state, report)
    finally:
        env.close()
    return out / "best"


def _evaluate(
    model: Any, recipe: Recipe, network: Network, out: Path, state: dict[str, Any], report: Callable[[str], None]
) -> dict[str, Any]:
    """Evaluate, keep the best policy, and write a checkpoint."""
    steps = model.num_timesteps
    save_policy(out / "last", network, model.policy, {"steps": steps, "recipe": asdict(recipe)})
    settings = Settings(expert=f"learned:{out / 'last'}", seed=recipe.seed)
    score = measure(recipe.level, settings, recipe.evaluation_episodes, recipe.num_envs, first=SELECTION)
    model.logger.record("eval/return", score.mean)
    model.logger.dump(steps)
    report(f"{steps} steps: return {score.mean:.2f} ± {score.standard_error:.2f}")
    best = state["best"]
    if best is None or score.mean > best["return"]:
        best = {"steps": steps, "return": score.mean}
        save_policy(out / "best", network, model.policy, {**best, "recipe": asdict(recipe)})
    with open(out / "curve.jsonl", "a", encoding="utf-8") as curve:
        curve.write(
            json.dumps(
                {"steps": steps, "return": score.mean, "standard_error": score.standard_error, "returns": score.returns}
            )
            + "\n"
        )
    state = {"recipe": recipe.same_run(), "steps": steps, "best": best}
    save_state(out / STATE, parts(model.policy), [model.policy.optimizer], [], state)
    return state

"""Players of what `flexlam finetune` trained, besides pixel experts: a bundle, or a network that chooses codes.

Shapes: n environments, K budget.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.agents.experts.pixel.player import PixelExpert
from flexlam_rl.agents.latent_space import Translation
from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.agents.policy.rows import mask_of

BUNDLE = "bundle"
"""Folder, beside a network that chooses codes, of the bundle that translates them."""


def bundle(env: Any, argument: str = "", temperature: float = 1.0, seed: int = 0) -> LatentActionPolicy:
    """Make the policy of a bundle, for `EXPERTS`.

    Args:
        env: Environment or batch that it will play.
        argument: "PATH", or "PATH@K" for K codes per decision.
        temperature: Temperature of the codes.
        seed: Seed of its randomness.

    Raises:
        ValueError: The argument has another form, or the bundle cannot play with K codes or in the environment.
        CheckpointError: There is no such bundle.
    """
    path, mark, budget = argument.rpartition("@")
    if not mark:
        path, budget = argument, ""
    if not path or (mark and not budget.isdecimal()):
        raise ValueError(f"Expert {f'bundle:{argument}'!r}: expected 'bundle:PATH' or 'bundle:PATH@K'.")
    loaded = load_bundle(path)
    decoding = replace(loaded.config.decoding, temperature=temperature)
    return LatentActionPolicy(loaded, int(budget) if budget else None, decoding=decoding, seed=seed, chunk=16, env=env)


def latent(env: Any, argument: str = "", temperature: float = 1.0, seed: int = 0) -> "LatentExpert":
    """Make a policy that was trained in latent space, for `EXPERTS`.

    Args:
        env: Environment or batch that it will play.
        argument: Folder of the policy.
        temperature: Temperature of the codes.
        seed: Seed of its randomness.

    Raises:
        ValueError: No path is given, or the policy cannot play in the environment.
        CheckpointError: The folder holds no such policy.
    """
    if not argument:
        raise ValueError("Expert 'latent' needs a path: expected 'latent:PATH', the folder of such a policy.")
    return LatentExpert(argument, env, temperature, seed)


class LatentExpert:
    """Plays with a network that `flexlam finetune --what latent-space` wrote.

    Args:
        path: Folder of the network, with the bundle in it.
        env: Environment or batch that it will play.
        temperature: Number that divides the logits of the codes: 1 draws as trained, 0 takes the likeliest codes.
        seed: Seed of the draws; with `begin_episodes`, an episode's draws depend only on its own seed.

    Raises:
        CheckpointError: The folder holds no such policy.
        ValueError: The environment differs from the one that the policy was trained in.
    """

    def __init__(self, path: str | Path, env: Any, temperature: float = 1.0, seed: int = 0) -> None:
        self.player = PixelExpert(path, env, temperature, seed)
        self.budget = self.player.network.config.choices
        self.policy = LatentActionPolicy(load_bundle(Path(path) / BUNDLE), self.budget)
        self.policy.check(env)
        self.translate: Translation | None = None

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Note that the environments `which` begin episodes of these seeds."""
        self.player.begin_episodes(which, seeds)

    def snapshot(self, state: Any) -> dict[str, Any]:
        """Return everything that later actions depend on."""
        translate = self.translate
        return {"player": self.player.snapshot(state), "previous": None if translate is None else translate.previous}

    def restore(self, saved: dict[str, Any]) -> Any:
        """Continue from a snapshot, and return its `state` for `predict`."""
        if saved["previous"] is not None:
            self.translate = Translation(self.policy, len(saved["previous"]), self.budget)
            self.translate.previous = saved["previous"]
        return self.player.restore(saved["player"])

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Choose actions (n, ...) of the environment's space, or one for a single environment, and give the state."""
        codes, after = self.player.predict(observation, state, episode_start, deterministic)
        frames, single = self.policy.frames(observation)
        codes = np.asarray(codes).reshape(len(frames), self.budget)
        if state is None or self.translate is None:
            self.translate = Translation(self.policy, len(frames), self.budget)
        elif episode_start is not None:
            self.translate.reset(mask_of(episode_start, len(frames), "episode_start"))
        actions = self.translate(codes, frames)
        return (actions[0] if single else actions), after

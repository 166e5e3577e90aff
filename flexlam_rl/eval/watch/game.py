"""A game to watch: it steps when told to, and its choices may change at any step.

Legend: `K` budget, `C H W` frame.
"""

import math
import threading
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from flexlam_rl.agents.action_words import action_in_words
from flexlam_rl.agents.environments import evaluation_seed
from flexlam_rl.agents.policy.decision import Decision
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.observations import MAP, words_of
from flexlam_rl.eval.watch.source import Choices, Source
from flexlam_rl.eval.watch.view import View
from flexlam_rl.models.pixel_model import PixelModel
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.utils.numbers import int64
from flexlam_rl.utils.pictures import Picture, shown


class Game:
    """Plays episodes for one viewer.

    The same choices give the same episode, that of `flexlam demo`, whatever else is played at the same time. Threads
    may call it at the same time; they wait for each other.

    Args:
        source: The policy and its world.
        choices: Choices for the first episode.

    Raises:
        ValueError: A choice is not allowed.
    """

    def __init__(self, source: Source, choices: Choices) -> None:
        self._source, self._lock = source, threading.RLock()
        self._env: gym.Env[Any, Any] | None = None
        self._task = ""
        self.restart(choices)

    @property
    def view(self) -> View:
        """The present view."""
        with self._lock:
            return self._view

    @property
    def choices(self) -> Choices:
        """The present choices."""
        with self._lock:
            return self._choices

    def restart(self, choices: Choices) -> View:
        """Begin an episode.

        Raises:
            ValueError: A choice is not allowed; the present episode then continues.
        """
        with self._lock:
            int64(choices.seed, "seed", 0)
            find_domain(self._source.spec.domain).task(choices.task)
            self._source.policy(choices)
            if self._env is None or self._task != choices.task:
                env = self._source.env(choices.task)
                self.close()
                self._env, self._task = env, choices.task
            self._observation, _ = self._env.reset(options={"episode_seed": evaluation_seed(choices.seed)})
            self._policy, self._choices = self._source.policy(choices, self._env), choices
            self._policy.begin_episodes(np.array([0]), np.array([choices.seed]))
            self._expert, self._advice = self._source.expert(self._env, choices.seed), None
            self._state: Any = None
            self._view = self._seen(View(choices.task, choices.seed, 0, self._source.slots, choices.budget, _BLANK))
            return self._view

    def change(self, budget: int | str, temperature: float, action_temperature: float) -> View:
        """Change budget and temperatures from the next decision on; past decisions stay.

        Raises:
            ValueError: A choice is not allowed; nothing changes then.
        """
        with self._lock:
            choices = replace(
                self._choices, budget=budget, temperature=temperature, action_temperature=action_temperature
            )
            decoding = self._source.policy(choices).decoding
            self._policy.budget, self._policy.decoding, self._choices = budget, decoding, choices
            self._view = replace(self._view, asked=budget)
            return self._view

    def step(self) -> View:
        """Decide, and play the action.

        Raises:
            ValueError: The episode is over, or the game is closed.
        """
        with self._lock:
            before, env = self._view, self._env
            if before.over:
                raise ValueError(f"The episode is over after {before.step} steps; restart to begin another.")
            if env is None:
                raise ValueError("The game is closed; restart to begin another.")
            start = np.array([before.step == 0])
            action, self._state = self._policy.predict(self._observation, self._state, start)
            decision = self._policy.last
            assert decision is not None
            advised = self._asked_expert(env, start)
            codes = decision.codes[0]
            frames, _ = self._policy.frames(self._observation)
            now = replace(
                self._seen(before),
                predicted=decoded(self._policy.lam, frames, codes, self._choices.seed),
                action=action_in_words(action, self._source.spec),
                expert=advised,
                **_told(decision),
            )
            self._observation, reward, terminated, truncated, info = env.step(action)
            restarted = bool(info.get("map_reset", False))
            if restarted:
                self._policy.map_restarted(np.array([0]))
            self._view = replace(
                now,
                step=before.step + 1,
                next_frame=self._picture(self._observation),
                reward=float(reward),
                total=before.total + float(reward),
                over=bool(terminated or truncated),
                map_restarted=restarted,
            )
            return self._view

    def close(self) -> None:
        """Close the world."""
        with self._lock:
            if self._env is not None:
                self._env.close()
            self._env = None

    def _asked_expert(self, env: gym.Env[Any, Any], start: np.ndarray) -> str | None:
        """Return what the expert would do now, in words."""
        if self._expert is None:
            return None
        action, self._advice = self._expert.predict(self._observation, self._advice, start, True)
        return action_in_words(np.reshape(action, env.action_space.shape or ()), self._source.spec)

    def _seen(self, view: View) -> View:
        """Add what the newest observation shows to a view."""
        observation = self._observation
        above = shown(np.array(observation[MAP])) if self._source.mapped else None
        return replace(
            view, frame=self._picture(observation), top_down=above, instruction=str(words_of(observation) or "")
        )

    def _picture(self, observation: Any) -> Picture:
        """Copy the frame of an observation."""
        frames, _ = self._policy.frames(observation)
        return shown(frames[0].transpose(1, 2, 0).copy())


_BLANK = np.zeros((1, 1, 3), np.uint8)


def decoded(lam: SlotModel, frames: np.ndarray, latents: np.ndarray, seed: int) -> Picture | None:
    """Decode the next frame from a prefix.

    Args:
        lam: The latent action model.
        frames: The current frame, uint8 (1, C, H, W).
        latents: The prefix, K codes (K,) or vectors (K, d).
        seed: Seed of the decoder's noise, the same at every step, so that noise does not change the picture.

    Returns:
        The picture; None where the model predicts no pixels.
    """
    if not isinstance(lam, PixelModel):
        return None
    prefix = torch.from_numpy(latents[None].copy())
    generator = torch.Generator().manual_seed(seed)
    frame = lam.decode(torch.from_numpy(frames.copy()), prefix, latents.shape[0], lam.decode_steps, generator)
    return shown(frame[0].movedim(0, -1).contiguous().numpy())


def _told(decision: Decision) -> dict[str, Any]:
    """Return the fields of a view that a decision fills."""
    spent = int(decision.budgets[0])
    return {
        "budget": spent,
        "reason": decision.reasons[0],
        "codes": tuple(decision.codes[0].tolist()),
        "probabilities": tuple(None if math.isnan(p) else float(p) for p in decision.probabilities[0].tolist()),
        "seconds": float(decision.seconds["total"]),
    }

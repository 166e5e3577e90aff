"""Acting in latent space: environments whose action is a latent prefix, which the translator turns into a real action.

Legend: `n` environments, `K` budget, `V` codes of a slot, `A` dimensions of an action.
"""

import copy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.agents.policy.rows import rows_of
from flexlam_rl.envs.action_values import environment_actions
from flexlam_rl.nn.action_head import choose_actions, no_action
from flexlam_rl.nn.modes import in_own_modes


class Translation:
    """Prefixes to actions, for n environments; keeps each one's previous action.

    Args:
        policy: Whose LAM and translator.
        rows: n.
        budget: K; None for the policy's own.

    Raises:
        ValueError: The budget is not one of the policy's.
    """

    @in_own_modes
    def __init__(self, policy: LatentActionPolicy, rows: int, budget: int | None) -> None:
        given = policy.checked_budget(policy.budget if budget is None else budget)
        if not isinstance(given, int):
            one = f"{given.tolist()}, one for each environment" if isinstance(given, np.ndarray) else f"'{given}'"
            raise ValueError(f"The budget is {one}; latent actions need one number: give budget=K.")
        self.policy, self.budget = policy, given
        self.space = spaces.MultiDiscrete([policy.lam.code_count] * self.budget)
        self._spec = policy.translator.config.actions
        self._previous = no_action(self._spec, rows, policy.device)

    @property
    def previous(self) -> np.ndarray:
        """Each environment's previous action as models have it, which an assignment replaces."""
        return self._previous.cpu().numpy().copy()

    @previous.setter
    @in_own_modes
    def previous(self, value: np.ndarray) -> None:
        self._previous = torch.from_numpy(value.copy()).to(self._previous)

    @in_own_modes
    def reset(self, which: Any = None) -> None:
        """Episodes begin everywhere, or in the rows `which` (bool mask or indices)."""
        rows = len(self._previous)
        index = np.arange(rows) if which is None else rows_of(which, rows)
        self._previous[index] = no_action(self._spec, len(index), self._previous.device)

    @in_own_modes
    def __deepcopy__(self, memo: dict[int, Any]) -> "Translation":
        """A copy that goes on as this one would, with the same policy, of which only the weights are used."""
        other = copy.copy(self)
        other._previous = self._previous.clone()
        return other

    @in_own_modes
    def __call__(self, codes: Any, observation: Any) -> np.ndarray:
        """The likeliest actions (n, ...), of the environment's own space, of prefixes (n, K), given the observations
        they answer.

        Raises:
            ValueError: The prefixes have another shape or type, or a code lies outside its range.
        """
        codes = np.asarray(codes.detach().cpu() if isinstance(codes, torch.Tensor) else codes)
        rows = len(self._previous)
        if codes.shape != (rows, self.budget) or codes.dtype.kind not in "iu":
            raise ValueError(
                f"A latent action has shape {codes.shape} and type {codes.dtype}; expected integers of shape ({rows}, "
                f"{self.budget})."
            )
        policy = self.policy
        slots = policy.lam.keep_prefix(torch.from_numpy(codes.astype(np.int64)).to(policy.device), self.budget)
        current = None
        if policy.translator.frame is not None:
            frames, _ = policy.frames(observation)
            if len(frames) != rows:
                raise ValueError(f"There are {len(frames)} observations for {rows} latent actions.")
            current = torch.from_numpy(np.ascontiguousarray(frames)).to(policy.device)
        self._previous = choose_actions(policy.translator(slots, self._previous, current), self._spec)
        # a copy: a reset overwrites the previous actions, not what was given out
        return environment_actions(self._previous.cpu().numpy().copy(), self._spec)


class LatentActionSpace(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """An environment whose action is the first K codes of a latent action: `MultiDiscrete([V] * K)`, for any RL
    algorithm.

    Observations, rewards and ends are the environment's; `info["action"]` is the real action that was taken.

    Args:
        env: An environment that the policy fits.
        policy: Whose LAM and translator turn codes into actions; or what `LatentActionPolicy.from_pretrained` takes.
        budget: K, 1..M; None for the policy's own.
        any_look: Accept another engine, look or overlay than the policy was trained in.

    Raises:
        ValueError: The budget or the environment does not fit the policy.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        policy: LatentActionPolicy | str | Path | None = None,
        budget: int | None = None,
        any_look: bool = False,
    ) -> None:
        policy = policy if isinstance(policy, LatentActionPolicy) else LatentActionPolicy.from_pretrained(policy)
        self._translate = Translation(policy, 1, budget)
        policy.check(env, any_look)
        # what makes such an environment anew: where the weights lie, instead of a copy of them
        where = policy.bundle.folder or policy.bundle.source
        gym.utils.RecordConstructorArgs.__init__(
            self, policy=str(where), budget=self._translate.budget, any_look=bool(any_look)
        )
        gym.Wrapper.__init__(self, env)
        self.action_space = self._translate.space
        self._observation: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As the environment's."""
        self._translate.reset()
        self._observation, info = self.env.reset(seed=seed, options=options)
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Translate a latent action (K,) and take it."""
        real = self._translate(np.asarray(action)[None], self._observation)[0]
        self._observation, reward, terminated, truncated, info = self.env.step(real)
        return self._observation, reward, terminated, truncated, {**info, "action": real}


class VectorLatentActionSpace(VectorWrapper[Any, Any, Any, Any, np.ndarray]):
    """`LatentActionSpace` for a batch of environments: actions are (n, K).

    Args:
        env: The batch, in any autoreset mode.
        policy, budget, any_look: As for `LatentActionSpace`.
    """

    def __init__(
        self,
        env: VectorEnv,
        policy: LatentActionPolicy | str | Path | None = None,
        budget: int | None = None,
        any_look: bool = False,
    ) -> None:
        super().__init__(env)
        policy = policy if isinstance(policy, LatentActionPolicy) else LatentActionPolicy.from_pretrained(policy)
        policy.check(env, any_look)
        self._translate = Translation(policy, env.num_envs, budget)
        self.single_action_space = self._translate.space
        self.action_space = batch_space(self.single_action_space, env.num_envs)
        self._same_step = env.metadata.get("autoreset_mode") is AutoresetMode.SAME_STEP
        self._over = np.zeros(env.num_envs, np.bool_)
        self._observations: Any = None

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As the environments'."""
        mask = None if options is None else options.get("reset_mask")
        which = np.arange(self.num_envs) if mask is None else rows_of(mask, self.num_envs, "reset_mask")
        self._translate.reset(which)
        self._over[which] = False
        self._observations, infos = self.env.reset(seed=seed, options=options)
        return self._observations, infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Translate latent actions (n, K) and take them."""
        real = self._translate(actions, self._observations)
        self._observations, rewards, terminated, truncated, infos = self.env.step(real)
        over = terminated | truncated
        # with NEXT_STEP the observation after the end is still the old episode's: the action after it is ignored
        begins = over if self._same_step else self._over
        if begins.any():
            self._translate.reset(begins)
        self._over = over.copy()
        return (
            self._observations,
            rewards,
            terminated,
            truncated,
            {**infos, "action": real, "_action": np.ones(len(real), np.bool_)},
        )

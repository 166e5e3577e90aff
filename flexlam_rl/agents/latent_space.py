"""Acting in latent space: environments whose actions are prefixes of latent actions, translated into real actions.

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
    """Translates prefixes to actions for n environments, and keeps the previous action of each.

    Args:
        policy: Policy whose LAM and translator are used.
        rows: Number of environments, n.
        budget: Number of codes, K; None for the policy's own budget.

    Raises:
        ValueError: The policy cannot play at the budget, or the budget is not a single number.
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
        """Previous action of each environment, in the form that models use; it can be set."""
        return self._previous.cpu().numpy().copy()

    @previous.setter
    @in_own_modes
    def previous(self, value: np.ndarray) -> None:
        self._previous = torch.from_numpy(value.copy()).to(self._previous)

    @in_own_modes
    def reset(self, which: Any = None) -> None:
        """Begin episodes in all rows, or in the rows `which` (bool mask or indices)."""
        rows = len(self._previous)
        index = np.arange(rows) if which is None else rows_of(which, rows)
        self._previous[index] = no_action(self._spec, len(index), self._previous.device)

    @in_own_modes
    def __deepcopy__(self, memo: dict[int, Any]) -> "Translation":
        """Copy the translation; the copy continues as this one would, and shares the policy, which is only read."""
        other = copy.copy(self)
        other._previous = self._previous.clone()
        return other

    @in_own_modes
    def __call__(self, codes: Any, observation: Any) -> np.ndarray:
        """Return the likeliest actions for prefixes.

        Args:
            codes: The prefixes, (n, K).
            observation: Observations in which the actions will be taken.

        Returns:
            The actions, (n, ...) of the environment's own space.

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
        # a copy, so that a reset does not overwrite the returned actions
        return environment_actions(self._previous.cpu().numpy().copy(), self._spec)


class LatentActionSpace(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """An environment whose actions are the first K codes of a latent action, `MultiDiscrete([V] * K)`, for any RL
    algorithm.

    Observations, rewards and ends are the environment's own; `info["action"]` is the real action that was taken.

    Args:
        env: An environment that the policy fits.
        policy: Policy whose LAM and translator turn codes into actions, or the name or folder of one, as
            `LatentActionPolicy.from_pretrained` takes it.
        budget: Number of codes, K, in 1..M; None for the policy's own budget.
        any_look: Whether to accept another engine, look or overlay than the policy was trained with.

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
        # the recorded arguments name the folder of the weights instead of holding a copy of them
        where = policy.bundle.folder or policy.bundle.source
        gym.utils.RecordConstructorArgs.__init__(
            self, policy=str(where), budget=self._translate.budget, any_look=bool(any_look)
        )
        gym.Wrapper.__init__(self, env)
        self.action_space = self._translate.space
        self._observation: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environment, and begin without a previous action."""
        self._translate.reset()
        self._observation, info = self.env.reset(seed=seed, options=options)
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Translate a latent action (K,) and take it."""
        real = self._translate(np.asarray(action)[None], self._observation)[0]
        self._observation, reward, terminated, truncated, info = self.env.step(real)
        return self._observation, reward, terminated, truncated, {**info, "action": real}


class VectorLatentActionSpace(VectorWrapper[Any, Any, Any, Any, np.ndarray]):
    """`LatentActionSpace` for a batch of environments; actions are (n, K).

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
        """Reset the environments, and begin without previous actions where episodes begin."""
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
        # with NEXT_STEP, the observation after the end is still of the old episode, and the next action is ignored
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

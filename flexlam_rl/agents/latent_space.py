"""Acting in latent space: environments whose action is a latent prefix, which the translator turns into a real action.

Legend: `n` environments, `K` budget, `V` codes of a slot, `A` dimensions of an action.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from flexlam_rl.agents.policy import LatentActionPolicy
from flexlam_rl.envs.shared import copy_but, shared, unshared
from flexlam_rl.models.translator import NO_ACTION, choose_actions


class Translation:
    """Prefixes to actions, for n environments; keeps each one's previous action.

    Args:
        policy: Whose LAM and translator.
        rows: n.
        budget: K.

    Raises:
        ValueError: The budget is not one of the policy's.
    """

    def __init__(self, policy: LatentActionPolicy, rows: int, budget: int) -> None:
        slots, prefix = policy.slots, policy.lam.config.prefix
        if isinstance(budget, bool) or not isinstance(budget, int | np.integer) or not 1 <= budget <= slots or (budget != slots and not prefix):
            expected = f"1..{slots}" if prefix else f"{slots}, the only one of a Fixed-K model"
            raise ValueError(f"budget is {budget!r}; expected {expected}.")
        self.policy, self.budget = policy, int(budget)
        self.space = spaces.MultiDiscrete([policy.lam.code_count] * self.budget)
        actions = policy.translator.config.actions
        dims = len(actions.discrete) + actions.continuous
        kind = torch.float32 if actions.continuous else torch.int64
        self._previous = torch.full((rows, dims), NO_ACTION, dtype=kind, device=policy.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Translation":
        return copy_but(self, memo, "policy")  # a copied environment plays with the same policy

    def reset(self, which: Any = slice(None)) -> None:
        """Episodes begin in the rows `which`."""
        self._previous[which] = NO_ACTION

    @torch.no_grad()
    def __call__(self, codes: Any, observation: Any) -> np.ndarray:
        """The likeliest actions (n,), or (n, A), of prefixes (n, K), given the observations they answer.

        Raises:
            ValueError: The prefixes have another shape or type, or a code lies outside its range.
        """
        codes = np.asarray(codes)
        rows = len(self._previous)
        if codes.shape != (rows, self.budget) or codes.dtype.kind not in "iu":
            raise ValueError(f"A latent action has shape {codes.shape} and type {codes.dtype}; expected integers of shape ({rows}, {self.budget}).")
        policy = self.policy
        slots = policy.lam.prefix_slots(torch.from_numpy(codes.astype(np.int64)).to(policy.device), self.budget)
        current = None
        if policy.translator.frame is not None:
            frames, _ = policy.frames(observation)
            current = torch.from_numpy(np.ascontiguousarray(frames)).to(policy.device)
        spec = policy.translator.config.actions
        self._previous = choose_actions(policy.translator(slots, self._previous, current), spec)
        actions = self._previous.cpu().numpy().copy()  # a reset overwrites the previous actions, not what was given out
        return actions[:, 0] if actions.shape[1] == 1 else actions


class LatentActionSpace(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """An environment whose action is the first K codes of a latent action: `MultiDiscrete([V] * K)`, for any RL algorithm.

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
        self, env: gym.Env[Any, Any], policy: LatentActionPolicy | str | None = None, budget: int | None = None, any_look: bool = False
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, policy=shared(policy), budget=budget, any_look=any_look)
        gym.Wrapper.__init__(self, env)
        policy = unshared(policy)
        policy = policy if isinstance(policy, LatentActionPolicy) else LatentActionPolicy.from_pretrained(policy)
        policy.check(env, any_look)
        self._translate = Translation(policy, 1, _budget(policy, budget))
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

    def __init__(self, env: VectorEnv, policy: LatentActionPolicy | str | None = None, budget: int | None = None, any_look: bool = False) -> None:
        super().__init__(env)
        policy = policy if isinstance(policy, LatentActionPolicy) else LatentActionPolicy.from_pretrained(policy)
        policy.check(env, any_look)
        self._translate = Translation(policy, env.num_envs, _budget(policy, budget))
        self.single_action_space = self._translate.space
        self.action_space = batch_space(self.single_action_space, env.num_envs)
        self._same_step = env.metadata.get("autoreset_mode") is AutoresetMode.SAME_STEP
        self._over = np.zeros(env.num_envs, np.bool_)
        self._observations: Any = None

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As the environments'."""
        mask = None if options is None else options.get("reset_mask")
        self._translate.reset(slice(None) if mask is None else torch.from_numpy(np.asarray(mask)))
        self._over[:] = False
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
            self._translate.reset(torch.from_numpy(np.asarray(begins)))
        self._over = over.copy()
        return self._observations, rewards, terminated, truncated, {**infos, "action": real, "_action": np.ones(len(real), np.bool_)}


def _budget(policy: LatentActionPolicy, budget: int | None) -> int:
    if budget is not None:
        return budget
    if not isinstance(policy.budget, int):
        raise ValueError("The policy has a budget for each environment; give budget=K.")
    return policy.budget

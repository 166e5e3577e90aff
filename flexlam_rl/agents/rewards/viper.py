"""VIPER: a video model's likelihood of each new frame as the reward (dissertation, chapter 6).

    r = scaled(ln p(newest frame | window)) + beta * bonus + keep * the environment's own reward

Neither the frame of a reset nor the first frame after a restart of the map has a reward, because it does not follow
from the frame before; the window begins anew there. `WindowDensity` describes how the first windows of an episode are
filled.

Legend: `n` environments, `H W C` frame.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from torch import Tensor

from flexlam_rl.agents.policy.rows import rows_of
from flexlam_rl.agents.rewards.bonuses import Bonus
from flexlam_rl.agents.rewards.density import Density, check_density
from flexlam_rl.agents.rewards.window_density import Mode, WindowDensity
from flexlam_rl.envs.episodes import map_resets
from flexlam_rl.envs.observations import frame_space, frames_of
from flexlam_rl.utils.numbers import real

Scale = tuple[float, float]
"""Log-likelihoods that are mapped to the rewards 0 and 1; values outside are mapped beyond these."""


class _Reward:
    """What both wrappers share: it turns the frames of n rows into rewards."""

    def __init__(
        self,
        env: Any,
        rows: int,
        model: Any,
        beta: float,
        window: int | None,
        stride: int,
        mask: Any,
        mode: Mode,
        scale: Scale | None,
        task: str | None,
        bonus: Bonus | None,
        keep: float,
    ) -> None:
        space = frame_space(env)
        if space is None or (space.shape[0] in (1, 3, 4) and space.shape[2] not in (1, 3, 4)):
            raise ValueError(f"{env} shows no frames (height, width, channels) uint8, from which VIPER makes rewards.")
        self.beta, self.keep = real(beta, "beta"), real(keep, "keep")
        if (bonus is None) == bool(self.beta):
            found = "no bonus is given" if bonus is None else "a bonus is given"
            raise ValueError(f"beta is {beta} and {found}; expected a bonus with a beta above 0, or neither.")
        if scale is not None and not scale[0] < scale[1]:
            raise ValueError(f"scale is {scale}; expected two numbers, the lower one first.")
        self.scale, self.bonus, self.mask = scale, bonus, _mask(mask, space.shape)
        own = hasattr(model, "score") and hasattr(model, "advance")
        if own and (window is not None or stride != 1 or mode != "conditional" or task is not None):
            raise ValueError("window, stride, mode and task belong to the density that is given: leave them out here.")
        self.density: Density = (
            check_density(model, rows) if own else WindowDensity(model, rows, window, stride, mode, task)
        )
        size = getattr(getattr(getattr(model, "config", None), "vqvae", None), "image_size", None)
        if size is not None and tuple(space.shape[:2]) != (size, size):
            height, width = space.shape[:2]
            raise ValueError(f"The environment's frames are {width}x{height}; the model's are {size}x{size}.")
        self.learns = True
        # frames that the density takes in only before the next score, because a reset may still change them
        self._coming: tuple[Tensor, Tensor] | None = None

    def frames(self, observation: Any) -> Tensor:
        """Read the frames (n, C, H, W) of a batch's observations, masked as the model sees them."""
        frames = torch.from_numpy(np.array(frames_of(observation))).movedim(-1, 1)  # batches may overwrite frames
        return frames.contiguous() if self.mask is None else frames * self.mask

    def begin(self, frames: Tensor, begins: np.ndarray) -> None:
        """Begin episodes with these frames in the rows where bool `begins` (n,) is true; other rows do not change."""
        rows = torch.from_numpy(begins)
        if self._coming is None:
            rows = torch.ones_like(rows)
        else:
            before, already = self._coming
            frames, rows = torch.where(rows[:, None, None, None], frames, before), rows | already
        self._coming = frames, rows

    def step(
        self, happened: Tensor, shown: Tensor, begins: np.ndarray, cut: np.ndarray, own: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Compute the rewards of a step.

        Args:
            happened: Frames that the step led to, (n, C, H, W).
            shown: Frames that the next step begins from: the same, or the first one of a new episode.
            begins: Whether a row's `shown` is such a first frame, (n,) bool.
            cut: Whether a row's `happened` does not follow from the frame before, (n,) bool.
            own: Rewards of the environment, (n,).

        Returns:
            Rewards (n,), and arrays (n,) for the info.
        """
        assert self._coming is not None, "the environment refuses a step before its first reset"
        before = self._coming[0]
        self.density.advance(*self._coming)
        likely = self.density.score(happened).total.double().cpu().numpy()
        values = likely if self.scale is None else (likely - self.scale[0]) / (self.scale[1] - self.scale[0])
        infos = {self.density.figure: np.where(cut, np.nan, likely), "task_reward": np.asarray(own, np.float64)}
        rewards = np.where(cut, 0.0, values)
        if self.bonus is not None:
            follows = torch.from_numpy(~cut)
            bonus = np.where(cut, 0.0, self.bonus.bonus(before, happened).double().cpu().numpy())
            if self.learns:
                self.bonus.learn(before[follows], happened[follows])
            infos["viper_bonus"], rewards = bonus, rewards + self.beta * bonus
        self._coming = shown, torch.from_numpy(begins)
        return rewards + self.keep * infos["task_reward"], infos


class ViperReward(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """A wrapper whose rewards are a video model's log-likelihoods of the frames.

    `info["task_reward"]` is the environment's own reward, `info["viper_log_prob"]` the log-likelihood (NaN where a
    frame does not follow from the last one), and `info["viper_bonus"]` the bonus, if there is one.

    Args:
        env: An environment that shows frames (H, W, C) uint8, alone or as `RGB_INTERLEAVED`.
        model: A model that `WindowDensity` takes, or a density with one row, such as a `FlexLAMDensity`.
        beta: Weight of the bonus, above 0 if there is one.
        window, stride, mode, task: As for `WindowDensity`; not with a density, which has its own.
        mask: Bool (H, W), true where the model sees black instead of the pixel, in addition to the model's own mask.
        scale: Log-likelihoods that are mapped to the rewards 0 and 1; None leaves them as they are, in nats.
        bonus: A `RandomNetworkDistillation` or `Disagreement`, which learns from every step.
        keep: Weight of the environment's own reward.

    Raises:
        ValueError: An argument does not fit the environment or the model.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        model: Any,
        beta: float = 0.0,
        window: int | None = None,
        stride: int = 1,
        mask: Any = None,
        mode: Mode = "conditional",
        scale: Scale | None = None,
        task: str | None = None,
        *,
        bonus: Bonus | None = None,
        keep: float = 0.0,
    ) -> None:
        RecordConstructorArgs.__init__(
            self, model=model, beta=beta, window=window, stride=stride, mask=mask, mode=mode, scale=scale, task=task,
            bonus=bonus, keep=keep,
        )  # fmt: skip
        gym.Wrapper.__init__(self, env)
        self.rewarder = _Reward(env, 1, model, beta, window, stride, mask, mode, scale, task, bonus, keep)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environment, and begin a new window."""
        observation, info = self.env.reset(seed=seed, options=options)
        self.rewarder.begin(self._frames(observation), np.ones(1, np.bool_))
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment, and replace its reward."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        frames = self._frames(observation)
        cut = np.array([bool(info.get("map_reset", False))])
        rewards, found = self.rewarder.step(frames, frames, cut, cut, np.array([float(reward)]))
        told = {name: float(values[0]) for name, values in found.items()}
        return observation, float(rewards[0]), terminated, truncated, {**info, **told}

    def _frames(self, observation: Any) -> Tensor:
        return self.rewarder.frames(np.asarray(frames_of(observation))[None])


class VectorViperReward(VectorWrapper[Any, Any, Any, Any, np.ndarray]):
    """`ViperReward` for a batch, in any autoreset mode; one pass of the model scores all environments.

    Args:
        env: The batch.
        model, beta, window, stride, mask, mode, scale, task, bonus, keep: As for `ViperReward`; a density must have one
            row per environment.
    """

    def __init__(
        self,
        env: VectorEnv,
        model: Any,
        beta: float = 0.0,
        window: int | None = None,
        stride: int = 1,
        mask: Any = None,
        mode: Mode = "conditional",
        scale: Scale | None = None,
        task: str | None = None,
        *,
        bonus: Bonus | None = None,
        keep: float = 0.0,
    ) -> None:
        super().__init__(env)
        self.rewarder = _Reward(env, env.num_envs, model, beta, window, stride, mask, mode, scale, task, bonus, keep)
        self._same_step = env.metadata.get("autoreset_mode") is AutoresetMode.SAME_STEP
        self._next_step = env.metadata.get("autoreset_mode") is AutoresetMode.NEXT_STEP
        self._over = np.zeros(env.num_envs, np.bool_)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environments, and begin new windows where episodes begin."""
        mask = None if options is None else options.get("reset_mask")
        observations, infos = self.env.reset(seed=seed, options=options)
        frames, begins = self.rewarder.frames(observations), np.ones(self.num_envs, np.bool_)
        if mask is not None:
            begins = np.zeros(self.num_envs, np.bool_)
            begins[rows_of(mask, self.num_envs, "reset_mask")] = True
        self._over[begins] = False
        self.rewarder.begin(frames, begins)
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step the environments, and replace their rewards."""
        observations, own, terminated, truncated, infos = self.env.step(actions)
        shown = self.rewarder.frames(observations)
        over = terminated | truncated
        happened, begins = shown, np.zeros(self.num_envs, np.bool_)
        cut = map_resets(infos, self.num_envs) & ~over
        if self._same_step and over.any():  # the info holds the last frame of the old episode
            happened, begins = shown.clone(), over.copy()
            for i in np.flatnonzero(over).tolist():
                last = np.asarray(frames_of(infos["final_obs"][i]))[None]
                happened[i] = self.rewarder.frames(last)[0]
        elif self._next_step:
            cut = cut | self._over  # this step began a new episode
        begins = begins | cut
        rewards, found = self.rewarder.step(happened, shown, begins, cut, own)
        self._over = over.copy()
        told: dict[str, Any] = dict(infos)
        for name, values in found.items():
            told |= {name: values, f"_{name}": np.ones(self.num_envs, np.bool_)}
        return observations, rewards, terminated, truncated, told


def _mask(mask: Any, shape: tuple[int, ...]) -> Tensor | None:
    """Convert a mask to uint8 (H, W): 1 where pixels are shown, 0 where they are black."""
    if mask is None:
        return None
    given = np.asarray(mask)
    if given.shape != tuple(shape[:2]) or given.dtype != np.bool_:
        raise ValueError(f"mask has shape {given.shape} and type {given.dtype}; expected bool {tuple(shape[:2])}.")
    return torch.from_numpy(~given).to(torch.uint8)

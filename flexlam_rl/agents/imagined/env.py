"""`ImaginedEnv`: an episode that a world model imagines, as a Gymnasium environment."""

import copy
from typing import Any

import gymnasium as gym
import numpy as np

from flexlam_rl.agents.imagined.dream import Dream
from flexlam_rl.agents.imagined.world import Kind, World, make_world
from flexlam_rl.envs.checks import flag, integer, one_of, reset_options
from flexlam_rl.envs.domains.dmlab.levels import DEFAULT_LEVEL
from flexlam_rl.envs.errors import ClosedError, ResetNeeded
from flexlam_rl.envs.seeds import SeededEnv, episode_seed, stream_seed
from flexlam_rl.utils.pictures import enlarged

ENGINE = "imagined"


class ImaginedEnv(SeededEnv):
    """An environment whose frames a world model predicts, beginning with real ones.

    An episode depends only on its seed and its actions: the seed determines the real frames that the episode begins
    with, and the randomness of every prediction. An episode never terminates, because a video model does not know when
    it would end; after `horizon` steps it is truncated.

    Observations are frames (H, W, C) uint8. `info` holds `engine` ("imagined"), `level` (of the real frames),
    `episode_seed`, `map_reset` (False) and `reward` (the class of the reward model, or "none"). A copy of the
    environment continues exactly as the original would, and shares its models.

    Args:
        model: A world model that can be stepped, the folder of one (`.../best/lam`, `.../best/videogpt`), or a bundle,
            whose latent action model then predicts. None for the bundle that comes with the package.
        starts: Source of the real frames: a folder of rollouts, the name of a level of DMLab, in which random actions
            are played, or an object with `draw(seed)`.
        actions: "latent" for the first `budget` codes of a latent action, `MultiDiscrete([V] * budget)`, the same space
            as `LatentActionSpace`. "native" for the environment's own actions, `Discrete(A)`; a model that is told
            codes is then told the most frequent codes of that action's transitions in `starts`. None for native if the
            model is told actions, and latent otherwise.
        budget: Number of codes, K; None for all slots.
        lam: Latent action model, its folder, or a bundle, for models that are told its latent actions.
        reward: A model with `reward(frames)` or `log_prob(frames)`, or the folder of one; None for rewards of 0.
        reward_window: Number of frames that the reward looks at; None for the reward model's own.
        horizon: Number of steps of an episode.
        context: Number of real frames that an episode begins with; None for as many as the model looks back at, but at
            most 8.
        decode_steps: Number of steps of a flow decoder per prediction; None for the model's own (8).
        labels: Number of transitions that are read for actions="native".
        levels, split: Levels and split of the rollouts in `starts`.
        evaluation: Whether to draw episodes from the held-out stream of seeds, which training never uses.
        chunk: Number of rows that are computed together, as for `LatentActionPolicy`. With the same chunk of 16 or
            more, an environment and a batch give the same frames to the last bit, otherwise up to rounding.
        device: Device of the models.
        render_mode: None or "rgb_array".
        render_scale: Side of the square that each pixel of a frame becomes when rendered, in pixels.

    Raises:
        CheckpointError: A model cannot be read.
        ValueError: An option is not allowed; the message names it and what is allowed.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012

    def __init__(
        self,
        model: Any = None,
        starts: Any = DEFAULT_LEVEL,
        actions: Kind | None = None,
        budget: int | None = None,
        lam: Any = None,
        reward: Any = None,
        reward_window: int | None = None,
        horizon: int = 64,
        context: int | None = None,
        decode_steps: int | None = None,
        labels: int = 2048,
        levels: Any = None,
        split: str = "train",
        evaluation: bool = False,
        chunk: int | None = None,
        device: str = "cpu",
        render_mode: str | None = None,
        render_scale: int = 4,
    ) -> None:
        one_of("render_mode", render_mode, (None, "rgb_array"))
        self.render_mode, self.render_scale = render_mode, integer("render_scale", render_scale)
        self.evaluation = flag("evaluation", evaluation)
        self.world: World = make_world(
            model, starts, actions, budget, lam, reward, reward_window, horizon, context, decode_steps, labels, levels,
            split, self.evaluation, device,
        )  # fmt: skip
        self._dream = Dream(self.world, 1, chunk)
        self.observation_space = self.world.observation_space
        self.action_space = self.world.controls.space
        self._seed, self._steps, self._running, self._closed = -1, 0, False, False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; without `seed`, it is the next one of the stream.

        Args:
            seed: Seed that begins the stream of episodes anew.
            options: With `episode_seed`, an integer in [0, 2**31), the episode that had it as `info["episode_seed"]` is
                played again, and the stream does not advance.

        Raises:
            ValueError: The seed or an option is not allowed.
            ClosedError: The environment is closed.
        """
        if self._closed:
            raise ClosedError("reset was called on a closed ImaginedEnv: make a new one.")
        given = reset_options(options, ("episode_seed",)).get("episode_seed")
        chosen = None if given is None else episode_seed(given)
        begin = stream_seed(seed)
        if begin is not None or self._np_random is None:
            self.begin_stream(begin)
        self._seed = self.draw_episode_seed() if chosen is None else chosen
        self._dream.begin(np.zeros(1, np.int64), [self._seed])
        self._steps, self._running = 0, True
        return self._dream.frames[0].copy(), self._info()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Imagine the next frame.

        Raises:
            InvalidAction: The action is outside the space.
            ResetNeeded: No episode has begun, or it has ended.
            ClosedError: The environment is closed.
        """
        if not self._running:
            raise self._not_running()
        actions = self.world.controls.checked(np.asarray(action)[None], 1)
        reward = float(self._dream.step(np.zeros(1, np.int64), actions)[0])
        self._steps += 1
        over = self._steps >= self.world.horizon
        self._running = not over
        return self._dream.frames[0].copy(), reward, False, over, self._info()

    def render(self) -> Any:
        """Return the newest frame, enlarged, or None without a render mode."""
        if self.render_mode is None:
            gym.logger.warn("render was called without a render mode: pass render_mode='rgb_array' to gym.make.")
            return None
        if self._seed < 0:
            raise ResetNeeded("render was called before the first reset.")
        return enlarged(self._dream.frames[0], self.render_scale)

    def close(self) -> None:
        """End the episode; may be called again."""
        self._closed, self._running = True, False

    def __deepcopy__(self, memo: dict[int, Any]) -> "ImaginedEnv":
        """Copy the environment; the copy continues as this one would."""
        other = object.__new__(type(self))
        memo[id(self)] = other
        for name, value in self.__dict__.items():
            other.__dict__[name] = value if name == "world" else copy.deepcopy(value, memo)
        return other

    def _info(self) -> dict[str, Any]:
        return {
            "engine": ENGINE,
            "level": self._dream.levels[0],
            "episode_seed": self._seed,
            "map_reset": False,
            "reward": self.world.rewards.name,
        }

    def _not_running(self) -> Exception:
        if self._closed:
            return ClosedError("step was called on a closed ImaginedEnv: make a new one.")
        when = "before the first reset" if self._seed < 0 else "after the end of the episode"
        return ResetNeeded(f"step was called {when}: call reset first.")

"""Wrappers that turn instructions into numbers, for libraries that do not accept text."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from flexlam_rl.envs.checks import integer
from flexlam_rl.envs.litelab.levels.names import COLOR_NAMES, SHAPE_NAMES

PADDING, UNKNOWN = 0, 1
# All words of the language level's instructions; a word's number is its place here. Never reorder them: trained models
# depend on the numbers.
VOCABULARY: tuple[str, ...] = ("", "<unknown>", "Every", "object", "near", *COLOR_NAMES, *SHAPE_NAMES)
_NUMBERS = {word: number for number, word in enumerate(VOCABULARY) if number > UNKNOWN}
LONGEST = 5  # number of words of the longest instruction


def tokens(instruction: str, length: int = 8) -> np.ndarray:
    """Convert the words of an instruction to numbers.

    Args:
        instruction: Words separated by spaces; words beyond `length` are dropped.
        length: Number of results.

    Returns:
        (length,) int64: 1 for unknown words, and 0 after the last word.
    """
    numbers = np.zeros(length, np.int64)
    words = instruction.split()[:length]
    numbers[: len(words)] = [_NUMBERS.get(word, UNKNOWN) for word in words]
    return numbers


def _token_space(length: int) -> spaces.Box:
    return spaces.Box(0, len(VOCABULARY) - 1, (length,), np.int64)


def _tokenised(space: spaces.Space, length: int) -> spaces.Space:
    """Replace the text INSTR in a space by tokens.

    Raises:
        ValueError: The space has no INSTR.
    """
    if isinstance(space, spaces.Text):
        return _token_space(length)
    if isinstance(space, spaces.Dict) and "INSTR" in space.spaces:
        return spaces.Dict(
            {name: _token_space(length) if name == "INSTR" else part for name, part in space.spaces.items()}
        )
    raise ValueError(f"InstructionTokens needs an environment with the observation 'INSTR', got observations {space}.")


class InstructionTokens(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Replaces the text INSTR by the numbers of its words in a fixed vocabulary (`VOCABULARY`).

    Args:
        env: An environment with INSTR among its observations.
        length: Number of tokens per instruction; instructions have up to 5 words.
    """

    def __init__(self, env: gym.Env[Any, Any], length: int = 8) -> None:
        length = integer("length", length)
        gym.utils.RecordConstructorArgs.__init__(self, length=length)
        gym.ObservationWrapper.__init__(self, env)
        self.length = length
        self.observation_space = _tokenised(env.observation_space, length)

    def observation(self, observation: Any) -> Any:
        """Replace the text in an observation by tokens, (length,) int64."""
        if isinstance(observation, str):
            return tokens(observation, self.length)
        return {**observation, "INSTR": tokens(observation["INSTR"], self.length)}


class VectorInstructionTokens(VectorWrapper[Any, Any, Any, Any, np.ndarray]):
    """`InstructionTokens` for a batch in any autoreset mode: INSTR becomes (N, length) int64.

    Args:
        env: The batch.
        length: As for `InstructionTokens`.
    """

    def __init__(self, env: VectorEnv, length: int = 8) -> None:
        super().__init__(env)
        self.length = integer("length", length)
        self.single_observation_space = _tokenised(env.single_observation_space, self.length)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environments; observations contain tokens."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._replace(observations), infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step the environments; observations contain tokens, also in `final_obs`."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        if "final_obs" in infos:
            for i in np.flatnonzero(infos["_final_obs"]):
                last = infos["final_obs"][i]
                infos["final_obs"][i] = (
                    self._one(last) if isinstance(last, str) else {**last, "INSTR": self._one(last["INSTR"])}
                )
        return self._replace(observations), rewards, terminations, truncations, infos

    def _one(self, text: str) -> np.ndarray:
        return tokens(text, self.length)

    def _replace(self, observations: Any) -> Any:
        if isinstance(observations, tuple):
            return np.stack([self._one(text) for text in observations])
        return {**observations, "INSTR": np.stack([self._one(text) for text in observations["INSTR"]])}

"""Instructions as numbers."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import flexlam_rl  # noqa: F401
from flexlam_rl.envs.registration import DEFAULT_ID, level_id
from flexlam_rl.envs.wrappers.instructions import (
    PADDING,
    UNKNOWN,
    VOCABULARY,
    InstructionTokens,
    VectorInstructionTokens,
    tokens,
)

LANGUAGE = level_id("language_execute_random_task")


def test_vocabulary() -> None:
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 2 + 49
    assert VOCABULARY[2:8] == ("Every", "object", "near", "red", "green", "blue"), "numbers of words never change"


def test_tokens() -> None:
    numbers = tokens("magenta object near wine_glass")
    assert [VOCABULARY[n] for n in numbers] == ["magenta", "object", "near", "wine_glass", "", "", "", ""]
    assert tokens("a red hat", 2).tolist() == [UNKNOWN, VOCABULARY.index("red")]
    assert tokens("", 3).tolist() == [PADDING] * 3


def test_every_instruction_of_the_level_is_known() -> None:
    env = InstructionTokens(gym.make(LANGUAGE, engine="litelab", observations=["INSTR"]))
    plain = gym.make(LANGUAGE, engine="litelab", observations=["INSTR"])
    for seed in range(60):
        numbers = env.reset(seed=seed)[0]
        text = plain.reset(seed=seed)[0]
        assert numbers in env.observation_space and UNKNOWN not in numbers
        assert " ".join(VOCABULARY[n] for n in numbers).strip() == text


def test_in_a_dictionary_and_a_spec() -> None:
    env = InstructionTokens(gym.make(LANGUAGE, engine="litelab", observations=["INSTR", "VEL.TRANS"]), length=6)
    assert env.observation_space["INSTR"] == spaces.Box(0, 50, (6,), np.int64)
    assert env.reset(seed=0)[0] in env.observation_space
    assert env.step(0)[0] in env.observation_space
    assert env.spec.additional_wrappers[-1].kwargs == {"length": 6}
    assert gym.make(env.spec).observation_space == env.observation_space


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_batch(mode: str) -> None:
    env = VectorInstructionTokens(
        gym.make_vec(
            DEFAULT_ID,
            num_envs=2,
            level="language_execute_random_task",
            engine="litelab",
            observations=["INSTR", "VEL.TRANS"],
            autoreset_mode=mode,
            config={"episodeLengthSeconds": "0.1"},
        )
    )
    observations, _ = env.reset(seed=0)
    assert observations["INSTR"].shape == (2, 8) and observations in env.observation_space
    for _ in range(3):
        observations, _, _, truncated, infos = env.step(np.zeros(2, int))
        assert observations in env.observation_space
        if mode == "SameStep" and truncated.any():
            assert infos["final_obs"][0] in env.single_observation_space


def test_refusals() -> None:
    env = gym.make(DEFAULT_ID, engine="litelab")
    with pytest.raises(ValueError, match="needs an environment with the observation 'INSTR'"):
        InstructionTokens(env)
    with pytest.raises(ValueError, match="length must be"):
        InstructionTokens(gym.make(LANGUAGE, engine="litelab", observations=["INSTR"]), length=0)

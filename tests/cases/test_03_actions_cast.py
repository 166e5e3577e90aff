"""What a column cannot hold exactly is refused, and nothing of it is stored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexlam_rl.datasets import Episode, Origin, RolloutWriter
from flexlam_rl.datasets.store import RolloutStore

STEPS = 5
FRAMES = np.random.default_rng(0).integers(0, 256, (STEPS + 1, 16, 16, 3), dtype=np.uint8)
GOOD: dict[str, Any] = {"frames": FRAMES, "action": np.arange(STEPS), "reward": np.zeros(STEPS)}
TABLE = tuple((number, 0, 0, 0, 0, 0, 0) for number in range(STEPS))


def column(*values: object) -> np.ndarray:
    """A column of zeros and these values."""
    return np.array([0] * (STEPS - len(values)) + list(values))


BAD = {
    "fraction": {"action": column(1.7)},
    "half": {"action": np.full(STEPS, 0.5, np.float16)},
    "not a number": {"action": column(np.nan)},
    "null": {"action": np.array([0, 1, None, 0, 0])},
    "masked": {"action": np.ma.array(np.zeros(STEPS, int), mask=[0, 0, 1, 0, 0])},
    "too large": {"action": column(70_000)},
    "wraps twice": {"action": np.full(STEPS, 2**64 - 65_536, np.uint64)},
    "minus one": {"action": column(-1)},
    "bool": {"action": np.ones(STEPS, bool)},
    "text": {"action": np.array(["1"] * STEPS)},
    "one too few": {"action": np.zeros(STEPS - 1, int)},
    "a row more of numbers": {"action": np.zeros((STEPS, 1), int)},
    "native fraction": {"action_native": np.full((STEPS, 7), 0.7)},
    "native too large": {"action_native": np.full((STEPS, 7), 70_000)},
    "native of six": {"action_native": np.zeros((STEPS, 6), int)},
    "reward beyond float32": {"reward": column(1e300)},
    "reward between float32": {"reward": column(0.1)},
    "reward below float32": {"reward": column(1e-60)},
    "whole reward beyond float32": {"reward": np.full(STEPS, 2**24 + 1)},
    "largest whole reward": {"reward": np.full(STEPS, 2**63 - 1)},
    "infinite reward": {"reward": column(np.inf)},
    "reward not a number": {"reward": column(np.nan)},
    "complex reward": {"reward": np.full(STEPS, 1 + 1j)},
    "restart of two": {"restart": np.full(STEPS + 1, 2)},
    "restart of a half": {"restart": np.full(STEPS + 1, 0.5)},
    "terminated text": {"terminated": "False"},
    "truncated two": {"truncated": 2},
    "float frames": {"frames": FRAMES.astype(np.float32)},
    "wide frames": {"frames": FRAMES.astype(np.int16) + 300},
    "masked frames": {"frames": np.ma.array(FRAMES, mask=FRAMES == 3)},
    "numbers as instructions": {"instruction": [1] * (STEPS + 1)},
    "seed beyond int64": {"seed": 2**63},
    "fractional seed": {"seed": 1.5},
    "key below -1": {"key": -2},
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused(tmp_path: Path, name: str) -> None:
    with RolloutWriter(tmp_path, "x", "train", Origin(engine="x")) as writer:
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            writer.append_episodes([Episode(**GOOD), Episode(**{**GOOD, **BAD[name]})])
        assert writer.episodes == 0
    assert not (writer.path / "zarr.json").exists()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64, np.int64, np.float16, np.float64, ">i4", ">f8"])
def test_numbers_of_every_type_are_stored_where_they_fit(tmp_path: Path, dtype: Any) -> None:
    numbers = np.array([0, 1, 2, 3, 4], dtype)
    one = Episode(
        FRAMES,
        numbers,
        numbers,
        action_native=np.repeat(numbers[:, None], 7, 1),
        restart=np.arange(6) == 3,
        terminated=np.bool_(True),
    )
    with RolloutWriter(tmp_path, "x", "train", Origin(engine="x")) as writer:
        writer.append_episode(one)
    found = RolloutStore(writer.path).episode_at(0)
    np.testing.assert_array_equal(found.action, range(STEPS))
    np.testing.assert_array_equal(found.action_native, np.repeat(np.arange(STEPS)[:, None], 7, 1))
    np.testing.assert_array_equal(found.reward, range(STEPS))
    assert found.terminated and not found.truncated and found.restart is not None and found.restart[3]


def test_actions_outside_the_table_are_refused(tmp_path: Path) -> None:
    with RolloutWriter(tmp_path, "x", "train", Origin(engine="x", action_table=TABLE)) as writer:
        for action in (-1, STEPS):
            with pytest.raises(ValueError, match=f"{action}"):
                writer.append_episode(Episode(**{**GOOD, "action": column(action)}))


def test_a_store_of_float64_keeps_every_reward(tmp_path: Path) -> None:
    reward = np.array([0.1, 1e300, -1e-300, 2**53, -0.0])
    for key in range(2):
        with RolloutWriter(
            tmp_path, "x", "train", Origin(engine="x"), reward="float64" if key == 0 else "float32"
        ) as writer:
            writer.append_episode(Episode(FRAMES, np.arange(STEPS), reward, key=key))
    store = RolloutStore(writer.path)
    for one in store.iter_episodes():
        assert one.reward is not None and one.reward.tobytes() == reward.tobytes()


@pytest.mark.parametrize("name", ["float32 of float64", "int8 of 300", "bool of 2", "depth of text", "uint8 of -1"])
def test_extra_columns_keep_their_numbers(tmp_path: Path, name: str) -> None:
    dtype, values = {
        "float32 of float64": ("float32", np.full((STEPS + 1, 3), 0.1)),
        "int8 of 300": ("int8", np.full((STEPS + 1, 3), 300)),
        "bool of 2": ("bool", np.full((STEPS + 1, 3), 2)),
        "depth of text": ("float32", np.full((STEPS + 1, 3), "1")),
        "uint8 of -1": ("uint8", np.full((STEPS + 1, 3), -1)),
    }[name]
    with RolloutWriter(tmp_path, "x", "train", Origin(engine="x"), extra={"pose": (dtype, (3,))}) as writer:
        with pytest.raises(ValueError, match="Extra column pose"):
            writer.append_episode(Episode(**GOOD, extra={"pose": values}))
        exact = np.ones((STEPS + 1, 3), np.float64)
        writer.append_episode(Episode(**GOOD, extra={"pose": exact}))
    np.testing.assert_array_equal(RolloutStore(writer.path).episode_at(0).extra["pose"], exact)


def test_half_precision_and_not_a_number_survive_in_extra_columns(tmp_path: Path) -> None:
    halves = np.array([0.1, np.nan, np.inf, -0.0, 65_504, 6e-8], np.float16)
    with RolloutWriter(tmp_path, "x", "train", Origin(engine="x"), extra={"half": (np.float16, ())}) as writer:
        writer.append_episode(Episode(**GOOD, extra={"half": halves}))
    assert RolloutStore(writer.path).column("extra/half")[:].tobytes() == halves.tobytes()

"""The same seeds give the episodes that they gave before there was one loop: in collections, in the suite and where
experts are measured.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.agents.collection.collect import Job, collect
from flexlam_rl.agents.collection.schedule import Settings
from flexlam_rl.agents.experts.scores import measure
from flexlam_rl.cli import main
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import store_path
from flexlam_rl.envs.spec import EnvSpec

ROOM, FARM = "rooms_exploit_deferred_effects_train", "natlab_varying_map_regrowth"


@pytest.mark.parametrize(
    ("expert", "level", "known"),
    [
        ("scripted", ROOM, (1133420204, 76, 219449883, 91.0)),
        ("scripted", FARM, (1112467036, 900, 1702111056, 26.0)),
        ("random", ROOM, (1133420204, 450, 2245141871, 9.0)),
        ("random", FARM, (1112467036, 900, 3494795489, 3.0)),
    ],
)
def test_collections(expert: str, level: str, known: tuple[int, int, int, float], tmp_path: Path) -> None:
    settings = Settings(expert, seed=3, spec=EnvSpec(frame_skip=8, width=32, height=32))
    collect(settings, Job([level], "train", 50, tmp_path, num_envs=2))
    (episode, *_) = RolloutStore(store_path(tmp_path, level, "train")).iter_episodes()
    assert episode.action is not None and episode.reward is not None
    actions = zlib.crc32(episode.action.astype("<i2").tobytes())
    assert (episode.seed, episode.length, actions, float(np.sum(episode.reward))) == known


@pytest.mark.parametrize(
    ("policy", "known"),
    [("random", [(6.0, 856), (3.0, 900)]), ("expert", [(10.0, 124), (2.0, 900)])],
)
def test_the_suite(policy: str, known: list[tuple[float, int]], tmp_path: Path) -> None:
    given = ["--policy", policy, "--tasks", ROOM, "--episodes", "2", "--engine", "litelab", "--no-plots"]
    assert main(["suite", "--out", str(tmp_path / "run"), *given]) == 0
    rows = json.loads((tmp_path / "run" / "results.json").read_bytes())["episodes"]
    assert [(row["return"], row["steps"]) for row in rows] == known


def test_measured_experts() -> None:
    assert measure(ROOM, Settings("random"), 3).returns == (5.0, 2.0, 5.0)
    assert measure(ROOM, Settings("scripted"), 3, num_envs=2).returns == (10.0, 1.0, 10.0)

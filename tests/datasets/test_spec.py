"""A store says how its environment was shown and controlled in the words of every other record."""

from pathlib import Path

import numpy as np

from flexlam_rl.datasets import Episode, Origin, RolloutStore, RolloutWriter
from flexlam_rl.envs.spec import EnvSpec

SPEC = EnvSpec(engine="litelab", action_set="impala9", action_hash="abc", frame_skip=8, width=20, height=12).with_look(
    hud="none", textures="labmaze"
)


def test_an_origin_made_of_a_record_gives_it_back(tmp_path: Path) -> None:
    origin = Origin.of(SPEC, policy="scripted", seed=3, action_table=[[0] * 7] * 9)
    assert (origin.policy, origin.seed, origin.hud, origin.frame_skip) == ("scripted", 3, "none", 8)
    assert not origin.spec.differences(SPEC, ignore=("frame size",))
    with RolloutWriter(tmp_path, "x", "train", origin) as writer:
        assert (RolloutStore(writer.path).spec.width if (writer.path / "zarr.json").exists() else 0) == 0
        writer.append_episode(Episode(np.zeros((3, 12, 20, 3), np.uint8), np.zeros(2, int), np.zeros(2)))
    assert RolloutStore(writer.path).spec == SPEC


def test_the_record_changes_nothing_on_disk() -> None:
    fields = {"env_id", "engine", "engine_version", "textures", "action_set", "action_table", "action_hash"}
    fields |= {"frame_skip", "hud", "policy", "policy_params", "seed", "references", "source"}
    fields |= {"domain", "look", "actions"}
    assert set(Origin.of(SPEC).attributes()) == fields
    assert Origin.of(SPEC, engine="deepmind_lab", hud="full").spec.engine == "deepmind_lab"


def test_worlds_that_are_not_dmlab_are_not_called_so() -> None:
    assert Origin(engine="deepmind_lab").spec.domain == "dmlab" and Origin(engine="gymnasium").spec.domain == ""

"""DMLab-40k made anew: walks that see all of a maze, with pose and depth, as a store and as TECO's files."""

from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.experts.wanderer import Wanderer
from flexlam_rl.cli import main
from flexlam_rl.datasets.formats.teco import export_teco, import_teco
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.validate import validate
from flexlam_rl.envs.domains.dmlab.actions import ACTION_SETS
from flexlam_rl.envs.domains.dmlab.vector import DMLabVectorEnv

TASK = "maze_quadrants"


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("walks")
    assert main(["collect", "--protocol", "dmlab-40k", "--steps", "600", "--out", str(out)]) == 0
    return out


def test_the_store_has_300_rows_an_episode_with_pose_and_depth(collected: Path) -> None:
    store = RolloutStore(collected / TASK / "train.zarr")
    assert validate(store.path).good and store.frames.row == (64, 64, 3)
    assert store.episode_table["rows"].tolist() == store.episode_table["length"].tolist() == [300, 300]
    assert store.origin.action_hash == ACTION_SETS["teco3"].hash and store.origin.frame_skip == 5
    one = store.episode_at(0)
    assert one.truncated and not one.reward.any() and set(one.extra) == {"depth", "position", "rotation"}  # type: ignore[union-attr]
    # what the camera sees straight ahead is as far away as the walk towards it is long
    position, yaw, depth = one.extra["position"], one.extra["rotation"][:, 1], one.extra["depth"]
    turns = (np.diff(yaw) + 180) % 360 - 180
    actions = one.action[:-1]  # type: ignore[index]
    assert turns[actions == 0] == pytest.approx(20.06, abs=0.02) and turns[actions == 1] == pytest.approx(
        -20.06, abs=0.02
    )
    moved = np.diff(position[:, :2], axis=0)
    ahead = np.stack([np.cos(np.radians(yaw[:-1])), np.sin(np.radians(yaw[:-1]))], -1)
    straight = (actions == 2) & (np.roll(actions, 1) == 2) & (np.linalg.norm(moved, axis=1) > 20)
    nearer = depth[:-1, 32, 32].astype(float) - depth[1:, 32, 32].astype(float)
    assert straight.sum() > 50
    expected = (moved * ahead).sum(1)[straight] * 255 / 4096
    assert np.median(nearer[straight]) == pytest.approx(np.median(expected), abs=1.0)


def test_files_are_teco_s_and_come_back_as_the_store(collected: Path, tmp_path: Path) -> None:
    store = RolloutStore(collected / TASK / "train.zarr")
    folder = collected / "npz" / TASK / "train"
    with np.load(folder / "000001.npz") as data:
        assert data["video"].shape == (300, 64, 64, 3) and data["video"].dtype == np.uint8
        assert data["actions"].shape == (300,) and data["depth"].shape == (300, 64, 64)
        assert data["position"].shape == data["rotation"].shape == (300, 3)
        assert data["intrinsics"].tolist() == [[32, 0, 32], [0, 32, 32], [0, 0, 1]]
    back = import_teco(folder, tmp_path / "back")
    assert (back.level, back.split, back.digest) == (store.level, store.split, store.digest)
    assert back.origin.engine == "litelab" and back.origin.action_table == store.origin.action_table
    for name in store.column_names:
        np.testing.assert_array_equal(back.column(name).read(), store.column(name).read(), err_msg=name)
    again = export_teco(back, tmp_path / "again")
    for path in again:
        with np.load(path) as mine, np.load(folder / path.name) as theirs:
            assert mine.files == theirs.files
            for name in mine.files:
                np.testing.assert_array_equal(mine[name], theirs[name])


def test_what_a_protocol_sets_is_not_given_and_litelab_alone_has_the_level(
    collected: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    base = ["collect", "--protocol", "dmlab-40k", "--steps", "300", "--out", str(tmp_path)]
    for more, words in (
        (["--expert", "random"], "expert is 'random'; --protocol dmlab-40k sets it to 'wanderer'"),
        (["--frame-skip", "4"], "frame_skip is 4"),
        (["--engine", "deepmind_lab"], "maze_quadrants, a level of litelab, which deepmind_lab does not have"),
    ):
        assert main([*base, *more]) != 0
        assert words in " ".join(capsys.readouterr().err.split())
    assert not any(tmp_path.iterdir())
    store = RolloutStore(collected / TASK / "train.zarr")
    (tmp_path / "000000.npz").touch()
    with pytest.raises(Exception, match="is not from an export"):
        export_teco(store, tmp_path)


def test_the_wanderer_sees_all_of_a_maze_the_same_way_wherever_it_walks() -> None:
    def walk(seeds: list[int], name: str = "teco3") -> tuple[np.ndarray, np.ndarray]:
        env = DMLabVectorEnv([TASK] * len(seeds), observations=("DEBUG.POS.TRANS",), action_set=name, frame_skip=5)
        seen, _ = env.reset(seed=seeds)
        expert = make_expert("wanderer", env, 1.0, 3)
        visited, actions = np.zeros((len(seeds), 7, 7), bool), []
        for _ in range(300):
            cells = (seen[:, :2] // 100).astype(int)
            visited[np.arange(len(seeds)), 6 - cells[:, 1], cells[:, 0]] = True
            actions.append(expert.predict(seen)[0])
            seen = env.step(actions[-1])[0]
        return visited.sum((1, 2)) / (env.worlds["cell"][:, :7, :7] != 1).sum((1, 2)), np.array(actions)

    covered, actions = walk(list(range(12)))
    assert covered.mean() > 0.97 and covered.min() > 0.8
    assert (walk([3])[1][:, 0] == actions[:, 3]).all()
    assert (walk([3], "native7")[1][:, 0] == ACTION_SETS["teco3"].table[actions[:, 3]]).all()
    with pytest.raises(ValueError, match=r"mazes of text.*rooms_watermaze"):
        Wanderer(DMLabVectorEnv(["rooms_watermaze"], observations=("DEBUG.POS.TRANS",), action_set="teco3"))

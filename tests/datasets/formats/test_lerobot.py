"""LeRobot datasets of version 3: what goes out comes back, datasets of others come in, and the package opens ours."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flexlam_rl.cli import main
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.formats.lerobot import export_lerobot, import_lerobot
from flexlam_rl.datasets.resize import Resize
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import RolloutWriter
from flexlam_rl.envs.action_spaces import action_spec_of
from flexlam_rl.envs.action_values import stored_actions
from flexlam_rl.utils.errors import StoreError
from flexlam_rl.utils.video import VideoReader

BOX = gym.spaces.Box(np.float32([-1, 0, 0]), np.float32([1, 1, 2]))
EXTRA: dict[str, Any] = {"observation.state": ("float32", (2,)), "wrist": ("uint8", (16, 16, 3))}


def episodes(space: gym.Space[Any], count: int = 4, height: int = 32, **changes: Any) -> list[Episode]:
    """Episodes of a world of colored blocks; some with a last view, a restart, several texts."""
    random = np.random.default_rng(0)
    space.seed(0)
    made = []
    for number in range(count):
        length, last = 5 + 2 * number, number % 2
        blocks = random.integers(0, 256, (length + last, height // 8, 4, 3), dtype=np.uint8)
        restart = np.zeros(length + last, bool)
        restart[3] = number == 1
        made.append(
            Episode(
                blocks.repeat(8, 1).repeat(8, 2),
                action=stored_actions(np.stack([space.sample() for _ in range(length)]), action_spec_of(space)),
                reward=random.standard_normal(length).astype(np.float32),
                terminated=number == 0,
                truncated=number == 2,
                restart=restart,
                instruction=["reach", *["lift"] * (length + last - 1)] if number == 3 else "reach",
                seed=number + 7,
                key=number + 100,
                **changes,
            )
        )
    return made


def write(root: Path, space: gym.Space[Any], made: list[Episode] | None = None, **options: Any) -> RolloutStore:
    """A store of these episodes."""
    spec = action_spec_of(space)
    origin = Origin(env_id="Blocks-v0", engine="blocks", actions=spec, action_hash=spec.hash, frame_skip=6)
    with RolloutWriter(root, "blocks", "train", origin, **options) as writer:
        writer.append_episodes(made or episodes(space))
    return RolloutStore(writer.path)


def with_extra(made: list[Episode]) -> list[Episode]:
    random = np.random.default_rng(1)
    for one in made:
        one.extra = {
            "observation.state": random.standard_normal((one.rows, 2)).astype(np.float32),
            "wrist": random.integers(0, 256, (one.rows, 16, 16, 3), dtype=np.uint8),
        }
    return made


@pytest.mark.parametrize("space", [BOX, gym.spaces.Discrete(5, start=2), gym.spaces.MultiDiscrete([3, 4])])
def test_an_exact_export_comes_back_as_it_was(tmp_path: Path, space: gym.Space[Any]) -> None:
    store = write(tmp_path / "data", space, with_extra(episodes(space)), extra=EXTRA)
    folder = export_lerobot(store, tmp_path / "out", frames="image", last_frames="row")
    [back] = import_lerobot(folder, tmp_path / "back")
    assert back.digest == store.digest and back.origin == store.origin and back.instructions == store.instructions
    assert back.path.relative_to(tmp_path / "back") == Path("blocks/train.zarr")
    for name in ("extra/wrist", "extra/observation.state", "restart", "terminated", "truncated", "instruction"):
        np.testing.assert_array_equal(back.column(name)[:], store.column(name)[:])


def test_dmlab_and_plain_video_come_back_too(tmp_path: Path) -> None:
    video = [Episode(one.frames, restart=one.restart, key=one.key) for one in episodes(BOX)]
    with RolloutWriter(tmp_path / "data", "video", "test", Origin(engine="video"), with_actions=False) as writer:
        writer.append_episodes(video)
    table = tuple((turn, 0, 0, 1, 0, 0, 0) for turn in (-20, 0, 20))
    with RolloutWriter(tmp_path / "data", "lab", "train", Origin(engine="litelab", action_table=table)) as lab:
        lab.append_episodes(episodes(gym.spaces.Discrete(3)))
    for path in (writer.path, lab.path):
        store = RolloutStore(path)
        folder = export_lerobot(store, tmp_path / store.level, frames="image", last_frames="row")
        [back] = import_lerobot(folder, tmp_path / "back")
        assert back.digest == store.digest and back.split == store.split and back.with_actions == store.with_actions


def test_mp4_is_what_is_said_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lossy frames, no last views; everything else is kept. Of the second camera, too."""
    store = write(tmp_path / "data", BOX, with_extra(episodes(BOX)), extra=EXTRA)
    assert main(["data", "export", "lerobot", str(tmp_path / "data"), "--out", str(tmp_path / "out")]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "frames are lossy H.264" in said and "the view after each last action is left out" in said
    assert "no map restarts" in said
    folder = tmp_path / "out/blocks-train"
    assert len(list(VideoReader(folder / "videos/observation.images.wrist/chunk-000/file-000.mp4"))) == store.steps
    [back] = import_lerobot(folder, tmp_path / "back")
    assert back.origin.source["lossy"] == "H.264 (LeRobot)" and back.steps == back.rows == store.steps
    for number in range(4):
        one, two = store.episode_at(number), back.episode_at(number)
        np.testing.assert_array_equal(one.action, two.action)
        np.testing.assert_array_equal(one.reward, two.reward)
        assert (one.terminated, one.truncated, one.seed, one.key) == (two.terminated, two.truncated, two.seed, two.key)
        np.testing.assert_array_equal(one.restart[: two.rows], two.restart)  # type: ignore[index]
        error = np.abs(one.frames[: two.rows].astype(int) - two.frames).mean()
        assert 0 < error < 12, "compressed, and the right frame"
        assert np.abs(one.frames[: two.rows - 1].astype(int) - two.frames[1:]).mean() > 3 * error


def test_meta_data_describe_the_dataset(tmp_path: Path) -> None:
    store = write(tmp_path / "data", BOX)
    folder = export_lerobot(store, tmp_path / "out")
    info, stats = (json.loads((folder / "meta" / name).read_text()) for name in ("info.json", "stats.json"))
    assert info["codebase_version"] == "v3.0" and info["fps"] == 10 and info["total_frames"] == store.steps
    assert info["features"]["action"] == {"dtype": "float32", "shape": [3], "names": None}
    assert info["features"]["observation.images.view"]["shape"] == [32, 32, 3]
    actions = np.concatenate([one.action for one in store.iter_episodes()])  # type: ignore[list-item]
    for name, wanted in (
        ("min", actions.min(0)),
        ("max", actions.max(0)),
        ("mean", actions.mean(0)),
        ("std", actions.std(0)),
    ):
        np.testing.assert_allclose(stats["action"][name], wanted, rtol=1e-5)
    shape = np.array(stats["observation.images.view"]["mean"]).shape
    assert shape == (3, 1, 1) and stats["action"]["count"] == [len(actions)]
    table = pq.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["length"] for row in table] == [5, 7, 9, 11]
    assert table[2]["dataset_from_index"] == 12 and table[2]["videos/observation.images.view/from_timestamp"] == 1.2
    assert table[3]["tasks"] == ["reach", "lift"]


def test_an_export_goes_on_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flexlam_rl.datasets.formats.lerobot.exporting.FILE_SECONDS", 1.3)
    store = write(tmp_path / "data", BOX)

    def content(folder: Path) -> dict[str, bytes]:
        return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    whole = export_lerobot(store, tmp_path / "whole")
    assert len(list((whole / "data").rglob("*.parquet"))) == 3

    def kill(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_lerobot(store, tmp_path / "killed", progress=kill)
    assert not (tmp_path / "killed/meta/info.json").exists() and list((tmp_path / "killed").rglob("*.mp4"))
    export_lerobot(store, tmp_path / "killed")
    assert content(tmp_path / "killed") == content(whole)
    [back] = import_lerobot(whole, tmp_path / "back")
    assert back.steps == store.steps


def foreign(folder: Path, tmp_path: Path) -> Path:
    """A dataset as others write them: without our marks, two cameras, one more feature of texts."""
    store = write(tmp_path / "source", BOX, with_extra(episodes(BOX, 10)), extra=EXTRA)
    export_lerobot(store, folder)
    info = json.loads((folder / "meta/info.json").read_text())
    del info["flexlam_rl"]
    for name in [name for name in info["features"] if name.startswith("flexlam_rl.")]:
        del info["features"][name]
    info["features"]["note"] = {"dtype": "string", "shape": [1], "names": None}
    (folder / "meta/info.json").write_text(json.dumps(info))
    file = folder / "data/chunk-000/file-000.parquet"
    table = pq.read_table(file)
    table = table.select([name for name in table.column_names if not name.startswith("flexlam_rl.")])
    pq.write_table(table.append_column("note", pa.array(["x"] * len(table))), file)
    return folder


def test_datasets_of_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = foreign(tmp_path / "arm", tmp_path)
    source = RolloutStore(tmp_path / "source/blocks/train.zarr")
    command = ["data", "import", "lerobot", str(folder), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "has the cameras observation.images.view, observation.images.wrist: choose with --camera" in " ".join(
        capsys.readouterr().err.split()
    )
    command += ["--camera", "observation.images.view", "observation.images.wrist", "--size", "16"]
    assert main(command) == 0 and "are left out: note" in " ".join(capsys.readouterr().err.split())
    train, test = (RolloutStore(tmp_path / f"out/arm/{split}.zarr") for split in ("train", "test"))
    assert (train.episodes, test.episodes) == (9, 1) and train.frames.row == (16, 16, 3) and train.fps == 10
    one, two = source.episode_at(3), train.episode_at(3)
    np.testing.assert_array_equal(one.action, two.action)
    np.testing.assert_array_equal(one.reward, two.reward)
    np.testing.assert_array_equal(one.extra["observation.state"][: two.rows], two.extra["observation.state"])
    assert list(two.instruction)[:2] == ["reach", "lift"] and two.extra["observation.images.wrist"].shape[1:] == (
        16,
        16,
        3,
    )
    assert train.episode_at(0).terminated and not train.episode_at(1).terminated
    taken = np.concatenate([one.action for one in source.iter_episodes()])  # type: ignore[list-item]
    assert train.actions is not None
    assert train.actions.low == tuple(taken.min(0).tolist()) and train.actions.high == tuple(taken.max(0).tolist())
    assert main(command) == 0 and RolloutStore(train.path).episodes == 9  # again: nothing is added
    assert main([*command, "--test-share", "0.3"]) == 2
    assert "test_share" in capsys.readouterr().err
    given = import_lerobot(folder, tmp_path / "one", "arm", ["observation.images.wrist"], "train", bounds=(-3, 3))
    assert given[0].actions is not None and given[0].actions.low == (-3.0,) * 3 and given[0].frames.row == (16, 16, 3)


def test_bad_datasets_get_one_sentence(tmp_path: Path) -> None:
    def refused(sentence: str, **options: Any) -> None:
        with pytest.raises((ValueError, StoreError), match=sentence):
            import_lerobot(folder, tmp_path / "out", **options)
        assert not (tmp_path / "out").exists()

    folder = tmp_path
    refused(r"holds no LeRobot dataset: it has no meta/info\.json")
    folder = foreign(tmp_path / "arm", tmp_path)
    cameras = {"cameras": ["observation.images.view"]}
    refused("has no camera 'top': it has observation.images.view", cameras=["top"])
    refused("10 episodes and a test share of 0.05 leave none for the test split", test_share=0.05, **cameras)
    info = folder / "meta/info.json"
    good = json.loads(info.read_text())
    info.write_text(json.dumps(good | {"codebase_version": "v2.1"}))
    refused("version 'v2.1': expected 'v3.0'")
    good["features"]["action"]["dtype"] = "string"
    info.write_text(json.dumps(good))
    refused("actions of the type string: expected numbers", **cameras)


def test_what_lerobot_has_no_place_for_is_refused(tmp_path: Path) -> None:
    odd = [Episode(one.frames[:, :31], one.action, one.reward) for one in episodes(BOX)]
    store = write(tmp_path / "odd", BOX, odd)
    with pytest.raises(ValueError, match="frames of 32x31: videos need even sizes"):
        export_lerobot(store, tmp_path / "no")
    silent = [*episodes(BOX, 1), Episode(episodes(BOX, 1)[0].frames)]
    with pytest.raises(ValueError, match=r"Episode 1 of .* is video without actions"):
        export_lerobot(write(tmp_path / "silent", BOX, silent), tmp_path / "no")
    assert not (tmp_path / "no").exists()
    assert Resize.parse("8")(odd[0].frames[0]).shape == (8, 8, 3)


READ = """
import json, sys
import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
found = {}
for root in sys.argv[1:]:
    data = LeRobotDataset("us/blocks", root=root, video_backend="pyav", delta_timestamps={"action": [0, 0.1]})
    items = [data[i] for i in range(len(data))]
    found[root] = {
        "length": len(data), "episodes": data.num_episodes, "fps": data.fps, "tasks": [one["task"] for one in items],
        "actions": [one["action"][0].tolist() for one in items], "next": [one["action"][1].tolist() for one in items],
        "means": [float(one["observation.images.view"].mean()) for one in items],
        "shape": list(items[0]["observation.images.view"].shape),
        "wrist": list(items[0]["observation.images.wrist"].shape),
        "stats": data.meta.stats["action"]["mean"].tolist(),
    }
print("FOUND" + json.dumps(found))
"""


@pytest.mark.skipif(
    "FLEXLAM_LEROBOT_PYTHON" not in os.environ,
    reason="FLEXLAM_LEROBOT_PYTHON names no Python that has the lerobot package, in an environment of its own",
)
def test_lerobot_itself_opens_what_we_write(tmp_path: Path) -> None:
    store = write(tmp_path / "data", BOX, with_extra(episodes(BOX)), extra=EXTRA)
    folders = [export_lerobot(store, tmp_path / "video"), export_lerobot(store, tmp_path / "image", frames="image")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    command = [os.environ["FLEXLAM_LEROBOT_PYTHON"], "-c", READ, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.partition("FOUND")[2])
    whole = [store.episode_at(i) for i in range(store.episodes)]
    actions = np.concatenate([one.action for one in whole])  # type: ignore[list-item]
    means = np.concatenate([one.frames[: one.length].mean((1, 2, 3)) for one in whole]) / 255
    for folder, near in zip(folders, (0.03, 1e-6), strict=True):
        one = found[str(folder)]
        assert (one["length"], one["episodes"], one["fps"]) == (store.steps, store.episodes, 10)
        assert one["shape"] == [3, 32, 32] and one["wrist"] == [3, 16, 16]
        np.testing.assert_allclose(one["actions"], actions)
        np.testing.assert_allclose(one["next"][0], actions[1])
        np.testing.assert_allclose(one["stats"], actions.mean(0), rtol=1e-5)
        np.testing.assert_allclose(one["means"], means, atol=near)
        assert one["tasks"] == ["reach"] * 22 + ["lift"] * 10

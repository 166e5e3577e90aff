"""`flexlam data` and what it shows."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stamps import ORIGIN, episode

from flexlam_rl.cli import main
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.look import action_names, episode_pictures, sheet_pictures, summary, throughput
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import RolloutWriter
from flexlam_rl.envs.domains.dmlab.actions import ACTION_SETS
from flexlam_rl.envs.domains.dmlab.returns import litelab_table
from flexlam_rl.utils.video import VideoReader

Make = Callable[..., tuple[RolloutStore, list[Episode]]]
LITELAB = litelab_table()["levels"]["rooms_watermaze"]
ROLES = {"random": "random", "scripted expert": "expert"}
TABLE = tuple(map(tuple, ACTION_SETS["dreamer15"].table.tolist()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A collection of two levels with real-sized frames."""
    origin = replace(ORIGIN, action_table=TABLE, references={"random": 1.0, "expert": 50.0})
    for level in range(2):
        with RolloutWriter(tmp_path / "data", ("alpha", "beta")[level], "train", origin) as writer:
            for number in range(3):
                small = episode(level, number, 40, (5,))
                frames = np.random.default_rng(number).integers(0, 255, (41, 64, 64, 3), np.uint8)
                action = np.full(40, number, np.int16)
                writer.append_episode(
                    replace(small, frames=frames, action=action, action_native=None, truncated=number < 2)
                )
    return tmp_path / "data"


def test_inspect_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "inspect", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["level"] for entry in found] == ["alpha", "beta"]
    one = found[0]
    assert (one["rows"], one["steps"], one["episodes"], one["cut_episodes"], one["restarts"]) == (123, 120, 3, 1, 3)
    assert one["pairs"] == 3 * 39 and one["windows_34"] == 3 * (36 - 33)
    assert one["actions"][:4] == [40, 40, 40, 0] and len(one["actions"]) == 15
    assert one["return"] == {"mean": 780.0, "standard_error": 0.0, "episodes": 2}
    assert one["raw_fraction"] > 1 and one["pairs_per_s"] > 0 and one["windows_per_s"] > 0
    assert main(["data", "inspect", str(folder), "--no-speed", "--level", "beta"]) == 0
    said = capsys.readouterr().out
    assert "beta/train" in said and "alpha" not in said
    assert "random 1, expert 50" in said and "2 strafe" not in said and "forward" in said


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ({"engine": "deepmind_lab"}, {"random": 4.065, "human": 54.0, "paper expert": 28.32}),
        (
            {"engine": "litelab", "action_set": "dreamer15"},
            {role: LITELAB[name]["mean"] for role, name in ROLES.items()},
        ),
        ({"engine": "litelab", "action_set": "impala9"}, {}),
        ({"engine": "litelab", "action_set": "dreamer15", "frame_skip": 8}, {}),
        ({"engine": "another"}, {}),
    ],
)
def test_references_are_those_of_the_same_engine_and_actions(
    tmp_path: Path, origin: dict[str, Any], expected: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    with RolloutWriter(tmp_path, "rooms_watermaze", "train", replace(ORIGIN, **origin)) as writer:
        writer.append_episode(episode(0, 0, 40))
    assert main(["data", "inspect", str(tmp_path), "--json", "--no-speed"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["references"] == pytest.approx(expected, abs=0.006)


def test_validate_tells_good_from_damaged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "validate", str(folder)]) == 0
    assert capsys.readouterr().out.count(": good") == 2
    file = folder / "alpha/train.zarr/frames/c/0/0/0/0"
    data = bytearray(file.read_bytes())
    data[1000] ^= 1
    file.write_bytes(data)
    assert main(["data", "validate", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "alpha/train.zarr: 123 rows" in said and "1 problems" in said
    assert "Chunk 0 of shard 0 of " in said and str(file) in said
    assert "beta/train.zarr: 123 rows, 3 episodes" in said and ": good" in said


def test_sheet_and_video(folder: Path, tmp_path: Path) -> None:
    sheet, video = tmp_path / "sheet.png", tmp_path / "out.mp4"
    assert main(["data", "sheet", str(folder), "--level", "alpha", "-o", str(sheet), "--count", "9"]) == 0
    picture = np.asarray(Image.open(sheet))
    assert picture.shape[1] == 3 * 128 + 2 * 4
    assert main(["data", "video", str(folder / "beta/train.zarr"), "--episode", "-1", "-o", str(video)]) == 0
    reader = VideoReader(video)
    assert len(list(reader)) == 41 and reader.fps == 15
    assert main(["data", "sheet", str(folder), "-o", str(tmp_path / "many")]) == 0
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == ["alpha-train.png", "beta-train.png"]


def test_plain_video_has_the_size_of_the_frames(folder: Path, tmp_path: Path) -> None:
    assert main(["data", "video", str(folder), "--level", "alpha", "--plain", "-o", str(tmp_path / "p.mp4")]) == 0
    assert next(iter(VideoReader(tmp_path / "p.mp4"))).frame.shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["inspect", "nowhere"], "nowhere is no folder"),
        (["inspect", "{}", "--level", "gamma"], "no rollouts of gamma"),
        (["sheet", "{}", "-o", "a.png"], "a.png is one file, but there are 2 stores"),
        (["video", "{}", "--level", "alpha", "-o", "a.png"], "ends in .mp4"),
        (["video", "{}", "--level", "alpha", "-o", "a.mp4", "--episode", "9"], "Episode 9 of"),
        (["look", "{}"], "see flexlam data --help"),
    ],
)
def test_wrong_use_gets_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["data", *(argument.format(folder) for argument in arguments)]) == 2
    said = capsys.readouterr().err
    assert sentence in said and len(said.strip().splitlines()) == 1


def test_actions_and_rewards_are_drawn_in(folder: Path) -> None:
    store = RolloutStore(folder / "alpha/train.zarr")
    pictures = list(episode_pictures(store, 0))
    assert len(pictures) == 41 and pictures[0].shape == (256 + 3 * 14, 256, 3)
    np.testing.assert_array_equal(pictures[0][:256:4, ::4], store.frames[0])
    texts = [picture[256:] for picture in pictures]
    assert (texts[0] != texts[1]).any() and texts[0].std() > 0
    assert action_names(store)[:3] == ["forward", "back", "left"] and action_names(store)[13] == "forward turn+60"
    assert len(sheet_pictures(store, 4, episode=1)) == 4


def test_video_stores_have_no_actions_to_show(make_store: Make) -> None:
    store, _ = make_store(with_actions=False)
    found = summary(store)
    assert "return" not in found and "actions" not in found
    assert len(list(episode_pictures(store, 0))) == store.episode_table["rows"][0]
    assert sheet_pictures(store, 5)
    assert throughput(store, 0.05)["pairs_per_s"] > 0

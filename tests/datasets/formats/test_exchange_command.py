"""`flexlam data import|export|labels`: what the commands leave, that they continue, and how they refuse."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stamps import ORIGIN, episode

from flexlam_rl.cli import main
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.formats.mp4 import export_mp4
from flexlam_rl.datasets.formats.parquet import export_parquet, import_parquet
from flexlam_rl.datasets.labels import load_labels
from flexlam_rl.datasets.pictures import encode_png
from flexlam_rl.datasets.store import RolloutStore, open_rollouts
from flexlam_rl.datasets.writer import RolloutWriter
from flexlam_rl.envs.domains.dmlab.actions import ACTION_SETS
from flexlam_rl.utils.video import VideoReader

Make = Callable[..., tuple[RolloutStore, list[Episode]]]
DREAMER = ACTION_SETS["dreamer15"]
LEVEL = "explore_object_rewards_few"


def turning(seed: int, steps: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a view that turns as its actions say, and the actions."""
    random = np.random.default_rng(seed)
    wide = np.tile(random.integers(0, 255, (64, 360, 3), np.uint8), (1, 3, 1))
    actions = random.choice([0, 4, 5, 6, 7], steps)
    turned = DREAMER.table[actions, 0] * 18 // 60
    places = 360 + np.append(0, np.cumsum(turned))[:-1] % 360
    return np.stack([wide[:, p : p + 64] for p in places]), actions


def hub_file(path: Path, seed: int, lag: int = 0) -> np.ndarray:
    """A file as the hub has them, its actions moved down by `lag`; gives the frames."""
    frames, actions = turning(seed)
    table = {
        "observation": [{"bytes": encode_png(frame), "path": None} for frame in frames],
        "action": pa.array(np.roll(actions, lag), pa.int32()),
        "reward": pa.array(np.zeros(len(frames)), pa.float32()),
        "terminated": np.zeros(len(frames), bool),
        "truncated": np.arange(len(frames)) == len(frames) - 1,
    }
    pq.write_table(pa.table(table), path)
    return frames


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A collection of two levels of 64x64 frames with map restarts, as litelab would leave it."""
    origin = replace(
        ORIGIN, engine="litelab", action_set=DREAMER.name, action_hash=DREAMER.hash, action_table=DREAMER.rows
    )
    for level in ("alpha", "beta"):
        with RolloutWriter(tmp_path / "data", level, "test", origin) as writer:
            for number in range(3):
                small = episode(0, number, 12, (5,))
                frames = np.random.default_rng(number).integers(0, 255, (13, 64, 64, 3), np.uint8)
                writer.append_episode(
                    replace(small, frames=frames, action=np.arange(12, dtype=np.int16), action_native=None)
                )
    return tmp_path / "data"


def run(*arguments: object) -> int:
    return main(["data", *map(str, arguments)])


def test_hub_files_come_in_as_the_real_engines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    frames = [hub_file(tmp_path / "in" / f"{i}.parquet", i) for i in range(2)]
    assert run("import", "parquet", tmp_path / "in", "--level", LEVEL, "--out", tmp_path / "out") == 0
    assert "2 episodes, 240 steps" in capsys.readouterr().out
    store = RolloutStore(tmp_path / "out" / LEVEL / "train.zarr")
    assert (store.origin.engine, store.origin.action_hash) == ("deepmind_lab", DREAMER.hash)
    for i in range(2):
        np.testing.assert_array_equal(store.episode_at(i).frames, frames[i])
        np.testing.assert_array_equal(store.episode_at(i).action, turning(i)[1])


def test_shifted_hub_files_are_refused_and_moved_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub_file(tmp_path / "a.parquet", 0, lag=1)
    order = ("import", "parquet", tmp_path / "a.parquet", "--level", LEVEL, "--out", tmp_path / "out")
    assert run(*order) == 2
    assert "import with shift=1" in capsys.readouterr().err
    assert run(*order, "--shift", 1) == 0
    np.testing.assert_array_equal(RolloutStore(tmp_path / "out" / LEVEL / "train.zarr").action[:], turning(0)[1][:-1])


@pytest.mark.parametrize("form", ["parquet", "minari"])
def test_out_and_in_again(folder: Path, tmp_path: Path, form: str) -> None:
    """The store that comes back names the same engine and holds the same frames, actions and map restarts."""
    if form == "minari":
        pytest.importorskip("minari")
    assert run("export", form, folder, "--level", "beta", "-o", tmp_path / "there") == 0
    if form == "parquet":
        order = ("import", form, tmp_path / "there" / "beta", "--trust", "-o", tmp_path / "back")
    else:
        order = ("import", form, tmp_path / "there/dmlab/beta/test-v0/data", "-o", tmp_path / "back")
    assert run(*order) == 0
    store, back = RolloutStore(folder / "beta/test.zarr"), RolloutStore(tmp_path / "back/beta/test.zarr")
    assert replace(back.origin, source={}) == replace(store.origin, source={})
    assert back.episodes == store.episodes
    for number in range(store.episodes):
        one, two = store.episode_at(number), back.episode_at(number)
        rows = two.rows  # parquet has no place for the last view
        np.testing.assert_array_equal(one.frames[:rows], two.frames)
        np.testing.assert_array_equal(one.restart[:rows], two.restart)  # type: ignore[index]
        np.testing.assert_array_equal(one.action, two.action)
        np.testing.assert_array_equal(one.reward, two.reward)
        assert list(one.instruction)[:rows] == list(two.instruction)


def test_mp4_files_hold_every_frame(folder: Path, tmp_path: Path) -> None:
    assert run("export", "mp4", folder, "-o", tmp_path / "out") == 0
    files = sorted((tmp_path / "out").rglob("*.mp4"))
    assert [str(file.relative_to(tmp_path / "out")) for file in files] == [
        f"{a}-test/episode-00000{n}.mp4" for a in ("alpha", "beta") for n in range(3)
    ]
    frames = [frame for _, frame in VideoReader(files[4])]
    assert len(frames) == 13 and frames[0].shape == (64, 64, 3)


def test_exports_continue_and_never_keep_what_is_old(make_store: Make, tmp_path: Path) -> None:
    store, _ = make_store()
    for export in (
        lambda s: export_parquet(s, tmp_path / "p", episodes_per_file=8),
        lambda s: export_mp4(s, tmp_path / "v"),
    ):
        files = export(store)
        times = [file.stat().st_mtime_ns for file in files]
        files[1].unlink()  # as if it had been killed before this one
        assert export(store) == files
        assert [file.stat().st_mtime_ns == time for file, time in zip(files, times, strict=True)] == [True, False] + [
            True
        ] * (len(files) - 2)
    with RolloutWriter(tmp_path / "data", "alpha", "train", ORIGIN, chunk=4, shard=64) as writer:
        writer.append_episode(episode(0, 99, 9))
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "p").glob("*.parquet")}
    grown = export_parquet(RolloutStore(store.path), tmp_path / "p", episodes_per_file=8)
    assert all(file.stat().st_mtime_ns != before.get(file) for file in grown)
    assert sum(pq.read_metadata(file).num_rows for file in grown) == store.steps + 9


def test_a_minari_export_is_kept_or_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("minari")
    order = ("export", "minari", folder, "--level", "alpha", "-o", tmp_path / "out")
    assert run(*order) == 0
    data = tmp_path / "out/dmlab/alpha/test-v0/data"
    time = (data / "main_data.hdf5").stat().st_mtime_ns
    assert run(*order) == 0
    assert (data / "main_data.hdf5").stat().st_mtime_ns == time
    assert run(*order, "--jpeg") == 2
    assert "contains something else: delete it" in capsys.readouterr().err


def test_progress_ends_where_it_said(make_store: Make, tmp_path: Path) -> None:
    store, episodes = make_store()
    told: list[tuple[int, int]] = []
    export_parquet(
        store, tmp_path / "p", episodes_per_file=5, last_frames="row", progress=lambda *numbers: told.append(numbers)
    )
    assert told == [(n, 5) for n in range(6)]
    told.clear()
    import_parquet(
        tmp_path / "p",
        tmp_path / "s",
        "alpha",
        "train",
        ORIGIN,
        alignment="trust",
        progress=lambda *numbers: told.append(numbers),
    )
    rows = np.cumsum([0, *(one.rows for one in episodes)]).tolist()
    assert told == [(done, rows[-1]) for done in rows]


def test_labels_are_drawn_and_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("labels", folder, "--split", "test") == 0
    assert "has no label set" in capsys.readouterr().out
    assert run("labels", folder, "--split", "test", "--name", "few", "--count", 10, "--validation", 0.2) == 0
    assert run("labels", folder, "--split", "test", "--name", "narrow", "--fraction", 0.1, "--level", "beta") == 0
    capsys.readouterr()
    assert run("labels", folder, "--split", "test") == 0
    few, narrow = capsys.readouterr().out.splitlines()
    assert few.startswith("few: 8 labels for training, 2 for validation") and few.endswith(
        "of 72 steps, from 2 levels."
    )
    assert narrow.startswith("narrow: 6 labels for training, 1 for validation") and narrow.endswith("from 1 levels.")
    assert [len(rows) for rows in load_labels(open_rollouts(folder, split="test"), "narrow").rows] == [0, 6]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["import", "parquet", "{t}/none.parquet", "--level", LEVEL, "-o", "{t}/o"], "none.parquet does not exist"),
        (["import", "parquet", "{t}/hub.parquet", "-o", "{t}/o"], "give --level"),
        (["import", "parquet", "{t}/hub.parquet", "--level", "explore_nothing", "-o", "{t}/o"], "'explore_nothing'"),
        (["import", "parquet", "{t}/bad.npz", "--level", LEVEL, "-o", "{t}/o"], "bad.npz"),
        (["import", "parquet", "-o", "{t}/o", "--level", LEVEL], "No files to import"),
        (["import", "teco", "{t}/nowhere", "-o", "{t}/o"], "nowhere is no folder"),
        (["import", "teco", "{t}", "-o", "{t}/o"], "bad.npz is damaged"),
        (["import", "rl-unplugged", "{t}/hub.parquet", "--level", "x", "-o", "{t}/o"], "Record 0 of"),
        (["import", "minari", "{t}", "-o", "{t}/o"], "contains no Minari dataset"),
        (["export", "parquet", "{t}/nowhere", "-o", "{t}/o"], "nowhere is no folder"),
        (["export", "mp4", "{d}", "--level", "gamma", "-o", "{t}/o"], "no rollouts of gamma"),
        (["export", "gif", "{d}", "-o", "{t}/o"], "see flexlam data --help"),
        (["labels", "{d}", "--split", "test", "--name", "a"], "fraction is None, count is None"),
        (
            ["labels", "{d}", "--split", "test", "--name", "a", "--count", "1"],
            "A budget of 1 labels is too small for 2 levels",
        ),
        (["labels", "{d}", "--name", "a", "--count", "9"], "no rollouts of split 'train'"),
        (["labels", "{t}/nowhere"], "nowhere is no folder"),
    ],
)
def test_wrong_use_gets_one_sentence_and_leaves_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    if arguments[1] == "minari":
        pytest.importorskip("minari")
    hub_file(tmp_path / "hub.parquet", 0)
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not a zip file")
    before = sorted(tmp_path.rglob("zarr.json"))
    assert run(*(argument.format(t=tmp_path, d=folder) for argument in arguments)) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.strip().splitlines()) == 1, said
    assert sorted(tmp_path.rglob("zarr.json")) == before


def test_exported_files_say_where_they_come_from(folder: Path, tmp_path: Path) -> None:
    assert run("export", "parquet", folder, "-o", tmp_path / "out") == 0
    (file,) = (tmp_path / "out" / "alpha").glob("*.parquet")
    described = json.loads(pq.read_schema(file).metadata[b"flexlam_rl"])
    assert (described["level"], described["split"], described["engine"]) == ("alpha", "test", "litelab")

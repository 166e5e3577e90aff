"""Minari, TECO and RL Unplugged: there and back, or in, without a change."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from stamps import ORIGIN, episode

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.formats.rl_unplugged import import_rl_unplugged
from flexlam_rl.datasets.formats.teco import import_teco
from flexlam_rl.datasets.pictures import encode_png
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.tfrecord import parse_example, read_records
from flexlam_rl.datasets.validate import validate
from flexlam_rl.datasets.writer import RolloutWriter
from flexlam_rl.utils.errors import DamagedData, Misaligned, StoreError

Make = Callable[..., tuple[RolloutStore, list[Episode]]]


def big(number: int, length: int, last: bool) -> Episode:
    """An episode of 64x64 frames, which Minari takes for images, with an extra column."""
    small = episode(0, number, length, (3,), last)
    frames = np.random.default_rng(number).integers(0, 256, (small.rows, 64, 64, 3), np.uint8)
    return replace(small, frames=frames, extra={"position": np.arange(3 * small.rows, dtype=np.float32).reshape(-1, 3)})


@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
def test_minari_and_back_is_exact(tmp_path: Path, data_format: str) -> None:
    pytest.importorskip("minari")
    from flexlam_rl.datasets.formats.minari import export_minari, import_minari

    with RolloutWriter(tmp_path / "a", "level", "test", ORIGIN, extra={"position": ("float32", (3,))}) as writer:
        writer.append_episodes(
            [big(0, 9, True), big(1, 5, False), replace(big(2, 7, True), seed=-1, truncated=False, terminated=True)]
        )
    store = RolloutStore(writer.path)
    dataset = export_minari(store, tmp_path / "minari" / "data", data_format=data_format)
    assert dataset.total_episodes == 3 and dataset.total_steps == store.steps
    first = dataset[0]
    np.testing.assert_array_equal(first.observations, store.episode_at(0).frames)
    np.testing.assert_array_equal(first.actions, store.episode_at(0).action)
    back = import_minari(tmp_path / "minari" / "data", tmp_path / "b")
    assert back.digest == store.digest
    assert (back.level, back.split, back.origin) == (store.level, store.split, store.origin)
    for name in store.column_names:
        np.testing.assert_array_equal(back.column(name).read(), store.column(name).read(), err_msg=name)
    np.testing.assert_array_equal(back.frames[:], store.frames[:])
    assert validate(back.path).good


def test_minari_as_it_comes_changes_the_pictures_and_says_so(tmp_path: Path) -> None:
    pytest.importorskip("minari")
    from flexlam_rl.datasets.formats.minari import export_minari, import_minari

    with RolloutWriter(tmp_path / "a", "level", "test", ORIGIN, extra={"position": ("float32", (3,))}) as writer:
        writer.append_episode(big(0, 9, True))
    back = import_minari(export_minari(RolloutStore(writer.path), tmp_path / "data", jpeg=True), tmp_path / "b")
    assert back.origin.source["lossy"] == "JPEG (Minari)"
    assert back.digest != RolloutStore(writer.path).digest


def test_minari_needs_actions(make_store: Make, tmp_path: Path) -> None:
    pytest.importorskip("minari")
    from flexlam_rl.datasets.formats.minari import export_minari

    store, _ = make_store(with_actions=False)
    with pytest.raises(StoreError, match="video without actions"):
        export_minari(store, tmp_path / "data")


TURNS = Origin(
    engine="deepmind_lab",
    action_set="teco3",
    action_table=((-20, 0, 0, 0, 0, 0, 0), (20, 0, 0, 0, 0, 0, 0), (0, 0, 0, 1, 0, 0, 0)),
    action_hash="t" * 64,
    policy="random walk",
)


def walk(seed: int, lag: int) -> dict[str, np.ndarray]:
    """A turning view as TECO stores it; row t + lag holds the action after frame t."""
    random = np.random.default_rng(seed)
    wide = np.tile(random.integers(0, 255, (64, 360, 3), np.uint8), (1, 3, 1))
    actions = random.integers(0, 3, 100)
    turned = np.array([-6, 6, 0])[actions]
    places = 360 + np.append(0, np.cumsum(turned))[:-1] % 360
    return {"video": np.stack([wide[:, p : p + 64] for p in places]), "actions": np.roll(actions, lag)}


def test_teco_files_are_imported_aligned_or_refused(tmp_path: Path) -> None:
    for lag in (0, 1):
        (tmp_path / f"lag{lag}" / "0").mkdir(parents=True)
        for i in range(3):
            np.savez(tmp_path / f"lag{lag}" / "0" / f"{i}.npz", **walk(i, lag))
    store = import_teco(tmp_path / "lag0", tmp_path / "store", origin=TURNS)
    assert store.episodes == 3 and store.origin.source["alignment"] == "checked"
    for i in range(3):
        np.testing.assert_array_equal(store.episode_at(i).frames, walk(i, 0)["video"])
        np.testing.assert_array_equal(store.episode_at(i).action, walk(i, 0)["actions"])
    with pytest.raises(Misaligned, match=r"row t\+1"):
        import_teco(tmp_path / "lag1", tmp_path / "other", origin=TURNS)
    moved = import_teco(tmp_path / "lag1", tmp_path / "other", origin=TURNS, shift=1)
    one = moved.episode_at(0)
    assert one.has_last  # the frame whose action is lost still follows the one before
    np.testing.assert_array_equal(one.frames, walk(0, 0)["video"])
    np.testing.assert_array_equal(one.action, walk(0, 0)["actions"][:-1])
    video = import_teco(tmp_path / "lag1", tmp_path / "video", with_actions=False, limit=2)
    assert (video.episodes, video.with_actions) == (2, False)
    np.savez(tmp_path / "lag0" / "0" / "bad.npz", video=np.zeros((3, 64, 64, 3)))
    with pytest.raises(ValueError, match="no array 'actions'"):
        import_teco(tmp_path / "lag0", tmp_path / "bad", with_actions=False)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(columns: dict[str, object]) -> bytes:
    """A `tf.train.Example`, written by hand."""
    entries = b""
    for name, values in columns.items():
        if isinstance(values, list):
            feature = message(1, b"".join(message(1, value) for value in values))
        elif np.asarray(values).dtype.kind == "f":
            feature = message(2, message(1, np.asarray(values, "<f4").tobytes()))
        else:
            feature = message(3, message(1, b"".join(varint(int(v) & (2**64 - 1)) for v in np.ravel(values))))
        entries += message(1, message(1, name.encode()) + message(2, feature))
    return message(1, entries)


def record(data: bytes) -> bytes:
    def masked(part: bytes) -> bytes:
        value = google_crc32c.value(part)
        return (((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")

    length = len(data).to_bytes(8, "little")
    return length + masked(length) + data + masked(data)


def unplugged(seed: int, length: int = 12) -> tuple[np.ndarray, dict[str, object]]:
    """Frames, and an episode as RL Unplugged stores it."""
    random = np.random.default_rng(seed)
    frames = random.integers(0, 255, (length, 72, 96, 3), np.uint8)
    actions = random.integers(0, 15, length)
    rewards = random.integers(-1, 2, length).astype(np.float32)
    seen = np.eye(15, dtype=np.float32)[np.append(0, actions[:-1])]
    columns: dict[str, object] = {
        "episode_id": np.array([seed]),
        "observations_pixels": [encode_png(frame) for frame in frames],
        "observations_action": seen.reshape(-1),
        "observations_reward": np.append(0, rewards[:-1]).astype(np.float32),
        "actions": actions,
        "rewards": rewards,
        "discounts": np.append(np.ones(length - 1), seed % 2).astype(np.float32),
    }
    return frames, columns


def test_rl_unplugged_records_are_imported(tmp_path: Path) -> None:
    episodes = [unplugged(seed) for seed in range(3)]
    data = b"".join(record(example(columns)) for _, columns in episodes)
    (tmp_path / "tfrecord-00000-of-00001").write_bytes(gzip.compress(data))
    store = import_rl_unplugged(tmp_path, tmp_path / "store", "explore_object_rewards_few")
    assert store.episodes == 3
    for i, (frames, columns) in enumerate(episodes):
        one = store.episode_at(i)
        np.testing.assert_array_equal(one.frames, frames)
        np.testing.assert_array_equal(one.action, columns["actions"])
        np.testing.assert_array_equal(one.reward, columns["rewards"])
        assert one.terminated == (i % 2 == 0)
        assert one.extra["episode_id"].tolist() == [i] * 12
    assert import_rl_unplugged(tmp_path, tmp_path / "store", "explore_object_rewards_few").digest == store.digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"actions": np.array([0, 70_000])}, "70000 at 1"),
        ({"actions": np.array([0, -1])}, "Action -1 of Record 0"),
        ({"actions": np.array([0, 1.5], np.float32)}, "1.5 at 1"),
        ({"rewards": np.array([np.nan, 0], np.float32)}, "Reward of .* nan at 0"),
        ({"discounts": np.array([0, 1], np.float32)}, "ends at step 0 of 2"),
    ],
)
def test_records_with_values_that_a_store_cannot_hold_are_refused(
    tmp_path: Path, changes: dict[str, np.ndarray], words: str
) -> None:
    _, columns = unplugged(1, 2)
    (tmp_path / "tfrecord-0").write_bytes(record(example({**columns, **changes})))
    with pytest.raises(ValueError, match=words):
        import_rl_unplugged(tmp_path, tmp_path / "store", "x")


def test_shifted_or_damaged_records_are_refused(tmp_path: Path) -> None:
    _, columns = unplugged(1)
    file = tmp_path / "tfrecord-0"
    file.write_bytes(record(example({**columns, "actions": np.roll(np.asarray(columns["actions"]), 1)})))
    with pytest.raises(Misaligned, match="Record 0"):
        import_rl_unplugged(file, tmp_path / "a", "level")
    data = bytearray(record(example(columns)))
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(DamagedData, match="it does not match its checksum"):
        import_rl_unplugged(file, tmp_path / "b", "level")
    file.write_bytes(record(example({"actions": np.array([1])})))
    with pytest.raises(ValueError, match="no column 'observations_pixels'"):
        import_rl_unplugged(file, tmp_path / "c", "level")


def test_a_record_written_by_tensorflow_is_read() -> None:
    # tests/datasets/tensorflow.tfrecord.gz was written by TensorFlow 2.21 (`tf.io.TFRecordWriter`, GZIP)
    ((data, _),) = read_records(Path(__file__).with_name("tensorflow.tfrecord.gz"))
    found = parse_example(data)
    assert found["names"] == [b"one", b"two", b""]
    np.testing.assert_array_equal(found["integers"], [0, -1, 2**40, 300])
    np.testing.assert_array_equal(found["floats"], np.array([0.5, -2.25, 1e10], np.float32))
    assert len(found["none"]) == 0

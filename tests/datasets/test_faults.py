"""Kills, full disks, flipped bytes: nothing that was finished is lost, nothing bad stays unseen."""

import errno
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stamps import ORIGIN, episode, read_stamps

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.labels import make_labels
from flexlam_rl.datasets.store import Rollouts, RolloutStore
from flexlam_rl.datasets.validate import validate
from flexlam_rl.datasets.writer import RolloutWriter
from flexlam_rl.utils import files
from flexlam_rl.utils.errors import DiskFull, StoreLocked

Make = Callable[..., tuple[RolloutStore, list[Episode]]]
ROOT = Path(__file__).parents[2]
TARGET = 60

# a collection: it goes on where the store stands, and says "ready" before it writes
COLLECT = """
import sys
sys.path[:0] = sys.argv[1:3]
from stamps import ORIGIN, episode
from flexlam_rl.datasets.writer import RolloutWriter
with RolloutWriter(sys.argv[3], "alpha", "train", ORIGIN, chunk=4, shard=64) as writer:
    print("ready", flush=True)
    while len(writer.keys) < int(sys.argv[4]):
        number = max(writer.keys, default=-1) + 1
        numbers = range(number, number + 1 + number % 3)
        batch = [episode(0, n, 5 + n % 30, restarts=(3,), last=n % 2 == 0) for n in numbers]
        writer.append_episodes(batch)
        print(max(writer.keys), flush=True)
"""


def collector(root: Path, target: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", COLLECT, str(ROOT), str(ROOT / "tests/datasets"), str(root), str(target)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_collection(store: RolloutStore) -> None:
    """Episodes 0, 1, 2, ... are there once each, with all their frames."""
    report = validate(store.path)
    assert report.good, report.problems
    assert store.episode_table["key"].tolist() == list(range(store.episodes))
    for i, one in enumerate(store.iter_episodes()):
        stamps = read_stamps(one.frames)
        assert (stamps[:, 1] == i).all()
        assert (stamps[:, 3] == np.arange(5 + i % 30 + (i % 2 == 0))).all()


def test_a_collection_killed_twenty_times_loses_no_finished_episode(tmp_path: Path) -> None:
    randomness = random.Random(0)
    target, kills, before = 0, 0, 0
    while kills < 20:
        target += 400  # never reached before the kill
        process = collector(tmp_path, target)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(randomness.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().split()
        process.wait()
        kills += 1
        path = tmp_path / "alpha" / "train.zarr"
        if not (path / "zarr.json").exists():
            assert not said
            continue
        store = RolloutStore(path)
        # what the writer reported as stored is there; at most the batch in flight came on top
        reported = int(said[-1]) + 1 if said else before
        assert reported <= store.episodes <= reported + 3
        before = store.episodes
        if kills % 5 == 0:
            check_collection(store)
    process = collector(tmp_path, before + 5)
    assert process.wait() == 0
    store = RolloutStore(tmp_path / "alpha" / "train.zarr")
    assert store.episodes >= before + 5
    check_collection(store)


@pytest.mark.parametrize("kill_at", range(1, 9))
def test_a_failure_at_any_step_of_a_commit_keeps_the_old_state(
    make_store: Make, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    store, episodes = make_store()
    root = store.path.parents[1]
    writer = RolloutWriter(root, "alpha", "train", ORIGIN)
    calls = 0
    written = RolloutWriter._append

    def append(self: RolloutWriter, start: int, number: int, parts: dict[str, list[np.ndarray]]) -> None:
        # only some of the columns reach the disk
        nonlocal calls
        calls += 1
        written(self, start, number, dict(list(parts.items())[:kill_at]))
        raise KeyboardInterrupt

    monkeypatch.setattr(RolloutWriter, "_append", append)
    with pytest.raises(KeyboardInterrupt):
        writer.append_episode(episode(0, 100, 50))
    monkeypatch.undo()
    assert calls == 1
    writer.close()
    assert validate(store.path).good
    assert RolloutStore(store.path).digest == store.digest
    with RolloutWriter(root, "alpha", "train", ORIGIN) as writer:
        writer.append_episode(episode(0, len(episodes), 20))
    assert validate(store.path).good
    assert RolloutStore(store.path).episodes == len(episodes) + 1


def test_a_full_disk_stops_with_one_sentence_and_loses_nothing(
    make_store: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, episodes = make_store()
    with RolloutWriter(store.path.parents[1], "alpha", "train", ORIGIN) as writer:

        def no_space(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(files.os, "fsync", no_space)
            with pytest.raises(
                DiskFull, match=r"The disk of .* is full: free some space and run the same command again"
            ) as caught:
                writer.append_episode(episode(0, 700, 30))
        assert "\n" not in str(caught.value)
        assert RolloutStore(store.path).digest == store.digest
        writer.append_episode(episode(0, len(episodes), 30))  # the same writer goes on when there is space again
    assert validate(store.path).good
    assert RolloutStore(store.path).episodes == len(episodes) + 1
    assert not list(store.path.rglob("*.tmp"))


def test_a_really_full_disk(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        stored = 0
        with (
            RolloutWriter(mount, "alpha", "train", ORIGIN, chunk=4, shard=64) as writer,
            pytest.raises(DiskFull, match="is full"),
        ):
            for number in range(10_000):
                writer.append_episode(episode(0, number, 5 + number % 30, (3,), number % 2 == 0))
                stored = number + 1
        assert stored > 5
        store = RolloutStore(writer.path)
        assert store.episodes == stored
        check_collection(store)
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def test_the_lock_of_a_dead_writer_is_taken_over(tmp_path: Path) -> None:
    process = collector(tmp_path, 10_000)
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(StoreLocked, match=f"written by process {process.pid} on "):
        RolloutWriter(tmp_path, "alpha", "train", ORIGIN, chunk=4, shard=64)
    process.kill()
    process.communicate()
    RolloutWriter(tmp_path, "alpha", "train", ORIGIN, chunk=4, shard=64).close()


def test_every_flipped_byte_is_found_and_named(make_store: Make) -> None:
    store, _ = make_store()
    make_labels(Rollouts([store]), "few", count=20)
    assert validate(store.path).good
    randomness = random.Random(1)
    committed = [
        path
        for path in store.path.rglob("*")
        if path.is_file() and path.parent.name not in ("labels",) and not path.name.startswith(".")
    ]
    for file in [path for path in committed if "/c/" in str(path)]:
        data = file.read_bytes()
        place = randomness.randrange(len(data))
        file.write_bytes(data[:place] + bytes([data[place] ^ (1 << randomness.randrange(8))]) + data[place + 1 :])
        problems = validate(store.path).problems
        assert problems, f"byte {place} of {file} was flipped unseen"
        if "/frames/" in str(file):
            assert any(str(file) in problem and "shard" in problem for problem in problems), problems
        else:
            assert any(str(file) in problem or str(file.parents[1]) in problem for problem in problems), problems
        file.write_bytes(data)
    assert validate(store.path).good


def test_a_damaged_chunk_is_named_with_its_shard_and_rows(make_store: Make) -> None:
    store, _ = make_store()
    shard, inner = 2, 5
    offset, nbytes = store.frames.index(shard)[inner].tolist()
    file = store.frames.shard_path(shard)
    data = bytearray(file.read_bytes())
    data[offset + nbytes // 2] ^= 4
    file.write_bytes(data)
    problems = validate(store.path).problems
    first = shard * 64 + inner * 4
    assert problems == [
        f"Chunk 5 of shard 2 of {store.path}/frames (rows {first} to {first + 3}) is damaged: its checksum does not "
        f"match its bytes ({file})."
    ]


@pytest.mark.parametrize(
    "lost", ["frames/c/1/0/0/0", "reward/c/0", "episodes/start/c/0", "frames/zarr.json", "restart/zarr.json"]
)
def test_a_lost_file_is_named(make_store: Make, lost: str) -> None:
    store, _ = make_store()
    (store.path / lost).unlink()
    assert any(
        str(store.path / lost.split("/c/")[0].removesuffix("/zarr.json")) in problem
        for problem in validate(store.path).problems
    )


def test_contents_that_were_changed_with_fitting_checksums_are_found(make_store: Make) -> None:
    import tensorstore

    store, _ = make_store()

    def change(name: str, row: int, value: object) -> list[str]:
        spec = {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": f"{store.path / name}/"},
            "store_data_equal_to_fill_value": True,
        }
        array = tensorstore.open(spec, open=True).result()
        old = array[row].read().result()
        array[row].write(value).result()
        problems = validate(store.path).problems
        array[row].write(old).result()
        return problems

    frame = store.frames[7] ^ 1
    assert any("Episode 0 of" in p or "differs from what was recorded" in p for p in change("frames", 7, frame))
    assert any("differs from what was recorded" in p for p in change("action", 3, 9))
    assert any("rewards add up to" in p for p in change("reward", 3, 99.0))
    assert any("is not the last action" in p for p in change("terminated", 0, True))
    assert any("do not fill its" in p for p in change("episodes/start", 3, 1))
    assert any("names text 77" in p for p in change("instruction", 3, 77))
    assert any("more than once" in p for p in change("episodes/key", 3, 0))
    assert validate(store.path).good


def test_a_store_without_a_commit_is_named(tmp_path: Path) -> None:
    with RolloutWriter(tmp_path, "alpha", "train", ORIGIN) as writer:
        assert validate(writer.path).problems == [
            f"{writer.path} is no rollout store: it has no zarr.json (nothing was committed there)."
        ]
    (writer.path / "zarr.json").write_text(json.dumps({"attributes": {}}))
    assert "expected 'flexlam_rl.rollouts'" in validate(writer.path).problems[0]

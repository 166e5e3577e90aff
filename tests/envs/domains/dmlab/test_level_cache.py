"""The level cache of the real engine: shared by processes, and never serving what is not whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flexlam_rl.envs.domains.dmlab.level_cache import LevelCache, default_folder


def put(cache: LevelCache, key: str, content: bytes, folder: Path) -> None:
    source = folder / "source.pk3"
    source.write_bytes(content)
    cache.write(key, str(source))


def get(cache: LevelCache, key: str, folder: Path) -> bytes | None:
    target = folder / "target.pk3"
    target.unlink(missing_ok=True)
    return target.read_bytes() if cache.fetch(key, str(target)) else None


def test_what_is_written_is_fetched(tmp_path: Path) -> None:
    cache = LevelCache(tmp_path / "deep" / "cache")
    assert get(cache, "a", tmp_path) is None
    put(cache, "../a/b", b"map", tmp_path)
    put(cache, "b", b"", tmp_path)
    put(cache, "b", b"other", tmp_path)
    assert get(LevelCache(cache.folder), "../a/b", tmp_path) == b"map"
    assert get(cache, "b", tmp_path) == b"other"
    assert all(path.suffix == ".map" for path in cache.folder.iterdir())


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:3], lambda b: b"", lambda b: b[:5] + bytes([b[5] ^ 1]) + b[6:]]
)
def test_damaged_entries_are_not_served(tmp_path: Path, damage: "object") -> None:
    cache = LevelCache(tmp_path / "cache")
    put(cache, "a", b"a whole map", tmp_path)
    entry = cache.entry("a")
    entry.write_bytes(damage(entry.read_bytes()))  # type: ignore[operator]
    assert get(cache, "a", tmp_path) is None
    put(cache, "a", b"a whole map", tmp_path)
    assert get(cache, "a", tmp_path) == b"a whole map"


def test_entry_of_another_key_is_not_served(tmp_path: Path) -> None:
    cache = LevelCache(tmp_path / "cache")
    put(cache, "a", b"map a", tmp_path)
    os.replace(cache.entry("a"), cache.entry("b"))
    assert get(cache, "b", tmp_path) is None


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    folders = [file / "cache"]
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o500)
        folders.append(tmp_path / "locked")
    for folder in folders:
        with pytest.raises(ValueError, match="level_cache must be a folder that can be written to, got"):
            LevelCache(folder)


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLEXLAM_CACHE_DIR", str(tmp_path))
    assert default_folder() == tmp_path / "levels"


def test_disk_that_fails_costs_the_entry_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = LevelCache(tmp_path / "cache")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    put(cache, "a", b"map", tmp_path)
    monkeypatch.undo()
    assert get(cache, "a", tmp_path) is None
    assert list(cache.folder.iterdir()) == []


WRITER = """
import sys
from pathlib import Path
from flexlam_rl.envs.domains.dmlab.level_cache import LevelCache
cache = LevelCache(sys.argv[1])
source = Path(sys.argv[2])
k = 0
while True:
    source.write_bytes(bytes([k % 256]) * 300_000)
    cache.write("key", str(source))
    k += 1
    if k == 2:
        print("going", flush=True)
"""


def test_kill_at_any_moment_leaves_whole_entries(tmp_path: Path) -> None:
    cache = LevelCache(tmp_path / "cache")
    for round_number in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(cache.folder), str(tmp_path / "w")], stdout=subprocess.PIPE
        )
        assert process.stdout is not None and process.stdout.readline()
        time.sleep(0.003 * round_number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        content = get(cache, "key", tmp_path)
        assert content is not None and len(content) == 300_000 and len(set(content)) == 1
    cache.clean()
    assert [path.suffix for path in cache.folder.iterdir()] == [".map"]


HAMMER = """
import sys
from pathlib import Path
from flexlam_rl.envs.domains.dmlab.level_cache import LevelCache

folder, number = Path(sys.argv[1]), int(sys.argv[2])
cache = LevelCache(folder)
own = folder.parent / f"own-{number}"
own.mkdir()
source, target = own / "source.pk3", own / "target.pk3"
for k in range(40):
    source.write_bytes(bytes([number]) * (1000 + 500 * number))
    cache.write(f"key-{k % 4}", str(source))
    target.unlink(missing_ok=True)
    if cache.fetch(f"key-{(k + 1) % 4}", str(target)):
        seen = target.read_bytes()
        assert len(set(seen)) == 1 and len(seen) == 1000 + 500 * seen[0], "a torn entry"
"""


def test_many_processes_share_a_cache(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HAMMER, str(tmp_path / "cache")]
    processes = [subprocess.Popen([*command, str(k)]) for k in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0, 0]

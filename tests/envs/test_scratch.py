"""Folders of the real engine's temporary files go with their process, however it ends."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("fcntl")

from flexlam_rl.envs.domains.dmlab import scratch


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_stays_while_its_process_lives_and_goes_when_asked(temporary: Path) -> None:
    folder = scratch.make()
    scratch.sweep()
    assert folder.is_dir()
    scratch.remove(folder)
    assert list(temporary.iterdir()) == []


def test_a_folder_of_a_process_killed_at_any_moment_is_swept(temporary: Path) -> None:
    """Also one that was not locked yet, or half removed."""
    code = (
        "import os, signal, sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
        "from flexlam_rl.envs.domains.dmlab import scratch\n"
        "(scratch.make() / 'file').write_text('x')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(temporary)], check=False)
    Path(tempfile.mkdtemp(prefix=scratch.PREFIX))
    assert len(list(temporary.iterdir())) == 2
    scratch.sweep()
    assert list(temporary.iterdir()) == []


def test_a_folder_that_another_process_took_for_an_old_one_is_made_anew(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock
    calls: list[int] = []

    def sweeper_first(held: int, how: int) -> None:
        """Between this process's opening and locking, another one removes the folder."""
        if not calls:
            calls.append(held)
            shutil.rmtree(os.readlink(f"/proc/self/fd/{held}"))
        real(held, how)

    monkeypatch.setattr(fcntl, "flock", sweeper_first)
    folder = scratch.make()
    assert folder.is_dir() and list(temporary.iterdir()) == [folder]
    scratch.remove(folder)


def test_a_file_system_without_locks_is_an_error_and_no_endless_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(held: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="not supported"):
        scratch.make()

"""The first compilation: side by side, found on disk afterwards, and told about."""

import subprocess

import numpy as np

from flexlam_rl.envs.litelab import batch, compiling, kernel


def test_drawing_is_compiled_in_a_process_of_its_own(monkeypatch):
    """Machine code lies on disk by now, so the process finds what it should compile and ends."""
    for entry in batch.ENTRIES:
        batch.compiled(entry, **compiling._arguments())
    started, compiled, reported = [], [], []
    popen, here = subprocess.Popen, batch.compiled

    def start(*arguments, **options):
        started.append(popen(*arguments, **options))
        return started[-1]

    def compile_here(entry, **given):
        compiled.append(entry)
        return here(entry, **given)

    monkeypatch.setattr(compiling, "core_count", lambda: 2)
    monkeypatch.setattr(kernel, "is_compiled", lambda function: False)
    monkeypatch.setattr(compiling.subprocess, "Popen", start)
    monkeypatch.setattr(batch, "compiled", compile_here)
    compiling.compile_all(lambda done, total: reported.append((done, total)))
    assert [process.args[-1] for process in started] == ["draw_range"]
    assert [process.returncode for process in started] == [0]
    assert compiled == ["begin_range", "play_range", "draw_range"]
    assert all(done < total for done, total in reported)


def test_one_core_compiles_everything_here(monkeypatch):
    compiled = []
    monkeypatch.setattr(compiling, "core_count", lambda: 1)
    monkeypatch.setattr(kernel, "is_compiled", lambda function: False)
    monkeypatch.setattr(compiling.subprocess, "Popen", None)
    monkeypatch.setattr(batch, "compiled", lambda entry, **given: compiled.append(entry))
    compiling.compile_all(lambda done, total: None)
    assert compiled == list(batch.ENTRIES)


def test_what_is_on_disk_starts_nothing(monkeypatch):
    batch.compiled("draw_range", **compiling._arguments())
    monkeypatch.setattr(kernel, "is_compiled", lambda function: True)
    monkeypatch.setattr(compiling.subprocess, "Popen", None)
    compiling.compile_all(lambda done, total: None)
    assert compiling.is_compiled()


def test_a_process_that_fails_leaves_its_part_to_this_one(monkeypatch):
    monkeypatch.setattr(compiling, "core_count", lambda: 2)
    monkeypatch.setattr(kernel, "is_compiled", lambda function: function is batch.begin_range)
    monkeypatch.setattr(compiling.sys, "executable", "/bin/false")
    compiled = []
    monkeypatch.setattr(batch, "compiled", lambda entry, **given: compiled.append(entry))
    compiling.compile_all(lambda done, total: None)
    assert compiled == ["play_range", "draw_range"]


def test_finished_functions_are_counted():
    from numba import njit

    def inner(x):
        return x + 1

    def outer(x):
        return compiled_inner(x) * 2

    compiled_inner, ends = njit(inner), []
    with compiling.event.install_listener("numba:compile", compiling._Ends(lambda: ends.append(1))):
        assert njit(outer)(np.int64(3)) == 8
    assert len(ends) == 2

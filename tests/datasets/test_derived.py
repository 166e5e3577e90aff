"""Values kept beside a store: computed once, continued where they were stopped, and checked."""

import numpy as np
import pytest

from flexlam_rl.datasets import derived, open_rollouts
from flexlam_rl.utils.errors import DamagedData
from tests.train.conftest import episode, write_rollouts

ROW = (3,)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(derived, "BLOCK", 32)
    monkeypatch.setenv("FLEXLAM_CACHE", str(tmp_path / "cache"))
    return open_rollouts(write_rollouts(tmp_path / "data"), split="train").stores[0]


class Compute:
    """Gives each row its number, thrice, and notes what it was asked for."""

    def __init__(self, fails_at=None):
        self.asked, self.fails_at = [], fails_at

    def __call__(self, first, last):
        if first == self.fails_at:
            raise KeyboardInterrupt
        self.asked.append((first, last))
        return np.arange(first, last)[:, None].repeat(3, 1)


def rows(store, compute, key="k" * 64):
    return derived.derived_rows(store, "numbers", key, ROW, np.int16, compute)


def test_rows_are_computed_once_and_again_for_another_key(store):
    first = Compute()
    values = rows(store, first)
    assert values.dtype == np.int16 and not values.flags.writeable
    assert np.array_equal(values, np.arange(store.rows)[:, None].repeat(3, 1))
    assert first.asked[0] == (0, 32) and first.asked[-1][1] == store.rows
    second = Compute()
    assert np.array_equal(rows(store, second), values) and second.asked == []
    rows(store, second, "other")
    assert second.asked == first.asked


@pytest.mark.parametrize("torn", [False, True])
def test_who_is_stopped_goes_on_at_the_next_block(store, torn):
    with pytest.raises(KeyboardInterrupt):
        rows(store, Compute(fails_at=96))
    if torn:  # the last block did not reach the disk as a whole
        (raw,) = store.path.glob("numbers/*/rows.raw")
        raw.write_bytes(raw.read_bytes()[:-5])
    again = Compute()
    values = rows(store, again)
    assert again.asked[0] == ((64, 96) if torn else (96, store.rows))
    assert np.array_equal(values, np.arange(store.rows)[:, None].repeat(3, 1))


def test_damage_is_named(store):
    rows(store, Compute())
    (raw,) = store.path.glob("numbers/*/rows.raw")
    content = bytearray(raw.read_bytes())
    content[40 * 6] ^= 1
    raw.write_bytes(content)
    with pytest.raises(DamagedData, match=r"rows\.raw is damaged in rows 32 to 63"):
        rows(store, Compute())


def test_a_store_that_cannot_be_written_has_them_in_the_cache(store, monkeypatch, tmp_path):
    monkeypatch.setattr(derived.os, "access", lambda path, mode: False)
    rows(store, Compute())
    assert not (store.path / "numbers").exists() and list((tmp_path / "cache/numbers").glob("*/rows.raw"))


def test_a_store_that_grew_is_computed_anew(store):
    from flexlam_rl.datasets import RolloutWriter

    rows(store, Compute())
    with RolloutWriter(store.path.parent.parent, store.level, "train", store.origin) as writer:
        writer.append_episodes([episode(77)])
    grown, again = open_rollouts(store.path.parent.parent, split="train").stores[0], Compute()
    assert grown.rows > store.rows and len(rows(grown, again)) == grown.rows and again.asked[0] == (0, 32)

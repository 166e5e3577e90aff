"""Action sets: the tables of the field, and hashes that never change."""

import numpy as np
import pytest
from gymnasium import spaces

from flexlam_rl.envs.domains.dmlab.actions import ACTION_SETS, NATIVE_HIGH, NATIVE_LOW, action_set


def test_dreamer15_is_the_set_of_the_recordings() -> None:
    rows = action_set("dreamer15").rows
    assert len(rows) == 15
    assert rows[0] == (0, 0, 0, 1, 0, 0, 0) and rows[1] == (0, 0, 0, -1, 0, 0, 0)
    assert [row[2] for row in rows[2:4]] == [-1, 1]
    assert [row[0] for row in rows[4:8]] == [-10, 10, -60, 60]
    assert [row[1] for row in rows[8:10]] == [10, -10]
    assert [(row[0], row[3]) for row in rows[10:14]] == [(-10, 1), (10, 1), (-60, 1), (60, 1)]
    assert rows[14] == (0, 0, 0, 0, 1, 0, 0)


def test_impala9() -> None:
    rows = action_set("impala9").rows
    assert [row[0] for row in rows[4:6]] == [-20, 20]
    assert [(row[0], row[3]) for row in rows[6:8]] == [(-20, 1), (20, 1)]
    assert rows[8][4] == 1 and len(rows) == 9


def test_hashes_are_stable() -> None:
    """Checkpoints and datasets hold these."""
    assert {name: s.hash[:16] for name, s in ACTION_SETS.items()} == {
        "dreamer15": "0e448064c7b5c7eb",
        "impala9": "77316291d1e991e2",
        "teco3": "f73304f294ae53fe",
        "native7": "d39db675ee3b34cd",
    }


def test_rows_lie_within_the_native_ranges() -> None:
    for s in ACTION_SETS.values():
        assert ((s.table >= NATIVE_LOW) & (s.table <= NATIVE_HIGH)).all()
        assert len(s.labels) == (len(s) or 7)
        with pytest.raises(ValueError):
            s.table[...] = 0


def test_spaces() -> None:
    assert action_set("dreamer15").space() == spaces.Discrete(15)
    box = action_set("native7").space()
    assert isinstance(box, spaces.Box) and box.dtype == np.int32 and box.shape == (7,)


def test_unknown_set_is_named() -> None:
    with pytest.raises(ValueError, match=r"'nope'.*dreamer15, impala9, teco3, native7"):
        action_set("nope")

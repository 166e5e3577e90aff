"""Reference returns: every level has them, and no function mixes two engines."""

import math

import pytest

from flexlam_rl.envs.domains.dmlab.levels import LEVELS, SUITE
from flexlam_rl.envs.domains.dmlab.returns import Reference, find_reference, litelab_table, normalise

LEVEL = "rooms_watermaze"


def test_the_table_of_litelab_is_whole_and_says_where_it_comes_from() -> None:
    table = litelab_table()
    assert table["engine"] == "litelab"
    for name in ("engine_version", "revision", "textures", "action_set", "protocol", "command", "date"):
        assert table[name], name
    assert list(table["levels"]) == list(LEVELS)
    for rows in table["levels"].values():
        for role in ("random", "expert"):
            assert rows[role]["episodes"] >= 100
            assert math.isfinite(rows[role]["mean"]) and rows[role]["standard_error"] >= 0
        assert rows["expert"]["mean"] > rows["random"]["mean"]


def test_the_scripted_expert_plays_at_the_level_of_the_papers() -> None:
    """Aims of the project, in percent of the paper's expert returns: 70 in the mean over the scored levels, 40 in
    each.
    """
    percent = {
        level: 100 * litelab_table()["levels"][level]["expert"]["mean"] / find_reference(level, "deepmind_lab").mean
        for level in SUITE
    }
    assert min(percent.values()) >= 40, percent
    assert sum(percent.values()) / len(percent) >= 70, percent


def test_normalised_returns() -> None:
    mean = find_reference(LEVEL, "litelab").mean
    assert normalise(mean, LEVEL, engine="litelab") == pytest.approx(100)
    assert normalise(0.0, LEVEL, engine="litelab") == 0
    low = find_reference(LEVEL, "litelab").random
    assert low is not None
    assert normalise(low, LEVEL, engine="litelab", minus_random=True) == pytest.approx(0)
    assert normalise(mean, LEVEL, engine="litelab", minus_random=True) == pytest.approx(100)
    # the real engine: the paper's table, and DMLab-30's
    assert normalise(28.32, LEVEL, engine="deepmind_lab") == pytest.approx(100)
    assert normalise(28.32 * 0.1448, LEVEL, engine="deepmind_lab") == pytest.approx(14.48)
    assert normalise(54.0, LEVEL, engine="deepmind_lab", reference="human", minus_random=True) == pytest.approx(100)
    assert normalise(4.065, LEVEL, engine="deepmind_lab", reference="human", minus_random=True) == pytest.approx(0)


def test_engines_are_never_mixed() -> None:
    with pytest.raises(ValueError, match="no reference 'human'"):
        normalise(1.0, LEVEL, engine="litelab", reference="human")
    with pytest.raises(ValueError, match="'litelab' cannot be normalised by a reference of 'deepmind_lab'"):
        normalise(1.0, LEVEL, engine="litelab", reference=find_reference(LEVEL, "deepmind_lab"))
    with pytest.raises(ValueError, match="'deepmind_lab' cannot be normalised by a reference of 'litelab'"):
        normalise(1.0, LEVEL, engine="deepmind_lab", reference=find_reference(LEVEL, "litelab"))
    with pytest.raises(ValueError, match="engine must be one of 'litelab', 'deepmind_lab', got 'auto'"):
        normalise(1.0, LEVEL, engine="auto")


def test_percentages_that_say_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"is -10.14, not above 0"):
        normalise(1.0, "language_execute_random_task", engine="deepmind_lab")
    with pytest.raises(ValueError, match="gives no expert return for 'lasertag_three_opponents_small'"):
        normalise(1.0, "lasertag_three_opponents_small", engine="deepmind_lab")
    with pytest.raises(ValueError, match=r"random policy's return .* is not known"):
        normalise(
            1.0, LEVEL, engine="litelab", reference=Reference("litelab", LEVEL, "expert", 10.0, None), minus_random=True
        )
    with pytest.raises(ValueError, match="cannot be normalised by a reference of 'explore_goal_locations_small'"):
        normalise(
            1.0,
            LEVEL,
            engine="litelab",
            reference=Reference("litelab", "explore_goal_locations_small", "expert", 10.0, None),
        )

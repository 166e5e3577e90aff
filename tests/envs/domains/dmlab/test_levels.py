"""The table of levels agrees with the engine's and with the paper's suite."""

import pytest

from flexlam_rl.envs.domains.dmlab.levels import LEVELS, OWN, SUITE, level_named
from flexlam_rl.envs.litelab.levels.table import LEVELS as ENGINE


def test_lengths_and_players_are_the_engine_s() -> None:
    assert set(LEVELS | OWN) == set(ENGINE) and len(LEVELS) == 17
    for name, level in (LEVELS | OWN).items():
        assert level.seconds == ENGINE[name].seconds
        assert level.players == 1 + ENGINE[name].params.get("bot_count", 0)
        assert level.path == ENGINE[name].path == ("litelab/" if name in OWN else "contributed/dmlab30/") + name


def test_suite_is_the_paper_s() -> None:
    assert len(SUITE) == 11
    assert not any(name.startswith(("lasertag", "language", "natlab")) for name in SUITE)
    for name in SUITE:
        assert LEVELS[name].expert is not None and LEVELS[name].random_percent is not None
    assert LEVELS["explore_goal_locations_small"].expert == 368.09
    assert sum(LEVELS[name].random_percent or 0 for name in SUITE) / 11 == pytest.approx(6.25, abs=0.01)


def test_names_with_and_without_folder() -> None:
    assert level_named("contributed/dmlab30/rooms_watermaze") is level_named("rooms_watermaze")
    with pytest.raises(ValueError, match=r"Unknown level 'rooms'.*rooms_watermaze"):
        level_named("rooms")

"""The interquartile mean is rliable's: SciPy's trimmed mean of all episodes, whatever their number."""

import numpy as np
import pytest
from scipy.stats import trim_mean

from flexlam_rl.eval.suite.statistics import interquartile_mean
from flexlam_rl.eval.suite.table import summarise

LEVELS = ("rooms_watermaze", "explore_goal_locations_small", "psychlab_visual_search")


def test_the_case():
    assert interquartile_mean([np.array([0.0, 0.0, 10.0, 90.0, 100.0])]) == pytest.approx(100 / 3)


@pytest.mark.parametrize("sizes", [(1,), (2,), (3,), (5, 5), (7, 7, 7), (50,) * 11, (3, 9, 4)])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, list])
def test_any_number_of_episodes(sizes, kind):
    rng = np.random.default_rng(sum(sizes))
    drawn = [rng.integers(-50, 200, size) for size in sizes]
    scores = [level.tolist() if kind is list else level.astype(kind) for level in drawn]
    assert interquartile_mean(scores) == pytest.approx(trim_mean(np.concatenate(drawn).astype(float), 0.25), abs=1e-9)


def test_the_suites_own_summary():
    rng = np.random.default_rng(0)
    returns = {level: rng.gamma(0.5, 40.0, 5) for level in LEVELS}
    found = summarise(returns, "litelab")
    scores = np.concatenate([100 * returns[level] / found["levels"][level]["expert"] for level in LEVELS])
    assert found["iqm"]["value"] == pytest.approx(trim_mean(scores, 0.25))
    above = [100 * (returns[level] - low) / (row["expert"] - low) for level, row, low in _rows(found)]
    assert found["iqm_minus_random"]["value"] == pytest.approx(trim_mean(np.concatenate(above), 0.25))


def _rows(found):
    for level, row in found["levels"].items():
        yield level, row, row["random_normalised"] * row["expert"] / 100


def test_no_episode_is_one_sentence():
    for nothing in ([], [np.array([])], [np.array([1.0]), np.array([])]):
        with pytest.raises(ValueError, match="at least one"):
            interquartile_mean(nothing)

"""Aggregates and intervals: against other implementations, on data with known answers, and their coverage."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from flexlam_rl.eval.stats import bootstrap, difference, interquartile_mean, mean_of_levels, standard_error

RNG = np.random.default_rng(0)


def test_interquartile_mean_is_scipys_trimmed_mean():
    for size in (4, 8, 20):
        scores = [RNG.normal(size=size) for _ in range(3)]
        assert interquartile_mean(scores) == pytest.approx(scipy_stats.trim_mean(np.concatenate(scores), 0.25))


def test_levels_count_the_same_whatever_their_episodes():
    one, many = np.array([0.0, 1.0, 2.0, 3.0]), np.array([10.0, 11.0, 12.0, 13.0])
    assert mean_of_levels([one, np.tile(many, 5)]) == mean_of_levels([one, many])
    assert interquartile_mean([one, np.tile(many, 5)]) == pytest.approx(interquartile_mean([one, many]))


def test_an_outlier_moves_the_mean_and_not_the_interquartile_mean():
    scores = [np.arange(20.0)]
    wild = [np.append(np.arange(19.0), 1000.0)]
    assert interquartile_mean(wild) == interquartile_mean(scores)
    assert mean_of_levels(wild) > 5 * mean_of_levels(scores)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Levels with different means: resampling within levels must not count the spread between them."""
    rng, covered, widths = np.random.default_rng(1), 0, []
    for trial in range(200):
        scores = [rng.normal(100 * level, 1.0, 25) for level in range(4)]
        found = bootstrap(scores, mean_of_levels, 300, trial)
        covered += found.low <= 150.0 <= found.high
        widths.append(found.high - found.low)
    assert 0.88 <= covered / 200 <= 0.99
    assert np.mean(widths) == pytest.approx(2 * 1.96 / np.sqrt(100), rel=0.1)


def test_differences_know_pairs():
    base = RNG.normal(0, 50, 30)
    better = base + 1.0 + RNG.normal(0, 0.1, 30)
    paired = difference([base], [better], mean_of_levels, paired=True)
    apart = difference([base], [better], mean_of_levels)
    assert paired.low > 0.9 and paired.high < 1.1
    assert apart.low < 0 < apart.high
    assert paired.value == apart.value == pytest.approx(better.mean() - base.mean())


def test_a_single_episode_has_no_interval():
    one = bootstrap([np.array([1.0]), np.array([1.0, 2.0])], mean_of_levels)
    assert (one.value, one.low, one.high) == (1.25, None, None)
    assert difference([np.array([1.0])], [np.array([5.0])], mean_of_levels, paired=True).low is None


def test_standard_error_needs_two():
    assert np.isnan(standard_error(np.array([1.0])))
    assert standard_error(np.array([1.0, 3.0])) == pytest.approx(1.0)

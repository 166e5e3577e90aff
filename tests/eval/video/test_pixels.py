"""SSIM against values that follow from its definition, and against a direct computation of its windows; NMSE; bits."""

import numpy as np
import pytest
import torch

from flexlam_rl.eval.video.pixels import bits_per_dimension, normalised_error, structural_similarity


def pictures(seed: int, size: int = 16) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_a_picture_is_wholly_like_itself_and_the_measure_is_symmetric():
    a, b = pictures(0), pictures(1)
    assert torch.allclose(structural_similarity(a, a), torch.ones(2), atol=1e-6)
    assert torch.equal(structural_similarity(a, b), structural_similarity(b, a))
    many = structural_similarity(a.repeat(50, 1, 1, 1), b.repeat(50, 1, 1, 1))  # in several parts
    assert torch.allclose(many, structural_similarity(a, b).repeat(50), atol=1e-6)
    assert (structural_similarity(a, b) < 0.3).all()


def test_flat_pictures_differ_in_luminance_alone():
    a, b = torch.full((1, 1, 12, 12), 0.5), torch.full((1, 1, 12, 12), -0.25)
    c1 = 0.02**2
    expected = (2 * 0.5 * -0.25 + c1) / (0.5**2 + 0.25**2 + c1)
    assert np.isclose(float(structural_similarity(a, b)), expected, atol=1e-6)


def test_four_windows_computed_by_hand():
    a, b = (pictures(seed, 12)[:1, :1] for seed in (2, 3))
    line = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    weights = np.outer(line, line) / np.outer(line, line).sum()
    c1, c2 = 0.02**2, 0.06**2
    found = []
    for row, column in np.ndindex(2, 2):
        x, y = (p.double().numpy()[0, 0, row : row + 11, column : column + 11] for p in (a, b))
        mx, my = (weights * x).sum(), (weights * y).sum()
        vx, vy, cov = (
            (weights * (x - mx) ** 2).sum(),
            (weights * (y - my) ** 2).sum(),
            (weights * (x - mx) * (y - my)).sum(),
        )
        found.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    assert np.isclose(float(structural_similarity(a, b)), np.mean(found), atol=1e-6)
    with pytest.raises(ValueError, match="10x10"):
        structural_similarity(*(pictures(seed, 10) for seed in (2, 3)))


def test_values_outside_the_range_are_clipped():
    a, b = pictures(4), pictures(5)
    assert torch.allclose(structural_similarity(a * 3, b), structural_similarity((a * 3).clamp(-1, 1), b))


def test_the_mean_as_prediction_has_the_error_one():
    data = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    variance = float(data.var())
    error = normalised_error(data.mean().expand_as(data), data, variance)
    assert np.isclose(float(error.mean()), 1.0, atol=1e-2)
    assert torch.equal(normalised_error(data, data, variance), torch.zeros(64))
    with pytest.raises(ValueError, match="variance is 0"):
        normalised_error(data, data, 0.0)


def test_a_uniform_choice_of_eight_costs_three_bits():
    log_prob = torch.full((2,), -20 * np.log(8.0))  # twenty codes of eight
    assert torch.allclose(bits_per_dimension(log_prob, 20), torch.full((2,), 3.0))
    with pytest.raises(ValueError, match="dimensions is 0"):
        bits_per_dimension(log_prob, 0)

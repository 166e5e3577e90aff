"""Each known failure is found in figures that show it, and not in figures of a healthy model."""

import copy

import pytest
import torch

from flexlam_rl.eval.lam import metrics, probe
from flexlam_rl.eval.lam.failure_checks import of_actions, of_codes, verdict
from flexlam_rl.eval.lam.usage import code_usage, number_usage


def healthy():
    """Figures of an invented FlexLAM with four slots that works."""

    def row(kind, k, loss, **more):
        return {
            "codes": kind,
            "k": k,
            "loss": loss,
            "loss_se": 0.001,
            "gain": 0.02,
            "gain_se": 0.001,
            "psnr": 25.0,
            "ssim": 0.8,
            **more,
        }

    def right(kind, k, accuracy):
        return {"codes": kind, "k": k, "accuracy": accuracy, "accuracy_se": 0.01}

    def read(source, k, accuracy):
        return {"from": source, "k": k, "accuracy": accuracy, "accuracy_se": 0.01}

    return {
        "slots": 4,
        "prefix": True,
        "reconstruction": [
            row("null", 0, 0.07),
            row("shuffled", 4, 0.07),
            row("codes", 1, 0.05, drop=0.0, drop_se=0.0),
            row("codes", 2, 0.046, drop=0.004, drop_se=0.0005),
            row("codes", 4, 0.044, drop=0.002, drop_se=0.0005),
        ],
        "still": {"psnr": 18.0, "ssim": 0.5},
        "importance": [0.02, 0.01, 0.005, 0.002],
        "usage": {
            "perplexity": [90.0, 80.0, 70.0, 60.0],
            "unused_share": 0.1,
            "unused_share_if_even": 0.02,
            "digit_perplexity": [[6.0, 4.0]] * 4,
        },
        "gradient": {"without": []},
        "appearance": {"current_r2": 0.05, "change_r2": 0.3},
        "probe": [
            read("codes", 1, 0.6),
            read("codes", 4, 0.7),
            read("codes + previous action", 4, 0.75),
            read("shuffled", 4, 0.2),
            read("previous action", None, 0.4),
            read("commonest action", None, 0.3),
            read("change of the picture", None, 0.75),
        ],
        "translation": [
            right("null", 0, 0.4),
            right("codes", 1, 0.6),
            right("codes", 4, 0.65),
            right("shuffled", 4, 0.3),
            right("random", 4, 0.3),
        ],
    }


def found(figures):
    return {check.name: check.weight for check in [*of_codes(figures), *of_actions(figures)] if check.found}


def test_a_healthy_model_is_good():
    assert found(healthy()) == {}
    assert verdict([*of_codes(healthy()), *of_actions(healthy())]) == "good"


def change(path, value):
    def apply(figures):
        at = figures
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return apply


def continuous(flat):
    """How numbers are used, in place of codes."""
    return {"spread": [[1.0, 1.0]] * 4, "flat": flat, "effective": 2.0}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("codes carry nothing", [change(("reconstruction", 4, "loss"), 0.0695)]),
        ("codes carry nothing", [change(("reconstruction", 4, "loss"), float("nan"))]),
        ("codes of other transitions do as well", [change(("reconstruction", 4, "gain"), 0.001)]),
        ("gradient does not reach all parameters", [change(("gradient", "without"), ["encoder.head.weight"])]),
        ("decoded frames are no nearer than the current frame", [change(("still", "psnr"), 26.0)]),
        ("more slots do harm", [change(("reconstruction", 4, "drop"), -0.003)]),
        ("slots are not ordered", [change(("importance",), [0.002, 0.005, 0.01, 0.02])]),
        ("later slots carry nothing", [change(("reconstruction", 2, "loss"), 0.0441)]),
        ("all slots are dead", [change(("usage", "perplexity"), [1.0, 1.1, 1.0, 1.2])]),
        ("some slots are dead", [change(("usage", "perplexity"), [50.0, 1.1, 40.0, 30.0])]),
        (
            "dead FSQ dimensions",
            [change(("usage", "digit_perplexity"), [[6.0, 1.0], [1.0, 1.0], [1.0, 3.0], [1.0, 4.0]])],
        ),
        ("dead numbers", [change(("usage",), continuous([[True, True, False]] * 4))]),
        ("all slots are dead", [change(("usage",), continuous([[True, True]] * 4))]),
        ("dead codes", [change(("usage", "unused_share"), 0.9)]),
        ("codes tell appearance instead of motion", [change(("appearance", "current_r2"), 0.6)]),
        ("actions cannot be read linearly out of the codes", [change(("probe", 3, "accuracy"), 0.69)]),
        ("codes add nothing to the previous action", [change(("probe", 4, "accuracy"), 0.74)]),
        ("the translator is no better than its controls", [change(("translation", 0, "accuracy"), 0.64)]),
        ("the translator is no better than its controls", [change(("translation", 3, "accuracy"), 0.66)]),
        ("short prefixes align better", [change(("translation", 1, "accuracy"), 0.75)]),
    ],
)
def test_each_failure_is_found_by_its_name(name, changes):
    figures = copy.deepcopy(healthy())
    for apply in changes:
        apply(figures)
    weights = found(figures)
    assert set(weights) == {name}
    expected = {"failure": "bad", "warning": "doubtful", "note": "good"}[weights[name]]
    assert verdict([*of_codes(figures), *of_actions(figures)]) == expected


def test_shuffled_codes_are_never_ones_own_and_keep_their_counts():
    codes = torch.arange(50)[:, None].expand(-1, 3)
    mixed = metrics.control_codes(codes, "shuffled", 1000)
    assert not (mixed == codes).any()
    assert torch.equal(mixed.sort(0).values, codes)
    assert torch.equal(mixed, metrics.control_codes(codes, "shuffled", 1000))


def test_use_of_codes_counts_what_is_there():
    levels = (3, 2)
    codes = torch.tensor([[0, 0], [1, 0], [2, 0], [0, 0], [1, 0], [2, 0]])
    usage = code_usage(codes, 6, levels)
    assert usage["perplexity"] == pytest.approx([3.0, 1.0])
    assert usage["used"] == [3, 1]
    assert usage["unused_share"] == 0.5
    assert usage["digit_perplexity"] == [pytest.approx([3.0, 1.0]), pytest.approx([1.0, 1.0])]


def test_use_of_numbers_counts_directions_and_what_stands_still():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4000, 1, 3, generator=generator)
    still = torch.cat([z, 0.001 * torch.randn(4000, 1, 1, generator=generator)], -1)
    usage = number_usage(still)
    assert usage["flat"] == [[False, False, False, True]]
    assert usage["effective"] == pytest.approx(3, abs=0.1)
    assert number_usage(z[..., :1].expand(-1, 2, 3))["effective"] == pytest.approx(1)
    assert number_usage(torch.ones(50, 1, 2))["flat"] == [[True, True]]


def test_a_linear_probe_reads_what_is_linear_and_nothing_out_of_noise():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (900,), generator=generator)
    codes = torch.stack([labels * 7, torch.randint(0, 35, (900,), generator=generator)], 1)
    accuracy, error = probe.probe_accuracy(probe.one_hot_digits(codes[:, :1], (7, 5)), labels, 5)
    assert accuracy == 1.0 and error == 0.0
    accuracy, error = probe.probe_accuracy(probe.one_hot_digits(codes[:, 1:], (7, 5)), labels, 5)
    assert abs(accuracy - 0.2) < 4 * error


def test_share_of_variance_explained():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(400, 6, generator=generator)
    targets = features @ torch.randn(6, 3, generator=generator)
    assert probe.explained(features, targets) > 0.99
    assert probe.explained(features, torch.randn(400, 3, generator=generator)) < 0.05

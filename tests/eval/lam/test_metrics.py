"""Figures of a latent action model, against their definitions."""

import math

import pytest
import torch

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.eval.lam.metrics import (
    Transitions,
    control_codes,
    encode,
    prediction_errors,
    reconstruction,
    slot_importance,
    translate,
    translation,
)
from flexlam_rl.eval.lam.usage import code_usage, number_usage
from flexlam_rl.models.flexlam.config import PRESETS, TranslatorConfig
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.translator import Translator
from tests.models.weights import shaken

DEBUG = PRESETS["debug"].lam


@pytest.fixture(scope="module")
def lam():
    torch.manual_seed(0)
    return shaken(LAM(DEBUG))


def transitions(rows: int = 8, continuous: int = 0) -> Transitions:
    generator = torch.Generator().manual_seed(0)
    obs, after = torch.randint(0, 256, (2, rows, 3, 64, 64), generator=generator, dtype=torch.uint8)
    action = torch.randint(0, 3, (rows, 1), generator=generator)
    if continuous:
        action = torch.rand(rows, continuous, generator=generator) * 2 - 1
    return Transitions(obs, after, action, action.roll(1, 0))


def translator_of(lam: LAM, actions: ActionSpec) -> Translator:
    sizes = {"slots": DEBUG.slots, "code_dim": lam.latent.dim, "prefix": True, "hidden": 16, "wide": 32, "depth": 2}
    return shaken(Translator(TranslatorConfig(**sizes, actions=actions)))


def test_gains_and_drops_are_differences_of_losses(lam):
    data = transitions()
    codes = encode(lam, data)
    rows = {(row["codes"], row["k"]): row for row in reconstruction(lam, data, codes, 2)}
    budgets = sorted(k for kind, k in rows if kind == "codes")
    assert len(budgets) > 2 and len({round(rows["codes", k]["loss"], 6) for k in budgets}) == len(budgets)
    before = None
    for k in budgets:
        own = rows["codes", k]["loss"]
        assert own == pytest.approx(float(prediction_errors(lam, data, codes, k).mean()))
        for kind in ("shuffled", "random"):
            used = control_codes(codes, kind, lam.latent.codes)
            assert rows[kind, k]["loss"] == pytest.approx(float(prediction_errors(lam, data, used, k).mean()))
            assert rows[kind, k]["gain"] == pytest.approx(rows[kind, k]["loss"] - own, abs=1e-6)
        assert rows["codes", k]["gain"] == pytest.approx(rows["shuffled", k]["gain"], abs=1e-6)
        assert rows["codes", k]["drop"] == pytest.approx(0.0 if before is None else before - own, abs=1e-6)
        before = own


def test_the_importance_of_a_slot_is_the_error_that_another_transitions_code_adds(lam):
    data = transitions()
    codes = encode(lam, data)
    other = control_codes(codes, "shuffled", lam.latent.codes)
    found = slot_importance(lam, data, codes)
    mixed = torch.cat([codes[:, :1], other[:, 1:2], codes[:, 2:]], 1)
    added = prediction_errors(lam, data, mixed, DEBUG.slots) - prediction_errors(lam, data, codes, DEBUG.slots)
    assert found[1] == pytest.approx(float(added.mean()), abs=1e-5)
    alike = data[torch.zeros(8, dtype=torch.long)]  # one transition again and again: another one's codes are the same
    assert slot_importance(lam, alike, encode(lam, alike)) == pytest.approx([0.0] * DEBUG.slots, abs=1e-6)


def test_a_translator_is_measured_on_each_prefix(lam):
    data = transitions(32)
    translator, codes = translator_of(lam, ActionSpec((3,), 0)), encode(lam, data)
    losses = set()
    for row in translation(translator, lam, data, codes):
        used = control_codes(codes, "codes" if row["codes"] == "null" else row["codes"], lam.latent.codes)
        assert row["loss"] == translate(translator, lam, data, used, row["k"])["loss"]
        losses.add(row["loss"])
    assert len(losses) > 5


def test_continuous_actions_have_the_explained_share_of_their_variance(lam):
    data = transitions(16, continuous=2)
    translator, codes = translator_of(lam, ActionSpec((), 2)), encode(lam, data)
    outputs = translator(lam.keep_prefix(codes, 4), data.previous, data.obs).clamp(-1, 1)
    left = (outputs - data.action).square().sum(1).mean() / data.action.var(0, correction=0).sum()
    assert translate(translator, lam, data, codes, 4)["explained"] == pytest.approx(1 - float(left), rel=1e-4)


def test_use_of_codes_and_numbers():
    codes = torch.tensor([[0, 5], [1, 5], [2, 5], [3, 5]])
    found = code_usage(codes, 8, (4, 2))
    assert found["perplexity"] == pytest.approx([4.0, 1.0], abs=1e-6) and found["used"] == [4, 1]
    assert found["unused_share"] == pytest.approx(3 / 8)
    assert torch.allclose(torch.tensor(found["digit_perplexity"]), torch.tensor([[4.0, 1.0], [1.0, 1.0]]), atol=1e-5)
    assert found["unused_share_if_even"] == pytest.approx((7 / 8) ** 8)
    numbers = torch.randn(2000, 1, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 1.0, 1e-6])
    used = number_usage(numbers)
    assert used["flat"] == [[False, False, True]] and math.isclose(used["effective"], 2.0, rel_tol=0.01)

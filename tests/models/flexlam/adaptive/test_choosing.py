"""k* of transitions: the fewest codes whose cost is low enough, by each objective."""

from dataclasses import replace

import pytest
import torch

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.models.baselines.config import laom
from flexlam_rl.models.baselines.laom import LAOM
from flexlam_rl.models.flexlam.adaptive.choosing import choose
from flexlam_rl.models.flexlam.adaptive.objectives import Agreement, FlowLoss, PictureError, own_previous
from flexlam_rl.models.flexlam.config import PRESETS, TranslatorConfig, fixed
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.nn.action_distance import action_distance, actions_differ
from tests.models.weights import shaken

DEBUG = PRESETS["debug"].lam
SLOTS = DEBUG.slots


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    lam = shaken(LAM(DEBUG))
    config = TranslatorConfig(
        slots=SLOTS, code_dim=lam.latent.dim, prefix=True, actions=ActionSpec((5,), 0), hidden=16, wide=32, depth=2
    )
    return lam, shaken(Translator(config))


@pytest.fixture(scope="module")
def frames():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 24, 3, 64, 64), generator=generator, dtype=torch.uint8)


def objectives(translator):
    return {"flow": FlowLoss(), "picture": PictureError(steps=2), "agreement": Agreement(translator)}


@pytest.mark.parametrize("name", ["flow", "picture", "agreement"])
def test_k_is_the_first_prefix_whose_cost_is_low_enough(models, frames, name):
    lam, translator = models
    obs, after = frames
    objective = objectives(translator)[name]
    evaluate = objective.evaluator(lam, obs, after, lam.encode(obs, after), None)
    costs = torch.stack([evaluate(torch.full((24,), k)) for k in range(1, SLOTS + 1)], 1)
    tolerance = float(costs[:, :-1].median())
    found = choose(lam, obs, after, objective, tolerance)
    for row, k, met in zip(costs.tolist(), found.lengths.tolist(), found.met.tolist(), strict=True):
        good = [i for i, cost in enumerate(row, 1) if cost <= tolerance]
        assert (k, met) == (good[0] if good else SLOTS, bool(good))
    assert found.lengths.unique().numel() > 1 and found.evaluations.unique().tolist() == [SLOTS]
    # a transition's k* is its own: not its neighbours', nor its place's
    some = choose(lam, obs[:8], after[:8], objective, tolerance)
    assert some.lengths.equal(found.lengths[:8])
    assert not choose(lam, obs, after.roll(1, 0), objective, tolerance).lengths.equal(found.lengths)


def test_agreement_is_with_the_whole_block(models, frames):
    lam, translator = models
    found = choose(lam, *frames, Agreement(translator), 0.0)
    assert found.met.all()  # the whole block agrees with itself
    assert (choose(lam, *frames, Agreement(translator), 1.0).lengths == 1).all()


def test_distance_of_actions():
    spec = ActionSpec((2, 3), 1)
    one = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 0.5]]).expand(4, -1)
    other = one.clone()
    other[1, 0], other[2, 5], other[3, 0], other[3, 2] = 50.0, -0.5, 50.0, 50.0
    assert torch.allclose(action_distance(one, other, spec), torch.tensor([0.0, 0.5, 0.5, 1 - 0.5 / 3]))
    assert actions_differ(one, other, spec).tolist() == [False, False, True, False]


def test_actions_before_are_read_from_the_codes_before(models, frames):
    lam, translator = models
    first = torch.zeros(24, dtype=torch.bool)
    first[[0, 9]] = True
    slots = lam.keep_prefix(lam.encode(*frames), SLOTS)
    previous = own_previous(translator, slots, frames[0], first)[:, 0]
    alone = translator(slots, torch.full((24, 1), -1), frames[0]).argmax(-1)
    assert previous[first].tolist() == [-1, -1] and previous[1:9].equal(alone[:8]) and previous[10:].equal(alone[9:-1])


def test_bad_input_is_refused_in_a_sentence(models, frames):
    lam, translator = models
    for tolerance in (-0.1, float("nan"), "much"):
        with pytest.raises(ValueError, match=r"tolerance is .*; expected a finite number, 0 or more"):
            choose(lam, *frames, FlowLoss(), tolerance)
    with pytest.raises(ValueError, match="objective is 'beauty'; expected one of flow, picture, agreement"):
        choose(lam, *frames, "beauty", 0.1)
    with pytest.raises(ValueError, match="objective is 'agreement', which needs a translator"):
        choose(lam, *frames, "agreement", 0.1)
    with pytest.raises(ValueError, match="Fixed-K has 2 slots and no other budget"):
        choose(LAM(fixed(DEBUG, 2)), *frames, "flow", 0.1)
    numbers = LAOM(laom(DEBUG, slots=4, dim=2, prefix=True)).requires_grad_(False)
    with pytest.raises(ValueError, match=r"'flow', but .* has no flow loss"):
        choose(numbers, *frames, "flow", 0.1)
    with pytest.raises(ValueError, match=r"'picture', but .* predicts no pixels"):
        choose(numbers, *frames, "picture", 0.1)
    other = Translator(replace(translator.config, slots=SLOTS + 1))
    with pytest.raises(ValueError, match="expected equal numbers"):
        choose(lam, *frames, Agreement(other), 0.1)

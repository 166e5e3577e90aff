"""What the recurrent prior alone has: a memory to go on from, and a GRU whose matrices are hidden ones."""

from dataclasses import replace

import pytest
import torch

from flexlam_rl.models.flexlam.recurrent.config import SIZES
from flexlam_rl.models.flexlam.recurrent.decode import RecurrentDecoder
from flexlam_rl.models.flexlam.recurrent.model import Past, RecurrentPrior
from flexlam_rl.train import optim
from tests.models.flexlam.conftest import build_prior

CONFIG = SIZES["debug"]


@pytest.fixture
def prior():
    return build_prior(RecurrentPrior, CONFIG)


def test_a_window_goes_on_from_a_memory_or_begins(prior, window):
    images, codes = window(8)
    decoder = RecurrentDecoder(prior)
    state = decoder.initial_state(2)
    for t in range(3):
        decoder.observe(state, images[:, t], codes[:, t - 1] if t else None)
    whole, begun = (prior.decide(images[:, at:], codes[:, at:], codes[:, at:])[1] for at in (0, 3))
    past = Past(state.memory, codes[:, 2], torch.tensor([False, True]))
    given = (images[:, 3:], codes[:, 3:], codes[:, 3:])
    logits = prior.decide(*given, past)[1]
    assert torch.allclose(logits[0], whole[0, 3:]) and torch.allclose(logits[1], begun[1])
    for changed in (past._replace(memory=past.memory + 0.1), past._replace(block=codes[:, 1])):
        moved = (prior.decide(*given, changed)[1] - logits).abs().amax((2, 3)) > 1e-9
        assert moved[0].all() and not moved[1].any()


def test_a_history_is_made_again_from_its_memory(prior, window):
    images, codes = window(4)
    decoder = RecurrentDecoder(prior)
    state = decoder.initial_state(2)
    decoder.observe(state, images[:, 0], None)
    other = decoder.state_of(state.memory, state.step)
    hidden = [decoder.observe(each, images[:, 1], codes[:, 0]) for each in (state, other)]
    assert torch.equal(*hidden) and state.memory is not other.memory


def test_the_matrices_inside_are_hidden_ones(prior):
    net = prior.float()
    matrices = {id(p) for group in net.param_groups() if group["kind"] == "matrix" for p in group["params"]}
    inside = (net.project.layer, net.gru.input_gates, net.gru.hidden_gates)
    assert all(id(layer.weight) in matrices for layer in inside) and id(net.head.logits.weight) not in matrices
    assert len(optim.build([net], "muon", 1e-3, 1e-2, 0.0)) == 2


def test_a_context_and_frames_that_are_too_small_are_refused(prior):
    with pytest.raises(ValueError, match="context is 3 frames, but a recurrent prior remembers the whole episode"):
        RecurrentDecoder(prior, context=3)
    with pytest.raises(ValueError, match="Frames are 32x32"):
        replace(CONFIG, image_size=32)
    with pytest.raises(ValueError, match="last_codes is None"):
        decoder = RecurrentDecoder(prior)
        state = decoder.initial_state(1)
        for _ in range(2):
            decoder.observe(state, torch.zeros(1, 3, 64, 64, dtype=torch.float64), None)

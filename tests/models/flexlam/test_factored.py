"""What the factored prior alone has: patches of any size, and a context that may be shorter in play."""

from dataclasses import replace

import pytest
import torch

from flexlam_rl.models.flexlam.factored.config import SIZES
from flexlam_rl.models.flexlam.factored.decode import FactoredDecoder
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from tests.models.flexlam.conftest import build_prior

CONFIG = SIZES["debug"]
F = CONFIG.frames
LONG = 20  # frames, more than three times the context: both rings wrap around


def built(**changes):
    """A prior whose decisions depend on everything that they may depend on."""
    return build_prior(FactoredPrior, replace(CONFIG, **changes))


@torch.no_grad()
def play(net, images, codes, context=None):
    """Log-probabilities (B, T, M) of the likeliest codes of every decision."""
    decoder = FactoredDecoder(net, context=context)
    state, found = decoder.initial_state(len(images)), []
    for t in range(images.shape[1]):
        hidden = decoder.observe(state, images[:, t], codes[:, t - 1] if t else None)
        found.append(decoder.generate(state, hidden, CONFIG.slots).log_probs)
    return torch.stack(found, 1)


def test_one_patch_for_a_frame_is_decoded_as_several(window):
    assert built().config.patch == 32
    net = built(patch=64)
    images, codes = window(LONG)
    log_probs = play(net, images, codes)
    for t in (0, F, LONG - 1):
        first = net(images[:, : t + 1], codes[:, : t + 1])[:, t, 0].log_softmax(-1).amax(-1)
        assert torch.allclose(log_probs[:, t, 0], first.float(), atol=1e-5)


def test_a_shorter_context_is_the_model_with_so_many_frames(window):
    images, codes = window(LONG)
    log_probs = play(built(), images, codes, context=3)
    assert torch.allclose(log_probs, play(built(frames=3), images, codes))
    assert not torch.allclose(log_probs[:, 3:], play(built(), images, codes)[:, 3:], atol=1e-3)
    with pytest.raises(ValueError, match=f"context is 1 frames; expected 2..{F}"):
        FactoredDecoder(built(), context=1)

"""World models frame by frame: what `rollout` predicts, any length beyond it, and rows that do not know each other."""

from dataclasses import replace

import pytest
import torch

from flexlam_rl.models.flexlam.config import PRESETS
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.interfaces import Conditions, LookBack, SteppedWorldModel
from flexlam_rl.models.stepping import step_by_step
from flexlam_rl.models.videogpt.config import PRESETS as CLIP_PRESETS
from flexlam_rl.models.videogpt.config import VIPER_PRESETS, VideoGPTConfig
from flexlam_rl.models.videogpt.maskgit import MaskGIT, MaskGITConfig
from flexlam_rl.models.videogpt.videogpt import VideoGPT


def spread(model):
    """Weights far from their beginning, where little depends on anything."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model.eval()


def videogpt(per_frame=True, **prior):
    sizes = (VIPER_PRESETS if per_frame else CLIP_PRESETS)["debug"]
    return VideoGPT(VideoGPTConfig(replace(sizes.vqvae, image_size=32, down_space=16), replace(sizes.prior, **prior)))


def maskgit():
    vqvae = replace(VIPER_PRESETS["debug"].vqvae, image_size=32, down_space=16)
    return MaskGIT(MaskGITConfig(vqvae, width=16, depth=2, heads=2, hidden=32, passes=2))


def flexlam():
    return LAM(PRESETS["debug"].lam)


CODES = lambda rows, steps: torch.randint(0, 8, (rows, steps, 2), generator=rng(5))  # noqa: E731
ACTIONS = lambda rows, steps: torch.randint(0, 5, (rows, steps), generator=rng(5))  # noqa: E731
VECTORS = lambda rows, steps: torch.randn(rows, steps, 6, generator=rng(5))  # noqa: E731
MODELS = {
    "flexlam": (flexlam, CODES),
    "actions": (lambda: videogpt(actions=5), ACTIONS),
    "vectors": (lambda: videogpt(latents=6), VECTORS),
    "maskgit": (maskgit, lambda rows, steps: None),
    "seen frames": (lambda: videogpt(per_frame=False, context_frames=2, actions=5), ACTIONS),
}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def made(name):
    build, told = MODELS[name]
    torch.manual_seed(0)
    return spread(build()), told


def clips(model, rows=2, frames=2, seed=1):
    return torch.randint(0, 256, (rows, frames, *model.frame_shape), generator=rng(seed), dtype=torch.uint8)


@pytest.mark.parametrize("name", ["flexlam", "actions", "vectors", "maskgit"])
def test_steps_are_what_a_rollout_predicts(name):
    model, told = made(name)
    assert isinstance(model, SteppedWorldModel)
    context, latents = clips(model), told(2, 2)
    whole = model.rollout(context, latents, rng())
    assert torch.equal(step_by_step(model, context, latents, 2, rng()), whole)
    assert whole.float().std() > 1 and not torch.equal(model.rollout(context, latents, rng(1)), whole)


@pytest.mark.parametrize("name", list(MODELS))
def test_with_a_stream_each_a_row_depends_on_no_other_and_videos_may_be_long(name):
    model, told = made(name)
    context, latents = clips(model, 16), told(16, 5)
    frames = step_by_step(model, context, latents, 5, [rng(i) for i in range(16)])
    assert frames.shape == (16, 5, *model.frame_shape) and frames.dtype == torch.uint8
    flipped = None if latents is None else latents.flip(0)
    other = step_by_step(model, context.flip(0), flipped, 5, [rng(15 - i) for i in range(16)])
    assert torch.equal(other.flip(0), frames)
    same = step_by_step(model, context, latents, 5, [rng(0) for i in range(16)])
    assert torch.equal(same[0], frames[0]) and not torch.equal(same[1:], frames[1:])


class Sum:
    """A world whose next frame adds up what it looks back at: three frames, and what led to them and to the next."""

    conditions, look_back, frame_shape = Conditions("actions", 5), LookBack(1, 3), (1, 1, 1)

    def remember(self, frames):
        return frames

    def next_frame(self, items, told, generator=None):
        assert told.shape[1] == items.shape[1] + 1
        places = torch.arange(1, told.shape[1] + 1)
        total = items.long().sum((1, 2, 3, 4)) + 7 * (told * places).sum(1)
        frames = (total % 251).to(torch.uint8).view(-1, 1, 1, 1)
        return frames, frames


def test_frames_and_actions_count_as_far_as_a_model_looks_back():
    model, latents, past = Sum(), ACTIONS(2, 4), ACTIONS(2, 4)
    context = clips(model, 2, 5)

    def predict(context, past):
        return step_by_step(model, context, latents, 4, None, past)

    frames = predict(context, past)
    assert torch.equal(predict(context[:, 2:], past[:, 1:]), frames)
    for place in range(5):
        changed = context.clone()
        changed[:, place] += 1
        assert torch.equal(predict(changed, past), frames) == (place < 2), place
    for place in range(4):
        led = past.clone()
        led[:, place] = (led[:, place] + 1) % 5
        assert torch.equal(predict(context, led), frames) == (place < 1), place
    # of the step to the first frame there is, nothing is known
    short = predict(context[:, 3:], past[:, 3:])[:, 0].flatten().long()
    total = context[:, 3:].long().sum((1, 2, 3, 4)) + 7 * (-1 + 2 * past[:, 3] + 3 * latents[:, 0])
    assert torch.equal(short, total % 251)


def test_what_does_not_fit_is_refused_in_a_sentence():
    model, told = made("seen frames")
    with pytest.raises(ValueError, match="The context is 1 frames; this model looks back at 2"):
        step_by_step(model, clips(model, frames=1), told(2, 1), 1)
    with pytest.raises(ValueError, match="given nothing; it takes actions"):
        step_by_step(model, clips(model), None, 1)
    with pytest.raises(ValueError, match="latents are for 3 steps; the horizon is 2"):
        step_by_step(model, clips(model), told(2, 3), 2)
    model, told = made("flexlam")
    with pytest.raises(ValueError, match="There are 1 streams for 2 rows"):
        step_by_step(model, clips(model), told(2, 1), 1, [rng()])
    with pytest.raises(ValueError, match="it cannot be stepped"):
        _ = videogpt(per_frame=False).look_back
    with pytest.raises(ValueError, match="takes tasks"):
        _ = videogpt(tasks=("a", "b")).conditions

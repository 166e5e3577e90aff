"""Models for frames of any size: patches that follow, or one sentence."""

from typing import Any

import pytest
import torch

from flexlam_rl.models.baselines.config import adaworld, lapo
from flexlam_rl.models.baselines.forward_lam import ForwardLAM
from flexlam_rl.models.flexlam.config import PRESETS
from flexlam_rl.models.flexlam.frame_fit import fit_lam, fit_prior
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.nn.patch_embed import fitting_patch, patch_count


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_keep_their_patches_at_64_by_64(preset: str) -> None:
    sizes = PRESETS[preset]
    assert fit_lam(sizes.lam, (64, 64, 3), None, None) == sizes.lam
    assert fit_prior(sizes.sequence, (64, 64, 3), None) == sizes.sequence


@pytest.mark.parametrize("size", [(32, 32), (48, 80), (84, 84), (96, 128), (120, 160), (256, 256)])
def test_patches_divide_the_frame_into_about_as_many(size: tuple[int, int]) -> None:
    patch = fitting_patch(size, 16, "encoder")
    assert 10 <= patch_count(size, patch, "encoder") <= 20


@pytest.mark.parametrize(
    ("size", "options", "says"),
    [
        ((67, 101), {}, "67x101 pixels fit no patch from 4 pixels on .* such as 64x96"),
        ((84, 84), {"powers": True}, "84x84 pixels fit no power of two from 8"),
        ((254, 254), {"most": 8}, "fit no patch from 4 to 8 pixels"),
    ],
)
def test_frames_that_no_patch_divides(size: tuple[int, int], options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fitting_patch(size, 16, "encoder", **options)


def test_a_patch_that_is_given_must_divide_the_frame() -> None:
    assert fit_lam(PRESETS["debug"].lam, (96, 128, 3), 8, 4).encoder.patch == 8
    with pytest.raises(ValueError, match=r"decoder's patch is 20, .* 96x128 pixels; expected 2, 4, 8, 16, 32"):
        fit_lam(PRESETS["debug"].lam, (96, 128, 3), None, 20)


def test_a_velocity_has_no_more_numbers_per_patch_than_the_decoder_is_wide() -> None:
    decoder = fit_lam(PRESETS["paper"].lam, (256, 256, 3), None, None).decoder
    assert decoder.predict == "velocity" and 3 * decoder.patch**2 <= decoder.width


@pytest.mark.parametrize("size", [(32, 32), (84, 84), (90, 110), (32, 256), (256, 256)])
def test_frames_of_any_size_are_seen_and_moved(size: tuple[int, int]) -> None:
    lam = LAM(fit_lam(PRESETS["tiny"].lam, (*size, 2), None, None))
    assert 8 <= len(lam.encoder.position) <= 32
    frames = torch.randint(0, 256, (2, 2, *size), dtype=torch.uint8)
    lam(frames, frames.flip(-1), torch.Generator().manual_seed(0)).loss.backward()
    assert lam.decode(frames, lam.encode(frames, frames), 3, 1).shape == frames.shape


def test_a_frame_of_one_cell_does_not_move() -> None:
    with pytest.raises(ValueError, match=r"decoder's patch is 32, a whole side of frames of 32x64 .* 16 or less"):
        fit_lam(PRESETS["tiny"].lam, (32, 64, 3), None, 32)


@pytest.mark.parametrize("preset", ["debug", "tiny"])
def test_gray_wide_frames_pass_through_all_models(preset: str) -> None:
    shape, sizes = (96, 128, 1), PRESETS[preset]
    frames = torch.randint(0, 256, (3, 1, 96, 128), dtype=torch.uint8)
    fitted = fit_lam(sizes.lam, shape, None, None)
    for model in (LAM(fitted), ForwardLAM(lapo(fitted)), ForwardLAM(adaworld(fitted))):
        latents = model.encode(frames[:2], frames[1:])
        assert model.decode(frames[:2], latents, 1).shape == (2, 1, 96, 128)
        with pytest.raises(ValueError, match=r"expected \(B, 1, 96, 128\)"):
            model.encode(frames[:2].mT, frames[1:].mT)
    prior = SequenceModel(fit_prior(sizes.sequence, shape, None))
    codes = torch.zeros(1, 3, prior.config.slots, dtype=torch.long)
    assert prior(frames[None], codes).shape == (1, 3, prior.config.slots, prior.config.codes)

"""Fitting models to the frames of the rollouts: any height and width from 32 to 256 pixels, one to four channels.

A preset's patches are meant for 64 x 64 pixels. For other frames, each model takes a patch size that gives about as
many patches, and so costs about the same.
"""

from dataclasses import replace
from typing import Any, TypeVar

from flexlam_rl.models.flexlam.config import EncoderConfig, LAMConfig
from flexlam_rl.nn.patch_embed import SMALLEST_PATCH, Size, fitting_patch, frame_fields, frame_size, patch_count
from flexlam_rl.train.definition import Splits

Shape = tuple[int, int, int]
"""Height, width and channels."""
Config = TypeVar("Config", bound=Any)
LEAST, MOST = 32, 256
SMALLEST_CELL = 2
"""Smallest side, in pixels, of the cells that convolutions begin with."""


def frame_shape(splits: Splits) -> Shape:
    """Height, width and channels of all frames of the rollouts.

    Raises:
        ValueError: Training and test frames differ, or models do not take such frames.
    """
    first, second = (rollouts.stores[0] for rollouts in (splits.train, splits.test))
    height, width, channels = map(int, first.frames.row)
    if tuple(second.frames.row) != (height, width, channels):
        shapes = " and ".join("x".join(map(str, store.frames.row)) for store in (first, second))
        raise ValueError(f"frames of {first.path} and {second.path} differ: {shapes}.")
    if not (LEAST <= height <= MOST and LEAST <= width <= MOST) or channels > 4:
        raise ValueError(
            f"{first.path} has frames of {height}x{width} pixels with {channels} channels; expected {LEAST} to {MOST} "
            "pixels along each side, and 1 to 4 channels."
        )
    return height, width, channels


def _chosen(size: Size, given: int | None, usual: int, owner: str, **limits: Any) -> int:
    if given is None:
        return fitting_patch(size, usual, owner, **limits)
    patch_count(size, given, owner)
    return given


def fit_encoder(encoder: EncoderConfig, size: Size, patch: int | None) -> EncoderConfig:
    """Fit a preset's encoder to frames of a size, with the given patch or one that fits."""
    least = SMALLEST_CELL if encoder.stem == "conv" else SMALLEST_PATCH
    return replace(encoder, patch=_chosen(size, patch, encoder.patch, "encoder", least=least))


def fit_lam(config: LAMConfig, shape: Shape, encoder_patch: int | None, decoder_patch: int | None) -> LAMConfig:
    """Fit a preset's latent action model to frames of a shape.

    Args:
        config: Configuration of the preset.
        shape: Height, width and channels of the frames.
        encoder_patch, decoder_patch: Pixels along a side of a patch; None for patches that fit.

    Raises:
        ValueError: No patch fits, or a given patch does not.
    """
    size, decoder = shape[:2], config.decoder
    least = SMALLEST_CELL if decoder.kind == "motion" else SMALLEST_PATCH
    # a velocity contains the noise of a whole patch, which does not fit through a narrower network
    most = int((decoder.width / shape[2]) ** 0.5) if decoder.predict == "velocity" else None
    fitting = _chosen(size, decoder_patch, decoder.patch, "decoder", most=most, least=least)
    if decoder.kind == "motion" and fitting == min(size):
        raise ValueError(
            f"the decoder's patch is {fitting}, a whole side of frames of {size[0]}x{size[1]} pixels; "
            f"expected {fitting // 2} or less."
        )
    return replace(
        config, **frame_fields(size), channels=shape[2],
        encoder=fit_encoder(config.encoder, size, encoder_patch), decoder=replace(decoder, patch=fitting),
    )  # fmt: skip


def fit_prior(config: Config, shape: Shape, patch: int | None) -> Config:
    """Fit a preset's prior to frames of a shape, with the given patch or one that fits.

    Raises:
        ValueError: No patch fits, the given patch does not, or the prior has no patches.
    """
    size = shape[:2]
    if not hasattr(config, "patch"):
        if patch is not None:
            raise ValueError(f"sequence_patch is {patch}, but the recurrent prior sees no patches: leave it out.")
        return replace(config, **frame_fields(size), channels=shape[2])
    powers = getattr(config, "stem", "conv") == "conv"
    fitting = _chosen(size, patch, config.patch, "sequence model", powers=powers)
    return replace(config, **frame_fields(size), channels=shape[2], patch=fitting)


def check_frames(model: Any, splits: Splits) -> None:
    """Refuse a model that was made for other frames than those of the rollouts.

    Raises:
        ValueError: Frames of the model and of the rollouts differ.
    """
    shape = frame_shape(splits)
    wanted = (*(frame_size(model) if hasattr(model, "image_size") else shape[:2]), model.channels)
    if shape != wanted:
        shapes = " and ".join("x".join(map(str, one)) for one in (shape, wanted))
        raise ValueError(f"frames in {splits.train.stores[0].path} and of the model differ: {shapes}.")

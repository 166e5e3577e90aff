"""All figures of a set of clips: of reconstructions against the originals, and of samples against real video.

Shapes: N clips, T frames, C H W picture. Frames are uint8, or float in [-1, 1].
"""

from torch import Tensor

from flexlam_rl.eval.video.curves import compare_frames
from flexlam_rl.eval.video.distances import clip_vectors, frechet_distance
from flexlam_rl.eval.video.extractors import Extractor
from flexlam_rl.eval.video.pixels import normalised_error
from flexlam_rl.nn.frames import to_unit


def reconstruction_figures(truth: Tensor, rebuilt: Tensor, extractor: Extractor) -> dict[str, float]:
    """Measure an autoencoder's reconstructions of clips (N, T, C, H, W).

    Returns:
        "psnr", "ssim", "perceptual-..." and "nmse" (by the variance of `truth`), means over all frames; and Fréchet
        distances of the reconstructions to the clips.
    """
    frames = extractor if not extractor.clips else None
    figures = {name: float(values.mean()) for name, values in compare_frames(truth, rebuilt, frames).items()}
    variance = float(to_unit(truth).var())
    figures["nmse"] = float(
        normalised_error(to_unit(rebuilt.flatten(0, 1)), to_unit(truth.flatten(0, 1)), variance).mean()
    )
    return figures | distribution_figures(truth, rebuilt, extractor)


def distribution_figures(real: Tensor, made: Tensor, extractor: Extractor, of: str = "frechet") -> dict[str, float]:
    """Compute Fréchet distances between two sets of clips, which need not correspond to each other.

    Args:
        real, made: Clips, (N, T, C, H, W), the same number in each set.
        extractor: Extractor, which is named in the figures.
        of: First part of the names, so that samples against reconstructions (VideoGPT's "FVD*") have another name than
            samples against real clips.

    Returns:
        "<of>-<extractor>" for clips or frames; with an extractor of pictures, also "<of>-motion-<extractor>".

    Raises:
        ValueError: The sets differ in size, on which the distance depends.
    """
    if real.shape != made.shape:
        raise ValueError(f"Sets of clips of shapes {tuple(real.shape)} and {tuple(made.shape)}; expected equal ones.")
    kinds = {of: False} if extractor.clips else {of: False, f"{of}-motion": True}
    return {
        f"{name}-{extractor.name}": frechet_distance(*(clip_vectors(extractor, x, motion) for x in (real, made)))
        for name, motion in kinds.items()
    }

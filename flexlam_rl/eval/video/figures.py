"""All figures of a set of clips: of reconstructions against the originals, and of samples against real video.

Shapes: N clips, T frames, C H W picture. Frames are uint8, or float in [-1, 1].
"""

from torch import Tensor

from flexlam_rl.eval.video.curves import compare_frames
from flexlam_rl.eval.video.distances import clip_vectors, frechet_distance, motion
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
    real, again = (clip_vectors(extractor, x) for x in (truth, rebuilt))
    return figures | distribution_figures(real, again, extractor, truth.shape[1])


def distribution_figures(
    real: Tensor, made: Tensor, extractor: Extractor, frames: int, of: str = "frechet"
) -> dict[str, float]:
    """Compute Fréchet distances between two sets of clips, which need not correspond to each other.

    Args:
        real, made: Features of the clips of both sets, as `clip_vectors` gives them; the same number in each set.
        extractor: Extractor of the features, which is named in the figures.
        frames: Number of frames of each clip, T.
        of: First part of the names, so that samples against reconstructions (VideoGPT's "FVD*") have another name than
            samples against real clips.

    Returns:
        "<of>-<extractor>" for clips or frames; with an extractor of pictures, also "<of>-motion-<extractor>".

    Raises:
        ValueError: The sets differ in size, on which the distance depends.
    """
    if real.shape != made.shape:
        raise ValueError(
            f"Sets of features of shapes {tuple(real.shape)} and {tuple(made.shape)}; expected equal ones."
        )
    figures = {f"{of}-{extractor.name}": frechet_distance(real, made)}
    if not extractor.clips:
        figures[f"{of}-motion-{extractor.name}"] = frechet_distance(motion(real, frames), motion(made, frames))
    return figures

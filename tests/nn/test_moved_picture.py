"""A picture made of another one by moving pieces of it."""

import pytest
import torch

from flexlam_rl.nn import moved_picture
from flexlam_rl.nn.moved_picture import MovedPicture
from flexlam_rl.nn.unet import MotionUNet

SIZE = (32, 48)


def picture(batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, 3, *SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1


def head_of_one_motion(monkeypatch, right: int, down: int) -> MovedPicture:
    """A head whose only motion reads so many pixels to the right and down, and which nothing else decides."""
    monkeypatch.setattr(moved_picture, "STARTS", ((2 * right / SIZE[1], 2 * down / SIZE[0]),))
    monkeypatch.setattr(moved_picture, "STILL", -100.0)
    return MovedPicture(SIZE, 3, 4, 8, 16)


@pytest.mark.parametrize(("right", "down"), [(5, 0), (-7, 3), (0, -2)])
def test_it_reads_where_the_motion_says(monkeypatch, right, down):
    head, frames = head_of_one_motion(monkeypatch, right, down), picture()
    out = head(torch.zeros(2, 8, 8, 12), torch.zeros(2, 16), frames)
    inside = (slice(None), slice(None), slice(4, 28), slice(8, 40))
    assert torch.allclose(out[inside], frames.roll((-down, -right), (2, 3))[inside], atol=1e-4)


def test_cells_move_their_own_way_and_all_by_the_summary(monkeypatch):
    head, frames = head_of_one_motion(monkeypatch, 0, 0), picture()
    features = torch.zeros(2, 8, 8, 12)
    features[:, 0, :, 6:] = 1.0  # the right half moves by 2 pixels
    head.field.weight.data[0, 0] = 2 * 2 / SIZE[1]
    out = head(features, torch.zeros(2, 16), frames)
    assert torch.allclose(out[..., :18], frames[..., :18], atol=1e-4)
    assert torch.allclose(out[..., 30:40], frames[..., 32:42], atol=1e-4)
    head.field.weight.data.zero_()
    head.whole.weight.data[4, 0] = 2 * 3 / SIZE[1]  # after two masks, x = 1 x + 0 y + shift
    summary = torch.zeros(2, 16)
    summary[1, 0] = 1.0  # the second picture's camera alone turns
    out = head(torch.zeros(2, 8, 8, 12), summary, frames)
    assert torch.allclose(out[0], frames[0], atol=1e-4)
    assert torch.allclose(out[1, :, :, :40], frames[1, :, :, 3:43], atol=1e-4)


def test_places_are_exact_under_autocast(monkeypatch):
    head, frames = head_of_one_motion(monkeypatch, 5, 1), picture()
    plain = head(torch.zeros(2, 8, 8, 12), torch.zeros(2, 16), frames)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(head(torch.zeros(2, 8, 8, 12), torch.zeros(2, 16), frames), plain)


def test_it_learns_which_code_turns_the_camera():
    """A shift of 10 pixels either way, farther than a gradient sees: a net without motions could only blur."""
    torch.manual_seed(0)
    net = MotionUNet(SIZE, 3, 3, 4, 32, 1, 2, 64, 1, 2)
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(0)
    errors = []
    for _ in range(60):
        coarse = torch.rand(16, 3, 8, 12, generator=generator) * 2 - 1
        frames = torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear")
        left = torch.rand(16, generator=generator) < 0.5
        slots = torch.stack([left, ~left], -1).float()[:, None]
        following = torch.where(left[:, None, None, None], frames.roll(10, 3), frames.roll(-10, 3))
        error = (net(frames, frames, slots) - following)[..., 10:-10].square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(float(error.detach()))
    assert sum(errors[-5:]) < 0.25 * sum(errors[:5])


def test_what_does_not_fit_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="cells of 32 pixels leave 1x1 of them in 32x48; expected 2 or more"):
        MovedPicture(SIZE, 3, 32, 8, 16)
    with pytest.raises(ValueError, match=r"width is 48; .* needs a multiple of 32"):
        MotionUNet(SIZE, 3, 3, 4, 48, 1, 2, 64, 1, 2)
    with pytest.raises(ValueError, match="the decoder's patch is 5"):
        MotionUNet(SIZE, 3, 3, 5, 32, 1, 2, 64, 1, 2)

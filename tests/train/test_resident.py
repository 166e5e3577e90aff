"""Frames on the training device give the batches that the host's sampler gives, and share its cursor."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from flexlam_rl.datasets import Episode, Origin, Rollouts, TransitionPairs, Windows
from flexlam_rl.datasets.loader import Batches
from flexlam_rl.datasets.memory import MemoryStore
from flexlam_rl.models.flexlam.cached_codes import keep_codes
from flexlam_rl.models.flexlam.config import PRESETS
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.stages.sequence import encode_windows
from flexlam_rl.train.clips import ClipSource, held_out_clips, spread_windows
from flexlam_rl.train.data import CurriculumSource, PairSource
from flexlam_rl.train.resident import ResidentSpans, fits

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture
def stores():
    rng = np.random.default_rng(0)

    def episode(length: int) -> Episode:
        restart = np.zeros(length + 1, bool)
        restart[4] = True
        frames = rng.integers(0, 256, (length + 1, 8, 12, 3), dtype=np.uint8)
        return Episode(
            frames, rng.integers(0, 15, length).astype(np.int16), np.zeros(length, np.float32), restart=restart
        )

    origin = Origin(engine="litelab", action_set="dreamer15")
    return [MemoryStore(name, [episode(9), episode(6)], origin) for name in ("a", "b")]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["pairs", "windows"])
def test_batches_are_the_hosts(stores, device, kind):
    spans = TransitionPairs(stores, ("action",)) if kind == "pairs" else Windows(stores, 4, ("action",))
    host = Batches(spans, 5, seed=3, workers=0)
    resident = Batches(ResidentSpans(spans, device), 5, seed=3, workers=0)
    for _ in range(8):
        want, got = next(host), next(resident)
        assert got["frames"].device.type == device and got["frames"].dtype == torch.uint8
        assert np.array_equal(got["frames"].cpu().numpy(), np.moveaxis(want["frames"], -1, 2))
        assert np.array_equal(got["action"].cpu().numpy(), want["action"])


def test_a_run_may_move_from_the_host_to_the_device(stores):
    spans = TransitionPairs(stores)
    host = Batches(spans, 3, seed=1, workers=0)
    for _ in range(4):
        next(host)
    resident = Batches(ResidentSpans(spans, "cpu"), 3, seed=1, workers=0)
    resident.load_state_dict(host.state_dict())
    assert np.array_equal(next(resident)["frames"].numpy(), np.moveaxis(next(host)["frames"], -1, 2))


def test_frames_stay_on_the_host_where_there_is_no_gpu(stores):
    assert not fits(TransitionPairs(stores), "cpu")


def test_sources_give_the_same_from_the_device_as_from_the_host(stores):
    host, device = (PairSource(Rollouts(stores), 4, 2, resident=resident) for resident in (False, True))
    for _ in range(5):
        want, got = host.next(), device.next()
        for name in ("obs", "next_obs"):
            assert np.array_equal(got[name].numpy(), np.moveaxis(want[name], -1, 1))
    assert host.state_dict() == device.state_dict()
    windows = [CurriculumSource(Rollouts(stores), 4, 2, 4, 2, 0, resident=resident) for resident in (False, True)]
    for _ in range(4):
        want, got = (source.next()["frames"] for source in windows)
        assert np.array_equal(got.numpy(), np.moveaxis(want, -1, 2))
    assert windows[0].state_dict() == windows[1].state_dict()
    assert windows[1].sources[0].resident.frames is windows[1].sources[1].resident.frames


def test_codes_kept_beside_the_frames_are_those_encoded_anew(stores):
    torch.manual_seed(0)
    size = replace(
        PRESETS["debug"].lam, image_size=8, encoder=replace(PRESETS["debug"].lam.encoder, patch=4),
        decoder=replace(PRESETS["debug"].lam.decoder, patch=4),
    )  # fmt: skip
    square = [MemoryStore(s.level, [Episode(s.frames[:][:, :, :8], s.action[:-1], None)], s.origin) for s in stores]
    lam = LAM(size).eval()
    items = ResidentSpans(Windows(square, 4), "cpu")
    keep_codes(lam, items)
    batch = items.read(np.arange(len(items)))
    assert torch.equal(batch["codes"].long(), encode_windows(lam, batch["frames"]))


def test_frames_are_shared_only_by_items_of_the_same_rollouts(stores):
    one = ResidentSpans(TransitionPairs(stores[:1]), "cpu")
    with pytest.raises(ValueError, match="are of other rollouts"):
        ResidentSpans(TransitionPairs(stores[1:]), "cpu", one)


def test_a_clips_actions_are_those_that_led_to_its_frames():
    actions = np.random.default_rng(0).integers(0, 15, 30).astype(np.int16)
    shown = np.concatenate([[0], actions.cumsum() % 256]).astype(np.uint8)  # each action adds to the brightness
    frames = np.broadcast_to(shown[:, None, None, None], (31, 8, 12, 3)).copy()
    store = MemoryStore("a", [Episode(frames, actions, np.zeros(30, np.float32))], Origin(engine="litelab"))
    windows = spread_windows(Rollouts([store]), 4, 1, ("action",))  # type: ignore[list-item]
    host = ClipSource(windows, 1, 6, 0).next()
    batches = [
        (torch.from_numpy(host["frames"]).movedim(-1, 2), torch.from_numpy(host["actions"])),
        tuple(held_out_clips(windows, 1, 6)[name] for name in ("frames", "actions")),
    ]
    for frames, told in batches:
        light = frames[:, :, 0, 0, 0].long()
        assert torch.equal(told[:, 1:], light.diff() % 256) and (told[:, 0] == -1).all()


def test_the_curriculum_gives_short_windows_for_as_many_steps_as_it_says(stores):
    source = CurriculumSource(Rollouts(stores), 4, 2, 4, 2, 0)
    assert [source.next()["frames"].shape[:2] for _ in range(4)] == [(4, 2), (4, 2), (2, 4), (2, 4)]

"""TECO's stages: they train from options, continue bit for bit, and the second leaves the first as it is."""

from pathlib import Path

import numpy as np
import pytest
import torch

from flexlam_rl.datasets import open_rollouts
from flexlam_rl.datasets.derived import has_derived_rows
from flexlam_rl.models.flexlam.config import PRESETS as LAM_PRESETS
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.systems import load_model
from flexlam_rl.models.teco.stages import definitions
from flexlam_rl.models.teco.stages.coded_clips import KIND, stored_frame_codes
from flexlam_rl.models.teco.stages.definitions import VQGAN_STAGE, DirectOptions, TECOOptions, VQGANOptions
from flexlam_rl.models.teco.stages.sources import prefixes
from flexlam_rl.models.teco.teco import TECO
from flexlam_rl.models.videogpt.stages.clips import latent_actions
from flexlam_rl.nn.pretrained import model_digest
from flexlam_rl.train.definition import Splits
from flexlam_rl.train.run_stage import train_stage
from flexlam_rl.utils.files import read_json
from tests.models.videogpt.test_stages import equal, killed_and_continued, stop_at, weights

__all__ = ["stop_at"]


@pytest.fixture(scope="module")
def vqgan(rollouts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("vqgan")
    train_stage("vqgan", VQGANOptions(data=rollouts, out=out, preset="debug", steps=2, adversarial=0.0))
    return out


def test_the_vqgan_and_its_discriminator_continue_bit_for_bit(rollouts, tmp_path, stop_at):
    def options(out: Path) -> VQGANOptions:
        return VQGANOptions(data=rollouts, out=out, preset="debug", steps=5, perceptual="random")

    whole = killed_and_continued("vqgan", options, stop_at, tmp_path, "vqgan")
    lines = (whole / "vqgan" / "metrics.jsonl").read_text()
    assert '"weight"' in lines and '"discriminator"' in lines and '"perplexity"' in lines
    assert list((whole / "vqgan" / "sheets").glob("*.png"))
    assert read_json(whole / "vqgan" / "config.json")["adversarial"] == 1.0


def test_the_tiny_vqgan_has_no_discriminator_unless_it_is_asked_for(rollouts, tmp_path):
    splits = Splits(open_rollouts(rollouts, split="train"), open_rollouts(rollouts, split="test"))
    for given, found in ((None, 0.0), (0.5, 0.5)):
        options = VQGANOptions(data=rollouts, out=tmp_path, adversarial=given)
        assert VQGAN_STAGE.plan(options, splits, {}).adversarial == found


def test_teco_on_prefixes_continues_bit_for_bit_and_leaves_its_vqgan_as_it_is(rollouts, vqgan, tmp_path, stop_at):
    torch.manual_seed(0)
    lam = LAM(LAM_PRESETS["debug"].lam).eval()
    lam.save_pretrained(tmp_path / "lam" / "lam" / "best" / "lam")

    def options(out: Path) -> TECOOptions:
        return TECOOptions(
            data=rollouts, out=out, preset="debug", vqgan_run=vqgan, steps=5, condition="latents",
            lam_run=tmp_path / "lam", budget=2,
        )  # fmt: skip

    whole = killed_and_continued("teco", options, stop_at, tmp_path / "runs", "teco")
    trained = weights(whole / "teco" / "last" / "teco")
    inside = {name.removeprefix("vqgan."): value for name, value in trained.items() if name.startswith("vqgan.")}
    assert equal(inside, weights(vqgan / "vqgan" / "best" / "vqgan"))
    model = load_model(whole / "teco" / "best" / "teco")
    assert isinstance(model, TECO) and model.config.latents == 2 * lam.quantizer.dim
    assert '"silent"' in (whole / "teco" / "metrics.jsonl").read_text()
    # codes that are kept beside the rollouts tell what encoding the frames tells
    frames = torch.randint(0, 256, (2, 3, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    codes = lam.encode(frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1)).view(2, 2, -1).short()
    assert torch.equal(prefixes(lam, codes, 2), latent_actions(lam, frames, 2))


@pytest.mark.parametrize("condition", ["latents", "actions"])
def test_codes_of_frames_that_are_kept_train_the_same_model(rollouts, vqgan, tmp_path, condition):
    """With all frames encoded once, losses and weights are those of encoding each clip again."""
    told = {"condition": condition}
    if condition == "latents":
        torch.manual_seed(0)
        LAM(LAM_PRESETS["debug"].lam).eval().save_pretrained(tmp_path / "lam" / "lam" / "best" / "lam")
        told |= {"lam_run": tmp_path / "lam", "budget": 2}
    found = []
    for keep in (False, True):
        out = tmp_path / str(keep)
        train_stage(
            "teco",
            TECOOptions(data=rollouts, out=out, preset="debug", vqgan_run=vqgan, steps=3, keep_codes=keep, **told),
        )
        found.append(weights(out / "teco" / "last" / "teco"))
    assert equal(*found)
    splits = open_rollouts(rollouts, split="train")
    model = load_model(vqgan / "vqgan" / "best" / "vqgan")
    digest = model_digest(vqgan / "vqgan" / "best" / "vqgan")
    assert all(has_derived_rows(store, KIND, digest) for store in splits.stores)
    store, kept = splits.stores[0], stored_frame_codes(model, digest, splits)[0]
    frames = torch.from_numpy(store.frames.read(3, 7)).movedim(-1, 1)
    assert torch.equal(torch.from_numpy(kept[3:7].astype(np.int64)), model.encode(frames[None])[0])


def test_codes_are_kept_where_training_reads_more_frames_than_there_are(rollouts, vqgan, tmp_path, monkeypatch):
    asked = []
    real = definitions.stored_frame_codes
    monkeypatch.setattr(definitions, "stored_frame_codes", lambda *a: asked.append(a) or real(*a))
    rows = sum(store.rows for store in open_rollouts(rollouts, split="train").stores)
    few = rows // (2 * 5)  # two clips of five frames per step
    for steps, keeps in ((few, False), (few + 1, True)):
        options = TECOOptions(data=rollouts, out=tmp_path, preset="debug", vqgan_run=vqgan, steps=steps)
        splits = Splits(*(open_rollouts(rollouts, split=split) for split in ("train", "test")))
        config = definitions.TECO_STAGE.plan(options, splits, {})
        definitions.TECO_STAGE.build(options, config, splits)
        assert bool(asked) is keeps


@pytest.mark.parametrize("prior", ["maskgit", "ar"])
def test_models_without_latent_dynamics_train_in_the_same_way(rollouts, vqgan, tmp_path, prior):
    options = DirectOptions(
        data=rollouts, out=tmp_path, preset="debug", vqgan_run=vqgan, steps=2, prior=prior, frames=4, drop_loss=0.0
    )
    assert train_stage("direct", options)["loss"] > 0
    model = load_model(tmp_path / "direct" / "best" / "direct")
    assert (model.config.kind, model.config.frames, model.config.actions) == (prior, 4, 15)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (TECOOptions, {"condition": "latents"}, "latents need a lam_run"),
        (TECOOptions, {"budget": 0}, "budget"),
        (VQGANOptions, {"adversarial": -1.0}, "adversarial is -1.0"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_a_sentence(kind, options, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        kind(data=tmp_path, out=tmp_path, **options)


def test_what_cannot_be_trained_is_refused_before_anything_is_written(rollouts, vqgan, tmp_path):
    for more, said in (({"frames": 64}, "No items of 64 rows"), ({"side": 3}, "temporal.side is 3")):
        with pytest.raises(ValueError, match=said):
            train_stage("teco", TECOOptions(data=rollouts, out=tmp_path, preset="debug", vqgan_run=vqgan, **more))
    with pytest.raises(ValueError, match="perceptual is 'vgg'"):
        train_stage("vqgan", VQGANOptions(data=rollouts, out=tmp_path, preset="debug", perceptual="vgg"))
    assert not any((tmp_path / name).exists() for name in ("teco", "vqgan"))

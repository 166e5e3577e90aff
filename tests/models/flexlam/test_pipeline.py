"""Stages on rollouts from disk, at debug size: they run in a row, continue, refuse what does not fit, and their models
load.
"""

import json
import os
import shutil
from dataclasses import replace

import pytest
import torch

from flexlam_rl.datasets import load_labels, open_rollouts
from flexlam_rl.datasets.labels import PARTS
from flexlam_rl.envs.domains.dmlab.actions import action_set
from flexlam_rl.models import slot_model
from flexlam_rl.models.baselines.features import FeatureTranslator
from flexlam_rl.models.baselines.idm import IDM, BehaviourCloning
from flexlam_rl.models.flexlam import cached_codes
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.options import TrainArgs
from flexlam_rl.models.flexlam.pipeline import train_all, train_stage
from flexlam_rl.models.flexlam.priors import load_prior
from flexlam_rl.models.flexlam.recipes import RECIPES
from flexlam_rl.models.flexlam.recurrent.config import SIZES as RECURRENT
from flexlam_rl.models.flexlam.recurrent.model import RecurrentPrior
from flexlam_rl.models.flexlam.run_config import windows
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.stages.sequence import SequenceStage, encode_windows
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.train import data
from flexlam_rl.train.command import main
from flexlam_rl.train.data import CurriculumSource
from flexlam_rl.train.trainer import TrainingError


def test_all_stages_run_in_a_row_and_their_models_load(args):
    figures = train_all(args)
    assert list(figures) == ["lam", "sequence", "translator"]
    train_stage("joint", args)
    train_stage("idm", args)
    actions = action_set("dreamer15")
    lam = LAM.from_pretrained(args.out / "lam/best/lam")
    assert SequenceModel.from_pretrained(args.out / "sequence/best/sequence").config.codes == lam.code_count
    translator = Translator.from_pretrained(args.out / "translator/best/translator")
    assert (translator.config.actions.name, translator.config.actions.hash) == (actions.name, actions.hash)
    LAM.from_pretrained(args.out / "joint/best/lam")
    IDM.from_pretrained(args.out / "idm/best/idm")
    assert list((args.out / "lam/sheets").glob("*.png"))
    again = train_all(args)
    assert again["lam"]["loss"] == figures["lam"]["loss"]


@pytest.fixture(scope="module")
def trained(rollouts, tmp_path_factory):
    """Options with which a LAM was trained."""
    args = TrainArgs(data=rollouts, out=tmp_path_factory.mktemp("flexlam"), preset="debug", label_count=60)
    train_stage("lam", args)
    return args


@pytest.mark.parametrize("stage", ["bc", "features", "shuffled", "random", "previous"])
def test_baselines_train_on_the_translators_labels_and_load(trained, tmp_path, stage):
    args = replace(trained, out=tmp_path, lam_run=trained.out)
    train_stage(stage, args)
    kind = {"bc": BehaviourCloning, "features": FeatureTranslator}.get(stage, Translator)
    model = kind.from_pretrained(args.out / stage / "best" / (stage if stage in ("bc", "features") else "translator"))
    assert model.config.actions.name == "dreamer15"
    config = json.loads((args.out / stage / "config.json").read_text())
    assert (config["labels"], config["stage"]) == ("standard", stage)


def test_commands_of_stages_print_figures_and_name_what_is_wrong(args, monkeypatch, capsys):
    common = ["--data", str(args.data), "--out", str(args.out), "--preset", "debug", "--label-count", "60"]
    assert main("controls", [*common, "--kind", "shuffled"]) == 2
    assert "train the stage 'lam' first" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["train.bc", *common])
    assert main("bc") == 0
    assert "accuracy" in capsys.readouterr().out


def test_the_latent_action_models_steps_are_chosen_alone(args):
    train_all(replace(args, steps=3, lam_steps=2))
    steps = {
        stage: json.loads((args.out / stage / "config.json").read_text())["loop"]["steps"]
        for stage in ("lam", "sequence", "translator")
    }
    assert steps == {"lam": 2, "sequence": 3, "translator": 3}


def test_the_share_of_whole_contexts_is_chosen(args, monkeypatch):
    train_stage("lam", replace(args, steps=2))
    seen = []

    def source(*given, **options):
        seen.append(given[4])
        return CurriculumSource(*given, **options)

    monkeypatch.setattr(data, "CurriculumSource", source)
    train_stage("sequence", replace(args, steps=4, long_share=0.25))
    assert seen == [3]  # of four steps see short windows
    assert json.loads((args.out / "sequence/config.json").read_text())["long_share"] == 0.25
    with pytest.raises(TrainingError, match="long_share"):
        train_stage("sequence", replace(args, steps=4))
    with pytest.raises(ValueError, match=r"long_share is 1.5; expected 0..1"):
        replace(args, steps=4, long_share=1.5)


def test_without_whole_contexts_the_model_is_one_of_short_windows(args):
    train_stage("lam", replace(args, steps=2))
    train_stage("sequence", replace(args, steps=2, long_share=0.0))
    config = SequenceModel.from_pretrained(args.out / "sequence/best/sequence").config
    assert config.frames == RECIPES["debug"].short_frames - 1 < RECIPES["debug"].sizes.sequence.frames


def test_prefixes_of_blocks_are_targets_where_asked_and_first_codes_are_in_each(args, monkeypatch):
    train_stage("lam", replace(args, steps=2))
    seen = []
    loss = SequenceModel.loss
    monkeypatch.setattr(
        SequenceModel, "loss", lambda self, *given, **more: seen.append(given[3]) or loss(self, *given, **more)
    )
    train_stage("sequence", replace(args, steps=12, targets="prefixes"))
    slots = RECIPES["debug"].sizes.lam.slots
    assert set(seen) <= set(range(1, slots + 1)) and len(set(seen)) > 1
    assert json.loads((args.out / "sequence/config.json").read_text())["targets"] == "prefixes"
    with pytest.raises(TrainingError, match="targets"):
        train_stage("sequence", replace(args, steps=12))


def test_the_factored_prior_trains_in_its_place_with_the_context_asked_for(args):
    train_stage("lam", replace(args, steps=2))
    factored = replace(args, steps=4, prior="factored", context=3, drop_frames=0.2, drop_blocks=0.3)
    figures = train_stage("sequence", factored)
    prior = load_prior(args.out / "sequence/last/sequence")
    assert type(prior) is FactoredPrior and prior.config.frames == 3
    assert prior.config.codes == LAM.from_pretrained(args.out / "lam/best/lam").code_count
    assert 0 < figures["loss_all"] < 8 and figures["loss"] == pytest.approx(figures["loss_all"])
    for change in ({"prior": "interleaved", "context": None}, {"drop_blocks": 0.0}, {"context": 4}):
        with pytest.raises(TrainingError, match="another configuration"):
            train_stage("sequence", replace(factored, **change))


def test_the_recurrent_prior_trains_in_its_place_on_whole_windows(args):
    train_stage("lam", replace(args, steps=2))
    recurrent = replace(args, steps=4, prior="recurrent", context=3, drop_frames=0.2, drop_blocks=0.3)
    figures = train_stage("sequence", recurrent)
    prior = load_prior(args.out / "sequence/last/sequence")
    assert type(prior) is RecurrentPrior and prior.config.frames == 3
    assert prior.config.codes == LAM.from_pretrained(args.out / "lam/best/lam").code_count
    assert 0 < figures["loss_all"] < 8
    assert windows(replace(recurrent, context=None)) == (5, RECURRENT["debug"].frames + 1, 1.0)
    with pytest.raises(TrainingError, match="another configuration"):
        train_stage("sequence", replace(recurrent, prior="factored"))
    with pytest.raises(ValueError, match="sequence_patch is 16, but the recurrent prior sees no patches"):
        train_stage("sequence", replace(recurrent, out=args.out.parent / "b", lam_run=args.out, sequence_patch=16))


def test_transitions_are_encoded_once_for_all_priors_on_a_lam(args, monkeypatch):
    train_stage("lam", replace(args, steps=2))
    batches, encode = [], cached_codes.encode_rows
    next_batch = SequenceStage.next_batch
    monkeypatch.setattr(
        SequenceStage, "next_batch", lambda self, device: batches.append(next_batch(self, device)) or batches[-1]
    )
    train_stage("sequence", replace(args, steps=2))
    lam = LAM.from_pretrained(args.out / "lam/best/lam")
    for batch in batches:
        assert torch.equal(batch["codes"], encode_windows(lam, batch["frames"]))
    monkeypatch.setattr(cached_codes, "encode_rows", lambda *given: pytest.fail("encoded again"))
    other = replace(args, out=args.out.parent / "other", lam_run=args.out, steps=1, prior="factored")
    train_stage("sequence", other)
    assert torch.equal(batches[-1]["codes"], encode_windows(lam, batches[-1]["frames"]))
    monkeypatch.setattr(cached_codes, "encode_rows", lambda lam, frames, batch: encode(lam, frames, batch) + 1)
    train_stage("lam", replace(args, steps=4))  # another LAM, other codes
    train_stage("sequence", replace(other, out=args.out.parent / "third"))
    assert torch.equal(
        batches[-1]["codes"],
        encode_windows(LAM.from_pretrained(args.out / "lam/best/lam"), batches[-1]["frames"]) + 1,
    )
    train_stage("sequence", replace(other, out=args.out.parent / "fourth", encode_once=False))
    assert "codes" in batches[-1]


def test_the_lam_may_come_from_a_bundle(args, tmp_path, monkeypatch):
    train_stage("lam", replace(args, steps=2))
    train_stage("sequence", replace(args, steps=1))
    published = tmp_path / "published"
    shutil.copytree(args.out / "lam/best/lam", published / "lam")
    monkeypatch.setattr(cached_codes, "encode_rows", lambda *given: pytest.fail("encoded again: another LAM"))
    for place in (published, published / "lam"):
        train_stage("sequence", replace(args, out=tmp_path / place.name, lam_run=place, steps=1))
    with pytest.raises(TrainingError, match="train the stage 'lam' first"):
        train_stage("sequence", replace(args, out=tmp_path / "none", lam_run=tmp_path, steps=1))


def test_diverse_labels_are_drawn_over_codes_and_may_be_balanced(args):
    diverse = replace(args, steps=2, labels="diverse-a", balance=True)
    with pytest.raises(ValueError, match="'diverse-a' is missing; the translator draws it, over the codes"):
        train_stage("idm", diverse)
    figures = train_all(diverse)["translator"]
    train, test = (load_labels(open_rollouts(args.data, split="train"), "diverse-a", part) for part in PARTS)
    assert len(train) + len(test) == 60 and train.attributes["prefix"] == 4
    assert train.attributes["lam"] == json.loads((args.out / "translator/config.json").read_text())["lam"]
    recalled = [name for name in figures if name.startswith("recall_") and "_k" not in name]
    assert 1 < len(recalled) <= len(test) and 0 <= figures["recall_k4"] <= 1
    train_all(diverse)  # finished, with labels that are there now
    with pytest.raises(TrainingError, match="balance is True there and False here"):
        train_stage("translator", replace(diverse, balance=False))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"context": 3}, "context is 3, which the interleaved prior does not have: use --prior factored"),
        ({"prior": "factored", "stem": "conv"}, "stem is 'conv', which the factored prior does not have"),
        ({"prior": "factored", "context": 1}, "context is 1; expected"),
        ({"drop_frames": 1.5}, "drop_frames is 1.5; expected a probability"),
    ],
)
def test_options_of_the_other_prior_are_refused(args, options, words):
    with pytest.raises(ValueError, match=words):
        replace(args, **options)


def test_the_sequence_models_stem_is_chosen_and_trains(args):
    train_stage("lam", replace(args, steps=2))
    train_stage("sequence", replace(args, steps=2, stem="conv"))
    model = SequenceModel.from_pretrained(args.out / "sequence/last/sequence")
    assert model.config.stem == "conv"
    torch.manual_seed(args.seed)
    first = SequenceModel(model.config)
    moved = [
        not torch.equal(a, b)
        for a, b in zip(first.patch_embed.parameters(), model.patch_embed.parameters(), strict=True)
    ]
    assert moved and all(moved)
    with pytest.raises(TrainingError, match="another configuration"):
        train_stage("sequence", replace(args, steps=2))


def test_fixed_k_differs_by_configuration_alone(args):
    fixed = replace(args, fixed=2, fsq_levels=(5,))
    train_stage("lam", fixed)
    lam = LAM.from_pretrained(args.out / "lam/best/lam")
    assert (lam.config.slots, lam.config.prefix, lam.code_count) == (2, False, 5)
    train_stage("translator", fixed)


def test_flexlam_takes_other_levels_too(args):
    train_stage("lam", replace(args, fsq_levels=(3, 3)))
    assert LAM.from_pretrained(args.out / "lam/best/lam").code_count == 9


def test_the_distribution_of_prefix_lengths_reaches_lam_and_translator(args, monkeypatch):
    drawn = []
    true = slot_model.sample_prefix_lengths
    monkeypatch.setattr(slot_model, "sample_prefix_lengths", lambda *given: drawn.append(given[-1]) or true(*given))
    mixed = replace(args, prefix_distribution="mixed")
    for stage in ("lam", "translator"):
        drawn.clear()
        train_stage(stage, mixed)
        assert set(drawn) == {"mixed"}, stage
    with pytest.raises(TrainingError, match="prefix_distribution is 'mixed' there and None here"):
        train_stage("lam", args)


@pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile on a CPU needs a C++ compiler"
)
def test_compiled_on_a_cpu_it_trains_alike(args):
    train_stage("lam", replace(args, steps=2))
    figures = {}
    for compiled in (False, True):
        own = replace(args, out=args.out / str(compiled), lam_run=args.out, steps=3, long_share=0.0, compile=compiled)
        figures[compiled] = train_stage("sequence", own)
        assert json.loads((own.out / "sequence" / "config.json").read_text())["loop"]["compile"] is compiled
    assert figures[True] == pytest.approx(figures[False], rel=1e-3)


def test_another_configuration_in_the_same_folder_is_refused(args):
    train_stage("lam", args)
    with pytest.raises(TrainingError, match="another configuration"):
        train_stage("lam", replace(args, seed=1))


def test_later_stages_ask_for_the_lam(args):
    with pytest.raises(TrainingError, match="train the stage 'lam' first"):
        train_stage("sequence", args)


def test_labels_are_drawn_once_and_of_the_level_asked_for(args):
    narrow = replace(args, labels="narrow", label_count=20, label_task="beta")
    train_stage("idm", narrow)
    stored = json.loads((args.data / "alpha/train.zarr/labels/narrow/zarr.json").read_text())
    assert stored["attributes"]["levels"] == ["beta"]
    before = sorted(
        (p, p.stat().st_mtime_ns) for p in (args.data / "beta/train.zarr/labels/narrow").rglob("*") if p.is_file()
    )
    train_stage("idm", narrow)
    assert before == sorted(
        (p, p.stat().st_mtime_ns) for p in (args.data / "beta/train.zarr/labels/narrow").rglob("*") if p.is_file()
    )

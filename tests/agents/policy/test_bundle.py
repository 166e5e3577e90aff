"""Bundles: made of a training run, whole or not at all, small, and refused when something does not fit."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flexlam_rl.agents.policy.bundle import Decoding, load_bundle
from flexlam_rl.agents.policy.bundling import make_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.cli import main
from flexlam_rl.datasets import RolloutWriter
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.envs.domains.dmlab.actions import action_set
from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_all, train_stage
from flexlam_rl.nn.pretrained import CheckpointError
from flexlam_rl.train.trainer import TrainingError
from flexlam_rl.utils.command_line import WRONG_USE


def write_rollouts(root: Path, textures: str, seed: int) -> Path:
    actions = action_set("dreamer15")
    origin = Origin(
        engine="litelab",
        textures=textures,
        action_set=actions.name,
        action_table=actions.rows,
        action_hash=actions.hash,
        policy="scripted",
    )
    rng = np.random.default_rng(seed)
    for split, count in (("train", 3), ("test", 2)):
        with RolloutWriter(root, "rooms_watermaze", split, origin) as writer:
            for key in range(count):
                frames = rng.integers(0, 256, (41, 64, 64, 3), np.uint8)
                played = rng.integers(0, 15, 40).astype(np.int16)
                writer.append_episodes(
                    [Episode(frames, played, np.zeros(40, np.float32), truncated=True, seed=key, key=key)]
                )
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_rollouts(tmp_path_factory.mktemp("data"), "procedural", 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data) -> Path:
    args = TrainArgs(data=data, out=tmp_path_factory.mktemp("run"), preset="debug", label_count=60)
    train_all(args)
    train_stage("joint", args)
    return args.out


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, run, data) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "mine"
    assert main(["bundle", str(run), "-o", str(out), "--data", str(data)]) == 0
    return out


def test_a_bundle_of_a_run_plays_and_says_where_it_is_from(bundle, run):
    policy = LatentActionPolicy.from_pretrained(bundle, budget=2)
    action, _ = policy.predict(np.zeros((2, 64, 64, 3), np.uint8))
    assert action.shape == (2,)
    config = policy.bundle.config
    env = config.environment
    assert (env.action_set, env.action_hash) == ("dreamer15", action_set("dreamer15").hash)
    assert (env.engine, env.textures, env.frame_skip, env.width, env.hud) == ("litelab", ("procedural",), 4, 64, "full")
    assert (config.labels.count, config.labels.levels) == (60, ("rooms_watermaze",))
    assert np.sum(config.labels.pairs) == 54  # a tenth is kept for validation
    assert config.training["steps"] == 120
    trained = json.loads((run / "lam/best/metrics.json").read_text())
    assert config.training["best"]["lam"] == trained
    card = (bundle / "README.md").read_text()
    assert "120 steps" in card and "60 transitions" in card


def test_a_recurrent_prior_takes_no_context(make_bundle_folder, tmp_path):
    folder = make_bundle_folder(tmp_path / "own", prior="recurrent")
    assert "remembering the whole episode" in (folder / "README.md").read_text()
    config = json.loads((folder / "config.json").read_text())
    config["config"]["decoding"]["context"] = 3
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="context is 3 frames, but a recurrent prior remembers the whole episode"):
        load_bundle(folder)


def test_the_way_of_deciding_is_kept(run, data, bundle, tmp_path):
    given = ["--temperature", "0.5", "--context", "3", "--data", str(data), "-o", str(tmp_path / "short")]
    assert main(["bundle", str(run), *given]) == 0
    assert (
        "codes drawn at temperature 0.5, likeliest actions, seeing 3 frames back"
        in (tmp_path / "short/README.md").read_text()
    )
    policy = LatentActionPolicy.from_pretrained(tmp_path / "short")
    assert (policy.decoding.temperature, policy.decoding.context) == (0.5, 3)
    with pytest.raises(CheckpointError, match=r"context is 7 frames; expected 2..6"):
        make_bundle(run, tmp_path / "long", [data], decoding=Decoding(context=7))
    whole = LatentActionPolicy.from_pretrained(bundle)
    assert whole.decoding.context is None and "context" not in (bundle / "config.json").read_text()
    assert policy.decoder.size < whole.decoder.size
    rng = np.random.default_rng(0)
    states: list = [None, None]
    differ = []
    for _ in range(6):
        frame = rng.integers(0, 256, (1, 64, 64, 3), np.uint8)
        for i, player in enumerate((policy, whole)):
            _, states[i] = player.predict(frame, states[i], deterministic=True)
        # sums over rings of other sizes may round otherwise
        differ.append(not np.allclose(policy.last.probabilities, whole.last.probabilities, rtol=1e-5, atol=0))
    assert differ[:3] == [False] * 3 and any(differ[3:])


def test_half_precision_halves_the_files_and_hardly_moves_the_weights(run, data, bundle, tmp_path):
    make_bundle(run, tmp_path / "half", [data], half=True)
    size = {
        name: sum(p.stat().st_size for p in folder.rglob("*.safetensors"))
        for name, folder in (("half", tmp_path / "half"), ("whole", bundle))
    }
    assert size["half"] < 0.6 * size["whole"]
    half, whole = load_bundle(tmp_path / "half"), load_bundle(bundle)
    assert half.hash != whole.hash
    for part in ("lam", "sequence", "translator"):
        ours, theirs = getattr(half, part).state_dict(), getattr(whole, part).state_dict()
        for name, tensor in ours.items():
            assert tensor.dtype == theirs[name].dtype
            assert torch.allclose(tensor.float(), theirs[name].float(), rtol=1e-3, atol=1e-6), name


def test_joint_alignment_brings_its_own_lam(run, data, bundle, tmp_path):
    make_bundle(run, tmp_path / "joint", [data], stage="joint")
    joint, frozen = load_bundle(tmp_path / "joint"), load_bundle(bundle)
    assert joint.config.training["alignment"] == "joint"
    weight = "encoder.embed.weight"
    assert not torch.equal(joint.lam.state_dict()[weight], frozen.lam.state_dict()[weight])


def test_several_translators_on_one_lam(run, data, bundle, tmp_path):
    args = TrainArgs(data=data, out=tmp_path / "few", lam_run=run, preset="debug", labels="few", label_count=30)
    train_stage("translator", args)
    assert (
        main(["bundle", str(run), "--aligned-run", str(args.out), "-o", str(tmp_path / "out"), "--data", str(data)])
        == 0
    )
    few, many = load_bundle(tmp_path / "out"), load_bundle(bundle)
    assert (few.config.labels.name, few.config.labels.count) == ("few", 30)
    assert few.config.training["best"]["translator"] == json.loads(
        (args.out / "translator/best/metrics.json").read_text()
    )
    for part, equal in (("lam", True), ("sequence", True), ("translator", False)):
        ours, theirs = getattr(few, part).state_dict(), getattr(many, part).state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours) == equal, part
    with pytest.raises(CheckpointError, match=r"elsewhere/translator/best/translator is missing"):
        make_bundle(run, tmp_path / "out", [data], aligned=tmp_path / "elsewhere")


def test_a_translator_of_another_lam_is_refused(run, data, tmp_path):
    other = TrainArgs(data=data, out=tmp_path / "other", preset="debug", seed=1, label_count=60)
    train_stage("lam", other)
    train_stage("translator", other)
    with pytest.raises(
        CheckpointError,
        match=r"other/translator was trained on the codes of another LAM than that of .*; train it again",
    ):
        make_bundle(run, tmp_path / "out", [data], aligned=other.out)
    assert not (tmp_path / "out").exists()
    # the LAM exchanged under a run that goes on
    with pytest.raises(TrainingError, match=r"another configuration: lam is '[0-9a-f…]+' there and '[0-9a-f…]+' here"):
        train_stage("translator", replace(other, lam_run=run))


def test_a_labelled_level_of_two_looks_is_named_once(run, tmp_path):
    both = tmp_path / "both"
    for seed, look in enumerate(("procedural", "labmaze")):
        write_rollouts(both / look, look, seed)
    args = TrainArgs(data=both, out=tmp_path / "aligned", lam_run=run, preset="debug", label_count=60)
    train_stage("translator", args)
    config, _ = make_bundle(run, tmp_path / "out", [both], aligned=args.out)
    assert (config.labels.count, config.labels.levels) == (60, ("rooms_watermaze",))


def test_data_of_two_looks(run, data, tmp_path):
    other = write_rollouts(tmp_path / "other", "labmaze", 1)
    config, _ = make_bundle(run, tmp_path / "both", [data, other])
    assert config.environment.textures == ("labmaze", "procedural")
    with pytest.raises(ValueError, match="is not the data"):
        make_bundle(run, tmp_path / "wrong", [other])
    assert not (tmp_path / "wrong").exists()


def test_what_is_missing_is_named(run, data, tmp_path):
    unfinished = tmp_path / "run"
    shutil.copytree(run, unfinished)
    shutil.rmtree(unfinished / "sequence")
    with pytest.raises(CheckpointError, match="finish the stage 'sequence'"):
        make_bundle(unfinished, tmp_path / "out", [data])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("")
    with pytest.raises(FileExistsError, match="something other than a bundle"):
        make_bundle(run, tmp_path / "mine", [data])


def test_a_bundle_is_replaced_whole(run, data, bundle, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(bundle, out)
    make_bundle(run, out, [data], half=True)
    assert load_bundle(out).config.training["weights"] == "float16"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def damaged(bundle: Path, folder: Path, change) -> Path:
    shutil.copytree(bundle, folder)
    change(folder)
    return folder


def edit(path: Path, change) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: (f / "config.json").unlink(), ["config.json is missing", "flexlam bundle"]),
        (lambda f: (f / "config.json").write_text("{"), ["no readable JSON"]),
        (lambda f: edit(f / "config.json", lambda r: r.update(kind="other")), ["'other'", "'flexlam_rl.bundle'"]),
        (lambda f: edit(f / "config.json", lambda r: r.update(format=99)), ["format 99", "update"]),
        (lambda f: edit(f / "config.json", lambda r: r["config"].update(odd=1)), ["unknown fields ['odd']"]),
        (
            lambda f: edit(f / "config.json", lambda r: r["config"]["environment"].update(frame_skip="4")),
            ["frame_skip", "'4'"],
        ),
        (
            lambda f: edit(f / "config.json", lambda r: r["config"]["environment"].update(action_set="impala9")),
            ["action set", "'impala9'"],
        ),
        (lambda f: shutil.rmtree(f / "translator"), ["not a complete bundle", "translator"]),
        (
            lambda f: (f / "lam/model.safetensors").write_bytes((f / "lam/model.safetensors").read_bytes()[:-100]),
            ["damaged or truncated"],
        ),
        (lambda f: shutil.copytree(f / "lam", f / "sequence", dirs_exist_ok=True), ["'LAM'", "'SequenceModel'"]),
    ],
)
def test_damaged_bundles_are_refused_in_one_sentence(change, words, bundle, tmp_path, capsys):
    folder = damaged(bundle, tmp_path / "bad", change)
    with pytest.raises(CheckpointError) as error:
        load_bundle(folder)
    assert all(word in str(error.value) for word in words), error.value
    assert main(["suite", "--checkpoint", str(folder), "--out", str(tmp_path / "run")]) == WRONG_USE
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_models_that_do_not_belong_together_are_refused(bundle, make_bundle_folder, tmp_path):
    other = make_bundle_folder(tmp_path / "other", fixed=2)
    folder = damaged(
        bundle, tmp_path / "mixed", lambda f: shutil.copytree(other / "sequence", f / "sequence", dirs_exist_ok=True)
    )
    with pytest.raises(CheckpointError, match="slots of LAM and sequence model differ: 4 and 2"):
        load_bundle(folder)

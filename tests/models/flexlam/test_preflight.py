"""What no stage of a chain can take is refused before the first step, in one sentence, with nothing trained."""

from dataclasses import replace

import numpy as np
import pytest

from flexlam_rl.cli import main
from flexlam_rl.datasets import Episode, Origin, RolloutWriter
from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_all, train_stage
from flexlam_rl.utils.errors import StoreError


def write(root, origin, episodes, split="train"):
    with RolloutWriter(root, "alpha", split, origin) as writer:
        writer.append_episodes(episodes)


def both(root, origin, episodes):
    for split in ("train", "test"):
        write(root, origin, episodes, split)
    return root


def refused(args, message, kind=ValueError):
    with pytest.raises(kind, match=message) as caught:
        train_all(args)
    assert "\n" not in str(caught.value)
    assert not list(args.out.rglob("*.safetensors")) and not list(args.out.rglob("config.json"))


DISCRETE = Origin(engine="synthetic", action_set="dreamer15")


def test_actions_that_no_translator_can_take(tmp_path, make_episode):
    data = both(tmp_path / "native", Origin(engine="synthetic", action_set="native7"), [make_episode(0)])
    args = TrainArgs(data, tmp_path / "run", "debug", label_count=20)
    refused(
        args,
        r"the translator cannot be trained: the rollouts have the action set 'native7'; .*the latent action model "
        r"alone",
    )
    # which indeed needs none
    train_stage("lam", replace(args, steps=1))


def test_actions_outside_their_set(tmp_path, make_episode):
    data = both(tmp_path / "data", DISCRETE, [make_episode(0, actions=90)])
    refused(
        TrainArgs(data, tmp_path / "run", "debug", label_count=20),
        r"the translator cannot be trained: the action of row \d+ of .* is \d+ at 0: expected 0 to 14",
    )


def test_video_without_actions(tmp_path, make_episode):
    for split in ("train", "test"):
        with RolloutWriter(tmp_path / "data", "alpha", split, DISCRETE, with_actions=False) as writer:
            writer.append_episode(Episode(make_episode(0).frames, truncated=True))
    message = (
        r"the translator cannot be trained: .*train\.zarr has no actions.*the latent action model alone needs "
        r"no actions"
    )
    refused(TrainArgs(tmp_path / "data", tmp_path / "run", "debug", label_count=20), message, StoreError)


@pytest.mark.parametrize(
    ("count", "message"),
    [(2, r"has 2 training and 0 validation labels"), (4000, r"A budget of \d+ labels from .*: it has \d+ transitions")],
)
def test_labels_too_few_or_too_many(args, count, message):
    refused(replace(args, labels=f"of{count}", label_count=count), message)


def test_a_label_set_that_is_not_the_one_asked_for(args):
    train_stage("idm", replace(args, labels="mine", label_count=20, steps=1, out=args.out.with_name("other")))
    refused(replace(args, labels="mine", label_count=30), r"the label set 'mine' has labels 20, and label_count is 30")
    refused(
        replace(args, labels="mine", label_count=20, label_task="beta"),
        r"has levels \['alpha', 'beta'\], and label_task is \['beta'\]",
    )


def test_frames_of_another_size(tmp_path):
    episode = Episode(np.zeros((41, 47, 64, 3), np.uint8), np.zeros(40, np.int16), np.zeros(40, np.float32))
    data = both(tmp_path / "data", DISCRETE, [episode])
    refused(
        TrainArgs(data, tmp_path / "run", "debug"),
        r"frames of 47x64 pixels fit no patch from 4 pixels on for the decoder, .* such as 48x64",
    )


def test_episodes_shorter_than_the_sequence_models_windows(tmp_path, make_episode):
    write(tmp_path / "data", DISCRETE, [make_episode(0)])
    write(tmp_path / "data", DISCRETE, [make_episode(1, length=2)], "test")
    refused(
        TrainArgs(tmp_path / "data", tmp_path / "run", "debug", label_count=20), r"No items of \d+ rows in .*test\.zarr"
    )


def test_a_device_that_is_not_there(args):
    refused(replace(args, device="cuda:97"), "device is 'cuda:97'; torch finds ")
    refused(replace(args, device="abacus"), "device is 'abacus'; torch finds ")


@pytest.mark.parametrize("name", ["out", "cache"])
def test_a_folder_that_cannot_be_written(args, tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/run cannot be written: Not a directory"):
        train_all(replace(args, **{name: tmp_path / "file/run"}))
    assert not list(args.out.rglob("*.safetensors"))


def test_a_later_stages_folder_of_another_run(args):
    train_all(replace(args, steps=1))
    before = sorted((path, path.stat().st_mtime_ns) for path in args.out.rglob("*"))
    with pytest.raises(
        RuntimeError,
        match=r"translator holds a run with another configuration: model\.conditioning is 'slots\+action' there and "
        r"'slots'",
    ):
        train_all(replace(args, steps=2, conditioning="slots"))
    assert before == sorted((path, path.stat().st_mtime_ns) for path in args.out.rglob("*"))


def test_the_command_says_it_in_one_line(args, tmp_path, capsys):
    common = ["--data", str(args.data), "--out", str(args.out), "--preset", "debug"]
    assert main(["train", *common, "--steps", "0"]) == 2
    assert main(["train", *common, "--device", "abacus"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "steps is 0; expected a whole number, 1 or more" in lines[0]
    assert "device is 'abacus'; torch finds" in lines[1]


def test_quantizers_that_do_not_fit(tmp_path, make_episode):
    data = both(tmp_path / "data", DISCRETE, [make_episode(0)])
    args = TrainArgs(data, tmp_path / "run", "debug", label_count=20)
    for changes, message in (
        ({"quantizer": "gaussain"}, r"Unknown quantizer 'gaussain' \(did you mean 'gaussian'\?\)"),
        ({"quantizer": "vq", "quantizer_options": ("codes=7",)}, "quantizer 'vq' has no option 'codes'; its options"),
        ({"quantizer": "vq", "quantizer_options": ("size=7.5",)}, "size is 7.5; expected a whole number, 2 or more"),
        ({"quantizer": "gaussian"}, r"the sequence model cannot be trained: .* vectors of 4 numbers"),
    ):
        refused(replace(args, **changes), message)
    for changes, message in (
        ({"quantizer": "vq", "quantizer_options": ("size",)}, "quantizer_options has 'size'; expected NAME=VALUE"),
        ({"quantizer": "vq", "fsq_levels": (5, 5)}, r"fsq_levels is \(5, 5\); the quantizer 'vq' has no levels"),
        ({"quantizer_options": ("size=7",)}, r"the quantizer 'fsq' takes fsq_levels"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(args, **changes)

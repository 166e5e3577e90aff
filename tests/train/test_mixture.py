"""Training on a weighted mixture of worlds: exact resume, the prior too, and no translator between action spaces."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from safetensors.numpy import load_file

from flexlam_rl.cli import main
from flexlam_rl.datasets import Origin, RolloutWriter
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.envs.action_spaces import action_spec_of
from flexlam_rl.models.flexlam.pipeline import train_all, train_stage
from flexlam_rl.train.data import PairSource


@pytest.fixture
def mixed(args, tmp_path, make_episode):
    """Options of a training on DMLab's rollouts, three times each, and on video of another world."""
    for split, seed in (("train", 7), ("test", 8)):
        with RolloutWriter(tmp_path / "web", "clips", split, Origin(engine="video"), with_actions=False) as writer:
            writer.append_episode(Episode(make_episode(seed).frames))
    return replace(args, data=(f"{args.data}=3", tmp_path / "web"), steps=8)


def weights(folder):
    return {path.name: load_file(path) for path in sorted(folder.rglob("lam/last/**/*.safetensors"))}


def test_a_stopped_training_on_a_mixture_goes_on_exactly(mixed, tmp_path, monkeypatch):
    train_stage("lam", mixed)
    count, draw = 0, PairSource.next

    def interrupted(self):
        nonlocal count
        count += 1
        if count == 7:
            raise KeyboardInterrupt
        return draw(self)

    stopped = replace(mixed, out=tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr(PairSource, "next", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_stage("lam", stopped)
    train_stage("lam", stopped)
    one, two = weights(mixed.out), weights(stopped.out)
    assert one and one.keys() == two.keys()
    assert all((one[file][name] == two[file][name]).all() for file in one for name in one[file])
    with pytest.raises(Exception, match=r"weights\[0\] is 3.0 there and 2.0 here"):
        train_stage("lam", replace(stopped, data=(str(mixed.data[0]).replace("=3", "=2"), mixed.data[1])))


def test_the_prior_takes_a_mixture_and_the_translator_refuses_two_action_spaces(args, tmp_path, make_episode, capsys):
    origin = Origin(engine="pushes", actions=action_spec_of(gym.spaces.Discrete(3)))
    for split, seed in (("train", 7), ("test", 8)):
        with RolloutWriter(tmp_path / "web", "pushes", split, origin) as writer:
            frames = make_episode(seed).frames
            pushes = np.arange(len(frames) - 1) % 3
            writer.append_episode(Episode(frames, pushes, reward=np.zeros(len(pushes)), truncated=True))
    mixed = replace(args, data=(f"{args.data}=3", tmp_path / "web"), steps=8)
    command = ["--data", *map(str, mixed.data), "--out", str(mixed.out), "--preset", "debug", "--steps", "2"]
    assert main(["train", "lam", *command]) == 0
    assert main(["train", "sequence", *command]) == 0
    assert main(["train", "translator", *command, "--label-count", "20"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "the translator cannot be trained" in said and "action" in said
    with pytest.raises(Exception, match="the translator cannot be trained"):
        train_all(replace(mixed, out=mixed.out.with_name("all")))
    assert not (mixed.out.with_name("all") / "lam/last").exists()

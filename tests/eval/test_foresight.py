"""What a prior knows of the next action: its figures, their ceiling by the video's own expert, and what is refused."""

import json
from dataclasses import replace

import pytest
import torch

from flexlam_rl.cli import main as flexlam
from flexlam_rl.datasets import open_rollouts
from flexlam_rl.eval import foresight
from flexlam_rl.eval.foresight_measures import channel, encoded, figures, first_codes, pieces
from flexlam_rl.eval.studies.trained_models import load_lam
from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_all
from flexlam_rl.models.flexlam.priors import load_prior
from flexlam_rl.nn.pretrained import model_folder
from flexlam_rl.utils.command_line import run as run_command


def told(*arguments):
    return run_command(foresight.Options, foresight.run, list(map(str, arguments)), "foresight")


@pytest.fixture(scope="module")
def trained(rollouts, tmp_path_factory):
    """A chain of each kind of prior on the toy world."""
    made = {}
    for prior in ("interleaved", "factored", "recurrent"):
        args = TrainArgs(
            data=rollouts, out=tmp_path_factory.mktemp("run") / prior, preset="debug", label_count=60, steps=2,
            prior=prior, conditioning="slots",
        )  # fmt: skip
        train_all(args)
        made[prior] = args
    return made


@pytest.mark.parametrize("kind", ["interleaved", "factored", "recurrent"])
def test_a_decision_is_predicted_from_its_past_alone(trained, kind):
    run = trained[kind].out
    lam, prior = load_lam(run), load_prior(model_folder(run, "sequence")).eval()
    torch.manual_seed(0)
    for parameter in prior.parameters():  # trained for two steps, all of its predictions would be alike
        parameter.data += 0.3 * torch.randn_like(parameter)
    (piece,) = pieces(open_rollouts(trained[kind].data, split="test").stores[0], 30)
    codes = encoded(lam, piece)
    usual = first_codes(prior, piece.frames, codes)
    assert usual.shape == (30, lam.code_count)
    torch.testing.assert_close(usual.sum(-1), torch.ones(30))
    usual = usual.log()
    at = 17
    changed = codes.clone()
    changed[at:] = (changed[at:] + 1) % lam.code_count
    frames = piece.frames.clone()
    frames[at + 1 :] = 0
    other = first_codes(prior, frames, changed).log()
    torch.testing.assert_close(other[: at + 1], usual[: at + 1])
    assert (other[at + 1] - usual[at + 1]).abs().max() > 1e-4
    # at least half of the context is told, from the start of the episode on
    half = prior.config.frames // 2 // prior.config.stride * prior.config.stride
    alone = prior(piece.frames[None, :half], codes[None, :half], 0, 1)[0, :, 0].log_softmax(-1)
    torch.testing.assert_close(usual[:half], alone)
    past = codes.clone()
    past[at - 1] = (past[at - 1] + 1) % lam.code_count
    assert (first_codes(prior, piece.frames, past).log()[at] - usual[at]).abs().max() > 1e-4


def test_figures_and_channel_of_known_distributions():
    actions = torch.tensor([0, 1, 1, 0])
    sure = torch.eye(3)[actions]
    assert figures(sure, actions) == pytest.approx({"nll": 0.0, "accuracy": 1.0, "entropy": 0.0}, abs=1e-5)
    even = torch.full((4, 3), 1 / 3)
    found = figures(even, actions)
    assert (found["nll"], found["entropy"]) == pytest.approx((1.0986, 1.0986), abs=1e-3)
    read = torch.tensor([[0.8, 0.2, 0.0], [0.4, 0.6, 0.0], [0.0, 1.0, 0.0], [0.6, 0.4, 0.0]])
    torch.testing.assert_close(
        channel(read, actions), torch.tensor([[0.7, 0.3, 0.0], [0.2, 0.8, 0.0], [0.0, 0.0, 1.0]])
    )
    assert torch.equal(even @ channel(sure, actions), even)


def test_the_packages_prior_stands_between_chance_and_the_expert_of_a_video(tmp_path):
    video = tmp_path / "video"
    collect = ("collect", "--tasks", "psychlab_visual_search", "--expert", "pixel", "--temperature", "0.5")
    assert flexlam([*collect, "--steps", "450", "--split", "test", "--perturb", "0.2", "--out", str(video)]) == 0
    assert told("--data", video, "--expert", "pixel", "--steps", "450", "-o", tmp_path / "f.json") == 0
    record = json.loads((tmp_path / "f.json").read_text())
    rows = record["rows"]
    nll = {name: row["nll"] for name, row in rows.items()}
    assert nll["expert"] < nll["expert, read through 16 codes"] < nll["prior, first code"] < nll["commonest action"]
    # it is the policy that drew the actions, so it is as sure as it is right
    assert nll["expert"] == pytest.approx(rows["expert"]["entropy"], abs=0.05)
    assert rows["expert"]["nll_by_task"] == {"psychlab_visual_search": pytest.approx(nll["expert"])}
    assert 200 < record["decisions"] < 450  # steps that it did not choose are not counted
    # at another temperature, it is not
    assert told("--data", video, "--expert", "pixel", "--temperature", "2", "-o", tmp_path / "g.json") == 0
    hot = json.loads((tmp_path / "g.json").read_text())["rows"]["expert"]
    assert hot["nll"] > nll["expert"] + 0.1
    assert hot["entropy"] > hot["nll"] + 0.1


def test_what_has_no_likelihood_is_refused_in_a_sentence(trained, video, rollouts, tmp_path, capsys):
    def refused(*arguments):
        assert told(*arguments) == 2
        return capsys.readouterr().err

    run = trained["factored"]
    assert "has no actions" in refused("--data", video, "--checkpoint", run.out)
    assert "expert is 'scripted'; expected 'pixel'" in refused(
        "--data", rollouts, "--checkpoint", run.out, "--expert", "scripted"
    )
    assert "temperature is 0" in refused("--data", rollouts, "--temperature", "0")
    assert "steps is 0" in refused("--data", rollouts, "--steps", "0")
    flow = replace(run, out=tmp_path / "flow", prior="continuous")
    train_all(flow)
    assert "prior is of slot vectors; expected one over codes" in refused("--data", rollouts, "--checkpoint", flow.out)
    seen = replace(run, out=tmp_path / "seen", conditioning="slots+action")
    train_all(seen)
    assert "translator sees slots+action; expected" in refused("--data", rollouts, "--checkpoint", seen.out)
    fixed = replace(run, out=tmp_path / "fixed", fixed=2)
    train_all(fixed)
    assert "is a Fixed-K one of 2 slots; expected" in refused("--data", rollouts, "--checkpoint", fixed.out)

"""Return against mean tokens: rules ranked on video, then played; at debug size."""

import json

import numpy as np
import pytest
import torch

from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.cli import main
from flexlam_rl.datasets import Windows, open_rollouts
from flexlam_rl.eval.studies.tokens.ranking import at_tokens, best_rule, curves, watched_decisions
from flexlam_rl.eval.studies.tokens.report import averaged, verdicts
from flexlam_rl.utils.command_line import WRONG_USE

LEVEL = "rooms_exploit_deferred_effects_train"


def test_a_rule_that_knows_more_ranks_higher():
    rng = np.random.default_rng(0)
    slots, count = 8, 4000
    needed = rng.integers(1, slots + 1, count)  # the action changes with every code up to this one
    agreed = np.arange(1, slots + 1) >= needed[:, None]
    chances = (~agreed).astype(float)
    seen = {"agreed": agreed, "change": chances * 0.8 + 0.1, "entropy": rng.random((count, slots))}
    rows = curves(seen)
    hindsight = next(row for row in rows if row["rule"] == "hindsight")
    assert hindsight == {"rule": "hindsight", "tolerance": None, "tokens": needed.mean(), "agreement": 1.0}
    knows = next(row for row in rows if row["rule"] == "change" and row["tolerance"] == pytest.approx(0.12))
    assert (knows["tokens"], knows["agreement"]) == (needed.mean(), 1.0)
    never = next(row for row in rows if row["rule"] == "entropy" and row["tolerance"] == 0)
    assert (never["tokens"], never["agreement"]) == (slots, 1.0)
    assert at_tokens(rows, "fixed", 4) == pytest.approx(0.5, abs=0.05)
    assert at_tokens(rows, "change", 4.5) > at_tokens(rows, "fixed", 4.5) + 0.2
    assert best_rule(rows, (2.0, 4.0)) == "change"
    # a random budget of a mean is that of its own spread
    assert at_tokens(rows, "random", 8) == pytest.approx(1) and at_tokens(rows, "random", 4) < 0.6


def test_budgets_of_two_decisions_by_hand():
    agreed = np.array([[1, 0, 1, 1], [0, 0, 0, 1]], bool)
    rows = curves({"agreed": agreed, "entropy": np.array([[0.9, 0.9, 0.0, 0.9]] * 2)})
    (hindsight,) = (row for row in rows if row["rule"] == "hindsight")
    assert (hindsight["tokens"], hindsight["agreement"]) == (3.5, 1.0)  # 3 and 4: until nothing changes any more
    stopped = [row for row in rows if row["rule"] == "entropy" and row["tolerance"]]
    assert {(row["tokens"], row["agreement"]) for row in stopped if row["tolerance"] < 0.9} == {(3.0, 0.5)}


def test_bundles_are_averaged_and_aims_are_judged():
    def row(bundle, budget, tokens, value):
        return {"bundle": bundle, "budget": budget, "tokens": tokens, "iqm": value, "iqm_minus_random": value,
                "milliseconds": 1.0}  # fmt: skip

    rows = [row(b, k, k, 10.0 * k + b) for b in (0, 1) for k in ("1", "4", "16") for k in (int(k),)]
    rows = [{**one, "budget": str(one["budget"])} for one in rows]
    rows += [row(b, "auto:0.1:change", 4.0 + b, 158.0 + b) for b in (0, 1)]
    rows += [row(b, f"random:{3 + b}", 3.0 + b, 20.0) for b in (0, 1)]
    means = {one["budget"]: one for one in averaged(rows)}
    assert set(means) == {"1", "4", "16", "auto:0.1:change", "random 1"}
    assert means["auto:0.1:change"]["tokens"] == 4.5 and means["auto:0.1:change"]["iqm_error"] == pytest.approx(0.5)
    (said,) = verdicts(list(means.values()))
    assert "158.5 is at least the best fixed budget's" in said and "are reached" in said and "keeps 99%" in said
    worse = [{**one, "iqm_minus_random": 30.0} if "auto" in one["budget"] else one for one in means.values()]
    assert "is below" in verdicts(worse)[0] and "are not reached" in verdicts(worse)[0]


@torch.no_grad()
def test_a_prefix_agrees_where_its_action_is_that_of_all_codes(bundle, rollouts):
    models, video = load_bundle(bundle), open_rollouts(rollouts, split="test")
    frames = next(Windows(video, 6).batches(4, seed=0, workers=0))["frames"]
    policy, state, wanted = LatentActionPolicy(models, deterministic=False, seed=0), None, []
    policy.begin_episodes(np.arange(4), np.arange(4))
    actions = np.zeros(4, np.int64)
    for step in range(6):
        previous = torch.from_numpy(actions).view(-1, 1)
        actions, state = policy.predict(frames[:, step], state)
        codes, obs = torch.from_numpy(policy.last.codes), torch.from_numpy(frames[:, step]).movedim(-1, 1).contiguous()
        kept = [models.lam.keep_prefix(codes, k) for k in range(1, models.slots + 1)]
        best = [models.translator(slots, previous, obs).argmax(-1) for slots in kept]
        if step:
            wanted.append(torch.stack([one == best[-1] for one in best], 1).numpy())
    found = watched_decisions(models, video, 4, 6)
    assert np.array_equal(found["agreed"], np.concatenate(wanted)) and not found["agreed"].all()


@pytest.fixture(scope="module")
def bundle(make_bundle_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "bundle"
    return str(make_bundle_folder(folder, prior="factored", budget_head=True))


@pytest.mark.usefixtures("short_episodes")
def test_the_study_ranks_plays_and_tells(bundle, rollouts, tmp_path, capsys):
    out = tmp_path / "out"
    given = ["study", "budgets", bundle, "--data", str(rollouts), "--out", str(out), "--fixed", "4"]
    given += [
        "--tolerances",
        "0.45",
        "--episodes",
        "1",
        "--tasks",
        LEVEL,
        "--windows",
        "4",
        "--length",
        "6",
        "--chunk",
        "1",
    ]
    assert main([*given, "--dry-run"]) == 0
    assert "4 of 4 jobs left" in capsys.readouterr().out and not out.exists()
    assert main(given) == 0
    said = capsys.readouterr().out
    record = json.loads((out / "summary.json").read_text())
    assert {row["rule"] for row in record["ranking"]} == {
        "regressed",
        "change",
        "entropy",
        "fixed",
        "random",
        "hindsight",
    }
    budgets = [row["budget"] for row in record["averaged"]]
    assert budgets[0] == "4" and budgets[1].startswith("auto:0.45:") and budgets[2] == "random 1"
    chosen, drawn, short = record["averaged"][1:]
    assert drawn["tokens"] == pytest.approx(chosen["tokens"], abs=0.2) and len(record["verdicts"]) == 2
    assert short["budget"] == "4, history auto:0.1" and short["tokens"] == 4 and 0 < short["history_tokens"] <= 4
    assert f"{short['history_tokens']:.2f} codes of each past block instead of 4" in said
    assert f"{budgets[1]}: {chosen['tokens']:.2f} codes" in said
    assert {"ranking.csv", "returns.csv", "tokens.png"} <= {path.name for path in out.iterdir()}
    assert main([*given, "--dry-run"]) == 0
    assert "0 of 4 jobs left" in capsys.readouterr().out


def test_a_prior_that_sees_whole_blocks_plays_with_these_alone(rollouts, make_bundle_folder, tmp_path, capsys):
    bundle = str(make_bundle_folder(tmp_path / "interleaved"))
    given = ["study", "budgets", bundle, "--data", str(rollouts), "--out", str(tmp_path / "out"), "--dry-run"]
    assert main(given) == 0
    assert "3 of 3 jobs left" in capsys.readouterr().out


def test_bad_options_are_refused(bundle, rollouts, make_bundle_folder, tmp_path, capsys):
    bare = str(make_bundle_folder(tmp_path / "bare", prior="factored"))
    for more, message in (
        ([bundle, "--tolerances", "-1"], "tolerance is -1.0"),
        ([bundle, "--windows", "0"], "windows is 0"),
        ([bundle, bundle], "bundles names one twice"),
        ([bare, "--rule", "change"], "has no budget head"),
        ([bundle, "--history", "random:2"], "history is 'random:2'"),
        ([bundle, "--history", "9"], "history is '9'; expected 1..4 codes"),
    ):
        given = ["study", "budgets", *more, "--data", str(rollouts), "--out", str(tmp_path / "out")]
        assert main(given) == WRONG_USE
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

"""Can pixels imitate a video: the recipes see what they should, the figures are right, and the study resumes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flexlam_rl.agents.environments import make_batch
from flexlam_rl.agents.policy.clone import ClonePolicy
from flexlam_rl.agents.rollout import Start, in_order, play_episodes
from flexlam_rl.cli import main
from flexlam_rl.datasets.store import Rollouts
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.eval.studies.imitability.report import summarise, verdict
from flexlam_rl.eval.studies.imitability.study import RECIPES
from flexlam_rl.eval.studies.imitability.video import Video
from flexlam_rl.eval.suite.diagnostics import Diagnosed
from flexlam_rl.models.baselines.clone import FRAMES, Clone, CloneConfig
from flexlam_rl.models.baselines.clone_stage import CloneStage
from flexlam_rl.train.trainer import LoopConfig, run

MAZE = "explore_goal_locations_small"
SPEC = EnvSpec(engine="litelab", width=36, height=36, frame_skip=30)


def config(memory: str, previous: bool) -> CloneConfig:
    return CloneConfig(15, memory, previous, SPEC, width=16, channels=4)  # type: ignore[arg-type]


@pytest.mark.parametrize(("memory", "previous"), RECIPES.values())
def test_a_recipe_sees_what_its_name_says_and_steps_as_it_is_trained(memory: str, previous: bool) -> None:
    torch.manual_seed(0)
    model = Clone(config(memory, previous))
    with torch.no_grad():
        model.embed.weight *= 5
    frames = torch.randint(0, 256, (1, 14, 3, 36, 36), dtype=torch.uint8)
    before = torch.randint(0, 15, (1, 14))
    with torch.no_grad():
        whole, last = model(frames, before)
        state, steps = None, []
        for t in range(14):
            logits, state = model(frames[:, t : t + 1], before[:, t : t + 1], state)
            steps.append(logits)
        assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-5)
        assert torch.allclose(state, last, atol=1e-5)
        changed = frames.clone()
        changed[:, 2] = 255 - changed[:, 2]
        differs = (model(changed, before)[0] - whole).abs().amax(-1)[0] > 1e-6
        reach = {"frame": 1, "frames": FRAMES, "recurrent": 12}[memory]
        assert differs.tolist() == [2 <= t < 2 + reach for t in range(14)]
        other = before.clone()
        other[:, 13] = (other[:, 13] + 1) % 15
        assert bool((model(frames, other)[0] != whole)[0, 13].any()) == previous or (memory == "recurrent" and previous)


@pytest.mark.parametrize(("memory", "hidden"), [("frame", 2), ("frames", 3), ("recurrent", 4)])
def test_every_parameter_trains_in_one_group_and_all_inner_matrices_are_hidden_ones(memory: str, hidden: int) -> None:
    model = Clone(config(memory, True))
    groups = model.param_groups()
    sorted_ = [id(weight) for group in groups for weight in group["params"]]
    assert len(sorted_) == len(set(sorted_)) and set(sorted_) == {id(weight) for weight in model.parameters()}
    matrices = {id(weight) for group in groups if group["kind"] == "matrix" for weight in group["params"]}
    assert len(matrices) == hidden and id(model.head.weight) not in matrices and id(model.embed.weight) not in matrices


def test_steps_that_the_expert_did_not_choose_and_rows_without_an_action_are_no_targets() -> None:
    torch.manual_seed(0)
    model = Clone(config("frame", True))
    batch = {
        "frames": torch.randint(0, 256, (3, 6, 3, 36, 36), dtype=torch.uint8),
        "action": torch.randint(0, 15, (3, 6)),
        "previous_action": torch.tensor([-1, 3, 4]),
        "expert_chose": torch.rand(3, 6) > 0.4,
    }
    batch["action"][1, 5] = -1
    batch["action"][0, 1] = batch["action"][0, 0]
    targets = batch["expert_chose"] & (batch["action"] >= 0)
    assert 0 < targets.sum() < 17
    stage = CloneStage(model, None, batch)
    loss, _ = stage.loss(batch, torch.Generator())
    with torch.no_grad():
        before = torch.cat([batch["previous_action"][:, None], batch["action"][:, :-1]], 1)
        logits, _ = model(batch["frames"], torch.where(before < 0, 15, before))
    own = -logits.log_softmax(-1)[targets].gather(-1, batch["action"][targets][:, None])
    assert loss.item() == pytest.approx(own.mean().item(), rel=1e-5)
    figures = stage.evaluate("cpu")
    changes = targets & (batch["action"] != before)
    right = logits.argmax(-1) == batch["action"]
    assert figures["loss"] == pytest.approx(loss.item(), rel=1e-5) and figures["targets"] == targets.sum()
    assert figures["accuracy_changes"] == pytest.approx(right[changes].float().mean().item())


def test_what_is_learned_from_and_what_is_measured_on_never_meet(recorded: Path) -> None:
    video = Video(recorded, None, 200, 100)  # no split "test": the last episodes
    for (low, high), (start, stop), store in zip(video.learn, video.measure, video.train.stores, strict=True):
        starts = store.episode_table["start"].tolist()
        assert low == 0 < high <= start < stop <= store.rows and start in starts and high in starts
    assert (video.name, video.playable, video.actions) == ("reactive (perturb 0.2)", True, 15)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A perturbed collection of small frames."""
    out = tmp_path_factory.mktemp("video") / "perturbed"
    small = ["--width", "36", "--height", "36", "--frame-skip", "30", "--engine", "litelab"]
    who = ["--expert", "reactive", "--perturb", "0.2", "--steps", "600"]
    assert main(["collect", "--out", str(out), "--tasks", MAZE, *small, *who]) == 0
    return out


def test_a_study_ends_with_a_verdict_and_goes_on(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = ["--frames", "300", "--held-out", "64", "--steps", "3", "--episodes", "2"]
    begin = ["study", "imitability", str(recorded), "--out", str(tmp_path / "out"), *short, "--recipes"]
    assert main([*begin, "recurrent-previous", "--dry-run"]) == 0
    assert "3 of 3 jobs left" in capsys.readouterr().out and not (tmp_path / "out").exists()
    assert main([*begin, "recurrent-previous"]) == 0
    said = capsys.readouterr().out
    assert "**perturbed.** reactive (perturb 0.2): can" in said and "| recurrent, previous action |" in said
    first = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert main([*begin, "recurrent-previous,one"]) == 0  # goes on with what is missing
    both = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [entry["recipe"] for entry in both] == ["one", "recurrent-previous"] and both[1] == first[0]
    assert 0 < both[0]["agreement"] < 1 and (tmp_path / "out" / "imitability.png").stat().st_size > 10_000
    for options, words in (
        (["none"], "recipes has 'none'"),
        (["one", "--frames", "0"], "frames is 0"),
        (["one", "--steps", "4"], "steps is 3 there and 4 here"),
        (["one", "--size", "large"], "size is 'small' there and 'large' here"),
        (["one", "--action-temperature", "0"], "action_temperature is 0.0; expected a number above 0"),
    ):
        assert main([*begin, *options]) == 2
        assert words in capsys.readouterr().err
    # a clone plays an episode the same way beside any number of others
    best = tmp_path / "out" / "runs" / "perturbed-recurrent-previous" / "best" / "clone"

    def played(together: int, **options: Any) -> dict[int, list[int]]:
        env = make_batch(SPEC, [MAZE] * together)
        starts = in_order([Start(n, 10 + n) for n in range(3)])
        found = {n: e.action.tolist() for n, e in play_episodes(env, ClonePolicy(best, env, **options), starts)}
        env.close()
        return found

    assert played(1) == played(2)
    # a small temperature draws the likeliest action
    assert played(2, temperature=1e-6) == played(2, deterministic=True) != played(2)


def test_a_large_size_trains_on_more_and_clones_draw_at_the_temperature_asked_for(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[tuple[int, ...], LoopConfig]] = []

    def noted(stage: CloneStage, loop: LoopConfig, folder: Path) -> None:
        seen.append((stage.next_batch("cpu")["frames"].shape, loop))
        run(stage, loop, folder)

    begin = ["study", "imitability", str(recorded), "--recipes", "recurrent", "--episodes", "1", "--steps", "2"]
    repeats = []
    for name, options in {"small": [], "large": ["--size", "large"], "cold": ["--action-temperature", "1e-6"]}.items():
        with monkeypatch.context() as patch:
            patch.setattr("flexlam_rl.train.trainer.run", noted)
            assert main([*begin, "--frames", "400", "--held-out", "128", "--out", str(tmp_path / name), *options]) == 0
        rows = json.loads((tmp_path / name / "results" / "perturbed-recurrent.json").read_text())
        (played,) = (row for row in rows if row["part"] == "episode")
        repeats.append(played["repeated"] / played["steps"])
    (small, recipe), (large, other), (cold, same) = seen
    assert small == cold == (8, 32, 3, 36, 36) and large == (16, 64, 3, 36, 36)
    assert other.lr == 2 * recipe.lr and same == recipe
    assert (recipe.optimiser, other.optimiser) == ("adamw", "muon")
    assert repeats[2] > 0.8 > 0.3 > repeats[0]  # after two updates, one action is the likeliest everywhere


def test_shares_and_verdicts() -> None:
    def episodes(recipe: str, *returns: float, **more: object) -> list[dict[str, object]]:
        counts = {"steps": 10, "asked": 10, "agreed": 4, "repeated": 5, "placed": 0, "tilted": 0, "still": 0}
        who = {"video": "v", "recipe": recipe, "part": "episode", "level": "a"}
        return [{**who, "number": n, "return": value, **counts} for n, value in enumerate(returns)]

    held_out = {
        "video": "v",
        "recipe": "one",
        "part": "held-out",
        "loss": 1.0,
        "accuracy": 0.9,
        "accuracy_changes": 0.5,
    }
    rows = [*episodes("random", 2, 4), *episodes("expert", 11, 15), held_out, *episodes("one", 8, 8.0)]
    (entry,) = summarise(rows, ["one"])
    assert entry["kept"] == pytest.approx(50.0) == entry["levels"]["a"]
    assert (entry["agreement"], entry["repeated"], entry["tilted"]) == (0.4, 0.5, None)
    assert "in part" in verdict([entry], "x") and "errs where its own steps lead it" in verdict([entry], "x")
    assert "can be imitated by" in verdict([entry | {"kept": 71.0}], "x")
    assert "can hardly be imitated" in verdict([entry | {"kept": 29.0}], "x")
    assert "not played" in verdict(summarise([held_out], ["one"]), "x")


def test_counts_of_what_a_policy_does() -> None:
    class Nods:
        """Looks down three times, then stands (turns) for ever."""

        step = 0

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            self.step += 1
            return np.full(2, 8 if self.step <= 3 else 4), None

    class Says:
        def __init__(self) -> None:
            self.told: list[list[int]] = []

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.array([8, 4]), None

        def took(self, actions) -> None:
            self.told.append(actions.tolist())

    env = make_batch(EnvSpec(engine="litelab"), [MAZE] * 2)
    expert = Says()
    policy = Diagnosed(Nods(), env, expert)
    env.reset(options={"reset_mask": np.ones(2, bool), "episode_seeds": [1, 2]})
    policy.begin_episodes(np.array([0, 1]), np.array([1, 2]))
    for _ in range(9):
        env.step(policy.predict(None)[0])
    first, second = policy.figures(0), policy.figures(1)
    assert (first["steps"], first["asked"], first["agreed"], second["agreed"]) == (9, 9, 3, 6)
    assert first["repeated"] == 7 and first["chosen"][8] == 9 and first["recalled"][8] == 3
    assert first["tilted"] >= 6 and first["still"] >= 6
    assert expert.told[:4] == [[8, 8], [8, 8], [8, 8], [4, 4]]
    policy.begin_episodes(np.array([0]), np.array([3]))
    assert policy.figures(0)["steps"] == 0 and policy.figures(1)["steps"] == 9
    env.close()


def test_rollouts_are_compared_within_the_rows_asked_for(recorded: Path) -> None:
    from flexlam_rl.models.baselines.clone_stage import windows

    video = Video(recorded, None, 200, 100)
    items = windows(Rollouts(video.train.stores), 8, video.learn)
    _, rows = items.locate(np.arange(len(items)))
    assert rows.max() + 8 == video.learn[0][1] and len(items) < len(windows(video.train, 8))
    assert items.digest != windows(video.train, 8).digest

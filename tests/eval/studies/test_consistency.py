"""The consistency study: clips with poses, models that are told what they take, and a study that goes on."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from flexlam_rl.cli import main
from flexlam_rl.datasets import Episode, Origin, RolloutWriter, open_rollouts
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.eval.studies.consistency.options import Options
from flexlam_rl.eval.studies.consistency.predicting import Arm
from flexlam_rl.eval.video.posed_clips import PosedClips, record_clips, stored_clips
from flexlam_rl.models.systems import load_slot_model
from flexlam_rl.models.videogpt.config import VIPER_PRESETS
from flexlam_rl.models.videogpt.maskgit import MaskGIT, MaskGITConfig

MAZE = "explore_goal_locations_small"


@pytest.fixture(scope="module")
def spec():
    return find_domain("dmlab").resolve(EnvSpec(engine="litelab", frame_skip=8))


def test_clips_come_with_the_pose_of_each_frame_and_no_restart(spec):
    clips = record_clips(MAZE, spec, 2, 40, "random", seed=3)
    assert clips.frames.shape == (2, 40, 3, 64, 64) and clips.actions.shape == (2, 39)
    # nobody walks faster than 320 units per second, and where nothing moves and turns, the frame stays
    steps = np.linalg.norm(np.diff(clips.places, axis=1), axis=-1)
    assert 0 < steps.max() <= 1.1 * 320 * 8 / 60 and np.abs(np.diff(clips.yaws)).max() > 5
    env = find_domain("dmlab").make(MAZE, spec, True)
    for seed in range(3000, 3002):
        frame, _ = env.reset(seed=seed)
        found = torch.from_numpy(frame).movedim(-1, 0)
        assert torch.equal(found, clips.frames[seed - 3000, 0])
        for step, action in enumerate(clips.actions[seed - 3000][:5]):
            frame = env.step(action)[0]
            assert torch.equal(torch.from_numpy(frame).movedim(-1, 0), clips.frames[seed - 3000, step + 1])
    with pytest.raises(ValueError, match="Only 0 of 20 episodes"):
        record_clips("rooms_exploit_deferred_effects_train", replace(spec, frame_skip=60), 1, 70, "random")


def test_clips_of_rollouts_have_the_poses_that_were_collected(tmp_path):
    origin = Origin(engine="litelab", action_set="teco3", action_table=((0,) * 7,) * 3, action_hash="x")
    rng = np.random.default_rng(0)
    position, rotation = rng.normal(size=(2, 12, 3)), rng.normal(size=(2, 12, 3))
    with RolloutWriter(
        tmp_path, "maze", "test", origin, extra={n: ("float64", (3,)) for n in ("position", "rotation")}
    ) as w:
        w.append_episodes(
            [
                Episode(
                    np.full((12, 8, 8, 3), 20 * i + np.arange(12)[:, None, None, None], np.uint8), np.arange(11) % 3,
                    np.zeros(11), key=i, extra={"position": position[i], "rotation": rotation[i]},
                )
                for i in range(2)
            ]
        )  # fmt: skip
    clips = stored_clips(open_rollouts(tmp_path, split="test"), 4, 10)
    assert clips.frames[:, 0, 0, 0, 0].tolist() == [0, 1, 20, 22] and clips.actions.shape == (4, 9)
    for clip, (episode, row) in enumerate(((0, 0), (0, 1), (1, 0), (1, 2))):
        assert np.array_equal(clips.places[clip], position[episode, row : row + 10, :2])
        assert np.array_equal(clips.yaws[clip], rotation[episode, row : row + 10, 1])
        assert clips.actions[clip].tolist() == [(row + i) % 3 for i in range(9)]


def test_a_model_is_told_the_codes_of_what_happens_and_sees_the_context_alone(bundle_folder):
    lam = load_slot_model(bundle_folder / "lam")
    arm = Arm(lam, lam)
    assert arm.budgets((0, 1, 3, 9)) == [0, 1, 3]
    frames = torch.randint(0, 256, (3, 5, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    made = arm.predict(PosedClips(frames), 2, 3, [5, 6, 7])
    codes = lam.encode(frames[:, 1:-1].flatten(0, 1), frames[:, 2:].flatten(0, 1))[:, :3].view(3, 3, 3)
    streams = [torch.Generator().manual_seed(seed) for seed in (5, 6, 7)]
    assert torch.equal(made, lam.rollout(frames[:, :2], codes, streams))
    changed = frames.clone()
    changed[:, 4] = 255 - changed[:, 4]
    assert torch.equal(arm.predict(PosedClips(changed), 2, 3, [5, 6, 7])[:, :2], made[:, :2])
    assert torch.equal(
        arm.predict(PosedClips(changed), 2, 0, [5, 6, 7]), arm.predict(PosedClips(frames), 2, 0, [5, 6, 7])
    )
    last = Arm().predict(PosedClips(frames), 2, None, [0, 0, 0])
    assert torch.equal(last, frames[:, 1:2].expand(-1, 3, -1, -1, -1))


def test_the_study_measures_reports_and_goes_on_where_it_was(make_bundle_folder, tmp_path, capsys):
    bundle = make_bundle_folder(tmp_path / "bundle", frame_skip=30)
    vqvae = VIPER_PRESETS["debug"].vqvae
    for run in range(2):
        torch.manual_seed(run)
        MaskGIT(MaskGITConfig(vqvae, width=16, depth=1, heads=2, hidden=32, passes=1)).save_pretrained(
            tmp_path / f"maskgit{run}"
        )
    command = [
        "study", "consistency", "--out", str(tmp_path / "study"), "--bundle", str(bundle), "--level", MAZE,
        "--protocols", "20-12", "--clips", "2", "--budgets", "4", "--extractor", "random",
        "--decode-steps", "1", "--models", f"mask={tmp_path / 'maskgit0'}", f"mask={tmp_path / 'maskgit1'}",
    ]  # fmt: skip
    assert main([*command, "--dry-run"]) == 0
    assert "4 of 4 jobs left" in capsys.readouterr().out and not (tmp_path / "study").exists()
    assert main(command) == 0
    first = capsys.readouterr().out
    assert "| flexlam@4 | codes | 1 |" in first and "| mask | nothing | 2 |" in first and "recall" in first
    out = tmp_path / "study"
    rows = json.loads((out / "results.json").read_text())
    assert len(rows) == 4 and {row["arm"] for row in rows} == {"repeat-last-frame", "flexlam@4", "mask"}
    assert all(np.isfinite(row["mean"]["psnr"]) and "frechet-random" in row["frechet"] for row in rows)
    steps = list(csv.DictReader((out / "curves.csv").open()))
    assert len(steps) == 3 * 3 * 12 and {row["measure"] for row in steps} == {"psnr", "ssim", "perceptual-random"}
    assert (out / "curves-20-12.png").exists() and (out / "sheets" / "mask-1-20-12.png").exists()
    assert (out / "videos" / "flexlam@4-0-20-12.mp4").stat().st_size > 500
    kept = (out / "results" / "mask-0-20-12.json").stat().st_mtime_ns
    (out / "results" / "mask-1-20-12.json").unlink()
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == first.splitlines()[-1]
    assert (out / "results" / "mask-0-20-12.json").stat().st_mtime_ns == kept
    assert json.loads((out / "results.json").read_text()) == rows
    # a latent action model alone serves as well, and another model does not
    command[command.index("--out") + 1] = str(tmp_path / "alone")
    place = command.index("--bundle") + 1
    command[place] = str(bundle / "lam")
    assert main(command) == 0
    alone = json.loads((tmp_path / "alone" / "results" / "flexlam@4-0-20-12.json").read_text())
    assert alone[0]["budget"] == 4 and np.isfinite(alone[0]["mean"]["psnr"])
    command[place] = str(tmp_path / "maskgit0")
    assert main(command) != 0
    assert "bundle is a MaskGIT; expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"protocols": ("144",)}, "expected CONTEXT-HORIZON"),
        ({"models": ("x",)}, "expected NAME=FOLDER"),
        ({"models": ("repeat-last-frame=x",)}, "expected NAME=FOLDER"),
        ({"budgets": (1, 1)}, "none twice"),
        ({"clips": 1}, "clips is 1"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_a_sentence(options, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        Options(out=tmp_path, **options)

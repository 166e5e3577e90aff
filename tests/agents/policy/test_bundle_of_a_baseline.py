"""Bundles whose latent action model is a baseline: one with codes plays under its own name, one without is refused."""

import numpy as np
import pytest

from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.agents.policy.bundle_files import model_card
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.agents.policy.registry import Player
from flexlam_rl.cli import main
from flexlam_rl.eval.suite.command import _title
from flexlam_rl.models.baselines.config import adaworld, lapo
from flexlam_rl.models.baselines.forward_lam import ForwardLAM
from flexlam_rl.models.flexlam.config import PRESETS
from flexlam_rl.nn.pretrained import CheckpointError
from flexlam_rl.utils.command_line import WRONG_USE

SIZES = PRESETS["debug"].lam


@pytest.mark.parametrize("prefix", [False, True])
def test_codes_of_a_baseline_play_under_its_name(prefix, make_bundle_folder, tmp_path):
    folder = make_bundle_folder(tmp_path / "policy", fixed=None if prefix else 4)
    other = load_bundle(folder).lam
    lam = ForwardLAM(lapo(SIZES, slots=4, size=other.code_count, dim=other.latent.dim, prefix=prefix))
    lam.save_pretrained(folder / "lam")
    bundle = load_bundle(folder)
    assert isinstance(bundle.lam, ForwardLAM)
    title = "# LAPO policy" if prefix else "# LAPO (K = 4) policy"
    assert title in model_card(bundle.config, {"lam": bundle.lam, "sequence": bundle.sequence})
    assert _title(Player("flexlam", folder)) == "LAPO"
    policy = LatentActionPolicy.from_pretrained(folder, budget=4)
    frames = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)
    policy.reset()
    assert len({int(policy(frame)) for frame in frames}) > 1
    if not prefix:
        with pytest.raises(ValueError, match="budget is 1"):
            policy.budget = 1


def test_a_baseline_of_numbers_is_refused_in_a_sentence(make_bundle_folder, tmp_path, capsys):
    folder = make_bundle_folder(tmp_path / "policy")
    ForwardLAM(adaworld(SIZES)).save_pretrained(folder / "lam")
    with pytest.raises(CheckpointError, match="latent actions of AdaWorld, vectors of 32 numbers; a policy generates"):
        load_bundle(folder)
    assert main(["suite", "--checkpoint", str(folder), "--out", str(tmp_path / "run")]) == WRONG_USE
    assert len(capsys.readouterr().err.strip().splitlines()) == 1

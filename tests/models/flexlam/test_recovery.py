"""A latent action model finds the toy world's known actions from frames alone, and everything that should not, does
not.
"""

from dataclasses import replace

import pytest
import torch

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.eval.lam.failure_checks import one
from flexlam_rl.eval.lam.health import examine
from flexlam_rl.eval.lam.metrics import Transitions
from flexlam_rl.models.baselines.control_stage import ControlStage
from flexlam_rl.models.flexlam.config import TranslatorConfig
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.stages.lam import LAMStage
from flexlam_rl.models.flexlam.stages.translator import TranslatorStage
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.train.source import ArraySource, to_device
from flexlam_rl.train.trainer import LoopConfig, run

ACTIONS = ActionSpec((5,), 0, "toy")
FEW = 60
LABELLED = LoopConfig(steps=150, batch=32, warmup=10, eval_every=25, save_every=150)


def pairs(batch):
    return {name: batch[name] for name in ("obs", "next_obs")}


def transitions(batch):
    tensors = to_device(batch, "cpu")
    return Transitions(*(tensors[name] for name in ("obs", "next_obs", "action", "previous")))


@pytest.fixture(scope="module")
def trained(world, toy_lam, tmp_path_factory):
    """A LAM after a short run on frames alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    lam = LAM(toy_lam)
    stage = LAMStage(lam, ArraySource(pairs(world(4000, 0)), 32), to_device(pairs(world(64, 1)), "cpu"), flip=False)
    loop = LoopConfig(
        steps=450, batch=32, optimiser="muon", lr=3e-3, matrix_lr=3e-3, warmup=30, eval_every=450, save_every=450
    )
    run(stage, loop, tmp_path_factory.mktemp("lam"))
    yield lam
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def figures(trained, world, tmp_path_factory):
    """Translator and controls on few labels, and the health report's figures on other transitions."""
    labels, held_out = world(FEW, 2), world(200, 3)
    config = TranslatorConfig(slots=4, actions=ACTIONS, hidden=32, wide=128, depth=3, image_size=32)
    accuracy = {}
    for kind in ("codes", "shuffled", "random", "previous"):
        torch.manual_seed(0)
        translator = Translator(config)
        arguments = (translator, trained, labels, held_out, LABELLED.batch, 0)
        stage = TranslatorStage(*arguments) if kind == "codes" else ControlStage(kind, *arguments)
        accuracy[kind] = run(stage, LABELLED, tmp_path_factory.mktemp(kind))
        if kind == "codes":
            good = Translator.from_pretrained(_best(tmp_path_factory, kind))
    return accuracy, examine(trained, good, transitions(world(1200, 4)), 300)


def _best(factory, kind):
    return next(factory.getbasetemp().glob(f"{kind}*")) / "best" / "translator"


def test_few_labels_recover_the_actions_well_above_every_control(figures):
    accuracy, _ = figures
    best = max(value for name, value in accuracy["codes"].items() if name.startswith("accuracy"))
    others = {
        kind: max(v for name, v in row.items() if name.startswith("accuracy"))
        for kind, row in accuracy.items()
        if kind != "codes"
    }
    assert best > 0.8, accuracy
    assert best > max(others.values()) + 0.25, (best, others)


def test_reconstruction_improves_with_the_budget(figures):
    rows = figures[1]["reconstruction"]
    loss = {row["k"]: row["loss"] for row in rows if row["codes"] in ("null", "codes")}
    assert loss[1] < 0.8 * loss[0]
    assert loss[4] < loss[1]
    assert one(rows, codes="codes", k=4)["psnr"] > one(rows, codes="null")["psnr"] + 1
    for row in rows:
        if row["codes"] in ("shuffled", "random"):
            assert row["gain"] > 3 * row["gain_se"]


def test_early_slots_matter_most(figures):
    importance = figures[1]["importance"]
    assert importance[0] == max(importance)
    assert importance[0] > 1.5 * importance[-1]


def test_the_health_report_calls_it_no_failure_and_names_failures_of_untrained_models(figures, toy_lam, world):
    found = {check["name"] for check in figures[1]["checks"] if check["found"] and check["weight"] == "failure"}
    assert found == set()
    torch.manual_seed(0)
    test = transitions(world(400, 4))
    report = examine(
        LAM(toy_lam), Translator(TranslatorConfig(slots=4, actions=ACTIONS, hidden=16, wide=32, depth=1)), test, 200
    )
    assert report["verdict"] == "bad"
    reasons = {check["name"] for check in report["checks"] if check["found"] and check["weight"] == "failure"}
    assert {
        "codes carry nothing",
        "gradient does not reach all parameters",
        "the translator is no better than its controls",
    } <= reasons


def test_a_model_whose_decoder_ignores_the_codes_is_called_bad_for_that_reason(trained, world):
    deaf = LAM(trained.config)
    deaf.load_state_dict(trained.state_dict())
    torch.nn.init.zeros_(deaf.decoder.slot_embed.weight)
    report = examine(deaf, None, transitions(world(300, 5)), 150)
    found = {check["name"] for check in report["checks"] if check["found"]}
    assert {"codes carry nothing", "codes of other transitions do as well"} <= found
    # the encoder is as good as before, and the report still says so
    assert "actions cannot be read linearly out of the codes" not in found


def test_the_configuration_of_the_toy_world_is_flexlam(toy_lam):
    assert toy_lam.prefix and replace(toy_lam, prefix=False) != toy_lam

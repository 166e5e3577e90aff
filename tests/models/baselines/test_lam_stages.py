"""The latent action models of other papers, from the command line to what is built on them."""

import json

import pytest

from flexlam_rl.cli import main
from flexlam_rl.models.baselines.forward_lam import ForwardLAM
from flexlam_rl.models.systems import load_slot_model


def command(*arguments) -> int:
    return main(["train", *map(str, arguments)])


@pytest.mark.parametrize(
    ("stage", "options", "latent"),
    [
        ("lapo", ("--slots", 3, "--size", 16), (3, 16, 16, False)),
        ("adaworld", (), (1, 32, None, False)),
        ("laom", ("--dim", 6, "--slots", 2, "--prefix"), (2, 6, None, True)),
    ],
)
def test_it_trains_and_the_translator_and_the_sequence_model_build_on_it(
    rollouts, tmp_path, capsys, stage, options, latent
):
    where = ("--data", rollouts, "--out", tmp_path / "run", "--preset", "debug")
    assert command(stage, *where, "--steps", 4, *options) == 0
    model = load_slot_model(tmp_path / "run/lam/best/lam")
    assert (model.latent.slots, model.latent.dim, model.latent.codes, model.latent.prefix) == latent
    assert command("translator", *where, "--steps", 4, "--label-count", 40) == 0
    assert (tmp_path / "run/translator/best/translator/model.safetensors").exists()
    built = command("sequence", *where, "--steps", 2)
    assert built == (0 if stage == "lapo" else 2)
    if stage != "lapo":
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert "predicts codes" in said and f"vectors of {latent[1]} numbers" in said
        assert not (tmp_path / "run/sequence").exists()
    # another method in the same folder is another run
    assert command("lam", *where, "--steps", 4) == 2
    assert f"stage is '{stage}' there and 'lam' here" in capsys.readouterr().err


def test_features_that_do_not_change_are_what_laom_is_measured_by(rollouts, tmp_path):
    where = ("--data", rollouts, "--out", tmp_path / "run", "--preset", "debug")
    assert command("laom", *where, "--steps", 2) == 0
    figures = json.loads((tmp_path / "run/lam/best/metrics.json").read_text())
    assert figures["loss"] == pytest.approx(figures["loss_k1"] / figures["still"])


def test_bad_options_are_named_before_anything_is_written(rollouts, tmp_path, capsys):
    where = ("--data", rollouts, "--out", tmp_path / "run", "--preset", "debug")
    for arguments, message in (
        (("lapo", "--slots", 0), "slots is 0; expected a whole number, 1 or more"),
        (("lapo", "--size", 1), "size is 1; expected a whole number, 2 or more"),
        (("adaworld", "--beta", -1.0), "beta is -1.0; expected a finite number, 0 or more"),
        (("laom", "--target-decay", 1.5), "target_decay is 1.5; expected 0..1"),
        (("laom", "--horizon", 500), "No items of 501 rows"),
    ):
        assert command(arguments[0], *where, *arguments[1:]) == 2, arguments
        assert message in capsys.readouterr().err
    assert not list((tmp_path / "run").rglob("*.json"))


def test_a_checkpoint_of_another_class_is_named(tmp_path):
    from flexlam_rl.models.baselines.config import lapo
    from flexlam_rl.models.flexlam.config import PRESETS
    from flexlam_rl.models.flexlam.lam import LAM
    from flexlam_rl.nn.pretrained import CheckpointError

    ForwardLAM(lapo(PRESETS["debug"].lam)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="holds a 'ForwardLAM'; expected a 'LAM'"):
        LAM.from_pretrained(tmp_path)

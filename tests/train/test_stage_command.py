"""`flexlam train STAGE` and `python -m train.STAGE`: every stage, with its own options and no others."""

import importlib.util
import os
import subprocess
import sys
import warnings
from dataclasses import fields
from pathlib import Path

import pytest

import flexlam_rl
from flexlam_rl.cli import main
from flexlam_rl.models.flexlam.options import TrainArgs
from flexlam_rl.train import command
from flexlam_rl.train.stages import STAGES

ROOT = Path(flexlam_rl.__file__).parents[1]
SHARED = {
    "data",
    "out",
    "tasks",
    "init",
    "seed",
    "device",
    "steps",
    "lr_scale",
    "optimiser",
    "precision",
    "compile",
    "preset",
}
LABELS = {"labels", "label_fraction", "label_count", "label_task"}
CODES = LABELS | {"lam_run", "conditioning", "prefix_distribution", "balance"}
PATCHES = {"encoder_patch", "decoder_patch"}
OWN = {
    "lam": {"fixed", "lam_slots", "fsq_levels", "quantizer", "quantizer_options", "prefix_distribution", "cache"}
    | PATCHES,
    "lapo": {"prefix", "prefix_distribution", "slots", "size", "dim"} | PATCHES,
    "laom": {"prefix", "prefix_distribution", "slots", "dim", "horizon", "target_decay", "encoder_patch"},
    "adaworld": {"prefix", "prefix_distribution", "slots", "dim", "beta"} | PATCHES,
    "sequence": {
        "lam_run",
        "stem",
        "long_share",
        "targets",
        "prior",
        "context",
        "drop_frames",
        "drop_blocks",
        "history_noise",
        "encode_once",
        "sequence_patch",
    },
    "translator": CODES,
    "joint": CODES,
    "idm": LABELS | {"encoder_patch"},
    "bc": LABELS | {"encoder_patch"},
    "features": LABELS,
    "controls": CODES | {"kind"},
}


def test_every_stage_has_the_options_that_it_uses():
    assert set(STAGES.names()) >= set(OWN)
    for name, own in OWN.items():
        assert {field.name for field in fields(STAGES.get(name).options)} == SHARED | own, name


@pytest.mark.parametrize("name", OWN)
def test_its_help_shows_them(name, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(name, ["--help"])
    assert stop.value.code == 0
    shown = {word.replace("-", "_")[2:] for word in capsys.readouterr().out.split() if word.startswith("--")}
    shown = {word.removeprefix("no_") for word in shown}  # what is on by default is turned off
    assert shown >= SHARED | OWN[name]
    assert not shown & (set().union(*OWN.values()) - OWN[name])


def test_options_of_other_stages_are_refused(args, capsys):
    common = ["--data", str(args.data), "--out", str(args.out)]
    assert main(["train", "idm", *common, "--fixed", "4", "--stem", "conv"]) == 2
    assert "--fixed" in capsys.readouterr().err
    assert main(["train", "controls", *common, "--kind", "features", "--conditioning", "slots"]) == 2
    assert "conditioning is 'slots'; the kind 'features' has no codes" in capsys.readouterr().err
    assert main(["train", "lamb", *common]) == 2
    assert "Unknown stage 'lamb' (did you mean 'lam'?)" in capsys.readouterr().err
    assert not args.out.exists()


def test_a_stage_and_all_of_them_train_from_the_command_line(args, capsys):
    common = ["--data", str(args.data), "--out", str(args.out), "--preset", "debug", "--steps", "1"]
    # flags of version 0.1, which --help does not show
    assert main(["train", "lam", *common, "--levels", "5", "3", "--prefix-law=mixed"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("lam: best at step 1: ")
    rest = ["--fsq-levels", "5", "3", "--prefix-distribution", "mixed", "--label-count", "20", "--label_level", "beta"]
    assert main(["train", "all", *common, *rest]) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()[-3:]] == [
        "lam",
        "sequence",
        "translator",
    ]


def test_the_command_without_a_stage_lists_them(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in ("all", *OWN)) and "--long-share" in out


@pytest.mark.parametrize("package", ["train", "flexlam_rl.train"])
@pytest.mark.parametrize("name", ["lam", "idm", "controls"])
def test_every_stage_is_a_module_that_runs(package, name, tmp_path):
    """The first had other contents once, the others were files."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-W", "error::DeprecationWarning", "-m", f"{package}.{name}"]
    arguments += ["--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"python -m {package}.{name}: {tmp_path / 'none'}"), done.stderr


def test_modules_of_stages_are_found_and_no_others():
    for name in OWN:
        assert importlib.util.find_spec(f"flexlam_rl.train.{name}") is not None
    assert importlib.util.find_spec("flexlam_rl.train.lamb") is None


def test_classes_that_were_in_these_modules_are_still_found_there():
    for name, attribute in (("lam", "LAMStage"), ("translator", "DirectStage"), ("controls", "ControlStage")):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sys.modules.pop(f"flexlam_rl.train.{name}", None)
            module = importlib.import_module(f"flexlam_rl.train.{name}")
        assert hasattr(module, attribute)
        assert [row.category for row in caught] == [DeprecationWarning]


def test_scripts_may_use_the_options_former_names(args):
    old = TrainArgs(args.data, args.out, levels=(5,), prefix_law="mixed", label_level="beta")
    assert old == TrainArgs(args.data, args.out, fsq_levels=(5,), prefix_distribution="mixed", label_task="beta")

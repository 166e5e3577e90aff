"""Saving and loading: exact, strict, and one sentence for everything that is wrong."""

import json
from dataclasses import replace

import pytest
import torch

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.models.baselines.idm import IDM
from flexlam_rl.models.flexlam.config import PRESETS, EncoderConfig, IDMConfig, TranslatorConfig
from flexlam_rl.models.flexlam.factored.config import SIZES
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.recurrent.config import SIZES as RECURRENT
from flexlam_rl.models.flexlam.recurrent.model import RecurrentPrior
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.nn.pretrained import CheckpointError

DEBUG = PRESETS["debug"]
MODELS = {
    "lam": lambda: LAM(DEBUG.lam),
    "fixed": lambda: LAM(replace(DEBUG.lam, prefix=False, slots=2)),
    "sequence": lambda: SequenceModel(DEBUG.sequence),
    "factored": lambda: FactoredPrior(SIZES["debug"]),
    "recurrent": lambda: RecurrentPrior(RECURRENT["debug"]),
    "translator": lambda: Translator(TranslatorConfig(slots=4, actions=ActionSpec((15, 3), 2, "mixed", "abc"))),
    "idm": lambda: IDM(IDMConfig(encoder=EncoderConfig(width=32, depth=1, heads=2, patch=16))),
}


@pytest.mark.parametrize("name", MODELS)
def test_save_and_load_are_exact(name, tmp_path):
    model = MODELS[name]()
    model.save_pretrained(tmp_path / "m")
    loaded = type(model).from_pretrained(tmp_path / "m")
    assert loaded.config == model.config
    for key, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor)
    assert sorted(p.name for p in (tmp_path / "m").iterdir() if not p.name.startswith("README")) == [
        "config.json",
        "model.safetensors",
    ]


@pytest.fixture
def saved(tmp_path):
    LAM(DEBUG.lam).save_pretrained(tmp_path / "m")
    return tmp_path / "m"


def edit(folder, **changes):
    record = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(record))


def test_wrong_class(saved):
    with pytest.raises(CheckpointError, match="holds a 'LAM'; expected a 'SequenceModel'"):
        SequenceModel.from_pretrained(saved)


def test_newer_format(saved):
    edit(saved, format=99)
    with pytest.raises(CheckpointError, match="format 99"):
        LAM.from_pretrained(saved)


def test_a_field_that_older_files_lack_has_its_default(tmp_path):
    SequenceModel(PRESETS["debug"].sequence).save_pretrained(tmp_path)
    record = json.loads((tmp_path / "config.json").read_text())
    assert "stem" not in record["config"]
    assert SequenceModel.from_pretrained(tmp_path).config == PRESETS["debug"].sequence
    record["config"]["stem"] = "wide"
    (tmp_path / "config.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match=r"config.stem is 'wide'; expected one of \['linear', 'conv'\]"):
        SequenceModel.from_pretrained(tmp_path)


def test_unknown_and_missing_fields(saved):
    record = json.loads((saved / "config.json").read_text())
    record["config"]["encoder"]["colour"] = 1
    (saved / "config.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match=r"config.encoder has unknown fields \['colour'\]"):
        LAM.from_pretrained(saved)


def test_wrong_type_of_a_field(saved):
    record = json.loads((saved / "config.json").read_text())
    record["config"]["slots"] = "many"
    (saved / "config.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match=r"config\.slots is 'many'; expected int"):
        LAM.from_pretrained(saved)


@pytest.mark.parametrize("damage", ["truncate", "garbage", "empty"])
def test_damaged_weights(saved, damage):
    path = saved / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes({"truncate": data[: len(data) // 2], "garbage": b"\xff" * 500, "empty": b""}[damage])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged or truncated"):
        LAM.from_pretrained(saved)


def test_weights_of_another_configuration(saved, tmp_path):
    LAM(replace(DEBUG.lam, slots=3)).save_pretrained(tmp_path / "other")
    (saved / "model.safetensors").write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="has shape"):
        LAM.from_pretrained(saved)


def test_missing_files_and_foreign_json(saved):
    (saved / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="no field 'format'"):
        LAM.from_pretrained(saved)
    (saved / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="no readable JSON"):
        LAM.from_pretrained(saved)
    (saved / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"holds no config\.json"):
        LAM.from_pretrained(saved)


def test_neither_folder_nor_repository(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match=r"There is no folder .no/such/thing/here."):
        LAM.from_pretrained("no/such/thing/here")


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    before = (saved / "model.safetensors").read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError):
        LAM(DEBUG.lam).save_pretrained(saved)
    assert (saved / "model.safetensors").read_bytes() == before
    assert not [p for p in saved.iterdir() if p.name.startswith(".")]

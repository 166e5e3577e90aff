"""Another package adds a quantizer and a system with one file or folder each, found by entry points.

Formats, stages, worlds, and policies and experts have tests of their own: `tests/datasets/test_formats.py`,
`tests/train/test_plugged_stage.py`, `tests/test_add_a_world.py`, `tests/eval/suite/test_plugins.py`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = {
    "toy/quantizer.py": '''
import torch

from flexlam_rl.nn.quantizers import Quantized, Quantizer


class Sign(Quantizer):
    """One bit per slot."""

    dim, codes = 1, 2

    def forward(self, z, generator=None):
        signs = torch.where(z > 0, 1.0, -1.0)
        return Quantized(z + (signs - z).detach(), (z[..., 0] > 0).long(), z.new_zeros(()))

    def lookup(self, codes):
        return 2.0 * codes[..., None] - 1.0
''',
    "toy/system/__init__.py": """
from flexlam_rl.models.systems import System

SYSTEM = System("predicts the next frame as the last one", {"Copy": "toy.system.model"})
""",
    "toy/system/model.py": """
from dataclasses import dataclass

import torch

from flexlam_rl.nn.pretrained import PretrainedModel


@dataclass(frozen=True)
class CopyConfig:
    gain: float = 1.0


class Copy(PretrainedModel):
    config_class = CopyConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.gain = torch.nn.Parameter(torch.tensor(config.gain))
""",
    "toy-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n",
    "toy-1.0.dist-info/entry_points.txt": """
[flexlam_rl.quantizers]
sign = toy.quantizer:Sign

[flexlam_rl.systems]
toy = toy.system:SYSTEM
""",
}
QUANTIZER = """
from dataclasses import replace

import torch

from flexlam_rl.models.flexlam.config import PRESETS
from flexlam_rl.models.flexlam.lam import LAM

lam = LAM(replace(PRESETS["debug"].lam, quantizer="sign"))
frames = torch.randint(0, 256, (2, 4, 3, 64, 64), dtype=torch.uint8)
optimizer, generator = torch.optim.AdamW(lam.parameters()), torch.Generator().manual_seed(0)
for _ in range(5):  # the decoder begins as zero and passes no gradient on at first
    optimizer.zero_grad()
    lam.loss({"obs": frames[0], "next_obs": frames[1]}, generator).loss.backward()
    optimizer.step()
assert lam.code_count == 2 and any(p.grad.abs().sum() > 0 for p in lam.encoder.parameters())
codes = lam.encode(frames[0], frames[1])
assert set(codes.unique().tolist()) <= {0, 1}
lam.save_pretrained("lam")
assert torch.equal(LAM.from_pretrained("lam").encode(frames[0], frames[1]), codes)
"""
SYSTEM = """
from toy.system.model import Copy, CopyConfig

from flexlam_rl.models.systems import SYSTEMS, load_model

Copy(CopyConfig(gain=0.5)).save_pretrained("copy")
assert "toy" in SYSTEMS and float(load_model("copy").gain) == 0.5
"""


@pytest.mark.parametrize("code", [QUANTIZER, SYSTEM], ids=["quantizer", "system"])
def test_found_by_its_entry_point(tmp_path: Path, code: str) -> None:
    for name, text in FILES.items():
        file = tmp_path / "site" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (tmp_path / "site" / "toy" / "__init__.py").write_text("", encoding="utf-8")
    root = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path / "site"), root)), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)

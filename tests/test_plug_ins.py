"""Another package adds a quantizer, a world and a system with one file or folder each, found by entry points.

Formats, stages, and policies and experts have tests of their own: `tests/datasets/test_formats.py`,
`tests/train/test_plugged_stage.py`, `tests/eval/suite/test_plugins.py`.
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
    "toy/world.py": '''
from dataclasses import replace
from functools import partial

import gymnasium as gym
import numpy as np

from flexlam_rl.envs.action_spaces import action_spec_of
from flexlam_rl.envs.domain import Task
from flexlam_rl.envs.episodes import SeededEpisodes, make_batch
from flexlam_rl.envs.spec import EnvSpec


class Corridor(gym.Env):
    """Reach the end within nine steps."""

    observation_space = gym.spaces.Box(0, 255, (16, 16, 3), np.uint8)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, env_spec):
        self.env_spec = env_spec

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(8))
        return self.frame(), {}

    def step(self, action):
        self.place += 2 * int(action) - 1
        over = self.place >= 15
        return self.frame(), float(over), over, False, {}

    def frame(self):
        picture = np.zeros((16, 16, 3), np.uint8)
        picture[:, max(self.place, 0)] = 255
        return picture


class World:
    name = "toy-world"

    def tasks(self):
        return [Task("corridor", scored=True, frames=9, terminates=True)]

    def task(self, name):
        return self.tasks()[0]

    def defaults(self):
        return self.resolve(EnvSpec(self.name, "numpy", "two", "", 1, 16, 16, ()))

    def actions(self, spec):
        return action_spec_of(Corridor.action_space, spec.action_set)

    def resolve(self, spec):
        return replace(spec, action_hash=self.actions(spec).hash)

    def make(self, task, spec, evaluation=False, frames=True, words=False, **options):
        env = gym.wrappers.TimeLimit(Corridor(self.resolve(spec)), 9)
        return SeededEpisodes(env, evaluation)

    def make_vec(self, tasks, spec, evaluation=False, frames=True, words=False, **options):
        return make_batch([partial(self.make, task, spec, evaluation) for task in tasks], **options)

    def reference(self, task, spec, name="expert"):
        return None

    def shows_last(self, spec):
        return True


WORLD = World()
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

[flexlam_rl.domains]
toy-world = toy.world:WORLD

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
WORLD = """
import numpy as np

from flexlam_rl.envs.domain import find_domain

world = find_domain("toy-world")
spec = world.defaults()
batch = world.make_vec(["corridor"] * 2, spec)
frames, infos = batch.reset(options={"episode_seeds": [3, 4]})
assert frames.shape == (2, 16, 16, 3) and infos["episode_seed"].tolist() == [3, 4]
assert np.array_equal(world.make("corridor", spec).reset(options={"episode_seed": 4})[0], frames[1])
ends = [batch.step([0, 0])[2:4] for _ in range(9)]
assert ends[-1][1].all() and not any(truncated.any() for _, truncated in ends[:-1])
"""
SYSTEM = """
from toy.system.model import Copy, CopyConfig

from flexlam_rl.models.systems import SYSTEMS, load_model

Copy(CopyConfig(gain=0.5)).save_pretrained("copy")
assert "toy" in SYSTEMS and float(load_model("copy").gain) == 0.5
"""


@pytest.mark.parametrize("code", [QUANTIZER, WORLD, SYSTEM], ids=["quantizer", "world", "system"])
def test_found_by_its_entry_point(tmp_path: Path, code: str) -> None:
    for name, text in FILES.items():
        file = tmp_path / "site" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (tmp_path / "site" / "toy" / "__init__.py").write_text("", encoding="utf-8")
    root = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path / "site"), root)), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)

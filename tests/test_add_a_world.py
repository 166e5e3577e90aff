"""The guide "Add a world" works as printed: its diffs are applied, the package is found, its commands run."""

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "add-a-world.md").read_text(encoding="utf-8")
DIFF = re.compile(r"^```diff\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^flexlam (.*)$", re.MULTILINE)
WORLD = """
import numpy as np

from flexlam_rl.envs.domain import find_domain

world = find_domain("corridor")
spec = world.defaults()
batch = world.make_vec(["walk"] * 2, spec)
frames, infos = batch.reset(options={"episode_seeds": [3, 4]})
assert frames.shape == (2, 64, 64, 3) and infos["episode_seed"].tolist() == [3, 4]
assert np.array_equal(world.make("walk", spec).reset(options={"episode_seed": 4})[0], frames[1])
ends = [batch.step([0, 0])[2:4] for _ in range(19)]
assert ends[-1][1].all() and not any(truncated.any() for _, truncated in ends[:-1])
"""
FLEXLAM = (
    "import sys\nfrom flexlam_rl.cli import main\nfor line in sys.stdin:\n    assert main(line.split()) == 0, line"
)


def test_the_guide_works_as_printed(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    for diff in DIFF.findall(PAGE):
        subprocess.run(["git", "apply", "-"], cwd=site, input=diff.encode(), check=True)
    setup = configparser.ConfigParser()
    setup.read(site / "setup.cfg")
    about, points = site / "corridor-1.0.dist-info", setup["options.entry_points"]["flexlam_rl.domains"]
    about.mkdir()  # as pip writes it
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: corridor\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(f"[flexlam_rl.domains]{points}\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(site), str(ROOT))), "OMP_NUM_THREADS": "1"}
    commands = "\n".join(line for line in COMMANDS.findall(PAGE))
    for code, given in ((WORLD, ""), (FLEXLAM, commands)):
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, input=given.encode(), check=True)
    assert len(commands.splitlines()) == 4
    assert json.loads((tmp_path / "returns.json").read_bytes())["domain"] == "corridor"
    assert json.loads((tmp_path / "results" / "results.json").read_bytes())["scene"]["domain"] == "corridor"
    assert (tmp_path / "rollouts" / "walk" / "train.zarr").is_dir()

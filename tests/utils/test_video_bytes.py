"""The same pictures give the same file, whatever the memory held before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
import numpy as np
from flexlam_rl.utils.video import write_video
for side in (32, 64):
    cells = np.random.default_rng(side).integers(0, 256, (side // 4, side // 4, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    write_video(f"{sys.argv[1]}-{side}.mp4", [np.roll(cells, (2 * i, 3 * i), (0, 1)) for i in range(32)], 10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc fills memory with what MALLOC_PERTURB_ says")
def test_the_same_pictures_give_the_same_bytes_in_processes_with_other_memory(tmp_path: Path) -> None:
    for perturb in ("0", "85", "170"):
        environment = {**os.environ, "MALLOC_PERTURB_": perturb}
        subprocess.run([sys.executable, "-c", CODE, str(tmp_path / perturb)], env=environment, check=True)
    for side in (32, 64):
        assert len({(tmp_path / f"{perturb}-{side}.mp4").read_bytes() for perturb in ("0", "85", "170")}) == 1

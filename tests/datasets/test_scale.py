"""The index of a whole collection loads in seconds and little memory.

16 levels of 10 million steps: FLEXLAM_SCALE_LEVELS=16 FLEXLAM_SCALE_ROWS=10000000 pytest tests/datasets/test_scale.py
    -s
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorstore as ts
from stamps import ORIGIN

from flexlam_rl.datasets.schema import (
    COLUMN_CHUNK,
    EPISODE_CHUNK,
    EPISODE_COLUMNS,
    SCHEMA,
    STEP_COLUMNS,
    VERSIONS,
    column_metadata,
    frames_metadata,
)

LEVELS = int(os.environ.get("FLEXLAM_SCALE_LEVELS", 2))
ROWS = int(os.environ.get("FLEXLAM_SCALE_ROWS", 300_000))
EPISODE, RESTART = 1351, 97  # frames of an episode; a restart every so many

MEASURE = r"""
import json, re, sys, time
sys.path.insert(0, sys.argv[1])
import numpy as np
from flexlam_rl.datasets import TransitionPairs, Windows, open_rollouts
from flexlam_rl.datasets.loader import Batches

def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) / 1024

before = peak()
start, used = time.perf_counter(), time.process_time()
rollouts = open_rollouts(sys.argv[2])
pairs, windows = TransitionPairs(rollouts), Windows(rollouts, 34)
stream = pairs.batches(256, seed=1, workers=0)
stream._position = 7 * len(pairs) // 3
number, rows = pairs.locate(stream.items(stream._position))
took, used = time.perf_counter() - start, time.process_time() - used
last = pairs.locate(np.array([len(pairs) - 1]))
grown = peak() - before
action = sum(int(store.action.whole()[-1]) for store in rollouts.stores)
print(json.dumps({
    "steps": rollouts.steps, "pairs": len(pairs), "windows": len(windows), "seconds": took, "cpu_seconds": used,
    "index_mb": grown, "process_with_actions_mb": peak(), "last": [int(last[0][0]), int(last[1][0])],
}))
"""


def write_index(path: Path, rows: int) -> None:
    """Everything of a store but its frames."""
    lengths = np.full(-(-rows // EPISODE), EPISODE)
    lengths[-1] -= lengths.sum() - rows
    starts = np.cumsum(lengths) - lengths
    inside = np.arange(rows) - np.repeat(starts, lengths)
    columns: dict[str, np.ndarray] = {
        name: np.zeros((rows, *shape), dtype) for name, (dtype, shape) in STEP_COLUMNS.items()
    }
    columns["restart"] = (inside > 0) & (inside % RESTART == 0)
    columns["action"] = (inside % 15).astype(np.int16)
    columns["episode"] = np.repeat(np.arange(len(lengths)), lengths).astype(np.int32)
    table = {name: np.zeros(len(lengths), dtype) for name, dtype in EPISODE_COLUMNS.items()}
    table |= {
        "start": starts,
        "rows": lengths.astype(np.int32),
        "length": lengths.astype(np.int32),
        "key": np.arange(len(lengths)),
    }
    for name, values in {**columns, **{f"episodes/{name}": values for name, values in table.items()}}.items():
        metadata = column_metadata(values.dtype.name, values.shape[1:], EPISODE_CHUNK if "/" in name else COLUMN_CHUNK)
        metadata["shape"] = list(values.shape)
        spec = {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": f"{path / name}/"},
            "metadata": metadata,
            "store_data_equal_to_fill_value": True,
        }
        ts.open(spec, create=True).result().write(values).result()
    frames = {**frames_metadata((64, 64, 3), 4, 4096, "zstd", 3), "shape": [rows, 64, 64, 3]}
    ts.open(
        {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path / 'frames'}/"}, "metadata": frames},
        create=True,
    ).result()
    attributes = {
        "schema": SCHEMA,
        "version": VERSIONS[0],
        "level": path.parent.name,
        "split": "train",
        "origin": ORIGIN.attributes(),
    }
    attributes |= {"with_actions": True, "extra": {}, "frame_shape": [64, 64, 3], "writers": [], "instructions": [""]}
    digest = hashlib.sha256(str(path).encode()).hexdigest()
    attributes |= {"commit": {"rows": rows, "episodes": len(lengths), "steps": rows, "digest": digest}}
    (path / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_the_index_of_a_collection_loads_in_seconds(tmp_path: Path) -> None:
    for level in range(LEVELS):
        write_index(tmp_path / f"level{level:02d}" / "train.zarr", ROWS)
    root = str(Path(__file__).parents[2])
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, root, str(tmp_path)], capture_output=True, text=True, check=True
    )
    found = json.loads(ran.stdout)
    print(found)
    inside = np.arange(EPISODE)
    cuts = np.count_nonzero((inside > 0) & (inside % RESTART == 0))
    whole, rest = divmod(ROWS, EPISODE)
    assert found["pairs"] == LEVELS * (whole * (EPISODE - 1 - cuts) + (rest - 1 - (rest - 1) // RESTART))
    assert found["last"] == [LEVELS - 1, ROWS - 2]
    # 160 million steps may cost seconds and 4 GB
    assert found["cpu_seconds"] < 1 + 10 * LEVELS * ROWS / 160e6
    assert found["index_mb"] < 150 + 800 * LEVELS * ROWS / 160e6

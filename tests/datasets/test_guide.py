"""The guide "Add a dataset" is the change that it says: applied, its commands work."""

import sys
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.cli import main
from flexlam_rl.commands import exchange
from flexlam_rl.datasets import formats
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.registry import Registry

GUIDE = Path(__file__).parents[2] / "docs/add-a-dataset.md"


def applied(folder: Path) -> Path:
    """The file that the guide's diff adds, written to a folder."""
    block = GUIDE.read_text(encoding="utf-8").split("```diff\n")[1].split("```")[0].splitlines()
    head, name, *lines = block
    assert head == "--- /dev/null" and name.startswith("+++ b/flexlam_rl/datasets/formats/")
    assert all(line.startswith("+") for line in lines), "the diff adds one file and changes none"
    file = folder / Path(name).name
    file.write_text("\n".join(line[1:] for line in lines) + "\n", encoding="utf-8")
    return file


def test_its_file_is_all_that_a_format_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = applied(tmp_path)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
    monkeypatch.setattr(exchange, "FORMATS", Registry("format", formats.built_in()))
    random = np.random.default_rng(0)
    (tmp_path / "mine").mkdir()
    episodes = []
    for number in range(3):
        frames = random.integers(0, 256, (6 + number, 16, 16, 3), dtype=np.uint8)
        action, reward = random.integers(0, 4, 5 + number), np.ones(5 + number, np.float32)
        episodes.append({"frames": frames, "action": action, "reward": reward})
        np.savez(tmp_path / f"mine/{number}.npz", **episodes[-1])
    command = [
        "data",
        "import",
        "npz-folder",
        str(tmp_path / "mine"),
        "--level",
        "kitchen",
        "--out",
        str(tmp_path / "d"),
    ]
    assert main([*command, "--actions", "4"]) == 0
    assert main([*command, "--actions", "4"]) == 0  # again: nothing is stored twice
    store = RolloutStore(tmp_path / "d/kitchen/train.zarr")
    assert store.episodes == 3 and store.steps == 18
    for number, one in enumerate(episodes):
        np.testing.assert_array_equal(store.episode_at(number).frames, one["frames"])
        np.testing.assert_array_equal(store.episode_at(number).action, one["action"])
    capsys.readouterr()
    assert main(["data", "export", "npz-folder", str(tmp_path / "d"), "--out", str(tmp_path / "out")]) == 0
    assert "how episodes end and map restarts are left out" in " ".join(capsys.readouterr().err.split())
    np.testing.assert_array_equal(np.load(tmp_path / "out/kitchen-train/000001.npz")["frames"], episodes[1]["frames"])
    np.savez(tmp_path / "mine/0.npz", **{**episodes[0], "action": np.full(5, 9)})
    assert main([*command[:-1], str(tmp_path / "e"), "--actions", "4"]) == 2
    assert "Column action of an episode is 9 at 0: expected 0 to 3" in " ".join(capsys.readouterr().err.split())
    sys.modules.pop(f"{formats.__name__}.{file.stem}", None)

"""`flexlam data` and `flexlam collect`: as the tutorial prints them, without their extras, and used wrongly."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.cli import main
from flexlam_rl.datasets import Episode, Origin, RolloutWriter

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = [
    "tensorstore",
    "numcodecs",
    "google_crc32c",
    "zarr",
    "pyarrow",
    "minari",
    "h5py",
    "torch",
    "safetensors",
    "scipy",
    "ray",
]
WITHOUT = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Without())
from flexlam_rl.cli import main
for command in sys.argv[2:]:
    try:
        code = main(command.split())
    except SystemExit as stop:
        code = stop.code
    print("code", code)
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small collection in the working directory."""
    monkeypatch.chdir(tmp_path)
    with RolloutWriter("data", "rooms_watermaze", "train", Origin(engine="litelab")) as writer:
        for key in range(2):
            frames = np.full((40, 16, 16, 3), key, np.uint8)
            writer.append_episode(
                Episode(frames, np.zeros(39, np.int16), np.zeros(39, np.float32), truncated=True, key=key)
            )
    return tmp_path / "data"


def test_the_tutorial_is_right_about_sheets(data: Path) -> None:
    """Its folder is called differently."""
    command = re.search(r"^flexlam data sheet rollouts$", (ROOT / "docs" / "tutorial.md").read_text(), re.MULTILINE)
    assert command is not None
    assert main(["data", "sheet", data.name]) == 0
    assert Path("sheets/rooms_watermaze-train.png").is_file()
    assert main(["data", "video", "data"]) == 0
    assert Path("videos/rooms_watermaze-train.mp4").is_file()


def test_inspect_shares_its_seconds_among_the_stores() -> None:
    from flexlam_rl.commands.data import speed_seconds

    assert speed_seconds(1) == 1.0 and 22 * speed_seconds(22) <= 2.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            "data import mp4 a.mp4 --level x --out y",
            "does not take mp4 a.mp4 --level x --out y: expected one of lerobot, minari, parquet, rl-unplugged, teco",
        ),
        (
            "data import mp4 --out y",
            "`flexlam data import` does not take mp4 --out y: expected one of lerobot, minari, parquet",
        ),
        (
            "data export mp4 a --last-frames row -o x",
            "`flexlam data export mp4` does not take --last-frames row: it stands in the wrong place",
        ),
        ("data sheet data --count 0", "count is 0"),
        ("data sheet data --episode 9", "Episode 9 of"),
        ("data video data --episode 9", "Episode 9 of"),
        ("data sheet data --out sheet.gif", "expected a file that ends in .png"),
        ("data labels data --name a --count 3 --fraction 0.5", "expected exactly one of them"),
    ],
)
def test_wrong_use_is_one_sentence(data: Path, arguments: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments.split()) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.strip().splitlines()) == 1 and "applied to" not in said
    assert [path.name for path in Path().iterdir()] == ["data"]


def test_without_the_extras_help_is_printed_and_the_rest_is_one_sentence(data: Path) -> None:
    helps = [
        "data -h",
        "collect -h",
        "render -h",
        *(f"data {name} -h" for name in ("inspect", "validate", "sheet", "video", "labels")),
    ]
    helps += [f"data import {name} -h" for name in ("parquet", "teco", "rl-unplugged", "minari")]
    helps += [f"data export {name} -h" for name in ("parquet", "minari", "mp4")]
    uses = ["data inspect data", "data labels data", "data import parquet a -o b", "data export mp4 data -o b"]
    uses += ["collect --level rooms_watermaze --steps 1 -o c"]
    command = [sys.executable, "-c", WITHOUT, ",".join(EXTRAS), *helps, *uses]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}
    )
    codes = [line for line in done.stdout.splitlines() if line.startswith("code ")]
    assert codes == ["code 0"] * len(helps) + ["code 2"] * len(uses), done.stderr
    assert done.stderr.count("flexlam_rl[data]") == len(done.stderr.splitlines()) == len(uses), done.stderr
    assert [path.name for path in Path().iterdir()] == ["data"]


def test_without_minari_its_extra_is_named(data: Path) -> None:
    uses = ["data export minari data -o b", "data import minari data -o b"]
    command = [sys.executable, "-c", WITHOUT, "minari", *uses]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}
    )
    assert done.stderr.count("flexlam_rl[minari]") == len(done.stderr.splitlines()) == len(uses), done.stderr

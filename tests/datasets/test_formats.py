"""A format is one file: what is registered can be imported and exported on the command line, without another edit."""

import sys
from pathlib import Path

import numpy as np
import pytest
from stamps import ORIGIN, episode

from flexlam_rl.cli import main
from flexlam_rl.datasets import RolloutWriter, formats
from flexlam_rl.datasets.format import Format
from flexlam_rl.datasets.formats import FORMATS
from flexlam_rl.datasets.store import RolloutStore

TOY = '''
"""Episodes as .npy files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.format import Exporter, ExportOptions, Format, Importer, ImportOptions
from flexlam_rl.datasets.schema import Origin
from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.datasets.writer import RolloutWriter


@dataclass(frozen=True, kw_only=True)
class FromToy(ImportOptions):
    """Frames in .npy files."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    level: str = "toyland"


@dataclass(frozen=True, kw_only=True)
class ToToy(ExportOptions):
    """A .npy file per episode."""

    dark: bool = False
    """Halve all values."""


def load(options, progress):
    with RolloutWriter(options.out, options.level, "train", Origin(engine="toy"), with_actions=False) as writer:
        for number, file in enumerate(options.files):
            progress(number, len(options.files))
            writer.append_episode(Episode(np.load(file)))
    return [RolloutStore(writer.path)]


def save(store, out, options, progress):
    out.mkdir(parents=True)
    for number in range(store.episodes):
        np.save(out / f"{number}.npy", store.episode_at(number).frames // (2 if options.dark else 1))
    return out


FORMAT = Format("toy-frames", "frames as .npy files", Importer(FromToy, load), Exporter(ToToy, save))
'''


@pytest.fixture
def frames(tmp_path: Path) -> np.ndarray:
    """Write one episode, in the collection `rollouts`."""
    one = episode(0, 0, 6)
    with RolloutWriter(tmp_path / "rollouts", "alpha", "train", ORIGIN) as writer:
        writer.append_episode(one)
    return one.frames


def there_and_back(folder: Path, frames: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["data", "export", "toy-frames", "--help"])
    assert "Halve all values." in capsys.readouterr().out
    assert main(["data", "export", "toy-frames", str(folder / "rollouts"), "-o", str(folder / "toy"), "--dark"]) == 0
    assert capsys.readouterr().out.startswith(f"{folder / 'toy'}: 1 episodes")
    np.testing.assert_array_equal(np.load(folder / "toy" / "0.npy"), frames // 2)
    assert main(["data", "import", "toy-frames", str(folder / "toy" / "0.npy"), "-o", str(folder / "back")]) == 0
    store = RolloutStore(folder / "back" / "toyland" / "train.zarr")
    np.testing.assert_array_equal(store.frames[:], frames // 2)


def test_a_format_of_another_package_is_one_file(
    tmp_path: Path, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "site"
    (package / "toyformat-1.dist-info").mkdir(parents=True)
    (package / "toyformat-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: toyformat\nVersion: 1\n")
    (package / "toyformat-1.dist-info" / "entry_points.txt").write_text(
        "[flexlam_rl.formats]\ntoy-frames = toyformat:FORMAT\n"
    )
    (package / "toyformat.py").write_text(TOY)
    assert "toy-frames" not in FORMATS.names()
    monkeypatch.syspath_prepend(package)
    try:
        assert "toy-frames" in FORMATS.names()
        there_and_back(tmp_path, frames, capsys)
    finally:
        sys.modules.pop("toyformat", None)


def test_a_format_of_this_package_is_one_file(
    tmp_path: Path, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "toy_frames.py").write_text(TOY)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path / "room")])
    monkeypatch.setattr(FORMATS, "_built_in", formats.built_in())
    try:
        there_and_back(tmp_path, frames, capsys)
    finally:
        sys.modules.pop("flexlam_rl.datasets.formats.toy_frames", None)


def test_a_format_that_cannot_be_loaded_is_left_out(
    tmp_path: Path, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(FORMATS._built_in, "broken", "no_such_module:FORMAT")
    assert main(["data", "export", "mp4", str(tmp_path / "rollouts"), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert said.startswith(
        "The format 'broken' is left out, because it cannot be loaded: No module named 'no_such_module'.\n"
    )


def test_two_formats_do_not_share_their_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    FORMATS.register("again", Format("again", "mp4 under another name", exporter=FORMATS.get("mp4").exporter))
    try:
        assert main(["data", "export", "--help"]) == 2
        assert "'again' has the options ToMp4 of another" in capsys.readouterr().err
    finally:
        FORMATS.unregister("again")


@pytest.mark.parametrize("name", FORMATS.names())
def test_formats_say_what_they_are(name: str) -> None:
    found = FORMATS.get(name)
    assert found.name == name and found.about and (found.importer or found.exporter)

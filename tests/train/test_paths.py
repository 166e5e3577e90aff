"""Training and its studies take relative paths, "..", spaces and links, and survive a change of the working
directory.
"""

import os

import pytest

from flexlam_rl.cli import main
from flexlam_rl.models.flexlam.pipeline import TrainArgs, train_all


def temporaries(*folders):
    return [path for folder in folders for path in folder.rglob("*") if path.name.endswith(".tmp")]


@pytest.fixture
def place(tmp_path, make_rollouts, monkeypatch):
    """A working directory beside the data, whose name has a space, and a link to it."""
    make_rollouts(tmp_path / "my data")
    (tmp_path / "link").symlink_to("my data")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.mark.parametrize("data", ["../my data", "../link", "../link/../my data", "./../work/../link"])
def test_training(place, data):
    args = TrainArgs(data, "run of mine/../run", "debug", steps=1, label_count=20, cache="cache")
    os.chdir("/")
    assert set(train_all(args)) == {"lam", "sequence", "translator"}
    assert (place / "work/run/translator/best/translator/config.json").is_file()
    assert list((place / "work/cache").iterdir())
    assert temporaries(place) == []


def test_paths_given_as_text_with_a_separator_at_the_end(place):
    args = TrainArgs("../my data/", "run/", "debug")
    assert (args.data, args.out) == (place / "my data", place / "work/run")
    with pytest.raises(ValueError, match="data is an empty path"):
        TrainArgs("", "run")


def test_an_alignment_study(place, capsys):
    common = [
        "--preset",
        "debug",
        "--budgets",
        "1",
        "--seeds",
        "1",
        "--steps",
        "1",
        "--translator-steps",
        "1",
        "--labels",
        "standard",
    ]
    common += ["--label-count", "20", "--held-out", "50"]
    assert main(["alignment", "--data", "../link", "--out", "../work/a study", *common]) == 0, capsys.readouterr().err
    assert len(list((place / "work/a study/results").glob("*.json"))) == 2
    assert temporaries(place) == []
    # the same study by another name of its folders
    os.chdir(place)
    assert main(["alignment", "--data", "my data", "--out", "work/a study", *common]) == 0

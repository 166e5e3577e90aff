"""Steps that the expert did not choose: marked in a store and in what it is written to, and never a label."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent))
from stamps import ORIGIN, episode, read_stamps

from flexlam_rl.datasets import TransitionPairs, Windows, make_labels
from flexlam_rl.datasets.episode import Episode
from flexlam_rl.datasets.labels import LabelSet
from flexlam_rl.datasets.marks import EXPERT_CHOSE, expert_chose
from flexlam_rl.datasets.memory import MemoryStore
from flexlam_rl.datasets.store import Rollouts, RolloutStore
from flexlam_rl.datasets.writer import RolloutWriter
from flexlam_rl.train.data import CurriculumSource, held_out_windows
from flexlam_rl.utils.errors import StoreError


def marked(number: int, length: int = 40, side: int = 8) -> Episode:
    """An episode in which steps whose number leaves 0 or 1 when divided by 5 were not chosen."""
    one = episode(0, number, length)
    frames = np.zeros((one.rows, side, side, 3), np.uint8)
    frames[:, :8, :8] = one.frames
    return replace(one, frames=frames, extra={EXPERT_CHOSE: np.arange(one.rows) % 5 > 1})


def write(root: Path, level: str = "a", side: int = 8) -> RolloutStore:
    with RolloutWriter(root, level, "train", ORIGIN, extra={EXPERT_CHOSE: ("bool", ())}) as writer:
        writer.append_episodes([marked(number, side=side) for number in range(4)])
    return RolloutStore(writer.path)


def test_a_step_that_the_expert_did_not_choose_is_never_a_label(tmp_path: Path) -> None:
    with RolloutWriter(tmp_path, "plain", "train", ORIGIN) as writer:
        writer.append_episodes([episode(1, number, 40) for number in range(4)])
    rollouts = Rollouts([write(tmp_path), RolloutStore(writer.path)])
    train, held_out = make_labels(rollouts, "all", count=2 * 96, validation=0.25)
    drawn = np.concatenate([train.rows[0], held_out.rows[0]])
    assert len(np.unique(drawn)) == 96 and (drawn % 41 % 5 > 1).all()  # all that there are
    plain = np.concatenate([train.rows[1], held_out.rows[1]])
    assert not (plain % 41 % 5 > 1).all()
    with pytest.raises(ValueError, match="it has 96 transitions"):
        make_labels(rollouts, "more", count=200)
    with pytest.raises(ValueError, match="Row 5 of label set 'own' has an action that the expert did not choose"):
        TransitionPairs(rollouts[0], labels=LabelSet("own", "train", (np.array([2, 5]),), {}))


@pytest.mark.parametrize("resident", [False, True])
def test_windows_tell_which_steps_are_targets(resident: bool, tmp_path: Path) -> None:
    store, memory = write(tmp_path), MemoryStore("a", [marked(number) for number in range(4)], ORIGIN)
    for data in (store, memory):
        batch = CurriculumSource(Rollouts([data]), 6, 4, 9, 0, 0, resident=resident).next()  # type: ignore[list-item]
        frames = np.asarray(batch["frames"])
        rows = read_stamps(np.moveaxis(frames, 2, -1) if resident else frames)[..., 3]
        np.testing.assert_array_equal(np.asarray(batch[EXPERT_CHOSE]), rows % 5 > 1)
        held_out = held_out_windows(Rollouts([data]), 3, 4)  # type: ignore[list-item]
        rows = read_stamps(np.moveaxis(held_out["frames"].numpy(), 2, -1))[..., 3]
        np.testing.assert_array_equal(held_out[EXPERT_CHOSE].numpy(), rows % 5 > 1)
    with RolloutWriter(tmp_path, "plain", "train", ORIGIN) as writer:
        writer.append_episode(episode(1, 0, 40))
    plain = RolloutStore(writer.path)
    assert EXPERT_CHOSE not in CurriculumSource(Rollouts([plain]), 2, 4, 9, 0, 0, resident=resident).next()
    both = Windows(Rollouts([plain, store]), 4, (EXPERT_CHOSE,))
    assert both.read(np.arange(30))[EXPERT_CHOSE].all()  # a store that does not tell: all are the expert's


@pytest.mark.parametrize("form", ["minari", "parquet"])
def test_the_mark_survives(form: str, tmp_path: Path) -> None:
    store = write(tmp_path / "a", side=32)
    if form == "minari":
        pytest.importorskip("minari")
        from flexlam_rl.datasets.formats.minari import export_minari, import_minari

        export_minari(store, tmp_path / "out")
        back = import_minari(tmp_path / "out", tmp_path / "b")
    else:
        from flexlam_rl.datasets.formats.parquet import export_parquet, import_parquet

        export_parquet(store, tmp_path / "out", last_frames="row")
        back = import_parquet(tmp_path / "out", tmp_path / "b", "a", "train", ORIGIN, alignment="trust")
    np.testing.assert_array_equal(expert_chose(back), expert_chose(store))
    assert back.column(f"extra/{EXPERT_CHOSE}").dtype == np.bool_


def test_a_column_of_that_name_that_is_no_mark_is_refused(tmp_path: Path) -> None:
    with RolloutWriter(tmp_path, "a", "train", ORIGIN, extra={EXPERT_CHOSE: ("int8", ())}) as writer:
        writer.append_episode(replace(marked(0), extra={EXPERT_CHOSE: np.zeros(41, np.int8)}))
    with pytest.raises(StoreError, match="expected one bool per row"):
        make_labels(Rollouts([RolloutStore(writer.path)]), "few", count=2)

"""Contact sheets, captions and files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexlam_rl.utils.pictures import (
    GAP,
    above,
    beside,
    caption,
    contact_sheet,
    evenly,
    write_animation,
    write_figure,
    write_png,
)


def _flat(value: int, height: int = 8, width: int = 12) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_sheet_reads_like_text() -> None:
    sheet = contact_sheet([_flat(v) for v in (10, 20, 30, 40, 50)], columns=3)
    assert sheet.shape == (2 * 8 + GAP, 3 * 12 + 2 * GAP, 3)
    assert [int(sheet[0, x, 0]) for x in (0, 12 + GAP, 2 * (12 + GAP))] == [10, 20, 30]
    assert [int(sheet[8 + GAP, x, 0]) for x in (0, 12 + GAP)] == [40, 50]


def test_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        contact_sheet([])
    with pytest.raises(ValueError, match="columns is 0"):
        contact_sheet([_flat(1)], columns=0)


def test_rows_and_columns_keep_their_parts() -> None:
    row = beside([_flat(1, height=4), _flat(2, height=8)])
    assert row.shape == (8, 24 + GAP, 3)
    assert (row[:4, :12] == 1).all()
    assert (row[:, 12 + GAP :] == 2).all()
    column = above([_flat(1, width=4), _flat(2, width=8)])
    assert column.shape == (16 + GAP, 8, 3)
    assert (column[:8, :4] == 1).all()


def test_caption_leaves_the_picture_alone() -> None:
    picture = _flat(77, height=40, width=80)
    with_text = caption(picture, "return 10")
    assert (with_text[:40] == picture).all()
    assert with_text[40:].max() > 150
    assert caption(picture, "a text that is far too long for so small a picture").shape == with_text.shape


@pytest.mark.parametrize(("count", "total"), [(16, 1351), (16, 16), (16, 5), (1, 9)])
def test_evenly_spread(count: int, total: int) -> None:
    chosen = evenly(count, total)
    assert len(chosen) == min(count, total)
    assert chosen == sorted(set(chosen))
    assert chosen[0] == 0
    assert count == 1 or chosen[-1] == total - 1


def test_png_round_trip(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", picture)
    assert (np.asarray(Image.open(tmp_path / "a.png")) == picture).all()
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_png(tmp_path / "nowhere" / "a.png", _flat(1))


def test_a_figure_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    class Fails:
        def savefig(self, file, **options):
            file.write(b"half of")
            raise ValueError("no room for the labels")

    path = tmp_path / "figure.png"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match="no room"):
        write_figure(path, Fails(), 100)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_animation_has_every_picture_at_its_time(tmp_path: Path) -> None:
    write_animation(tmp_path / "a.webp", [_flat(20), _flat(120), _flat(220)], fps=4)
    with Image.open(tmp_path / "a.webp") as film:
        assert (film.format, film.n_frames, film.info["loop"]) == ("WEBP", 3, 0)
        for number, value in enumerate((20, 120, 220)):
            film.seek(number)
            assert abs(np.asarray(film.convert("RGB")).astype(int) - value).max() < 8
            assert film.info["duration"] == 250

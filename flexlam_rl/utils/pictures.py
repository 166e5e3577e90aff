"""Pictures of episodes: contact sheets, captions, PNG files."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from flexlam_rl.utils.files import atomic_file, atomic_path

# a picture is an array (height, width, 3) uint8
Picture = NDArray[np.uint8]

GAP = 4  # pixels between the pictures of a sheet
CAPTION = 14  # height of a line of text in pixels
PAPER, INK = 24, (225, 225, 225)


def shown(picture: Picture) -> Picture:
    """Convert a picture to three channels for display.

    One channel is shown as gray. A fourth channel (depth) is shown as a gray picture beside the colors.

    Raises:
        ValueError: The picture does not have 1, 3 or 4 channels.
    """
    channels = picture.shape[-1]
    if channels == 3:
        return picture
    if channels == 1:
        return picture.repeat(3, axis=-1)
    if channels == 4:
        return beside([np.ascontiguousarray(picture[..., :3]), picture[..., 3:].repeat(3, axis=-1)])
    raise ValueError(f"A picture has {channels} channels: expected 1, 3 or 4.")


def caption(picture: Picture, text: str, lines: int = 1) -> Picture:
    """Add `lines` lines of small text below a picture; text that is wider than the picture is cut off."""
    picture = shown(picture)
    height, width = picture.shape[:2]
    canvas = Image.new("RGB", (width, height + lines * CAPTION), (PAPER,) * 3)
    canvas.paste(Image.fromarray(picture), (0, 0))
    _write(canvas, text.split("\n")[:lines], height, CAPTION)
    return np.asarray(canvas)


def panel(lines: Sequence[str], height: int, width: int, line: int = CAPTION) -> Picture:
    """Draw lines of text from the top of an empty picture; text that does not fit is cut off.

    Args:
        lines: The text.
        height, width: Size of the picture in pixels.
        line: Height of one line in pixels.
    """
    canvas = Image.new("RGB", (width, height), (PAPER,) * 3)
    _write(canvas, lines, 0, line)
    return np.asarray(canvas)


def _write(canvas: Image.Image, lines: Sequence[str], top: int, line: int) -> None:
    """Write lines of text, each cut off at the width of the canvas."""
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=line * (CAPTION - 3) // CAPTION)
    for number, text in enumerate(lines):
        while text and draw.textlength(text, font=font) > canvas.width - 2:
            text = text[:-1]
        draw.text((2, top + number * line), text, fill=INK, font=font)


def beside(pictures: Sequence[Picture]) -> Picture:
    """Join pictures in a row, aligned at the top; shorter ones are padded with the background color."""
    height = max(p.shape[0] for p in pictures)
    padded = [np.pad(p, ((0, height - p.shape[0]), (0, 0), (0, 0)), constant_values=PAPER) for p in pictures]
    gap = np.full((height, GAP, 3), PAPER, np.uint8)
    row = [part for p in padded for part in (gap, p)][1:]
    return np.concatenate(row, axis=1)


def above(pictures: Sequence[Picture]) -> Picture:
    """Join pictures in a column, aligned at the left."""
    return np.ascontiguousarray(beside([p.swapaxes(0, 1) for p in pictures]).swapaxes(0, 1))


def contact_sheet(pictures: Sequence[Picture], columns: int | None = None) -> Picture:
    """Arrange pictures of one size in rows, in reading order.

    Args:
        pictures: At least one.
        columns: Pictures per row; None for a sheet that is as square as possible.

    Raises:
        ValueError: There are no pictures, or `columns` is below 1.
    """
    if not pictures:
        raise ValueError("A contact sheet needs at least one picture, got none.")
    columns = math.ceil(math.sqrt(len(pictures))) if columns is None else columns
    if columns < 1:
        raise ValueError(f"columns is {columns}; a contact sheet needs at least 1.")
    rows = [beside(pictures[i : i + columns]) for i in range(0, len(pictures), columns)]
    return above(rows)


def evenly(count: int, total: int) -> list[int]:
    """Pick at most `count` indices spread evenly over `range(total)`, including the first and the last."""
    return sorted({round(i) for i in np.linspace(0, total - 1, min(count, total))})


def enlarged(picture: Picture, factor: int) -> Picture:
    """Enlarge a picture: each pixel becomes a square of `factor` by `factor`."""
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def write_png(path: Path | str, picture: Picture) -> None:
    """Write a picture, converted by `shown`, as a PNG file.

    Raises:
        OSError: The folder does not exist or cannot be written.
        ValueError: The picture does not have 1, 3 or 4 channels.
    """
    picture = shown(picture)
    with atomic_path(Path(path)) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def write_animation(path: Path | str, pictures: Sequence[Picture], fps: float, quality: int = 60) -> None:
    """Write pictures of one size, each converted by `shown`, as an endless WebP animation.

    Args:
        path: The file.
        pictures: At least one.
        fps: Pictures per second.
        quality: Quality of the compression, 0 (smallest) to 100 (best).

    Raises:
        OSError: The folder does not exist or cannot be written.
        ValueError: A picture does not have 1, 3 or 4 channels.
    """
    first, *others = (Image.fromarray(shown(picture)) for picture in pictures)
    with atomic_path(Path(path)) as written:
        first.save(
            written,
            "WEBP",
            save_all=True,
            append_images=others,
            duration=round(1000 / fps),
            loop=0,
            quality=quality,
        )


def png_bytes(picture: Picture) -> bytes:
    """Encode a picture, converted by `shown`, as a PNG file in memory, with fast compression.

    Raises:
        ValueError: The picture does not have 1, 3 or 4 channels.
    """
    file = io.BytesIO()
    Image.fromarray(shown(picture)).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def write_figure(path: Path | str, figure: Any, dpi: int) -> None:
    """Write a matplotlib figure as a PNG file, atomically.

    Args:
        path: The file; its folder must exist.
        figure: The `matplotlib.figure.Figure`.
        dpi: Pixels per inch.

    Raises:
        OSError: The file cannot be written.
    """
    with atomic_file(Path(path)) as file:
        figure.savefig(file, format="png", dpi=dpi)

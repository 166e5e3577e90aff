"""A picture of the detected scene cuts: changes between frames, the threshold, and frames close to it."""

import itertools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from flexlam_rl.datasets.store import RolloutStore
from flexlam_rl.utils.pictures import CAPTION, INK, PAPER, Picture, above, beside, caption

WIDTH, HEIGHT, MARGIN = 900, 150, 40
PAIRS, THUMBNAIL = 6, 64
CUT, LINE = (240, 110, 90), (120, 180, 240)


def cuts_picture(store: RolloutStore, threshold: float) -> Picture:
    """Draw the scene cuts of a store of imported video.

    Args:
        store: A store with the column `extra/scene_change`.
        threshold: Smallest change that counts as a cut.

    Returns:
        A picture of four rows: the change over all frames; a histogram of changes (logarithmic); the cuts closest to
        the threshold, as pairs of frames; and the pairs closest to it that are not cuts.
    """
    change = store.column("extra/scene_change").whole()
    first = np.zeros(len(change), bool)
    first[store.episode_table["start"]] = True
    rows = np.flatnonzero(~first)
    order = rows[np.argsort(change[rows], kind="stable")]
    cut, kept = order[change[order] >= threshold], order[change[order] < threshold]
    seen = f"{len(cut)} of {len(rows)} pairs of frames are cuts, threshold {threshold:g}"
    parts = [
        _curve(change, threshold, f"{store.level}/{store.split}: change from frame to frame; {seen}"),
        _histogram(change[rows], threshold, "pairs of frames with such a change (logarithmic)"),
        *_pairs(store, cut[:PAIRS], change, f"cuts with the smallest changes{'' if len(cut) else ': none'}"),
        *_pairs(store, kept[::-1][:PAIRS], change, f"no cuts, with the largest changes{'' if len(kept) else ': none'}"),
    ]
    return above(parts)


def _axes(title: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("RGB", (WIDTH, HEIGHT + 2 * CAPTION), (PAPER,) * 3)
    draw = ImageDraw.Draw(canvas)
    _text(draw, 2, 0, title)
    return canvas, draw


def _text(draw: ImageDraw.ImageDraw, x: float, y: float, text: str) -> None:
    draw.text((x, y), text, fill=INK, font=ImageFont.load_default(size=CAPTION - 3))


def _top(change: np.ndarray, threshold: float) -> float:
    """Find an upper end of the axis that shows all changes and the threshold."""
    return max(threshold * 1.25, float(change.max(initial=0)) * 1.05)


def _curve(change: np.ndarray, threshold: float, title: str) -> Picture:
    canvas, draw = _axes(title)
    top, low = _top(change, threshold), HEIGHT + CAPTION
    columns = WIDTH - MARGIN
    edges = np.linspace(0, len(change), columns + 1).astype(int)
    for x, (begin, end) in enumerate(itertools.pairwise(edges.tolist())):
        value = float(change[begin : max(end, begin + 1)].max(initial=0)) if begin < len(change) else 0.0
        color = CUT if value >= threshold else LINE
        draw.line([(MARGIN + x, low), (MARGIN + x, low - HEIGHT * value / top)], fill=color)
    y = low - HEIGHT * threshold / top
    draw.line([(MARGIN, y), (WIDTH, y)], fill=CUT)
    _text(draw, 2, y - CAPTION / 2, f"{threshold:g}")
    _text(draw, 2, low - CAPTION / 2, "0")
    _text(draw, MARGIN, low, "frame 0")
    _text(draw, WIDTH - 90, low, f"frame {len(change) - 1}")
    return np.asarray(canvas)


def _histogram(change: np.ndarray, threshold: float, title: str) -> Picture:
    canvas, draw = _axes(title)
    top, low, bins = _top(change, threshold), HEIGHT + CAPTION, 120
    counts, edges = np.histogram(change, bins, (0, top))
    tall = np.log1p(counts) / max(float(np.log1p(counts.max(initial=0))), 1e-9)
    width = (WIDTH - MARGIN) / bins
    for number, height in enumerate(tall.tolist()):
        if height:
            x = MARGIN + number * width
            color = CUT if edges[number] >= threshold else LINE
            draw.rectangle([(x, low - HEIGHT * height), (x + width - 1, low)], fill=color)
    x = MARGIN + (WIDTH - MARGIN) * threshold / top
    draw.line([(x, CAPTION), (x, low)], fill=CUT)
    _text(draw, 2, CAPTION, f"{counts.max(initial=0)}")
    _text(draw, x, low, f"{threshold:g}")
    _text(draw, MARGIN, low, "0")
    _text(draw, WIDTH - 40, low, f"{top:.2g}")
    return np.asarray(canvas)


def _pairs(store: RolloutStore, rows: np.ndarray, change: np.ndarray, title: str) -> list[Picture]:
    head = caption(np.full((1, WIDTH, 3), PAPER, np.uint8), title)
    shown = []
    for row in sorted(rows.tolist()):
        pair = beside([_thumbnail(frame) for frame in store.frames.read(row - 1, row + 1)])
        shown.append(caption(pair, f"frame {row}: {change[row]:.3f}"))
    return [head, beside(shown)] if shown else [head]


def _thumbnail(frame: np.ndarray) -> Picture:
    picture = Image.fromarray(frame)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(picture)

"""A view as a self-contained piece of HTML: pictures, bars and numbers."""

import base64
import html
from collections.abc import Iterator
from typing import Any

from flexlam_rl.eval.watch.view import View
from flexlam_rl.utils.pictures import Picture, png_bytes

SIZE = 256
"""Height of a picture, in pixels of the page."""
_STYLE = """<style>
.flexlam-pictures, .flexlam-columns {display: flex; flex-wrap: wrap; gap: 12px; align-items: flex-start}
.flexlam-pictures figure {margin: 0}
.flexlam-pictures img, .flexlam-none {height: SIZEpx; image-rendering: pixelated}
.flexlam-none {width: SIZEpx; display: flex; align-items: center; justify-content: center; background: #8882}
.flexlam-bar {display: inline-block; height: 0.8em; background: #00897b}
.flexlam-columns table {border-collapse: collapse}
.flexlam-columns td, .flexlam-columns th {padding: 0 12px 0 0; border: none; text-align: left; font-weight: normal}
.flexlam-codes td {font-variant-numeric: tabular-nums; line-height: 1.35}
</style>""".replace("SIZE", str(SIZE))


def as_html(view: View) -> str:
    """Draw a view.

    Returns:
        HTML that loads nothing, because it contains the pictures.
    """
    pictures = [
        _figure(view.frame, "frame"),
        _figure(view.predicted, f"next frame, decoded from K = {view.budget}" if view.step else "next frame, decoded"),
        _figure(view.next_frame, "next frame, after a map restart" if view.map_restarted else "next frame"),
        *([] if view.top_down is None else [_figure(view.top_down, "from above")]),
    ]
    facts = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in rows(view))
    return (
        f'{_STYLE}<div class="flexlam-pictures">{"".join(pictures)}</div>'
        f'<div class="flexlam-columns"><table>{facts}</table>'
        f'<table class="flexlam-codes">{"".join(_bars(view))}</table></div>'
    )


def rows(view: View) -> Iterator[tuple[str, str]]:
    """Describe the view in words, by name."""
    yield "task", f"{view.task}, seed {view.seed}"
    if view.instruction:
        yield "instruction", view.instruction
    yield "step", f"{view.step}{', the last: the episode is over' if view.over else ''}"
    yield "return", f"{view.total:g}"
    if view.step:
        yield "reward", f"{view.reward:g}"
        yield "action", view.action or ""
        yield "expert", view.expert or "none reads this world"
        yield "budget", f"{view.budget} of {view.slots} ({view.reason}), decided in {1000 * view.seconds:.0f} ms"
    if view.asked != view.budget:
        yield "next budget", str(view.asked)


def _figure(picture: Picture | None, title: str) -> str:
    """Write a picture with its title, or an empty place without a picture."""
    if picture is None:
        shown = '<div class="flexlam-none">none yet</div>'
    else:
        data = base64.b64encode(png_bytes(picture)).decode()
        shown = f'<img src="data:image/png;base64,{data}" alt="{html.escape(title)}">'
    return f"<figure>{shown}<figcaption>{html.escape(title)}</figcaption></figure>"


def _bars(view: View) -> Iterator[str]:
    """Write the rows of the table of codes: slot, code, and its probability as a bar and in percent."""
    for slot, (code, chance) in enumerate(zip(view.codes, view.probabilities, strict=True), 1):
        bar = "" if chance is None else f'<span class="flexlam-bar" style="width: {150 * chance:.0f}px"></span>'
        share = "" if chance is None else f"{100 * chance:.0f} %"
        yield f"<tr><td>slot {slot}</td><td>{_code(code)}</td><td>{bar} {share}</td></tr>"


def _code(code: Any) -> str:
    """Write a code, or the numbers of a vector."""
    return " ".join(f"{number:.2f}" for number in code) if isinstance(code, list) else f"code {code}"

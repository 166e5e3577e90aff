"""The results: one JSON, two tables, two plots and the bundle in float16, in at most 8 files of at most 16 MiB."""

import csv
import io
import json
import os
import platform
import tarfile
import time
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.one_gpu.session import Session
from benchmarks.one_gpu.suite import episodes_of
from flexlam_rl.utils.files import write_atomically
from flexlam_rl.utils.provenance import revision

MOST_FILES, MOST_BYTES = 8, 16 << 20
PIECE = 15 << 20


def machine(device: str) -> dict[str, Any]:
    """Describe the machine that the figures were measured on."""
    cuda = device.startswith("cuda")
    return {
        "card": torch.cuda.get_device_name() if cuda else None,
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "revision": revision(),
        "date": time.strftime("%Y-%m-%d"),
    }


def write(session: Session, parts: dict[str, dict[str, Any]]) -> None:
    """Write the results so far to the session's folder."""
    session.out.mkdir(parents=True, exist_ok=True)
    record = {"size": session.size.name, "machine": machine(session.device), "parts": parts}
    _put(session, "one_gpu.json", (json.dumps(record, indent=1) + "\n").encode())
    rows = [{"part": part, "figure": name, "value": value} for part, own in parts.items() for name, value in flat(own)]
    _put(session, "figures.csv", _csv(rows))
    played = {f"{part}/{name}": row for part in ("suite", "seeds") for name, row in _plays(parts.get(part, {}))}
    if episodes := episodes_of(played):
        _put(session, "episodes.csv", _csv(episodes))
    _plots(session, parts)
    _bundle(session)


def _plays(figures: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, row in figures.items():
        if isinstance(row, dict):
            yield name, row.get("suite", row)


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the numbers of nested dictionaries, with their path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name}/{key}" if name else str(key))
    elif isinstance(value, int | float | str | None):
        yield name, value


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["part", "figure", "value"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _put(session: Session, name: str, data: bytes) -> None:
    if len(data) > MOST_BYTES:
        raise ValueError(f"{name} has {len(data)} bytes; at most {MOST_BYTES} can be brought back.")
    write_atomically(session.out / name, data)


def _bundle(session: Session) -> None:
    """Write the bundle as a tar in pieces, which `cat bundle.tar.* | tar x` unpacks."""
    folder = session.work / "seed-0" / "bundle"
    if not folder.is_dir():
        return
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add(folder, arcname="bundle")
    whole = data.getvalue()
    pieces = [whole[first : first + PIECE] for first in range(0, len(whole), PIECE)]
    others = [path for path in session.out.iterdir() if not path.name.startswith("bundle.tar.")]
    if len(others) + len(pieces) > MOST_FILES:
        print(f"The bundle has {len(whole) >> 20} MiB, too many to be brought back; it stays in {folder}.", flush=True)
        return
    for number, piece in enumerate(pieces):
        write_atomically(session.out / f"bundle.tar.{number:02d}", piece)


def _plots(session: Session, parts: dict[str, dict[str, Any]]) -> None:
    """Draw the plots whose points are not the drawn ones, since drawing takes a second of the machine."""
    measured = {k: row for k, row in parts.get("latency", {}).items() if isinstance(row, dict)}
    latency = {
        name.removesuffix("_ms"): sorted((int(k), row[name]) for k, row in measured.items() if row.get(name))
        for name in ("ours_ms", "transformers_ms", "paper_ms")
    }
    training = {stage: _losses(session, stage) for stage in ("lam", "sequence", "translator")}
    for name, points, draw in (("training.png", training, _training), ("latency.png", latency, _latency)):
        if session.drawn.get(name) != points:
            data = io.BytesIO()
            draw(points).savefig(data, format="png", dpi=110)
            _put(session, name, data.getvalue())
            session.drawn[name] = points


Points = list[tuple[int, float]]


def _losses(session: Session, stage: str) -> dict[str, Points]:
    path = session.work / "seed-0" / stage / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return {part: [(row["step"], row["loss"]) for row in rows if row["part"] == part] for part in ("train", "eval")}


def _training(stages: dict[str, dict[str, Points]]) -> Any:
    """Draw the losses of all stages over their steps."""
    from matplotlib.figure import Figure

    figure = Figure((10, 3), layout="constrained")
    for axes, (stage, losses) in zip(figure.subplots(1, 3), stages.items(), strict=True):
        axes.set(title=stage, xlabel="step", ylabel="loss")
        _lines(axes, losses)
    return figure


def _latency(ways: dict[str, Points]) -> Any:
    """Draw milliseconds per decision over the budget."""
    from matplotlib.figure import Figure

    figure = Figure((5, 3), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel="budget K", ylabel="ms per decision, batch 1", yscale="log")
    _lines(axes, ways, "o-")
    return figure


def _lines(axes: Any, lines: dict[str, Points], style: str = "-") -> None:
    for label, points in lines.items():
        if points:
            axes.plot(*zip(*points, strict=True), style, label=label)
    if axes.lines:
        axes.legend()

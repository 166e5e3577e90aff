"""`python -m benchmarks.one_gpu --minutes 8 --out DIR`: measure on one GPU in ten minutes, the most valuable parts
first.

On a new machine, run `--smoke` first: it runs every part for a few seconds, and compiles and caches everything. The
same command continues a stopped one. `--rehearse` runs the same code at debug size on a CPU; `--dry-run` prints the
time and the results of each part.
"""

import argparse
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.one_gpu import collecting, latency, report, suite, throughput, training
from benchmarks.one_gpu.session import Session, TimeBoxOver, time_box
from benchmarks.one_gpu.sizes import FULL, REHEARSAL, SMOKE, Size


@dataclass(frozen=True)
class Part:
    """A part of the benchmark.

    Attributes:
        name: Name of its results.
        weight: Share of the remaining time, relative to the parts that are left; later parts get what it does not use.
        run: Function `run(session, figures)` that runs the part and adds to the figures.
        brings: Description of its results.
    """

    name: str
    weight: float
    run: Callable[[Session, dict[str, Any]], None]
    brings: str


PARTS = (
    Part(
        "latency", 10, latency.run, "ms per decision at batch 1 and in a large batch, beside transformers and the paper"
    ),
    Part("throughput", 14, throughput.run, "LAM and prior: examples per second, share of the peak and of the roofline"),
    Part("collect", 14, collecting.run, "frames per second from litelab on all cores, seconds to the device"),
    Part("train", 24, training.run, "LAM, prior, translator; losses, training.png, bundle.tar.* in float16"),
    Part("suite", 14, suite.run, "returns of the tasks per budget, episodes.csv"),
    Part("seeds", 24, training.run_seeds, "returns of further training seeds with the same plan"),
)


def main() -> int:
    """Run all parts that are not finished."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help="time for all parts (8; 1.5 with --smoke)")
    parser.add_argument("--out", type=Path, default=Path("build/one-gpu/out"), help="folder of the results")
    parser.add_argument("--work", type=Path, default=Path("build/one-gpu"), help="folder that stays on the machine")
    parser.add_argument(
        "--preset", choices=["paper", "small", "tiny", "debug"], help="preset of the policy that is trained"
    )
    parser.add_argument("--seeds", type=int, help="training seeds of the policy (8); with 1, it gets all the time")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--smoke", action="store_true", help="every part for a few seconds")
    kind.add_argument("--rehearse", action="store_true", help="debug size, on a CPU")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, and do nothing")
    options = parser.parse_args()
    size = SMOKE if options.smoke else REHEARSAL if options.rehearse else FULL
    size = replace(
        size, minutes=options.minutes or size.minutes, preset=options.preset or size.preset,
        seeds=size.seeds if options.seeds is None else options.seeds,
    )  # fmt: skip
    if size.minutes <= 0:
        parser.error(f"--minutes is {size.minutes}; a number above 0 is needed.")
    if size.seeds < 1:
        parser.error(f"--seeds is {size.seeds}; 1 or more is needed.")
    if options.dry_run:
        return dry_run(size)
    if not options.rehearse and not torch.cuda.is_available():
        parser.error("torch finds no GPU here; --rehearse runs the same parts at debug size on the CPU.")
    device = "cpu" if options.rehearse else "cuda"
    session = Session(size, device, options.out, options.work / f"{size.name}-{size.preset}")
    return run_all(session)


def parts_of(size: Size) -> list[Part]:
    """The parts of a call."""
    return [part for part in PARTS if part.name != "seeds" or size.seeds > 1]


def dry_run(size: Size) -> int:
    """Print the time and the results of each part."""
    parts = parts_of(size)
    total = sum(part.weight for part in parts)
    print(f"{size.name}: {size.minutes:g} minutes, policy {size.preset!r}, {size.frames:,} frames "
          f"({size.frames * 64 * 64 * 3 / 1e9:.1f} GB on the device)")  # fmt: skip
    for part in parts:
        print(f"{part.name:>11} {60 * size.minutes * part.weight / total:5.0f} s  {part.brings}")
    print(f"Brought back: at most {report.MOST_FILES} files of at most {report.MOST_BYTES >> 20} MiB.")
    return 0


def run_all(session: Session) -> int:
    """Run the parts in order, each in its share of the time, and write the report after each; return 1 if a part
    failed.
    """
    end = time.monotonic() + 60 * session.size.minutes
    compiling = collecting.start_compiling() if not session.load("collect").get("done") else None
    failed, parts = 0, parts_of(session.size)
    for number, part in enumerate(parts):
        figures = session.load(part.name)
        if figures.get("done"):
            print(f"{part.name}: finished before", flush=True)
            continue
        if part.name == "collect" and compiling:
            compiling.wait()
        left = end - time.monotonic()
        box = left * part.weight / sum(other.weight for other in parts[number:])
        if left < 2:
            print(f"{part.name}: no time left; the same command continues", flush=True)
            break
        session.until = time.monotonic() + box
        began = time.monotonic()
        figures.pop("error", None)
        print(f"{part.name}: {box:.0f} s", flush=True)
        try:
            # a part plans for its time; this ends a part that takes much longer
            with time_box(min(1.3 * box + 5, left + 5)):
                part.run(session, figures)
            figures["done"] = True
        except TimeBoxOver:
            figures["cut_after_s"] = time.monotonic() - began
        except Exception as error:
            failed += 1
            figures["error"] = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        figures["seconds_of_part"] = figures.get("seconds_of_part", 0.0) + time.monotonic() - began
        session.save(part.name, figures)
        report.write(session, {one.name: session.load(one.name) for one in parts})
        print(f"{part.name}: {time.monotonic() - began:.1f} s {figures.get('error', '')}", flush=True)
    report.write(session, {one.name: session.load(one.name) for one in parts})
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

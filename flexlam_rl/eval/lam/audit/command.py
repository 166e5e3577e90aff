"""`flexlam audit CHECKPOINT --out DIR`: measure what the latent actions of a model encode.

It plays litelab, where actions, pose, depth and exogenous changes are known, encodes the transitions, and writes
audit.json and a page, README.md. See docs/audit.md.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro

from flexlam_rl.envs.domains.dmlab.levels import SUITE
from flexlam_rl.utils.command_line import run as run_command
from flexlam_rl.utils.options import tidy, whole


@dataclass(frozen=True)
class Options:
    """Measure what the latents of a latent action model encode, on litelab, beside a frozen network."""

    checkpoint: tyro.conf.Positional[Path]
    """Folder of a bundle, of a training run, or of one LAM."""
    out: Path
    """Folder for audit.json and README.md."""
    transitions: int = 2048
    """Number of pairs of steps."""
    levels: tuple[str, ...] = field(default=SUITE)
    """Levels to walk in."""
    textures: str = "procedural"
    """Look of the levels."""
    frozen: str = "efficientnet-lite0"
    """Frozen network whose change of features is the baseline: efficientnet-lite0, random, or none."""
    decode_steps: int = 4
    """Number of steps of the decoder."""
    seed: int = 0
    """Seed of the episodes, the dials and the decoder's noise."""
    device: str = "cpu"

    def __post_init__(self) -> None:
        tidy(self)
        from flexlam_rl.eval.lam.audit.examine import FEWEST

        whole(self, "transitions", FEWEST)
        whole(self, "decode_steps", 1)
        whole(self, "seed", 0)


def spec_for(lam: Any, textures: str) -> Any:
    """Make the record of litelab's levels as a model sees them.

    Raises:
        ValueError: The model does not see frames of three channels, or litelab has no such look.
    """
    from flexlam_rl.envs.domain import find_domain
    from flexlam_rl.envs.spec import EnvSpec
    from flexlam_rl.nn.patch_embed import frame_size

    if lam.config.channels != 3:
        raise ValueError(f"The model sees frames of {lam.config.channels} channels; litelab shows 3.")
    height, width = frame_size(lam.config)
    return find_domain("dmlab").resolve(
        EnvSpec(engine="litelab", width=width, height=height).with_look(textures=textures)
    )


def run(options: Options) -> int:
    """Play, encode, write the files, and print the page.

    Raises:
        CheckpointError: The folder holds no LAM that can be used.
        ValueError: There is no such level, look or network.
    """
    from rich.console import Console

    from flexlam_rl.agents.environments import compile_first
    from flexlam_rl.envs.domain import find_domain
    from flexlam_rl.eval.lam.audit.examine import examine
    from flexlam_rl.eval.lam.audit.page import page
    from flexlam_rl.eval.lam.audit.subjects import FrozenSubject, ModelSubject
    from flexlam_rl.eval.lam.audit.walks import walks
    from flexlam_rl.eval.lam.metrics import sweep
    from flexlam_rl.eval.studies.trained_models import load_lam
    from flexlam_rl.utils.files import write_atomically, write_json

    lam = load_lam(options.checkpoint, options.device)
    levels = tuple(find_domain("dmlab").task(name).name for name in options.levels)
    spec = spec_for(lam, options.textures)
    subjects: list[Any] = [ModelSubject(lam, sweep(lam), options.device)]
    if options.frozen != "none":
        subjects.append(FrozenSubject(options.frozen))
    compile_first(spec, Console())
    seen = walks(spec, levels, options.transitions, options.seed)
    done = []
    for subject in subjects:
        told = lambda part, title=subject.title: print(f"audit: {title}, {part}", flush=True)  # noqa: E731
        rows = examine(subject, seen, options.seed, options.decode_steps, report=told)
        done.append({"title": subject.title, "frozen": subject is not subjects[0], "rows": rows})
    record = {
        "checkpoint": options.checkpoint.name,
        "data": {"levels": list(levels), "textures": options.textures, "pairs": len(seen)},
        "seed": options.seed,
        "subjects": done,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "audit.json", record)
    text = page(record)
    write_atomically(options.out / "README.md", text.encode())
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(run_command(Options, run, None, "flexlam audit"))

"""`flexlam bundle RUN -o DIR`: write the models of a training run as one folder that a policy loads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True, kw_only=True)
class Options:
    """Make a bundle (configuration, LAM, sequence model, translator) from a training run."""

    run: tyro.conf.Positional[Path]
    """Folder of the run (`flexlam train --out`)."""
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Folder of the bundle; a bundle there is replaced."""
    data: tuple[Path, ...]
    """Folder of the rollouts that the run was trained on; several folders may differ only in their look."""
    stage: Literal["translator", "joint"] = "translator"
    """Alignment to take."""
    aligned_run: Path | None = None
    """Folder of another run, trained with `--lam-run RUN`, to take the alignment from; one LAM may have several
    translators.
    """
    half: bool = False
    """Store weights in float16."""
    temperature: float = 1.0
    """Temperature of the codes in play; 0 takes the likeliest."""
    action_temperature: float = 0.0
    """Temperature of the actions in play; 0 takes the likeliest."""
    context: int | None = None
    """Number of frames that a decision sees in play; None for as many as the sequence model was trained with."""
    history: str | None = None
    """Number of codes of each past block that decisions see in play, or auto:TOLERANCE for the fewest that give the
    whole block's action; None for whole blocks.
    """


def run(options: Options) -> int:
    """Write the bundle, and print a description of it."""
    from flexlam_rl.agents.policy.bundle import Decoding
    from flexlam_rl.agents.policy.bundling import make_bundle

    for name in ("temperature", "action_temperature"):
        if getattr(options, name) < 0:
            raise ValueError(f"{name} is {getattr(options, name)}; expected 0 or more.")
    decoding = Decoding(options.temperature, options.action_temperature, options.context, options.history)
    config, digest = make_bundle(
        options.run, options.out, options.data, options.stage, options.half, decoding, options.aligned_run
    )
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    env = config.environment
    print(
        f"{options.out}: {size / 1e6:.1f} MB, hash {digest[:12]}, {env.engine} ({', '.join(env.textures)}), "
        f"{env.action_set}."
    )
    return 0

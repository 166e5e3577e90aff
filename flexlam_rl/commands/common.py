"""What commands share: options of a level, subcommands, and the check for the packages of rollouts."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from functools import reduce
from importlib import import_module
from typing import Annotated, Any, Literal

import gymnasium as gym
import tyro

SPEED = "VEL.TRANS"
"""DeepMind Lab's name of the player's speed."""


@dataclass(frozen=True, kw_only=True)
class LevelOptions:
    """Options for a level and its look."""

    level: tyro.conf.Positional[str]
    """Name of the level, as `flexlam levels` lists it."""
    seed: int = 0
    """Seed of the episode."""
    hud: Literal["full", "reduced", "none"] = "full"
    """How much of the 2-D overlay is drawn."""
    textures: Literal["procedural", "labmaze"] = "procedural"
    """Look of litelab; labmaze uses DMLab's own textures from that package."""
    engine: Literal["auto", "litelab", "deepmind_lab"] = "auto"
    """Engine that runs the level."""


def subcommands(title: str, about: str, options: Mapping[str, type]) -> Any:
    """Make a dataclass whose field `do` is one of several options, for tyro.

    Args:
        title: Name of the class.
        about: Text of `--help`.
        options: Dataclass of each subcommand, by its name, in order.
    """
    conf: Any = tyro.conf  # these are types, but here they are made at run time
    union = reduce(operator.or_, [Annotated[one, conf.subcommand(name)] for name, one in options.items()])
    made = make_dataclass(title, [("do", conf.OmitSubcommandPrefixes[union])], frozen=True)
    made.__doc__ = about
    return made


def need_data() -> None:
    """Check that the packages for rollouts on disk are installed.

    Raises:
        ImportError: A package of the extra `data` is missing.
    """
    for name in ("numcodecs", "google_crc32c", "pyarrow"):
        try:
            import_module(name)
        except ImportError as error:
            raise ImportError(
                f"Rollouts need the packages of the extra `data`: pip install 'flexlam_rl[data]' ({error})."
            ) from error


def make_level(options: LevelOptions, *, frame_skip: int, size: int, observations: Sequence[str]) -> gym.Env[Any, Any]:
    """Make a level with native actions, a square view of `size` pixels, and a `Dict` of `observations`."""
    import flexlam_rl  # noqa: F401 - registers the environments

    # the real engine has only one look, and refuses others
    look: dict[str, Any] = {"textures": options.textures} if options.textures != "procedural" else {}
    return gym.make(
        "FlexLAM-DMLab-v0",
        level=options.level,
        engine=options.engine,
        action_set="native7",
        frame_skip=frame_skip,
        width=size,
        height=size,
        observations=tuple(observations),
        hud=options.hud,
        **look,
    )

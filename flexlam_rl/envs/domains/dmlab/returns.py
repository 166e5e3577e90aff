"""Reference returns and normalised returns, always on one engine.

There are two sets of references, which no function mixes:

- `deepmind_lab`: the paper's expert data ("expert", FlexLAM section 4), and DMLab-30's human players ("human") with its
  random policy;
- `litelab`: returns of the experts ("expert", "reactive") and the random policy as `flexlam expert score` measured them
  on this engine. The file `litelab_returns.json` holds them together with engine version, textures, action set,
  protocol, command and date.
"""

from pathlib import Path
from typing import Any

from flexlam_rl.envs.domain import Reference
from flexlam_rl.envs.domains.dmlab.levels import LEVELS, level_named
from flexlam_rl.envs.measured import measured_reference, read_table

TABLE = Path(__file__).with_name("litelab_returns.json")
REFERENCES = {"litelab": ("expert", "reactive"), "deepmind_lab": ("expert", "human")}


def litelab_table(path: Path = TABLE) -> dict[str, Any]:
    """Read the measured table of litelab.

    Raises:
        ValueError: The file is not a table of returns, or belongs to another engine.
    """
    return read_table(path, "litelab")


def known_reference(level: str, engine: str, name: str = "expert") -> Reference | None:
    """Find the reference of a level on an engine; None if there is none.

    Raises:
        ValueError: There is no such level.
    """
    level = level_named(level).name
    if name not in REFERENCES.get(engine, ()):
        return None
    if engine == "litelab":
        return measured_reference(TABLE, engine, level, name)
    row = LEVELS.get(level)
    if row is None:
        return None
    if name == "human" and row.human is not None:
        return Reference(engine, level, name, row.human, row.random)
    if row.expert is None:
        return None
    random = None if row.random_percent is None else row.expert * row.random_percent / 100.0
    return Reference(engine, level, name, row.expert, random)


def find_reference(level: str, engine: str, name: str = "expert") -> Reference:
    """Find the reference of a level on an engine, or raise an error.

    Args:
        level: Name of the level.
        engine: "litelab" or "deepmind_lab".
        name: "expert"; also "reactive" on litelab, and "human" on deepmind_lab.

    Raises:
        ValueError: There is no such reference; one of the other engine is never used instead.
    """
    level = level_named(level).name
    if engine not in REFERENCES:
        raise ValueError(f"engine must be one of {', '.join(map(repr, REFERENCES))}, got {engine!r}.")
    if name not in REFERENCES[engine]:
        known = ", ".join(map(repr, REFERENCES[engine]))
        raise ValueError(
            f"Engine {engine!r} has no reference {name!r}, only {known}; returns of two engines are never mixed."
        )
    found = known_reference(level, engine, name)
    if found is None and engine == "litelab":
        raise ValueError(f"litelab's table has no row for {level!r}: measure it with `flexlam expert score`.")
    if found is None:
        raise ValueError(
            f"The paper gives no expert return for {level!r}; only the human reference exists on deepmind_lab."
        )
    return found


def normalise(
    value: float, level: str, *, engine: str, reference: str | Reference = "expert", minus_random: bool = False
) -> float:
    """Express a return in percent of a reference of the same engine.

    Args:
        value: Mean return of a level.
        level: Name of the level.
        engine: The engine on which `value` was measured.
        reference: Name of a reference, as for `find_reference`, or a `Reference`.
        minus_random: False gives 100 * value / reference, as the paper does; True gives
            100 * (value - random) / (reference - random), as DMLab-30 does.

    Raises:
        ValueError: There is no such reference, it belongs to another engine or level, it is not above 0 (with
            `minus_random`, above random), or the random policy's return is needed and not known.
    """
    found = find_reference(level, engine, reference) if isinstance(reference, str) else reference
    if found.engine != engine:
        raise ValueError(
            f"A return of engine {engine!r} cannot be normalised by a reference of {found.engine!r}: their returns "
            "are never mixed."
        )
    if found.task != level_named(level).name:
        raise ValueError(f"A return of {level!r} cannot be normalised by a reference of {found.task!r}.")
    return found.percent(value, minus_random)

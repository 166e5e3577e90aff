"""The world and engine that a command plays on: those that are asked for, or else the engine that its player knows."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flexlam_rl.agents.experts.registry import READERS, is_reader
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.domains.dmlab.options import choose_engine
from flexlam_rl.envs.spec import EnvSpec


def player_spec(
    domain: str,
    player: str,
    other: str,
    engine: str = "auto",
    look: Mapping[str, str | None] | None = None,
    **fields: Any,
) -> tuple[EnvSpec, str]:
    """Describe the environments that a player plays.

    Args:
        domain: Name of the world.
        player: Name of the player, as `agents.experts.registry.make_expert` takes it.
        other: Alternative that messages suggest, such as "another --expert".
        engine: Engine as on the command line; "auto" chooses it.
        look: Look of the environments; a value of None stands for the domain's default.
        **fields: Further fields of the record (`frame_skip`, `width`, ...); None stands for the domain's default.

    Returns:
        The resolved record, and a line to print where "auto" would choose another engine for other players ("" else).

    Raises:
        ValueError: There is no such domain, the domain has no such field, or the player cannot play it.
    """
    found, line = find_domain(domain), ""
    given_look = {name: value for name, value in (look or {}).items() if value is not None}
    if domain == "dmlab":
        engine, line = expert_engine(engine, player, other)
        check_look(engine, given_look.get("textures", "procedural"))
        if engine == "deepmind_lab":
            given_look["textures"] = "original"
        spec = found.resolve(EnvSpec(engine=engine, look=()))
    else:
        readable = READERS.get(player.partition(":")[0], (domain,))
        if domain not in readable:
            raise ValueError(
                f"The {player} expert reads the worlds of {' and '.join(readable)} and cannot play {domain}: use "
                f"{other}."
            )
        spec = found.defaults()
        if engine != "auto":
            spec = replace(spec, engine=engine)
    given = {name: value for name, value in fields.items() if value is not None}
    if "action_set" in given:
        given["action_hash"] = ""
    return found.resolve(replace(spec, **given).with_look(**given_look)), line


def expert_engine(given: str, expert: str, other: str) -> tuple[str, str]:
    """Choose the engine that an expert plays on.

    Args:
        given: Engine as on the command line; "auto" chooses it.
        expert: Name of the expert, as `agents.experts.registry.make_expert` takes it.
        other: Alternative that messages suggest, such as "another --expert".

    Returns:
        The engine, and a line to print where "auto" would choose another engine for other experts ("" else).

    Raises:
        ValueError: The expert reads litelab's worlds, and the real engine is asked for.
    """
    if not is_reader(expert):
        return choose_engine(given), ""
    reason = f"The {expert} expert reads litelab's worlds and cannot play deepmind_lab"
    if given == "deepmind_lab":
        raise ValueError(f"{reason}: use --engine litelab or {other}.")
    real = choose_engine(given) != "litelab"
    return "litelab", f"{reason}: it plays litelab; {other} can play deepmind_lab." if real else ""


def checkpoint_engine(given: str, checkpoint: str | Path | None) -> tuple[str, str]:
    """Choose the engine that a bundle plays on.

    Args:
        given: Engine as on the command line; "auto" chooses it.
        checkpoint: Path of the bundle; None for the one that comes with the package.

    Returns:
        The engine, and a line to print where the bundle's own engine was chosen over the installed one ("" else).

    Raises:
        CheckpointError: There is no such bundle.
    """
    chosen = choose_engine(given)
    if given != "auto" or chosen == "litelab":
        return chosen, ""
    from flexlam_rl.agents.policy.bundle import folder_of, read_config

    known = read_config(folder_of(checkpoint)).environment.engine
    if known != "litelab":
        return chosen, ""
    how = f"--engine {chosen} --any-look plays it on {chosen}"
    return known, f"Playing on {known}, where the checkpoint was trained; {how}."


def check_look(engine: str, textures: str) -> None:
    """Refuse a look that the engine does not have.

    Raises:
        ValueError: The engine is the real one, and the textures are a look of litelab.
    """
    if engine == "deepmind_lab" and textures not in ("procedural", "original"):
        raise ValueError(
            f"--textures {textures} is a look of litelab; {engine} has one look of its own: leave the option out."
        )

"""Which engine a command plays on: the one that is asked for, or else the one that its player knows."""

from pathlib import Path

from flexlam_rl.agents.experts.registry import is_reader
from flexlam_rl.envs.domains.dmlab.options import choose_engine


def expert_engine(given: str, expert: str, other: str) -> tuple[str, str]:
    """The engine of an expert.

    Args:
        given: Engine as on the command line, "auto" among the choices.
        expert: As `agents.registry.make_expert` takes it.
        other: What else to give on the command line, such as "another --expert".

    Returns:
        The engine, and a line to print where "auto" would be another one for other experts ("" else).

    Raises:
        ValueError: An expert that reads litelab's worlds is to play the real engine.
    """
    if not is_reader(expert):
        return choose_engine(given), ""
    reason = f"The {expert} expert reads litelab's worlds and cannot play deepmind_lab"
    if given == "deepmind_lab":
        raise ValueError(f"{reason}: use --engine litelab or {other}.")
    real = choose_engine(given) != "litelab"
    return "litelab", f"{reason}: it plays litelab; {other} can play deepmind_lab." if real else ""


def checkpoint_engine(given: str, checkpoint: str | Path | None) -> tuple[str, str]:
    """The engine of a bundle; returned as `expert_engine` does.

    Args:
        given: Engine as on the command line, "auto" among the choices.
        checkpoint: Bundle, None for the one that comes with the package.

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
        ValueError: A look of litelab's for the real engine.
    """
    if engine == "deepmind_lab" and textures not in ("procedural", "original"):
        raise ValueError(
            f"--textures {textures} is a look of litelab; {engine} has one look of its own: leave the option out."
        )

"""Registration of Gymnasium ids: one for any level, one per level, and one for worlds that a model imagines.

Entry points are strings, so that registering imports nothing.
"""

import gymnasium as gym

DEFAULT_ID = "FlexLAM-DMLab-v0"
IMAGINED_ID = "FlexLAM-Imagined-v0"


def level_id(level: str) -> str:
    """Gymnasium id of a level."""
    return f"FlexLAM-DMLab/{level}-v0"


def register_all() -> None:
    """Register all ids that are not registered yet."""
    from flexlam_rl.envs.domains.dmlab.levels import LEVELS, OWN

    kwargs: dict[str, dict[str, str]] = {DEFAULT_ID: {}} | {level_id(name): {"level": name} for name in (*LEVELS, *OWN)}
    for env_id, values in kwargs.items():
        if env_id not in gym.registry:
            gym.register(
                env_id,
                entry_point="flexlam_rl.envs.domains.dmlab.env:DMLabEnv",
                vector_entry_point="flexlam_rl.envs.domains.dmlab.vector:make_vector",
                kwargs=values,
            )
    if IMAGINED_ID not in gym.registry:
        gym.register(
            IMAGINED_ID,
            entry_point="flexlam_rl.agents.imagined.env:ImaginedEnv",
            vector_entry_point="flexlam_rl.agents.imagined.vector:make_vector",
        )

"""Experts by name: what `--expert` takes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # playing needs the extra `data`, which the random policy does without
    from flexlam_rl.agents.play import Policy

FORMS = "'scripted', 'random', 'learned:PATH' or 'module:factory'"


def make_expert(name: str, env: Any, temperature: float = 1.0, seed: int = 0) -> Policy:
    """The policy of that name for an environment or batch.

    Args:
        name: "scripted", "random", "learned:PATH" (a folder that `flexlam expert train` wrote), or "module:factory", where
            `factory(env)` returns an object with Stable-Baselines3's `predict`.
        env: What it will play.
        temperature: Of scripted and learned experts.
        seed: Of its randomness.

    Raises:
        ValueError: No such expert, or one that cannot play this environment.
        ImportError: Its module cannot be imported.
    """
    if name == "scripted":
        from flexlam_rl.agents.scripted.expert import ScriptedExpert

        return ScriptedExpert(env, temperature, seed)
    if name == "random":
        from flexlam_rl.agents.random import RandomPolicy

        return RandomPolicy(env, seed)
    kind, _, rest = name.partition(":")
    if not rest:
        raise ValueError(f"Unknown expert {name!r}: expected {FORMS}.")
    if kind == "learned":
        from flexlam_rl.agents.learned import LearnedExpert

        return LearnedExpert(rest, env, temperature, seed)
    try:
        factory = getattr(importlib.import_module(kind), rest)
    except ImportError as error:
        raise ImportError(f"The module of expert {name!r} cannot be imported: {error}.") from error
    except AttributeError:
        raise ValueError(f"Expert {name!r}: module {kind!r} has no {rest!r}.") from None
    policy = factory(env)
    if not callable(getattr(policy, "predict", None)):
        raise ValueError(f"Expert {name!r} made a {type(policy).__name__}, which has no predict(observation, state, episode_start, deterministic).")
    return policy

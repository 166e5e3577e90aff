"""Experts by name: what `--expert` takes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # playing needs the extra `data`, which the random policy does without
    from flexlam_rl.agents.rollout import Policy

FORMS = "'scripted', 'reactive', these with ':STEPS' of memory, 'random', 'learned:PATH' or 'module:factory'"


def is_reader(name: str) -> bool:
    """Whether an expert reads litelab's worlds: it looks at no frames and plays no other engine."""
    return name.partition(":")[0] in ("scripted", "reactive")


def make_expert(name: str, env: Any, temperature: float = 1.0, seed: int = 0) -> Policy:
    """The policy of that name for an environment or batch.

    Args:
        name: "scripted" or "reactive", "scripted:STEPS" or "reactive:STEPS" that remember what they saw for so many
            steps, "random", "learned:PATH" (a folder that `flexlam expert train` wrote), or "module:factory", where
            `factory(env)` returns an object with Stable-Baselines3's `predict`.
        env: What it will play.
        temperature: Of scripted, reactive and learned experts.
        seed: Of its randomness.

    Raises:
        ValueError: No such expert, or one that cannot play this environment.
        ImportError: Its module cannot be imported.
    """
    kind, _, rest = name.partition(":")
    if is_reader(name):
        from flexlam_rl.agents.experts.reactive.expert import ReactiveExpert
        from flexlam_rl.agents.experts.scripted.expert import ScriptedExpert

        if rest and not rest.isdecimal():
            raise ValueError(f"Expert {name!r}: expected a number of steps after {kind!r}, got {rest!r}.")
        make = ScriptedExpert if kind == "scripted" else ReactiveExpert
        return make(env, temperature, seed, int(rest)) if rest else make(env, temperature, seed)
    if name == "random":
        from flexlam_rl.agents.policy.random import RandomPolicy

        return RandomPolicy(env, seed)
    if not rest:
        raise ValueError(f"Unknown expert {name!r}: expected {FORMS}.")
    if kind == "learned":
        from flexlam_rl.agents.experts.pixel.recurrent import LearnedExpert

        return LearnedExpert(rest, env, temperature, seed)
    try:
        factory = getattr(importlib.import_module(kind), rest)
    except ImportError as error:
        raise ImportError(f"The module of expert {name!r} cannot be imported: {error}.") from error
    except AttributeError:
        raise ValueError(f"Expert {name!r}: module {kind!r} has no {rest!r}.") from None
    policy = factory(env)
    if not callable(getattr(policy, "predict", None)):
        raise ValueError(
            f"Expert {name!r} made a {type(policy).__name__}, which has no predict(observation, state, episode_start, "
            "deterministic)."
        )
    return policy

"""Experts by name: what `--expert` takes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flexlam_rl.envs.base import env_spec_of
from flexlam_rl.utils.registry import Registry

if TYPE_CHECKING:  # playing needs the extra `data`; the random policy does not
    from flexlam_rl.agents.rollout import Policy

EXPERTS: Registry[Callable[..., Any]] = Registry(
    "expert",
    {
        "scripted": "flexlam_rl.agents.experts.registry:scripted",
        "reactive": "flexlam_rl.agents.experts.registry:reactive",
        "wanderer": "flexlam_rl.agents.experts.registry:wanderer",
        "random": "flexlam_rl.agents.experts.registry:random",
        "pixel": "flexlam_rl.agents.experts.registry:pixel",
        "learned": "flexlam_rl.agents.experts.registry:learned",
        "bundle": "flexlam_rl.agents.finetune.players:bundle",
        "latent": "flexlam_rl.agents.finetune.players:latent",
    },
    group="flexlam_rl.experts",
)
"""Factories `factory(env, argument="", temperature=1.0, seed=0)` of objects with Stable-Baselines3's `predict`. The
argument is the part of the expert's name after the colon. Installed packages add theirs with entry points of the group
`flexlam_rl.experts`.
"""


READERS = {"scripted": ("dmlab", "vizdoom"), "reactive": ("dmlab",), "wanderer": ("dmlab",)}
"""Experts that read the state of the world instead of frames, with the domains whose worlds they can read. For DMLab,
they can read only the engine litelab.
"""


def is_reader(name: str) -> bool:
    """Return whether an expert reads the state of the world: it then needs no frames, and a world that it can read."""
    return name.partition(":")[0] in READERS


def adviser_of(names: Sequence[str]) -> str:
    """Name the expert that can tell what the expert of a video would do.

    Args:
        names: Names of the video's experts.

    Returns:
        The video's expert if there is only one and it reads worlds, else "scripted".
    """
    return names[0] if len(names) == 1 and is_reader(names[0]) else "scripted"


def is_blind(name: str) -> bool:
    """Return whether an expert looks at no frames; they are then not drawn."""
    return name == "random" or is_reader(name)


def make_expert(name: str, env: Any, temperature: float = 1.0, seed: int = 0) -> Policy:
    """Make an expert for an environment or batch.

    Args:
        name: One of `EXPERTS`, some with an argument. "scripted:STEPS" and "reactive:STEPS" remember what they saw for
            STEPS steps. "pixel:PATH" plays a folder that `flexlam expert train` wrote; "learned:PATH" plays one that
            was written before there were pixel experts. "bundle:PATH@K" plays a bundle with K codes per decision, or
            with all codes without @K. "latent:PATH" plays a folder that `flexlam finetune --what latent-space` wrote.
            Or "module:factory", where `factory(env)` returns an object with Stable-Baselines3's `predict`.
        env: Environment or batch that it will play.
        temperature: Temperature of the expert, which the random one ignores; a bundle's is that of its codes.
        seed: Seed of its randomness.

    Raises:
        ValueError: There is no such expert, or it cannot play this environment.
        ImportError: Its module cannot be imported.
    """
    kind, _, rest = name.partition(":")
    if kind in EXPERTS:
        policy = EXPERTS.get(kind)(env, argument=rest, temperature=temperature, seed=seed)
    elif rest:
        policy = _of_module(name)(env)
    else:
        raise ValueError(f"Unknown expert {name!r}: expected {', '.join(EXPERTS.names())}, or 'module:factory'.")
    return checked(policy, f"Expert {name!r}")


def checked(policy: Any, who: str) -> Any:
    """Refuse a policy that cannot play.

    Args:
        policy: The policy.
        who: What made it, for the message.

    Returns:
        The policy.

    Raises:
        ValueError: It has no method `predict`.
    """
    if not callable(getattr(policy, "predict", None)):
        raise ValueError(
            f"{who} made a {type(policy).__name__}, which has no predict(observation, state, episode_start, "
            "deterministic)."
        )
    return policy


def scripted(env: Any, argument: str = "", temperature: float = 1.0, seed: int = 0) -> Any:
    """Make the scripted expert of DMLab's tasks on litelab, or that of ViZDoom."""
    spec = env_spec_of(env)
    if spec is not None and spec.domain == "vizdoom":
        from flexlam_rl.agents.experts.doom.expert import DoomExpert

        if argument:
            raise ValueError(f"The scripted expert of vizdoom takes no argument, got {argument!r}.")
        return DoomExpert(env, temperature, seed)
    from flexlam_rl.agents.experts.scripted.expert import ScriptedExpert

    return ScriptedExpert(env, temperature, seed, **_memory("scripted", argument))


def reactive(env: Any, argument: str = "", temperature: float = 1.0, seed: int = 0) -> Any:
    """Make the reactive expert of DMLab's tasks on litelab."""
    from flexlam_rl.agents.experts.reactive.expert import ReactiveExpert

    return ReactiveExpert(env, temperature, seed, **_memory("reactive", argument))


def wanderer(env: Any, argument: str = "", temperature: float = 1.0, seed: int = 0) -> Any:
    """Make the wanderer of DMLab-40k, which walks through mazes of litelab."""
    from flexlam_rl.agents.experts.wanderer import Wanderer

    if argument:
        raise ValueError(f"Expert 'wanderer' takes no argument, got {argument!r}.")
    return Wanderer(env, temperature, seed)


def _memory(kind: str, steps: str) -> dict[str, int]:
    if steps and not steps.isdecimal():
        raise ValueError(f"Expert {f'{kind}:{steps}'!r}: expected a number of steps after {kind!r}, got {steps!r}.")
    return {"memory": int(steps)} if steps else {}


def random(env: Any, argument: str = "", temperature: float = 1.0, seed: int = 0) -> Any:
    """Make the uniformly random policy."""
    from flexlam_rl.agents.policy.random import RandomPolicy

    if argument:
        raise ValueError(f"Expert 'random' takes no argument, got {argument!r}.")
    return RandomPolicy(env, seed)


def pixel(env: Any, argument: str = "", temperature: float = 1.0, seed: int = 0) -> Any:
    """Make a pixel expert from a folder that `flexlam expert train` wrote, or the one that comes with the package."""
    from flexlam_rl.checkpoints import PIXEL_EXPERT

    folder = argument or str(PIXEL_EXPERT)
    if not argument and not PIXEL_EXPERT.is_dir():
        raise ValueError(
            "No pixel expert comes with this version: train one with `flexlam expert train --out RUN` and name it as "
            "'pixel:RUN/best'."
        )
    from flexlam_rl.agents.experts.pixel.player import PixelExpert

    return PixelExpert(folder, env, temperature, seed)


def learned(env: Any, argument: str = "", temperature: float = 1.0, seed: int = 0) -> Any:
    """Make a learned expert: a policy of sb3-contrib's recurrent PPO, which `flexlam expert train` wrote before it
    trained pixel experts.
    """
    from flexlam_rl.agents.experts.pixel.recurrent import LearnedExpert

    if not argument:
        raise ValueError("Expert 'learned' needs a path: expected 'learned:PATH', the folder of such an expert.")
    return LearnedExpert(argument, env, temperature, seed)


def _of_module(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    try:
        factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise ImportError(f"The module of expert {name!r} cannot be imported: {error}.") from error
    except AttributeError:
        raise ValueError(f"Expert {name!r}: module {module!r} has no {attribute!r}.") from None
    return factory

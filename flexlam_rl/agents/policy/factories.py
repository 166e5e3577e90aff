"""Factories of the policies that come with the package, which `agents.policy.registry.POLICIES` names."""

from typing import Any

from flexlam_rl.agents.experts.registry import adviser_of, make_expert


def flexlam(
    env: Any, checkpoint: Any, seed: int, device: str, deterministic: bool | None, budgets: Any, player: Any
) -> Any:
    """Make the latent action policy of the player's bundle.

    Raises:
        ValueError: The cache has an unknown type, or the policy does not fit the environment.
    """
    import torch

    from flexlam_rl.agents.policy.latent_action import LatentActionPolicy

    if player.cache not in ("fp32", "bf16"):
        raise ValueError(f"cache is {player.cache!r}; expected 'fp32' or 'bf16'.")
    return LatentActionPolicy(
        player.bundle,
        budgets,
        deterministic=deterministic,
        seed=seed,
        chunk=player.chunk,
        env=env,
        decoding=player.decoding,
        any_look=player.any_look,
        executor=player.executor,
        cache=torch.bfloat16 if player.cache == "bf16" else None,
    )


def oracle(
    env: Any, checkpoint: Any, seed: int, device: str, deterministic: bool | None, budgets: Any, player: Any
) -> Any:
    """Make the control policy that plays an expert's codes through the player's bundle.

    The expert is the one of the bundle's video if it can be asked for advice, else the scripted one.
    """
    from flexlam_rl.agents.policy.oracle import OraclePolicy

    bundle = player.bundle
    expert = adviser_of(bundle.config.training.get("experts", []))
    wanted = bundle.slots if budgets is None else budgets
    return OraclePolicy(bundle, wanted, env, expert, seed, player.any_look, player.chunk)


def random(env: Any, checkpoint: Any, seed: int, device: str, deterministic: bool | None) -> Any:
    """Make the uniformly random policy."""
    return make_expert("random", env, seed=seed)


def expert(env: Any, checkpoint: Any, seed: int, device: str, deterministic: bool | None) -> Any:
    """Make the scripted expert."""
    return make_expert("scripted", env, seed=seed)


def reactive(env: Any, checkpoint: Any, seed: int, device: str, deterministic: bool | None) -> Any:
    """Make the reactive expert."""
    return make_expert("reactive", env, seed=seed)


def previous_action(env: Any, checkpoint: Any, seed: int, device: str, deterministic: bool | None) -> Any:
    """Make the control policy that plays by the counts of a bundle's labels."""
    from flexlam_rl.agents.policy.bundle import folder_of, read_config
    from flexlam_rl.agents.policy.previous_action import PreviousActionPolicy

    return PreviousActionPolicy(read_config(folder_of(checkpoint)).labels.pairs, env, seed)


def cloning(env: Any, checkpoint: Any, seed: int, device: str, deterministic: bool | None, player: Any) -> Any:
    """Make the behavior cloning policy of a run."""
    from flexlam_rl.agents.policy.cloning import CloningPolicy

    return CloningPolicy(checkpoint, env, seed, device, deterministic, player.chunk)


def planner(env: Any, checkpoint: Any, seed: int, device: str, deterministic: bool | None) -> Any:
    """Make the policy that plans in a world model, from its file."""
    from flexlam_rl.agents.planning.config import make_planner, read_planner

    return make_planner(read_planner(checkpoint), env, seed, device)

"""The file of a planner, which `flexlam suite --policy planner --checkpoint FILE` plays.

The file is JSON with the fields of `PlannerConfig`; fields that are left out have their defaults. Folders that it names
are looked up relative to the file first.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from flexlam_rl.agents.planning.policy import PlanningPolicy
from flexlam_rl.agents.planning.shooting import Search
from flexlam_rl.nn.places import CheckpointError
from flexlam_rl.utils.plain import Plain


@dataclass(frozen=True)
class PlannerConfig(Plain):
    """Models and options of a planner.

    Attributes:
        reward: Folder of the model that rewards imagined frames, as `ImaginedEnv` takes it.
        model: Folder of the world model, or a bundle; None for the latent action model of `bundle`.
        bundle: Bundle with the latent actions and the translator; None for the one that comes with the package.
        budget: Number of codes per step of a plan, K; None for a model that is told actions.
        reward_window, decode_steps: As for `ImaginedEnv`.
        search: Options of the search for plans.
    """

    reward: str
    model: str | None = None
    bundle: str | None = None
    budget: int | None = 1
    reward_window: int | None = None
    decode_steps: int | None = None
    search: Search = field(default_factory=Search)


def read_planner(path: str | Path | None) -> PlannerConfig:
    """Read a planner's file, and make the folders that it names absolute.

    Raises:
        CheckpointError: There is no such file, it is not JSON of this kind, or a field is not allowed.
    """
    if path is None or not Path(path).is_file():
        raise CheckpointError(
            f"checkpoint is {None if path is None else str(path)!r}; the policy 'planner' needs a JSON file with its "
            'reward, such as {"reward": "RUN/maskgit/best/maskgit"}.'
        )
    path = Path(path)
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no readable JSON: {error}.") from None
    if not isinstance(record, dict) or "reward" not in record:
        raise CheckpointError(f"{path} has no field 'reward'; expected the folder of a model that rewards frames.")
    inner = record.get("search", {})
    for given, kind, where in ((record, PlannerConfig, "planner"), (inner, Search, "search")):
        known = [one.name for one in fields(kind)]
        odd = sorted(set(given) - set(known)) if isinstance(given, dict) else [str(given)]
        if odd:
            raise CheckpointError(f"{path}: {where} has no field {odd[0]!r}; expected some of {', '.join(known)}.")
    for name in ("reward", "model", "bundle"):
        value = record.get(name)
        if value is not None and not isinstance(value, str):
            raise CheckpointError(f"{path}: {name} is {value!r}; expected a folder.")
        if value is not None and (path.parent / value).is_dir():
            record[name] = str((path.parent / value).resolve())
    try:
        return PlannerConfig(**{**record, "search": Search(**inner)})
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}") from None


def planner_record(config: PlannerConfig) -> dict[str, Any]:
    """Return what a planner's file holds, as JSON values."""
    return asdict(config)


def make_planner(config: PlannerConfig, env: Any, seed: int = 0, device: str = "cpu") -> PlanningPolicy:
    """Make the policy of a configuration for an environment or batch.

    Args:
        config: The configuration.
        env: Environment or batch that it will play.
        seed: Seed of the search.
        device: Device of the models.

    Raises:
        CheckpointError: A model cannot be read.
        ValueError: A field does not fit the models, or the models do not fit the environment.
    """
    from flexlam_rl.agents.imagined.controls import LatentControls
    from flexlam_rl.agents.imagined.rewards import make_rewards
    from flexlam_rl.agents.imagined.world import load_steps, make_controls
    from flexlam_rl.agents.policy.latent_action import LatentActionPolicy

    translator = LatentActionPolicy.from_pretrained(config.bundle, device=device)
    given = translator.bundle.lam if config.model is None else config.model
    model, _, _ = load_steps(given, None, device, config.decode_steps)
    native = model.conditions.kind == "actions"
    controls = make_controls(model, translator.bundle.lam, None, None if native else config.budget)
    rewards = make_rewards(config.reward, config.reward_window, device)
    return PlanningPolicy(
        env, model, controls, rewards, config.search, translator if isinstance(controls, LatentControls) else None, seed
    )

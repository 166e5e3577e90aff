"""The parts of an imagined environment, put together and checked."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gymnasium import spaces

from flexlam_rl.agents.imagined.controls import ActionControls, Controls, LabelledControls, LatentControls, action_codes
from flexlam_rl.agents.imagined.rewards import FrameRewards, make_rewards
from flexlam_rl.agents.imagined.starts import Starts, make_starts
from flexlam_rl.envs.shared import unshared
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.models.interfaces import SteppedWorldModel
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.places import local_folder
from flexlam_rl.utils.numbers import whole

Kind = Literal["latent", "native"]
_CONTEXT = 8  # largest default number of frames of a start


@dataclass(frozen=True)
class World:
    """A world model, and everything else that an imagined environment needs.

    Attributes:
        model: The world model.
        controls: The actions, and what they tell the model.
        starts: Source of the frames that episodes begin with.
        rewards: Rewards of the frames.
        horizon: Number of steps after which an episode is truncated.
    """

    model: SteppedWorldModel
    controls: Controls
    starts: Starts
    rewards: FrameRewards
    horizon: int

    @property
    def observation_space(self) -> spaces.Box:
        """Space of the frames, (H, W, C) uint8."""
        c, h, w = self.model.frame_shape
        return spaces.Box(0, 255, (h, w, c), np.uint8)


def make_world(
    model: Any,
    starts: Any,
    actions: Kind | None = None,
    budget: int | None = None,
    lam: Any = None,
    reward: Any = None,
    reward_window: int | None = None,
    horizon: int = 64,
    context: int | None = None,
    decode_steps: int | None = None,
    labels: int = 2048,
    levels: Any = None,
    split: str = "train",
    evaluation: bool = False,
    device: str = "cpu",
) -> World:
    """Make a world from the arguments of `ImaginedEnv`.

    Raises:
        CheckpointError: A model cannot be read.
        ValueError: An argument is not allowed, or does not fit the model.
    """
    model, lam, spec = load_steps(model, lam, device, decode_steps)
    least, most = model.look_back
    seen = max(least, min(most, _CONTEXT)) if context is None else whole(context, "context", least)
    c, h, w = model.frame_shape
    begin = make_starts(unshared(starts), seen, (h, w, c), levels, split, spec, evaluation)
    controls = make_controls(model, lam, actions, budget, getattr(begin, "rollouts", None), labels)
    rewards = make_rewards(unshared(reward), reward_window, device)
    return World(model, controls, begin, rewards, whole(horizon, "horizon", 1))


def make_controls(
    model: SteppedWorldModel, lam: Any, actions: Kind | None, budget: int | None, rollouts: Any = None, labels: int = 1
) -> Controls:
    """Make the controls of a world model.

    Args:
        model: The world model.
        lam: The latent action model, as for `ImaginedEnv` but loaded.
        actions, budget, labels: As for `ImaginedEnv`.
        rollouts: Rollouts whose transitions give the codes of actions; None where there are none.

    Raises:
        ValueError: An argument is not allowed, or does not fit the model.
    """
    conditions = model.conditions
    if conditions.kind == "nothing":
        raise ValueError(f"This {type(model).__name__} is told nothing about steps, so that it cannot take actions.")
    if actions not in (None, "latent", "native"):
        raise ValueError(f"actions is {actions!r}; expected 'latent', 'native' or None.")
    if conditions.kind == "actions":
        if actions == "latent" or budget is not None:
            raise ValueError(
                "This model is told actions, not codes: actions must be 'native' or None, and budget None."
            )
        return ActionControls(conditions.count)
    coder = lam if lam is not None else model
    controls = LatentControls(
        conditions, lam if conditions.kind == "vectors" or model.look_back.most > 1 else None, budget
    )
    if actions != "native":
        return controls
    if rollouts is None or not isinstance(coder, SlotModel):
        raise ValueError("actions is 'native'; this model is told codes, so starts must be rollouts with actions.")
    return LabelledControls(controls, action_codes(coder, rollouts, int(controls.budget), whole(labels, "labels", 1)))


def load_steps(given: Any, lam: Any, device: str, decode_steps: int | None) -> tuple[Any, Any, EnvSpec | None]:
    """Load models as `load_world_model` does, and check that the world model can be stepped.

    Args:
        given, lam, device: As for `load_world_model`.
        decode_steps: Number of steps of a flow decoder per prediction; None for the model's own.

    Raises:
        CheckpointError: A model cannot be read.
        ValueError: The world model cannot be stepped, or `decode_steps` is given for a model without such steps.
    """
    model, lam, spec = load_world_model(given, unshared(lam), device)
    if not isinstance(model, SteppedWorldModel):
        raise ValueError(f"A {type(model).__name__} is not a world model that can be stepped frame by frame.")
    if decode_steps is not None:
        if not hasattr(model, "decode_steps"):
            raise ValueError(
                f"decode_steps is {decode_steps}; a {type(model).__name__} has no such steps: leave it out."
            )
        model = copy.copy(model)  # shares the weights
        model.decode_steps = whole(decode_steps, "decode_steps", 1)
    return model, lam, spec


def load_world_model(given: Any, lam: Any, device: str) -> tuple[Any, Any, EnvSpec | None]:
    """Load a world model, and the latent action model that belongs to it.

    Args:
        given: A model, the folder of one, or the folder or name of a bundle, whose latent action model is then taken;
            None for the bundle that comes with the package.
        lam: A latent action model in the same forms; None for none.
        device: Device of the models.

    Returns:
        The world model, the latent action model, and the record of the environment that a bundle was trained in (None
        where no bundle is given).

    Raises:
        CheckpointError: A model cannot be read.
        ValueError: `lam` is another kind of model.
    """
    model, spec = _loaded(unshared(given), device)
    if lam is not None:
        lam, of_lam = _loaded(lam, device)
        spec = spec or of_lam
        if not isinstance(lam, SlotModel):
            raise ValueError(f"lam is a {type(lam).__name__}; expected a latent action model.")
    return model, lam, spec


def _loaded(given: Any, device: str) -> tuple[Any, EnvSpec | None]:
    if given is not None and not isinstance(given, str | Path):
        return given, None
    from flexlam_rl.agents.policy.bundle import load_bundle
    from flexlam_rl.models.systems import load_model

    folder = None if given is None else local_folder(given)
    if folder is None or (folder / "lam").is_dir():
        bundle = load_bundle(given, device)
        return bundle.lam, bundle.config.environment.spec
    return load_model(folder, device).eval().requires_grad_(False), None

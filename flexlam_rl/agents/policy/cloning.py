"""Behavior cloning as a policy: the baseline that uses the same labels without latent actions.

Legend: `n` environments, `R` rows of a chunk, `A` dimensions of an action.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flexlam_rl.agents.policy.compatibility import check_record, check_spaces, environment_spec
from flexlam_rl.agents.policy.draws import Draws
from flexlam_rl.agents.policy.observations import read_frames
from flexlam_rl.agents.policy.rows import mask_of
from flexlam_rl.envs.action_values import environment_actions
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.models.baselines.idm import BehaviourCloning
from flexlam_rl.nn.action_head import choose_actions, draw_actions, no_action
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.pretrained import CONFIG, CheckpointError


class CloningPolicy:
    """Plays with a model of `python -m train.bc`.

    Args:
        checkpoint: Folder of the run (`--out` of the training), or of the model itself.
        env: Environment or batch that it will play.
        seed: Seed of the draws; with `begin_episodes`, an episode's draws depend only on its own seed.
        device: Device of the model.
        deterministic: True takes the likeliest action; False or None draws from the model's distribution.
        chunk: Number of rows that are computed together, as for `LatentActionPolicy`.

    Raises:
        CheckpointError: There is no such model.
        ValueError: The model has other actions or frames than the environment.
    """

    def __init__(
        self,
        checkpoint: str | Path | None,
        env: Any,
        seed: int = 0,
        device: str = "cpu",
        deterministic: bool | None = None,
        chunk: int | None = 16,
    ) -> None:
        if checkpoint is None or not str(checkpoint).strip():
            raise ValueError("Policy 'bc' needs --checkpoint: the folder of a run of `python -m train.bc`.")
        root = Path(checkpoint)
        places = [folder for folder in (root / "bc" / "best" / "bc", root / "bc", root) if (folder / CONFIG).is_file()]
        if not places:
            raise CheckpointError(
                f"{root} holds no behavior cloning model; expected {root / 'bc' / 'best' / 'bc'} as training writes it."
            )
        self.model = BehaviourCloning.from_pretrained(places[0], device=device).eval().requires_grad_(False)
        config = self.model.config
        # what the model does not record, such as the frame skip, may have any value
        known = {"action_set": config.actions.name, "action_hash": config.actions.hash}
        height, width = frame_size(config)
        known |= {"width": width, "height": height}
        found = environment_spec(env, replace(EnvSpec(), **known))
        check_record(replace(found, **known), found)
        check_spaces(env, config.actions, config.channels)
        self._frame = (config.channels, height, width)
        self.deterministic, self.chunk, self.device = deterministic, chunk, device
        self._draws = Draws(seed, max(1, len(config.actions.discrete)))

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Note that the environments `which` begin episodes of these seeds."""
        self._draws.begin(which, seeds)

    def snapshot(self, state: Any) -> dict[str, Any]:
        """Return everything that later actions depend on."""
        return {"draws": self._draws.snapshot(), "previous": state}

    def restore(self, saved: dict[str, Any]) -> Any:
        """Continue from a snapshot, and return its `state` for `predict`."""
        self._draws.restore(saved["draws"])
        return saved["previous"]

    @in_own_modes
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose actions. Continuous ones are the mean of the model's prediction, also where actions are drawn.

        Returns:
            Actions (n, ...) of the environment's own space, or one for a single environment; and the state, which is
            the last actions in the form that models use (n, A).

        Raises:
            ValueError: The state is that of another number of environments.
        """
        frames, single = read_frames(observation, self._frame)
        n = len(frames)
        spec = self.model.config.actions
        previous = no_action(spec, n).numpy() if state is None else np.array(state)
        if previous.shape != (n, spec.dims):
            raise ValueError(
                f"There are {n} observations, but the state is of shape {previous.shape}: begin with state=None."
            )
        if episode_start is not None:
            previous[mask_of(episode_start, n, "episode_start")] = no_action(spec, 1).numpy()
        greedy = deterministic if self.deterministic is None else self.deterministic
        draws = None if greedy else torch.from_numpy(self._draws.next(n))
        size = self.chunk or n
        parts = []
        for first in range(0, n, size):
            rows = slice(first, min(first + size, n))
            short = size - (
                rows.stop - rows.start
            )  # padded, so that the numbers do not depend on how many rows there are
            now = np.concatenate([frames[rows], np.zeros((short, *frames.shape[1:]), frames.dtype)])
            before = np.concatenate([previous[rows], np.zeros((short, spec.dims), previous.dtype)])
            outputs = self.model(torch.from_numpy(now).to(self.device), torch.from_numpy(before).to(self.device))
            parts.append(outputs[: size - short].cpu())
        outputs = torch.cat(parts)
        chosen = (choose_actions(outputs, spec) if draws is None else draw_actions(outputs, spec, draws)).numpy()
        actions = environment_actions(chosen, spec)
        return (actions[0] if single else actions), chosen

"""A latent action policy without its prior: it encodes an expert's next step, cuts the codes to the budget, and
translates them.

Its return is therefore limited only by the codes and the translator.

Legend: `n` environments, `M` slots, `K` budget, `C H W` frame.
"""

from typing import Any

import numpy as np
import torch

from flexlam_rl.agents.experts.registry import make_expert
from flexlam_rl.agents.policy.bundle import Bundle
from flexlam_rl.agents.policy.compatibility import check_environment
from flexlam_rl.agents.policy.observations import read_frames
from flexlam_rl.agents.policy.rows import mask_of
from flexlam_rl.envs.base import base_env
from flexlam_rl.nn.action_head import NO_ACTION, choose_actions
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.utils.numbers import whole

CHUNK = 32  # rows computed together
LEAST = 16  # fewer rows are filled up: an episode's numbers do not depend on how many play beside it (docs/policy.md)


class OraclePolicy:
    """Plays the likeliest action for an expert's codes.

    At each step, the expert chooses an action without noise, and that action is taken in a copy of the worlds. The
    transition to the frame there is encoded, and the translator turns its first K codes into the action that is played.
    If the map restarts within that step, there is no transition, and the expert's own action is played. The expert is
    told which actions were played.

    Args:
        bundle: Bundle whose latent action model and translator are used; its prior is not.
        budgets: K, one number or one per environment.
        env: Batch that it will play, which must be able to look ahead.
        expert: Name of the expert.
        seed: Seed of the expert.
        any_look: Whether to accept another engine or look than the bundle was trained with.
        chunk: Number of rows that are computed together; None for the default.

    Raises:
        ValueError: The environment cannot look ahead, or does not fit the bundle or the expert.
    """

    def __init__(
        self,
        bundle: Bundle,
        budgets: int | np.ndarray,
        env: Any,
        expert: str = "scripted",
        seed: int = 0,
        any_look: bool = False,
        chunk: int | None = CHUNK,
    ) -> None:
        self._env = base_env(env)
        if not hasattr(self._env, "ahead"):
            raise ValueError(
                f"Oracle codes need a batch of litelab, which can look ahead; {type(self._env).__name__} cannot."
            )
        config = bundle.translator.config
        check_environment(bundle.config.environment, env, any_look, config.actions, config.channels)
        self.lam, self.translator, self.spec = bundle.lam, bundle.translator, config.actions
        self.budgets = np.broadcast_to(np.asarray(budgets, np.int64), (self._env.num_envs,))
        self.chunk = whole(CHUNK if chunk is None else chunk, "chunk", 1)
        self.expert = make_expert(expert, env, 0.0, seed)
        self._frame = (config.channels, *frame_size(config))
        self._advice: Any = None

    def begin_episodes(self, which: np.ndarray, seeds: np.ndarray) -> None:
        """Note that the environments `which` begin episodes of these seeds."""
        if hasattr(self.expert, "begin_episodes"):
            self.expert.begin_episodes(which, seeds)

    def snapshot(self, state: Any) -> dict[str, Any]:
        """Return everything that later actions depend on: the last actions, and the expert's memory."""
        return {"last": np.array(state), "expert": self.expert.snapshot(self._advice)}  # type: ignore[attr-defined]

    def restore(self, saved: dict[str, Any]) -> np.ndarray:
        """Continue from a snapshot, and return the state for the next call of `predict`."""
        self._advice = self.expert.restore(saved["expert"])  # type: ignore[attr-defined]
        return np.array(saved["last"])

    @in_own_modes
    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose actions (n,); the state holds the last actions (n, 1), -1 at an episode's start."""
        frames, _ = read_frames(observation, self._frame)
        n = len(frames)
        previous = np.full((n, 1), NO_ACTION) if state is None else np.array(state)
        if episode_start is not None:
            previous[mask_of(episode_start, n, "episode_start")] = NO_ACTION
        wanted, self._advice = self.expert.predict(observation, self._advice, episode_start, True)
        wanted = np.asarray(wanted).reshape(n)
        shown, restarts = self._env.ahead(wanted)
        after, _ = read_frames(shown, self._frame)
        given, firsts = (frames, after, previous, self.budgets), range(0, n, self.chunk)
        actions = np.concatenate([self._translated(*(part[i : i + self.chunk] for part in given)) for i in firsts])
        actions = np.where(restarts, wanted, actions)
        if hasattr(self.expert, "took"):
            self.expert.took(actions)
        return actions, actions[:, None].copy()

    def _translated(self, now: np.ndarray, after: np.ndarray, previous: np.ndarray, budgets: np.ndarray) -> np.ndarray:
        """Encode and translate the transitions of up to `chunk` rows."""
        count, device = len(now), self.lam.null.device
        rows = max(count, min(LEAST, self.chunk))

        def filled(part: np.ndarray) -> torch.Tensor:
            more = np.ones((rows - count, *part.shape[1:]), part.dtype)
            return torch.from_numpy(np.concatenate([part, more])).to(device)

        frame = filled(now)
        codes = self.lam.encode(frame, filled(after))
        slots = self.lam.keep_prefix_unchecked(codes, filled(budgets))
        outputs = self.translator(slots, filled(previous), frame)
        return choose_actions(outputs, self.spec)[:count, 0].cpu().numpy()

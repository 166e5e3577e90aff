"""`LatentActionPolicy`: a trained FlexLAM (or Fixed-K model) that plays, with a token budget that may change at any
step.

Legend: `n` environments, `M` slots, `K` budget, `A` dimensions of an action, `C H W` frame.
"""

import copy
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from flexlam_rl.agents.policy.budgets import Budget, checked_budget, drawn_budgets, random_chances
from flexlam_rl.agents.policy.bundle import Bundle, Decoding, load_bundle
from flexlam_rl.agents.policy.chunk_decision import decide
from flexlam_rl.agents.policy.compatibility import check_environment
from flexlam_rl.agents.policy.decision import Decision, read_only
from flexlam_rl.agents.policy.draws import Draws
from flexlam_rl.agents.policy.history import PolicyState, check_state
from flexlam_rl.agents.policy.latent_snapshots import LatentSnapshots
from flexlam_rl.agents.policy.observations import read_frames
from flexlam_rl.agents.policy.plain_loop import PlainLoop
from flexlam_rl.agents.policy.rows import begun, mask_of, rows_of
from flexlam_rl.agents.policy.sharing import Sharing
from flexlam_rl.envs.action_values import environment_actions
from flexlam_rl.models.flexlam.adaptive.rules import rule_of
from flexlam_rl.models.flexlam.priors import decoder_of
from flexlam_rl.models.interfaces import BudgetRule
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.nn.patch_embed import frame_size
from flexlam_rl.nn.places import usable_device
from flexlam_rl.utils.budget_words import AutoBudget, RandomBudget
from flexlam_rl.utils.numbers import whole

BUDGET_STREAM = (1,)
"""Keeps the numbers that random budgets are drawn by apart from those of codes and actions."""


class LatentActionPolicy(LatentSnapshots, PlainLoop, Sharing):
    """Plays with a bundle. `predict` follows Stable-Baselines3's protocol; `reset` and calls serve a plain loop.

    Args:
        bundle: The models and what they were trained in.
        budget: Codes that a decision may spend, 1..M: one number, or one for each environment. None for M. A Fixed-K
            model takes M only. "auto", "auto:0.1" or "auto:0.1:entropy" chooses for each environment at each step, by
            a tolerance and a rule; "random:3.5" draws, with that mean.
        deterministic: True: always the likeliest codes and actions. False: draw them at the bundle's temperatures.
            None: as each call of `predict` says, or the bundle's temperatures in a plain loop.
        decoding: Other temperatures and another context than the bundle's.
        seed: Of the draws. With `begin_episodes` an episode's draws depend on its own seed only.
        chunk: Compute in chunks of so many rows, filled up where there are fewer. With the same chunk (16 or more on a
            CPU) an environment's decisions do not depend on how many others there are, to the last bit. None computes
            all rows at once, which is faster for few environments; decisions are then equal to rounding.
        env: An environment to check against, as `check` does.
        any_look: For that check.
        cache: Type of the cached keys and values, in which attention is then computed: torch.bfloat16 halves memory and
            time of attention where the processor has bfloat16 units, and rounds to 3 digits; None for the weights' own,
            float32.
        executor: Computes chunks side by side (a ThreadPoolExecutor); None computes them one after the other.

    Attributes:
        last: The last `Decision`, None before the first.
    """

    def __init__(
        self,
        bundle: Bundle,
        budget: int | str | Sequence[int] | np.ndarray | None = None,
        *,
        deterministic: bool | None = None,
        decoding: Decoding | None = None,
        seed: int = 0,
        chunk: int | None = None,
        env: Any = None,
        any_look: bool = False,
        cache: torch.dtype | None = None,
        executor: Executor | None = None,
    ) -> None:
        if deterministic not in (None, True, False):
            raise ValueError(f"deterministic is {deterministic!r}; expected True, False or None.")
        self.decoding = decoding or bundle.config.decoding
        self.deterministic, self.executor = None if deterministic is None else bool(deterministic), executor
        self.chunk = None if chunk is None else whole(chunk, "chunk", 1)
        self._cache = cache
        self._take(bundle)
        self.slots = bundle.slots
        self.last: Decision | None = None
        self._actions = self.translator.config.actions
        self._frame = (self.lam.config.channels, *frame_size(self.lam.config))
        self._draws = Draws(seed, self.decoder.numbers(self.slots) + len(self._actions.discrete))
        self._state: PolicyState | None = None  # of the plain loop
        self._waiting: np.ndarray | None = None  # where the plain loop begins episodes
        self._current: PolicyState | None = None
        self._single = False
        self._seed = seed
        self._budget_draws: Draws | None = None
        self._rule: BudgetRule | None = None
        self._chances: np.ndarray | None = None
        self.budget = self.slots if budget is None else budget
        if env is not None:
            self.check(env, any_look)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        budget: int | str | Sequence[int] | np.ndarray | None = None,
        *,
        device: str | torch.device = "cpu",
        revision: str | None = None,
        **options: Any,
    ) -> Self:
        """Load a policy.

        Args:
            name: A bundle's folder, a hub id "owner/name", or None for the checkpoint that comes with the package.
            budget: As for the class.
            device: "cpu", "cuda", ...
            revision: Hub revision.
            **options: The other options of the class.

        Raises:
            CheckpointError: There is no such bundle, or it is damaged.
            ValueError: There is no such device, or the budget or the environment given does not fit.
        """
        return cls(load_bundle(name, device, revision), budget, **options)

    def _take(self, bundle: Bundle) -> None:
        """Play with the models of a bundle."""
        self.bundle = bundle
        self.lam, self.sequence, self.translator = bundle.lam, bundle.prior(), bundle.translator
        self.decoder = decoder_of(self.sequence, self._cache, self.decoding.context)
        self._made_for = (bundle.hash, str(self.device), str(self.decoder.cache), self.decoder.size, self.chunk)

    @in_own_modes
    def to(self, device: str | torch.device) -> Self:
        """Move the policy to another device; other policies that share its models stay where they are.

        States of before, that of the plain loop too, belong to the old device and are refused: begin with state=None,
        or in a plain loop with reset().

        Args:
            device: "cpu", "cuda", ...

        Returns:
            This policy.

        Raises:
            ValueError: There is no such device.
        """
        target = usable_device(device)
        if target != self.device:
            models = {part: copy.deepcopy(model).to(target) for part, model in self.bundle.models.items()}
            self._take(replace(self.bundle, **models))
            self.budget = self._budget  # a rule's head moves along
        return self

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.lam.null.device

    @property
    def budget(self) -> int | np.ndarray | str:
        """K: one number, a read-only (n,) array of one for each environment, or the words that have it chosen. May be
        set at any step, to a new value as a whole.
        """
        if isinstance(self._budget, AutoBudget | RandomBudget):
            return str(self._budget)
        return self._budget if isinstance(self._budget, int) else read_only(self._budget)

    @budget.setter
    def budget(self, value: Any) -> None:
        found = self.checked_budget(value)
        self._rule = rule_of(found, self.bundle.budget, self.sequence) if isinstance(found, AutoBudget) else None
        self._chances = None
        if isinstance(found, RandomBudget):
            self._chances = random_chances(found.mean, self.slots)
            self._budget_draws = self._budget_draws or Draws(self._seed, 1, BUDGET_STREAM)
        self._budget = found

    def checked_budget(self, value: Any) -> Budget:
        """A budget that this policy can play with: a number, an array of its own of one for each environment, or what
        words say.

        Raises:
            ValueError: It can not; with what it can.
        """
        return checked_budget(value, self.slots, self.lam.config.prefix)

    @property
    def spent(self) -> np.ndarray | None:
        """Codes that each environment has spent in its present episode, (n,) int64; None before the first step."""
        return None if self._current is None else read_only(self._current.spent)

    def check(self, env: Any, any_look: bool = False) -> None:
        """Refuse an environment that differs from the one trained in.

        Compared are action space and action set, frame size and type, and frame skip; engine, look and overlay too.

        Args:
            env: A (wrapped) environment or batch.
            any_look: Accept another engine, look or overlay.

        Raises:
            ValueError: The first difference, with both values.
        """
        check_environment(self.bundle.config.environment, env, any_look, self._actions, self._frame[0])

    def begin_episodes(self, which: Any, seeds: Any) -> None:
        """Environments begin episodes of these seeds: their draws follow from them.

        Args:
            which: Bool mask (n,), or indices, each once.
            seeds: One for each entry of `which`; of a mask's, those count where it is true.

        Raises:
            ValueError: `which` does not fit the environments that play, or the seeds do not fit `which`.
        """
        index, _ = begun(which, seeds)
        if self._current is not None and self._is_another_batch(which, index):
            self._current = None
        if self._current is not None:
            self._current.playing[rows_of(which, self._current.rows)] = True
        self._draws.begin(which, seeds)
        if self._budget_draws is not None:
            self._budget_draws.begin(which, seeds)

    def _is_another_batch(self, which: Any, index: np.ndarray) -> bool:
        """Whether all of a batch begin that has another size than the one that has played so far."""
        assert self._current is not None
        all_of_them = np.array_equal(np.sort(index), np.arange(np.size(which)))
        return all_of_them and (
            len(index) > self._current.rows or (np.asarray(which).dtype == np.bool_ and len(index) < self._current.rows)
        )

    def end_episodes(self, which: Any) -> None:
        """Environments `which` (mask or indices) play no more: chunks of such alone are not computed, their actions are
        0.
        """
        if self._current is not None:
            self._current.playing[rows_of(which, self._current.rows)] = False

    def map_restarted(self, which: Any) -> None:
        """The map has restarted before the next frame of environments `which` (mask or indices; `info["map_reset"]`).

        Their history begins anew, as training windows do, which never lead across a restart; the previous action stays.
        """
        if self._current is not None:
            self._current.restarted[rows_of(which, self._current.rows)] = True

    @in_own_modes
    def predict(
        self, observation: Any, state: PolicyState | None = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, PolicyState]:
        """Decide.

        Args:
            observation: uint8 frames (n, H, W, C) or (n, C, H, W), without n for one environment, or a dictionary that
                holds them.
            state: What the last call returned; None at the first.
            episode_start: (n,) bool: where `observation` is the first of an episode. Only these rows begin anew.
            deterministic: The likeliest codes and actions; the policy's own `deterministic` outweighs it.

        Returns:
            Actions of the environment's own space: (n,) int64 of `Discrete`, (n, *shape) of other spaces, without n for
            one environment; and the state, advanced in place.

        Raises:
            ValueError: Frames of another size or type, or another number of environments than `state` or `budget` is
                for.
        """
        frames, single = self.frames(observation)
        n = len(frames)
        if state is None:
            state = self._new_state(n)
            starts = np.ones(n, np.bool_)
        else:
            check_state(state, n, self._made_for)
            starts = np.zeros(n, np.bool_) if episode_start is None else mask_of(episode_start, n, "episode_start")
        budgets = self._budgets(n)
        greedy = deterministic if self.deterministic is None else self.deterministic
        draws = None if greedy else self._draws.next(n)
        actions, self.last = decide(self, state, frames, starts, budgets, draws, self._rule)
        if self._chances is not None:
            self.last = replace(self.last, rule="random")
        self._current = state
        own = environment_actions(actions, self._actions)
        return (own[0] if single else own), state

    def _budgets(self, rows: int) -> np.ndarray:
        """K of each environment, or the most that a rule may choose, (rows,)."""
        if isinstance(self._budget, np.ndarray):
            if len(self._budget) != rows:
                raise ValueError(
                    f"budget has {len(self._budget)} entries for {rows} environments: give one number or one for each."
                )
            return self._budget.copy()
        if self._chances is not None and self._budget_draws is not None:
            return drawn_budgets(self._chances, self._budget_draws.next(rows)[:, 0])
        return np.full(rows, self._budget if isinstance(self._budget, int) else self.slots)

    def frames(self, observation: Any) -> tuple[np.ndarray, bool]:
        """Frames as (n, C, H, W) uint8, and whether there was only one.

        Raises:
            ValueError: They are of another size or type than the policy was trained with.
        """
        return read_frames(observation, self._frame)

    @in_own_modes
    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy that goes on as this one would; the weights, which nothing changes, and the executor are shared."""
        other = object.__new__(type(self))
        memo[id(self)] = other
        shared = ("bundle", "lam", "sequence", "translator", "decoder", "executor", "_rule")
        other.__dict__ |= {
            name: value if name in shared else copy.deepcopy(value, memo) for name, value in vars(self).items()
        }
        return other

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: all but the executor, which has threads; decisions do not depend on it."""
        return {**vars(self), "executor": None}

"""`LatentActionPolicy`, which plays with a trained FlexLAM (or Fixed-K model) at a token budget that may change at any
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
from flexlam_rl.agents.policy.past_blocks import check_history
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
from flexlam_rl.utils.budget_words import AutoBudget, RandomBudget, history_in_words
from flexlam_rl.utils.numbers import whole

BUDGET_STREAM = (1,)
"""Stream of the numbers by which random budgets are drawn, separate from those of codes and actions."""


class LatentActionPolicy(LatentSnapshots, PlainLoop, Sharing):
    """Plays with a bundle. `predict` follows Stable-Baselines3's protocol; `reset` and calls serve a plain loop.

    Args:
        bundle: The models, and a description of their training.
        budget: Number of codes that a decision may spend, 1..M: one number, or one per environment; None for M. A
            Fixed-K model takes only M. "auto", "auto:0.1" or "auto:0.1:entropy" chooses the number for each environment
            at each step, by a tolerance and a rule; "random:3.5" draws it, with that mean.
        deterministic: True takes the likeliest codes and actions. False draws them at the bundle's temperatures. None
            follows the argument of each call of `predict`; in a plain loop it draws.
        decoding: Temperatures, context and history to use instead of the bundle's.
        seed: Seed of the draws; with `begin_episodes`, an episode's draws depend only on its own seed.
        chunk: Number of rows that are computed together; fewer rows are padded. With the same chunk (16 or more on a
            CPU), an environment's decisions do not depend on the number of other environments, to the last bit. None
            computes all rows at once, which is faster for few environments; decisions are then equal up to rounding.
        env: An environment to check, as `check` does.
        any_look: Whether that check accepts another engine, look or overlay.
        cache: Type of the cached keys and values, in which attention is computed. torch.bfloat16 halves memory and time
            of attention on processors with bfloat16 units, and rounds to 3 digits; None for float32, as the weights.
        executor: Executor (a ThreadPoolExecutor) that computes chunks in parallel; None computes them one by one.

    Attributes:
        last: The last `Decision`; None before the first.
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
            name: Folder of a bundle, a hub id "owner/name", or None for the bundle that comes with the package.
            budget: As for the class.
            device: "cpu", "cuda", ...
            revision: Hub revision.
            **options: The other options of the class.

        Raises:
            CheckpointError: There is no such bundle, or it is damaged.
            ValueError: There is no such device, or the budget or the environment does not fit.
        """
        return cls(load_bundle(name, device, revision), budget, **options)

    def _take(self, bundle: Bundle) -> None:
        """Take over the models of a bundle."""
        self.bundle = bundle
        self.lam, self.sequence, self.translator = bundle.lam, bundle.prior(), bundle.translator
        self.decoder = decoder_of(self.sequence, self._cache, self.decoding.context)
        self.history = None if self.decoding.history is None else history_in_words(self.decoding.history)
        if self.history is not None:
            check_history(self.history, self.lam, self.sequence)
        decoder = self.decoder
        self._made_for = (bundle.hash, str(self.device), str(decoder.cache), decoder.size, self.chunk, self.history)

    @in_own_modes
    def to(self, device: str | torch.device) -> Self:
        """Move the policy to another device; other policies that share its models stay where they are.

        Earlier states, including that of the plain loop, belong to the old device and are refused: begin with
        state=None, or in a plain loop with reset().

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
            self.budget = self._budget  # also moves the head of a rule
        return self

    @property
    def device(self) -> torch.device:
        """Device of the models."""
        return self.lam.null.device

    @property
    def budget(self) -> int | np.ndarray | str:
        """Budget K: one number, a read-only array (n,) with one per environment, or the words by which it is chosen.

        It can be set at any step, as a whole.
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
        """Check that this policy can play with a budget.

        Args:
            value: As `budget` of the class.

        Returns:
            A number, an array of its own with one number per environment, or the rule that the words name.

        Raises:
            ValueError: The policy cannot play with the budget; the message says what it can play with.
        """
        return checked_budget(value, self.slots, self.lam.config.prefix)

    @property
    def remembered(self) -> np.ndarray | None:
        """Number of codes of past blocks that later decisions of each environment's present episode see, (n,) int64;
        None before the first step, and if they see whole blocks.
        """
        return None if self._current is None or self.history is None else read_only(self._current.remembered)

    @property
    def spent(self) -> np.ndarray | None:
        """Number of codes that each environment has spent in its present episode, (n,) int64; None before the first
        step.
        """
        return None if self._current is None else read_only(self._current.spent)

    def check(self, env: Any, any_look: bool = False) -> None:
        """Refuse an environment that differs from the one that the policy was trained in.

        It compares action space, action set, frame size and type, frame skip, engine, look and overlay.

        Args:
            env: A (wrapped) environment or batch.
            any_look: Whether to accept another engine, look or overlay.

        Raises:
            ValueError: They differ; the message names the first difference, with both values.
        """
        check_environment(self.bundle.config.environment, env, any_look, self._actions, self._frame[0])

    def begin_episodes(self, which: Any, seeds: Any) -> None:
        """Note that environments begin episodes of these seeds, which determine their draws.

        Args:
            which: Bool mask (n,), or indices, each once.
            seeds: One seed per entry of `which`; for a mask, those count where it is true.

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
        """Return whether a whole batch begins that has another size than the one that has played so far."""
        assert self._current is not None
        all_of_them = np.array_equal(np.sort(index), np.arange(np.size(which)))
        return all_of_them and (
            len(index) > self._current.rows or (np.asarray(which).dtype == np.bool_ and len(index) < self._current.rows)
        )

    def end_episodes(self, which: Any) -> None:
        """Note that the environments `which` (mask or indices) no longer play.

        Chunks with no other environments are then not computed; their actions are 0.
        """
        if self._current is not None:
            self._current.playing[rows_of(which, self._current.rows)] = False

    def map_restarted(self, which: Any) -> None:
        """Note that the map restarted before the next frame of the environments `which` (mask or indices).

        `info["map_reset"]` says so. Their history then begins anew, because training windows do not cross a restart;
        the previous action is kept.
        """
        if self._current is not None:
            self._current.restarted[rows_of(which, self._current.rows)] = True

    @in_own_modes
    def predict(
        self, observation: Any, state: PolicyState | None = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, PolicyState]:
        """Choose actions.

        Args:
            observation: Frames uint8 (n, H, W, C) or (n, C, H, W), without n for one environment, or a dictionary that
                holds them.
            state: State that the last call returned; None at the first call.
            episode_start: Whether `observation` is the first of an episode, (n,) bool. Only these rows begin anew.
            deterministic: Whether to take the likeliest codes and actions; the policy's own `deterministic`, unless it
                is None, takes precedence.

        Returns:
            Actions of the environment's own space: (n,) int64 for `Discrete`, (n, *shape) for other spaces, without n
            for one environment; and the state, advanced in place.

        Raises:
            ValueError: The frames have another size or type, or `state` or `budget` is for another number of
                environments.
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
        """Return K of each environment, or the largest K that a rule may choose, (rows,)."""
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
        """Read the frames of an observation.

        Returns:
            Frames (n, C, H, W) uint8, and whether the observation was that of a single environment.

        Raises:
            ValueError: The frames have another size or type than those that the policy was trained with.
        """
        return read_frames(observation, self._frame)

    @in_own_modes
    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy the policy; the copy continues as this one would, and shares the weights and the executor."""
        other = object.__new__(type(self))
        memo[id(self)] = other
        shared = ("bundle", "lam", "sequence", "translator", "decoder", "executor", "_rule")
        other.__dict__ |= {
            name: value if name in shared else copy.deepcopy(value, memo) for name, value in vars(self).items()
        }
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Leave the executor out of a pickle, because it has threads; decisions do not depend on it."""
        return {**vars(self), "executor": None}

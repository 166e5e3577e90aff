"""`LatentActionPolicy`: a trained FlexLAM (or Fixed-K model) that plays, with a token budget that may change at any
step.

One decision (paper, algorithm 1): encode the transition that has just happened, whole; let the sequence model take it
in with the newest frame; generate the first K codes; fill the other slots with the null; translate.

Legend: `n` environments, `M` slots, `K` budget, `A` dimensions of an action, `C H W` frame, `R` rows of a chunk.
"""

import copy
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.agents.policy.bundle import Bundle, Decoding, load_bundle
from flexlam_rl.agents.policy.compatibility import check_environment
from flexlam_rl.agents.policy.decision import PARTS, Decision, read_only
from flexlam_rl.agents.policy.draws import Draws
from flexlam_rl.agents.policy.history import Chunk, PolicyState, new_state
from flexlam_rl.agents.policy.observations import read_frames
from flexlam_rl.agents.policy.rows import begun, mask_of, rows_of
from flexlam_rl.models.flexlam.decode import Decoder
from flexlam_rl.nn.action_head import NO_ACTION, choose_actions
from flexlam_rl.nn.modes import in_own_modes, own_modes
from flexlam_rl.nn.sampling import pick
from flexlam_rl.nn.threads import forked
from flexlam_rl.utils.numbers import whole


class LatentActionPolicy:
    """Plays with a bundle. `predict` follows Stable-Baselines3's protocol; `reset` and calls serve a plain loop.

    Args:
        bundle: The models and what they were trained in.
        budget: Codes that a decision may spend, 1..M: one number, or one for each environment. None for M. A Fixed-K
            model takes M only.
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
        budget: int | Sequence[int] | np.ndarray | None = None,
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
        self.bundle = bundle
        self.lam, self.sequence, self.translator = bundle.lam, bundle.sequence, bundle.translator
        self.decoding = decoding or bundle.config.decoding
        self.deterministic, self.executor = None if deterministic is None else bool(deterministic), executor
        self.chunk = None if chunk is None else whole(chunk, "chunk", 1)
        self.decoder = Decoder(self.sequence, cache, self.decoding.context)
        self.slots = bundle.slots
        self.last: Decision | None = None
        self._actions = self.translator.config.actions
        self._dims = len(self._actions.discrete) + self._actions.continuous
        self._dtype = torch.float32 if self._actions.continuous else torch.int64
        self._frame = (self.lam.config.channels, self.lam.config.image_size, self.lam.config.image_size)
        self._made_for = (bundle.hash, str(self.device), str(self.decoder.cache), self.decoder.size, self.chunk)
        self._draws = Draws(seed, self.slots + len(self._actions.discrete))
        self._state: PolicyState | None = None  # of the plain loop
        self._waiting: np.ndarray | None = None  # where the plain loop begins episodes
        self._current: PolicyState | None = None
        self._single = False
        self._budget = self.checked_budget(self.slots if budget is None else budget)
        if env is not None:
            self.check(env, any_look)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        budget: int | Sequence[int] | np.ndarray | None = None,
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

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.lam.null.device

    @property
    def budget(self) -> int | np.ndarray:
        """K: one number, or a read-only (n,) array of one for each environment. May be set at any step, to a new value
        as a whole.
        """
        return self._budget if isinstance(self._budget, int) else read_only(self._budget)

    @budget.setter
    def budget(self, value: Any) -> None:
        self._budget = self.checked_budget(value)

    def checked_budget(self, value: Any) -> int | np.ndarray:
        """A budget that this policy can play with: a number, or an array of its own of one for each environment.

        Raises:
            ValueError: It can not; with what it can.
        """
        try:
            budgets = np.asarray(value)
        except ValueError:  # rows of different lengths
            budgets = np.empty(0)
        low = 1 if self.lam.config.prefix else self.slots
        if (
            budgets.dtype.kind not in "iu"
            or budgets.ndim > 1
            or budgets.size == 0
            or budgets.min() < low
            or budgets.max() > self.slots
        ):
            expected = (
                f"{low}..{self.slots}" if self.lam.config.prefix else f"{self.slots}, the only one of a Fixed-K model"
            )
            raise ValueError(f"budget is {value!r}; expected {expected}.")
        return int(budgets) if budgets.ndim == 0 else budgets.astype(np.int64)

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
            Actions (n,) int64, or (n, A) with several dimensions, without n for one environment; and the state,
            advanced in place.

        Raises:
            ValueError: Frames of another size or type, or another number of environments than `state` or `budget` is
                for.
        """
        frames, single = self.frames(observation)
        n = len(frames)
        if state is None:
            state = new_state(self.decoder, n, self.chunk, self._frame, self._dims, self._dtype, self._made_for)
            starts = np.ones(n, np.bool_)
        else:
            self._check_state(state, n)
            starts = np.zeros(n, np.bool_) if episode_start is None else mask_of(episode_start, n, "episode_start")
        budgets = np.full(n, self._budget) if isinstance(self._budget, int) else self._budget.copy()
        if len(budgets) != n:
            raise ValueError(
                f"budget has {len(budgets)} entries for {n} environments: give one number or one for each."
            )
        greedy = deterministic if self.deterministic is None else self.deterministic
        actions = self._decide(frames, state, starts, budgets, greedy)
        self._current = state
        actions = actions[:, 0] if self._dims == 1 else actions
        return (actions[0] if single else actions), state

    def _check_state(self, state: PolicyState, n: int) -> None:
        if not isinstance(state, PolicyState):
            raise ValueError(
                f"state is a {type(state).__name__}; expected what the last call of predict returned, or None at the "
                "first."
            )
        if state.rows != n:
            raise ValueError(
                f"There are {n} observations, but the state is of {state.rows} environments: begin with state=None, "
                "or in a plain loop with reset()."
            )
        if state.made_for != self._made_for:
            raise ValueError(
                "The state is of a policy with other models or another context, cache, chunk or device: begin with "
                "state=None."
            )

    def frames(self, observation: Any) -> tuple[np.ndarray, bool]:
        """Frames as (n, C, H, W) uint8, and whether there was only one.

        Raises:
            ValueError: They are of another size or type than the policy was trained with.
        """
        return read_frames(observation, self._frame)

    def _decide(
        self, frames: np.ndarray, state: PolicyState, starts: np.ndarray, budgets: np.ndarray, greedy: bool
    ) -> np.ndarray:
        began = time.perf_counter()
        n = len(frames)
        draws = None if greedy else self._draws.next(n)
        work = [chunk for chunk in state.chunks if state.playing[chunk.first : chunk.first + chunk.count].any()]

        def run(chunk: Chunk) -> tuple[Tensor, Tensor, Tensor, list[float]]:
            rows = slice(chunk.first, chunk.first + chunk.count)
            given = None if draws is None else draws[rows]
            work = (
                len(chunk.frames) * self.sequence.config.width * self.sequence.config.ffn
                if self.device.type == "cpu"
                else 0
            )
            with own_modes(work):  # here, because an executor's thread has modes of its own
                return self._decide_chunk(
                    chunk, frames[rows], starts[rows], starts[rows] | state.restarted[rows], budgets[rows], given
                )

        # an executor's threads are not there in a forked process
        executor = self.executor if len(work) > 1 and not forked() else None
        results = [run(chunk) for chunk in work] if executor is None else list(executor.map(run, work))
        widest = int(budgets.max())
        actions = np.zeros((n, self._dims), np.float32 if self._actions.continuous else np.int64)
        codes, probabilities = np.full((n, widest), -1, np.int64), np.full((n, widest), np.nan, np.float32)
        seconds = dict.fromkeys(PARTS, 0.0)
        for chunk, (chosen, own_codes, log_probs, times) in zip(work, results, strict=True):
            rows = slice(chunk.first, chunk.first + chunk.count)
            actions[rows] = chosen[: chunk.count].cpu().numpy()
            codes[rows, : own_codes.shape[1]] = own_codes[: chunk.count].cpu().numpy()
            probabilities[rows, : own_codes.shape[1]] = log_probs[: chunk.count].exp().cpu().numpy()
            for part, spent in zip(PARTS, times, strict=True):
                seconds[part] += spent
        behind = np.arange(widest) >= budgets[:, None]
        codes[behind], probabilities[behind] = -1, np.nan
        state.restarted[:] = False
        self.last = Decision(budgets, codes, probabilities, {**seconds, "total": time.perf_counter() - began})
        return actions

    def _decide_chunk(
        self,
        chunk: Chunk,
        frames: np.ndarray,
        starts: np.ndarray,
        clear: np.ndarray,
        budgets: np.ndarray,
        draws: np.ndarray | None,
    ) -> tuple[Tensor, Tensor, Tensor, list[float]]:
        """Actions (R, A), codes and their log-probabilities (R, K), seconds a part."""
        size, device = len(chunk.frames), self.device
        marks = [time.perf_counter()]

        def mark() -> None:
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            marks.append(time.perf_counter())

        def whole(rows: np.ndarray, fill: Any) -> Tensor:
            """`rows` filled up to R."""
            if len(rows) < size:
                rows = np.concatenate([rows, np.full((size - len(rows), *rows.shape[1:]), fill, rows.dtype)])
            return torch.from_numpy(np.ascontiguousarray(rows)).to(device)

        now, cleared, begun, lengths = whole(frames, 0), whole(clear, True), whole(starts, True), whole(budgets, 1)
        self.decoder.clear(chunk.decode, cleared)
        chunk.previous[begun] = NO_ACTION
        # codes of rows at their first frame are computed and not used: the number of rows stays the same
        codes = None if bool((chunk.decode.step == 0).all()) else self.lam.encode(chunk.frames, now)
        mark()
        hidden = self.decoder.observe(chunk.decode, now, codes)
        chunk.frames.copy_(now)  # the caller may write its next frames where these lie
        mark()
        most = int(lengths.max())
        codes_draws = None
        if draws is not None and self.decoding.temperature > 0:
            codes_draws = whole(draws[:, :most], 0.0)
        decoded = self.decoder.generate(
            chunk.decode, hidden, most, temperature=self.decoding.temperature, draws=codes_draws
        )
        mark()
        slots = self.lam.keep_prefix(decoded.codes, lengths)
        outputs = self.translator(slots, chunk.previous, now)
        actions = choose_actions(outputs, self._actions)
        if draws is not None and self.decoding.action_temperature > 0:
            start = 0
            for i, choices in enumerate(self._actions.discrete):
                numbers = whole(draws[:, self.slots + i], 0.0)
                actions[:, i] = pick(outputs[:, start : start + choices], numbers, self.decoding.action_temperature).to(
                    actions.dtype
                )
                start += choices
        chunk.previous = actions.clone()
        mark()
        return actions, decoded.codes, decoded.log_probs, [after - before for before, after in pairwise(marks)]

    def reset(self, which: Any = None) -> None:
        """The plain loop's next observation begins an episode: everywhere, or in environments `which` (bool mask or
        indices).

        Raises:
            ValueError: `which` does not fit the environments that play.
        """
        if which is None:
            if self._current is self._state:
                self._current = None
            self._state = self._waiting = None
            return
        index = rows_of(which, None if self._state is None else self._state.rows)
        if self._state is not None:  # else all begin
            self._waiting = np.zeros(self._state.rows, np.bool_) if self._waiting is None else self._waiting
            self._waiting[index] = True

    def __call__(self, observation: Any, info: dict[str, Any] | None = None) -> np.ndarray:
        """The action, for a plain loop over one environment or a batch; the history is kept inside.

        Args:
            observation: As for `predict`.
            info: What the environment gave with it; `map_reset` in it is heeded.

        Raises:
            ValueError: As for `predict`; nothing has been decided then.
        """
        restarted = None if info is None else info.get("map_reset")
        if restarted is not None and self._state is not None:
            self._state.restarted |= mask_of(restarted, self._state.rows, "map_reset")
        actions, self._state = self.predict(observation, self._state, self._waiting)
        self._waiting = None
        return actions

    @in_own_modes
    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy that goes on as this one would; the weights, which nothing changes, and the executor are shared."""
        other = object.__new__(type(self))
        memo[id(self)] = other
        shared = ("bundle", "lam", "sequence", "translator", "decoder", "executor")
        other.__dict__ |= {
            name: value if name in shared else copy.deepcopy(value, memo) for name, value in vars(self).items()
        }
        return other

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: all but the executor, which has threads; decisions do not depend on it."""
        return {**vars(self), "executor": None}

    def as_tensordict_module(self, **options: Any) -> Any:
        """This policy as a TensorDictModule for TorchRL; the options of `agents.tensordicts.LatentActionModule` (extra
        `tensordict`).
        """
        from flexlam_rl.agents.adapters.torchrl import LatentActionModule

        return LatentActionModule(self, **options)

    def as_tianshou_policy(self, action_space: Any) -> Any:
        """This policy for Tianshou 2's collectors (the package `tianshou`).

        Args:
            action_space: The environment's single one.
        """
        from flexlam_rl.agents.adapters.tianshou import TianshouLatentPolicy

        return TianshouLatentPolicy(self, action_space)

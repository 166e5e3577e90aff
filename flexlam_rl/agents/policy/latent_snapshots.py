"""Saving and restoring what a latent action policy remembers, exactly.

Legend: `n` environments.
"""

from typing import Any

from torch import Tensor

from flexlam_rl.agents.policy.draws import Draws
from flexlam_rl.agents.policy.history import Chunk, PolicyState, new_state
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.models.flexlam.priors import PriorDecoder
from flexlam_rl.nn.modes import in_own_modes


class LatentSnapshots:
    """`snapshot` and `restore` of a `LatentActionPolicy`."""

    chunk: int | None
    decoder: PriorDecoder
    _frame: tuple[int, int, int]
    _actions: ActionSpec
    _made_for: tuple[Any, ...]
    _draws: Draws
    _budget_draws: Draws | None
    _current: PolicyState | None

    def _new_state(self, rows: int) -> PolicyState:
        return new_state(self.decoder, rows, self.chunk, self._frame, self._actions, self._made_for)

    @in_own_modes
    def snapshot(self, state: PolicyState) -> dict[str, Any]:
        """Return everything that later actions depend on, besides models and options.

        Args:
            state: State that the last call of `predict` returned.
        """
        return {
            "draws": self._draws.snapshot(),
            **({} if self._budget_draws is None else {"budget_draws": self._budget_draws.snapshot()}),
            "spent": state.spent.copy(),
            "remembered": state.remembered.copy(),
            "playing": state.playing.copy(),
            "restarted": state.restarted.copy(),
            "chunks": [{name: part.detach() for name, part in _parts(chunk).items()} for chunk in state.chunks],
        }

    @in_own_modes
    def restore(self, saved: dict[str, Any]) -> PolicyState:
        """Continue from a snapshot of a policy with the same models and options.

        Args:
            saved: Value that `snapshot` returned.

        Returns:
            The state for the next call of `predict`.

        Raises:
            ValueError: It is the snapshot of another policy.
        """
        state = self._new_state(len(saved["playing"]))
        if len(state.chunks) != len(saved["chunks"]):
            raise ValueError(f"The snapshot has {len(saved['chunks'])} chunks; expected {len(state.chunks)}.")
        for number, (chunk, values) in enumerate(zip(state.chunks, saved["chunks"], strict=True)):
            for name, part in _parts(chunk).items():
                value = values[name]
                if value.shape != part.shape or value.dtype != part.dtype:
                    raise ValueError(
                        f"The snapshot's {name!r} of chunk {number} is {value.dtype} of shape {tuple(value.shape)}; "
                        f"expected {part.dtype} {tuple(part.shape)}."
                    )
                part.copy_(value)  # in place, because the memory layout of keys does not follow from their shape
        self._draws.restore(saved["draws"])
        if self._budget_draws is not None:
            self._budget_draws.restore(saved["budget_draws"])
        state.spent[:], state.remembered[:] = saved["spent"], saved.get("remembered", 0)  # earlier versions lack it
        state.playing[:], state.restarted[:] = saved["playing"], saved["restarted"]
        self._current = state
        return state


def _parts(chunk: Chunk) -> dict[str, Tensor]:
    """Return all tensors of a chunk, by name."""
    remembered = chunk.decode._asdict()
    cache = remembered.pop("cache", None)  # a recurrent prior has none
    parts = {"frames": chunk.frames, "previous": chunk.previous}
    return parts | ({} if cache is None else {"keys": cache.keys, "values": cache.values}) | remembered

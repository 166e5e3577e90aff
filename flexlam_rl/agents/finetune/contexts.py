"""What decisions know from before a rollout: frames and codes in reach, or a recurrent prior's memory.

Shapes: N environments, T steps, L frames of context, W windows, M slots, G width of a memory.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flexlam_rl.models.flexlam.priors import CodePrior
from flexlam_rl.models.flexlam.recurrent.model import Past, RecurrentPrior
from flexlam_rl.nn.patch_embed import frame_size


class Context(nn.Module):
    """Frames and code blocks before a rollout, as buffers that a run's state keeps.

    The newest ones stand last. `lengths` says how many of them a window begins with, and `clocks` how many frames each
    history has.
    """

    def __init__(self, rows: int, longest: int, frame: Sequence[int], slots: int) -> None:
        super().__init__()
        self.frames: Tensor
        self.blocks: Tensor
        self.lengths: Tensor
        self.clocks: Tensor
        self.register_buffer("frames", torch.zeros(rows, longest, *frame, dtype=torch.uint8))
        # the last block belongs to a transition whose end has not been seen yet
        self.register_buffer("blocks", torch.zeros(rows, longest, slots, dtype=torch.int64))
        self.register_buffer("lengths", torch.zeros(rows, dtype=torch.int64))
        self.register_buffer("clocks", torch.zeros(rows, dtype=torch.int64))

    @abstractmethod
    def state(self, decoder: Any) -> Any:
        """Make the decoder's state at the beginning of the rollout."""

    @abstractmethod
    def past(self, rows: Tensor, goes_on: Tensor) -> Past | None:
        """Return what windows know from before their first frame, where that is more than a window holds.

        Args:
            rows: Row of each window, int64 (W,).
            goes_on: Whether a window goes on with the history from before the rollout, bool (W,).
        """

    @abstractmethod
    def advance(self, frames: Tensor, blocks: Tensor, cuts: Tensor, memory: Tensor) -> None:
        """Move on to the end of a rollout.

        Args:
            frames: Frames that were seen, uint8 (N, T, C, H, W).
            blocks: Codes of the transitions that followed them, int64 (N, T, M); the last one is not known.
            cuts: Whether a history begins anew at a frame, bool (N, T + 1).
            memory: A recurrent prior's memory after the last frame, (N, G); empty for others.
        """

    def _count(self, cuts: Tensor, steps: int) -> None:
        """Move the clocks to the end of a rollout of `steps` frames."""
        for row, cut in enumerate(cuts.tolist()):
            begun = [t for t, new in enumerate(cut) if new]
            self.clocks[row] = steps - begun[-1] if begun else int(self.clocks[row]) + steps


class FramesInReach(Context):
    """All that an attention prior sees of the past. It begins at a stride frame far enough back for every decision.

    A decision's state is computed again with the prior's present weights.
    """

    def __init__(self, rows: int, frame: Sequence[int], slots: int, window: int, stride: int) -> None:
        super().__init__(rows, reach(window, stride), frame, slots)
        self.window, self.stride = window, stride

    def state(self, decoder: Any) -> Any:
        rows, most = self.frames.shape[:2]
        state, longest = decoder.initial_state(rows), int(self.lengths.max())
        for at in range(most - longest, most):
            decoder.clear(state, (most - self.lengths == at).to(decoder.device))  # forgets what came before
            codes = self.blocks[:, at - 1].to(decoder.device) if at > most - longest else None
            decoder.observe(state, self.frames[:, at].to(decoder.device), codes)
        return state

    def past(self, rows: Tensor, goes_on: Tensor) -> None:
        return None

    def advance(self, frames: Tensor, blocks: Tensor, cuts: Tensor, memory: Tensor) -> None:
        self._count(cuts, frames.shape[1])
        longest = self.frames.shape[1]
        for row, clock in enumerate(self.clocks.tolist()):
            self.lengths[row] = length = context_length(clock, self.window, self.stride)
            if length:
                for kept, fresh in ((self.frames, frames), (self.blocks, blocks)):
                    kept[row, longest - length :] = torch.cat([kept[row], fresh[row]])[-length:]


class Memories(Context):
    """A recurrent prior's memory of each history, with the last frame and block.

    The memory was made by earlier weights where the history began before the last update, as usual in recurrent PPO.
    """

    def __init__(self, rows: int, frame: Sequence[int], slots: int, memory: int) -> None:
        super().__init__(rows, 1, frame, slots)
        self.memory: Tensor
        self.register_buffer("memory", torch.zeros(rows, memory))

    def state(self, decoder: Any) -> Any:
        return decoder.state_of(self.memory, self.clocks)

    def past(self, rows: Tensor, goes_on: Tensor) -> Past:
        return Past(self.memory[rows], self.blocks[rows, -1], ~goes_on)

    def advance(self, frames: Tensor, blocks: Tensor, cuts: Tensor, memory: Tensor) -> None:
        self._count(cuts, frames.shape[1])
        self.frames[:, -1], self.blocks[:, -1] = frames[:, -1], blocks[:, -1]
        self.memory.copy_(memory)


def context_of(prior: CodePrior, rows: int) -> Context:
    """Make the empty context of `rows` environments for a prior."""
    config: Any = prior.config
    frame = (config.channels, *frame_size(config))
    if isinstance(prior, RecurrentPrior):
        return Memories(rows, frame, config.slots, prior.memory)
    return FramesInReach(rows, frame, config.slots, config.frames, config.stride)


def reach(frames: int, stride: int) -> int:
    """Return the length of the longest context of a prior that sees `frames` frames; it begins at a stride frame."""
    return frames + stride - 1


def context_length(clock: int, frames: int, stride: int) -> int:
    """Return the number of earlier frames that the decision at frame number `clock` of a history needs."""
    return clock - max(0, (clock - frames) // stride * stride)

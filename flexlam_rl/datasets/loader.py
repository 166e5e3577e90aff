"""Streams of batches that can be resumed exactly, are divided among ranks, and are read ahead by threads."""

import copy
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from flexlam_rl.datasets.permutation import Permutation
from flexlam_rl.utils.numbers import int64


class Source(Protocol):
    """The data that batches are read from, such as `Spans`.

    Attributes:
        span: Rows per item.
        frame_shape: (H, W, C).
        digest: Hash of the items and their contents.
    """

    span: int
    frame_shape: tuple[int, ...]

    @property
    def digest(self) -> str: ...
    def __len__(self) -> int: ...
    def read(self, items: np.ndarray, out: np.ndarray | None = None) -> dict[str, np.ndarray]: ...


class Batches(Iterator[dict[str, Any]]):
    """A stream of batches over all items of a source, shuffled anew in each epoch.

    Positions of the stream are numbered 0, 1, 2, ... through all epochs; position `p` holds item
    `Permutation(n, seed, epoch)(p mod n)`. A step of all ranks takes the next `batch_size * world_size` positions, and
    rank `r` reads the `r`-th part of them. Ranks are therefore disjoint, together they read everything, and one number
    is the cursor of all. A batch may continue in the next epoch, so all batches are full, except the last one if
    `epochs` is given. The last one is divided among the ranks as evenly as possible (a rank's part may be empty), or
    left out with `drop_last`.

    Args:
        source: `TransitionPairs`, `Windows`, ...
        batch_size: Items per batch and rank.
        seed: Seed of the shuffle.
        rank, world_size: Number of this process, and number of processes that train together.
        shuffle: False reads the items in order.
        epochs: Number of passes over the data; None for no end.
        drop_last: Leave out an incomplete last batch.
        workers: Number of threads that read ahead; 0 reads a batch only when it is asked for.
        prefetch: Number of batches to read ahead.
        as_torch: Return torch tensors instead of NumPy arrays.
        pin_memory: Read into pinned memory, ready for `tensor.to(device, non_blocking=True)`; this implies torch
            tensors. Without CUDA, memory is not pinned.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = True,
        epochs: int | None = None,
        drop_last: bool = False,
        workers: int = 2,
        prefetch: int = 4,
        as_torch: bool = False,
        pin_memory: bool = False,
    ) -> None:
        self.batch_size, self.world_size = (
            int64(batch_size, "batch_size", low=1),
            int64(world_size, "world_size", low=1),
        )
        self.rank, self.seed = int64(rank, "rank"), int64(seed, "seed")
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank is {rank}: expected 0 to {world_size - 1}, since world_size is {world_size}.")
        self.source = source
        self.epochs = None if epochs is None else int64(epochs, "epochs", low=0)
        self.shuffle, self.drop_last = bool(shuffle), bool(drop_last)
        self._workers = int64(workers, "workers", low=0)
        self._position = 0
        self._ahead = 0  # position up to which reading has started
        self._queue: deque[tuple[int, Future[dict[str, Any]]]] = deque()
        self._prefetch = max(int64(prefetch, "prefetch", low=0), 1) if self._workers else 0
        self._begin_reading()
        self._permutations: dict[int, Permutation] = {}
        output: tuple[Any, Any] = _torch_output(pin_memory) if as_torch or pin_memory else (None, None)
        self._allocate, self._finish = output

    @property
    def epoch(self) -> int:
        """Number of the next item's epoch."""
        return self._position // len(self.source)

    def items(self, position: int) -> np.ndarray:
        """Find the items of this rank's batch in the step of all ranks that begins at `position`."""
        begin, end = position, position + self.batch_size * self.world_size
        if self.epochs is not None:
            end = min(end, self.epochs * len(self.source))
        cuts = begin + (end - begin) * np.arange(self.world_size + 1) // self.world_size
        positions = np.arange(cuts[self.rank], cuts[self.rank + 1])
        if not self.shuffle:
            return positions % len(self.source)
        epochs = positions // len(self.source)
        out = np.empty(len(positions), np.int64)
        for epoch in np.unique(epochs).tolist():
            chosen = epochs == epoch
            out[chosen] = self._permutation(epoch)(positions[chosen] % len(self.source))
        return out

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> dict[str, Any]:
        step = self.batch_size * self.world_size
        if self._process != os.getpid():  # a fork copies neither the threads nor the batches they were reading
            self._queue, self._ahead = deque(), self._position
            self._begin_reading()
        if self._pool is None:
            if not self._exists(self._position):
                raise StopIteration
            batch = self._read(self._position)
        else:
            while len(self._queue) < self._prefetch and self._exists(self._ahead):
                self._queue.append((self._ahead, self._pool.submit(self._read, self._ahead)))
                self._ahead += step
            if not self._queue:
                raise StopIteration
            try:
                batch = self._queue.popleft()[1].result()
            except BaseException:
                self._drop_queue()
                self._ahead = self._position  # the next call tries this batch again, so that none is skipped
                raise
        self._position += step
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return the cursor as JSON values. It counts only batches that were returned, not those read ahead.

        All ranks share it: after the same number of batches, each rank has the same cursor.
        """
        return {
            "position": self._position,
            "seed": self.seed,
            "shuffle": self.shuffle,
            "items": len(self.source),
            "digest": self.source.digest,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly at a saved cursor; batch size and number of ranks may differ.

        Raises:
            ValueError: The cursor belongs to other data or another shuffle.
        """
        mine = self.state_dict()
        for name in ("items", "digest", "seed", "shuffle"):
            if state.get(name) != mine[name]:
                raise ValueError(
                    f"A saved data cursor has {name} {state.get(name)!r}, this stream {mine[name]!r}: it cannot be "
                    "continued on other data."
                )
        position = int64(state.get("position"), "The position of a saved data cursor", low=0)
        self._drop_queue()
        self._position = self._ahead = position

    def close(self) -> None:
        """Stop reading ahead."""
        if self._process != os.getpid():
            return  # the threads belong to the parent process
        self._drop_queue()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin_reading(self) -> None:
        self._process = os.getpid()
        self._pool = ThreadPoolExecutor(self._workers, "flexlam-read") if self._workers else None

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError(
            "A stream of batches cannot be copied or pickled: make a new one from its source, and load this one's "
            "state_dict."
        )

    def _exists(self, position: int) -> bool:
        if self.epochs is None:
            return True
        left = self.epochs * len(self.source) - position
        return left >= self.batch_size * self.world_size if self.drop_last else left > 0

    def _read(self, position: int) -> dict[str, Any]:
        items = self.items(position)
        if self._allocate is None:
            return self.source.read(items)
        holder, memory = self._allocate((len(items), self.source.span, *self.source.frame_shape))
        return self._finish(holder, self.source.read(items, memory))

    def _permutation(self, epoch: int) -> Permutation:
        permutation = self._permutations.get(epoch)
        if permutation is None:
            permutation = Permutation(len(self.source), self.seed, epoch)
            self._permutations = {
                **{k: v for k, v in copy.copy(self._permutations).items() if k >= epoch - 1},
                epoch: permutation,
            }
        return permutation

    def _drop_queue(self) -> None:
        if self._process == os.getpid():
            for _, future in self._queue:
                future.cancel()
        self._queue.clear()


def _torch_output(pin: bool) -> tuple[Any, Any]:
    """Make two functions: one allocates memory for frames, the other turns a batch into tensors that use it."""
    import torch

    pin = pin and torch.cuda.is_available()

    def allocate(shape: tuple[int, ...]) -> tuple[Any, np.ndarray]:
        # torch's allocator reuses pinned memory only after all copies from it are done
        tensor = torch.empty(shape, dtype=torch.uint8, device="cpu", pin_memory=pin)
        return tensor, tensor.numpy()

    def finish(frames: Any, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        tensors = {name: torch.from_numpy(values) for name, values in batch.items() if name != "frames"}
        if pin:
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return {"frames": frames, **tensors}

    return allocate, finish

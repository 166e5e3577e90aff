"""Functions of tensors that are recorded once as a CUDA graph and then replayed: one launch instead of thousands."""

import warnings
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

MOST_GRAPHS = 32
"""Kept per object; one more drops the oldest."""


class CudaGraphs:
    """Recorded functions, by key. Where recording fails, functions are run plainly from then on, after a warning."""

    def __init__(self) -> None:
        self._graphs: dict[Hashable, tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...], tuple[Tensor, ...]]] = {}
        self._works = True

    def __reduce__(self) -> tuple[type["CudaGraphs"], tuple[()]]:
        """A copy records anew."""
        return CudaGraphs, ()

    def run(self, key: Hashable, function: Callable[..., tuple[Tensor, ...]], *inputs: Tensor) -> tuple[Tensor, ...]:
        """Give `function(*inputs)`.

        Args:
            key: Names the function with all that it uses beside `inputs`: tensors that stay where they are, numbers,
                shapes. The same key must mean the same work.
            function: Launches the same kernels at each call, reads nothing back, draws from no generator, and gives
                the same when run twice.
            inputs: Copied to where the recorded kernels read them.
        """
        if not self._works or inputs[0].device.type != "cuda":
            return function(*inputs)
        if key not in self._graphs:
            try:
                self._graphs[key] = _record(function, inputs)
            except RuntimeError as error:
                self._works = False
                warnings.warn(f"No CUDA graph could be recorded, so that decoding is slower: {error}", stacklevel=2)
                return function(*inputs)
            while len(self._graphs) > MOST_GRAPHS:
                del self._graphs[next(iter(self._graphs))]
        graph, places, outputs = self._graphs[key]
        for place, given in zip(places, inputs, strict=True):
            place.copy_(given)
        graph.replay()
        return tuple(output.clone() for output in outputs)


def _record(
    function: Callable[..., tuple[Tensor, ...]], inputs: tuple[Tensor, ...]
) -> tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...], tuple[Tensor, ...]]:
    places = tuple(x.clone() for x in inputs)
    stream = torch.cuda.Stream(inputs[0].device)
    stream.wait_stream(torch.cuda.current_stream(inputs[0].device))
    with torch.cuda.stream(stream):  # libraries allocate at their first call, which a recording must not
        for _ in range(2):
            function(*places)
    torch.cuda.current_stream(inputs[0].device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = function(*places)
    return graph, places, outputs

"""Functions of tensors that are recorded once as a CUDA graph and then replayed: one launch instead of thousands."""

import warnings
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

MOST_GRAPHS = 32
"""Largest number of graphs per object; a further one replaces the oldest."""


class CudaGraphs:
    """Recorded functions, by key. If recording fails, it warns, and all functions run without graphs from then on."""

    def __init__(self) -> None:
        self._graphs: dict[Hashable, tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...], tuple[Tensor, ...]]] = {}
        self._works = True

    def __reduce__(self) -> tuple[type["CudaGraphs"], tuple[()]]:
        """Make a copy without graphs, which records its own."""
        return CudaGraphs, ()

    def run(self, key: Hashable, function: Callable[..., tuple[Tensor, ...]], *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute `function(*inputs)`, on a GPU by replaying its graph.

        Args:
            key: Identifies the function and all that it uses beside `inputs` (tensors that stay at their address,
                numbers, shapes). Equal keys must mean equal work.
            function: Must launch the same kernels at each call, read nothing back to the host, draw from no generator,
                and give the same result when it runs twice.
            inputs: Copied to the addresses that the recorded kernels read.
        """
        if not self._works or inputs[0].device.type != "cuda":
            return function(*inputs)
        if key not in self._graphs:
            try:
                self._graphs[key] = _record(function, inputs)
            except RuntimeError as error:
                self._works = False
                warnings.warn(f"No CUDA graph could be recorded, so decoding is slower: {error}", stacklevel=2)
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
    with torch.cuda.stream(stream):  # libraries allocate memory at their first call, which must not be recorded
        for _ in range(2):
            function(*places)
    torch.cuda.current_stream(inputs[0].device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = function(*places)
    return graph, places, outputs

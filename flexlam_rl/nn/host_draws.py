"""Random numbers that the host needs at once, for example for the shape of a batch, from a stream that may be
on a GPU.
"""

import hashlib

import torch


def host_stream(generator: torch.Generator) -> torch.Generator:
    """Make a stream on the CPU that is seeded by the state of `generator`, and advance `generator`.

    If `generator` is on the CPU, it is returned itself. Drawing from a GPU's stream would make the host wait for the
    GPU's pending work, but the stream's state is on the host; it is already part of a run's state.
    """
    if generator.device.type == "cpu":
        return generator
    digest = hashlib.sha256(generator.get_state().numpy().tobytes()).digest()
    torch.rand((), generator=generator, device=generator.device)
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))

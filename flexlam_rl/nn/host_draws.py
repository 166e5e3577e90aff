"""Random numbers that the host needs at once, as for the shape of a batch, from a stream that may be on a GPU."""

import hashlib

import torch


def host_stream(generator: torch.Generator) -> torch.Generator:
    """A stream on the CPU whose numbers follow from the state of `generator`, which moves on.

    On a CPU it is `generator` itself. Reading a GPU's stream would make the host wait for all that the GPU has still to
    do; its state is known to the host, and belongs to a run's state already.
    """
    if generator.device.type == "cpu":
        return generator
    digest = hashlib.sha256(generator.get_state().numpy().tobytes()).digest()
    torch.rand((), generator=generator, device=generator.device)
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))

"""Hourglass MLP (FlexLAM, table 7): narrow residual layers on a wide stream."""

from torch import Tensor, nn

from flexlam_rl.nn.param_groups import HiddenLayer


class NarrowLayer(nn.Sequential, HiddenLayer):
    """Residual branch from the wide stream through a narrow layer and back."""

    def __init__(self, wide: int, hidden: int) -> None:
        super().__init__(
            nn.LayerNorm(wide), nn.Linear(wide, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, wide)
        )


class Hourglass(nn.Module):
    """Residual layers that go from a wide stream through a narrow layer and back.

    Args:
        inputs: Number of inputs.
        outputs: Number of outputs.
        depth: Number of residual layers.
        hidden: Width of the narrow layers.
        wide: Width of the stream.
    """

    def __init__(self, inputs: int, outputs: int, depth: int, hidden: int, wide: int) -> None:
        super().__init__()
        self.inward = nn.Linear(inputs, wide)
        self.blocks = nn.ModuleList(NarrowLayer(wide, hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(wide)
        self.outward = nn.Linear(wide, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (B, inputs) to outputs (B, outputs)."""
        x = self.inward(x)
        for block in self.blocks:
            x = x + block(x)
        return self.outward(self.norm(x))

"""Small heads that model the distribution of continuous tokens given their features: flow or mixture.

Shapes: B examples, P positions, D numbers per feature, d numbers per token.
"""

from typing import Literal

from flexlam_rl.nn.density_heads.flow import FlowHead
from flexlam_rl.nn.density_heads.interface import DensityHead
from flexlam_rl.nn.density_heads.mixture import MixtureHead

__all__ = ["DensityHead", "FlowHead", "HeadName", "MixtureHead", "build_head"]

HeadName = Literal["flow", "mixture"]


def build_head(
    name: HeadName, width: int, dim: int, hidden: int, blocks: int, components: int, entropy: float
) -> DensityHead:
    """Make a head.

    Args:
        name: "flow" or "mixture".
        width: D.
        dim: d.
        hidden, blocks: Width and number of blocks of the flow head.
        components, entropy: Number of components and weight of the entropy of the mixture head.

    Raises:
        ValueError: There is no head of that name.
    """
    if name == "flow":
        return FlowHead(width, dim, hidden, blocks)
    if name == "mixture":
        return MixtureHead(width, dim, components, entropy)
    raise ValueError(f"head is {name!r}; expected 'flow' or 'mixture'.")

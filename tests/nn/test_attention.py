"""Attention in parts equals attention with the whole mask."""

import torch

from flexlam_rl.nn.attention import Blocks, attend


def test_blocks_see_themselves_and_what_came_before():
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 2, 12, 8, generator=generator).unbind()
    block = torch.arange(12) // 4
    whole = attend(q, k, v, block[:, None] >= block)
    assert torch.allclose(attend(q, k, v, Blocks(4)), whole, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        assert attend(q, k, v, Blocks(4)).dtype == torch.float32

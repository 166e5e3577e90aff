"""Attention in parts equals attention with the whole mask; a block for some tokens equals the whole one."""

import pytest
import torch

from flexlam_rl.nn.attention import Blocks, attend
from flexlam_rl.nn.transformer import Block


def test_blocks_see_themselves_and_what_came_before():
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 2, 12, 8, generator=generator).unbind()
    block = torch.arange(12) // 4
    whole = attend(q, k, v, block[:, None] >= block)
    assert torch.allclose(attend(q, k, v, Blocks(4)), whole, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        assert attend(q, k, v, Blocks(4)).dtype == torch.float32


@pytest.mark.parametrize("first", [1, 3])
def test_a_block_may_give_its_first_tokens_alone(first):
    torch.manual_seed(0)
    block, x = Block(16, 2, 32), torch.randn(2, 5, 16)
    torch.testing.assert_close(block(x, first), block(x)[:, :first])

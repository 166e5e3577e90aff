"""The cache of keys and values: a transformer that goes on equals one that sees everything at once."""

import pytest
import torch

from flexlam_rl.nn.kv_cache import CachedTransformer
from flexlam_rl.nn.rotary import rotary
from flexlam_rl.nn.transformer import CausalTransformer

WIDTH, HEADS, LENGTH = 32, 4, 11


@pytest.fixture
def transformer():
    torch.manual_seed(0)
    built = CausalTransformer(WIDTH, 3, HEADS, 48).double()
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, 1.0 if parameter.ndim == 1 else 0.0, 0.3)
    return built


def whole(transformer, x):
    """Hidden states of all tokens, without a cache."""
    cos, sin = rotary(torch.arange(x.shape[1]), WIDTH // HEADS, 10_000.0)
    return transformer(x, cos, sin, torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril())


@pytest.mark.parametrize("pieces", [[1] * LENGTH, [4, 1, 6], [LENGTH]])
@torch.no_grad()
def test_pieces_equal_the_whole(transformer, pieces):
    x = torch.randn(2, LENGTH, WIDTH, dtype=torch.float64)
    cached = CachedTransformer(transformer, HEADS, torch.float64)
    cache, start, parts = cached.empty(2, LENGTH + 3), 0, []
    for piece in pieces:
        parts.append(cached.append(cache, x[:, start : start + piece], start))
        start += piece
    # norms are formed in float32
    assert torch.allclose(torch.cat(parts, 1), whole(transformer, x), atol=1e-5)


@torch.no_grad()
def test_a_cache_in_bfloat16_is_near(transformer):
    x = torch.randn(2, LENGTH, WIDTH, dtype=torch.float64)
    cached = CachedTransformer(transformer, HEADS, torch.bfloat16)
    cache = cached.empty(2, LENGTH)
    out = torch.cat([cached.append(cache, x[:, t : t + 1], t) for t in range(LENGTH)], 1)
    assert cache.keys.dtype == torch.bfloat16
    assert not torch.allclose(out, whole(transformer, x), atol=1e-5)
    assert torch.nn.functional.cosine_similarity(out, whole(transformer, x), dim=-1).min() > 0.98


def test_a_full_cache_is_named(transformer):
    cached = CachedTransformer(transformer, HEADS, torch.float64)
    with pytest.raises(ValueError, match="The cache holds 4 tokens; 5 are given"):
        cached.append(cached.empty(1, 4), torch.zeros(1, 2, WIDTH, dtype=torch.float64), 3)

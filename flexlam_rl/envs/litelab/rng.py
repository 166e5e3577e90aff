"""A world's own random stream (splitmix64), so that an episode depends only on its seed, in any process and batch."""

import numpy as np

from flexlam_rl.envs.litelab.kernel import kernel

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)


@kernel
def mix(x):
    """Hash a uint64 to a uint64."""
    x = np.uint64(x)
    x = (x ^ (x >> np.uint64(30))) * _MIX_A
    x = (x ^ (x >> np.uint64(27))) * _MIX_B
    return x ^ (x >> np.uint64(31))


@kernel
def uniform(w):
    """Draw a float in [0, 1)."""
    w.rng = np.uint64(w.rng + _STEP)
    return float(mix(w.rng) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@kernel
def below(w, n):
    """Draw an integer in [0, n)."""
    return int(uniform(w) * n)


@kernel
def between(w, low, high):
    """Draw an integer in [low, high], both included."""
    return low + below(w, high - low + 1)


@kernel
def normal(w):
    """Draw a standard normal number (Box-Muller)."""
    u = 1.0 - uniform(w)
    return np.sqrt(-2.0 * np.log(u)) * np.cos(2.0 * np.pi * uniform(w))


@kernel
def shuffle(w, values, n):
    """Shuffle the first `n` of `values` in place (Fisher-Yates)."""
    for i in range(n - 1, 0, -1):
        j = below(w, i + 1)
        kept = values[i]
        values[i] = values[j]
        values[j] = kept

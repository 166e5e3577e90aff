"""In a decision, the host waits for the device once: when the actions are there."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from flexlam_rl.agents.policy.latent_action import LatentActionPolicy

_spec = importlib.util.spec_from_file_location("host_waits", Path(__file__).parents[2] / "train" / "host_waits.py")
assert _spec and _spec.loader
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_decision_reads_nothing_back(deterministic):
    policy = LatentActionPolicy.from_pretrained(budget=[2, 4, 1])
    rng = np.random.default_rng(0)
    state, starts = None, np.ones(3, bool)
    for step in range(10):
        frames = rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
        with _module.HostWaits("embed_actions") as mode:  # torch checks the range of one-hot numbers on a CPU alone
            _, state = policy.predict(frames, state, starts, deterministic)
        # at the first decision of all, the decoder checks that no row has a past
        assert len(mode.found) <= (step == 0), (step, mode.found)
        starts = np.array([False, step == 3, step == 5])

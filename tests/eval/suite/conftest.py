"""Models of random weights that the suite plays, beside the bundle that all tests share."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def write_cloning() -> Callable[[Path], Path]:
    """write_cloning(folder) writes a run of `python -m train.bc` and returns its folder."""

    def write(folder: Path) -> Path:
        import torch

        from flexlam_rl.envs.domains.dmlab.actions import action_set
        from flexlam_rl.envs.spec import ActionSpec
        from flexlam_rl.models.baselines.idm import BehaviourCloning
        from flexlam_rl.models.flexlam.config import PRESETS, IDMConfig

        actions = action_set("dreamer15")
        torch.manual_seed(0)
        model = BehaviourCloning(
            IDMConfig(actions=ActionSpec((15,), 0, "dreamer15", actions.hash), encoder=PRESETS["debug"].lam.encoder)
        )
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(folder / "bc" / "best" / "bc")
        return folder

    return write

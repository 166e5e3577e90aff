"""A latent action policy as a TensorDictModule, for TorchRL's environments and collectors (the extra `tensordict`)."""

from typing import Any

import numpy as np
import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase

from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.envs.action_spaces import space_of

Key = Any
"""A key of a TensorDict: a string, or a tuple of strings for a nested one."""


class LatentActionModule(TensorDictModuleBase):
    """A module that reads frames and writes actions. It keeps the history, so one module serves one environment or
    batch at a time.

    Args:
        policy: The policy that chooses the actions.
        observation: Key of the frames, uint8 (B..., H, W, C) or (B..., C, H, W).
        action: Key of the actions, in the form of the environment's action space; one-hot (B..., A) with `one_hot`
            (TorchRL's default for `Discrete`).
        is_init: Key of a bool tensor (B..., 1) that is true where an episode begins, as TorchRL's transform
            `InitTracker` writes it. Without that key, episodes begin at the first call after `reset`.
        codes: Key to write the codes to, int64 (B..., largest K), with -1 after an environment's own K; None to write
            no codes.
        one_hot: Whether actions are one-hot, which only those of a `Discrete` space can be.

    Raises:
        ValueError: `one_hot` is True for actions of another space.
    """

    def __init__(
        self,
        policy: LatentActionPolicy,
        observation: Key = "pixels",
        action: Key = "action",
        is_init: Key = "is_init",
        codes: Key = None,
        one_hot: bool = False,
    ) -> None:
        self.in_keys = [observation]
        self.out_keys = [action] if codes is None else [action, codes]
        super().__init__()
        self.policy, spec = policy, policy.translator.config.actions
        if one_hot and not spec.is_single:
            raise ValueError(f"one_hot is True, but actions are of {space_of(spec)}: expected Discrete.")
        self._is_init, self._one_hot = is_init, one_hot
        self._state: Any = None

    def reset(self) -> None:
        """Begin an episode in every environment at the next call."""
        self._state = None

    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Choose actions for the frames of `tensordict`, write them to it and return it.

        Args:
            tensordict: The frames, and `is_init` where it is known; its batch may have any shape.
        """
        frames = tensordict.get(self.in_keys[0])
        lead = frames.shape[:-3]
        init = tensordict.get(self._is_init, None)
        starts = None if init is None else init.reshape(-1).cpu().numpy()
        actions, self._state = self.policy.predict(frames.reshape(-1, *frames.shape[-3:]), self._state, starts)
        chosen = torch.from_numpy(np.asarray(actions)).to(frames.device)
        if self._one_hot:
            spec = self.policy.translator.config.actions
            first = spec.start[0] if spec.start else 0
            chosen = torch.nn.functional.one_hot(chosen - first, spec.discrete[0])
        tensordict.set(self.out_keys[0], chosen.reshape(*lead, *chosen.shape[1:]))
        if len(self.out_keys) > 1 and self.policy.last is not None:
            codes = torch.from_numpy(self.policy.last.codes.copy()).to(frames.device)
            tensordict.set(self.out_keys[1], codes.reshape(*lead, -1))
        return tensordict

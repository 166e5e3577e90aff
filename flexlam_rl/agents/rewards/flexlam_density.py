"""FlexLAM's own prior as a density: the likelihood of the first K codes of each transition.

The first codes carry the most; later ones carry ever smaller details of the frame. K therefore decides how much detail,
including nuisance, is rewarded.

Shapes: n environments, M slots, K budget, C H W frame.
"""

from typing import Any

import torch
from torch import Tensor

from flexlam_rl.agents.rewards.density import Scores
from flexlam_rl.agents.rewards.window_density import Mode
from flexlam_rl.models.flexlam.priors import CodePrior, Prior, decoder_of
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.utils.numbers import whole


class FlexLAMDensity:
    """Sum over the first K codes of ln p(code | codes before it, the episode so far).

    Args:
        lam: Latent action model that encodes each transition.
        sequence: Prior over its codes.
        rows: Number of environments, n.
        budget: Number of codes, K, in 1..M.
        window: Number of frames that the prior sees; None for as many as it was trained with.
        mode: "conditional" scores the newest transition. "joint" scores the window: the mean over its transitions so
            far, times the number of transitions of a whole window.

    Raises:
        ValueError: The models do not belong together, or an argument does not fit them.
    """

    figure = "viper_log_prob"

    @in_own_modes
    def __init__(
        self,
        lam: SlotModel,
        sequence: Prior,
        rows: int,
        budget: int = 1,
        window: int | None = None,
        mode: Mode = "conditional",
    ) -> None:
        if not isinstance(sequence, CodePrior):
            raise ValueError(
                f"the prior is a {type(sequence).__name__}, which gives no likelihood of codes; expected an "
                "interleaved, factored or recurrent one."
            )
        if (lam.config.slots, lam.code_count) != (sequence.config.slots, sequence.config.codes):
            raise ValueError(
                f"the LAM has {lam.config.slots} slots of {lam.code_count} codes, the sequence model "
                f"{sequence.config.slots} of {sequence.config.codes}; they must be equal."
            )
        if mode not in ("conditional", "joint"):
            raise ValueError(f"mode is {mode!r}; expected 'conditional' or 'joint'.")
        self.lam, self.rows, self.mode = lam, whole(rows, "rows", 1), mode
        self.budget = whole(budget, "budget", 1, lam.config.slots)
        self.decoder: Any = decoder_of(sequence, context=window)
        self.window = self.decoder.config.frames
        self._state: Any = self.decoder.initial_state(rows)
        self._hidden: Tensor | None = None
        self._last: Tensor | None = None
        self._coded: tuple[Tensor, Tensor, Tensor] | None = None
        # scores of the transitions before the newest, the latest last; 0 where there is none
        self._totals = torch.zeros(rows, self.window - 2, device=self.decoder.device)
        self._count = torch.zeros(rows, dtype=torch.long, device=self._totals.device)

    @in_own_modes
    def score(self, frames: Tensor) -> Scores:
        """Score the newest frames, as `Density` describes."""
        if self._hidden is None or self._last is None:
            raise ValueError("score is asked for before any episode has begun; expected advance first.")
        codes = self.lam.encode(self._last, frames)
        logs = self.decoder.log_probs(self._state, self._hidden, codes[:, : self.budget])
        total = newest = logs.sum(1)
        self._coded = (frames, codes, newest)
        if self.mode == "joint":
            there = self._count.clamp_max(self.window - 2) + 1
            total = (self._totals.sum(1) + newest) / there * (self.window - 1)
        return Scores(total, logs)

    @in_own_modes
    def advance(self, frames: Tensor, begins: Tensor) -> None:
        """Take in frames, as `Density` describes."""
        begins = begins.to(self._totals.device)
        if self._hidden is None:  # no row has a past, so that these codes are not used
            codes, newest = self.lam.encode(frames, frames), torch.zeros(self.rows, device=self._totals.device)
        else:
            if self._coded is None or self._coded[0] is not frames:
                self.score(frames)
            assert self._coded is not None
            codes, newest = self._coded[1:]
        self.decoder.clear(self._state, begins)
        self._hidden = self.decoder.observe(self._state, frames, codes)
        self._totals = torch.cat([self._totals, newest[:, None]], dim=1)[:, 1:].masked_fill(begins[:, None], 0.0)
        self._count = torch.where(begins, 0, self._count + 1)
        self._last, self._coded = frames.clone(), None

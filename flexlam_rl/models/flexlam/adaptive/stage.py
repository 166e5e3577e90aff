"""The stage `budget`: a budget head on the states of a frozen prior.

Both outputs of the head are learned from recorded windows without labels: k* as a search found it in the transition,
and whether the translator's action changes after the first k codes. Recorded code blocks take the place of those that
the prior would generate there.

Shapes: B windows, T transitions of a window, M slots, D, H widths of the prior's states.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.models.flexlam.adaptive.head import BudgetHead
from flexlam_rl.models.flexlam.adaptive.objectives import own_previous
from flexlam_rl.models.flexlam.priors import CodePrior
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.action_distance import actions_differ
from flexlam_rl.nn.host_draws import host_stream
from flexlam_rl.train.source import Source
from flexlam_rl.train.stage import SourceStage

BINS = 10
"""Bins of estimated probabilities, in each of which their mean is compared with the observed frequency of a change."""


class BudgetStage(SourceStage):
    """Trains both outputs by cross-entropy: k*, and at every k below M whether further codes change the action."""

    name = "budget"

    def __init__(
        self,
        model: BudgetHead,
        lam: SlotModel,
        prior: CodePrior,
        translator: Translator,
        source: Source,
        held_out: Mapping[str, Tensor],
    ) -> None:
        """
        Args:
            model: The budget head, which trains.
            lam, prior, translator: Frozen models.
            source: Batches with "frames" (B, T + 1, H, W, C) and "codes" (B, T, M + 1): the codes of each transition,
                and its k*.
            held_out: The same for windows that are never trained on, with frames (B, T + 1, C, H, W).
        """
        super().__init__({"budget": model}, source, lam, prior, translator)
        self.model, self.lam, self.prior, self.translator, self.held_out = model, lam, prior, translator, held_out
        for frozen in self.frozen:
            frozen.requires_grad_(False).eval()

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        phase = int(torch.randint(0, self.prior.config.stride, (1,), generator=host_stream(generator)))
        known = self._known(batch, phase)
        lengths, change = self._losses(known)
        return lengths.mean() + change.mean(), {"loss_length": lengths.mean(), "loss_change": change.mean()}

    @torch.no_grad()
    def evaluate(self, device: str) -> dict[str, float]:
        """Evaluate on held-out windows: both losses, the error of the likeliest k*, the calibration error of estimated
        changes ("calibration"), and per estimate the codes and the agreement when rows stop below 0.1.
        """
        parts = list(self._held_out(device))
        known = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        lengths, change = self._losses(known)
        slots = self.model.config.slots
        chances = self._change(known).float().sigmoid()
        differs, k = known["differs"], known["k"]
        figures = {
            "loss": float(lengths.mean() + change.mean()),
            "loss_length": float(lengths.mean()),
            "loss_change": float(change.mean()),
            "length_error": float((self.model.length_logits(known["state"]).argmax(-1) + 1 - k).abs().float().mean()),
            "calibration": calibration_error(chances, differs),
            "tokens_searched": float(k.float().mean()),
        }
        agreed = ~F.pad(differs, (0, 1))
        for name, estimates in (
            ("change", F.pad(chances, (0, 1))), ("regressed", self.model.more_needed(known["state"])),
        ):  # fmt: skip
            spent = first_below(estimates, 0.1)
            figures[f"tokens_{name}"] = float(spent.float().mean())
            figures[f"agreement_{name}"] = float(agreed.gather(1, spent[:, None] - 1).float().mean())
        assert agreed.shape[1] == slots
        return figures

    def _held_out(self, device: str) -> Iterator[dict[str, Tensor]]:
        """Known values of the held-out windows; each phase of the stride takes its share of the windows."""
        stride, count = self.prior.config.stride, len(self.held_out["frames"])
        for phase in range(stride):
            rows = torch.arange(phase, count, stride) if count >= stride else torch.arange(count)
            for some in rows.split(16):
                yield self._known({name: values[some].to(device) for name, values in self.held_out.items()}, phase)

    @torch.no_grad()
    def _known(self, batch: Mapping[str, Tensor], phase: int) -> dict[str, Tensor]:
        """States, codes and targets of all decisions except the first of each window, whose previous action is unknown:
        "state" (N, D), "steps" (N, M, H), "codes" (N, M), "k" (N,), "differs" bool (N, M - 1) for k = 1..M - 1.
        """
        frames, codes, k = batch["frames"], batch["codes"][..., :-1].long(), batch["codes"][..., -1].long()
        for frozen in self.frozen:
            frozen.to(frames.device)
        b, t, slots = codes.shape
        state, steps = self.prior.code_states(frames[:, :t], codes, phase)
        obs, flat = frames[:, :t].flatten(0, 1), codes.flatten(0, 1)
        first = torch.arange(b * t, device=frames.device) % t == 0
        full = self._kept(flat, slots)
        previous = own_previous(self.translator, full, obs, first)
        use = ~first
        obs, flat, previous, full = obs[use], flat[use], previous[use], full[use]
        actions, whole = self.translator.config.actions, self.translator(full, previous, obs)
        differs = [
            actions_differ(self.translator(self._kept(flat, n), previous, obs), whole, actions) for n in range(1, slots)
        ]
        return {
            "state": state.flatten(0, 1)[use].float(),
            "steps": steps.flatten(0, 1)[use].float(),
            "codes": flat,
            "k": k.flatten()[use],
            "differs": torch.stack(differs, 1) if differs else flat[:, :0].bool(),
        }

    def _kept(self, codes: Tensor, k: int) -> Tensor:
        return self.lam.keep_prefix_unchecked(codes, torch.full((len(codes),), k, device=codes.device))

    def _change(self, known: Mapping[str, Tensor]) -> Tensor:
        """Logits (N, M - 1) of a changed action."""
        k = torch.arange(1, self.model.config.slots, device=known["k"].device)
        return self.model.change_logits(k, known["steps"][:, :-1], known["codes"][:, :-1])

    def _losses(self, known: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Losses of k* (N,), and of changes (N, M - 1)."""
        lengths = F.cross_entropy(self.model.length_logits(known["state"]).float(), known["k"] - 1, reduction="none")
        change = self._change(known).float()
        return lengths, F.binary_cross_entropy_with_logits(change, known["differs"].to(change), reduction="none")


def first_below(estimates: Tensor, tolerance: float) -> Tensor:
    """Find the first k whose estimate is below the tolerance, M where there is none: (N, M) to int64 (N,) in 1..M."""
    good = estimates < tolerance
    return torch.where(good.any(1), good.int().argmax(1) + 1, estimates.shape[1])


def calibration_error(chances: Tensor, came: Tensor) -> float:
    """Expected calibration error with bins of equal width, of estimated chances and of what came (bool, same shape).

    It is the mean difference, weighted by the number of estimates per bin, between estimate and observed frequency.
    """
    chances, came = chances.flatten().double(), came.flatten().double()
    which = (chances * BINS).long().clamp(max=BINS - 1)
    sums = torch.zeros(2, BINS, dtype=torch.float64, device=chances.device)
    sums[0].index_add_(0, which, chances)
    sums[1].index_add_(0, which, came)
    return float((sums[0] - sums[1]).abs().sum() / max(1, len(chances)))


def with_budgets(codes: list[Any], budgets: list[Any]) -> list[Any]:
    """Codes (rows, M) and k* (rows,) of each store side by side, int32 (rows, M + 1)."""
    import numpy as np

    return [
        np.concatenate([one, k[:, None]], 1).astype(np.int32, casting="safe")
        for one, k in zip(codes, budgets, strict=True)
    ]

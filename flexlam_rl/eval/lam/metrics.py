"""Figures of a latent action model on held-out transitions, each beside its controls.

Controls: *null*, no code at all (K = 0); *shuffled*, the codes of another transition; *random*, uniform codes, or each
number from another transition where latents are continuous. The gain of true codes over shuffled ones measures what
they say about their own transition.

Shapes: B transitions, C H W frame, M slots, d numbers per slot, K budget, V codes. *Latents* are codes, int64 (B, M),
or vectors (B, M, d).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.eval.video.pixels import peak_signal_to_noise, structural_similarity
from flexlam_rl.models.baselines.idm import IDM
from flexlam_rl.models.flexlam.budgets import budgets
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.models.pixel_model import PixelModel
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.action_head import action_figures, action_losses, action_recalls, choose_actions
from flexlam_rl.nn.frames import to_unit
from flexlam_rl.nn.other_rows import of_other_rows, random_latents

CONTROLS = ("codes", "shuffled", "random")
_CHUNK = 128


@dataclass(frozen=True)
class Transitions:
    """Held-out transitions.

    Attributes:
        obs, next_obs: Frames before and after, uint8 (B, C, H, W).
        action: Actions, (B, dims); None where they are not known.
        previous: Previous actions, (B, dims), -1 (or NaN) at an episode's start; None where they are not known.
    """

    obs: Tensor
    next_obs: Tensor
    action: Tensor | None = None
    previous: Tensor | None = None

    def __len__(self) -> int:
        return len(self.obs)

    def __getitem__(self, rows: Any) -> "Transitions":
        action, previous = (None if part is None else part[rows] for part in (self.action, self.previous))
        return Transitions(self.obs[rows], self.next_obs[rows], action, previous)

    def chunks(self) -> Iterator[slice]:
        """Return slices that cover all rows, each small enough for one pass."""
        return (slice(start, start + _CHUNK) for start in range(0, len(self), _CHUNK))

    def to(self, device: str) -> "Transitions":
        """Move the transitions to a device."""
        return replace(self, **{name: part.to(device) for name, part in vars(self).items() if part is not None})


def sweep(lam: SlotModel) -> list[int]:
    """Return the budgets K >= 1 that reports show; a Fixed-K model has only one."""
    return budgets(lam.config.slots)[1:] if lam.config.prefix else [lam.config.slots]


@torch.no_grad()
def encode(lam: SlotModel, data: Transitions) -> Tensor:
    """Encode all slots of transitions."""
    return torch.cat([lam.encode(data.obs[rows], data.next_obs[rows]) for rows in data.chunks()])


def control_codes(codes: Tensor, kind: str, count: int | None, seed: int = 0) -> Tensor:
    """Return the true latents, those of other transitions, or random ones.

    Args:
        codes: The true latents.
        kind: One of `CONTROLS`.
        count: Number of codes, V; None where latents are continuous.
        seed: Seed of the shuffle or of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    if kind == "codes":
        return codes
    if kind == "shuffled":
        return of_other_rows(codes, generator)
    return random_latents(codes, count, generator)


@torch.no_grad()
def prediction_errors(lam: SlotModel, data: Transitions, codes: Tensor, budget: int, seed: int = 0) -> Tensor:
    """Compute the error (B,) of the model's own prediction from the first `budget` latents.

    The error is a squared error, or a flow loss at pure noise, where the latents are the only source of information
    about the next frame.

    Args:
        lam: The model.
        data: The transitions.
        codes: Their latents.
        budget: Number of latents that are used, K.
        seed: Seed of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(data.obs.shape, generator=generator).to(codes.device)
    return torch.cat(
        [
            lam.prediction_error(data.obs[rows], data.next_obs[rows], lam.keep_prefix(codes[rows], budget), noise[rows])
            for rows in data.chunks()
        ]
    )


@torch.no_grad()
def likeness(
    lam: PixelModel, data: Transitions, codes: Tensor, budget: int, steps: int = 4, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Compute the likeness of decoded and true next frames.

    Args:
        lam, data, codes, budget: As for `prediction_errors`.
        steps: Number of steps of the decoder.
        seed: Seed of the decoder's noise.

    Returns:
        PSNR in dB and SSIM, (B,) each.
    """
    psnr, ssim = [], []
    generator = torch.Generator().manual_seed(seed)
    for rows in data.chunks():
        noise = torch.Generator(codes.device).manual_seed(int(torch.randint(0, 2**31, (1,), generator=generator)))
        decoded = lam.sample(data.obs[rows], lam.keep_prefix(codes[rows], budget), steps, noise)
        truth = to_unit(data.next_obs[rows])
        psnr.append(peak_signal_to_noise(decoded, truth))
        ssim.append(structural_similarity(decoded, truth))
    return torch.cat(psnr), torch.cat(ssim)


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """Compute the mean of values (B,) and its standard error."""
    values = values.double()
    return float(values.mean()), float(values.std() / len(values) ** 0.5) if len(values) > 1 else float("nan")


def reconstruction(lam: SlotModel, data: Transitions, codes: Tensor, pictures: int) -> list[dict[str, Any]]:
    """Measure the prediction with true codes and with controls, at each budget.

    Args:
        lam: The model.
        data: The transitions.
        codes: Their latents.
        pictures: Number of transitions, from the first, on which PSNR and SSIM are measured.

    Returns:
        Rows {codes, k, loss, loss_se, gain, gain_se, psnr, ssim}. `gain` is by how much the true codes lower the loss
        of this row, paired by transition. Rows of the true codes have the gain over shuffled ones instead, and `drop`
        and `drop_se`: by how much the loss falls from the previous budget. `psnr` and `ssim` are there for models that
        predict pixels. Models with a null also have a row for K = 0.
    """
    few = data[:pictures]
    truth = {k: prediction_errors(lam, data, codes, k) for k in sweep(lam)}
    rows: list[dict[str, Any]] = []

    def add(kind: str, k: int, losses: Tensor, used: Tensor, gain: Tensor) -> None:
        (loss, loss_se), (value, value_se) = mean_and_error(losses), mean_and_error(gain)
        rows.append({"codes": kind, "k": k, "loss": loss, "loss_se": loss_se, "gain": value, "gain_se": value_se})
        if isinstance(lam, PixelModel):
            psnr, ssim = likeness(lam, few, used[:pictures], k)
            rows[-1] |= {"psnr": float(psnr.mean()), "ssim": float(ssim.mean())}

    if lam.config.prefix:
        null = prediction_errors(lam, data, codes, 0)
        add("null", 0, null, codes, null - truth[lam.config.slots])
    shuffled = {}
    for kind in ("shuffled", "random"):
        used = control_codes(codes, kind, lam.latent.codes)
        for k in truth:
            losses = prediction_errors(lam, data, used, k)
            add(kind, k, losses, used, losses - truth[k])
            if kind == "shuffled":
                shuffled[k] = losses
    before = None
    for k, losses in truth.items():
        add("codes", k, losses, codes, shuffled[k] - losses)
        rows[-1]["drop"], rows[-1]["drop_se"] = mean_and_error((losses if before is None else before) - losses)
        before = losses
    return rows


def still(data: Transitions) -> dict[str, float]:
    """Compute PSNR and SSIM of the current frame as a prediction of the next one."""
    now, then = to_unit(data.obs), to_unit(data.next_obs)
    return {
        "psnr": float(peak_signal_to_noise(now, then).mean()),
        "ssim": float(structural_similarity(now, then).mean()),
    }


@torch.no_grad()
def slot_importance(lam: SlotModel, data: Transitions, codes: Tensor) -> list[float]:
    """Compute, for each of the M slots, by how much the error rises if that slot has another transition's code."""
    base = prediction_errors(lam, data, codes, lam.config.slots).mean()
    other = control_codes(codes, "shuffled", lam.latent.codes)
    out = []
    for slot in range(lam.config.slots):
        mixed = codes.clone()
        mixed[:, slot] = other[:, slot]
        out.append(float(prediction_errors(lam, data, mixed, lam.config.slots).mean() - base))
    return out


def gradient_reach(lam: SlotModel, data: Transitions, seed: int = 0) -> dict[str, Any]:
    """Compute the gradient of one training step: its norm by part of the model and by slot, and the parameters without
    one.
    """
    wanted = {name: p.requires_grad for name, p in lam.named_parameters()}
    lam.let_train()
    # keeps the gradient of the slots, where the encoder hands them to the quantizer
    kept: list[Tensor] = []

    def keep(_module: Any, inputs: tuple[Tensor, ...]) -> None:
        inputs[0].retain_grad()
        kept.append(inputs[0])

    hook = lam.quantizer.register_forward_pre_hook(keep)
    try:
        lam.zero_grad(set_to_none=True)
        lam(data.obs, data.next_obs, torch.Generator(data.obs.device).manual_seed(seed)).loss.backward()
        parts: dict[str, float] = {}
        dead = []
        for name, p in lam.named_parameters():
            if not p.requires_grad:
                continue
            square = 0.0 if p.grad is None else float(p.grad.double().square().sum())
            part = ".".join(name.split(".")[:2])
            parts[part] = parts.get(part, 0.0) + square
            if not square:
                dead.append(name)
        by_slot = kept[0].grad
        assert by_slot is not None
        return {
            "norm": {part: square**0.5 for part, square in parts.items()},
            "by_slot": by_slot.double().square().sum(dim=(0, 2)).sqrt().tolist(),
            "without": dead,
        }
    finally:
        hook.remove()
        lam.zero_grad(set_to_none=True)
        for name, p in lam.named_parameters():
            p.requires_grad_(wanted[name])


@torch.no_grad()
def translate(translator: Translator, lam: SlotModel, data: Transitions, codes: Tensor, budget: int) -> dict[str, Any]:
    """Measure a translator on the first codes of transitions.

    Args:
        translator: The translator.
        lam: Latent action model of the codes.
        data: The transitions, with actions.
        codes: Their codes, (B, M).
        budget: Number of codes that are used, K.

    Returns:
        {loss, loss_se, accuracy, accuracy_se, recall, recalls, confusion}, as means over `data`. `accuracy` is the
        share of examples whose discrete dimensions are all right; `recalls` is the same for each action, and `recall`
        their mean. For a single discrete dimension, `confusion` holds, for each action that occurs, the shares of the
        actions that it is decoded as. Continuous actions have "explained", the explained share of their variance,
        instead of accuracy.
    """
    assert data.previous is not None
    outputs = torch.cat(
        [
            translator(lam.keep_prefix(codes[rows], budget), data.previous[rows], data.obs[rows])
            for rows in data.chunks()
        ]
    )
    return _scores(outputs, data.action, translator.config.actions)


@torch.no_grad()
def direct(model: IDM, data: Transitions, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Measure a model without codes, which takes the columns `inputs` of the data, as `translate` does."""
    outputs = torch.cat([model(*(getattr(data, name)[rows] for name in inputs)) for rows in data.chunks()])
    return _scores(outputs, data.action, model.config.actions)


def _scores(outputs: Tensor, action: Tensor | None, spec: ActionSpec) -> dict[str, Any]:
    assert action is not None
    loss, error = mean_and_error(action_losses(outputs, action, spec))
    scores: dict[str, Any] = {"loss": loss, "loss_se": error}
    figures = action_figures(outputs, action, spec)
    if "accuracy" in figures:
        scores["accuracy"], scores["accuracy_se"] = mean_and_error(figures["accuracy"])
        found = action_recalls(outputs, action, spec)
        scores["recall"] = sum(found.values()) / len(found)
        scores["recalls"] = {" ".join(map(str, kind)): share for kind, share in found.items()}
        if spec.discrete == (count := spec.discrete[0],) and not spec.continuous:
            pairs = action[:, 0].long() * count + choose_actions(outputs, spec)[:, 0].long()
            table = torch.bincount(pairs, minlength=count**2).view(count, count).double()
            scores["confusion"] = {
                str(true): (row / row.sum()).tolist() for true, row in enumerate(table) if float(row.sum())
            }
    else:
        errors = (choose_actions(outputs, spec) - action).square().sum(-1)
        spread = (action - action.mean(0)).square().sum(-1).mean().clamp_min(1e-12)
        scores["explained"], scores["explained_se"] = mean_and_error(1 - errors / spread)
    return scores


def translation(translator: Translator, lam: SlotModel, data: Transitions, codes: Tensor) -> list[dict[str, Any]]:
    """Measure a translator on true, shuffled and random codes at each budget, and on the null.

    Args:
        translator, lam, data, codes: As for `translate`.

    Returns:
        Rows {codes, k} with the figures of `translate`.
    """
    cases = [(kind, k) for kind in CONTROLS for k in sweep(lam)]
    rows: list[dict[str, Any]] = []
    for kind, k in [("null", 0), *cases] if lam.config.prefix else cases:
        used = control_codes(codes, "codes" if kind == "null" else kind, lam.latent.codes)
        rows.append({"codes": kind, "k": k, **translate(translator, lam, data, used, k)})
    return rows

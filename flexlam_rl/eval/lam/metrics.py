"""Figures of a latent action model on held-out transitions, each beside its controls.

Controls: *null*, no code at all (K = 0); *shuffled*, the codes of another transition; *random*, codes drawn uniformly.
What the codes tell of their own transition is what the true codes do better than shuffled ones.
Shapes: B transitions, C H W frame, M slots, d numbers a slot, K budget, V codes.
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
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.nn.action_head import action_losses, action_recalls, choose_actions
from flexlam_rl.nn.frames import to_unit

CONTROLS = ("codes", "shuffled", "random")
_CHUNK = 128


@dataclass(frozen=True)
class Transitions:
    """Held-out transitions: uint8 frames (B, C, H, W), and actions (B, dims) where they are known (previous -1 at an
    episode's start).
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
        """Slices that cover all rows, each small enough for one pass."""
        return (slice(start, start + _CHUNK) for start in range(0, len(self), _CHUNK))

    def to(self, device: str) -> "Transitions":
        """The same on `device`."""
        return replace(self, **{name: part.to(device) for name, part in vars(self).items() if part is not None})


def sweep(lam: LAM) -> list[int]:
    """The budgets K >= 1 that reports show; a Fixed-K model has one."""
    return budgets(lam.config.slots)[1:] if lam.config.prefix else [lam.config.slots]


@torch.no_grad()
def encode(lam: LAM, data: Transitions) -> Tensor:
    """Codes int64 (B, M)."""
    return torch.cat([lam.encode(data.obs[rows], data.next_obs[rows]) for rows in data.chunks()])


def control_codes(codes: Tensor, kind: str, count: int, seed: int = 0) -> Tensor:
    """The true codes (B, M), those of other transitions, or random ones.

    Args:
        codes: int64 (B, M).
        kind: One of `CONTROLS`.
        count: V.
        seed: Of the shuffle or the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    if kind == "codes":
        return codes
    if kind == "random":
        return torch.randint(0, count, codes.shape, generator=generator).to(codes.device)
    # a cycle through a random order: no row keeps its own codes
    order = torch.randperm(len(codes), generator=generator).to(codes.device)
    out = torch.empty_like(codes)
    out[order] = codes[order.roll(1)]
    return out


@torch.no_grad()
def flow_losses(lam: LAM, data: Transitions, codes: Tensor, budget: int, seed: int = 0) -> Tensor:
    """Flow loss (B,) at pure noise with the first `budget` of `codes` (B, M): what these do not tell is not to be had
    elsewhere.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(data.obs.shape, generator=generator).to(codes.device)
    out = []
    for rows in data.chunks():
        part = codes[rows]
        tau = torch.zeros(len(part), device=codes.device)
        out.append(
            lam.decoder.loss(data.obs[rows], data.next_obs[rows], lam.keep_prefix(part, budget), tau, noise[rows])
        )
    return torch.cat(out)


@torch.no_grad()
def likeness(
    lam: LAM, data: Transitions, codes: Tensor, budget: int, steps: int = 4, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """PSNR in dB and SSIM, (B,) each, of the decoded next frame."""
    psnr, ssim = [], []
    generator = torch.Generator().manual_seed(seed)
    for rows in data.chunks():
        noise = torch.Generator(codes.device).manual_seed(int(torch.randint(0, 2**31, (1,), generator=generator)))
        decoded = lam.decoder.sample(data.obs[rows], lam.keep_prefix(codes[rows], budget), steps, noise)
        truth = to_unit(data.next_obs[rows])
        psnr.append(peak_signal_to_noise(decoded, truth))
        ssim.append(structural_similarity(decoded, truth))
    return torch.cat(psnr), torch.cat(ssim)


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """Mean of (B,) and its standard error."""
    values = values.double()
    return float(values.mean()), float(values.std() / len(values) ** 0.5) if len(values) > 1 else float("nan")


def reconstruction(lam: LAM, data: Transitions, codes: Tensor, pictures: int) -> list[dict[str, Any]]:
    """Rows {codes, k, loss, loss_se, gain, gain_se, psnr, ssim}: flow loss on all transitions, likeness on the first
    `pictures`.

    `gain` is how much the true codes lower the loss against this row, paired by transition; rows of the true codes have
    the gain over shuffled ones instead, and `drop`, `drop_se`: how much the loss falls from the budget before. Models
    with a null also have K = 0.
    """
    few = data[:pictures]
    truth = {k: flow_losses(lam, data, codes, k) for k in sweep(lam)}
    rows: list[dict[str, Any]] = []

    def add(kind: str, k: int, losses: Tensor, used: Tensor, gain: Tensor) -> None:
        (loss, loss_se), (value, value_se) = mean_and_error(losses), mean_and_error(gain)
        psnr, ssim = likeness(lam, few, used[:pictures], k)
        rows.append({
            "codes": kind, "k": k, "loss": loss, "loss_se": loss_se, "gain": value, "gain_se": value_se,
            "psnr": float(psnr.mean()), "ssim": float(ssim.mean()),
        })  # fmt: skip

    if lam.config.prefix:
        null = flow_losses(lam, data, codes, 0)
        add("null", 0, null, codes, null - truth[lam.config.slots])
    shuffled = {}
    for kind in ("shuffled", "random"):
        used = control_codes(codes, kind, lam.code_count)
        for k in truth:
            losses = flow_losses(lam, data, used, k)
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
    """PSNR and SSIM of the current frame taken for the next one."""
    now, then = to_unit(data.obs), to_unit(data.next_obs)
    return {
        "psnr": float(peak_signal_to_noise(now, then).mean()),
        "ssim": float(structural_similarity(now, then).mean()),
    }


@torch.no_grad()
def slot_importance(lam: LAM, data: Transitions, codes: Tensor) -> list[float]:
    """By how much the flow loss rises when one slot, of all M, carries another transition's code; M numbers."""
    base = flow_losses(lam, data, codes, lam.config.slots).mean()
    other = control_codes(codes, "shuffled", lam.code_count)
    out = []
    for slot in range(lam.config.slots):
        mixed = codes.clone()
        mixed[:, slot] = other[:, slot]
        out.append(float(flow_losses(lam, data, mixed, lam.config.slots).mean() - base))
    return out


def code_usage(codes: Tensor, levels: tuple[int, ...]) -> dict[str, Any]:
    """How the codes (B, M) are used: perplexity and number of codes of each slot, share of all codes that no slot used.

    `digit_perplexity` (M, d) is that of the single FSQ dimensions, which B transitions tell well even where V is large.
    """
    count = int(torch.tensor(levels).prod())
    shares = torch.stack([torch.bincount(slot, minlength=count) for slot in codes.T]).double() / len(codes)
    used = shares > 0
    digits, rest = [], codes
    for level in levels:
        digit, rest = rest % level, rest // level
        digits.append([_perplexity(torch.bincount(slot, minlength=level).double() / len(codes)) for slot in digit.T])
    return {
        "perplexity": [_perplexity(slot) for slot in shares],
        "used": used.sum(-1).tolist(),
        "unused_share": float((~used.any(0)).double().mean()),
        # even use would leave so many codes unseen in so few transitions
        "unused_share_if_even": float((1 - 1 / count) ** codes.numel()),
        "digit_perplexity": torch.tensor(digits).T.tolist(),
    }


def _perplexity(shares: Tensor) -> float:
    return float((-(shares * shares.clamp_min(1e-12).log()).sum()).exp())


def gradient_reach(lam: LAM, data: Transitions, seed: int = 0) -> dict[str, Any]:
    """One training step's gradient: its norm by part of the model and by slot, and the parameters that get none."""
    wanted = {name: p.requires_grad for name, p in lam.named_parameters()}
    lam.requires_grad_(True)
    lam.null.requires_grad_(lam.config.prefix)
    # the slots' own gradient: kept where the encoder hands them on
    kept: list[Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    hook = lam.encoder.register_forward_hook(keep)
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
def translate(translator: Translator, lam: LAM, data: Transitions, codes: Tensor, budget: int) -> dict[str, Any]:
    """{loss, loss_se, accuracy, accuracy_se, recall, recalls} of a translator on the first `budget` of `codes` (B, M),
    mean over `data`.

    Accuracy is the share of examples whose discrete dimensions are all right, `recalls` the same of each action, and
    `recall` their mean; they are missing where actions have no discrete dimensions.
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
    """The same of a model without codes, which takes the columns `inputs` of the data."""
    outputs = torch.cat([model(*(getattr(data, name)[rows] for name in inputs)) for rows in data.chunks()])
    return _scores(outputs, data.action, model.config.actions)


def _scores(outputs: Tensor, action: Tensor | None, spec: ActionSpec) -> dict[str, Any]:
    assert action is not None
    loss, error = mean_and_error(action_losses(outputs, action, spec))
    scores: dict[str, Any] = {"loss": loss, "loss_se": error}
    if spec.discrete:
        n = len(spec.discrete)
        right = (choose_actions(outputs, spec)[:, :n].long() == action[:, :n].long()).all(-1)
        scores["accuracy"], scores["accuracy_se"] = mean_and_error(right.float())
        found = action_recalls(outputs, action, spec)
        scores["recall"] = sum(found.values()) / len(found)
        scores["recalls"] = {" ".join(map(str, kind)): share for kind, share in found.items()}
    return scores


def translation(translator: Translator, lam: LAM, data: Transitions, codes: Tensor) -> list[dict[str, Any]]:
    """Rows {codes, k} and what `translate` gives: the translator on true, shuffled and random codes, and on the
    null.
    """
    cases = [(kind, k) for kind in CONTROLS for k in sweep(lam)]
    rows: list[dict[str, Any]] = []
    for kind, k in [("null", 0), *cases] if lam.config.prefix else cases:
        used = control_codes(codes, "codes" if kind == "null" else kind, lam.code_count)
        rows.append({"codes": kind, "k": k, **translate(translator, lam, data, used, k)})
    return rows

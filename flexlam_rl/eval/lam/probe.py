"""Linear probes: what a linear map can read from codes.

Shapes: B transitions, M slots, F features, A actions.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.eval.lam.metrics import Transitions, control_codes
from flexlam_rl.models.slot_model import SlotModel
from flexlam_rl.nn.frames import to_unit

_DECAYS = (1e-4, 1e-3, 1e-2, 1e-1)
_RIDGES = (1.0, 10.0, 100.0, 1000.0)


def one_hot_digits(codes: Tensor, levels: tuple[int, ...]) -> Tensor:
    """Convert codes (B, K) to their FSQ digits, one-hot, (B, K * sum(levels))."""
    parts, rest = [], codes
    for level in levels:
        digit, rest = rest % level, rest // level
        parts.append(F.one_hot(digit, level).float().flatten(1))
    return torch.cat(parts, dim=-1)


def latent_features(lam: SlotModel, latents: Tensor) -> Tensor:
    """Make a probe's features of the first K latents, (B, F): one-hot digits where codes have levels, else vectors."""
    if lam.quantizer.levels is not None:
        return one_hot_digits(latents, lam.quantizer.levels)
    return lam.embed(latents).flatten(1)


def small_view(frames: Tensor, size: int = 8) -> Tensor:
    """Average frames (B, C, H, W) to (B, C * size * size) values in [-1, 1]."""
    return F.adaptive_avg_pool2d(to_unit(frames), size).flatten(1)


def logistic(features: Tensor, labels: Tensor, classes: int, decay: float) -> tuple[Tensor, Tensor]:
    """Fit a multinomial logistic regression: weights (F, A) and biases (A,) that minimize cross-entropy plus `decay`
    times the squared weights.
    """
    weight = torch.zeros(features.shape[1], classes, device=features.device, requires_grad=True)
    bias = torch.zeros(classes, device=features.device, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=100, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(features @ weight + bias, labels) + decay * weight.square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    return weight.detach(), bias.detach()


def probe_accuracy(features: Tensor, labels: Tensor, classes: int) -> tuple[float, float]:
    """Measure the accuracy of a linear probe: it is fitted on the first third of the rows, its decay is chosen on the
    middle third, and it is tested on the last one.

    Args:
        features: Features, (B, F).
        labels: Actions in 0..classes-1, int64 (B,).
        classes: Number of actions, A.

    Returns:
        The accuracy and its standard error.
    """
    third = len(features) // 3
    fit, choose, test = (slice(i * third, (i + 1) * third) for i in range(3))
    scale = features[fit].std(0).clamp_min(1e-3)
    features = (features - features[fit].mean(0)) / scale
    best = (-1.0, 0.0)
    for decay in _DECAYS:
        weight, bias = logistic(features[fit], labels[fit], classes, decay)
        right = [
            ((features[part] @ weight + bias).argmax(-1) == labels[part]).double().mean() for part in (choose, test)
        ]
        best = max(best, (float(right[0]), float(right[1])))
    return best[1], (best[1] * (1 - best[1]) / third) ** 0.5


def action_recovery(lam: SlotModel, codes: Tensor, data: Transitions, budgets: list[int]) -> list[dict[str, Any]]:
    """Measure how well the first discrete dimension of actions can be read linearly from codes, and from controls.

    "codes + previous action" is what a translator sees. The controls are shuffled codes, the previous action, the
    commonest action, and the change between the two frames averaged to 8 x 8.

    Args:
        lam: The latent action model.
        codes: Latents of the transitions.
        data: The transitions, with actions.
        budgets: Values of K.

    Returns:
        Rows {from, k, accuracy, accuracy_se}. Continuous actions have "explained" and "explained_se", the share of
        their variance, instead.
    """
    assert data.action is not None and data.previous is not None
    continuous = data.action.is_floating_point()
    if continuous:
        none = data.previous.isnan().any(-1, keepdim=True)
        before = torch.cat([data.previous.masked_fill(none, 0.0), none.float()], dim=-1)
    else:
        labels = data.action[:, 0].long()
        classes = int(max(labels.max(), data.previous[:, 0].max())) + 1
        before = F.one_hot(data.previous[:, 0].long() + 1, classes + 1).float()
    rows: list[dict[str, Any]] = []

    def add(name: str, k: int | None, features: Tensor) -> None:
        if continuous:
            share, error = explained_with_error(features, data.action)  # type: ignore[arg-type]
            rows.append({"from": name, "k": k, "explained": share, "explained_se": error})
            return
        accuracy, error = probe_accuracy(features, labels, classes)
        rows.append({"from": name, "k": k, "accuracy": accuracy, "accuracy_se": error})

    for k in budgets:
        add("codes", k, latent_features(lam, codes[:, :k]))
    for k in budgets:
        add("codes + previous action", k, torch.cat([latent_features(lam, codes[:, :k]), before], dim=-1))
    add("shuffled", budgets[-1], latent_features(lam, control_codes(codes, "shuffled", lam.latent.codes)))
    add("previous action", None, before)
    add("commonest action", None, torch.zeros(len(codes), 1, device=codes.device))
    add("change of the picture", None, small_view(data.next_obs) - small_view(data.obs))
    return rows


def explained(features: Tensor, targets: Tensor) -> float:
    """Compute the share of the variance of `targets` (B, Y) that ridge regression on `features` (B, F) explains on the
    last third of the rows.

    The regression is fitted on the first third, and its decay is chosen on the middle one.
    """
    return explained_with_error(features, targets)[0]


def explained_with_error(features: Tensor, targets: Tensor) -> tuple[float, float]:
    """Compute `explained`, and its standard error over the rows."""
    third = len(features) // 3
    fit, choose, test = (slice(i * third, (i + 1) * third) for i in range(3))
    x, y = features.double(), targets.double()
    x, y = x - x[fit].mean(0), y - y[fit].mean(0)
    best, best_error = (-float("inf"), 0.0), 0.0
    for decay in _RIDGES:
        gram = x[fit].T @ x[fit] + decay * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        weight = torch.linalg.solve(gram, x[fit].T @ y[fit])
        shares = [
            float(1 - (y[part] - x[part] @ weight).square().sum() / y[part].square().sum().clamp_min(1e-12))
            for part in (choose, test)
        ]
        if (shares[0], shares[1]) > best:
            best = (shares[0], shares[1])
            errors = (y[test] - x[test] @ weight).square().sum(-1)
            best_error = float(errors.std() / errors.mean().clamp_min(1e-12) * (1 - best[1]) / third**0.5)
    return best[1], best_error


def appearance(lam: SlotModel, codes: Tensor, data: Transitions) -> dict[str, float]:
    """Measure how much of the current frame, and of the change to the next one, can be read linearly from the codes (R
    squared, at most 1).
    """
    features = latent_features(lam, codes)
    now, then = small_view(data.obs, 4), small_view(data.next_obs, 4)
    return {"current_r2": explained(features, now), "change_r2": explained(features, then - now)}

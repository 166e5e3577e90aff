"""MaskGIT (Chang et al., 2022): codes of a picture are predicted from any subset of them, in a few passes.

Shapes: B rows, N codes per row, V values of a code.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.nn.sampling import choose
from flexlam_rl.nn.streams import Streams, uniform

Predict = Callable[[Tensor, Tensor], Tensor]
"""Function from codes (B, N) and a bool mask (B, N), true where codes are hidden, to logits (B, N, V) of all codes."""


def draw_hidden(rows: int, count: int, generator: torch.Generator) -> Tensor:
    """Draw which codes are hidden in training, bool (`rows`, `count`): a share cos(pi u / 2) with uniform u, at least
    one.
    """
    u = torch.rand(rows, generator=generator, device=generator.device)
    hidden = (torch.cos(u * math.pi / 2) * count).ceil().clamp(1, count).long()
    order = torch.rand(rows, count, generator=generator, device=generator.device).argsort(-1).argsort(-1)
    return order < hidden[:, None]


def masked_loss(logits: Tensor, codes: Tensor, hidden: Tensor) -> Tensor:
    """Compute the mean cross-entropy of the hidden codes only."""
    losses = F.cross_entropy(logits.float().flatten(0, 1), codes.flatten(), reduction="none").view(codes.shape)
    return (losses * hidden).sum() / hidden.sum()


def shown_counts(count: int, passes: int) -> list[int]:
    """Give the number of known codes after each pass: the cosine schedule, at least one more per pass, in the
    end all.
    """
    passes = min(passes, count)
    counts: list[int] = []
    for i in range(1, passes + 1):
        hidden = math.floor(math.cos(math.pi / 2 * i / passes) * count + 1e-9)
        before = counts[-1] if counts else 0
        # each of the remaining passes needs at least one code
        counts.append(min(max(count - hidden, before + 1), count - (passes - i)))
    return counts


def fixed_order(count: int, seed: int = 0) -> Tensor:
    """Give the order in which `pass_log_probs` shows codes, int64 (`count`,): pseudorandom, and the same everywhere."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def pass_log_probs(predict: Predict, codes: Tensor, passes: int) -> Tensor:
    """Compute the log-probability (B, N), in nats, of each code given those shown in earlier passes.

    Codes are shown in `fixed_order`, in groups whose sizes follow the cosine schedule; codes of a group are
    independent. The sum over codes is the log-likelihood of a proper distribution.

    Args:
        predict: The model.
        codes: int64 (B, N).
        passes: Number of forward passes.
    """
    count = codes.shape[1]
    order = fixed_order(count).to(codes.device)
    found = torch.zeros(codes.shape, device=codes.device)
    shown = 0
    for after in shown_counts(count, passes):
        hidden = torch.ones(codes.shape, dtype=torch.bool, device=codes.device)
        hidden[:, order[:shown]] = False
        logs = predict(codes.masked_fill(hidden, 0), hidden).float().log_softmax(-1)
        group = order[shown:after]
        found[:, group] = logs.gather(-1, codes[..., None])[..., 0][:, group]
        shown = after
    return found


def sample_masked(
    predict: Predict,
    rows: int,
    count: int,
    passes: int,
    generator: Streams | None = None,
    temperature: float = 1.0,
    device: str | torch.device = "cpu",
) -> Tensor:
    """Sample codes (B, N): each pass draws all hidden codes and keeps those with the highest confidence.

    Args:
        predict: The model.
        rows: B.
        count: N.
        passes: Number of forward passes.
        generator: Random stream, or one per row; None takes the likeliest codes.
        temperature: Divisor of the logits.
        device: Device of the codes.
    """
    codes = torch.zeros(rows, count, dtype=torch.long, device=device)
    hidden = torch.ones(rows, count, dtype=torch.bool, device=device)
    for after in shown_counts(count, passes):
        logits = predict(codes.masked_fill(hidden, 0), hidden).float()
        drawn = choose(logits.flatten(0, 1), generator, temperature).view(rows, count)
        codes = torch.where(hidden, drawn, codes)
        sure = logits.log_softmax(-1).gather(-1, codes[..., None])[..., 0].masked_fill(~hidden, torch.inf)
        kept = sure.topk(after, dim=-1).indices
        hidden = torch.ones_like(hidden).scatter(1, kept, False)
    return codes


def draft_and_revise(
    predict: Predict,
    rows: int,
    count: int,
    passes: int,
    revisions: int,
    revision_passes: int,
    generator: Streams | None = None,
    temperature: float = 1.0,
    device: str | torch.device = "cpu",
) -> Tensor:
    """Sample codes (B, N) as Lee et al. (2022) do.

    A draft draws equal groups of codes in random order; then each revision hides a random half of the codes and draws
    them again in the same way.

    Args:
        predict: The model.
        rows: B.
        count: N.
        passes: Number of groups of the draft, each of which takes one forward pass.
        revisions: Number of revisions.
        revision_passes: Number of groups of each revision.
        generator: Random stream, or one per row; None takes the likeliest codes, in groups of `fixed_order`.
        temperature: Divisor of the logits.
        device: Device of the codes.
    """
    codes = torch.zeros(rows, count, dtype=torch.long, device=device)
    for number in range(revisions + 1):
        size = count if number == 0 else max(1, count // 2)
        order = _order(rows, count, number, generator, device)[:, :size]
        hidden = torch.zeros(rows, count, dtype=torch.bool, device=device).scatter(1, order, True)
        for group in order.tensor_split(min(size, passes if number == 0 else revision_passes), dim=1):
            logits = predict(codes.masked_fill(hidden, 0), hidden).float()
            chosen = logits.gather(1, group[..., None].expand(-1, -1, logits.shape[-1]))
            drawn = choose(chosen.flatten(0, 1), generator, temperature).view(group.shape)
            codes, hidden = codes.scatter(1, group, drawn), hidden.scatter(1, group, False)
    return codes


def _order(rows: int, count: int, number: int, generator: Streams | None, device: str | torch.device) -> Tensor:
    """Draw an order of the codes for each row, int64 (`rows`, `count`)."""
    if generator is None:
        return fixed_order(count, number).to(device).expand(rows, -1)
    return uniform((rows, count), generator, torch.device(device)).argsort(-1)

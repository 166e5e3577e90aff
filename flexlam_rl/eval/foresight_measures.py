"""What a prior expects an expert to do, as action distributions along recorded episodes.

Shapes: n decisions of an episode, M slots, V codes, A actions, H W frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flexlam_rl.datasets import RolloutStore
from flexlam_rl.datasets.marks import expert_chose
from flexlam_rl.envs.action_values import are_actions
from flexlam_rl.models.flexlam.cached_codes import encode_rows
from flexlam_rl.models.flexlam.priors import sees_all
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.models.slot_model import SlotModel


@dataclass(frozen=True)
class Piece:
    """Decisions from the start of an episode on.

    Attributes:
        frames: (n + 1, C, H, W) uint8.
        actions: (n,) int64.
        counts: (n,) bool, whether the expert chose the action and the next frame shows its outcome.
    """

    frames: Tensor
    actions: Tensor
    counts: Tensor


def pieces(store: RolloutStore, steps: int) -> Iterator[Piece]:
    """Read episodes, in order, until `steps` decisions are read; those without actions are left out."""
    chosen, left = expert_chose(store), steps
    for number, first in enumerate(store.episode_table["start"].tolist()):
        episode = store.episode_at(number)
        n = min(left, len(episode.frames) - 1)
        if episode.action is None or n < 1 or not are_actions(episode.action[:n]).all():
            continue
        counts = np.ones(n, np.bool_) if chosen is None else chosen[first : first + n].copy()
        if episode.restart is not None:
            counts &= ~episode.restart[1 : n + 1]
        frames = torch.from_numpy(episode.frames[: n + 1]).movedim(-1, 1).contiguous()
        yield Piece(frames, torch.from_numpy(episode.action[:n]).reshape(n).long(), torch.from_numpy(counts))
        left -= n
        if left < 1:
            return


@torch.no_grad()
def first_codes(prior: Any, frames: Tensor, codes: Tensor) -> Tensor:
    """Compute the probabilities of every decision's first code, (n, V).

    Windows as long as the prior's context overlap by half, so a decision is told at least half of it, from the start of
    the episode on. A recurrent prior is told all of it.

    Args:
        prior: A prior over codes.
        frames: (n + 1, C, H, W) uint8.
        codes: int64 (n, M), codes of the transitions that followed each decision.
    """
    config, n, found = prior.config, len(codes), list[Tensor]()
    # windows of the interleaved prior begin at its stride frames
    half = n if sees_all(prior) else max(1, config.frames // 2 // config.stride) * config.stride
    for first in range(0, n, half):
        start = max(0, first - half)
        window = slice(start, min(first + half, n))
        logits = prior(frames[None, window], codes[None, window], 0, 1)[0, first - start :, 0]
        found.append(logits.float().softmax(-1))
    return torch.cat(found)


@torch.no_grad()
def actions_of_first_codes(lam: SlotModel, translator: Translator) -> Tensor:
    """Compute the translator's action probabilities for each first code alone, (V, A)."""
    codes = torch.zeros(lam.code_count, lam.config.slots, dtype=torch.long)
    codes[:, 0] = torch.arange(lam.code_count)
    return translated(lam, translator, codes, 1)


@torch.no_grad()
def translated(lam: SlotModel, translator: Translator, codes: Tensor, budget: int) -> Tensor:
    """Compute action probabilities (n, A) of blocks of codes (n, M) that are cut to `budget`."""
    # a translator that sees codes alone is given no previous action
    nothing = torch.zeros(len(codes), 1, dtype=torch.long)
    return translator(lam.keep_prefix(codes, budget), nothing).float().softmax(-1)


@torch.no_grad()
def expert_actions(network: Any, piece: Piece, temperature: float) -> Tensor:
    """Compute a pixel expert's own action probabilities along an episode, (n, A), given what it did before."""
    n = len(piece.actions)
    begins = torch.zeros(n, dtype=torch.bool)
    begins[0] = True
    previous = F.pad(piece.actions[:-1], (1, 0))
    frames = piece.frames[:n].movedim(1, -1)
    state, found = torch.zeros(1, network.config.gru), []
    for part in torch.arange(n).split(256):
        logits, _, state = network(frames[part][:, None], previous[part, None], begins[part, None], state)
        found.append(logits[:, 0])
    return (torch.cat(found) / temperature).softmax(-1)


def encoded(lam: SlotModel, piece: Piece) -> Tensor:
    """Encode the transitions of a piece: int64 (n, M)."""
    return encode_rows(lam, piece.frames, 64)[:-1].long()


def channel(probabilities: Tensor, actions: Tensor) -> Tensor:
    """Mean probabilities (A, A) that are read from the codes of each action; an action that never occurs is read as
    itself.

    Args:
        probabilities: (n, A), read from the true codes.
        actions: (n,).
    """
    count = probabilities.shape[-1]
    read = torch.eye(count)
    for action in actions.unique().tolist():
        read[action] = probabilities[actions == action].mean(0)
    return read


def figures(probabilities: Tensor, actions: Tensor) -> dict[str, float]:
    """Negative log-likelihood in nats, accuracy of the likeliest action, and mean entropy in nats, of (n, A)."""
    logs = probabilities.clamp_min(1e-9).log()
    return {
        "nll": float(-logs.gather(-1, actions[:, None]).mean()),
        "accuracy": float((probabilities.argmax(-1) == actions).float().mean()),
        "entropy": float(-(probabilities * logs).sum(-1).mean()),
    }

"""One decision of a latent action policy (paper, algorithm 1).

It encodes the last transition with all slots, feeds its codes and the newest frame to the sequence model, generates the
first K codes, fills the other slots with the null, and translates.

Legend: `n` environments, `M` slots, `K` budget, `A` dimensions of an action, `R` rows of a chunk.
"""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flexlam_rl.agents.policy.decision import PARTS, Decision
from flexlam_rl.agents.policy.history import Chunk, PolicyState
from flexlam_rl.agents.policy.marks import Marks
from flexlam_rl.agents.policy.past_blocks import kept_codes
from flexlam_rl.models.flexlam.adaptive.rules import Stops
from flexlam_rl.models.interfaces import BudgetRule, Generated
from flexlam_rl.nn.action_head import choose_actions, draw_actions, no_action
from flexlam_rl.nn.modes import own_modes
from flexlam_rl.nn.threads import forked


def decide(
    policy: Any,
    state: PolicyState,
    frames: np.ndarray,
    starts: np.ndarray,
    budgets: np.ndarray,
    draws: np.ndarray | None,
    rule: BudgetRule | None = None,
) -> tuple[np.ndarray, Decision]:
    """Decide for all environments whose actions are wanted, chunk by chunk.

    Args:
        policy: A `LatentActionPolicy`, whose models, decoder, temperatures and executor are used.
        state: The history, which is advanced in place.
        frames: New frame of each environment, (n, C, H, W).
        starts: Whether an episode begins, (n,) bool.
        budgets: K of each environment, (n,).
        draws: Uniform numbers (n, W), first those of M latents and then those of actions; None for the likeliest codes
            and actions.
        rule: Rule that chooses K, up to that of `budgets`; None for K as given.

    Returns:
        Actions (n, A) in the form that models use, and a description of the decision.
    """
    spec = policy.translator.config.actions
    began = time.perf_counter()
    n = len(frames)
    playing = [chunk for chunk in state.chunks if state.playing[chunk.first : chunk.first + chunk.count].any()]

    def run(chunk: Chunk) -> tuple[Tensor, Generated, Marks, Tensor | None]:
        rows = slice(chunk.first, chunk.first + chunk.count)
        given = None if draws is None else draws[rows]
        multiplied = (
            len(chunk.frames) * policy.sequence.config.width * policy.sequence.config.ffn
            if policy.device.type == "cpu"
            else 0
        )
        with own_modes(multiplied):  # set here, because each thread of an executor has modes of its own
            return decide_chunk(
                policy, chunk, frames[rows], starts[rows], starts[rows] | state.restarted[rows], budgets[rows], given,
                rule, state.playing[rows],
            )  # fmt: skip

    # a forked process does not have the executor's threads
    executor = policy.executor if len(playing) > 1 and not forked() else None
    results = [run(chunk) for chunk in playing] if executor is None else list(executor.map(run, playing))
    widest = int(budgets.max())
    actions = np.zeros((n, spec.dims), np.float32 if spec.continuous else np.int64)
    latent = policy.lam.latent
    probabilities = np.full((n, widest), np.nan, np.float32)
    none: float = -1 if latent.codes else np.nan
    codes: np.ndarray = np.full((n, widest), none, np.int64) if latent.codes else np.full((n, widest, latent.dim), none)
    spent, estimates = budgets if rule is None else np.zeros(n, np.int64), np.full((n, widest), np.nan, np.float32)
    seconds = dict.fromkeys(PARTS, 0.0)
    remembered = None if policy.history is None else np.zeros(n, np.int64)
    for chunk, (chosen, made, times, kept) in zip(playing, results, strict=True):
        rows, width = slice(chunk.first, chunk.first + chunk.count), made.codes.shape[1]
        actions[rows] = chosen[: chunk.count].cpu().numpy()
        codes[rows, :width] = made.codes[: chunk.count].cpu().numpy()
        probabilities[rows, :width] = made.log_probs[: chunk.count].exp().cpu().numpy()
        if made.lengths is not None and made.estimates is not None:
            spent[rows] = np.where(state.playing[rows], made.lengths[: chunk.count].cpu().numpy(), 0)
            estimates[rows, :width] = made.estimates[: chunk.count].cpu().numpy()
        if remembered is not None and kept is not None:
            known = state.playing[rows] & ~starts[rows] & ~state.restarted[rows]
            remembered[rows] = np.where(known, kept[: chunk.count].cpu().numpy(), 0)
        for part, took in zip(PARTS, times.seconds(), strict=True):
            seconds[part] += took
    behind = np.arange(widest) >= spent[:, None]
    codes[behind], probabilities[behind] = none, np.nan
    widest = int(spent.max())
    state.restarted[:] = False
    state.spent[starts] = 0
    state.spent += spent
    state.remembered[starts] = 0
    if remembered is not None:
        state.remembered += remembered
    chosen_by = () if rule is None else (rule.name, rule.tolerance, estimates[:, :widest])
    seconds["total"] = time.perf_counter() - began
    made_by = Decision(spent, codes[:, :widest], probabilities[:, :widest], seconds, *chosen_by)
    return actions, replace(made_by, history=remembered)


def decide_chunk(
    policy: Any,
    chunk: Chunk,
    frames: np.ndarray,
    starts: np.ndarray,
    clear: np.ndarray,
    budgets: np.ndarray,
    draws: np.ndarray | None,
    rule: BudgetRule | None,
    playing: np.ndarray,
) -> tuple[Tensor, Generated, Marks, Tensor | None]:
    """Decide for the rows of a chunk.

    Args:
        policy: A `LatentActionPolicy`, whose models, decoder and temperatures are used.
        chunk: The history of R rows, which is advanced in place.
        frames, starts, budgets: As for `decide`, for the rows that are not padding.
        clear: Whether the history of such a row is forgotten, bool.
        draws: Uniform numbers of these rows; None for the likeliest codes and actions.
        rule: Rule that chooses K, up to that of `budgets`; None for K as given.
        playing: Whether the actions of such a row are wanted, bool.

    Returns:
        Actions (R, A); the generated codes (R, K) or vectors (R, K, d); the times at which each of `PARTS` ended; and
        the number of codes of the last transition that later decisions see, (R,), None for whole blocks.
        Without a rule or a searched history, nothing is read back from the device, so that a GPU may still be
        computing.
    """
    spec = policy.translator.config.actions
    size, device = len(chunk.frames), policy.device
    marks = Marks(device)

    def whole(rows: np.ndarray, fill: Any) -> Tensor:
        """Pad `rows` to R."""
        if len(rows) < size:
            rows = np.concatenate([rows, np.full((size - len(rows), *rows.shape[1:]), fill, rows.dtype)])
        return torch.from_numpy(np.ascontiguousarray(rows)).to(device)

    now, cleared, begun, lengths = whole(frames, 0), whole(clear, True), whole(starts, True), whole(budgets, 1)
    policy.decoder.clear(chunk.decode, cleared)
    chunk.previous = torch.where(begun[:, None], no_action(spec, 1, device), chunk.previous)
    # codes of rows at their first frame are computed but not used, so that the number of rows stays the same
    codes = None if clear.all() else policy.lam.encode(chunk.frames, now)
    marks.mark()
    kept, seen = None, {}
    if policy.history is not None and codes is not None:
        kept = kept_codes(policy.history, policy.lam, policy.translator, chunk.frames, now, codes)
        seen = {"kept": kept}
    hidden = policy.decoder.observe(chunk.decode, now, codes, **seen)
    chunk.frames.copy_(now)  # copied, because the caller may overwrite its frames
    marks.mark()
    most = int(budgets.max())
    codes_draws = None
    if draws is not None and policy.decoding.temperature > 0:
        codes_draws = whole(draws[:, : policy.decoder.numbers(most)], 0.0)
    stopped: dict[str, Any] = {}
    if rule is not None:
        stopped["stops"] = Stops(rule, hidden, most, whole(playing, False))
    decoded = policy.decoder.generate(
        chunk.decode, hidden, most, temperature=policy.decoding.temperature, draws=codes_draws, **stopped
    )
    lengths = lengths if decoded.lengths is None else decoded.lengths
    marks.mark()
    slots = policy.lam.keep_prefix_unchecked(decoded.codes, lengths)
    outputs = policy.translator(slots, chunk.previous, now)
    if draws is not None and policy.decoding.action_temperature > 0:
        numbers = whole(draws[:, policy.decoder.numbers(policy.slots) :], 0.0)
        actions = draw_actions(outputs, spec, numbers, policy.decoding.action_temperature)
    else:
        actions = choose_actions(outputs, spec)
    chunk.previous = actions.clone()
    marks.mark()
    return actions, decoded, marks, kept

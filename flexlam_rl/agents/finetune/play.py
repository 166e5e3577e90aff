"""Rollouts of a bundle whose prior trains: the prior draws codes, and the frozen translator turns them into actions.

Shapes: N environments, T steps, M slots, K budget, D width of the prior's states, G of its memory,
A dimensions of an action.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flexlam_rl.agents.experts.pixel.fleet import Episode, Fleet
from flexlam_rl.agents.experts.pixel.scales import Scales
from flexlam_rl.agents.experts.pixel.world import World
from flexlam_rl.agents.finetune.contexts import Context
from flexlam_rl.agents.finetune.recipe import PriorRecipe
from flexlam_rl.agents.policy.bundle import Bundle
from flexlam_rl.envs.action_values import environment_actions
from flexlam_rl.envs.episodes import map_resets
from flexlam_rl.models.flexlam.priors import Prior, decoder_of
from flexlam_rl.models.flexlam.recurrent.decode import RecurrentState
from flexlam_rl.nn.action_head import choose_actions, no_action


class PriorRows(nn.Module):
    """State of the environments between two steps, as buffers that a run's state keeps."""

    def __init__(self, rows: int, tasks: int, none: Tensor) -> None:
        super().__init__()
        self.totals: Tensor
        self.seeds: Tensor
        self.counters: Tensor
        self.cut: Tensor
        self.starts: Tensor
        self.previous: Tensor
        self.register_buffer("totals", torch.zeros(rows, dtype=torch.float64))
        self.register_buffer("seeds", torch.zeros(rows, dtype=torch.int64))
        self.register_buffer("counters", torch.zeros(tasks, dtype=torch.int64))  # episodes begun per task
        self.register_buffer("cut", torch.ones(rows, dtype=torch.bool))  # a history begins at the next frame
        self.register_buffer("starts", torch.ones(rows, dtype=torch.bool))  # an episode begins at the next frame
        self.register_buffer("previous", none)  # the last actions, (N, A)


@dataclass
class PriorSegments:
    """A rollout.

    Attributes:
        frames, blocks, chosen: Frames, code blocks and chosen codes, (N, T, ...), as `windows` takes them.
        cuts: Whether a history begins anew at a frame, bool (N, T + 1).
        log_probs: Log-probability of all chosen codes of a step, (T, N).
        values, rewards, ends, after: (T, N), as `estimate_advantages` takes them, but `values` are normalized.
        last: Normalized value after the last step, (N,).
        memory: A recurrent prior's memory after the last step's frame, (N, G); empty for others.
        finished: Task and return of each episode that ended.
    """

    frames: Tensor
    blocks: Tensor
    chosen: Tensor
    cuts: Tensor
    log_probs: Tensor
    values: Tensor
    rewards: Tensor
    ends: Tensor
    after: Tensor
    last: Tensor = field(default_factory=lambda: torch.zeros(0))
    memory: Tensor = field(default_factory=lambda: torch.zeros(0))
    finished: list[tuple[int, float]] = field(default_factory=list)

    @classmethod
    def empty(cls, time: int, rows: int, frame: tuple[int, ...], slots: int, budget: int) -> "PriorSegments":
        """Allocate a rollout."""
        return cls(
            frames=torch.zeros(rows, time, *frame, dtype=torch.uint8),
            blocks=torch.zeros(rows, time, slots, dtype=torch.int64),
            chosen=torch.zeros(rows, time, budget, dtype=torch.int64),
            cuts=torch.zeros(rows, time + 1, dtype=torch.bool),
            log_probs=torch.zeros(time, rows),
            values=torch.zeros(time, rows),
            rewards=torch.zeros(time, rows),
            ends=torch.zeros(time, rows, dtype=torch.bool),
            after=torch.zeros(time, rows),
        )


class PriorCollector:
    """Plays a batch with a prior that trains.

    Args:
        world: The world that makes the environments.
        recipe: The number of environments, their tasks, and the budget.
        bundle: The bundle whose LAM and translator play; they do not change.
        rows, context: State of the environments, changed in place.
        history: Actions of each environment since its episode began, which are played again; None begins new episodes.
    """

    def __init__(
        self, world: World, recipe: PriorRecipe, bundle: Bundle, rows: PriorRows, context: Context,
        history: list[Episode] | None = None,
    ) -> None:  # fmt: skip
        self.recipe, self.rows, self.context = recipe, rows, context
        self.lam, self.translator = bundle.lam, bundle.translator
        self.actions = bundle.translator.config.actions
        self.fleet = Fleet(world, recipe.tasks, recipe.envs, rows, history)
        if history is None:
            self.fleet.begin(np.ones(recipe.envs, np.bool_))
        else:
            self.fleet.replay()

    @torch.no_grad()
    def collect(self, prior: Prior, value: nn.Linear, random: np.random.Generator, scales: Scales) -> PriorSegments:
        """Play `recipe.rollout` steps in every environment.

        Args:
            prior: The prior that draws the codes.
            value: Layer that predicts normalized values per task from the prior's states.
            random: Generator of all draws.
            scales: Scales that convert the values at time-outs to returns.

        Returns:
            The rollout.
        """
        n, time, rows, context = self.recipe.envs, self.recipe.rollout, self.rows, self.context
        tasks, device = torch.from_numpy(self.fleet.tasks), value.weight.device
        decoder = decoder_of(prior)
        state = context.state(decoder)
        out = PriorSegments.empty(time, n, context.frames.shape[2:], context.blocks.shape[2], self.recipe.budget)
        out.cuts[:, 0] = rows.cut
        now, before = self._frames(device), context.frames[:, -1].to(device)

        def observe(state: Any, before: Tensor, now: Tensor, cut: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
            codes = None if bool(cut.all()) else self.lam.encode(before, now)
            decoder.clear(state, cut.to(device))
            hidden = decoder.observe(state, now, codes)
            return hidden, value(hidden).cpu().gather(1, tasks[:, None])[:, 0], codes

        for t in range(time):
            hidden, out.values[t], codes = observe(state, before, now, rows.cut)
            if codes is not None:
                (out.blocks[:, t - 1] if t else context.blocks[:, -1]).copy_(codes)
            draws = torch.from_numpy(random.random((n, self.recipe.budget))).to(device)
            made = decoder.generate(state, hidden, self.recipe.budget, draws=draws)
            out.frames[:, t], out.chosen[:, t], out.log_probs[t] = (
                now.cpu(),
                made.codes.cpu(),
                made.log_probs.sum(1).cpu(),
            )
            none = no_action(self.actions, n)
            previous = torch.where(rows.starts[:, None], none, rows.previous).to(device)
            slots = self.lam.keep_prefix(made.codes, self.recipe.budget)
            rows.previous = choose_actions(self.translator(slots, previous, now), self.actions).cpu()
            played = environment_actions(rows.previous.numpy().copy(), self.actions)
            rewards, terminated, truncated, infos = self.fleet.step(played)
            out.rewards[t] = torch.from_numpy(rewards)
            ended = terminated | truncated
            out.ends[t] = torch.from_numpy(ended)
            before, now = now, self._frames(device)
            if truncated.any():
                reached = observe(copy.deepcopy(state), before, now, torch.zeros(n, dtype=torch.bool))[1]
                out.after[t] = torch.where(torch.from_numpy(truncated), scales.raw(reached, tasks), 0.0)
            rows.starts = torch.from_numpy(ended.copy())
            rows.cut = torch.from_numpy(ended | map_resets(infos, n))
            out.cuts[:, t + 1] = rows.cut
            if ended.any():
                out.finished += [(int(self.fleet.tasks[i]), float(rows.totals[i])) for i in np.flatnonzero(ended)]
                self.fleet.begin(ended)
                now = self._frames(device)
        if isinstance(state, RecurrentState):
            out.memory = state.memory.cpu().clone()
        out.last = observe(state, before, now, rows.cut)[1]
        return out

    def _frames(self, device: torch.device) -> Tensor:
        """Return the newest frames, uint8 (N, C, H, W)."""
        return torch.from_numpy(self.fleet.frames).movedim(-1, 1).contiguous().to(device)

    def close(self) -> None:
        """Close the batch."""
        self.fleet.close()

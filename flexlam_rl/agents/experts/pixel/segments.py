"""Collecting rollouts on a batch; each environment's segment is driven by the student or by the teacher.

Shapes: T time, N environments, H W frame, G width of the recurrent state.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flexlam_rl.agents.experts.pixel.fleet import Episode, Fleet
from flexlam_rl.agents.experts.pixel.network import PixelNetwork
from flexlam_rl.agents.experts.pixel.recipe import Recipe
from flexlam_rl.agents.experts.pixel.world import World

NO_CHOICE = -1


class Rows(nn.Module):
    """State of the environments between two steps, as buffers that a run's state keeps."""

    def __init__(self, rows: int, tasks: int, width: int, tail: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.hidden: Tensor
        self.previous: Tensor
        self.begins: Tensor
        self.totals: Tensor
        self.seeds: Tensor
        self.counters: Tensor
        self.anchored: Tensor
        self.register_buffer("hidden", torch.zeros(rows, width))
        self.register_buffer("previous", torch.zeros(rows, *tail, dtype=torch.int64))
        self.register_buffer("begins", torch.ones(rows, dtype=torch.bool))
        self.register_buffer("totals", torch.zeros(rows, dtype=torch.float64))
        self.register_buffer("seeds", torch.zeros(rows, dtype=torch.int64))
        self.register_buffer("counters", torch.zeros(tasks, dtype=torch.int64))  # episodes begun per task


@dataclass
class Segments:
    """A rollout: T steps of N environments.

    Tensors have the leading shape (T, N), except these: `hidden` (N, G), the state before the first step; `last` (N,),
    the value after the last step; and `driven` (N,), whether the teacher drove. `anchor` (T, N, A) holds the
    log-probabilities of the policy that the training started from, or is None where `Recipe.anchor` is 0.
    """

    frames: Tensor
    previous: Tensor
    begins: Tensor
    actions: Tensor
    choices: Tensor
    log_probs: Tensor
    likeliest: Tensor
    entropies: Tensor
    values: Tensor
    rewards: Tensor
    ends: Tensor
    after: Tensor
    hidden: Tensor
    driven: Tensor
    anchor: Tensor | None = None
    last: Tensor = field(default_factory=lambda: torch.zeros(0))
    finished: list[tuple[int, float]] = field(default_factory=list)

    @classmethod
    def empty(
        cls, time: int, frame: tuple[int, ...], hidden: Tensor, driven: Tensor, tail: tuple[int, ...] = ()
    ) -> "Segments":
        """Allocate a rollout whose actions have the shape (T, N, *tail)."""
        rows = len(driven)

        def whole(tail: tuple[int, ...] = ()) -> Tensor:
            return torch.zeros(time, rows, *tail, dtype=torch.int64)

        def real() -> Tensor:
            return torch.zeros(time, rows)

        return cls(
            frames=torch.zeros(time, rows, *frame, dtype=torch.uint8),
            previous=whole(tail),
            begins=torch.zeros(time, rows, dtype=torch.bool),
            actions=whole(tail),
            choices=torch.full((time, rows), NO_CHOICE),
            log_probs=real(),
            likeliest=whole(),
            entropies=real(),
            values=real(),
            rewards=real(),
            ends=torch.zeros(time, rows, dtype=torch.bool),
            after=real(),
            hidden=hidden,
            driven=driven,
        )


class Collector:
    """Plays a batch with the student and the teacher.

    Args:
        world: The world that makes the environments.
        recipe: The number of environments, their tasks, and the teacher.
        rows: State of the environments, changed in place.
        history: Actions of each environment since its episode began, which are played again; None begins new episodes.
        anchor: The policy that the training started from; its log-probabilities are kept too.
    """

    def __init__(
        self,
        world: World,
        recipe: Recipe,
        rows: Rows,
        history: list[Episode] | None = None,
        anchor: PixelNetwork | None = None,
    ) -> None:
        self.recipe, self.rows, self.anchor = recipe, rows, anchor
        self.fleet = Fleet(world, recipe.tasks, recipe.envs, rows, history)
        named = recipe.teacher != "none"
        self.teacher = world.teacher(self.fleet.batch, recipe.teacher, recipe.teacher_memory) if named else None
        if history is None:
            self._begin(np.ones(recipe.envs, np.bool_))
        else:
            self.fleet.replay(self._advise)

    @property
    def tasks(self) -> np.ndarray:
        """Number of each environment's task, (N,)."""
        return self.fleet.tasks

    @property
    def history(self) -> list[Episode]:
        """Actions of each environment since its episode began."""
        return self.fleet.history

    def close(self) -> None:
        """Close the batch."""
        self.fleet.close()

    def _begin(self, mask: np.ndarray) -> None:
        """Begin the next episodes of some environments."""
        self.fleet.begin(mask)
        self.rows.begins[torch.from_numpy(mask)] = True

    def _advise(self, actions: np.ndarray | None = None) -> np.ndarray | None:
        """Return the teacher's choices for the present state; `actions` are taken in their place."""
        if self.teacher is None:
            return None
        choices = np.asarray(self.teacher.predict(self.fleet.frames)[0])
        if actions is not None:
            self._tell(actions)
        return choices

    def _tell(self, actions: np.ndarray) -> None:
        """Tell the teacher which actions are taken."""
        if self.teacher is not None and hasattr(self.teacher, "took"):
            self.teacher.took(actions)

    @torch.no_grad()
    def collect(self, network: PixelNetwork, random: np.random.Generator, share: float, scales: Any) -> Segments:
        """Play `recipe.rollout` steps in every environment.

        Args:
            network: The student.
            random: Generator of all draws.
            share: Expected share of environments that the teacher drives.
            scales: Scales that convert the values at time-outs to returns.

        Returns:
            The rollout.
        """
        n, time, rows = self.recipe.envs, self.recipe.rollout, self.rows
        device = next(network.parameters()).device
        tasks = torch.from_numpy(self.tasks)
        driven = random.random(n) < share
        out = Segments.empty(
            time, self.fleet.frames.shape[1:], rows.hidden.clone(), torch.from_numpy(driven), network.config.tail
        )

        def ask(begins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            seen = torch.from_numpy(self.fleet.frames)[None].to(device)
            inputs = (rows.previous[None].to(device), begins[None].to(device), rows.hidden.to(device))
            logits, values, hidden = (part.cpu() for part in network(seen, *inputs))
            return logits[0].log_softmax(-1), values[0].gather(1, tasks[:, None])[:, 0], hidden

        anchored: list[Tensor] = []
        for t in range(time):
            out.frames[t] = torch.from_numpy(self.fleet.frames)
            if self.anchor is not None:
                anchored.append(self._anchored())
            out.previous[t], out.begins[t] = rows.previous, rows.begins
            logs, values, hidden = ask(rows.begins)
            out.values[t] = values
            # the Gumbel trick draws from a softmax
            noise = -np.log(-np.log(random.random(logs.shape).clip(1e-12, 1 - 1e-12)))
            actions = (logs.double().numpy() + noise).argmax(-1)
            choices = self._advise()
            if choices is not None:
                actions = np.where(driven, choices, actions)
                out.choices[t] = torch.from_numpy(choices)
                self._tell(actions)
            chosen = torch.from_numpy(actions)
            out.actions[t] = chosen
            if choices is not None:
                out.likeliest[t] = logs.argmax(-1)
            out.log_probs[t] = network.together(logs.gather(-1, chosen[..., None])[..., 0])
            out.entropies[t] = network.together(-(logs.exp() * logs).sum(-1))
            rewards, terminated, truncated, _ = self.fleet.step(actions)
            out.rewards[t] = torch.from_numpy(rewards)
            rows.hidden, rows.previous = hidden, chosen
            rows.begins = torch.zeros(n, dtype=torch.bool)
            ended = terminated | truncated
            out.ends[t] = torch.from_numpy(ended)
            if truncated.any():
                after = scales.raw(ask(rows.begins)[1], tasks)
                out.after[t] = torch.where(torch.from_numpy(truncated), after, 0.0)
            if ended.any():
                out.finished += [(int(self.tasks[i]), float(rows.totals[i])) for i in np.flatnonzero(ended)]
                self._begin(ended)
        out.last = ask(rows.begins)[1]
        out.anchor = torch.stack(anchored) if anchored else None
        return out

    def _anchored(self) -> Tensor:
        """Compute the log-probabilities (N, A) of the first policy, which has a recurrent state of its own."""
        assert self.anchor is not None
        rows, device = self.rows, next(self.anchor.parameters()).device
        inputs = (rows.previous[None].to(device), rows.begins[None].to(device), rows.anchored.to(device))
        logits, _, hidden = self.anchor(torch.from_numpy(self.fleet.frames)[None].to(device), *inputs)
        rows.anchored = hidden.cpu()
        return logits[0].log_softmax(-1).cpu()

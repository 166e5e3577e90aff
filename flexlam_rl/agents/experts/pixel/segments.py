"""Collecting rollouts on a batch, each environment's segment driven by the student or by the teacher.

Shapes: T time, N environments, H W frame, G width of the recurrent state.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from flexlam_rl.agents.experts.pixel.network import PixelNetwork
from flexlam_rl.agents.experts.pixel.recipe import Recipe
from flexlam_rl.agents.experts.pixel.world import World
from flexlam_rl.envs.observations import frames_of

NO_CHOICE = -1


class Rows(nn.Module):
    """The state of the environments between two steps, as buffers that a run's state keeps."""

    def __init__(self, rows: int, tasks: int, width: int) -> None:
        super().__init__()
        self.hidden: Tensor
        self.previous: Tensor
        self.begins: Tensor
        self.totals: Tensor
        self.seeds: Tensor
        self.counters: Tensor
        self.register_buffer("hidden", torch.zeros(rows, width))
        self.register_buffer("previous", torch.zeros(rows, dtype=torch.int64))
        self.register_buffer("begins", torch.ones(rows, dtype=torch.bool))
        self.register_buffer("totals", torch.zeros(rows, dtype=torch.float64))
        self.register_buffer("seeds", torch.zeros(rows, dtype=torch.int64))
        self.register_buffer("counters", torch.zeros(tasks, dtype=torch.int64))  # episodes begun per task


@dataclass
class Segments:
    """A rollout: T steps of N environments; tensors of leading shape (T, N) but for `hidden` (N, G), `last` (N,),
    raw value after the last step, and `driven` (N,), whether the teacher drove.
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
    last: Tensor = field(default_factory=lambda: torch.zeros(0))
    finished: list[tuple[int, float]] = field(default_factory=list)

    @classmethod
    def empty(cls, time: int, rows: int, frame: tuple[int, ...], hidden: Tensor, driven: Tensor) -> "Segments":
        """Room for a rollout."""

        def whole() -> Tensor:
            return torch.zeros(time, rows, dtype=torch.int64)

        def real() -> Tensor:
            return torch.zeros(time, rows)

        return cls(
            frames=torch.zeros(time, rows, *frame, dtype=torch.uint8),
            previous=whole(),
            begins=torch.zeros(time, rows, dtype=torch.bool),
            actions=whole(),
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
        world: Where.
        recipe: How many environments, of which tasks, and who teaches.
        rows: State of the environments; `resume` continues it, `start` begins anew.
        history: Actions of each environment since its episode began; with the seed they are the world's state.
    """

    def __init__(self, world: World, recipe: Recipe, rows: Rows, history: list[list[int]] | None = None) -> None:
        self.world, self.recipe, self.rows = world, recipe, rows
        self.tasks = np.arange(recipe.envs) % len(recipe.tasks)
        self.batch = world.make([recipe.tasks[i] for i in self.tasks])
        named = recipe.teacher != "none"
        self.teacher = world.teacher(self.batch, recipe.teacher, recipe.teacher_memory) if named else None
        self.history: list[list[int]] = [[] for _ in range(recipe.envs)] if history is None else history
        self.frames: np.ndarray
        if history is None:
            self._begin(np.ones(recipe.envs, np.bool_))
        else:
            self._replay()

    def close(self) -> None:
        """Close the batch."""
        self.batch.close()

    def _reset(self, mask: np.ndarray) -> None:
        options = {"reset_mask": mask.copy(), "episode_seeds": self.rows.seeds.tolist()}
        self.frames = frames_of(self.batch.reset(options=options)[0])

    def _begin(self, mask: np.ndarray) -> None:
        """Begin the next episodes of some environments."""
        for i in np.flatnonzero(mask).tolist():
            task = int(self.tasks[i])
            key = int(self.rows.counters[task])
            self.rows.counters[task] += 1
            self.rows.seeds[i] = int(self.world.seeds(self.recipe.tasks[task], [key])[0])
            self.history[i] = []
        self._reset(mask)
        self.rows.begins[torch.from_numpy(mask)] = True
        self.rows.totals[torch.from_numpy(mask)] = 0.0

    def _replay(self) -> None:
        """Bring fresh worlds, and the teacher, to where the history ends."""
        lengths = np.array([len(actions) for actions in self.history])
        longest, done = int(lengths.max()), np.ones(len(lengths), np.bool_)
        for step in range(longest + 1):
            due = (longest - lengths == step) | done
            if due.any():
                self._reset(due)
            if step < longest:
                first = step - (longest - lengths)  # of its history; what waits plays anything meanwhile
                pairs = zip(self.history, first, strict=True)
                actions = np.array([told[at] if at >= 0 else 0 for told, at in pairs])
                self._advise(actions)
                observation, _, terminated, truncated, _ = self.batch.step(actions)
                self.frames, done = frames_of(observation), terminated | truncated

    def _advise(self, actions: np.ndarray | None = None) -> np.ndarray | None:
        """The teacher's choices for the present state; `actions` are done in their place."""
        if self.teacher is None:
            return None
        choices = np.asarray(self.teacher.predict(self.frames)[0])
        if actions is not None:
            self._tell(actions)
        return choices

    def _tell(self, actions: np.ndarray) -> None:
        """Tell the teacher what is done."""
        if self.teacher is not None and hasattr(self.teacher, "took"):
            self.teacher.took(actions)

    @torch.no_grad()
    def collect(self, network: PixelNetwork, random: np.random.Generator, share: float, scales: Any) -> Segments:
        """Play `recipe.rollout` steps everywhere.

        Args:
            network: The student.
            random: Draws everything.
            share: Of environments that the teacher drives.
            scales: Give values of time-outs back as returns.
        """
        n, time, rows = self.recipe.envs, self.recipe.rollout, self.rows
        device = next(network.parameters()).device
        tasks = torch.from_numpy(self.tasks)
        driven = random.random(n) < share
        out = Segments.empty(time, n, self.frames.shape[1:], rows.hidden.clone(), torch.from_numpy(driven))

        def ask(begins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            seen = torch.from_numpy(self.frames)[None].to(device)
            inputs = (rows.previous[None].to(device), begins[None].to(device), rows.hidden.to(device))
            logits, values, hidden = (part.cpu() for part in network(seen, *inputs))
            return logits[0].log_softmax(-1), values[0].gather(1, tasks[:, None])[:, 0], hidden

        for t in range(time):
            out.frames[t] = torch.from_numpy(self.frames)
            out.previous[t], out.begins[t] = rows.previous, rows.begins
            logs, values, hidden = ask(rows.begins)
            out.values[t] = values
            # Gumbel's way of drawing from a softmax
            noise = -np.log(-np.log(random.random(logs.shape).clip(1e-12, 1 - 1e-12)))
            actions = (logs.double().numpy() + noise).argmax(1)
            choices = self._advise()
            if choices is not None:
                actions = np.where(driven, choices, actions)
                out.choices[t] = torch.from_numpy(choices)
                self._tell(actions)
            chosen = torch.from_numpy(actions)
            out.actions[t], out.likeliest[t] = chosen, logs.argmax(-1)
            out.log_probs[t] = logs.gather(1, chosen[:, None])[:, 0]
            out.entropies[t] = -(logs.exp() * logs).sum(-1)
            observation, rewards, terminated, truncated, _ = self.batch.step(actions)
            self.frames = frames_of(observation)
            for told, action in zip(self.history, actions.tolist(), strict=True):
                told.append(action)
            out.rewards[t] = torch.from_numpy(np.asarray(rewards, np.float32))
            rows.totals += torch.from_numpy(np.asarray(rewards, np.float64))
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
        return out

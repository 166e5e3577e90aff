"""Likelihood of the newest frame, or of the whole window, under a model of frames or of their codes.

Shapes: n environments, w frames of a window, C H W frame.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from flexlam_rl.agents.rewards.density import Scores
from flexlam_rl.models.interfaces import FrameDensity
from flexlam_rl.models.videogpt.maskgit import MaskGIT
from flexlam_rl.models.videogpt.prior import Told
from flexlam_rl.models.videogpt.videogpt import VideoGPT
from flexlam_rl.nn.modes import in_own_modes
from flexlam_rl.utils.numbers import whole

Mode = Literal["conditional", "joint"]


class WindowDensity:
    """Remembers a window of each row, and scores it with the newest frame at its end.

    At the beginning of an episode, the window holds the frames that there are; while fewer than `stride` steps have
    passed, its past is the episode's first frame. A joint likelihood of a short window is scaled up to the length of a
    whole one, so that short windows do not score higher.

    Args:
        model: A `VideoGPT` with codes per frame, a `MaskGIT` of frames, or any model with `log_prob(frames)`.
        rows: Number of environments, n.
        window: Number of frames of a window, w, including the newest; None for the model's own length.
        stride: Number of steps from one frame of the window to the next.
        mode: "conditional" for ln p(newest | before), equation 6.7 of the dissertation. "joint" for ln p(window), the
            default of VIPER's released code.
        task: Name of the task, for a model that is conditioned on tasks.

    Raises:
        ValueError: The model gives no likelihood of single frames, or an argument does not fit it.
    """

    figure = "viper_log_prob"

    def __init__(
        self,
        model: Any,
        rows: int,
        window: int | None = None,
        stride: int = 1,
        mode: Mode = "conditional",
        task: str | None = None,
    ) -> None:
        if not isinstance(model, FrameDensity):
            raise ValueError(f"A {type(model).__name__} has no log_prob(frames); VIPER needs a model that has one.")
        if not getattr(model, "causal", True):
            raise ValueError(
                "The codes of this model belong to several frames; a reward per frame needs a model trained with "
                "per_frame."
            )
        longest = getattr(model, "frames", None)
        if window is None and longest is None:
            raise ValueError("window is None, and the model does not say how many frames it takes; expected a number.")
        self.window = whole(longest if window is None else window, "window", 2, longest)
        self.stride, self.rows, self.mode = whole(stride, "stride", 1), whole(rows, "rows", 1), mode
        if mode not in ("conditional", "joint"):
            raise ValueError(f"mode is {mode!r}; expected 'conditional' or 'joint'.")
        self.model = model
        self._encode, self._logs = _parts(model, task, mode)
        self._past: Tensor | None = None  # (n, span, ...), the newest last
        self._age = torch.zeros(rows, dtype=torch.long)
        self._newest: tuple[Tensor, Tensor] | None = None

    @in_own_modes
    def score(self, frames: Tensor) -> Scores:
        """Score the newest frames, as `Density` describes."""
        if self._past is None:
            raise ValueError("score is asked for before any episode has begun; expected advance first.")
        items = self._encode(frames)
        self._newest = (frames, items)
        totals: Tensor | None = None
        codes: Tensor | None = None
        for ages in self._groups():
            rows = (self._past_age(self._age) == ages).nonzero()[:, 0]
            back = self._offsets(ages)
            window = torch.cat([self._past[rows][:, back], items[rows, None]], dim=1)
            logs = self._logs(window)
            newest = logs[:, -1]
            total = newest.flatten(1).sum(1)
            if self.mode == "joint":
                total = logs.flatten(1).sum(1) * (self.window / window.shape[1])
            if totals is None or codes is None:
                totals = torch.zeros(self.rows, dtype=total.dtype, device=total.device)
                codes = torch.zeros(self.rows, *newest.shape[1:], dtype=newest.dtype, device=newest.device)
            totals[rows], codes[rows] = total, newest
        assert totals is not None and codes is not None
        return Scores(totals, codes)

    @in_own_modes
    def advance(self, frames: Tensor, begins: Tensor) -> None:
        """Take in frames, as `Density` describes."""
        begins = begins.cpu()
        known = self._newest is not None and self._newest[0] is frames
        items = self._newest[1] if known and self._newest is not None else self._encode(frames)
        self._newest = None
        if self._past is None:
            shape = (self.rows, (self.window - 1) * self.stride, *items.shape[1:])
            self._past = torch.zeros(shape, dtype=items.dtype, device=items.device)
        self._past = torch.cat([self._past[:, 1:], items[:, None]], dim=1)
        self._age = torch.where(begins, 1, self._age + 1)

    def _past_age(self, age: Tensor) -> Tensor:
        """Number of past frames of a row, limited to the largest number that makes a difference."""
        return age.clamp(1, (self.window - 1) * self.stride)

    def _groups(self) -> list[int]:
        return self._past_age(self._age).unique().tolist()

    def _offsets(self, age: int) -> list[int]:
        """Indices in `_past` of a window's past frames, the oldest first, for rows that have seen `age` frames."""
        steps = [k * self.stride for k in range(self.window - 1, 0, -1) if k * self.stride <= age] or [age]
        return [-step for step in steps]


def _parts(model: Any, task: str | None, mode: Mode) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Make two functions: from frames to what a window holds of them, and from windows to log-likelihoods (n, w, ...).

    In mode "conditional", the second may return only those of the last frame.
    """
    tasks: tuple[str, ...] = ()
    if isinstance(model, VideoGPT):
        own = model.config.prior
        tasks = own.tasks
        told_more = [name for name in ("actions", "latents", "context_frames") if getattr(own, name)]
        if told_more:
            raise ValueError(
                f"This model is told {told_more[0]}, which video alone does not give; VIPER needs one without."
            )
    if (task is not None) != bool(tasks) or (task is not None and task not in tasks):
        known = f"one of {', '.join(tasks)}" if tasks else "None, for this model is told no task"
        raise ValueError(f"task is {task!r}; expected {known}.")
    if isinstance(model, MaskGIT):
        last = mode == "conditional"
        return lambda frames: model.encode(frames[:, None])[:, 0], lambda window: model.window_log_probs(window, last)
    if not isinstance(model, VideoGPT):
        return lambda frames: frames, lambda window: model.log_prob(window)[..., None]
    number = tasks.index(task) if task is not None else 0

    def logs(window: Tensor) -> Tensor:
        rows = torch.full((len(window),), number, device=window.device)
        return model.prior.log_probs(window, Told(tasks=rows if tasks else None)).view(window.shape)

    return lambda frames: model.encode(frames[:, None])[:, 0], logs

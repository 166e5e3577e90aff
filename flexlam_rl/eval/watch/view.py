"""What is seen of a game at one moment: plain arrays and numbers.

Legend: `M` slots, `K` budget, `d` numbers per slot, `H W` frame.
"""

from dataclasses import dataclass
from typing import Any

from flexlam_rl.utils.pictures import Picture


@dataclass(frozen=True)
class View:
    """A decision and what came of it; before the first one, the frame alone.

    Attributes:
        task, seed: Of the episode.
        step: Decisions made.
        slots: M.
        asked: The budget of the next decision, a number or words.
        frame: What was seen when it was decided, (H, W, 3) uint8.
        top_down: The world from above at that moment; None where it cannot be seen so.
        instruction: What the task said then, "" where it says nothing.
        budget: K of the decision, 0 before the first.
        reason: Who set it, in words.
        codes: The K codes, or vectors of d numbers.
        probabilities: Of each code under the prior, given those before it; None where there is none.
        predicted: The next frame, decoded from `frame` and the K codes; None where the model predicts no pixels.
        next_frame: The true one.
        action: What was done, in words.
        expert: What the reference expert would have done; None where there is none.
        reward: Of the step.
        total: Return so far.
        over: Whether the episode has ended.
        map_restarted: Whether the map restarted within the step, so that the true next frame follows from nothing.
        seconds: Wall-clock of the policy's decision.
    """

    task: str
    seed: int
    step: int
    slots: int
    asked: int | str
    frame: Picture
    top_down: Picture | None = None
    instruction: str = ""
    budget: int = 0
    reason: str = ""
    codes: tuple[Any, ...] = ()
    probabilities: tuple[float | None, ...] = ()
    predicted: Picture | None = None
    next_frame: Picture | None = None
    action: str | None = None
    expert: str | None = None
    reward: float = 0.0
    total: float = 0.0
    over: bool = False
    map_restarted: bool = False
    seconds: float = 0.0

    def facts(self) -> dict[str, Any]:
        """Everything but the pictures, as JSON values."""
        pictures = ("frame", "top_down", "predicted", "next_frame")
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if name not in pictures
        }

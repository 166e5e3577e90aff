"""The view of a game at one moment, as plain arrays and numbers.

Legend: `M` slots, `K` budget, `d` numbers per slot, `H W` frame.
"""

from dataclasses import dataclass
from typing import Any

from flexlam_rl.utils.pictures import Picture


@dataclass(frozen=True)
class View:
    """A decision and its result; before the first decision, only the frame.

    Attributes:
        task, seed: Task and seed of the episode.
        step: Number of decisions so far.
        slots: Number of slots, M.
        asked: Budget of the next decision, a number or words.
        frame: Frame in which the decision was made, (H, W, 3) uint8.
        top_down: The world from above at that moment; None where there is no such view.
        instruction: Instruction at that moment, "" for none.
        budget: K of the decision, 0 before the first.
        reason: Reason for K, in words.
        codes: The K codes, or vectors of d numbers.
        probabilities: Probability of each code under the prior, given the codes before it; None where there is none.
        predicted: The next frame, decoded from `frame` and the K codes; None where the model predicts no pixels.
        next_frame: The true next frame.
        action: The action, in words.
        expert: What the reference expert would have done; None without an expert.
        reward: Reward of the step.
        total: Return so far.
        over: Whether the episode has ended.
        map_restarted: Whether the map restarted within the step, so that the true next frame does not follow from it.
        seconds: Wall-clock time of the policy's decision.
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
        """Return everything except the pictures, as JSON values."""
        pictures = ("frame", "top_down", "predicted", "next_frame")
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if name not in pictures
        }

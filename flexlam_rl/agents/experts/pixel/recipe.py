"""What determines the training of a pixel expert; its fields are the options of `flexlam expert train`. No torch."""

from dataclasses import dataclass
from typing import Literal

from flexlam_rl.agents.experts.pixel.ppo import PPORecipe
from flexlam_rl.utils.numbers import real, whole


@dataclass(frozen=True, kw_only=True)
class Recipe(PPORecipe):
    """Recurrent PPO, kickstarted by a teacher: one policy for all tasks."""

    teacher: Literal["reactive", "scripted", "none"] = "reactive"
    """Expert whose choices are imitated; none is plain PPO. Between two updates, the student or the teacher drives."""
    teacher_memory: int | None = None
    """Steps for which the teacher remembers what it saw; by default its own."""
    clone_steps: int = 1_000_000
    """Steps at the beginning over which the teacher drives ever fewer segments, from all of them to none."""
    kickstart: float = 1.0
    """Weight of the cross-entropy to the teacher's choice at the beginning."""
    half_life: int = 200_000
    """Steps on a level, driven by the student, in which that level's weight halves."""
    gru: int = 256
    """Width of the recurrent layer."""
    channels: int = 16
    """Channels of the first convolution."""
    start: str | None = None
    """Folder of a pixel expert to start from, of the same sizes; None for fresh weights."""
    half: bool = False
    """Write `best` and `last` in float16, at half the size."""

    def check(self) -> None:
        """Raises ValueError for a number out of range."""
        super().check()
        for name in ("half_life", "gru", "channels"):
            whole(getattr(self, name), name, 1)
        whole(self.clone_steps, "clone_steps")
        real(self.kickstart, "kickstart")
        if self.teacher == "none" and self.teacher_memory is not None:
            raise ValueError(f"teacher_memory is {self.teacher_memory}, and there is no teacher: leave it out.")
        if self.anchor and self.start is None:
            raise ValueError(f"anchor is {self.anchor}, and there is nothing to start from: leave it out.")

    def drive_share(self, step: int) -> float:
        """Share of segments that the teacher drives at an agent step."""
        if self.teacher == "none" or step >= self.clone_steps:
            return 0.0
        return 1.0 - step / self.clone_steps

    def imitation(self, driven: int) -> float:
        """Weight of the cross-entropy on a level that the student has driven for so many steps."""
        if self.teacher == "none":
            return 0.0
        weight = self.kickstart * 0.5 ** (driven / self.half_life)
        return weight if weight >= 1e-3 * self.kickstart else 0.0

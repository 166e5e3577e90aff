"""The recipe of a pixel expert's training; its fields are the options of `flexlam expert train`. No torch."""

from dataclasses import dataclass
from typing import Literal

from flexlam_rl.agents.experts.pixel.ppo import PPORecipe
from flexlam_rl.utils.numbers import real, whole


@dataclass(frozen=True, kw_only=True)
class Recipe(PPORecipe):
    """Recurrent PPO, kickstarted by a teacher: one policy for all tasks."""

    teacher: Literal["reactive", "scripted", "none"] = "reactive"
    """Expert whose choices are imitated; `none` is plain PPO. Each segment is driven by the student or the teacher."""
    teacher_memory: int | None = None
    """Steps for which the teacher remembers what it saw; by default the teacher's own number."""
    clone_steps: int = 1_000_000
    """Agent steps over which the share of segments that the teacher drives falls from 1 to 0."""
    kickstart: float = 1.0
    """Initial weight of the cross-entropy to the teacher's choice."""
    half_life: int = 200_000
    """Number of steps that the student drives on a level until that level's weight halves."""
    gru: int = 256
    """Width of the recurrent layer."""
    channels: int = 16
    """Channels of the first convolution."""
    vision: Literal["coarse", "fine"] = "coarse"
    """Size of the kernels of the convolutions: 8x8, 4x4 and 3x3 (coarse), or 3x3 throughout (fine), which also see what
    is three pixels large, and take about 2.5 times as long.
    """
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of the convolutions in training; playing always computes in fp32. bf16 is faster on CPUs with matrix
    units (AMX), most of all with fine vision.
    """
    start: str | None = None
    """Folder of a pixel expert of the same sizes to start from; None for fresh weights."""
    half: bool = False
    """Write `best` and `last` in float16, at half the size."""

    def check(self) -> None:
        """Check all options.

        Raises:
            ValueError: A number is out of range, or an option is given that has no effect.
        """
        super().check()
        for name in ("half_life", "gru", "channels"):
            whole(getattr(self, name), name, 1)
        whole(self.clone_steps, "clone_steps")
        real(self.kickstart, "kickstart")
        if self.teacher == "none" and self.teacher_memory is not None:
            raise ValueError(f"teacher_memory is {self.teacher_memory}, but there is no teacher: leave it out.")
        if self.anchor and self.start is None:
            raise ValueError(f"anchor is {self.anchor}, but the training starts from fresh weights: leave it out.")

    def drive_share(self, step: int) -> float:
        """Return the share of segments that the teacher drives at an agent step."""
        if self.teacher == "none" or step >= self.clone_steps:
            return 0.0
        return 1.0 - step / self.clone_steps

    def imitation(self, driven: int) -> float:
        """Return the weight of the cross-entropy on a level after the student has driven there for `driven` steps."""
        if self.teacher == "none":
            return 0.0
        weight = self.kickstart * 0.5 ** (driven / self.half_life)
        return weight if weight >= 1e-3 * self.kickstart else 0.0

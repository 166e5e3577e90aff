"""What determines the training of a pixel expert; its fields are the options of `flexlam expert train`. No torch."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from flexlam_rl.utils.numbers import real, whole
from flexlam_rl.utils.plain import Plain

_FREE = ("steps", "device", "evaluate_every", "evaluation_episodes", "save_every", "half")


@dataclass(frozen=True, kw_only=True)
class Recipe(Plain):
    """Recurrent PPO, kickstarted by a teacher: one policy for all tasks."""

    tasks: tuple[str, ...] = ("suite",)
    """Names of tasks, `all` (of DMLab the paper's 16) or `suite` (those that are scored, of DMLab 11): one policy for
    all of them.
    """
    domain: str = "dmlab"
    """World that the tasks belong to, with discrete actions: dmlab, vizdoom, or one of an installed package."""
    steps: int = 20_000_000
    """Agent steps in all."""
    envs: int = 66
    """Environments that play at once, the tasks in turn."""
    rollout: int = 64
    """Steps of each environment between two updates: a segment, which the student or the teacher drives."""
    teacher: Literal["reactive", "scripted", "none"] = "reactive"
    """Expert whose choices are imitated; none is plain PPO."""
    teacher_memory: int | None = None
    """Steps for which the teacher remembers what it saw; by default its own."""
    clone_steps: int = 1_000_000
    """Steps at the beginning over which the teacher drives ever fewer segments, from all of them to none."""
    kickstart: float = 1.0
    """Weight of the cross-entropy to the teacher's choice at the beginning."""
    half_life: int = 200_000
    """Steps on a level, driven by the student, in which that level's weight halves."""
    learning_rate: float = 5e-4
    """Learning rate of Adam."""
    entropy: float = 0.003
    """Weight of the entropy bonus."""
    discount: float = 0.99
    """Discount of later rewards."""
    trace: float = 0.95
    """Lambda of generalised advantage estimation."""
    clip: float = 0.2
    """Largest change of a probability's ratio that PPO rewards."""
    epochs: int = 2
    """Passes over each rollout."""
    minibatches: int = 4
    """Updates per pass."""
    gru: int = 256
    """Width of the recurrent layer."""
    channels: int = 16
    """Channels of the first convolution."""
    evaluate_every: int = 500_000
    """Agent steps between evaluations."""
    evaluation_episodes: int = 5
    """Episodes of an evaluation per task."""
    save_every: int = 100_000
    """Agent steps between saves of the state."""
    half: bool = False
    """Write `best` and `last` in float16, at half the size."""
    seed: int = 0
    """Seed of weights, actions and episodes."""
    device: str = "cpu"
    """torch device."""

    def check(self) -> None:
        """Raises ValueError for a number out of range."""
        names = ("steps", "envs", "rollout", "half_life", "epochs", "minibatches", "gru", "channels")
        for name in (*names, "evaluate_every", "evaluation_episodes", "save_every"):
            whole(getattr(self, name), name, 1)
        whole(self.seed, "seed")
        whole(self.clone_steps, "clone_steps")
        for name in ("learning_rate", "entropy", "kickstart", "discount", "trace", "clip"):
            real(getattr(self, name), name)
        for name in ("discount", "trace"):
            if getattr(self, name) > 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 to 1.")
        if self.envs < max(len(self.tasks), self.minibatches):
            raise ValueError(
                f"envs is {self.envs}; expected at least {max(len(self.tasks), self.minibatches)}, for "
                f"{len(self.tasks)} tasks and {self.minibatches} minibatches."
            )
        if self.teacher == "none" and self.teacher_memory is not None:
            raise ValueError(f"teacher_memory is {self.teacher_memory}, and there is no teacher: leave it out.")

    @property
    def per_iteration(self) -> int:
        """Agent steps of a rollout."""
        return self.envs * self.rollout

    def same_run(self) -> dict[str, Any]:
        """What may not change when a run is resumed, as JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if name not in _FREE
        }

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

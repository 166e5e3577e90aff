"""What determines the training of a learned expert; its fields are the options of `flexlam expert train`. No torch."""

from dataclasses import asdict, dataclass
from typing import Any

from flexlam_rl.utils.numbers import real, whole
from flexlam_rl.utils.plain import Plain


@dataclass(frozen=True, kw_only=True)
class Recipe(Plain):
    """Recurrent PPO on one level."""

    level: str
    """Name of the level."""
    steps: int = 10_000_000
    """Agent steps in all."""
    num_envs: int = 32
    """Environments that play at once."""
    rollout: int = 128
    """Steps of each between two updates."""
    evaluate_every: int = 500_000
    """Agent steps between evaluations."""
    evaluation_episodes: int = 10
    """Episodes of an evaluation."""
    learning_rate: float = 2.5e-4
    """Of Adam."""
    entropy: float = 0.01
    """Weight of the entropy bonus."""
    lstm: int = 256
    """Width of the LSTM."""
    features: int = 256
    """Width of the picture's features."""
    seed: int = 0
    """Of weights, actions and episodes."""
    device: str = "auto"
    """torch device."""

    def check(self) -> None:
        """Raises ValueError for a number out of range."""
        for name in ("steps", "num_envs", "rollout", "evaluate_every", "evaluation_episodes", "lstm", "features"):
            whole(getattr(self, name), name, 1)
        whole(self.seed, "seed")
        for name in ("learning_rate", "entropy"):
            real(getattr(self, name), name)
        if self.num_envs * self.rollout < 2:
            raise ValueError("num_envs * rollout must be at least 2: one step is no batch.")

    def same_run(self) -> dict[str, Any]:
        """What may not change when a run is resumed."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in ("steps", "device", "evaluate_every", "evaluation_episodes")
        }

"""Options of all trainings by reward: proximal policy optimisation (Schulman et al., 2017). No torch."""

from dataclasses import asdict, dataclass
from typing import Any

from flexlam_rl.utils.numbers import real, whole
from flexlam_rl.utils.plain import Plain

_FREE = ("steps", "device", "evaluate_every", "evaluation_episodes", "save_every", "half")


@dataclass(frozen=True, kw_only=True)
class PPORecipe(Plain):
    """Proximal policy optimisation: one policy for all tasks."""

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
    """Steps of each environment between two updates."""
    learning_rate: float = 5e-4
    """Learning rate of Adam."""
    entropy: float = 0.003
    """Weight of the entropy bonus."""
    anchor: float = 0.0
    """Weight of the divergence from the policy that the training started from, KL(policy, start)."""
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
    evaluate_every: int = 500_000
    """Agent steps between evaluations."""
    evaluation_episodes: int = 5
    """Episodes of an evaluation per task."""
    save_every: int = 100_000
    """Agent steps between saves of the state."""
    seed: int = 0
    """Seed of weights, actions and episodes."""
    device: str = "cpu"
    """torch device."""

    def check(self) -> None:
        """Raises ValueError for a number out of range."""
        names = ("steps", "envs", "rollout", "epochs", "minibatches")
        for name in (*names, "evaluate_every", "evaluation_episodes", "save_every"):
            whole(getattr(self, name), name, 1)
        whole(self.seed, "seed")
        for name in ("learning_rate", "entropy", "anchor", "discount", "trace", "clip"):
            real(getattr(self, name), name)
        for name in ("discount", "trace"):
            if getattr(self, name) > 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 to 1.")
        if self.envs < max(len(self.tasks), self.minibatches):
            raise ValueError(
                f"envs is {self.envs}; expected at least {max(len(self.tasks), self.minibatches)}, for "
                f"{len(self.tasks)} tasks and {self.minibatches} minibatches."
            )

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

"""Options of all trainings by reward: proximal policy optimization (Schulman et al., 2017). No torch."""

from dataclasses import asdict, dataclass
from typing import Any

from flexlam_rl.utils.numbers import real, whole
from flexlam_rl.utils.plain import Plain

_FREE = ("steps", "device", "evaluate_every", "evaluation_episodes", "save_every", "half")


@dataclass(frozen=True, kw_only=True)
class PPORecipe(Plain):
    """Proximal policy optimization: one policy for all tasks."""

    tasks: tuple[str, ...] = ("suite",)
    """Names of tasks, `all` (for DMLab, the paper's 16) or `suite` (the scored ones; for DMLab, 11). One policy is
    trained on all of them.
    """
    domain: str = "dmlab"
    """World of the tasks, with discrete actions: dmlab, vizdoom, or one of an installed package."""
    steps: int = 20_000_000
    """Total number of agent steps."""
    envs: int = 66
    """Number of environments that play at once; tasks are assigned to them in turn."""
    rollout: int = 64
    """Steps of each environment between two updates."""
    learning_rate: float = 5e-4
    """Learning rate of Adam."""
    entropy: float = 0.003
    """Weight of the entropy bonus."""
    anchor: float = 0.0
    """Weight of KL(policy, start), the divergence from the policy that the training started from."""
    discount: float = 0.99
    """Discount factor of rewards per step."""
    trace: float = 0.95
    """Lambda of generalized advantage estimation."""
    clip: float = 0.2
    """PPO's clip range: largest change of the probability ratio that is rewarded."""
    epochs: int = 2
    """Passes over each rollout."""
    minibatches: int = 4
    """Updates per pass."""
    evaluate_every: int = 500_000
    """Agent steps between evaluations."""
    evaluation_episodes: int = 5
    """Episodes per task and evaluation."""
    save_every: int = 100_000
    """Agent steps between saves of the state."""
    seed: int = 0
    """Seed of weights, actions and episodes."""
    device: str = "cpu"
    """torch device."""

    def check(self) -> None:
        """Check all options.

        Raises:
            ValueError: A number is out of range.
        """
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
        """Agent steps of a rollout over all environments."""
        return self.envs * self.rollout

    def same_run(self) -> dict[str, Any]:
        """Return the options that must not change when a run is resumed, as JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if name not in _FREE
        }

"""The recipe of a prior's training by reward. No torch."""

from dataclasses import dataclass

from flexlam_rl.agents.experts.pixel.ppo import PPORecipe
from flexlam_rl.utils.numbers import whole


@dataclass(frozen=True, kw_only=True)
class PriorRecipe(PPORecipe):
    """PPO on the code distribution of a prior."""

    budget: int = 1
    """Number of codes per decision, K."""
    bundle: str = ""
    """Hash of the bundle that is improved."""
    value_steps: int = 20_000
    """Agent steps at the beginning in which only the values are learned."""

    def check(self) -> None:
        """Check all options.

        Raises:
            ValueError: A number is out of range.
        """
        super().check()
        whole(self.budget, "budget", 1)
        whole(self.value_steps, "value_steps")

"""What determines the training of a prior by reward. No torch."""

from dataclasses import dataclass

from flexlam_rl.agents.experts.pixel.ppo import PPORecipe
from flexlam_rl.utils.numbers import whole


@dataclass(frozen=True, kw_only=True)
class PriorRecipe(PPORecipe):
    """PPO on the code distribution of a prior."""

    budget: int = 1
    """K, the codes of a decision."""
    bundle: str = ""
    """Hash of the bundle that is improved."""
    value_steps: int = 20_000
    """Steps at the beginning in which the values alone are learned."""

    def check(self) -> None:
        """Raises ValueError for a number out of range."""
        super().check()
        whole(self.budget, "budget", 1)
        whole(self.value_steps, "value_steps")

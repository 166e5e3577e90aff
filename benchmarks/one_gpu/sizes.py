"""Amounts of each part: in the real call, in the smoke call on a new machine, and in the rehearsal on a CPU."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Amounts of all parts."""

    name: str
    minutes: float
    latency_preset: str = "paper"
    budgets: tuple[int, ...] = (16, 4, 64)
    """Budgets, the most valuable first."""
    latency_steps: int = 100
    rows: int = 512
    """Number of environments that decide together in the large batch."""
    throughput_presets: tuple[str, ...] = ("paper", "small")
    throughput_steps: int = 60
    tasks: tuple[str, ...] = ("suite",)
    frames: int = 2_000_000
    """Number of frames to collect from all tasks together, in whole episodes, at least one per task."""
    preset: str = "small"
    """Preset of the policy that is trained."""
    labels: int = 4000
    least_steps: int = 200
    """Smallest numbers of steps of the LAM and of the prior; shorter trainings are not begun."""
    most_steps: int = 1_000_000
    translator_steps: int = 2000
    suite_tasks: tuple[str, ...] = ("suite",)
    suite_budgets: tuple[int, ...] = (16, 1, 4)
    episodes: tuple[int, ...] = (10, 50)
    """Numbers of episodes per task: the first one for all budgets, then the next one, as long as there is time."""
    seeds: int = 8
    """Largest number of training seeds."""


FULL = Size("full", 8.0)
SMOKE = Size(
    "smoke", 1.5, budgets=(16,), latency_steps=3, rows=32, throughput_steps=8, frames=20_000, labels=500, least_steps=4,
    translator_steps=20, tasks=("rooms_exploit_deferred_effects_train",), suite_budgets=(16,), episodes=(1,), seeds=2,
    suite_tasks=("rooms_exploit_deferred_effects_train",),
)  # fmt: skip
REHEARSAL = Size(
    "rehearsal", 2.0, latency_preset="debug", budgets=(4, 1), latency_steps=2, rows=3, throughput_presets=("debug",),
    throughput_steps=6, tasks=("rooms_exploit_deferred_effects_train",), frames=900, preset="debug", labels=60,
    least_steps=4, most_steps=8, translator_steps=20, suite_tasks=("rooms_exploit_deferred_effects_train",),
    suite_budgets=(2,), episodes=(1,), seeds=2,
)  # fmt: skip

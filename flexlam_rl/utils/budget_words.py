"""Budgets in words, as options and policies take them beside numbers: "auto", "auto:0.1", "auto:0.1:entropy" and
"random:3.5".
"""

from dataclasses import dataclass

from flexlam_rl.utils.number_lists import budget_list
from flexlam_rl.utils.numbers import real

RULES = ("regressed", "change", "entropy")
"""How a budget is chosen at a step, when the next frame is not known yet: predicted from the prior's state; by the
estimated chance that further codes change the action; by the entropy of the next code."""
TOLERANCE = 0.1
AUTO, RANDOM = "auto", "random"


@dataclass(frozen=True)
class AutoBudget:
    """A budget per environment and step.

    Attributes:
        tolerance: A decision stops where the rule's estimate is below it: 0 for all slots.
        rule: One of `RULES`; None for the best that a policy has.
    """

    tolerance: float = TOLERANCE
    rule: str | None = None

    def __str__(self) -> str:
        return f"{AUTO}:{_exact(self.tolerance)}" + (f":{self.rule}" if self.rule else "")


@dataclass(frozen=True)
class RandomBudget:
    """A budget drawn per environment and step, whatever is seen: the control of a chosen one.

    Attributes:
        mean: Of the drawn budgets.
    """

    mean: float

    def __str__(self) -> str:
        return f"{RANDOM}:{_exact(self.mean)}"


def _exact(number: float) -> str:
    """A number as short as it is read again."""
    return f"{number:g}" if float(f"{number:g}") == number else repr(number)


def in_words(text: str) -> bool:
    """Whether a budget is meant to be words, whatever follows the first one."""
    return text.strip().partition(":")[0] in (AUTO, RANDOM)


def budget_in_words(text: str) -> AutoBudget | RandomBudget:
    """Read a budget given in words.

    Raises:
        ValueError: It is none; the sentence says what is.
    """
    kind, _, rest = text.partition(":")
    number, _, rule = rest.partition(":")
    if kind == RANDOM and not rule:
        return RandomBudget(_number(number, f"The mean of budget {text!r}", 1.0))
    if kind != AUTO:
        raise ValueError(f"budget is {text!r}; expected a number, auto, auto:TOLERANCE, or random:MEAN.")
    if rule and rule not in RULES:
        raise ValueError(f"The rule of budget {text!r} is {rule!r}; expected one of {', '.join(RULES)}.")
    tolerance = _number(number, f"The tolerance of budget {text!r}", 0.0) if rest else TOLERANCE
    return AutoBudget(tolerance, rule or None)


def checked_words(value: str | AutoBudget | RandomBudget, slots: int, prefix: bool) -> AutoBudget | RandomBudget:
    """Give a budget in words that a model of `slots` slots takes, with (FlexLAM) or without `prefix` (Fixed-K).

    Raises:
        ValueError: It takes none, or not this one.
    """
    asked = budget_in_words(value) if isinstance(value, str) else value
    if not prefix:
        raise ValueError(f"budget is '{asked}'; expected {slots}, the only one of a Fixed-K model.")
    if isinstance(asked, RandomBudget) and asked.mean > slots:
        raise ValueError(f"budget is '{asked}'; expected a mean of 1..{slots}.")
    return asked


def any_budgets(text: str, slots: int, prefix: bool) -> list[int | str]:
    """Read a list of budgets, numbers and words, as in "4,16,auto:0.1".

    Raises:
        ValueError: One is none that a model of these slots takes, or stands there twice.
    """
    parts = [part.strip() for part in str(text).split(",")]
    words = [part for part in parts if in_words(part)]
    numbers = ",".join(part for part in parts if part not in words)
    found: list[int | str] = [str(checked_words(word, slots, prefix)) for word in words]
    if len(set(found)) < len(found):
        raise ValueError(f"budget has the same words twice: {text}.")
    return [*(budget_list(numbers, slots, prefix) if numbers or not words else []), *found]


def _number(text: str, name: str, low: float) -> float:
    try:
        value: float | str = float(text)
    except ValueError:
        value = text
    return real(value, name, low)

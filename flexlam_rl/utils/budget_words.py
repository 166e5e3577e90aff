"""Budgets in words, which options and policies accept besides numbers: "auto", "auto:0.1", "auto:0.1:entropy" and
"random:3.5".
"""

from dataclasses import dataclass

from flexlam_rl.utils.number_lists import budget_list
from flexlam_rl.utils.numbers import real

RULES = ("regressed", "change", "entropy")
"""Rules that choose the budget of a step, before its next frame is known:

- regressed: predicted from the prior's state;
- change: by the estimated chance that further codes change the action;
- entropy: by the entropy of the next code.
"""
TOLERANCE = 0.1
AUTO, RANDOM = "auto", "random"


@dataclass(frozen=True)
class AutoBudget:
    """A budget that a rule chooses per environment and step.

    Attributes:
        tolerance: No more codes are generated once the rule's estimate is below this; 0 gives all slots.
        rule: One of `RULES`; None for the best rule that the policy has.
    """

    tolerance: float = TOLERANCE
    rule: str | None = None

    def __str__(self) -> str:
        return f"{AUTO}:{_exact(self.tolerance)}" + (f":{self.rule}" if self.rule else "")


@dataclass(frozen=True)
class RandomBudget:
    """A budget drawn at random per environment and step, regardless of the observation: the control for `AutoBudget`.

    Attributes:
        mean: Mean of the drawn budgets.
    """

    mean: float

    def __str__(self) -> str:
        return f"{RANDOM}:{_exact(self.mean)}"


def _exact(number: float) -> str:
    """Write a number as short as possible without losing digits."""
    return f"{number:g}" if float(f"{number:g}") == number else repr(number)


def in_words(text: str) -> bool:
    """Whether a text is meant as a budget in words: it begins with "auto" or "random"."""
    return text.strip().partition(":")[0] in (AUTO, RANDOM)


def budget_in_words(text: str) -> AutoBudget | RandomBudget:
    """Read a budget given in words.

    Raises:
        ValueError: The text is not a budget in words; the message says what is expected.
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
    """Check that a model accepts a budget in words.

    Args:
        value: The budget, as text or parsed.
        slots: Number of the model's slots.
        prefix: True for a FlexLAM, False for a Fixed-K model, which accepts no budget in words.

    Returns:
        The parsed budget.

    Raises:
        ValueError: The model does not accept this budget.
    """
    asked = budget_in_words(value) if isinstance(value, str) else value
    if not prefix:
        raise ValueError(f"budget is '{asked}'; expected {slots}, the only one of a Fixed-K model.")
    if isinstance(asked, RandomBudget) and asked.mean > slots:
        raise ValueError(f"budget is '{asked}'; expected a mean of 1..{slots}.")
    return asked


def history_in_words(text: str) -> int | AutoBudget:
    """Read how much of past blocks decisions see: a number of codes such as "4", or "auto:0.1" for the fewest codes
    that are good enough.

    Raises:
        ValueError: The text is neither.
    """
    if text.isdecimal() and int(text) > 0:
        return int(text)
    kind, colon, tolerance = text.partition(":")
    if kind != AUTO or ":" in tolerance:
        raise ValueError(f"history is {text!r}; expected a number of codes, 1 or more, auto, or auto:TOLERANCE.")
    return AutoBudget(_number(tolerance, f"The tolerance of history {text!r}", 0.0) if colon else TOLERANCE)


def any_budgets(text: str, slots: int, prefix: bool) -> list[int | str]:
    """Read a list of budgets, numbers first and then words, from a text such as "4,16,auto:0.1".

    Args:
        text: Budgets separated by commas.
        slots, prefix: The model's, as for `checked_words`.

    Raises:
        ValueError: The model does not accept one of the budgets, or one occurs twice.
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

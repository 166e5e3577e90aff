"""Options that are lists of numbers, as in `--budget 4,16,64`."""


def number_list(name: str, text: str, low: int, high: int | None = None) -> list[int]:
    """Parse an option that is a list of whole numbers, in the given order.

    Args:
        name: Name of the option, for messages.
        text: Numbers separated by commas.
        low, high: Inclusive bounds; None for no upper bound.

    Raises:
        ValueError: A part is not a whole number, is out of bounds, or occurs twice.
    """
    try:
        numbers = [int(part) for part in str(text).split(",")]
    except ValueError:
        raise ValueError(f"{name} is {text!r}; expected numbers as in 1,4,16.") from None
    for number in numbers:
        if number < low or (high is not None and number > high):
            raise ValueError(f"{name} is {number}; expected {f'at least {low}' if high is None else f'{low}..{high}'}.")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{name} names a number twice: {text}.")
    return numbers


def budget_list(text: str, slots: int, prefix: bool) -> list[int]:
    """Parse a list of budgets that a model accepts.

    Args:
        text: Numbers separated by commas.
        slots: Number of the model's slots.
        prefix: True for a FlexLAM, which accepts 1..slots; False for a Fixed-K model, which accepts `slots` only.

    Raises:
        ValueError: As for `number_list`, or the model does not accept a budget.
    """
    if prefix:
        return number_list("budget", text, 1, slots)
    if (numbers := number_list("budget", text, 0)) != [slots]:
        raise ValueError(f"budget is {', '.join(map(str, numbers))}; a Fixed-K model takes {slots} only.")
    return numbers

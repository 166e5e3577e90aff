"""Lists of numbers among a command's options, as in `--budget 4,16,64`."""


def number_list(name: str, text: str, low: int, high: int | None = None) -> list[int]:
    """The whole numbers of an option, in the order given.

    Args:
        name: Of the option, for messages.
        text: Numbers with commas between.
        low, high: Bounds, included; None for no upper one.

    Raises:
        ValueError: Not numbers, one out of bounds, or one twice.
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
    """Budgets that a model of `slots` slots takes: of a FlexLAM any, of a Fixed-K model (not `prefix`) its own.

    Raises:
        ValueError: As of `number_list`.
    """
    if prefix:
        return number_list("budget", text, 1, slots)
    if (numbers := number_list("budget", text, 0)) != [slots]:
        raise ValueError(f"budget is {', '.join(map(str, numbers))}; a Fixed-K model takes {slots} only.")
    return numbers

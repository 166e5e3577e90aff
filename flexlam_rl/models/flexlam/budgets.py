"""Prefix lengths that training and reports show."""


def budgets(slots: int) -> list[int]:
    """The prefix lengths that reports show: 0, powers of 4 (and of 2 for few slots), M."""
    step = 4 if slots > 16 else 2
    out, k = [0], 1
    while k < slots:
        out.append(k)
        k *= step
    return [*out, slots]

"""Prefix lengths that evaluations report."""


def budgets(slots: int) -> list[int]:
    """Give the prefix lengths that evaluations report: 0, powers of 4 (powers of 2 for few slots), and M."""
    step = 4 if slots > 16 else 2
    out, k = [0], 1
    while k < slots:
        out.append(k)
        k *= step
    return [*out, slots]

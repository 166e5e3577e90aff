"""Part (a): milliseconds per decision by the paper's protocol, at batch 1 and in a large batch, beside transformers."""

from typing import Any

from benchmarks.decode_latency import Policy, measure, ours, theirs
from benchmarks.one_gpu.session import Session

PAPER_MS = {4: 57.1, 16: 176.0, 64: 638.8}
"""Figures of the paper (for an unnamed GPU, batch 1)."""


def run(session: Session, figures: dict[str, Any]) -> None:
    """Measure each budget with ours at batch 1, then with transformers, then with ours in a large batch. The last two
    take long, so a tenth of the decisions are timed.
    """
    size = session.size
    policy = Policy(size.latency_preset, session.device)
    budgets = dict.fromkeys(min(k, policy.config.slots) for k in size.budgets)
    few = max(2, size.latency_steps // 10)
    kinds = (("ours_ms", ours, 1, size.latency_steps), ("transformers_ms", theirs, 1, few),
             ("batch_ms", ours, size.rows, few))  # fmt: skip
    for name, make, rows, steps in kinds:
        for k in budgets:
            row = figures.setdefault(str(k), {"paper_ms": PAPER_MS.get(k), "rows": size.rows})
            if name in row:
                continue
            try:
                row[name] = measure(policy, make, rows, k, steps)[0]
            except ModuleNotFoundError as error:
                row[name], row["without"] = None, error.name
            session.save("latency", figures)
    for row in figures.values():
        if isinstance(row, dict) and row.get("batch_ms"):
            row["decisions_per_s"] = 1000 * size.rows / row["batch_ms"]
    session.save("latency", figures)

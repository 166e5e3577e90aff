"""The audit as a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from flexlam_rl.eval.lam.audit.examine import MEASURES, figures_of


def page(record: Mapping[str, Any]) -> str:
    """Write an audit as Markdown: one column per subject and budget.

    Args:
        record: Content of audit.json.
    """
    subjects: Sequence[Mapping[str, Any]] = record["subjects"]
    columns = [(one, row) for one in subjects for row in one["rows"]]
    titles = [one["title"] if one["frozen"] else f"{one['title']}@{row['budget']}" for one, row in columns]
    data = record["data"]
    lines = [
        f"# Audit of {record['checkpoint']}",
        "",
        f"{data['pairs']} pairs of steps on litelab (look {data['textures']}), {len(data['levels'])} levels, half of "
        f"the steps by the scripted expert and half in random bursts, seed {record['seed']}. Value ± standard error "
        "over transitions; docs/audit.md in the repository explains every figure.",
        "",
        "| figure | " + " | ".join(titles) + " | what 1 says |",
        "|---|" + "--:|" * len(titles) + "---|",
    ]
    for name in figures_of([row for _, row in columns]):
        cells = " | ".join(_cell(row, name) for _, row in columns)
        lines.append(f"| {name.replace('_', ' ')} | {cells} | {MEASURES[name]} |")
    if any(one["frozen"] for one in subjects):
        lines += ["", "Differences of features add up and reverse by construction, whatever the features are."]
    return "\n".join(lines) + "\n"


def _cell(row: Mapping[str, Any], name: str) -> str:
    return "" if name not in row else f"{row[name]:.3f} ± {row[f'{name}_se']:.3f}"

"""The README's numbers are those of the files in `results/`."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_table_is_what_the_results_say() -> None:
    spec = importlib.util.spec_from_file_location("readme_results", ROOT / "tools" / "readme_results.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    page = (ROOT / "README.md").read_text()
    found = page.partition(tool.BEGIN)[2].partition(tool.END)[0]
    assert found.strip() == tool.table(), "python tools/readme_results.py writes the table"

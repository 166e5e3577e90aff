"""The numbers of the README and of the results page are those of the files in `results/`."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_tables_are_what_the_results_say() -> None:
    spec = importlib.util.spec_from_file_location("readme_results", ROOT / "tools" / "readme_results.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name, make in tool.PAGES.items():
        found = (ROOT / name).read_text().partition(tool.BEGIN)[2].partition(tool.END)[0]
        assert found.strip() == make(), f"python tools/readme_results.py writes the table of {name}"

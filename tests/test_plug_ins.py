"""The guide "Add a model" works as printed: another package adds a quantizer and a system, found by entry points.

Formats, stages, worlds, and policies and experts have tests of their own: `tests/datasets/test_formats.py`,
`tests/train/test_plugged_stage.py`, `tests/test_add_a_world.py`, `tests/eval/suite/test_plugins.py`.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "add-a-model.md").read_text(encoding="utf-8")
CODE = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
DIFFS = "".join(re.findall(r"^```diff\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
FILES = dict(
    re.findall(r"^\+\+\+ b/(.*?)\n@@.*?\n((?:\+.*\n)+)", DIFFS.replace("\n+++ b/", "\n\n+++ b/"), re.MULTILINE)
)


@pytest.mark.parametrize("code", CODE, ids=["quantizer", "system"])
def test_found_by_its_entry_point(tmp_path: Path, code: str) -> None:
    assert set(FILES) == {"toy/quantizer.py", "toy/system/__init__.py", "toy/system/model.py", "pyproject.toml"}
    texts = {name: "".join(line[1:] + "\n" for line in added.splitlines()) for name, added in FILES.items()}
    # what installing the project would write
    project = tomllib.loads(texts["pyproject.toml"])["project"]
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in of.items()) for group, of in project["entry-points"].items()
    ]
    info = f"{project['name']}-{project['version']}.dist-info"
    texts[f"{info}/entry_points.txt"] = "\n".join(lines)
    texts[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    for name, text in {**texts, "toy/__init__.py": ""}.items():
        file = tmp_path / "site" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(tmp_path / "site"), str(ROOT))),
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)

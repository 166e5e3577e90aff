"""Every command of every shell block is one that its own parser takes; what is wrong is named with its place."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from flexlam_rl.commands import exchange
from flexlam_rl.datasets import formats
from flexlam_rl.utils.registry import Registry
from tests.datasets.test_guide import applied
from tests.docs.blocks import ROOT, commands, pages
from tests.docs.checking import complaint


def wrong(page: str, root: Path | None = None) -> list[str]:
    """One line per command of a page that its parser refuses: place, command, sentence."""
    given = {} if root is None else {"root": root}
    return [f"{command}: {said}" for command in commands(page, **given) if (said := complaint(command))]


@pytest.mark.parametrize("page", pages())
def test_commands_of_a_page_are_taken_by_their_parsers(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page == "docs/add-a-dataset.md":  # whose commands are of the format that it adds
        applied(tmp_path)
        monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
        monkeypatch.setattr(exchange, "FORMATS", Registry("format", formats.built_in()))
    found = wrong(page)
    assert not found, "\n".join(found)


SCRIPTS = sorted((ROOT / "tools").glob("train_*.sh"))


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_commands_of_a_training_script_are_taken_by_their_parsers(script: Path, tmp_path: Path) -> None:
    text = script.read_text().replace('"$@"', "").replace("$DIR", "DIR")
    lines = [line.rpartition("|| ")[2] for line in text.splitlines() if re.match(r"(\[.*\|\| )?flexlam ", line)]
    assert len(lines) >= 4
    (tmp_path / "page.md").write_text("\n".join(["```", *lines, "```"]))
    assert not wrong("page.md", tmp_path)


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_a_training_script_stops_at_a_failure_and_hands_on_its_options(script: Path, tmp_path: Path) -> None:
    program, copy, log = (tmp_path / name for name in (".venv/bin/flexlam", f"tools/{script.name}", "log"))
    for path in (program, copy):
        path.parent.mkdir(parents=True)
    shutil.copy(script, copy)
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n[ ! -e fail ] || [ $(wc -l < {log}) -lt 3 ]\n')
    program.chmod(0o755)
    (tmp_path / "fail").touch()

    def played(*words: str) -> int:
        return subprocess.run([copy, *words], cwd=tmp_path, capture_output=True).returncode

    assert played() == 2 and not log.exists()
    assert played("my folder", "--device", "cuda") != 0
    assert len(log.read_text().splitlines()) == 3
    (tmp_path / "fail").unlink()
    log.unlink()
    assert played("my folder", "--device", "cuda") == 0
    trainings = [line for line in log.read_text().splitlines() if "train " in line]
    assert len(trainings) >= 3 and all(line.endswith("--device cuda") for line in trainings)


def test_pages_have_shell_blocks() -> None:
    """What finds them has not gone blind."""
    found = {page: len(commands(page)) for page in pages()}
    assert {"README.md", "CONTRIBUTING.md", "docs/tutorial.md", "flexlam_rl/models/teco/README.md"} <= set(found)
    assert found["README.md"] >= 5 and found["docs/tutorial.md"] >= 10 and sum(found.values()) > 100


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("flexlam colect --out x", ["No command 'colect'", "'collect'"]),
        ("flexlam data inspekt DIR", ["inspekt"]),
        ("flexlam suite --budgets 4", ["--budgets"]),
        ("flexlam suite --episodes many", ["'many'", "episodes"]),
        ("flexlam train translater --data DIR --out RUN", ["translater", "translator"]),
        ("flexlam train --preset huge --data DIR --out RUN", ["huge"]),
        ("flexlam study matcht --data DIR", ["matcht", "matched"]),
        ("flexlam bundle RUN -o POLICY", ["--data"]),
        ("flexlam data export parquet|zip DIR --out FOLDER", ["zip"]),
        ("flexlam data inspect DIR [--jsn]", ["--jsn"]),
        ("flexlam collect --steps 3 --out DIR ...", ["`...`"]),
        ("A=--budgets\nflexlam suite $A 4", ["--budgets"]),
        ("flexlam suite \\\n  --budgets 4", ["--budgets"]),
        ("flexlam levels && flexlam levls", ["levls"]),
        ("python -m train.lam --out RUN", ["--data"]),
        ("python -m train.lamb --data DIR --out RUN", ["lamb"]),
        ("python -m eval.suite --budgets 4", ["--budgets"]),
        ("python -m benchmarks.one_gpu --hours 2", ["--hours"]),
        ("python examples/nothing.py", ["examples/nothing.py"]),
        ("python examples/film_car_racing.py --out films --vids 3", ["--vids"]),
        ("torchrun --nproc-per-node 8 -m train.lam --data DATA --out RUN --steps x", ["'x'"]),
        ("python -c 'print('", ["closed"]),
        ("pip install '.[data,model]'", ["'model'"]),
        ("pytest -m real_lab", ["'real_lab'"]),
        ("python -m pytest tests/parities", ["'tests/parities'"]),
        ("make tests", ["'tests'", "test"]),
        ("tools/offline_weels.sh .whl", ["tools/offline_weels.sh"]),
        ("flexlam-suite", ["'flexlam-suite'"]),
    ],
)
def test_a_wrong_command_is_named_with_its_page_line_and_the_parsers_sentence(
    line: str, words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "page.md").write_text(f"# Title\n\n```python\nflexlam nothing\n```\n\n```\n{line}\n```\n")
    (found,) = wrong("page.md", tmp_path)
    place = 8 if not line.startswith("A=") else 9
    assert found.startswith(f"page.md:{place}: "), found
    assert all(word in found.partition(": ")[2] for word in words), found


def test_open_quotes_are_named_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("```bash\nflexlam levels   the world's levels\n```\n")
    with pytest.raises(ValueError, match=r"page.md:1: No closing quotation|page.md:2: No closing quotation"):
        commands("page.md", tmp_path)


def test_what_a_reader_may_write_is_understood(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        "~~~sh\nT='a b'\nX=1 flexlam collect --tasks $T --steps 9 -o DIR  # and more\n"
        ".venv/bin/flexlam data inspect DIR [--json]\n"
        "flexlam data export mp4|teco DIR --out FOLDER && make lint test WORKERS=2\n"
        "flexlam study imitability A [B ...] --out C\n~~~\n"
    )
    found = commands("page.md", tmp_path)
    assert [(command.line, *command.words) for command in found] == [
        (3, "flexlam", "collect", "--tasks", "a", "b", "--steps", "9", "-o", "DIR"),
        (4, ".venv/bin/flexlam", "data", "inspect", "DIR", "--json"),
        (5, "flexlam", "data", "export", "mp4", "DIR", "--out", "FOLDER"),
        (5, "flexlam", "data", "export", "teco", "DIR", "--out", "FOLDER"),
        (5, "make", "lint", "test", "WORKERS=2"),
        (6, "flexlam", "study", "imitability", "A", "B", "--out", "C"),
    ]
    assert [complaint(command) for command in found] == [None] * 6

"""Commands end well on any terminal: ascii, narrow, closed, or with a reader that goes away."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.eval.conftest import SHORT_FLEXLAM

ROOT = Path(__file__).resolve().parents[2]
LEVEL = "rooms_exploit_deferred_effects_train"  # 60 s at most
CODE = SHORT_FLEXLAM
ASCII = {"PYTHONIOENCODING": "ascii"}
PLAIN_C = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def suite(out: Path) -> list[str]:
    return ["suite", "--policy", "random", "--episodes", "2", "--levels", LEVEL, "--out", str(out), "--no-plots"]


def run(arguments: list[str], cwd: Path, **changes: str) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), **changes}
    return subprocess.run([sys.executable, "-c", CODE, *arguments], env=env, cwd=cwd, capture_output=True, timeout=300)


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("suite") / "run"
    assert run(suite(out), out.parent).returncode == 0
    return out


@pytest.mark.parametrize("changes", [ASCII, PLAIN_C], ids=["ascii", "C"])
def test_a_suite_ends_with_its_table(changes, tmp_path):
    done = run(suite(tmp_path / "é ü" / "run"), tmp_path, **changes)
    assert done.returncode == 0, done.stderr
    said = done.stdout.decode("ascii")
    assert "+- s.e." in said and LEVEL in said
    assert (tmp_path / "é ü" / "run" / "results.json").is_file()


@pytest.mark.parametrize("changes", [ASCII, PLAIN_C], ids=["ascii", "C"])
@pytest.mark.parametrize(
    "arguments", [["suite", "--help"], ["compare", "--help"], ["--help"], ["levels"], ["suite", "--levels", "±"]]
)
def test_help_and_errors_are_readable(changes, arguments, tmp_path):
    done = run(arguments, tmp_path, **changes)
    assert done.returncode == (2 if "±" in arguments else 0), done.stderr
    assert b"Traceback" not in done.stderr
    (done.stdout + done.stderr).decode("ascii")


def test_compare_prints_a_path_that_the_terminal_cannot(played, tmp_path):
    link = tmp_path / "größe"
    link.symlink_to(played)
    done = run(["compare", str(link), str(played)], tmp_path, **ASCII)
    assert done.returncode == 0, done.stderr
    assert "gr\\xf6\\xdfe" in done.stdout.decode("ascii")


@pytest.mark.parametrize("columns", ["20", "40"])
def test_a_narrow_terminal_loses_nothing(columns, played):
    """The table of a real terminal is as wide as it is; its lines go on in the next."""
    code = (
        "import json, sys; from rich.console import Console; from flexlam_rl.eval.suite.table import print_summary;"
        f"c = Console(force_terminal=True, width={columns}, color_system=None);"
        "s = json.load(open(sys.argv[1], encoding='utf-8'))['summary']; print_summary(c, s, 'title');"
        "print_summary(c, {'a': s['random'], 'b': s['random']}, 'title')"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-c", code, str(played / "results.json")]
    said = subprocess.run(arguments, env=env, capture_output=True, timeout=60, check=True).stdout.decode()
    row = json.loads((played / "results.json").read_text(encoding="utf-8"))["summary"]["random"]["levels"][LEVEL]
    assert "…" not in said
    assert said.count(LEVEL) == 2
    assert f"{row['normalised']:.1f} ± {row['normalised_error']:.1f}" in said


def test_a_reader_that_goes_away_does_not_stop_a_run(tmp_path):
    """As in `flexlam suite | head -0`: the results are written all the same."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", CODE, *suite(tmp_path / "run")],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(timeout=300) == 0, said
    assert said == b""
    assert (tmp_path / "run" / "results.json").is_file()


def test_closed_streams_do_not_stop_a_run(tmp_path):
    """As in `flexlam suite >&- 2>&-`: no file takes the place of the closed streams."""
    code = (
        f"import os; os.close(1); os.close(2); os.execv({sys.executable!r}, "
        f"{[sys.executable, '-c', CODE, *suite(tmp_path / 'run')]!r})"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, timeout=300).returncode == 0
    lines = (tmp_path / "run" / "episodes.jsonl").read_bytes().splitlines()
    assert all("level" in json.loads(line) or "session" in json.loads(line) for line in lines)
    assert (tmp_path / "run" / "results.json").is_file()


def test_text_files_name_their_encoding():
    """Which encoding is the default depends on the machine."""
    import ast

    def is_careless(call: ast.Call) -> bool:
        if any(keyword.arg in ("encoding", None) for keyword in call.keywords):
            return False
        if isinstance(call.func, ast.Attribute):
            return call.func.attr in ("read_text", "write_text")
        modes = [a.value for a in call.args[1:2] if isinstance(a, ast.Constant)]
        modes += [k.value.value for k in call.keywords if k.arg == "mode" and isinstance(k.value, ast.Constant)]
        return isinstance(call.func, ast.Name) and call.func.id == "open" and not any("b" in mode for mode in modes)

    files = [path for folder in ("flexlam_rl", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")]
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and is_careless(node)
    ]
    assert found == []

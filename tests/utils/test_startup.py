"""How commands start: Ctrl-C while modules are imported, and packages of extras that are absent.

Python loads a `sitecustomize` of the test at its start: it hides packages, or presses Ctrl-C when one is imported.
"""

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flexlam_rl.cli import COMMANDS
from flexlam_rl.train.stages import STAGES
from flexlam_rl.utils.startup import EXTRAS, INTERRUPTED, WRONG_USE

ROOT = Path(__file__).resolve().parents[2]
FLEXLAM = ["-m", "flexlam_rl.cli"]
STUDIES = sorted(path.stem for path in (ROOT / "flexlam_rl" / "eval").glob("*.py") if "__main__" in path.read_text())

HIDE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""

PRESS = """
import os, signal, sys, weakref
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it
class Thing: pass
class Presses:
    def find_spec(self, name, path=None, target=None):
        if name == {package!r}:
            sys.meta_path.remove(self)
            if {lost!r} == "in a callback":
                thing = Thing()
                kept = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
                del thing
            elif {lost!r} == "ignored":
                try:
                    signal.raise_signal(signal.SIGINT)
                except BaseException:
                    pass
            else:
                signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Presses())
"""

ALL_HELP = """
import contextlib, io, sys
from flexlam_rl.cli import main
for line in sys.stdin.read().splitlines():
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = main(line.split())
        except SystemExit as stop:
            code = stop.code
    text = said.getvalue().strip()
    one_sentence = code == 2 and "pip install 'flexlam_rl[" in text and "\\n" not in text
    good = (code == 0 and "usage: flexlam" in text) or one_sentence
    print("good" if good else "BAD", line, code, "" if good else text)
"""


def start(tmp_path: Path, site: str, arguments: list[str], given: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python in the root of the checkout, where the links `eval` and `train` stand."""
    (tmp_path / "sitecustomize.py").write_text(site)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    env = {name: value for name, value in os.environ.items() if name != "FLEXLAM_TRACEBACK"} | {"PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=env, input=given, capture_output=True, text=True, timeout=300
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr.strip()


@pytest.mark.parametrize("lost", ["not", "in a callback", "ignored"])
@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        ([*FLEXLAM, "levels"], "gymnasium"),
        ([*FLEXLAM, "levels"], "tyro"),
        ([*FLEXLAM, "collect", "--out", "{out}", "--steps", "1"], "rich.progress"),
        ([*FLEXLAM, "suite", "--policy", "random", "--engine", "litelab", "--out", "{out}"], "numba"),
        ([*FLEXLAM, "train", "-h"], "torch"),
        (["-m", "eval.suite", "-h"], "gymnasium"),
        (["-m", "eval.suite", "-h"], "numpy"),
        (["-m", "train.lam", "-h"], "torch"),
        (["-m", "train.translator", "-h"], "numpy"),
    ],
)
def test_interrupt_while_importing_is_one_line(arguments: list[str], package: str, lost: str, tmp_path: Path) -> None:
    arguments = [text.format(out=tmp_path / "out") for text in arguments]
    done = start(tmp_path, PRESS.format(package=package, lost=lost), arguments)
    assert re.match(r"(flexlam|python -m) ?[\w.]*: interrupted[:.]", one_line(done)), done.stderr
    assert done.returncode == INTERRUPTED


def test_the_console_script_is_guarded_before_anything_is_imported(tmp_path: Path) -> None:
    script = tmp_path / "flexlam"
    script.write_text("import sys\nfrom flexlam_rl.cli import main\nsys.exit(main())\n")
    done = start(tmp_path, PRESS.format(package="gymnasium", lost="not"), [str(script), "levels"])
    assert (one_line(done), done.returncode) == ("flexlam: interrupted.", INTERRUPTED)


def test_programs_that_use_the_library_keep_their_interrupts(tmp_path: Path) -> None:
    code = (
        "import signal, flexlam_rl; assert signal.getsignal(signal.SIGINT) is signal.default_int_handler; raise "
        "KeyboardInterrupt"
    )
    done = start(tmp_path, PRESS.format(package="nothing", lost="not"), ["-c", code])
    assert "Traceback" in done.stderr and "AssertionError" not in done.stderr


def help_lines() -> str:
    inner = {
        "data": [
            "inspect",
            "validate",
            "sheet",
            "video",
            "labels",
            "import",
            "export",
            "import minari",
            "export minari",
        ],
        "expert": ["score", "train", "plot"],
    }
    return "\n".join(f"{name} {sub} --help" for name in COMMANDS for sub in ("", *inner.get(name, ())))


SMALL = {"labmaze", "dm_env", "play", "minari", "ray", "tensordict", "bench"}


@pytest.mark.parametrize(
    "extras", [{"data"}, {"models"}, {"sb3"}, {"docs"}, SMALL, set(EXTRAS.values())], ids=lambda e: "-".join(sorted(e))
)
def test_every_command_helps_without_an_extra(extras: set[str], tmp_path: Path) -> None:
    packages = sorted(package for package, name in EXTRAS.items() if name in extras)
    done = start(tmp_path, HIDE.format(packages=packages), ["-c", ALL_HELP], help_lines())
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(help_lines().splitlines())
    assert "BAD" not in done.stdout, done.stdout


@pytest.mark.parametrize(
    "module", [*(f"train.{name}" for name in STAGES.names()), *(f"eval.{name}" for name in STUDIES)]
)
def test_every_module_helps_without_extras(module: str, tmp_path: Path) -> None:
    done = start(tmp_path, HIDE.format(packages=sorted(EXTRAS)), ["-m", module, "-h"])
    if done.returncode:
        assert done.returncode == WRONG_USE
        assert re.fullmatch(
            rf"python -m {module}: The package '\w+' is not installed: pip install 'flexlam_rl\[\w+\]'\.",
            one_line(done),
        )
    else:
        assert done.stdout.startswith("usage:") and not done.stderr


def test_the_suite_helps_without_extras(tmp_path: Path) -> None:
    for arguments in (["-m", "eval.suite", "-h"], [*FLEXLAM, "collect", "-h"], [*FLEXLAM, "data", "-h"]):
        done = start(tmp_path, HIDE.format(packages=sorted(EXTRAS)), arguments)
        assert done.returncode == 0 and done.stdout.startswith("usage:")


def test_every_package_of_an_extra_is_known() -> None:
    """The sentence names the extra, so setup.cfg and the table must not part."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    imported = {"pygame_ce": "pygame", "minari[hdf5]": "minari"}
    for extra, lines in setup["options.extras_require"].items():
        if extra not in ("test", "dev", "site"):
            for line in lines.split("\n"):
                if line and not line.startswith("#"):
                    name = re.split(r"[>=<;]", line)[0].strip().replace("-", "_")
                    assert imported.get(name, name) in EXTRAS, line

"""Installing shows that it goes on: `tools/install.py`, with a script in the place of pip."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

PIP = """#!/bin/sh
echo "Collecting torch==2.13.0 (from flexlam_rl==0.1.0)"
echo "  Using cached torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (180.3 MB)"
sleep 0.6
echo "Collecting numba>=0.61"
sleep 0.4
echo "Installing collected packages: torch, numba"
sleep 0.4
mkdir -p "$(dirname "$0")/../lib/python3.11/site-packages/torch-2.13.0.dist-info"
sleep 0.6
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """installed(script) runs the installer in an environment whose Python is a shell script."""
    path = Path(__file__).resolve().parents[1] / "tools" / "install.py"
    spec = importlib.util.spec_from_file_location("install", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "EVERY", 0.2)

    def run(script: str, *more: str) -> int:
        python = tmp_path / "venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(script)
        python.chmod(0o755)
        monkeypatch.setattr(sys, "argv", ["install.py", str(tmp_path / "venv"), ".[models]", *more])
        return module.main()

    return run


def test_lines_tell_what_pip_does(installed, capsys):
    assert installed(PIP) == 0
    lines = capsys.readouterr().out.splitlines()
    said = [re.sub(r", \d+ s$", "", line.strip()) for line in lines]
    wanted = [
        "found 1 packages, using cached torch (180.3 MB)",
        "found 2 packages, now numba",
        "[....................] 0 of 2 packages",
        "[##########..........] 1 of 2 packages",
    ]
    assert [line for line in dict.fromkeys(said) if line in wanted] == wanted
    assert said[-1].startswith("done in")


def test_what_pip_says_is_shown_where_it_fails(installed, capsys):
    assert installed("#!/bin/sh\necho 'ERROR: No matching distribution'\nexit 3\n") == 3
    assert capsys.readouterr().out.splitlines()[-1] == "ERROR: No matching distribution"


KERNELS = """#!/bin/sh
log="$(dirname "$0")/log"
if [ "$2" = flexlam_rl.envs.litelab.compiling ]; then
    echo compiling >> "$log"; echo "1 4"; sleep 0.8; echo "3 4"; sleep 0.8; echo compiled >> "$log"; exit 0
fi
for last in "$@"; do :; done
echo "pip $last" >> "$log"
sleep 0.5
echo "pip $last done" >> "$log"
"""


def test_litelab_is_compiled_beside_the_installation_of_all_but_its_own_packages(installed, tmp_path, capsys):
    assert installed(KERNELS, "--kernels") == 0
    did = (tmp_path / "venv" / "bin" / "log").read_text().splitlines()
    assert did[:2] == ["pip .", "pip . done"] and set(did[2:4]) == {"compiling", "pip .[models]"}
    assert did[4:] == ["pip .[models] done", "compiled"]
    said = capsys.readouterr().out
    assert "; [#####...............] 1 of 4 of litelab's functions compiled" in said
    assert "Compiling litelab ..." in said and "[###############.....] 3 of 4 of litelab's functions compiled" in said


@pytest.mark.parametrize("what", ["pip", "compiling"])
def test_a_failure_of_pip_is_a_failure_and_one_of_compiling_is_not(installed, what, capsys):
    script = KERNELS.replace("sleep 0.5", "case $last in '.[models]') exit 4;; esac")
    if what == "compiling":
        script = KERNELS.replace('echo "1 4"', "exit 5")
    assert installed(script, "--kernels") == (0 if what == "compiling" else 4)

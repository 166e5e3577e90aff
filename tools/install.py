"""Install this checkout into a virtual environment, and show the progress that pip does not show for a minute.

    python tools/install.py VENV REQUIREMENT [--kernels]

With --kernels, litelab is compiled as soon as what it needs is installed, while pip installs the rest, such as torch.
It runs before anything is installed, so that it needs only the standard library.
"""

import argparse
import contextlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

EVERY = 5.0
"""Seconds between two lines if the output is not a terminal."""


class Phase:
    """What pip is doing, read from its lines, and the number of packages that are installed.

    Args:
        venv: The virtual environment.
    """

    def __init__(self, venv: Path) -> None:
        self._venv, self._packages, self._words = venv, 0, "asking which packages are needed"
        self._wanted, self._before = 0, self._installed()

    def _installed(self) -> int:
        return len(list(self._venv.glob("lib/python*/site-packages/*.dist-info")))

    def read(self, line: str) -> None:
        """Read a line of pip's output."""
        if found := re.match(r"\s*Collecting (\S+?)[<>=!~;\[ ]", f"{line} "):
            self._packages += 1
            self._words = f"found {self._packages} packages, now {found[1]}"
        elif found := re.match(r"\s*(Downloading|Using cached) (\S+?)-\S* (\(.*\))", line):
            self._words = f"found {self._packages} packages, {found[1].lower()} {found[2]} {found[3]}"
        elif found := re.match(r"Installing collected packages: (.*)", line):
            self._wanted = len(found[1].split(","))

    def __str__(self) -> str:
        if not self._wanted:
            return self._words
        done = min(self._wanted, max(0, self._installed() - self._before))
        return f"{_bar(done, self._wanted)} packages"


class Compiling:
    """The compilation of litelab in a process of its own.

    If it fails, nothing is lost: whatever plays litelab compiles what is missing.

    Args:
        venv: The virtual environment.
    """

    def __init__(self, venv: Path) -> None:
        command = [str(venv / "bin" / "python"), "-m", "flexlam_rl.envs.litelab.compiling"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._done, self._total = 0, 1
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()

    def _follow(self) -> None:
        for line in self.process.stdout or ():
            with contextlib.suppress(ValueError):
                self._done, self._total = map(int, line.split())

    def __str__(self) -> str:
        return f"{_bar(self._done, self._total)} of litelab's functions compiled"


def _bar(done: int, total: int) -> str:
    return f"[{'#' * round(20 * done / max(1, total)):.<20}] {done} of {total}"


def watch(process: subprocess.Popen[str], words: Callable[[], str], began: float) -> None:
    """Wait until a process has ended, and tell what it is doing meanwhile."""
    terminal, told = sys.stdout.isatty(), time.monotonic()
    while process.poll() is None:
        time.sleep(0.1)
        now = time.monotonic()
        if now - told >= (0.3 if terminal else EVERY):
            told = now
            text = f"  {words()}, {now - began:.0f} s"
            print(f"\r\033[K{text}" if terminal else text, end="" if terminal else "\n", flush=True)
    if terminal:
        print("\r\033[K", end="")


def install(venv: Path, requirement: str, compiling: Compiling | None = None) -> int:
    """Install, and return pip's exit code; if that is not 0, print pip's whole output."""
    command = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--no-compile"]
    command += ["--progress-bar", "off", "--constraint", "constraints.txt", "--editable", requirement]
    phase, lines, began = Phase(venv), [], time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:

        def follow() -> None:
            for line in process.stdout or ():
                lines.append(line)
                phase.read(line)

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        watch(process, lambda: str(phase) if compiling is None else f"{phase}; {compiling}", began)
        reader.join()
    if process.returncode:
        print("".join(lines), end="")
    else:
        print(f"  done in {time.monotonic() - began:.0f} s")
    return process.returncode


def main() -> int:
    """Install what the command line names, and return pip's exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("venv", type=Path)
    parser.add_argument("requirement")
    parser.add_argument("--kernels", action="store_true", help="also compile litelab")
    given = parser.parse_args()
    if not given.kernels:
        return install(given.venv, given.requirement)
    own, _, extras = given.requirement.partition("[")
    if code := install(given.venv, own):
        return code
    compiling = Compiling(given.venv)
    try:
        code = install(given.venv, given.requirement, compiling) if extras else 0
        if not code and compiling.process.poll() is None:
            print("Compiling litelab ...", flush=True)
            watch(compiling.process, lambda: str(compiling), time.monotonic())
    finally:
        compiling.process.terminate()
        compiling.process.wait()
    return code


if __name__ == "__main__":
    sys.exit(main())

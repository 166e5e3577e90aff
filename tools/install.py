"""Install this checkout into a virtual environment, and show the progress that pip does not show for a minute.

    python tools/install.py VENV REQUIREMENT

It runs before anything is installed, so that it needs only the standard library.
"""

import re
import subprocess
import sys
import threading
import time
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
        return f"[{'#' * round(20 * done / self._wanted):.<20}] {done} of {self._wanted} packages"


def install(venv: Path, requirement: str) -> int:
    """Install, and return pip's exit code; if that is not 0, print pip's whole output."""
    command = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    command += ["--progress-bar", "off", "--constraint", "constraints.txt", "--editable", requirement]
    phase, lines = Phase(venv), []
    terminal = sys.stdout.isatty()
    began = told = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:

        def follow() -> None:
            for line in process.stdout or ():
                lines.append(line)
                phase.read(line)

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        while process.poll() is None:
            time.sleep(0.1)
            now = time.monotonic()
            if now - told >= (0.3 if terminal else EVERY):
                told = now
                text = f"  {phase}, {now - began:.0f} s"
                print(f"\r\033[K{text}" if terminal else text, end="" if terminal else "\n", flush=True)
        reader.join()
    if terminal:
        print("\r\033[K", end="")
    if process.returncode:
        print("".join(lines), end="")
    else:
        print(f"  done in {time.monotonic() - began:.0f} s")
    return process.returncode


if __name__ == "__main__":
    sys.exit(install(Path(sys.argv[1]), sys.argv[2]))

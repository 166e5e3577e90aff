"""Where a result comes from: the code revision and the machine, which are stored with every measurement."""

import functools
import os
import platform
import subprocess
from pathlib import Path


@functools.cache
def revision() -> str:
    """Git revision of the code, with "+changes" if tracked files differ from it; "" outside a checkout."""
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        # an installed package may lie inside another project's checkout
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def machine() -> str:
    """Processor, number of cores, operating system and Python version, as one line of text."""
    processor = platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"

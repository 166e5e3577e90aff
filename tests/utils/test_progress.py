"""Progress that is told where nobody looks at a terminal, also while nothing moves."""

import re
import time

from rich.console import Console

from flexlam_rl.utils.progress import lasting_bar


def test_lines_come_while_nothing_is_reported(capsys):
    with lasting_bar("compiling", Console(width=80), every=0.05) as report:
        time.sleep(0.2)
        report(3, 4)
        time.sleep(0.2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("compiling: 0 %, ") and "left" not in lines[0]
    assert re.fullmatch(r"compiling: 75 %, \d s, about 0 s left", lines[-1])
    assert 2 <= len(lines) <= 9
    time.sleep(0.1)
    assert not capsys.readouterr().out

"""Progress that is told where nobody looks at a terminal, also while nothing moves."""

import time

from rich.console import Console

from flexlam_rl.utils.progress import lasting_bar


def test_lines_come_while_nothing_is_reported(capsys):
    with lasting_bar("compiling", Console(width=80), every=0.05) as report:
        time.sleep(0.2)
        report(3, 4)
        time.sleep(0.2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("compiling: 0 %, ")
    assert lines[-1].startswith("compiling: 75 %, ")
    assert 2 <= len(lines) <= 9
    time.sleep(0.1)
    assert not capsys.readouterr().out

"""ViZDoom's scenarios that are tasks, and the lengths of their episodes."""

from flexlam_rl.envs.domain import Task
from flexlam_rl.utils.registry import Registry

TICS_PER_SECOND = 35
"""Simulator frames (tics) per second."""
_MINUTE = 60 * TICS_PER_SECOND

_TICS = {
    "basic": 300,
    "deadly_corridor": _MINUTE,
    "deathmatch": 2 * _MINUTE,
    "defend_the_center": _MINUTE,
    "defend_the_line": _MINUTE,
    "health_gathering": _MINUTE,
    "health_gathering_supreme": _MINUTE,
    "my_way_home": _MINUTE,
    "predict_position": 300,
    "take_cover": _MINUTE,
}
"""Length of an episode in tics, counted from its first frame, according to the scenarios' own files. Those of
`defend_the_line` and `take_cover` name no time; they get one minute like most others.
"""

TASKS: dict[str, Task] = {name: Task(name, scored=True, frames=tics, terminates=True) for name, tics in _TICS.items()}
"""All tasks, in alphabetical order."""


def task_named(name: str) -> Task:
    """Find a task by name.

    Raises:
        ValueError: There is no task of that name.
    """
    return _KNOWN.get(name)


_KNOWN: Registry[Task] = Registry("task of vizdoom")
for _task in TASKS.values():
    _KNOWN.register(_task.name, _task)

"""Events of the psychlab level: one `xdata:psychlab` per finished trial."""

from typing import Any

_MODES = ("shape", "color", "conjunction")


def trial_events(world: Any, seen: int) -> tuple[list[tuple[str, list[Any]]], int]:
    """List the events of the trials after the first `seen` ones, and count all trials that have finished.

    An event is ("xdata:psychlab", [text]). The text has one `name = value` per line: trial, response (1 present, 0
    absent), correct, reaction time in frames, set size, mode, and whether the target was present.
    """
    count = int(world["psy_trials"])
    events: list[tuple[str, list[Any]]] = []
    for k in range(seen, count):
        response, correct, frames, size, mode, present = (int(x) for x in world["psy_log"][k])
        lines = {
            "trialId": k + 1,
            "response": response,
            "correct": correct,
            "reactionTimeFrames": frames,
            "setSize": size,
            "searchMode": _MODES[mode],
            "targetPresent": present,
        }
        events.append(("xdata:psychlab", ["".join(f"{name} = {value}\n" for name, value in lines.items())]))
    return events, count

"""Engine time: how many engine milliseconds each 60 Hz frame lasts.

A frame lasts 16 ms on average, but the player's clock is that of a network client, which follows a server whose time
advances in steps of 50 ms. Whenever the client is at most 5 ms behind the last step, it drops back by 2 ms, else it
catches up by 1 ms. Its frames therefore last 14 or 17 ms, in a pattern that repeats every 75 frames. The recorded
traces follow this rule exactly.
"""

from flexlam_rl.envs.litelab.kernel import kernel

FRAME_MS = 16
SERVER_MS = 50
CLOSE = 5  # ms behind the server's last step at which the client drops back
FAR = 100  # from this difference in ms, the client makes up half of it at once
# State of the clocks at the start of an episode: (ms since the server's last step, ms by which the client is ahead of
# CLOSE). A map with many entities needs one more frame to load.
START = (46, -14)
START_LARGE = (12, -17)
LARGE = 16  # limit of entities for START; recorded maps have up to 12 with START, and 18 or more with START_LARGE
# For a start at a user's pose: the point of the repeating pattern that matches recorded standstills best.
START_ANYWHERE = (12, -39)
# A restart takes six frames of the clocks, of which the episode counts only the last; before the third, the server's
# time jumps ahead.
RESTART_FRAMES = 6
RESTART_LEAP_AT = 2
RESTART_LEAP_MS = 400
AFTER_LOAD = (46, 0)  # after the first frame of another map loaded within an episode


@kernel
def start_clock(w, entities):
    """Set the clocks for the start of an episode, by the number of items and doors of its map."""
    if entities > LARGE:
        w.clock_residue = START_LARGE[0]
        w.clock_lead = START_LARGE[1]
    else:
        w.clock_residue = START[0]
        w.clock_lead = START[1]


@kernel
def start_clock_anywhere(w):
    """Set the clocks for an episode that starts at a pose that is not a spawn point."""
    w.clock_residue = START_ANYWHERE[0]
    w.clock_lead = START_ANYWHERE[1]


@kernel
def _pass(w, drift):
    """Advance the clocks by one frame, which the client makes longer by `drift` ms; returns its length."""
    w.clock_lead += FRAME_MS + drift
    w.clock_residue += FRAME_MS
    if w.clock_residue >= SERVER_MS:
        w.clock_residue -= SERVER_MS
        w.clock_lead -= SERVER_MS
    return FRAME_MS + drift


@kernel
def frame_ms(w):
    """Advance the clocks by a frame and return its length in engine ms: 14 or 17, 16 on average."""
    return _pass(w, -2 if w.clock_lead + FRAME_MS >= 0 else 1)


@kernel
def restart_clock(w):
    """Advance the clocks by a restart of the map, including the frame in which the new place is first seen.

    A client that is more than FAR behind makes up half of the difference at once. Four of the recorded restarts end
    within these frames, and agree. If it takes longer, the original then plays frames of up to 200 ms, which litelab
    does not reproduce.
    """
    for k in range(RESTART_FRAMES):
        if k == RESTART_LEAP_AT:
            w.clock_lead -= RESTART_LEAP_MS
        gap = w.clock_lead + FRAME_MS - CLOSE
        if gap < -FAR:
            _pass(w, (gap >> 1) - gap)
        else:
            frame_ms(w)
    while w.clock_lead - CLOSE < -FAR:
        w.clock_lead = CLOSE + ((w.clock_lead - CLOSE) >> 1)


@kernel
def load_clock(w):
    """Advance the clocks by the load of another map within an episode, including its first frame."""
    w.clock_residue = AFTER_LOAD[0]
    w.clock_lead = AFTER_LOAD[1]

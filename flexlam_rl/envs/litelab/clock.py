"""Engine time: how many engine milliseconds each 60 Hz frame lasts.

A frame is 16 ms on average, but the player's clock is the network client's: it runs after a server whose time goes on
in steps of 50 ms. Whenever the client sees itself at most 5 ms behind the last step it drops back by 2 ms, else it
creeps up by 1 ms; so its frames last 14 or 17 ms, in a pattern that repeats every 75 frames. The recorded traces follow
this rule exactly.
"""

from flexlam_rl.envs.litelab.kernel import kernel

FRAME_MS = 16
SERVER_MS = 50
CLOSE = 5  # ms behind the server's last step at which the client drops back
FAR = 100  # ms of difference from which on the client goes half the way at once
# Where the clocks stand at the start of an episode, as (ms since the server's last step, ms by which the client is
# ahead of CLOSE): a map with many entities takes one frame more to arrive.
START = (46, -14)
START_LARGE = (12, -17)
LARGE = 16  # entities; recorded up to 12 for the first kind, from 18 on for the second
# For a start at a pose of the user's: a place in the pattern that repeats, from which recorded standstills are met
# best.
START_ANYWHERE = (12, -39)
# A restart takes six frames of the clocks, of which the episode counts the last, and before the third the server leaps
# ahead.
RESTART_FRAMES = 6
RESTART_LEAP_AT = 2
RESTART_LEAP_MS = 400
AFTER_LOAD = (46, 0)  # after the first frame of another map loaded within an episode


@kernel
def start_clock(w, entities):
    """Set the clocks to where they stand at the start of an episode whose map holds so many items and doors."""
    if entities > LARGE:
        w.clock_residue = START_LARGE[0]
        w.clock_lead = START_LARGE[1]
    else:
        w.clock_residue = START[0]
        w.clock_lead = START[1]


@kernel
def start_clock_anywhere(w):
    """Set the clocks for an episode that starts where no map lets one start."""
    w.clock_residue = START_ANYWHERE[0]
    w.clock_lead = START_ANYWHERE[1]


@kernel
def _pass(w, drift):
    """One frame passes, which the client makes longer by `drift` ms."""
    w.clock_lead += FRAME_MS + drift
    w.clock_residue += FRAME_MS
    if w.clock_residue >= SERVER_MS:
        w.clock_residue -= SERVER_MS
        w.clock_lead -= SERVER_MS
    return FRAME_MS + drift


@kernel
def frame_ms(w):
    """Engine ms of the frame about to be played (14 or 17, 16 on average); moves the clocks on."""
    return _pass(w, -2 if w.clock_lead + FRAME_MS >= 0 else 1)


@kernel
def restart_clock(w):
    """What a restart of the map does to the clocks, the frame included in which the new place is first seen.

    A client that finds itself more than FAR behind goes half the way at once. Four of the recorded restarts end within
    these frames, and agree; where it takes longer, the original then plays frames of up to 200 ms, which are left out.
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
    """What loading another map within an episode does to the clocks, its first frame included."""
    w.clock_residue = AFTER_LOAD[0]
    w.clock_lead = AFTER_LOAD[1]

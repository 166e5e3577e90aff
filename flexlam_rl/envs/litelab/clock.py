"""Engine time: how many engine milliseconds each 60 Hz frame lasts.

A frame is 16 ms on average, but the player's clock is the network client's: it runs after a server whose time goes on in steps of
50 ms. Whenever the client sees itself at most 5 ms behind the last step it drops back by 2 ms, else it creeps up by 1 ms; so its
frames last 14 or 17 ms, in a pattern that repeats every 75 frames. The recorded traces follow this rule exactly.
"""

from flexlam_rl.envs.litelab.kernel import kernel

FRAME_MS = 16
SERVER_MS = 50
# Where the clocks stand at the start of an episode: (ms since the server's last step, ms by which the client is ahead of it).
START_RESIDUE = 46
START_LEAD = -14


@kernel
def start_clock(w):
    """Set the clocks to where they stand at the start of an episode."""
    w.clock_residue = START_RESIDUE
    w.clock_lead = START_LEAD


@kernel
def frame_ms(w):
    """Engine ms of the frame about to be played (14 or 17, 16 on average); moves the clocks on."""
    w.clock_lead += FRAME_MS
    drift = -2 if w.clock_lead >= 0 else 1
    w.clock_lead += drift
    w.clock_residue += FRAME_MS
    if w.clock_residue >= SERVER_MS:
        w.clock_residue -= SERVER_MS
        w.clock_lead -= SERVER_MS
    return FRAME_MS + drift

"""Engine time: how many engine milliseconds the next 60 Hz frame lasts."""

from flexlam_rl.envs.litelab.kernel import kernel


@kernel
def frame_ms(w):
    """Engine ms of the frame about to be played (16 on average, reference A0)."""
    return 16

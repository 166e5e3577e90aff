"""litelab's movement against the recorded rollouts: 2,400 frames each at frame skip 4, with none but the first pose
given.
"""

import numpy as np
import pytest

# Bots push and shoot the player in lasertag; natlab's real ground is not litelab's.
LEVELS = (
    "explore_goal_locations_large",
    "explore_goal_locations_small",
    "explore_object_locations_large",
    "explore_object_locations_small",
    "explore_object_rewards_few",
    "explore_object_rewards_many",
    "explore_obstructed_goals_large",
    "explore_obstructed_goals_small",
    "language_execute_random_task",
    "psychlab_visual_search",
    "rooms_exploit_deferred_effects_train",
)


@pytest.mark.parametrize("level", LEVELS)
def test_whole_rollout(level, rollout, new_replay):
    for seed in (101, 103):
        recording = rollout(f"{level}-{seed}")
        replay = new_replay(recording)
        replay.begin()
        first, last = recording.segments[0]
        position, rotation, _ = replay.play(first, last, through_engine=True)
        known = slice(first, last, recording.skip)
        error = np.linalg.norm(position[:: recording.skip] - recording.position[known], axis=1)
        turn = np.abs((rotation[:: recording.skip, 1] - recording.rotation[known, 1] + 180) % 360 - 180)
        print(
            f"\n{recording.name:42s} frames {last - first:4d}  median {np.median(error):8.5f}  max {error.max():8.5f}",
            end="",
        )
        assert turn.max() <= 0.05
        assert np.median(error) <= 0.25
        assert error.max() <= 2.0

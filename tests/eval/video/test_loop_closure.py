"""Places that are seen again: which frames return, and what they are compared with."""

import numpy as np

from flexlam_rl.eval.video.loop_closure import Nearness, Views, compare_views, find_views

NEAR = Nearness(place=50, turn=20, absence=2, apart=2, around=1)


def walk(*steps):
    """Places (1, T, 2) and yaws (1, T) of a walk: x and yaw of each frame."""
    return np.array([[(x, 0.0) for x, _ in steps]]), np.array([[float(yaw) for _, yaw in steps]])


def test_a_view_returns_after_it_was_left_and_not_before():
    # frames 0 to 2 are context; the camera walks off, comes back (5), stays (6), turns around (7), and back (8)
    places, yaws = walk((0, 0), (0, 5), (300, 0), (600, 0), (900, 0), (10, 0), (0, 0), (0, 180), (0, 355))
    views = find_views(places, yaws, 3, NEAR)
    assert views.seen.tolist() == [[-1, -1, 1, -1, -1, -1]]
    assert views.new.tolist() == [[True, True, False, False, True, False]]
    # an absence of one frame is enough for the last one
    short = find_views(places, yaws, 3, Nearness(50, 20, 1, 2, 1))
    assert short.seen.tolist() == [[-1, -1, 1, -1, -1, 1]]
    # 80 units away a view has not returned, and is not new either
    close = find_views(*walk((0, 0), (300, 0), (600, 0), (80, 0)), 3, NEAR)
    assert close.seen.tolist() == [[-1]] and close.new.tolist() == [[False]]


def test_a_camera_that_moves_in_small_steps_sees_new_views():
    places = np.stack([np.arange(60) * 25.0, np.zeros(60)], -1)  # along a corridor
    places[50:] = places[10:20]  # and back to where it began
    views = find_views(places[None], np.zeros((1, 60)), 20)
    assert views.new[0, :30].all() and not views.new[0, 30:].any()
    assert np.flatnonzero(views.seen[0] >= 0).tolist() == [30]  # after that, the view has not been left


def test_returning_views_are_set_beside_new_ones_as_far_into_the_future():
    places, yaws = walk((0, 0), (0, 5), (300, 0), (600, 0), (900, 0), (10, 0), (0, 0), (0, 180), (0, 355))
    views = find_views(places, yaws, 3, NEAR)
    values = np.array([[10.0, 20.0, 30.0, 0.0, 5.0, 0.0]])
    found = compare_views(values, views, around=1)
    assert (found["frames"], found["clips"], found["returning"], found["new"]) == (1, 1, 30.0, 20.0)
    assert found["difference"] == 10.0 and found["low"] is None
    assert compare_views(values, views, around=2)["new"] == (10.0 + 20.0 + 5.0) / 3
    both = np.concatenate([values, values])
    both[1, 2] += 4
    twice = compare_views(both, Views(np.repeat(views.seen, 2, 0), np.repeat(views.new, 2, 0)), around=1)
    assert twice["difference"] == 12.0 and twice["low"] < 12.0 < twice["high"]
    nothing = find_views(*walk((0, 0), (300, 0), (600, 0), (900, 0)), 3, NEAR)
    assert compare_views(np.ones((1, 1)), nothing) == {"frames": 0, "clips": 0}

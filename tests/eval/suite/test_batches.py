"""Which episodes are played together, and which first."""

from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.eval.suite.batches import all_jobs, shortest_first

SPEC = find_domain("dmlab").resolve(EnvSpec())
SHORT, MIDDLE, LONG = (
    "rooms_exploit_deferred_effects_train",
    "explore_goal_locations_small",
    "explore_goal_locations_large",
)


def test_a_run_of_one_batch_plays_its_shortest_level_first():
    jobs = all_jobs((LONG, SHORT, MIDDLE), (1, 4), 2, 0)
    first, rest = shortest_first(jobs, SPEC)
    assert {job.level for job in first} == {SHORT} and {job.level for job in rest} == {LONG, MIDDLE}
    assert sorted(first + rest, key=jobs.index) == jobs


def test_levels_of_one_length_stay_together():
    jobs = all_jobs((MIDDLE, "explore_object_locations_small"), (1,), 2, 0)
    assert shortest_first(jobs, SPEC) == [jobs]

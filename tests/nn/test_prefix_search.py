"""The search over prefix lengths, against brute force."""

from typing import Any

import pytest
import torch
from torch import Tensor

from flexlam_rl.nn.prefix_search import cost_curves, grid, search, shortest

SLOTS, ROWS = 37, 64


def curves(monotone: bool, seed: int = 0) -> Tensor:
    """Costs (ROWS, SLOTS + 1) of lengths 0..SLOTS; among them rows that are met at once, and never."""
    costs = torch.rand(ROWS, SLOTS + 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    costs[0], costs[1] = 0.0, 1.0
    return costs.sort(1, descending=True).values if monotone else costs


def brute(costs: Tensor, threshold: Tensor, least: int) -> tuple[list[int], list[bool]]:
    lengths = [
        next((k for k in range(least, SLOTS + 1) if row[k] <= limit), None)
        for row, limit in zip(costs, threshold, strict=True)
    ]
    return [SLOTS if k is None else k for k in lengths], [k is not None for k in lengths]


class Counted:
    """Looks costs up, and counts."""

    def __init__(self, costs: Tensor) -> None:
        self.costs, self.calls = costs, 0

    def __call__(self, lengths: Tensor) -> Tensor:
        self.calls += 1
        return self.costs[torch.arange(len(lengths)), lengths]


@pytest.mark.parametrize("least", [0, 1, 5])
@pytest.mark.parametrize("how", ["full", "binary", "guessed"])
def test_monotone_costs_give_what_brute_force_gives(how: str, least: int) -> None:
    costs = curves(monotone=True)
    threshold = torch.linspace(0.02, 0.9, ROWS, dtype=torch.float64)
    threshold[::2] = costs[::2, 9]  # equal to a cost
    evaluate = Counted(costs)
    start = torch.arange(ROWS) % (SLOTS + 1 - least) + least if how == "guessed" else None
    found = search(evaluate, ROWS, SLOTS, threshold, "full" if how == "full" else "binary", least=least, start=start)
    lengths, met = brute(costs, threshold, least)
    assert found.lengths.tolist() == lengths and found.met.tolist() == met
    assert 0 < sum(met) < ROWS
    assert int(found.evaluations.max()) == evaluate.calls
    bound = {"full": SLOTS + 1 - least, "binary": 6, "guessed": 12}[how]
    assert evaluate.calls <= bound and (how != "full" or evaluate.calls == bound)


def test_a_good_guess_makes_the_binary_search_short() -> None:
    costs, threshold = curves(monotone=True), torch.full((ROWS,), 0.4, dtype=torch.float64)
    answer = search(Counted(costs), ROWS, SLOTS, threshold, "full")
    near = search(Counted(costs), ROWS, SLOTS, threshold, "binary", start=answer.lengths)
    assert near.lengths.equal(answer.lengths) and near.met.equal(answer.met)
    assert int(near.evaluations[answer.met].max()) == 2  # it is good enough, and the next shorter one is not
    assert int(near.evaluations[~answer.met].max()) == 1  # the longest is not good enough


def test_costs_that_rise_again_behave_as_documented() -> None:
    costs, threshold = curves(monotone=False), torch.full((ROWS,), 0.1, dtype=torch.float64)
    lengths, met = brute(costs, threshold, 1)
    full = search(Counted(costs), ROWS, SLOTS, threshold, "full")
    assert full.lengths.tolist() == lengths and full.met.tolist() == met
    rows = torch.arange(ROWS)
    for start in (None, full.lengths):
        binary = search(Counted(costs), ROWS, SLOTS, threshold, "binary", start=start)
        assert bool((binary.lengths >= full.lengths).all()) and not bool((binary.met & ~full.met).any())
        good = costs[rows, binary.lengths] <= threshold
        shorter = (costs[rows, binary.lengths - 1] > threshold) | (binary.lengths == 1)
        assert bool((good & shorter)[binary.met].all())
    assert not search(Counted(costs), ROWS, SLOTS, threshold, "binary").lengths.equal(full.lengths)


def test_bins_are_uniform_and_never_find_a_shorter_one() -> None:
    assert grid(16, 1, 4).tolist() == [1, 6, 11, 16] and grid(5, 1, 100).tolist() == [1, 2, 3, 4, 5]
    assert grid(64, 0).tolist() == list(range(65)) and grid(9, 9, 3).tolist() == [9]
    costs, evaluate = curves(monotone=True), Counted(curves(monotone=True))
    full = search(Counted(costs), ROWS, SLOTS, 0.4, "full")
    found = search(evaluate, ROWS, SLOTS, 0.4, "binned", bins=10)
    lengths = grid(SLOTS, 1, 10)
    assert evaluate.calls == 10 == int(found.evaluations[0])
    assert found.lengths.tolist() == [int(lengths[lengths >= k][0]) for k in full.lengths]
    again, _ = shortest(cost_curves(Counted(costs), ROWS, lengths), lengths, 0.4)
    assert again.equal(found.lengths)


def test_a_regressed_length_is_taken_and_checked_once() -> None:
    costs, start = curves(monotone=True), torch.full((ROWS,), 9)
    found = search(Counted(costs), ROWS, SLOTS, 0.7, "regressed", start=start)
    assert found.lengths.equal(start) and found.met.equal(costs[:, 9] <= 0.7) and 0 < int(found.met.sum()) < ROWS
    assert found.evaluations.unique().tolist() == [1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"how": "best"}, "how is 'best'; expected one of full"),
        ({"how": "regressed"}, "start is None"),
        ({"start": torch.ones(ROWS, dtype=torch.int64)}, "start is given"),
        ({"how": "regressed", "start": torch.zeros(ROWS, dtype=torch.int64)}, "lengths from 1 to 37"),
        ({"least": 38}, "least is 38"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"threshold": torch.zeros(3)}, "one for each of 64 rows"),
        ({"evaluate": lambda k: k * float("nan")}, "row 0 at prefix length 1 is not a number"),
        ({"evaluate": lambda k: torch.zeros(())}, r"shape \(\)"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(change: dict[str, Any], message: str) -> None:
    given = {"evaluate": Counted(curves(True)), "rows": ROWS, "slots": SLOTS, "threshold": 0.5, "how": "full"} | change
    with pytest.raises(ValueError, match=message):
        search(**given)

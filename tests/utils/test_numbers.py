"""Numbers of callers: taken as Python's, or refused in one sentence."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from flexlam_rl.utils.numbers import flag, int64, real, whole
from flexlam_rl.utils.plain import Plain, json_value


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3), torch.tensor(3)])
def test_whole_numbers_of_any_kind(value: Any) -> None:
    found = whole(value, "n", 1, 3)
    assert found == 3 and type(found) is int


@pytest.mark.parametrize("value", [True, np.bool_(True), torch.tensor(True), 1.0, np.float32(1), "1", None, [1]])
def test_what_is_no_whole_number(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^n is [^\n]+; expected a whole number, 0 or more\.$"):
        whole(value, "n")


def test_bounds_are_named() -> None:
    with pytest.raises(ValueError, match=r"^n is 4; expected a whole number, 1 to 3\.$"):
        whole(4, "n", 1, 3)
    with pytest.raises(ValueError, match=r"^n is -1; expected a whole number, 0 or more\.$"):
        whole(-1, "n")
    assert whole(-(2**80), "n", None) == -(2**80)
    assert int64(-(2**63), "n") == -(2**63)
    for wrong in (2**63, -(2**63) - 1):
        with pytest.raises(ValueError, match=rf"^n is {wrong}; expected a whole number of 64 bits\.$"):
            int64(wrong, "n")


def test_real_numbers_and_flags() -> None:
    assert real(np.float32(0.5), "t") == 0.5 and flag(np.bool_(False), "f") is False and flag(1, "f") is True
    for wrong in (float("nan"), float("inf"), -0.5, True, "1"):
        with pytest.raises(ValueError, match=r"^t is .*; expected a finite number, 0 or more\.$"):
            real(wrong, "t")
    for wrong in (2, "yes", None, [True, False]):
        with pytest.raises(ValueError, match=r"^f is "):
            flag(wrong, "f")


def test_plain_records_share_nothing_with_the_caller() -> None:
    @dataclass(frozen=True)
    class Record(Plain):
        sizes: Any
        number: Any
        about: Any

    about = {"a": [1]}
    record = Record(np.arange(3), torch.tensor(2), about)
    about["a"].append(2)
    assert record == Record((0, 1, 2), 2, {"a": [1]}) and type(record.number) is int
    assert json_value({"x": (np.int8(1), np.float64(0.5))}, "x") == {"x": [1, 0.5]}

"""The estimate of what is left counts evaluations and saves, and says where it knows too little."""

import math

import pytest

from flexlam_rl.train.progress import Pace
from flexlam_rl.train.trainer import TrainingError, run


def test_steps_alone_are_a_lower_bound_until_evaluations_are_measured():
    pace = Pace(100, {"evaluation": 25})
    assert pace.left(0) is None and pace.words(0) == "no estimate yet"
    for step in range(1, 26):
        pace.step(step, 6.0)
    assert pace.left(25) == (75 * 6.0, False)
    assert pace.words(25) == "at least 7.5 min left"
    pace.pause("evaluation", 60.0)
    # evaluations after steps 50, 75 and 100
    assert pace.left(25) == (75 * 6.0 + 3 * 60.0, True)
    assert pace.words(25) == "about 10.5 min left"


def test_a_last_evaluation_off_the_interval_is_counted():
    pace = Pace(10, {"evaluation": 4})
    pace.step(8, 1.0)
    pace.pause("evaluation", 5.0)
    assert pace.left(8) == (2.0 + 5.0, True)


def test_steps_that_are_to_become_dearer_are_no_estimate():
    pace = Pace(10, {}, change=5)
    for step in range(1, 6):
        pace.step(step, 1.0)
    assert pace.left(5) == (5.0, False)
    pace.step(6, 10.0)
    assert pace.left(6) == (40.0, True)


@pytest.mark.parametrize("when", ["gradient", "evaluation"])
def test_a_gradient_or_an_evaluation_that_is_no_number_stops_in_one_sentence(when, tmp_path, stages, monkeypatch):
    stage = stages.build("idm")
    if when == "gradient":

        def poison(done):
            if done == 7:
                stage.model.embed_hook = next(stage.model.parameters()).register_hook(
                    lambda gradient: gradient * math.nan
                )

        message = r"^idm: the norm of the gradient is nan at step 7; the last good state is .*state\.safetensors\.$"
    else:
        poison = None
        monkeypatch.setattr(stage, "evaluate", lambda device: {"loss": math.nan})
        message = r"^idm: the loss of the evaluation is nan at step 5; the last good state is .*state\.safetensors\.$"
    with pytest.raises(TrainingError, match=message):
        run(stage, stages.LOOP, tmp_path, poison)
    best = run(stages.build("idm"), stages.LOOP, tmp_path)
    assert math.isfinite(best["loss"])

"""k* beside the rollouts, and the head that is trained on them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.agents.policy.bundling import make_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.datasets import open_rollouts
from flexlam_rl.models.flexlam.adaptive import stored
from flexlam_rl.models.flexlam.adaptive.choosing import choose
from flexlam_rl.models.flexlam.adaptive.definition import BUDGET_STAGE, BudgetOptions
from flexlam_rl.models.flexlam.adaptive.head import BudgetConfig, BudgetHead
from flexlam_rl.models.flexlam.adaptive.objectives import Agreement, own_previous
from flexlam_rl.models.flexlam.adaptive.rules import Stops
from flexlam_rl.models.flexlam.adaptive.stage import calibration_error, first_below
from flexlam_rl.models.flexlam.adaptive.stored import searched, stored_budgets
from flexlam_rl.models.flexlam.config import PRESETS
from flexlam_rl.models.flexlam.factored.config import SIZES
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.options import TrainArgs
from flexlam_rl.models.flexlam.pipeline import train_stage
from flexlam_rl.models.flexlam.priors import PRIORS, decoder_of, load_prior
from flexlam_rl.models.flexlam.recurrent.config import SIZES as RECURRENT
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.nn.action_distance import actions_differ
from flexlam_rl.nn.pretrained import CheckpointError, model_digest
from flexlam_rl.train.run_stage import open_splits
from tests.models.weights import shaken


def shake(folder):
    """Move a trained model's weights apart, so that its codes matter."""
    kind = {"lam": LAM, "translator": Translator}.get(folder.name)
    model = load_prior(folder) if kind is None else kind.from_pretrained(folder)
    torch.manual_seed(0)
    shaken(model).save_pretrained(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory, rollouts):
    """A run at debug size."""
    out = tmp_path_factory.mktemp("budget") / "run"
    args = TrainArgs(data=rollouts, out=out, preset="debug", label_count=60, steps=4, prior="factored")
    train_stage("lam", args)
    shake(out / "lam/best/lam")
    for stage in ("sequence", "translator"):
        train_stage(stage, args)
        shake(out / stage / "best" / stage)
    return out


def models_of(run):
    lam = LAM.from_pretrained(run / "lam/best/lam").eval().requires_grad_(False)
    translator = Translator.from_pretrained(run / "translator/best/translator").eval().requires_grad_(False)
    what = searched(
        model_digest(run / "lam/best/lam"), "agreement", 0.1, model_digest(run / "translator/best/translator")
    )
    return lam, translator, what


def test_k_lies_beside_the_rollouts_and_trains_a_head(run, rollouts, monkeypatch):
    options = BudgetOptions(data=rollouts, out=run, preset="debug", steps=6)
    with pytest.raises(
        ValueError, match=r"has no k\* of this latent action model \(objective agreement, tolerance 0.1"
    ):
        train_stage("budget", options)
    assert not (run / "budget").exists()

    lam, translator, what = models_of(run)
    monkeypatch.setattr(stored, "BATCH", 17)  # episodes of 41 rows: batches begin anywhere in them
    for split in ("train", "test"):
        part = open_rollouts(rollouts, split=split)
        found = stored_budgets(lam, what, part, translator)
        monkeypatch.setattr(stored, "choose", None)  # nothing is searched twice
        again = stored_budgets(lam, what, part, translator)
        monkeypatch.setattr(stored, "choose", choose)
        store, column = part[0], found[0]
        frames = torch.from_numpy(store.frames.read(0, 41)).movedim(-1, 1).contiguous()
        codes = lam.encode(frames[:-1], frames[1:])
        previous = own_previous(translator, lam.keep_prefix(codes, 4), frames[:-1], torch.arange(40) == 0)
        own = choose(lam, frames[:-1], frames[1:], Agreement(translator), 0.1, previous=previous)
        assert column[:40, 0].tolist() == own.lengths.tolist() and len(set(own.lengths.tolist())) > 1
        assert (column[:, 0] == 0).sum() == store.episodes == (column[:, 1] == 0).sum()
        assert all(np.array_equal(one, other) for one, other in zip(found, again, strict=True))

    before = [model_digest(run / place) for place in ("lam/best/lam", "sequence/best/sequence")]
    figures = train_stage("budget", options)
    assert figures["loss"] > 0 and 1 <= figures["tokens_change"] <= 4 and 0 <= figures["agreement_change"] <= 1
    assert before == [model_digest(run / place) for place in ("lam/best/lam", "sequence/best/sequence")]
    assert train_stage("budget", options) == figures  # finished
    again = replace(options, out=run.parent / "again", **{f"{stage}_run": run for stage in BUDGET_STAGE.needs})
    assert train_stage("budget", again) == figures  # the same run, in another folder

    make_bundle(run, run.parent / "bundle", [rollouts])
    bundle = load_bundle(run.parent / "bundle")
    assert bundle.budget is not None and bundle.budget.config.objective == "agreement"
    policy = LatentActionPolicy(bundle, "auto:0.3:change")
    policy.predict(np.zeros((2, 64, 64, 3), np.uint8))
    assert policy.last.rule == "change"
    other = run / "translator/best/translator"
    kept = (other / "model.safetensors").read_bytes()
    torch.manual_seed(1)
    Translator(translator.config).save_pretrained(other)
    with pytest.raises(CheckpointError, match="was trained on another translator model"):
        make_bundle(run, run.parent / "other", [rollouts])
    (other / "model.safetensors").write_bytes(kept)


@pytest.mark.parametrize("kind", ["interleaved", "factored", "recurrent"])
def test_states_are_those_of_play(kind):
    """What the head is trained on is what a rule is told in play."""
    torch.manual_seed(0)
    sizes = {"interleaved": PRESETS["debug"].sequence, "factored": SIZES["debug"], "recurrent": RECURRENT["debug"]}
    prior = PRIORS[kind].model(sizes[kind])
    prior.eval().requires_grad_(False)
    decoder, slots = decoder_of(prior), prior.config.slots
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (2, 5, 3, 64, 64), generator=generator, dtype=torch.uint8)
    state, past, seen, states = decoder.initial_state(2), None, [], []

    class Spy:
        name, tolerance = "spy", 0.0

        def ahead(self, hidden):
            states.append(hidden.clone())

        def after(self, k, hidden, codes):
            seen.append((k, hidden.clone(), codes.clone()))
            return torch.ones(len(codes))

        def before(self, logits):
            return None

    made = []
    for t in range(5):
        hidden = decoder.observe(state, frames[:, t], past)
        made.append(decoder.generate(state, hidden, slots, stops=Stops(Spy(), hidden, slots)).codes)
        past = made[-1]  # the prior's own codes are the past, so that both see the same
    first, steps = prior.code_states(frames, torch.stack(made, 1))
    assert torch.allclose(torch.stack(states, 1), first, atol=1e-4)
    for number, (k, hidden, codes) in enumerate(seen):
        t = number // (slots - 1)
        assert codes.equal(made[t][:, k - 1]) and torch.allclose(steps[:, t, k - 1], hidden, atol=1e-4)
    assert len(seen) == 5 * (slots - 1)


@pytest.mark.parametrize("moment", ["ahead", "before", "after"])
@pytest.mark.parametrize(("tolerance", "length"), [(0.0, 4), (0.1, 1)])
def test_a_tolerance_of_zero_stops_nothing_even_where_nothing_is_missing(moment, tolerance, length):
    class Sure:
        name = "sure"

        def ahead(self, state):
            return torch.zeros(2, 4) if moment == "ahead" else None

        def after(self, k, hidden, codes):
            return torch.zeros(2) if moment == "after" else None

        def before(self, logits):
            return torch.zeros(2) if moment == "before" else None

    rule = Sure()
    rule.tolerance = tolerance
    stops = Stops(rule, torch.zeros(2, 3), 4)
    for k in range(1, 4):
        stops.after(k, torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))
        stops.before(k, torch.zeros(2, 5))
    assert stops.lengths.tolist() == [length, length]


def test_batches_begin_where_they_were_left(run, rollouts):
    lam, translator, what = models_of(run)
    for split in ("train", "test"):
        stored_budgets(lam, what, open_rollouts(rollouts, split=split), translator)
    options = BudgetOptions(data=rollouts, out=run, preset="debug", steps=20)
    splits = open_splits(options)
    config = BUDGET_STAGE.plan(options, splits, {})
    one, other = (BUDGET_STAGE.build(options, config, splits) for _ in range(2))
    one.next_batch("cpu")
    other.seek(one.cursor())
    here, there = one.next_batch("cpu"), other.next_batch("cpu")
    assert here["frames"].equal(there["frames"]) and here["codes"].equal(there["codes"])
    assert here["codes"].shape[-1] == 5 and (here["codes"][..., -1] >= 1).all()
    # k*, and whether the action of the first n codes is another than that of all, where the action before is known
    known, frames = one._known(here, 0), here["frames"]
    (b, t), spec = here["codes"].shape[:2], translator.config.actions
    codes, obs = here["codes"][..., :-1].flatten(0, 1).long(), frames[:, :t].flatten(0, 1)
    use = torch.arange(b * t) % t > 0
    previous = own_previous(translator, lam.keep_prefix(codes, 4), obs, ~use)
    outputs = [translator(lam.keep_prefix(codes, n), previous, obs)[use] for n in (1, 2, 3, 4)]
    assert known["differs"].equal(torch.stack([actions_differ(some, outputs[3], spec) for some in outputs[:3]], 1))
    assert known["differs"].any() and not known["differs"].all()
    assert known["k"].equal(here["codes"][..., -1].flatten()[use].long()) and known["codes"].equal(codes[use])
    phases, states = [], one.prior.code_states
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one.prior, "code_states", lambda *given: (phases.append(given[2]), states(*given))[1])
        one._known(here, 3)
    assert phases == [3]  # the interleaved prior's states depend on it
    loss, _ = one.loss(here, torch.Generator().manual_seed(0))
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in one.model.parameters())
    assert all(p.grad is None for frozen in one.frozen for p in frozen.parameters())


def test_a_chance_of_change_depends_on_the_number_of_codes():
    torch.manual_seed(0)
    head = BudgetHead(BudgetConfig(slots=4, codes=8, state_width=6, step_width=5))
    hidden, codes = torch.randn(3, 5), torch.tensor([0, 3, 7])
    each = torch.stack([head.change_logits(k, hidden, codes) for k in (1, 2, 3)], 1)
    assert (each.diff(dim=1).abs() > 1e-4).all()
    together = head.change_logits(torch.arange(1, 4), hidden[:, None].expand(-1, 3, -1), codes[:, None].expand(-1, 3))
    assert torch.allclose(each, together, atol=1e-6)


def test_figures_of_the_stage():
    estimates = torch.tensor([[0.5, 0.05, 0.01], [0.5, 0.4, 0.3], [0.1, 0.0, 0.0]])
    assert first_below(estimates, 0.1).tolist() == [2, 3, 2]
    chances = torch.full((1000,), 0.25)
    assert calibration_error(chances, torch.arange(1000) % 4 == 0) == pytest.approx(0)
    assert calibration_error(chances, torch.arange(1000) % 2 == 0) == pytest.approx(0.25)
    both = torch.tensor([0.25, 0.75]).repeat(500)  # errors of different bins do not cancel
    assert calibration_error(both, both > 0.5) == pytest.approx(0.25)


def test_bad_options_are_refused(tmp_path):
    for change, message in (
        ({"tolerance": -1.0}, "tolerance is -1.0"),
        ({"tolerance": float("nan")}, "tolerance is nan"),
        ({"objective": "beauty"}, "objective is 'beauty'"),
    ):
        with pytest.raises(ValueError, match=message):
            BudgetOptions(data=tmp_path, out=tmp_path, **change)

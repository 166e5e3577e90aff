"""Rare actions: their recall is reported, labels can be weighted by it, and kinds of transitions are found in codes."""

import numpy as np
import pytest
import torch

from flexlam_rl.datasets import open_rollouts
from flexlam_rl.envs.spec import ActionSpec
from flexlam_rl.models.flexlam.code_clusters import code_clusters
from flexlam_rl.models.flexlam.config import PRESETS, TranslatorConfig
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.stages.translator import TranslatorStage, balanced_weights, scores
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.nn.action_head import action_losses, action_recalls

SPEC = ActionSpec((3, 2), 1, "mixed")


def test_recall_is_the_share_recognized_of_each_action():
    actions = torch.tensor([[0, 0, 0.5], [0, 0, 0.1], [2, 1, 0], [2, 1, 0], [2, 1, 0], [1, 0, 0]])
    outputs = torch.zeros(6, 6)
    for row, (first, second) in enumerate([(0, 0), (1, 0), (2, 1), (2, 1), (2, 0), (1, 0)]):
        outputs[row, first] = outputs[row, 3 + second] = 1.0
    assert action_recalls(outputs, actions, SPEC) == {(0, 0): 0.5, (1, 0): 1.0, (2, 1): pytest.approx(2 / 3)}
    assert scores(outputs, actions, SPEC)["recall"] == pytest.approx((0.5 + 1 + 2 / 3) / 3)


def test_balanced_every_action_counts_the_same():
    actions = np.array([[0, 0, 9]] * 6 + [[1, 1, 9]] * 3 + [[1, 0, 9]])
    weights = balanced_weights(actions, SPEC)
    assert weights.mean() == pytest.approx(1) and weights.dtype == np.float32
    assert weights[:6].sum() == pytest.approx(weights[6:9].sum()) == pytest.approx(weights[9])


def test_the_balanced_loss_is_the_weighted_one(world):
    train = world(30, 0)
    train["action"][:25] = 0
    actions = ActionSpec((5,), 0, "toy")
    torch.manual_seed(0)
    lam = LAM(PRESETS["debug"].lam)
    model = Translator(TranslatorConfig(slots=4, actions=actions, hidden=8, wide=16, depth=1))
    frames = {name: np.tile(train[name], (1, 2, 2, 1)) for name in ("obs", "next_obs")}  # of the preset's size
    labels = train | frames
    stage = TranslatorStage(model, lam, labels, labels, 16, 0, balance=True)
    batch = stage.next_batch("cpu")
    generator = torch.Generator().manual_seed(1)
    lengths = lam.lengths(16, torch.Generator().manual_seed(1))
    losses = action_losses(
        model(stage.slots(batch, lengths), batch["previous"], batch["obs"]), batch["action"], actions
    )
    share = torch.bincount(torch.from_numpy(labels["action"][:, 0]))
    expected = losses * 30 / (len(share[share > 0]) * share[batch["action"][:, 0]])
    assert torch.allclose(stage.loss(batch, generator)[0], expected.mean()) and not torch.allclose(
        losses.mean(), expected.mean()
    )


def test_kinds_are_those_of_the_first_codes(make_rollouts, tmp_path):
    torch.manual_seed(0)
    lam = LAM(PRESETS["debug"].lam)
    rollouts = open_rollouts(make_rollouts(tmp_path), split="train")
    kinds, about = code_clusters(lam, "a" * 64, rollouts)
    again, _ = code_clusters(lam, "a" * 64, rollouts)
    assert about == {"lam": "a" * 64, "clusters": about["clusters"], "prefix": 4} and 1 < about["clusters"] <= 64
    assert [len(part) for part in kinds] == [store.rows for store in rollouts.stores]
    assert all(np.array_equal(a, b) for a, b in zip(kinds, again, strict=True))
    frames = [torch.from_numpy(store.frames.read()).movedim(-1, 1) for store in rollouts.stores]
    codes = torch.cat([lam.encode(part[:-1], part[1:]) for part in frames])
    kind = torch.from_numpy(np.concatenate([part[:-1] for part in kinds]))
    vectors = lam.embed(codes).flatten(1)
    within = sum(vectors[kind == k].var(0, correction=0).sum() * (kind == k).sum() for k in kind.unique())
    assert within < 0.5 * vectors.var(0, correction=0).sum() * len(vectors)

"""The audit: figures of models whose latents are known, and walks on litelab whose steps are known."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flexlam_rl.cli import main
from flexlam_rl.envs.domain import find_domain
from flexlam_rl.envs.spec import EnvSpec
from flexlam_rl.eval.lam.audit.dials import DIALS, dialed
from flexlam_rl.eval.lam.audit.examine import MEASURES, STRENGTHS, examine
from flexlam_rl.eval.lam.audit.measures import additivity, agreement, gained, reversal
from flexlam_rl.eval.lam.audit.walks import Walks, walks

SIZE, SPOT, B = 32, 2, 300
MOVES = torch.tensor([[3, 3], [3, 0], [-3, 0], [0, 3], [0, -3]])


def drawn(place: torch.Tensor) -> torch.Tensor:
    """A bright spot at a place (B, 2), row and column: uint8 (B, 3, SIZE, SIZE)."""
    frames = torch.full((len(place), 3, SIZE, SIZE), 40, dtype=torch.uint8)
    for i, (y, x) in enumerate(place.tolist()):
        frames[i, :, y : y + SPOT, x : x + SPOT] = 255
    return frames


def found(frames: torch.Tensor) -> torch.Tensor:
    """The place of the spot, above the rows of the overlay, of which noise is no part."""
    row = frames[:, 0, : SIZE - SIZE // 8].float().flatten(1).argmax(-1)
    return torch.stack([row // SIZE, row % SIZE], -1)


@pytest.fixture(scope="module")
def spots() -> Walks:
    """Two steps of a spot that each action moves."""
    generator = torch.Generator().manual_seed(0)
    action = torch.randint(0, 5, (B, 2), generator=generator)
    start = torch.randint(7, SIZE - 7 - SIZE // 8 - SPOT, (B, 2), generator=generator)
    places = [start, start + MOVES[action[:, 0]], start + MOVES[action].sum(1)]
    motion = F.pad(MOVES[action[:, 0]].float(), (0, 2))
    frames = torch.stack([drawn(place) for place in places], 1)
    depth = (100 + 900 * torch.rand(B, 1, 1, 1, generator=generator)).expand(B, 3, SIZE, SIZE)
    return Walks(frames, action, motion, depth, torch.zeros(B).long(), ("toy",))


class Toy:
    """A model whose latent is what a function says of two frames; it decodes by moving the spot."""

    budgets, title = [1], "toy"

    def __init__(self, latent) -> None:
        self.latent, self.decoder = latent, self

    def encode(self, obs, next_obs):
        return self.latent(obs, next_obs).float()

    def decode(self, obs, latents, budget, steps, generator):
        return drawn((found(obs) + latents.round().long()[:, :2]).clamp(0, SIZE - SPOT - SIZE // 8))

    def vectors(self, latents, budget):
        return latents

    features = vectors


def scrambled(obs, next_obs):
    """Numbers that two frames determine, and that have nothing to do with them."""
    weights = torch.arange(obs[0].numel()).double()
    keys = (obs.double().flatten(1) @ weights + 7 * (next_obs.double().flatten(1) @ weights)).long()
    return torch.stack([torch.randn(2, generator=torch.Generator().manual_seed(int(key) % 2**31)) for key in keys])


def test_a_true_displacement_has_one_everywhere_that_counts(spots):
    (row,) = examine(Toy(lambda obs, after: found(after) - found(obs)), spots)
    for name in ("additivity", "reversal", "action", "motion", "transfer"):
        assert row[name] == pytest.approx(1, abs=0.01), name
    assert row["overlay_1"] == pytest.approx(1)  # which it does not look at
    assert abs(row["additivity_shuffled"]) < 0.12
    assert row["place"] < 0.1


def test_a_scrambled_latent_has_none_of_it(spots):
    (row,) = examine(Toy(scrambled), spots)
    for name in ("additivity", "additivity_shuffled", "reversal", "textures_0.5"):
        assert abs(row[name]) < 0.15, name
    for name in ("action", "motion", "place", "cut_leakage", "transfer"):
        assert row[name] < 0.12, name


def test_a_latent_that_is_the_next_picture_leaks_it_over_a_cut(spots):
    (row,) = examine(Toy(lambda obs, after: F.adaptive_avg_pool2d(after.float(), 4).flatten(1)), spots)
    assert row["cut_leakage"] > 0.95 and row["reversal"] < 0


def test_figures_by_hand():
    one = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    assert agreement(one, 3 * one + 5).value == pytest.approx(1)
    assert reversal(one, one).value == pytest.approx(-1)  # the order of frames makes no difference
    assert additivity(one, 2 * one, one).value == pytest.approx(1)
    assert agreement(one, torch.zeros(3, 2)).value == 0
    assert gained(torch.tensor([1, 1, 1, 0]), torch.tensor([1, 0, 0, 1])).value == pytest.approx(0.5)
    # half of the variance in common
    noise = torch.randn(2, 4000, 3, generator=torch.Generator().manual_seed(0))
    assert agreement(noise[0], noise[0] + noise[1]).value == pytest.approx(0.5**0.5, abs=0.02)
    assert agreement(noise[0], noise[1]).error == pytest.approx(1 / 12000**0.5, rel=0.3)


@pytest.mark.parametrize("name", list(DIALS))
def test_a_dial_changes_more_the_further_it_is_turned_and_nothing_at_zero(name):
    frames = torch.randint(0, 256, (40, 2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    depth = torch.full((40, 2, 64, 64), 1000.0)
    assert torch.equal(dialed(name, frames, depth, 0.0, 1), frames)
    changed = [(dialed(name, frames, depth, s, 1).int() - frames.int()).abs().sum((0, 1, 2)) for s in STRENGTHS]
    assert changed[0].sum() < changed[1].sum() < changed[2].sum()
    assert torch.equal(dialed(name, frames, depth, 0.5, 1), dialed(name, frames, depth, 0.5, 1))
    if name == "overlay":
        assert not changed[2][:56].any() and changed[2][56:].all()
    if name == "players":  # behind a wall there is nobody
        assert torch.equal(dialed(name, frames, torch.full_like(depth, 50.0), 1.0, 1), frames)


def test_walks_hold_what_the_actions_did():
    spec = find_domain("dmlab").resolve(EnvSpec(engine="litelab"))
    levels = ("explore_goal_locations_small", "rooms_watermaze")
    seen = walks(spec, levels, 301, seed=3)
    assert seen.frames.shape == (301, 3, 3, 64, 64) and seen.depth.shape == (301, 3, 64, 64)
    assert torch.bincount(seen.level).tolist() == [150, 151]
    labels = find_domain("dmlab").action_labels(spec)
    by_action = {labels[a]: seen.motion[seen.action[:, 0] == a] for a in range(15)}
    turns = {name: float(moved[:, 2].median()) for name, moved in by_action.items() if len(moved)}
    assert turns["look left"] > 1 and turns["look right"] < -1
    assert float(by_action["forward"][:, 0].median()) > 5 > abs(float(by_action["forward"][:, 1].median()))
    assert float(by_action["strafe left"][:, 1].median()) > 5
    assert float(by_action["look up"][:, 3].median()) > 1
    assert 20 < float(seen.depth.median()) < 2000
    again = walks(spec, levels, 301, seed=3)
    assert all(torch.equal(getattr(seen, name), getattr(again, name)) for name in ("frames", "action", "motion"))
    with pytest.raises(ValueError, match="at least one per level is needed, 2"):
        walks(spec, levels, 1)


def test_the_command_audits_a_bundle_beside_a_frozen_network(bundle_folder, tmp_path, capsys):
    few = ["--transitions", "48", "--levels", "rooms_watermaze", "--decode-steps", "1", "--frozen", "random"]
    assert main(["audit", str(bundle_folder), "--out", str(tmp_path / "out"), *few]) == 0
    record = json.loads((tmp_path / "out" / "audit.json").read_text())
    model, frozen = record["subjects"]
    assert [row["budget"] for row in model["rows"]] == [1, 2, 4] and frozen["frozen"]
    assert all(set(MEASURES) <= row.keys() and np.isfinite(list(row.values())).all() for row in model["rows"])
    (row,) = frozen["rows"]
    assert row["additivity"] == pytest.approx(1, abs=1e-5) and row["reversal"] == pytest.approx(1, abs=1e-5)
    assert "transfer" not in row
    page = (tmp_path / "out" / "README.md").read_text()
    assert "| FlexLAM@1 | FlexLAM@2 | FlexLAM@4 | change of random's features |" in page
    assert f"{model['rows'][2]['motion']:.3f}" in page and page in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--transitions", "20"], "transitions is 20; expected a whole number, 48 or more"),
        (["--levels", "nowhere"], "nowhere"),
        (["--frozen", "vgg"], "vgg"),
        (["--textures", "plain"], "plain"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(bundle_folder, tmp_path, capsys, more, words):
    assert main(["audit", str(bundle_folder), "--out", str(tmp_path / "out"), *more]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()

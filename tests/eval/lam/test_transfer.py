"""Round trips between two worlds: stores of DMLab and of ViZDoom, with a model whose code transfers and one that knows
the picture.
"""

import json

import numpy as np
import pytest
import torch

from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.datasets import Episode, Origin, RolloutWriter
from flexlam_rl.envs.action_names import action_names
from flexlam_rl.envs.domain import DOMAINS
from flexlam_rl.envs.domains.dmlab.actions import action_set
from flexlam_rl.eval.lam import action_reading, prefix_sweep, round_trip, transfer
from flexlam_rl.eval.lam.metrics import Transitions
from flexlam_rl.models.flexlam.config import PRESETS
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.utils.command_line import WRONG_USE
from flexlam_rl.utils.command_line import run as run_command

CONFIG = PRESETS["debug"].lam
SHARED = ("forward", "backward", "left", "right", "turn left", "turn right")


class Painter(LAM):
    """A LAM whose code is the brightness that a transition adds: a code that transfers."""

    def encode(self, obs, next_obs):
        added = (next_obs.float() - obs.float()).mean((1, 2, 3)).round().long()
        return torch.stack([added + 500] + [torch.zeros_like(added)] * 3, 1)

    def decode(self, obs, codes, budget, steps=8, generator=None):
        return (obs.float() + (codes[:, 0] - 500)[:, None, None, None] * (budget > 0)).clamp(0, 255).to(torch.uint8)


class Photographer(Painter):
    """A LAM whose code is the brightness of the next frame: what happened is told by the picture alone."""

    def encode(self, obs, next_obs):
        return super().encode(torch.zeros_like(obs), next_obs)

    def decode(self, obs, codes, budget, steps=8, generator=None):
        value = codes[:, 0] - 500 if budget else obs.float().mean((1, 2, 3)).long()
        return value.clamp(0, 255).to(torch.uint8)[:, None, None, None].expand_as(obs).contiguous()


def frames(count, low, high, seed):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (count, 1, 1, 1), generator=rng).expand(count, 3, 64, 64).to(torch.uint8)


def world(names, low, high, seed, count=240):
    """Transitions of a world that is as bright as `low` to `high`, where an action adds 8 times its shared number."""
    rng = torch.Generator().manual_seed(seed)
    action = torch.randint(len(names), (count, 1), generator=rng)
    added = torch.tensor([8 * SHARED.index(name) if name in SHARED else 60 for name in names])[action[:, 0]]
    obs = frames(count, low, high, seed)
    return Transitions(obs, (obs + added[:, None, None, None]).to(torch.uint8), action, action)


def test_a_code_that_transfers_is_told_from_one_that_does_not():
    a, b = frames(64, 60, 120, 0), frames(64, 140, 180, 1)
    after = (a + 8 * torch.arange(64).remainder(8)[:, None, None, None]).to(torch.uint8)
    found = round_trip.round_trip(Painter(CONFIG), a, after, b, 4, 1, 0)
    assert torch.equal(found.back, after) and torch.equal(found.own, after)
    scores = transfer.summary(round_trip.frame_scores(found, a, after))
    assert scores["back"][0] == scores["own"][0] > scores["shuffled"][0] + 20
    assert scores["back"][0] > scores["none"][0] + 20 and scores["none"] == scores["still"]
    codes = transfer.summary(round_trip.code_scores(Painter(CONFIG), found, 1))
    assert codes["same_first_code"] == codes["same_code"] == [1.0, 0.0]
    assert codes["distance"] == [0.0, 0.0] < codes["distance_shuffled"]
    assert codes["same_first_code_shuffled"][0] < 0.5
    # a frame that is nearly white takes only a little of what is moved to it, and no more comes back
    found = round_trip.round_trip(Painter(CONFIG), a, after, torch.full_like(b, 250), 4, 1, 0)
    assert torch.equal(found.again[:, 0], found.latents[:, 0].clamp(max=505))
    assert torch.equal(found.back, torch.minimum(after, a + 5))


def readings_of(model, first, second):
    sides = [
        (*(world(names, low, high, seed + part) for part in (0, 1)), names)
        for names, low, high, seed in ((first, 20, 60, 0), (second, 100, 160, 2))
    ]
    return action_reading.readings(model(CONFIG), *sides, budget=1, steps=1, seed=0)


def test_actions_of_common_names_are_read_across_worlds():
    words = [action_names(DOMAINS.get(name).defaults()) for name in ("dmlab", "vizdoom")]
    assert set(words[0]) & set(words[1]) == {*SHARED, "forward turn left", "forward turn right"}
    first, second = (*SHARED[:3], "look up"), ("noop", *SHARED[2::-1])  # as many names in another order
    good = readings_of(Painter, first, second)
    assert good["names"] == list(SHARED[:3])
    for name in ("source", "target", "moved", "moved_by_target", "across"):
        assert good[name].mean() == 1.0, name
    assert good["moved_shuffled"].mean() < 0.6
    bad = readings_of(Photographer, first, second)
    assert bad["across"].mean() < 0.6 > bad["moved_by_target"].mean()
    assert readings_of(Painter, first, ("noop", "attack")) is None


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Folders of three worlds: DMLab's, ViZDoom's, and one with small frames."""
    root, rng = tmp_path_factory.mktemp("worlds"), np.random.default_rng(0)
    for folder, domain, task, size in (
        ("maze", "dmlab", "rooms_watermaze", 64),
        ("doom", "vizdoom", "my_way_home", 64),
        ("small", "vizdoom", "my_way_home", 32),
    ):
        spec = DOMAINS.get(domain).defaults()
        actions = DOMAINS.get(domain).actions(spec)
        known = {"action_set": actions.name, "action_hash": actions.hash}
        if domain == "dmlab":
            origin = Origin(engine="litelab", policy="mine", action_table=action_set("dreamer15").rows, **known)
        else:
            origin = Origin(engine=spec.engine, policy="mine", domain=domain, actions=actions, **known)
        for split, key in (("train", 0), ("test", 1)):
            shown = rng.integers(0, 256, (401, size, size, 3), dtype=np.uint8)
            action = rng.integers(0, 12, 400).astype(np.int16)
            with RolloutWriter(root / folder, task, split, origin) as writer:
                writer.append_episodes([Episode(shown, action, np.zeros(400, np.float32), truncated=True, key=key)])
    LAM(CONFIG).save_pretrained(root / "lam")
    return root


def command(module, root, out, *data, more=()):
    given = [
        "-o",
        str(out),
        "--checkpoint",
        str(root / "lam"),
        "--steps",
        "1",
        "--data",
        *(str(root / d) for d in data),
    ]
    return run_command(module.Options, module.run, [*given, *more], module.__name__)


def test_stores_of_two_worlds_from_the_command_line(stores, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    assert command(transfer, stores, out, "maze", "doom", more=["--count", "12", "--read", "400", "--budget", "2"]) == 0
    record = json.loads(out.with_suffix(".json").read_text())
    assert (record["source"]["domain"], record["target"]["domain"]) == ("dmlab", "vizdoom")
    assert (record["transitions"], record["budget"], len(record["readings"]["names"])) == (12, 2, 6)
    assert out.stat().st_size > 1000 and "difference" in capsys.readouterr().out
    again = tmp_path / "again.png"
    assert (
        command(transfer, stores, again, "maze", "doom", more=["--count", "12", "--read", "400", "--budget", "2"]) == 0
    )
    assert json.loads(again.with_suffix(".json").read_text()) == record
    assert command(prefix_sweep, stores, tmp_path / "sweep.png", "maze", "doom", more=["--measured", "6"]) == 0
    record = json.loads((tmp_path / "sweep.json").read_text())
    assert [side["domain"] for side in record["data"]] == ["dmlab", "vizdoom"] and record["transitions"] == 12


def test_what_does_not_fit_is_refused_in_a_sentence(stores, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    for module in (transfer, prefix_sweep):
        assert command(module, stores, out, "maze", "small") == WRONG_USE
        assert "frames of 64 x 64 x 3" in (said := capsys.readouterr().err) and "of 32 x 32 x 3" in said
        assert command(module, stores, out, "small", "small") == WRONG_USE
        assert "the latent action model takes 64 x 64 x 3" in capsys.readouterr().err
    assert command(transfer, stores, out, "maze") == WRONG_USE
    assert "names one folder" in capsys.readouterr().err
    assert command(transfer, stores, out, "maze", "doom", "small") == WRONG_USE
    assert "names 3 folders" in capsys.readouterr().err
    assert not out.exists()


def test_the_translator_reads_both_codes(bundle_folder):
    bundle = load_bundle(bundle_folder)
    codes = torch.randint(0, 100, (16, 4), generator=torch.Generator().manual_seed(0))
    none, obs = torch.full((16, 1), -1), frames(16, 0, 255, 0)
    scores = transfer.translated(bundle, codes, codes, none, obs, 4)
    assert scores["same_action"].mean() == 1.0 > scores["same_action_shuffled"].mean()

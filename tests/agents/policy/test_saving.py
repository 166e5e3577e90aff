"""Policies that are saved, uploaded and moved: what is loaded again decides as what was saved."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import HfApi

from flexlam_rl.agents.policy.bundle import MODELS, Decoding, files_hash, load_bundle
from flexlam_rl.agents.policy.latent_action import LatentActionPolicy
from flexlam_rl.nn.pretrained import CheckpointError

FRAMES = np.random.default_rng(0).integers(0, 256, (6, 2, 64, 64, 3), np.uint8)


def actions(policy: LatentActionPolicy) -> list[list[int]]:
    state, taken = None, []
    for frames in FRAMES:
        chosen, state = policy.predict(frames, state)
        taken.append([*chosen.tolist(), *policy.last.codes.ravel().tolist()])
    return taken


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_policy_is_the_bundle_it_came_from(half, make_bundle_folder, tmp_path):
    folder = make_bundle_folder(tmp_path / "first", half=half)
    (folder / "README.md").write_text("a card with scores\n", encoding="utf-8")
    policy = LatentActionPolicy.from_pretrained(folder, 2)
    saved = policy.save_pretrained(tmp_path / "new" / "second")
    assert saved == (tmp_path / "new" / "second").resolve()
    assert content(saved) == content(folder)
    assert actions(LatentActionPolicy.from_pretrained(saved, 2)) == actions(policy)
    # a bundle is replaced, anything else is not
    policy.save_pretrained(folder)
    assert content(saved) == content(folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="holds something other than a bundle"):
        policy.save_pretrained(tmp_path / "mine")
    assert content(tmp_path / "mine") == {"notes.txt": b"mine"}


def test_the_way_of_deciding_is_saved_with_the_policy(bundle_folder, tmp_path):
    bundle = load_bundle(bundle_folder)
    policy = LatentActionPolicy(bundle, 2, decoding=Decoding(0.25, 0.5, 3))
    again = LatentActionPolicy.from_pretrained(policy.save_pretrained(tmp_path / "own"))
    assert again.decoding == Decoding(0.25, 0.5, 3)
    assert "seeing 3 frames back" in (tmp_path / "own" / "README.md").read_text(encoding="utf-8")
    assert files_hash(tmp_path / "own") != bundle.hash
    assert json.loads((tmp_path / "own" / "config.json").read_text())["config"]["decoding"]["context"] == 3


def test_an_upload_is_the_whole_bundle(bundle_folder, monkeypatch):
    sent: dict[str, Any] = {}

    def create_repo(self: HfApi, repo_id: str, **options: Any) -> None:
        sent["made"] = (self.token, repo_id, options)

    def upload_folder(self: HfApi, *, repo_id: str, folder_path: Path, commit_message: str) -> str:
        sent.update(repo=repo_id, files=content(Path(folder_path)), message=commit_message)
        return "https://hub/commit"

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    policy = LatentActionPolicy.from_pretrained(bundle_folder)
    assert policy.push_to_hub("me/policy", private=True, token="secret", message="first") == "https://hub/commit"
    assert sent["made"] == ("secret", "me/policy", {"private": True, "exist_ok": True})
    assert (sent["repo"], sent["message"]) == ("me/policy", "first")
    assert sent["files"] == content(bundle_folder)

    def refuse(self: HfApi, *, repo_id: str, folder_path: Path, commit_message: str) -> str:
        raise OSError("403 Forbidden\nlong explanation")

    monkeypatch.setattr(HfApi, "upload_folder", refuse)
    with pytest.raises(CheckpointError, match=r"^The policy cannot be uploaded to 'me/policy': 403 Forbidden$"):
        policy.push_to_hub("me/policy")


def test_a_moved_policy_refuses_states_of_the_old_device(bundle_folder):
    bundle = load_bundle(bundle_folder)
    policy = LatentActionPolicy(bundle, 2)
    _, state = policy.predict(FRAMES[0])
    assert policy.to("cpu") is policy and policy.bundle is bundle
    policy.predict(FRAMES[1], state)
    for device in ("meta", "cuda:99", "nowhere"):
        with pytest.raises(ValueError, match="device"):
            policy.to(device)
    # models without numbers stand for another device, which a test machine may not have
    elsewhere = replace(bundle, **{part: load_bundle(bundle_folder).__dict__[part].to("meta") for part in MODELS})
    with pytest.raises(ValueError, match=r"it is on cpu, the policy on meta.*begin with state=None") as refused:
        LatentActionPolicy(elsewhere, 2).predict(FRAMES[2], state)
    assert "\n" not in str(refused.value)


@pytest.mark.gpu
def test_a_policy_moves_to_the_gpu_alone(bundle_folder):
    bundle = load_bundle(bundle_folder)
    policy, other = LatentActionPolicy(bundle, 2, deterministic=True), LatentActionPolicy(bundle, 2)
    first = policy(FRAMES[0])
    assert policy.to("cuda").device.type == "cuda" and other.device.type == "cpu"
    with pytest.raises(ValueError, match="on cpu, the policy on cuda"):
        policy(FRAMES[1])
    policy.reset()
    assert np.array_equal(policy(FRAMES[0]), first)


def test_a_policy_loads_and_decides_without_torchs_compiler_which_takes_seconds_to_import(bundle_folder: Path):
    code = (
        "import sys, numpy as np; from flexlam_rl import LatentActionPolicy; "
        "policy = LatentActionPolicy.from_pretrained(sys.argv[1], 2); policy.predict(np.zeros((64, 64, 3), np.uint8)); "
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(bundle_folder)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == "[]"

"""Scores in a model card, from suites of debug-size models."""

import json
import shutil

import pytest

from flexlam_rl.agents.policy.bundle import load_bundle
from flexlam_rl.eval.suite import card
from flexlam_rl.eval.suite import command as suite
from flexlam_rl.utils.command_line import WRONG_USE
from flexlam_rl.utils.command_line import run as run_command

pytestmark = pytest.mark.usefixtures("short_episodes")
SHORT = "rooms_exploit_deferred_effects_train"


def command(module, *arguments: str) -> int:
    return run_command(module.Options, module.run, list(arguments), module.__name__)


@pytest.fixture(scope="module")
def suites(tmp_path_factory, bundle_folder, make_bundle_folder):
    """Finished suites: of a FlexLAM at K = 1, 2 and of a Fixed-2 model; and the FlexLAM's bundle."""
    root = tmp_path_factory.mktemp("suites")
    bundle = root / "bundle"
    shutil.copytree(bundle_folder, bundle)
    fixed = make_bundle_folder(root / "fixed_bundle", fixed=2)
    given = ["--episodes", "4", "--levels", SHORT, "--no-plots"]
    assert command(suite, "--checkpoint", str(bundle), "--budget", "1,2", "--out", str(root / "flexlam"), *given) == 0
    assert command(suite, "--checkpoint", str(fixed), "--out", str(root / "fixed"), *given) == 0
    return root


def test_a_card_gets_its_scores_and_the_hash_stays(suites, capsys):
    bundle = suites / "bundle"
    before = load_bundle(bundle).hash
    for _ in range(2):  # the second time they replace the first
        assert command(card, str(bundle), str(suites / "flexlam"), "--note", "Limits: random weights.") == 0
    text = (bundle / "README.md").read_text()
    assert text.count("## Scores") == 1
    assert text.startswith("---\nlibrary_name")
    summary = json.loads((suites / "flexlam" / "results.json").read_text())["summary"]["FlexLAM@2"]["levels"][SHORT]
    assert summary["normalised"] != 0 < summary["normalised_error"]
    assert f"{summary['normalised']:.1f} ± {summary['normalised_error']:.1f}" in text
    assert "| random policy | FlexLAM@1 | FlexLAM@2 |" in text
    assert "Limits: random weights." in text
    assert load_bundle(bundle).hash == before
    assert command(card, str(bundle), str(suites / "fixed")) == WRONG_USE
    assert "its card takes its own scores" in capsys.readouterr().err


def test_a_page_takes_the_same_tables_where_it_has_a_place_for_them(suites, tmp_path, capsys):
    page = tmp_path / "page.md"
    arguments = [str(suites / "bundle"), str(suites / "flexlam"), "--page", str(page)]
    page.write_text("# Title\n")
    assert command(card, *arguments) == WRONG_USE
    assert f"{page} has no line" in capsys.readouterr().err
    page.write_text("# Title\n\n<!-- scores -->\nold\n<!-- end of scores -->\n\nRest.\n")
    assert command(card, *arguments) == 0
    text = page.read_text()
    assert "| level | random policy | FlexLAM@1 | FlexLAM@2 |" in text and "old" not in text
    assert text.startswith("# Title\n\n<!-- scores -->") and text.endswith("<!-- end of scores -->\n\nRest.\n")

"""The page of a watched game: served on this machine, used by programs and by a browser."""

import shutil
import signal
import socket
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from flexlam_rl.cli import main
from flexlam_rl.commands import watch
from flexlam_rl.eval.watch.game import Game
from flexlam_rl.eval.watch.page import build_page, serve
from flexlam_rl.eval.watch.source import Source, load_source
from flexlam_rl.utils.command_line import WRONG_USE

# gradio takes seconds to import, which every run of tests would spend if it were imported here
pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason="the page needs gradio, of the extra `watch`")
TASK = "rooms_exploit_deferred_effects_train"
HERE = {"127.0.0.1", "localhost", "0.0.0.0", "::1", b"127.0.0.1", None}


@pytest.fixture(scope="module")
def source() -> Source:
    return load_source()


@pytest.fixture(scope="module")
def asked() -> Iterator[set[Any]]:
    """Hosts whose addresses this process asked for."""
    hosts, found = set(), socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # the client's, not the page's, questions
        patch.setattr(socket, "getaddrinfo", lambda host, *a, **k: hosts.add(host) or found(host, *a, **k))
        yield hosts


@pytest.fixture(scope="module")
def address(source: Source, asked: set[Any]) -> Iterator[str]:
    first = source.choices(TASK, 0, 2)
    Game(source, first).close()  # loads what is loaded at the first use
    page = build_page(source, first)
    yield serve(page, "127.0.0.1", 0)
    page.close(verbose=False)


def test_programs_start_step_change_and_read_games_of_their_own(source: Source, address: str, asked: set[Any]) -> None:
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    one, two = (Client(address, verbose=False, analytics_enabled=False) for _ in range(2))

    def call(client: Any, name: str, *given: Any) -> dict[str, Any]:
        html, facts = client.predict(*given, api_name=name)
        assert html.count("<img") == (4 if facts["step"] else 2)
        return facts

    with pytest.raises(AppError, match="There is no game yet"):
        one.predict(api_name="/step")
    assert call(one, "/start", TASK, 3, 2, False, 1.0, 0.0)["step"] == 0
    first = call(two, "/start", TASK, 4, 2, False, 1.0, 0.0)
    stepped = call(one, "/step")
    assert (stepped["step"], stepped["seed"], stepped["budget"], len(stepped["codes"])) == (1, 3, 2, 2)
    assert call(two, "/state") == first  # a game of its own
    changed = call(one, "/change", source.slots, False, 1.0, 0.0)
    assert (changed["budget"], changed["asked"]) == (2, source.slots)
    assert call(one, "/step")["budget"] == source.slots
    assert call(one, "/change", 2, True, 1.0, 0.0)["asked"] == source.auto
    assert call(one, "/state")["step"] == 2
    for name, given, words in (
        ("/change", (source.slots + 1, False, 1.0, 0.0), str(source.slots)),
        ("/start", (TASK, -1, 2, False, 1.0, 0.0), "seed is -1"),
        ("/start", ("rooms", 0, 2, False, 1.0, 0.0), "rooms"),
        ("/start", (TASK, 0, 2.5, False, 1.0, 0.0), "2.5"),
    ):
        with pytest.raises(AppError, match=words) as error:
            one.predict(*given, api_name=name)
        assert len(str(error.value).splitlines()) == 1
    assert call(one, "/state")["step"] == 2
    assert call(one, "/start", TASK, 3, 2, False, 1.0, 0.0)["step"] == 0
    assert {**call(one, "/step"), "seconds": 0} == {**stepped, "seconds": 0}
    assert asked <= HERE


def test_a_browser_plays_pauses_and_moves_the_budget(source: Source, address: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Debian's chromium, which is not installed")
    with playwright.sync_playwright() as driver:
        here_alone = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", here_alone])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address)
        expect = playwright.expect
        expect.set_options(timeout=60_000)
        step, codes = page.locator("tr", has_text="step").first.locator("td"), page.locator(".flexlam-codes tr")
        expect(step).to_have_text("0")
        page.get_by_role("button", name="Step", exact=True).click()
        expect(step).to_have_text("1")
        expect(codes).to_have_count(2)
        expect(page.locator(".flexlam-pictures img")).to_have_count(4)
        assert page.locator(".flexlam-pictures img").first.evaluate("image => image.naturalWidth") == 64
        page.get_by_role("spinbutton", name="budget").fill("5")
        page.get_by_role("spinbutton", name="budget").press("Enter")
        expect(page.locator("tr", has_text="next budget")).to_be_visible()
        page.get_by_role("button", name="Play", exact=True).click()
        expect(step).not_to_have_text("1")
        expect(step).not_to_have_text("2")
        page.get_by_role("button", name="Pause", exact=True).click()
        expect(codes).to_have_count(5)
        page.wait_for_timeout(1500)
        stopped = step.inner_text()
        page.wait_for_timeout(1500)
        assert step.inner_text() == stopped
        page.get_by_role("button", name="Restart", exact=True).click()
        expect(step).to_have_text("0")
        assert said == []
        browser.close()


def test_the_command_serves_until_it_is_interrupted(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    said: list[str] = []

    def interrupted() -> None:
        said.append(capsys.readouterr().out)
        with urllib.request.urlopen(said[0].split()[-3]) as page:
            said.append(page.read().decode())
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(watch, "wait", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it
    try:
        assert main(["watch", "--port", "0", "--task", TASK, "--budget", "auto:0.25"]) == 0
    finally:
        signal.signal(signal.SIGINT, before)
    assert "Watch at http://127.0.0.1:" in said[0] and "flexlam watch" in said[1] and "auto:0.25" in said[1]
    assert capsys.readouterr().out == "Stopped.\n"


def test_wrong_use_of_the_command_is_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for more, words in (
            (["--budget", "99"], "99"),
            (["--budget", "1,2"], "'1,2'"),
            (["--budget", "auto:x"], "auto:x"),
            (["--task", "rooms"], "'rooms'"),
            (["--seed", "-1"], "seed is -1"),
            (["--checkpoint", str(tmp_path)], "holds no bundle"),
            (["--port", str(port)], f"Port {port}"),
            (["--port", "70000"], "port is 70000"),
        ):
            assert main(["watch", *more]) == WRONG_USE, more
            said = capsys.readouterr().err
            assert len(said.strip().splitlines()) == 1 and words in said, said

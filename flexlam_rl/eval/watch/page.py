"""The page of a watched game: controls of gradio, and a view that they change.

Each visitor has a game of their own; the models are shared.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from importlib import import_module
from typing import Any

from flexlam_rl.eval.watch.game import Game
from flexlam_rl.eval.watch.html import as_html
from flexlam_rl.eval.watch.source import Choices, Source
from flexlam_rl.utils.numbers import whole

Handler = Callable[..., list[Any]]
HOUR = 3600
HOTTEST = 2.0
"""Largest temperature of the page."""
FASTEST = 15
"""Largest number of decisions per second of the page."""


def build_page(source: Source, first: Choices) -> Any:
    """Build the page.

    Besides the controls in a browser, the page offers "/start", "/step", "/change" and "/state" to `gradio_client`;
    each returns the view as HTML, and its facts.

    Args:
        source: The policy and its world.
        first: Choices for each new visitor.

    Returns:
        A `Blocks` of gradio, not yet served.

    Raises:
        ModuleNotFoundError: gradio is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # no data is sent to anybody
    # loaded dynamically, because gradio makes its events at run time, and a type checker would read all that it imports
    gr: Any = import_module("gradio")
    chosen = isinstance(first.budget, str)
    number = source.slots if isinstance(first.budget, str) else first.budget
    quiet, told = {"show_progress": "hidden"}, _telling(gr)
    with gr.Blocks(title="flexlam watch", analytics_enabled=False, fill_width=True) as page:
        game = gr.State(None, time_to_live=HOUR, delete_callback=_close)
        timer = gr.Timer(0.2, active=False)
        with gr.Row():
            with gr.Column(scale=1, min_width=260):
                with gr.Row():
                    play, pause = gr.Button("Play", variant="primary", min_width=60), gr.Button("Pause", min_width=60)
                    step, restart = gr.Button("Step", min_width=60), gr.Button("Restart", min_width=60)
                budget = gr.Slider(
                    1, max(source.slots, 2), number, step=1, label=f"budget K, of {source.slots} codes",
                    interactive=source.prefix,
                )  # fmt: skip
                auto = gr.Checkbox(
                    chosen,
                    label=f"{source.auto}: K is chosen at each decision",
                    visible=source.auto is not None,
                )
                temperature = gr.Slider(0, HOTTEST, first.temperature, label="temperature of codes, 0: the likeliest")
                actions = gr.Slider(0, HOTTEST, first.action_temperature, label="temperature of actions")
                speed = gr.Slider(1, FASTEST, 5, step=1, label="decisions per second, at most")
                task = gr.Dropdown(list(source.tasks), value=first.task, label="task (Restart begins it)")
                seed = gr.Number(first.seed, precision=0, label="seed (Restart begins it)")
            with gr.Column(scale=4):
                seen = gr.HTML()
                with gr.Accordion("numbers", open=False):
                    facts = gr.JSON()
        how, what, outputs = [budget, auto, temperature, actions], [task, seed], [game, seen, facts]

        def wished(number: Any, auto: bool, temperature: float, actions: float) -> dict[str, Any]:
            """Collect the values of the controls, by the names of `Choices`."""
            words = source.auto if auto else None
            if auto and words is None:
                raise ValueError("auto is chosen, but this policy cannot choose its budget; expected a number.")
            k = words or whole(int(number) if number == int(number) else number, "budget")
            return {"budget": k, "temperature": temperature, "action_temperature": actions}

        @told
        def start(game: Game | None, task: str, seed: int, *how: Any) -> list[Any]:
            choices = replace(first, task=task, seed=seed, **wished(*how))
            if game is None:
                game = Game(source, choices)
            else:
                game.restart(choices)
            return _shown(game)

        @told
        def change(game: Game | None, *how: Any) -> list[Any]:
            _begun(game).change(**wished(*how))
            return _shown(game)

        @told
        def one_step(game: Game | None) -> list[Any]:
            _begun(game).step()
            return _shown(game)

        @told
        def tick(game: Game | None) -> list[Any]:
            """Take a step, and stop the clock at the end of the episode."""
            if game is None or game.view.over:
                return [gr.skip(), gr.skip(), gr.skip(), gr.Timer(active=False)]
            over = game.step().over
            return [*_shown(game), gr.Timer(active=False) if over else gr.skip()]

        @told
        def state(game: Game | None) -> list[Any]:
            return _shown(game)

        begin = {"fn": start, "inputs": [game, *what, *how], "outputs": outputs, **quiet}
        page.load(**begin, api_name="arrive", api_visibility="private")
        restart.click(**begin, api_name="start")
        step.click(one_step, [game], outputs, api_name="step", **quiet)
        timer.tick(tick, [game], [*outputs, timer], trigger_mode="once", api_visibility="private", **quiet)
        gr.on(
            [control.change for control in how], change, [game, *how], outputs, api_name="change",
            trigger_mode="always_last", **quiet,
        )  # fmt: skip
        gr.Button(visible=False).click(state, [game], outputs, api_name="state", **quiet)
        play.click(lambda: gr.Timer(active=True), None, timer, api_visibility="private", **quiet)
        pause.click(lambda: gr.Timer(active=False), None, timer, api_visibility="private", **quiet)
        speed.change(lambda rate: gr.Timer(1 / rate), speed, timer, api_visibility="private", **quiet)
    return page


def serve(page: Any, host: str, port: int) -> str:
    """Serve a page in the background, until its `close`.

    Args:
        page: Page of `build_page`.
        host: Address at which visitors reach the page; "127.0.0.1" admits only this machine.
        port: Number of the port; 0 for any free one.

    Returns:
        The address of the page.

    Raises:
        OSError: The port cannot be used.
    """
    whole(port, "port", 0, 65535)
    try:
        with socket.create_server((host, port)) as found:
            port = found.getsockname()[1]
    except OSError as error:
        raise OSError(
            f"Port {port} of {host!r} cannot be used ({error.strerror}): name another one, or 0 for any free one."
        ) from None
    _, address, _ = page.launch(
        server_name=host, server_port=port, prevent_thread_lock=True, quiet=True, share=False, ssr_mode=False,
        footer_links=[], enable_monitoring=False, run_history=False,
    )  # fmt: skip
    return str(address)


def _telling(gr: Any) -> Callable[[Handler], Handler]:
    """Make a decorator that shows a handler's errors on the page, in one sentence."""

    def told(handler: Handler) -> Handler:
        @wraps(handler)
        def inner(*given: Any) -> list[Any]:
            try:
                return handler(*given)
            except ValueError as error:
                raise gr.Error(str(error), print_exception=False) from None

        return inner

    return told


def _begun(game: Game | None) -> Game:
    """Return the game.

    Raises:
        ValueError: No game has begun.
    """
    if game is None:
        raise ValueError("There is no game yet; restart to begin one.")
    return game


def _shown(game: Game | None) -> list[Any]:
    """Return a game and its view, as the page's outputs.

    Raises:
        ValueError: No game has begun.
    """
    view = _begun(game).view
    return [game, as_html(view), view.facts()]


def _close(game: Game | None) -> None:
    if game is not None:
        game.close()

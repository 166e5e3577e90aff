"""`flexlam watch`: watch a policy play in the browser."""

import threading
from dataclasses import dataclass
from importlib import import_module

from flexlam_rl.utils.startup import interrupts_heeded


@dataclass(frozen=True, kw_only=True)
class Options:
    """Watch a policy play in the browser, and change its budget and temperatures while it does.

    The page shows the frame, the codes of the decision with their probabilities, the next frame as decoded from them
    beside the true one, the world from above, what the expert would do, and the return. Each visitor has a game of
    their own. Needs the extras `models` and `watch`.
    """

    checkpoint: str | None = None
    """Folder or hub id of a bundle; by default the policy that comes with the package."""
    task: str | None = None
    """Task to begin with, as `flexlam levels` lists it; by default the first one of the suite."""
    budget: str | None = None
    """Number of codes that a decision may spend, auto, or auto:TOLERANCE; by default 16, or all if the policy has
    fewer."""
    seed: int = 0
    """Seed of the first episode, of the policy's draws and of the decoder's noise."""
    host: str = "127.0.0.1"
    """Address to serve at; 0.0.0.0 admits other machines, without a password."""
    port: int = 7860
    """Port to serve at; 0 takes any free one."""


def run(options: Options) -> int:
    """Serve the page until Ctrl-C.

    Raises:
        ImportError: The extra `models` or `watch` is not installed.
        ValueError: An option is not allowed, or the checkpoint cannot be used.
        OSError: The port cannot be used.
    """
    print("Loading the policy.", flush=True)  # torch and gradio take seconds to import
    import_module("gradio")  # imported first, so that a missing gradio is reported at once
    import torch
    from rich.console import Console

    from flexlam_rl.agents.environments import compile_first
    from flexlam_rl.eval.watch.game import Game
    from flexlam_rl.eval.watch.page import build_page, serve
    from flexlam_rl.eval.watch.source import load_source
    from flexlam_rl.utils.budget_words import in_words

    torch.set_num_threads(1)  # results do not depend on the number of cores
    source = load_source(options.checkpoint, options.budget if in_words(options.budget or "") else None)
    first = source.choices(options.task, options.seed, source.budget(options.budget))
    compile_first(source.spec, Console())
    Game(source, first).close()  # loads everything, so that the first visitor need not wait
    page = build_page(source, first)
    try:
        print(f"Watch at {serve(page, options.host, options.port)} until Ctrl-C.", flush=True)
        wait()
    except KeyboardInterrupt:
        interrupts_heeded()
        print("Stopped.")
    finally:
        page.close(verbose=False)
    return 0


def wait() -> None:
    """Wait for Ctrl-C."""
    threading.Event().wait()

"""The command `flexlam`: the first argument names what to do, and only that module is loaded."""

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

from flexlam_rl.utils.command_line import answer, parse, wrong_use
from flexlam_rl.utils.output import prepare_output

# name -> (module with `Options` and `run`, or with `dispatch`, what it does)
COMMANDS = {
    "demo": ("flexlam_rl.commands.demo", "a picture and a played episode in seconds: the first thing to look at"),
    "render": ("flexlam_rl.commands.render", "draw a level: contact sheet or video, with a map beside it"),
    "play": ("flexlam_rl.commands.play", "play a level with the keyboard"),
    "watch": ("flexlam_rl.commands.watch", "watch a policy play in the browser, and change its budget while it does"),
    "collect": ("flexlam_rl.commands.collect", "let an expert play and write rollouts"),
    "expert": ("flexlam_rl.commands.expert", "measure experts, and train some"),
    "finetune": ("flexlam_rl.commands.finetune", "improve a trained policy by reward, or train its rivals"),
    "levels": ("flexlam_rl.commands.levels", "list the levels"),
    "data": ("flexlam_rl.commands.data", "rollouts on disk: inspect, validate, sheet, video, labels, import, export"),
    "train": (
        "flexlam_rl.commands.train",
        "train a stage on rollouts: latent action model, sequence model, translator, baselines, or all in a row",
    ),
    "study": (
        "flexlam_rl.commands.study",
        "run a study: alignment, ablations, matched, ...; --dry-run prints jobs and hours",
    ),
    "alignment": ("flexlam_rl.eval.studies.alignment", "the same as `flexlam study alignment`"),
    "health": (
        "flexlam_rl.eval.lam.health",
        "say whether a latent action model is good enough, with figures and reasons",
    ),
    "audit": (
        "flexlam_rl.eval.lam.audit.command",
        "say what latent actions are made of, on litelab, where actions, pose and depth are known",
    ),
    "bundle": ("flexlam_rl.commands.bundle", "put the models of a training run into one folder that a policy loads"),
    "suite": ("flexlam_rl.eval.suite.command", "play the evaluation suite and print its table"),
    "compare": (
        "flexlam_rl.eval.suite.compare",
        "put two suites side by side and say which differences their intervals support",
    ),
}


def _usage() -> str:
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:{width}}  {what}" for name, (_, what) in COMMANDS.items())
    return (
        f"usage: flexlam COMMAND [OPTIONS]\n\ncommands:\n{rows}\n\n`flexlam COMMAND --help` lists the options of a "
        "command."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (default: the process's own); returns the exit code: 0 done, 2 wrong use, 130
    Ctrl-C.
    """
    prepare_output()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0
    if arguments[0] == "--version":
        from flexlam_rl import __version__

        print(f"flexlam_rl {__version__}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}" if close else f"there are {', '.join(COMMANDS)}"
        return wrong_use("flexlam", f"No command {name!r}; {hint}.")
    prog = f"flexlam {name}"

    def command() -> int | None:
        module = import_module(COMMANDS[name][0])
        if hasattr(module, "dispatch"):  # a command that divides its arguments itself
            return int(module.dispatch(rest, prog))
        result: int | None = module.run(parse(module.Options, rest, prog))
        return result

    return answer(prog, command)


if __name__ == "__main__":
    sys.exit(main())

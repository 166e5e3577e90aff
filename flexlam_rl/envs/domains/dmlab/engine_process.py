"""A real engine in a separate process, for an environment whose own process already holds an engine."""

import os
import subprocess
import sys
from functools import partial
from multiprocessing.connection import Connection, Pipe
from typing import Any

from flexlam_rl.envs.domains.dmlab.quiet import VARIABLE
from flexlam_rl.envs.domains.dmlab.real_module import load_module
from flexlam_rl.utils.startup import interrupts_held


class EngineProcess:
    """A stand-in for the module `deepmind_lab` and its engine, which runs in a child process.

    `Lab(...)` opens the engine there; calls of other methods are forwarded to it.
    """

    def __init__(self) -> None:
        self._connection, there = Pipe()
        code = f"from flexlam_rl.envs.domains.dmlab.engine_process import serve; serve({there.fileno()})"
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        output = None if os.environ.get(VARIABLE) else subprocess.DEVNULL
        with there, interrupts_held():
            # a fork would copy this process's engine, and multiprocessing would run the caller's script again
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                pass_fds=[there.fileno()],
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return partial(self._call, name)

    def Lab(self, *arguments: Any, **options: Any) -> "EngineProcess":
        """Open the engine in the child process."""
        self._call("Lab", *arguments, **options)
        return self

    def close(self) -> None:
        """Close the engine; does nothing if its process has already ended."""
        if self._process.poll() is None:
            self._call("close")

    def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        try:
            self._connection.send((name, arguments, options))
            good, value = self._connection.recv()
        except (EOFError, OSError):
            code = self._process.wait()
            raise RuntimeError(
                f"The process of the DeepMind Lab engine has ended (exit code {code}): {VARIABLE}=1 shows what it "
                "printed."
            ) from None
        if not good:
            raise value
        return value

    def stop(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.wait()


def serve(descriptor: int) -> None:
    """Run one engine and answer calls until the connection closes; this is the main loop of the child process."""
    connection, lab = Connection(descriptor), None
    while True:
        try:
            name, arguments, options = connection.recv()
        except (EOFError, OSError):
            break
        try:
            if name == "Lab":
                lab = load_module().Lab(*arguments, **options)
                connection.send((True, None))
            else:
                connection.send((True, getattr(lab, name)(*arguments, **options)))
        except Exception as error:
            connection.send((False, error))
    if lab is not None:
        lab.close()

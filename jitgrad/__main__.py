"""The command line: ``python -m jitgrad COMMAND``, or ``jitgrad COMMAND`` where it is installed.

A command is a row of `COMMANDS`: the module that has it is imported when the command is used, so
that help is quick and a missing extra only matters to the commands that need it.

Exit status: 0 done; 1 it was done and the answer is no, or it failed; 2 the command was wrong.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command lives: a function of the arguments that returns the exit status."""

    module: str
    function: str
    summary: str


COMMANDS: dict[str, Command] = {
    "demo": Command("demo", "main", "train two networks on digits, eagerly and compiled"),
    "compare": Command("compare", "main", "hold a function's two modes against each other"),
    "lower": Command("inspect", "main", "show a function's graphs, plan and kernels"),
    "opt": Command("opt", "main", "run passes over a graph in text form"),
    "cuda": Command("gpu", "main", "what kernels become on NVIDIA GPUs"),
    "cache": Command("cache", "main", "show or clear the cache of compiled kernels"),
    "ops": Command("tables", "ops", "list all ops"),
    "names": Command("names", "main", "list which of MindSpore's names are here"),
    "config": Command("tables", "settings", "list all settings"),
}

MISSING_EXTRA = "which is not installed.\n  instead: pip install 'jitgrad[report]'"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] not in COMMANDS:
        return _no_command(arguments)
    name, *rest = arguments
    try:
        status = _run(name, rest)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader, as in `| head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"jitgrad {name}: interrupted", file=sys.stderr)
        return 130


def _run(name: str, rest: Sequence[str]) -> int:
    command = COMMANDS[name]
    module = importlib.import_module(f"jitgrad.tools.{command.module}")
    from jitgrad.errors import JitgradError

    try:
        return getattr(module, command.function)(rest)
    except BrokenPipeError:
        raise
    except (JitgradError, OSError) as error:
        print(f"jitgrad {name}: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        print(f"jitgrad {name} needs {error.name}, {MISSING_EXTRA}", file=sys.stderr)
        return 2


def _no_command(arguments: Sequence[str]) -> int:
    """Help, the version, or an error: everything that is no command."""
    parser = argparse.ArgumentParser(
        prog="jitgrad",
        description="Automatic differentiation compiled by Numba.",
        epilog="\n".join(
            ["commands:"]
            + [f"  {name:<9} {command.summary}" for name, command in COMMANDS.items()]
            + ["", "jitgrad COMMAND --help says more about each."]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"jitgrad {_version()}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", nargs="?")
    parser.parse_args(arguments)
    parser.print_help(sys.stderr)
    return 2


def _version() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version("jitgrad")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())

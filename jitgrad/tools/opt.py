"""A filter for graphs as text: ``python -m jitgrad opt file.ir -p cse,fold``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import jitgrad.primitives  # noqa: F401  declares the ops that the text names
from jitgrad.errors import JitgradError
from jitgrad.ir.dot import to_dot
from jitgrad.ir.text import parse, print_graph
from jitgrad.ir.verify import verify
from jitgrad.passes.pipeline import DEFAULT, PASSES, optimize, run_pass


def main(argv: Sequence[str] | None = None) -> int:
    """Run the filter; the exit status is 1 for text that is no graph and files that fail."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.list:
        print("\n".join(f"{name:<12}{_summary(name)}" for name in PASSES))
        return 0
    names = [name for name in options.passes.split(",") if name]
    unknown = [name for name in names if name not in PASSES and name != "all"]
    if unknown:
        parser.error(f"no pass named {', '.join(unknown)}; have {', '.join(PASSES)}, all")
    try:
        print(_filtered(options, names), flush=True)
    except BrokenPipeError:  # the reader, as in `| head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (JitgradError, OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        print(f"jitgrad opt: {options.file}: {reason}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jitgrad opt",
        description="Run passes over a graph in text form and print the result.",
        epilog=f"The whole pipeline, until nothing changes: -p all ({', '.join(DEFAULT)}).",
    )
    parser.add_argument("file", nargs="?", default="-", help="an .ir file; - is standard input")
    parser.add_argument(
        "-p", "--passes", default="", metavar="A,B", help="passes to run, in this order"
    )
    parser.add_argument("--list", action="store_true", help="list the passes")
    parser.add_argument("--verify", action="store_true", help="check the graph after every pass")
    parser.add_argument("--dot", action="store_true", help="print Graphviz DOT instead of text")
    return parser


def _filtered(options: argparse.Namespace, names: Sequence[str]) -> str:
    if options.file == "-":
        graph = parse(sys.stdin.read())
    else:
        with open(options.file, encoding="utf-8") as file:
            graph = parse(file.read())
    check = verify if options.verify else lambda result: result
    check(graph)
    for name in names:
        graph = check(optimize(graph) if name == "all" else run_pass(name, graph))
    return to_dot(graph) if options.dot else print_graph(graph)


def _summary(name: str) -> str:
    return (PASSES[name].__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    raise SystemExit(main())

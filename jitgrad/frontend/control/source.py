"""The source of a function as a syntax tree, found by its line in its file.

A file is parsed once. A `def` is found by the line it begins at; several lambdas on a line are told
apart by their code. Where no source can be found, `NoSource` says why; that matters only if the
function branches on a traced value.
"""

from __future__ import annotations

import ast
import functools
import linecache
import pickle
import textwrap
import types
from collections.abc import Iterator
from typing import Any

from jitgrad.errors import SourceError, TraceError, UnsupportedError
from jitgrad.frontend.control.scope import walk

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class NoSource(Exception):
    """A function that cannot be converted; the text says why.

    kind    the class of the error, if that matters.
    remedy  what to write instead.
    """

    kind: type[TraceError] = SourceError

    def __init__(self, why: str, remedy: str = "define it in a file"):
        super().__init__(why)
        self.remedy = remedy


class Unsupported(NoSource):
    """A function with a statement that cannot be converted."""

    kind = UnsupportedError


def definition(function: types.FunctionType) -> Definition:
    """A copy of the syntax tree that a function was made from; NoSource if there is none."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines:
        raise NoSource(_why_none(code.co_filename))
    found = [n for n in _at(code.co_filename, tuple(lines), code.co_firstlineno) if _fits(n, code)]
    if not found:
        raise NoSource(
            f"{code.co_filename} no longer has {code.co_name} at line {code.co_firstlineno}:"
            " it has changed since it was imported",
            "import it again",
        )
    if len(found) > 1 and len({ast.dump(n) for n in found}) > 1:
        raise NoSource(
            f"line {code.co_firstlineno} has several lambdas that look alike",
            "give each a line of its own",
        )
    return _copy(found[0])


def _copy(node: Any) -> Any:
    """As `copy.deepcopy` makes it, in a tenth of the time."""
    return pickle.loads(pickle.dumps(node))


def _why_none(path: str) -> str:
    if path.startswith("<"):
        return f"it was made by exec or typed at a prompt ({path}), which keeps no source"
    return f"the file {path} cannot be read"


def _at(path: str, lines: tuple[str, ...], line: int) -> list[Definition]:
    """The definitions that begin at a line, counting their decorators."""
    return _index(path, lines).get(line, [])


@functools.lru_cache(maxsize=256)
def _index(path: str, lines: tuple[str, ...]) -> dict[int, list[Definition]]:
    text = "".join(lines)
    try:
        tree = ast.parse(text, path)
    except SyntaxError:
        try:  # a cell of a notebook, an indented block
            tree = ast.parse(textwrap.dedent(text), path)
        except SyntaxError as error:
            raise NoSource(f"{path} cannot be parsed: {error}") from None
    index: dict[int, list[Definition]] = {}
    for node in walk(tree):
        if isinstance(node, Definition):
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(d.lineno for d in decorators)])
            index.setdefault(first, []).append(node)
    return index


def _fits(node: Definition, code: types.CodeType) -> bool:
    """Whether code may have been made from a tree: its name, parameters and names agree."""
    name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
    if name != code.co_name or _parameters(node.args) != _parameters_of(code):
        return False
    if not isinstance(node, ast.Lambda):
        return True
    expression = ast.Expression(_copy(node))
    made = next(_codes(compile(expression, code.co_filename, "eval")))
    # A name that the surroundings bind is a global here, and a free variable there.
    return _signs(made) == _signs(code)


def _signs(code: types.CodeType) -> tuple:
    plain = [c for c in code.co_consts if not isinstance(c, types.CodeType)]
    inner = [_signs(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    return sorted({*code.co_names, *code.co_freevars}), sorted(map(repr, plain)), inner


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    return (c for c in code.co_consts if isinstance(c, types.CodeType))


def _parameters(args: ast.arguments) -> tuple[str, ...]:
    named = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    rest = [a for a in (args.vararg, args.kwarg) if a is not None]
    return tuple([a.arg for a in (*named, *rest)])


def _parameters_of(code: types.CodeType) -> tuple[str, ...]:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 4) + bool(code.co_flags & 8)
    return code.co_varnames[:count]


def parameters(node: Definition) -> tuple[str, ...]:
    """The names of all parameters."""
    return _parameters(node.args)

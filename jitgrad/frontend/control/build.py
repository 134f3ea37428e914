"""From a function to its converted twin: same globals, closure cells, defaults and name.

The new code is compiled under the user's file name. It is made once for each code object; each
function that shares the code gets a function of its own.
"""

from __future__ import annotations

import ast
import itertools
import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any

from jitgrad.errors import TraceError, UnsupportedError
from jitgrad.frontend.control.convert import Converter
from jitgrad.frontend.control.expressions import RUN, Expressions, placed
from jitgrad.frontend.control.scope import children
from jitgrad.frontend.control.source import Definition, NoSource, Unsupported, definition
from jitgrad.frontend.guards import is_library
from jitgrad.locate import is_ours

FACTORY, DEFINED = "jg_factory", "jg_function"  # the latter: its own name would hide a global
PLAIN = (
    TraceError,
    "it has no value while the function is being compiled",
    "keep to Tensor operations (ops.where for a choice), or do it outside of jit",
)
made: dict[types.CodeType, types.CodeType | NoSource] = {}  # the new code, or why there is none
ours: set[types.CodeType] = set()  # code that was converted
twins: weakref.WeakKeyDictionary[types.FunctionType, Any] = weakref.WeakKeyDictionary()


def twin(function: types.FunctionType) -> types.FunctionType:
    """The converted function; the function itself where it cannot or need not be converted."""
    code = function.__code__
    if code in ours or is_library(code.co_filename):
        return function
    found = twins.get(function)
    if found is not None and found[0] is code:
        new = found[1]
    else:
        converted = code_of(function)
        if isinstance(converted, NoSource):
            return function
        new = _like(function, converted)
        twins[function] = code, new
    new.__defaults__, new.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    return new


def unread() -> tuple[type[TraceError], str, str]:
    """What a traced value says that is asked for its truth by the user's function that runs now:
    the class of the error, the reason and the remedy.
    """
    frames = _user_frames(sys._getframe(1))
    code = next(frames, None)
    if code is None or code in ours:
        return PLAIN
    if is_library(code.co_filename):
        return (
            UnsupportedError,
            f"{code.co_name} belongs to an installed package, whose functions run as they are",
            "call it outside of the compiled function, or write this part with Tensors",
        )
    if _is_class(code):
        why = f"the body of the class {code.co_name} runs as it is"
        return UnsupportedError, why, "compute it before the class"
    # A function runs as it is where it is called by one that could not be converted.
    for caller in (code, *frames):
        reason = made.get(caller)
        if isinstance(reason, NoSource):
            return reason.kind, f"{caller.co_name} cannot be read: {reason}", reason.remedy
        if caller in ours:
            break
    return PLAIN


def _user_frames(frame: types.FrameType | None) -> Iterator[types.CodeType]:
    """What runs outside of this package, from a frame outwards."""
    while frame is not None:
        if not is_ours(frame.f_code.co_filename):
            yield frame.f_code
        frame = frame.f_back


def code_of(function: types.FunctionType) -> types.CodeType | NoSource:
    """The converted code of a function, or the reason why there is none."""
    code = function.__code__
    found = made.get(code)
    if found is None:
        try:
            found = _converted(function, definition(function))
        except NoSource as reason:
            found = reason.with_traceback(None)
        except RecursionError:
            found = Unsupported("it is nested too deeply", "make functions of its parts")
        made[code] = found
    return found


def _converted(function: types.FunctionType, node: Definition) -> types.CodeType:
    code = function.__code__
    free = code.co_freevars
    body = _statements(function, node)
    cells = sorted({*free, RUN})
    factory = _module(cells, body, node)
    # Names of `jitgrad` in the file's own future statements, such as annotations, play no part.
    module = compile(factory, code.co_filename, "exec", dont_inherit=True)
    outer = next(c for c in module.co_consts if isinstance(c, types.CodeType))
    name = code.co_name if isinstance(node, ast.Lambda) else DEFINED
    new = next(c for c in outer.co_consts if isinstance(c, types.CodeType) and c.co_name == name)
    if set(new.co_freevars) - set(cells):
        raise NoSource(f"its variables {sorted(set(new.co_freevars) - set(cells))} are not bound")
    _register(new)
    # Its first line stays that of its `def`, not of a decorator: lines are counted from there.
    names: dict[str, Any] = {"co_name": code.co_name}
    if hasattr(code, "co_qualname"):
        names["co_qualname"] = code.co_qualname
    new = new.replace(**names)
    ours.add(new)
    return new


def _statements(function: types.FunctionType, node: Definition) -> list[ast.stmt]:
    """The converted definition, alone in a block."""
    owner = function.__qualname__.rpartition(".")[0].rpartition(".")[2]
    class_name = "" if owner == "<locals>" else owner
    if isinstance(node, ast.Lambda):
        parameters = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
        given = class_name, next(iter(parameters), "")
        visitor = Expressions(set(), given, lambda inner: inner, None)
        node.args = _without_values(node.args)
        node.body = visitor.visit(node.body)
        return [placed(ast.Return(node), node)]
    converter = Converter(
        node, class_name, itertools.count(1), frozenset(function.__code__.co_freevars)
    )
    node.body = converter.converted()
    node.args = _without_values(node.args)
    node.name, node.decorator_list, node.returns = DEFINED, [], None
    return [node, placed(ast.Return(ast.Name(node.name, ast.Load())), node)]


def _without_values(args: ast.arguments) -> ast.arguments:
    """Parameters without annotations; what they default to is set on the function."""
    for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg):
        if arg is not None:
            arg.annotation = None
    args.defaults = [ast.copy_location(ast.Constant(None), d) for d in args.defaults]
    args.kw_defaults = [d and ast.copy_location(ast.Constant(None), d) for d in args.kw_defaults]
    return args


def _module(cells: list[str], body: list[ast.stmt], at: ast.AST) -> ast.Module:
    """A module with a function around the definition, whose parameters are its free variables."""
    args = ast.arguments([], [ast.arg(c) for c in cells], None, [], [], None, [])
    factory = placed(ast.FunctionDef(FACTORY, args, body, [], None), at)
    _complete(factory)
    return ast.Module([factory], [])


def _complete(tree: ast.AST) -> None:
    """What the compiler asks for: new nodes get the place of the node around them."""
    stack = [(tree, tree)]
    while stack:
        node, at = stack.pop()
        if hasattr(node, "lineno"):
            at = node
        else:
            ast.copy_location(node, at)
        if isinstance(node, ast.FunctionDef) and not hasattr(node, "type_params"):
            node.type_params = []  # type: ignore[attr-defined]  Python 3.12
        stack += [(child, at) for child in children(node)]


def _register(code: types.CodeType) -> None:
    """Note the code of a converted function and of what is nested in it, classes excepted."""
    ours.add(code)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType) and not _is_class(inner):
            _register(inner)


def _is_class(code: types.CodeType) -> bool:
    return "__qualname__" in code.co_names and "__module__" in code.co_names


def _like(function: types.FunctionType, code: types.CodeType) -> types.FunctionType:
    from jitgrad.frontend.control import run

    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
    cells[RUN] = types.CellType(run)
    closure = tuple([cells[name] for name in code.co_freevars])
    new = types.FunctionType(code, function.__globals__, function.__name__, None, closure)
    new.__qualname__, new.__module__ = function.__qualname__, function.__module__
    new.__doc__, new.__annotations__ = function.__doc__, function.__annotations__
    new.__dict__.update(function.__dict__)
    return new

"""Functions for Numba's users, written as text: arguments are checked, results are allocated.

Numba asks for an implementation for the types of each call (`overload`). What it gets is a short
Python function around one intrinsic, which is the program (`jitgrad.runtime.embedded`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.codegen.compile import function
from jitgrad.errors import ShapeError, TraceError, explain
from jitgrad.runtime.embedded import CHANGED, NO_MEMORY, Embedded

Array = tuple[tuple[int, ...], Any]  # shape and dtype


@dataclass(frozen=True, slots=True)
class Constant:
    """A result that is the same at each call."""

    value: Any


@dataclass(frozen=True, slots=True)
class Face:
    """What a function looks like from outside: parameters, their nests, results and theirs."""

    name: str
    parameters: Sequence[str]
    arguments: tree.Structure
    inputs: tuple[Array, ...]
    results: tree.Structure
    leaves: tuple[int | Constant, ...]
    outputs: tuple[Array, ...]


def compiled(
    programs: Sequence[tuple[Face, Embedded]], python: Callable[..., Any]
) -> Callable[..., Any]:
    """The Numba function of programs that differ in the types that they take, or the shapes;
    `python` is what it is without Numba.
    """
    import numba
    from numba.extending import overload

    face = programs[0][0]
    given = ", ".join(face.parameters)

    def define(body: str, **names: Any) -> Callable[..., Any]:
        return function(f"def {face.name}({given}):\n    return {body}\n", names, face.name)

    typed = define(f"_python({given})", _python=python)
    choice = Choice([Writer(f, e, _intrinsic(f, e)) for f, e in programs])
    of_types = define(f"_of({given})", _of=choice.implementation)
    overload(typed, jit_options={"nogil": True}, prefer_literal=True)(of_types)
    return numba.njit(nogil=True)(define(f"_typed({given})", _typed=typed))


class Choice:
    """One of several programs: by the types of arguments while Numba compiles, by the shapes of
    arrays at the call.
    """

    def __init__(self, writers: Sequence[Writer]):
        self.writers = writers

    def implementation(self, *types: Any) -> Callable[..., Any]:
        """The function for arguments of some Numba types; its TypingError if none fits."""
        import numba
        from numba.core.errors import TypingError

        fitting, errors = [], []
        for writer in self.writers:
            try:
                fitting.append((writer, writer.implementation(*types)))
            except TypingError as error:
                errors.append(error)
        if not fitting:
            raise TypingError("; or ".join(dict.fromkeys(map(str, errors))))
        fitting.sort(key=lambda pair: pair[0].conversions(types))
        if len(fitting) == 1 or not any(True for _ in fitting[0][0].shapes(types)):
            return fitting[0][1]
        face = fitting[0][0].face
        given, space = ", ".join(face.parameters), {"_ShapeError": ShapeError}
        lines = [f"def {face.name}({given}):"]
        for k, (writer, made) in enumerate(fitting):
            space[f"_f{k}"] = numba.njit(nogil=True)(made)
            tests = [f"{text}.shape == {shape}" for text, shape in writer.shapes(types)]
            lines += [f"    if {' and '.join(tests) or 'True'}:", f"        return _f{k}({given})"]
        message = f"{face.name} got arrays of shapes for which there was no example"
        lines.append(f"    raise _ShapeError({message!r})")
        return function("\n".join(lines), space, face.name)


class Writer:
    """Writes implementations for the types of arguments."""

    def __init__(self, face: Face, embedded: Embedded, call: Any):
        self.face, self.embedded, self.call = face, embedded, call

    def implementation(self, *types: Any) -> Callable[..., Any]:
        """The function for arguments of some Numba types; its TypingError if they do not fit."""
        face = self.face
        self.space: dict[str, Any] = {"_np": np, "_call": self.call}
        lines = [f"def {face.name}({', '.join(face.parameters)}):"]
        inputs = []
        for k, (text, type) in enumerate(self.arguments(types)):
            lines += [f"    {line}" for line in self.argument(k, text, type)]
            inputs.append(f"_x{k}")
        arrays, scalars = [], ["_launch", "_value"]
        for k, (shape, dtype) in enumerate(face.outputs):
            if shape:
                self.space[f"_type{k}"] = np.dtype(dtype)
                lines.append(f"    _y{k} = _np.empty({shape}, _type{k})")
            (arrays if shape else scalars).append(f"_y{k}")
        lines.append(f"    {', '.join(scalars)} = _call({_tuple(inputs)}, {_tuple(arrays)})")
        lines += self.checks()
        leaves = iter(face.leaves)
        lines.append(f"    return {self.result(face.results, leaves)}")
        return function("\n".join(lines), self.space, face.name)

    # --- arguments ------------------------------------------------------------------------------

    def arguments(self, types: Sequence[Any]) -> Iterator[tuple[str, Any]]:
        """An expression and the type of each leaf."""
        for name, type, nest in zip(
            self.face.parameters, types, self.face.arguments.children, strict=True
        ):
            yield from self.leaves(name, type, nest)

    def leaves(self, text: str, type: Any, nest: tree.Structure) -> Iterator[tuple[str, Any]]:
        from numba.core import types

        if nest.kind is None:
            yield text, type
        elif nest.kind is tuple:
            if not isinstance(type, types.BaseTuple) or len(type) != len(nest.children):
                raise self.misfit(text, f"a tuple of {len(nest.children)}", type)
            parts: Any = type
            for k, (part, child) in enumerate(zip(parts, nest.children, strict=True)):
                yield from self.leaves(f"{text}[{k}]", part, child)

    def shapes(self, types: Sequence[Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The arrays among the arguments, and their shapes."""
        leaves = zip(self.arguments(types), self.face.inputs, strict=True)
        return ((text, shape) for (text, _), (shape, _) in leaves if shape)

    def conversions(self, types: Sequence[Any]) -> int:
        """How many numbers are converted."""
        from numba.core.types import unliteral
        from numba.np.numpy_support import from_dtype

        leaves = zip(self.arguments(types), self.face.inputs, strict=True)
        plain = [(unliteral(type), dtype) for (_, type), (shape, dtype) in leaves if not shape]
        return sum(type != from_dtype(np.dtype(dtype)) for type, dtype in plain)

    def misfit(self, text: str, wanted: str, type: Any) -> Exception:
        from numba.core.errors import TypingError

        return TypingError(f"{self.face.name} takes {wanted} as {text}, got {type}")

    def argument(self, k: int, text: str, type: Any) -> list[str]:
        """Lines that bind `_xk` to what the program takes."""
        from numba.core import types
        from numba.np.numpy_support import from_dtype

        shape, dtype = self.face.inputs[k]
        wanted = from_dtype(np.dtype(dtype))
        if not shape:
            if isinstance(type, types.Array) and type.ndim == 0 and type.dtype == wanted:
                return [f"_x{k} = {text}[()]"]
            if not converts(type, wanted):
                raise self.misfit(text, f"{wanted}", type)
            self.space[f"_to{k}"] = wanted
            same = types.unliteral(type) == wanted
            return [f"_x{k} = {text}" if same else f"_x{k} = _to{k}({text})"]
        what = f"an array of {wanted} with {len(shape)} dimension{'s' * (len(shape) > 1)}"
        if not isinstance(type, types.Array) or (type.dtype, type.ndim) != (wanted, len(shape)):
            raise self.misfit(text, what, type)
        message = f"{self.face.name} takes {text} of shape {list(shape)}, got another shape"
        self.space["_ShapeError"] = ShapeError
        lines = [f"if {text}.shape != {shape}:", f"    raise _ShapeError({message!r})"]
        plain = type.layout == "C" and type.aligned
        return [*lines, f"_x{k} = {text}{'' if plain else '.copy()'}"]

    # --- results --------------------------------------------------------------------------------

    def checks(self) -> list[str]:
        """Lines that raise what the call reports."""
        embedded = self.embedded
        found: list[tuple[str, str]] = []
        for number, _ in enumerate(embedded.program.flattened, 1):
            errors = embedded.errors(number)
            for site, error in enumerate(errors):
                more = f" and _value % 256 == {site}" if len(errors) > 1 else ""
                self.space[f"_Error_{number}_{site}"] = type(error)
                text = str(error).replace("index 0 is", "an index is")
                found.append((f"_launch == {number}{more}", f"_Error_{number}_{site}({text!r})"))
        if embedded.slots:
            self.space["_TraceError"] = TraceError
            message = explain(
                f"a Parameter that {self.face.name} reads is no longer of the type that it had",
                instead="call as_njit again",
            )
            found.append((f"_launch == {CHANGED}", f"_TraceError({message!r})"))
        if not embedded.linked:
            message = f"there is no memory left for {self.face.name}"
            found.append((f"_launch == {NO_MEMORY}", f"MemoryError({message!r})"))
        lines = [f"        if {test}:\n            raise {what}" for test, what in found]
        return ["    if _launch != 0:", *lines] if lines else []

    def result(self, nest: tree.Structure, leaves: Iterator[int | Constant]) -> str:
        """The expression of what is returned."""
        if nest.kind is None:
            leaf = next(leaves)
            return f"_y{leaf}" if isinstance(leaf, int) else self.constant(leaf.value)
        if nest.kind is type(None):
            return "None"
        return _tuple([self.result(child, leaves) for child in nest.children])

    def constant(self, value: Any) -> str:
        if isinstance(value, float) and not math.isfinite(value):
            return f"_np.{value}" if value > 0 or value != value else "-_np.inf"
        return repr(value.item() if isinstance(value, np.generic) else value)


def _tuple(parts: Sequence[str]) -> str:
    return f"({''.join(f'{p}, ' for p in parts)})"


def converts(given: Any, wanted: Any) -> bool:
    """Whether a number of a Numba type can be passed for another without losing anything."""
    from numba.core import types

    plain: Any = types.unliteral(given)
    if plain == wanted:
        return True
    if isinstance(given, types.IntegerLiteral) and isinstance(wanted, types.Integer):
        return wanted.minval <= given.literal_value <= wanted.maxval
    if isinstance(wanted, types.Float):
        whole = isinstance(plain, (types.Integer, types.Boolean))
        return whole or (isinstance(plain, types.Float) and plain.bitwidth < wanted.bitwidth)
    if not all(isinstance(t, types.Integer) for t in (plain, wanted)):
        return False
    return plain.bitwidth < wanted.bitwidth and (wanted.signed or not plain.signed)


def _intrinsic(face: Face, embedded: Embedded) -> Any:
    """call(arguments, arrays of results) -> (launch that failed, value, results of shape ())."""
    from numba.core import cgutils, types
    from numba.extending import intrinsic
    from numba.np.numpy_support import from_dtype

    scalars = [from_dtype(np.dtype(dtype)) for shape, dtype in face.outputs if not shape]

    def pointer(context: Any, builder: Any, type: Any, value: Any) -> Any:
        if isinstance(type, types.Array):
            return context.make_array(type)(context, builder, value).data
        stored = context.get_value_as_data(builder, type, value)
        return cgutils.alloca_once_value(builder, stored)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        given, made = (
            [pointer(context, builder, t, v) for t, v in zip(ts, _parts(builder, a, len(ts)))]
            for ts, a in zip(signature.args, args, strict=True)
        )
        arrays = iter(made)
        kept = [
            cgutils.alloca_once(builder, context.get_data_type(from_dtype(np.dtype(dtype))))
            if not shape
            else None
            for shape, dtype in face.outputs
        ]
        results = [next(arrays) if slot is None else slot for slot in kept]
        launch, value = embedded.emit(context, builder, [*given, *results])
        loaded = [
            context.get_data_as_value(builder, type, builder.load(slot))
            for type, slot in zip(scalars, [s for s in kept if s is not None], strict=True)
        ]
        _forbid_caching(context, builder, embedded)
        return context.make_tuple(builder, signature.return_type, [launch, value, *loaded])

    @intrinsic
    def call(typing, inputs, outputs):
        result = types.Tuple((types.int64, types.int64, *scalars))
        return result(types.unliteral(inputs), types.unliteral(outputs)), emit

    return call


def _parts(builder: Any, value: Any, count: int) -> list[Any]:
    return [builder.extract_value(value, k) for k in range(count)]


def _forbid_caching(context: Any, builder: Any, embedded: Embedded) -> None:
    """Tell Numba that the code holds what is only valid in this process: a file of it would go on
    with yesterday's constants.
    """
    from llvmlite import ir

    context.add_dynamic_addr(builder, id(embedded), "jitgrad")
    (mark,) = [g for name, g in builder.module.globals.items() if "dynamic.globals" in name]
    kept = ir.ArrayType(mark.type, 1)
    used: Any = ir.GlobalVariable(builder.module, kept, "llvm.compiler.used")
    used.linkage, used.section = "appending", "llvm.metadata"
    used.initializer = ir.Constant(kept, [mark])

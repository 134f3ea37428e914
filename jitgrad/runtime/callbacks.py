"""Functions of users as machine code calls them: ``function(table)`` of pointers, 0 or an error.

One that Numba compiled is compiled into such a function and runs without Python; any other one is
called in Python, whose lock it takes.
"""

from __future__ import annotations

import ctypes
import functools
import math
import threading
from typing import Any

import numpy as np

from jitgrad.codegen.compile import function
from jitgrad.errors import CallbackError, CountError, DTypeError, ShapeError, fail
from jitgrad.ir.types import TensorType
from jitgrad.locate import Location
from jitgrad.primitives.opaque import CALLEES, Callee

RAISED, SHAPE = 1, 2  # what went wrong


class _Raised(threading.local):
    """What a function raised in this thread, until somebody asks."""

    error: BaseException | None = None


_raised = _Raised()


@functools.cache
def address(number: int) -> int:
    """Where the function of a callee is. TypeError if Numba cannot compile it for these types."""
    callee = CALLEES[number]
    made = _by_numba(callee) if is_native(number) else _by_python(callee)
    _kept.append(made)
    return ctypes.cast(getattr(made, "ctypes", made), ctypes.c_void_p).value or 0


_kept: list[Any] = []


def is_native(number: int) -> bool:
    """Whether it runs without Python."""
    return type(CALLEES[number].function).__module__ == "numba.core.registry"


def error(number: int, where: Location | None) -> BaseException:
    """What a call that failed has raised."""
    found, _raised.error = _raised.error, None
    if found is not None:
        return found
    return fail(
        CallbackError,
        f"{CALLEES[number].name} raised an exception, or returned a result of another shape",
        why="code compiled by Numba does not say more",
        instead="run it in PYNATIVE_MODE to see which",
        where=where,
    )


# --- in Python ------------------------------------------------------------------------------------


def _by_python(callee: Callee) -> Any:
    types = (*callee.operands, *callee.results)
    count = len(callee.operands)

    def run(table: int) -> int:
        try:
            pointers = (ctypes.c_int64 * len(types)).from_address(table)
            arrays = [_array(p, t) for p, t in zip(pointers, types, strict=True)]
            for target, value in zip(arrays[count:], callee(arrays[:count]), strict=True):
                target[...] = value
        except BaseException as raised:  # nothing may leave: the caller asks for it
            _raised.error = raised
            return RAISED
        return 0

    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(run)


def _array(pointer: int, type: TensorType) -> np.ndarray:
    buffer = (ctypes.c_char * type.nbytes).from_address(pointer) if type.nbytes else b""
    return np.frombuffer(buffer, type.dtype.numpy, math.prod(type.shape)).reshape(type.shape)


# --- by Numba -------------------------------------------------------------------------------------


def _by_numba(callee: Callee) -> Any:
    import numba
    from numba.core import types
    from numba.core.errors import NumbaError

    _check_results(callee)
    signature = types.int64(types.CPointer(types.voidptr))
    try:
        return numba.cfunc(signature)(function(*_text(callee)))
    except NumbaError as error:
        raise _does_not_compile(callee, error) from None


def _check_results(callee: Callee) -> None:
    """What Numba infers that the function returns must be what was promised."""
    from numba.core import types
    from numba.core.errors import NumbaError
    from numba.np.numpy_support import as_dtype, from_dtype

    dispatcher: Any = callee.function
    given = []
    for x in callee.operands:
        scalar = from_dtype(np.dtype(x.dtype.numpy))
        given.append(types.Array(scalar, len(x.shape), "C") if x.shape else scalar)
    try:
        dispatcher.compile(tuple(given))
        found = dispatcher.overloads[tuple(given)].signature.return_type
    except NumbaError as error:
        raise _does_not_compile(callee, error) from None
    parts = tuple(found) if callee.several and isinstance(found, types.BaseTuple) else (found,)
    if len(parts) != len(callee.results):
        raise callee.broken(CountError, f"{len(parts)} results, not {len(callee.results)}")
    for part, wanted in zip(parts, callee.results, strict=True):
        array = isinstance(part, types.Array)
        dtype = part.dtype if array else part
        if (part.ndim if array else 0) != len(wanted.shape):
            raise callee.broken(ShapeError, f"{part}, not {wanted}")
        number = isinstance(dtype, (types.Number, types.Boolean))
        if not number or not np.can_cast(as_dtype(dtype), wanted.dtype.numpy, "same_kind"):
            raise callee.broken(DTypeError, f"{part}, not {wanted}")


def _does_not_compile(callee: Callee, error: Exception) -> Exception:
    given = ", ".join(map(str, callee.operands))
    what = f"Numba cannot compile {callee.name} for ({given})"
    return fail(DTypeError, what, why=str(error).strip())


def _text(callee: Callee) -> tuple[str, dict[str, Any], str]:
    """A function of the table that calls it and copies the results."""
    import numba

    space: dict[str, Any] = {"carray": numba.carray, "function": callee.function}
    lines, count = [], len(callee.operands)
    for k, type in enumerate((*callee.operands, *callee.results)):
        space[f"d{k}"] = np.dtype(type.dtype.numpy)
        lines.append(f"a{k} = carray(table[{k}], {type.shape or (1,)}, d{k})")
    given = [f"a{k}.copy()" if x.shape else f"a{k}[0]" for k, x in enumerate(callee.operands)]
    parts = [f"r{k}" for k in range(len(callee.results))]
    names = f"({', '.join(parts)},)" if callee.several else parts[0]
    lines += [f"{names} = function({', '.join(given)})"]
    for k, (part, type) in enumerate(zip(parts, callee.results, strict=True), count):
        lines += [f"if {part}.shape != {type.shape}:", f"    return {SHAPE}"] if type.shape else []
        lines.append(f"a{k}[{':' if type.shape else 0}] = {part}")
    body = "\n".join(f"        {line}" for line in lines)
    text = f"def call(table):\n    try:\n{body}\n    except Exception:\n        return {RAISED}\n"
    return f"{text}    return 0\n", space, "call"

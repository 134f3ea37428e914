"""`autograd.functional`: PyTorch's derivatives of functions, on the tape.

All of them take `func`, which gets Tensors and returns one or several, and `inputs`, a Tensor or a
tuple of them. With `create_graph` the results can be differentiated again; with `strict` it is an
error if an output does not depend on an input, whose derivative is zero otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jitgrad import ops
from jitgrad.api import transforms
from jitgrad.api.higher import hvp as hessian_product
from jitgrad.api.jacobian import basis, jacfwd, jacrev
from jitgrad.errors import CountError, DTypeError, SeedError, TapeError, fail
from jitgrad.frontend import history
from jitgrad.frontend.dispatch import apply, fill
from jitgrad.frontend.tape import enable_grad
from jitgrad.ir.types import TensorType
from jitgrad.primitives.shape import reshape
from jitgrad.state import state
from jitgrad.tensor import Tensor

Several = tuple[Tensor, ...]


def jacobian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of `func`: for an output and an input of shapes `out` and `in`, a Tensor of
    shape ``(*out, *in)``; a tuple of them for several inputs, or outputs, a tuple of tuples for
    both.

    vectorize  compute all rows as one batched program, not one after another.
    strategy   "reverse-mode", or "forward-mode", which needs `vectorize`.

    >>> import jitgrad.ops
    >>> print(jacobian(lambda x: x * x, Tensor([1.0, 2.0])))
    [[2. 0.]
     [0. 4.]]
    """
    assert strategy in ("forward-mode", "reverse-mode"), (
        f'strategy must be "forward-mode" or "reverse-mode", got {strategy!r}'
    )
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError("forward-mode is only implemented for vectorize=True")
    if strategy == "forward-mode" or state.trace is not None:
        transform = jacfwd if strategy == "forward-mode" else jacrev
        return _by_graph(transform, func, inputs, create_graph, strict)
    xs, ys, alone, single = _called("jacobian", func, inputs, create_graph, strict)
    rows = []
    for position, y in enumerate(ys):
        found = rows_of(y, xs, create_graph, vectorize)
        if strict:
            _check_dependence("jacobian", position, found)
        pairs = zip(found, xs, strict=True)
        rows.append(tuple([_filled(g, y.shape, x) for g, x in pairs]))
    parts = [row[0] if alone else row for row in rows]
    return _detached(parts[0] if single else tuple(parts), create_graph)


def hessian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of `func`, which returns one element: a Tensor of shape ``(*in, *in)``, or for a
    tuple of inputs a tuple of tuples.

    >>> import jitgrad.ops
    >>> print(hessian(lambda x: (x * x * x).sum(), Tensor([1.0, 2.0])))
    [[ 6.  0.]
     [ 0. 12.]]
    """
    alone = isinstance(inputs, Tensor)

    def gradient(*xs: Tensor) -> Any:
        checked = _scalar("hessian", func)
        found = jacobian(checked, xs[0] if alone else xs, create_graph=True, strict=strict)
        shaped = [
            apply(reshape, g, shape=x.shape) for g, x in zip((found,) if alone else found, xs)
        ]
        return shaped[0] if alone else tuple(shaped)

    if outer_jacobian_strategy == "forward-mode" and not vectorize:
        raise NotImplementedError("forward-mode is only implemented for vectorize=True")
    if outer_jacobian_strategy == "forward-mode" or state.trace is not None:

        def outer(fn: Callable, where: Any) -> Callable:
            return jacfwd(jacrev(fn, where), where)

        return _by_graph(outer, _scalar("hessian", func), inputs, create_graph, strict)
    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


def vjp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(outputs, v times the Jacobian)``; `v` has the form of the outputs, and is 1 by default for
    an output of one element.
    """
    if state.trace is not None:
        return _in_trace("vjp", func, inputs, v, create_graph, strict)
    xs, ys, alone, single = _called("vjp", func, inputs, create_graph, strict)
    seeds = _directions("vjp", v, ys, "the user-provided function returns")
    found = _gradients(ys, xs, seeds, create_graph)
    if strict:
        _check_dependence("vjp", None, found)
    product = [_filled(g, (), x) for g, x in zip(found, xs, strict=True)]
    outputs = ys[0] if single else ys
    return _detached((outputs, product[0] if alone else tuple(product)), create_graph)


def jvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(outputs, the Jacobian times v)``; `v` has the form of the inputs, and is 1 by default for
    an input of one element.
    """
    if state.trace is not None:
        return _in_trace("jvp", func, inputs, v, create_graph, strict)
    xs, ys, _, single = _called("jvp", func, inputs, True, strict)
    directions = _directions("jvp", v, xs, "the input to the user-provided function is")
    # What pulls cotangents u back is linear in u: its own pull is the push.
    us = [Tensor(fill(0, y._type), requires_grad=True) for y in ys]
    with enable_grad():
        pulled = _gradients(ys, xs, us, True)
    if strict:
        _check_dependence("jvp", None, pulled)
    there = [(g, d) for g, d in zip(pulled, directions) if g is not None and g.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(us)
    if there:
        found = _gradients([g for g, _ in there], us, [d for _, d in there], create_graph)
    product = [_filled(g, (), y) for g, y in zip(found, ys, strict=True)]
    outputs = ys[0] if single else ys
    return _detached((outputs, product[0] if single else tuple(product)), create_graph)


def vhp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(output, v times the Hessian)`` of a function that returns one element."""
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(output, the Hessian times v)`` of a function that returns one element: as `vhp`, since the
    Hessian is symmetric.
    """
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


# --- the parts ----------------------------------------------------------------------------------


def _hessian_product(
    name: str, func: Callable, inputs: Any, v: Any, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    if state.trace is not None:
        return _in_trace(name, func, inputs, v, create_graph, strict)
    checked = _scalar(name, func)
    xs, (y,), alone, _ = _called(name, checked, inputs, create_graph, strict)
    directions = _directions(name, v, xs, "the input to the user-provided function is")
    with enable_grad():
        first = _gradients([y], xs, [fill(1, y._type)], True)
    there = [(g, d) for g, d in zip(first, directions) if g is not None and g.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(xs)
    if there:
        found = _gradients([g for g, _ in there], xs, [d for _, d in there], create_graph)
    if strict:
        _check_dependence(name, None, found)
    product = [_filled(g, (), x) for g, x in zip(found, xs, strict=True)]
    return _detached((y, product[0] if alone else tuple(product)), create_graph)


def _called(
    name: str, func: Callable, inputs: Any, create_graph: bool, strict: bool
) -> tuple[Several, Several, bool, bool]:
    """The inputs as Tensors that are followed, the outputs, and whether each came alone."""
    given, alone = _tuple(inputs, f"The inputs given to {name}")
    with enable_grad():
        xs = tuple([_followed(x, create_graph) for x in given])
        ys, single = _tuple(func(*xs), f"The outputs of the user-provided function given to {name}")
    for position, y in enumerate(ys):
        if strict and not y.requires_grad:
            raise fail(
                TapeError,
                f"{name}: output {position} of the user-provided function does not require"
                " gradients",
                why="in strict mode the outputs must be computed from the inputs",
            )
    return xs, ys, alone, single


def _tuple(value: Any, what: str) -> tuple[Several, bool]:
    alone = not isinstance(value, (tuple, list))
    found = (value,) if alone else tuple(value)
    for x in found:
        if not isinstance(x, Tensor):
            raise fail(
                DTypeError, f"{what} must be a Tensor or a tuple of Tensors, not {type(x).__name__}"
            )
    return found, alone


def _followed(x: Tensor, create_graph: bool) -> Tensor:
    if create_graph and x.requires_grad:
        return apply(reshape, x, shape=x.shape)
    return x.detach().requires_grad_()  # type: ignore[attr-defined]


def _scalar(name: str, func: Callable) -> Callable:
    """The function, checked to return one Tensor of one element."""

    def checked(*xs: Tensor) -> Tensor:
        out = func(*xs)
        if isinstance(out, (tuple, list)) and len(out) == 1:
            out = out[0]
        if isinstance(out, (tuple, list)):
            raise fail(TapeError, f"the function given to {name} should return a single Tensor")
        if not isinstance(out, Tensor) or out.size != 1:
            raise fail(
                TapeError,
                f"the Tensor returned by the function given to {name} should contain a single"
                " element",
            )
        return apply(reshape, out, shape=())

    return checked


def _directions(name: str, v: Any, like: Several, who: str) -> list[Tensor]:
    """The vector of a product, of the types of `like`."""
    if v is None:
        if len(like) != 1 or like[0].size != 1:
            raise fail(
                TapeError,
                f"{name}: the vector v can only be None if {who} a single Tensor with a single"
                " element",
            )
        return [fill(1, like[0]._type)]
    given, _ = _tuple(v, f"The vector v given to {name}")
    if len(given) != len(like):
        raise fail(CountError, f"{name}: v should contain {len(like)} Tensors, got {len(given)}")
    for g, x in zip(given, like, strict=True):
        if g.shape != x.shape:
            raise fail(
                SeedError,
                f"{name}: v has invalid size: should be {list(x.shape)} but got {list(g.shape)}",
            )
    return list(given)


def _gradients(
    ys: Sequence[Tensor], xs: Several, seeds: Sequence[Tensor], create_graph: bool
) -> Sequence[Tensor | None]:
    """One for each input; None where nothing depends on it."""
    there = [(y, s) for y, s in zip(ys, seeds) if y.requires_grad]
    if not there:
        return [None] * len(xs)
    outputs, given = [y for y, _ in there], [s for _, s in there]
    return history.gradients(outputs, xs, given, True, create_graph, allow_unused=True)


def rows_of(y: Tensor, xs: Several, create_graph: bool, vectorize: bool) -> Sequence[Tensor | None]:
    """The derivative of each element of `y`, along a leading axis."""
    if not y.requires_grad:
        return [None] * len(xs)
    seeds = basis(y._type)
    if vectorize or y.size == 0:
        return history.batched_gradients(y, xs, seeds, True, create_graph, allow_unused=True)
    rows = [_gradients([y], xs, [seeds[i]], create_graph) for i in range(y.size)]  # type: ignore[index]
    return [None if g[0] is None else ops.stack(g) for g in zip(*rows, strict=True)]


def _check_dependence(name: str, output: int | None, found: Sequence[Tensor | None]) -> None:
    for position, g in enumerate(found):
        if g is None:
            which = "the output" if output is None else f"output {output}"
            raise fail(
                TapeError,
                f"{name}: {which} of the user-provided function is independent of input {position}",
                why="this is not allowed in strict mode",
            )


def _filled(g: Tensor | None, outer: tuple[int, ...], x: Tensor) -> Tensor:
    shape = (*outer, *x.shape)
    if g is None:
        return fill(0, TensorType(x.dtype, shape))
    return apply(reshape, g, shape=shape)


def _detached(value: Any, create_graph: bool) -> Any:
    if create_graph:
        return value
    if isinstance(value, tuple):
        return tuple([_detached(x, False) for x in value])
    return value.detach()


def _by_graph(
    transform: Callable, func: Callable, inputs: Any, create_graph: bool, strict: bool
) -> Any:
    """A transform of functions, as one batched program: in forward mode, and in a trace."""
    _check_not_strict(strict)
    xs, alone = _tuple(inputs, "The inputs")
    where = 0 if alone else tuple(range(len(xs)))
    return _detached(transform(func, where)(*xs), create_graph)


def _check_not_strict(strict: bool) -> None:
    if strict:
        raise fail(
            TapeError,
            "strict=True is supported neither with forward-mode nor in a compiled function",
            instead="strict=False",
        )


def _in_trace(
    name: str, func: Callable, inputs: Any, v: Any, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    """A product with the Jacobian or the Hessian in a compiled function."""
    _check_not_strict(strict)
    xs, alone = _tuple(inputs, f"The inputs given to {name}")
    if name == "vjp":
        out, pull = transforms.vjp(func, *xs)
        ys, _ = _tuple(out, "The outputs of the user-provided function")
        found = pull(*_directions(name, v, ys, "the user-provided function returns"))
    else:
        directions = _directions(name, v, xs, "the input to the user-provided function is")
        if name == "jvp":
            return _detached(transforms.jvp(func, xs, tuple(directions)), create_graph)
        out, found = hessian_product(_scalar(name, func), xs, tuple(directions))
    return _detached((out, found[0] if alone else found), create_graph)


__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

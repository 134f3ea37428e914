"""`grad`, `value_and_grad`, `get_grad`: reverse-mode derivatives of functions and Cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.api.context import is_graph_mode
from jitgrad.api.jit import Compiled
from jitgrad.api.points import Point, point, tensors_of, title
from jitgrad.api.shortest import MISS
from jitgrad.api.store import artefacts
from jitgrad.api.tracebacks import for_user
from jitgrad.errors import ArgumentError, CountError, DTypeError, SeedError, TapeError, fail
from jitgrad.frontend import dispatch
from jitgrad.frontend.control import converted
from jitgrad.frontend.graphcall import compiled
from jitgrad.frontend.linear import linearize
from jitgrad.state import state
from jitgrad.tensor import Parameter, Tensor

ALL = "all"  # as a position: every Tensor among the arguments


def grad(
    fn: Callable,
    grad_position: int | tuple[int, ...] | None = 0,
    weights: Any = None,
    has_aux: bool = False,
    return_ids: bool = False,
    sens_param: bool = False,
) -> Callable:
    """The function that returns the gradient of `fn`.

    fn             function, bound method, Cell, or anything else that can be called.
    grad_position  the argument, or arguments, to differentiate in; counts the signature's
                   parameters, so that keyword arguments have positions too. None for none.
    weights        a Parameter, or a tuple or list of them, that `fn` reads.
    has_aux        only the first output is differentiated; the others are returned as well:
                   ``(gradients, (aux1, …))``.
    return_ids     pair each gradient with its position or the Parameter's name; see `get_grad`.
    sens_param     the cotangent of the output is passed as one more, last argument. Without it,
                   the gradient is that of the sum of all outputs' elements.

    One position gives one gradient, a tuple of several a tuple; with weights, the result is
    ``(gradients of positions, gradients of weights)``. A nest of Tensors has a nest of gradients,
    a NumPy array a NumPy array. What `fn` does not depend on has gradient zero.

    >>> import jitgrad.ops
    >>> from jitgrad.tensor import Tensor
    >>> print(grad(lambda x: x * x * x)(Tensor([1.0, 2.0])))
    [ 3. 12.]
    >>> print(grad(grad(lambda x: x * x * x))(Tensor([1.0, 2.0])))
    [ 6. 12.]

    Raises:
        TypeError: `fn` cannot be called; a position is no int or tuple of ints; weights are no
            Parameters; an option is no bool; at the call: an argument that cannot be
            differentiated.
        ValueError: negative or repeated positions; neither positions nor weights.
        RuntimeError: `grad_position` is ().
        IndexError: at the call, there is no such argument.
    """
    options = (False, grad_position, weights, has_aux, return_ids, sens_param)
    return _gradient(fn, options)


def value_and_grad(
    fn: Callable,
    grad_position: int | tuple[int, ...] | None = 0,
    weights: Any = None,
    has_aux: bool = False,
    return_ids: bool = False,
    sens_param: bool = False,
) -> Callable:
    """The function that returns what `fn` returns, and its gradient: ``(out, gradients)``.

    Parameters and errors are those of `grad`. With `has_aux`: ``((out0, aux1, …), gradients)``.

    >>> import jitgrad.ops
    >>> from jitgrad.tensor import Tensor
    >>> value, gradient = value_and_grad(lambda x: (x * x).sum())(Tensor([1.0, 2.0]))
    >>> print(value, gradient)
    5.0 [2. 4.]
    """
    options = (True, grad_position, weights, has_aux, return_ids, sens_param)
    return _gradient(fn, options)


def _gradient(fn: Callable, options: tuple) -> Gradient:
    """The gradient of a function with these options: made once, found again afterwards."""
    if not callable(fn):
        name = "value_and_grad" if options[0] else "grad"
        raise fail(
            DTypeError,
            f"{name} got a {type(fn).__name__} to differentiate",
            why="it takes a function, a method or a Cell",
        )
    value, position, weights, *flags = options
    check_flags(*flags)
    positions = checked_positions(position)
    found = checked_weights(weights)
    if position is None and weights is None:
        raise fail(
            ArgumentError,
            "grad_position and weights cannot both be None",
            why="there is nothing to differentiate in",
        )
    shape = "one" if isinstance(weights, Parameter) else None if weights is None else "many"
    key = "grad", value, position, shape, tuple([id(w) for w in found]), *flags
    store = artefacts(fn)
    if key not in store:
        store[key] = Gradient(fn, positions, found, shape, value, *flags)
    return store[key]


def check_flags(*flags: Any) -> None:
    """TypeError for has_aux, return_ids or sens_param that are no bools."""
    for flag in flags:
        if flag is not True and flag is not False:
            raise fail(DTypeError, f"has_aux, return_ids and sens_param are bools, got {flag!r}")


def checked_positions(position: Any) -> tuple[int, ...]:
    """The positions; see `grad` for the errors."""
    if position is None:
        return ()
    given = position if isinstance(position, tuple) else (position,)
    for p in given:
        if isinstance(p, bool) or not isinstance(p, (int, np.integer)):
            raise fail(
                DTypeError,
                f"grad_position must be an int or a tuple of ints, got {position!r}",
            )
        if p < 0:
            raise fail(ArgumentError, f"grad_position must not be negative, got {position!r}")
    if not given:
        raise fail(
            TapeError,
            "grad_position is ()",
            why="there is nothing to differentiate in",
            instead="grad_position=None with weights",
        )
    if len(set(given)) != len(given):
        raise fail(ArgumentError, f"grad_position must not repeat itself, got {position!r}")
    return tuple([int(p) for p in given])


def checked_weights(weights: Any) -> tuple[Parameter, ...]:
    """The weights as a tuple; DTypeError if they are no Parameters."""
    given = () if weights is None else weights
    if isinstance(given, Parameter):
        given = (given,)
    if not isinstance(given, (tuple, list)) or any(not isinstance(w, Parameter) for w in given):
        raise fail(
            DTypeError,
            f"weights must be a Parameter or a tuple or list of them, got {type(weights).__name__}",
            instead="net.trainable_params()",
        )
    return tuple(given)


class Gradient:
    """The gradient of a function. Made by `grad` and `value_and_grad`."""

    def __init__(
        self,
        fn: Callable,
        positions: tuple[int, ...] | str,
        weights: tuple[Parameter, ...],
        weights_shape: str | None,
        with_value: bool,
        has_aux: bool = False,
        return_ids: bool = False,
        sens_param: bool = False,
    ):
        self.__wrapped__ = fn
        self.fn, self.positions, self.weights = fn, positions, weights
        self.weights_shape, self.with_value = weights_shape, with_value
        self.has_aux, self.return_ids, self.sens_param = has_aux, return_ids, sens_param
        self.__name__ = f"{'value_and_' if with_value else ''}grad_of_{title(fn)}"
        self._jitted = Compiled(self.packed, compiled, functional=True, like=self)
        self._jitted_raw: Compiled | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        fast = self._jitted._fast
        if fast is not None and state.trace is None and is_graph_mode():
            result = fast(args, kwargs)
            if result is not MISS:
                return result
        try:
            return self._call(args, kwargs)
        except Exception as error:
            raise for_user(error)  # noqa: B904 (the same error)

    def __reduce__(self) -> tuple:
        """A copy is compiled anew."""
        what = self.fn, self.positions, self.weights, self.weights_shape, self.with_value
        return type(self), (*what, self.has_aux, self.return_ids, self.sens_param)

    def __repr__(self) -> str:
        return f"<{self.__name__}>"

    def _call(self, args: tuple, kwargs: dict) -> Any:
        points = self.points(args, kwargs)
        compile = state.trace is None and is_graph_mode()
        if not _has_others(points, args, kwargs):
            if compile:
                return self._jitted(*args, **kwargs)
            return self.pack_at(points, args, kwargs)
        # NumPy in, NumPy out; floats become inputs
        converted, converted_kwargs = replaced(points, [p.leaves for p in points], args, kwargs)
        run: Callable = self.raw
        if compile:
            if self._jitted_raw is None:
                self._jitted_raw = Compiled(self.raw, compiled, functional=True, like=self)
            run = self._jitted_raw
        out, of_points, of_weights = run(*converted, **converted_kwargs)
        parts = [p.like_input(g) for p, g in zip(points, of_points, strict=True)]
        numbers = not any(isinstance(x, Tensor) for x in tree.flatten((args, kwargs))[0])
        if numbers and state.trace is None:
            out = tree.map(lambda x: x.asnumpy()[()] if isinstance(x, Tensor) else x, out)
        return self.package(out, points, parts, of_weights)

    # --- the computation, eager or traced -------------------------------------------------------

    def packed(self, *args: Any, **kwargs: Any) -> Any:
        """The result as the caller wants it, for Tensors at the positions."""
        return self.pack_at(self.points(args, kwargs), args, kwargs)

    def pack_at(self, points: Sequence[Point], args: tuple, kwargs: dict) -> Any:
        out, of_points, of_weights = self.compute(points, args, kwargs)
        parts = [p.rebuilt(g) for p, g in zip(points, of_points, strict=True)]
        return self.package(out, points, parts, of_weights)

    def raw(self, *args: Any, **kwargs: Any) -> tuple[Any, list, list]:
        """The output, the gradients of each position's leaves, and those of the weights."""
        return self.compute(self.points(args, kwargs), args, kwargs)

    def compute(self, points: Sequence[Point], args: tuple, kwargs: dict) -> tuple[Any, list, list]:
        sens: Any = None
        if self.sens_param:
            *rest, sens = args
            args = tuple(rest)
        args, kwargs = tensors_of(args, kwargs)
        flat = [x for p in points for x in p.leaves]
        weights = list({id(w): w for w in self.weights if w.requires_grad}.values())

        def call(stand_ins: list[Tensor]) -> Any:
            given = iter(stand_ins)
            groups = [[next(given) for _ in p.leaves] for p in points]
            new_args, new_kwargs = replaced(points, groups, args, kwargs)
            return converted(self.fn)(*new_args, **new_kwargs)

        out, linear = linearize(call, flat, weights)
        differentiated = self.differentiated(out)
        leaves = tree.flatten(differentiated)[0]
        if all(isinstance(x, str) for x in leaves):
            raise fail(
                DTypeError,
                f"{title(self.fn)} returned {differentiated!r}, which has no gradient",
                instead="return the value to differentiate",
            )
        count = sum(isinstance(x, Tensor) for x in leaves)
        if self.sens_param:
            seeds = given_seeds(linear.outputs[:count], sens)
        else:
            integers = any(x.dtype.is_int for x in (*flat, *weights))
            seeds = [ones_seed(y, integers) for y in linear.outputs[:count]]
        found = linear.pull([*seeds, *(None for _ in linear.outputs[count:])])
        given = iter(found[: len(flat)])
        of_points = [[next(given) for _ in p.leaves] for p in points]
        by_id = {id(w): g for w, g in zip(weights, found[len(flat) :], strict=True)}
        of_weights = [by_id[id(w)] if id(w) in by_id else zeros_like(w) for w in self.weights]
        return out, of_points, of_weights

    def points(self, args: tuple, kwargs: dict) -> list[Point]:
        """The arguments to differentiate in."""
        if self.sens_param and not args:
            raise fail(
                ArgumentError,
                f"the gradient of {title(self.fn)} needs the cotangent of the output",
                why="sens_param=True makes it the last positional argument",
            )
        given = args[:-1] if self.sens_param else args
        if self.positions == ALL:
            found = [point(self.fn, i, given, kwargs, strict=False) for i in range(len(given))]
            return [p for p in found if p is not None]
        found = [point(self.fn, i, given, kwargs) for i in self.positions]
        return [p for p in found if p is not None]

    def differentiated(self, out: Any) -> Any:
        """The part of the output that is differentiated."""
        if not self.has_aux:
            return out
        if not isinstance(out, (tuple, list)) or len(out) < 2:
            raise fail(
                ArgumentError,
                "When has_aux is True, origin fn requires more than one outputs.",
            )
        return out[0]

    # --- the form of the result -----------------------------------------------------------------

    def package(
        self, out: Any, points: Sequence[Point], parts: Sequence[Any], of_weights: Sequence[Tensor]
    ) -> Any:
        gradients = self.gradients(points, parts, of_weights)
        if self.with_value:
            return (tuple(out) if self.has_aux else out), gradients
        return (gradients, tuple(out[1:])) if self.has_aux else gradients

    def gradients(
        self, points: Sequence[Point], parts: Sequence[Any], of_weights: Sequence[Tensor]
    ) -> Any:
        if self.return_ids:
            parts = [(p.position, g) for p, g in zip(points, parts, strict=True)]
            of_weights = [(w.name, g) for w, g in zip(self.weights, of_weights, strict=True)]
        alone = self.positions != ALL and len(parts) == 1
        of_positions = parts[0] if alone else tuple(parts)
        if self.weights_shape is None:
            return of_positions
        second = of_weights[0] if self.weights_shape == "one" else tuple(of_weights)
        return second if self.positions == () else (of_positions, second)


def _has_others(points: Sequence[Point], args: tuple, kwargs: dict) -> bool:
    """Whether a differentiated argument holds a NumPy array or a Python float."""
    values = [args[p.key] if isinstance(p.key, int) else kwargs[p.key] for p in points]
    return any(not isinstance(x, Tensor) for x in tree.flatten(values)[0])


def replaced(
    points: Sequence[Point], groups: Sequence[Sequence[Any]], args: tuple, kwargs: dict
) -> tuple[tuple, dict]:
    """The arguments with other leaves at the points."""
    new_args, new_kwargs = list(args), dict(kwargs)
    for p, leaves in zip(points, groups, strict=True):
        if isinstance(p.key, int):
            new_args[p.key] = p.rebuilt(leaves)
        else:
            new_kwargs[p.key] = p.rebuilt(leaves)
    return tuple(new_args), new_kwargs


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of a Tensor's type."""
    return dispatch.fill(0, x._type)


def ones_seed(y: Tensor, integers: bool) -> Tensor | None:
    """A cotangent of ones; None where the output has no derivative. DTypeError for complex numbers,
    of which no derivative is the gradient.
    """
    if y.dtype.is_complex:
        raise fail(
            DTypeError,
            f"the gradient of a complex output, of type {y._type}",
            why="only a real number has a gradient",
            instead="the gradient of ops.abs(y), ops.real(y), …, or vjp with a cotangent",
        )
    if y.dtype.is_float or (integers and y.dtype.is_int):
        return dispatch.fill(1, y._type)
    return None


PLAIN = (int, float, complex, np.ndarray)


def given_seeds(
    outputs: Sequence[Tensor], sens: Any, what: str = "cotangent", whose: str = "output"
) -> list[Tensor]:
    """What the user gave, one for each output, or input; ShapeError if they do not fit."""
    given = [
        Tensor(x, outputs[0].dtype) if isinstance(x, PLAIN) and outputs else x
        for x in tree.flatten(sens)[0]
    ]
    for x in given:
        if not isinstance(x, Tensor):
            raise fail(DTypeError, f"got a {type(x).__name__} as a {what}", instead="a Tensor")
    if len(given) != len(outputs):
        raise fail(
            CountError,
            f"got {len(given)} {what}s for {len(outputs)} {whose}s",
            instead=f"pass one Tensor for each {whose}, nested in the same way",
        )
    seeds = []
    for x, y in zip(given, outputs, strict=True):
        if x.shape != y.shape:
            raise fail(
                SeedError, f"got a {what} of shape {list(x.shape)} for an {whose} of {y._type}"
            )
        seeds.append(x if x.dtype is y.dtype else x.astype(y.dtype))
    return seeds


def get_grad(gradients: Any, identifier: int | Parameter) -> Tensor:
    """The gradient of a position or a Parameter in the result of ``grad(…, return_ids=True)``.

    RuntimeError if it is not there; TypeError if `identifier` is neither an int nor a Parameter.
    """
    if isinstance(identifier, bool) or not isinstance(identifier, (int, Parameter)):
        raise fail(
            DTypeError,
            f"get_grad takes a position or a Parameter, got {identifier!r}",
        )
    wanted = identifier.name if isinstance(identifier, Parameter) else identifier
    stack = [gradients]
    while stack:
        part = stack.pop()
        if isinstance(part, (tuple, list)):
            if len(part) == 2 and isinstance(part[0], (int, str)):
                if type(part[0]) is type(wanted) and part[0] == wanted:
                    return part[1]
            else:
                stack.extend(part)
    raise fail(TapeError, f"there is no gradient of {wanted!r} among those given")

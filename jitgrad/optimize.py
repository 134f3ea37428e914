"""SciPy's optimizers over nests of Tensors and arrays, with all derivatives filled in.

What is minimised is compiled, with its gradient, as a function of one vector of float64.

>>> import jitgrad as ms
>>> def f(p):
...     return ((p["a"] - 3.0) ** 2).sum() + p["b"] ** 2
>>> found = minimize(f, {"a": np.zeros(2), "b": 1.0})
>>> [round(float(a), 5) for a in found.x["a"]], bool(abs(found.x["b"]) < 1e-5)
([3.0, 3.0], True)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad import tree
from jitgrad.api.grad import grad, value_and_grad
from jitgrad.api.higher import hessian
from jitgrad.api.jacobian import jacfwd, jacrev
from jitgrad.api.jit import jit
from jitgrad.api.points import differentiable, title
from jitgrad.api.store import artefacts
from jitgrad.api.transforms import jvp
from jitgrad.errors import DTypeError, ShapeError, fail
from jitgrad.frontend.control import converted
from jitgrad.ops import concat
from jitgrad.tensor import Tensor

# What of the derivatives SciPy's methods ask for.
NOTHING = ("nelder-mead", "powell", "cobyla", "cobyqa")
PRODUCTS = ("newton-cg", "trust-ncg", "trust-krylov", "trust-constr")
MATRICES = ("dogleg", "trust-exact")


@dataclass(frozen=True, slots=True)
class Packing:
    """How a nest becomes a vector of float64, and is made from one again."""

    structure: tree.Structure
    shapes: tuple[tuple[int, ...], ...]
    kinds: tuple[Any, ...]  # of each leaf: a Tensor's dtype, NumPy's, or float

    def vector(self, nest: Any) -> np.ndarray:
        leaves = [np.asarray(x, np.float64).ravel() for x in _leaves(nest)[0]]
        return np.concatenate(leaves) if leaves else np.zeros(0)

    def split(self, vector: Any) -> list[Any]:
        parts, start = [], 0
        for shape in self.shapes:
            stop = start + int(np.prod(shape))
            parts.append(vector[start:stop].reshape(shape))
            start = stop
        return parts

    def tensors(self, vector: Tensor) -> Any:
        """The nest for the function to compute with."""
        return tree.unflatten(self.structure, self.split(vector))

    def nest(self, vector: np.ndarray) -> Any:
        """The nest for the user: Tensors, arrays and floats where there were such."""
        values = [_as(kind, part) for kind, part in zip(self.kinds, self.split(vector))]
        return tree.unflatten(self.structure, values)


def _leaves(nest: Any) -> tuple[list[Any], tree.Structure]:
    """The leaves; a list of numbers is an array, as it is to SciPy."""
    if isinstance(nest, list) and nest and all(isinstance(x, (int, float)) for x in nest):
        nest = np.asarray(nest, np.float64)
    return tree.flatten(nest)


def _as(kind: Any, part: np.ndarray) -> Any:
    if kind is float:
        return float(part)
    if isinstance(kind, np.dtype):
        return np.asarray(part, kind)
    return Tensor(np.array(part), kind)


def packing_of(name: str, x0: Any) -> Packing:
    """How to pack a nest like `x0`; DTypeError if it holds something else than numbers."""
    leaves, structure = _leaves(x0)
    shapes, kinds = [], []
    for x in leaves:
        found = differentiable(float(x) if type(x) is int else x)
        if found is None:
            raise fail(
                DTypeError,
                f"x0 of {name} holds a {type(x).__name__}",
                why="it is a nest of Tensors, NumPy arrays and floats",
            )
        is_float = found.dtype.is_float
        array = isinstance(x, (np.ndarray, np.generic))
        dtype = found.dtype if is_float else None
        numpy = np.dtype(np.float64) if array else None
        kinds.append(numpy or (dtype if isinstance(x, Tensor) else float))
        shapes.append(found.shape)
    return Packing(structure, tuple(shapes), tuple(kinds))


def minimize(
    fun: Callable,
    x0: Any,
    args: Sequence[Any] = (),
    method: str | None = None,
    *,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable | None = None,
    options: dict | None = None,
) -> Any:
    """Minimise ``fun(x, *args)`` from `x0`, a nest of Tensors, NumPy arrays and floats.

    fun          returns one element; Tensors of float64, in the nest of `x0`, are its argument.
    method       SciPy's. The gradient, and what the method wants of the Hessian, are derived.
    bounds       as SciPy takes them, for the elements of `x0` in order.
    constraints  as SciPy takes them, but of functions of the nest; their derivatives are derived.
    callback     gets the nest after each iteration.

    Returns SciPy's OptimizeResult, whose `x` and `jac` are nests: Tensors in their dtype, and
    arrays and floats in float64, where there were such in `x0`.

    TypeError: `x0` holds something else. ValueError: `fun` returns several elements.
    """
    import scipy.optimize

    packing = packing_of("minimize", x0)
    function = _flat(packing, fun, _scalar)
    which = _method(method, bounds, constraints)
    extra: dict[str, Any] = {}
    if which in NOTHING:
        value = _called(function, jit, args, float)
    else:
        value = _called(function, _value_and_gradient, args, _pair)
        extra["jac"] = True
    if which in PRODUCTS:
        product = _made(function, _product)
        extra["hessp"] = lambda v, p, *_: product(_t(v), _t(p), *args).asnumpy()
    if which in MATRICES:
        extra["hess"] = _called(function, _hessian, args, Tensor.asnumpy)
    if constraints:
        several = isinstance(constraints, (list, tuple))
        rows = constraints if several else [constraints]
        extra["constraints"] = [_constraint(packing, c) for c in rows]
    if callback is not None:
        extra["callback"] = lambda v, *rest: callback(packing.nest(v))
    start = packing.vector(x0)
    found = scipy.optimize.minimize(
        value, start, method=method, bounds=bounds, tol=tol, options=options, **extra
    )
    return _unpacked(packing, found, "x", "jac")


def least_squares(fun: Callable, x0: Any, args: Sequence[Any] = (), **options: Any) -> Any:
    """Minimise the sum of squares of what ``fun(x, *args)`` returns, a Tensor or a nest of them.

    `options` are those of ``scipy.optimize.least_squares``; the Jacobian is derived, forwards or
    backwards as is cheaper. Returns its OptimizeResult, whose `x` and `grad` are nests as `x0` is.

    >>> found = least_squares(lambda x, t: x[0] * t + x[1], [1.0, 1.0], (np.array([0.0, 1.0]),))
    >>> bool(np.abs(found.x).max() < 1e-9)
    True
    """
    import scipy.optimize

    packing = packing_of("least_squares", x0)
    value, jacobian = _residuals(packing, fun, args, x0)
    start = packing.vector(x0)
    found = scipy.optimize.least_squares(value, start, jac=jacobian, **options)
    return _unpacked(packing, found, "x", "grad")


def root(fun: Callable, x0: Any, args: Sequence[Any] = (), **options: Any) -> Any:
    """Where ``fun(x, *args)``, a Tensor or a nest with as many elements as `x0`, is zero.

    `options` are those of ``scipy.optimize.root``; the Jacobian is derived. Returns its
    OptimizeResult, whose `x` is a nest as `x0` is.

    >>> found = root(lambda x: x * x - np.array([4.0, 9.0]), np.array([1.0, 1.0]))
    >>> [round(float(x), 6) for x in found.x]
    [2.0, 3.0]
    """
    import scipy.optimize

    packing = packing_of("root", x0)
    value, jacobian = _residuals(packing, fun, args, x0)
    method = options.get("method", "hybr")
    extra = {"jac": jacobian} if method in ("hybr", "lm") else {}
    return _unpacked(
        packing, scipy.optimize.root(value, packing.vector(x0), **extra, **options), "x"
    )


# --- the parts ----------------------------------------------------------------------------------


def _method(method: str | None, bounds: Any, constraints: Any) -> str:
    if method is not None:
        return method.lower()
    return "slsqp" if constraints else "l-bfgs-b" if bounds is not None else "bfgs"


def _t(vector: np.ndarray) -> Tensor:
    return Tensor(np.asarray(vector, np.float64))


def _flat(packing: Packing, fun: Callable, finish: Callable[[str, Any], Tensor]) -> Callable:
    """The function of one vector: made once, as all that is compiled from it."""

    def function(vector: Tensor, *args: Any) -> Tensor:
        return finish(title(fun), converted(fun)(packing.tensors(vector), *args))

    function.__wrapped__ = fun  # type: ignore[attr-defined]
    return artefacts(fun).setdefault(("optimize", packing, finish), function)


def _made(function: Callable, transform: Callable) -> Callable:
    """The compiled transform of a function."""
    store = artefacts(function)
    if transform not in store:
        store[transform] = transform(function)
    return store[transform]


def _value_and_gradient(function: Callable) -> Callable:
    return jit(value_and_grad(function))


def _hessian(function: Callable) -> Callable:
    return jit(hessian(function))


def _forward(function: Callable) -> Callable:
    return jit(jacfwd(function))


def _backward(function: Callable) -> Callable:
    return jit(jacrev(function))


def _product(function: Callable) -> Callable:
    gradient = grad(function)
    return jit(lambda v, p, *args: jvp(lambda v: gradient(v, *args), v, p)[1])


def _scalar(name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise fail(DTypeError, f"{name} returned a {type(value).__name__}", instead="a Tensor")
    if value.size != 1:
        raise fail(
            ShapeError,
            f"{name} returned {value._type}",
            why="what is minimised is one number",
            instead="its sum, or jitgrad.optimize.least_squares for a sum of squares",
        )
    return value.reshape(())  # type: ignore[attr-defined]


def _vector(name: str, value: Any) -> Tensor:
    tensors = [x for x in tree.flatten(value)[0] if isinstance(x, Tensor)]
    if not tensors:
        raise fail(DTypeError, f"{name} returned a {type(value).__name__}", instead="Tensors")
    flat = [x.reshape((-1,)) for x in tensors]  # type: ignore[attr-defined]
    return concat(flat) if len(flat) > 1 else flat[0]


def _called(
    function: Callable, transform: Callable, args: Sequence[Any], finish: Callable[[Any], Any]
) -> Callable:
    """A transform of a function, as SciPy calls it."""
    compiled = _made(function, transform)
    return lambda vector, *_: finish(compiled(_t(vector), *args))


def _pair(found: tuple[Tensor, Tensor]) -> tuple[float, np.ndarray]:
    return float(found[0]), found[1].asnumpy()


def _residuals(
    packing: Packing, fun: Callable, args: Sequence[Any], x0: Any
) -> tuple[Callable, Callable]:
    """The values as one vector, and their Jacobian."""
    function = _flat(packing, fun, _vector)
    value = _called(function, jit, args, Tensor.asnumpy)
    start = packing.vector(x0)
    cheaper = _forward if start.size <= value(start).size else _backward
    return value, _called(function, cheaper, args, Tensor.asnumpy)


def _constraint(packing: Packing, constraint: Any) -> Any:
    """A constraint on the vector, with its derivatives."""
    from scipy.optimize import NonlinearConstraint

    if isinstance(constraint, dict):
        function = _flat(packing, constraint["fun"], _vector)
        args = tuple(constraint.get("args", ()))
        return {
            "type": constraint["type"],
            "fun": _called(function, jit, args, Tensor.asnumpy),
            "jac": _called(function, _backward, args, Tensor.asnumpy),
        }
    if isinstance(constraint, NonlinearConstraint):
        function = _flat(packing, constraint.fun, _vector)
        curvature = jit(hessian(lambda v, weights: (function(v) * weights).sum()))
        return NonlinearConstraint(
            _called(function, jit, (), Tensor.asnumpy),
            constraint.lb,
            constraint.ub,
            jac=_called(function, _backward, (), Tensor.asnumpy),
            hess=lambda v, weights: curvature(_t(v), _t(weights)).asnumpy(),
            keep_feasible=constraint.keep_feasible,
        )
    return constraint


def _unpacked(packing: Packing, found: Any, *names: str) -> Any:
    """SciPy's result, with vectors as nests."""
    for name in names:
        value = found.get(name)
        if isinstance(value, np.ndarray) and value.ndim == 1:
            found[name] = packing.nest(value)
    return found


__all__ = ["least_squares", "minimize", "root"]

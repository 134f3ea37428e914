"""How ops are declared: `elementwise`, `reduction` and `structural`.

For an elementwise op the decorated function *is* the derivative. It is called with the input
nodes (and the op's own node, if its last parameter is called ``out``) and returns, for each
input, the partial derivative: a node, a Python number, a function that maps a tangent or
cotangent (where the partial alone would lose infinities or zeros), or None where there is none.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jitgrad.errors import DTypeError, ShapeError, TapeError, fail
from jitgrad.ir.node import Node, full
from jitgrad.ir.op import OPS, Attrs, Op, Sample, register
from jitgrad.ir.types import DType, TensorType, TupleType, Type, bool_
from jitgrad.primitives.reference import NAMESPACE, applied

FLOAT, REAL, INTEGER, BOOL, BITS = "f", "iuf", "iu", "b", "biu"
INEXACT, NUMBER, COMPLEX = "fc", "iufc", "c"
ORDERED, ANY = "biuf", "biufc"
Policy = str | DType
POLICY_NAMES = {
    FLOAT: "a float dtype",
    REAL: "a real number dtype",
    INTEGER: "an integer dtype",
    BOOL: "bool",
    BITS: "an integer dtype or bool",
    INEXACT: "a float or complex dtype",
    NUMBER: "a number dtype",
    COMPLEX: "a complex dtype",
    ORDERED: "any dtype but a complex one",
    ANY: "any dtype",
}


def accepts(policy: Policy, dtype: DType) -> bool:
    """Whether a dtype is among those of a policy: a string of kinds, or one dtype."""
    return dtype is policy if isinstance(policy, DType) else dtype.kind in policy


def policy_name(policy: Policy) -> str:
    """A policy in words, for errors."""
    return policy.name if isinstance(policy, DType) else POLICY_NAMES[policy]


def remedy(type: Type) -> str:
    """What to do with an operand of a dtype that an op does not take."""
    if isinstance(type, TensorType) and type.dtype.is_complex:
        return "take its parts with ops.real(x) and ops.imag(x), or ops.abs(x)"
    return "cast it first, as in x.astype(jitgrad.float32)"


@dataclass(frozen=True, slots=True)
class Domain:
    """Where the test inputs of an op are drawn from: low <= value < high."""

    low: float
    high: float
    avoid: tuple[float, ...] = ()  # points near which the op is not smooth

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: DType) -> np.ndarray:
        if dtype.kind == "b":
            return rng.random(shape) < 0.5
        if dtype.is_int:
            low = max(self.low, 0) if dtype.kind == "u" else self.low
            return rng.integers(int(low), max(int(self.high), int(low) + 1), shape, dtype.numpy)
        values = rng.uniform(self.low, self.high, shape)
        for point in self.avoid:
            values = np.where(np.abs(values - point) < 0.05, point + 0.1, values)
        return values.astype(dtype.numpy)


def reals(low: float, high: float, *avoid: float) -> Domain:
    """Values between low and high, kept away from the points in `avoid`."""
    return Domain(low, high, avoid)


# --- elementwise --------------------------------------------------------------------------------


def elementwise(
    scalar: str,
    *,
    dtype: Policy | tuple[Policy, ...],
    sample: Domain | tuple[Domain, ...],
    result: DType | None = None,
    commutative: bool = False,
    numpy: Callable[..., np.ndarray] | None = None,
) -> Callable[[Callable[..., tuple[Any, ...]]], Op]:
    """Declare an op that maps scalars to a scalar, elementwise over operands of one shape.

    scalar   the expression, in the parameter names of the decorated function.
    dtype    the dtypes taken: one policy for all operands, which then must agree, or one each.
    sample   the domain of test inputs: one for all operands, or one each.
    result   the result's dtype; None means that of the last operand.
    numpy    the reference of an op without an expression, whose code is a call of its own.
    """

    def declare(partials: Callable[..., tuple[Any, ...]]) -> Op:
        names = tuple(inspect.signature(partials).parameters)
        wants_out = names[-1] == "out"
        operands = names[:-1] if wants_out else names
        policies = dtype if isinstance(dtype, tuple) else (dtype,) * len(operands)
        domains = sample if isinstance(sample, tuple) else (sample,) * len(operands)
        name = partials.__name__.rstrip("_")

        def derivatives(node: Node) -> tuple[Any, ...]:
            values = (*node.inputs, node) if wants_out else node.inputs
            return partials(*values)

        def vjp(node: Node, cotangent: Node) -> tuple[Any, ...]:
            return tuple([_apply_partial(p, cotangent) for p in derivatives(node)])

        def jvp(node: Node, tangents: tuple[Any, ...]) -> Any:
            terms = [
                _apply_partial(p, t)
                for p, t in zip(derivatives(node), tangents, strict=True)
                if t is not None
            ]
            return add_all([t for t in terms if t is not None])

        return register(
            Op(
                name,
                "call" if numpy else "elementwise",
                _elementwise_type(name, policies, result),
                numpy or _numpy_function(operands, scalar),
                vjp,
                jvp,
                _batch_elementwise,
                scalar,
                operands,
                _elementwise_samples(policies, domains),
                commutative,
                inspect.getdoc(partials) or "",
            )
        )

    return declare


def _apply_partial(partial: Any, tangent: Node) -> Node | None:
    """partial * tangent, without multiplying by the constants 0, 1 and -1."""
    if partial is None or (isinstance(partial, (int, float)) and partial == 0):
        return None
    if isinstance(partial, (int, float)):
        return tangent if partial == 1 else -tangent if partial == -1 else tangent * partial
    if isinstance(partial, Node):
        return tangent * partial
    return partial(tangent)


def add_all(terms: Sequence[Any]) -> Any:
    """The sum of nodes, or None for no terms."""
    total = None
    for term in terms:
        total = term if total is None else total + term
    return total


def _elementwise_type(
    name: str, policies: tuple[Policy, ...], result: DType | None
) -> Callable[[tuple[Type, ...], Attrs], Type]:
    uniform = policies[0] if len(set(policies)) == 1 and result is None else None

    def infer(types: tuple[Type, ...], attrs: Attrs) -> Type:
        if uniform is not None and types.count(types[0]) == len(policies) == len(types):
            only = types[0]  # nearly all calls are like this
            if isinstance(only, TensorType) and accepts(uniform, only.dtype):
                return only
        if len(types) != len(policies):
            raise fail(DTypeError, f"{name} takes {len(policies)} operands, got {len(types)}")
        first = types[0]
        agreed: DType | None = None
        for position, (type, policy) in enumerate(zip(types, policies, strict=True)):
            if not isinstance(type, TensorType) or not accepts(policy, type.dtype):
                raise fail(
                    DTypeError,
                    f"{name} got {_list(types)}",
                    why=f"operand {position + 1} must have {policy_name(policy)}",
                    instead=remedy(type),
                )
            if type.shape != first.shape:
                raise fail(
                    ShapeError,
                    f"{name} got shapes {_list(types)}",
                    why="elementwise operands of the IR have one shape",
                    instead="broadcast the operands first",
                )
            if policy is not BOOL or len(set(policies)) == 1:
                if agreed is not None and type.dtype is not agreed:
                    raise fail(
                        DTypeError,
                        f"{name} got {_list(types)}",
                        why="its operands must have one dtype",
                        instead="cast one of them, as in x.astype(y.dtype)",
                    )
                agreed = type.dtype
        return TensorType(result or types[-1].dtype, first.shape)

    return infer


def _list(types: Iterable[Type]) -> str:
    return ", ".join(map(str, types))


def _numpy_function(operands: tuple[str, ...], scalar: str) -> Callable[..., np.ndarray]:
    """What the expression means for arrays: a ufunc, if it is one of the operands in order."""
    tree = ast.parse(f"lambda {', '.join(operands)}: {scalar}", mode="eval")
    function, names = applied(tree.body.body)  # type: ignore[attr-defined]
    in_order = tuple([getattr(name, "id", None) for name in names]) == operands
    if in_order and isinstance(function, np.ufunc):
        return function
    return eval(compile(tree, f"<{scalar}>", "eval"), NAMESPACE)  # the op's own text


def _batch_elementwise(
    node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...], size: int
) -> Node:
    broadcast = OPS["broadcast"]
    shape = (size, *node.shape)
    dims = tuple(range(1, len(shape)))
    spread = [
        x if is_batched else broadcast(x, shape=shape, dims=dims)
        for x, is_batched in zip(inputs, batched, strict=True)
    ]
    return node.op(*spread, **node.attrs)


def _elementwise_samples(
    policies: tuple[Policy, ...], domains: tuple[Domain, ...]
) -> Callable[[DType], Iterable[Sample]]:
    several = len(set(policies)) > 1

    def samples(dtype: DType) -> Iterable[Sample]:
        if not any(accepts(policy, dtype) for policy in policies):
            return
        if several and dtype.kind == "b":
            return
        rng = np.random.default_rng(7)
        for shape in ((5,), (2, 3), (), (0, 2)):
            arrays = tuple(
                domain.draw(rng, shape, dtype if policy is not BOOL or not several else bool_)
                for policy, domain in zip(policies, domains, strict=True)
            )
            yield Sample(tuple(np.asarray(a) for a in arrays))

    return samples


# --- structural ---------------------------------------------------------------------------------


def structural(kind: str) -> Callable[[type], Op]:
    """Declare an op from a class body with the functions `infer`, `numpy`, `vjp`, `jvp`, `batch`
    and `samples`, all plain functions.

    ``linear = True`` with `transpose(node, cotangent)` in the place of `vjp` and `jvp` declares an
    op that is linear in all of its operands together. ``vjp = None`` says: not differentiable.
    """

    def declare(body: type) -> Op:
        rules = vars(body)
        linear = rules.get("linear", False)
        vjp, jvp = rules.get("vjp"), rules.get("jvp")
        if linear:
            vjp, jvp = rules["transpose"], _linear_jvp
        elif "vjp" not in rules:
            raise TypeError(f"op {body.__name__} does not say what its vjp is")
        return register(
            Op(
                body.__name__.rstrip("_"),
                kind,
                rules["infer"],
                rules["numpy"],
                vjp,
                jvp,
                rules.get("batch"),
                samples=rules.get("samples", lambda dtype: ()),
                doc=inspect.getdoc(body) or "",
            )
        )

    return declare


def _linear_jvp(node: Node, tangents: tuple[Any, ...]) -> Any:
    if all(t is None for t in tangents):
        return None
    filled = [zeros(x.type) if t is None else t for x, t in zip(node.inputs, tangents, strict=True)]
    return node.op(*filled, **node.attrs)


def zeros(type: Type) -> Any:
    """Zero of a type: a splat constant, or a tuple of them; None for a tape."""
    if isinstance(type, TupleType):
        return tuple([zeros(item) for item in type.items])
    return full(0, type) if isinstance(type, TensorType) else None


def not_differentiable(name: str) -> Exception:
    """The error for a derivative of what has none."""
    return fail(
        TapeError,
        f"{name} cannot be differentiated",
        instead="jitgrad.custom_vjp around it, or ops.stop_gradient of its operands",
    )


def tensor_type(name: str, type: Type, policy: Policy = ANY) -> TensorType:
    """The type itself, checked to be a tensor of a dtype in `policy`."""
    if not isinstance(type, TensorType) or not accepts(policy, type.dtype):
        raise fail(
            DTypeError,
            f"{name} got {type}",
            why=f"it takes {policy_name(policy)}",
            instead=remedy(type),
        )
    return type

"""`Cell`: a network, or a part of one. It holds Parameters and other Cells, and computes.

A Cell called in GRAPH_MODE is compiled; called in PYNATIVE_MODE, or from code that is being
traced, it simply runs. The other duties of a Cell are to know its Parameters by name (`walk`) and
to tell the compiled code of any change of its attributes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jitgrad.api import context
from jitgrad.api.jit import jit
from jitgrad.api.recompute import recompute
from jitgrad.errors import ArgumentError, DTypeError, fail
from jitgrad.frontend import guards, trace
from jitgrad.frontend.control import converted
from jitgrad.ir.types import DType, float16, float32, float64
from jitgrad.ir.types import dtype as dtype_of
from jitgrad.nn import hooks, walk
from jitgrad.ops import placement
from jitgrad.tensor import Parameter, ParameterTuple, Tensor

Hook = Callable[..., Any]

_MISSING = object()


class Cell(walk.Collection):
    """Base of all networks and layers: define `__init__` and `construct`.

    >>> class Net(Cell):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.scale = Parameter(Tensor([2.0]))
    ...     def construct(self, x):
    ...         return x * self.scale
    >>> net = Net()
    >>> print(net(Tensor([1.0, 2.0])))
    [2. 4.]
    >>> net.trainable_params()
    [Parameter (name=scale, shape=(1,), dtype=Float32, requires_grad=True)]

    `auto_prefix` puts an attribute's name before the names of the Parameters in it. A method
    ``bprop(self, *inputs, out, dout)`` replaces the derivative with respect to the inputs.
    """

    def __init__(self, auto_prefix: bool = True, flags: Mapping[str, Any] | None = None):
        own = self.__dict__
        own["_params"], own["_cells"], own["_buffers"] = {}, {}, {}
        own["_hooks"], own["_float"], own["_recomputed"] = hooks.NONE, None, False
        own["_auto_prefix"], own["_flags"] = auto_prefix, dict(flags or {})
        own["training"], own["requires_grad"], own["phase"] = False, False, "train"

    # --- calling --------------------------------------------------------------------------------

    def construct(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; every subclass writes its own."""
        raise NotImplementedError(f"{type(self).__name__} does not define construct")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `construct`, compiled in GRAPH_MODE; TypeError if the arguments do not fit it."""
        try:
            if context.is_graph_mode() and trace.current() is None:
                return self._compiled()(*args, **kwargs)
            return self._run(*args, **kwargs)
        except TypeError as error:
            self._check_arguments(args, kwargs, error)
            raise

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        """Hooks and casts around `construct`; what is compiled is this method."""
        if self._float is None and self._hooks is hooks.NONE:
            return self._construct(args, kwargs)
        with hooks.casting(self):
            args = hooks.cast_floats(args, self._float)
            args = hooks.before(self, args)
            if hooks.watches_backward(self):
                output = hooks.with_backward(self, args, lambda *a: self._construct(a, kwargs))
            else:
                output = self._construct(args, kwargs)
            return hooks.after(self, args, output)

    def _construct(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if hasattr(type(self), "bprop"):
            return hooks.with_bprop(self, args, kwargs)
        if self._recomputed:
            return recompute(converted(self.construct))(*args, **kwargs)
        return converted(self.construct)(*args, **kwargs)

    def _compiled(self) -> Any:
        found = self.__dict__.get("_entry")
        if found is None:
            call = functools.partial(self._run)
            call.__name__ = type(self).__name__  # type: ignore[attr-defined]  names the graph
            call.__signature__ = inspect.signature(self.construct)  # type: ignore[attr-defined]
            found = self.__dict__["_entry"] = jit(call)
        return found

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """What compiling makes of this Cell for these arguments; see `jit`."""
        return self._compiled().lower(*args, **kwargs)

    def _check_arguments(self, args: Any, kwargs: Any, error: TypeError) -> None:
        """Raise an error that shows construct's signature if the arguments do not fit it."""
        signature = inspect.signature(self.construct)
        try:
            signature.bind(*args, **kwargs)
        except TypeError as misfit:
            given = [type(a).__name__ for a in args]
            given += [f"{name}={type(a).__name__}" for name, a in kwargs.items()]
            raise fail(
                DTypeError,
                f"{type(self).__name__} was called with ({', '.join(given)}): {misfit}",
                instead=f"its arguments are construct{signature}",
            ) from error

    # --- attributes -----------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for table in ("_params", "_cells", "_buffers"):
            found = own.get(table, {}).get(name, _MISSING)
            if found is not _MISSING:
                if table != "_cells" and own["_float"] is not None:
                    return hooks.cast_parameter(self, found)
                return found
        if not own:
            raise AttributeError(
                f"{type(self).__name__} has no attributes yet: call super().__init__() first"
            )
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if "_params" not in own:
            raise AttributeError(
                f"{type(self).__name__}.{name} is set before super().__init__() is called"
            )
        if own.get(name, _MISSING) is value and not isinstance(value, (Parameter, Cell)):
            return
        guards.bump()
        if isinstance(value, Parameter):
            self._forget(name, "_params")
            self.insert_param_to_cell(name, value)
        elif isinstance(value, Cell):
            self._forget(name, "_cells")
            if self._auto_prefix:
                value.update_parameters_name(name + ".")
            own["_cells"][name] = value
        elif name in own["_params"] and value is not None:
            self._assign(name, value)
        elif name in own["_cells"] and value is not None:
            raise TypeError(
                f"{type(self).__name__}.{name} is a Cell and cannot become a"
                f" {type(value).__name__}; delete it first"
            )
        elif name in own["_buffers"] and isinstance(value, Tensor):
            own["_buffers"][name] = value
        else:
            self._forget(name, "")
            if isinstance(value, ParameterTuple):
                self._adopt(value)
            object.__setattr__(self, name, value)

    def _assign(self, name: str, value: Any) -> None:
        """`self.w = tensor` on a Parameter writes into it, and keeps it a Parameter."""
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter and cannot become a"
                f" {type(value).__name__}; assign a Tensor to it or delete it first"
            )
        self._params[name].set_data(value)

    def _adopt(self, values: ParameterTuple) -> None:
        for parameter in values:
            self._params.setdefault(parameter.name, parameter)

    def _forget(self, name: str, but: str) -> None:
        """Remove a name from every table except `but`."""
        for table in ("_params", "_cells", "_buffers"):
            if table != but:
                self.__dict__[table].pop(name, None)
        if but:
            self.__dict__.pop(name, None)

    def __delattr__(self, name: str) -> None:
        guards.bump()
        for table in ("_params", "_cells", "_buffers"):
            if name in self.__dict__[table]:
                del self.__dict__[table][name]
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._params, *self._cells, *self._buffers})

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_entry"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        guards.bump()

    # --- state ----------------------------------------------------------------------------------

    def _set_all(self, name: str, value: Any) -> None:
        guards.bump()
        for _, cell in self.cells_and_names():
            cell.__dict__[name] = value

    def set_train(self, mode: bool = True) -> Cell:
        """Switch this Cell and all in it to training (dropout, batch statistics) or back."""
        self._set_all("training", bool(mode))
        self._set_all("phase", "train" if mode else "predict")
        return self

    def train(self, mode: bool = True) -> Cell:
        """`set_train`, as PyTorch calls it."""
        return self.set_train(mode)

    def eval(self) -> Cell:
        """``set_train(False)``, as PyTorch calls it."""
        return self.set_train(False)

    def freeze(self, frozen: bool = True) -> Cell:
        """Take all Parameters out of training (`requires_grad` False), or back in."""
        for parameter in self.get_parameters():
            parameter.requires_grad = not frozen
        return self

    def set_jit_config(self, jit_config: Any) -> None:
        """Without effect: nothing needs these options."""

    def to(self, device: str) -> Cell:
        """Move all Parameters, in place, to a device: "GPU" or "CPU". DeviceError."""
        place = placement.place_named(device)
        if not place:
            raise fail(
                ArgumentError,
                f"{self.cls_name}.to() got {device!r}",
                instead="'GPU' or 'CPU'; to_float(dtype) to compute in another dtype",
            )
        for parameter in self.get_parameters():
            parameter._data = placement.put(parameter._held("moved"), place)
        return self

    def cuda(self) -> Cell:
        """``to("GPU")``."""
        return self.to("GPU")

    def cpu(self) -> Cell:
        """``to("CPU")``."""
        return self.to("CPU")

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile for these arguments now; the next call with such runs at once."""
        self._compiled().lower(*args, **kwargs)

    def set_grad(self, requires_grad: bool = True) -> Cell:
        """Mark this Cell and all in it as differentiated. Kept for MindSpore code: no effect."""
        self._set_all("requires_grad", bool(requires_grad))
        return self

    def recompute(self, **kwargs: Any) -> None:
        """Keep no intermediate values of this Cell for a compiled gradient, but compute them again;
        see `jitgrad.recompute`. MindSpore's options are accepted and change nothing.
        """
        guards.bump()
        self.__dict__["_recomputed"] = bool(kwargs.get("mode", True))

    def to_float(self, dst_type: Any) -> Cell:
        """Compute in float16, float32 or float64: float inputs and Parameters are cast on use."""
        kind: DType = dtype_of(dst_type)
        if kind not in (float16, float32, float64):
            raise fail(
                DTypeError,
                f"to_float takes float16, float32 or float64, not {kind}",
            )
        self._set_all("_float", kind)
        return self

    def add_flags(self, **flags: Any) -> Cell:
        """Attach settings of the user's own to this Cell, also as attributes."""
        for name, value in flags.items():
            setattr(self, name, value)
        self._flags.update(flags)
        return self

    def add_flags_recursive(self, **flags: Any) -> Cell:
        """`add_flags` for this Cell and all in it."""
        for _, cell in self.cells_and_names():
            cell.add_flags(**flags)
        return self

    def get_flags(self) -> dict[str, Any]:
        """What `add_flags` attached."""
        return self._flags

    @property
    def cls_name(self) -> str:
        return type(self).__name__

    # --- hooks ----------------------------------------------------------------------------------

    def _register(self, kind: str, hook: Hook) -> hooks.Handle:
        guards.bump()
        self.__dict__["_hooks"], handle = hooks.add(self, kind, hook)
        return handle

    def register_forward_pre_hook(self, hook_fn: Hook) -> hooks.Handle:
        """Call ``hook_fn(cell, inputs)`` before construct; what it returns replaces the inputs."""
        return self._register("before", hook_fn)

    def register_forward_hook(self, hook_fn: Hook) -> hooks.Handle:
        """Call ``hook_fn(cell, inputs, output)`` after construct; a result replaces the output."""
        return self._register("after", hook_fn)

    def register_backward_pre_hook(self, hook_fn: Hook) -> hooks.Handle:
        """Call ``hook_fn(cell, grad_output)`` in the backward pass; a result replaces it."""
        return self._register("backward_before", hook_fn)

    def register_backward_hook(self, hook_fn: Hook) -> hooks.Handle:
        """Call ``hook_fn(cell, grad_input, grad_output)`` in the backward pass; a result replaces
        the gradient of the inputs.
        """
        return self._register("backward", hook_fn)

    # --- printing -------------------------------------------------------------------------------

    def extend_repr(self) -> str:
        """What `repr` shows between the parentheses; for subclasses."""
        return ""

    def __repr__(self) -> str:
        extra = self.extend_repr()
        lines = [f"({name}): {cell!r}".replace("\n", "\n  ") for name, cell in self._cells.items()]
        if not lines:
            return f"{type(self).__name__}({extra})"
        inside = "".join(f"\n  {line}" for line in ([extra] if extra else []) + lines)
        return f"{type(self).__name__}({inside}\n)"

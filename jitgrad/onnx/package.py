"""The `onnx` package, which is an extra."""

from __future__ import annotations

from typing import Any


def onnx() -> Any:
    """The package; ImportError that says how to install it."""
    try:
        import onnx as package
        import onnx.helper
        import onnx.numpy_helper
    except ImportError:
        raise ImportError("ONNX files need the onnx package: pip install 'jitgrad[onnx]'") from None
    return package


OPSET = 18  # of ai.onnx, what files here are written in
IR_VERSION = 9

"""``file.py:function``: what is found, what it is called with, and what is said otherwise."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import jitgrad as ms
from jitgrad.tools.target import TargetError, load

NET = """
import numpy as np
import helper
from jitgrad import nn

class Scale(nn.Cell):
    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = factor
    def construct(self, x):
        return x * self.factor

class Needs(nn.Cell):
    def __init__(self, factor):
        super().__init__()

class Plain:
    pass

net = Scale(3.0)
number = 3

def twice(x):
    return helper.add(x, x)

def power(x=np.ones(3, np.float32), n=2):
    return x**n

def _hidden(x):
    return x

class Group:
    @staticmethod
    def inner(x):
        return x
"""
ONE = "\n\ndef example_inputs():\n    return np.arange(3.0), {'a': [np.zeros(2)]}\n"
SEVERAL = "\n\nexample_inputs = {'twice': np.arange(3.0), 'net': (np.arange(2.0),)}\n"


@pytest.fixture
def file(tmp_path: Path):
    (tmp_path / "helper.py").write_text("def add(x, y):\n    return x + y\n")

    def write(text: str) -> str:
        path = tmp_path / "model.py"
        path.write_text(text)
        return str(path)

    yield write
    sys.modules.pop("helper", None)
    sys.modules.pop("model", None)


def message(spec: str) -> str:
    with pytest.raises(TargetError) as error:
        load(spec)
    return str(error.value)


def test_a_function_with_examples(file) -> None:
    path = list(sys.path)
    target = load(f"{file(NET + ONE)}:twice")
    assert target.name == "twice"
    x, nest = target.arguments
    assert isinstance(x, ms.Tensor)
    assert isinstance(nest["a"][0], ms.Tensor)
    np.testing.assert_array_equal(target.function(x).asnumpy(), [0, 2, 4])
    assert sys.path == path


def test_examples_by_name(file) -> None:
    path = file(NET + SEVERAL)
    assert load(f"{path}:twice").arguments[0].shape == (3,)
    assert load(f"{path}:net").arguments[0].shape == (2,)
    assert "has arguments for twice, net, none for power" in message(f"{path}:power")


def test_defaults_are_arguments(file) -> None:
    x, n = load(f"{file(NET)}:power").arguments
    assert x.shape == (3,)
    assert n == 2


def test_cells(file) -> None:
    path = file(NET + ONE)
    assert load(f"{path}:net").function.factor == 3.0
    assert load(f"{path}:Scale").function.factor == 2.0
    assert "cannot be made without arguments" in message(f"{path}:Needs")
    assert "make one in the file, as in net = Needs(...)" in message(f"{path}:Needs")
    assert "Plain is a class, and no Cell" in message(f"{path}:Plain")
    assert load(f"{path}:Group.inner").name == "Group.inner"


def test_what_is_not_there(file, tmp_path: Path) -> None:
    path = file(NET + ONE)
    assert message(str(tmp_path / "none.py:f")).endswith("none.py: there is no such file")
    assert message(f"{path}:twise").splitlines()[1] == f"  instead: {path}:twice"
    assert f"{path}:net" in message(f"{path}:xyz")
    assert "_hidden" not in message(f"{path}:xyz")
    assert "number is a int, which cannot be called" in message(f"{path}:number")
    assert "names no function: write file.py:function" in message(path)
    assert f"{path}:twice" in message(path)
    assert "names no function" in message(f"{path}:")
    assert "names no function" in message(":twice")
    assert "define a function in" in message(f"{file('x = 1')}:f")


def test_nothing_to_call_it_with(file) -> None:
    text = message(f"{file(NET)}:twice")
    assert "nothing to call twice with: x has no default" in text
    assert "define example_inputs()" in text


def test_a_file_that_fails(file) -> None:
    text = message(f"{file('def f():' + chr(10) + '    return 1 / 0' + chr(10) + 'f()')}:f")
    assert "cannot be run" in text
    assert "ZeroDivisionError: division by zero" in text
    assert "target.py" not in text
    assert "importlib" not in text
    assert "SyntaxError" in message(f"{file('def f(:')}:f")


def test_a_module_of_that_name_survives(file, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("def f(x=1.0):\n    return x\n")
    import json

    assert load(f"{tmp_path / 'json.py'}:f").arguments == (1.0,)
    assert sys.modules["json"] is json

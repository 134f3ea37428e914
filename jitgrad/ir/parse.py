"""From text to graph: the reader of the grammar that `jitgrad.ir.text` describes."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from jitgrad.errors import IRError
from jitgrad.ir.node import Constant, Graph, Node, builder, constant_op, input_node
from jitgrad.ir.op import op
from jitgrad.ir.types import BY_CODE, TapeType, TensorType, TupleType, Type
from jitgrad.locate import Location

IDENTIFIER = r"[^\W\d][\w.']*"
STRING = r'"(?:[^"\\\n]|\\.)*"'
_SPACE = re.compile(r"\s*")
_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<value>%(?:\d+|{IDENTIFIER}|{STRING})(?:~\d+)?)
    | (?P<title>@(?:{IDENTIFIER}|{STRING}))
    | (?P<number>-?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|inf\b|nan\b(?:\(0x[0-9a-f]+\))?))
    | (?P<name>{IDENTIFIER})
    | (?P<string>{STRING})
    | (?P<comment>//[^\n]*)
    | (?P<punctuation>->|[()\[\]{{}}=:,])
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_LOCATION = re.compile(rf"//\s*({STRING}|[^\s\"]+):(\d+)\s*")
_PATH = re.compile(rf"^// ({STRING}|[^\s\"]+): (.+)$", re.MULTILINE)
_WORDS = {"True": True, "False": False, "None": None}
_MARGIN = 60  # characters shown on each side of an error in a long line


def parse(text: str) -> Graph:
    """The graph of a text; IRError with line and caret where it is malformed or mistyped."""
    parser = _Parser(text)
    graph = parser.graph()
    if parser.kind != "end":
        raise parser.error(f"expected the end of the text, got {parser.shown}")
    return graph


def unquote(text: str) -> str:
    """A name or path as it is, without the quotes it may be printed in."""
    return json.loads(text) if text.startswith('"') else text


class _Parser:
    """Recursive descent with one token of lookahead; recursion follows nesting, never nodes."""

    def __init__(self, source: str):
        self.source = source
        self.files = {unquote(label): unquote(path) for label, path in _PATH.findall(source)}
        self.start = self.stop = 0
        self.text = ""
        self.advance()

    # --- tokens ---

    def advance(self) -> str:
        """Step to the next token; the text of the one left behind."""
        left, end = self.text, self.stop
        self.comment: str | None = None
        while True:
            match = _TOKEN.match(self.source, self.stop)
            if match is None:
                self.start = _SPACE.match(self.source, self.stop).end()  # type: ignore[union-attr]
                raise self.error(f"{self.source[self.start]!r} starts nothing known")
            self.kind: str = match.lastgroup  # type: ignore[assignment]
            self.start, self.stop = match.span(self.kind)
            self.text = match[self.kind]
            if self.kind != "comment":
                return left
            if "\n" not in self.source[end : self.start]:
                self.comment = self.text

    @property
    def shown(self) -> str:
        return repr(self.text) if self.text else "the end"

    def error(self, message: str, at: int | None = None) -> IRError:
        at = self.start if at is None else at
        begin = self.source.rfind("\n", 0, at) + 1
        line = self.source[begin:].partition("\n")[0]
        cut = max(0, at - begin - _MARGIN)
        shown = line[cut : cut + 2 * _MARGIN]
        number = self.source.count("\n", 0, at) + 1
        return IRError(f"line {number}: {message}\n  {shown}\n  {' ' * (at - begin - cut)}^")

    def expect(self, text: str) -> None:
        if self.text != text:
            raise self.error(f"expected {text!r}, got {self.shown}")
        self.advance()

    def take(self, kind: str, what: str) -> str:
        if self.kind != kind:
            raise self.error(f"expected {what}, got {self.shown}")
        return self.advance()

    def skip(self, text: str) -> bool:
        if self.text != text:
            return False
        self.advance()
        return True

    def series(self, close: str, item: Callable[[], Any]) -> list[Any]:
        """Items between commas, and the closing bracket; a comma may follow the last item."""
        items = []
        while not self.skip(close):
            items.append(item())
            if not self.skip(",") and self.text != close:
                raise self.error(f"expected ',' or {close!r}, got {self.shown}")
        return items

    # --- graphs ---

    def graph(self) -> Graph:
        self.expect("graph")
        name = unquote(self.take("title", "the graph's name, as in @loss")[1:])
        values: dict[str, Node] = {}
        locs: dict[Node, Location] = {}
        self.expect("(")
        inputs = []
        while not self.skip(")"):
            inputs.append(self.parameter(values, locs))
        self.expect("->")
        self.expect("(")
        at, declared = self.start, self.series(")", self.type)
        self.expect("{")
        while self.kind == "value":
            self.line(values, locs)
        self.expect("return")
        outputs = self.series("}", lambda: self.value(values))
        if declared != [o.type for o in outputs]:
            got = ", ".join([str(o.type) for o in outputs])
            raise self.error(f"the graph returns ({got})", at)
        return Graph(name, inputs, outputs, locs)

    def parameter(self, values: dict[str, Node], locs: dict[Node, Location]) -> Node:
        at = self.start
        key = self.take("value", "an input, as in %x: f32[8,3]")
        self.expect(":")
        node = input_node(unquote(re.sub(r"~\d+$", "", key[1:])), self.single())
        self.define(key, node, values, at)
        location = self.location()
        if self.text == ",":
            self.advance()
            location = location or self.location()
        elif self.text != ")":
            raise self.error(f"expected ',' or ')', got {self.shown}")
        if location is not None:
            locs[node] = location
        return node

    def line(self, values: dict[str, Node], locs: dict[Node, Location]) -> None:
        at, key = self.start, self.advance()
        self.expect("=")
        at_op, name = self.start, self.take("name", "the name of an op")
        self.expect("(")
        literal, inputs = None, []
        if name == constant_op.name and self.text != ")":
            literal = self.literal()
            self.expect(")")
        else:
            inputs = self.series(")", lambda: self.value(values))
        attrs = dict(self.series("}", self.attribute)) if self.skip("{") else {}
        self.expect(":")
        at_type, type = self.start, self.type()
        if literal is not None:
            value = self.constant(literal, type, at_op)
            attrs = {"value": value, "shape": type.shape}  # type: ignore[union-attr]
        try:
            node = builder.make(op(name), tuple(inputs), attrs)
        except Exception as error:  # whatever an op's type rule says of wrong text
            raise self.error(f"{type_name(error)}{error}", at_op) from error
        if node.type is not type:
            raise self.error(f"{key} is {node.type}, the text says {type}", at_type)
        self.define(key, node, values, at)
        location = self.location()
        if location is not None:
            locs[node] = location

    def define(self, key: str, node: Node, values: dict[str, Node], at: int) -> None:
        if key in values:
            raise self.error(f"{key} is defined twice", at)
        values[key] = node

    def value(self, values: dict[str, Node]) -> Node:
        node = values.get(self.text)
        if node is None:
            undefined = f"{self.text} is not defined"
            wrong = f"expected a value, got {self.shown}"
            raise self.error(undefined if self.kind == "value" else wrong)
        self.advance()
        return node

    def location(self) -> Location | None:
        """What the comment between this token and the last one says, if it is a location."""
        match = _LOCATION.fullmatch(self.comment) if self.comment else None
        if match is None:
            return None
        label = unquote(match[1])
        return Location(self.files.get(label, label), int(match[2]))

    # --- types, attributes, literals ---

    def type(self) -> Type:
        if self.skip("("):
            return TupleType(tuple(self.series(")", self.single)))
        return self.single()

    def single(self) -> TensorType | TapeType:
        if not self.skip("tape"):
            return self.tensor()
        self.expect("[")
        item = self.tensor()
        self.expect("]")
        return TapeType(item)

    def tensor(self) -> TensorType:
        dtype = BY_CODE.get(self.text)
        if dtype is None:
            raise self.error(f"expected a type, as in f32[8,3], got {self.shown}")
        self.advance()
        self.expect("[")
        return TensorType(dtype, tuple(self.series("]", self.extent)))

    def extent(self) -> int:
        if not self.text.isdigit():
            raise self.error(f"expected an extent, got {self.shown}")
        return int(self.advance())

    def attribute(self) -> tuple[str, Any]:
        if self.kind != "string":
            name = self.take("name", "the name of an attribute")
        else:
            name = unquote(self.advance())
        self.expect("=")
        return name, self.item()

    def item(self) -> Any:
        text, kind = self.text, self.kind
        if kind == "number":
            self.advance()
            return int(text) if text.lstrip("-").isdigit() else float(text.partition("(")[0])
        if kind == "string":
            return unquote(self.advance())
        if text in _WORDS:
            self.advance()
            return _WORDS[text]
        if text in BY_CODE:
            return self.typed()
        if text == "graph":
            return self.graph()
        if self.skip("tuple"):
            self.expect("(")
            return TupleType(tuple(self.series(")", self.single)))
        if text == "tape":
            return self.single()
        if self.skip("("):
            return tuple(self.series(")", self.item))
        raise self.error(f"expected an attribute's value, got {self.shown}")

    def typed(self) -> Any:
        """A dtype, a type, or a constant: a type and a literal."""
        at = self.start
        if self.source[self.stop : self.stop + 1] != "[":
            return BY_CODE[self.advance()]
        type = self.tensor()
        if self.kind in ("number", "string") or self.text in ("[", "(", "True", "False"):
            constant = self.constant(self.literal(), type, at)
            if constant.array.shape != type.shape:
                raise self.error(f"one literal does not fill {type}", at)
            return constant
        return type

    def literal(self) -> Any:
        """Text of a scalar, a tuple of the parts of a complex one, a list of literals, or bytes."""
        if self.skip("["):
            return self.series("]", self.literal)
        if self.skip("("):
            return tuple(self.series(")", self.literal))
        if self.kind == "string":
            return base64.b64decode(self.advance())
        if self.kind != "number" and self.text not in ("True", "False"):
            raise self.error(f"expected a number, got {self.shown}")
        return self.advance()

    def constant(self, literal: Any, type: Type, at: int) -> Constant:
        if not isinstance(type, TensorType):
            raise self.error(f"a constant cannot have type {type}", at)
        dtype = type.dtype.numpy
        try:
            if isinstance(literal, bytes):
                return Constant(np.frombuffer(literal, dtype).reshape(type.shape))
            if isinstance(literal, (str, tuple)):
                return Constant(_scalar(literal, dtype))
            array = _nested(literal, dtype)
            return Constant(array.reshape(type.shape) if type.size == 0 else array)
        except (ValueError, OverflowError) as error:
            raise self.error(f"no constant of type {type}: {error}", at) from error


def type_name(error: Exception) -> str:
    """The kind of an error that is not one of ours, to make sense of its message."""
    return "" if type(error).__module__.startswith("jitgrad") else f"{type(error).__name__}: "


def _nested(literal: Any, dtype: np.dtype) -> np.ndarray:
    if isinstance(literal, (str, tuple)):
        return _scalar(literal, dtype)
    return np.array([_nested(part, dtype) for part in literal], dtype)


def _scalar(text: str | tuple[str, ...], dtype: np.dtype) -> np.ndarray:
    if isinstance(text, tuple):
        part = np.dtype(f"f{dtype.itemsize // 2}")
        return np.array([_scalar(x, part) for x in text], part).view(dtype).reshape(())
    if dtype.kind == "b":
        if text not in ("True", "False"):
            raise ValueError(f"{text} is neither True nor False")
        return np.array(text == "True")
    if text.startswith("nan("):
        bits = int(text[4:-1], 16).to_bytes(dtype.itemsize, "little")
        return np.frombuffer(bits, dtype).reshape(())
    if dtype.kind in "iu":
        return np.array(int(text), dtype)
    with np.errstate(over="ignore"):
        return np.array(float(text)).astype(dtype)

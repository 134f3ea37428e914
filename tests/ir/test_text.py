"""What is built prints, and what is printed parses to the same graph."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from jitgrad.errors import IRError
from jitgrad.ir.node import (
    Constant,
    Graph,
    Node,
    builder,
    constant,
    full,
    input_node,
    project,
)
from jitgrad.ir.op import OPS, Op
from jitgrad.ir.text import parse, print_graph
from jitgrad.ir.types import (
    DTYPES,
    TensorType,
    TupleType,
    bool_,
    float32,
    float64,
    int64,
)
from jitgrad.locate import Location
from jitgrad.primitives.elementwise import add, tanh
from jitgrad.primitives.linalg import matmul
from jitgrad.primitives.reduce import reduce_sum
from tests.strategies import ALL, graphs

F = TensorType(float32, (8, 3))


def round_trip(graph: Graph) -> str:
    text = print_graph(graph)
    assert parse(text) is graph
    return text


def loss() -> Graph:
    x, w = input_node("x", F), input_node("w", TensorType(float32, (3, 4)))
    h = tanh(matmul(x, w))
    total = reduce_sum(h, axes=(0, 1))
    return Graph("loss", [x, w], [total], {h: Location("/home/ada/net/model.py", 12)})


def test_the_form() -> None:
    assert round_trip(loss()) == (
        "graph @loss(%x: f32[8,3], %w: f32[3,4]) -> (f32[]) {\n"
        "  %0 = matmul(%x, %w) : f32[8,4]\n"
        "  %1 = tanh(%0) : f32[8,4]                    // model.py:12\n"
        "  %2 = reduce_sum(%1) {axes=(0, 1)} : f32[]\n"
        "  return %2\n"
        "}\n"
        "// model.py: /home/ada/net/model.py"
    )


def test_str_is_the_text() -> None:
    assert str(loss()) == print_graph(loss())


@given(graphs(ALL))
def test_round_trip(graph: Graph) -> None:
    round_trip(graph)


# --- constants ----------------------------------------------------------------------------------

SCALARS = [
    *(0, 1, -1, 7, 255, -128, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 2**64 - 1),
    *(True, False),
    *(0.0, -0.0, 0.1, 1 / 3, 1e-45, 5e-324, 1.5e308, 3.4028235e38, 65504.0, 1e16, 123456789.0),
    *(float("inf"), float("-inf"), float("nan")),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_scalar_constants(dtype, shape) -> None:
    for value in SCALARS:
        with np.errstate(all="ignore"):
            try:
                array = np.asarray(value).astype(dtype.numpy)
            except OverflowError:
                continue
        round_trip(Graph("c", [], [full(array, TensorType(dtype, shape))]))


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.is_float], ids=str)
def test_every_bit_of_floats(dtype) -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 256, 200 * dtype.size, np.uint8)
    for array in np.frombuffer(bits.tobytes(), dtype.numpy):  # nans with payloads among them
        round_trip(Graph("c", [], [constant(array)]))


@pytest.mark.parametrize(
    "shape", [(1,), (3,), (2, 3), (2, 1, 3), (0,), (2, 0), (0, 3), (17,), (5, 100)], ids=str
)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_array_constants(dtype, shape) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype.numpy)
    round_trip(Graph("c", [], [constant(array)]))


def test_how_constants_look() -> None:
    ramp, pair = np.arange(40, dtype=np.float32), np.array([[1.5, np.nan]])
    outputs = [full(0.1, F), constant(True), constant(pair), constant(ramp[:0]), constant(ramp)]
    lines = round_trip(Graph("c", [], outputs)).splitlines()
    assert [line.strip() for line in lines[1:5]] == [
        "%0 = constant(0.1) : f32[8,3]",
        "%1 = constant(True) : bool[]",
        "%2 = constant([[1.5, nan]]) : f64[1,2]",
        "%3 = constant([]) : f32[0]",
    ]
    assert lines[5].startswith('  %4 = constant("AAAAAAAAgD8AAABA')


# --- names, attributes, regions, several results, locations -------------------------------------

NAMES = [
    *("x", "fc1.weight", "x'3", "权重", "", " ", "a b", "0", "1x", "inf", "nan", "return", "graph"),
    *('"', "\\", "a\nb", "\u2028", "%x", "~1", "x~1", "//", "\ud800", "f32", "}"),
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names(name: str) -> None:
    x = input_node(name, F)
    text = round_trip(
        Graph(name, [x], [tanh(x)], {x: Location(name, 3), tanh(x): Location("f", 1)})
    )
    assert len(text.splitlines()) == len(text.split("\n"))


def test_inputs_of_one_name() -> None:
    types = [TensorType(d, (2,)) for d in (float32, float64, int64)]
    inputs = [input_node("x", t) for t in types]
    text = round_trip(Graph("f", inputs, inputs[::-1]))
    assert text.splitlines()[0].startswith("graph @f(%x: f32[2], %x~1: f64[2], %x~2: i64[2]) ->")


def _same(types, attrs):
    return types[0]


def _pair(types, attrs):
    return TupleType((types[0], types[0].with_dtype(bool_)))


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> Op:
    """An op that takes any attributes, declared for one test."""
    op = Op("region_for_text", "region", _same, _same)
    monkeypatch.setitem(OPS, op.name, op)
    return op


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Op:
    op = Op("pair_for_text", "call", _pair, _pair)
    monkeypatch.setitem(OPS, op.name, op)
    return op


ATTRIBUTES = [
    *(0, -3, 2**70, True, False, None, 1.5, -0.0, 1e-300, float("inf"), float("-inf")),
    *("", "a", 'quote " and \\', "new\nline", "%0", "graph"),
    *((), (1,), (1, 2), ((1, 2), ()), ((True, None), ("x", 1.5))),
    *(float32, bool_, TensorType(float32, ()), TensorType(float64, (2, 3))),
    *(TupleType(()), TupleType((F, F)), (F, F), (float32,)),
    *(Constant(np.array(2.5)), Constant(np.array([1, 2])), Constant(np.zeros((40,)))),
    Constant(np.array([True, False])),
]


@pytest.mark.parametrize("value", ATTRIBUTES, ids=repr)
def test_attributes(region: Op, value: object) -> None:
    x = input_node("x", F)
    node = builder.make(region, (x,), {"value": value, "inf": 1, "not an identifier": 2})
    round_trip(Graph("f", [x], [node]))


def test_regions_are_indented_blocks(region: Op) -> None:
    x = input_node("x", F)
    body = Graph("body", [x], [tanh(x)], {tanh(x): Location("/a/inner.py", 7)})
    node = builder.make(region, (x,), {"body": body, "count": 3})
    outer = builder.make(region, (node,), {"branches": (body, Graph("id", [x], [x]))})
    text = round_trip(Graph("f", [x], [outer], {node: Location("/a/outer.py", 9)}))
    assert text == (
        "graph @f(%x: f32[8,3]) -> (f32[8,3]) {\n"
        "  %0 = region_for_text(%x) {\n"
        "    body=graph @body(%x: f32[8,3]) -> (f32[8,3]) {\n"
        "      %0 = tanh(%x) : f32[8,3]                // inner.py:7\n"
        "      return %0\n"
        "    },\n"
        "    count=3\n"
        "  } : f32[8,3]                                // outer.py:9\n"
        "  %1 = region_for_text(%0) {\n"
        "    branches=(graph @body(%x: f32[8,3]) -> (f32[8,3]) {\n"
        "      %0 = tanh(%x) : f32[8,3]                // inner.py:7\n"
        "      return %0\n"
        "    }, graph @id(%x: f32[8,3]) -> (f32[8,3]) {\n"
        "      return %x\n"
        "    })\n"
        "  } : f32[8,3]\n"
        "  return %1\n"
        "}\n"
        "// inner.py: /a/inner.py\n"
        "// outer.py: /a/outer.py"
    )


def test_several_results(pair: Op) -> None:
    x = input_node("x", F)
    both = pair(x)
    text = round_trip(Graph("f", [x], [project(both, 1), project(both, 0)]))
    assert "  %0 = pair_for_text(%x) : (f32[8,3], bool[8,3])\n" in text
    assert "  %1 = project(%0) {index=1} : bool[8,3]\n" in text


def test_files_of_one_name() -> None:
    x = input_node("x", F)
    steps = [tanh(x)]
    paths = ["/a/model.py", "/b/model.py", "model.py", "model.py~1", "/c/my model.py", "<stdin>"]
    for _ in paths[1:]:
        steps.append(tanh(steps[-1]))
    locs = {n: Location(p, i) for i, (n, p) in enumerate(zip(steps, paths))}
    text = round_trip(Graph("f", [x], steps[-1:], locs))
    assert "// model.py:0\n" in text
    assert "// model.py~1:1\n" in text
    assert "// model.py~2:2\n" in text
    assert "// <stdin>:5\n" in text
    assert text.endswith('// "my model.py": "/c/my model.py"')


def test_locations_of_inputs_and_long_signatures() -> None:
    inputs = [input_node(f"a_rather_long_name_{i}", F) for i in range(4)]
    total = add(inputs[0], inputs[1])
    graph = Graph("f", inputs, [total], {inputs[1]: Location("m.py", 3)})
    assert round_trip(graph).splitlines()[:6] == [
        "graph @f(",
        "  %a_rather_long_name_0: f32[8,3],",
        "  %a_rather_long_name_1: f32[8,3],            // m.py:3",
        "  %a_rather_long_name_2: f32[8,3],",
        "  %a_rather_long_name_3: f32[8,3]",
        ") -> (f32[8,3]) {",
    ]


def test_no_inputs_no_nodes() -> None:
    x = input_node("x", F)
    for graph in (Graph("f", [], []), Graph("f", [x], []), Graph("f", [x], [x, x])):
        round_trip(graph)


def test_loose_layout_parses() -> None:
    text = """
    // a comment
    graph @f ( %x : f32 [ 2 ] , ) -> ( f32[2] ) {   // not a location
        %a.b = add( %x , %x ) : f32[2]  // m.py:3
        // m.py:4
        return %a.b
    } // the end
    """
    graph = parse(text)
    assert str(graph).splitlines()[1] == "  %0 = add(%x, %x) : f32[2]                   // m.py:3"


# --- errors -------------------------------------------------------------------------------------

HEAD = "graph @f(%x: f32[2]) -> (f32[2]) {\n"
ERRORS = [  # the text, the message, and where the caret stands
    ("", "line 1: expected 'graph', got the end", ""),
    ("graph f", "line 1: expected the graph's name, as in @loss, got 'f'", "f"),
    (HEAD + "  return\n}", "line 1: the graph returns ()", "f32[2]) {"),
    (HEAD + "  return %x", "line 2: expected ',' or '}', got the end", ""),
    (HEAD + "  return %x\n}\n}", "line 4: expected the end of the text, got '}'", "}"),
    (HEAD + "  return %y\n}", "line 2: %y is not defined", "%y"),
    (HEAD + "  %x = tanh(%x) : f32[2]\n}", "line 2: %x is defined twice", "%x = tanh(%x) : f32[2]"),
    (HEAD + "  %0 = tanh(;", "line 2: ';' starts nothing known", ";"),
    (
        HEAD + "  %0 = tanj(%x) : f32[2]",
        "line 2: there is no op named 'tanj'; did you mean tan or tanh or atan?",
        "tanj(%x) : f32[2]",
    ),
    (
        HEAD + "  %0 = tanh(%x) : f32[3]",
        "line 2: %0 is f32[2], the text says f32[3]",
        "f32[3]",
    ),
    (
        HEAD + "  %0 = reduce_sum(%x) : f32[]",
        "line 2: KeyError: 'axes'",
        "reduce_sum(%x) : f32[]",
    ),
    (
        HEAD + "  %0 = constant(300) : i8[]",
        "line 2: no constant of type i8[]: Python integer 300 out of bounds for int8",
        "constant(300) : i8[]",
    ),
    (
        HEAD + "  %0 = constant([1, 2]) : f32[3]",
        "line 2: a constant of shape (3,) cannot hold (2,) values",
        "constant([1, 2]) : f32[3]",
    ),
    (
        HEAD + '  %0 = constant("AAAA") : f64[3]',
        "line 2: no constant of type f64[3]: buffer size must be a multiple of element size",
        'constant("AAAA") : f64[3]',
    ),
    (
        HEAD + "  %0 = cast(%x) {dtype=f33} : f32[3]",
        "line 2: expected an attribute's value, got 'f33'",
        "f33} : f32[3]",
    ),
]


@pytest.mark.parametrize(("text", "message", "marked"), ERRORS, ids=range(len(ERRORS)))
def test_errors(text: str, message: str, marked: str) -> None:
    with pytest.raises(IRError) as error:
        parse(text)
    first, line, caret = str(error.value).split("\n")
    assert first == message
    assert line.strip() in text
    assert line[caret.index("^") :] == marked


def test_an_error_of_an_op_keeps_its_words() -> None:
    with pytest.raises(IRError, match=r"(?s)line 2: .*add takes 2 operands, got 1.*\^"):
        parse(HEAD + "  %0 = add(%x) : f32[2]\n  return %0\n}")


def test_long_lines_are_cut_around_the_error() -> None:
    inner = "%x, " * 100
    with pytest.raises(IRError) as error:
        parse(HEAD + f"  %0 = concat({inner}%y, {inner})")
    line, shown, caret = str(error.value).splitlines()
    assert line == "line 2: %y is not defined"
    assert shown[caret.index("^") :].startswith("%y")
    assert len(shown) < 130


# --- size ---------------------------------------------------------------------------------------


def test_a_hundred_thousand_nodes() -> None:
    x = input_node("x", F)
    node: Node = x
    for i in range(50_000):
        node = add(tanh(node), x) if i % 2 else tanh(add(node, x))
    round_trip(Graph("deep", [x], [node]))

"""Checkpoints: what is written comes back; broken files and wrong arguments are refused."""

from __future__ import annotations

import binascii
import json
from pathlib import Path

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import nn, train

FORMATS = ("ckpt", "safetensors")
ARRAYS = {
    "half": np.arange(6, dtype=np.float16).reshape(2, 3),
    "byte": np.array([1, 2, 255], np.uint8),
    "single": np.array([[1.5, -0.0, np.inf]], np.float32),
    "flag": np.array([True, False]),
    "double": np.array(np.pi),
    "long": np.array([-(2**62), 7]),
    "nothing": np.zeros((0, 4), np.float32),
    "no values": np.zeros(0, np.int32),
}


def network() -> nn.SequentialCell:
    return nn.SequentialCell(nn.Dense(3, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize("name", ["net.ckpt", "net", "net.safetensors"])
def test_round_trip(tmp_path: Path, name: str) -> None:
    net, other = network(), network()
    train.save_checkpoint(net, tmp_path / name)
    ending = ".safetensors" if name.endswith("s") else ".ckpt"
    assert [p.name for p in tmp_path.iterdir()] == [f"net{ending}"]
    found = train.load_checkpoint(tmp_path / name)
    assert list(found) == [p.name for p in net.get_parameters()]
    assert found["0.weight"].requires_grad
    assert found["1.moving_mean"].requires_grad == (ending == ".ckpt")  # which does not tell
    assert train.load_param_into_net(other, found) == ([], [])
    for a, b in zip(net.get_parameters(), other.get_parameters(), strict=True):
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())
    third = network()
    train.load_checkpoint(tmp_path / name, third)
    np.testing.assert_array_equal(third[0].weight.asnumpy(), net[0].weight.asnumpy())


@pytest.mark.parametrize("kind", FORMATS)
def test_dtypes_and_shapes(tmp_path: Path, kind: str) -> None:
    given = {name: ms.Tensor(array) for name, array in ARRAYS.items()}
    ms.save_checkpoint(given, tmp_path / "x", format=kind, append_dict={"epoch": 3, "loss": 0.25})
    found = ms.load_checkpoint(tmp_path / f"x.{kind}")
    assert list(found) == [*ARRAYS, "epoch", "loss"]
    assert (found["epoch"].item(), found["loss"].item()) == (3, 0.25)
    for name, array in ARRAYS.items():
        back = found[name].asnumpy()
        assert (back.dtype, back.shape) == (array.dtype, array.shape), name
        np.testing.assert_array_equal(back, array)
    chosen = ms.load_checkpoint(
        tmp_path / f"x.{kind}", filter_prefix="no", choice_func=lambda name: "o" in name
    )
    assert list(chosen) == ["double", "long", "epoch", "loss"]


def test_files_of_the_safetensors_package(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy")
    mine, theirs = tmp_path / "mine.safetensors", tmp_path / "theirs.safetensors"
    ms.save_checkpoint({k: ms.Tensor(v) for k, v in ARRAYS.items()}, mine)
    package.save_file(ARRAYS, theirs, {"origin": "a test"})
    found, back = package.load_file(mine), ms.load_checkpoint(theirs)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        np.testing.assert_array_equal(back[name].asnumpy(), array)
        assert found[name].dtype == back[name].asnumpy().dtype == array.dtype


def message(*fields: tuple[int, bytes | int]) -> bytes:
    """A protobuf message; all lengths below 128."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += bytes([number << 3, value])
        else:
            out += bytes([number << 3 | 2, len(value)]) + value
    return out


def value(tag: bytes, kind: bytes, content: bytes, *dims: int) -> tuple[int, bytes]:
    tensor = message(*[(1, d) for d in dims], (2, kind), (3, content))
    return 1, message((1, tag), (2, tensor))


def test_a_ckpt_file_byte_by_byte(tmp_path: Path) -> None:
    """What MindSpore's schema says, written by hand; and values that were cut in two."""
    content = np.arange(6, dtype="<f4").tobytes()
    data = message(
        value(b"w", b"Float32", content[:8], 2, 3),
        value(b"w", b"Float32", content[8:], 2, 3),
        value(b"n", b"Int32", b"\x05\0\0\0", 0),
        value(b"b", b"BFloat16", b"\x80\x3f\x00\xc0", 2),
    )
    file = tmp_path / "x.ckpt"
    for end in (b"", b"crc_num" + binascii.crc32(data).to_bytes(10, "big")):
        file.write_bytes(data + end)
        found = ms.load_checkpoint(file)
        assert found["w"].asnumpy().tolist() == [[0, 1, 2], [3, 4, 5]]
        assert found["n"].shape == ()
        assert found["n"].item() == 5
        assert found["b"].asnumpy().tolist() == [1.0, -2.0]
    ms.save_checkpoint({"n": ms.Tensor(np.int32(5))}, file)
    assert file.read_bytes() == message(value(b"n", b"Int32", b"\x05\0\0\0", 0))


def test_names_that_do_not_match() -> None:
    net = network()
    given = {"0.weight": ms.Tensor(np.ones((4, 3), np.float32)), "other": ms.Tensor([1.0])}
    missing, extra = ms.load_param_into_net(net, given)
    assert missing == ["0.bias", "1.moving_mean", "1.moving_variance", "1.gamma", "1.beta"]
    assert extra == ["other"]
    assert (net[0].weight.asnumpy() == 1).all()


def test_errors(tmp_path: Path) -> None:
    net = network()
    before = net[0].bias.asnumpy()
    wrong = {"0.bias": ms.Tensor(np.zeros(4)), "0.weight": ms.Tensor([1.0])}
    with pytest.raises(ValueError, match=r"0.weight has shape \[4, 3\], the given value \[1\]"):
        ms.load_param_into_net(net, wrong)
    np.testing.assert_array_equal(net[0].bias.asnumpy(), before)
    with pytest.raises(TypeError, match=r"0\.bias has dtype Float32, the given value Int64"):
        ms.load_param_into_net(net, {"0.bias": ms.Tensor([1, 2, 3, 4])})
    with pytest.raises(TypeError, match="strict_load=False casts floats"):
        ms.load_param_into_net(net, {"0.bias": ms.Tensor(np.zeros(4))}, strict_load=True)
    with pytest.raises(TypeError, match="net must be a Cell"):
        ms.load_param_into_net(3, {})
    with pytest.raises(TypeError, match="save_checkpoint got a int"):
        ms.save_checkpoint(3, tmp_path / "x")
    with pytest.raises(TypeError, match="append_dict"):
        ms.save_checkpoint(net, tmp_path / "x", append_dict={"a": "text"})
    with pytest.raises(ValueError, match="no such format"):
        ms.save_checkpoint(net, tmp_path / "x", format="pickle")
    with pytest.raises(ValueError, match="two Parameters are named"):
        ms.save_checkpoint([{"name": "a", "data": ms.Tensor(1)}] * 2, tmp_path / "x")
    with pytest.raises(ValueError, match="does not encrypt"):
        ms.save_checkpoint(net, tmp_path / "x", enc_key=b"secret")
    with pytest.raises(FileNotFoundError):
        ms.load_checkpoint(tmp_path / "missing.ckpt")
    assert list(tmp_path.iterdir()) == []


def header(entries: object, body: bytes = b"") -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + body


def entry(dtype: str = "F32", shape: object = (1,), span: object = (0, 4)) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": span}


HOSTILE = {
    "empty.safetensors": b"",
    "short.safetensors": b"\x01\x02",
    "long_header.safetensors": (2**60).to_bytes(8, "little") + b"{}",
    "no_json.safetensors": header(b"{nonsense}"),
    "deep_json.safetensors": header(b"[" * 100_000),
    "list.safetensors": header([1, 2]),
    "twice.safetensors": header(b'{"a":{"dtype":"F32"},"a":{"dtype":"F32"}}'),
    "dtype.safetensors": header({"a": entry("O")}, b"\0" * 4),
    "shape.safetensors": header({"a": entry(shape=[2])}, b"\0" * 4),
    "negative.safetensors": header({"a": entry(shape=[-1])}, b"\0" * 4),
    "huge.safetensors": header({"a": entry(shape=[2**62, 4], span=[0, 2**66])}, b"\0" * 4),
    "no_span.safetensors": header({"a": {"dtype": "F32", "shape": [1]}}, b"\0" * 4),
    "overlap.safetensors": header({"a": entry(), "b": entry()}, b"\0" * 4),
    "gap.safetensors": header({"a": entry(span=[4, 8])}, b"\0" * 8),
    "rest.safetensors": header({"a": entry()}, b"\0" * 5),
    "truncated.safetensors": header({"a": entry(shape=[4], span=[0, 16])}, b"\0" * 12),
    "metadata.safetensors": header({"__metadata__": {"a": 1}, "a": entry()}, b"\0" * 4),
    "empty.ckpt": b"",
    "text.ckpt": b"no checkpoint at all",
    "pickle.ckpt": b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n(S'echo'\ntR.",
    "length.ckpt": b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    "endless.ckpt": b"\x0a" + b"\xff" * 40,
    "half.ckpt": message(value(b"w", b"Float32", b"\0" * 8, 2))[:-3],
    "size.ckpt": message(value(b"w", b"Float32", b"\0" * 8, 3)),
    "kind.ckpt": message(value(b"w", b"Object", b"\0" * 8, 2)),
    "name.ckpt": message(value(b"\xff\xfe", b"Float32", b"\0" * 8, 2)),
    "map.ckpt": message((1, message((1, b"w"), (3, b"")))),
    "parts.ckpt": message(value(b"w", b"Float32", b"", 1), value(b"w", b"Int32", b"\0" * 4, 1)),
    "checksum.ckpt": message(value(b"w", b"Float32", b"\0" * 8, 2)) + b"crc_num" + b"\0" * 10,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(tmp_path: Path, name: str) -> None:
    """Refused with the reason; no code runs, and no memory is taken for what is not there."""
    (tmp_path / name).write_bytes(HOSTILE[name])
    with pytest.raises(ValueError, match="is no checkpoint, or a damaged one") as caught:
        ms.load_checkpoint(tmp_path / name)
    assert "because" in str(caught.value)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_truncation(tmp_path: Path, kind: str) -> None:
    """A file that was cut anywhere is refused, or (.ckpt, between two values) holds fewer."""
    whole = tmp_path / f"x.{kind}"
    ms.save_checkpoint({"a": ms.Tensor([1.0, 2.0]), "b": ms.Tensor([3])}, whole)
    data = whole.read_bytes()
    for size in range(len(data)):
        whole.write_bytes(data[:size])
        try:
            found = ms.load_checkpoint(whole)
        except ValueError:
            continue
        assert kind == "ckpt", size
        assert list(found) == ["a"]

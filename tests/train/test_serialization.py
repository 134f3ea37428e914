"""Checkpoints: what is written comes back; broken files and wrong arguments are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import jitgrad as ms
from jitgrad import nn, train


def network() -> nn.SequentialCell:
    return nn.SequentialCell(nn.Dense(3, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize("name", ["net.ckpt", "net"])
def test_round_trip(tmp_path: Path, name: str) -> None:
    net, other = network(), network()
    train.save_checkpoint(net, tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["net.ckpt"]
    found = train.load_checkpoint(tmp_path / name)
    assert list(found) == [p.name for p in net.get_parameters()]
    assert not found["1.moving_mean"].requires_grad
    assert found["0.weight"].requires_grad
    assert train.load_param_into_net(other, found) == ([], [])
    for a, b in zip(net.get_parameters(), other.get_parameters(), strict=True):
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())
    third = network()
    train.load_checkpoint(tmp_path / name, third)
    np.testing.assert_array_equal(third[0].weight.asnumpy(), net[0].weight.asnumpy())


def test_other_objects(tmp_path: Path) -> None:
    value = ms.Tensor(np.array([1.5], np.float64))
    for given in ({"a": value}, [{"name": "a", "data": value}]):
        ms.save_checkpoint(given, tmp_path / "x.ckpt")
        found = ms.load_checkpoint(tmp_path / "x.ckpt")
        assert found["a"].dtype is ms.float64
        assert float(found["a"]) == 1.5


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
    with pytest.raises(TypeError, match="net must be a Cell"):
        ms.load_param_into_net(3, {})
    with pytest.raises(TypeError, match="save_checkpoint got a int"):
        ms.save_checkpoint(3, tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        ms.load_checkpoint(tmp_path / "missing.ckpt")
    (tmp_path / "broken.ckpt").write_bytes(b"no checkpoint at all")
    with pytest.raises(ValueError, match="is no checkpoint"):
        ms.load_checkpoint(tmp_path / "broken.ckpt")

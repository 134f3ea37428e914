"""`nn.Jvp`, `nn.Vjp`, and recomputed Cells."""

from __future__ import annotations

import numpy as np

import jitgrad as ms
from jitgrad import Tensor, nn

X, V = Tensor([1.0, 2.0]), Tensor([1.0, 10.0])


class Net(nn.Cell):
    def construct(self, x, y):
        return x**3 + y


def test_products(mode: str) -> None:
    out, product = nn.Jvp(Net())(X, X, (V, V))
    assert (out.tolist(), product.tolist()) == ([2, 10], [4, 130])
    out, product = nn.Vjp(Net())(X, X, V)
    assert [p.tolist() for p in product] == [[3, 120], [1, 10]]
    assert nn.Jvp(lambda x: x * x)(X, V)[1].tolist() == [2, 40]
    assert nn.Vjp(lambda x: x * x)(X, V)[1].tolist() == [2, 40]
    assert nn.Vjp(lambda x: (x, x * x))(X, (V, V))[1].tolist() == [3, 50]


def test_recomputed(mode: str) -> None:
    plain = nn.SequentialCell(nn.Dense(3, 4, activation="tanh"), nn.BatchNorm1d(4), nn.Dense(4, 2))
    plain.set_train()
    again = nn.SequentialCell(nn.Dense(3, 4, activation="tanh"), nn.BatchNorm1d(4), nn.Dense(4, 2))
    again.set_train()
    for p, q in zip(plain.get_parameters(), again.get_parameters(), strict=True):
        q.set_data(p.value())
    again[0].recompute()
    again[2].recompute()
    x = Tensor(np.linspace(-1, 1, 15, dtype=np.float32).reshape(5, 3))

    def gradients(net):
        loss = ms.grad(lambda x: (net(x) ** 3).sum(), None, net.trainable_params())
        return [g.asnumpy() for g in loss(x)]

    for _ in range(2):
        for p, q in zip(gradients(plain), gradients(again), strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-4, atol=1e-4)  # some are zero but for rounding

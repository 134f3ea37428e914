"""The two programs that the project began with, with only their imports changed."""

from __future__ import annotations

import contextlib
import io

MINDSPORE = """
import numpy as np
import jitgrad as ms
import jitgrad.nn as nn
from jitgrad import ops

class Net(nn.Cell):
    def __init__(self):
        super(Net, self).__init__()
        self.matmul = ops.MatMul()
        self.z = ms.Parameter(ms.Tensor(np.array([1.0], np.float32)), name='z')
    def construct(self, x, y):
        x = x * self.z
        out = self.matmul(x, y)
        return out

class GradNetWrtX(nn.Cell):
    def __init__(self, net):
        super(GradNetWrtX, self).__init__()
        self.net = net
    def construct(self, x, y):
        gradient_function = ms.grad(self.net)
        return gradient_function(x, y)

x = ms.Tensor([[0.5, 0.6, 0.4], [1.2, 1.3, 1.1]], dtype=ms.float32)
y = ms.Tensor([[0.01, 0.3, 1.1], [0.1, 0.2, 1.3], [2.1, 1.2, 3.3]], dtype=ms.float32)
output = GradNetWrtX(Net())(x, y)
print(output)
"""

TORCH = """
import jitgrad as torch
x = torch.tensor(2., requires_grad=True)
y = torch.tensor(3., requires_grad=True)
z = x * x * y
z.backward()
print(x.grad, y.grad)

x = torch.tensor(2.).requires_grad_()
y = torch.tensor(3.).requires_grad_()
z = x * x * y
grad_x = torch.autograd.grad(outputs=z, inputs=x)
print(grad_x[0])
"""


def printed(program: str) -> str:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        exec(program, {"__name__": "seed"})
    return text.getvalue()


def test_mindspore_program(mode: str) -> None:
    words = printed(MINDSPORE).replace("[", " ").replace("]", " ").split()
    assert [round(float(w), 5) for w in words] == [1.41, 1.6, 6.6] * 2


def test_torch_program(mode: str) -> None:
    assert printed(TORCH) == "12.0 4.0\n12.0\n"

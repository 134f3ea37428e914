"""A loss written without care: exp overflows where x * w is large. Compiled, it does not.

python -m jitgrad lower examples/softplus.py:loss --grad
python -m jitgrad compare examples/softplus.py:loss
"""

import numpy as np

from jitgrad import ops


def loss(x, w):
    """The sum of log(1 + exp(x * w))."""
    return ops.log(1 + ops.exp(x * w)).sum()


def example_inputs():
    """Arguments for the two commands above."""
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal((2, 1000), np.float32))

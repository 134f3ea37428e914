"""For tests: gradients against differences, and a pytest fixture for that."""

from jitgrad.testing.grads import Comparison, GradientError, check_grads

__all__ = ["Comparison", "GradientError", "check_grads"]

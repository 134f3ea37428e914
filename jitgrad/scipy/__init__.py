"""SciPy's names: linear algebra, as in MindSpore's `scipy`, and special functions."""

from jitgrad.scipy import linalg, special

__all__ = ["linalg", "special"]

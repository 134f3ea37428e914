"""MindSpore's `scipy`: linear algebra under SciPy's names."""

from jitgrad.scipy import linalg

__all__ = ["linalg"]

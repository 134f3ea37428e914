"""Compiled graphs on a GPU: memory that stays there, and launches without waiting.

array     what a Tensor holds in the place of a NumPy array
machine   the few things that a driver does, and nothing else of it
native    NVIDIA's driver            emulated  the same in NumPy, every access watched
pool      memory that is used again, and what is known about it
program   a graph as launches        loaded    those launches with their addresses
device    all of it together: copy there, run, read
"""

"""The same plans for NVIDIA GPUs: kernels in the frame of `numba.cuda`, and their launches.

frame    a kernel of the kernel IR as one function of a grid of threads
products, copies, indexing …   kernels that have no kernel IR
grids    from a plan's steps to launches: one rule for each op that is a step
names    what a kernel's text can call, for Numba's CUDA target
offline  from text to PTX and machine code, and what they need, without a GPU
"""

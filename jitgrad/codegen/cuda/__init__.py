"""The same plans for NVIDIA GPUs: kernels in the frame of `numba.cuda`, and their launches.

frame    a kernel of the kernel IR as one function of a grid of threads; maps that are `wide`, 16
         bytes a thread, or `turned`, through shared memory
products kernels of matrix products and convolutions, with `tensor` cores, and their `finish`
matrices, orthogonal, bessel, specials   what has a library on the CPU
grids    from a plan's steps to launches: one rule for each op that is a step
names    what a kernel's text can call, for Numba's CUDA target
offline  from text to PTX and machine code, and what they need, without a GPU
"""

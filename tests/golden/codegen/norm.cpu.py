# kernel_0: mul reduce_sum
# f32[100000], -> f32[]; 100000 elements, 400204 bytes
# loops: blocked over 100000, axes (0,) reduced
# about 2 additions' time and 8 bytes of arrays an element
def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    r0 = f32_ptr(ptrs, 1)
    n0 = dims[0]
    block = dims[1]
    for c in range(lo, hi):
        start = c * block
        stop = start + block if start + block < n0 else n0
        s0 = f32(0.0)
        for i0 in range(start, stop):
            v1 = a0[i0]
            v2 = mul_reassoc_f32(v1, v1)
            s0 = add_reassoc_f32(s0, v2)
        r0[c] = s0


# kernel_1: reduce_sum
# f32[100000], -> f32[]; 25 elements, 208 bytes
# loops: row over 25, axes (0,) reduced
# about 1 additions' time and 8 bytes of arrays an element
def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    r0 = f32_ptr(ptrs, 1)
    n1 = dims[1]
    for i0 in range(lo, hi):
        s0 = f32(0.0)
        for i1 in range(n1):
            v1 = a0[i1]
            s0 = add_reassoc_f32(s0, v1)
        r0[0] = s0


# kernel_2: sqrt
# f32[], -> f32[]; 1 elements, 8 bytes
# loops: map over one element
# about 6 additions' time and 8 bytes of arrays an element
def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    r0 = f32_ptr(ptrs, 1)
    for i0 in range(lo, hi):
        v0 = a0[0]
        v1 = sqrt_f32(v0)
        r0[0] = v1

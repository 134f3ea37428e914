# kernel_0: mul add mul sub
# f32[8,5], f32[8,5], f32[8,5], -> (f32[8,5], f32[8,5]); 40 elements, 480 bytes
# loops: map over 8x5
# about 4 additions' time and 12 bytes of arrays an element
def kernel(ptrs, dims, lo, hi):
    a0 = f32_ptr(ptrs, 0)
    a1 = f32_ptr(ptrs, 1)
    a2 = f32_ptr(ptrs, 2)
    k1 = dims[1]
    k2 = dims[2]
    for i0 in range(lo, hi):
        v0 = a2[i0]
        v1 = v0 * number_f32(k1)
        v2 = a1[i0]
        v3 = v1 + v2
        v4 = a0[i0]
        v5 = v3 * number_f32(k2)
        v6 = v4 - v5
        a2[i0] = v3
        a0[i0] = v6

def kernel(a0, a1, a2, count):
    for i0 in range(cuda.grid(1), count, cuda.gridsize(1)):
        v0 = a2[i0]
        v1 = v0 * f32(0.9)
        v2 = a1[i0]
        v3 = v1 + v2
        v4 = a0[i0]
        v5 = v3 * f32(0.1)
        v6 = v4 - v5
        a2[i0] = v3
        a0[i0] = v6

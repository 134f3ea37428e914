def kernel(a0, a1, r0, r1, n1, x0_s1, x1_s1, y0_s1, count):
    for i0 in range(cuda.grid(1), count, cuda.gridsize(1)):
        s0 = f32(0.0)
        for i1 in range(0, n1):
            v1 = a1[i0 + i1 * x0_s1]
            v2 = f32(0.0) < v1
            v3 = a0[i0 + i1 * x1_s1]
            v4 = select(v2, v3, f32(0.0))
            s0 = add_reassoc_f32(s0, v4)
            r0[i0 + i1 * y0_s1] = v4
        r1[i0] = s0

def kernel(a0, a1, r0, r1, dims, extent):
    n0 = dims[0]
    x0_s0 = dims[2]
    x1_s0 = dims[3]
    y0_s0 = dims[4]
    for i1 in range(cuda.grid(1), extent, cuda.gridsize(1)):
        r1[i1] = f32(0.0)
    for i0 in range(n0):
        for i1 in range(cuda.grid(1), extent, cuda.gridsize(1)):
            v0 = a1[i0 * x0_s0 + i1]
            v1 = f32(0.0) < v0
            v2 = a0[i0 * x1_s0 + i1]
            v3 = select(v1, v2, f32(0.0))
            s4 = r1[i1]
            r1[i1] = add_reassoc_f32(s4, v3)
            r0[i0 * y0_s0 + i1] = v3

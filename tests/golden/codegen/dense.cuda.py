def kernel(a0, a1, a2, r0, r1, r2, dims, extent):
    n0 = dims[0]
    x0_s0 = dims[2]
    x2_s0 = dims[3]
    y1_s0 = dims[4]
    for i1 in range(cuda.grid(1), extent, cuda.gridsize(1)):
        r0[i1] = f32(0.0)
        r2[i1] = f32(0.0)
    for i0 in range(n0):
        for i1 in range(cuda.grid(1), extent, cuda.gridsize(1)):
            v0 = a1[i0 * x0_s0 + i1]
            v1 = a2[i1]
            v2 = v0 + v1
            v3 = select((v2 <= f32(0.0)), f32(0.0), v2)
            v4 = a0[i0 * x2_s0 + i1]
            v5 = v3 - v4
            v6 = mul_reassoc_f32(v5, v5)
            v7 = v3 <= f32(0.0)
            v8 = v5 + v5
            v9 = select(v7, f32(0.0), v8)
            s10 = r0[i1]
            r0[i1] = add_reassoc_f32(s10, v6)
            s11 = r2[i1]
            r2[i1] = add_reassoc_f32(s11, v9)
            r1[i0 * y1_s0 + i1] = v9


def kernel(a0, r0, dims, extent):
    n1 = dims[1]
    for i0 in range(cuda.grid(1), extent, cuda.gridsize(1)):
        s0 = f32(0.0)
        for i1 in range(n1):
            v1 = a0[i1]
            s0 = add_reassoc_f32(s0, v1)
        r0[0] = s0

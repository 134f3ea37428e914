def kernel(a0, a1, a2, r0, r1, dims, extent):
    n1 = dims[1]
    n2 = dims[2]
    x0_s1 = dims[3]
    x2_s1 = dims[4]
    y1_s1 = dims[5]
    for i0 in range(cuda.grid(1), extent, cuda.gridsize(1)):
        s0 = f32(0.0)
        for i1 in range(n1):
            for i2 in range(n2):
                v1 = a1[i1 * x0_s1 + i2]
                v2 = a2[i2]
                v3 = v1 + v2
                v4 = select((v3 <= f32(0.0)), f32(0.0), v3)
                v5 = a0[i1 * x2_s1 + i2]
                v6 = v4 - v5
                v7 = mul_reassoc_f32(v6, v6)
                v8 = v4 <= f32(0.0)
                v9 = v6 + v6
                v10 = select(v8, f32(0.0), v9)
                s0 = add_reassoc_f32(s0, v7)
                r1[i1 * y1_s1 + i2] = v10
        r0[0] = s0


def kernel(a0, r0, dims, extent):
    n0 = dims[0]
    x0_s0 = dims[2]
    for i1 in range(cuda.grid(1), extent, cuda.gridsize(1)):
        r0[i1] = f32(0.0)
    for i0 in range(n0):
        for i1 in range(cuda.grid(1), extent, cuda.gridsize(1)):
            v0 = a0[i0 * x0_s0 + i1]
            s1 = r0[i1]
            r0[i1] = add_reassoc_f32(s1, v0)

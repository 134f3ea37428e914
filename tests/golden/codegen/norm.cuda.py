def kernel(a0, r0, dims, extent):
    n0 = dims[0]
    block = dims[1]
    for c in range(cuda.grid(1), extent, cuda.gridsize(1)):
        start = c * block
        stop = start + block if start + block < n0 else n0
        s0 = f32(0.0)
        for i0 in range(start, stop):
            v1 = a0[i0]
            v2 = mul_reassoc_f32(v1, v1)
            s0 = add_reassoc_f32(s0, v2)
        r0[c] = s0


def kernel(a0, r0, dims, extent):
    n1 = dims[1]
    for i0 in range(cuda.grid(1), extent, cuda.gridsize(1)):
        s0 = f32(0.0)
        for i1 in range(n1):
            v1 = a0[i1]
            s0 = add_reassoc_f32(s0, v1)
        r0[0] = s0


def kernel(a0, r0, dims, extent):
    for i0 in range(cuda.grid(1), extent, cuda.gridsize(1)):
        v0 = a0[0]
        v1 = sqrt_f32(v0)
        r0[0] = v1

def kernel(a, b, c, m, n, k, batches):
    tile_a = cuda.shared.array(528, f32)
    tile_b = cuda.shared.array(528, f32)
    thread = cuda.threadIdx.x
    row = thread // 16
    column = thread % 16
    rows = (m + 31) // 32
    columns = (n + 31) // 32
    for tile in range(cuda.blockIdx.x, rows * columns * batches, cuda.gridDim.x):
        batch = tile // (rows * columns)
        from_i = tile // columns % rows * 32
        from_j = tile % columns * 32
        c00 = f32(0)
        c01 = f32(0)
        c10 = f32(0)
        c11 = f32(0)
        for p0 in range(0, k, 16):
            q, e = thread % 16, thread // 16 + 0
            p, i = p0 + q, from_i + e
            value = f32(0)
            if p < k and i < m:
                at = (batch * m + i) * k + p
                value = a[at]
            tile_a[q * 33 + e] = value
            q, e = thread % 16, thread // 16 + 16
            p, i = p0 + q, from_i + e
            value = f32(0)
            if p < k and i < m:
                at = (batch * m + i) * k + p
                value = a[at]
            tile_a[q * 33 + e] = value
            q, e = thread // 32, thread % 32
            p, j = p0 + q, from_j + e
            value = f32(0)
            if p < k and j < n:
                at = (batch * k + p) * n + j
                value = b[at]
            tile_b[q * 33 + e] = value
            q, e = (thread + 256) // 32, (thread + 256) % 32
            p, j = p0 + q, from_j + e
            value = f32(0)
            if p < k and j < n:
                at = (batch * k + p) * n + j
                value = b[at]
            tile_b[q * 33 + e] = value
            cuda.syncthreads()
            for q in range(16):
                left0 = tile_a[q * 33 + row + 0]
                left1 = tile_a[q * 33 + row + 16]
                right0 = tile_b[q * 33 + column + 0]
                right1 = tile_b[q * 33 + column + 16]
                c00 = c00 + left0 * right0
                c01 = c01 + left0 * right1
                c10 = c10 + left1 * right0
                c11 = c11 + left1 * right1
            cuda.syncthreads()
        i, j = from_i + row + 0, from_j + column + 0
        if i < m and j < n:
            at = (batch * m + i) * n + j
            c[at] = c00
        i, j = from_i + row + 0, from_j + column + 16
        if i < m and j < n:
            at = (batch * m + i) * n + j
            c[at] = c01
        i, j = from_i + row + 16, from_j + column + 0
        if i < m and j < n:
            at = (batch * m + i) * n + j
            c[at] = c10
        i, j = from_i + row + 16, from_j + column + 16
        if i < m and j < n:
            at = (batch * m + i) * n + j
            c[at] = c11


def kernel(a0, a1, a2, r0, r1, r2, n1, x0_s1, x2_s1, y1_s1, count):
    shared_f32 = cuda.shared.array(256, f32)
    thread = cuda.threadIdx.x
    column = thread % 32
    lane = thread // 32
    for first in range(cuda.blockIdx.x * 32, count, cuda.gridDim.x * 32):
        live = first + column < count
        i0 = first + column if live else 0
        s0 = f32(0.0)
        s1 = f32(0.0)
        v3 = a2[i0] if live else f32(0.0)
        for i1 in range(lane, n1 if live else 0, 8):
            v2 = a1[i0 + i1 * x0_s1]
            v4 = v2 + v3
            v5 = select((v4 <= f32(0.0)), f32(0.0), v4)
            v6 = a0[i0 + i1 * x2_s1]
            v7 = v5 - v6
            v8 = mul_reassoc_f32(v7, v7)
            v9 = v5 <= f32(0.0)
            v10 = v7 + v7
            v11 = select(v9, f32(0.0), v10)
            s0 = add_reassoc_f32(s0, v8)
            s1 = add_reassoc_f32(s1, v11)
            r1[i0 + i1 * y1_s1] = v11
        shared_f32[thread] = s0
        half = 8
        while half > 1:
            half //= 2
            cuda.syncthreads()
            if lane < half:
                shared_f32[thread] = add_reassoc_f32(shared_f32[thread], shared_f32[thread + half * 32])
        cuda.syncthreads()
        s0 = shared_f32[column]
        cuda.syncthreads()
        shared_f32[thread] = s1
        half = 8
        while half > 1:
            half //= 2
            cuda.syncthreads()
            if lane < half:
                shared_f32[thread] = add_reassoc_f32(shared_f32[thread], shared_f32[thread + half * 32])
        cuda.syncthreads()
        s1 = shared_f32[column]
        cuda.syncthreads()
        if live and lane == 0:
            r0[i0] = s0
        if live and lane == 0:
            r2[i0] = s1


def kernel(a0, r0, n1, count):
    shared_f32 = cuda.shared.array(16, f32)
    thread = cuda.threadIdx.x
    lane = thread
    for i0 in range(cuda.blockIdx.x, count, cuda.gridDim.x):
        s0 = f32(0.0)
        for i1 in range(lane, n1, 16):
            v1 = a0[i1]
            s0 = add_reassoc_f32(s0, v1)
        shared_f32[thread] = s0
        half = 16
        while half > 1:
            half //= 2
            cuda.syncthreads()
            if lane < half:
                shared_f32[thread] = add_reassoc_f32(shared_f32[thread], shared_f32[thread + half])
        cuda.syncthreads()
        s0 = shared_f32[thread - lane]
        cuda.syncthreads()
        if lane == 0:
            r0[0] = s0


def kernel(a, b, c, m, n, k, batches):
    tile_a = cuda.shared.array(528, f32)
    tile_b = cuda.shared.array(528, f32)
    thread = cuda.threadIdx.x
    row = thread // 16
    column = thread % 16
    rows = (m + 31) // 32
    columns = (n + 31) // 32
    for tile in range(cuda.blockIdx.x, rows * columns * batches, cuda.gridDim.x):
        batch = tile // (rows * columns)
        from_i = tile // columns % rows * 32
        from_j = tile % columns * 32
        c00 = f32(0)
        c01 = f32(0)
        c10 = f32(0)
        c11 = f32(0)
        for p0 in range(0, k, 16):
            q, e = thread // 32, thread % 32
            p, i = p0 + q, from_i + e
            value = f32(0)
            if p < k and i < m:
                at = (batch * k + p) * m + i
                value = a[at]
            tile_a[q * 33 + e] = value
            q, e = (thread + 256) // 32, (thread + 256) % 32
            p, i = p0 + q, from_i + e
            value = f32(0)
            if p < k and i < m:
                at = (batch * k + p) * m + i
                value = a[at]
            tile_a[q * 33 + e] = value
            q, e = thread // 32, thread % 32
            p, j = p0 + q, from_j + e
            value = f32(0)
            if p < k and j < n:
                at = (batch * k + p) * n + j
                value = b[at]
            tile_b[q * 33 + e] = value
            q, e = (thread + 256) // 32, (thread + 256) % 32
            p, j = p0 + q, from_j + e
            value = f32(0)
            if p < k and j < n:
                at = (batch * k + p) * n + j
                value = b[at]
            tile_b[q * 33 + e] = value
            cuda.syncthreads()
            for q in range(16):
                left0 = tile_a[q * 33 + row + 0]
                left1 = tile_a[q * 33 + row + 16]
                right0 = tile_b[q * 33 + column + 0]
                right1 = tile_b[q * 33 + column + 16]
                c00 = c00 + left0 * right0
                c01 = c01 + left0 * right1
                c10 = c10 + left1 * right0
                c11 = c11 + left1 * right1
            cuda.syncthreads()
        i, j = from_i + row + 0, from_j + column + 0
        if i < m and j < n:
            at = (batch * m + i) * n + j
            c[at] = c00
        i, j = from_i + row + 0, from_j + column + 16
        if i < m and j < n:
            at = (batch * m + i) * n + j
            c[at] = c01
        i, j = from_i + row + 16, from_j + column + 0
        if i < m and j < n:
            at = (batch * m + i) * n + j
            c[at] = c10
        i, j = from_i + row + 16, from_j + column + 16
        if i < m and j < n:
            at = (batch * m + i) * n + j
            c[at] = c11

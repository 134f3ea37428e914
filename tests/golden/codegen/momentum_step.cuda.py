def kernel(a0, a1, a2, k1, k2, count):
    for at in range(cuda.grid(1), count // 4, cuda.gridsize(1)):
        i0 = at * 4
        v0_0, v0_1, v0_2, v0_3 = load4_f32(a2, i0)
        v1_0 = v0_0 * number_f32(k1)
        v1_1 = v0_1 * number_f32(k1)
        v1_2 = v0_2 * number_f32(k1)
        v1_3 = v0_3 * number_f32(k1)
        v2_0, v2_1, v2_2, v2_3 = load4_f32(a1, i0)
        v3_0 = v1_0 + v2_0
        v3_1 = v1_1 + v2_1
        v3_2 = v1_2 + v2_2
        v3_3 = v1_3 + v2_3
        v4_0, v4_1, v4_2, v4_3 = load4_f32(a0, i0)
        v5_0 = v3_0 * number_f32(k2)
        v5_1 = v3_1 * number_f32(k2)
        v5_2 = v3_2 * number_f32(k2)
        v5_3 = v3_3 * number_f32(k2)
        v6_0 = v4_0 - v5_0
        v6_1 = v4_1 - v5_1
        v6_2 = v4_2 - v5_2
        v6_3 = v4_3 - v5_3
        store4_f32(a2, i0, v3_0, v3_1, v3_2, v3_3)
        store4_f32(a0, i0, v6_0, v6_1, v6_2, v6_3)
    for i0 in range(count // 4 * 4 + cuda.grid(1), count, cuda.gridsize(1)):
        v0 = a2[i0]
        v1 = v0 * number_f32(k1)
        v2 = a1[i0]
        v3 = v1 + v2
        v4 = a0[i0]
        v5 = v3 * number_f32(k2)
        v6 = v4 - v5
        a2[i0] = v3
        a0[i0] = v6

/* kernels/values_avx2.c - comparison and arithmetic with AVX2. */
#include "kernels/values_loops.h"

uint32_t mk_select_avx2(enum mk_kind kind, enum mk_compare how, const void *a, const void *b,
                        bool a_constant, bool b_constant, const uint16_t *rows, uint32_t count,
                        uint16_t *out)
{
    return select_loops(kind, how, a, b, a_constant, b_constant, rows, count, out);
}

void mk_compare_avx2(enum mk_kind kind, enum mk_compare how, const void *a, const void *b,
                     bool a_constant, bool b_constant, uint32_t count, uint8_t *out)
{
    compare_loops(kind, how, a, b, a_constant, b_constant, count, out);
}

void mk_arith_avx2(enum mk_kind kind, enum mk_arith how, const void *a, const void *b,
                   bool a_constant, bool b_constant, uint32_t count, void *out)
{
    arith_loops(kind, how, a, b, a_constant, b_constant, count, out);
}

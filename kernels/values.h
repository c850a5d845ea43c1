/* kernels/values.h - comparison and arithmetic of each instruction set, for the tables only. Contracts: kernels.h. */
#ifndef MILL_KERNELS_VALUES_H
#define MILL_KERNELS_VALUES_H

#include "kernels/kernels.h"

#define DECLARE_VALUE_KERNELS(isa)                                                                 \
    uint32_t mk_select_##isa(enum mk_kind kind, enum mk_compare how, const void *a, const void *b, \
                             bool a_constant, bool b_constant, const uint16_t *rows,               \
                             uint32_t count, uint16_t *out);                                       \
    void mk_compare_##isa(enum mk_kind kind, enum mk_compare how, const void *a, const void *b,    \
                          bool a_constant, bool b_constant, uint32_t count, uint8_t *out);         \
    void mk_arith_##isa(enum mk_kind kind, enum mk_arith how, const void *a, const void *b,        \
                        bool a_constant, bool b_constant, uint32_t count, void *out)
DECLARE_VALUE_KERNELS(scalar);
DECLARE_VALUE_KERNELS(avx2);
DECLARE_VALUE_KERNELS(avx512);

#endif

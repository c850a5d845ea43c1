/* kernels/values_loops.h - the loops of comparison and arithmetic, which the compiler turns into each file's
 * instructions: plain enough for that, one per type and operator. */
#ifndef MILL_KERNELS_VALUES_LOOPS_H
#define MILL_KERNELS_VALUES_LOOPS_H

#include "kernels/values.h"

/* Calls LOOP(type) for the kind; what LOOP needs is in scope. */
#define EACH_KIND(kind, LOOP)                                                                      \
    switch (kind) {                                                                                \
    case MK_I8: LOOP(int8_t); break;                                                               \
    case MK_I16: LOOP(int16_t); break;                                                             \
    case MK_I32: LOOP(int32_t); break;                                                             \
    case MK_I64: LOOP(int64_t); break;                                                             \
    case MK_F32: LOOP(float); break;                                                               \
    case MK_F64: LOOP(double); break;                                                              \
    }
#define EACH_COMPARE(how, LOOP, type)                                                              \
    switch (how) {                                                                                 \
    case MK_EQ: LOOP(type, ==); break;                                                             \
    case MK_NE: LOOP(type, !=); break;                                                             \
    case MK_LT: LOOP(type, <); break;                                                              \
    case MK_LE: LOOP(type, <=); break;                                                             \
    case MK_GT: LOOP(type, >); break;                                                              \
    case MK_GE: LOOP(type, >=); break;                                                             \
    }

#define SELECT_LOOP(type, op)                                                                      \
    for (uint32_t i = 0; i < count; i++) {                                                         \
        const uint32_t row = rows != NULL ? rows[i] : i;                                           \
                                                                                                   \
        out[n] = (uint16_t)row;                                                                    \
        n += ((const type *)a)[row * a_step] op((const type *)b)[row * b_step];                    \
    }
#define SELECT_KIND(type) EACH_COMPARE(how, SELECT_LOOP, type)

static inline uint32_t select_loops(enum mk_kind kind, enum mk_compare how, const void *a,
                                    const void *b, bool a_constant, bool b_constant,
                                    const uint16_t *rows, uint32_t count, uint16_t *out)
{
    const uint32_t a_step = !a_constant, b_step = !b_constant;
    uint32_t n = 0;

    EACH_KIND(kind, SELECT_KIND)
    return n;
}

#define COMPARE_LOOP(type, op)                                                                     \
    {                                                                                              \
        const type *x = a, *y = b;                                                                 \
                                                                                                   \
        if (b_constant) {                                                                          \
            const type c = *y;                                                                     \
            for (uint32_t i = 0; i < count; i++)                                                   \
                out[i] = x[i] op c;                                                                \
        } else {                                                                                   \
            for (uint32_t i = 0; i < count; i++)                                                   \
                out[i] = x[i] op y[i];                                                             \
        }                                                                                          \
    }
#define COMPARE_KIND(type) EACH_COMPARE(how, COMPARE_LOOP, type)

/* Turned round, so that only the right side may be constant. */
static inline enum mk_compare compare_turned(enum mk_compare how)
{
    static const enum mk_compare turned[] = {MK_EQ, MK_NE, MK_GT, MK_GE, MK_LT, MK_LE};

    return turned[how];
}

static inline void compare_loops(enum mk_kind kind, enum mk_compare how, const void *a,
                                 const void *b, bool a_constant, bool b_constant, uint32_t count,
                                 uint8_t *out)
{
    if (a_constant) {
        const void *swap = a;

        a = b;
        b = swap;
        how = compare_turned(how);
        count = b_constant && count > 1 ? 1 : count;
        b_constant = true;
    }
    EACH_KIND(kind, COMPARE_KIND)
}

/* Integers wrap: computed without sign. */
#define ARITH_LOOP(type, wide, op)                                                                 \
    {                                                                                              \
        const type *x = a, *y = b;                                                                 \
        type *z = out;                                                                             \
                                                                                                   \
        if (a_constant && !b_constant) {                                                           \
            const wide c = (wide)*x;                                                               \
            for (uint32_t i = 0; i < count; i++)                                                   \
                z[i] = (type)(c op(wide) y[i]);                                                    \
        } else if (b_constant && !a_constant) {                                                    \
            const wide c = (wide)*y;                                                               \
            for (uint32_t i = 0; i < count; i++)                                                   \
                z[i] = (type)((wide)x[i] op c);                                                    \
        } else {                                                                                   \
            for (uint32_t i = 0; i < (a_constant && count > 1 ? 1 : count); i++)                   \
                z[i] = (type)((wide)x[i] op(wide) y[i]);                                           \
        }                                                                                          \
    }
#define ARITH_KIND(type, wide)                                                                     \
    switch (how) {                                                                                 \
    case MK_ADD: ARITH_LOOP(type, wide, +); break;                                                 \
    case MK_SUB: ARITH_LOOP(type, wide, -); break;                                                 \
    case MK_MUL: ARITH_LOOP(type, wide, *); break;                                                 \
    }

static inline void arith_loops(enum mk_kind kind, enum mk_arith how, const void *a, const void *b,
                               bool a_constant, bool b_constant, uint32_t count, void *out)
{
    switch (kind) {
    case MK_I8: ARITH_KIND(int8_t, uint32_t); break;
    case MK_I16: ARITH_KIND(int16_t, uint32_t); break;
    case MK_I32: ARITH_KIND(int32_t, uint32_t); break;
    case MK_I64: ARITH_KIND(int64_t, uint64_t); break;
    case MK_F32: ARITH_KIND(float, float); break;
    case MK_F64: ARITH_KIND(double, double); break;
    }
}

#endif

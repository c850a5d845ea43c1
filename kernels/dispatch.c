/* kernels/dispatch.c - which table serves on this machine. */
#include "kernels/kernels.h"

#include <stdio.h>
#include <string.h>

#ifdef __AVX__
#error "dispatch.c must run everywhere: build it without AVX"
#endif

static bool usable(const struct mk_table *table)
{
    __builtin_cpu_init();
    if (table == &mk_avx512vbmi2)
        return usable(&mk_avx512) && __builtin_cpu_supports("avx512vbmi2");
    if (table == &mk_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("pclmul") &&
               __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    if (table == &mk_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    return true;
}

static const struct mk_table *const tables[] = {&mk_avx512vbmi2, &mk_avx512, &mk_avx2, &mk_scalar};

const struct mk_table *mk_select(const char *wanted, char *why, size_t why_bytes)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (wanted != NULL && strcmp(wanted, tables[i]->isa) != 0)
            continue;
        if (usable(tables[i]))
            return tables[i];
        if (wanted != NULL) {
            snprintf(why, why_bytes, "this CPU has no %s", wanted);
            return NULL;
        }
    }
    snprintf(why, why_bytes, "'%s' is no instruction set: scalar, avx2, avx512 or avx512vbmi2",
             wanted);
    return NULL;
}

const struct mk_table *const *mk_usable(const struct mk_table *room[MK_TABLES + 1])
{
    size_t n = 0;

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (usable(tables[i]))
            room[n++] = tables[i];
    room[n] = NULL;
    return room;
}

/* core/ops/set_operation.h - INTERSECT and EXCEPT: how many of a row there are, from how many each side has.
 *
 * The input: UNION ALL of both sides, whose last column says which one a row is of. All others are its keys, and the results.
 *
 * Includes: base.h
 */
#ifndef MILL_SET_OPERATION_H
#define MILL_SET_OPERATION_H

#include "core/base.h"

struct set_node {
    bool except;          /* else INTERSECT */
    bool all;             /* each row as often as it is there; else once */
    const uint32_t *keys; /* input columns 0 .. key_count-1 */
    uint32_t key_count;
    int64_t ttl_us; /* 0: none */
};

/* @sides: how many there are in the first and in the second one (SQL:2016, 7.17). */
static inline int64_t set_copies(const struct set_node *node, const int64_t sides[2])
{
    if (!node->all)
        return sides[0] > 0 && (sides[1] > 0) != node->except;
    if (node->except)
        return sides[0] > sides[1] ? sides[0] - sides[1] : 0;
    return sides[0] < sides[1] ? sides[0] : sides[1];
}

#endif

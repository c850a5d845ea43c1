/* core/ops/unnest.h - a row for each element of a column of ARRAY, MAP or MULTISET.
 *
 * Output columns: the first own ones of the input; then the element, or its fields if it is a ROW, or a MAP's key and value; then,
 * where asked for, its number INT, from 1.
 */
#ifndef MILL_UNNEST_H
#define MILL_UNNEST_H

#include "core/base.h"

struct unnest_node {
    uint32_t column, own;
    bool outer;    /* rows without an element stay, with NULLs */
    bool numbered; /* WITH ORDINALITY */
};

#endif

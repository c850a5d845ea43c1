/* tests/model/verdicts.h - which rows are late: what an owner knows of a row's place against the place itself.
 *
 * Every sequence of few rows over few times is tried, shortest first, so the length reported is the least number of
 * rows that shows a broken rule. The reference goes row by row: W(row) = min(max(G of the split, g), G of the others),
 * with g = the greatest watermark value of the step before the row.
 */
#ifndef MODEL_VERDICTS_H
#define MODEL_VERDICTS_H

#include <cstddef>

struct Verdicts {
    size_t sequences; /* tried */
    size_t rows;      /* of the shortest sequence that comes out differently; 0: none */
};

/* Which rows carry g to their owner. The engine: time <= g + u (front.c, take_watermarks()). */
enum carry { CARRY_BEFORE, CARRY_NOT_AFTER, CARRY_WITHIN_UNIT };

Verdicts verdicts_tumble(enum carry carry);
Verdicts verdicts_session(enum carry carry);

/* Hopping windows made of slices. @at_end: a row goes into its slice at once and windows fire at the end of the step;
 * else a row that is late for the first of its windows waits until that one has fired (op_window.c). */
Verdicts verdicts_slices(bool at_end);

/* Partials of the front: one per (key, slice), or one more for rows whose first window g has passed (op_preagg.c). */
Verdicts verdicts_partials(bool two_classes);

#endif

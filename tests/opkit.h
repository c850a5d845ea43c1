/* tests/opkit.h - drives one operator (and a front before it) step by step and collects what comes out as text.
 *
 * Memory is counted: opkit_close() fails the process if an operator lost a block.
 */
#ifndef MILL_OPKIT_H
#define MILL_OPKIT_H

#include "core/ops/op.h"
#include "core/plan/physical.h"

struct opkit {
    struct env env;
    struct budget budget;
    struct heap heap;
    struct op_context context;
    struct mill_error error;
    uint64_t random;
    bool starve; /* take_batch() and the sink are busy now and then */
    uint64_t turns, most_work,
        most_rows; /* of end_step() and resume(): calls; the most work and rows out of one */
    struct collector *watched; /* whose rows are counted */
};

struct collector {
    struct op op;
    struct opkit *kit;
    const struct mill_schema *schema;
    char *text;
    size_t length, capacity;
    char last_key[4096]; /* order key of the last row of the step */
    uint32_t last_key_bytes;
    uint64_t last_step;
    uint64_t rows;
    bool disordered;
};

void opkit_open(struct opkit *kit, uint64_t seed, uint32_t batch_rows);
void opkit_close(struct opkit *kit);
uint64_t opkit_random(struct opkit *kit);
struct collector *collector_new(struct opkit *kit, const struct mill_schema *schema);
void collector_free(struct collector *sink);
/* Pushes, ends steps; resumes until ready. False: failed. */
bool opkit_push(struct opkit *kit, struct op *op, uint32_t port, struct batch *batch,
                const struct step_time *t, struct op *downstream);
bool opkit_end(struct opkit *kit, struct op *op, const struct step_time *t, struct op *downstream);
/* One value as text; doubles exactly. */
void opkit_value_text(char *to, size_t bytes, const struct mill_type *type,
                      const struct column *column, uint32_t row);

#endif

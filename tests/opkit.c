/* tests/opkit.c - the harness of operator tests. */
#include "tests/opkit.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>

static void *kit_alloc(void *self, void *heap, size_t bytes)
{
    (void)self;
    (void)heap;
    return aligned_alloc(64, ALIGN_UP(bytes, (size_t)64));
}
static void kit_free(void *self, void *heap, void *memory, size_t bytes)
{
    (void)self;
    (void)heap;
    memset(memory, 0xdd, bytes);
    free(memory);
}
static void *kit_heap_open(void *self)
{
    return self;
}
static void kit_heap_close(void *self, void *heap)
{
    (void)self, (void)heap;
}

uint64_t opkit_random(struct opkit *kit)
{
    uint64_t x = kit->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (kit->random = x) * 0x2545f4914f6cdd1du >> 16;
}

static struct batch *kit_take(struct op_context *context, uint32_t columns)
{
    struct opkit *kit = (struct opkit *)((char *)context - offsetof(struct opkit, context));

    if (kit->starve && opkit_random(kit) % 5 == 0)
        return NULL;
    return batch_new(context->heap, context->batch_rows, columns);
}

void opkit_open(struct opkit *kit, uint64_t seed, uint32_t batch_rows)
{
    char why[100];

    memset(kit, 0, sizeof *kit);
    kit->env.alloc = (struct env_alloc){kit_alloc, kit_free, kit_heap_open, kit_heap_close};
    kit->env.self = kit;
    kit->budget.limit = 1ull << 33;
    kit->random = seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
    heap_open(&kit->heap, &kit->env, &kit->budget);
    kit->context = (struct op_context){.heap = &kit->heap,
                                       .kernels = mk_select(getenv("MILL_ISA"), why, sizeof why),
                                       .shard_count = 2, /* so that results carry their order */
                                       .batch_rows = batch_rows,
                                       .seed = seed,
                                       .zone = NULL,
                                       .error = &kit->error,
                                       .turn_work = TURN_WORK,
                                       .take_batch = kit_take};
}

void opkit_close(struct opkit *kit)
{
    heap_close(&kit->heap);
}

/* ---- sink ---- */

static void decimal_text(char *to, size_t bytes, int128 v)
{
    char digits[48];
    int n = 0;
    uint128 u = v < 0 ? -(uint128)v : (uint128)v;

    do
        digits[n++] = (char)('0' + (int)(u % 10));
    while ((u /= 10) != 0);
    if (v < 0)
        digits[n++] = '-';
    for (int i = 0; i < n && (size_t)i + 1 < bytes; i++)
        to[i] = digits[n - 1 - i];
    to[n] = '\0';
}

void opkit_value_text(char *to, size_t bytes, const struct mill_type *type,
                      const struct column *column, uint32_t row)
{
    const uint32_t r = column->constant ? 0 : row;

    if (!column_valid(column, row)) {
        snprintf(to, bytes, "NULL");
        return;
    }
    switch (type_phys(type)) {
    case PHYS_BOOL:
    case PHYS_I8: snprintf(to, bytes, "%d", ((int8_t *)column->values)[r]); break;
    case PHYS_I16: snprintf(to, bytes, "%d", ((int16_t *)column->values)[r]); break;
    case PHYS_I32: snprintf(to, bytes, "%d", ((int32_t *)column->values)[r]); break;
    case PHYS_I64: snprintf(to, bytes, "%lld", (long long)((int64_t *)column->values)[r]); break;
    case PHYS_I128: decimal_text(to, bytes, ((int128 *)column->values)[r]); break;
    case PHYS_F32: snprintf(to, bytes, "%a", (double)((float *)column->values)[r]); break;
    case PHYS_F64: snprintf(to, bytes, "%a", ((double *)column->values)[r]); break;
    default: {
        const struct mill_view *v = (struct mill_view *)column->values + r;

        snprintf(to, bytes, "%.*s", (int)v->length, mill_view_data(v));
    }
    }
}

static void sink_add(struct collector *s, const char *text)
{
    const size_t n = strlen(text);

    if (s->length + n + 1 > s->capacity) {
        s->capacity = (s->length + n + 1) * 2;
        s->text = realloc(s->text, s->capacity);
    }
    memcpy(s->text + s->length, text, n + 1);
    s->length += n;
}

static void sink_order(struct collector *s, const struct batch *batch, uint32_t row)
{
    const struct mill_view *key = &batch->order_keys[row];
    const uint32_t n = min_u32(key->length, sizeof s->last_key);

    if (s->last_step == batch->step + 1 &&
        memcmp(s->last_key, mill_view_data(key), min_u32(n, s->last_key_bytes)) > 0)
        s->disordered = true;
    memcpy(s->last_key, mill_view_data(key), n);
    s->last_key_bytes = n;
    s->last_step = batch->step + 1;
}

static enum op_progress sink_push(struct op *op, uint32_t port, struct batch *batch,
                                  const struct step_time *t)
{
    struct collector *s = (struct collector *)op;
    char text[65536];

    (void)port;
    (void)t;
    CHECK(batch_valid(batch, s->schema));
    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        if (batch->order_keys != NULL)
            sink_order(s, batch, row);
        for (uint32_t c = 0; c < s->schema->field_count; c++) {
            opkit_value_text(text, sizeof text, &s->schema->fields[c].type, &batch->columns[c],
                             row);
            if (c > 0)
                sink_add(s, ",");
            sink_add(s, text);
        }
        sink_add(s, "\n");
        s->rows++;
    }
    batch_release(batch);
    return s->kit->starve && opkit_random(s->kit) % 3 == 0 ? OP_BUSY : OP_READY;
}

static const struct op_vtable sink_vtable = {.name = "sink", .push = sink_push};

struct collector *collector_new(struct opkit *kit, const struct mill_schema *schema)
{
    struct collector *s = calloc(1, sizeof *s);

    s->op = (struct op){.vtable = &sink_vtable, .context = &kit->context};
    s->kit = kit;
    s->schema = schema;
    sink_add(s, "");
    return s;
}

void collector_free(struct collector *s)
{
    free(s->text);
    free(s);
}

/* ---- driving ---- */

enum { CALL_END, CALL_RESUME };

static enum op_progress call(struct opkit *kit, struct op *op, int what, const struct step_time *t)
{
    const uint64_t work = kit->context.work;
    const uint64_t rows = kit->watched != NULL ? kit->watched->rows : 0;
    const enum op_progress p =
        what == CALL_END ? op->vtable->end_step(op, t) : op->vtable->resume(op, t);

    kit->turns++;
    kit->most_work = max_u64(kit->most_work, kit->context.work - work);
    if (kit->watched != NULL)
        kit->most_rows = max_u64(kit->most_rows, kit->watched->rows - rows);
    return p;
}

static bool go_on(struct opkit *kit, struct op *op, enum op_progress p, const struct step_time *t,
                  struct op *downstream)
{
    while (p == OP_BUSY) {
        if (downstream != NULL)
            do
                p = downstream->vtable->resume(downstream, t);
            while (p == OP_BUSY);
        if (p == OP_FAILED)
            return false;
        p = call(kit, op, CALL_RESUME, t);
    }
    return p == OP_READY;
}

bool opkit_push(struct opkit *kit, struct op *op, uint32_t port, struct batch *batch,
                const struct step_time *t, struct op *downstream)
{
    return go_on(kit, op, op->vtable->push(op, port, batch, t), t, downstream);
}

bool opkit_end(struct opkit *kit, struct op *op, const struct step_time *t, struct op *downstream)
{
    return go_on(kit, op, call(kit, op, CALL_END, t), t, downstream);
}

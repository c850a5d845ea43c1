/* core/ops/op_preagg.c - partial window aggregates of one step, in the front.
 *
 * One partial per (key, slice, class), class = first window end that g has not passed: what the owner needs to judge
 * lateness exactly, and how it groups float sums of raw rows too. All leave at the end of the step. Where keys hardly
 * repeat, and with one shard, whole steps pass through as raw rows: the bytes that come out at the end are the same. Which
 * steps do is told by the step's own first rows.
 */
#include "core/ops/op.h"
#include "core/ops/window.h"
#include "kernels/kernels.h"

#define SAMPLE_ROWS 1024u   /* of a step's first batch */
#define SAMPLE_BITS 8192u   /* keys by hash */
#define ROWS_PER_PARTIAL 4u /* with fewer in the sample, partials cost more than they save */

struct preagg {
    struct op op;
    const struct aggregate_node *node;
    struct mill_schema input, output;
    struct arena schema;
    struct windows windows;
    struct agg_set *set;
    uint32_t *key_columns;
    uint32_t key_count;
    struct key_layout keys;
    struct key_batch batch_keys;
    struct slice_list slices;
    struct slice *spare; /* of an earlier step: its memory serves the next */
    uint64_t step_rows;  /* of this step */
    bool passing, ending;
    uint32_t next_slice, next_group;
    struct snapshot_writer image;
    uint16_t rows[BATCH_ROWS_MAX], agg_rows[BATCH_ROWS_MAX];
    int64_t times[BATCH_ROWS_MAX], starts[BATCH_ROWS_MAX];
    struct slice_rows by_slice;
    struct slice *slice_of[BATCH_ROWS_MAX];
    void *states[BATCH_ROWS_MAX];
};

static uint32_t preagg_key_count(const struct aggregate_node *a)
{
    return a->key_count + (a->window.attached ? 1 : 0);
}

static uint32_t preagg_key(const struct aggregate_node *a, uint32_t i)
{
    return i < a->key_count ? a->keys[i] : (uint32_t)a->window.start;
}

bool preagg_schema(struct arena *arena, const struct phys_node *node, struct mill_schema *out)
{
    static const char *const names[] = {"slice", "class", "rows", "state"};
    const struct aggregate_node *a = &node->aggregate;
    const uint32_t keys = preagg_key_count(a);
    struct mill_field *fields = arena_array(arena, struct mill_field, keys + COUNT_OF(names));

    if (fields == NULL)
        return false;
    for (uint32_t i = 0; i < keys; i++)
        fields[i] = node->inputs[0]->schema.fields[preagg_key(a, i)];
    for (uint32_t i = 0; i < COUNT_OF(names); i++)
        fields[keys + i] =
            (struct mill_field){names[i],
                                type_make(i + 1 < COUNT_OF(names) ? MILL_BIGINT : MILL_VARBINARY)};
    *out = (struct mill_schema){keys + (uint32_t)COUNT_OF(names), fields};
    return true;
}

static enum op_progress no_memory(struct preagg *p)
{
    return op_no_memory(&p->op, "it holds the groups of one step: make steps smaller, or");
}

static struct slice *slice_get(struct preagg *p, int64_t class_, int64_t start)
{
    struct slice *slice = slices_find(&p->slices, class_, start);

    if (slice != NULL)
        return slice;
    slice = p->spare;
    p->spare = NULL;
    if (slice != NULL)
        slice_reuse(p->set, slice, class_, start, start + 1);
    else
        slice = slice_new(p->op.heap, &p->keys, agg_state_bytes(p->set), p->op.context->seed,
                          class_, start, start + 1);
    if (slice == NULL || !slices_insert(&p->slices, slice)) {
        slice_free(p->op.heap, p->set, slice);
        return NULL;
    }
    return slice;
}

static uint32_t take_times(struct preagg *p, const struct batch *batch, const struct step_time *t)
{
    const struct window_spec *s = &p->windows.spec;
    const int32_t column = s->attached ? s->end : s->time;
    const struct column *c = column >= 0 ? &batch->columns[column] : NULL;
    const int64_t *values = c != NULL ? c->values : NULL;
    uint32_t n = 0;

    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        p->rows[n] = (uint16_t)row;
        p->times[n] = c == NULL ? t->clock_us : values[c->constant ? 0 : row];
        n += c == NULL || column_valid(c, row);
    }
    p->op.counters.null_time += batch->live - n;
    p->op.counters.filtered += batch->live - n;
    return n;
}

/* Adds positions which[0 .. count) (NULL: 0 .. count-1) of the prepared keys, of rows agg_rows (NULL: the same). */
static bool slice_add(struct preagg *p, struct slice *slice, const struct batch *batch,
                      const uint16_t *agg_rows, const uint16_t *which, uint32_t count)
{
    slice->rows += count;
    if (p->key_count == 0)
        return groups_lookup(p->set, &slice->table, &p->batch_keys, NULL, 1, p->states) &&
               agg_add_one(p->set, p->states[0], batch, agg_rows, count);
    return groups_lookup(p->set, &slice->table, &p->batch_keys, which, count, p->states) &&
           agg_add(p->set, p->states, batch, agg_rows, count);
}

/* The slice of all times from @least to @greatest, if it is one, open for all that was before any row; NULL: sort them. *failed: no memory. */
static struct slice *one_slice(struct preagg *p, const struct batch *batch, int64_t least,
                               int64_t greatest, bool *failed)
{
    struct slice *slice;
    int64_t start;

    if (batch->live == 0)
        return NULL;
    if (batch->behind != NULL && !windows_all_open(&p->windows, least, op_behind(&p->op, batch)))
        return NULL;
    if (!windows_one_slice(&p->windows, least, greatest, &start))
        return NULL;
    slice = slice_get(p, windows_open_end(&p->windows, start, TIME_MIN), start);
    *failed = slice == NULL;
    return slice;
}

/* The common batch: all rows with a time, of one slice. Returns 1: taken, 0: not such a batch, -1: no memory. */
static int add_plain(struct preagg *p, const struct batch *batch)
{
    const struct window_spec *s = &p->windows.spec;
    const struct column *c = s->time >= 0 && !s->attached ? &batch->columns[s->time] : NULL;
    int64_t least, greatest;
    bool failed = false;
    struct slice *slice;

    if (c == NULL || c->constant || c->validity != NULL || batch->live * 8 < batch->rows)
        return 0;
    op_bounds(&p->op, batch, c, &least, &greatest);
    slice = one_slice(p, batch, least, greatest, &failed);
    if (slice == NULL)
        return failed ? -1 : 0;
    return keys_prepare(&p->keys, batch, batch->selection, batch->live, &p->batch_keys) &&
                   slice_add(p, slice, batch, batch->selection, NULL, batch->live)
               ? 1
               : -1;
}

/* Slice of each row in slice_of[]; @least of their times. */
static bool sort_rows(struct preagg *p, const struct batch *batch, uint32_t n, int64_t least)
{
    const bool event_time = p->windows.spec.time >= 0 || p->windows.spec.attached;
    const bool judge = event_time && batch->behind != NULL &&
                       !windows_all_open(&p->windows, least, op_behind(&p->op, batch));
    struct slice *last = NULL;
    int64_t last_start = 0;

    windows_slices(&p->windows, p->op.context->kernels, p->times, n, p->starts);
    for (uint32_t i = 0; i < n; i++) {
        const int64_t start = p->starts[i];
        const int64_t g = judge ? batch->behind[p->rows[i]] : TIME_MIN;
        struct slice *slice = last;

        if (g != TIME_MIN || last == NULL || start != last_start)
            slice = slice_get(p, windows_open_end(&p->windows, start, g), start);
        if (slice == NULL)
            return false;
        last = g == TIME_MIN ? slice : NULL;
        last_start = start;
        p->slice_of[i] = slice;
    }
    return true;
}

/* Hands each slice its rows, in order. */
static bool add_sorted(struct preagg *p, const struct batch *batch, uint32_t n)
{
    struct slice_rows *by = &p->by_slice;

    slice_rows_sort(by, p->slice_of, n);
    for (uint32_t k = 0; k < by->count; k++) {
        const uint16_t *which = by->which + by->begin[k];
        const uint32_t count = by->begin[k + 1] - by->begin[k];

        for (uint32_t i = 0; i < count; i++)
            p->agg_rows[i] = p->rows[which[i]];
        if (!slice_add(p, by->slices[k], batch, p->agg_rows, which, count))
            return false;
    }
    return true;
}

static bool add_rows(struct preagg *p, const struct batch *batch, const struct step_time *t)
{
    const int plain = add_plain(p, batch);
    const uint32_t n = plain == 0 ? take_times(p, batch, t) : 0;
    int64_t least, greatest;
    bool failed = false;
    struct slice *only;

    if (plain != 0)
        return plain > 0;
    if (!keys_prepare(&p->keys, batch, p->rows, n, &p->batch_keys))
        return false;
    if (n == 0)
        return true;
    p->op.context->kernels->bounds_i64(p->times, n, &least, &greatest);
    only = one_slice(p, batch, least, greatest, &failed);
    if (only != NULL || failed)
        return !failed && slice_add(p, only, batch, p->rows, NULL, n);
    return sort_rows(p, batch, n, least) && add_sorted(p, batch, n);
}

/* Whether the step's keys hardly repeat, from the rows of its first batch. Too few rows tell nothing. */
static bool keys_hardly_repeat(struct preagg *p, const struct batch *batch)
{
    uint64_t bits[SAMPLE_BITS / 64] = {0};
    const uint32_t n = min_u32(batch->live, SAMPLE_ROWS);
    uint32_t distinct = 0;

    if (p->key_count == 0 || n < SAMPLE_ROWS / 16)
        return false;
    for (uint32_t i = 0; i < n; i++)
        p->rows[i] = (uint16_t)batch_row(batch, i);
    if (!keys_prepare(&p->keys, batch, p->rows, n, &p->batch_keys))
        return true;
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t h = mk_hash_word(p->batch_keys.words[i], 0) >> 51;

        distinct += (bits[h >> 6] >> (h & 63) & 1) == 0;
        bits[h >> 6] |= 1ull << (h & 63);
    }
    return distinct * ROWS_PER_PARTIAL > n;
}

static enum op_progress preagg_push(struct op *op, uint32_t port, struct batch *batch,
                                    const struct step_time *t)
{
    struct preagg *p = (struct preagg *)op;
    enum op_progress progress = OP_READY;

    (void)port;
    op->counters.in += batch->live;
    if (p->step_rows == 0 && batch->live > 0)
        p->passing =
            !p->node->always && (p->op.context->shard_count == 1 || keys_hardly_repeat(p, batch));
    p->step_rows += batch->live;
    if (p->passing) {
        op->counters.out += batch->live;
        return op_emit_late(op, batch, t);
    }
    if (!add_rows(p, batch, t))
        progress = no_memory(p);
    batch_release(batch);
    return progress;
}

/* ---- end of the step ---- */

static bool put_state(struct preagg *p, struct batch *out, struct slice *slice, uint32_t id,
                      uint32_t row)
{
    const uint32_t k = p->key_count;
    struct mill_view *state = (struct mill_view *)out->columns[k + 3].values + row;
    const char *bytes;
    uint32_t length;

    for (uint32_t i = 0; i < k; i++)
        if (!table_key_value(&slice->table, id, i, out, &out->columns[i], row))
            return false;
    ((int64_t *)out->columns[k].values)[row] = slice->start;
    ((int64_t *)out->columns[k + 1].values)[row] = slice->class_;
    /* the rows of the slice stand at its first group: only their sum counts */
    ((int64_t *)out->columns[k + 2].values)[row] = id == 0 ? (int64_t)slice->rows : 0;
    bytes = agg_pack(p->set, table_state(&slice->table, id), &p->image, &length);
    if (bytes == NULL)
        return false;
    *state = batch_view(out, bytes, length);
    return state->length != UINT32_MAX;
}

/* Partials come when the step has no more rows: whoever has passed up to one has passed all rows. */
#define PARTIAL_PLACES (UINT32_MAX - BATCH_ROWS_MAX)

static enum op_progress send_partials(struct preagg *p, const struct step_time *t)
{
    struct op_context *context = p->op.context;

    while (p->next_slice < p->slices.count) {
        struct slice *slice = p->slices.items[p->next_slice];
        const uint32_t count = min_u32(slice->table.groups - p->next_group, context->batch_rows);
        struct batch *out = context->take_batch(context, p->output.field_count);
        enum op_progress progress;

        if (out == NULL)
            return context->error->code != 0 ? OP_FAILED : OP_BUSY;
        bool ok = batch_own_columns(out, &p->output);

        for (uint32_t i = 0; ok && i < count; i++)
            ok = put_state(p, out, slice, p->next_group + i, i);
        if (!ok) {
            batch_release(out);
            return no_memory(p);
        }
        out->step = t->step;
        out->split = t->split;
        out->rows = out->live = count;
        out->place_base = PARTIAL_PLACES;
        p->next_group += count;
        if (p->next_group == slice->table.groups) {
            p->next_slice++;
            p->next_group = 0;
        }
        progress = op_emit(&p->op, out, t);
        if (progress != OP_READY)
            return progress;
    }
    return OP_READY;
}

/* Of the step's slices the last keeps its memory, unless that is far too large for what was in it. */
static void drop_slices(struct preagg *p)
{
    for (uint32_t i = p->slices.count; i-- > 0;) {
        struct slice *slice = p->slices.items[i];

        if (p->spare == NULL && table_is_filled(&slice->table))
            p->spare = slice;
        else
            slice_free(p->op.heap, p->set, slice);
    }
    if (p->slices.count > 0)
        slices_remove(&p->slices, 0, p->slices.count);
}

static enum op_progress preagg_go_on(struct op *op, const struct step_time *t)
{
    struct preagg *p = (struct preagg *)op;
    enum op_progress progress;

    if (!p->ending)
        return OP_READY;
    progress = send_partials(p, t);
    if (progress != OP_READY)
        return progress;
    op->counters.consumed = op->counters.in - op->counters.filtered;
    drop_slices(p);
    p->step_rows = 0;
    p->ending = p->passing = false;
    return OP_READY;
}

static enum op_progress preagg_end_step(struct op *op, const struct step_time *t)
{
    struct preagg *p = (struct preagg *)op;

    p->ending = true;
    p->next_slice = p->next_group = 0;
    return preagg_go_on(op, t);
}

static void preagg_inspect(const struct op *op, uint32_t sample, struct op_state *state)
{
    const struct preagg *p = (const struct preagg *)op;

    for (uint32_t i = 0; i < p->slices.count; i++)
        table_inspect(&p->slices.items[i]->table, sample, &state->tables);
    state->table_count += p->slices.count;
}

static void preagg_close(struct op *op)
{
    struct preagg *p = (struct preagg *)op;
    struct heap *heap = op->heap;

    if (p->set != NULL) {
        slice_free(heap, p->set, p->spare);
        slices_close(&p->slices, p->set);
        agg_set_free(p->set);
    }
    snapshot_writer_close(&p->image);
    key_layout_close(&p->keys);
    key_batch_close(&p->batch_keys);
    if (p->key_columns != NULL)
        heap_free(heap, p->key_columns, (p->key_count + 1) * sizeof *p->key_columns);
    arena_close(&p->schema);
    heap_free(heap, p, sizeof *p);
}

static const struct op_vtable preagg_vtable = {.name = "partial aggregate",
                                               .push = preagg_push,
                                               .end_step = preagg_end_step,
                                               .resume = preagg_go_on,
                                               .inspect = preagg_inspect,
                                               .close = preagg_close};

struct op *op_preagg_new(struct op_context *context, const struct phys_node *node)
{
    struct preagg *p = heap_zalloc(context->heap, sizeof *p);
    const struct aggregate_node *a = &node->aggregate;

    if (p == NULL)
        goto fail;
    p->op = (struct op){.vtable = &preagg_vtable,
                        .context = context,
                        .heap = context->heap,
                        .id = node->id};
    p->node = a;
    p->input = node->inputs[0]->schema;
    p->slices.heap = p->image.heap = context->heap;
    arena_open(&p->schema, context->heap);
    windows_init(&p->windows, a, context->zone);
    p->key_count = preagg_key_count(a);
    p->key_columns = heap_zalloc(context->heap, (p->key_count + 1) * sizeof *p->key_columns);
    p->set = agg_set_new(context->heap, context->kernels, a->aggs, a->agg_count, a->key_count == 0);
    if (p->key_columns == NULL || p->set == NULL || !preagg_schema(&p->schema, node, &p->output))
        goto fail;
    for (uint32_t i = 0; i < p->key_count; i++)
        p->key_columns[i] = preagg_key(a, i);
    if (!key_layout_open(&p->keys, context->heap, &p->input, p->key_columns, p->key_count) ||
        !key_batch_open(&p->batch_keys, context->heap))
        goto fail;
    p->keys.kernels = context->kernels;
    return &p->op;
fail:
    mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for partial aggregates");
    if (p != NULL)
        preagg_close(&p->op);
    return NULL;
}

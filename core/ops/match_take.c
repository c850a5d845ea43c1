/* core/ops/match_take.c - rows into a MATCH_RECOGNIZE: late ones, waiting ones, and those whose time has come, in order.
 *
 * Rows of one time stand as the rest of ORDER BY says, then by place. A row's key is that rest, encoded so that bytes
 * compare as the rows do, behind its length, then what tells rows of firings apart.
 */
#include "core/ops/agg_impl.h"
#include "core/ops/match_impl.h"

#include <stdlib.h>

/* ---- rows in ---- */

static uint32_t judge_rows(struct match_op *m, const struct batch *batch, const struct step_time *t,
                           uint16_t *rows, int64_t *times)
{
    const int32_t at = m->node->time;
    const struct column *column = at >= 0 ? &batch->columns[at] : NULL;
    uint32_t n = 0;

    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        if (column != NULL && !column_valid(column, row)) {
            m->op.counters.filtered++;
            m->op.counters.null_time++;
            continue;
        }
        times[n] = column == NULL ? t->clock_us
                                  : ((const int64_t *)column->values)[column->constant ? 0 : row];
        if (column != NULL && times[n] <= row_watermark(t, batch, row))
            m->op.counters.late++;
        else
            rows[n++] = (uint16_t)row;
    }
    return n;
}

enum op_progress match_push(struct op *op, uint32_t port, struct batch *batch,
                            const struct step_time *t)
{
    struct match_op *m = (struct match_op *)op;
    uint16_t rows[BATCH_ROWS_MAX];
    int64_t times[BATCH_ROWS_MAX];
    enum op_progress p = OP_READY;
    uint32_t n;

    (void)port;
    CHECK(!m->ending);
    op->counters.in += batch->live;
    n = judge_rows(m, batch, t, rows, times);
    op->counters.held += n;
    if (!order_push(&m->order, batch, rows, times, n))
        p = match_no_memory(m);
    batch_release(batch);
    return p;
}

/* ---- keys of rows of one time ---- */

static size_t rest_bound(const struct match_op *m, const struct order_ref *ref)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < m->node->order_count; i++) {
        const uint32_t at = m->node->orders[i].column;
        const struct column *c = &ref->block->rows->columns[at];

        bytes += 18;
        if (type_phys(&m->input.fields[at].type) == PHYS_VIEW && column_valid(c, ref->row))
            bytes += 2 * (size_t)((const struct mill_view *)c->values)[ref->row].length;
    }
    return bytes;
}

/* Orders as the number: -0.0 is 0.0, all NaN are one. */
static int64_t real_key(double v)
{
    return agg_order_f64(v == 0 ? 0.0 : v);
}

/* One value, ascending; returns behind it. */
static char *put_ascending(char *to, const struct column *c, enum phys phys, uint32_t row)
{
    const struct mill_view *v;
    int128 big;

    switch (phys) {
    case PHYS_BOOL: return to + key_put_i64(to, ((const uint8_t *)c->values)[row]);
    case PHYS_I8: return to + key_put_i64(to, ((const int8_t *)c->values)[row]);
    case PHYS_I16: return to + key_put_i64(to, ((const int16_t *)c->values)[row]);
    case PHYS_I32: return to + key_put_i64(to, ((const int32_t *)c->values)[row]);
    case PHYS_I64: return to + key_put_i64(to, ((const int64_t *)c->values)[row]);
    case PHYS_F32: return to + key_put_i64(to, real_key(((const float *)c->values)[row]));
    case PHYS_F64: return to + key_put_i64(to, real_key(((const double *)c->values)[row]));
    case PHYS_I128:
        big = ((const int128 *)c->values)[row];
        to += key_put_i64(to, (int64_t)(big >> 64));
        return to + key_put_i64(to, (int64_t)((uint64_t)big ^ 1ull << 63));
    default: break;
    }
    v = &((const struct mill_view *)c->values)[row];
    for (uint32_t i = 0; i < v->length; i++) {
        *to++ = mill_view_data(v)[i];
        if (mill_view_data(v)[i] == 0)
            *to++ = (char)0xff;
    }
    *to++ = 0;
    *to++ = 0;
    return to;
}

static char *put_rest(const struct match_op *m, const struct order_ref *ref, char *to)
{
    for (uint32_t i = 0; i < m->node->order_count; i++) {
        const struct match_order *o = &m->node->orders[i];
        const struct column *c = &ref->block->rows->columns[o->column];
        char *from;

        if (!column_valid(c, ref->row)) {
            *to++ = o->nulls_last ? 2 : 0;
            continue;
        }
        *to++ = 1;
        from = to;
        to = put_ascending(to, c, type_phys(&m->input.fields[o->column].type), ref->row);
        for (; o->descending && from < to; from++)
            *from = (char)~*from;
    }
    return to;
}

/* The key of a row in @arena: length of the rest, the rest, its order key. Length 0: it needs none; UINT32_MAX: no memory. */
static struct match_key row_key(const struct match_op *m, const struct order_ref *ref,
                                struct arena *arena)
{
    const struct batch *rows = ref->block->rows;
    const struct mill_view *of =
        m->emitter.keyed && rows->order_keys != NULL ? &rows->order_keys[ref->row] : NULL;
    const uint32_t length = of != NULL ? of->length : 0;
    uint32_t rest;
    char *key, *end;

    if (m->node->order_count == 0 && length == 0)
        return (struct match_key){NULL, 0};
    key = arena_alloc(arena, 4 + rest_bound(m, ref) + length);
    if (key == NULL)
        return (struct match_key){NULL, UINT32_MAX};
    end = put_rest(m, ref, key + 4);
    rest = (uint32_t)(end - key) - 4;
    memcpy(key, &rest, 4);
    if (length > 0)
        memcpy(end, mill_view_data(of), length);
    return (struct match_key){key, 4 + rest + length};
}

static int by_rest(const void *a, const void *b)
{
    const struct match_same *x = a, *y = b;
    uint32_t n, k;
    int c;

    memcpy(&n, x->key.bytes, 4);
    memcpy(&k, y->key.bytes, 4);
    c = memcmp(x->key.bytes + 4, y->key.bytes + 4, min_u32(n, k));
    if (c != 0 || n != k)
        return c != 0 ? c : n < k ? -1 : 1;
    return x->ref.arrival < y->ref.arrival ? -1 : 1;
}

static bool same_add(struct match_op *m, const struct order_ref *ref)
{
    struct match_same *s;

    if (m->same_count == m->same_room) {
        const uint32_t room = m->same_room == 0 ? 64 : m->same_room * 2;
        struct match_same *same =
            heap_grow(m->op.heap, m->same, m->same_room * sizeof *same, room * sizeof *same);

        if (same == NULL)
            return false;
        m->same = same;
        m->same_room = room;
    }
    s = &m->same[m->same_count++];
    *s = (struct match_same){*ref, row_key(m, ref, &m->same_bytes)};
    return s->key.length != UINT32_MAX;
}

/* All rows of the next time up to @w. */
static bool same_load(struct match_op *m, int64_t w)
{
    struct order_ref ref = m->beyond;

    m->same_count = m->same_next = 0;
    arena_reset(&m->same_bytes);
    if (ref.block == NULL && !order_next(&m->order, w, &ref))
        return true;
    m->beyond.block = NULL;
    do {
        if (m->same_count > 0 && ref.time != m->same[0].ref.time) {
            m->beyond = ref;
            break;
        }
        if (!same_add(m, &ref))
            return false;
    } while (order_next(&m->order, w, &ref));
    if (m->same_count > 1)
        qsort(m->same, m->same_count, sizeof *m->same, by_rest);
    return true;
}

/* ---- taking rows in order ---- */

void match_drop_chunk(struct match_op *m)
{
    for (uint32_t i = 0; i < m->chunk_count; i++)
        order_drop(&m->order, m->chunk[i].block);
    m->chunk_count = m->chunk_next = 0;
    arena_reset(&m->chunk_bytes);
}

/* 1: a row, 0: none, -1: no memory. */
static int next_ref(struct match_op *m, int64_t w, struct order_ref *ref)
{
    if (m->ahead.block != NULL) {
        *ref = m->ahead;
        m->ahead.block = NULL;
        return 1;
    }
    if (m->node->order_count == 0)
        return order_next(&m->order, w, ref);
    if (m->same_next == m->same_count && !same_load(m, w))
        return -1;
    if (m->same_next == m->same_count)
        return 0;
    *ref = m->same[m->same_next++].ref;
    return 1;
}

static bool fill_records(struct match_op *m, const uint16_t *rows)
{
    match_rows_put(m, m->chunk[0].block->rows, rows, m->chunk_count, m->records);
    for (uint32_t i = 0; i < m->chunk_count; i++) {
        struct match_row *row =
            (struct match_row *)(void *)(m->records + (size_t)i * m->layout.bytes);
        const struct order_ref *ref = &m->chunk[i];
        const struct match_key key = row_key(m, ref, &m->chunk_bytes);

        if (key.length == UINT32_MAX)
            return false;
        row->time = ref->time;
        row->step = ref->step;
        row->place = min_u32(batch_place(ref->block->rows, ref->row), FIRED_PLACES);
        if (key.length > 0) {
            row->key = key.bytes;
            row->key_bytes = key.length;
        }
    }
    return true;
}

bool match_take_chunk(struct match_op *m, int64_t w)
{
    const uint32_t before = m->table.groups;
    struct order_ref ref;
    uint16_t rows[MATCH_CHUNK];
    bool found;
    int got = 1;

    match_drop_chunk(m);
    while (m->chunk_count < MATCH_CHUNK && (got = next_ref(m, w, &ref)) > 0) {
        if (m->chunk_count > 0 && ref.block != m->chunk[0].block) {
            m->ahead = ref;
            break;
        }
        rows[m->chunk_count] = (uint16_t)ref.row;
        m->chunk[m->chunk_count++] = ref;
    }
    if (got < 0)
        return false;
    if (m->chunk_count == 0)
        return true;
    if (!fill_records(m, rows))
        return false;
    if (m->keys.count == 0) {
        found = m->table.groups > 0 || table_single(&m->table);
        for (uint32_t i = 0; found && i < m->chunk_count; i++)
            m->found[i] = table_state(&m->table, 0);
    } else {
        found =
            keys_prepare(&m->keys, m->chunk[0].block->rows, rows, m->chunk_count, &m->batch_keys) &&
            table_lookup(&m->table, &m->batch_keys, NULL, m->chunk_count, m->found);
    }
    for (uint32_t id = before; found && id < m->table.groups; id++)
        found = match_partition_new(m, id);
    if (!found) /* nothing points to those that are not made */
        m->table.groups = before;
    for (uint32_t i = 0; found && i < m->chunk_count; i++)
        m->found[i] = *(struct match_partition **)m->found[i];
    return found;
}

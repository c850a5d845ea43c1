/* core/ops/over_frames.c - OVER: the frames of a key, and what is computed of the rows in them. */
#include "core/ops/over_impl.h"

static const uint64_t no_bits;

/* ---- states of a key ---- */

void over_states_open(struct over_op *o, struct over_key *key)
{
    *key = (struct over_key){0};
    chain_open(&key->rows);
    for (uint32_t f = 0; f < o->node->frame_count; f++) {
        *over_slide_of(key, f) = (struct over_slide){.start = ROW_NONE};
        for (uint32_t w = 0; w < OVER_WAYS; w++)
            if (o->frames[f].sets[w] != NULL)
                agg_init(o->frames[f].sets[w], over_state(o, key, f, w));
    }
}

static void front_drop(struct over_slide *s, struct agg_set *set, uint32_t count)
{
    const uint32_t bytes = agg_state_bytes(set);

    for (; count > 0; count--, s->front_next++)
        if (!agg_is_flat(set))
            agg_close(set, s->front + (size_t)s->front_next * bytes);
}

void over_states_close(struct over_op *o, struct over_key *key)
{
    for (uint32_t f = 0; f < o->node->frame_count; f++) {
        struct over_slide *s = over_slide_of(key, f);
        struct agg_set *merges = o->frames[f].sets[OVER_MERGES];

        for (uint32_t w = 0; w < OVER_WAYS; w++)
            if (o->frames[f].sets[w] != NULL)
                agg_close(o->frames[f].sets[w], over_state(o, key, f, w));
        if (merges == NULL)
            continue;
        front_drop(s, merges, s->front_count - s->front_next);
        heap_free(o->op.heap, s->front, (size_t)s->front_room * agg_state_bytes(merges));
    }
}

/* ---- rows ---- */

/* @o->view shows @batch, row @row of it with its number. */
void over_show(struct over_op *o, const struct batch *batch, uint32_t row, uint64_t number)
{
    if (o->viewed != batch) {
        o->view = *batch;
        o->view.place = o->places;
        o->viewed = batch;
    }
    o->view.step = number >> 32;
    o->places[row] = (uint32_t)number;
}

static void show_stored(struct over_op *o, uint32_t id)
{
    for (uint32_t k = 0; k < o->node->kept_count; k++) {
        struct column *c = &o->stored.columns[o->node->kept[k]];

        c->values = (void *)(uintptr_t)rows_value(&o->rows, id, k);
        c->validity = rows_value_valid(&o->rows, id, k) ? NULL : (uint64_t *)(uintptr_t)&no_bits;
        c->constant = true;
    }
    o->stored.step = *rows_step(&o->rows, id);
    o->stored_place = *rows_place(&o->rows, id);
}

static bool add_stored(struct over_op *o, struct agg_set *set, void *state, uint32_t id)
{
    static const uint16_t first = 0;

    show_stored(o, id);
    return agg_add_one(set, state, &o->stored, &first, 1);
}

/* ---- frames ---- */

/* The ids of the frame's rows, first one first. */
static bool frame_ids(struct over_op *o, const struct over_slide *s)
{
    uint32_t id = s->start;

    if (s->count > o->ids_room) {
        const uint32_t room = max_u32(s->count, 2 * o->ids_room);

        heap_free(o->op.heap, o->ids, o->ids_room * sizeof *o->ids);
        o->ids = heap_alloc(o->op.heap, room * sizeof *o->ids);
        o->ids_room = o->ids != NULL ? room : 0;
        if (o->ids == NULL)
            return false;
    }
    for (uint32_t i = 0; i < s->count; i++, id = *rows_next(&o->rows, id))
        o->ids[i] = id;
    return true;
}

/* The first @count rows of the frame become its front. */
static bool make_front(struct over_op *o, struct over_slide *s, struct agg_set *set, uint32_t count)
{
    const size_t bytes = agg_state_bytes(set);

    if (count > s->front_room) {
        const uint32_t room = max_u32(count, 2 * s->front_room);

        heap_free(o->op.heap, s->front, s->front_room * bytes);
        s->front = heap_alloc(o->op.heap, room * bytes);
        s->front_room = s->front != NULL ? room : 0;
        if (s->front == NULL)
            return false;
    }
    for (uint32_t i = count; i-- > 0;) {
        char *state = s->front + i * bytes;

        agg_init(set, state);
        if (!add_stored(o, set, state, o->ids[i]) ||
            (i + 1 < count && !agg_merge(set, state, state + bytes)))
            return false;
    }
    s->front_next = 0;
    s->front_count = count;
    return true;
}

static bool turn_stacks(struct over_op *o, struct over_key *key, uint32_t f)
{
    struct over_slide *s = over_slide_of(key, f);
    struct agg_set *set = o->frames[f].sets[OVER_MERGES];
    void *back = over_state(o, key, f, OVER_MERGES);

    if (!frame_ids(o, s) || !make_front(o, s, set, s->count))
        return false;
    agg_close(set, back);
    agg_init(set, back);
    return true;
}

/* The row comes into the frame. */
bool over_frame_add(struct over_op *o, struct over_key *key, uint32_t f, const struct over_entry *e)
{
    struct over_slide *s = over_slide_of(key, f);
    const uint16_t row = (uint16_t)e->ref.row;

    for (uint32_t w = 0; w < OVER_AGAIN; w++)
        if (o->frames[f].sets[w] != NULL &&
            !agg_add_one(o->frames[f].sets[w], over_state(o, key, f, w), &o->view, &row, 1))
            return false;
    if (o->frames[f].spec->bounded && s->count++ == 0)
        s->start = e->id;
    return true;
}

/* The frame's first row leaves it. */
static bool frame_drop(struct over_op *o, struct over_key *key, uint32_t f)
{
    const struct run_frame *frame = &o->frames[f];
    struct over_slide *s = over_slide_of(key, f);
    bool ok = true;

    if (frame->sets[OVER_RETRACTS] != NULL) {
        show_stored(o, s->start);
        ok = agg_retract(frame->sets[OVER_RETRACTS], over_state(o, key, f, OVER_RETRACTS),
                         &o->stored, 0);
    }
    if (ok && frame->sets[OVER_MERGES] != NULL) {
        if (s->front_next == s->front_count)
            ok = turn_stacks(o, key, f);
        if (ok)
            front_drop(s, frame->sets[OVER_MERGES], 1);
    }
    s->start = *rows_next(&o->rows, s->start);
    s->count--;
    return ok;
}

/* Rows that are before the frame of a row of @time leave it. */
bool over_frame_pass(struct over_op *o, struct over_key *key, uint32_t f, int64_t time)
{
    const struct over_frame *spec = o->frames[f].spec;
    const struct over_slide *s = over_slide_of(key, f);
    bool ok = true;

    if (!spec->range)
        while (ok && s->count > 0 && s->count - 1 > (uint64_t)spec->preceding)
            ok = frame_drop(o, key, f);
    else
        while (ok && s->count > 0 &&
               *rows_time(&o->rows, s->start) < time_add(time, -spec->preceding))
            ok = frame_drop(o, key, f);
    return ok;
}

/* Rows that no frame holds go. */
void over_trim(struct over_op *o, struct over_key *key)
{
    uint32_t most = 0;

    for (uint32_t f = 0; f < o->node->frame_count; f++)
        most = max_u32(most, over_slide_of(key, f)->count);
    while (key->rows.count > most) {
        const uint32_t id = chain_take(&o->rows, &key->rows, ROW_NONE);

        rows_free(&o->rows, &id, 1);
    }
}

static bool merged_values(struct over_op *o, struct over_key *key, uint32_t f, struct column *out,
                          uint32_t row)
{
    const struct over_slide *s = over_slide_of(key, f);
    struct agg_set *set = o->frames[f].sets[OVER_MERGES];
    const void *back = over_state(o, key, f, OVER_MERGES);
    bool ok;

    if (s->front_next == s->front_count)
        return agg_values(set, back, o->emit.out, out, row);
    agg_init(set, o->scratch);
    ok = agg_merge(set, o->scratch, s->front + (size_t)s->front_next * agg_state_bytes(set)) &&
         agg_merge(set, o->scratch, back) && agg_values(set, o->scratch, o->emit.out, out, row);
    agg_close(set, o->scratch);
    return ok;
}

static bool values_again(struct over_op *o, struct over_key *key, uint32_t f, struct column *out,
                         uint32_t row)
{
    const struct over_slide *s = over_slide_of(key, f);
    struct agg_set *set = o->frames[f].sets[OVER_AGAIN];
    bool ok = true;

    agg_init(set, o->scratch);
    for (uint32_t i = 0, id = s->start; ok && i < s->count; i++, id = *rows_next(&o->rows, id))
        ok = add_stored(o, set, o->scratch, id);
    ok = ok && agg_values(set, o->scratch, o->emit.out, out, row);
    agg_close(set, o->scratch);
    return ok;
}

bool over_frame_values(struct over_op *o, struct over_key *key, uint32_t f, uint32_t row)
{
    const struct run_frame *frame = &o->frames[f];
    struct column *columns = o->emit.out->columns;

    for (uint32_t w = 0; w < OVER_MERGES; w++)
        if (frame->sets[w] != NULL &&
            !agg_values(frame->sets[w], over_state(o, key, f, w), o->emit.out,
                        columns + frame->spec->first[w], row))
            return false;
    return (frame->sets[OVER_MERGES] == NULL ||
            merged_values(o, key, f, columns + frame->spec->first[OVER_MERGES], row)) &&
           (frame->sets[OVER_AGAIN] == NULL ||
            values_again(o, key, f, columns + frame->spec->first[OVER_AGAIN], row));
}

/* ---- numbers, values some rows back ---- */

void over_count_row(struct over_key *key, int64_t time)
{
    if (key->number++ == 0 || time != key->last_time) {
        key->rank = key->number;
        key->dense++;
    }
    key->last_time = time;
}

static uint32_t kept_index(const struct over_op *o, uint32_t column)
{
    uint32_t k = 0;

    while (o->node->kept[k] != column)
        k++;
    return k;
}

bool over_put_call(struct over_op *o, struct over_key *key, const struct over_call *call,
                   const struct batch *from, uint32_t from_row, uint32_t row)
{
    struct batch *out = o->emit.out;
    struct column *into = &out->columns[call->out];
    const struct over_slide *s =
        call->frame >= 0 ? over_slide_of(key, (uint32_t)call->frame) : NULL;

    switch (call->function) {
    case OVER_ROW_NUMBER: ((int64_t *)into->values)[row] = key->number; return true;
    case OVER_RANK: ((int64_t *)into->values)[row] = key->rank; return true;
    case OVER_DENSE_RANK: ((int64_t *)into->values)[row] = key->dense; return true;
    default: break;
    }
    if (s == NULL)
        return column_put(out, into, row, &from->columns[call->arg], from_row, &call->type);
    if (s->count > o->frames[call->frame].spec->preceding)
        return rows_gather(&o->rows, &s->start, 1, kept_index(o, call->arg), out, into, row);
    if (call->fallback >= 0)
        return column_put(out, into, row, &from->columns[call->fallback], from_row, &call->type);
    return column_put_null(out, into, row);
}

/* ---- snapshots ---- */

void over_slide_snapshot(const struct over_op *o, struct over_key *key, uint32_t f,
                         struct snapshot_writer *to)
{
    const struct over_slide *s = over_slide_of(key, f);

    snapshot_u32(to, s->count);
    snapshot_u32(to, s->front_count - s->front_next);
    for (uint32_t w = 0; w < OVER_MERGES; w++)
        if (o->frames[f].sets[w] != NULL)
            agg_snapshot(o->frames[f].sets[w], over_state(o, key, f, w), to);
}

/* The frame is a tail of the key's rows; its stacks are made from them again. */
bool over_slide_restore(struct over_op *o, struct over_key *key, uint32_t f,
                        struct snapshot_reader *from)
{
    struct over_slide *s = over_slide_of(key, f);
    struct agg_set *merges = o->frames[f].sets[OVER_MERGES];
    uint32_t count = snapshot_get_u32(from), front = snapshot_get_u32(from);

    for (uint32_t w = 0; w < OVER_MERGES; w++)
        if (o->frames[f].sets[w] != NULL &&
            !agg_restore(o->frames[f].sets[w], over_state(o, key, f, w), from))
            return false;
    if (count > key->rows.count || front > count || from->failed)
        return false;
    s->start = count > 0 ? key->rows.head : ROW_NONE;
    for (uint32_t i = key->rows.count; i > count && count > 0; i--)
        s->start = *rows_next(&o->rows, s->start);
    s->count = count;
    if (merges == NULL)
        return true;
    if (!frame_ids(o, s) || !make_front(o, s, merges, front))
        return false;
    for (uint32_t i = front; i < count; i++)
        if (!add_stored(o, merges, over_state(o, key, f, OVER_MERGES), o->ids[i]))
            return false;
    return true;
}

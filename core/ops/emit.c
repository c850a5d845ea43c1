/* core/ops/emit.c - result batches: who comes before whom. */
#include "core/ops/emit.h"

#include "core/plan/physical.h"

enum { CAUSED = 0, RELEASED = 1 };

void emit_open(struct emitter *e, struct op *op, const struct phys_node *node)
{
    *e = (struct emitter){.op = op, .node = node, .keyed = op->context->shard_count > 1};
}

void emit_close(struct emitter *e)
{
    batch_release(e->out);
    heap_free(e->op->heap, e->key, e->key_room);
    e->out = NULL;
    e->key = NULL;
    e->key_room = 0;
}

static int32_t no_memory(struct emitter *e)
{
    mill_fail(e->op->context->error, MILL_E_MEMORY, 0, 0, "no memory for results of %s",
              e->op->vtable->name);
    return -1;
}

static uint32_t put_u32(char *to, uint32_t value)
{
    const uint32_t be = __builtin_bswap32(value);

    memcpy(to, &be, 4);
    return 4;
}

static char *key_room(struct emitter *e, size_t bytes)
{
    if (bytes > e->key_room) {
        heap_free(e->op->heap, e->key, e->key_room);
        e->key_room = ALIGN_UP(bytes, 256);
        e->key = heap_alloc(e->op->heap, e->key_room);
        if (e->key == NULL)
            e->key_room = 0;
    }
    return e->key;
}

/* ---- the batch being filled ---- */

static bool begin(struct emitter *e, uint8_t class_, uint32_t origin, uint64_t step, uint32_t split)
{
    struct op_context *context = e->op->context;
    struct batch *out = context->take_batch(context, e->node->schema.field_count);

    if (out == NULL)
        return false;
    out->class_ = class_;
    out->origin = origin;
    out->step = step;
    out->split = split;
    e->out = out;
    if (!batch_own_columns(out, &e->node->schema))
        return false;
    out->place = arena_alloc(&out->bytes, out->capacity * sizeof *out->place);
    if (e->keyed)
        out->order_keys = arena_alloc(&out->bytes, out->capacity * sizeof *out->order_keys);
    return out->place != NULL && (!e->keyed || out->order_keys != NULL) &&
           (!e->node->updating || batch_own_kinds(out));
}

static int32_t add(struct emitter *e, int8_t kind, uint32_t place, const char *key, size_t bytes)
{
    struct batch *out = e->out;
    const uint32_t row = out->rows;

    CHECK(row < out->capacity);
    out->place[row] = place;
    if (e->keyed) {
        out->order_keys[row] = batch_view(out, key, (uint32_t)bytes);
        if (out->order_keys[row].length == UINT32_MAX)
            return no_memory(e);
    }
    if (out->row_kinds != NULL)
        out->row_kinds[row] = kind;
    else
        CHECK(kind == ROW_INSERT);
    out->live = ++out->rows;
    return (int32_t)row;
}

/* A result is judged by the watermark just before its cause. */
static bool put_behind(struct emitter *e, uint32_t row)
{
    const struct batch *in = e->cause;
    struct batch *out = e->out;

    if (in->behind != NULL && out->behind == NULL) {
        out->behind = arena_alloc(&out->bytes, out->capacity * sizeof *out->behind);
        if (out->behind == NULL)
            return false;
        for (uint32_t i = 0; i < out->rows; i++)
            out->behind[i] = TIME_MIN;
    }
    if (out->behind != NULL)
        out->behind[out->rows] = in->behind != NULL ? in->behind[row] : TIME_MIN;
    return true;
}

enum op_progress emit_flush(struct emitter *e, const struct step_time *t)
{
    struct batch *out = e->out;

    if (out == NULL)
        return OP_READY;
    e->out = NULL;
    return op_emit(e->op, out, t);
}

/* ---- caused by a row ---- */

static uint32_t origin_of(const struct emitter *e, const struct batch *in, uint32_t port)
{
    if (in->class_ != CLASS_ROWS)
        return e->op->id;
    return in->origin + (e->node->port_origins != NULL ? e->node->port_origins[port] : 0);
}

enum op_progress emit_cause(struct emitter *e, const struct batch *in, uint32_t port,
                            const struct step_time *t)
{
    enum op_progress p = OP_READY;

    if (e->out != NULL &&
        (e->out->class_ != in->class_ || e->out->origin != origin_of(e, in, port)))
        p = emit_flush(e, t);
    e->cause = in;
    e->port = port;
    e->last_row = UINT32_MAX;
    return p;
}

int32_t emit_row(struct emitter *e, uint32_t row, int8_t kind)
{
    const struct batch *in = e->cause;
    const uint32_t origin = origin_of(e, in, e->port);
    size_t n = 0;
    char *key = NULL;

    if (e->out == NULL && !begin(e, in->class_, origin, in->step, in->split))
        return no_memory(e);
    e->number = e->last_row == row ? e->number + 1 : 0;
    e->last_row = row;
    if (e->keyed) {
        const struct mill_view *of = in->order_keys != NULL ? &in->order_keys[row] : NULL;
        const uint32_t length = of != NULL ? of->length : 0;

        key = key_room(e, length + 16u);
        if (key == NULL)
            return no_memory(e);
        if (in->class_ != CLASS_ROWS) {
            key[n++] = CAUSED;
            key[n++] = (char)e->port;
            n += put_u32(key + n, in->origin);
        } else {
            n += put_u32(key + n, origin);
        }
        if (length > 0)
            memcpy(key + n, mill_view_data(of), length);
        n += length;
        n += put_u32(key + n, e->number);
    }
    if (!put_behind(e, row))
        return no_memory(e);
    return add(e, kind, batch_place(in, row), key, n);
}

void emit_undo(struct emitter *e, uint32_t count)
{
    CHECK(e->out != NULL && e->out->rows >= count);
    e->out->rows -= count;
    e->out->live = e->out->rows;
    e->number = e->number + 1 > count ? e->number - count : 0;
    if (e->number == 0)
        e->last_row = UINT32_MAX;
}

/* ---- released ---- */

int32_t emit_fired(struct emitter *e, const struct step_time *t, const struct mill_view *key,
                   int8_t kind)
{
    char *to = NULL;

    if (e->out == NULL && !begin(e, CLASS_FIRED, e->op->id, t->step, t->split))
        return no_memory(e);
    if (e->keyed && e->key != NULL && mill_view_data(key) == e->key + 1) {
        to = e->key; /* of emit_ref_key() */
    } else if (e->keyed) {
        to = key_room(e, key->length + 1u);
        if (to == NULL)
            return no_memory(e);
        memcpy(to + 1, mill_view_data(key), key->length);
    }
    if (to != NULL)
        to[0] = RELEASED;
    return add(e, kind, 0, to, key->length + 1u);
}

struct mill_view emit_ref_key(struct emitter *e, const struct order_ref *ref)
{
    const struct batch *rows = ref->block->rows;
    const struct mill_view *of = rows->order_keys != NULL ? &rows->order_keys[ref->row] : NULL;
    const uint32_t length = of != NULL ? of->length : 0;
    const uint64_t time = __builtin_bswap64((uint64_t)ref->time ^ 1ull << 63);
    const uint64_t step = __builtin_bswap64(ref->step);
    char *key;

    if (!e->keyed)
        return view_of("", 0);
    key = key_room(e, length + 24u);
    if (key == NULL)
        return (struct mill_view){.length = UINT32_MAX};
    memcpy(key + 1, &time, 8);
    memcpy(key + 9, &step, 8);
    /* rows before firings; those are told apart by their keys, their places are numbers of one consumer */
    put_u32(key + 17, min_u32(rows->place[ref->row], FIRED_PLACES));
    if (length > 0)
        memcpy(key + 21, mill_view_data(of), length);
    return view_of(key + 1, 20 + length);
}

/* core/shard/exchange.c - the sending half of an exchange: rows to their owners, over one ring per owner.
 *
 * A batch is scattered by key group into one open batch per receiver. Without a free batch or a free slot the
 * exchange sends what is partly filled, keeps the rest of its input, answers OP_BUSY, and says to every receiver
 * whose ring is empty which position it has reached, so that a merge there need not wait for it.
 * An exchange of a table that joins look up in gives every receiver all rows; that of the rows that look up leaves them where they are.
 * With one shard nothing is copied: batches go straight to the consumers.
 */
#include "core/keys.h"
#include "core/shard/job.h"
#include "kernels/kernels.h"

struct exchange {
    struct op op;
    struct shard *shard;
    struct traffic *traffic;
    const struct phys_node *node;
    const struct mill_schema *schema;
    uint32_t edge, shard_count;
    uint32_t to_shard;            /* gather, or UINT32_MAX */
    const struct step_time *time; /* the consumer's */
    struct batch *in;             /* being scattered, or NULL */
    uint16_t *rows;               /* its live rows, grouped by receiver */
    uint64_t *hashes;
    uint32_t
        begin[SHARDS_MAX + 1]; /* rows of receiver q: rows[begin[q] + next[q] .. begin[q + 1]) */
    uint32_t next[SHARDS_MAX];
    struct batch *open[SHARDS_MAX];
    struct position taken; /* of the last row that has come in this step; class_ 255: none */
    char taken_key[POSITION_KEY_MAX];
    uint64_t told_key[SHARDS_MAX];    /* key_mark() of its key */
    struct position told[SHARDS_MAX]; /* last marker; class_ 255: none this step */
    uint64_t step;
    uint32_t lend_rows; /* batches of so many live rows are lent instead of copied */
    bool flushing;      /* the step has ended before this exchange */
    uint64_t numbered;  /* step + 1 that the next number speaks of */
    uint32_t number;
};

#define LEND_SHARDS_MAX 4u

/* Places of fired rows begin behind those of rows. */

/* Fired rows get their place in the step here, behind the exchange, where they stand in canonical order: what their
 * sender knew depends on the number of shards and on the batch size. */
void exchange_number(struct op *op, struct batch *batch)
{
    struct exchange *x = (struct exchange *)op;

    if (batch->class_ != CLASS_FIRED)
        return;
    if (x->numbered != batch->step + 1)
        x->number = 0;
    x->numbered = batch->step + 1;
    batch->place = NULL;
    batch->place_base = FIRED_PLACES + x->number;
    x->number += batch->rows;
}

/* ---- one shard ---- */

static enum op_progress direct_push(struct op *op, uint32_t port, struct batch *batch,
                                    const struct step_time *t)
{
    struct exchange *x = (struct exchange *)op;

    (void)port;
    (void)t;
    op->counters.in += batch->live;
    op->counters.out += batch->live;
    x->traffic->batches++;
    CHECK(op->link_count == 1);
    exchange_number(op, batch);
    return op->links[0].to->vtable->push(op->links[0].to, op->links[0].port, batch, x->time);
}

void exchange_set_time(struct op *op, const struct step_time *t)
{
    ((struct exchange *)op)->time = t;
}

const struct step_time *exchange_time(const struct op *op)
{
    return ((const struct exchange *)op)->time;
}

/* ---- scattering ---- */

/* All rows to every receiver. */
static void group_copies(struct exchange *x)
{
    const uint32_t live = x->in->live;

    for (uint32_t q = 0; q <= x->shard_count; q++)
        x->begin[q] = q * live;
    for (uint32_t i = 0; i < x->shard_count * live; i++)
        x->rows[i] = (uint16_t)batch_row(x->in, i % live);
}

static void group_rows(struct exchange *x)
{
    const struct batch *in = x->in;
    const struct mk_table *kernels = x->shard->context.kernels;
    uint32_t count[SHARDS_MAX] = {0};

    if (x->node->exchange.copies) {
        group_copies(x);
    } else if (x->to_shard != UINT32_MAX || x->node->exchange.stays) {
        const uint32_t to = x->to_shard != UINT32_MAX ? x->to_shard : x->shard->index;

        for (uint32_t q = 0; q <= x->shard_count; q++)
            x->begin[q] = q <= to ? 0 : in->live;
        for (uint32_t i = 0; i < in->live; i++)
            x->rows[i] = (uint16_t)batch_row(in, i);
    } else {
        keys_hash(kernels, in, x->node->exchange.keys, x->node->exchange.key_count, x->schema,
                  x->hashes);
        if (in->selection == NULL) {
            kernels->agg->partition(x->hashes, in->rows, x->shard_count, x->begin, x->rows);
            memset(x->next, 0, x->shard_count * sizeof *x->next);
            return;
        }
        for (uint32_t i = 0; i < in->live; i++)
            count[shard_of_group(key_group_of(x->hashes[batch_row(in, i)]), x->shard_count)]++;
        x->begin[0] = 0;
        for (uint32_t q = 0; q < x->shard_count; q++) {
            x->begin[q + 1] = x->begin[q] + count[q];
            count[q] = x->begin[q];
        }
        for (uint32_t i = 0; i < in->live; i++) {
            const uint32_t row = batch_row(in, i);

            x->rows[count[shard_of_group(key_group_of(x->hashes[row]), x->shard_count)]++] =
                (uint16_t)row;
        }
    }
    memset(x->next, 0, x->shard_count * sizeof *x->next);
}

static uint64_t column_bytes(const struct column *c, uint32_t rows, const struct mill_type *type)
{
    const struct mill_view *views = c->values;
    uint64_t bytes = (uint64_t)rows * type_width(type);

    if (views == NULL && c->child_count == 0) /* nobody reads it, so nothing was copied */
        return 0;
    for (uint32_t i = 0; i < c->child_count; i++)
        bytes += column_bytes(&c->children[i], rows, &type->fields[i].type);
    for (uint32_t i = 0; type_phys(type) == PHYS_VIEW && i < rows; i++)
        bytes += column_valid(c, i) && views[i].length > 12 ? views[i].length : 0;
    return bytes;
}

/* What is in a copied batch: values, and texts that do not lie in them. */
static uint64_t payload(const struct batch *batch, const struct mill_schema *schema)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < schema->field_count; i++)
        bytes += column_bytes(&batch->columns[i], batch->rows, &schema->fields[i].type);
    return bytes;
}

static bool send_open(struct exchange *x, uint32_t q)
{
    struct edge_out *out = &x->shard->out[x->edge];
    struct batch *batch = x->open[q];
    uint64_t rows, bytes;
    bool lent;

    if (batch == NULL)
        return true;
    rows = batch->live;
    lent = batch->lent != NULL;
    bytes = x->shard->profile != NULL && !lent ? payload(batch, x->schema) : 0;
    if (!ring_push(&out->rings[q], batch)) {
        x->shard->probes[PROBE_RING_FULL]++;
        x->traffic->ring_full++;
        return false;
    }
    x->open[q] = NULL;
    x->traffic->batches++;
    x->traffic->lent += lent;
    x->traffic->rows += rows;
    x->traffic->bytes += bytes;
    return true;
}

/* NULL: no free batch, which is back-pressure; *failed: no memory, which is not. */
static struct batch *take_batch(struct exchange *x, bool *failed)
{
    struct pool *pool = x->shard->out[x->edge].pool;
    struct batch *batch = pool_take(pool);

    if (batch == NULL && pool_exhausted(pool)) {
        x->shard->probes[PROBE_POOL_EMPTY]++;
        x->traffic->pool_empty++;
    } else if (batch == NULL) {
        *failed = true;
    }
    return batch;
}

/* False: none; as take_batch(). */
static bool open_batch(struct exchange *x, uint32_t q, bool *failed)
{
    const struct batch *in = x->in;
    struct batch *batch = take_batch(x, failed);

    if (batch == NULL)
        return false;
    batch_reset(batch, x->schema->field_count);
    if (!batch_own_columns(batch, x->schema)) {
        batch_release(batch);
        *failed = true;
        return false;
    }
    batch->step = in->step;
    batch->class_ = in->class_;
    batch->origin = in->origin;
    batch->split = in->split;
    batch->edge = (uint16_t)x->edge;
    x->open[q] = batch;
    return true;
}

/* The front's batches lie in a pool that grows, so they can be lent to the receivers instead of copied: each gets the whole
 * columns and a selection. Later stages copy: a batch of another edge, held until this edge's receivers are done, could be
 * the one that an older step needs. Many receivers of few rows each would read more than they take. */
static bool can_lend(const struct exchange *x)
{
    const struct batch *in = x->in;

    return x->node->stage == 0 && in->class_ == CLASS_ROWS && in->row_kinds == NULL &&
           in->live >= x->lend_rows &&
           (x->to_shard != UINT32_MAX || x->node->exchange.stays ||
            x->shard_count <= LEND_SHARDS_MAX);
}

/* All rows of receiver @q in place. As scatter_to(). */
static bool lend_to(struct exchange *x, uint32_t q, bool *failed)
{
    const uint32_t count = x->begin[q + 1] - x->begin[q];
    struct batch *batch;

    if (count == x->next[q])
        return true;
    if (!send_open(x, q))
        return false;
    batch = take_batch(x, failed);
    if (batch == NULL)
        return false;
    if (!batch_lend(batch, x->in, x->rows + x->begin[q], count)) {
        batch_release(batch);
        *failed = true;
        return false;
    }
    batch->edge = (uint16_t)x->edge;
    x->open[q] = batch;
    x->next[q] = count;
    send_open(x, q); /* or later */
    return true;
}

/* Sends rows of receiver @q until it has all or there is no room. False: no room; *failed: no memory. */
static bool scatter_to(struct exchange *x, uint32_t q, bool *failed)
{
    while (x->begin[q] + x->next[q] < x->begin[q + 1]) {
        const struct batch *in = x->in;
        int n;

        /* Rows of another class or origin begin a new batch; a lent one is full. */
        if (x->open[q] != NULL &&
            (x->open[q]->class_ != in->class_ || x->open[q]->origin != in->origin ||
             x->open[q]->lent != NULL) &&
            !send_open(x, q))
            return false;
        if (x->open[q] == NULL && !open_batch(x, q, failed))
            return false;
        n = batch_append(x->open[q], in, x->rows + x->begin[q] + x->next[q],
                         x->begin[q + 1] - x->begin[q] - x->next[q], x->schema);
        if (n < 0) {
            *failed = true;
            return false;
        }
        x->next[q] += (uint32_t)n;
        if (x->open[q]->rows == x->open[q]->capacity && !send_open(x, q))
            return x->begin[q] + x->next[q] == x->begin[q + 1];
    }
    return true;
}

/* ---- positions for receivers that hear nothing else ---- */

/* Tells keys apart, but for a few in 2^64. */
static uint64_t key_mark(const struct mill_view *key)
{
    const unsigned char *bytes = (const unsigned char *)mill_view_data(key);
    uint64_t h = key->length;

    for (uint32_t i = 0; i < key->length; i++)
        h = (h ^ bytes[i]) * 0x100000001b3ull + 0x9e3779b97f4a7c15ull;
    return h;
}

static void tell(struct exchange *x, uint32_t q, const struct position *position)
{
    struct edge_out *out = &x->shard->out[x->edge];
    struct batch *marker;

    if (x->open[q] != NULL || !ring_empty_to_producer(&out->rings[q]) ||
        x->told[q].class_ == CLASS_PASSED) /* it has all of the step */
        return;
    if (x->told[q].class_ == position->class_ && x->told[q].origin == position->origin &&
        x->told[q].place == position->place && x->told[q].of_row == position->of_row &&
        x->told_key[q] == key_mark(&position->key))
        return;
    marker = pool_take(out->markers);
    if (marker == NULL)
        return;
    batch_reset(marker, 0);
    marker->marker = true;
    marker->step = x->step;
    marker->class_ = position->class_;
    marker->of_row = position->of_row;
    marker->origin = position->origin;
    marker->place_base = position->place;
    if (position->class_ == CLASS_FIRED || position->key.length > 0) {
        marker->order_keys = arena_alloc(&marker->bytes, sizeof *marker->order_keys);
        if (marker->order_keys != NULL)
            *marker->order_keys =
                batch_view(marker, mill_view_data(&position->key), position->key.length);
        if (marker->order_keys == NULL || marker->order_keys->length == UINT32_MAX) {
            batch_release(marker);
            return;
        }
    }
    if (!ring_push(&out->rings[q], marker)) {
        batch_release(marker);
        return;
    }
    x->shard->probes[PROBE_TOLD]++;
    x->told[q] = *position;
    x->told[q].key = view_of("", 0);
    x->told_key[q] = key_mark(&position->key);
}

static void tell_reached(struct exchange *x)
{
    for (uint32_t q = 0; q < x->shard_count; q++) {
        const uint32_t at = x->begin[q] + x->next[q];
        struct position position;

        if (x->to_shard != UINT32_MAX && q != x->to_shard)
            continue;
        batch_position(x->in,
                       at < x->begin[q + 1] ? x->rows[at] : batch_row(x->in, x->in->live - 1),
                       &position);
        tell(x, q, &position);
    }
}

void exchange_passed(struct op *op, const struct position *position, uint64_t step)
{
    struct exchange *x = (struct exchange *)op;

    if (x->shard_count == 1)
        return;
    x->step = step;
    if (x->in != NULL) {
        /* held up too, or behind one that is and not resumed meanwhile: its receivers get what there is */
        for (uint32_t q = 0; q < x->shard_count; q++)
            send_open(x, q);
        tell_reached(x);
        return;
    }
    /* all rows that have come have been passed, whatever the stage is still busy with elsewhere */
    if (x->taken.class_ != 255 && (position == NULL || position_compare(position, &x->taken) < 0))
        position = &x->taken;
    for (uint32_t q = 0; q < x->shard_count; q++)
        if ((x->to_shard == UINT32_MAX || q == x->to_shard) && send_open(x, q) && position != NULL)
            tell(x, q, position);
}

/* ---- the operator ---- */

static enum op_progress exchange_go_on(struct op *op, const struct step_time *t)
{
    struct exchange *x = (struct exchange *)op;
    bool all = true, failed = false, lend;

    (void)t;
    if (x->in == NULL)
        return OP_READY;
    lend = can_lend(x);
    for (uint32_t q = 0; q < x->shard_count && !failed; q++)
        all = (lend ? lend_to(x, q, &failed) : scatter_to(x, q, &failed)) && all;
    if (failed) {
        mill_fail(op->context->error, MILL_E_MEMORY, 0, 0, "no memory to send rows between shards");
        return OP_FAILED;
    }
    if (!all) {
        for (uint32_t q = 0; q < x->shard_count; q++)
            send_open(x, q);
        tell_reached(x);
        if (x->in->class_ == CLASS_FIRED) {
            x->shard->probes[PROBE_SUSPENDED_FIRING]++;
            x->traffic->suspended_end++;
        } else {
            x->shard->probes[PROBE_SUSPENDED_ROWS]++;
            x->traffic->suspended_rows++;
        }
        return OP_BUSY;
    }
    batch_release(x->in);
    x->in = NULL;
    return OP_READY;
}

static void keep_taken(struct exchange *x, const struct batch *batch)
{
    batch_position(batch, batch_row(batch, batch->live - 1), &x->taken);
    if (x->taken.key.length > sizeof x->taken_key) {
        x->taken.class_ = 255;
    } else if (x->taken.key.length > 0) {
        memcpy(x->taken_key, mill_view_data(&x->taken.key), x->taken.key.length);
        x->taken.key = view_of(x->taken_key, x->taken.key.length);
    }
}

static enum op_progress exchange_push(struct op *op, uint32_t port, struct batch *batch,
                                      const struct step_time *t)
{
    struct exchange *x = (struct exchange *)op;

    (void)port;
    CHECK(x->in == NULL);
    op->counters.in += batch->live;
    op->counters.out += batch->live;
    if (batch->live == 0) {
        batch_release(batch);
        return OP_READY;
    }
    x->in = batch;
    x->step = batch->step;
    keep_taken(x, batch);
    group_rows(x);
    return exchange_go_on(op, t);
}

/* The end of a step: everything partly filled goes. */
static enum op_progress exchange_flush(struct op *op, const struct step_time *t)
{
    struct exchange *x = (struct exchange *)op;
    enum op_progress p = exchange_go_on(op, t);
    bool all = true;

    x->flushing = true;
    if (p != OP_READY)
        return p;
    for (uint32_t q = 0; q < x->shard_count; q++)
        all = send_open(x, q) && all;
    if (all)
        return OP_READY;
    x->traffic->suspended_end++;
    /* Held up by one receiver; the others have all there is, which they cannot see before the step is done. */
    for (uint32_t q = 0; q < x->shard_count; q++)
        if (x->to_shard == UINT32_MAX || q == x->to_shard)
            tell(x, q, &(struct position){.class_ = CLASS_PASSED});
    return OP_BUSY;
}

static enum op_progress exchange_begin(struct op *op, const struct step_time *t)
{
    struct exchange *x = (struct exchange *)op;

    x->step = t->step;
    x->flushing = false;
    x->taken.class_ = 255;
    for (uint32_t q = 0; q < x->shard_count; q++)
        x->told[q] = (struct position){.class_ = 255};
    return OP_READY;
}

/* While rows wait the exchange is busy; with only partly filled batches it is not, except when all before it have
 * ended the step (not as soon as the stage is ending: an operator before it may still be firing). */
static enum op_progress exchange_resume(struct op *op, const struct step_time *t)
{
    struct exchange *x = (struct exchange *)op;

    return x->flushing ? exchange_flush(op, t) : exchange_go_on(op, t);
}

static size_t rows_room(const struct exchange *x)
{
    return (size_t)BATCH_ROWS_MAX * (x->node->exchange.copies ? x->shard_count : 1) + 64;
}

static void exchange_close(struct op *op)
{
    struct exchange *x = (struct exchange *)op;
    struct heap *heap = op->heap;

    batch_release(x->in);
    for (uint32_t q = 0; q < x->shard_count; q++)
        batch_release(x->open[q]);
    heap_free(heap, x->rows, rows_room(x) * sizeof *x->rows);
    heap_free(heap, x->hashes, BATCH_ROWS_MAX * sizeof *x->hashes);
    heap_free(heap, x, sizeof *x);
}

static const struct op_vtable direct_vtable = {.name = "exchange",
                                               .push = direct_push,
                                               .close = exchange_close};
static const struct op_vtable exchange_vtable = {.name = "exchange",
                                                 .begin_step = exchange_begin,
                                                 .push = exchange_push,
                                                 .end_step = exchange_flush,
                                                 .resume = exchange_resume,
                                                 .close = exchange_close};

struct op *op_exchange_new(struct shard *shard, const struct phys_node *node)
{
    struct job *job = shard->job;
    struct heap *heap = &shard->heap;
    struct exchange *x = heap_zalloc(heap, sizeof *x);

    if (x == NULL)
        goto fail;
    x->op = (struct op){.vtable = job->shard_count == 1 ? &direct_vtable : &exchange_vtable,
                        .context = &shard->context,
                        .heap = &shard->heap,
                        .id = node->id};
    x->shard = shard;
    x->traffic = &shard->traffic[node->id];
    x->node = node;
    x->schema = &node->schema;
    x->shard_count = job->shard_count;
    x->edge = (uint32_t)job->edge_of_node[node->id];
    x->to_shard = job->edges[x->edge].to_shard;
    x->lend_rows = (job->config.batch_rows + 1) / 2;
    x->rows = heap_alloc(heap, rows_room(x) * sizeof *x->rows);
    x->hashes = heap_alloc(heap, BATCH_ROWS_MAX * sizeof *x->hashes);
    if (x->rows != NULL && x->hashes != NULL)
        return &x->op;
    exchange_close(&x->op);
fail:
    mill_fail(&shard->error, MILL_E_MEMORY, 0, 0, "no memory for an exchange");
    return NULL;
}

/* ---- rings and pools of one edge ---- */

bool edge_open(struct shard *shard, uint32_t edge)
{
    struct job *job = shard->job;
    const uint32_t n = job->shard_count, slots = job->config.ring_slots;
    struct edge_out *out = &shard->out[edge];

    out->rings = heap_zalloc(&shard->heap, n * sizeof *out->rings);
    if (out->rings == NULL)
        return false;
    for (uint32_t q = 0; q < n; q++)
        if (!ring_open(&out->rings[q], &shard->heap, slots, 0))
            return false;
    /* more than all rings can hold, and one open batch per receiver; few are ever in use at once */
    out->pool = pool_new(&shard->heap, n + 2, n * (slots + 1) + 2, job->config.batch_rows,
                         (uint16_t)shard->index);
    out->markers = pool_new(&shard->heap, 2 * n, 2 * n, 1, (uint16_t)shard->index);
    return out->pool != NULL && out->markers != NULL && pool_share(out->pool, n) &&
           pool_share(out->markers, n);
}

void edge_close(struct shard *shard, uint32_t edge)
{
    struct edge_out *out = &shard->out[edge];

    for (uint32_t q = 0; out->rings != NULL && q < shard->job->shard_count; q++) {
        struct batch *batch;

        /* all threads have left their loops: what is still in the ring is ours */
        while (out->rings[q].slots != NULL && (batch = ring_pop(&out->rings[q])) != NULL) {
            batch->at = (uint16_t)shard->index;
            batch_release(batch);
        }
        ring_close(&out->rings[q], &shard->heap);
    }
    heap_free(&shard->heap, out->rings, shard->job->shard_count * sizeof *out->rings);
    pool_free(out->pool);
    pool_free(out->markers);
}

/* core/ops/op_interval_join.c - rows of two sides whose times lie close to each other:
 * lower <= time of the left - time of the right <= upper.
 *
 * A row meets the rows of the other side that are kept, then is kept itself for as long as a partner may come: with last
 * its last possible partner's time (left: time - lower, right: time + upper),
 *   kept just before a place x  <=>  it came before x and W(x) < last
 * which W of each row decides, not the step. So a late row meets what on-time rows could still meet, and no more. What has been
 * kept goes in bulk at the end of the step whose watermark reaches last; a row of an outer side that has met nobody is padded
 * then, by (time, step, side, place), or at once where it is not kept.
 *
 * Groups by key hold a list per side, by (time, arrival): partners are found by halving, and what goes stands in front. The
 * first row of a list lies in the group itself. Rows whose key can equal nothing are in no list.
 *   rows of a side = ids in its expiry + dead rows behind live ones of their time       held = ids in both expiries
 *
 * Threads: one shard.   Errors: MILL_E_MEMORY.
 */
#include "core/ops/interval_impl.h"

static uint32_t group_id(const struct interval_join *j, const struct group *group)
{
    return (uint32_t)(((const char *)group - j->base.table.states) / sizeof *group);
}

bool interval_is_empty(const void *state)
{
    const struct group *g = state;

    return interval_list_count(&g->list[0]) + interval_list_count(&g->list[1]) == 0;
}

/* ---- lists ---- */

void interval_list_close(struct interval_join *j, struct list *list)
{
    heap_free(j->base.op.heap, list->items, list->room * sizeof *list->items);
    *list = (struct list){0};
}

static bool list_room(struct interval_join *j, struct list *list)
{
    struct listed *items = interval_list_items(list);
    const uint32_t count = interval_list_count(list);

    if (list->end < max_u32(list->room, 1))
        return true;
    if (list->first > list->end / 2) {
        memmove(items, items + list->first, count * sizeof *items);
    } else {
        const uint32_t room = max_u32(4, list->room * 2);
        struct listed *grown = heap_alloc(j->base.op.heap, room * sizeof *grown);

        if (grown == NULL)
            return false;
        memcpy(grown, items + list->first, count * sizeof *grown);
        heap_free(j->base.op.heap, list->items, list->room * sizeof *list->items);
        list->items = grown;
        list->room = room;
    }
    list->first = 0;
    list->end = count;
    return true;
}

/* Behind those of its time. */
bool interval_list_add(struct interval_join *j, struct list *list, int64_t time, uint32_t id)
{
    struct listed *items;
    uint32_t at;

    if (!list_room(j, list))
        return false;
    items = interval_list_items(list);
    for (at = list->end++; at > list->first && items[at - 1].time > time; at--)
        items[at] = items[at - 1];
    items[at] = (struct listed){time, id};
    return true;
}

/* The first item with a time not below @time. */
static uint32_t list_find(struct list *list, int64_t time)
{
    const struct listed *items = interval_list_items(list);
    uint32_t low = list->first, high = list->end;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (items[middle].time < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool semi_or_anti(const struct interval_join *j)
{
    return j->base.join->type >= JOIN_TYPE_SEMI;
}

/* ---- taking a batch ---- */

void interval_groups_init(struct interval_join *j, uint32_t from)
{
    for (uint32_t id = from; id < j->base.table.groups; id++)
        memset(interval_group(j, id), 0, sizeof(struct group));
    j->empty += j->base.table.groups - from;
}

/* Rows, times and W of each. Rows without a time meet nobody. */
static void take_rows(struct interval_join *j, const struct step_time *t)
{
    const struct join_node *join = j->base.join;
    const struct batch *in = j->in;
    const struct column *c =
        join->processing_time ? NULL : &in->columns[(uint32_t)join->time[j->port]];
    const int64_t *values = c != NULL ? c->values : NULL;
    uint32_t n = 0;

    for (uint32_t i = 0; i < in->live; i++) {
        const uint32_t row = batch_row(in, i);

        j->met[n] = false;
        j->rows[n] = (uint16_t)row;
        if (c == NULL) {
            j->times[n] = interval_clock(j, t);
            j->w[n] = j->times[n] - join->unit;
        } else if (column_valid(c, row)) {
            j->times[n] = values[c->constant ? 0 : row];
            j->w[n] = row_watermark(t, in, row);
        } else if (j->pads[j->port]) {
            j->times[n] = TIME_MIN; /* never kept */
            j->w[n] = TIME_MAX;
        } else {
            j->base.op.counters.filtered++;
            j->base.op.counters.null_time++;
            continue;
        }
        j->keep[n] = j->w[n] < time_add(j->times[n], j->reach[j->port]);
        n++;
    }
    j->count = n;
}

/* The group of each row. */
static bool take_groups(struct interval_join *j)
{
    const bool empty = j->base.join->lower > j->base.join->upper;
    const bool may = pairs_may_equal_nothing(&j->base.pairs, j->port, j->in);
    const uint32_t before = j->base.table.groups;
    uint32_t n = 0;

    for (uint32_t i = 0; i < j->count; i++) {
        j->groups[i] = NULL;
        if (empty || j->times[i] == TIME_MIN ||
            (may && pairs_equals_nothing(&j->base.pairs, j->port, j->in, j->rows[i])))
            continue;
        j->keyed[n] = (uint16_t)i;
        j->keyed_rows[n++] = j->rows[i];
    }
    if (n == 0)
        return true;
    if (j->base.join->key_count == 0) {
        if (before == 0 && !table_single(&j->base.table))
            return false;
        interval_groups_init(j, before);
        for (uint32_t i = 0; i < n; i++)
            j->groups[j->keyed[i]] = interval_group(j, 0);
        return true;
    }
    if (!keys_prepare(&j->base.keys[j->port], j->in, j->keyed_rows, n, &j->base.batch_keys))
        return false;
    const bool found = table_lookup(&j->base.table, &j->base.batch_keys, NULL, n, j->states);

    interval_groups_init(j, before);
    for (uint32_t i = 0; found && i < n; i++)
        j->groups[j->keyed[i]] = j->states[i];
    return found && j->base.table.groups < MARK_GROUP;
}

/* ---- partners ---- */

/* Times of partners that are still kept just before row @i. */
static void partner_times(const struct interval_join *j, uint32_t i, int64_t *least,
                          int64_t *greatest)
{
    const struct join_node *join = j->base.join;
    const int64_t time = j->times[i];
    const int64_t gone = time_add(j->w[i], -j->reach[1 - j->port]); /* up to this time */

    *least = time_add(time, j->port == 0 ? -join->upper : join->lower);
    *greatest = time_add(time, j->port == 0 ? -join->lower : join->upper);
    if (gone != TIME_MIN && gone >= *least)
        *least = time_add(gone, 1);
}

static inline void found_add(struct interval_join *j, uint32_t i, uint32_t id)
{
    const uint32_t n = j->base.found++;

    j->found_of[n] = (uint16_t)i;
    j->base.refs[j->port][n] = j->rows[i];
    j->base.refs[1 - j->port][n] = id;
}

/* Looks on from the cursor. False: there is no room for more. */
static bool find_partners(struct interval_join *j, uint32_t i, uint32_t room)
{
    const uint32_t other = 1 - j->port;
    const struct row_store *store = interval_store(j, other);
    struct list *list = j->groups[i] != NULL ? &j->groups[i]->list[other] : NULL;
    const bool once = semi_or_anti(j) && j->port == 1;
    const struct listed *items;
    int64_t least, greatest;

    if (list == NULL)
        return true;
    items = interval_list_items(list);
    partner_times(j, i, &least, &greatest);
    if (!j->started)
        j->cursor = list_find(list, least);
    j->started = true;
    for (; j->cursor < list->end && items[j->cursor].time <= greatest; j->cursor++) {
        const uint32_t id = items[j->cursor].id;

        if (j->base.found == room)
            return false;
        if (!(once && (*rows_mark(store, id) & MARK_MET) != 0))
            found_add(j, i, id);
    }
    return true;
}

/* Fills refs[] with pairs from row at on. */
static void find(struct interval_join *j)
{
    const uint32_t room = j->base.op.context->batch_rows;

    j->base.found = j->base.handed = 0;
    for (; j->at < j->count; j->at++, j->started = false) {
        const uint32_t i = j->at;

        if (i + 4 < j->count && j->groups[i + 4] != NULL)
            __builtin_prefetch(&j->groups[i + 4]->list[1 - j->port]);
        if (!find_partners(j, i, room))
            return;
        if (j->keep[i] || !j->pads[j->port])
            continue;
        if (j->base.found == room)
            return;
        found_add(j, i, ROW_NONE);
    }
}

/* Whether a pair that is true gives a result; marks who has met. */
static bool gives_result(struct interval_join *j, uint32_t n)
{
    const uint32_t i = j->found_of[n], id = j->base.refs[1 - j->port][n];
    const enum join_type type = j->base.join->type;
    const bool met = j->met[i];
    uint32_t *mark;

    /* (of a right row of a semi or anti join it counts whether it was the first to meet somebody) */
    j->met[i] = met || j->port == 0 || !semi_or_anti(j);
    if (id == ROW_NONE) /* in its place behind the row's partners: nobody? */
        return !met;
    if (j->port == 0 && semi_or_anti(j))
        return type == JOIN_TYPE_SEMI && !met;
    if (j->port == 0 ? !j->pads[1] : !j->pads[0] && !semi_or_anti(j))
        return true;
    mark = rows_mark(interval_store(j, 1 - j->port), id);
    const bool before = (*mark & MARK_MET) != 0;

    *mark |= MARK_MET;
    j->met[i] = j->met[i] || !before;
    return !semi_or_anti(j) || (type == JOIN_TYPE_SEMI && !before);
}

static bool test_found(struct interval_join *j)
{
    uint32_t *const refs[2] = {j->base.refs[0], j->base.refs[1]};
    uint32_t kept = 0;

    j->base.pairs.cause = j->in;
    j->base.pairs.cause_side = j->port;
    if (!pairs_filter(&j->base.pairs, refs, j->base.found, j->base.is_true))
        return false;
    for (uint32_t n = 0; n < j->base.found; n++) {
        if (!j->base.is_true[n] || !gives_result(j, n))
            continue;
        refs[0][kept] = refs[0][n];
        refs[1][kept++] = refs[1][n];
    }
    j->base.found = kept;
    return true;
}

/* ---- keeping the batch's rows ---- */

/* Whether row @i is wanted any more; counts it if it is not. */
static bool stays(struct interval_join *j, uint32_t i)
{
    struct op_counters *c = &j->base.op.counters;
    const bool done = semi_or_anti(j) && j->port == 0 && j->met[i];

    if (j->keep[i] && !done && (j->groups[i] != NULL || j->pads[j->port]))
        return true;
    if (!j->keep[i] && !j->met[i] && j->times[i] <= j->w[i])
        c->late++;
    else
        c->consumed++;
    return false;
}

static bool keep_rows(struct interval_join *j)
{
    const uint32_t side = j->port;
    struct row_store *store = interval_store(j, side);
    uint32_t n = 0;

    for (uint32_t i = 0; i < j->count; i++)
        if (stays(j, i)) {
            j->keyed[n] = (uint16_t)i;
            j->keyed_rows[n++] = j->rows[i];
        }
    if (n == 0)
        return true;
    if (!pairs_keep(&j->base.pairs, side, j->in, j->keyed_rows, n, j->ids))
        return false;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t i = j->keyed[k], id = j->ids[k];
        struct group *group = j->groups[i];

        *rows_time(store, id) = j->times[i];
        *rows_mark(store, id) =
            (group != NULL ? group_id(j, group) : MARK_GROUP) | (j->met[i] ? MARK_MET : 0);
        if (!expiry_add(&j->expiry[side], j->times[i], id))
            return false;
        if (group == NULL)
            continue;
        if (!interval_list_add(j, &group->list[side], j->times[i], id))
            return false;
        j->empty -= interval_list_count(&group->list[side]) == 1 &&
                    interval_list_count(&group->list[1 - side]) == 0;
    }
    j->base.op.counters.held += n;
    j->base.op.counters.state_rows += n;
    return true;
}

/* ---- a batch, from found pairs to kept rows ---- */

static enum op_progress join_rows(struct interval_join *j, const struct step_time *t)
{
    enum op_progress p;

    while (j->in != NULL) {
        p = join_hand_on(&j->base, NULL, t);
        if (p != OP_READY)
            return p;
        if (op_stopping(&j->base.op))
            j->at = j->count;
        if (j->at == j->count) {
            const bool kept = keep_rows(j);

            batch_release(j->in);
            j->in = j->base.pairs.cause = NULL;
            return kept ? emit_flush(&j->base.pairs.emit, t) : join_base_no_memory(&j->base);
        }
        find(j);
        if (!test_found(j))
            return join_base_no_memory(&j->base);
    }
    return OP_READY;
}

static enum op_progress join_take(struct op *op, uint32_t port, struct batch *batch,
                                  const struct step_time *t)
{
    struct interval_join *j = (struct interval_join *)op;
    enum op_progress p;

    CHECK(j->in == NULL);
    j->in = batch;
    j->port = port;
    j->at = j->base.found = j->base.handed = 0;
    j->started = false;
    take_rows(j, t);
    if (!take_groups(j))
        return join_base_no_memory(&j->base);
    p = emit_cause(&j->base.pairs.emit, batch, port, t);
    return p == OP_READY ? join_rows(j, t) : p;
}

static int64_t least_wait(const struct interval_join *j)
{
    return min_i64(time_add(expiry_least(&j->expiry[0]), j->reach[0]),
                   time_add(expiry_least(&j->expiry[1]), j->reach[1]));
}

static enum op_progress end_rows(struct interval_join *j, const struct step_time *t)
{
    const int64_t w = t->last                         ? TIME_MAX
                      : j->base.join->processing_time ? interval_clock(j, t) - j->base.join->unit
                                                      : t->w_after;

    j->base.op.counters.waits =
        !j->base.join->processing_time && (j->expiry[0].ids > 0 || j->expiry[1].ids > 0);
    j->base.op.counters.waits_for = j->base.op.counters.waits ? least_wait(j) : TIME_MAX;
    for (uint32_t s = 0; s < 2; s++)
        j->limit[s] = time_add(w, -j->reach[s]);
    j->ending = true;
    return interval_fire(j, t);
}

static enum op_progress join_end_step(struct op *op, const struct step_time *t)
{
    struct interval_join *j = (struct interval_join *)op;
    const enum op_progress p = ports_end(&j->base.ports, t);

    return p == OP_READY ? end_rows(j, t) : p;
}

static enum op_progress join_resume(struct op *op, const struct step_time *t)
{
    struct interval_join *j = (struct interval_join *)op;
    enum op_progress p;

    if (j->ending)
        return interval_fire(j, t);
    p = join_rows(j, t);
    if (p == OP_READY)
        p = ports_resume(&j->base.ports, t);
    /* the end of the step was held up by rows that came before it */
    if (p == OP_READY && j->base.ports.phase == PORTS_ENDING)
        return end_rows(j, t);
    return p;
}

/* ---- life ---- */

static bool join_valid(const struct op *op)
{
    const struct interval_join *j = (const struct interval_join *)op;
    const struct op_counters *c = &op->counters;
    uint32_t empty = 0;

    for (uint32_t id = 0; id < j->base.table.groups; id++)
        empty += interval_is_empty(interval_group(j, id));
    return table_valid(&j->base.table) && empty == j->empty &&
           rows_valid(&j->base.pairs.side[0].store) && rows_valid(&j->base.pairs.side[1].store) &&
           expiry_valid(&j->expiry[0]) && expiry_valid(&j->expiry[1]) &&
           c->held == j->expiry[0].ids + j->expiry[1].ids &&
           c->in == c->consumed + c->filtered + c->late + c->dead + c->held;
}

static void join_close(struct op *op)
{
    struct interval_join *j = (struct interval_join *)op;

    batch_release(j->in);
    for (uint32_t id = 0; id < j->base.table.groups; id++)
        for (uint32_t s = 0; s < 2; s++)
            interval_list_close(j, &interval_group(j, id)->list[s]);
    join_base_close(&j->base);
    expiry_close(&j->expiry[0]);
    expiry_close(&j->expiry[1]);
    heap_free(op->heap, j->fired, j->fired_room * sizeof *j->fired);
    heap_free(op->heap, j, sizeof *j);
}

static const struct op_vtable join_vtable = {.name = "interval join",
                                             .begin_step = join_base_begin_step,
                                             .push = join_base_push,
                                             .rows_ended = join_base_rows_ended,
                                             .end_step = join_end_step,
                                             .resume = join_resume,
                                             .snapshot = interval_snapshot,
                                             .restore = interval_restore,
                                             .valid = join_valid,
                                             .inspect = join_base_inspect,
                                             .close = join_close};

static bool join_open(struct interval_join *j, const struct phys_node *node)
{
    struct heap *heap = j->base.op.heap;
    const struct join_node *join = j->base.join;
    const int64_t width = time_add(join->upper, -join->lower) / 32;

    j->reach[0] = -join->lower;
    j->reach[1] = join->upper;
    for (uint32_t s = 0; s < 2; s++) {
        j->pads[s] = join_pads(join->type, s) || (s == 0 && join->type == JOIN_TYPE_ANTI);
        expiry_open(&j->expiry[s], heap, max_i64(width, join->unit));
    }
    if (!join_base_open(&j->base, node, join_take, join->keys, join->key_count))
        return false;
    table_open(&j->base.table, heap, &j->base.keys[0], sizeof(struct group),
               j->base.op.context->seed);
    return pairs_open(&j->base.pairs, &j->base.op, node, j->pads,
                      ROWS_TIME | ROWS_PLACE | ROWS_MARK);
}

struct op *op_interval_join_new(struct op_context *context, const struct phys_node *node)
{
    struct interval_join *j = heap_zalloc(context->heap, sizeof *j);

    if (j != NULL) {
        join_base_init(&j->base, &join_vtable, context, node,
                       "rows stay until the watermark is past their interval: use a shorter one, "
                       "or");
        if (join_open(j, node))
            return &j->base.op;
        join_close(&j->base.op);
    }
    if (context->error->code == MILL_OK)
        mill_fail(context->error, MILL_E_MEMORY, 0, 0, "no memory for an interval join");
    return NULL;
}

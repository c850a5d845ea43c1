/* core/shard/merge.c - the receiving half of an exchange: one step's rows in canonical order.
 *
 * From the front only the step's cutter sends, and what it sends is in order already. From later stages every shard
 * sends a sorted piece, and the pieces are merged by position: the smallest head may go as soon as every other
 * sender has a head behind it, has said that it has passed it, or has nothing more of the step. A head as such is
 * never waited for (that would deadlock: a ring can be full while each side waits for the other's head).
 */
#include "core/shard/job.h"

/* ---- positions ---- */

void batch_position(const struct batch *batch, uint32_t row, struct position *out)
{
    *out = (struct position){.class_ = batch->class_, .origin = batch->origin, .of_row = true};
    if (batch->class_ != CLASS_FIRED || batch->order_keys == NULL)
        out->place = batch_place(batch, row);
    if (batch->order_keys != NULL)
        out->key = batch->order_keys[row];
}

int position_compare(const struct position *a, const struct position *b)
{
    if (a->class_ != b->class_)
        return a->class_ < b->class_ ? -1 : 1;
    if (a->origin != b->origin)
        return a->origin < b->origin ? -1 : 1;
    if (a->place != b->place)
        return a->place < b->place ? -1 : 1;
    return view_compare(&a->key, &b->key);
}

/* ---- one sender ---- */

static struct edge_in *edge_in(const struct shard *shard, uint32_t edge, uint32_t sender)
{
    return &shard->in[edge * shard->job->shard_count + sender];
}

static bool sender_finished(const struct job *job, uint32_t edge, uint32_t sender,
                            const struct step_entry *entry)
{
    const uint32_t from = job->edges[edge].from_stage;

    if (from == 0)
        return entry->cutter != sender || at_load_acquire(&entry->decoded) != 0;   /* A3 */
    return at_load_acquire(&job->shards[sender]->stages[from].done) > entry->step; /* A2 */
}

/* Copies the marker's position; its key must outlive the batch. False without memory. */
static bool keep_bound(struct shard *shard, struct edge_in *in, const struct batch *marker)
{
    const struct mill_view *key = marker->order_keys;

    in->bound = (struct position){.class_ = marker->class_,
                                  .origin = marker->origin,
                                  .place = marker->place_base,
                                  .of_row = marker->of_row};
    in->has_bound = true;
    if (key == NULL)
        return true;
    if (key->length > in->key_capacity) {
        const uint32_t capacity = ALIGN_UP(key->length, 256u);

        heap_free(&shard->heap, in->key_bytes, in->key_capacity);
        in->key_bytes = heap_alloc(&shard->heap, capacity);
        in->key_capacity = in->key_bytes != NULL ? capacity : 0;
        if (in->key_bytes == NULL)
            return false;
    }
    if (key->length > 0)
        memcpy(in->key_bytes, mill_view_data(key), key->length);
    if (marker->class_ == CLASS_FIRED)
        in->bound.place = 0;
    in->bound.key = view_of(in->key_bytes, key->length);
    return true;
}

/* Finds the sender's head in its ring. Returns true if a marker told something new. */
static bool sender_look(struct shard *shard, uint32_t edge, uint32_t sender,
                        const struct step_entry *entry)
{
    struct job *job = shard->job;
    struct edge_in *in = edge_in(shard, edge, sender);
    struct ring *ring = &job->shards[sender]->out[edge].rings[shard->index];
    bool told = false;

    if (in->step != entry->step) {
        CHECK(in->head == NULL);
        in->step = entry->step;
        in->ended = in->has_bound = false;
    }
    while (!in->ended && in->head == NULL) {
        /* first whether it has finished, then the ring: what it sent before is seen */
        const bool finished = sender_finished(job, edge, sender, entry);
        struct batch *batch = ring_peek(ring);

        if (batch == NULL || batch->step > entry->step) {
            in->ended = finished || batch != NULL;
            break;
        }
        CHECK(batch->step == entry->step);
        if (!batch->marker) {
            in->head = batch;
            in->next = 0;
            break;
        }
        told = true;
        if (!keep_bound(shard, in, batch))
            mill_fail(&shard->error, MILL_E_MEMORY, 0, 0, "no memory to merge shards");
        ring_pop(ring);
        batch->at = (uint16_t)shard->index;
        batch_release(batch);
    }
    return told;
}

static struct batch *sender_take(struct shard *shard, uint32_t edge, uint32_t sender)
{
    struct edge_in *in = edge_in(shard, edge, sender);
    struct batch *batch = ring_pop(&shard->job->shards[sender]->out[edge].rings[shard->index]);

    CHECK(batch == in->head);
    in->head = NULL;
    batch->at = (uint16_t)shard->index;
    return batch;
}

/* ---- passing on how far this stage has come ---- */

static bool sender_reached(const struct edge_in *in, struct position *out)
{
    if (in->head != NULL)
        batch_position(in->head, batch_row(in->head, in->next), out);
    else if (in->has_bound)
        *out = in->bound;
    else
        return false;
    return true;
}

static void tell_all(struct shard *shard, struct stage *stage, const struct position *position,
                     uint64_t step)
{
    for (uint32_t i = 0; i < stage->op_count; i++)
        if (shard->job->plan->nodes[stage->ops[i]->id]->kind == NODE_EXCHANGE)
            exchange_passed(stage->ops[i], position, step);
}

static bool goes_elsewhere(const struct shard *shard, uint32_t edge)
{
    const uint32_t to = shard->job->edges[edge].to_shard;

    return to != UINT32_MAX && to != shard->index;
}

/* Behind all rows of a step, before its firings. */
static const struct position no_more_rows = {.class_ = CLASS_ROWS,
                                             .origin = UINT32_MAX,
                                             .place = UINT32_MAX};

/* A position of a row with room for its key. */
struct bound {
    struct position at;
    char key[POSITION_KEY_MAX];
};

static void lower(struct bound *least, const struct position *p)
{
    if (position_compare(p, &least->at) >= 0)
        return;
    least->at = *p;
    if (p->key.length == 0)
        return;
    memcpy(least->key, mill_view_data(&p->key), p->key.length);
    least->at.key = view_of(least->key, p->key.length);
}

/* Lowers @least to what may still come on @path from an edge whose rows have come to @p. False: its key is too long to be told. */
static bool lower_on(struct bound *least, const struct stage_path *path, const struct position *p)
{
    /* behind all rows: those are passed, firings of this stage are still to come */
    struct position at = no_more_rows;
    char key[POSITION_KEY_MAX];
    uint32_t n = 0;

    if (p->class_ == CLASS_ROWS && p->origin != no_more_rows.origin) {
        if (p->key.length + 4 * path->level_count > sizeof key)
            return false;
        for (uint32_t i = 0; i < path->level_count; i++, n += 4) {
            const uint32_t origin = __builtin_bswap32(p->origin + path->levels[i]);

            memcpy(key + n, &origin, 4);
        }
        if (p->key.length > 0)
            memcpy(key + n, mill_view_data(&p->key), p->key.length);
        at = (struct position){.class_ = CLASS_ROWS,
                               .origin = p->origin + path->origin,
                               .place = p->place,
                               .key = view_of(key, n + p->key.length)};
    }
    lower(least, &at);
    return true;
}

/* How many bytes the sender's stage puts behind the key of the row that makes @head. */
static uint32_t numbers_behind(const struct exchange_node *exchange, const struct position *head)
{
    const struct stage_path *path = NULL;

    for (uint32_t i = 0; head->class_ == CLASS_FIRED && i < exchange->path_count; i++) {
        const struct stage_path *p = &exchange->paths[i];

        if (p->level_count > 0 && p->level_ids[0] == head->origin)
            return 4 * p->number_count;
    }
    if (head->class_ == CLASS_FIRED)
        return UINT32_MAX / 2; /* not caused by a row of the stage */
    for (uint32_t i = 0; i < exchange->path_count; i++) {
        const struct stage_path *p = &exchange->paths[i];

        if (p->origin <= head->origin &&
            (path == NULL || p->origin > path->origin ||
             (p->origin == path->origin && p->number_count < path->number_count)))
            path = p;
    }
    return path != NULL ? 4 * path->number_count : 0;
}

/* Whether @row, which its teller has or had, is a result of the very row that @bound is the place of. */
static bool is_result_of(const struct exchange_node *exchange, const struct position *row,
                         const struct position *bound)
{
    const uint32_t n = bound->key.length;

    return row->of_row && row->class_ == CLASS_ROWS && bound->class_ == CLASS_ROWS &&
           row->origin == bound->origin && row->place == bound->place && row->key.length > n &&
           memcmp(mill_view_data(&row->key), mill_view_data(&bound->key), n) == 0 &&
           row->key.length == n + numbers_behind(exchange, row);
}

/* The row being handed on: what comes next is not before it. */
static bool pushing_row(const struct stage *stage, uint32_t edge, struct position *out)
{
    if (!stage->blocked || !stage->pushing_rows || stage->pushing_edge != edge)
        return false;
    *out = (struct position){.class_ = CLASS_ROWS,
                             .origin = stage->pushing_origin,
                             .place = stage->pushing_at,
                             .of_row = true};
    if (stage->pushing_key_bytes != UINT32_MAX)
        out->key = view_of(stage->pushing_key, stage->pushing_key_bytes);
    return true;
}

/* A row is in one shard only: whoever has come to the place of one that another has had is past all its results. */
static bool had_by_another(const struct shard *shard, uint32_t edge, const struct stage *stage,
                           uint64_t step, uint32_t sender, const struct position *bound)
{
    const struct exchange_node *exchange = &shard->job->edges[edge].node->exchange;
    struct position p;

    if (bound->of_row || bound->class_ != CLASS_ROWS)
        return false;
    if (pushing_row(stage, edge, &p) && is_result_of(exchange, &p, bound))
        return true;
    for (uint32_t j = 0; j < shard->job->shard_count; j++) {
        const struct edge_in *in = edge_in(shard, edge, j);

        if (j != sender && in->step == step && sender_reached(in, &p) &&
            is_result_of(exchange, &p, bound))
            return true;
    }
    return false;
}

/* As far as one edge has come. False: not known. */
static bool edge_reached(struct shard *shard, struct stage *stage, uint32_t edge,
                         const struct step_entry *entry, const struct stage_path *path,
                         struct bound *least)
{
    const struct job *job = shard->job;
    struct position p;

    if (pushing_row(stage, edge, &p) &&
        (stage->pushing_key_bytes == UINT32_MAX || !lower_on(least, path, &p)))
        return false;
    for (uint32_t j = 0; stage->blocked && j < job->shard_count; j++)
        if (job->edges[edge].from_stage != 0 || entry->cutter == j)
            sender_look(shard, edge, j, entry); /* nobody else reads then what senders tell */
    for (uint32_t j = 0; j < job->shard_count; j++) {
        const struct edge_in *in = edge_in(shard, edge, j);

        if (job->edges[edge].from_stage == 0 && entry->cutter != j)
            continue;
        if (in->step == entry->step && in->ended)
            continue;
        if (in->step != entry->step || !sender_reached(in, &p))
            return false;
        if (!had_by_another(shard, edge, stage, entry->step, j, &p) && !lower_on(least, path, &p))
            return false;
    }
    return true;
}

/* Rows of a step are all of its source: other paths have firings at most. */
static bool brings_rows(const struct job *job, const struct stage_path *path,
                        const struct step_entry *entry)
{
    return entry->split != NO_SPLIT &&
           (job->plan->nodes[path->from]->sources >> entry->source & 1) != 0;
}

/* The least position of a row that @exchange may still get while the stage's rows have not ended. False: not known. */
static bool rows_reached(struct shard *shard, struct stage *stage, const struct step_entry *entry,
                         const struct exchange_node *exchange, struct bound *least)
{
    least->at = no_more_rows;
    for (uint32_t i = 0; i < exchange->path_count; i++) {
        const struct stage_path *path = &exchange->paths[i];
        const uint32_t edge = (uint32_t)shard->job->edge_of_node[path->from];

        if (goes_elsewhere(shard, edge) || !brings_rows(shard->job, path, entry))
            continue;
        /* what waits has the origins of its port, whatever its place */
        if ((path->waits_on >> entry->source & 1) != 0)
            lower(least, &(struct position){.class_ = CLASS_ROWS, .origin = path->origin});
        else if (!edge_reached(shard, stage, edge, entry, path, least))
            return false;
    }
    return true;
}

/* What a firing before the stage that has come to @p may still cause behind the first @levels: its keys as core/ops/emit.c makes
 * them. False: too long a key. */
static bool lower_fired(struct bound *least, const struct stage_path *path,
                        const struct position *p, uint32_t levels)
{
    struct position at = {.class_ = CLASS_FIRED, .origin = p->origin};
    char key[POSITION_KEY_MAX];
    uint32_t n = 6 * levels;

    if (p->key.length + n > sizeof key)
        return false;
    if (p->key.length > 0)
        memcpy(key + n, mill_view_data(&p->key), p->key.length);
    for (uint32_t i = levels; i-- > 0;) {
        const uint32_t origin = __builtin_bswap32(at.origin);

        n -= 6;
        key[n] = 0;
        key[n + 1] = (char)path->level_ports[i];
        memcpy(key + n + 2, &origin, 4);
        at.origin = path->level_ids[i];
    }
    /* without a key it is before all of them, and no firing's own place */
    at.key = view_of(key, p->key.length > 0 ? p->key.length + 6 * levels : 0);
    lower(least, &at);
    return true;
}

/* What may still come on @path of firings once an edge's sender has come to @p. False: not known. */
static bool lower_on_fired(struct bound *least, const struct stage_path *path,
                           const struct position *p)
{
    /* behind all that firings before the stage cause, before what the operator releases itself */
    const struct position caused = {.class_ = CLASS_FIRED,
                                    .origin = path->level_ids[path->level_count - 1],
                                    .key = view_of("\0\xff", 2)};

    switch (p->class_) {
    case CLASS_FIRED: return lower_fired(least, path, p, path->level_count);
    case CLASS_PASSED:
        return !path->fires_first && lower_fired(least, path, &caused, path->level_count - 1);
    default: return false;
    }
}

/* All rows have passed: the least position of what firings may still cause for @exchange. False: not known. */
static bool firings_reached(struct shard *shard, const struct stage *stage,
                            const struct step_entry *entry, const struct exchange_node *exchange,
                            struct bound *least)
{
    least->at = (struct position){.class_ = 255};
    for (uint32_t i = 0; i < exchange->path_count && !stage->blocked; i++) {
        const struct stage_path *path = &exchange->paths[i];
        const uint32_t edge = (uint32_t)shard->job->edge_of_node[path->from];

        if (goes_elsewhere(shard, edge))
            continue;
        if (path->hides_firings || path->level_count == 0)
            return false;
        for (uint32_t j = 0; j < shard->job->shard_count; j++) {
            const struct edge_in *in = edge_in(shard, edge, j);
            struct position p;

            if (shard->job->edges[edge].from_stage == 0 && entry->cutter != j)
                continue;
            if (in->step != entry->step ||
                (!in->ended && (!sender_reached(in, &p) || !lower_on_fired(least, path, &p))))
                return false;
        }
    }
    return least->at.class_ == CLASS_FIRED;
}

/* The same while rows that waited for an earlier port are being handed on. */
static bool waiting_reached(const struct job *job, const struct step_entry *entry,
                            const struct exchange_node *exchange, struct bound *least)
{
    least->at = no_more_rows;
    for (uint32_t i = 0; i < exchange->path_count; i++) {
        const struct stage_path *path = &exchange->paths[i];

        if (brings_rows(job, path, entry) && (path->waits_on >> entry->source & 1) != 0)
            lower(least, &(struct position){.class_ = CLASS_ROWS, .origin = path->origin});
    }
    return true;
}

/* Tells each exchange's receivers how far the rows to it have come; @flush: what is partly filled goes, even where that is
 * not known. */
static void stage_passed(struct shard *shard, struct stage *stage, const struct step_entry *entry,
                         bool flush)
{
    for (uint32_t i = 0; i < stage->op_count; i++) {
        const struct phys_node *node = shard->job->plan->nodes[stage->ops[i]->id];
        struct bound least, fired;
        bool known;

        if (node->kind != NODE_EXCHANGE)
            continue;
        known = stage->phase == STAGE_ENDING
                    ? waiting_reached(shard->job, entry, &node->exchange, &least)
                    : rows_reached(shard, stage, entry, &node->exchange, &least);
        if (known && stage->phase == STAGE_OPEN &&
            position_compare(&least.at, &no_more_rows) == 0 &&
            firings_reached(shard, stage, entry, &node->exchange, &fired))
            exchange_passed(stage->ops[i], &fired.at, entry->step);
        else if (known || flush)
            exchange_passed(stage->ops[i], known ? &least.at : NULL, entry->step);
    }
}

/* What a UNION ALL keeps until the step ends is of operators before it; others of several inputs make their results anew. */
static bool keeps_results(const struct shard *shard, const struct stage *stage)
{
    for (uint32_t i = 0; i < stage->op_count; i++) {
        const struct phys_node *node = shard->job->plan->nodes[stage->ops[i]->id];

        if (node->input_count > 1 && node->kind == NODE_UNION)
            return true;
    }
    return false;
}

/* The link of @op from which results come to @exchange with the positions that it gives them. UINT32_MAX: not so. */
static uint32_t link_to(const struct job *job, const struct op *op, uint32_t exchange)
{
    const struct phys_node *node = job->plan->nodes[exchange];

    do {
        node = node->inputs[0];
        for (uint32_t i = 0; i < op->link_count; i++)
            if (op->links[i].to->id == node->id)
                return i;
    } while (node->kind == NODE_CALC);
    return UINT32_MAX;
}

/* An operator of the stage fires: its results to come are behind those of earlier ones, and behind what it says itself. */
static void firing_passed(struct shard *shard, struct stage *stage, const struct op *firing,
                          uint64_t step)
{
    for (uint32_t i = 0; i < stage->op_count; i++) {
        struct position position = {.class_ = CLASS_FIRED, .origin = firing->id};
        uint32_t link = UINT32_MAX;
        char key[8];

        if (shard->job->plan->nodes[stage->ops[i]->id]->kind != NODE_EXCHANGE)
            continue;
        if (firing->vtable->to_come != NULL)
            link = link_to(shard->job, firing, stage->ops[i]->id);
        if (link != UINT32_MAX && firing->vtable->to_come(firing, link, key)) {
            position.origin = firing->links[link].to->id;
            position.key = view_of(key, sizeof key);
        }
        exchange_passed(stage->ops[i], &position, step);
    }
}

void stage_reached(struct shard *shard, struct stage *stage, const struct step_entry *entry)
{
    if (stage->silent && stage->phase != STAGE_IDLE) {
        tell_all(shard, stage, &(struct position){.class_ = CLASS_FIRED + 1}, entry->step);
    } else if (stage->phase == STAGE_OPEN) {
        stage_passed(shard, stage, entry, stage->blocked);
    } else if (stage->phase == STAGE_ENDING && stage->end_op <= stage->op_count) {
        stage_passed(shard, stage, entry, true);
    } else if (stage->phase == STAGE_ENDING && !keeps_results(shard, stage)) {
        firing_passed(shard, stage, stage->ops[stage->end_op - 1 - stage->op_count], entry->step);
    } else if (stage->phase == STAGE_ENDING) {
        tell_all(shard, stage, NULL, entry->step);
    }
}

void front_reached(struct shard *shard)
{
    const struct front *front = &shard->front;
    struct stage *stage = &shard->stages[0];
    struct position position = {.place = front->pushing_at};

    if (shard->job->shard_count == 1 || !front->begun)
        return;
    if (front->ending)
        position.place = UINT32_MAX;
    tell_all(shard, stage, front->ending && keeps_results(shard, stage) ? NULL : &position,
             front->entry->step);
}

/* ---- handing on ---- */

static void keep_pushing_key(struct stage *stage, const struct batch *batch)
{
    const struct mill_view *key =
        batch->order_keys != NULL ? &batch->order_keys[batch_row(batch, 0)] : NULL;

    stage->pushing_key_bytes = key != NULL ? key->length : 0;
    if (stage->pushing_key_bytes > POSITION_KEY_MAX)
        stage->pushing_key_bytes = UINT32_MAX;
    else if (key != NULL && key->length > 0)
        memcpy(stage->pushing_key, mill_view_data(key), key->length);
}

static enum edge_state hand_on(struct shard *shard, uint32_t edge, struct batch *batch)
{
    struct op *op = shard->ops[shard->job->edges[edge].node->id];
    struct op *to = op->links[0].to;
    struct stage *stage = &shard->stages[shard->job->edges[edge].to_stage];

    stage->pushing_rows = batch->class_ == CLASS_ROWS && batch->live > 0;
    if (stage->pushing_rows) {
        stage->pushing_at = batch_place(batch, batch_row(batch, 0));
        stage->pushing_origin = batch->origin;
        keep_pushing_key(stage, batch);
        stage->pushing_edge = edge;
    }

    exchange_number(op, batch);
    switch (to->vtable->push(to, op->links[0].port, batch, exchange_time(op))) {
    case OP_FAILED: return EDGE_FAILED;
    case OP_BUSY: return EDGE_BUSY;
    default: return EDGE_WORKED;
    }
}

/* Looking for something to receive is the engine's time, what is done with it the exchange's. */
static uint32_t receive_begins(struct shard *shard, uint32_t edge)
{
    return profile_enter(shard->profile, PART_EDGE, shard->job->edges[edge].node->id);
}

/* A whole batch of another shard, borrowed: nothing of it is written or allocated in by us. */
static enum edge_state hand_on_whole(struct shard *shard, uint32_t edge, struct batch *batch)
{
    const uint32_t outer = receive_begins(shard, edge);
    struct batch *shell = shard_take_batch(&shard->context, batch->column_count);
    enum edge_state state;

    if (shell == NULL || !batch_borrow(shell, batch)) {
        batch_release(shell);
        batch_release(batch);
        mill_fail(&shard->error, MILL_E_MEMORY, 0, 0, "no memory to receive rows");
        return EDGE_FAILED;
    }
    batch_release(batch); /* ours; the shell keeps its share */
    state = hand_on(shard, edge, shell);
    profile_leave(shard->profile, outer);
    return state;
}

static enum edge_state receive_from_cutter(struct shard *shard, struct stage *stage, uint32_t edge,
                                           const struct step_entry *entry)
{
    struct edge_in *in = edge_in(shard, edge, entry->cutter);

    /* Again on every look, not only when it is news: what could not be told when the ring onward was full must be told
     * when it has run empty, or the receiver there waits for ever. */
    if (sender_look(shard, edge, entry->cutter, entry) || (in->head == NULL && in->has_bound))
        stage_passed(shard, stage, entry, false);
    if (shard->error.code != MILL_OK)
        return EDGE_FAILED;
    if (in->head != NULL)
        return hand_on_whole(shard, edge, sender_take(shard, edge, entry->cutter));
    return in->ended ? EDGE_ENDED : EDGE_WAITING;
}

/* ---- merging ---- */

/* Whether a sender that has passed what lies before @bound may still send something before @head. Not if @bound is the place of
 * the very row or firing that made @head, which only one shard has. A shorter key is that of a row further up, of whose results others may
 * be on their way to that sender. */
static bool may_come_before(const struct exchange_node *exchange, const struct position *bound,
                            const struct position *head)
{
    const uint32_t n = bound->key.length;

    if (position_compare(bound, head) >= 0)
        return false;
    return bound->class_ != head->class_ || bound->class_ > CLASS_FIRED ||
           bound->origin != head->origin || bound->place != head->place ||
           n + numbers_behind(exchange, head) != head->key.length ||
           memcmp(mill_view_data(&bound->key), mill_view_data(&head->key), n) != 0;
}

/* The sender with the smallest head, and in @other the smallest position that another one may still bring. Returns -1
 * if there is no head; *blocked: somebody might still bring a smaller one. */
static int32_t least_head(struct shard *shard, uint32_t edge, struct position *best,
                          struct position *other, bool *blocked)
{
    const struct exchange_node *exchange = &shard->job->edges[edge].node->exchange;
    const uint32_t n = shard->job->shard_count;
    int32_t found = -1;

    *other = (struct position){.class_ = 255};
    *blocked = false;
    for (uint32_t j = 0; j < n; j++) {
        struct position p;

        if (edge_in(shard, edge, j)->head == NULL)
            continue;
        sender_reached(edge_in(shard, edge, j), &p);
        if (found < 0 || position_compare(&p, best) < 0) {
            if (found >= 0)
                *other = *best;
            *best = p;
            found = (int32_t)j;
        } else if (position_compare(&p, other) < 0) {
            *other = p;
        }
    }
    for (uint32_t j = 0; found >= 0 && j < n; j++) {
        const struct edge_in *in = edge_in(shard, edge, j);

        if (in->head != NULL || in->ended)
            continue;
        if (!in->has_bound || may_come_before(exchange, &in->bound, best))
            *blocked = true;
        else if (position_compare(&in->bound, other) < 0)
            *other = in->bound;
        shard->probes[*blocked ? PROBE_MERGE_WAITED : PROBE_POSITION_USED]++;
    }
    return found;
}

/* Rows of @in that come before @other. */
static uint32_t run_length(const struct edge_in *in, const struct position *other, uint32_t most)
{
    uint32_t n = 1;

    if (other->class_ == 255)
        return min_u32(most, in->head->rows - in->next);
    while (n < most && in->next + n < in->head->rows) {
        struct position p;

        batch_position(in->head, in->next + n, &p);
        if (position_compare(&p, other) >= 0)
            break;
        n++;
    }
    return n;
}

static struct batch *merged_begin(struct shard *shard, uint32_t edge, const struct batch *head)
{
    const struct mill_schema *schema = &shard->job->edges[edge].node->schema;
    struct batch *out = shard_take_batch(&shard->context, schema->field_count);

    if (out == NULL || !batch_own_columns(out, schema)) {
        batch_release(out);
        mill_fail(&shard->error, MILL_E_MEMORY, 0, 0, "no memory to merge shards");
        return NULL;
    }
    out->step = head->step;
    out->class_ = head->class_;
    out->origin = head->origin;
    out->split = head->split;
    return out;
}

/* Fills @out with rows in order until it is full, the class or origin changes, or a sender must be waited for. */
static bool merge_into(struct shard *shard, uint32_t edge, const struct step_entry *entry,
                       struct batch *out, int32_t j, struct position *other)
{
    const struct mill_schema *schema = &shard->job->edges[edge].node->schema;
    uint16_t rows[BATCH_ROWS_MAX];

    while (j >= 0 && out->rows < out->capacity) {
        struct edge_in *in = edge_in(shard, edge, (uint32_t)j);
        struct position best;
        bool blocked;
        uint32_t n;

        if (in->head->class_ != out->class_ || in->head->origin != out->origin)
            break;
        n = run_length(in, other, out->capacity - out->rows);
        for (uint32_t i = 0; i < n; i++)
            rows[i] = (uint16_t)(in->next + i);
        if (batch_append(out, in->head, rows, n, schema) != (int)n) {
            mill_fail(&shard->error, MILL_E_MEMORY, 0, 0, "no memory to merge shards");
            return false;
        }
        in->next += n;
        if (in->next == in->head->rows) {
            batch_release(sender_take(shard, edge, (uint32_t)j));
            sender_look(shard, edge, (uint32_t)j, entry);
        }
        j = least_head(shard, edge, &best, other, &blocked);
        if (blocked)
            break;
    }
    return true;
}

static enum edge_state hand_on_merged(struct shard *shard, uint32_t edge,
                                      const struct step_entry *entry, int32_t first,
                                      struct position *other)
{
    const uint32_t outer = receive_begins(shard, edge);
    struct batch *out = merged_begin(shard, edge, edge_in(shard, edge, (uint32_t)first)->head);
    enum edge_state state;

    if (out == NULL)
        return EDGE_FAILED;
    if (!merge_into(shard, edge, entry, out, first, other)) {
        batch_release(out);
        return EDGE_FAILED;
    }
    state = hand_on(shard, edge, out);
    profile_leave(shard->profile, outer);
    return state;
}

static enum edge_state receive_merged(struct shard *shard, struct stage *stage, uint32_t edge,
                                      const struct step_entry *entry)
{
    const uint32_t n = shard->job->shard_count;
    struct position best, other;
    uint32_t ended = 0;
    bool blocked, told = false;
    int32_t j;

    for (uint32_t s = 0; s < n; s++) {
        told = sender_look(shard, edge, s, entry) || told;
        ended += edge_in(shard, edge, s)->ended;
        told =
            told || (edge_in(shard, edge, s)->head == NULL && edge_in(shard, edge, s)->has_bound);
    }
    if (told)
        stage_passed(shard, stage, entry, false);
    if (shard->error.code != MILL_OK)
        return EDGE_FAILED;
    j = least_head(shard, edge, &best, &other, &blocked);
    if (j < 0 || blocked)
        return ended == n ? EDGE_ENDED : EDGE_WAITING;
    if (other.class_ == 255 && edge_in(shard, edge, (uint32_t)j)->next == 0)
        return hand_on_whole(shard, edge, sender_take(shard, edge, (uint32_t)j));
    return hand_on_merged(shard, edge, entry, j, &other);
}

enum edge_state edge_receive(struct shard *shard, struct stage *stage, uint32_t edge)
{
    const struct step_entry *entry = job_entry(shard->job, stage->step);
    const struct edge_plan *plan = &shard->job->edges[edge];

    if (goes_elsewhere(shard, edge))
        return EDGE_ENDED;
    return plan->from_stage == 0 ? receive_from_cutter(shard, stage, edge, entry)
                                 : receive_merged(shard, stage, edge, entry);
}

/* core/ops/over_view_values.c - OVER as a view: what is computed of a row's frame. */
#include "core/ops/over_view.h"

static const uint64_t no_bits;

/* ---- sides ---- */

static void frame_empty(struct over_view *o, struct view_side *side, uint32_t f)
{
    for (uint32_t w = 0; w < OVER_WAYS; w++) {
        struct agg_set *set = o->frames[f].sets[w];

        if (set == NULL)
            continue;
        agg_close(set, side->states + o->frames[f].at[w]);
        agg_init(set, side->states + o->frames[f].at[w]);
    }
    side->frames[f] = (struct view_bounds){0, 0};
}

void view_show(struct over_view *o, struct view_side *side, struct view_key *key, uint32_t skip)
{
    CHECK(!side->open);
    side->open = true;
    side->key = key;
    side->skip = skip;
    side->count = key->count - (skip != UINT32_MAX);
    side->ranked = UINT32_MAX;
    side->dense = 0;
    for (uint32_t f = 0; f < o->node->frame_count; f++) {
        side->frames[f] = (struct view_bounds){0, 0};
        for (uint32_t w = 0; w < OVER_WAYS; w++)
            if (o->frames[f].sets[w] != NULL)
                agg_init(o->frames[f].sets[w], side->states + o->frames[f].at[w]);
    }
}

void view_hide(struct over_view *o, struct view_side *side)
{
    if (!side->open)
        return;
    side->open = false;
    for (uint32_t f = 0; f < o->node->frame_count; f++)
        for (uint32_t w = 0; w < OVER_WAYS; w++)
            if (o->frames[f].sets[w] != NULL)
                agg_close(o->frames[f].sets[w], side->states + o->frames[f].at[w]);
}

/* ---- frames ---- */

/* The entry as row 0 of o->stored; its place is its number: for FIRST, LAST, LISTAGG. */
static void show_stored(struct over_view *o, uint32_t id, uint32_t place)
{
    for (uint32_t k = 0; k < o->shown_count; k++) {
        const uint32_t kept = o->shown[k];
        struct column *c = &o->stored.columns[o->node->kept[kept]];

        c->values = (void *)(uintptr_t)rows_value(&o->rows, id, kept);
        c->validity = rows_value_valid(&o->rows, id, kept) ? NULL : (uint64_t *)(uintptr_t)&no_bits;
        c->constant = true;
    }
    o->stored_place = place;
}

static bool frame_add(struct over_view *o, struct view_side *side, uint32_t f, uint32_t i)
{
    static const uint16_t first = 0;
    bool ok = true;

    show_stored(o, side_entry(side, i)->id, i);
    for (uint32_t w = 0; ok && w < OVER_WAYS; w++)
        if (o->frames[f].sets[w] != NULL)
            ok = agg_add_one(o->frames[f].sets[w], side->states + o->frames[f].at[w], &o->stored,
                             &first, 1);
    return ok;
}

/* What is exact slides; what is not begins anew wherever its first row is another one, so that it is always added in row order. */
static bool frame_move(struct over_view *o, struct view_side *side, uint32_t f,
                       struct view_bounds to)
{
    const struct view_frame *frame = &o->frames[f];
    struct view_bounds *in = &side->frames[f];
    struct agg_set *exact = frame->sets[OVER_RETRACTS];

    if (to.low >= in->high || to.low < in->low || to.high < in->high) {
        frame_empty(o, side, f);
        *in = (struct view_bounds){to.low, to.low};
    }
    if (to.low > in->low && (exact == NULL || frame->sets[OVER_AGAIN] != NULL)) {
        frame_empty(o, side, f);
        *in = (struct view_bounds){to.low, to.low};
    }
    for (; in->low < to.low; in->low++) {
        show_stored(o, side_entry(side, in->low)->id, in->low);
        if (!agg_retract(exact, side->states + frame->at[OVER_RETRACTS], &o->stored, 0))
            return false;
    }
    for (; in->high < to.high; in->high++)
        if (!frame_add(o, side, f, in->high))
            return false;
    return true;
}

static bool has_aggregates(const struct view_frame *frame)
{
    for (uint32_t w = 0; w < OVER_WAYS; w++)
        if (frame->sets[w] != NULL)
            return true;
    return false;
}

/* ---- functions ---- */

static uint32_t dense_rank(const struct over_view *o, struct view_side *side, uint32_t i)
{
    if (side->ranked > i) {
        side->ranked = 0;
        side->dense = 1;
    }
    while (side->ranked < i) {
        side->dense += view_first_peer(o, side, side->ranked + 1) == side->ranked + 1;
        side->ranked++;
    }
    return side->dense;
}

/* The tile of row @i of @n: the first ones of @tiles are one row longer where they do not divide evenly. */
static int32_t ntile(uint32_t i, uint32_t n, int64_t tiles)
{
    const int64_t size = n / tiles, longer = n % tiles, head = longer * (size + 1);

    return (int32_t)(i < head ? i / (size + 1) : longer + (i - head) / size) + 1;
}

/* LAG, LEAD: the value of another entry. */
static bool put_other(struct over_view *o, const struct view_side *side,
                      const struct over_call *call, uint32_t i, struct batch *to,
                      struct column *into, uint32_t row)
{
    const int64_t other =
        call->function == OVER_LAG ? (int64_t)i - call->distance : (int64_t)i + call->distance;
    const bool there = other >= 0 && other < side->count;
    const uint32_t id = side_entry(side, there ? (uint32_t)other : i)->id;

    if (!there && call->fallback < 0)
        return column_put_null(to, into, row);
    return rows_gather(&o->rows, &id, 1, o->kept_at[there ? call->arg : (uint32_t)call->fallback],
                       to, into, row);
}

static bool put_call(struct over_view *o, struct view_side *side, const struct over_call *call,
                     uint32_t i, struct batch *to, struct column *into, uint32_t row)
{
    const uint32_t n = side->count;

    switch (call->function) {
    case OVER_ROW_NUMBER: ((int64_t *)into->values)[row] = (int64_t)i + 1; return true;
    case OVER_RANK:
        ((int64_t *)into->values)[row] = (int64_t)view_first_peer(o, side, i) + 1;
        return true;
    case OVER_DENSE_RANK: ((int64_t *)into->values)[row] = dense_rank(o, side, i); return true;
    case OVER_NTILE: ((int32_t *)into->values)[row] = ntile(i, n, call->distance); return true;
    case OVER_PERCENT_RANK:
        ((double *)into->values)[row] = n > 1 ? (double)view_first_peer(o, side, i) / (n - 1) : 0;
        return true;
    case OVER_CUME_DIST:
        ((double *)into->values)[row] = (double)view_past_peers(o, side, i) / n;
        return true;
    default: return put_other(o, side, call, i, to, into, row);
    }
}

bool view_compute(struct over_view *o, struct view_side *side, uint32_t i, struct batch *to,
                  struct column *columns, uint32_t row)
{
    const uint32_t given = o->node->given;

    for (uint32_t f = 0; f < o->node->frame_count; f++) {
        const struct view_frame *frame = &o->frames[f];

        if (!has_aggregates(frame))
            continue;
        if (!frame_move(o, side, f, view_frame_of(o, side, frame->spec, i)))
            return false;
        for (uint32_t w = 0; w < OVER_WAYS; w++)
            if (frame->sets[w] != NULL &&
                !agg_values(frame->sets[w], side->states + frame->at[w], to,
                            columns + frame->spec->first[w] - given, row))
                return false;
    }
    for (uint32_t c = 0; c < o->node->call_count; c++) {
        const struct over_call *call = &o->node->calls[c];

        if (!put_call(o, side, call, i, to, &columns[call->out - given], row))
            return false;
    }
    return true;
}

bool view_put_given(struct over_view *o, const uint32_t *ids, uint32_t count, uint32_t at)
{
    struct batch *out = o->emit.out;

    for (uint32_t c = 0; c < o->node->given; c++) {
        if (o->kept_at[c] == UINT32_MAX)
            out->columns[c].values = NULL; /* nobody reads it */
        else if (!rows_gather(&o->rows, ids, count, o->kept_at[c], out, &out->columns[c], at))
            return false;
    }
    return true;
}

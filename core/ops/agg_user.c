/* core/ops/agg_user.c - aggregates of libraries: the state is theirs, the arguments come as fields of a ROW.
 *
 * Where rows are kept one by one (OVER) the ROW is packed: the one element of an array.
 */
#include "core/items.h"
#include "core/ops/agg_impl.h"

/* Arguments as the function sees them. */
struct shown {
    struct mill_column args[AGG_USER_ARGS_MAX];
    int128 values[AGG_USER_ARGS_MAX]; /* of a packed row, one each */
    uint64_t valid[AGG_USER_ARGS_MAX];
};

static void show_columns(const struct agg_slot *slot, const struct batch *batch, struct shown *s)
{
    const struct column *row = &batch->columns[slot->spec.arg];

    for (uint32_t i = 0; i < slot->spec.user->arg_count; i++)
        s->args[i] = (struct mill_column){.values = row->children[i].values,
                                          .validity = row->children[i].validity};
}

static void show_packed(const struct agg_slot *slot, const struct batch *batch, uint32_t row,
                        struct shown *s)
{
    const struct mill_type *type = items_type(&slot->spec.arg_type, 0);
    const struct column *c = &batch->columns[slot->spec.arg];
    const struct items items =
        items_of(&slot->spec.arg_type,
                 (const struct mill_view *)c->values + (c->constant ? 0 : row), 0);
    const struct cell packed = items_cell(&items, 0);
    const char *at = NULL;

    for (uint32_t i = 0; i < type->field_count; i++) {
        struct mill_view view;
        struct cell cell;

        at = row_field(type, &packed, i, at, &cell);
        s->valid[i] = !cell.null;
        s->values[i] = 0;
        if (!cell.null && type_phys(&type->fields[i].type) == PHYS_VIEW) {
            view = view_of(cell.bytes, cell.length);
            memcpy(&s->values[i], &view, sizeof view);
        } else if (!cell.null) {
            memcpy(&s->values[i], cell.bytes, cell.length);
        }
        s->args[i] = (struct mill_column){.values = &s->values[i], .validity = &s->valid[i]};
    }
}

static bool is_packed(const struct agg_slot *slot)
{
    return slot->spec.arg_type.kind == MILL_ARRAY;
}

void agg_user_add(const struct agg_slot *slot, const struct agg_block *b)
{
    struct shown s;

    if (!is_packed(slot))
        show_columns(slot, b->batch, &s);
    for (uint32_t i = 0; i < b->count; i++) {
        if (is_packed(slot))
            show_packed(slot, b->batch, b->rows[i], &s);
        slot->spec.user->accumulate(b->states[i] + slot->at, s.args,
                                    is_packed(slot) ? 0 : b->rows[i]);
    }
}

void agg_user_retract(const struct agg_slot *slot, void *at, const struct batch *batch,
                      uint32_t row)
{
    struct shown s;

    if (is_packed(slot))
        show_packed(slot, batch, row, &s);
    else
        show_columns(slot, batch, &s);
    slot->spec.user->retract(at, s.args, is_packed(slot) ? 0 : row);
}

struct giving {
    struct batch *batch;
    bool full;
};

static void *give_bytes(void *context, size_t bytes)
{
    struct giving *giving = context;
    void *memory = arena_alloc(&giving->batch->bytes, bytes > 0 ? bytes : 1);

    giving->full = giving->full || memory == NULL;
    return memory;
}

int agg_user_value(const struct agg_slot *slot, const char *at, struct batch *batch,
                   struct column *out, uint32_t row)
{
    const uint32_t width = type_width(&slot->spec.result_type);
    struct giving giving = {batch, false};
    bool null = false;

    slot->spec.user->result(at, (char *)out->values + (size_t)row * width, &null, give_bytes,
                            &giving);
    return giving.full ? -1 : !null;
}

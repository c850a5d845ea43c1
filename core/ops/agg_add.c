/* core/ops/agg_add.c - adding the rows of a batch to the states of their groups.
 *
 * Rows go through in blocks, slot by slot, so that a block's states stay in the first cache. What a slot does not
 * take (NULL, FILTER) is left out beforehand: the loops see values only.
 */
#include "core/ops/agg_impl.h"
#include "kernels/kernels.h"

void agg_roll(const struct agg_set *set, void *state, uint64_t step)
{
    uint64_t *head = (uint64_t *)((char *)state + set->step_at);

    for (uint32_t i = 0; i < set->sum_count; i++) {
        double *sum = agg_f64(state, set->sums[i]);

        sum[0] += agg_fold(sum + 1, set->lanes);
        for (uint32_t k = 1; k <= set->lanes; k++)
            sum[k] = -0.0;
    }
    head[0] = step;
    head[1] = 0;
}

#define VALUE(type) ((const type *)values)[rows[i]]
#define STATE (states[one ? 0 : i])

/* One loop per type: @body sees the value v and the slot's memory at. */
#define EACH(type, ctype, body)                                                                    \
    for (uint32_t i = 0; i < b->count; i++) {                                                      \
        const ctype v = (ctype)VALUE(type);                                                        \
        char *at = b->states[i] + slot->at;                                                        \
        body;                                                                                      \
    }                                                                                              \
    break;

#define EACH_INTEGER(body)                                                                         \
    case PHYS_BOOL: EACH(uint8_t, int64_t, body)                                                   \
    case PHYS_I8: EACH(int8_t, int64_t, body)                                                      \
    case PHYS_I16: EACH(int16_t, int64_t, body)                                                    \
    case PHYS_I32: EACH(int32_t, int64_t, body)                                                    \
    case PHYS_I64:                                                                                 \
        EACH(int64_t, int64_t, body)

#define EACH_ORDERED(body)                                                                         \
    EACH_INTEGER(body)                                                                             \
    case PHYS_F32:                                                                                 \
        for (uint32_t i = 0; i < b->count; i++) {                                                  \
            const int64_t v = agg_order_f64((double)VALUE(float));                                 \
            char *at = b->states[i] + slot->at;                                                    \
            body;                                                                                  \
        }                                                                                          \
        break;                                                                                     \
    case PHYS_F64:                                                                                 \
        for (uint32_t i = 0; i < b->count; i++) {                                                  \
            const int64_t v = agg_order_f64(VALUE(double));                                        \
            char *at = b->states[i] + slot->at;                                                    \
            body;                                                                                  \
        }                                                                                          \
        break;

#define I64_AT (*(int64_t *)at)
#define I128_AT (*(int128_at8 *)at)

static void add_sum(const struct agg_slot *slot, const struct agg_block *b, const void *values)
{
    const uint16_t *rows = b->rows;

    if (slot->acc == ACC_SUM64) {
        switch (slot->phys) {
            EACH_INTEGER(I64_AT += v)
        default: break;
        }
    } else if (slot->phys == PHYS_I128) {
        for (uint32_t i = 0; i < b->count; i++) {
            char *at = b->states[i] + slot->at;
            const int128 v = ((const int128 *)values)[rows[i]];

            if (slot->acc == ACC_SUM192)
                agg_add192(at, v);
            else
                *(uint128_at8 *)at += (uint128)v;
        }
    } else {
        switch (slot->phys) {
            EACH_INTEGER(I128_AT += v)
        default: break;
        }
    }
}

static void add_min(const struct agg_slot *slot, const struct agg_block *b, const void *values)
{
    const uint16_t *rows = b->rows;

    switch (slot->phys) {
        EACH_ORDERED(I64_AT = v < I64_AT ? v : I64_AT)
    default:
        for (uint32_t i = 0; i < b->count; i++) {
            char *at = b->states[i] + slot->at;
            const int128 v = ((const int128 *)values)[rows[i]];

            if (v < I128_AT)
                I128_AT = v;
        }
    }
}

static void add_max(const struct agg_slot *slot, const struct agg_block *b, const void *values)
{
    const uint16_t *rows = b->rows;

    switch (slot->phys) {
        EACH_ORDERED(I64_AT = v > I64_AT ? v : I64_AT)
    default:
        for (uint32_t i = 0; i < b->count; i++) {
            char *at = b->states[i] + slot->at;
            const int128 v = ((const int128 *)values)[rows[i]];

            if (v > I128_AT)
                I128_AT = v;
        }
    }
}

static void add_fsum(const struct agg_set *set, const struct agg_slot *slot,
                     const struct agg_block *b, const void *values)
{
    const uint16_t *rows = b->rows;
    const uint8_t *lane = b->lane;

    if (slot->phys == PHYS_F64 && set->lanes == 1) {
        for (uint32_t i = 0; i < b->count; i++)
            ((double *)(b->states[i] + slot->at))[1] += VALUE(double);
    } else if (slot->phys == PHYS_F64) {
        for (uint32_t i = 0; i < b->count; i++)
            ((double *)(b->states[i] + slot->at))[1 + lane[i]] += VALUE(double);
    } else {
        for (uint32_t i = 0; i < b->count; i++)
            ((double *)(b->states[i] + slot->at))[1 + (set->lanes == 1 ? 0 : lane[i])] +=
                (double)VALUE(float);
    }
}

static double decimal_double(int128 value, uint32_t scale)
{
    double power = 1;

    for (uint32_t i = 0; i < scale; i++)
        power *= 10;
    return (double)value / power;
}

static void add_moments(const struct agg_set *set, const struct agg_slot *slot,
                        const struct agg_block *b, const struct column *column)
{
    for (uint32_t i = 0; i < b->count; i++) {
        char *at = b->states[i] + slot->at;
        char value[16];

        agg_normal(slot->phys, column, b->rows[i], value);
        if (slot->acc == ACC_FMOMENTS && set->lanes > 1) {
            double *sum = (double *)(at + 8), v;

            v = slot->phys == PHYS_I128
                    ? decimal_double(*(int128_at8 *)value, slot->spec.arg_type.scale)
                    : agg_unorder_f64(*(int64_t *)value);
            I64_AT += 1;
            sum[1 + b->lane[i]] += v;
            sum[2 + set->lanes + b->lane[i]] += v * v;
        } else {
            agg_slot_add(set, slot, slot->acc, at, 0, value);
        }
    }
}

/* Also finishes value sets, which are aggregated by value: hence one value at a time. */
void agg_slot_add(const struct agg_set *set, const struct agg_slot *slot, enum acc acc, char *at,
                  uint32_t count_at, const void *normal)
{
    const int128 wide =
        slot->phys == PHYS_I128 ? *(const int128_at8 *)normal : *(const int64_t *)normal;
    const bool is_real = slot->phys == PHYS_F32 || slot->phys == PHYS_F64;
    const double real = is_real                   ? agg_unorder_f64(*(const int64_t *)normal)
                        : slot->phys == PHYS_I128 ? decimal_double(wide, slot->spec.arg_type.scale)
                                                  : 0;

    if (count_at != 0)
        *(int64_t *)(at + (count_at - slot->at)) += 1;
    switch (acc) {
    case ACC_COUNT: I64_AT += 1; break;
    case ACC_SUM64: I64_AT += (int64_t)wide; break;
    case ACC_SUM128: *(uint128_at8 *)at += (uint128)wide; break;
    case ACC_SUM192: agg_add192(at, wide); break;
    case ACC_FSUM: ((double *)at)[1] += real; break;
    case ACC_MOMENTS:
        I64_AT += 1;
        *(uint128_at8 *)(at + 8) += (uint128)wide;
        agg_add192(at + 24, wide * wide);
        break;
    case ACC_FMOMENTS:
        I64_AT += 1;
        ((double *)at)[2] += real;
        ((double *)at)[3 + set->lanes] += real * real;
        break;
    default: CHECK(false);
    }
}

static bool add_views(struct agg_set *set, const struct agg_slot *slot, const struct agg_block *b,
                      const struct mill_view *values, uint32_t number)
{
    for (uint32_t i = 0; i < b->count; i++) {
        struct mill_view *own = (struct mill_view *)(b->states[i] + slot->at);
        const struct mill_view *v = &values[b->rows[i]];

        if (agg_is_seen(b->states[i], number)) {
            const int c = view_compare(v, own);

            if (slot->acc == ACC_MINVIEW ? c >= 0 : c <= 0)
                continue;
        }
        if (!agg_view_set(set, own, v))
            return false;
        *agg_seen(b->states[i], number) |= 1ull << (number & 63);
    }
    return true;
}

static bool add_placed(struct agg_set *set, const struct agg_slot *slot, const struct agg_block *b,
                       const struct column *column, uint32_t number)
{
    const uint32_t width = slot->phys == PHYS_VIEW ? 16 : type_width(&slot->spec.arg_type);

    for (uint32_t i = 0; i < b->count; i++) {
        char *at = b->states[i] + slot->at;
        uint64_t *placed = (uint64_t *)at;
        const uint64_t place = batch_place(b->batch, b->rows[i]);
        const char *value =
            (const char *)column->values + (column->constant ? 0 : (size_t)b->rows[i] * width);

        if (agg_is_seen(b->states[i], number)) {
            const bool later =
                b->batch->step != placed[0] ? b->batch->step > placed[0] : place > placed[1];

            if (later != (slot->acc == ACC_LAST))
                continue;
        }
        placed[0] = b->batch->step;
        placed[1] = place;
        if (slot->phys != PHYS_VIEW)
            memcpy(at + 16, value, width);
        else if (!agg_view_set(set, (struct mill_view *)(at + 16), (const void *)value))
            return false;
        *agg_seen(b->states[i], number) |= 1ull << (number & 63);
    }
    return true;
}

static bool add_texts(struct agg_set *set, const struct agg_slot *slot, const struct agg_block *b,
                      const struct column *column)
{
    for (uint32_t i = 0; i < b->count; i++) {
        struct mill_view v;

        agg_normal(slot->phys, column, b->rows[i], &v);
        if (!agg_list_add(set, (struct agg_list **)(b->states[i] + slot->at), b->batch->step,
                          batch_place(b->batch, b->rows[i]), mill_view_data(&v), v.length))
            return false;
    }
    return true;
}

/* Leaves out rows that the slot does not take; true: the block has been narrowed. */
static void narrow(struct agg_set *set, const struct agg_slot *slot, struct agg_block *b)
{
    const struct column *value = slot->spec.arg < 0 ? NULL : &b->batch->columns[slot->spec.arg];
    const struct column *filter =
        slot->spec.filter < 0 ? NULL : &b->batch->columns[slot->spec.filter];
    uint32_t n = 0;

    if (filter == NULL && (value == NULL || value->validity == NULL))
        return;
    for (uint32_t i = 0; i < b->count; i++) {
        const uint32_t row = b->rows[i];

        set->kept_rows[n] = (uint16_t)row;
        set->kept[n] = b->states[i];
        set->kept_lane[n] = b->lane[i];
        n += (value == NULL || column_valid(value, row)) &&
             (filter == NULL ||
              (column_valid(filter, row) &&
               ((const uint8_t *)filter->values)[filter->constant ? 0 : row] != 0));
    }
    b->rows = set->kept_rows;
    b->states = set->kept;
    b->lane = set->kept_lane;
    b->count = n;
    b->one = b->one && n > 0;
    b->contiguous = false;
}

static void add_counts(const struct agg_block *b, uint32_t at)
{
    if (b->one) {
        *agg_i64(b->states[0], at) += b->count;
        return;
    }
    for (uint32_t i = 0; i < b->count; i++)
        *agg_i64(b->states[i], at) += 1;
}

static void mark_seen(const struct agg_block *b, uint32_t number)
{
    const uint64_t bit = 1ull << (number & 63);

    if ((b->marked & bit) != 0) /* only sets of up to 64 aggregates mark beforehand */
        return;
    for (uint32_t i = 0; i < (b->one ? min_u32(b->count, 1) : b->count); i++)
        *agg_seen(b->states[i], number) |= bit;
}

/* A column of doubles as it stands: sum and bounds in one pass over it. False: not such a slot. */
static bool add_doubles(struct agg_set *set, const struct agg_slot *slot, const struct agg_block *b)
{
    const struct mk_agg *kernels = set->kernels->agg;
    const struct column *column = &b->batch->columns[slot->spec.arg];
    const double *values = (const double *)column->values + b->rows[0];
    char *at = b->states[0] + slot->at;
    double nothing[AGG_LANES] = {0};
    double *lanes = slot->acc == ACC_FSUM ? (double *)at + 1 : nothing;
    const bool bounded = set->bounded_arg == slot->spec.arg;

    if (slot->phys != PHYS_F64 || !b->contiguous || column->constant)
        return false;
    if (bounded && slot->acc == ACC_FSUM)
        kernels->sum_lanes_f64(values, b->count, b->lane[0], lanes);
    else if (!bounded)
        kernels->sum_bounds_f64(values, b->count, b->lane[0], lanes, set->bounds);
    set->bounded_arg = slot->spec.arg;
    if (slot->acc == ACC_MIN64)
        I64_AT = min_i64(I64_AT, set->bounds[0]);
    else if (slot->acc == ACC_MAX64)
        I64_AT = max_i64(I64_AT, set->bounds[1]);
    return true;
}

/* Numbers of one state, none left out: whole arrays at a time. False: not such a slot. */
static bool add_whole(struct agg_set *set, const struct agg_slot *slot, const struct agg_block *b)
{
    const struct mk_table *kernels = set->kernels;
    char *at = b->states[0] + slot->at;
    const int64_t *values;
    int64_t low, high, halves[2];

    if (!b->one || !agg_slot_folds(slot) || (slot->acc == ACC_FSUM && set->lanes == 1))
        return false;
    if (add_doubles(set, slot, b))
        return true;
    values = agg_block_values(set, slot, b);
    if (values == NULL)
        return false;
    switch (slot->acc) {
    case ACC_FSUM:
        kernels->agg->sum_lanes_f64((const double *)values, b->count, b->lane[0], (double *)at + 1);
        return true;
    case ACC_MIN64:
    case ACC_MAX64:
        kernels->bounds_i64(values, b->count, &low, &high);
        I64_AT = slot->acc == ACC_MIN64 ? min_i64(I64_AT, low) : max_i64(I64_AT, high);
        return true;
    case ACC_SUM64:
        kernels->agg->sum_i64(values, b->count, halves);
        I64_AT += halves[1] * ((int64_t)1 << 32) + halves[0];
        return true;
    default:
        kernels->agg->sum_i64(values, b->count, halves);
        *(uint128_at8 *)at += ((uint128)(int128)halves[1] << 32) + (uint128)(int128)halves[0];
        return true;
    }
}

static bool add_slot(struct agg_set *set, uint32_t number, struct agg_block b)
{
    const struct agg_slot *slot = &set->slots[number];
    const struct column *column = slot->spec.arg < 0 ? NULL : &b.batch->columns[slot->spec.arg];
    const bool constant = column != NULL && column->constant;

    const uint32_t all = b.count;

    narrow(set, slot, &b);
    if (b.count == 0)
        return true;
    if (slot->count_at != 0)
        add_counts(&b, slot->count_at);
    switch (slot->acc) {
    case ACC_COUNT: add_counts(&b, slot->at); return true;
    case ACC_MINVIEW:
    case ACC_MAXVIEW:
        if (constant)
            b.rows = set->zeros;
        return add_views(set, slot, &b, column->values, number);
    case ACC_FIRST:
    case ACC_LAST: return add_placed(set, slot, &b, column, number);
    case ACC_USER:
        mark_seen(&b, number);
        agg_user_add(slot, &b);
        return true;
    case ACC_LIST: mark_seen(&b, number); return add_texts(set, slot, &b, column);
    case ACC_DISTINCT: mark_seen(&b, number); return agg_distinct_add_block(set, slot, &b, column);
    case ACC_MOMENTS:
    case ACC_FMOMENTS: add_moments(set, slot, &b, column); return true;
    default: break;
    }
    mark_seen(&b, number);
    if (b.count == all && add_whole(set, slot, &b))
        return true;
    if (constant)
        b.rows = set->zeros;
    switch (slot->acc) {
    case ACC_MIN64:
    case ACC_MIN128: add_min(slot, &b, column->values); break;
    case ACC_MAX64:
    case ACC_MAX128: add_max(slot, &b, column->values); break;
    case ACC_FSUM: add_fsum(set, slot, &b, column->values); break;
    default: add_sum(slot, &b, column->values);
    }
    return true;
}

/* Aggregates that take every row of the batch: those without FILTER over a column without NULLs. */
static uint64_t takes_all(const struct agg_set *set, const struct batch *batch)
{
    uint64_t mask = 0;

    for (uint32_t i = 0; set->seen_words == 1 && i < set->count; i++) {
        const struct agg_slot *slot = &set->slots[i];
        const bool late_mark = slot->acc == ACC_MINVIEW || slot->acc == ACC_MAXVIEW ||
                               slot->acc == ACC_FIRST || slot->acc == ACC_LAST;

        if (!late_mark && slot->spec.filter < 0 && slot->spec.arg >= 0 &&
            batch->columns[slot->spec.arg].validity == NULL)
            mask |= 1ull << i;
    }
    return mask;
}

void agg_enter_step(struct agg_set *set, const struct agg_block *b)
{
    const uint64_t step = b->batch->step;

    for (uint32_t i = 0; i < b->count; i++) {
        uint64_t *head = (uint64_t *)(b->states[i] + set->step_at);

        *(uint64_t *)b->states[i] |= b->marked;
        if (head[0] != step)
            agg_roll(set, b->states[i], step);
        if (set->lanes > 1)
            set->lane[i] = (uint8_t)(head[1]++ % AGG_LANES);
    }
}

/* The same for one state. */
static void enter_one(struct agg_set *set, struct agg_block *b)
{
    uint64_t *head = (uint64_t *)(b->states[0] + set->step_at);

    *(uint64_t *)b->states[0] |= b->marked;
    if (head[0] != b->batch->step)
        agg_roll(set, b->states[0], b->batch->step);
    b->lane = set->lanes_in_turn + head[1] % AGG_LANES;
    head[1] += set->lanes > 1 ? b->count : 0;
}

static bool add_block(struct agg_set *set, struct agg_block *b)
{
    uint64_t folded = 0;

    b->marked = takes_all(set, b->batch);
    set->source_count = 0;
    set->bounded_arg = -1;
    if (!b->one && set->fold_lines > 0)
        folded = agg_fold_block(set, b);
    else if (set->step_at != 0 && b->one)
        enter_one(set, b);
    else if (set->step_at != 0)
        agg_enter_step(set, b);
    else if (b->marked != 0)
        for (uint32_t i = 0; i < (b->one ? 1 : b->count); i++)
            *(uint64_t *)b->states[i] |= b->marked;
    for (uint32_t s = 0; s < set->count; s++)
        if ((s >= 64 || (folded >> s & 1) == 0) && !add_slot(set, s, *b))
            return false;
    return true;
}

bool agg_add(struct agg_set *set, void *const *states, const struct batch *batch,
             const uint16_t *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i += AGG_BLOCK) {
        const uint32_t n = min_u32(AGG_BLOCK, count - i);
        struct agg_block b = {.batch = batch,
                              .states = (char *const *)states + i,
                              .rows = (rows != NULL ? rows : set->rows_in_turn) + i,
                              .lane = set->lane,
                              .count = n,
                              .contiguous = rows == NULL};

        if (!add_block(set, &b))
            return false;
    }
    return true;
}

/* rows[i] = rows[0] + i. */
static bool are_contiguous(const uint16_t *rows, uint32_t count)
{
    uint32_t others = 0;

    if (rows == NULL)
        return true;
    if (rows[count - 1] - rows[0] != (int)count - 1)
        return false;
    for (uint32_t i = 0; i < count; i++)
        others |= (uint32_t)rows[i] ^ (uint32_t)(uint16_t)(rows[0] + i);
    return others == 0;
}

bool agg_add_one(struct agg_set *set, void *state, const struct batch *batch, const uint16_t *rows,
                 uint32_t count)
{
    char *states[AGG_BLOCK];

    for (uint32_t i = 0; i < min_u32(count, AGG_BLOCK); i++)
        states[i] = state;
    for (uint32_t i = 0; i < count; i += AGG_BLOCK) {
        const uint32_t n = min_u32(AGG_BLOCK, count - i);
        struct agg_block b = {.batch = batch,
                              .states = states,
                              .rows = (rows != NULL ? rows : set->rows_in_turn) + i,
                              .lane = set->lane,
                              .count = n,
                              .one = true,
                              .contiguous = are_contiguous(rows != NULL ? rows + i : NULL, n)};

        if (!add_block(set, &b))
            return false;
    }
    return true;
}

/* core/ops/sort.c - values compared as ORDER BY does. */
#include "core/ops/sort.h"

static int64_t order_f64(double v)
{
    int64_t bits;

    if (UNLIKELY(v != v))
        return 0x7ff8000000000000;
    memcpy(&bits, &v, 8);
    return bits ^ (int64_t)((uint64_t)(bits >> 63) >> 1);
}

/* Numbers of up to 64 bits as an integer that orders like them. */
static int64_t word_of(enum phys phys, const void *value)
{
    switch (phys) {
    case PHYS_BOOL: return *(const uint8_t *)value;
    case PHYS_I8: return *(const int8_t *)value;
    case PHYS_I16: return *(const int16_t *)value;
    case PHYS_I32: return *(const int32_t *)value;
    case PHYS_F32: return order_f64((double)*(const float *)value);
    case PHYS_F64: return order_f64(*(const double *)value);
    default: return *(const int64_t *)value;
    }
}

static int compare_valid(const struct sort_column *by, const void *a, const void *b)
{
    const enum phys phys = type_phys(&by->type);

    if (phys == PHYS_VIEW)
        return view_compare(a, b);
    if (phys == PHYS_I128) {
        int128 x, y;

        memcpy(&x, a, 16);
        memcpy(&y, b, 16);
        return x < y ? -1 : x > y;
    }
    const int64_t x = word_of(phys, a), y = word_of(phys, b);

    return x < y ? -1 : x > y;
}

int sort_compare_value(const struct sort_column *by, const void *a, bool a_valid, const void *b,
                       bool b_valid)
{
    int order;

    if (!a_valid || !b_valid) {
        order = (int)a_valid - (int)b_valid;
        return by->nulls_last ? -order : order;
    }
    order = compare_valid(by, a, b);
    return by->descending ? -order : order;
}

static const void *cell(const struct column *c, const struct mill_type *type, uint32_t row)
{
    return (const char *)c->values + (size_t)(c->constant ? 0 : row) * type_width(type);
}

int sort_compare(const struct sort_column *by, uint32_t count, const struct batch *a,
                 uint32_t a_row, const struct batch *b, uint32_t b_row)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct column *x = &a->columns[by[i].column], *y = &b->columns[by[i].column];
        const int order =
            sort_compare_value(&by[i], cell(x, &by[i].type, a_row), column_valid(x, a_row),
                               cell(y, &by[i].type, b_row), column_valid(y, b_row));

        if (order != 0)
            return order;
    }
    return 0;
}

uint64_t sort_prefix(const struct sort_column *by, const void *value, bool valid)
{
    const enum phys phys = type_phys(&by->type);
    uint64_t prefix;

    if (!valid)
        return by->nulls_last ? UINT64_MAX : 0;
    if (phys == PHYS_VIEW) {
        const struct mill_view *view = value;
        char bytes[8] = {0};

        memcpy(bytes, mill_view_data(view), view->length < 8 ? view->length : 8);
        memcpy(&prefix, bytes, 8);
        prefix = __builtin_bswap64(prefix);
    } else if (phys == PHYS_I128) {
        int128 wide;

        memcpy(&wide, value, 16);
        prefix = (uint64_t)(int64_t)(wide >> 64) ^ 1ull << 63;
    } else {
        prefix = (uint64_t)word_of(phys, value) ^ 1ull << 63;
    }
    return by->descending ? ~prefix : prefix;
}

/* ---- sorting ---- */

static bool item_before(const struct sort_column *by, uint32_t count, const struct sort_item *a,
                        const struct sort_item *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix;
    return sort_compare(by, count, a->rows, a->row, b->rows, b->row) < 0;
}

static void merge(const struct sort_column *by, uint32_t count, const struct sort_item *from,
                  struct sort_item *to, uint64_t first, uint64_t middle, uint64_t end)
{
    uint64_t left = first, right = middle;

    for (uint64_t i = first; i < end; i++) {
        const bool take_right =
            left == middle || (right < end && item_before(by, count, &from[right], &from[left]));

        to[i] = take_right ? from[right++] : from[left++];
    }
}

static void insert_runs(const struct sort_column *by, uint32_t count, struct sort_item *items,
                        uint64_t item_count, uint64_t run)
{
    for (uint64_t first = 0; first < item_count; first += run)
        for (uint64_t i = first + 1; i < item_count && i < first + run; i++) {
            const struct sort_item item = items[i];
            uint64_t to = i;

            for (; to > first && item_before(by, count, &item, &items[to - 1]); to--)
                items[to] = items[to - 1];
            items[to] = item;
        }
}

bool sort_items(struct heap *heap, const struct sort_column *by, uint32_t count,
                struct sort_item *items, uint64_t item_count)
{
    const size_t bytes = item_count * sizeof *items;
    struct sort_item *other, *from = items, *to;
    uint64_t width = 16;

    if (item_count < 2)
        return true;
    other = heap_alloc(heap, bytes);
    if (other == NULL)
        return false;
    insert_runs(by, count, items, item_count, width);
    for (to = other; width < item_count; width *= 2) {
        for (uint64_t first = 0; first < item_count; first += 2 * width) {
            const uint64_t middle = first + width < item_count ? first + width : item_count;
            const uint64_t end = middle + width < item_count ? middle + width : item_count;

            merge(by, count, from, to, first, middle, end);
        }
        from = to;
        to = from == items ? other : items;
    }
    if (from != items)
        memcpy(items, from, bytes);
    heap_free(heap, other, bytes);
    return true;
}

/* core/ops/agg_distinct.c - what hangs off aggregate states: sets of values, lists of texts, long strings. */
#include "core/ops/agg_impl.h"

#include <stdlib.h>

/* ---- long strings ---- */

bool agg_view_set(const struct agg_set *set, struct mill_view *own, const struct mill_view *value)
{
    char *copy = NULL;

    if (value->length > 12) {
        copy = heap_alloc(set->heap, value->length);
        if (copy == NULL)
            return false;
        memcpy(copy, value->far.data, value->length);
    }
    agg_view_free(set, own);
    *own = *value;
    if (copy != NULL)
        own->far.data = copy;
    return true;
}

void agg_view_free(const struct agg_set *set, struct mill_view *own)
{
    if (own->length > 12)
        heap_free(set->heap, (char *)own->far.data, own->length);
    own->length = 0;
}

/* ---- values ---- */

uint32_t agg_normal_width(enum phys phys)
{
    return phys == PHYS_I128 || phys == PHYS_VIEW ? 16 : 8;
}

void agg_normal(enum phys phys, const struct column *column, uint32_t row, void *to)
{
    const uint32_t r = column->constant ? 0 : row;
    int64_t number = 0;
    double real;

    switch (phys) {
    case PHYS_BOOL: number = ((const uint8_t *)column->values)[r]; break;
    case PHYS_I8: number = ((const int8_t *)column->values)[r]; break;
    case PHYS_I16: number = ((const int16_t *)column->values)[r]; break;
    case PHYS_I32: number = ((const int32_t *)column->values)[r]; break;
    case PHYS_I64: number = ((const int64_t *)column->values)[r]; break;
    case PHYS_F32:
    case PHYS_F64:
        real = phys == PHYS_F32 ? (double)((const float *)column->values)[r]
                                : ((const double *)column->values)[r];
        number = agg_order_f64(real == 0 ? 0.0 : real);
        break;
    default: memcpy(to, (const char *)column->values + (size_t)r * 16, 16); return;
    }
    memcpy(to, &number, 8);
}

static inline uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static uint64_t hash_bytes(const char *data, uint32_t length)
{
    uint64_t h = length * 0x9e3779b97f4a7c15u, word;

    for (; length >= 8; data += 8, length -= 8) {
        memcpy(&word, data, 8);
        h = mix(h ^ word);
    }
    word = 0;
    if (length > 0)
        memcpy(&word, data, length);
    return mix(h ^ word);
}

static uint64_t hash_normal(enum phys phys, const char *value)
{
    if (phys == PHYS_VIEW) {
        const struct mill_view *view = (const void *)value;

        return hash_bytes(mill_view_data(view), view->length);
    }
    if (phys == PHYS_I128)
        return hash_bytes(value, 16);
    return mix(*(const uint64_t *)value);
}

static inline bool normal_equal(enum phys phys, const char *a, const char *b)
{
    if (phys == PHYS_VIEW)
        return view_equal((const void *)a, (const void *)b);
    if (phys == PHYS_I128)
        return memcmp(a, b, 16) == 0;
    return *(const int64_t *)a == *(const int64_t *)b;
}

static bool distinct_grow(const struct agg_set *set, struct agg_distinct *d, enum phys phys)
{
    const uint32_t width = agg_normal_width(phys), capacity = d->capacity * 2, slots = capacity * 2;
    uint32_t *index = heap_zalloc(set->heap, slots * sizeof *index);
    int64_t *numbers =
        d->numbers != NULL ? heap_alloc(set->heap, capacity * sizeof *numbers) : NULL;
    char *elements = NULL;

    if (index != NULL && (numbers != NULL || d->numbers == NULL))
        elements = heap_grow(set->heap, d->elements, (size_t)d->capacity * width,
                             (size_t)capacity * width);
    if (elements == NULL) {
        heap_free(set->heap, index, slots * sizeof *index);
        heap_free(set->heap, numbers, capacity * sizeof *numbers);
        return false;
    }
    if (numbers != NULL) {
        memcpy(numbers, d->numbers, d->count * sizeof *numbers);
        heap_free(set->heap, d->numbers, d->capacity * sizeof *numbers);
    }
    heap_free(set->heap, d->index, d->slots * sizeof *index);
    d->index = index;
    d->elements = elements;
    d->numbers = numbers;
    d->capacity = capacity;
    d->slots = slots;
    for (uint32_t i = 0; i < d->count; i++) {
        uint64_t s = hash_normal(phys, elements + (size_t)i * width);

        while (index[s & (slots - 1)] != 0)
            s++;
        index[s & (slots - 1)] = i + 1;
    }
    return true;
}

static void distinct_free(const struct agg_set *set, enum phys phys, struct agg_distinct *d)
{
    heap_free(set->heap, d->index, d->slots * sizeof *d->index);
    heap_free(set->heap, d->elements, (size_t)d->capacity * agg_normal_width(phys));
    heap_free(set->heap, d->numbers, d->numbers != NULL ? d->capacity * sizeof *d->numbers : 0);
    heap_free(set->heap, d, sizeof *d);
}

static struct agg_distinct *distinct_new(const struct agg_set *set, enum phys phys)
{
    struct agg_distinct *d = heap_zalloc(set->heap, sizeof *d);

    if (d == NULL)
        return NULL;
    d->capacity = 4;
    d->slots = 8;
    d->index = heap_zalloc(set->heap, d->slots * sizeof *d->index);
    d->elements = heap_alloc(set->heap, (size_t)d->capacity * agg_normal_width(phys));
    if (set->retracts)
        d->numbers = heap_alloc(set->heap, d->capacity * sizeof *d->numbers);
    if (d->index != NULL && d->elements != NULL && (d->numbers != NULL || !set->retracts))
        return d;
    distinct_free(set, phys, d);
    return NULL;
}

/* Whether value @a lies further out than @b, for MIN and MAX. */
static bool is_beyond(const struct agg_slot *slot, const char *a, const char *b)
{
    int c;

    if (slot->phys == PHYS_VIEW) {
        c = view_compare((const void *)a, (const void *)b);
    } else if (slot->phys == PHYS_I128) {
        const int128 x = *(const int128_at8 *)a, y = *(const int128_at8 *)b;

        c = (x > y) - (x < y);
    } else {
        const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        c = (x > y) - (x < y);
    }
    return slot->spec.kind == AGG_MAX ? c > 0 : c < 0;
}

/* agg_distinct_add() of a value whose hash is known. */
static int put_hashed(const struct agg_set *set, const struct agg_slot *slot,
                      struct agg_distinct **at, const char *normal, uint64_t hash)
{
    const uint32_t width = agg_normal_width(slot->phys);
    struct agg_distinct *d = *at;
    uint64_t s = hash;
    char *to;

    if (d == NULL && (d = *at = distinct_new(set, slot->phys)) == NULL)
        return -1;
    for (; d->index[s & (d->slots - 1)] != 0; s++)
        if (normal_equal(slot->phys, normal,
                         d->elements + (size_t)(d->index[s & (d->slots - 1)] - 1) * width)) {
            if (d->numbers != NULL)
                d->numbers[d->index[s & (d->slots - 1)] - 1]++;
            return 0;
        }
    if (d->count == d->capacity) {
        if (!distinct_grow(set, d, slot->phys))
            return -1;
        for (s = hash; d->index[s & (d->slots - 1)] != 0;)
            s++;
    }
    to = d->elements + (size_t)d->count * width;
    if (slot->phys == PHYS_VIEW) {
        ((struct mill_view *)to)->length = 0;
        if (!agg_view_set(set, (struct mill_view *)to, (const void *)normal))
            return -1;
    } else {
        memcpy(to, normal, width);
    }
    if (d->numbers != NULL)
        d->numbers[d->count] = 1;
    d->index[s & (d->slots - 1)] = ++d->count;
    if (d->extreme != 0 && is_beyond(slot, to, d->elements + (size_t)(d->extreme - 1) * width))
        d->extreme = d->count;
    return 1;
}

int agg_distinct_add(const struct agg_set *set, const struct agg_slot *slot,
                     struct agg_distinct **at, const void *normal)
{
    return put_hashed(set, slot, at, normal, hash_normal(slot->phys, normal));
}

#define AHEAD 16u /* rows: each step below then waits for memory that was asked for that long ago */

/* A row's way to its element, one load a step: state, head of the set, index, element. */
bool agg_distinct_add_block(const struct agg_set *set, const struct agg_slot *slot,
                            const struct agg_block *b, const struct column *column)
{
    const uint32_t width = agg_normal_width(slot->phys);
    char normals[AGG_BLOCK * 16];
    uint64_t hashes[AGG_BLOCK];

    for (uint32_t i = 0; i < b->count + 2 * AHEAD; i++) {
        if (i < b->count) {
            char *normal = normals + (size_t)i * 16;

            agg_normal(slot->phys, column, b->rows[i], normal);
            hashes[i] = hash_normal(slot->phys, normal);
            __builtin_prefetch(*(struct agg_distinct **)(b->states[i] + slot->at));
        }
        if (i >= AHEAD && i - AHEAD < b->count) {
            const struct agg_distinct *d =
                *(struct agg_distinct **)(b->states[i - AHEAD] + slot->at);

            if (d != NULL)
                __builtin_prefetch(&d->index[hashes[i - AHEAD] & (d->slots - 1)]);
        }
        if (i >= 2 * AHEAD) {
            const uint32_t r = i - 2 * AHEAD;

            if (put_hashed(set, slot, (struct agg_distinct **)(b->states[r] + slot->at),
                           normals + (size_t)r * 16, hashes[r]) < 0)
                return false;
        }
        if (i >= AHEAD + AHEAD / 2 && i - AHEAD - AHEAD / 2 < b->count) {
            const uint32_t r = i - AHEAD - AHEAD / 2;
            const struct agg_distinct *d = *(struct agg_distinct **)(b->states[r] + slot->at);
            const uint32_t element = d != NULL ? d->index[hashes[r] & (d->slots - 1)] : 0;

            if (element != 0)
                __builtin_prefetch(d->elements + (size_t)(element - 1) * width);
        }
    }
    return true;
}

/* The slot of the index that holds element @element + 1. */
static uint32_t slot_of(const struct agg_distinct *d, enum phys phys, uint32_t element)
{
    uint64_t s = hash_normal(phys, d->elements + (size_t)element * agg_normal_width(phys));

    while (d->index[s & (d->slots - 1)] != element + 1)
        s++;
    return (uint32_t)(s & (d->slots - 1));
}

/* Empties slot @at and moves up what had to pass over it (linear probing without marks: Knuth, TAOCP 3, 6.4 R). */
static void slot_clear(struct agg_distinct *d, enum phys phys, uint32_t at)
{
    const uint32_t mask = d->slots - 1, width = agg_normal_width(phys);

    for (uint32_t next = (at + 1) & mask; d->index[next] != 0; next = (next + 1) & mask) {
        const uint32_t home =
            (uint32_t)hash_normal(phys, d->elements + (size_t)(d->index[next] - 1) * width) & mask;

        if (((next - home) & mask) >= ((next - at) & mask)) {
            d->index[at] = d->index[next];
            at = next;
        }
    }
    d->index[at] = 0;
}

bool agg_distinct_remove(const struct agg_set *set, const struct agg_slot *slot,
                         struct agg_distinct *d, const void *normal)
{
    const uint32_t width = agg_normal_width(slot->phys), mask = d != NULL ? d->slots - 1 : 0;
    uint64_t s = hash_normal(slot->phys, normal);
    uint32_t i, last;

    if (d == NULL)
        return false;
    while (
        d->index[s & mask] != 0 &&
        !normal_equal(slot->phys, normal, d->elements + (size_t)(d->index[s & mask] - 1) * width))
        s++;
    if (d->index[s & mask] == 0)
        return false;
    i = d->index[s & mask] - 1;
    if (--d->numbers[i] > 0)
        return true;
    slot_clear(d, slot->phys, (uint32_t)(s & mask));
    last = d->count - 1;
    if (i != last) /* the last element takes its place */
        d->index[slot_of(d, slot->phys, last)] = i + 1;
    if (slot->phys == PHYS_VIEW)
        agg_view_free(set, (struct mill_view *)d->elements + i);
    memmove(d->elements + (size_t)i * width, d->elements + (size_t)last * width, width);
    d->numbers[i] = d->numbers[last];
    if (d->extreme == i + 1)
        d->extreme = 0;
    else if (d->extreme == last + 1)
        d->extreme = i + 1;
    d->count--;
    return true;
}

const char *agg_distinct_extreme(const struct agg_slot *slot, struct agg_distinct *d, bool most)
{
    const uint32_t width = agg_normal_width(slot->phys);

    CHECK(d->count > 0 && most == (slot->spec.kind == AGG_MAX));
    if (d->extreme == 0) {
        d->extreme = 1;
        for (uint32_t i = 1; i < d->count; i++)
            if (is_beyond(slot, d->elements + (size_t)i * width,
                          d->elements + (size_t)(d->extreme - 1) * width))
                d->extreme = i + 1;
    }
    return d->elements + (size_t)(d->extreme - 1) * width;
}

bool agg_distinct_merge(const struct agg_set *set, const struct agg_slot *slot,
                        struct agg_distinct **into, const struct agg_distinct *from)
{
    const uint32_t width = agg_normal_width(slot->phys);

    for (uint32_t i = 0; from != NULL && i < from->count; i++)
        if (agg_distinct_add(set, slot, into, from->elements + (size_t)i * width) < 0)
            return false;
    return true;
}

void agg_distinct_free(const struct agg_set *set, const struct agg_slot *slot,
                       struct agg_distinct *d)
{
    if (d == NULL)
        return;
    for (uint32_t i = 0; slot->phys == PHYS_VIEW && i < d->count; i++)
        agg_view_free(set, (struct mill_view *)d->elements + i);
    distinct_free(set, slot->phys, d);
}

static int order_i64(const void *a, const void *b, void *elements)
{
    const int64_t x = ((const int64_t *)elements)[*(const uint32_t *)a];
    const int64_t y = ((const int64_t *)elements)[*(const uint32_t *)b];

    return (x > y) - (x < y);
}

void agg_distinct_order(const struct agg_slot *slot, const struct agg_distinct *d, uint32_t *order)
{
    for (uint32_t i = 0; i < d->count; i++)
        order[i] = i;
    if (slot->phys == PHYS_F32 || slot->phys == PHYS_F64) /* the others add up exactly */
        qsort_r(order, d->count, sizeof *order, order_i64, d->elements);
}

/* ---- texts ---- */

static int order_items(const void *a, const void *b)
{
    const struct agg_item *x = a, *y = b;

    if (x->step != y->step)
        return x->step < y->step ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

bool agg_list_add(const struct agg_set *set, struct agg_list **at, uint64_t step, uint32_t place,
                  const char *text, uint32_t length)
{
    struct agg_list *list = *at;
    struct agg_item item = {step, place, length, NULL};

    if (list == NULL) {
        list = *at = heap_zalloc(set->heap, sizeof *list);
        if (list == NULL)
            return false;
        list->sorted = true;
    }
    if (list->count == list->capacity) {
        const uint32_t capacity = max_u32(4, list->capacity * 2);
        struct agg_item *items = heap_grow(set->heap, list->items, list->capacity * sizeof *items,
                                           capacity * sizeof *items);

        if (items == NULL)
            return false;
        list->items = items;
        list->capacity = capacity;
    }
    if (length > 0) {
        item.text = heap_alloc(set->heap, length);
        if (item.text == NULL)
            return false;
        memcpy(item.text, text, length);
    }
    if (list->count > 0 && order_items(&list->items[list->count - 1], &item) > 0)
        list->sorted = false;
    list->items[list->count++] = item;
    return true;
}

bool agg_list_merge(const struct agg_set *set, struct agg_list **into, const struct agg_list *from)
{
    for (uint32_t i = 0; from != NULL && i < from->count; i++)
        if (!agg_list_add(set, into, from->items[i].step, from->items[i].place, from->items[i].text,
                          from->items[i].length))
            return false;
    return true;
}

void agg_list_free(const struct agg_set *set, struct agg_list *list)
{
    if (list == NULL)
        return;
    for (uint32_t i = 0; i < list->count; i++)
        heap_free(set->heap, list->items[i].text, list->items[i].length);
    heap_free(set->heap, list->items, list->capacity * sizeof *list->items);
    heap_free(set->heap, list, sizeof *list);
}

struct mill_view agg_list_value(const struct agg_set *set, const struct agg_slot *slot,
                                struct agg_list *list, struct batch *batch)
{
    const struct mill_view no_memory = {.length = UINT32_MAX};
    struct agg_distinct *once = NULL;
    size_t bytes = 0, used = 0;
    char *text;

    if (!list->sorted)
        qsort(list->items, list->count, sizeof *list->items, order_items);
    list->sorted = true;
    for (uint32_t i = 0; i < list->count; i++)
        bytes += list->items[i].length + slot->separator_bytes;
    text = bytes < UINT32_MAX ? arena_alloc(&batch->bytes, bytes + 1) : NULL;
    if (text == NULL)
        return no_memory;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct agg_item *item = &list->items[i];

        if (slot->spec.distinct) {
            const struct mill_view view = view_of(item->text, item->length);
            const int added = agg_distinct_add(set, slot, &once, &view);

            if (added < 0) {
                agg_distinct_free(set, slot, once);
                return no_memory;
            }
            if (added == 0)
                continue;
        }
        if (i > 0) {
            memcpy(text + used, slot->spec.separator, slot->separator_bytes);
            used += slot->separator_bytes;
        }
        if (item->length > 0)
            memcpy(text + used, item->text, item->length);
        used += item->length;
    }
    agg_distinct_free(set, slot, once);
    return view_of(text, (uint32_t)used);
}

/* core/state/key.c - key layouts; keys of batches; encoding, decoding and sorting of keys. */
#include "core/state/key.h"

#include "kernels/kernels.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define TEXT_MARKS 3u /* bytes around the encoding of a text: 01 and 00 00 */

static bool fits_word(enum phys phys)
{
    return phys >= PHYS_BOOL && phys <= PHYS_F64 && phys != PHYS_I128;
}

bool key_layout_open(struct key_layout *layout, struct heap *heap, const struct mill_schema *schema,
                     const uint32_t *columns, uint32_t count)
{
    *layout = (struct key_layout){.heap = heap, .count = count, .kernels = &mk_scalar};
    layout->parts = heap_zalloc(heap, max_u32(count, 1) * sizeof *layout->parts);
    if (layout->parts == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        layout->parts[i].column = columns[i];
        layout->parts[i].type = schema->fields[columns[i]].type;
    }
    if (count == 1) {
        layout->phys = type_phys(&layout->parts[0].type);
        layout->narrow = fits_word(layout->phys);
        layout->text = layout->phys == PHYS_VIEW;
    }
    layout->stride = 9 * count;
    for (uint32_t i = 0; i < count; i++)
        if (!fits_word(type_phys(&layout->parts[i].type)))
            layout->stride = 0;
    return true;
}

void key_layout_close(struct key_layout *layout)
{
    if (layout->parts != NULL)
        heap_free(layout->heap, layout->parts, max_u32(layout->count, 1) * sizeof *layout->parts);
    layout->parts = NULL;
}

bool key_batch_open(struct key_batch *keys, struct heap *heap)
{
    *keys = (struct key_batch){.heap = heap};
    keys->words = keys->own_words = heap_alloc(heap, BATCH_ROWS_MAX * sizeof *keys->own_words);
    keys->picked = heap_alloc(heap, BATCH_ROWS_MAX * sizeof *keys->picked);
    keys->nulls = heap_zalloc(heap, BATCH_ROWS_MAX);
    keys->views = heap_alloc(heap, BATCH_ROWS_MAX * sizeof *keys->views);
    keys->ids = heap_alloc(heap, BATCH_ROWS_MAX * sizeof *keys->ids);
    return keys->own_words != NULL && keys->picked != NULL && keys->nulls != NULL &&
           keys->views != NULL && keys->ids != NULL;
}

void key_batch_close(struct key_batch *keys)
{
    if (keys->heap == NULL)
        return;
    heap_free(keys->heap, keys->own_words, BATCH_ROWS_MAX * sizeof *keys->own_words);
    heap_free(keys->heap, keys->picked, BATCH_ROWS_MAX * sizeof *keys->picked);
    heap_free(keys->heap, keys->nulls, BATCH_ROWS_MAX);
    heap_free(keys->heap, keys->views, BATCH_ROWS_MAX * sizeof *keys->views);
    heap_free(keys->heap, keys->ids, BATCH_ROWS_MAX * sizeof *keys->ids);
    heap_free(keys->heap, keys->bytes, keys->byte_capacity);
    keys->heap = NULL;
}

/* ---- numbers ---- */

static inline int64_t real_word(double v)
{
    int64_t bits;

    if (v != v)
        return 0x7ff8000000000000;
    if (v == 0)
        v = 0.0;
    memcpy(&bits, &v, 8);
    return bits ^ (int64_t)((uint64_t)(bits >> 63) >> 1);
}

static inline double word_real(int64_t word)
{
    const int64_t bits = word ^ (int64_t)((uint64_t)(word >> 63) >> 1);
    double v;

    memcpy(&v, &bits, 8);
    return v;
}

static inline int64_t word_at(enum phys phys, const void *values, uint32_t row)
{
    switch (phys) {
    case PHYS_BOOL: return ((const uint8_t *)values)[row];
    case PHYS_I8: return ((const int8_t *)values)[row];
    case PHYS_I16: return ((const int16_t *)values)[row];
    case PHYS_I32: return ((const int32_t *)values)[row];
    case PHYS_F32: return real_word((double)((const float *)values)[row]);
    case PHYS_F64: return real_word(((const double *)values)[row]);
    default: return ((const int64_t *)values)[row];
    }
}

static void put_word(enum phys phys, struct column *column, uint32_t row, int64_t word)
{
    switch (phys) {
    case PHYS_BOOL:
    case PHYS_I8: ((int8_t *)column->values)[row] = (int8_t)word; break;
    case PHYS_I16: ((int16_t *)column->values)[row] = (int16_t)word; break;
    case PHYS_I32: ((int32_t *)column->values)[row] = (int32_t)word; break;
    case PHYS_F32: ((float *)column->values)[row] = (float)word_real(word); break;
    case PHYS_F64: ((double *)column->values)[row] = word_real(word); break;
    default: ((int64_t *)column->values)[row] = word;
    }
}

static int64_t get_i64(const char *from)
{
    uint64_t be;

    memcpy(&be, from, 8);
    return (int64_t)(__builtin_bswap64(be) ^ 1ull << 63);
}

/* ---- one value ---- */

/* Upper bound of the encoded bytes. */
static size_t value_bound(const struct mill_type *type, const struct column *c, uint32_t row)
{
    const enum phys phys = type_phys(type);
    size_t bytes = 1;

    if (!column_valid(c, row))
        return 1;
    if (phys == PHYS_ROW) {
        for (uint32_t i = 0; i < type->field_count; i++)
            bytes += value_bound(&type->fields[i].type, &c->children[i], c->constant ? 0 : row);
        return bytes;
    }
    if (phys == PHYS_VIEW)
        return 3 + 2 * (size_t)((const struct mill_view *)c->values)[c->constant ? 0 : row].length;
    return phys == PHYS_I128 ? 17 : 9;
}

/* With 0 as 0, 255. */
static char *put_text_with_zeros(char *to, const struct mill_view *view)
{
    const char *data = mill_view_data(view);

    for (uint32_t i = 0; i < view->length; i++) {
        *to++ = data[i];
        if (data[i] == 0)
            *to++ = (char)0xff;
    }
    *to++ = 0;
    *to++ = 0;
    return to;
}

static inline uint64_t copy_word(char *to, const char *from)
{
    uint64_t word;

    memcpy(&word, from, 8);
    memcpy(to, &word, 8);
    return word;
}

/* Whole words, the last one overlapping; a text shorter than a word writes up to 8 bytes. */
static inline char *put_text(char *to, const struct mill_view *view)
{
    const uint32_t length = view->length;
    const char *data = mill_view_data(view);
    uint64_t zeros;

    if (length < 8) {
        zeros = zero_bytes(copy_word(to, view->inlined) | UINT64_MAX << 8 * length);
    } else {
        zeros = zero_bytes(copy_word(to + length - 8, data + length - 8));
        for (uint32_t i = 0; i + 8 < length; i += 8)
            zeros |= zero_bytes(copy_word(to + i, data + i));
    }
    if (UNLIKELY(zeros != 0))
        return put_text_with_zeros(to, view);
    to += length;
    *to++ = 0;
    *to++ = 0;
    return to;
}

static char *put_value(char *to, const struct mill_type *type, const struct column *c, uint32_t row)
{
    const enum phys phys = type_phys(type);
    const uint32_t r = c->constant ? 0 : row;

    if (!column_valid(c, row)) {
        *to = 0;
        return to + 1;
    }
    *to++ = 1;
    if (phys == PHYS_ROW) {
        for (uint32_t i = 0; i < type->field_count; i++)
            to = put_value(to, &type->fields[i].type, &c->children[i], r);
        return to;
    }
    if (phys == PHYS_VIEW)
        return put_text(to, (const struct mill_view *)c->values + r);
    if (phys == PHYS_I128) {
        const int128 v = ((const int128 *)c->values)[r];
        const uint64_t low = __builtin_bswap64((uint64_t)v);

        key_put_i64(to, (int64_t)(v >> 64));
        memcpy(to + 8, &low, 8);
        return to + 16;
    }
    return to + key_put_i64(to, word_at(phys, c->values, r));
}

/* First byte behind the part at @from, or NULL if it does not end before @end. */
static const char *skip_part(const struct mill_type *type, const char *from, const char *end)
{
    const enum phys phys = type_phys(type);
    size_t bytes;

    if (from >= end)
        return NULL;
    if (*from++ == 0)
        return from;
    if (phys == PHYS_ROW) {
        for (uint32_t i = 0; i < type->field_count && from != NULL; i++)
            from = skip_part(&type->fields[i].type, from, end);
        return from;
    }
    if (phys == PHYS_VIEW) {
        for (; end - from >= 2; from++)
            if (from[0] == 0) {
                if (from[1] == 0)
                    return from + 2;
                from++;
            }
        return NULL;
    }
    bytes = phys == PHYS_I128 ? 16 : 8;
    return (size_t)(end - from) >= bytes ? from + bytes : NULL;
}

bool key_view_sound(const struct key_layout *layout, const struct mill_view *view)
{
    const char *at = mill_view_data(view), *end = at + view->length;

    for (uint32_t i = 0; i < layout->count && at != NULL; i++)
        at = skip_part(&layout->parts[i].type, at, end);
    return at == end;
}

/* The last up to 7 bytes, without reading behind them. */
static inline uint64_t tail_word(const char *data, uint32_t left)
{
    uint64_t word = 0;

    if (left >= 4) {
        uint32_t first, last;

        memcpy(&first, data, 4);
        memcpy(&last, data + left - 4, 4);
        return first | (uint64_t)last << 8 * (left - 4);
    }
    for (uint32_t i = 0; i < left; i++)
        word |= (uint64_t)(uint8_t)data[i] << 8 * i;
    return word;
}

/* Multiply and fold, a word at a time. @zeros: some bit is set if a byte is zero. */
static inline int64_t bytes_hash(const char *data, uint32_t left, uint64_t *zeros)
{
    uint64_t h = left * 0x9e3779b97f4a7c15u, word;

    for (; left >= 8; data += 8, left -= 8) {
        memcpy(&word, data, 8);
        *zeros |= zero_bytes(word);
        h = (h ^ word) * 0xd6e8feb86659fd93u;
        h ^= h >> 32;
    }
    word = tail_word(data, left);
    *zeros |= zero_bytes(word | ~(uint64_t)0 << 8 * left);
    h = (h ^ word) * 0xd6e8feb86659fd93u;
    return (int64_t)(h ^ h >> 29);
}

struct bytes {
    const char *data;
    uint32_t length;
};

/* What is hashed. The encoding of a NULL is one byte: all of it. */
static inline struct bytes hashed_bytes(const struct key_layout *layout,
                                        const struct mill_view *view, bool raw)
{
    const char *data = mill_view_data(view);

    if (raw || !layout->text || view->length < TEXT_MARKS)
        return (struct bytes){data, view->length};
    return (struct bytes){data + 1, view->length - TEXT_MARKS};
}

int64_t key_view_hash(const struct key_layout *layout, const struct mill_view *view, bool raw)
{
    const struct bytes bytes = hashed_bytes(layout, view, raw);
    uint64_t zeros = 0;

    return bytes_hash(bytes.data, bytes.length, &zeros);
}

int64_t key_view_hash_seeded(const struct key_layout *layout, const struct mill_view *view,
                             bool raw, uint64_t seed)
{
    const struct bytes bytes = hashed_bytes(layout, view, raw);

    return (int64_t)XXH3_64bits_withSeed(bytes.data, bytes.length, seed);
}

/* Most keys are short: two loads that may overlap decide. */
static inline bool same_bytes(const char *a, const char *b, uint32_t length)
{
    uint64_t x[2], y[2];

    if (length < 8 || length > 16)
        return memcmp(a, b, length) == 0;
    memcpy(&x[0], a, 8);
    memcpy(&y[0], b, 8);
    memcpy(&x[1], a + length - 8, 8);
    memcpy(&y[1], b + length - 8, 8);
    return x[0] == y[0] && x[1] == y[1];
}

bool key_view_same(const struct mill_view *view, bool raw, const struct mill_view *key)
{
    if (!raw)
        return view_equal(view, key);
    return key->length == view->length + TEXT_MARKS &&
           same_bytes(mill_view_data(view), mill_view_data(key) + 1, view->length);
}

struct mill_view key_view_keep(const struct mill_view *view, bool raw, struct arena *arena)
{
    const uint32_t length = view->length + (raw ? TEXT_MARKS : 0);
    char here[12], *to = here;

    if (length > sizeof here)
        to = arena_alloc(arena, length);
    if (to == NULL)
        return (struct mill_view){.length = UINT32_MAX};
    if (raw) {
        to[0] = 1;
        memcpy(to + 1, mill_view_data(view), view->length);
        memset(to + 1 + view->length, 0, 2);
    } else {
        memcpy(to, mill_view_data(view), length);
    }
    return view_of(to, length);
}

/* ---- keys of a batch ---- */

static void prepare_narrow(const struct key_layout *layout, const struct column *c,
                           const uint16_t *rows, uint32_t count, struct key_batch *keys)
{
    keys->any_null = false;
    keys->words = keys->own_words;
    if (layout->phys == PHYS_I64 && !c->constant) {
        const int64_t *values = c->values;

        if (rows == NULL)
            keys->words = values;
        else
            for (uint32_t i = 0; i < count; i++) {
                mk_ahead(values + rows[i]);
                keys->own_words[i] = values[rows[i]];
            }
    } else if (layout->phys == PHYS_I32 && !c->constant) {
        const int32_t *values = c->values;

        for (uint32_t i = 0; rows == NULL && i < count; i++)
            keys->own_words[i] = values[i];
        for (uint32_t i = 0; rows != NULL && i < count; i++)
            keys->own_words[i] = values[rows[i]];
    } else {
        for (uint32_t i = 0; i < count; i++)
            keys->own_words[i] = word_at(layout->phys, c->values,
                                         c->constant    ? 0
                                         : rows != NULL ? rows[i]
                                                        : i);
    }
    if (c->validity == NULL)
        return;
    for (uint32_t i = 0; i < count; i++) {
        keys->nulls[i] = !column_valid(c, rows != NULL ? rows[i] : i);
        keys->any_null |= keys->nulls[i] != 0;
    }
}

/* The same of a column, for its rows. */
static size_t column_bound(const struct mill_type *type, const struct column *c,
                           const uint16_t *rows, uint32_t count)
{
    const enum phys phys = type_phys(type);
    const bool texts = phys == PHYS_VIEW && c->validity == NULL && !c->constant;
    const struct mill_view *views = c->values;
    size_t bytes = 0;

    if (phys != PHYS_VIEW && phys != PHYS_ROW)
        return (size_t)count * 17;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = rows != NULL ? rows[i] : i;

        bytes += texts ? 3 + 2 * (size_t)views[row].length : value_bound(type, c, row);
    }
    return bytes;
}

static bool room_for_keys(const struct key_layout *layout, const struct batch *batch,
                          const uint16_t *rows, uint32_t count, struct key_batch *keys)
{
    size_t bytes = 16;
    char *room;

    for (uint32_t p = 0; p < layout->count; p++)
        bytes += column_bound(&layout->parts[p].type, &batch->columns[layout->parts[p].column],
                              rows, count);
    if (bytes <= keys->byte_capacity)
        return true;
    bytes = ALIGN_UP(bytes * 2, (size_t)4096);
    room = heap_alloc(keys->heap, bytes);
    if (room == NULL)
        return false;
    heap_free(keys->heap, keys->bytes, keys->byte_capacity);
    keys->bytes = room;
    keys->byte_capacity = bytes;
    return true;
}

/* Texts as they lie in the batch. False: one is NULL or holds a zero byte. */
static bool prepare_raw(const struct column *c, const uint16_t *rows, uint32_t count,
                        struct key_batch *keys)
{
    const struct mill_view *values = c->values;
    uint64_t zeros = 0;

    if (c->validity != NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct mill_view *v = values + (c->constant ? 0 : rows != NULL ? rows[i] : i);

        keys->views[i] = *v;
        keys->own_words[i] = bytes_hash(mill_view_data(v), v->length, &zeros);
    }
    return zeros == 0;
}

/* Numbers without NULLs: a column at a time, each key at a fixed place. */
static bool prepare_strided(const struct key_layout *layout, const struct batch *batch,
                            const uint16_t *rows, uint32_t count, struct key_batch *keys)
{
    const uint32_t stride = layout->stride;

    if (stride == 0)
        return false;
    for (uint32_t p = 0; p < layout->count; p++)
        if (batch->columns[layout->parts[p].column].validity != NULL)
            return false;
    for (uint32_t p = 0; p < layout->count; p++) {
        const struct column *c = &batch->columns[layout->parts[p].column];
        const enum phys phys = type_phys(&layout->parts[p].type);
        char *to = keys->bytes + 9 * p;

        for (uint32_t i = 0; i < count; i++, to += stride) {
            *to = 1;
            key_put_i64(to + 1, word_at(phys, c->values,
                                        c->constant    ? 0
                                        : rows != NULL ? rows[i]
                                                       : i));
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        const char *key = keys->bytes + (size_t)stride * i;
        uint64_t zeros = 0;

        keys->views[i] = view_of(key, stride);
        keys->own_words[i] = bytes_hash(key, stride, &zeros);
    }
    return true;
}

static void prepare_encoded(const struct key_layout *layout, const struct batch *batch,
                            const uint16_t *rows, uint32_t count, struct key_batch *keys)
{
    char *next = keys->bytes;

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = rows != NULL ? rows[i] : i;
        char *start = next;

        for (uint32_t p = 0; p < layout->count; p++)
            next = put_value(next, &layout->parts[p].type, &batch->columns[layout->parts[p].column],
                             row);
        keys->views[i] = view_of(start, (uint32_t)(next - start));
        keys->own_words[i] = key_view_hash(layout, &keys->views[i], false);
    }
}

bool keys_prepare(const struct key_layout *layout, const struct batch *batch, const uint16_t *rows,
                  uint32_t count, struct key_batch *keys)
{
    keys->raw = false;
    if (layout->count == 0)
        return true;
    if (layout->narrow) {
        prepare_narrow(layout, &batch->columns[layout->parts[0].column], rows, count, keys);
        return true;
    }
    keys->words = keys->own_words;
    if (layout->text && prepare_raw(&batch->columns[layout->parts[0].column], rows, count, keys)) {
        keys->raw = true;
        return true;
    }
    if (!room_for_keys(layout, batch, rows, count, keys))
        return false;
    if (!prepare_strided(layout, batch, rows, count, keys))
        prepare_encoded(layout, batch, rows, count, keys);
    return true;
}

/* ---- keys of a table ---- */

uint32_t table_key_bytes(const struct table *table, uint32_t id)
{
    if (table->layout->narrow)
        return 9;
    return table->layout->count == 0 ? 0 : table->group_views[id].length;
}

uint32_t table_key_put(const struct table *table, uint32_t id, char *to)
{
    if (table->layout->narrow) {
        *to = id != table->null_group;
        return *to == 0 ? 1 : 1 + key_put_i64(to + 1, table->group_words[id]);
    }
    if (table->layout->count == 0)
        return 0;
    memcpy(to, mill_view_data(&table->group_views[id]), table->group_views[id].length);
    return table->group_views[id].length;
}

static bool take_text(struct batch *batch, struct mill_view *to, const char **at)
{
    const char *from = *at;
    uint32_t length = 0;
    char *text;

    for (const char *p = from; p[0] != 0 || p[1] != 0; p += p[0] == 0 ? 2 : 1)
        length++;
    text = arena_alloc(&batch->bytes, max_u32(length, 1));
    if (text == NULL)
        return false;
    for (uint32_t i = 0; i < length; i++) {
        text[i] = *from;
        from += *from == 0 ? 2 : 1;
    }
    *at = from + 2;
    *to = view_of(text, length);
    return true;
}

static bool set_null(struct batch *batch, struct column *column, const struct mill_type *type,
                     uint32_t row)
{
    const uint32_t width = type_width(type);

    if (column->validity == NULL && !column_own_validity(batch, column))
        return false;
    column_set_null(column, row);
    for (uint32_t i = 0; type->kind == MILL_ROW && i < type->field_count; i++)
        if (!set_null(batch, &column->children[i], &type->fields[i].type, row))
            return false;
    if (type->kind != MILL_ROW)
        memset((char *)column->values + (size_t)row * width, 0, width);
    return true;
}

/* The value encoded at *from, which moves behind it. */
static bool take_value(struct batch *batch, struct column *column, const struct mill_type *type,
                       uint32_t row, const char **from)
{
    const enum phys phys = type_phys(type);
    const char *at = *from;

    if (*at == 0) {
        *from = at + 1;
        return set_null(batch, column, type, row);
    }
    *from = at + 1;
    if (phys == PHYS_ROW) {
        for (uint32_t i = 0; i < type->field_count; i++)
            if (!take_value(batch, &column->children[i], &type->fields[i].type, row, from))
                return false;
        return true;
    }
    if (phys == PHYS_VIEW)
        return take_text(batch, (struct mill_view *)column->values + row, from);
    if (phys == PHYS_I128) {
        uint64_t low;

        memcpy(&low, at + 9, 8);
        ((int128 *)column->values)[row] =
            (int128)((uint128)(uint64_t)get_i64(at + 1) << 64 | __builtin_bswap64(low));
        *from += 16;
        return true;
    }
    put_word(phys, column, row, get_i64(at + 1));
    *from += 8;
    return true;
}

bool table_key_value(const struct table *table, uint32_t id, uint32_t part, struct batch *batch,
                     struct column *column, uint32_t row)
{
    const struct key_layout *layout = table->layout;
    const struct mill_type *type = &layout->parts[part].type;
    const enum phys phys = type_phys(type);
    const char *at;

    if (layout->narrow) {
        if (id == table->null_group)
            return set_null(batch, column, type, row);
        put_word(phys, column, row, table->group_words[id]);
        return true;
    }
    at = mill_view_data(&table->group_views[id]);
    for (uint32_t p = 0; p < part; p++)
        at = skip_part(&layout->parts[p].type, at,
                       mill_view_data(&table->group_views[id]) + table->group_views[id].length);
    return take_value(batch, column, type, row, &at);
}

/* A key without NULLs of numbers only has each part in the same place. */
static inline bool put_plain_key(const struct table *table, enum phys phys, struct column *column,
                                 uint32_t row, uint32_t id, uint32_t part)
{
    const struct mill_view *view;

    if (table->layout->narrow) {
        if (UNLIKELY(id == table->null_group))
            return false;
        put_word(phys, column, row, table->group_words[id]);
        return true;
    }
    view = &table->group_views[id];
    if (view->length != table->layout->stride)
        return false;
    put_word(phys, column, row, get_i64(mill_view_data(view) + 9 * part + 1));
    return true;
}

bool table_key_values(const struct table *table, const uint32_t *ids, uint32_t count, uint32_t part,
                      struct batch *batch, struct column *column)
{
    const struct key_layout *layout = table->layout;
    const enum phys phys = type_phys(&layout->parts[part].type);
    const bool plain = layout->narrow || layout->stride > 0;

    for (uint32_t i = 0; i < count; i++)
        if (!(plain && put_plain_key(table, phys, column, i, ids[i], part)) &&
            !table_key_value(table, ids[i], part, batch, column, i))
            return false;
    return true;
}

/* io/fmt_columnar.c - reading raw columnar files: cutting sections, checking them, showing their columns.
 *
 * The cutter checks every section's head and counts blocks and rows, so that nothing can be lost between them. A decoder
 * checks the chunks that somebody reads and shows fixed-width values where they lie; views of texts are built per batch.
 * Every length is taken as hostile until it is checked.
 * Threads: cut by one per file, decoders side by side.   Errors: MILL_E_DATA with file and offset.
 */
#include "core/values.h"
#include "io/columnar.h"
#include "io/file.h"
#include "io/format.h"

#define TOUCH_BYTES ((uint64_t)64 << 10)

struct columnar_format {
    struct format format;
    struct source_config config;
};

/* The sections cut so far. */
struct columnar_count {
    uint64_t rows, chain;
    uint32_t blocks;
    bool ended;
};

/* One file. All but the count stays as the first cut found it. */
struct columnar_file {
    struct heap *heap;
    struct arena arena;
    struct mill_schema schema;
    uint32_t node_count;
    uint32_t *first_node; /* per column of the table */
    uint64_t header_bytes;
    struct columnar_count count;
};

struct columnar_decoder {
    struct format_decoder decoder;
    const struct columnar_format *format;
    struct heap *heap;
    struct format_piece piece;
    const struct columnar_file *file;
    size_t next;                         /* of the piece: the section behind the block */
    const char *block;                   /* or NULL */
    const struct columnar_chunk *chunks; /* of the block */
    uint32_t rows, row;                  /* of the block; the next to show */
    bool late_checked;                   /* the chunks of late columns */
};

/* ---- opening ---- */

static int columnar_open(const struct source_config *config, struct format **out,
                         struct mill_error *error)
{
    struct columnar_format *f = heap_zalloc(config->heap, sizeof *f);

    if (f == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    f->format.vtable = &format_columnar;
    f->config = *config;
    *out = &f->format;
    return MILL_OK;
}

static void columnar_close(struct format *format)
{
    struct columnar_format *f = (struct columnar_format *)format;

    heap_free(f->config.heap, f, sizeof *f);
}

static void position_close(const struct format *format, struct format_position *at)
{
    struct columnar_file *file = at->state;

    (void)format;
    arena_close(&file->arena);
    heap_free(file->heap, file, sizeof *file);
    at->state = NULL;
}

/* ---- the table's columns in the file ---- */

static bool same_type(const struct mill_type *a, const struct mill_type *b)
{
    if (!type_same(a, b))
        return false;
    for (uint32_t i = 0; a->kind == MILL_ROW && i < a->field_count; i++)
        if (strcmp(a->fields[i].name, b->fields[i].name) != 0 ||
            !same_type(&a->fields[i].type, &b->fields[i].type))
            return false;
    return true;
}

static int find_column(const struct columnar_format *f, struct columnar_file *file, uint32_t i,
                       const char *path, struct mill_error *error)
{
    const struct mill_field *want = &f->config.schema->fields[i];
    const struct options *o = f->config.options;
    uint32_t node = 0;

    for (uint32_t k = 0; k < file->schema.field_count; k++) {
        const struct mill_field *have = &file->schema.fields[k];
        char a[160], b[160];

        if (strcmp(have->name, want->name) != 0) {
            node += columnar_nodes(&have->type);
            continue;
        }
        file->first_node[i] = node;
        if (same_type(&have->type, &want->type))
            return MILL_OK;
        return mill_fail(error, MILL_E_TYPE, o->line, o->column,
                         "table %s: column %s is %s, in %s it is %s", o->table, want->name,
                         type_name(&want->type, a, sizeof a), path,
                         type_name(&have->type, b, sizeof b));
    }
    return mill_fail(error, MILL_E_NAME, o->line, o->column,
                     "table %s: %s has no column %s (millstream info shows what it has)", o->table,
                     path, want->name);
}

static int open_file(const struct columnar_format *f, struct format_position *at, const char *bytes,
                     size_t length, struct mill_error *error)
{
    struct heap *heap = f->config.heap;
    struct columnar_file *file = heap_zalloc(heap, sizeof *file);
    int code;

    if (file == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to read %s", at->file);
    file->heap = heap;
    arena_open(&file->arena, heap);
    at->state = file;
    code = columnar_read_header(bytes, length, at->file, &file->arena, &file->schema,
                                &file->node_count, error);
    if (code != MILL_OK)
        return code;
    file->header_bytes = ((const struct columnar_header *)bytes)->bytes;
    file->first_node =
        arena_array(&file->arena, uint32_t, f->config.schema->field_count + (size_t)1);
    if (file->first_node == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to read %s", at->file);
    for (uint32_t i = 0; code == MILL_OK && i < f->config.schema->field_count; i++)
        code = find_column(f, file, i, at->file, error);
    return code;
}

/* ---- cutting ---- */

static int damaged(const char *file, uint64_t offset, const char *what, struct mill_error *error)
{
    return mill_fail(error, MILL_E_DATA, 0, 0, "%s, byte %llu: %s", file,
                     (unsigned long long)offset, what);
}

/* What stands at the start of a section, before it is trusted. 0: nothing known. */
static uint64_t section_bytes(const char *at)
{
    uint64_t bytes = 0;

    if (memcmp(at, columnar_magic, sizeof columnar_magic) == 0)
        bytes = ((const struct columnar_header *)at)->bytes;
    else if (memcmp(at, columnar_block_magic, sizeof columnar_block_magic) == 0)
        bytes = ((const struct columnar_block *)at)->bytes;
    else if (memcmp(at, columnar_end_magic, sizeof columnar_end_magic) == 0)
        bytes = ((const struct columnar_end *)at)->bytes;
    return bytes % COLUMNAR_ALIGN == 0 && bytes <= COLUMNAR_SECTION_MAX ? bytes : 0;
}

static int check_block(struct columnar_file *file, const char *path, uint64_t offset,
                       const struct columnar_block *b, struct mill_error *error)
{
    if (columnar_hash_head(b, columnar_head_bytes(file->node_count),
                           offsetof(struct columnar_block, checksum), offset) != b->checksum)
        return damaged(path, offset, "the head of a block is damaged (its checksum is wrong)",
                       error);
    if (b->index != file->count.blocks || b->first_row != file->count.rows)
        return damaged(path, offset, "a block is missing or stands in a wrong place", error);
    if (b->head_bytes != columnar_head_bytes(file->node_count) || b->rows == 0 ||
        b->rows > COLUMNAR_ROWS_MAX || b->bytes < b->head_bytes ||
        b->bytes > COLUMNAR_SECTION_MAX || b->bytes % COLUMNAR_ALIGN != 0)
        return damaged(path, offset, "the head of a block is damaged (its sizes)", error);
    return MILL_OK;
}

static int check_end(struct columnar_file *file, const char *path, uint64_t offset,
                     const struct columnar_end *e, struct mill_error *error)
{
    const uint64_t entries = (uint64_t)e->block_count * sizeof(struct columnar_entry);
    const uint64_t ranges =
        (uint64_t)e->block_count * file->node_count * sizeof(struct columnar_range);
    const uint64_t body = ALIGN_UP(sizeof *e + entries + ranges, COLUMNAR_ALIGN);
    struct columnar_trailer t;

    if (e->block_count > COLUMNAR_SECTION_MAX / sizeof(struct columnar_entry) ||
        e->bytes != body + sizeof t ||
        columnar_hash_head(e, body, offsetof(struct columnar_end, checksum), offset) != e->checksum)
        return damaged(path, offset, "the end section is damaged (its checksum is wrong)", error);
    memcpy(&t, (const char *)e + body, sizeof t);
    if (columnar_hash_head(&t, sizeof t, offsetof(struct columnar_trailer, checksum), 0) !=
            t.checksum ||
        memcmp(t.magic, columnar_trailer_magic, sizeof t.magic) != 0 || t.end_offset != offset ||
        t.file_bytes != offset + e->bytes || t.rows != e->rows)
        return damaged(path, offset + body, "the trailer is damaged", error);
    if (e->node_count != file->node_count || e->block_count != file->count.blocks ||
        e->rows != file->count.rows || e->chain != file->count.chain)
        return damaged(path, offset, "the end section is that of other blocks than these", error);
    return MILL_OK;
}

/* Has the pages of the numbers and times that are read at hand when the block is decoded: the kernel maps 64 KiB around a
 * touch. Texts are often read of a few rows only. */
static void touch_wanted(const struct columnar_format *f, const struct columnar_file *file,
                         const char *bytes)
{
    const struct columnar_block *b = (const void *)bytes;
    const struct columnar_chunk *chunks = (const void *)(b + 1);

    for (uint32_t i = 0; i < f->config.schema->field_count; i++) {
        const uint32_t node = file->first_node[i];
        const struct mill_type *type = &f->config.schema->fields[i].type;
        const uint32_t nodes = columnar_nodes(type);

        if (!f->config.wanted[i] || type_phys(type) == PHYS_VIEW)
            continue;
        for (uint32_t k = node; k < node + nodes; k++) {
            const uint64_t from = min_u64(chunks[k].offset, b->bytes); /* not checked yet */
            const uint64_t to = from + min_u64(chunks[k].bytes, b->bytes - from);

            for (uint64_t at = from; at < to; at += TOUCH_BYTES)
                (void)*(const volatile char *)(bytes + at);
        }
    }
}

/* One section at @offset, of which @length bytes are there; @size was read from it. CUT_DATA: checked and counted. */
static enum cut check_section(const struct columnar_format *f, struct format_position *at,
                              uint64_t offset, const char *bytes, size_t length, uint64_t size,
                              bool last, struct mill_error *error)
{
    struct columnar_file *file = at->state;
    const bool block = memcmp(bytes, columnar_block_magic, sizeof columnar_block_magic) == 0;

    if (file == NULL) { /* the first: the header */
        if (size > length && !last)
            return CUT_WAIT;
        return open_file(f, at, bytes, length, error) == MILL_OK ? CUT_DATA : CUT_FAILED;
    }
    if (block) {
        if (length < columnar_head_bytes(file->node_count) && !last)
            return CUT_WAIT;
        if (length >= columnar_head_bytes(file->node_count) &&
            check_block(file, at->file, offset, (const void *)bytes, error) != MILL_OK)
            return CUT_FAILED;
    } else if (size == 0 || memcmp(bytes, columnar_end_magic, sizeof columnar_end_magic) != 0) {
        damaged(at->file, offset, "no block begins here: the file is damaged", error);
        return CUT_FAILED;
    }
    if (length < size || (block && length < columnar_head_bytes(file->node_count))) {
        if (!last)
            return CUT_WAIT;
        damaged(at->file, offset, "the file is cut off in this section, or is still being written",
                error);
        return CUT_FAILED;
    }
    if (block) {
        const struct columnar_block *b = (const void *)bytes;

        if (at->mapped)
            touch_wanted(f, file, bytes);
        file->count.blocks++;
        file->count.rows += b->rows;
        file->count.chain = columnar_chain(file->count.chain, b->checksum);
        return CUT_DATA;
    }
    if (check_end(file, at->file, offset, (const void *)bytes, error) != MILL_OK)
        return CUT_FAILED;
    file->count.ended = true;
    return CUT_DATA;
}

/* Behind the last byte there is. */
static enum cut cut_at_end(const struct format_position *at, uint64_t left,
                           struct mill_error *error)
{
    const struct columnar_file *file = at->state;

    if (file != NULL && file->count.ended) {
        if (left == 0)
            return CUT_END;
        damaged(at->file, at->offset, "bytes behind the end section", error);
    } else if (left == 0 && file == NULL) {
        damaged(at->file, at->offset, "the file is empty: a columnar file has a header", error);
    } else {
        damaged(at->file, at->offset,
                "the file is cut off, or is still being written: it has no end section", error);
    }
    return CUT_FAILED;
}

static enum cut cut_some(const struct format *format, struct format_position *at, const char *bytes,
                         size_t length, bool last, size_t want, size_t *n, struct mill_error *error)
{
    const struct columnar_format *f = (const struct columnar_format *)format;

    for (*n = 0;;) {
        const struct columnar_file *file = at->state;
        const size_t left = length - *n;
        const uint64_t size = left >= COLUMNAR_ALIGN ? section_bytes(bytes + *n) : 0;
        struct mill_error why = {0};
        enum cut code;

        /* decided by the sizes alone, also when the section is not there yet */
        if (*n > 0 && (*n + max_u64(size, COLUMNAR_ALIGN) > want || file->count.ended))
            return CUT_DATA;
        if (left < COLUMNAR_ALIGN || (file != NULL && file->count.ended)) {
            if (!last && !(file != NULL && file->count.ended))
                return CUT_WAIT;
            if (*n > 0)
                return CUT_DATA;
            if (!last && left == 0)
                return CUT_WAIT;
            if (file == NULL && left > 0) { /* says in what way that is no header */
                open_file(f, at, bytes, left, error);
                return CUT_FAILED;
            }
            return cut_at_end(at, left, error);
        }
        code = check_section(f, at, at->offset + *n, bytes + *n, left, size, last, &why);
        if (code == CUT_FAILED && *n > 0)
            return CUT_DATA; /* what is whole first; then the same is found again */
        if (code == CUT_FAILED)
            *error = why;
        if (code != CUT_DATA)
            return code;
        *n += size;
    }
}

static enum cut cut_section(const struct format *format, struct format_position *at,
                            const char *bytes, size_t length, bool last, size_t want, size_t *n,
                            struct mill_error *error)
{
    const struct columnar_file *before = at->state;
    const struct columnar_count count = before != NULL ? before->count : (struct columnar_count){0};
    const enum cut code = cut_some(format, at, bytes, length, last, want, n, error);
    struct columnar_file *file = at->state;

    if (code == CUT_WAIT && file != NULL) /* what was looked at will come again */
        file->count = count;
    if (code == CUT_WAIT && before == NULL && file != NULL)
        position_close(format, at);
    return code;
}

/* ---- decoding: a block ---- */

static struct format_decoder *columnar_decoder_new(const struct format *format, struct heap *heap)
{
    struct columnar_decoder *d = heap_zalloc(heap, sizeof *d);

    if (d == NULL)
        return NULL;
    d->decoder.vtable = &format_columnar;
    d->format = (const struct columnar_format *)format;
    d->heap = heap;
    return &d->decoder;
}

static void columnar_decoder_free(struct format_decoder *decoder)
{
    struct columnar_decoder *d = (struct columnar_decoder *)decoder;

    heap_free(d->heap, d, sizeof *d);
}

static void columnar_begin(struct format_decoder *decoder, const struct format_piece *piece)
{
    struct columnar_decoder *d = (struct columnar_decoder *)decoder;

    d->piece = *piece;
    d->file = piece->state;
    d->next = 0;
    d->block = NULL;
    d->rows = d->row = 0;
}

static const char *chunk_values(const struct columnar_decoder *d, uint32_t node)
{
    const struct columnar_chunk *c = &d->chunks[node];

    return d->block + c->offset + (c->nulls > 0 ? columnar_bitmap_bytes(d->rows) : 0);
}

static bool bytes_at_most_one(const uint8_t *values, uint32_t rows)
{
    uint8_t all = 0;

    for (uint32_t i = 0; i < rows; i++)
        all |= values[i];
    return all <= 1;
}

static bool offsets_right(const uint32_t *offsets, uint32_t rows, uint32_t total)
{
    uint32_t wrong = offsets[0] != 0;

    for (uint32_t i = 0; i < rows; i++)
        wrong |= offsets[i + 1] < offsets[i];
    return wrong == 0 && offsets[rows] == total;
}

/* What other values a column's type forbids: so that no operator need fear them. */
static bool values_right(const struct mill_type *type, const char *values, uint32_t rows,
                         uint32_t text_bytes)
{
    const int64_t day = type_is_nanos(type) ? 86400000000000ll : 86400000000ll;

    switch (type->kind) {
    case MILL_BOOLEAN: return bytes_at_most_one((const uint8_t *)values, rows);
    case MILL_DECIMAL:
        for (uint32_t i = 0; i < rows; i++)
            if (!decimal_fits(((const int128 *)values)[i], type->precision))
                return false;
        return true;
    case MILL_TIME:
        for (uint32_t i = 0; i < rows; i++)
            if ((uint64_t)((const int64_t *)values)[i] >= (uint64_t)day)
                return false;
        return true;
    case MILL_CHAR:
    case MILL_VARCHAR:
    case MILL_BINARY:
    case MILL_VARBINARY: return offsets_right((const uint32_t *)values, rows, text_bytes);
    default: return true;
    }
}

static bool nulls_right(const uint64_t *bitmap, uint32_t rows, uint32_t nulls)
{
    uint32_t valid = 0;

    for (uint32_t w = 0; w < rows / 64; w++)
        valid += (uint32_t)__builtin_popcountll(bitmap[w]);
    if (rows % 64 != 0)
        valid += (uint32_t)__builtin_popcountll(bitmap[rows / 64] & ((1ull << (rows % 64)) - 1));
    return rows - valid == nulls;
}

static int chunk_failed(const struct columnar_decoder *d, const struct mill_field *field,
                        uint32_t node, const char *why, struct mill_error *error)
{
    const uint64_t at = d->piece.offset + (uint64_t)(d->block - d->piece.bytes);

    return mill_fail(error, MILL_E_DATA, 0, 0, "%s, byte %llu, column %s: %s", d->piece.file,
                     (unsigned long long)(at + d->chunks[node].offset), field->name, why);
}

/* Sizes, checksum and values of the chunk of node @*node and, of a ROW, those behind it. */
static int check_chunks(const struct columnar_decoder *d, const struct mill_field *field,
                        uint64_t block_bytes, uint32_t *node, struct mill_error *error)
{
    const uint32_t own = (*node)++;
    const struct columnar_chunk *c = &d->chunks[own];
    const bool text = type_phys(&field->type) == PHYS_VIEW;
    const uint64_t bitmap = c->nulls > 0 ? columnar_bitmap_bytes(d->rows) : 0;
    const uint64_t values = columnar_value_bytes(&field->type, d->rows);
    const uint64_t at = d->piece.offset + (uint64_t)(d->block - d->piece.bytes) + c->offset;

    if (c->bytes != bitmap + values + (text ? columnar_text_bytes(c->text_bytes) : 0) ||
        c->offset % COLUMNAR_ALIGN != 0 || c->offset > block_bytes ||
        c->bytes > block_bytes - c->offset || c->nulls > d->rows || (!text && c->text_bytes != 0))
        return chunk_failed(d, field, own, "the sizes of its values are wrong", error);
    if (columnar_hash(d->block + c->offset, c->bytes, at) != c->checksum)
        return chunk_failed(d, field, own, "its values are damaged (their checksum is wrong)",
                            error);
    if (c->nulls > 0 && !nulls_right((const void *)(d->block + c->offset), d->rows, c->nulls))
        return chunk_failed(d, field, own, "the count of its NULLs is wrong", error);
    if (c->nulls > 0 && field->type.not_null)
        return chunk_failed(d, field, own, "it has NULLs, the table says NOT NULL", error);
    if (field->type.kind != MILL_ROW &&
        !values_right(&field->type, d->block + c->offset + bitmap, d->rows, c->text_bytes))
        return chunk_failed(d, field, own, "it has values that its type has not", error);
    for (uint32_t i = 0; field->type.kind == MILL_ROW && i < field->type.field_count; i++)
        if (check_chunks(d, &field->type.fields[i], block_bytes, node, error) != MILL_OK)
            return error->code;
    return MILL_OK;
}

static bool is_late(const struct columnar_decoder *d, uint32_t column)
{
    return d->decoder.filter != NULL && d->decoder.filter->late[column];
}

/* The chunks of wanted columns: the late ones, or the others. */
static int check_columns(const struct columnar_decoder *d, bool late, struct mill_error *error)
{
    const struct mill_schema *schema = d->format->config.schema;
    const struct columnar_block *b = (const void *)d->block;

    for (uint32_t i = 0; i < schema->field_count; i++) {
        uint32_t node = d->file->first_node[i];

        if (d->format->config.wanted[i] && is_late(d, i) == late &&
            check_chunks(d, &schema->fields[i], b->bytes, &node, error) != MILL_OK)
            return error->code;
    }
    return MILL_OK;
}

static int open_block(struct columnar_decoder *d, struct mill_error *error)
{
    const struct early_filter *filter = d->decoder.filter;
    const struct columnar_block *b = (const void *)d->block;

    d->chunks = (const void *)(d->block + sizeof *b);
    d->rows = b->rows;
    d->row = 0;
    d->late_checked = filter == NULL || filter->exact;
    if (check_columns(d, false, error) == MILL_OK && filter != NULL && filter->exact)
        check_columns(d, true, error);
    return error->code;
}

/* The next block of the piece, or none: header and end are passed over. */
static int next_block(struct columnar_decoder *d, struct mill_error *error)
{
    d->block = NULL;
    while (d->piece.length - d->next >= COLUMNAR_ALIGN) {
        const char *at = d->piece.bytes + d->next;
        const uint64_t size = section_bytes(at);
        const bool block = memcmp(at, columnar_block_magic, sizeof columnar_block_magic) == 0;

        /* the cutter has checked it; the bytes of a mapped file may have changed since */
        if (size == 0 || size > d->piece.length - d->next ||
            (block && size < columnar_head_bytes(d->file->node_count)))
            return damaged(d->piece.file, d->piece.offset + d->next,
                           "the file has changed while it was read", error);
        d->next += size;
        if (block) {
            d->block = at;
            return open_block(d, error);
        }
    }
    return MILL_OK;
}

/* ---- decoding: columns ---- */

static bool show_validity(struct batch *out, struct column *c, const uint64_t *bitmap,
                          uint32_t first, uint32_t rows, uint32_t all)
{
    const uint32_t shift = first % 64, words = (rows + 63) / 64, at = first / 64;

    if (shift == 0) {
        c->validity = (uint64_t *)bitmap + at;
        return true;
    }
    if (!column_own_validity(out, c))
        return false;
    for (uint32_t w = 0; w < words; w++) {
        c->validity[w] = bitmap[at + w] >> shift;
        if (at + w + 1 < (all + 63) / 64)
            c->validity[w] |= bitmap[at + w + 1] << (64 - shift);
    }
    return true;
}

/* Views over @text: offsets and bytes were checked; 16 bytes behind the last may be read. */
static void make_views(struct mill_view *to, const uint32_t *offsets, const char *text,
                       uint32_t rows)
{
    static const uint32_t tails[13] =
        {[9] = 0xffu, [10] = 0xffffu, [11] = 0xffffffu, [12] = 0xffffffffu};

    for (uint32_t i = 0; i < rows; i++) {
        const uint32_t length = offsets[i + 1] - offsets[i];
        const char *data = text + offsets[i];
        uint64_t eight;
        uint32_t four;

        to[i].length = length;
        if (length > 12) {
            memcpy(to[i].far.prefix, data, 4);
            to[i].far.data = data;
            continue;
        }
        memcpy(&eight, data, 8);
        memcpy(&four, data + 8, 4);
        if (length < 8)
            eight &= (1ull << (8 * length)) - 1;
        four &= tails[length];
        memcpy(to[i].inlined, &eight, 8);
        memcpy(to[i].inlined + 8, &four, 4);
    }
}

/* A column that nobody reads: nothing but its shape. */
static bool leave_empty(struct batch *out, struct column *c, const struct mill_type *type)
{
    *c = (struct column){0};
    if (type->kind != MILL_ROW)
        return true;
    c->child_count = type->field_count;
    c->children = arena_array(&out->bytes, struct column, type->field_count);
    for (uint32_t i = 0; c->children != NULL && i < type->field_count; i++)
        if (!leave_empty(out, &c->children[i], &type->fields[i].type))
            return false;
    return c->children != NULL;
}

/* @pass: views only in these rows; NULL: in all. */
static bool show_column(const struct columnar_decoder *d, struct batch *out, struct column *c,
                        const struct mill_type *type, uint32_t *node, uint32_t rows,
                        const uint64_t *pass)
{
    const uint32_t own = (*node)++;
    const struct columnar_chunk *chunk = &d->chunks[own];
    const char *values = chunk_values(d, own);
    const uint32_t *offsets;
    uint32_t from = 0, to;

    *c = (struct column){0};
    if (chunk->nulls > 0 &&
        !show_validity(out, c, (const void *)(d->block + chunk->offset), d->row, rows, d->rows))
        return false;
    if (type->kind == MILL_ROW) {
        c->child_count = type->field_count;
        c->children = arena_array(&out->bytes, struct column, type->field_count);
        for (uint32_t i = 0; c->children != NULL && i < type->field_count; i++)
            if (!show_column(d, out, &c->children[i], &type->fields[i].type, node, rows, pass))
                return false;
        return c->children != NULL;
    }
    if (type_phys(type) != PHYS_VIEW) {
        c->values = (char *)values + (size_t)d->row * type_width(type);
        return true;
    }
    c->values = arena_alloc(&out->bytes, (size_t)out->capacity * sizeof(struct mill_view) + 64);
    if (c->values == NULL)
        return false;
    offsets = (const uint32_t *)(const void *)values + d->row;
    values += columnar_value_bytes(type, d->rows);
    if (pass == NULL)
        make_views(c->values, offsets, values, rows);
    for (; pass != NULL && format_next_run(pass, rows, &from, &to); from = to)
        make_views((struct mill_view *)c->values + from, offsets + from, values, to - from);
    return true;
}

/* The columns of the next rows of the block: the late ones, or the others. */
static int show_columns(const struct columnar_decoder *d, struct batch *out, uint32_t rows,
                        bool late, const uint64_t *pass, struct mill_error *error)
{
    const struct mill_schema *schema = d->format->config.schema;

    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct mill_type *type = &schema->fields[i].type;
        uint32_t node = d->file->first_node[i];

        if (is_late(d, i) != late)
            continue;
        if (d->format->config.wanted[i]
                ? !show_column(d, out, &out->columns[i], type, &node, rows, pass)
                : !leave_empty(out, &out->columns[i], type))
            return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for rows of %s", d->piece.file);
    }
    return MILL_OK;
}

/* Late columns, if a row passes. */
static int show_late(struct columnar_decoder *d, struct batch *out, uint32_t rows,
                     struct mill_error *error)
{
    struct early_filter *filter = d->decoder.filter;
    uint64_t pass[BATCH_ROWS_MAX / 64];
    const int passed = filter->run(filter, out, 0, rows, pass, error);

    if (passed < 0)
        return -passed;
    if (passed == 0) {
        for (uint32_t i = 0; i < d->format->config.schema->field_count; i++)
            if (is_late(d, i) &&
                !leave_empty(out, &out->columns[i], &d->format->config.schema->fields[i].type))
                return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for rows of %s",
                                 d->piece.file);
        return MILL_OK;
    }
    if (!d->late_checked && check_columns(d, true, error) != MILL_OK)
        return error->code;
    d->late_checked = true;
    return show_columns(d, out, rows, true, (uint32_t)passed > rows / 4 ? NULL : pass, error);
}

static int columnar_decode(struct format_decoder *decoder, struct batch *out,
                           struct mill_error *error)
{
    struct columnar_decoder *d = (struct columnar_decoder *)decoder;
    uint32_t rows;

    if (d->row == d->rows && next_block(d, error) != MILL_OK)
        return -error->code;
    if (d->block == NULL)
        return 0;
    rows = min_u32(out->capacity, d->rows - d->row);
    if (show_columns(d, out, rows, false, NULL, error) != MILL_OK ||
        (d->decoder.filter != NULL && show_late(d, out, rows, error) != MILL_OK))
        return -error->code;
    d->row += rows;
    out->rows = out->live = rows;
    return d->row < d->rows || d->next < d->piece.length;
}

static bool columnar_asks_filter(const struct options *options, const struct mill_type *type,
                                 bool exact)
{
    (void)options;
    return !exact || type_phys(type) == PHYS_VIEW; /* others are shown where they lie */
}

static const char *const no_options[] = {NULL};

const struct format_vtable format_columnar = {.name = "columnar",
                                              .extension = "mcol",
                                              .read_options = no_options,
                                              .write_options = no_options,
                                              .open = columnar_open,
                                              .close = columnar_close,
                                              .cut_section = cut_section,
                                              .position_close = position_close,
                                              .decoder_new = columnar_decoder_new,
                                              .decoder_free = columnar_decoder_free,
                                              .begin = columnar_begin,
                                              .decode = columnar_decode,
                                              .asks_filter = columnar_asks_filter,
                                              .writer_open = columnar_writer_open,
                                              .writer_close = columnar_writer_close,
                                              .write = columnar_writer_write,
                                              .finish = columnar_writer_finish};

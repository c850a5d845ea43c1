/* io/columnar_write.c - writing raw columnar files: rows are gathered into blocks, the end section indexes them.
 *
 * Where a block ends depends on the rows alone, never on the batches they came in: behind the row that makes
 * COLUMNAR_BLOCK_ROWS of them or COLUMNAR_BLOCK_BYTES of values. So the same rows are the same bytes.
 * Threads: one.   Errors: shown in the text buffer's failed.
 */
#include "io/columnar.h"

struct node {
    const struct mill_type *type;
    struct text_buffer values; /* fixed widths, or the ends of texts */
    struct text_buffer text;
    uint64_t bitmap[COLUMNAR_BLOCK_ROWS / 64]; /* bit r: row r of the block is not NULL */
    uint32_t nulls;
};

struct columnar_writer {
    struct format_writer writer;
    struct heap *heap;
    struct arena arena;
    const struct mill_schema *schema;
    struct node *nodes;            /* pre-order */
    struct columnar_chunk *chunks; /* of the block that is written */
    uint32_t node_count;
    uint32_t rows; /* of the block so far */
    uint64_t bytes, fixed_bytes;
    bool has_texts, begun;
    uint64_t offset, rows_before, chain; /* of the sections written */
    uint32_t blocks;
    struct text_buffer entries, ranges;
};

/* ---- opening ---- */

static int refuse(const struct mill_field *field, const struct sink_config *config, uint32_t depth,
                  struct mill_error *error)
{
    char text[160];

    if (field->type.kind == MILL_NULL || field->type.kind > MILL_ROW || depth > COLUMNAR_DEPTH_MAX)
        return mill_fail(error, MILL_E_TYPE, config->options->line, config->options->column,
                         "table %s: column %s is %s, which a columnar file cannot hold",
                         config->options->table, field->name,
                         type_name(&field->type, text, sizeof text));
    for (uint32_t i = 0; i < field->type.field_count; i++)
        if (refuse(&field->type.fields[i], config, depth + 1, error) != MILL_OK)
            return error->code;
    return MILL_OK;
}

static void add_nodes(struct columnar_writer *w, const struct mill_type *type)
{
    struct node *node = &w->nodes[w->node_count++];

    node->type = type;
    node->values.heap = node->text.heap = w->heap;
    if (type->kind == MILL_ROW)
        for (uint32_t i = 0; i < type->field_count; i++)
            add_nodes(w, &type->fields[i].type);
    else if (type_phys(type) == PHYS_VIEW) {
        w->has_texts = true;
        w->fixed_bytes += 4;
    } else
        w->fixed_bytes += type_width(type);
}

int columnar_writer_open(const struct sink_config *config, struct format_writer **out,
                         struct mill_error *error)
{
    struct columnar_writer *w = heap_zalloc(config->heap, sizeof *w);
    uint32_t count = 0;

    if (w == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
    w->writer.vtable = &format_columnar;
    w->heap = w->entries.heap = w->ranges.heap = config->heap;
    w->schema = config->schema;
    arena_open(&w->arena, w->heap);
    *out = &w->writer;
    for (uint32_t i = 0; i < w->schema->field_count; i++) {
        if (refuse(&w->schema->fields[i], config, 1, error) != MILL_OK)
            return error->code;
        count += columnar_nodes(&w->schema->fields[i].type);
    }
    if (count > COLUMNAR_NODES_MAX)
        return mill_fail(error, MILL_E_TYPE, config->options->line, config->options->column,
                         "table %s: %u columns and fields, a columnar file has at most %u",
                         config->options->table, count, COLUMNAR_NODES_MAX);
    w->nodes = arena_array(&w->arena, struct node, count + 1);
    w->chunks = arena_array(&w->arena, struct columnar_chunk, count + 1);
    if (w->nodes == NULL || w->chunks == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a sink");
    for (uint32_t i = 0; i < w->schema->field_count; i++)
        add_nodes(w, &w->schema->fields[i].type);
    return MILL_OK;
}

static void buffer_free(struct text_buffer *b)
{
    heap_free(b->heap, b->bytes, b->capacity);
}

void columnar_writer_close(struct format_writer *writer)
{
    struct columnar_writer *w = (struct columnar_writer *)writer;

    for (uint32_t i = 0; i < w->node_count; i++) {
        buffer_free(&w->nodes[i].values);
        buffer_free(&w->nodes[i].text);
    }
    buffer_free(&w->entries);
    buffer_free(&w->ranges);
    arena_close(&w->arena);
    heap_free(w->heap, w, sizeof *w);
}

/* ---- gathering rows ---- */

static bool room(struct text_buffer *b, size_t bytes)
{
    if (b->length + bytes > b->capacity) {
        const size_t capacity = ALIGN_UP((b->length + bytes) * 2, (size_t)4096);
        char *grown = heap_grow(b->heap, b->bytes, b->capacity, capacity);

        if (grown == NULL) {
            b->failed = true;
            return false;
        }
        b->bytes = grown;
        b->capacity = capacity;
    }
    return true;
}

#define GATHER(type)                                                                               \
    {                                                                                              \
        type *out = (type *)(void *)(node->values.bytes + node->values.length);                    \
        const type *in = c->values;                                                                \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            const uint32_t row = batch_row(batch, first + i);                                      \
            out[i] = column_valid(c, row) ? in[c->constant ? 0 : row] : 0;                         \
        }                                                                                          \
        break;                                                                                     \
    }

static void gather_fixed(struct node *node, const struct column *c, const struct batch *batch,
                         uint32_t first, uint32_t count)
{
    const size_t bytes = (size_t)count * type_width(node->type);

    if (!room(&node->values, bytes))
        return;
    switch (type_width(node->type)) {
    case 1: GATHER(uint8_t)
    case 2: GATHER(uint16_t)
    case 4: GATHER(uint32_t)
    case 8: GATHER(uint64_t)
    default: GATHER(int128)
    }
    node->values.length += bytes;
}

static void gather_texts(struct node *node, const struct column *c, const struct batch *batch,
                         uint32_t first, uint32_t count)
{
    const struct mill_view *in = c->values;

    for (uint32_t i = 0; i < count && !node->text.failed; i++) {
        const uint32_t row = batch_row(batch, first + i);
        uint32_t end;

        if (column_valid(c, row)) {
            const struct mill_view *v = &in[c->constant ? 0 : row];

            text_put(&node->text, mill_view_data(v), v->length);
        }
        if (node->text.length > UINT32_MAX || !room(&node->values, sizeof end)) {
            node->text.failed = true;
            return;
        }
        end = (uint32_t)node->text.length;
        memcpy(node->values.bytes + node->values.length, &end, sizeof end);
        node->values.length += sizeof end;
    }
}

static struct node *gather(struct columnar_writer *w, struct node *node, const struct column *c,
                           const struct batch *batch, uint32_t first, uint32_t count)
{
    const struct mill_type *type = node->type;

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t r = w->rows + i;
        const bool valid = column_valid(c, batch_row(batch, first + i));

        if (r % 64 == 0)
            node->bitmap[r / 64] = 0;
        node->bitmap[r / 64] |= (uint64_t)valid << (r % 64);
        node->nulls += !valid;
    }
    if (type->kind != MILL_ROW) {
        if (type_phys(type) == PHYS_VIEW)
            gather_texts(node, c, batch, first, count);
        else
            gather_fixed(node, c, batch, first, count);
        return node + 1;
    }
    node++;
    for (uint32_t i = 0; i < type->field_count; i++)
        node = gather(w, node, &c->children[i], batch, first, count);
    return node;
}

/* Adds each live row's bytes of text to @sizes. */
static void text_sizes(const struct mill_type *type, const struct column *c,
                       const struct batch *batch, uint64_t *sizes)
{
    const struct mill_view *in = c->values;

    if (type->kind == MILL_ROW) {
        for (uint32_t i = 0; i < type->field_count; i++)
            text_sizes(&type->fields[i].type, &c->children[i], batch, sizes);
        return;
    }
    if (type_phys(type) != PHYS_VIEW)
        return;
    for (uint32_t i = 0; i < batch->live; i++) {
        const uint32_t row = batch_row(batch, i);

        if (column_valid(c, row))
            sizes[i] += in[c->constant ? 0 : row].length;
    }
}

/* ---- ranges ---- */

#define RANGE(type, wide)                                                                          \
    {                                                                                              \
        const type *v = (const void *)node->values.bytes;                                          \
        type low = 0, high = 0;                                                                    \
        for (uint32_t i = 0; i < rows; i++)                                                        \
            if ((node->bitmap[i / 64] >> (i % 64) & 1) != 0 && v[i] == v[i]) {                     \
                low = out->present == 0 || v[i] < low ? v[i] : low;                                \
                high = out->present == 0 || v[i] > high ? v[i] : high;                             \
                out->present = 1;                                                                  \
            }                                                                                      \
        const wide both[2] = {(wide)low, (wide)high};                                              \
        memcpy(out->low, &both[0], sizeof(wide));                                                  \
        memcpy(out->high, &both[1], sizeof(wide));                                                 \
        break;                                                                                     \
    }

static void range_of(const struct node *node, uint32_t rows, struct columnar_range *out)
{
    *out = (struct columnar_range){.nulls = node->nulls};
    switch (type_phys(node->type)) {
    case PHYS_BOOL:
    case PHYS_I8: RANGE(int8_t, int128)
    case PHYS_I16: RANGE(int16_t, int128)
    case PHYS_I32: RANGE(int32_t, int128)
    case PHYS_I64: RANGE(int64_t, int128)
    case PHYS_I128: RANGE(int128, int128)
    case PHYS_F32: RANGE(float, double)
    case PHYS_F64: RANGE(double, double)
    default: break;
    }
}

/* ---- sections ---- */

/* Zeros up to a multiple of 64 from @start; @spare of them at least. */
static void pad(struct text_buffer *to, size_t start, size_t spare)
{
    static const char zeros[128];
    const size_t length = to->length - start;

    text_put(to, zeros, ALIGN_UP(length + spare, COLUMNAR_ALIGN) - length);
}

static void put_chunk(struct columnar_writer *w, const struct node *node, struct text_buffer *to,
                      size_t section, struct columnar_chunk *out)
{
    const size_t start = to->length;
    const bool text = type_phys(node->type) == PHYS_VIEW;
    const uint32_t zero = 0;

    *out = (struct columnar_chunk){.offset = start - section,
                                   .nulls = node->nulls,
                                   .text_bytes = (uint32_t)node->text.length};
    if (node->nulls > 0) {
        text_put(to, (const char *)node->bitmap, (w->rows + 63) / 64 * 8);
        pad(to, start, 0);
    }
    if (text)
        text_put(to, (const char *)&zero, sizeof zero);
    text_put(to, node->values.bytes, node->values.length);
    pad(to, start, 0);
    if (text) {
        text_put(to, node->text.bytes, node->text.length);
        pad(to, start, 16);
    }
    out->bytes = to->length - start;
    if (!to->failed)
        out->checksum = columnar_hash(to->bytes + start, out->bytes, w->offset + out->offset);
}

static void begin(struct columnar_writer *w, struct text_buffer *to)
{
    size_t length = 0;
    const char *header;

    if (w->begun)
        return;
    w->begun = true;
    header = columnar_make_header(&w->arena, w->schema, &length);
    to->failed = to->failed || header == NULL;
    text_put(to, header, length);
    w->offset = length;
}

/* The block's head, once its chunks are there; and its lines in the end section. */
static void put_head(struct columnar_writer *w, struct text_buffer *to, size_t section)
{
    const uint64_t head_bytes = columnar_head_bytes(w->node_count);
    struct columnar_block b = {.rows = w->rows,
                               .bytes = to->length - section,
                               .first_row = w->rows_before,
                               .index = w->blocks,
                               .head_bytes = (uint32_t)head_bytes};
    const struct columnar_entry entry = {w->offset, b.bytes, w->rows_before, w->rows, 0};

    memcpy(b.magic, columnar_block_magic, sizeof b.magic);
    memcpy(to->bytes + section, &b, sizeof b);
    memcpy(to->bytes + section + sizeof b, w->chunks, w->node_count * sizeof *w->chunks);
    b.checksum = columnar_hash_head(to->bytes + section, head_bytes,
                                    offsetof(struct columnar_block, checksum), w->offset);
    memcpy(to->bytes + section, &b, sizeof b);
    text_put(&w->entries, (const char *)&entry, sizeof entry);
    for (uint32_t i = 0; i < w->node_count; i++) {
        struct columnar_range range;

        range_of(&w->nodes[i], w->rows, &range);
        text_put(&w->ranges, (const char *)&range, sizeof range);
    }
    w->chain = columnar_chain(w->chain, b.checksum);
    w->offset += b.bytes;
}

static void put_block(struct columnar_writer *w, struct text_buffer *to)
{
    const size_t section = to->length;
    static const char zeros[COLUMNAR_ALIGN];

    for (uint64_t n = columnar_head_bytes(w->node_count); n > 0; n -= sizeof zeros)
        text_put(to, zeros, sizeof zeros);
    for (uint32_t i = 0; i < w->node_count && !to->failed; i++) {
        to->failed = w->nodes[i].values.failed || w->nodes[i].text.failed;
        put_chunk(w, &w->nodes[i], to, section, &w->chunks[i]);
    }
    if (to->length - section > COLUMNAR_SECTION_MAX)
        to->failed = true;
    if (to->failed)
        return;
    put_head(w, to, section);
    to->failed = w->entries.failed || w->ranges.failed;
    w->blocks++;
    w->rows_before += w->rows;
    w->rows = 0;
    w->bytes = 0;
    for (uint32_t i = 0; i < w->node_count; i++) {
        w->nodes[i].nulls = 0;
        w->nodes[i].values.length = w->nodes[i].text.length = 0;
    }
}

void columnar_writer_write(struct format_writer *writer, const struct batch *batch,
                           struct text_buffer *to)
{
    struct columnar_writer *w = (struct columnar_writer *)writer;
    uint64_t sizes[BATCH_ROWS_MAX];
    uint32_t i = 0;

    begin(w, to);
    memset(sizes, 0, batch->live * sizeof *sizes);
    for (uint32_t k = 0; w->has_texts && k < w->schema->field_count; k++)
        text_sizes(&w->schema->fields[k].type, &batch->columns[k], batch, sizes);
    while (i < batch->live && !to->failed) {
        const uint32_t first = i;
        struct node *node = w->nodes;
        uint64_t bytes = w->bytes;

        while (i < batch->live && w->rows + (i - first) < COLUMNAR_BLOCK_ROWS &&
               bytes < COLUMNAR_BLOCK_BYTES)
            bytes += w->fixed_bytes + sizes[i++];
        for (uint32_t k = 0; k < w->schema->field_count; k++)
            node = gather(w, node, &batch->columns[k], batch, first, i - first);
        w->rows += i - first;
        w->bytes = bytes;
        if (w->rows == COLUMNAR_BLOCK_ROWS || bytes >= COLUMNAR_BLOCK_BYTES)
            put_block(w, to);
    }
}

void columnar_writer_finish(struct format_writer *writer, struct text_buffer *to)
{
    struct columnar_writer *w = (struct columnar_writer *)writer;
    size_t section;
    struct columnar_end e;
    struct columnar_trailer t;

    begin(w, to);
    if (w->rows > 0)
        put_block(w, to);
    section = to->length;
    e = (struct columnar_end){.node_count = w->node_count,
                              .rows = w->rows_before,
                              .block_count = w->blocks,
                              .chain = w->chain};
    memcpy(e.magic, columnar_end_magic, sizeof e.magic);
    text_put(to, (const char *)&e, sizeof e);
    text_put(to, w->entries.bytes, w->entries.length);
    text_put(to, w->ranges.bytes, w->ranges.length);
    pad(to, section, 0);
    if (to->failed)
        return;
    e.bytes = to->length - section + sizeof t;
    memcpy(to->bytes + section, &e, sizeof e);
    e.checksum = columnar_hash_head(to->bytes + section, to->length - section,
                                    offsetof(struct columnar_end, checksum), w->offset);
    memcpy(to->bytes + section, &e, sizeof e);
    t = (struct columnar_trailer){.end_offset = w->offset,
                                  .file_bytes = w->offset + e.bytes,
                                  .rows = w->rows_before,
                                  .version = COLUMNAR_VERSION};
    memcpy(t.magic, columnar_trailer_magic, sizeof t.magic);
    t.checksum = columnar_hash_head(&t, sizeof t, offsetof(struct columnar_trailer, checksum), 0);
    text_put(to, (const char *)&t, sizeof t);
}

/* io/columnar.c - the header of raw columnar files; checksums; sizes. */
#include "io/columnar.h"

#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#define HASH(bytes, length, seed) XXH3_64bits_withSeed_dispatch(bytes, length, seed)
#else
#include <xxhash.h>
#define HASH(bytes, length, seed) XXH3_64bits_withSeed(bytes, length, seed)
#endif

const char columnar_magic[8] = {'\x89', 'M', 'C', 'O', 'L', '\r', '\n', '\x1a'};
const char columnar_block_magic[4] = {'M', 'B', 'L', 'K'};
const char columnar_end_magic[4] = {'M', 'E', 'N', 'D'};
const char columnar_trailer_magic[8] = {'\x1a', '\n', '\r', 'L', 'O', 'C', 'M', '\x89'};

/* The numbers of docs/COLUMNAR.md, "Types". */
static_assert(MILL_BOOLEAN == 1 && MILL_BIGINT == 5 && MILL_DOUBLE == 7 && MILL_DECIMAL == 8 &&
                  MILL_CHAR == 9 && MILL_VARBINARY == 12 && MILL_DATE == 13 && MILL_TIME == 14 &&
                  MILL_TIMESTAMP_LTZ == 16 && MILL_INTERVAL_TIME == 18 && MILL_ROW == 19,
              "kinds stand in files");

uint64_t columnar_hash(const void *bytes, size_t length, uint64_t seed)
{
    return HASH(bytes, length, seed);
}

uint64_t columnar_hash_head(const void *bytes, size_t length, size_t field, uint64_t seed)
{
    static const uint64_t zero = 0;
    const char *behind = (const char *)bytes + field + sizeof zero;
    const uint64_t parts[2] = {HASH(bytes, field, seed),
                               HASH(behind, length - field - sizeof zero, seed)};

    return HASH(parts, sizeof parts, seed);
}

uint64_t columnar_chain(uint64_t chain, uint64_t checksum)
{
    const uint64_t both[2] = {chain, checksum};

    return HASH(both, sizeof both, 0);
}

uint32_t columnar_nodes(const struct mill_type *type)
{
    uint32_t count = 1;

    if (type->kind == MILL_ROW)
        for (uint32_t i = 0; i < type->field_count; i++)
            count += columnar_nodes(&type->fields[i].type);
    return count;
}

uint64_t columnar_value_bytes(const struct mill_type *type, uint32_t rows)
{
    if (type->kind == MILL_ROW)
        return 0;
    if (type_phys(type) == PHYS_VIEW)
        return ALIGN_UP(((uint64_t)rows + 1) * 4, COLUMNAR_ALIGN);
    return ALIGN_UP((uint64_t)rows * type_width(type), COLUMNAR_ALIGN);
}

/* ---- reading ---- */

struct nodes {
    const char *next, *end;
    struct arena *arena;
    uint32_t left;
};

static bool type_right(const struct columnar_node *n)
{
    switch (n->kind) {
    case MILL_BOOLEAN:
    case MILL_TINYINT:
    case MILL_SMALLINT:
    case MILL_INT:
    case MILL_BIGINT:
    case MILL_FLOAT:
    case MILL_DOUBLE:
    case MILL_DATE:
    case MILL_INTERVAL_MONTH:
    case MILL_INTERVAL_TIME: return n->field_count == 0;
    case MILL_DECIMAL:
        return n->field_count == 0 && n->precision >= 1 && n->precision <= 38 &&
               n->scale <= n->precision;
    case MILL_CHAR:
    case MILL_VARCHAR:
    case MILL_BINARY:
    case MILL_VARBINARY:
        return n->field_count == 0 && n->length >= 1 && n->length <= MILL_LENGTH_MAX;
    case MILL_TIME:
    case MILL_TIMESTAMP:
    case MILL_TIMESTAMP_LTZ: return n->field_count == 0 && n->precision <= 9;
    case MILL_ROW: return n->field_count >= 1;
    default: return false;
    }
}

/* False: not a column. No memory: arena_alloc() gives NULL, which counts as that too; the caller asks for more. */
static bool read_node(struct nodes *in, struct mill_field *out, uint32_t depth)
{
    struct columnar_node n;
    struct mill_field *fields;
    char *name;

    if (in->left == 0 || depth > COLUMNAR_DEPTH_MAX || (size_t)(in->end - in->next) < sizeof n)
        return false;
    in->left--;
    memcpy(&n, in->next, sizeof n);
    in->next += sizeof n;
    if (!type_right(&n) || n.not_null > 1 || n.name_bytes > (size_t)(in->end - in->next) ||
        memchr(in->next, '\0', n.name_bytes) != NULL || n.field_count > in->left)
        return false;
    name = arena_text(in->arena, in->next, n.name_bytes);
    in->next += min_u64(ALIGN_UP((uint64_t)n.name_bytes, 4), (uint64_t)(in->end - in->next));
    fields = arena_array(in->arena, struct mill_field, n.field_count + 1);
    if (name == NULL || fields == NULL)
        return false;
    *out = (struct mill_field){name,
                               {.kind = n.kind,
                                .precision = n.precision,
                                .scale = n.scale,
                                .not_null = n.not_null != 0,
                                .length = n.length,
                                .field_count = n.field_count,
                                .fields = n.field_count > 0 ? fields : NULL}};
    for (uint32_t i = 0; i < n.field_count; i++)
        if (!read_node(in, &fields[i], depth + 1))
            return false;
    return true;
}

static const char not_ours[] = "this is no columnar file of millstream (convert makes one)";

static int no_header(const char *path, const char *why, struct mill_error *error)
{
    return mill_fail(error, MILL_E_DATA, 0, 0, "%s, byte 0: %s", path, why);
}

int columnar_read_header(const char *bytes, size_t length, const char *path, struct arena *arena,
                         struct mill_schema *schema, uint32_t *node_count, struct mill_error *error)
{
    struct columnar_header h;
    struct nodes in;
    struct mill_field *fields;

    if (memcmp(bytes, columnar_magic, min_u64(length, sizeof h.magic)) != 0)
        return no_header(path, not_ours, error);
    h = (struct columnar_header){.version = COLUMNAR_VERSION};
    memcpy(&h, bytes, min_u64(length, sizeof h));
    if (length >= offsetof(struct columnar_header, bytes) && h.version != COLUMNAR_VERSION)
        return mill_fail(error, MILL_E_DATA, 0, 0,
                         "%s, byte 8: columnar format version %u, this program reads version %u",
                         path, h.version, COLUMNAR_VERSION);
    if (length < sizeof h || (h.bytes > length && h.bytes <= COLUMNAR_SECTION_MAX))
        return no_header(path,
                         "the columnar file is cut off in its header, or is still being written",
                         error);
    if (h.bytes < sizeof h || h.bytes % COLUMNAR_ALIGN != 0 || h.bytes > length ||
        columnar_hash_head(bytes, h.bytes, offsetof(struct columnar_header, checksum), 0) !=
            h.checksum)
        return no_header(path, "the header is damaged (its checksum is wrong)", error);
    if (h.node_count > COLUMNAR_NODES_MAX || h.column_count > h.node_count || h.column_count == 0)
        return no_header(path, "the header is damaged (its number of columns)", error);
    fields = arena_array(arena, struct mill_field, h.column_count);
    in = (struct nodes){bytes + sizeof h, bytes + h.bytes, arena, h.node_count};
    for (uint32_t i = 0; fields != NULL && i < h.column_count; i++)
        if (!read_node(&in, &fields[i], 1))
            return no_header(path, "the header is damaged (a column's type)", error);
    if (fields == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for the columns of %s", path);
    if (in.left != 0)
        return no_header(path, "the header is damaged (its number of columns)", error);
    *schema = (struct mill_schema){h.column_count, fields};
    *node_count = h.node_count;
    return MILL_OK;
}

int columnar_infer(const struct env *env, const char *path, struct arena *arena,
                   struct mill_schema *schema, struct options *options, bool *is_columnar,
                   struct mill_error *error)
{
    static const char *const pairs[][2] = {{"connector", "filesystem"},
                                           {"format", "columnar"},
                                           {"path", NULL}};
    struct option *items = arena_array(arena, struct option, COUNT_OF(pairs));
    bool *used = arena_array(arena, bool, COUNT_OF(pairs));
    const int handle = env->file.open(env->self, path, ENV_READ);
    struct columnar_header h = {.bytes = 0};
    char *bytes = NULL;
    int64_t n = 0;
    uint32_t nodes;

    if (handle >= 0)
        n = env->file.pread(env->self, handle, &h, sizeof h, 0);
    *is_columnar =
        n >= (int64_t)sizeof h.magic && memcmp(h.magic, columnar_magic, sizeof h.magic) == 0;
    if (*is_columnar && h.bytes >= sizeof h && h.bytes <= COLUMNAR_SECTION_MAX)
        bytes = arena_alloc(arena, h.bytes);
    if (bytes != NULL)
        n = env->file.pread(env->self, handle, bytes, h.bytes, 0);
    if (handle >= 0)
        env->file.close(env->self, handle);
    if (!*is_columnar && n > 0 && strlen(path) > 5 && strcmp(path + strlen(path) - 5, ".mcol") == 0)
        return no_header(path, not_ours, error);
    if (!*is_columnar)
        return MILL_OK;
    if (items == NULL || used == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for the columns of %s", path);
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        items[i] = (struct option){.key = pairs[i][0], .value = pairs[i][1], .used = &used[i]};
    items[2].value = arena_text(arena, path, strlen(path));
    *options = (struct options){.items = items, .count = COUNT_OF(pairs), .table = path};
    return columnar_read_header(bytes != NULL ? bytes : (const char *)&h, n > 0 ? (size_t)n : 0,
                                path, arena, schema, &nodes, error);
}

/* ---- writing ---- */

static size_t node_bytes(const struct mill_field *field)
{
    size_t n = sizeof(struct columnar_node) + ALIGN_UP(strlen(field->name), 4);

    for (uint32_t i = 0; i < field->type.field_count; i++)
        n += node_bytes(&field->type.fields[i]);
    return n;
}

static char *put_node(char *to, const struct mill_field *field)
{
    const struct mill_type *t = &field->type;
    const struct columnar_node n = {.kind = t->kind,
                                    .precision = t->precision,
                                    .scale = t->scale,
                                    .not_null = t->not_null,
                                    .length = t->length,
                                    .field_count = t->field_count,
                                    .name_bytes = (uint32_t)strlen(field->name)};

    memcpy(to, &n, sizeof n);
    memcpy(to + sizeof n, field->name, n.name_bytes);
    to += sizeof n + ALIGN_UP((size_t)n.name_bytes, 4);
    for (uint32_t i = 0; i < t->field_count; i++)
        to = put_node(to, &t->fields[i]);
    return to;
}

char *columnar_make_header(struct arena *arena, const struct mill_schema *schema, size_t *length)
{
    struct columnar_header h = {.version = COLUMNAR_VERSION,
                                .column_count = schema->field_count,
                                .block_rows = COLUMNAR_BLOCK_ROWS};
    size_t bytes = sizeof h;
    char *to, *next;

    for (uint32_t i = 0; i < schema->field_count; i++) {
        bytes += node_bytes(&schema->fields[i]);
        h.node_count += columnar_nodes(&schema->fields[i].type);
    }
    bytes = ALIGN_UP(bytes, COLUMNAR_ALIGN);
    to = arena_zalloc(arena, bytes);
    if (to == NULL)
        return NULL;
    memcpy(h.magic, columnar_magic, sizeof h.magic);
    h.bytes = (uint32_t)bytes;
    next = to + sizeof h;
    for (uint32_t i = 0; i < schema->field_count; i++)
        next = put_node(next, &schema->fields[i]);
    memcpy(to, &h, sizeof h);
    h.checksum = columnar_hash_head(to, bytes, offsetof(struct columnar_header, checksum), 0);
    memcpy(to, &h, sizeof h);
    *length = bytes;
    return to;
}

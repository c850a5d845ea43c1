/* core/plan/like.c - CREATE TABLE ... LIKE: what a table takes from another. */
#include "core/plan/catalog.h"

#include <strings.h>

static bool takes_column(const struct ast_like_rules *rules, const struct ast_column *column)
{
    switch (column->kind) {
    case COLUMN_COMPUTED: return rules->generated != LIKE_EXCLUDING;
    case COLUMN_METADATA: return rules->metadata != LIKE_EXCLUDING;
    default: return true;
    }
}

static const struct ast_column *own_column(const struct ast_statement *s, const char *name)
{
    for (uint32_t i = 0; i < s->column_count; i++)
        if (strcmp(s->columns[i].name, name) == 0)
            return &s->columns[i];
    return NULL;
}

/* The other table's column may be replaced by one of the same kind, where that is OVERWRITING. */
static bool overwrites(const struct ast_like_rules *rules, const struct ast_column *theirs,
                       const struct ast_column *own)
{
    if (theirs->kind != own->kind)
        return false;
    return theirs->kind == COLUMN_COMPUTED   ? rules->generated == LIKE_OVERWRITING
           : theirs->kind == COLUMN_METADATA ? rules->metadata == LIKE_OVERWRITING
                                             : false;
}

static int merge_columns(struct catalog *c, const struct ast_statement *s, const struct table *base,
                         struct ast_statement *out, struct mill_error *error)
{
    const struct ast_statement *ddl = base->ddl;

    out->columns =
        arena_array(&c->arena, struct ast_column, ddl->column_count + s->column_count + 1);
    out->column_count = 0;
    for (uint32_t i = 0; i < ddl->column_count; i++) {
        const struct ast_column *theirs = &ddl->columns[i];
        const struct ast_column *own = own_column(s, theirs->name);

        if (!takes_column(&s->like_rules, theirs))
            continue;
        if (own == NULL)
            out->columns[out->column_count++] = *theirs;
        else if (!overwrites(&s->like_rules, theirs, own))
            return mill_fail(error, MILL_E_NAME, own->at.line, own->at.column,
                             "table %s already has a column %s; another name, or EXCLUDING or "
                             "OVERWRITING GENERATED or METADATA",
                             base->name, own->name);
    }
    for (uint32_t i = 0; i < s->column_count; i++)
        out->columns[out->column_count++] = s->columns[i];
    return MILL_OK;
}

static int merge_options(struct catalog *c, const struct ast_statement *s, const struct table *base,
                         struct ast_statement *out, struct mill_error *error)
{
    const struct ast_statement *ddl = base->ddl;

    if (s->like_rules.options == LIKE_EXCLUDING)
        return MILL_OK;
    out->properties =
        arena_array(&c->arena, struct ast_property, ddl->property_count + s->property_count + 1);
    out->property_count = 0;
    for (uint32_t i = 0; i < ddl->property_count; i++) {
        const struct ast_property *own = NULL;

        for (uint32_t k = 0; k < s->property_count; k++)
            if (strcasecmp(s->properties[k].key, ddl->properties[i].key) == 0)
                own = &s->properties[k];
        if (own == NULL)
            out->properties[out->property_count++] = ddl->properties[i];
        else if (s->like_rules.options == LIKE_INCLUDING)
            return mill_fail(error, MILL_E_NAME, own->at.line, own->at.column,
                             "table %s already has the option '%s'; OVERWRITING OPTIONS replaces "
                             "it",
                             base->name, own->key);
    }
    for (uint32_t k = 0; k < s->property_count; k++)
        out->properties[out->property_count++] = s->properties[k];
    return MILL_OK;
}

static int merge_rest(const struct ast_statement *s, const struct table *base,
                      struct ast_statement *out, struct mill_error *error)
{
    const struct ast_like_rules *rules = &s->like_rules;
    const struct ast_statement *ddl = base->ddl;

    if (ddl->watermark_column != NULL && rules->watermarks != LIKE_EXCLUDING) {
        if (s->watermark_column != NULL && rules->watermarks == LIKE_INCLUDING)
            return mill_fail(error, MILL_E_NAME, s->watermark_at.line, s->watermark_at.column,
                             "table %s already has a WATERMARK; OVERWRITING or EXCLUDING "
                             "WATERMARKS drops it",
                             base->name);
        if (s->watermark_column == NULL) {
            out->watermark_at = ddl->watermark_at;
            out->watermark_column = ddl->watermark_column;
            out->watermark = ddl->watermark;
        }
    }
    if (ddl->primary_key_count > 0 && rules->constraints != LIKE_EXCLUDING) {
        if (s->primary_key_count > 0)
            return mill_fail(error, MILL_E_NAME, s->at.line, s->at.column,
                             "table %s already has a PRIMARY KEY; EXCLUDING CONSTRAINTS drops it",
                             base->name);
        out->primary_key = ddl->primary_key;
        out->primary_key_count = ddl->primary_key_count;
    }
    if (ddl->partitioned_by_count > 0 && rules->partitions != LIKE_EXCLUDING &&
        s->partitioned_by_count == 0) {
        out->partitioned_by = ddl->partitioned_by;
        out->partitioned_by_count = ddl->partitioned_by_count;
    }
    return MILL_OK;
}

const struct ast_statement *table_like(struct catalog *c, const struct ast_statement *s,
                                       struct mill_error *error)
{
    const char *name = s->like->parts[s->like->count - 1];
    const struct table *base = catalog_table(c, name);
    struct ast_statement *out;

    if (base == NULL && catalog_view(c, name) != NULL) {
        mill_fail(error, MILL_E_NAME, s->like->at.line, s->like->at.column,
                  "%s is a view; LIKE takes a table", name);
        return NULL;
    }
    if (base == NULL) {
        catalog_unknown_table(c, name, s->like->at, error);
        return NULL;
    }
    out = arena_new(&c->arena, struct ast_statement);
    *out = *s;
    out->like = NULL;
    if (merge_columns(c, s, base, out, error) != MILL_OK ||
        merge_options(c, s, base, out, error) != MILL_OK ||
        merge_rest(s, base, out, error) != MILL_OK)
        return NULL;
    return out;
}

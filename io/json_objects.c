/* io/json_objects.c - objects of the schema: their members by name, and which of them are wanted. */
#include "io/json.h"

static uint32_t name_hash(const char *name, size_t length)
{
    uint64_t h = length * 0x9e3779b97f4a7c15ull;

    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)name[i]) * 0x100000001b3ull;
    return (uint32_t)(h ^ h >> 29);
}

/* Makes "name": comparable by words, unless it is long or must be escaped. */
static void set_key(struct json_member *m)
{
    char key[JSON_KEY_WORDS * 8] = {0}, mask[JSON_KEY_WORDS * 8] = {0};
    const uint32_t length = m->name_length + 3;

    if (length > sizeof key)
        return;
    for (uint32_t i = 0; i < m->name_length; i++)
        if ((unsigned char)m->name[i] < 0x20 || m->name[i] == '"' || m->name[i] == '\\')
            return;
    key[0] = '"';
    memcpy(key + 1, m->name, m->name_length);
    memcpy(key + 1 + m->name_length, "\":", 2);
    memset(mask, 0xff, length);
    memcpy(m->key, key, sizeof key);
    memcpy(m->mask, mask, sizeof mask);
    m->key_length = length;
}

static enum json_way way_of(const struct json_member *m)
{
    if (!m->wanted)
        return WAY_SKIP;
    switch (m->type->kind) {
    case MILL_INT: return WAY_I32;
    case MILL_BIGINT: return WAY_I64;
    case MILL_DOUBLE: return WAY_DOUBLE;
    case MILL_DECIMAL: return WAY_DECIMAL;
    case MILL_TIMESTAMP: return WAY_TIME;
    case MILL_CHAR:
    case MILL_VARCHAR: return WAY_TEXT;
    case MILL_ROW: return WAY_ROW;
    default: return WAY_OTHER;
    }
}

static void prepare_values(struct json_member *m)
{
    const struct mill_type *type = m->type;

    m->way = way_of(m);
    if (type->kind == MILL_TIMESTAMP && type->precision >= 3)
        m->milli = type_is_nanos(type) ? 1000000 : 1000;
    if (type->kind != MILL_DECIMAL)
        return;
    m->limit = decimal_power(type->precision);
    for (uint32_t places = 0; places < COUNT_OF(m->scale_up) && places <= type->scale; places++)
        if (type->scale - places <= 18)
            m->scale_up[places] = (uint64_t)decimal_power(type->scale - places);
}

struct json_member *json_member_named(struct json_object *o, const char *name, uint32_t length)
{
    for (uint32_t at = name_hash(name, length) & o->slot_mask; o->slots[at] != 0;
         at = (at + 1) & o->slot_mask) {
        struct json_member *m = &o->members[o->slots[at] - 1];

        if (m->name_length == length && memcmp(m->name, name, length) == 0)
            return m;
    }
    return NULL;
}

static void add_name(struct json_object *o, uint32_t index)
{
    const struct json_member *m = &o->members[index];
    uint32_t at = name_hash(m->name, m->name_length) & o->slot_mask;

    while (o->slots[at] != 0)
        at = (at + 1) & o->slot_mask;
    o->slots[at] = index + 1;
}

static bool member_open(struct arena *arena, struct json_object *o, uint32_t i,
                        const struct mill_field *field, const char *path)
{
    struct json_member *m = &o->members[i];

    m->name = field->name;
    m->name_length = (uint32_t)strlen(field->name);
    m->type = &field->type;
    m->index = i;
    m->next = &o->members[i + 1 < o->count ? i + 1 : 0];
    m->path = path == NULL ? m->name : arena_format(arena, "%s.%s", path, m->name);
    if (m->path == NULL)
        return false;
    set_key(m);
    add_name(o, i);
    if (m->type->kind != MILL_ROW)
        return json_items_new(arena, m);
    m->object = json_object_new(arena, m->type->fields, m->type->field_count, m->path);
    return m->object != NULL;
}

/* Without what is wanted. NULL without memory. */
struct json_object *json_object_new(struct arena *arena, const struct mill_field *fields,
                                    uint32_t count, const char *path)
{
    struct json_object *o = arena_new(arena, struct json_object);
    uint32_t slots = 16;

    while (slots < (count + JSON_LEARNED_MAX) * 2)
        slots *= 2;
    if (o == NULL)
        return NULL;
    o->members = arena_array(arena, struct json_member, count + JSON_LEARNED_MAX);
    o->slots = arena_array(arena, uint32_t, slots);
    o->met = arena_array(arena, uint64_t, (count + JSON_LEARNED_MAX) / 64 + 1);
    o->slot_mask = slots - 1;
    o->first = o->members;
    o->count = count;
    if (o->members == NULL || o->slots == NULL || o->met == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        if (!member_open(arena, o, i, &fields[i], path))
            return NULL;
    for (uint32_t i = 0; i < JSON_LEARNED_MAX; i++)
        o->members[count + i] =
            (struct json_member){.index = count + i, .next = o->members, .way = WAY_SKIP};
    return o;
}

void json_want_member(struct json_object *o, struct json_member *m, bool wanted)
{
    m->wanted = wanted;
    o->wanted += wanted;
    prepare_values(m);
}

/* @wanted: of all fields below, in preorder, or NULL: all. Returns behind them. */
static const bool *want_fields(struct json_object *o, const bool *wanted)
{
    for (uint32_t i = 0; i < o->count; i++) {
        json_want_member(o, &o->members[i], wanted == NULL || *wanted++);
        if (o->members[i].object != NULL)
            wanted = want_fields(o->members[i].object, wanted);
    }
    return wanted;
}

void json_want_all(struct json_object *o)
{
    want_fields(o, NULL);
}

void json_want_columns(struct json_object *o, const struct source_config *config)
{
    for (uint32_t i = 0; i < o->count; i++) {
        json_want_member(o, &o->members[i], config->wanted[i]);
        if (o->members[i].object != NULL)
            want_fields(o->members[i].object,
                        config->wanted_fields != NULL ? config->wanted_fields[i] : NULL);
    }
}

/* A member that the schema does not have, remembered so that the next line expects it. */
struct json_member *json_learn(struct json_reader *r, struct json_object *o, const char *name,
                               uint32_t length)
{
    struct json_member *m = &o->members[o->count + o->learned];

    if (o->learned == JSON_LEARNED_MAX || length + 3 > JSON_KEY_WORDS * 8)
        return NULL;
    m->name = arena_text(&r->arena, name, length);
    if (m->name == NULL)
        return NULL;
    m->name_length = length;
    set_key(m);
    for (uint32_t i = 0; i < length; i++)
        if ((unsigned char)name[i] >= 0x80) /* always read as a string: it may be no UTF-8 */
            m->key_length = 0;
    add_name(o, o->count + o->learned);
    o->learned++;
    return m;
}

/* io/formats.c - the table of formats, and what they share. */
#include "io/format.h"
#include "kernels/kernels.h"

#define KEYS_MAX 64u

static const struct format_vtable *const formats[] = {&format_csv,      &format_json,
                                                      &format_debezium, &format_canal,
                                                      &format_pcap,     &format_columnar};

const struct format_vtable *format_find(const struct options *options, const char *fallback,
                                        struct mill_error *error)
{
    const struct option *option = option_get(options, "format");
    const char *name = option != NULL ? option->value : fallback, *near;
    const char *names[COUNT_OF(formats)];

    if (name == NULL) {
        mill_fail(error, MILL_E_OPTION, options->line, options->column,
                  "table %s has no 'format', as in 'format' = 'csv'", options->table);
        return NULL;
    }
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        if (strcmp(name, formats[i]->name) == 0)
            return formats[i];
        names[i] = formats[i]->name;
    }
    near = nearest_name(name, names, COUNT_OF(names));
    mill_fail(error, MILL_E_OPTION, option->line, option->column,
              "table %s: there is no format '%s'; %s%s%s", options->table, name,
              near != NULL ? "did you mean '"
                           : "csv, json, debezium-json, canal-json, columnar and pcap are formats",
              near != NULL ? near : "", near != NULL ? "'?" : "");
    return NULL;
}

int format_check_options(const struct options *options, const char *const *own,
                         const char *const *format_keys, struct mill_error *error)
{
    const char *known[KEYS_MAX];
    size_t n = 0;

    for (; *own != NULL; own++) {
        CHECK(n < KEYS_MAX);
        known[n++] = *own;
    }
    for (; *format_keys != NULL; format_keys++) {
        CHECK(n < KEYS_MAX);
        known[n++] = *format_keys;
    }
    return options_check_used(options, known, n, error);
}

bool format_next_run(const uint64_t *pass, uint32_t count, uint32_t *from, uint32_t *to)
{
    uint32_t at = *from;

    while (at < count && (pass[at / 64] >> (at & 63)) == 0)
        at = (at / 64 + 1) * 64;
    if (at < count)
        at += (uint32_t)__builtin_ctzll(pass[at / 64] >> (at & 63));
    if (at >= count)
        return false;
    *from = at;
    while (at < count && (pass[at / 64] >> (at & 63) & 1) != 0)
        at++;
    *to = at;
    return true;
}

uint64_t format_line(const struct format_piece *piece, const char *at, const char **seen_at,
                     uint64_t *seen_line)
{
    if (*seen_at == NULL || *seen_at > at) {
        if (piece->first_line == 0 && piece->file_bytes == NULL)
            return 0;
        *seen_at = piece->first_line != 0 ? piece->bytes : piece->file_bytes;
        *seen_line = piece->first_line != 0 ? piece->first_line : 1;
    }
    for (const char *s = *seen_at; (s = memchr(s, '\n', (size_t)(at - s))) != NULL; s++)
        ++*seen_line;
    *seen_at = at;
    return *seen_line;
}

void text_put(struct text_buffer *to, const char *bytes, size_t length)
{
    if (to->failed || length == 0)
        return;
    if (to->length + length > to->capacity) {
        const size_t capacity = ALIGN_UP((to->length + length) * 2, (size_t)65536);
        char *grown = heap_grow(to->heap, to->bytes, to->capacity, capacity);

        if (grown == NULL) {
            to->failed = true;
            return;
        }
        to->bytes = grown;
        to->capacity = capacity;
    }
    memcpy(to->bytes + to->length, bytes, length);
    to->length += length;
}

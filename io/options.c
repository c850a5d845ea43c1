/* io/options.c - reading the WITH clause. */
#include "core/source.h"

#include <stdlib.h>
#include <strings.h>

const struct option *option_get(const struct options *options, const char *key)
{
    for (uint32_t i = 0; i < options->count; i++)
        if (strcasecmp(options->items[i].key, key) == 0) {
            *options->items[i].used = true;
            return &options->items[i];
        }
    return NULL;
}

const char *option_text(const struct options *options, const char *key, const char *fallback)
{
    const struct option *option = option_get(options, key);

    return option != NULL ? option->value : fallback;
}

static int bad(const struct option *option, const char *needs, struct mill_error *error)
{
    return mill_fail(error, MILL_E_OPTION, option->line, option->column, "'%s' is '%s', need %s",
                     option->key, option->value, needs);
}

int option_u64(const struct options *options, const char *key, uint64_t fallback, uint64_t min,
               uint64_t max, uint64_t *out, struct mill_error *error)
{
    const struct option *option = option_get(options, key);
    char *stop;

    *out = fallback;
    if (option == NULL)
        return MILL_OK;
    *out = strtoull(option->value, &stop, 10);
    if (stop == option->value || *stop != '\0' || option->value[0] == '-' || *out < min ||
        *out > max)
        return mill_fail(error, MILL_E_OPTION, option->line, option->column,
                         "'%s' is '%s', need a whole number from %llu to %llu", option->key,
                         option->value, (unsigned long long)min, (unsigned long long)max);
    return MILL_OK;
}

int option_bool(const struct options *options, const char *key, bool fallback, bool *out,
                struct mill_error *error)
{
    const struct option *option = option_get(options, key);

    *out = fallback;
    if (option == NULL)
        return MILL_OK;
    *out = strcasecmp(option->value, "true") == 0;
    return *out || strcasecmp(option->value, "false") == 0 ? MILL_OK
                                                           : bad(option, "true or false", error);
}

int option_duration_ns(const struct options *options, const char *key, int64_t fallback_ns,
                       int64_t *out, struct mill_error *error)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"d", 86400000000000ll},
                 {"day", 86400000000000ll},
                 {"days", 86400000000000ll},
                 {"h", 3600000000000ll},
                 {"hour", 3600000000000ll},
                 {"hours", 3600000000000ll},
                 {"min", 60000000000ll},
                 {"m", 60000000000ll},
                 {"minute", 60000000000ll},
                 {"minutes", 60000000000ll},
                 {"s", 1000000000},
                 {"sec", 1000000000},
                 {"second", 1000000000},
                 {"seconds", 1000000000},
                 {"ms", 1000000},
                 {"milli", 1000000},
                 {"", 1000000},
                 {"us", 1000},
                 {"micro", 1000},
                 {"ns", 1},
                 {"nano", 1}};
    const struct option *option = option_get(options, key);
    char *stop;
    unsigned long long n;

    *out = fallback_ns;
    if (option == NULL)
        return MILL_OK;
    n = strtoull(option->value, &stop, 10);
    if (stop == option->value || option->value[0] == '-')
        return bad(option, "a duration such as '10 s' or '500 ms'", error);
    while (*stop == ' ')
        stop++;
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (strcasecmp(stop, units[i].name) == 0 &&
            n < (unsigned long long)(INT64_MAX / units[i].ns)) {
            *out = (int64_t)n * units[i].ns;
            return MILL_OK;
        }
    return bad(option, "a duration such as '10 s' or '500 ms'", error);
}

int options_check_used(const struct options *options, const char *const *known, size_t count,
                       struct mill_error *error)
{
    for (uint32_t i = 0; i < options->count; i++) {
        const struct option *option = &options->items[i];
        const char *near;

        if (*option->used)
            continue;
        near = nearest_name(option->key, known, count);
        return mill_fail(error, MILL_E_NAME, option->line, option->column,
                         "table %s: there is no option '%s' here%s%s%s", options->table,
                         option->key, near != NULL ? "; did you mean '" : "",
                         near != NULL ? near : "", near != NULL ? "'?" : "");
    }
    return MILL_OK;
}

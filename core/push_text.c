/* core/push_text.c - see push_text.h. */
#include "core/push_text.h"

#include "core/shard/job.h"
#include "core/values.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

/* One value of any type. */
union value {
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    int128 i128;
    float f32;
    double f64;
    struct mill_view view;
};

static bool parse_integer(const char *text, int64_t least, int64_t most, int64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0 && *out >= least && *out <= most;
}

static bool parse_number(const char *text, size_t n, const struct mill_type *type, union value *out)
{
    int64_t i;
    double d;

    switch (type->kind) {
    case MILL_TINYINT:
        if (!parse_integer(text, INT8_MIN, INT8_MAX, &i))
            return false;
        out->i8 = (int8_t)i;
        return true;
    case MILL_SMALLINT:
        if (!parse_integer(text, INT16_MIN, INT16_MAX, &i))
            return false;
        out->i16 = (int16_t)i;
        return true;
    case MILL_INT:
        if (!parse_integer(text, INT32_MIN, INT32_MAX, &i))
            return false;
        out->i32 = (int32_t)i;
        return true;
    case MILL_BIGINT: return parse_integer(text, INT64_MIN, INT64_MAX, &out->i64);
    case MILL_DECIMAL: return decimal_parse(text, n, type->precision, type->scale, &out->i128);
    case MILL_DOUBLE: return double_parse(text, n, &out->f64);
    default: break;
    }
    if (!double_parse(text, n, &d))
        return false;
    out->f32 = (float)d;
    return true;
}

static bool parse(const char *text, const struct mill_type *type, union value *out)
{
    const size_t n = strlen(text);

    switch (type->kind) {
    case MILL_BOOLEAN:
        out->i8 = strcasecmp(text, "true") == 0;
        return out->i8 == 1 || strcasecmp(text, "false") == 0;
    case MILL_CHAR:
    case MILL_VARCHAR:
    case MILL_BINARY:
    case MILL_VARBINARY: out->view = view_of(text, (uint32_t)n); return n < UINT32_MAX;
    case MILL_DATE: return date_parse(text, n, &out->i32);
    case MILL_TIME: return clock_parse(text, n, type, &out->i64);
    case MILL_TIMESTAMP:
    case MILL_TIMESTAMP_LTZ: return time_parse(text, n, type, &out->i64);
    default: return type_is_numeric(type) && parse_number(text, n, type, out);
    }
}

int push_text(struct mill_input *input, const char *const *values, uint32_t count,
              struct mill_error *error)
{
    static const uint64_t null_bits[1] = {0};
    const struct mill_schema *schema = memory_input_schema(input);
    struct mill_column columns[COLUMNS_MAX];
    union value parsed[COLUMNS_MAX];
    const struct mill_batch batch = {.rows = 1, .column_count = count, .columns = columns};

    if (count != schema->field_count)
        return mill_fail(error, MILL_E_DATA, 0, 0, "the row has %u values, the table %u columns",
                         count, schema->field_count);
    for (uint32_t i = 0; i < count; i++) {
        const struct mill_type *type = &schema->fields[i].type;
        char name[80];

        memset(&parsed[i], 0, sizeof parsed[i]);
        columns[i] = (struct mill_column){.values = &parsed[i]};
        if (type->kind >= MILL_ROW)
            return mill_fail(error, MILL_E_UNSUPPORTED, 0, 0, "column %s is %s, which has no text",
                             schema->fields[i].name, type_name(type, name, sizeof name));
        if (values[i] == NULL)
            columns[i].validity = null_bits;
        else if (!parse(values[i], type, &parsed[i]))
            return mill_fail(error, MILL_E_DATA, 0, 0, "column %s: '%.100s' is not %s",
                             schema->fields[i].name, values[i], type_name(type, name, sizeof name));
    }
    return memory_input_push(input, &batch, error);
}

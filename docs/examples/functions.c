/* docs/examples/functions.c - functions of a library: a table function and two aggregates, those of Flink's manual among them.
 *
 *     cc -shared -fPIC -I. -o functions.so docs/examples/functions.c
 *
 *     CREATE FUNCTION SplitFunction AS 'split_words' LANGUAGE C USING LIBRARY 'functions.so';
 *     CREATE FUNCTION WeightedAvg AS 'weighted_avg' LANGUAGE C USING LIBRARY 'functions.so';
 *     SELECT id, word, length FROM t LEFT JOIN LATERAL TABLE(SplitFunction(line)) AS s (word, length) ON TRUE;
 *     SELECT name, WeightedAvg(points, level) FROM scores GROUP BY name;
 */
#include "core/millstream.h"

#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static bool is_null(const struct mill_column *c, uint32_t row)
{
    return c->validity != NULL && (c->validity[row / 64] >> row % 64 & 1) == 0;
}

static struct mill_view view_of(const char *text, uint32_t length)
{
    struct mill_view v = {.length = length};

    if (length <= 12) {
        memcpy(v.inlined, text, length);
    } else {
        memcpy(v.far.prefix, text, 4);
        v.far.data = text;
    }
    return v;
}

/* ---- split_words(text): a row for each word, with its length in bytes ---- */

static int split_rows(const struct mill_column *args, uint32_t rows, const struct mill_emit *emit)
{
    const struct mill_view *texts = args[0].values;

    for (uint32_t row = 0; row < rows; row++) {
        const char *from, *end;

        if (is_null(&args[0], row))
            continue;
        from = mill_view_data(&texts[row]);
        end = from + texts[row].length;
        while (from < end) {
            const char *space = memchr(from, ' ', (size_t)(end - from));
            const char *to = space != NULL ? space : end;
            const struct mill_view word = view_of(from, (uint32_t)(to - from));
            const int32_t length = (int32_t)(to - from);
            const void *const values[] = {&word, &length};
            const int code = emit->row(emit->context, row, values);

            if (code != 0)
                return code;
            from = to + 1;
        }
    }
    return 0;
}

static const struct mill_type text_args[] = {{.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}};
static const struct mill_field word_fields[] = {{"word",
                                                 {.kind = MILL_VARCHAR, .length = MILL_LENGTH_MAX}},
                                                {"length", {.kind = MILL_INT}}};

EXPORT const struct mill_function split_words = {.struct_bytes = sizeof split_words,
                                                 .name = "split_words",
                                                 .arg_count = 1,
                                                 .arg_types = text_args,
                                                 .result_type = {.kind = MILL_ROW,
                                                                 .field_count = 2,
                                                                 .fields = word_fields},
                                                 .kind = MILL_TABLE,
                                                 .rows = split_rows};

/* ---- weighted_avg(value, weight) ---- */

struct weighted {
    int64_t sum, count;
};

static void weigh(struct weighted *w, const struct mill_column *args, uint32_t row, int64_t sign)
{
    if (is_null(&args[0], row) || is_null(&args[1], row))
        return;
    w->sum +=
        sign * ((const int64_t *)args[0].values)[row] * ((const int32_t *)args[1].values)[row];
    w->count += sign * ((const int32_t *)args[1].values)[row];
}

static void weighted_accumulate(void *state, const struct mill_column *args, uint32_t row)
{
    weigh(state, args, row, 1);
}

static void weighted_retract(void *state, const struct mill_column *args, uint32_t row)
{
    weigh(state, args, row, -1);
}

static void weighted_merge(void *into, const void *from)
{
    struct weighted *a = into;
    const struct weighted *b = from;

    a->sum += b->sum;
    a->count += b->count;
}

static void weighted_result(const void *state, void *value, bool *null,
                            void *(*alloc)(void *context, size_t bytes), void *context)
{
    const struct weighted *w = state;

    (void)alloc, (void)context;
    *null = w->count == 0;
    if (!*null)
        *(int64_t *)value = w->sum / w->count;
}

static const struct mill_type weighted_args[] = {{.kind = MILL_BIGINT}, {.kind = MILL_INT}};

EXPORT const struct mill_function weighted_avg = {.struct_bytes = sizeof weighted_avg,
                                                  .name = "weighted_avg",
                                                  .arg_count = 2,
                                                  .arg_types = weighted_args,
                                                  .result_type = {.kind = MILL_BIGINT},
                                                  .kind = MILL_AGGREGATE,
                                                  .state_bytes = sizeof(struct weighted),
                                                  .accumulate = weighted_accumulate,
                                                  .retract = weighted_retract,
                                                  .merge = weighted_merge,
                                                  .result = weighted_result};

/* ---- initials(text): the first bytes of the texts in order, at most 100 ---- */

struct initials {
    uint32_t length;
    char text[100];
};

static void initials_init(void *state)
{
    ((struct initials *)state)->length = 0;
}

static void initials_add(struct initials *s, char c)
{
    if (s->length < sizeof s->text)
        s->text[s->length++] = c;
}

static void initials_accumulate(void *state, const struct mill_column *args, uint32_t row)
{
    const struct mill_view *text = (const struct mill_view *)args[0].values + row;

    if (!is_null(&args[0], row))
        initials_add(state, text->length > 0 ? mill_view_data(text)[0] : '-');
    else
        initials_add(state, '?');
}

static void initials_merge(void *into, const void *from)
{
    const struct initials *s = from;

    for (uint32_t i = 0; i < s->length; i++)
        initials_add(into, s->text[i]);
}

static void initials_result(const void *state, void *value, bool *null,
                            void *(*alloc)(void *context, size_t bytes), void *context)
{
    const struct initials *s = state;
    char *copy = alloc(context, s->length + 1);

    if (copy == NULL)
        return;
    *null = s->length == 0;
    memcpy(copy, s->text, s->length);
    *(struct mill_view *)value = view_of(copy, s->length);
}

EXPORT const struct mill_function initials = {.struct_bytes = sizeof initials,
                                              .name = "initials",
                                              .arg_count = 1,
                                              .arg_types = text_args,
                                              .result_type = {.kind = MILL_VARCHAR,
                                                              .length = MILL_LENGTH_MAX},
                                              .kind = MILL_AGGREGATE,
                                              .state_bytes = sizeof(struct initials),
                                              .init = initials_init,
                                              .accumulate = initials_accumulate,
                                              .merge = initials_merge,
                                              .result = initials_result};

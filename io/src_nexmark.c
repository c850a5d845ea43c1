/* io/src_nexmark.c - connector 'nexmark': the auction events of the NEXMark benchmark (io/nexmark.h), seeded.
 *
 * The same options give the same rows for any number of shards. Columns are matched by name, in any order, flat (person_id) or as
 * Flink's ROWs (person.id); columns of another kind of event are NULL, and those that nobody reads are not made.
 * docs/NEXMARK.md lists them. Threads: cut() by one, decode() by many.   Errors: options, unknown columns.
 */
#include "core/source.h"
#include "io/file.h"
#include "io/nexmark.h"

#include <stdio.h>

static const struct {
    const char *name;
    enum what what;
    int event;
    uint8_t kind;
} names[] = {{"event_type", W_TYPE, -1, MILL_INT},
             {"dateTime", W_TIME, -1, MILL_TIMESTAMP},
             {"person_id", W_PERSON_ID, EVENT_PERSON, MILL_BIGINT},
             {"person_name", W_PERSON_NAME, EVENT_PERSON, MILL_VARCHAR},
             {"person_emailAddress", W_EMAIL, EVENT_PERSON, MILL_VARCHAR},
             {"person_creditCard", W_CARD, EVENT_PERSON, MILL_VARCHAR},
             {"person_city", W_CITY, EVENT_PERSON, MILL_VARCHAR},
             {"person_state", W_STATE, EVENT_PERSON, MILL_VARCHAR},
             {"person_dateTime", W_PERSON_TIME, EVENT_PERSON, MILL_TIMESTAMP},
             {"auction_id", W_AUCTION_ID, EVENT_AUCTION, MILL_BIGINT},
             {"auction_itemName", W_ITEM, EVENT_AUCTION, MILL_VARCHAR},
             {"auction_description", W_DESCRIPTION, EVENT_AUCTION, MILL_VARCHAR},
             {"auction_initialBid", W_INITIAL, EVENT_AUCTION, MILL_BIGINT},
             {"auction_reserve", W_RESERVE, EVENT_AUCTION, MILL_BIGINT},
             {"auction_expires", W_EXPIRES, EVENT_AUCTION, MILL_TIMESTAMP},
             {"auction_seller", W_SELLER, EVENT_AUCTION, MILL_BIGINT},
             {"auction_category", W_CATEGORY, EVENT_AUCTION, MILL_BIGINT},
             {"auction_dateTime", W_AUCTION_TIME, EVENT_AUCTION, MILL_TIMESTAMP},
             {"bid_auction", W_BID_AUCTION, EVENT_BID, MILL_BIGINT},
             {"bid_bidder", W_BIDDER, EVENT_BID, MILL_BIGINT},
             {"bid_price", W_PRICE, EVENT_BID, MILL_BIGINT},
             {"bid_channel", W_CHANNEL, EVENT_BID, MILL_VARCHAR},
             {"bid_url", W_URL, EVENT_BID, MILL_VARCHAR},
             {"bid_dateTime", W_BID_TIME, EVENT_BID, MILL_TIMESTAMP},
             {"person_extra", W_PERSON_EXTRA, EVENT_PERSON, MILL_VARCHAR},
             {"auction_extra", W_AUCTION_EXTRA, EVENT_AUCTION, MILL_VARCHAR},
             {"bid_extra", W_BID_EXTRA, EVENT_BID, MILL_VARCHAR}};
static const char *const row_names[] = {"person", "auction", "bid"}; /* by enum event */

/* A column, or a field of a ROW. */
struct slot {
    uint8_t name;        /* index in names */
    bool is_row;         /* name: enum event */
    struct slot *fields; /* of a ROW */
};

struct nexmark {
    struct source source;
    struct heap *heap;
    struct arena arena;
    const struct mill_schema *schema;
    const bool *wanted;
    struct slot *slots; /* per schema column */
    struct nexmark_rules rules;
    uint64_t events, position, step_rows;
};

struct nexmark_decoder {
    struct decoder decoder;
    struct heap *heap;
    const struct nexmark *n;
    uint64_t next, end;
    uint32_t rows[3];                       /* of the batch, by kind of event */
    uint64_t there[3][BATCH_ROWS_MAX / 64]; /* bit r: row r is an event of that kind */
};

/* ---- opening ---- */

static int no_column(const struct options *options, const char *path, struct mill_error *error)
{
    const char *known[COUNT_OF(names) + COUNT_OF(row_names)], *near;

    for (size_t i = 0; i < COUNT_OF(names); i++)
        known[i] = names[i].name;
    for (size_t i = 0; i < COUNT_OF(row_names); i++)
        known[COUNT_OF(names) + i] = row_names[i];
    near = nearest_name(path, known, COUNT_OF(known));
    return mill_fail(error, MILL_E_NAME, options->line, options->column,
                     "table %s: nexmark has no column %s%s%s%s", options->table, path,
                     near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                     near != NULL ? "?" : "");
}

/* A column, or the field @f of the ROW @event (-1: of none). */
static int match_column(const struct options *options, const struct mill_field *f, int event,
                        struct slot *slot, struct mill_error *error)
{
    char text[100], path[200];
    size_t i = 0;

    snprintf(path, sizeof path, "%s%s%s", event >= 0 ? row_names[event] : "", event >= 0 ? "_" : "",
             f->name);
    while (i < COUNT_OF(names) && strcmp(names[i].name, path) != 0)
        i++;
    if (i == COUNT_OF(names))
        return no_column(options, path, error);
    if (f->type.kind != names[i].kind)
        return mill_fail(error, MILL_E_TYPE, options->line, options->column,
                         "table %s: column %s is %s, nexmark gives %s", options->table, path,
                         type_name(&f->type, text, sizeof text),
                         names[i].kind == MILL_BIGINT    ? "BIGINT"
                         : names[i].kind == MILL_INT     ? "INT"
                         : names[i].kind == MILL_VARCHAR ? "STRING"
                                                         : "TIMESTAMP(3)");
    slot->name = (uint8_t)i;
    return MILL_OK;
}

static int match_columns(struct nexmark *n, const struct options *options, struct mill_error *error)
{
    int code = MILL_OK;

    for (uint32_t c = 0; code == MILL_OK && c < n->schema->field_count; c++) {
        const struct mill_field *f = &n->schema->fields[c];
        struct slot *slot = &n->slots[c];

        if (f->type.kind != MILL_ROW) {
            code = match_column(options, f, -1, slot, error);
            continue;
        }
        slot->is_row = true;
        while (slot->name < COUNT_OF(row_names) && strcmp(row_names[slot->name], f->name) != 0)
            slot->name++;
        if (slot->name == COUNT_OF(row_names))
            return no_column(options, f->name, error);
        slot->fields = arena_array(&n->arena, struct slot, f->type.field_count);
        if (slot->fields == NULL)
            return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
        for (uint32_t i = 0; code == MILL_OK && i < f->type.field_count; i++)
            code = match_column(options, &f->type.fields[i], slot->name, &slot->fields[i], error);
    }
    return code;
}

/* 'rate' is ours; Flink's pair makes the rate change over time where they differ, which is not made. */
static int read_rate(struct nexmark *n, const struct options *options, struct mill_error *error)
{
    uint64_t next;

    if (option_u64(options, "rate", 10000, 1, 1000000000, &n->rules.rate, error) != MILL_OK ||
        option_u64(options, "first-event.rate", n->rules.rate, 1, 1000000000, &n->rules.rate,
                   error) != MILL_OK ||
        option_u64(options, "next-event.rate", n->rules.rate, 1, 1000000000, &next, error) !=
            MILL_OK)
        return MILL_E_OPTION;
    if (next != n->rules.rate)
        return mill_fail(error, MILL_E_UNSUPPORTED, options->line, options->column,
                         "table %s: 'next-event.rate' must be 'first-event.rate': a rate that "
                         "changes is "
                         "not supported yet",
                         options->table);
    return MILL_OK;
}

static int read_options(struct nexmark *n, const struct options *options, struct mill_error *error)
{
    static const char *const known[] = {"connector",
                                        "events.num",
                                        "seed",
                                        "rate",
                                        "first-event.rate",
                                        "next-event.rate",
                                        "person.proportion",
                                        "auction.proportion",
                                        "bid.proportion",
                                        "person.avg-size",
                                        "auction.avg-size",
                                        "bid.avg-size",
                                        "bid.hot-ratio.auctions",
                                        "bid.hot-ratio.bidders",
                                        "auction.hot-ratio.sellers",
                                        "on-error",
                                        "scan.watermark.idle-timeout",
                                        "dead-letter.path"};
    const struct {
        const char *key;
        uint64_t fallback, least, most;
        uint64_t *to;
    } numbers[] = {{"seed", 1, 0, UINT64_MAX, &n->rules.seed},
                   {"person.proportion", 1, 0, 1000000, &n->rules.persons},
                   {"auction.proportion", 3, 0, 1000000, &n->rules.auctions},
                   {"bid.proportion", 46, 0, 1000000, &n->rules.cycle},
                   {"person.avg-size", 200, 0, NEXMARK_SIZE_MAX, &n->rules.sizes[EVENT_PERSON]},
                   {"auction.avg-size", 500, 0, NEXMARK_SIZE_MAX, &n->rules.sizes[EVENT_AUCTION]},
                   {"bid.avg-size", 100, 0, NEXMARK_SIZE_MAX, &n->rules.sizes[EVENT_BID]},
                   {"bid.hot-ratio.auctions", 2, 1, 1000000, &n->rules.hot_auctions},
                   {"bid.hot-ratio.bidders", 4, 1, 1000000, &n->rules.hot_bidders},
                   {"auction.hot-ratio.sellers", 4, 1, 1000000, &n->rules.hot_sellers}};

    if (option_get(options, "events.num") == NULL)
        return mill_fail(error, MILL_E_OPTION, options->line, options->column,
                         "table %s has no 'events.num': how many events to make", options->table);
    if (option_u64(options, "events.num", 0, 0, (uint64_t)1 << 50, &n->events, error) != MILL_OK)
        return MILL_E_OPTION;
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (option_u64(options, numbers[i].key, numbers[i].fallback, numbers[i].least,
                       numbers[i].most, numbers[i].to, error) != MILL_OK)
            return MILL_E_OPTION;
    n->rules.cycle += n->rules.persons + n->rules.auctions;
    if (n->rules.cycle == 0)
        return mill_fail(error, MILL_E_OPTION, options->line, options->column,
                         "table %s: all proportions are 0", options->table);
    if (read_rate(n, options, error) != MILL_OK)
        return error->code;
    return options_check_used(options, known, COUNT_OF(known), error);
}

static int nexmark_open(const struct source_config *config, struct source **out,
                        struct mill_error *error)
{
    struct nexmark *n = heap_zalloc(config->heap, sizeof *n);
    int code;

    if (n == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    n->source.vtable = &nexmark_source;
    n->heap = config->heap;
    n->schema = config->schema;
    n->wanted = config->wanted;
    n->step_rows = config->step_rows;
    n->rules.base_us = 1436918400000000; /* 2015-07-15 00:00:00 */
    nexmark_rules_init(&n->rules);
    arena_open(&n->arena, config->heap);
    *out = &n->source;
    n->slots = arena_array(&n->arena, struct slot, config->schema->field_count + 1);
    if (n->slots == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    code = match_columns(n, config->options, error);
    return code == MILL_OK ? read_options(n, config->options, error) : code;
}

static uint32_t nexmark_split_count(struct source *source)
{
    (void)source;
    return 1;
}

static const char *nexmark_split_name(struct source *source, uint32_t split)
{
    (void)source;
    (void)split;
    return "nexmark";
}

static enum cut nexmark_cut(struct source *source, uint32_t split, struct piece *piece,
                            struct mill_error *error)
{
    struct nexmark *n = (struct nexmark *)source;

    (void)split;
    (void)error;
    if (n->position == n->events)
        return CUT_END;
    piece->begin = n->position;
    piece->end = n->position = min_u64(n->events, n->position + n->step_rows);
    return CUT_DATA;
}

/* ---- decoding ---- */

static struct decoder *nexmark_decoder_new(struct source *source, struct heap *heap)
{
    struct nexmark_decoder *d = heap_zalloc(heap, sizeof *d);

    if (d == NULL)
        return NULL;
    d->decoder.vtable = &nexmark_source;
    d->heap = heap;
    d->n = (struct nexmark *)source;
    return &d->decoder;
}

static void nexmark_decoder_free(struct decoder *decoder)
{
    struct nexmark_decoder *d = (struct nexmark_decoder *)decoder;

    heap_free(d->heap, d, sizeof *d);
}

static void nexmark_begin(struct decoder *decoder, const struct piece *piece)
{
    ((struct nexmark_decoder *)decoder)->next = piece->begin;
    ((struct nexmark_decoder *)decoder)->end = piece->end;
}

static bool make_texts(const struct nexmark_decoder *d, struct batch *out, const struct column *c,
                       enum what what, enum event event, uint32_t count)
{
    const struct nexmark_rules *rules = &d->n->rules;
    struct nexmark_run r;
    struct mill_view *values = c->values;
    char *bytes = arena_alloc(&out->bytes, d->rows[event] * nexmark_text_most(rules, what) + 1);

    if (bytes == NULL)
        return false;
    for (uint32_t row = 0; row < count; row += r.count) {
        r = nexmark_run_at(rules, d->next, row, count);
        if (r.kind == event)
            bytes = nexmark_texts(rules, what, &r, values + row, bytes);
        else
            memset(values + row, 0, r.count * sizeof *values);
    }
    return true;
}

/* @event < 0: of every kind. */
static void make_numbers(const struct nexmark_decoder *d, const struct column *c,
                         const struct mill_type *type, enum what what, int event, uint32_t count)
{
    const struct nexmark_rules *rules = &d->n->rules;
    struct nexmark_run r;
    int64_t *values = c->values;

    for (uint32_t row = 0; row < count; row += r.count) {
        r = nexmark_run_at(rules, d->next, row, count);
        if (type->kind == MILL_INT) /* the kind of event */
            for (uint32_t i = 0; i < r.count; i++)
                ((int32_t *)c->values)[row + i] = (int32_t)r.kind;
        else if (event < 0 || r.kind == (enum event)event)
            nexmark_numbers(rules, what, &r, values + row);
        else
            memset(values + row, 0, r.count * sizeof *values);
    }
    if (type->kind == MILL_TIMESTAMP && type_is_nanos(type))
        for (uint32_t i = 0; i < count; i++)
            values[i] *= 1000;
}

/* @c has its storage. */
static bool fill(const struct nexmark_decoder *d, struct batch *out, const struct slot *slot,
                 struct column *c, const struct mill_type *type, uint32_t count)
{
    const int event = slot->is_row ? slot->name : names[slot->name].event;

    if (event >= 0 && !column_own_validity(out, c))
        return false;
    if (event >= 0)
        memcpy(c->validity, d->there[event], (count + 63) / 64 * sizeof *c->validity);
    if (slot->is_row) {
        for (uint32_t f = 0; f < type->field_count; f++)
            if (!fill(d, out, &slot->fields[f], &c->children[f], &type->fields[f].type, count))
                return false;
        return true;
    }
    if (type->kind == MILL_VARCHAR)
        return make_texts(d, out, c, names[slot->name].what, (enum event)event, count);
    make_numbers(d, c, type, names[slot->name].what, event, count);
    return true;
}

/* Which rows are of which kind. */
static void mark_kinds(struct nexmark_decoder *d, uint32_t count)
{
    struct nexmark_run r;

    memset(d->there, 0, sizeof d->there);
    memset(d->rows, 0, sizeof d->rows);
    for (uint32_t row = 0; row < count; row += r.count) {
        r = nexmark_run_at(&d->n->rules, d->next, row, count);
        d->rows[r.kind] += r.count;
        for (uint32_t i = row; i < row + r.count; i++)
            d->there[r.kind][i >> 6] |= 1ull << (i & 63);
    }
}

static int nexmark_decode(struct decoder *decoder, struct batch *out, struct mill_error *error)
{
    struct nexmark_decoder *d = (struct nexmark_decoder *)decoder;
    const struct nexmark *n = d->n;
    const uint32_t count = (uint32_t)min_u64(out->capacity, d->end - d->next);

    mark_kinds(d, count);
    for (uint32_t i = 0; i < n->schema->field_count; i++) {
        const struct mill_type *type = &n->schema->fields[i].type;

        if (n->wanted[i] && (!column_own(out, &out->columns[i], type) ||
                             !fill(d, out, &n->slots[i], &out->columns[i], type, count)))
            return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to make events");
    }
    out->rows = out->live = count;
    d->next += count;
    return d->next < d->end;
}

static void nexmark_release(struct source *source, struct piece *piece)
{
    (void)source;
    (void)piece;
}

static void nexmark_close(struct source *source)
{
    struct nexmark *n = (struct nexmark *)source;

    arena_close(&n->arena);
    heap_free(n->heap, n, sizeof *n);
}

const struct source_vtable nexmark_source = {.name = "nexmark",
                                             .open = nexmark_open,
                                             .split_count = nexmark_split_count,
                                             .split_name = nexmark_split_name,
                                             .cut = nexmark_cut,
                                             .decoder_new = nexmark_decoder_new,
                                             .decoder_free = nexmark_decoder_free,
                                             .begin = nexmark_begin,
                                             .decode = nexmark_decode,
                                             .release = nexmark_release,
                                             .close = nexmark_close};

/* io/src_nexmark.c - connector 'nexmark': the auction events of the NEXMark benchmark, seeded.
 *
 * Every event is a pure function of (seed, event number): the same options give the same rows for any number of shards.
 * Of 50 events one is a person, three are auctions, 46 are bids, as in the benchmark's Java generator (Tucker, Tufte,
 * Papadimos, Maier: NEXMark). Columns are matched by name, in any order; columns of another kind of event are NULL.
 * docs/NEXMARK.md lists them. Threads: cut() by one, decode() by many.   Errors: options, unknown columns.
 */
#include "core/source.h"
#include "io/file.h"

#include <math.h>
#include <stdio.h>

#define FIRST_ID 1000
#define CYCLE 50u
#define PERSONS 1u
#define AUCTIONS 3u
#define ACTIVE_PEOPLE 1000u
#define IN_FLIGHT_AUCTIONS 100u
#define HOT_RATIO 100u /* ids of hot sellers, auctions, bidders are multiples of it */

enum event { EVENT_PERSON, EVENT_AUCTION, EVENT_BID };
enum what {
    W_TYPE,
    W_TIME,
    W_PERSON_ID,
    W_PERSON_NAME,
    W_EMAIL,
    W_CARD,
    W_CITY,
    W_STATE,
    W_AUCTION_ID,
    W_ITEM,
    W_DESCRIPTION,
    W_INITIAL,
    W_RESERVE,
    W_EXPIRES,
    W_SELLER,
    W_CATEGORY,
    W_BID_AUCTION,
    W_BIDDER,
    W_PRICE,
    W_CHANNEL,
    W_URL,
    W_PERSON_TIME,
    W_AUCTION_TIME,
    W_BID_TIME
};

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
             {"bid_dateTime", W_BID_TIME, EVENT_BID, MILL_TIMESTAMP}};

static const char *const cities[] = {"Phoenix",  "Los Angeles", "San Francisco", "Boise",
                                     "Portland", "Bend",        "Redmond",       "Seattle",
                                     "Kent",     "Cheyenne"};
static const char *const states[] = {"AZ", "CA", "ID", "OR", "WA", "WY"};
static const char *const first_names[] = {"Peter", "Paul",  "Luke",  "John",   "Saul",  "Vicky",
                                          "Kate",  "Julie", "Sarah", "Deiter", "Walter"};
static const char *const last_names[] = {"Shultz", "Abrams", "Spencer", "White", "Bartels",
                                         "Walton", "Smith",  "Jones",   "Noris"};
static const char *const hot_channels[] = {"Google", "Facebook", "Baidu", "Apple"};

struct nexmark {
    struct source source;
    struct heap *heap;
    const struct mill_schema *schema;
    const bool *wanted;
    uint8_t *columns; /* index in names, per schema column */
    uint64_t events, position, seed, rate, step_rows;
    int64_t base_us;
};

struct nexmark_decoder {
    struct decoder decoder;
    struct heap *heap;
    const struct nexmark *n;
    uint64_t next, end;
};

/* ---- numbers from (seed, event, salt): SplitMix64 ---- */

static uint64_t random_of(const struct nexmark *n, uint64_t event, uint64_t salt)
{
    uint64_t z = (event * 64 + salt + n->seed * 0x632be59bd9b4e019ull) * 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static enum event event_kind(uint64_t event)
{
    const uint64_t rest = event % CYCLE;

    return rest < PERSONS ? EVENT_PERSON : rest < PERSONS + AUCTIONS ? EVENT_AUCTION : EVENT_BID;
}

/* Newest person and auction at or before an event. */
static uint64_t last_person(uint64_t event)
{
    return event / CYCLE;
}

static uint64_t last_auction(uint64_t event)
{
    const uint64_t epoch = event / CYCLE, rest = event % CYCLE;

    if (rest < PERSONS)
        return epoch == 0 ? 0 : epoch * AUCTIONS - 1;
    return epoch * AUCTIONS + (rest < PERSONS + AUCTIONS ? rest - PERSONS : AUCTIONS - 1);
}

static int64_t any_person(const struct nexmark *n, uint64_t event, uint64_t salt)
{
    const uint64_t newest = last_person(event);
    const uint64_t active = newest < ACTIVE_PEOPLE ? newest + 1 : ACTIVE_PEOPLE;

    return (int64_t)(newest - random_of(n, event, salt) % active) + FIRST_ID;
}

static int64_t any_auction(const struct nexmark *n, uint64_t event, uint64_t salt)
{
    const uint64_t newest = last_auction(event);
    const uint64_t open = newest < IN_FLIGHT_AUCTIONS ? newest + 1 : IN_FLIGHT_AUCTIONS;

    return (int64_t)(newest - random_of(n, event, salt) % open) + FIRST_ID;
}

/* One of two bids goes to the hot auction, three of four come from the hot bidder, as in the generator. */
static int64_t bid_auction(const struct nexmark *n, uint64_t event)
{
    return random_of(n, event, 1) % 2 == 0
               ? (int64_t)(last_auction(event) / HOT_RATIO * HOT_RATIO) + FIRST_ID
               : any_auction(n, event, 2);
}

static int64_t bidder(const struct nexmark *n, uint64_t event)
{
    return random_of(n, event, 3) % 4 != 0
               ? (int64_t)(last_person(event) / HOT_RATIO * HOT_RATIO) + 1 + FIRST_ID
               : any_person(n, event, 4);
}

static int64_t seller(const struct nexmark *n, uint64_t event)
{
    return random_of(n, event, 5) % 4 != 0
               ? (int64_t)(last_person(event) / HOT_RATIO * HOT_RATIO) + FIRST_ID
               : any_person(n, event, 6);
}

/* 100 * 10^(6u), u even in [0, 1). */
static int64_t price(const struct nexmark *n, uint64_t event, uint64_t salt)
{
    return (int64_t)round(pow(10.0, (double)(random_of(n, event, salt) >> 11) * 0x1p-53 * 6.0) *
                          100.0);
}

static int64_t event_time(const struct nexmark *n, uint64_t event)
{
    const int64_t us = (int64_t)((uint128)event * 1000000 / n->rate);

    return n->base_us + us / 1000 * 1000;
}

/* ---- texts ---- */

static size_t letters(const struct nexmark *n, uint64_t event, uint64_t salt, size_t least,
                      size_t spread, char *to)
{
    const size_t length = least + random_of(n, event, salt) % spread;

    for (size_t i = 0; i < length; i++)
        to[i] = (char)('a' + random_of(n, event, salt + 100 + i) % 26);
    return length;
}

static size_t text_of(const struct nexmark *n, uint64_t event, enum what what, char *to)
{
    const uint64_t r = random_of(n, event, 20 + what);

    switch (what) {
    case W_PERSON_NAME:
        return (size_t)sprintf(to, "%s %s", first_names[r % COUNT_OF(first_names)],
                               last_names[r / 64 % COUNT_OF(last_names)]);
    case W_EMAIL: {
        const size_t a = letters(n, event, 7, 3, 5, to);

        to[a] = '@';
        const size_t b = letters(n, event, 8, 3, 5, to + a + 1);

        memcpy(to + a + 1 + b, ".com", 4);
        return a + b + 5;
    }
    case W_CARD:
        return (size_t)sprintf(to, "%04u %04u %04u %04u", (unsigned)(r % 10000),
                               (unsigned)(r / 10000 % 10000), (unsigned)(r >> 32) % 10000,
                               (unsigned)(r >> 48) % 10000);
    case W_CITY: return (size_t)sprintf(to, "%s", cities[r % COUNT_OF(cities)]);
    case W_STATE: return (size_t)sprintf(to, "%s", states[r % COUNT_OF(states)]);
    case W_ITEM: return letters(n, event, 9, 3, 17, to);
    case W_DESCRIPTION: return letters(n, event, 10, 10, 90, to);
    case W_CHANNEL:
        return random_of(n, event, 11) % 2 == 0
                   ? (size_t)sprintf(to, "%s", hot_channels[r % 4])
                   : (size_t)sprintf(to, "channel-%u", (unsigned)(r % 10000));
    default:
        return (
            size_t)sprintf(to, "https://www.nexmark.com/%c%c%c%c/item.htm?query=1&channel_id=%u",
                           (int)('a' + r % 26), (int)('a' + r / 26 % 26), (int)('a' + r / 676 % 26),
                           (int)('a' + r / 17576 % 26), (unsigned)(r >> 40) % 10000);
    }
}

static int64_t number_of(const struct nexmark *n, uint64_t event, enum what what)
{
    switch (what) {
    case W_TYPE: return event_kind(event);
    case W_PERSON_ID: return (int64_t)last_person(event) + FIRST_ID;
    case W_AUCTION_ID: return (int64_t)last_auction(event) + FIRST_ID;
    case W_INITIAL: return price(n, event, 12);
    case W_RESERVE: return price(n, event, 12) + price(n, event, 13);
    case W_EXPIRES:
        return event_time(n, event) + 1000 + (int64_t)(random_of(n, event, 14) % 20000) * 1000;
    case W_SELLER: return seller(n, event);
    case W_CATEGORY: return 10 + (int64_t)(random_of(n, event, 15) % 5);
    case W_BID_AUCTION: return bid_auction(n, event);
    case W_BIDDER: return bidder(n, event);
    case W_PRICE: return price(n, event, 16);
    default: return event_time(n, event);
    }
}

/* ---- opening ---- */

static int match_columns(struct nexmark *n, const struct options *options, struct mill_error *error)
{
    const char *known[COUNT_OF(names)];

    for (size_t i = 0; i < COUNT_OF(names); i++)
        known[i] = names[i].name;
    for (uint32_t c = 0; c < n->schema->field_count; c++) {
        const struct mill_field *f = &n->schema->fields[c];
        size_t i = 0;
        char text[80];

        while (i < COUNT_OF(names) && strcmp(names[i].name, f->name) != 0)
            i++;
        if (i == COUNT_OF(names)) {
            const char *near = nearest_name(f->name, known, COUNT_OF(known));

            return mill_fail(error, MILL_E_NAME, options->line, options->column,
                             "table %s: nexmark has no column %s%s%s%s", options->table, f->name,
                             near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                             near != NULL ? "?" : "");
        }
        if (f->type.kind != names[i].kind)
            return mill_fail(error, MILL_E_TYPE, options->line, options->column,
                             "table %s: column %s is %s, nexmark "
                             "gives %s",
                             options->table, f->name, type_name(&f->type, text, sizeof text),
                             names[i].kind == MILL_BIGINT    ? "BIGINT"
                             : names[i].kind == MILL_INT     ? "INT"
                             : names[i].kind == MILL_VARCHAR ? "STRING"
                                                             : "TIMESTAMP(3)");
        n->columns[c] = (uint8_t)i;
    }
    return MILL_OK;
}

static int read_options(struct nexmark *n, const struct options *options, struct mill_error *error)
{
    static const char *const known[] = {"connector", "events.num", "seed",
                                        "rate",      "on-error",   "dead-letter.path"};

    if (option_get(options, "events.num") == NULL)
        return mill_fail(error, MILL_E_OPTION, options->line, options->column,
                         "table %s has no 'events.num': how many events to make", options->table);
    if (option_u64(options, "events.num", 0, 0, (uint64_t)1 << 50, &n->events, error) != MILL_OK ||
        option_u64(options, "seed", 1, 0, UINT64_MAX, &n->seed, error) != MILL_OK ||
        option_u64(options, "rate", 10000, 1, 1000000000, &n->rate, error) != MILL_OK)
        return MILL_E_OPTION;
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
    n->base_us = 1436918400000000; /* 2015-07-15 00:00:00 */
    *out = &n->source;
    n->columns = heap_zalloc(config->heap, config->schema->field_count + 1);
    if (n->columns == NULL)
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

static bool fill_texts(const struct nexmark *n, struct batch *out, struct column *c, enum what what,
                       int event, uint64_t first, uint32_t rows)
{
    struct mill_view *values = c->values;
    char text[200];

    for (uint32_t i = 0; i < rows; i++) {
        if ((int)event_kind(first + i) != event) {
            values[i] = view_of("", 0);
            column_set_null(c, i);
            continue;
        }
        values[i] = batch_view(out, text, (uint32_t)text_of(n, first + i, what, text));
        if (values[i].length == UINT32_MAX)
            return false;
    }
    return true;
}

static bool fill(const struct nexmark *n, struct batch *out, uint32_t index, uint64_t first,
                 uint32_t rows)
{
    struct column *c = &out->columns[index];
    const struct mill_type *type = &n->schema->fields[index].type;
    const enum what what = names[n->columns[index]].what;
    const int event = names[n->columns[index]].event;
    int64_t *values;

    if (!column_own(out, c, type) || (event >= 0 && !column_own_validity(out, c)))
        return false;
    if (type->kind == MILL_VARCHAR)
        return fill_texts(n, out, c, what, event, first, rows);
    values = c->values;
    for (uint32_t i = 0; i < rows; i++) {
        const bool there = event < 0 || (int)event_kind(first + i) == event;
        const int64_t v = there ? number_of(n, first + i, what) : 0;

        if (type->kind == MILL_INT)
            ((int32_t *)c->values)[i] = (int32_t)v;
        else
            values[i] = type->kind == MILL_TIMESTAMP && type_is_nanos(type) ? v * 1000 : v;
        if (!there)
            column_set_null(c, i);
    }
    return true;
}

static int nexmark_decode(struct decoder *decoder, struct batch *out, struct mill_error *error)
{
    struct nexmark_decoder *d = (struct nexmark_decoder *)decoder;
    const uint32_t rows = (uint32_t)min_u64(out->capacity, d->end - d->next);

    for (uint32_t i = 0; i < d->n->schema->field_count; i++)
        if (d->n->wanted[i] && !fill(d->n, out, i, d->next, rows))
            return -mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory to make events");
    out->rows = out->live = rows;
    d->next += rows;
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

    heap_free(n->heap, n->columns, n->schema->field_count + 1);
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

/* io/src_nexmark.c - connector 'nexmark': the auction events of the NEXMark benchmark, seeded.
 *
 * Every event is a pure function of (seed, event number): the same options give the same rows for any number of shards.
 * Of 50 events one is a person, three are auctions, 46 are bids, as in the benchmark's Java generator (Tucker, Tufte,
 * Papadimos, Maier: NEXMark). Columns are matched by name, in any order, flat (person_id) or as Flink's ROWs (person.id); columns of another
 * kind of event are NULL.
 * docs/NEXMARK.md lists them. Threads: cut() by one, decode() by many.   Errors: options, unknown columns.
 */
#include "core/source.h"
#include "io/file.h"

#include <math.h>
#include <stdio.h>

#define FIRST_ID 1000
#define EXTRA_MAX 2000u /* average bytes of an event at most */
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
    W_BID_TIME,
    W_PERSON_EXTRA,
    W_AUCTION_EXTRA,
    W_BID_EXTRA
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
             {"bid_dateTime", W_BID_TIME, EVENT_BID, MILL_TIMESTAMP},
             {"person_extra", W_PERSON_EXTRA, EVENT_PERSON, MILL_VARCHAR},
             {"auction_extra", W_AUCTION_EXTRA, EVENT_AUCTION, MILL_VARCHAR},
             {"bid_extra", W_BID_EXTRA, EVENT_BID, MILL_VARCHAR}};
static const char *const rows[] = {"person", "auction", "bid"}; /* by enum event */

static const char *const cities[] = {"Phoenix",  "Los Angeles", "San Francisco", "Boise",
                                     "Portland", "Bend",        "Redmond",       "Seattle",
                                     "Kent",     "Cheyenne"};
static const char *const states[] = {"AZ", "CA", "ID", "OR", "WA", "WY"};
static const char *const first_names[] = {"Peter", "Paul",  "Luke",  "John",   "Saul",  "Vicky",
                                          "Kate",  "Julie", "Sarah", "Deiter", "Walter"};
static const char *const last_names[] = {"Shultz", "Abrams", "Spencer", "White", "Bartels",
                                         "Walton", "Smith",  "Jones",   "Noris"};
static const char *const hot_channels[] = {"Google", "Facebook", "Baidu", "Apple"};

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
    struct slot *slots;                /* per schema column */
    uint64_t persons, auctions, cycle; /* of so many events, so many are those */
    uint64_t hot_auctions, hot_bidders, hot_sellers, sizes[3];
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

static enum event event_kind(const struct nexmark *n, uint64_t event)
{
    const uint64_t rest = event % n->cycle;

    return rest < n->persons                 ? EVENT_PERSON
           : rest < n->persons + n->auctions ? EVENT_AUCTION
                                             : EVENT_BID;
}

/* Newest person and auction at or before an event; 0 before the first. */
static uint64_t last_person(const struct nexmark *n, uint64_t event)
{
    const uint64_t count =
        event / n->cycle * n->persons + min_u64(event % n->cycle + 1, n->persons);

    return count > 0 ? count - 1 : 0;
}

static uint64_t last_auction(const struct nexmark *n, uint64_t event)
{
    const uint64_t rest = event % n->cycle + 1;
    const uint64_t count = event / n->cycle * n->auctions +
                           (rest > n->persons ? min_u64(rest - n->persons, n->auctions) : 0);

    return count > 0 ? count - 1 : 0;
}

static int64_t any_person(const struct nexmark *n, uint64_t event, uint64_t salt)
{
    const uint64_t newest = last_person(n, event);
    const uint64_t active = newest < ACTIVE_PEOPLE ? newest + 1 : ACTIVE_PEOPLE;

    return (int64_t)(newest - random_of(n, event, salt) % active) + FIRST_ID;
}

static int64_t any_auction(const struct nexmark *n, uint64_t event, uint64_t salt)
{
    const uint64_t newest = last_auction(n, event);
    const uint64_t open = newest < IN_FLIGHT_AUCTIONS ? newest + 1 : IN_FLIGHT_AUCTIONS;

    return (int64_t)(newest - random_of(n, event, salt) % open) + FIRST_ID;
}

/* By default one of two bids goes to the hot auction, three of four come from the hot bidder, as in the generator. */
static int64_t bid_auction(const struct nexmark *n, uint64_t event)
{
    return random_of(n, event, 1) % n->hot_auctions != n->hot_auctions - 1
               ? (int64_t)(last_auction(n, event) / HOT_RATIO * HOT_RATIO) + FIRST_ID
               : any_auction(n, event, 2);
}

static int64_t bidder(const struct nexmark *n, uint64_t event)
{
    return random_of(n, event, 3) % n->hot_bidders != 0
               ? (int64_t)(last_person(n, event) / HOT_RATIO * HOT_RATIO) + 1 + FIRST_ID
               : any_person(n, event, 4);
}

static int64_t seller(const struct nexmark *n, uint64_t event)
{
    return random_of(n, event, 5) % n->hot_sellers != 0
               ? (int64_t)(last_person(n, event) / HOT_RATIO * HOT_RATIO) + FIRST_ID
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

/* Fills an event up to its average size, give or take a fifth. @taken: bytes of its other fields. */
static size_t extra(const struct nexmark *n, uint64_t event, enum event kind, size_t taken,
                    char *to)
{
    const size_t left = n->sizes[kind] > taken ? n->sizes[kind] - taken : 0;
    const size_t delta = (left + 2) / 5;

    const size_t length = left == 0 ? 0 : left - delta + random_of(n, event, 17) % (2 * delta + 1);
    uint64_t r = 0;

    for (size_t i = 0; i < length; i++, r /= 26) { /* 13 letters from one number */
        r = i % 13 == 0 ? random_of(n, event, 300 + i / 13) : r;
        to[i] = (char)('a' + r % 26);
    }
    return length;
}

static size_t text_of(const struct nexmark *n, uint64_t event, enum what what, char *to);

static size_t extra_of(const struct nexmark *n, uint64_t event, enum event kind, char *to)
{
    static const enum what person[] = {W_PERSON_NAME, W_EMAIL, W_CARD, W_CITY, W_STATE};
    static const enum what auction[] = {W_ITEM, W_DESCRIPTION};
    const enum what *texts = kind == EVENT_PERSON ? person : auction;
    size_t taken = kind == EVENT_PERSON ? 8 : kind == EVENT_AUCTION ? 48 : 32;

    for (size_t i = 0; i < (kind == EVENT_PERSON ? 5 : kind == EVENT_AUCTION ? 2 : 0); i++)
        taken += text_of(n, event, texts[i], to);
    return extra(n, event, kind, taken, to);
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
    case W_PERSON_EXTRA: return extra_of(n, event, EVENT_PERSON, to);
    case W_AUCTION_EXTRA: return extra_of(n, event, EVENT_AUCTION, to);
    case W_BID_EXTRA: return extra_of(n, event, EVENT_BID, to);
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
    case W_TYPE: return event_kind(n, event);
    case W_PERSON_ID: return (int64_t)last_person(n, event) + FIRST_ID;
    case W_AUCTION_ID: return (int64_t)last_auction(n, event) + FIRST_ID;
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

static int no_column(const struct options *options, const char *path, struct mill_error *error)
{
    const char *known[COUNT_OF(names) + COUNT_OF(rows)], *near;

    for (size_t i = 0; i < COUNT_OF(names); i++)
        known[i] = names[i].name;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        known[COUNT_OF(names) + i] = rows[i];
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

    snprintf(path, sizeof path, "%s%s%s", event >= 0 ? rows[event] : "", event >= 0 ? "_" : "",
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
        while (slot->name < COUNT_OF(rows) && strcmp(rows[slot->name], f->name) != 0)
            slot->name++;
        if (slot->name == COUNT_OF(rows))
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

    if (option_u64(options, "rate", 10000, 1, 1000000000, &n->rate, error) != MILL_OK ||
        option_u64(options, "first-event.rate", n->rate, 1, 1000000000, &n->rate, error) !=
            MILL_OK ||
        option_u64(options, "next-event.rate", n->rate, 1, 1000000000, &next, error) != MILL_OK)
        return MILL_E_OPTION;
    if (next != n->rate)
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
    } numbers[] = {{"seed", 1, 0, UINT64_MAX, &n->seed},
                   {"person.proportion", 1, 0, 1000000, &n->persons},
                   {"auction.proportion", 3, 0, 1000000, &n->auctions},
                   {"bid.proportion", 46, 0, 1000000, &n->cycle},
                   {"person.avg-size", 200, 0, EXTRA_MAX, &n->sizes[EVENT_PERSON]},
                   {"auction.avg-size", 500, 0, EXTRA_MAX, &n->sizes[EVENT_AUCTION]},
                   {"bid.avg-size", 100, 0, EXTRA_MAX, &n->sizes[EVENT_BID]},
                   {"bid.hot-ratio.auctions", 2, 1, 1000000, &n->hot_auctions},
                   {"bid.hot-ratio.bidders", 4, 1, 1000000, &n->hot_bidders},
                   {"auction.hot-ratio.sellers", 4, 1, 1000000, &n->hot_sellers}};

    if (option_get(options, "events.num") == NULL)
        return mill_fail(error, MILL_E_OPTION, options->line, options->column,
                         "table %s has no 'events.num': how many events to make", options->table);
    if (option_u64(options, "events.num", 0, 0, (uint64_t)1 << 50, &n->events, error) != MILL_OK)
        return MILL_E_OPTION;
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (option_u64(options, numbers[i].key, numbers[i].fallback, numbers[i].least,
                       numbers[i].most, numbers[i].to, error) != MILL_OK)
            return MILL_E_OPTION;
    n->cycle += n->persons + n->auctions;
    if (n->cycle == 0)
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
    n->base_us = 1436918400000000; /* 2015-07-15 00:00:00 */
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

static bool fill_texts(const struct nexmark *n, struct batch *out, struct column *c, enum what what,
                       int event, uint64_t first, uint32_t count)
{
    struct mill_view *values = c->values;
    char text[EXTRA_MAX * 2 + 200];

    for (uint32_t i = 0; i < count; i++) {
        if ((int)event_kind(n, first + i) != event) {
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

/* @c has its storage. */
static bool fill(const struct nexmark *n, struct batch *out, const struct slot *slot,
                 struct column *c, const struct mill_type *type, uint64_t first, uint32_t count)
{
    const int event = slot->is_row ? slot->name : names[slot->name].event;
    int64_t *values = c->values;

    if (event >= 0 && !column_own_validity(out, c))
        return false;
    if (slot->is_row) {
        for (uint32_t f = 0; f < type->field_count; f++)
            if (!fill(n, out, &slot->fields[f], &c->children[f], &type->fields[f].type, first,
                      count))
                return false;
        for (uint32_t i = 0; i < count; i++)
            if ((int)event_kind(n, first + i) != event)
                column_set_null(c, i);
        return true;
    }
    if (type->kind == MILL_VARCHAR)
        return fill_texts(n, out, c, names[slot->name].what, event, first, count);
    for (uint32_t i = 0; i < count; i++) {
        const bool there = event < 0 || (int)event_kind(n, first + i) == event;
        const int64_t v = there ? number_of(n, first + i, names[slot->name].what) : 0;

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
    const struct nexmark *n = d->n;
    const uint32_t count = (uint32_t)min_u64(out->capacity, d->end - d->next);

    for (uint32_t i = 0; i < n->schema->field_count; i++) {
        const struct mill_type *type = &n->schema->fields[i].type;

        if (n->wanted[i] && (!column_own(out, &out->columns[i], type) ||
                             !fill(n, out, &n->slots[i], &out->columns[i], type, d->next, count)))
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

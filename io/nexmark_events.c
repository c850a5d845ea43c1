/* io/nexmark_events.c - what persons, auctions and bids of NEXMark hold. */
#include "io/nexmark.h"

#include <math.h>
#include <stdlib.h>

#define FIRST_ID 1000
#define ACTIVE_PEOPLE 1000u
#define IN_FLIGHT_AUCTIONS 100u
#define HOT_RATIO 100u /* ids of hot sellers, auctions, bidders are multiples of it */
#define EVENT_SALTS 64u
#define LOG2_10 3.32192809488736234787

static const char *const cities[] = {"Phoenix",  "Los Angeles", "San Francisco", "Boise",
                                     "Portland", "Bend",        "Redmond",       "Seattle",
                                     "Kent",     "Cheyenne"};
static const char *const states[] = {"AZ", "CA", "ID", "OR", "WA", "WY"};
static const char *const first_names[] = {"Peter", "Paul",  "Luke",  "John",   "Saul",  "Vicky",
                                          "Kate",  "Julie", "Sarah", "Deiter", "Walter"};
static const char *const last_names[] = {"Shultz", "Abrams", "Spencer", "White", "Bartels",
                                         "Walton", "Smith",  "Jones",   "Noris"};
static const char *const hot_channels[] = {"Google", "Facebook", "Baidu", "Apple"};

void nexmark_rules_init(struct nexmark_rules *rules)
{
    for (uint32_t i = 0; i < NEXMARK_POWERS; i++)
        rules->powers[i] = exp2((double)i / NEXMARK_POWERS);
    for (uint32_t i = 0; i < 26 * 26; i++) {
        rules->pairs[i][0] = (char)('a' + i % 26);
        rules->pairs[i][1] = (char)('a' + i / 26);
    }
}

/* ---- numbers from (seed, event, salt): SplitMix64 ---- */

#define GOLDEN 0x9e3779b97f4a7c15ull

static inline uint64_t state_of(const struct nexmark_rules *n, uint64_t event, uint64_t salt)
{
    return (event * EVENT_SALTS + salt + n->seed * 0x632be59bd9b4e019ull) * GOLDEN;
}

static inline uint64_t mixed(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static inline uint64_t random_of(const struct nexmark_rules *n, uint64_t event, uint64_t salt)
{
    return mixed(state_of(n, event, salt));
}

/* The state of the next event's number with the same salt. */
#define NEXT_STATE(z) ((z) += EVENT_SALTS * GOLDEN)

static inline uint64_t rest_of(uint64_t value, uint64_t by)
{
    return (by & (by - 1)) == 0 ? value & (by - 1) : value % by;
}

/* ---- who there is ---- */

/* Newest person and auction at or before an event; 0 before the first. */
static uint64_t last_person(const struct nexmark_rules *n, uint64_t event)
{
    const uint64_t count =
        event / n->cycle * n->persons + min_u64(event % n->cycle + 1, n->persons);

    return count > 0 ? count - 1 : 0;
}

static uint64_t last_auction(const struct nexmark_rules *n, uint64_t event)
{
    const uint64_t rest = event % n->cycle + 1;
    const uint64_t count = event / n->cycle * n->auctions +
                           (rest > n->persons ? min_u64(rest - n->persons, n->auctions) : 0);

    return count > 0 ? count - 1 : 0;
}

struct nexmark_run nexmark_run_at(const struct nexmark_rules *n, uint64_t first, uint32_t row,
                                  uint32_t rows)
{
    const uint64_t event = first + row, rest = event % n->cycle;
    struct nexmark_run r = {.event = event,
                            .row = row,
                            .kind = rest < n->persons                 ? EVENT_PERSON
                                    : rest < n->persons + n->auctions ? EVENT_AUCTION
                                                                      : EVENT_BID,
                            .person = last_person(n, event),
                            .auction = last_auction(n, event)};
    const uint64_t end = r.kind == EVENT_PERSON    ? n->persons
                         : r.kind == EVENT_AUCTION ? n->persons + n->auctions
                                                   : n->cycle;

    r.count = (uint32_t)min_u64(end - rest, rows - row);
    return r;
}

/* @hot_id, or one of the @there newest. By masks, as a branch would be guessed wrong every other time. */
static inline int64_t one_of(uint64_t newest, uint64_t there, uint64_t hot_id, bool hot,
                             uint64_t random)
{
    const uint64_t other = newest - random % there, mask = (uint64_t)0 - hot;

    return (int64_t)((hot_id & mask) | (other & ~mask)) + FIRST_ID;
}

static void bid_auctions(const struct nexmark_rules *n, const struct nexmark_run *r, int64_t *to)
{
    const uint64_t hot = r->auction / HOT_RATIO * HOT_RATIO;
    uint64_t is_hot = state_of(n, r->event, 1), which = state_of(n, r->event, 2);

    for (uint32_t i = 0; i < r->count; i++, NEXT_STATE(is_hot), NEXT_STATE(which)) {
        const bool go = rest_of(mixed(is_hot), n->hot_auctions) != n->hot_auctions - 1;

        to[i] = r->auction >= IN_FLIGHT_AUCTIONS
                    ? one_of(r->auction, IN_FLIGHT_AUCTIONS, hot, go, mixed(which))
                    : one_of(r->auction, r->auction + 1, hot, go, mixed(which));
    }
}

/* Sellers of auctions and bidders: hot ones, else one of the active. The newest person stays the same in both runs. */
static void people(const struct nexmark_run *r, uint64_t hot_id, uint64_t ratio, uint64_t is_hot,
                   uint64_t which, int64_t *to)
{
    for (uint32_t i = 0; i < r->count; i++, NEXT_STATE(is_hot), NEXT_STATE(which)) {
        const bool go = rest_of(mixed(is_hot), ratio) != 0;

        to[i] = r->person >= ACTIVE_PEOPLE
                    ? one_of(r->person, ACTIVE_PEOPLE, hot_id, go, mixed(which))
                    : one_of(r->person, r->person + 1, hot_id, go, mixed(which));
    }
}

/* ---- prices and times ---- */

/* 100 * 10^(6u), u even in [0, 1), as the C library has it. */
static int64_t price_exactly(uint64_t random)
{
    return (int64_t)round(pow(10.0, (double)(random >> 11) * 0x1p-53 * 6.0) * 100.0);
}

/* The same by 2^x: a table for 64 steps of x, a polynomial between them; relative error below 1e-14, absolute below
 * 1e-6. Where that could change the rounding, the exact way. */
static inline int64_t price_of(const struct nexmark_rules *n, uint64_t random)
{
    const double x = (double)(random >> 11) * (0x1p-53 * 6.0 * LOG2_10 * NEXMARK_POWERS);
    const uint32_t step = (uint32_t)(x + 0.5);
    const double f = (x - (double)step) * (0.69314718055994530942 / NEXMARK_POWERS);
    const double poly =
        1.0 + f * (1.0 + f * (0.5 + f * (1.0 / 6 + f * (1.0 / 24 + f * (1.0 / 120)))));
    const double price =
        poly * n->powers[step % NEXMARK_POWERS] * (double)(100ull << step / NEXMARK_POWERS);
    const int64_t whole = (int64_t)price;
    const double part = price - (double)whole;

    if (part > 0.5 - 1e-4 && part < 0.5 + 1e-4)
        return price_exactly(random);
    return whole + (part >= 0.5);
}

static void times(const struct nexmark_rules *n, const struct nexmark_run *r, int64_t *to)
{
    const uint64_t whole = 1000 / n->rate, part = 1000 % n->rate;
    uint128 first = (uint128)r->event * 1000;
    uint64_t ms = (uint64_t)(first / n->rate), rest = (uint64_t)(first % n->rate);

    for (uint32_t i = 0; i < r->count; i++) {
        to[i] = n->base_us + (int64_t)ms * 1000;
        rest += part;
        ms += whole + (rest >= n->rate);
        rest -= rest >= n->rate ? n->rate : 0;
    }
}

static int64_t auction_number(const struct nexmark_rules *n, enum what what, uint64_t event)
{
    const int64_t initial = price_of(n, random_of(n, event, 12));

    switch (what) {
    case W_INITIAL: return initial;
    case W_RESERVE: return initial + price_of(n, random_of(n, event, 13));
    case W_EXPIRES: return 1000 + (int64_t)(random_of(n, event, 14) % 20000) * 1000;
    default: return 10 + (int64_t)(random_of(n, event, 15) % 5); /* W_CATEGORY */
    }
}

void nexmark_numbers(const struct nexmark_rules *n, enum what what, const struct nexmark_run *r,
                     int64_t *to)
{
    const uint64_t hot = r->person / HOT_RATIO * HOT_RATIO;

    switch (what) {
    case W_TYPE:
        for (uint32_t i = 0; i < r->count; i++)
            to[i] = r->kind;
        break;
    case W_PERSON_ID:
    case W_AUCTION_ID:
        for (uint32_t i = 0; i < r->count; i++)
            to[i] = (int64_t)(what == W_PERSON_ID ? r->person : r->auction) + i + FIRST_ID;
        break;
    case W_BID_AUCTION: bid_auctions(n, r, to); break;
    case W_BIDDER:
        people(r, hot + 1, n->hot_bidders, state_of(n, r->event, 3), state_of(n, r->event, 4), to);
        break;
    case W_SELLER:
        people(r, hot, n->hot_sellers, state_of(n, r->event, 5), state_of(n, r->event, 6), to);
        break;
    case W_PRICE: {
        uint64_t z = state_of(n, r->event, 16);

        for (uint32_t i = 0; i < r->count; i++, NEXT_STATE(z))
            to[i] = price_of(n, mixed(z));
        break;
    }
    case W_INITIAL:
    case W_RESERVE:
    case W_CATEGORY:
        for (uint32_t i = 0; i < r->count; i++)
            to[i] = auction_number(n, what, r->event + i);
        break;
    default: times(n, r, to);
    }
    for (uint32_t i = 0; what == W_EXPIRES && i < r->count; i++)
        to[i] += auction_number(n, what, r->event + i);
}

/* ---- texts ---- */

static size_t put(char *to, const char *text)
{
    const size_t length = strlen(text);

    memcpy(to, text, length);
    return length;
}

static size_t put_number(char *to, uint32_t value) /* below 10,000 */
{
    size_t digits = value >= 1000 ? 4 : value >= 100 ? 3 : value >= 10 ? 2 : 1;

    for (size_t i = digits; i-- > 0; value /= 10)
        to[i] = (char)('0' + value % 10);
    return digits;
}

static size_t put_four(char *to, uint32_t value)
{
    for (int i = 3; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    return 4;
}

static size_t letters(const struct nexmark_rules *n, uint64_t event, uint64_t salt, size_t least,
                      size_t spread, char *to)
{
    const size_t length = least + random_of(n, event, salt) % spread;

    for (size_t i = 0; i < length; i++)
        to[i] = (char)('a' + random_of(n, event, salt + 100 + i) % 26);
    return length;
}

#define SIX_LETTERS (26u * 26 * 26 * 26 * 26 * 26)
static inline void six_letters(const struct nexmark_rules *n, uint32_t r, char *to)
{
    memcpy(to, n->pairs[r % 676], 2);
    memcpy(to + 2, n->pairs[r / 676 % 676], 2);
    memcpy(to + 4, n->pairs[r / (676 * 676)], 2);
}

/* Fills an event up to its average size, give or take a fifth. @taken: bytes of its other fields. Writes up to
 * EXTRA_SLACK bytes more than it returns. */
#define EXTRA_SLACK 16
static size_t extra(const struct nexmark_rules *n, uint64_t event, enum event kind, size_t taken,
                    char *to)
{
    const size_t left = n->sizes[kind] > taken ? n->sizes[kind] - taken : 0;
    const size_t delta = (left + 2) / 5;
    const size_t length = left == 0 ? 0 : left - delta + random_of(n, event, 17) % (2 * delta + 1);

    for (size_t i = 0; i < length; i += 13) { /* 13 letters from one number */
        const uint64_t r = random_of(n, event, 300 + i / 13), rest = r / SIX_LETTERS;

        six_letters(n, (uint32_t)(r % SIX_LETTERS), to + i);
        six_letters(n, (uint32_t)(rest % SIX_LETTERS), to + i + 6);
        to[i + 12] = (char)('a' + rest / SIX_LETTERS % 26);
    }
    return length;
}

static size_t text_of(const struct nexmark_rules *n, uint64_t event, enum what what, char *to);

static size_t extra_of(const struct nexmark_rules *n, uint64_t event, enum what what, char *to)
{
    static const enum what person[] = {W_PERSON_NAME, W_EMAIL, W_CARD, W_CITY, W_STATE};
    static const enum what auction[] = {W_ITEM, W_DESCRIPTION};
    const bool is_person = what == W_PERSON_EXTRA;
    size_t taken = is_person ? 8 : 48;
    char text[200];

    if (what == W_BID_EXTRA)
        return extra(n, event, EVENT_BID, 32, to);
    for (size_t i = 0; i < (is_person ? COUNT_OF(person) : COUNT_OF(auction)); i++)
        taken += text_of(n, event, is_person ? person[i] : auction[i], text);
    return extra(n, event, is_person ? EVENT_PERSON : EVENT_AUCTION, taken, to);
}

static size_t url(uint64_t r, char *to)
{
    static const char form[] = "https://www.nexmark.com/abcd/item.htm?query=1&channel_id=";

    memcpy(to, form, sizeof form - 1);
    for (size_t i = 0, rest = r; i < 4; i++, rest /= 26)
        to[24 + i] = (char)('a' + rest % 26);
    return sizeof form - 1 + put_number(to + sizeof form - 1, (unsigned)(r >> 40) % 10000);
}

static size_t text_of(const struct nexmark_rules *n, uint64_t event, enum what what, char *to)
{
    const uint64_t r = random_of(n, event, 20 + what);

    switch (what) {
    case W_PERSON_NAME: {
        const size_t a = put(to, first_names[r % COUNT_OF(first_names)]);

        to[a] = ' ';
        return a + 1 + put(to + a + 1, last_names[r / 64 % COUNT_OF(last_names)]);
    }
    case W_EMAIL: {
        const size_t a = letters(n, event, 7, 3, 5, to);

        to[a] = '@';
        const size_t b = letters(n, event, 8, 3, 5, to + a + 1);

        memcpy(to + a + 1 + b, ".com", 4);
        return a + b + 5;
    }
    case W_CARD:
        put_four(to, (unsigned)(r % 10000));
        put_four(to + 5, (unsigned)(r / 10000 % 10000));
        put_four(to + 10, (unsigned)(r >> 32) % 10000);
        put_four(to + 15, (unsigned)(r >> 48) % 10000);
        to[4] = to[9] = to[14] = ' ';
        return 19;
    case W_CITY: return put(to, cities[r % COUNT_OF(cities)]);
    case W_STATE: return put(to, states[r % COUNT_OF(states)]);
    case W_ITEM: return letters(n, event, 9, 3, 17, to);
    case W_DESCRIPTION: return letters(n, event, 10, 10, 90, to);
    case W_CHANNEL:
        if (random_of(n, event, 11) % 2 == 0)
            return put(to, hot_channels[r % COUNT_OF(hot_channels)]);
        memcpy(to, "channel-", 8);
        return 8 + put_number(to + 8, (unsigned)(r % 10000));
    case W_URL: return url(r, to);
    default: return extra_of(n, event, what, to);
    }
}

size_t nexmark_text_most(const struct nexmark_rules *n, enum what what)
{
    const enum event kind = what == W_PERSON_EXTRA    ? EVENT_PERSON
                            : what == W_AUCTION_EXTRA ? EVENT_AUCTION
                                                      : EVENT_BID;

    switch (what) {
    case W_PERSON_EXTRA:
    case W_AUCTION_EXTRA:
    case W_BID_EXTRA: return n->sizes[kind] + (n->sizes[kind] + 2) / 5 + EXTRA_SLACK;
    case W_DESCRIPTION: return 100;
    case W_URL: return 64;
    default: return 24;
    }
}

char *nexmark_texts(const struct nexmark_rules *n, enum what what, const struct nexmark_run *r,
                    struct mill_view *to, char *bytes)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const uint32_t length = (uint32_t)text_of(n, r->event + i, what, bytes);

        to[i] = view_of(bytes, length);
        bytes += length > sizeof to->inlined ? length : 0;
    }
    return bytes;
}

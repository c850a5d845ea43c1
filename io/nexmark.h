/* io/nexmark.h - the values of NEXMark's auction events, in runs of one kind.
 *
 * Every event is a pure function of (seed, event number). Of rules->cycle events the first are persons, then come auctions, then
 * bids, as in the benchmark's Java generator (Tucker, Tufte, Papadimos, Maier: NEXMark).
 * Threads: any, the rules are read only.   Errors: none.   Includes: types.h
 */
#ifndef MILL_NEXMARK_H
#define MILL_NEXMARK_H

#include "core/types.h"

#define NEXMARK_SIZE_MAX 2000u /* average bytes of an event at most */
#define NEXMARK_POWERS 64u

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

struct nexmark_rules {
    uint64_t persons, auctions, cycle; /* of so many events, so many are those */
    uint64_t hot_auctions, hot_bidders, hot_sellers;
    uint64_t sizes[3]; /* average bytes of an event */
    uint64_t seed, rate;
    int64_t base_us;
    /* by nexmark_rules_init(): 2^(i / 64); i as two letters in base 26, the lower one first */
    double powers[NEXMARK_POWERS];
    char pairs[26 * 26][2];
};

/* Neighbouring events of one kind. @row counts from the first event that was asked for. */
struct nexmark_run {
    uint64_t event;
    uint32_t row, count;
    enum event kind;
    uint64_t person,
        auction; /* newest at the first event; persons and auctions themselves count up from there */
};

void nexmark_rules_init(struct nexmark_rules *rules);
/* The run that begins at row @row of the @rows that begin at event @first. @row < @rows. */
struct nexmark_run nexmark_run_at(const struct nexmark_rules *rules, uint64_t first, uint32_t row,
                                  uint32_t rows);
/* Values @what (no text) of the events of @run, times in microseconds, into to[0 .. run->count). */
void nexmark_numbers(const struct nexmark_rules *rules, enum what what,
                     const struct nexmark_run *run, int64_t *to);
/* Bytes of a text at most. */
size_t nexmark_text_most(const struct nexmark_rules *rules, enum what what);
/* Texts @what of the events of @run into to[0 .. run->count), those that a view cannot hold one behind the other at @bytes,
 * which has room for all at their most. Returns the byte behind them. */
char *nexmark_texts(const struct nexmark_rules *rules, enum what what,
                    const struct nexmark_run *run, struct mill_view *to, char *bytes);

#endif

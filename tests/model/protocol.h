/* tests/model/protocol.h - the step protocol of core/shard as a state machine: shards, fronts, stages, rings, pools.
 *
 * docs/CONCURRENCY.md says which function each action stands for. What is not one action:
 *   a cut      is one: all that it reads and writes is under the token, but for the entry published at its end
 *   a row      is a batch; which shard owns it is decided anew for each (by an adversary), and binding
 *   a turn     is many: other shards come between any two sends, takes and looks of one turn
 * Steps that only their own shard can see (opening a step, choosing the owner of the next row) are part of the action
 * before or after them: no other shard's action depends on them, so every order of them is covered.
 * Not here: memory orders, the return rings, more rows in a batch than one, the bounded pool of markers.
 */
#ifndef MODEL_PROTOCOL_H
#define MODEL_PROTOCOL_H

#include "tests/model/search.h"

enum { SHARDS = 3, STEPS = 8, RING = 2, NONE = 255 };
enum { FIRED = 16 }; /* positions of a step: rows below, firings from here on */

struct Rules {
    /* broken ones, each false in the engine */
    bool full_ring_does_not_drain;   /* a held up front keeps its whole shard from working */
    bool shared_pool, shared_rings;  /* both exchanges use one */
    bool merge_waits_for_heads;      /* published positions are not used */
    bool tell_only_news;             /* a position that could not be passed on is not tried again */
    bool second_piece_after_first;   /* self-join: nothing from edge B before A has ended */
    bool state_keeps_batches;        /* received batches do not go home */
    bool choose_by_what_is_known;    /* not as of step s - D */
    bool no_empty_step_for_requests; /* a checkpoint waits for the next data */
    bool aborting_shard_leaves;      /* at once, not after the step */
    bool ring_before_flag; /* the owner looks into the ring, then whether the step is decoded */
};

struct Setup {
    int shards, exchanges;
    int ring_slots, pool_batches;
    int look_back, run_ahead;
    int data_steps[2]; /* of each split */
    int batches[2][4]; /* of each data step */
    int g[2][4];       /* greatest event time of each data step */
    int firings;       /* of each shard after a data step */
    bool rows_pass;    /* stage 1 hands rows on as well (with the batch they came in) */
    bool self_join;    /* one stage behind two edges, A and B */
    bool live;         /* the input falls silent instead of ending */
    bool may_abort;    /* mill_stop at any moment */
    bool checkpoint;   /* asked for at any moment */
    Rules broken;
};

struct Item {
    uint8_t step, position;
    uint8_t marker; /* a position passed, no row */
    uint8_t edge;
};

struct Ring {
    uint8_t count;
    Item items[RING];
};

struct Shard {
    /* front */
    uint8_t front_step, front_next, front_to; /* NONE: free; batch to send; its owner (and edge) */
    uint8_t front_told[2 * SHARDS];
    /* stage 1 */
    uint8_t step1, ending, row,
        row_to; /* row: position of the row held up in the second exchange */
    uint8_t fired, fire_to;
    uint8_t bound1, told1[SHARDS];
    uint8_t looked; /* ring_before_flag: it was empty */
    /* stage 2 */
    uint8_t step2, bound2[SHARDS], last2;
    /* pools of the two exchanges: batches away from home */
    uint8_t used[2];
    uint8_t checkpoint[2]; /* step at which each stage took its part */
    uint8_t left;
};

class Protocol
{
  public:
    struct State {
        uint8_t cut_count, decoded; /* decoded: one bit per step */
        uint8_t cutter[STEPS];
        uint8_t aborted, stop, last_cut;
        uint8_t request, checkpoint; /* 0 not yet, 1 asked, 2 in a step; which */
        Shard shard[SHARDS];
        Ring ring[2][SHARDS][SHARDS]; /* edge, from, to */
    };

    explicit Protocol(const Setup &setup);
    State start() const;
    void successors(const State &state, Successors<State> &out) const;
    const char *missing(const State &state) const; /* NULL: an orderly end */
    uint64_t measure(const State &state) const;

  private:
    enum kind { DATA, SPLIT_END, LAST };
    struct Step {
        int split, kind, batches;
    };

    int choose(int next, uint32_t decoded, bool by_known) const;
    int last_step(const State &s) const;
    int batches(const State &s, int step) const;
    int firings(const State &s, int step) const;
    int unfinished(const State &s) const;

    void cut(const State &s, int i, Successors<State> &out) const;
    void enter(const State &s, int i, bool data, Successors<State> &out) const;
    void front(const State &s, int i, Successors<State> &out) const;
    void stage1(const State &s, int i, Successors<State> &out) const;
    void stage1_take(const State &s, int i, int edge, Successors<State> &out) const;
    void stage1_rows_ended(const State &s, int i, Successors<State> &out) const;
    void stage1_send(const State &s, int i, Successors<State> &out) const;
    int reached1(const State &s, int i) const;
    void stage1_tell(const State &s, int i, Successors<State> &out) const;
    void stage2(const State &s, int i, Successors<State> &out) const;
    void stage2_take(const State &s, int i, int from, Successors<State> &out) const;

    void hear1(State &s, int i, int position) const;
    bool hear(State &s, int edge, int from, int i) const;
    void settle(State &s) const;

    Ring &ring(State &s, int edge, int from, int to) const;
    const Ring &ring(const State &s, int edge, int from, int to) const;
    const Item *head(const State &s, int edge, int from, int to, int step) const;
    const Item *oldest(const State &s, int edge, int from, int to) const;
    bool can_send(const State &s, int edge, int from, int to) const;
    bool may_be_smaller(const State &s, int i, int from, int step, int position) const;
    bool front_blocked(const State &s, int i) const;
    void finish1(State &s, int i) const;
    void finish2(State &s, int i) const;
    void forget(State &s) const;

    Setup setup_;
    Step plan_[STEPS]; /* as one shard cuts it */
    int plan_count_;
};

#endif

/* tests/model/protocol.cc - the actions. */
#include "tests/model/protocol.h"

#include <algorithm>
#include <type_traits>

using State = Protocol::State;

static_assert(std::has_unique_object_representations_v<State>, "states are hashed as bytes");

/* ---- the plan: which split each step is cut from when nothing depends on timing ---- */

Protocol::Protocol(const Setup &setup) : setup_(setup), plan_count_(0)
{
    int open = 2, cut[2] = {0, 0};

    for (int k = 0; k < STEPS && open > 0; k++) {
        const int split = choose(k, (1u << k) - 1, false);
        const int n = cut[split]++;

        if (n < setup_.data_steps[split]) {
            plan_[k] = Step{split, DATA, setup_.batches[split][n]};
        } else if (setup_.live) {
            break;
        } else {
            open--;
            plan_[k] = Step{split, open == 0 ? LAST : SPLIT_END, 0};
        }
        plan_count_ = k + 1;
    }
}

/* choose_split(): least G of the steps before next - D, then fewest steps, then number. */
int Protocol::choose(int next, uint32_t decoded, bool by_known) const
{
    int g[2] = {-1, -1}, cut[2] = {0, 0}, best = -1;
    bool ended[2] = {false, false};

    for (int k = 0; k < next; k++) {
        const int split = plan_[k].split;
        const bool known = by_known ? (decoded >> k & 1) != 0 : k < next - setup_.look_back;

        ended[split] = ended[split] || plan_[k].kind != DATA;
        if (plan_[k].kind == DATA && known)
            g[split] = std::max(g[split], setup_.g[split][cut[split]]);
        cut[split]++;
    }
    for (int i = 0; i < 2; i++) {
        if (ended[i] || (setup_.live && cut[i] == setup_.data_steps[i]))
            continue;
        if (best < 0 || g[i] < g[best] || (g[i] == g[best] && cut[i] < cut[best]))
            best = i;
    }
    return best < 0 ? 0 : best;
}

State Protocol::start() const
{
    State s;

    memset(&s, 0, sizeof s);
    s.aborted = s.checkpoint = NONE;
    for (Shard &shard : s.shard) {
        shard.front_step = shard.front_to = NONE;
        shard.row = shard.row_to = shard.fire_to = shard.bound1 = NONE;
        memset(shard.front_told, NONE, sizeof shard.front_told);
        memset(shard.told1, NONE, sizeof shard.told1);
        memset(shard.bound2, NONE, sizeof shard.bound2);
        shard.last2 = NONE;
        shard.checkpoint[0] = shard.checkpoint[1] = NONE;
    }
    return s;
}

/* ---- steps ---- */

int Protocol::batches(const State &s, int step) const
{
    return step < plan_count_ && step != s.aborted ? plan_[step].batches : 0;
}

int Protocol::firings(const State &s, int step) const
{
    if (step >= plan_count_ || step == s.aborted || plan_[step].kind == SPLIT_END)
        return 0;
    return setup_.firings;
}

int Protocol::unfinished(const State &s) const
{
    int least = NONE;

    for (int i = 0; i < setup_.shards; i++) {
        least = std::min(least, (int)s.shard[i].step1);
        if (setup_.exchanges == 2)
            least = std::min(least, (int)s.shard[i].step2);
    }
    return least;
}

/* What no one can ask for any more is made equal. */
void Protocol::forget(State &s) const
{
    for (int k = unfinished(s); k-- > 0 && s.cutter[k] != 0;)
        s.cutter[k] = 0;
}

/* ---- rings ---- */

Ring &Protocol::ring(State &s, int edge, int from, int to) const
{
    return s.ring[setup_.broken.shared_rings ? 0 : edge][from][to];
}

const Ring &Protocol::ring(const State &s, int edge, int from, int to) const
{
    return s.ring[setup_.broken.shared_rings ? 0 : edge][from][to];
}

const Item *Protocol::oldest(const State &s, int edge, int from, int to) const
{
    const Ring &r = ring(s, edge, from, to);

    return r.count > 0 && r.items[0].edge == edge ? &r.items[0] : nullptr;
}

const Item *Protocol::head(const State &s, int edge, int from, int to, int step) const
{
    const Item *item = oldest(s, edge, from, to);

    return item != nullptr && item->step == step ? item : nullptr;
}

static void push(Ring &r, int step, int position, bool marker, int edge)
{
    r.items[r.count++] = Item{(uint8_t)step, (uint8_t)position, marker, (uint8_t)edge};
}

static void pop(Ring &r)
{
    r.count--;
    memmove(r.items, r.items + 1, r.count * sizeof r.items[0]);
    memset(&r.items[r.count], 0, sizeof r.items[0]);
}

bool Protocol::can_send(const State &s, int edge, int from, int to) const
{
    const uint8_t *used = s.shard[from].used;
    const int away = setup_.broken.shared_pool ? used[0] + used[1] : used[edge];

    return away < setup_.pool_batches && ring(s, edge, from, to).count < setup_.ring_slots;
}

/* ---- cutting ---- */

void Protocol::enter(const State &s, int i, bool data, Successors<State> &out) const
{
    State t = s;
    const int k = s.cut_count;
    const int n = data ? plan_[k].batches : 0;
    Shard &shard = t.shard[i];

    t.cut_count++;
    t.cutter[k] = (uint8_t)i;
    if (s.request == 1) {
        t.request = 2;
        t.checkpoint = (uint8_t)k;
    }
    if (!data) {
        t.decoded |= 1u << k;
        out.add(t, "shard %d cuts empty step %d%s", i, k,
                t.aborted == k      ? ", abort"
                : t.checkpoint == k ? ", checkpoint"
                                    : "");
        return;
    }
    shard.front_step = (uint8_t)k;
    shard.front_next = 0;
    for (int to = 0; to < (n > 0 ? setup_.shards * (setup_.self_join ? 2 : 1) : 1); to++) {
        shard.front_to = (uint8_t)(n > 0 ? to : (int)NONE);
        out.add(t, "shard %d cuts step %d of split %d, first batch for %d", i, k, plan_[k].split,
                to);
    }
}

void Protocol::cut(const State &s, int i, Successors<State> &out) const
{
    const int k = s.cut_count;

    if (s.shard[i].front_step != NONE || s.last_cut || k - unfinished(s) >= setup_.run_ahead)
        return;
    if (s.stop) {
        State t = s;

        t.last_cut = 1;
        t.aborted = (uint8_t)k;
        if (setup_.broken.aborting_shard_leaves)
            t.shard[i].left = 1;
        enter(t, i, false, out);
        return;
    }
    for (int d = 0; d < k - setup_.look_back && !setup_.broken.choose_by_what_is_known; d++)
        if ((s.decoded >> d & 1) == 0)
            return;
    if (k >= plan_count_) { /* a quiet input: only for a request */
        if (s.request == 1 && !setup_.broken.no_empty_step_for_requests)
            enter(s, i, false, out);
        return;
    }
    if (setup_.broken.choose_by_what_is_known && choose(k, s.decoded, true) != plan_[k].split)
        out.violation = "a split is chosen that one shard would not have chosen";
    State t = s;
    t.last_cut = plan_[k].kind == LAST;
    enter(t, i, plan_[k].kind == DATA, out);
}

/* ---- the front ---- */

bool Protocol::front_blocked(const State &s, int i) const
{
    const Shard &f = s.shard[i];

    return f.front_step != NONE && f.front_to != NONE &&
           !can_send(s, f.front_to / setup_.shards, i, f.front_to % setup_.shards);
}

void Protocol::front(const State &s, int i, Successors<State> &out) const
{
    const Shard &f = s.shard[i];
    const int n = setup_.shards, k = f.front_step;

    if (k == NONE)
        return;
    if (f.front_next == batches(s, k)) {
        State t = s;

        t.decoded |= 1u << k;
        t.shard[i].front_step = t.shard[i].front_to = NONE;
        t.shard[i].front_next = 0;
        memset(t.shard[i].front_told, NONE, sizeof f.front_told);
        out.add(t, "shard %d has decoded step %d", i, k);
        return;
    }
    const int edge = f.front_to / n, to = f.front_to % n;
    if (!front_blocked(s, i)) {
        State t = s;
        const bool more = ++t.shard[i].front_next < batches(s, k);

        push(ring(t, edge, i, to), k, f.front_next, false, edge);
        t.shard[i].used[edge]++;
        for (int next = 0; next < (more ? n * (setup_.self_join ? 2 : 1) : 1); next++) {
            t.shard[i].front_to = (uint8_t)(more ? next : (int)NONE);
            out.add(t, "shard %d sends batch %d of step %d to %d", i, f.front_next, k, to);
        }
        return;
    }
    for (int q = 0; q < n; q++) {
        State t = s;

        if (ring(s, edge, i, q).count > 0 || f.front_told[edge * n + q] == f.front_next)
            continue;
        push(ring(t, edge, i, q), k, f.front_next, true, edge);
        t.shard[i].front_told[edge * n + q] = f.front_next;
        out.add(t, "shard %d tells %d that step %d is at batch %d", i, q, k, f.front_next);
    }
}

/* ---- stage 1: owners ---- */

static void take_part(State &s, int i, int stage, int step)
{
    if (s.checkpoint == step)
        s.shard[i].checkpoint[stage] = (uint8_t)step;
}

void Protocol::finish1(State &s, int i) const
{
    Shard &x = s.shard[i];

    take_part(s, i, 0, x.step1);
    x.step1++;
    x.ending = x.fired = 0;
    x.looked = 0;
    x.fire_to = x.bound1 = NONE;
    memset(x.told1, NONE, sizeof x.told1);
    forget(s);
}

void Protocol::stage1_take(const State &s, int i, int edge, Successors<State> &out) const
{
    const Shard &x = s.shard[i];
    const int k = x.step1, p = s.cutter[k];
    const Item *item = oldest(s, edge, p, i);

    if (item == nullptr)
        return;
    if (item->step < k)
        out.violation = "a row of a finished step";
    if (item->step != k)
        return;
    const Item taken = *item;
    State t = s;
    pop(ring(t, edge, p, i));
    if (!setup_.rows_pass) {
        if (!setup_.broken.state_keeps_batches)
            t.shard[p].used[edge]--;
        out.add(t, "shard %d takes batch %d of step %d", i, taken.position, k);
        return;
    }
    for (int to = 0; to < setup_.shards; to++) {
        t.shard[i].row = taken.position;
        t.shard[i].row_to = (uint8_t)to;
        out.add(t, "shard %d takes batch %d of step %d, its result is for %d", i, taken.position, k,
                to);
    }
}

/* EDGE_ENDED on every edge and decoded: the stage is ending, and done if it sends nothing. */
void Protocol::stage1_rows_ended(const State &s, int i, Successors<State> &out) const
{
    const int k = s.shard[i].step1, p = s.cutter[k];
    bool empty = true;
    const bool decoded = (s.decoded >> k & 1) != 0;

    for (int edge = 0; edge < (setup_.self_join ? 2 : 1); edge++)
        empty = empty && head(s, edge, p, i, k) == nullptr;
    State t = s;
    if (setup_.broken.ring_before_flag) {
        if (!s.shard[i].looked && empty) {
            t.shard[i].looked = 1;
            out.add(t, "shard %d sees nothing of step %d in the ring", i, k);
        }
        empty = s.shard[i].looked;
    }
    if (!decoded || !empty)
        return;
    const int fires = setup_.exchanges == 2 ? firings(s, k) : 0;
    if (fires == 0) {
        finish1(t, i);
        out.add(t, "shard %d: stage 1 is done with step %d", i, k);
    }
    for (int to = 0; fires > 0 && to < setup_.shards; to++) {
        t.shard[i].ending = 1;
        t.shard[i].fire_to = (uint8_t)to;
        out.add(t, "shard %d fires in step %d, first result for %d", i, k, to);
    }
}

/* The result that waits for room in the second exchange: a row, or the next firing. */
static int pending(const Shard &x, int shards, int i, int *to)
{
    *to = x.row != NONE ? x.row_to : x.fire_to;
    return x.row != NONE ? x.row : FIRED + x.fired * shards + i;
}

void Protocol::stage1_send(const State &s, int i, Successors<State> &out) const
{
    const Shard &x = s.shard[i];
    const int k = x.step1;
    int to;
    const int position = pending(x, setup_.shards, i, &to);
    State t = s;

    push(ring(t, 1, i, to), k, position, false, 1);
    t.shard[i].used[1]++;
    if (x.row != NONE) {
        t.shard[i].row = t.shard[i].row_to = NONE;
        if (!setup_.broken.state_keeps_batches)
            t.shard[s.cutter[k]].used[0]--; /* its batch goes home only now */
        out.add(t, "shard %d sends the result of batch %d of step %d to %d", i, x.row, k, to);
        return;
    }
    t.shard[i].fired++;
    const bool more = t.shard[i].fired < firings(s, k);
    for (int next = 0; next < (more ? setup_.shards : 1); next++) {
        t.shard[i].fire_to = (uint8_t)(more ? next : (int)NONE);
        out.add(t, "shard %d sends firing %d of step %d to %d", i, x.fired, k, to);
    }
}

/* tell_reached() when held up, stage_passed() when there is nothing to take. */
int Protocol::reached1(const State &s, int i) const
{
    const Shard &x = s.shard[i];
    int to;

    if (x.row != NONE || x.fire_to != NONE)
        return pending(x, setup_.shards, i, &to);
    if (x.ending || x.step1 >= s.cut_count || setup_.broken.tell_only_news ||
        oldest(s, 0, s.cutter[x.step1], i) != nullptr)
        return NONE;
    return x.bound1;
}

void Protocol::stage1_tell(const State &s, int i, Successors<State> &out) const
{
    const Shard &x = s.shard[i];
    const int position = reached1(s, i);

    for (int q = 0; q < setup_.shards && position != NONE; q++) {
        State t = s;

        if (ring(s, 1, i, q).count > 0 || x.told1[q] == position)
            continue;
        push(ring(t, 1, i, q), x.step1, position, true, 1);
        t.shard[i].told1[q] = (uint8_t)position;
        out.add(t, "shard %d tells %d that its stage 1 is at %d of step %d", i, q, position,
                x.step1);
    }
}

void Protocol::stage1(const State &s, int i, Successors<State> &out) const
{
    const Shard &x = s.shard[i];
    int to;

    if (x.step1 >= s.cut_count || x.step1 == NONE)
        return;
    if (x.row != NONE || (x.ending && x.fire_to != NONE)) {
        pending(x, setup_.shards, i, &to);
        if (can_send(s, 1, i, to))
            stage1_send(s, i, out);
        else
            stage1_tell(s, i, out);
        return;
    }
    if (x.ending) { /* exchange_flush() has sent all: stage_finish() */
        State t = s;

        finish1(t, i);
        out.add(t, "shard %d: stage 1 is done with step %d", i, x.step1);
        return;
    }
    stage1_take(s, i, 0, out);
    if (setup_.self_join &&
        (!setup_.broken.second_piece_after_first ||
         ((s.decoded >> x.step1 & 1) != 0 && head(s, 0, s.cutter[x.step1], i, x.step1) == nullptr)))
        stage1_take(s, i, 1, out);
    if (setup_.exchanges == 2)
        stage1_tell(s, i, out);
    stage1_rows_ended(s, i, out);
}

/* ---- stage 2: the merge ---- */

void Protocol::finish2(State &s, int i) const
{
    Shard &x = s.shard[i];

    take_part(s, i, 1, x.step2);
    x.step2++;
    x.last2 = NONE;
    memset(x.bound2, NONE, sizeof x.bound2);
    forget(s);
}

/* Whether sender @from, without a head, might still bring something before @position (least_head()). */
bool Protocol::may_be_smaller(const State &s, int i, int from, int step, int position) const
{
    const Item *item = head(s, 1, from, i, step);
    const int bound = s.shard[i].bound2[from];

    if (item != nullptr && !item->marker)
        return item->position < position;
    if (item == nullptr && s.shard[from].step1 > step)
        return false;
    if (item != nullptr || setup_.broken.merge_waits_for_heads)
        return true;
    return bound == NONE || bound < position;
}

void Protocol::stage2_take(const State &s, int i, int from, Successors<State> &out) const
{
    const int k = s.shard[i].step2;
    const Item *item = oldest(s, 1, from, i);

    if (item == nullptr)
        return;
    if (item->step < k)
        out.violation = "a result of a finished step";
    if (item->step != k)
        return;
    const Item taken = *item;
    State t = s;
    pop(ring(t, 1, from, i));
    for (int j = 0; j < setup_.shards; j++)
        if (j != from && may_be_smaller(s, i, j, k, taken.position))
            return;
    if (s.shard[i].last2 != NONE && s.shard[i].last2 >= taken.position)
        out.violation = "results of a step out of order";
    t.shard[i].last2 = taken.position;
    t.shard[from].used[1]--;
    out.add(t, "shard %d takes result %d of step %d from %d", i, taken.position, k, from);
}

void Protocol::stage2(const State &s, int i, Successors<State> &out) const
{
    const int k = s.shard[i].step2;
    bool ended = true;

    if (k >= s.cut_count)
        return;
    for (int from = 0; from < setup_.shards; from++) {
        stage2_take(s, i, from, out);
        ended = ended && s.shard[from].step1 > k && head(s, 1, from, i, k) == nullptr;
    }
    if (ended) {
        State t = s;

        finish2(t, i);
        out.add(t, "shard %d: stage 2 is done with step %d", i, k);
    }
}

/* ---- markers ---- */

void Protocol::hear1(State &s, int i, int position) const
{
    Shard &x = s.shard[i];

    x.bound1 = (uint8_t)position;
    for (int q = 0; q < setup_.shards && setup_.broken.tell_only_news; q++)
        if (ring(s, 1, i, q).count == 0) { /* once, and only where there is room */
            push(ring(s, 1, i, q), x.step1, position, true, 1);
            x.told1[q] = (uint8_t)position;
        }
}

bool Protocol::hear(State &s, int edge, int from, int i) const
{
    Shard &x = s.shard[i];
    const bool merged = edge == 1 && setup_.exchanges == 2;
    const Item *item = head(s, edge, from, i, merged ? x.step2 : x.step1);

    if (item == nullptr || !item->marker ||
        (setup_.broken.tell_only_news && !merged && (x.row != NONE || x.ending)))
        return false;
    const int position = item->position;
    pop(ring(s, edge, from, i));
    if (merged)
        x.bound2[from] = (uint8_t)position;
    else
        hear1(s, i, position);
    return true;
}

/* Takes markers of a receiver's own step out of its rings as soon as they are there: nothing can keep it from doing so. */
void Protocol::settle(State &s) const
{
    bool heard = true;

    while (heard) {
        heard = false;
        for (int i = 0; i < setup_.shards; i++)
            for (int from = 0; from < setup_.shards; from++)
                for (int edge = 0; edge < 2; edge++)
                    heard = hear(s, edge, from, i) || heard;
    }
}

/* ---- the whole ---- */

void Protocol::successors(const State &s, Successors<State> &out) const
{
    for (int i = 0; i < setup_.shards; i++) {
        if (s.shard[i].left)
            continue;
        cut(s, i, out);
        front(s, i, out);
        if (setup_.broken.full_ring_does_not_drain && front_blocked(s, i))
            continue;
        stage1(s, i, out);
        if (setup_.exchanges == 2)
            stage2(s, i, out);
    }
    if (setup_.may_abort && !s.stop && !s.last_cut) {
        State t = s;

        t.stop = 1;
        out.add(t, "%s", "someone asks to stop");
    }
    if (setup_.checkpoint && s.request == 0) {
        State t = s;

        t.request = 1;
        out.add(t, "%s", "someone asks for a checkpoint");
    }
    for (State &t : out.states)
        settle(t);
}

const char *Protocol::missing(const State &s) const
{
    for (int i = 0; i < setup_.shards; i++) {
        const Shard &x = s.shard[i];

        if (x.step1 < s.cut_count || (setup_.exchanges == 2 && x.step2 < s.cut_count))
            return "a cut step is not finished";
        if (x.front_step != NONE)
            return "a step is not decoded";
        if (x.used[0] + x.used[1] > 0)
            return "batches have not come home";
        for (int stage = 0; stage < setup_.exchanges; stage++)
            if (x.checkpoint[stage] != s.checkpoint)
                return "a stage did not take part in the checkpoint";
    }
    if (s.request == 1)
        return "the checkpoint is never served";
    if (s.aborted == NONE && s.cut_count < plan_count_)
        return "input is left";
    return nullptr;
}

/* Rises with every action. Finished things weigh more than all that goes on within them, a row more than the
 * positions that it makes old, the first exchange more than the second. */
uint64_t Protocol::measure(const State &s) const
{
    uint64_t steps = s.cut_count + s.stop + s.request, going = 10000;

    for (int k = 0; k < STEPS; k++)
        steps += s.decoded >> k & 1;
    for (int i = 0; i < setup_.shards; i++) {
        const Shard &x = s.shard[i];
        const int reached = reached1(s, i);

        steps += x.step1 + x.step2;
        going += x.front_next * 2000 + x.fired * 100 + (x.ending + x.looked) * 100;
        going -= (x.row != NONE) * 100;
        for (int q = 0; q < 2 * setup_.shards; q++)
            going += 100 * (x.front_step != NONE && x.front_told[q] == x.front_next);
        for (int q = 0; q < setup_.shards; q++) {
            going += 10 * (reached != NONE && x.told1[q] == reached);
            for (int edge = 0; edge < 2; edge++)
                for (int n = 0; n < s.ring[edge][i][q].count; n++) {
                    const Item &item = s.ring[edge][i][q].items[n];

                    going -= item.edge == 1 ? 2 : item.marker ? 50 : 250;
                }
        }
    }
    return steps * 100000 + going;
}

/* tests/model/search.h - exhaustive breadth-first search over all states that a protocol can reach.
 *
 * Visited states are kept as 128-bit hashes: of 10^8 states two share one with probability below 10^-22. The search
 * ends at the first broken property, so its depth is the length of the shortest counterexample.
 *
 * Deadlock: a state without a successor that is not an orderly end. Livelock: every action must raise a measure that
 * only the state determines, so the graph has no cycle, and every way through it leads to a state without a successor.
 */
#ifndef MODEL_SEARCH_H
#define MODEL_SEARCH_H

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include <xxhash.h>

class StateSet
{
  public:
    StateSet() : slots_(1u << 16), count_(0) {}
    /* False: it was there already. */
    bool insert(const void *bytes, size_t length)
    {
        if (count_ * 4 > slots_.size() * 3)
            grow();
        return put(slots_, XXH3_128bits(bytes, length));
    }
    size_t size() const { return count_; }

  private:
    bool put(std::vector<XXH128_hash_t> &slots, XXH128_hash_t hash)
    {
        const size_t mask = slots.size() - 1;
        size_t at = hash.low64 & mask;

        hash.high64 |= 1; /* all zero: free */
        for (; slots[at].high64 != 0; at = (at + 1) & mask)
            if (slots[at].low64 == hash.low64 && slots[at].high64 == hash.high64)
                return false;
        slots[at] = hash;
        count_++;
        return true;
    }
    void grow()
    {
        std::vector<XXH128_hash_t> larger(slots_.size() * 2);

        count_ = 0;
        for (const XXH128_hash_t &hash : slots_)
            if (hash.high64 != 0)
                put(larger, hash);
        slots_.swap(larger);
    }

    std::vector<XXH128_hash_t> slots_;
    size_t count_;
};

struct Outcome {
    enum { HOLDS, BROKEN, TOO_LARGE } result;
    size_t states, length;          /* of the counterexample, or of the longest way */
    size_t ends;                    /* different orderly ends */
    std::string what;               /* the broken property */
    std::vector<std::string> trace; /* actions, if asked for */
};

/* What a protocol gives to the search. State has no padding. */
template <class State> struct Successors {
    std::vector<State> states;
    std::vector<std::string> actions; /* only if @named */
    const char *violation = nullptr;  /* a property that this state, or a step out of it, breaks */
    bool named = false;

    void clear()
    {
        states.clear();
        actions.clear();
        violation = nullptr;
    }
    template <class... Args> void add(const State &next, const char *format, Args... args)
    {
        states.push_back(next);
        if (named) {
            char text[120];

            snprintf(text, sizeof text, format, args...);
            actions.push_back(text);
        }
    }
};

template <class Protocol> class Search
{
  public:
    using State = typename Protocol::State;

    Search(const Protocol &protocol, size_t states_max, bool trace)
        : protocol_(protocol), states_max_(states_max), trace_(trace)
    {
        next_.named = trace;
    }

    Outcome run()
    {
        State start = protocol_.start();
        std::vector<State> level{start}, below;

        out_ = Outcome{Outcome::HOLDS, 0, 0, 0, "", {}};
        seen_.insert(&start, sizeof start);
        while (!level.empty() && out_.result == Outcome::HOLDS) {
            below.clear();
            for (const State &state : level)
                if (!visit(state, below))
                    break;
            level.swap(below);
            if (out_.result == Outcome::HOLDS && !level.empty())
                out_.length++;
        }
        out_.states = seen_.size();
        return out_;
    }

  private:
    bool fail(const State &state, const std::string &what)
    {
        out_.result = Outcome::BROKEN;
        out_.what = what;
        for (std::string at = key(state); trace_ && parents_.count(at) != 0;) {
            out_.trace.insert(out_.trace.begin(), parents_[at].second);
            at = std::string(parents_[at].first);
        }
        return false;
    }

    bool visit(const State &state, std::vector<State> &below)
    {
        next_.clear();
        protocol_.successors(state, next_);
        if (next_.violation != nullptr)
            return fail(state, next_.violation);
        if (next_.states.empty()) {
            const char *missing = protocol_.missing(state);

            if (missing != nullptr)
                return fail(state, std::string("deadlock: ") + missing);
            out_.ends++;
            return true;
        }
        const uint64_t measure = protocol_.measure(state);
        for (size_t i = 0; i < next_.states.size(); i++) {
            const State &s = next_.states[i];

            if (protocol_.measure(s) <= measure)
                return fail(state, "livelock: an action that makes no progress");
            if (!seen_.insert(&s, sizeof s))
                continue;
            below.push_back(s);
            if (trace_)
                parents_[key(s)] = {key(state), next_.actions[i]};
        }
        if (seen_.size() > states_max_) {
            out_.result = Outcome::TOO_LARGE;
            out_.what = "more states than allowed";
            return false;
        }
        return true;
    }

    static std::string key(const State &s) { return std::string((const char *)&s, sizeof s); }

    const Protocol &protocol_;
    size_t states_max_;
    bool trace_;
    StateSet seen_;
    Successors<State> next_;
    Outcome out_;
    std::unordered_map<std::string, std::pair<std::string, std::string>> parents_;
};

#endif

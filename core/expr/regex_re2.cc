// core/expr/regex_re2.cc - RE2 behind core/expr/regex.h, and PCRE2 for the patterns that RE2 refuses.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/expr/regex.h"
#include "core/expr/regex_plain.h"

#include <cstdio>
#include <memory>
#include <new>
#include <pcre2.h>
#include <re2/re2.h>

namespace
{
constexpr uint32_t steps_max = 200000, heap_kib_max = 1024, depth_max = 5000;

struct pcre {
    pcre2_code *code = nullptr;
    pcre2_match_data *found = nullptr;
    pcre2_match_context *limits = nullptr;
    ~pcre()
    {
        pcre2_match_context_free(limits);
        pcre2_match_data_free(found);
        pcre2_code_free(code);
    }
};

pcre *pcre_new(const char *pattern, size_t bytes)
{
    int reason;
    PCRE2_SIZE at;
    auto *p = new (std::nothrow) pcre;
    if (p == nullptr)
        return nullptr;
    p->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), bytes,
                            PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C, &reason,
                            &at, nullptr);
    p->found =
        p->code != nullptr ? pcre2_match_data_create_from_pattern(p->code, nullptr) : nullptr;
    p->limits = pcre2_match_context_create(nullptr);
    if (p->found == nullptr || p->limits == nullptr) {
        delete p;
        return nullptr;
    }
    pcre2_set_match_limit(p->limits, steps_max);
    pcre2_set_heap_limit(p->limits, heap_kib_max);
    pcre2_set_depth_limit(p->limits, depth_max);
    return p;
}

int pcre_match(const pcre *p, const char *text, size_t bytes, size_t from, uint32_t how)
{
    const int n = pcre2_match(p->code, reinterpret_cast<PCRE2_SPTR>(text), bytes, from, how,
                              p->found, p->limits);
    return n > 0 ? 1 : n == PCRE2_ERROR_NOMATCH ? 0 : REGEX_TOO_HARD;
}
} // namespace

struct regex {
    std::unique_ptr<re2::RE2> linear;
    std::unique_ptr<pcre> back; // when RE2 refuses
    regex_plain plain = {};
    bool is_plain = false; // RE2 takes it, and it is of that form
};

extern "C" struct regex *regex_new(const char *pattern, size_t bytes, char *why, size_t why_bytes)
{
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(8 << 20);
    auto *r = new (std::nothrow) regex;
    if (r == nullptr)
        return nullptr;
    r->linear.reset(new (std::nothrow) re2::RE2(re2::StringPiece(pattern, bytes), options));
    if (r->linear != nullptr && r->linear->ok()) {
        r->is_plain = regex_plain_parse(pattern, bytes, &r->plain);
        return r;
    }
    if (r->linear != nullptr)
        std::snprintf(why, why_bytes, "%s", r->linear->error().c_str());
    if (r->linear != nullptr && r->linear->error_code() != re2::RE2::ErrorPatternTooLarge)
        r->back.reset(pcre_new(pattern, bytes));
    if (r->back == nullptr) {
        delete r;
        return nullptr;
    }
    r->linear.reset();
    return r;
}

extern "C" void regex_free(struct regex *r)
{
    delete r;
}

extern "C" const struct regex_plain *regex_as_plain(const struct regex *r)
{
    return r->is_plain ? &r->plain : nullptr;
}

extern "C" uint32_t regex_groups(const struct regex *r)
{
    uint32_t groups = 0;
    if (r->back == nullptr)
        return static_cast<uint32_t>(r->linear->NumberOfCapturingGroups());
    pcre2_pattern_info(r->back->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    return groups;
}

static int find_back(const pcre *p, const char *text, size_t bytes, size_t from, uint32_t group,
                     size_t *begin, size_t *end)
{
    const int found = pcre_match(p, text, bytes, from, 0);
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(p->found);
    if (found != 1 || group >= pcre2_get_ovector_count(p->found))
        return found == 1 ? 0 : found;
    if (at[2 * group] == PCRE2_UNSET)
        return 2;
    *begin = at[2 * group];
    *end = at[2 * group + 1] < *begin ? *begin : at[2 * group + 1]; // \K in a look-ahead
    return 1;
}

extern "C" int regex_find(const struct regex *r, const char *text, size_t bytes, size_t from,
                          uint32_t group, size_t *begin, size_t *end)
{
    re2::StringPiece found[64];
    const re2::StringPiece subject(text, bytes);
    if (r->back != nullptr)
        return find_back(r->back.get(), text, bytes, from, group, begin, end);
    if (group >= 64 || !r->linear->Match(subject, from, bytes, re2::RE2::UNANCHORED, found,
                                         static_cast<int>(group) + 1))
        return 0;
    if (found[group].data() == nullptr)
        return 2;
    *begin = static_cast<size_t>(found[group].data() - text);
    *end = *begin + found[group].size();
    return 1;
}

extern "C" int regex_matches_all(const struct regex *r, const char *text, size_t bytes)
{
    const re2::StringPiece subject(text, bytes);
    if (r->back != nullptr)
        return pcre_match(r->back.get(), text, bytes, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED);
    return r->linear->Match(subject, 0, bytes, re2::RE2::ANCHOR_BOTH, nullptr, 0) ? 1 : 0;
}

// core/expr/regex_re2.cc - RE2 behind core/expr/regex.h.
#include "core/expr/regex.h"

#include <cstdio>
#include <new>
#include <re2/re2.h>

struct regex {
    explicit regex(const re2::StringPiece &pattern, const re2::RE2::Options &options)
        : compiled(pattern, options)
    {
    }
    re2::RE2 compiled;
};

extern "C" struct regex *regex_new(const char *pattern, size_t bytes, char *why, size_t why_bytes)
{
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(8 << 20);
    auto *r = new (std::nothrow) regex(re2::StringPiece(pattern, bytes), options);
    if (r == nullptr)
        return nullptr;
    if (!r->compiled.ok()) {
        std::snprintf(why, why_bytes, "%s", r->compiled.error().c_str());
        delete r;
        return nullptr;
    }
    return r;
}

extern "C" void regex_free(struct regex *r)
{
    delete r;
}

extern "C" uint32_t regex_groups(const struct regex *r)
{
    return static_cast<uint32_t>(r->compiled.NumberOfCapturingGroups());
}

extern "C" int regex_find(const struct regex *r, const char *text, size_t bytes, size_t from,
                          uint32_t group, size_t *begin, size_t *end)
{
    re2::StringPiece found[64];
    const re2::StringPiece subject(text, bytes);
    if (group >= 64 || !r->compiled.Match(subject, from, bytes, re2::RE2::UNANCHORED, found,
                                          static_cast<int>(group) + 1))
        return 0;
    if (found[group].data() == nullptr)
        return 2;
    *begin = static_cast<size_t>(found[group].data() - text);
    *end = *begin + found[group].size();
    return 1;
}

extern "C" bool regex_matches_all(const struct regex *r, const char *text, size_t bytes)
{
    const re2::StringPiece subject(text, bytes);
    return r->compiled.Match(subject, 0, bytes, re2::RE2::ANCHOR_BOTH, nullptr, 0);
}

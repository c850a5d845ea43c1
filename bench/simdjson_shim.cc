/* simdjson_shim.cc - the same decoding with simdjson's on-demand parser, for bench_json.c. One thread; fields are asked for in
 * their order in the text, which is the parser's fast way; the calendar is computed once per day. */
#include <cstdint>
#include <cstring>
#include <simdjson.h>
#include <vector>

struct sums {
    uint64_t rows, numbers, bytes, times;
};
extern "C" struct sums simdjson_decode(const char *bytes, size_t length, bool all);
extern "C" const char *simdjson_name(void);

using namespace simdjson;

namespace
{
constexpr size_t ROWS = 4096;

struct columns {
    std::vector<int64_t> auction = std::vector<int64_t>(ROWS), bidder = auction, price = auction,
                         time = auction;
    std::vector<std::string_view> channel = std::vector<std::string_view>(ROWS), extra = channel;
};

uint64_t two(const char *p)
{
    return uint64_t(p[0] - '0') * 10 + uint64_t(p[1] - '0');
}

bool digits(const char *p, int n)
{
    for (int i = 0; i < n; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return true;
}

struct calendar {
    char day[10] = {};
    int64_t days = 0;

    /* 'yyyy-MM-dd HH:mm:ss.SSS' to microseconds. */
    bool parse(std::string_view s, int64_t *out)
    {
        const char *p = s.data();

        if (s.size() != 23 || p[10] != ' ' || p[13] != ':' || p[16] != ':' || p[19] != '.' ||
            !digits(p + 11, 2) || !digits(p + 14, 2) || !digits(p + 17, 2) || !digits(p + 20, 3))
            return false;
        if (memcmp(day, p, 10) != 0) {
            if (p[4] != '-' || p[7] != '-' || !digits(p, 4) || !digits(p + 5, 2) ||
                !digits(p + 8, 2))
                return false;
            const int64_t y = int64_t(two(p) * 100 + two(p + 2)), m = int64_t(two(p + 5)),
                          d = int64_t(two(p + 8));
            const int64_t shifted = m <= 2 ? y - 1 : y, era = shifted / 400,
                          of_era = shifted - era * 400;
            const int64_t of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

            days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
            memcpy(day, p, 10);
        }
        *out = days * 86400000000 +
               int64_t((two(p + 11) * 60 + two(p + 14)) * 60 + two(p + 17)) * 1000000 +
               int64_t(uint64_t(p[20] - '0') * 100 + two(p + 21)) * 1000;
        return true;
    }
};
} // namespace

extern "C" struct sums simdjson_decode(const char *bytes, size_t length, bool all)
{
    static ondemand::parser parser;
    static columns c;
    static calendar calendar;
    sums s = {};
    size_t n = 0;
    ondemand::document_stream stream;

    const auto flush = [&] {
        for (size_t i = 0; i < n; i++) {
            s.numbers += uint64_t(c.price[i]);
            s.times += uint64_t(c.time[i]);
            if (!all)
                continue;
            s.numbers += uint64_t(c.auction[i]) + uint64_t(c.bidder[i]);
            s.bytes += c.channel[i].size() + c.extra[i].size();
        }
        s.rows += n;
        n = 0;
    };

#ifdef SIMDJSON_THREADS_ENABLED
    parser.threaded = false;
#endif
    if (parser.iterate_many(bytes, length, 1 << 20).get(stream))
        return s;
    for (auto doc : stream) {
        ondemand::object o;
        std::string_view time;

        if (doc.get_object().get(o))
            return s;
        if (all && (o.find_field("auction").get_int64().get(c.auction[n]) ||
                    o.find_field("bidder").get_int64().get(c.bidder[n])))
            return s;
        if (o.find_field("price").get_int64().get(c.price[n]))
            return s;
        if (all && o.find_field("channel").get_string().get(c.channel[n]))
            return s;
        if (o.find_field("dateTime").get_string().get(time) || !calendar.parse(time, &c.time[n]))
            return s;
        if (all && o.find_field("extra").get_string().get(c.extra[n]))
            return s;
        if (++n == ROWS)
            flush();
    }
    flush();
    return s;
}

extern "C" const char *simdjson_name(void)
{
    static std::string name = "simdjson " + std::string(SIMDJSON_STRINGIFY(SIMDJSON_VERSION)) +
                              " " + get_active_implementation()->name();

    return name.c_str();
}

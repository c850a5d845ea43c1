/* core/zone.c - time zones from zone files.
 *
 * Everything becomes one table of instants with the offset that holds from there on. A POSIX rule of the years to come is
 * written out for the 400 years after which the calendar repeats; what lies behind is moved back by whole cycles.
 */
#include "core/zone.h"

#include "core/values.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define FILE_MOST (1u << 20)
#define CYCLE_YEARS 400
#define CYCLE_SECONDS 12622780800ll /* 146097 days */
#define OFFSET_MOST (18 * 3600)

struct change {
    int64_t at; /* instant, seconds */
    int32_t before, after;
};

struct zone {
    const char *name;
    int32_t offset; /* before the first change */
    uint32_t count;
    struct change *changes;
    bool repeats; /* the last CYCLE_YEARS of changes go on for ever */
};

const char *zone_name(const struct zone *zone)
{
    return zone != NULL ? zone->name : "UTC";
}

/* ---- looking up ---- */

/* Whole cycles that @seconds lies behind the table, in seconds. */
static int64_t behind(const struct zone *z, int64_t seconds)
{
    int64_t last;

    if (!z->repeats)
        return 0;
    last = z->changes[z->count - 1].at - 2 * OFFSET_MOST;
    return seconds < last ? 0 : (floor_div(seconds - last, CYCLE_SECONDS) + 1) * CYCLE_SECONDS;
}

/* Changes at or before the instant. */
static uint32_t changes_until(const struct zone *z, int64_t instant)
{
    uint32_t low = 0, high = z->count;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (z->changes[middle].at <= instant)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int32_t offset_at(const struct zone *z, int64_t instant)
{
    const uint32_t n = changes_until(z, instant - behind(z, instant));

    return n == 0 ? z->offset : z->changes[n - 1].after;
}

/* The last change that the clock of before has shown at or before @local, or NULL. */
static const struct change *change_before(const struct zone *z, int64_t local)
{
    uint32_t low = 0, high = z->count;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (z->changes[middle].at + z->changes[middle].before <= local)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? NULL : &z->changes[low - 1];
}

static int64_t second(bool nanos)
{
    return nanos ? 1000000000 : 1000000;
}

int64_t zone_local(const struct zone *z, int64_t instant, bool nanos)
{
    return z == NULL
               ? instant
               : time_add(instant, offset_at(z, floor_div(instant, second(nanos))) * second(nanos));
}

int64_t zone_instant(const struct zone *z, int64_t local, bool nanos)
{
    const struct change *c;
    int64_t seconds;
    int32_t offset;

    if (z == NULL)
        return local;
    seconds = floor_div(local, second(nanos));
    seconds -= behind(z, seconds);
    c = change_before(z, seconds);
    offset = c == NULL ? z->offset : seconds < c->at + c->after ? c->before : c->after;
    return time_add(local, -(int64_t)offset * second(nanos));
}

int64_t zone_reached(const struct zone *z, int64_t local, bool nanos)
{
    const struct change *c;
    int64_t seconds, cycles;

    if (z == NULL)
        return local;
    seconds = floor_div(local, second(nanos));
    cycles = behind(z, seconds);
    seconds -= cycles;
    c = change_before(z, seconds);
    if (c != NULL && seconds < c->at + c->after) /* skipped */
        return time_add(c->at * second(nanos), cycles * second(nanos));
    c = c == NULL ? z->changes : c + 1;
    /* there twice, but for the first time of the repeated ones */
    if (c < z->changes + z->count &&
        (c->at + c->after < seconds ||
         (c->at + c->after == seconds && local - cycles * second(nanos) > seconds * second(nanos))))
        return time_add(local, -(int64_t)c->after * second(nanos));
    return zone_instant(z, local, nanos);
}

bool zone_is_steady(const struct zone *z, int64_t from, int64_t to, bool nanos)
{
    if (z == NULL || from > to)
        return z == NULL;
    from = floor_div(from, second(nanos));
    to = floor_div(to, second(nanos));
    return behind(z, from) == behind(z, to) &&
           changes_until(z, from - behind(z, from)) == changes_until(z, to - behind(z, to));
}

/* ---- POSIX rules: std offset dst [offset] [, start[/time], end[/time]] ---- */

struct rule_date {
    char kind; /* 'M': month, week, day; 'J': 1 .. 365 without 29 February; 'N': 0 .. 365 */
    int32_t month, week, day, time;
};
struct rule {
    int32_t standard, daylight; /* seconds east */
    bool changes;
    struct rule_date start, end;
};

static bool rule_number(const char **p, int32_t *out)
{
    const char *from = *p;

    for (*out = 0; **p >= '0' && **p <= '9' && *p - from < 5; ++*p)
        *out = *out * 10 + (**p - '0');
    return *p > from;
}

static bool rule_letters(const char **p)
{
    const char *from = *p;

    if (**p == '<') {
        while (**p != '\0' && **p != '>')
            ++*p;
        return *(*p)++ == '>';
    }
    while ((**p | 32) >= 'a' && (**p | 32) <= 'z')
        ++*p;
    return *p - from >= 3;
}

/* [+-]h[hh][:mm[:ss]] */
static bool rule_clock(const char **p, int32_t *out)
{
    const int32_t sign = **p == '-' ? -1 : 1;
    int32_t part, unit = 3600;

    if (**p == '-' || **p == '+')
        ++*p;
    for (*out = 0; unit > 0; unit /= 60) {
        if (!rule_number(p, &part))
            return false;
        *out += sign * part * unit;
        if (**p != ':')
            return true;
        ++*p;
    }
    return false;
}

static bool rule_day(const char **p, struct rule_date *d)
{
    d->kind = **p == 'M' || **p == 'J' ? *(*p)++ : 'N';
    if (d->kind == 'M') {
        if (!rule_number(p, &d->month) || *(*p)++ != '.' || !rule_number(p, &d->week) ||
            *(*p)++ != '.' || !rule_number(p, &d->day) || d->month < 1 || d->month > 12 ||
            d->week < 1 || d->week > 5 || d->day > 6)
            return false;
    } else if (!rule_number(p, &d->day) || d->day > 365) {
        return false;
    }
    d->time = 7200;
    if (**p != '/')
        return true;
    ++*p;
    return rule_clock(p, &d->time);
}

static bool rule_read(const char *p, struct rule *r)
{
    *r = (struct rule){0};
    if (!rule_letters(&p) || !rule_clock(&p, &r->standard))
        return false;
    r->standard = -r->standard;
    if (*p == '\0')
        return true;
    r->changes = true;
    r->daylight = r->standard + 3600;
    if (!rule_letters(&p))
        return false;
    if (*p != ',') {
        if (!rule_clock(&p, &r->daylight))
            return false;
        r->daylight = -r->daylight;
    }
    return *p++ == ',' && rule_day(&p, &r->start) && *p++ == ',' && rule_day(&p, &r->end) &&
           *p == '\0';
}

/* The day (since 1970) that a rule means in a year. */
static int64_t rule_date_in(const struct rule_date *d, int64_t year)
{
    const int64_t first = days_from_civil(year, 1, 1);
    int64_t day;

    if (d->kind == 'N')
        return first + d->day;
    if (d->kind == 'J')
        return first + d->day - 1 + (month_days(year, 2) == 29 && d->day >= 60);
    day = days_from_civil(year, (uint32_t)d->month, 1);
    day += (d->day - (day + 4) % 7 + 7) % 7 + (d->week - 1) * 7;
    while (day >= days_from_civil(year, (uint32_t)d->month, 1) +
                      (int64_t)month_days(year, (uint32_t)d->month))
        day -= 7;
    return day;
}

/* ---- zone files ---- */

struct reader {
    const unsigned char *next, *end;
};

static int64_t take_be(struct reader *r, uint32_t bytes)
{
    uint64_t v = 0;

    if ((size_t)(r->end - r->next) < bytes) {
        r->next = r->end;
        return 0;
    }
    for (uint32_t i = 0; i < bytes; i++)
        v = v << 8 | *r->next++;
    return bytes == 4 ? (int32_t)(uint32_t)v : (int64_t)v;
}

struct header {
    uint32_t utc, standard, leap, times, types, letters;
};

static bool take_header(struct reader *r, struct header *h)
{
    if (r->end - r->next < 44 || memcmp(r->next, "TZif", 4) != 0 || r->next[4] < '2')
        return false;
    r->next += 20;
    h->utc = (uint32_t)take_be(r, 4);
    h->standard = (uint32_t)take_be(r, 4);
    h->leap = (uint32_t)take_be(r, 4);
    h->times = (uint32_t)take_be(r, 4);
    h->types = (uint32_t)take_be(r, 4);
    h->letters = (uint32_t)take_be(r, 4);
    return h->times < 10000 && h->types > 0 && h->types <= 256 && h->letters < 10000 &&
           h->leap < 10000 && h->utc <= 256 && h->standard <= 256;
}

static size_t block_bytes(const struct header *h, uint32_t width)
{
    return (size_t)h->times * (width + 1) + h->types * 6u + h->letters +
           (size_t)h->leap * (width + 4) + h->standard + h->utc;
}

static void add_change(struct zone *z, int64_t at, int32_t offset)
{
    const int32_t before = z->count > 0 ? z->changes[z->count - 1].after : z->offset;

    if (offset == before || (z->count > 0 && at <= z->changes[z->count - 1].at))
        return;
    z->changes[z->count++] = (struct change){at, before, offset};
}

/* The changes of 401 years behind those of the file. */
static void add_years(struct zone *z, const struct rule *r)
{
    const int64_t last = z->count > 0 ? z->changes[z->count - 1].at : 0;
    struct civil c;

    civil_from_days(floor_div(last, 86400), &c);
    for (int64_t year = c.year; year <= c.year + CYCLE_YEARS + 1; year++) {
        const int64_t start = rule_date_in(&r->start, year) * 86400 + r->start.time - r->standard;
        const int64_t end = rule_date_in(&r->end, year) * 86400 + r->end.time - r->daylight;

        if (start < end) {
            add_change(z, start, r->daylight);
            add_change(z, end, r->standard);
        } else {
            add_change(z, end, r->standard);
            add_change(z, start, r->daylight);
        }
    }
    z->repeats = true;
}

static bool file_read(struct arena *arena, struct reader *r, struct zone *z)
{
    struct header h;
    const unsigned char *times, *which, *types, *end;
    struct rule rule;
    char text[80];

    if (!take_header(r, &h) || (size_t)(r->end - r->next) < block_bytes(&h, 4))
        return false;
    r->next += block_bytes(&h, 4);
    if (!take_header(r, &h) || (size_t)(r->end - r->next) < block_bytes(&h, 8))
        return false;
    times = r->next;
    which = times + (size_t)h.times * 8;
    types = which + h.times;
    r->next += block_bytes(&h, 8);
    end = r->next < r->end && *r->next == '\n'
              ? memchr(r->next + 1, '\n', (size_t)(r->end - r->next - 1))
              : NULL;
    if (end == NULL || (size_t)(end - r->next) > sizeof text)
        return false;
    memcpy(text, r->next + 1, (size_t)(end - r->next - 1));
    text[end - r->next - 1] = '\0';
    z->changes = arena_array(arena, struct change, h.times + 2 * (CYCLE_YEARS + 2));
    if (z->changes == NULL)
        return false;
    z->offset = (int32_t)take_be(&(struct reader){types, types + 4}, 4);
    for (uint32_t i = 0; i < h.times; i++) {
        const unsigned char *type = types + which[i] * 6u;

        if (which[i] >= h.types)
            return false;
        add_change(z, take_be(&(struct reader){times + i * 8u, times + i * 8u + 8}, 8),
                   (int32_t)take_be(&(struct reader){type, type + 4}, 4));
    }
    if (text[0] == '\0')
        return true;
    if (!rule_read(text, &rule))
        return false;
    if (rule.changes)
        add_years(z, &rule);
    for (uint32_t i = 0; i < z->count; i++)
        if (abs(z->changes[i].after) > 2 * OFFSET_MOST)
            return false;
    return true;
}

/* ---- names ---- */

/* [GMT|UTC|UT](+|-)h[h][[:]mm[[:]ss]] */
static bool fixed_offset(const char *name, int32_t *out)
{
    const char *p = name;
    int32_t sign, parts[3] = {0};
    uint32_t n = 0;

    if (strncmp(p, "GMT", 3) == 0 || strncmp(p, "UTC", 3) == 0)
        p += 3;
    else if (strncmp(p, "UT", 2) == 0)
        p += 2;
    if (*p != '+' && *p != '-')
        return false;
    sign = *p++ == '-' ? -1 : 1;
    while (*p != '\0' && n < 3) {
        if (n > 0 && *p == ':')
            p++;
        if (p[0] < '0' || p[0] > '9')
            return false;
        parts[n] = *p++ - '0';
        if (*p >= '0' && *p <= '9')
            parts[n] = parts[n] * 10 + (*p++ - '0');
        else if (n > 0)
            return false;
        n++;
    }
    *out = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
    return *p == '\0' && n > 0 && parts[1] < 60 && parts[2] < 60 && abs(*out) <= OFFSET_MOST;
}

static bool name_is_clean(const char *name)
{
    if (name[0] == '\0' || name[0] == '/' || strstr(name, "..") != NULL || strlen(name) > 100)
        return false;
    for (const char *p = name; *p != '\0'; p++)
        if (!((*p | 32) >= 'a' && (*p | 32) <= 'z') && !(*p >= '0' && *p <= '9') &&
            strchr("/_-+", *p) == NULL)
            return false;
    return true;
}

/* The whole file into @arena; bytes, 0 for one that is too long, or -errno. */
static int64_t load(const struct env *env, struct arena *arena, const char *path,
                    unsigned char **out)
{
    struct env_stat about;
    int64_t done = 0;
    int handle, code = env->file.stat(env->self, path, &about);

    if (code < 0)
        return code;
    if (!about.is_regular || about.bytes > FILE_MOST)
        return 0;
    *out = arena_alloc(arena, about.bytes + 1);
    if (*out == NULL)
        return -ENOMEM;
    handle = env->file.open(env->self, path, ENV_READ);
    if (handle < 0)
        return handle;
    while ((uint64_t)done < about.bytes) {
        const int64_t n = env->file.pread(env->self, handle, *out + done,
                                          about.bytes - (uint64_t)done, (uint64_t)done);

        if (n <= 0) {
            done = n;
            break;
        }
        done += n;
    }
    env->file.close(env->self, handle);
    return done;
}

static int open_named(const struct env *env, struct arena *arena, struct zone *z, uint32_t line,
                      uint32_t column, struct mill_error *error)
{
    const char *folder = env->run.variable(env->self, "TZDIR");
    unsigned char *bytes = NULL;
    struct env_stat about;
    struct reader r;
    const char *path;
    int64_t n;

    if (folder == NULL || folder[0] == '\0')
        folder = "/usr/share/zoneinfo";
    path = arena_format(arena, "%s/%s", folder, z->name);
    n = path != NULL ? load(env, arena, path, &bytes) : -ENOMEM;
    if (n == -ENOMEM)
        return mill_fail(error, MILL_E_MEMORY, line, column, "no memory for a time zone");
    if (n < 0 && n != -ENOENT && n != -ENOTDIR)
        return mill_fail_os(error, MILL_E_IO, (int)-n, "cannot read the rules of time zone %s/%s",
                            folder, z->name);
    if (n < 0 && (env->file.stat(env->self, folder, &about) < 0 || !about.is_folder))
        return mill_fail(error, MILL_E_OPTION, line, column,
                         "the rules of time zones are not in %s: install the package tzdata, or "
                         "use an offset such as '+02:00'",
                         folder);
    if (n < 0)
        return mill_fail(error, MILL_E_OPTION, line, column,
                         "there is no time zone '%s'; names are as in 'Europe/Berlin', 'UTC', "
                         "'+02:00'",
                         z->name);
    r = (struct reader){bytes, bytes + n};
    if (n == 0 || !file_read(arena, &r, z))
        return mill_fail(error, MILL_E_OPTION, line, column, "%s/%s is no time zone file", folder,
                         z->name);
    return MILL_OK;
}

int zone_open(const struct env *env, struct arena *arena, const char *name, uint32_t line,
              uint32_t column, const struct zone **out, struct mill_error *error)
{
    static const char *const utc[] = {"UTC", "Z", "GMT", "UT", "Etc/UTC"};
    struct zone *z;

    *out = NULL;
    for (size_t i = 0; i < COUNT_OF(utc); i++)
        if (strcasecmp(name, utc[i]) == 0)
            return MILL_OK;
    z = arena_new(arena, struct zone);
    if (z != NULL)
        z->name = arena_text(arena, name, strlen(name));
    if (z == NULL || z->name == NULL)
        return mill_fail(error, MILL_E_MEMORY, line, column, "no memory for a time zone");
    *out = z;
    if (fixed_offset(name, &z->offset))
        return MILL_OK;
    if (!name_is_clean(name))
        return mill_fail(error, MILL_E_OPTION, line, column,
                         "'%s' is no time zone; names are as in 'Europe/Berlin', 'UTC', '+02:00'",
                         name);
    return open_named(env, arena, z, line, column, error);
}

/* core/shard/profile_json.c - EXPLAIN ANALYZE JSON_EXECUTION_PLAN: one object on one line. */
#include "core/shard/job.h"

#include <stdarg.h>
#include <stdio.h>

struct out {
    void (*text)(void *user, const char *text, size_t bytes);
    void *user;
    bool first; /* nothing yet in the innermost object or array */
};

static void put(struct out *o, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct out *o, const char *format, ...)
{
    char text[256];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n > 0)
        o->text(o->user, text, min_u64((uint64_t)n, sizeof text - 1));
}

static void put_key(struct out *o, const char *key)
{
    put(o, "%s\"%s\": ", o->first ? "" : ", ", key);
    o->first = false;
}

static void put_count(struct out *o, const char *key, uint64_t value)
{
    put_key(o, key);
    put(o, "%llu", (unsigned long long)value);
}

static void put_real(struct out *o, const char *key, double value)
{
    put_key(o, key);
    put(o, "%.9g", value);
}

static void put_string(struct out *o, const char *key, const char *value)
{
    put_key(o, key);
    put(o, "\"");
    for (; *value != '\0'; value++)
        put(o,
            *value == '"' || *value == '\\' ? "\\%c"
            : (unsigned char)*value < 0x20  ? "\\u%04x"
                                            : "%c",
            *value);
    put(o, "\"");
}

static void put_open(struct out *o, const char *key, char bracket)
{
    if (key != NULL)
        put_key(o, key);
    else if (!o->first)
        put(o, ", ");
    put(o, "%c", bracket);
    o->first = true;
}

static void put_close(struct out *o, char bracket)
{
    put(o, "%c", bracket);
    o->first = false;
}

/* ---- records ---- */

static void put_rows(struct out *o, const struct mill_operator_profile *p)
{
    put_count(o, "rows_in", p->rows_in);
    put_count(o, "rows_out", p->rows_out);
    put_count(o, "batches", p->batches);
    put_count(o, "filtered", p->filtered);
    put_count(o, "late", p->late);
    put_count(o, "dead", p->dead);
    put_count(o, "held", p->held);
    put_count(o, "consumed", p->consumed);
    put_count(o, "ticks", p->ticks);
}

static void put_details(struct out *o, const struct mill_operator_profile *p, bool counters)
{
    put_count(o, "bytes_in", p->bytes_in);
    put_count(o, "decode_ticks", p->decode_ticks);
    put_count(o, "read_ticks", p->read_ticks);
    put_count(o, "wait_ticks", p->wait_ticks);
    put_count(o, "state_bytes", p->state_bytes);
    put_count(o, "entries", p->entries);
    put_count(o, "slots", p->slots);
    put_count(o, "tables", p->tables);
    put_real(o, "probes_mean", p->probes_mean);
    put_count(o, "probes_max", p->probes_max);
    put_count(o, "windows_fired", p->windows_fired);
    put_count(o, "receive_ticks", p->receive_ticks);
    put_count(o, "batches_sent", p->batches_sent);
    put_count(o, "batches_lent", p->batches_lent);
    put_count(o, "bytes_copied", p->bytes_copied);
    put_count(o, "ring_full", p->ring_full);
    put_count(o, "pool_empty", p->pool_empty);
    put_count(o, "suspended", p->suspended);
    put_count(o, "empty", p->empty);
    if (!counters)
        return;
    put_count(o, "instructions", p->instructions);
    put_count(o, "cycles", p->cycles);
    put_count(o, "cache_misses", p->cache_misses);
    put_count(o, "branch_misses", p->branch_misses);
}

static void put_operator(struct out *o, const struct job *job, const struct mill_profile *all,
                         const struct mill_operator_profile *p, double busy)
{
    const struct phys_node *node = job->plan->nodes[p->id];
    char label[120];

    put_open(o, NULL, '{');
    put_count(o, "id", p->id);
    put_string(o, "name", p->name);
    put_string(o, "label", node_label(node, label, sizeof label));
    put_count(o, "stage", p->stage);
    put_open(o, "inputs", '[');
    for (uint32_t i = 0; i < node->input_count; i++)
        put(o, "%s%u", i > 0 ? ", " : "", node->inputs[i]->id);
    put_close(o, ']');
    put_rows(o, p);
    put_real(o, "time_share", busy > 0 ? (double)p->ticks / busy : 0);
    put_details(o, p, all->counters);
    put_open(o, "shards", '[');
    for (uint32_t i = 0; i < job->shard_count; i++) {
        struct mill_operator_profile one;

        job_profile_operator(job, i, p->id, &one);
        put_open(o, NULL, '{');
        put_rows(o, &one);
        put_close(o, '}');
    }
    put_close(o, ']');
    put_close(o, '}');
}

static void put_times(struct out *o, const struct mill_profile *p)
{
    put_count(o, "rows_in", p->rows_in);
    put_count(o, "ticks", p->ticks);
    put_count(o, "start_ticks", p->start_ticks);
    put_count(o, "engine_ticks", p->engine_ticks);
    put_count(o, "input_wait_ticks", p->input_wait_ticks);
    put_count(o, "peer_wait_ticks", p->peer_wait_ticks);
    put_count(o, "room_wait_ticks", p->room_wait_ticks);
}

void profile_json(const struct job *job, const struct mill_profile *all,
                  const struct mill_operator_profile *operators,
                  void (*text)(void *user, const char *text, size_t bytes), void *user)
{
    struct out o = {.text = text, .user = user, .first = true};
    double busy = (double)(all->start_ticks + all->engine_ticks);

    for (uint32_t n = 0; n < all->operator_count; n++)
        busy += (double)operators[n].ticks;
    put_open(&o, NULL, '{');
    put_real(&o, "seconds", all->seconds);
    put_real(&o, "ticks_per_second", all->ticks_per_second);
    put_times(&o, all);
    put_key(&o, "counters");
    put(&o, "%s", all->counters ? "true" : "false");
    put_open(&o, "operators", '[');
    for (uint32_t n = 0; n < all->operator_count; n++)
        put_operator(&o, job, all, &operators[n], busy);
    put_close(&o, ']');
    put_open(&o, "shards", '[');
    for (uint32_t i = 0; i < all->shard_count; i++) {
        struct mill_profile one;

        job_profile(job, i, &one);
        put_open(&o, NULL, '{');
        put_times(&o, &one);
        put_close(&o, '}');
    }
    put_close(&o, ']');
    put_close(&o, '}');
    put(&o, "\n");
}

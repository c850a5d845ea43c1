/* core/plan/physical.h - the physical plan: a DAG of nodes cut into stages, which the engine instantiates.
 *
 * Nodes stand in topological order (inputs before consumers). Every shard makes all nodes; a stage is what lies
 * between two exchanges. An EXCHANGE node belongs to its sending stage; its consumer is in stage + 1 or later.
 * SINK nodes are fed by an EXCHANGE too (key_count 0, to_shard set): one shard writes, in canonical order.
 *
 * Threads: read-only after planning, shared by all shards.   Includes: types.h, expr.h, aggregate.h, source.h
 */
#ifndef MILL_PHYSICAL_H
#define MILL_PHYSICAL_H

#include "core/expr/expr.h"
#include "core/ops/aggregate.h"
#include "core/source.h"
#include "core/types.h"

enum node_kind {
    NODE_SOURCE, /* decoded rows of one table; no inputs */
    NODE_VALUES, /* literal rows; behaves as a source with one split */
    NODE_CALC,   /* filter, then project */
    NODE_ASSIGN, /* window TVF whose rows are used without GROUP BY: adds start, end, time */
    NODE_PREAGG, /* partial window aggregates per step, in the front */
    NODE_WINDOW, /* TUMBLE HOP CUMULATE aggregation */
    NODE_SESSION,
    NODE_COUNT_WINDOW,
    NODE_GROUP, /* no window, bounded: final rows at the end */
    NODE_UNION, /* passes on */
    NODE_VIEW,  /* the windows of one query, of a WINDOW that several share */
    NODE_EXCHANGE,
    NODE_SINK,
    NODE_CHANGES,        /* GROUP BY without a window as a changelog */
    NODE_WINDOW_CHANGES, /* windows with early or late results, or over rows that are taken back */
    NODE_JOIN,           /* regular: both sides kept */
    NODE_INTERVAL_JOIN,  /* times of both sides close to each other */
    NODE_WINDOW_JOIN,    /* windows of both sides the same */
    NODE_TEMPORAL_JOIN,  /* FOR SYSTEM_TIME AS OF a row time: the version of a table */
    NODE_LOOKUP_JOIN,    /* FOR SYSTEM_TIME AS OF processing time: a bounded table */
    NODE_ASOF_JOIN,      /* the latest row not after a row's time */
    NODE_RANK,           /* Top-N, deduplication */
    NODE_OVER,
    NODE_OVER_VIEW,     /* OVER, sorted: changes, or final rows */
    NODE_SET_OPERATION, /* INTERSECT, EXCEPT */
    NODE_SORT,
    NODE_LIMIT,
    NODE_MATCH,  /* MATCH_RECOGNIZE */
    NODE_EXPAND, /* one row per grouping set */
    NODE_UNNEST, /* one row per element */
    NODE_KIND_COUNT
};

/* What planning, EXPLAIN and the engine ask of a kind of node, in one table: core/plan/node_kinds.c */
struct node_traits {
    const char *name;
    bool fires;         /* results that the watermark or the end releases */
    bool keeps_rows;    /* in = consumed + filtered + late + dead + held */
    bool keys_results;  /* results of rows are made by core/ops/emit.h */
    bool takes_updates; /* rows with kinds may reach it; others are refused at planning */
    bool by_ports;      /* several inputs: takes a step's rows port by port (core/ops/ports.h) */
    bool
        in_time_order; /* rows wait until the watermark passes them: ties are broken by their keys */
};
extern const struct node_traits node_traits[NODE_KIND_COUNT];

struct watermark_spec {
    int32_t column;          /* rowtime column of the source's output, -1: none */
    struct expr *expression; /* over the source's output columns */
    int64_t delay;           /* if the expression is column - constant: the constant, else -1 */
    int64_t idle_timeout_ns; /* 0: off */
};

struct source_node {
    const char *table; /* for messages */
    const struct source_vtable *vtable;
    const struct options *options;
    struct mill_schema decoded;       /* physical + metadata columns, as the decoder gives them */
    const char *const *metadata;      /* per decoded column, or NULL */
    const bool *wanted;               /* per decoded column: read by somebody */
    const bool *const *wanted_fields; /* as source_config.wanted_fields */
    struct watermark_spec watermark;  /* over *decoded plus computed* columns = the node's schema */
    struct expr **computed; /* per column of the node's schema: NULL = next decoded column */
    struct expr *
        early; /* over decoded columns: rows where it is not TRUE are dropped by every consumer; or NULL */
    const bool *late; /* per decoded column: nobody looks at it in those rows */
    bool exact;       /* but bad values are found in them */
    enum { ON_ERROR_FAIL, ON_ERROR_SKIP, ON_ERROR_DEAD } on_error;
    const char *dead_letter_path;
    bool guessed; /* FROM 'path' */
    bool
        kinds_column; /* 'changelog.column': the first decoded column, a text, is the row's kind and none of the table's */
    struct mill_input *memory; /* connector 'memory' */
    int64_t reload_us;   /* looked up in, and read anew when so much time has passed; 0: never */
    bool reload_at_rate; /* since the last reading began, not since it ended */
};

struct calc_node {
    struct expr *filter;   /* or NULL */
    struct expr **project; /* one per output column, or NULL: all input columns */
    uint32_t project_count;
};

enum window_kind { WINDOW_TUMBLE, WINDOW_HOP, WINDOW_CUMULATE, WINDOW_SESSION, WINDOW_ROWS };

/* Sizes in the unit of the time column (microseconds or nanoseconds). */
struct window_spec {
    enum window_kind kind;
    int32_t time;       /* input column of the time attribute, -1: processing time */
    int32_t start, end; /* input columns holding window_start and window_end when rows come already
                                        * windowed (aggregate over a windowed sub-query), else -1 */
    bool attached;      /* start and end are used: group by them, fire at end - u <= W */
    int64_t unit;       /* u */
    int64_t size, slide,
        offset; /* TUMBLE: slide = size; CUMULATE: slide = step; SESSION: size = gap */
    uint64_t rows,
        slide_rows; /* TUMBLE_ROWS, HOP_ROWS: per window, per slide; size > 0: or by time */
    bool processing_time;
    bool local_zone;            /* TIMESTAMP_LTZ: aligned in the session zone */
    struct mill_type time_type; /* of window_time; its bounds: type_wall() */
};

/* Width of the slices that windows of the spec are made of (core/ops/window.c). */
int64_t window_grain(const struct window_spec *spec);

/* What the output columns of an aggregation are. */
enum out_kind {
    OUT_KEY,
    OUT_AGG,
    OUT_WINDOW_START,
    OUT_WINDOW_END,
    OUT_WINDOW_TIME,
    OUT_WINDOW_ID
};
struct out_column {
    enum out_kind kind;
    uint32_t index; /* of the key or aggregate */
};

/* 'table.exec.emit.*': when a window's results leave but on time. */
enum emit_when { EMIT_NEVER, EMIT_ROW, EMIT_DELAYED };
struct window_emit {
    enum emit_when early, late;
    int64_t early_us, late_us; /* DELAYED: the interval, of processing time */
    int64_t lateness;          /* it stays so long behind its end; in the unit of the time column */
    int64_t lateness_ns;
    int64_t hold_ns; /* final rows: the watermark is held back by the lateness instead */
};

struct aggregate_node {
    struct window_spec window; /* GROUP: unused */
    struct window_emit emit;
    /* WINDOW and its PREAGG whose slices serve several window specs, TUMBLE or HOP, of one offset; view k's results go to
     * the k-th consumer, a VIEW node. 0: window alone */
    struct window_spec *views;
    uint32_t view_count;
    const uint32_t *keys; /* input columns */
    uint32_t key_count;
    const struct agg_spec *aggs; /* arg and filter are input columns */
    uint32_t agg_count;
    const struct out_column *outs; /* one per column of the node's schema */
    int64_t ttl_us;                /* CHANGES: table.exec.state.ttl; 0: none */
    bool distinct_rows;            /* SELECT DISTINCT: no aggregates */
    struct phys_node *partials;    /* the PREAGG node in the front that may feed it, or NULL */
    bool always;                   /* PREAGG: never passes rows through as they are */
    /* LATE DATA INTO: rows late for all windows, as input columns + late_watermark TIMESTAMP, late_reason STRING */
    bool late_output;
};

#define STAGE_LEVELS_MAX 8u

/* A way of rows through a stage, from an exchange that brings them to one that takes them on: what the one may still send is
 * known from how far the other has come. */
struct stage_path {
    uint32_t from;   /* id of the exchange that brings them */
    uint32_t origin; /* added to their origins on the way */
    /* Operators on the way that put the origin of a result in front of its key (core/ops/emit.h), the last one first: what has
     * been added to origins up to there. */
    uint32_t levels[STAGE_LEVELS_MAX], level_count;
    uint32_t number_count; /* of those, how many put a running number behind the key as well */
    /* What firings before the stage cause in them: their ids, and the ports that it comes in at. */
    uint32_t level_ids[STAGE_LEVELS_MAX];
    uint8_t level_ports[STAGE_LEVELS_MAX];
    /* It may wait, at an operator of several inputs; or one in front of all levels fires, too: how far it has come is not told. */
    bool hides_firings, fires_first;
    uint64_t
        waits_on; /* in steps of these sources they wait until the stage's rows have ended: an earlier port has some too */
};

struct exchange_node {
    const uint32_t *keys; /* input columns; none: all to to_shard */
    uint32_t key_count;
    uint32_t level;                 /* 0 = first exchange; own rings and pools per level */
    bool merge;                     /* consumer cares about order */
    bool sink;                      /* gather to one shard */
    bool stays;                     /* each row stays in its shard, whatever the keys */
    bool copies;                    /* every shard gets all rows, whatever the keys */
    const struct stage_path *paths; /* of rows to it through its stage */
    uint32_t path_count;
};

struct sink_node {
    const char *table;
    const struct sink_vtable *vtable; /* NULL: to the caller's callbacks or mill_poll() */
    const struct options *options;
    const uint32_t *partition_by; /* columns of PARTITIONED BY */
    uint32_t partition_count;
    uint32_t index; /* sinks are dealt to shards by index */
    struct mill_schema
        written; /* what the connector gets: the node's schema, behind the column of kinds if there is one */
    bool kinds_column; /* 'changelog.column': first a text "+I", "-U", "+U" or "-D" */
    bool upserts;      /* PRIMARY KEY: rows gone for newer ones (-U) are not written */
};

struct phys_node {
    enum node_kind kind;
    uint32_t id;    /* position in the plan's nodes */
    uint32_t query; /* of a STATEMENT SET that it was planned for */
    uint32_t stage;
    struct mill_schema schema; /* of what it gives */
    struct phys_node **inputs;
    uint32_t input_count;
    struct phys_node **late_to; /* EXCHANGE nodes of LATE DATA sinks */
    uint32_t late_to_count;
    bool read_first;  /* a source: all of it before those that are not */
    int32_t rowtime;  /* time attribute in schema, -1: none */
    uint64_t sources; /* bit s: source s is upstream; its watermark is the min over these */
    uint32_t line, column;
    bool reads_clock; /* goes by the step's clock: processing time, state TTL */
    const char *why;  /* for EXPLAIN: why there is state and when it is dropped */
    /* Rows have kinds: made so by operator updating_by, a text such as "the regular LEFT JOIN at 3:7". */
    bool updating;
    const char *updating_by;
    bool
        changelog; /* results that change leave as changes; else final rows leave once, at the end of the input */
    /* Columns that tell its rows apart, where known: an update of a row has the same. */
    const uint32_t *unique;
    uint32_t unique_count;
    int64_t
        hold_back; /* its rows' times may lie this far behind the watermark of its inputs; nanoseconds */
    /* Per source of the plan: how far its watermark is held back on the way to this node, all ways taken; NULL: nowhere. */
    const int64_t *holds;
    /* Origins that its row results have, 1 of most; several inputs: of each port the first (else NULL). */
    uint32_t origins;
    const uint32_t *port_origins;
    /* Of several shards: rows of UNION get keys that tell its ports apart, those of ASSIGN the copies of a row */
    bool keys_rows;
    union {
        struct source_node source;
        struct calc_node calc;
        struct aggregate_node aggregate;
        struct exchange_node exchange;
        struct sink_node sink;
        const struct join_node *join;     /* all kinds of joins: core/ops/join.h */
        const struct rank_node *rank;     /* core/ops/rank.h */
        const struct over_node *over;     /* OVER, OVER_VIEW: core/ops/over.h */
        const struct sort_node *sort;     /* SORT, LIMIT: core/ops/sort.h */
        const struct match_node *match;   /* core/ops/match.h */
        const struct set_node *set;       /* SET_OPERATION: core/ops/set_operation.h */
        const struct expand_node *expand; /* core/ops/expand.h */
        const struct unnest_node *unnest; /* core/ops/unnest.h */
        struct {
            struct expr ***rows;
            uint32_t row_count;
        } values;
    };
};

struct phys_plan {
    struct phys_node **nodes;
    uint32_t node_count;
    struct phys_node **sources; /* NODE_SOURCE and NODE_VALUES, at most 64 */
    uint32_t source_count;
    uint32_t stage_count; /* exchanges in the longest way + 1 */
    bool bounded;
    uint64_t fingerprint;
    const struct zone *zone; /* the session's; NULL: UTC */
};

/* "GroupAggregate" */
const char *node_name(const struct phys_node *node);
/* As EXPLAIN names it, with its table or keys: "GroupAggregate[3] by url". */
const char *node_label(const struct phys_node *node, char *to, size_t room);

#endif

/* core/shard/job.h - one running query: shards, stages, the step directory, the cursor token.
 *
 * Life of a step s:
 *   cut       whoever holds the token writes directory entry s and then cut_count = s + 1
 *   decoded   the cutter has pushed every row of s through its front and flushed; entry.decoded = 1
 *   done      stage x of shard i has finished s: stages[x].done = s + 1 (one cache line each)
 *   finished  every stage of every shard is done with s; the cutter releases the raw bytes
 * Bounds:   s - K finished before s is cut        s - D decoded before s is cut (several splits)
 *
 * Shared words and their orders: docs/CONCURRENCY.md. Everything not atomic belongs to one shard, or to the
 * holder of the token, or is written before the threads start.
 * Includes: physical.h, op.h, profile.h, ring.h
 */
#ifndef MILL_JOB_H
#define MILL_JOB_H

#include "core/ops/op.h"
#include "core/plan/physical.h"
#include "core/ring.h"
#include "core/shard/profile.h"

#define SPLITS_MAX 65536u
#define NO_SPLIT UINT32_MAX

enum step_flags {
    STEP_SPLIT_END = 1,  /* the split has no more */
    STEP_SPLIT_OPEN = 2, /* a split that was found while running */
    STEP_LAST = 4,       /* the run ends here and everything flushes */
    STEP_ABORT = 8,      /* the run ends here, what is open stays unfired */
    STEP_EMPTY = 16,     /* no piece */
    STEP_AGAIN = 32      /* all splits of the source have ended and are read anew */
};

struct step_entry {
    uint64_t step; /* by the cutter, before cut_count */
    uint32_t split, source;
    uint32_t cutter, flags;
    int64_t clock_us;
    struct piece piece; /* the cutter's own */
    int64_t wm_max;     /* greatest watermark value in the step; before decoded */
    uint32_t rows;
    OWN_LINE at_u32 decoded;
};

/* Known under the token only. */
struct split {
    uint32_t source, local;
    const char *name;
    uint64_t steps_cut;
    bool ended;
    int64_t g_known; /* G after step next - D */
    int64_t last_clock_us;
};

/* 'on-error' of one table: fail, skip, or dead letters. Any shard may report. */
struct bad_policy {
    struct bad_rows rows;
    const struct phys_node *node;
    struct bad_rows *letters; /* of deadletter_open(), or NULL */
    at_u32 guard;
    at_u64 dead; /* rows that were not decodable */
};

struct source_run {
    const struct phys_node *node;
    struct bad_policy bad;
    struct source *source;
    uint32_t splits_seen;
    bool has_time, nanos;
    /* read anew from time to time: every so often; when next, by the clock of steps; the last step of the last time */
    int64_t again_us, again_at_us;
    uint64_t last_step;
    bool *used;              /* option marks */
    OWN_LINE at_u32 pumping; /* who pumps: one at a time */
    struct heap heap;        /* of the source, shared: open, cut, pump, release */
};

/* ---- edges: one per exchange node ------------------------------------------------------------ */

struct edge_plan {
    const struct phys_node *node;
    uint32_t from_stage, to_stage;
    uint32_t to_shard; /* gather: the one receiver, else UINT32_MAX */
};

/* The sending half, in its shard. */
struct edge_out {
    struct ring *rings; /* one per receiving shard */
    struct pool *pool, *markers;
};

#define POSITION_KEY_MAX 192u /* longer keys of rows are not told of */

/* Position in a step: class, origin, then place (rows) or key (firings). */
struct position {
    uint8_t class_;
    uint32_t origin, place;
    struct mill_view key;
    bool of_row; /* whoever says it has or had a row there, not only nothing before it */
};

/* The receiving half of one sender of one edge. */
struct edge_in {
    struct batch *head; /* peeked, still in the ring; NULL: none of this step */
    uint32_t next;      /* row of head */
    uint64_t step;      /* that the rest speaks of */
    bool ended;         /* nothing more of this step */
    bool has_bound;
    struct position bound; /* has passed everything before this */
    char *key_bytes;       /* of bound.key when it is far */
    uint32_t key_capacity;
};

/* ---- stages ---------------------------------------------------------------------------------- */

/* Operators that see the same watermark: the same sources, held back by the same, the same unit. */
struct time_domain {
    uint64_t sources;
    bool nanos;
    const int64_t *holds; /* per source, nanoseconds; NULL: none */
    int64_t w;            /* watermark now, never goes back */
    struct step_time t;
};

enum stage_phase { STAGE_IDLE, STAGE_OPEN, STAGE_ENDING };

struct stage {
    OWN_LINE at_u64 done; /* steps finished: all below */
    OWN_LINE uint32_t index;
    enum stage_phase phase;
    bool blocked;    /* something in here must be resumed first */
    bool ended;      /* the run's last step is done here */
    uint64_t step;   /* current or next */
    struct op **ops; /* topological; exchanges included */
    uint32_t *op_domain;
    uint32_t op_count, end_op; /* below op_count: rows_ended(), then end_step() */
    struct time_domain *domains;
    uint32_t domain_count;
    int64_t *g;          /* per split, before the current step, in its source's unit */
    int64_t *clock_seen; /* per split: clock of its last data step, microseconds */
    uint32_t *split_source;
    const char **split_name;
    uint32_t split_count, split_capacity;
    uint32_t *edges_in; /* edge numbers */
    uint32_t edge_in_count, next_edge;
    bool silent;       /* all its edges go to other shards: it never has a row */
    bool pushing_rows; /* OPEN: the last batch handed on was CLASS_ROWS, from this place on */
    uint32_t pushing_at, pushing_origin, pushing_edge;
    char pushing_key[POSITION_KEY_MAX]; /* of that row */
    uint32_t pushing_key_bytes;         /* UINT32_MAX: too long to be told */
};

struct front {
    bool active, begun, decoding, ending;
    struct step_entry *entry;
    struct decoder *decoder;   /* of the current piece */
    int64_t g;                 /* greatest watermark value of the step so far */
    uint32_t rows, pushing_at; /* of the step so far; place of the batch on its way */
    uint32_t end_op;
};

struct counters_live { /* read by others while running */
    at_u64 rows_in, rows_out, late, dead, filtered, held, bytes;
    at_i64 watermark_us;
    /* the split with the least watermark (its name lives as long as the job), and the watermark that something held waits for */
    at_u64 holder; /* const char *, or 0 */
    at_i64 holder_us, waits_us;
};

/* Rare ways through the protocol, counted so that tests can tell whether they have been taken. */
enum probe {
    PROBE_POOL_EMPTY,       /* a sender found no free batch */
    PROBE_RING_FULL,        /* or no free slot */
    PROBE_SUSPENDED_ROWS,   /* held up within a batch of rows */
    PROBE_SUSPENDED_FIRING, /* held up at the end of a step */
    PROBE_TOLD,             /* a position was published instead of rows */
    PROBE_POSITION_USED,    /* a merge went on because of a published position */
    PROBE_MERGE_WAITED,     /* a merge waited for a sender to pass its least head */
    PROBE_RUN_AHEAD,        /* nothing was cut: K steps are open */
    PROBE_LOOK_BACK,        /* nothing was cut: step s - D is not decoded */
    PROBE_WAITED_FOR_BYTES, /* nothing was cut: the chosen split's bytes are not in memory */
    PROBE_ROUNDTRIP,        /* state went to bytes and back */
    PROBE_COUNT
};

struct shard {
    struct job *job;
    uint32_t index;
    struct heap heap;
    struct heap *accounts;         /* within it, per node of the plan */
    const struct phys_node *asked; /* for memory that no account counts, or NULL */
    struct op_context context;
    struct mill_error error;
    struct op **ops; /* per plan node; NULL where none */
    struct stage *stages;
    struct front front;
    struct decoder **decoders; /* per source, made when first needed */
    struct edge_out *out;      /* per edge */
    struct edge_in *in;        /* per edge x sender */
    struct pool *local;        /* batches that never leave the shard */
    uint64_t *released;        /* own steps not yet released: FIFO */
    uint32_t released_head, released_tail, released_mask;
    bool open;
    struct op_counters *totals; /* per plan node, when it has left its loop */
    struct traffic *traffic;    /* per plan node: its own side of exchanges */
    struct profile *profile;    /* NULL: nobody measures */
    uint64_t rng;               /* round trips */
    uint64_t rows_in, dead_decoded;
    uint32_t idle_turns;
    uint64_t probes[PROBE_COUNT];
    struct counters_live live;
    OWN_LINE at_u32 parked;
};

enum job_state { JOB_NEW, JOB_RUNNING, JOB_ENDED };

enum idle { IDLE_PARK, IDLE_YIELD, IDLE_SPIN };

struct job {
    const struct env *env;
    const struct mk_table *kernels;
    struct mill_config config;
    const struct phys_plan *plan;
    struct budget *budget;
    struct heap heap; /* the thread that makes and ends the job */
    uint32_t shard_count;
    uint32_t stage_count,
        first_stage; /* one shard: all operators are in stage 0, first_stage 0; else 1 */
    struct shard **shards;
    struct edge_plan *edges;
    uint32_t edge_count;
    int32_t *edge_of_node; /* per plan node: edge number or -1 */
    struct source_run *sources;
    uint32_t source_count, initial_splits;
    bool inline_only, has_processing_time, profiled;
    bool crowded; /* more shards than cpus */
    enum idle idle;
    int64_t start_clock_ns, start_mono_ns, end_mono_ns;
    uint64_t start_ticks, end_ticks; /* while profiled: at the same moments */
    at_u32 state;                    /* enum job_state */
    uint64_t driver;                 /* thread that makes the turns */

    /* under the token */
    OWN_LINE at_u32 token;
    struct split *splits;
    uint32_t split_count, live_splits, splits_entered;
    uint64_t next_step, known_through; /* steps whose wm_max is in g_known: all below */
    uint64_t min_done;                 /* last computed */
    int64_t last_clock_us;
    bool last_cut;

    OWN_LINE at_u64 cut_count;
    struct step_entry *directory;
    uint32_t directory_mask;

    at_u32 *stop;           /* of the query: 1: drain, 2: abort; set by anyone */
    OWN_LINE at_u32 failed; /* a shard has an error: everybody leaves */
    at_u32 opened, left,
        finished; /* shards that are open, have left their loop, let go of all batches */
    at_u32 error_taken;
    struct mill_error error; /* by whoever took error_taken */
    struct mill_error
        deferred; /* input ended badly, but what was whole has been processed (token) */

    /* results of SELECT, and of INSERT into memory tables */
    int (*on_batch)(void *user, const struct batch *batch, const struct phys_node *sink);
    void *on_batch_user;
};
#define ON_BATCH_NO_MEMORY (-2147483647) /* what else is not 0: the receiver asks to stop */

/* step.c */
/* A monitored folder may yet bring new splits. */
bool source_may_grow(const struct source *source);
int job_open_sources(struct job *job, struct mill_error *error);
void job_close_sources(struct job *job);
/* Tries to take the token and to cut one step for @shard, whose front is free. Work done. */
uint32_t shard_cut(struct shard *shard);
uint32_t shard_pump(struct shard *shard);
void shard_release_pieces(struct shard *shard, bool all);
uint64_t job_min_done(const struct job *job);
static inline struct step_entry *job_entry(const struct job *job, uint64_t step)
{
    return &job->directory[step & job->directory_mask];
}

/* early.c: the filter of a source's decoder; *out NULL: it has none. False: shard->error. */
bool early_open(struct shard *shard, const struct phys_node *node, struct early_filter **out);
void early_close(struct early_filter *filter);

/* front.c */
uint32_t front_turn(struct shard *shard);
struct op *op_source_new(struct shard *shard, const struct phys_node *node);

/* exchange.c */
struct op *op_exchange_new(struct shard *shard, const struct phys_node *node);
/* The time that the consumer behind it sees. */
void exchange_set_time(struct op *op, const struct step_time *t);
const struct step_time *exchange_time(const struct op *op);
/* Gives fired rows their places in the order in which the consumer gets them. */
void exchange_number(struct op *op, struct batch *batch);
/* A sender's stage has passed @position without sending: says so to receivers that have nothing from it. */
/* (what is partly filled and lies before it goes first; @position may be NULL: not known) */
void exchange_passed(struct op *op, const struct position *position, uint64_t step);
bool edge_open(struct shard *shard, uint32_t edge);
void edge_close(struct shard *shard, uint32_t edge);

/* merge.c */
enum edge_state { EDGE_WAITING, EDGE_WORKED, EDGE_BUSY, EDGE_ENDED, EDGE_FAILED };
/* Takes at most one batch of the current step of @stage from @edge and pushes it. */
enum edge_state edge_receive(struct shard *shard, struct stage *stage, uint32_t edge);
/* Tells the receivers of all exchanges of the stage how far it has come; for turns without progress. */
void stage_reached(struct shard *shard, struct stage *stage, const struct step_entry *entry);
/* The same for a front that is held up: what it waits for in one exchange its other receivers must hear of too. */
void front_reached(struct shard *shard);
int position_compare(const struct position *a, const struct position *b);
void batch_position(const struct batch *batch, uint32_t row, struct position *out);

/* limit.c: a memory error says who needs how much (@asked may be NULL: as the message has it), who holds most, and what to do */
void memory_explain(struct job *job, const struct phys_node *asked, const char *advice,
                    struct mill_error *error);
void shard_explain_memory(struct shard *shard);

/* stage.c */
bool stage_open(struct shard *shard, struct stage *stage, uint32_t index);
void stage_close(struct shard *shard, struct stage *stage);
uint32_t stage_turn(struct shard *shard, struct stage *stage);
bool stage_begin(struct shard *shard, struct stage *stage, const struct step_entry *entry);
void stage_set_after(struct shard *shard, struct stage *stage, const struct step_entry *entry);
/* Tells operator @n % op_count that the step's rows have ended, or with @n from op_count on that the step has. */
enum op_progress stage_end_op(const struct stage *stage, uint32_t n);
void stage_finish(struct shard *shard, struct stage *stage, const struct step_entry *entry);
/* Downstream first. OP_READY: nothing is held up any more. */
enum op_progress stage_resume(struct shard *shard, struct stage *stage);
static inline const struct step_time *stage_time(const struct stage *stage, uint32_t op)
{
    return &stage->domains[stage->op_domain[op]].t;
}

/* bad.c */
int bad_policy_open(struct job *job, struct bad_policy *policy, const struct phys_node *node,
                    struct mill_error *error);
int bad_policy_close(struct job *job, struct bad_policy *policy, struct mill_error *error);

/* job.c */
void job_end_inline(struct job *job, bool abandoned);
struct job_config {
    const struct env *env;
    const struct mk_table *kernels;
    const struct mill_config *config;
    const struct phys_plan *plan;
    struct budget *budget;
    bool inline_only, profiled;
    int (*on_batch)(void *user, const struct batch *batch, const struct phys_node *sink);
    void *on_batch_user;
    at_u32 *stop; /* must outlive the job */
};
/* The wall clock, or what the configuration has in its place. */
int64_t job_clock_ns(const struct job *job);
/* Opens the sources. Copies nothing: the plan and what @config points to must outlive the job. */
struct job *job_new(const struct job_config *config, struct mill_error *error);
void job_free(struct job *job);
/* On the caller's thread: one turn of every shard, or of shard @only if it is not negative. */
int job_turn(struct job *job, int32_t only, uint32_t *work, bool *ended, struct mill_error *error);
void job_stats(const struct job *job, struct mill_stats *out);
/* Of all shards: what has been counted at a node. */
struct op_counters job_totals(const struct job *job, uint32_t node);

/* profile_report.c: as mill_query_profile(). */
bool job_profile(const struct job *job, uint32_t shard, struct mill_profile *out);
/* Operator @n, label and inputs left out; only where job_profile() is true. */
void job_profile_operator(const struct job *job, uint32_t shard, uint32_t n,
                          struct mill_operator_profile *out);
/* profile_text.c: what EXPLAIN ANALYZE prints, in the memory of @arena. False: as job_profile(), or no memory. */
bool job_profile_text(const struct job *job, struct arena *arena, bool json,
                      void (*text)(void *user, const char *text, size_t bytes), void *user);
/* profile_json.c: the same as one JSON object. */
void profile_json(const struct job *job, const struct mill_profile *all,
                  const struct mill_operator_profile *operators,
                  void (*text)(void *user, const char *text, size_t bytes), void *user);

/* shard.c */
bool shard_open(struct shard *shard);
void shard_close_ops(struct shard *shard);
void shard_close(struct shard *shard);
void shard_idle(struct shard *shard);
/* One bounded turn; returns work done. */
uint32_t shard_turn(struct shard *shard);
bool shard_ended(const struct shard *shard);
int job_run(struct job *job, struct mill_error *error);
void shard_fail(struct shard *shard); /* takes shard->error to the job */
struct batch *shard_take_batch(struct op_context *context, uint32_t columns);
void shard_roundtrip(struct shard *shard, struct stage *stage);

/* sink.c */
struct op *op_sink_new(struct shard *shard, const struct phys_node *node);
/* By the shard that writes it, when all shards have left their loops. */
int op_sink_finish(struct op *op, bool abort, struct mill_error *error);

/* memory_source.c, values_source.c */
extern const struct source_vtable memory_source;
extern const struct source_vtable values_source;
struct mill_input *memory_input_new(const struct env *env, struct budget *budget,
                                    const struct mill_schema *schema, bool timed);
const struct mill_schema *memory_input_schema(const struct mill_input *input);
void memory_input_free(struct mill_input *input);
int memory_input_watermark(struct mill_input *input, int64_t watermark, struct mill_error *error);
int memory_input_push(struct mill_input *input, const struct mill_batch *batch,
                      struct mill_error *error);
int memory_input_lend(struct mill_input *input, const struct mill_batch *batches, size_t count,
                      uint32_t repeat, struct mill_error *error);
int memory_input_advance(struct mill_input *input, uint32_t column, int64_t advance,
                         struct mill_error *error);
int memory_input_pull(struct mill_input *input, void (*pull)(void *, struct mill_input *),
                      void *user, struct mill_error *error);
void memory_input_end(struct mill_input *input);

#endif

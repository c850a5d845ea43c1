/* core/ops/window.h - windows as arithmetic, and their contents as slices.
 *
 * A slice is the part of time between two neighbouring window bounds; every row lies in one slice, every window is
 * a run of slices. Slices are named by their start (attached windows: by the window's end), in local time where the
 * session zone aligns them.
 *   F(slice, x) = first end of a window over the slice with end - u > x; TIME_MAX: all are closed
 * Rows for which F differs from the slice's first end wait in *side slices* (slice, class) until the windows that they
 * missed have fired; class = F(slice, g) also keeps float sums grouped as the front's partials group them.
 *
 * Threads: one shard.   Errors: NULL or false without memory.   Includes: table.h, aggregate.h, physical.h
 */
#ifndef MILL_WINDOW_H
#define MILL_WINDOW_H

#include "core/ops/aggregate.h"
#include "core/plan/physical.h"
#include "core/state/table.h"
#include "core/zone.h"
#include "kernels/kernels.h"

struct windows {
    struct window_spec spec;         /* of several the one that fires */
    const struct window_spec *views; /* all of them; a window of the slices is one of any */
    uint32_t view_count;             /* 0: spec alone */
    int64_t grain;                   /* width of a slice */
    struct mk_grid grid;
    bool nanos;
    const struct zone *zone; /* slices and bounds are local times; NULL: instants */
};

void windows_init(struct windows *w, const struct aggregate_node *node, const struct zone *zone);
/* Whether a window of the spec has that end, which is one of some view. */
bool window_ends_at(const struct window_spec *spec, int64_t end);
/* How many views have no window over the slice that ends at @open or later. */
uint32_t windows_late_views(const struct windows *w, int64_t slice, int64_t open);
/* Start of the slice of an instant. */
int64_t windows_slice(const struct windows *w, int64_t instant);
/* The same for @count of them. */
void windows_slices(const struct windows *w, const struct mk_table *kernels, const int64_t *times,
                    uint32_t count, int64_t *starts);
/* Whether all times from @least to @greatest lie in one slice. */
bool windows_one_slice(const struct windows *w, int64_t least, int64_t greatest, int64_t *slice);
/* Whether no window of times (attached: of ends) from @least on is closed by watermark @x. With a zone false where it may be. */
bool windows_all_open(const struct windows *w, int64_t least, int64_t x);
/* Ends of the first and last window over a slice. */
int64_t windows_first_end(const struct windows *w, int64_t slice);
int64_t windows_last_end(const struct windows *w, int64_t slice);
/* First end over a slice above @end, which is one; TIME_MAX: none. */
int64_t windows_end_after(const struct windows *w, int64_t slice, int64_t end);
/* F(slice, x). */
int64_t windows_open_end(const struct windows *w, int64_t slice, int64_t x);
/* Start of the window with that end; not for attached windows. */
int64_t windows_start(const struct windows *w, int64_t end);
/* end - u as an instant: the watermark that closes the window, and its window_time. */
int64_t windows_closing(const struct windows *w, int64_t end);

struct slice {
    int64_t start, end; /* end: start + grain, more where cumulated */
    int64_t class_;     /* side slices: F(slice, g) */
    int64_t apply_at;   /* side slices: first window end that takes it */
    uint64_t rows;
    uint32_t mark; /* while a batch is sorted: its number there + 1; else 0 */
    bool in;       /* of a sliding window: it counts in what is carried on (window_slide.h) */
    uint32_t left; /* its groups before that one have left */
    uint32_t *ids; /* there, of its groups */
    uint32_t id_room;
    struct table table;
};

/* Ascending by (class_, start). What is dropped in front leaves a gap, so that 150,000 slices drop one by one in no time. */
struct slice_list {
    struct heap *heap;
    struct slice **items;          /* behind the gap */
    uint32_t gap, count, capacity; /* gap + count <= capacity */
};

/* Number of slices before (class, start). */
uint32_t slices_before(const struct slice_list *list, int64_t class_, int64_t start);
/* The slice that covers (class, start), or NULL. */
struct slice *slices_find(const struct slice_list *list, int64_t class_, int64_t start);
/* Takes @slice. False without memory (then it is the caller's still). */
bool slices_insert(struct slice_list *list, struct slice *slice);
void slices_remove(struct slice_list *list, uint32_t first, uint32_t count);
void slices_close(struct slice_list *list, struct agg_set *set);

struct slice *slice_new(struct heap *heap, const struct key_layout *layout, uint32_t state_bytes,
                        uint64_t seed, int64_t class_, int64_t start, int64_t end);
void slice_free(struct heap *heap, struct agg_set *set, struct slice *slice);
/* Makes a slice that nobody needs any more a new one, with the memory for about as many groups. */
void slice_reuse(struct agg_set *set, struct slice *slice, int64_t class_, int64_t start,
                 int64_t end);
/* Room for the ids of all groups. False without memory. */
bool slice_make_ids(struct heap *heap, struct slice *slice);
/* The rows of a batch by slice, slices in order of their first row: which[begin[k] .. begin[k + 1]) ascending for slices[k]. */
struct slice_rows {
    uint32_t count;
    struct slice *slices[BATCH_ROWS_MAX];
    uint32_t begin[BATCH_ROWS_MAX + 1];
    uint16_t which[BATCH_ROWS_MAX];
};

/* Row i belongs to slice_of[i], or to none where that is NULL. */
void slice_rows_sort(struct slice_rows *to, struct slice *const *slice_of, uint32_t count);
/* Puts the groups of @from from *@at on into @into, at most *@budget of them, which it takes from the budget. All are
 * there when *@at is from->groups. */
bool groups_merge(struct agg_set *set, struct table *into, const struct table *from, uint32_t *at,
                  int64_t *budget);
/* Frees what hangs off the states of the last groups, at most *@budget of them. True: all are gone; the table is only
 * good for groups_reset() or groups_close() then. */
bool groups_shed(struct agg_set *set, struct table *table, int64_t *budget);
void groups_reset(struct agg_set *set, struct table *table); /* empties it, keeps its memory */
void groups_close(struct agg_set *set, struct table *table);
/* States of the keys at which[0 .. count), new ones initialised. */
bool groups_lookup(struct agg_set *set, struct table *table, const struct key_batch *keys,
                   const uint16_t *which, uint32_t count, void **states);
void groups_snapshot(const struct agg_set *set, const struct table *table,
                     struct snapshot_writer *to);
bool groups_restore(struct agg_set *set, struct table *table, struct snapshot_reader *from);

#endif

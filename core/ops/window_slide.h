/* core/ops/window_slide.h - the sum of a sliding window's slices, carried on from firing to firing.
 *
 * A slice is added once when it enters (the keys of its groups are looked up then) and taken away once when it is dropped, which for HOP is when it
 * leaves the window. What cannot be taken away is folded anew, without looking up a key (agg_slide.c).
 *
 *   groups = sum of the slices that are in; slices[id] of them have group id; it is shown while that is > 0
 *   order[0 .. ordered) = ids 0 .. ordered - 1 ascending by key
 * Late rows: a slice is taken out before they go into it, and enters again. Snapshots do not hold it: it is made anew.
 *
 * Threads: one shard.   Errors: false without memory.   Includes: window.h, sorter.h
 */
#ifndef MILL_WINDOW_SLIDE_H
#define MILL_WINDOW_SLIDE_H

#include "core/ops/window.h"
#include "core/state/sorter.h"

struct slide {
    bool on;
    struct heap *heap;
    struct table groups;
    uint32_t *slices, room;
    uint32_t live; /* groups that are shown */
    int64_t stop;  /* no slice from here on is in */
    bool gaps;     /* some before are not in either */
    uint32_t *order, *shown, order_room, ordered;
};

/* Windows of @w are carried on if that is less work than adding them up, and the aggregates allow it. */
void slide_open(struct slide *slide, struct heap *heap, const struct windows *w,
                const struct agg_set *set, const struct key_layout *layout, uint64_t seed);
void slide_close(struct slide *slide);
/* Most groups are gone: better to begin again. */
bool slide_is_stale(const struct slide *slide);
/* Forgets everything; no slice may be in after that. */
void slide_reset(struct slide *slide);
/* Adds the groups of @slice from *@at on, at most *@budget of them; all are in when *@at is slice->table.groups. */
bool slide_enter(struct slide *slide, struct agg_set *set, struct slice *slice, uint32_t *at,
                 int64_t *budget);
/* Takes out a slice that is in. True: it is out. Goes on where it stopped. */
bool slide_leave(struct slide *slide, struct agg_set *set, struct slice *slice, int64_t *budget);
/* Both in turns as above: before and while slices are folded. */
void slide_blank(struct slide *slide, struct agg_set *set, uint32_t *at, int64_t *budget);
bool slide_fold(struct slide *slide, struct agg_set *set, const struct slice *slice, uint32_t *at,
                int64_t *budget);
/* Few groups are new since the last time: slide_insert() puts them in their places, else sort slide->groups and slide_ordered(). */
bool slide_can_insert(const struct slide *slide);
bool slide_insert(struct slide *slide);
bool slide_ordered(struct slide *slide, const uint32_t *order);
/* Ids of the slide->live groups to be shown, ascending by key. */
const uint32_t *slide_shown(struct slide *slide);

#endif

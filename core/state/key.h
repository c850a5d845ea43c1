/* core/state/key.h - keys as bytes that order like their values; for core/state/table.c and its friends.
 *
 *   NULL: 00     value: 01, then
 *   numbers: 8 or 16 bytes, big-endian, sign flipped      texts: bytes with 00 as 00 FF, then 00 00
 * Threads: pure.   Errors: none.   Includes: table.h
 */
#ifndef MILL_KEY_H
#define MILL_KEY_H

#include "core/state/table.h"

/* Of an encoded key. A single text's is that of the bytes between the marks: the same as of the text itself (@raw). */
int64_t key_view_hash(const struct key_layout *layout, const struct mill_view *view, bool raw);
int64_t key_view_hash_seeded(const struct key_layout *layout, const struct mill_view *view,
                             bool raw, uint64_t seed);
/* Does the key of a table stand for @view? */
bool key_view_same(const struct mill_view *view, bool raw, const struct mill_view *key);
/* Copies @view, encoded, into @arena if it does not fit into a view. Length UINT32_MAX: no memory. */
struct mill_view key_view_keep(const struct mill_view *view, bool raw, struct arena *arena);
/* The bytes (from a snapshot) hold exactly the parts of the layout. */
bool key_view_sound(const struct key_layout *layout, const struct mill_view *view);

#endif

/* core/state/key.h - keys as bytes that order like their values; for core/state/table.c and its friends.
 *
 *   NULL: 00     value: 01, then
 *   numbers: 8 or 16 bytes, big-endian, sign flipped      texts: bytes with 00 as 00 FF, then 00 00
 * Threads: pure.   Errors: none.   Includes: table.h
 */
#ifndef MILL_KEY_H
#define MILL_KEY_H

#include "core/state/table.h"

int64_t key_view_hash(const struct mill_view *view);
int64_t key_view_hash_seeded(const struct mill_view *view, uint64_t seed);
/* The bytes (from a snapshot) hold exactly the parts of the layout. */
bool key_view_sound(const struct key_layout *layout, const struct mill_view *view);

#endif

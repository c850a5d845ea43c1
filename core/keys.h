/* core/keys.h - the hash that decides which key group a row belongs to.
 *
 * Part of the order's fingerprint: equal keys have equal hashes on every instruction set and shard count. NULL is one
 * key; all NaN are one key; -0.0 and 0.0 are one key; strings hash by their bytes.
 * Threads: pure.   Errors: none.   Includes: batch.h
 */
#ifndef MILL_KEYS_H
#define MILL_KEYS_H

#include "core/batch.h"

/* out[row] for each live row of @batch (other entries are left alone). @count may be 0: all rows hash alike. */
void keys_hash(const struct mk_table *kernels, const struct batch *batch, const uint32_t *keys,
               uint32_t count, const struct mill_schema *schema, uint64_t *out);

#endif

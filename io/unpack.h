/* io/unpack.h - gzip (also of several members) and zstd (also of several frames) as streams. Includes: memory.h */
#ifndef MILL_UNPACK_H
#define MILL_UNPACK_H

#include "core/memory.h"

enum compression { PLAIN, GZIP, ZSTANDARD };
/* By the end of the name: .gz, .zst. */
enum compression compression_of(const char *path);
/* A name may hide what a file is: by its first four bytes. */
enum compression compression_of_bytes(const char bytes[4]);

struct unpack;

struct unpack *unpack_open(struct heap *heap, enum compression compression);
void unpack_close(struct unpack *unpack); /* NULL: nothing happens */
/* Where compressed bytes go when unpack_hungry(); fed() says how many came, 0: the input has ended. */
bool unpack_hungry(const struct unpack *unpack);
char *unpack_input(struct unpack *unpack, size_t *room);
void unpack_fed(struct unpack *unpack, size_t bytes);
/* Decompresses into @to. Bytes, 0: hungry, or at the end when the input has ended; -1: @fault says what is wrong. */
int64_t unpack_some(struct unpack *unpack, char *to, size_t room, const char **fault);

#endif

/* tests/fuzz_columnar.c - libFuzzer: any bytes are a columnar file or an error, and never crash. An even first byte: the
 * bytes are a file. Odd: a right file whose heads are changed by the rest *and given right checksums again*, so that the
 * checks behind them are reached. */
#include "tests/columnarkit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Puts right checksums on all heads and chunks that lie where heads say. */
static void mend(char *file, size_t length)
{
    struct columnar_header *h = (void *)file;
    uint64_t at;

    if (length < sizeof *h || h->bytes % 64 != 0 || h->bytes < 64 || h->bytes > length)
        return;
    h->checksum = columnar_hash_head(file, h->bytes, offsetof(struct columnar_header, checksum), 0);
    for (at = h->bytes; length - at >= 64;) {
        struct columnar_block *b = (void *)(file + at);
        struct columnar_chunk *chunks = (void *)(b + 1);
        const uint64_t head = columnar_head_bytes(h->node_count);

        if (memcmp(b->magic, columnar_block_magic, 4) != 0 || h->node_count > 64 ||
            head > length - at || b->bytes % 64 != 0 || b->bytes < 64 || b->bytes > length - at)
            return;
        for (uint32_t i = 0; i < h->node_count; i++)
            if (chunks[i].offset < length - at && chunks[i].bytes < length - at - chunks[i].offset)
                chunks[i].checksum = columnar_hash(file + at + chunks[i].offset, chunks[i].bytes,
                                                   at + chunks[i].offset);
        b->checksum = columnar_hash_head(b, head, offsetof(struct columnar_block, checksum), at);
        at += b->bytes;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t wants[] = {1, 1000, 1 << 20};
    struct budget budget = {.limit = 256u << 20};
    struct text_buffer file;
    uint64_t digest;
    struct heap heap;

    if (size < 2)
        return 0;
    heap_open_shared(&heap, env_real(), &budget);
    file = (struct text_buffer){.heap = &heap};
    if (data[0] % 2 == 0) {
        text_put(&file, (const char *)data + 2, size - 2);
    } else {
        kit_write(&heap, 1 + data[1] % 100, 64, 1 + data[1], &file, &digest);
        for (size_t i = 2; i + 3 < size; i += 4) {
            /* small offsets are heads, the others anywhere */
            const size_t at = (data[i] | (size_t)data[i + 1] << 8) % file.length;

            file.bytes[at] = (char)(data[i + 3] & 1 ? data[i + 2] : file.bytes[at] + data[i + 2]);
        }
        if (data[0] % 4 == 1)
            mend(file.bytes, file.length);
    }
    kit_read(&heap, file.bytes, file.length, wants[data[0] / 8 % 3], 1 + data[0] / 4u, &kit_schema,
             NULL);
    heap_free(&heap, file.bytes, file.capacity);
    heap_close(&heap);
    return 0;
}

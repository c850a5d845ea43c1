/* tests/test_columnar.c - raw columnar files: what is written is read, in any steps and batches; what is damaged is found. */
#include "tests/columnarkit.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

struct world {
    struct budget budget;
    struct heap heap;
    struct text_buffer file;
    uint64_t digest;
};

static void world_open(struct world *w, uint32_t rows, uint32_t batch_rows, uint64_t seed)
{
    *w = (struct world){.budget = {.limit = 4ull << 30}};
    heap_open_shared(&w->heap, env_real(), &w->budget);
    w->file.heap = &w->heap;
    kit_write(&w->heap, rows, batch_rows, seed, &w->file, &w->digest);
}

static void world_close(struct world *w)
{
    heap_free(&w->heap, w->file.bytes, w->file.capacity);
    heap_close(&w->heap);
}

struct shape {
    uint32_t rows, batch_rows, capacity;
    size_t want;
};

ParameterizedTestParameters(columnar, rows_come_back)
{
    static struct shape shapes[] = {{0, 1, 1, 1},           {1, 1, 1, 1},
                                    {63, 7, 5, 1},          {64, 64, 64, 100000},
                                    {130, 33, 4096, 64},    {4096, 4096, 4096, 1 << 20},
                                    {5000, 1000, 77, 1},    {16384, 4096, 4096, 1},
                                    {16385, 999, 100, 1},   {40000, 4096, 4095, 1 << 20},
                                    {40000, 1, 1000, 1000}, {40000, 4096, 1, 1u << 30}};

    return cr_make_param_array(struct shape, shapes, COUNT_OF(shapes));
}

ParameterizedTest(struct shape *s, columnar, rows_come_back)
{
    struct world w;
    struct kit_read got;

    world_open(&w, s->rows, s->batch_rows, 42 + s->rows);
    got = kit_read(&w.heap, w.file.bytes, w.file.length, s->want, s->capacity, &kit_schema, NULL);
    cr_assert_eq(got.code, 0, "%u rows: %s", s->rows, got.message);
    cr_assert_eq(got.rows, s->rows, "%u rows, got %llu", s->rows, (unsigned long long)got.rows);
    cr_assert_eq(got.digest, w.digest, "%u rows: other values", s->rows);
    world_close(&w);
}

Test(columnar, same_rows_same_bytes_for_any_batches)
{
    static const uint32_t sizes[] = {1, 63, 64, 1000, 4096};
    struct world first;

    world_open(&first, 30000, 512, 7);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct world w;

        world_open(&w, 30000, sizes[i], 7);
        cr_assert_eq(w.digest, first.digest, "the kit's rows depend on the batch");
        cr_assert_eq(w.file.length, first.file.length, "batches of %u", sizes[i]);
        cr_assert(memcmp(w.file.bytes, first.file.bytes, w.file.length) == 0, "batches of %u",
                  sizes[i]);
        world_close(&w);
    }
    world_close(&first);
}

/* However few bytes are there, and however often it is asked: the same cuts. */
Test(columnar, cuts_do_not_depend_on_what_is_there)
{
    static const size_t wants[] = {1, 700000, 3000000};
    const struct options options = {.table = "kit"};
    struct world w;

    world_open(&w, 60000, 4096, 17);
    for (size_t i = 0; i < COUNT_OF(wants); i++) {
        const struct source_config config = {.heap = &w.heap,
                                             .schema = &kit_schema,
                                             .options = &options};
        struct format_position whole = {.file = "whole"}, little = {.file = "little"};
        struct mill_error error = {0};
        struct format *format = NULL;
        enum cut code;

        cr_assert_eq(format_columnar.open(&config, &format, &error), MILL_OK);
        do {
            enum cut again = CUT_WAIT;
            size_t n = 0, m = 0;

            code = format_columnar.cut_section(format, &whole, w.file.bytes + whole.offset,
                                               w.file.length - whole.offset, true, wants[i], &n,
                                               &error);
            for (size_t there = 0; again == CUT_WAIT; there += 4099)
                again = format_columnar.cut_section(format, &little, w.file.bytes + little.offset,
                                                    there < w.file.length - little.offset
                                                        ? there
                                                        : w.file.length - little.offset,
                                                    there >= w.file.length - little.offset,
                                                    wants[i], &m, &error);
            cr_assert_eq(again, code, "want %zu: %s", wants[i], error.message);
            cr_assert_eq(m, code == CUT_DATA ? n : 0, "want %zu: cut %zu, not %zu", wants[i], m, n);
            whole.offset += code == CUT_DATA ? n : 0;
            little.offset += code == CUT_DATA ? n : 0;
        } while (code == CUT_DATA);
        cr_assert_eq(code, CUT_END, "%s", error.message);
        cr_assert_eq(whole.offset, w.file.length);
        format_columnar.position_close(format, &whole);
        format_columnar.position_close(format, &little);
        format_columnar.close(format);
    }
    world_close(&w);
}

Test(columnar, every_flipped_bit_is_found)
{
    struct world w;

    world_open(&w, 70, 70, 3);
    for (size_t bit = 0; bit < w.file.length * 8; bit += bit % 8 == 0 ? 3 : 5) {
        struct kit_read got;

        w.file.bytes[bit / 8] ^= (char)(1 << (bit % 8));
        got = kit_read(&w.heap, w.file.bytes, w.file.length, 1 << 20, 4096, &kit_schema, NULL);
        cr_assert_neq(got.code, 0, "bit %zu of byte %zu was flipped and not found", bit % 8,
                      bit / 8);
        w.file.bytes[bit / 8] ^= (char)(1 << (bit % 8));
    }
    world_close(&w);
}

Test(columnar, every_cut_is_found_and_what_is_whole_is_read)
{
    struct world w;
    uint64_t most = 0;

    world_open(&w, 20000, 4096, 5);
    for (size_t n = 0, far; n < w.file.length;
         far = w.file.length - 8192, n = n < 4096 || n >= far ? n + 61
                                         : n + 40009 < far    ? n + 40009
                                                              : far) {
        const struct kit_read got =
            kit_read(&w.heap, w.file.bytes, n, 1 << 20, 4096, &kit_schema, NULL);

        cr_assert_eq(got.code, MILL_E_DATA, "cut at %zu: code %d", n, got.code);
        cr_assert(strstr(got.message, "kit, byte ") == got.message, "%s", got.message);
        cr_assert_geq(got.rows, most, "cut at %zu", n);
        most = got.rows;
    }
    cr_assert_eq(most, 20000, "all blocks are read when only the end is missing");
    world_close(&w);
}

Test(columnar, blocks_in_other_places_are_found)
{
    struct world w;
    const struct columnar_header *h;
    struct columnar_block *b;
    char *bytes, *moved;

    world_open(&w, 40000, 4096, 9);
    h = (const void *)w.file.bytes;
    b = (void *)(w.file.bytes + h->bytes);
    bytes = (char *)b;
    moved = heap_alloc(&w.heap, w.file.length);
    /* the first block is left out */
    memcpy(moved, w.file.bytes, h->bytes);
    memcpy(moved + h->bytes, bytes + b->bytes, w.file.length - h->bytes - b->bytes);
    cr_assert_eq(kit_read(&w.heap, moved, w.file.length - b->bytes, 1, 4096, &kit_schema, NULL)
                     .code,
                 MILL_E_DATA);
    /* the last section stands behind the first block */
    memcpy(moved, w.file.bytes, h->bytes + b->bytes);
    {
        const struct columnar_trailer *t = (const void *)(w.file.bytes + w.file.length - sizeof *t);
        const size_t end = w.file.length - t->end_offset;

        memcpy(moved + h->bytes + b->bytes, w.file.bytes + t->end_offset, end);
        cr_assert_eq(kit_read(&w.heap, moved, h->bytes + b->bytes + end, 1, 4096, &kit_schema, NULL)
                         .code,
                     MILL_E_DATA);
    }
    /* bytes behind the end */
    memcpy(moved, w.file.bytes, w.file.length - 64);
    heap_free(&w.heap, moved, w.file.length);
    moved = heap_zalloc(&w.heap, w.file.length + 64);
    memcpy(moved, w.file.bytes, w.file.length);
    cr_assert_eq(kit_read(&w.heap, moved, w.file.length + 64, 1, 4096, &kit_schema, NULL).code,
                 MILL_E_DATA);
    heap_free(&w.heap, moved, w.file.length + 64);
    world_close(&w);
}

Test(columnar, unwanted_columns_are_not_touched)
{
    static const bool wanted[16] = {[4] = true};
    struct world w;
    struct kit_read before, after;
    const struct columnar_header *h;
    const struct columnar_block *b;
    const struct columnar_chunk *chunks;

    world_open(&w, 1000, 1000, 11);
    h = (const void *)w.file.bytes;
    b = (const void *)(w.file.bytes + h->bytes);
    chunks = (const void *)(b + 1);
    before = kit_read(&w.heap, w.file.bytes, w.file.length, 1, 4096, &kit_schema, wanted);
    cr_assert_eq(before.code, 0, "%s", before.message);
    for (uint32_t i = 0; i < h->node_count; i++)
        if (i != 4)
            memset((char *)b + chunks[i].offset, 0x5a, chunks[i].bytes);
    after = kit_read(&w.heap, w.file.bytes, w.file.length, 1, 4096, &kit_schema, wanted);
    cr_assert_eq(after.code, 0, "%s", after.message);
    cr_assert_eq(before.digest, after.digest);
    cr_assert_eq(kit_read(&w.heap, w.file.bytes, w.file.length, 1, 4096, &kit_schema, NULL).code,
                 MILL_E_DATA);
    world_close(&w);
}

Test(columnar, columns_are_found_by_name_and_type)
{
    static const struct mill_field reordered[] = {{"big", {.kind = MILL_BIGINT}},
                                                  {"bool", {.kind = MILL_BOOLEAN}}};
    static const struct mill_field missing[] = {{"bigg", {.kind = MILL_BIGINT}}};
    static const struct mill_field other[] = {{"big", {.kind = MILL_INT}}};
    const struct mill_schema a = {2, reordered}, b = {1, missing}, c = {1, other};
    struct world w;
    struct kit_read got;

    world_open(&w, 100, 100, 13);
    got = kit_read(&w.heap, w.file.bytes, w.file.length, 1, 4096, &a, NULL);
    cr_assert_eq(got.code, 0, "%s", got.message);
    cr_assert_eq(got.rows, 100);
    got = kit_read(&w.heap, w.file.bytes, w.file.length, 1, 4096, &b, NULL);
    cr_assert_eq(got.code, MILL_E_NAME, "%s", got.message);
    got = kit_read(&w.heap, w.file.bytes, w.file.length, 1, 4096, &c, NULL);
    cr_assert_eq(got.code, MILL_E_TYPE, "%s", got.message);
    cr_assert(strstr(got.message, "is INT, in kit it is BIGINT") != NULL, "%s", got.message);
    world_close(&w);
}

/* Golden bytes, computed by an independent reading of docs/COLUMNAR.md: tests/sql_columnar.py checks whole files. */
Test(columnar, header_stands_as_documented)
{
    struct world w;

    world_open(&w, 1, 1, 1);
    cr_assert(memcmp(w.file.bytes, "\x89MCOL\r\n\x1a\x01\0\0\0", 12) == 0);
    cr_assert(memcmp(w.file.bytes + w.file.length - 8, "\x1a\n\rLOCM\x89", 8) == 0);
    cr_assert_eq(w.file.length % 64, 0);
    world_close(&w);
}

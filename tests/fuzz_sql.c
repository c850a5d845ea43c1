/* tests/fuzz_sql.c - libFuzzer: any text is parsed or refused with a place, and never crashes. */
#include "core/sql/ast.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *variable(void *user, const char *name)
{
    (void)user;
    return name[0] == 'x' ? "1" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct budget budget = {.limit = 64u << 20};
    struct ast_script script = {0};
    struct mill_error error = {0};
    struct arena arena;
    struct heap heap;

    heap_open_shared(&heap, env_real(), &budget);
    arena_open(&arena, &heap);
    if (parse(&arena, (const char *)data, size, variable, NULL, &script, &error) != MILL_OK &&
        (error.code == MILL_OK || error.message[0] == '\0'))
        __builtin_trap();
    arena_close(&arena);
    heap_close(&heap);
    return 0;
}

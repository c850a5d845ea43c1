/* core/error.c - filling errors, nearest names, exit codes. */
#include "core/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "millstream: internal check failed at %s:%d: %s\n", file, line, what);
    abort();
}

static int fail_va(struct mill_error *error, int code, int os_errno, uint32_t line, uint32_t column,
                   const char *format, va_list args)
{
    if (error == NULL || error->code != MILL_OK)
        return code;
    error->code = code;
    error->os_errno = os_errno;
    error->line = line;
    error->column = column;
    error->excerpt[0] = '\0';
    vsnprintf(error->message, sizeof error->message, format, args);
    if (os_errno != 0) {
        const size_t used = strlen(error->message);
        const char *text = strerrordesc_np(os_errno);

        snprintf(error->message + used, sizeof error->message - used, ": %s",
                 text != NULL ? text : "unknown error");
    }
    return code;
}

int mill_fail(struct mill_error *error, int code, uint32_t line, uint32_t column,
              const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fail_va(error, code, 0, line, column, format, args);
    va_end(args);
    return code;
}

int mill_fail_os(struct mill_error *error, int code, int os_errno, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fail_va(error, code, os_errno < 0 ? -os_errno : os_errno, 0, 0, format, args);
    va_end(args);
    return code;
}

int mill_exit_code(int code)
{
    switch (code) {
    case MILL_OK: return 0;
    case MILL_E_ARGUMENT:
    case MILL_E_STATE: return 64;
    case MILL_E_DATA: return 65;
    case MILL_E_NO_INPUT: return 66;
    case MILL_E_MEMORY: return 71;
    case MILL_E_IO: return 74;
    case MILL_E_SYNTAX:
    case MILL_E_NAME:
    case MILL_E_TYPE:
    case MILL_E_UNSUPPORTED:
    case MILL_E_OPTION: return 78;
    case MILL_E_INTERRUPTED: return 130;
    default: return 70;
    }
}

const char *mill_version(void)
{
    return MILL_VERSION;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

#define NAME_MAX_COMPARED 64

/* Edit distance with transpositions (optimal string alignment), without case; strings are cut to
 * NAME_MAX_COMPARED bytes. */
static uint32_t edit_distance(const char *a, const char *b)
{
    uint32_t rows[3][NAME_MAX_COMPARED + 1];
    const uint32_t n = min_u32((uint32_t)strlen(a), NAME_MAX_COMPARED);
    const uint32_t m = min_u32((uint32_t)strlen(b), NAME_MAX_COMPARED);

    for (uint32_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (uint32_t i = 1; i <= n; i++) {
        uint32_t *now = rows[i % 3];
        const uint32_t *before = rows[(i + 2) % 3], *before2 = rows[(i + 1) % 3];

        now[0] = i;
        for (uint32_t j = 1; j <= m; j++) {
            const uint32_t cost = lower(a[i - 1]) != lower(b[j - 1]);
            uint32_t best = min_u32(min_u32(before[j] + 1, now[j - 1] + 1), before[j - 1] + cost);

            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                best = min_u32(best, before2[j - 2] + 1);
            now[j] = best;
        }
    }
    return rows[n % 3][m];
}

const char *nearest_name(const char *wanted, const char *const *names, size_t count)
{
    const uint32_t allowed = max_u32((uint32_t)strlen(wanted) / 3, 1);
    uint32_t best = allowed + 1;
    const char *found = NULL;

    for (size_t i = 0; i < count; i++) {
        const uint32_t d = names[i] != NULL ? edit_distance(wanted, names[i]) : UINT32_MAX;

        if (d < best) {
            best = d;
            found = names[i];
        }
    }
    return found;
}

const char *mill_nearest_name(const char *word, const char *const *names, size_t count)
{
    return word != NULL && names != NULL ? nearest_name(word, names, count) : NULL;
}

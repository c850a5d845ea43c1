/* io/find.c - finding files; a monitored folder is looked through again and again. Threads: one at a time. */
#include "io/find.h"

#include <errno.h>
#include <fnmatch.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 16u

struct finder {
    const struct source_config *config;
    struct heap *heap;
    struct arena arena; /* paths */
    const char *const *paths;
    uint32_t path_count;
    regex_t pattern;
    bool has_pattern;
    /* given before: open addressing over paths, a power of two of slots, at most half full */
    const char **seen;
    uint32_t slots, count;
};

/* One look: what was found. */
struct look {
    struct finder *finder;
    const char *folder, *glob;
    uint32_t depth;
    struct found_file *files;
    uint32_t count, room;
    bool failed;
    int code;
};

static uint32_t slot_of(const struct finder *f, const char *path)
{
    uint64_t h = 0xcbf29ce484222325ull;
    uint32_t i;

    for (const char *s = path; *s != '\0'; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
    for (i = (uint32_t)(h >> 32) & (f->slots - 1);
         f->seen[i] != NULL && strcmp(f->seen[i], path) != 0; i = (i + 1) & (f->slots - 1))
        ;
    return i;
}

static bool seen_grow(struct finder *f)
{
    const uint32_t old_slots = f->slots;
    const char **old = f->seen;

    if (old != NULL && f->count * 2 < f->slots)
        return true;
    f->seen = heap_zalloc(f->heap, (old_slots == 0 ? 64 : old_slots * 2) * sizeof *f->seen);
    if (f->seen == NULL) {
        f->seen = old;
        return false;
    }
    f->slots = old_slots == 0 ? 64 : old_slots * 2;
    for (uint32_t i = 0; i < old_slots; i++)
        if (old[i] != NULL)
            f->seen[slot_of(f, old[i])] = old[i];
    heap_free(f->heap, old, old_slots * sizeof *old);
    return true;
}

static void look_add(struct look *l, const char *path, const struct env_stat *stat)
{
    struct finder *f = l->finder;
    struct found_file *file;

    if (!seen_grow(f)) {
        l->failed = true;
        return;
    }
    if (f->seen[slot_of(f, path)] != NULL)
        return;
    if (l->count == l->room) {
        const uint32_t room = l->room == 0 ? 16 : l->room * 2;
        struct found_file *files =
            heap_grow(f->heap, l->files, l->room * sizeof *files, room * sizeof *files);

        if (files == NULL) {
            l->failed = true;
            return;
        }
        l->files = files;
        l->room = room;
    }
    file = &l->files[l->count++];
    *file = (struct found_file){.path = arena_text(&f->arena, path, strlen(path)),
                                .modified_ns = stat->modified_ns,
                                .bytes = stat->bytes,
                                .is_regular = stat->is_regular};
    if (file->path == NULL) {
        l->failed = true;
        l->count--;
    }
}

/* Flink's pattern is held against the absolute path. */
static bool fits(const struct finder *f, const char *path)
{
    char whole[8192];
    const char *pwd;

    if (!f->has_pattern)
        return true;
    if (path[0] != '/') {
        pwd = f->config->env->run.variable(f->config->env->self, "PWD");
        if (snprintf(whole, sizeof whole, "%s/%s", pwd != NULL ? pwd : "", path) >=
            (int)sizeof whole)
            return false;
        path = whole;
    }
    return regexec(&f->pattern, path, 0, NULL, 0) == 0;
}

static void found(void *user, const char *name)
{
    struct look *l = user;
    const struct env *env = l->finder->config->env;
    struct env_stat stat;
    char path[4096];
    int looked;

    if (name[0] == '.' || name[0] == '_')
        return; /* hidden, or not finished */
    if (l->glob != NULL && fnmatch(l->glob, name, 0) != 0)
        return;
    if (snprintf(path, sizeof path, "%s/%s", l->folder, name) >= (int)sizeof path)
        return;
    looked = env->file.stat(env->self, path, &stat);
    if (looked < 0) {
        if (looked != -ENOENT && l->code == 0)
            l->code =
                looked; /* not to be looked at is not to be absent: its rows would be missing */
        return;
    }
    if (stat.is_folder && l->glob == NULL && l->depth < DEPTH_MAX) {
        struct look inner = *l;
        int code;

        inner.folder = path;
        inner.depth++;
        code = env->file.list(env->self, path, found, &inner);
        inner.folder = l->folder;
        inner.depth--;
        *l = inner;
        if (code < 0 && code != -ENOENT)
            l->code = code;
    } else if (stat.is_regular && fits(l->finder, path)) {
        look_add(l, path, &stat);
    }
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct found_file *)a)->path, ((const struct found_file *)b)->path);
}

static int by_change(const void *a, const void *b)
{
    const struct found_file *x = a, *y = b;

    return x->modified_ns != y->modified_ns ? (x->modified_ns < y->modified_ns ? -1 : 1)
                                            : by_path(a, b);
}

static int look_through(struct look *l, const char *path)
{
    struct finder *f = l->finder;
    const struct env *env = f->config->env;
    struct env_stat stat;
    const char *slash;
    int code = env->file.stat(env->self, path, &stat);

    l->glob = NULL;
    if (code == 0 && !stat.is_folder) {
        look_add(l, path, &stat);
    } else if (code == 0) {
        l->folder = path;
        code = env->file.list(env->self, path, found, l);
    } else if (strpbrk(path, "*?[") != NULL) {
        slash = strrchr(path, '/');
        l->folder = slash == NULL   ? "."
                    : slash == path ? "/"
                                    : arena_text(&f->arena, path, (size_t)(slash - path));
        l->glob = slash != NULL ? slash + 1 : path;
        code = l->folder != NULL ? env->file.list(env->self, l->folder, found, l) : -ENOMEM;
    }
    return code < 0 ? code : l->code;
}

int finder_look(struct finder *f, bool by_time,
                bool (*each)(void *user, const struct found_file *file), void *user,
                struct mill_error *error)
{
    struct look l = {.finder = f};
    uint32_t p = 0;
    int code = MILL_OK, os = 0;

    while (os >= 0 && p < f->path_count)
        os = look_through(&l, f->paths[p++]);

    if (os == -ENOMEM)
        code = mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for the list of files");
    else if (os < 0)
        code = mill_fail_os(error, MILL_E_NO_INPUT, os, "cannot read '%s' (table %s)",
                            f->paths[p - 1], f->config->options->table);
    else if (l.failed)
        code = mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for the list of files");
    if (l.count > 0)
        qsort(l.files, l.count, sizeof *l.files, by_time ? by_change : by_path);
    for (uint32_t i = 0; code == MILL_OK && i < l.count; i++) {
        if (!seen_grow(f) || !each(user, &l.files[i]))
            code = mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for the list of files");
        else {
            f->seen[slot_of(f, l.files[i].path)] = l.files[i].path;
            f->count++;
        }
    }
    heap_free(f->heap, l.files, l.room * sizeof *l.files);
    return code;
}

static int pattern_open(struct finder *f, struct mill_error *error)
{
    const struct option *option = option_get(f->config->options, "source.path.regex-pattern");
    char *whole;
    int code;

    if (option == NULL)
        return MILL_OK;
    whole = arena_format(&f->arena, "^(%s)$", option->value);
    if (whole == NULL)
        return mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a pattern");
    code = regcomp(&f->pattern, whole, REG_EXTENDED | REG_NOSUB);
    if (code != 0) {
        char why[120];

        regerror(code, &f->pattern, why, sizeof why);
        return mill_fail(error, MILL_E_OPTION, option->line, option->column,
                         "'source.path.regex-pattern' is no extended regular expression: %s", why);
    }
    f->has_pattern = true;
    return MILL_OK;
}

static const char *without_scheme(const char *path)
{
    return strncmp(path, "file://", 7) == 0 ? path + 7 : path;
}

/* Captures: several paths between ';' or ',', unless a file has such a name. */
static bool paths_open(struct finder *f, const char *path)
{
    const struct options *options = f->config->options;
    const struct env *env = f->config->env;
    const bool captures = strcmp(option_text(options, "connector", ""), "pcap") == 0 ||
                          strcmp(option_text(options, "format", ""), "pcap") == 0;
    const char **paths = arena_array(&f->arena, const char *, strlen(path) + 1);
    struct env_stat stat;

    if (paths == NULL)
        return false;
    f->paths = paths;
    path = without_scheme(path);
    if (!captures || strpbrk(path, ";,") == NULL || env->file.stat(env->self, path, &stat) == 0) {
        paths[f->path_count++] = path;
        return true;
    }
    while (*path != '\0') {
        const size_t bytes = strcspn(path, ";,"), blank = strspn(path, " ");
        char *one;

        if (bytes > blank) {
            one = arena_text(&f->arena, path + blank, bytes - blank);
            if (one == NULL)
                return false;
            paths[f->path_count++] = without_scheme(one);
        }
        path += bytes + (path[bytes] != '\0');
    }
    return true;
}

struct finder *finder_open(const struct source_config *config, struct mill_error *error)
{
    const char *path = option_text(config->options, "path", NULL);
    struct finder *f;

    if (path == NULL || path[0] == '\0') {
        mill_fail(error, MILL_E_OPTION, config->options->line, config->options->column,
                  "table %s has no 'path'", config->options->table);
        return NULL;
    }
    f = heap_zalloc(config->heap, sizeof *f);
    if (f == NULL) {
        mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
        return NULL;
    }
    f->config = config;
    f->heap = config->heap;
    arena_open(&f->arena, f->heap);
    if (!paths_open(f, path))
        mill_fail(error, MILL_E_MEMORY, 0, 0, "no memory for a source");
    else if (pattern_open(f, error) == MILL_OK)
        return f;
    finder_close(f);
    return NULL;
}

void finder_close(struct finder *f)
{
    struct heap *heap;

    if (f == NULL)
        return;
    heap = f->heap;
    if (f->has_pattern)
        regfree(&f->pattern);
    heap_free(heap, f->seen, f->slots * sizeof *f->seen);
    arena_close(&f->arena);
    heap_free(heap, f, sizeof *f);
}

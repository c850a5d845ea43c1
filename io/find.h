/* io/find.h - which files a path names: a file, a folder (and its folders), a glob, a regular expression; of captures a list.
 *
 * Names that begin with '.' or '_' are hidden: they are not finished. Includes: source.h
 */
#ifndef MILL_FIND_H
#define MILL_FIND_H

#include "core/source.h"

struct found_file {
    const char *path;
    int64_t modified_ns;
    uint64_t bytes;
    bool is_regular;
};

struct finder;

/* Reads 'path' and 'source.path.regex-pattern'. NULL: @error says why. Borrows @config for its life. */
struct finder *finder_open(const struct source_config *config, struct mill_error *error);
void finder_close(struct finder *finder);
/* Gives every file it has not given before to @each, sorted by path, or @by_time: by time of change, then path. Paths live
 * as long as the finder. */
int finder_look(struct finder *finder, bool by_time,
                bool (*each)(void *user, const struct found_file *file), void *user,
                struct mill_error *error);

#endif

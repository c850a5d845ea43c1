/* io/infer.h - schemas from the first megabyte of a file: what infer.c asks of the formats. Includes: source.h */
#ifndef MILL_INFER_H
#define MILL_INFER_H

#include "core/source.h"

/* By its name, or by how it begins. */
bool infer_is_json(const char *path, const char *bytes, size_t length);
/* As infer_file(). @bytes: a sample with a newline and 64 readable bytes behind it; @whole: the file has no more. */
int infer_json(const char *path, const char *bytes, size_t length, bool whole, struct arena *arena,
               struct mill_schema *schema, struct options *options, char *info, size_t info_bytes,
               struct mill_error *error);

#endif

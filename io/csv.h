/* io/csv.h - CSV: options, reading pieces into columns, writing rows. Includes: source.h */
#ifndef MILL_CSV_H
#define MILL_CSV_H

#include "core/source.h"

struct csv_options {
    char delimiter, quote, escape; /* quote '\0': none; escape '\0': a doubled quote only */
    const char *null_literal;      /* or NULL: an empty field that is not text is NULL */
    bool comments, ignore_errors, skip_first;
};

/* Reads the csv.* options. */
int csv_options_read(const struct options *options, struct csv_options *out,
                     struct mill_error *error);
extern const char *const csv_option_names[];
extern const size_t csv_option_count;

struct csv_decoder;
struct csv_decoder *csv_decoder_new(struct heap *heap, const struct source_config *config,
                                    const struct csv_options *options);
void csv_decoder_free(struct csv_decoder *decoder);
/* The bytes of a piece, which must outlive its batches. @file and @offset: where they come from, for bad rows. */
void csv_begin(struct csv_decoder *decoder, const char *bytes, size_t length, const char *file,
               uint64_t offset, uint64_t step);
/* As source_vtable.decode. */
int csv_decode(struct csv_decoder *decoder, struct batch *out, struct mill_error *error);

/* Where the last whole row at or before @want ends (behind its newline); 0: there is none in @length bytes. */
size_t csv_cut(const struct mk_table *kernels, const struct csv_options *options, const char *bytes,
               size_t length, size_t want);

/* Text of rows: fields quoted where they must be. @to grows in @heap. */
struct text_buffer {
    struct heap *heap;
    char *bytes;
    size_t length, capacity;
    bool failed;
};
void text_put(struct text_buffer *to, const char *bytes, size_t length);
void csv_write_header(struct text_buffer *to, const struct mill_schema *schema, char delimiter);
void csv_write_rows(struct text_buffer *to, const struct batch *batch,
                    const struct mill_schema *schema, const struct csv_options *options);

#endif

/* io/csv.h - CSV: options, reading pieces into columns, writing rows. Includes: format.h */
#ifndef MILL_CSV_H
#define MILL_CSV_H

#include "io/format.h"

struct csv_options {
    char delimiter, quote, escape; /* quote '\0': none; escape '\0': a doubled quote only */
    const char *null_literal;      /* or NULL: an empty field that is not text is NULL */
    bool comments, ignore_errors, skip_first;
    bool bare; /* neither delimiter nor quote can stand in a number, time or boolean */
};

/* Reads the csv.* options. */
int csv_options_read(const struct options *options, struct csv_options *out,
                     struct mill_error *error);

struct csv_decoder;
struct csv_decoder *csv_decoder_new(struct heap *heap, const struct source_config *config,
                                    const struct csv_options *options);
void csv_decoder_free(struct csv_decoder *decoder);
/* A piece whose bytes must outlive its batches. At offset 0 a byte order mark and, if wanted, the first line go. */
void csv_begin(struct csv_decoder *decoder, const struct format_piece *piece);
/* As source_vtable.decode. */
int csv_decode(struct csv_decoder *decoder, struct batch *out, struct mill_error *error);

/* Where the last whole row at or before @want ends (behind its newline); 0: there is none in @length bytes. */
size_t csv_cut(const struct mk_table *kernels, const struct csv_options *options, const char *bytes,
               size_t length, size_t want);

/* Text of rows: fields quoted where they must be. */
void csv_write_rows(struct text_buffer *to, const struct batch *batch,
                    const struct mill_schema *schema, const struct csv_options *options);

#endif

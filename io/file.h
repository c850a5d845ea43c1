/* io/file.h - what the connector table takes from the files of io/. Includes: source.h */
#ifndef MILL_FILE_H
#define MILL_FILE_H

#include "core/source.h"

extern const struct source_vtable filesystem_source, pcap_source, stdin_source, datagen_source,
    nexmark_source;
extern const struct sink_vtable filesystem_sink, print_sink, stdout_sink, blackhole_sink;

/* METADATA columns of files: file.path ... */
extern const struct metadata_key file_metadata[];

#endif

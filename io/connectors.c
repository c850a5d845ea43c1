/* io/connectors.c - the table of connectors. Connector 'memory' is core's own: its source reads the plan. */
#include "io/file.h"

static const struct connector filesystem = {.name = "filesystem",
                                            .source = &filesystem_source,
                                            .sink = &filesystem_sink,
                                            .metadata = file_metadata};
static const struct connector standard_input = {.name = "stdin", .source = &stdin_source};
static const struct connector standard_output = {.name = "stdout", .sink = &stdout_sink};
static const struct connector print = {.name = "print", .sink = &print_sink};
static const struct connector blackhole = {.name = "blackhole", .sink = &blackhole_sink};
static const struct connector nexmark = {.name = "nexmark", .source = &nexmark_source};
static const struct connector datagen = {.name = "datagen", .source = &datagen_source};
static const struct connector pcap = {.name = "pcap", .source = &pcap_source};
static const struct connector memory = {.name = "memory"};

const struct connector *const mill_connectors[] = {&filesystem, &standard_input, &standard_output,
                                                   &print,      &blackhole,      &nexmark,
                                                   &datagen,    &pcap,           &memory,
                                                   NULL};

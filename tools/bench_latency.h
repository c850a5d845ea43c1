/* tools/bench_latency.h - millstream bench latency. Includes: millstream.h */
#ifndef MILL_TOOL_BENCH_LATENCY_H
#define MILL_TOOL_BENCH_LATENCY_H

/* The words behind `bench latency`. Prints percentiles; returns the exit code, and says on stderr what is wrong. */
int bench_latency(int count, char **args);

#endif

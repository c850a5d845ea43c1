/* tools/gen.h - millstream gen: seeded rows into a file. Includes: millstream.h */
#ifndef MILL_TOOL_GEN_H
#define MILL_TOOL_GEN_H

/* The words behind `gen`. Returns the exit code; what is wrong is said on stderr. */
int gen_main(int count, char **args);

#endif

/* tools/files.h - millstream convert and millstream info. */
#ifndef MILL_FILES_H
#define MILL_FILES_H

int convert_main(int count, char **args); /* the exit code */
int info_main(int count, char **args);
/* "csv", "json" or "columnar" by the name, .gz and .zst set aside. NULL: none that is known. */
const char *format_of(const char *path);

#endif

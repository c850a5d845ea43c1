/* tools/files.h - millstream convert and millstream info. */
#ifndef MILL_FILES_H
#define MILL_FILES_H

int convert_main(int count, char **args); /* the exit code */
int info_main(int count, char **args);

#endif

/* tools/bench_json.h - JSON as far as reports need it. Includes: nothing of the engine */
#ifndef MILL_BENCH_JSON_H
#define MILL_BENCH_JSON_H

#include <stdbool.h>
#include <stdio.h>

/* @text as a JSON string, quotes included. */
void json_put(FILE *to, const char *text);

/* A place in a JSON text; at == NULL: nothing is there. The text is changed by json_string() alone. */
struct json {
    char *at;
};
/* The value of @name in an object; the element @index of an array. */
struct json json_field(struct json object, const char *name);
struct json json_element(struct json array, unsigned index);
double json_number(struct json value); /* 0: it is none */
/* Decoded in place, ended by NUL: once per value, and after all fields behind it were found. "": it is none. */
char *json_string(struct json value);
/* The whole text is one JSON value and nothing else. */
bool json_valid(const char *text);

#endif

/* tools/bench_json.c - JSON as far as reports need it: RFC 8259, texts decoded up to \u00ff, no limits but 64 levels. */
#include "tools/bench_json.h"

#include <stdlib.h>
#include <string.h>

#define LEVELS_MAX 64

void json_put(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text != '\0'; text++)
        if (*text == '"' || *text == '\\')
            fprintf(to, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            fprintf(to, "\\u%04x", (unsigned)*text);
        else
            fputc(*text, to);
    fputc('"', to);
}

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
    for (at++; *at != '"'; at++) {
        if ((unsigned char)*at < 0x20)
            return NULL;
        if (*at == '\\' && *++at == '\0')
            return NULL;
    }
    return at + 1;
}

static const char *skip_value(const char *at, int level);

/* Behind '{' or '['. */
static const char *skip_members(const char *at, char end, int level)
{
    at = skip_space(at);
    if (*at == end)
        return at + 1;
    for (;;) {
        if (end == '}') {
            at = *at == '"' ? skip_string(at) : NULL;
            at = at != NULL ? skip_space(at) : NULL;
            if (at == NULL || *at++ != ':')
                return NULL;
        }
        at = skip_value(at, level + 1);
        if (at == NULL)
            return NULL;
        at = skip_space(at);
        if (*at == end)
            return at + 1;
        if (*at++ != ',')
            return NULL;
        at = skip_space(at);
    }
}

static const char *skip_number(const char *at)
{
    at += *at == '-';
    if (*at == '0')
        at++;
    else if (strspn(at, "123456789") > 0)
        at += strspn(at, "0123456789");
    else
        return NULL;
    if (*at == '.') {
        if (strspn(at + 1, "0123456789") == 0)
            return NULL;
        at += 1 + strspn(at + 1, "0123456789");
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '-' || *at == '+';
        if (strspn(at, "0123456789") == 0)
            return NULL;
        at += strspn(at, "0123456789");
    }
    return at;
}

/* Behind the value; NULL: there is none. */
static const char *skip_value(const char *at, int level)
{
    static const char *const words[] = {"true", "false", "null"};

    at = skip_space(at);
    if (level > LEVELS_MAX)
        return NULL;
    for (int i = 0; i < 3; i++)
        if (strncmp(at, words[i], strlen(words[i])) == 0)
            return at + strlen(words[i]);
    switch (*at) {
    case '{': return skip_members(at + 1, '}', level);
    case '[': return skip_members(at + 1, ']', level);
    case '"': return skip_string(at);
    default: return skip_number(at);
    }
}

bool json_valid(const char *text)
{
    const char *end = skip_value(text, 0);

    return end != NULL && *skip_space(end) == '\0';
}

struct json json_field(struct json object, const char *name)
{
    const size_t n = strlen(name);
    const char *at = object.at != NULL ? skip_space(object.at) : "";

    if (*at == '{')
        for (at = skip_space(at + 1); *at == '"'; at = skip_space(at + 1)) {
            const char *key = at + 1, *end = skip_string(at);

            at = skip_space(skip_space(end) + 1);
            if ((size_t)(end - key - 1) == n && memcmp(key, name, n) == 0)
                return (struct json){object.at + (at - object.at)};
            at = skip_space(skip_value(at, 0));
            if (*at != ',')
                break;
        }
    return (struct json){NULL};
}

struct json json_element(struct json array, unsigned index)
{
    const char *at = array.at != NULL ? skip_space(array.at) : "";

    if (*at == '[')
        for (at = skip_space(at + 1); *at != ']'; at = skip_space(at + 1)) {
            if (index-- == 0)
                return (struct json){array.at + (at - array.at)};
            at = skip_space(skip_value(at, 0));
            if (*at != ',')
                break;
        }
    return (struct json){NULL};
}

double json_number(struct json value)
{
    return value.at != NULL ? strtod(value.at, NULL) : 0;
}

char *json_string(struct json value)
{
    static char none[1];
    char *to, *text;

    none[0] = '\0';
    if (value.at == NULL || *value.at != '"')
        return none;
    text = to = value.at + 1;
    for (const char *at = text; *at != '"'; at++) {
        if (*at != '\\') {
            *to++ = *at;
        } else if (*++at == 'u') {
            char digits[5] = {0};

            memcpy(digits, at + 1, 4);
            *to++ = (char)strtoul(digits, NULL, 16);
            at += 4;
        } else {
            *to++ = *at == 'n' ? '\n' : *at == 't' ? '\t' : *at;
        }
    }
    *to = '\0';
    return text;
}

/* core/expr/fn_digest.c - MD5, SHA-1 and SHA-2 of a string's bytes, in hexadecimal digits, by nettle (which allocates nothing). */
#include "core/expr/functions.h"

#include <nettle/md5.h>
#include <nettle/nettle-meta.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>

struct digest {
    const char *name;
    const struct nettle_hash *hash;
};
static const struct digest digests[] = {{"MD5", &nettle_md5},       {"SHA1", &nettle_sha1},
                                        {"SHA224", &nettle_sha224}, {"SHA256", &nettle_sha256},
                                        {"SHA384", &nettle_sha384}, {"SHA512", &nettle_sha512}};

/* The digits of @text's digest into @to; how many. */
static size_t digest_hex(const struct digest *d, const char *text, uint32_t bytes,
                         char to[2 * SHA512_DIGEST_SIZE])
{
    union {
        struct md5_ctx md5;
        struct sha1_ctx sha1;
        struct sha256_ctx sha256; /* SHA-224 too */
        struct sha512_ctx sha512; /* SHA-384 too */
    } context;
    uint8_t result[SHA512_DIGEST_SIZE];
    const unsigned size = d->hash->digest_size;

    CHECK(d->hash->context_size <= sizeof context && size <= sizeof result);
    d->hash->init(&context);
    d->hash->update(&context, bytes, (const uint8_t *)text);
    d->hash->digest(&context, size, result);
    for (unsigned i = 0; i < size; i++) {
        to[2 * i] = "0123456789abcdef"[result[i] >> 4];
        to[2 * i + 1] = "0123456789abcdef"[result[i] & 15];
    }
    return 2 * (size_t)size;
}

static const struct digest *digest_of(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(digests); i++)
        if (strcmp(digests[i].name, name) == 0)
            return &digests[i];
    return NULL;
}

EVAL(digest)
{
    const struct digest *d = digest_of(e->where->function->name);

    (void)count;
    FOR_ROWS(e, row)
    {
        char to[2 * SHA512_DIGEST_SIZE];

        eval_text(e, out, row, to, digest_hex(d, DATA(0), BYTES(0), to));
    }
}

EVAL(sha2)
{
    (void)count;
    FOR_ROWS(e, row)
    {
        const int32_t bits = INT(1);
        const struct digest *d = bits == 224   ? &digests[2]
                                 : bits == 256 ? &digests[3]
                                 : bits == 384 ? &digests[4]
                                 : bits == 512 ? &digests[5]
                                               : NULL;
        char to[2 * SHA512_DIGEST_SIZE];

        if (d == NULL) {
            eval_bad(e, row, "SHA2 knows 224, 256, 384 and 512 bits");
            continue;
        }
        eval_text(e, out, row, to, digest_hex(d, DATA(0), BYTES(0), to));
    }
}

static bool one_text(struct call *c)
{
    return resolve_text(c, 0) && (c->count < 2 || resolve_int(c, 1)) && returns(c, MILL_VARCHAR);
}

#define H "hash"
const struct function functions_digest[] =
    {{"MD5", "MD5(s)", "MD5 of the bytes as 32 hexadecimal digits", H, 1, 1, 0, one_text, digest},
     {"SHA1", "SHA1(s)", "SHA-1 as 40 hexadecimal digits", H, 1, 1, 0, one_text, digest},
     {"SHA224", "SHA224(s)", "SHA-224 as 56 hexadecimal digits", H, 1, 1, 0, one_text, digest},
     {"SHA256", "SHA256(s)", "SHA-256 as 64 hexadecimal digits", H, 1, 1, 0, one_text, digest},
     {"SHA384", "SHA384(s)", "SHA-384 as 96 hexadecimal digits", H, 1, 1, 0, one_text, digest},
     {"SHA512", "SHA512(s)", "SHA-512 as 128 hexadecimal digits", H, 1, 1, 0, one_text, digest},
     {"SHA2", "SHA2(s, bits)", "SHA-2 of 224, 256, 384 or 512 bits", H, 2, 2, 0, one_text, sha2},
     {0}};

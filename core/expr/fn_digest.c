/* core/expr/fn_digest.c - MD5 (RFC 1321), SHA-1 and SHA-2 (FIPS 180-4) of a string's bytes, in hexadecimal digits. */
#include "core/expr/functions.h"

static uint32_t rotate_left(uint32_t x, uint32_t n)
{
    return x << n | x >> (32 - n);
}
static uint32_t rotate_right(uint32_t x, uint32_t n)
{
    return x >> n | x << (32 - n);
}
static uint64_t rotate_right64(uint64_t x, uint32_t n)
{
    return x >> n | x << (64 - n);
}
static uint64_t read_big(const unsigned char *s, uint32_t bytes)
{
    uint64_t v = 0;

    for (uint32_t i = 0; i < bytes; i++)
        v = v << 8 | s[i];
    return v;
}

/* ---- blocks: @h changed by one block of 64 (SHA-512: 128) bytes ---- */

static void md5_block(uint64_t *h, const unsigned char *block)
{
    /* floor(2^32 * |sin(i + 1)|) */
    static const uint32_t sines[64] = {0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf,
                                       0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af,
                                       0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e,
                                       0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa,
                                       0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6,
                                       0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
                                       0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122,
                                       0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
                                       0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039,
                                       0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244, 0x432aff97,
                                       0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d,
                                       0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
                                       0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
    static const uint8_t shifts[4][4] = {{7, 12, 17, 22},
                                         {5, 9, 14, 20},
                                         {4, 11, 16, 23},
                                         {6, 10, 15, 21}};
    uint32_t a = (uint32_t)h[0], b = (uint32_t)h[1], c = (uint32_t)h[2], d = (uint32_t)h[3];

    for (uint32_t i = 0; i < 64; i++) {
        const uint32_t round = i / 16;
        const uint32_t f = round == 0   ? (b & c) | (~b & d)
                           : round == 1 ? (d & b) | (~d & c)
                           : round == 2 ? b ^ c ^ d
                                        : c ^ (b | ~d);
        const uint32_t g = (round == 0   ? i
                            : round == 1 ? 5 * i + 1
                            : round == 2 ? 3 * i + 5
                                         : 7 * i) %
                           16;
        uint32_t word;

        memcpy(&word, block + 4 * g, 4);
        word += a + f + sines[i];
        a = d;
        d = c;
        c = b;
        b += rotate_left(word, shifts[round][i % 4]);
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
}

static void sha1_block(uint64_t *h, const unsigned char *block)
{
    static const uint32_t k[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t w[80], a = (uint32_t)h[0], b = (uint32_t)h[1], c = (uint32_t)h[2], d = (uint32_t)h[3],
                    e = (uint32_t)h[4];

    for (uint32_t i = 0; i < 80; i++)
        w[i] = i < 16 ? (uint32_t)read_big(block + 4 * i, 4)
                      : rotate_left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (uint32_t i = 0; i < 80; i++) {
        const uint32_t f = i < 20   ? (b & c) | (~b & d)
                           : i < 40 ? b ^ c ^ d
                           : i < 60 ? (b & c) | (b & d) | (c & d)
                                    : b ^ c ^ d;
        const uint32_t next = rotate_left(a, 5) + f + e + k[i / 20] + w[i];

        e = d;
        d = c;
        c = rotate_left(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

/* Fractions of the cube roots of the first 80 primes; SHA-256 takes the upper halves of the first 64. */
static const uint64_t sha2_k[80] =
    {0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
     0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
     0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
     0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
     0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
     0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
     0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
     0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
     0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
     0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
     0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
     0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
     0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
     0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
     0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
     0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
     0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
     0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
     0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
     0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817};

static void sha256_block(uint64_t *h, const unsigned char *block)
{
    uint32_t w[64], s[8];

    for (uint32_t i = 0; i < 64; i++) {
        if (i < 16) {
            w[i] = (uint32_t)read_big(block + 4 * i, 4);
            continue;
        }
        const uint32_t x = w[i - 15], y = w[i - 2];

        w[i] = w[i - 16] + w[i - 7] + (rotate_right(x, 7) ^ rotate_right(x, 18) ^ x >> 3) +
               (rotate_right(y, 17) ^ rotate_right(y, 19) ^ y >> 10);
    }
    for (uint32_t i = 0; i < 8; i++)
        s[i] = (uint32_t)h[i];
    for (uint32_t i = 0; i < 64; i++) {
        const uint32_t a = s[0], e = s[4];
        const uint32_t t = s[7] + (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
                           ((e & s[5]) ^ (~e & s[6])) + (uint32_t)(sha2_k[i] >> 32) + w[i];
        const uint32_t u = (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) +
                           ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));

        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t;
        s[0] = t + u;
    }
    for (uint32_t i = 0; i < 8; i++)
        h[i] += s[i];
}

static void sha512_block(uint64_t *h, const unsigned char *block)
{
    uint64_t w[80], s[8];

    for (uint32_t i = 0; i < 80; i++) {
        if (i < 16) {
            w[i] = read_big(block + 8 * i, 8);
            continue;
        }
        const uint64_t x = w[i - 15], y = w[i - 2];

        w[i] = w[i - 16] + w[i - 7] + (rotate_right64(x, 1) ^ rotate_right64(x, 8) ^ x >> 7) +
               (rotate_right64(y, 19) ^ rotate_right64(y, 61) ^ y >> 6);
    }
    memcpy(s, h, sizeof s);
    for (uint32_t i = 0; i < 80; i++) {
        const uint64_t a = s[0], e = s[4];
        const uint64_t t = s[7] +
                           (rotate_right64(e, 14) ^ rotate_right64(e, 18) ^ rotate_right64(e, 41)) +
                           ((e & s[5]) ^ (~e & s[6])) + sha2_k[i] + w[i];
        const uint64_t u = (rotate_right64(a, 28) ^ rotate_right64(a, 34) ^ rotate_right64(a, 39)) +
                           ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));

        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t;
        s[0] = t + u;
    }
    for (uint32_t i = 0; i < 8; i++)
        h[i] += s[i];
}

/* ---- digests ---- */

struct digest {
    const char *name;
    uint32_t block, word, bytes; /* of a block, of a word of the state, of the result */
    bool little;
    void (*run)(uint64_t *h, const unsigned char *block);
    uint64_t start[8];
};
static const struct digest digests[] =
    {{"MD5", 64, 4, 16, true, md5_block, {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}},
     {"SHA1",
      64,
      4,
      20,
      false,
      sha1_block,
      {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}},
     {"SHA224",
      64,
      4,
      28,
      false,
      sha256_block,
      {0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7,
       0xbefa4fa4}},
     {"SHA256",
      64,
      4,
      32,
      false,
      sha256_block,
      {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
       0x5be0cd19}},
     {"SHA384",
      128,
      8,
      48,
      false,
      sha512_block,
      {0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939,
       0x67332667ffc00b31, 0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4}},
     {"SHA512",
      128,
      8,
      64,
      false,
      sha512_block,
      {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
       0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179}}};

/* @to: 2 * d->bytes digits. */
static void digest_hex(const struct digest *d, const char *text, uint32_t bytes, char *to)
{
    const uint32_t tail_bytes = d->block / 8; /* of the length */
    uint32_t done = 0;
    unsigned char last[256] = {0};
    uint64_t h[8];

    memcpy(h, d->start, sizeof h);
    for (; done + d->block <= bytes; done += d->block)
        d->run(h, (const unsigned char *)text + done);
    memcpy(last, text + done, bytes - done);
    last[bytes - done] = 0x80;
    const uint32_t all = bytes - done + 1 + tail_bytes > d->block ? 2 * d->block : d->block;

    for (uint32_t i = 0; i < 8; i++)
        last[d->little ? all - 8 + i : all - 1 - i] = (unsigned char)((uint64_t)bytes * 8 >> 8 * i);
    for (uint32_t i = 0; i < all; i += d->block)
        d->run(h, last + i);
    for (uint32_t i = 0; i < d->bytes; i++) {
        const uint32_t k = i % d->word, shift = 8 * (d->little ? k : d->word - 1 - k);
        const uint32_t byte = (uint32_t)(h[i / d->word] >> shift) & 0xff;

        to[2 * i] = "0123456789abcdef"[byte >> 4];
        to[2 * i + 1] = "0123456789abcdef"[byte & 15];
    }
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
        char to[128];

        digest_hex(d, DATA(0), BYTES(0), to);
        eval_text(e, out, row, to, (size_t)d->bytes * 2);
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
        char to[128];

        if (d == NULL) {
            eval_bad(e, row, "SHA2 knows 224, 256, 384 and 512 bits");
            continue;
        }
        digest_hex(d, DATA(0), BYTES(0), to);
        eval_text(e, out, row, to, (size_t)d->bytes * 2);
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

/* tests/test_packet.c - packets whose fields are read at fixed places: what packet_decode() says of the same bytes. */
#include "io/packet.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint32_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 33);
}

static uint32_t be(const uint8_t *at, uint32_t bytes)
{
    uint32_t v = 0;

    for (uint32_t i = 0; i < bytes; i++)
        v = v << 8 | at[i];
    return v;
}

/* Ethernet, IPv4, TCP or UDP; then some bytes of the headers become others. */
static void random_packet(uint64_t *seed, uint8_t *d, struct capture_record *r)
{
    static const uint16_t ports[] = {80, 443, 53, 4789, 2152, 3544, 1701, 6081, 8472};
    static const uint8_t odd[] = {0, 1, 4, 5, 6, 8, 17, 0x40, 0x45, 0x46, 0x50, 0x81, 0xff};
    const bool tcp = next(seed) % 2;
    const uint32_t length = 40 + next(seed) % 20;

    for (uint32_t i = 0; i < 80; i++)
        d[i] = (uint8_t)next(seed);
    memcpy(d + 12, (uint8_t[]){0x08, 0x00, 0x45}, 3);
    d[16] = 0;
    d[17] = (uint8_t)length;
    d[20] = next(seed) % 2 ? 0x40 : 0;
    d[21] = 0;
    d[23] = tcp ? 6 : 17;
    for (uint32_t i = 34; i <= 36; i += 2)
        if (next(seed) % 4 == 0) {
            d[i] = (uint8_t)(ports[next(seed) % COUNT_OF(ports)] >> 8);
            d[i + 1] = (uint8_t)ports[next(seed) % COUNT_OF(ports)];
        }
    if (tcp)
        d[46] = 0x50;
    else
        d[38] = 0, d[39] = (uint8_t)(length - 20);
    for (uint32_t n = next(seed) % 3; n > 0; n--)
        d[12 + next(seed) % 38] =
            next(seed) % 2 ? (uint8_t)next(seed) : odd[next(seed) % sizeof odd];
    *r = (struct capture_record){.data = d,
                                 .caplen = next(seed) % 4 ? 60 : next(seed) % 70,
                                 .length = 60,
                                 .link = next(seed) % 16 ? 1 : (uint16_t)(next(seed) % 300)};
}

Test(packet, plain_ones_are_decoded_the_same)
{
    uint64_t seed = 11;
    uint32_t plain = 0, tcp = 0, decoded_alike = 0;

    for (int round = 0; round < 400000; round++) {
        uint8_t d[80];
        struct packet p;
        uint16_t has;

        random_packet(&seed, d, &p.record);
        uint8_t *exact = malloc(p.record.caplen + 1); /* so that a sanitizer sees a read outside */

        exact = realloc(exact, p.record.caplen + (p.record.caplen == 0));
        memcpy(exact, d, p.record.caplen);
        p.record.data = exact;
        has = packet_plain(&p.record);
        packet_decode(&p);
        decoded_alike += p.status == PACKET_OK && p.tunnel_kind == TUNNEL_NONE &&
                         (p.has & PACKET_HAS_PORTS) != 0 && p.ip_ver == 4 && p.l3_off == 14 &&
                         p.l4_off == 34 && p.record.caplen >= 54;
        if (has != 0) {
            plain++;
            tcp += (has & PACKET_HAS_TCP) != 0;
            cr_assert(p.has == has && p.status == PACKET_OK && p.tunnel_kind == TUNNEL_NONE,
                      "round %d: has %x, not %x", round, p.has, has);
            cr_assert(p.ip_ver == 4 && p.ethertype == be(exact + PLAIN_ETHERTYPE, 2) &&
                          p.dscp_ecn == exact[PLAIN_DSCP_ECN] &&
                          p.ip_len == be(exact + PLAIN_IP_LEN, 2) &&
                          p.ip_id == be(exact + PLAIN_IP_ID, 2) && p.ttl == exact[PLAIN_TTL] &&
                          p.proto == exact[PLAIN_PROTO],
                      "round %d", round);
            cr_assert(p.src == exact + PLAIN_SRC && p.dst == exact + PLAIN_DST &&
                          p.sport == be(exact + PLAIN_SPORT, 2) &&
                          p.dport == be(exact + PLAIN_DPORT, 2) &&
                          packet_flow_hash(&p) == packet_plain_flow_hash(&p.record),
                      "round %d", round);
            if ((has & PACKET_HAS_TCP) != 0)
                cr_assert(p.seq == be(exact + PLAIN_SEQ, 4) && p.ack == be(exact + PLAIN_ACK, 4) &&
                              p.tcp_flags == exact[PLAIN_TCP_FLAGS] &&
                              p.win == be(exact + PLAIN_WIN, 2),
                          "round %d", round);
        }
        free(exact);
    }
    /* most of those that could be plain are */
    cr_assert(plain > 100000 && tcp > 40000 && plain * 10 > decoded_alike * 9, "%u, %u of %u",
              plain, tcp, decoded_alike);
}

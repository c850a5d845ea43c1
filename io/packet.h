/* io/packet.h - from the bytes of one packet to its fields: links, tags, tunnels, IP, transport.
 *
 * Everything but outer_*, tunnel_* and mpls_* speaks of the innermost packet that could be reached. A field is valid
 * when its bit of PACKET_HAS_* is set; those without a bit always are. Every step checks its bounds; no more than PACKET_DEPTH packets inside each other.
 * Threads: pure.   Errors: status.   Includes: base.h
 */
#ifndef MILL_PACKET_H
#define MILL_PACKET_H

#include "core/base.h"

#define PACKET_DEPTH 6

enum packet_status {
    PACKET_OK,
    PACKET_TRUNCATED, /* a header is not captured whole */
    PACKET_BAD,       /* a header contradicts itself */
    PACKET_UNSUPPORTED,
    PACKET_FRAGMENT /* a later fragment: no transport header */
};

enum packet_tunnel {
    TUNNEL_NONE,
    TUNNEL_GRE,
    TUNNEL_VXLAN,
    TUNNEL_GENEVE,
    TUNNEL_GTP,
    TUNNEL_IP,
    TUNNEL_PPPOE,
    TUNNEL_ERSPAN,
    TUNNEL_OTHER /* L2TP, Teredo */
};

enum packet_has {
    PACKET_HAS_ALWAYS = 0,
    PACKET_HAS_ETH = 1,
    PACKET_HAS_ETHERTYPE = 2,
    PACKET_HAS_VLAN = 4,
    PACKET_HAS_VLAN_INNER = 8,
    PACKET_HAS_MPLS = 16,
    PACKET_HAS_IP = 32,
    PACKET_HAS_IP_ID = 64,
    PACKET_HAS_L4 = 128, /* l4_off, payload */
    PACKET_HAS_PORTS = 256,
    PACKET_HAS_TCP = 512,
    PACKET_HAS_TUNNEL_ID = 1024,
    PACKET_HAS_OUTER = 2048,
    PACKET_HAS_TIME = 4096
};

#define CAPTURE_NO_TIME INT64_MIN

/* One packet of a capture. */
struct capture_record {
    const uint8_t *data;
    uint64_t offset; /* of the record or block in the file */
    int64_t ts;      /* nanoseconds since 1970, CAPTURE_NO_TIME: unknown */
    uint32_t caplen; /* bytes at data, at most the snapshot length */
    uint32_t length; /* on the wire */
    uint16_t interface, link;
};

struct packet {
    struct capture_record record;
    uint16_t has;
    uint8_t status, ip_ver;
    const uint8_t *eth; /* destination, source */
    const uint8_t *src, *dst, *outer_src, *outer_dst;
    uint64_t flow_hash;
    uint32_t mpls_top, ip_id, seq, ack, payload_len, tunnel_id, ip_len, l3_off, l4_off, payload_off;
    uint16_t ethertype, vlan_outer, vlan_inner, sport, dport, frag_off, win;
    uint8_t mpls_depth, outer_ver, proto, dscp_ecn, ttl, frag_more, tcp_flags, tunnel_kind;
};

/* Fills all but the record, which says what there is. */
void packet_decode(struct packet *packet);
/* The same for both directions, whoever computes it: of addresses, ports and protocol. */
uint64_t packet_flow_hash(const struct packet *packet);

/* What packet.has would be of a packet whose fields stand at fixed places: Ethernet, IPv4 without options or fragments, TCP,
 * or UDP that is no tunnel, all of it sound. 0: another one, for packet_decode(). */
uint16_t packet_plain(const struct capture_record *record);
/* packet_flow_hash() of such a packet. */
uint64_t packet_plain_flow_hash(const struct capture_record *record);
enum packet_plain_place {
    PLAIN_ETHERTYPE = 12,
    PLAIN_DSCP_ECN = 15,
    PLAIN_IP_LEN = 16,
    PLAIN_IP_ID = 18,
    PLAIN_TTL = 22,
    PLAIN_PROTO = 23,
    PLAIN_SRC = 26,
    PLAIN_DST = 30,
    PLAIN_SPORT = 34,
    PLAIN_DPORT = 36,
    PLAIN_SEQ = 38,
    PLAIN_ACK = 42,
    PLAIN_TCP_FLAGS = 47,
    PLAIN_WIN = 48
};

#endif

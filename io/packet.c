/* io/packet.c - links, tags, tunnels, IP, transport.
 *
 * A layer looks at its header, says what comes next and where; packet_decode() goes round until a leaf. A tunnel is
 * entered only where its header is whole and what it carries begins as it must; else the packet ends with what carries it.
 */
#include "io/packet.h"

#define LAYERS_MAX 32u

enum layer {
    LAYER_END,
    LAYER_ETHERNET,
    LAYER_TYPE, /* by ethertype */
    LAYER_MPLS,
    LAYER_PPP,
    LAYER_IP, /* 4 or 6, by the first nibble */
    LAYER_IP4,
    LAYER_IP6
};

struct walk {
    struct packet *p;
    const uint8_t *data;
    uint32_t at, end; /* captured bytes */
    uint32_t type;    /* LAYER_TYPE's */
    uint32_t depth;   /* tunnels entered */
};

static inline uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t be32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}

static inline bool has_bytes(const struct walk *w, uint32_t at, uint32_t bytes)
{
    return at <= w->end && bytes <= w->end - at;
}

static enum layer stop(struct walk *w, enum packet_status status)
{
    w->p->status = (uint8_t)status;
    return LAYER_END;
}

/* ---- between the link and IP ---- */

static enum layer by_ethertype(uint32_t type)
{
    switch (type) {
    case 0x0800: return LAYER_IP4;
    case 0x86dd: return LAYER_IP6;
    case 0x8847:
    case 0x8848: return LAYER_MPLS;
    case 0x6558: return LAYER_ETHERNET;
    default: return LAYER_END;
    }
}

static enum layer enter_ethernet(struct walk *w)
{
    struct packet *p = w->p;

    if (!has_bytes(w, w->at, 14))
        return stop(w, PACKET_TRUNCATED);
    p->eth = w->data + w->at;
    p->has = (uint16_t)((p->has | PACKET_HAS_ETH) & ~(PACKET_HAS_VLAN | PACKET_HAS_VLAN_INNER));
    p->vlan_outer = p->vlan_inner = 0;
    w->type = be16(w->data + w->at + 12);
    w->at += 14;
    return LAYER_TYPE;
}

static enum layer enter_pppoe(struct walk *w)
{
    struct packet *p = w->p;

    if (!has_bytes(w, w->at, 8))
        return stop(w, PACKET_TRUNCATED);
    if (w->data[w->at] != 0x11 || w->data[w->at + 1] != 0)
        return stop(w, PACKET_BAD);
    p->tunnel_kind = TUNNEL_PPPOE;
    p->tunnel_id = be16(w->data + w->at + 2);
    p->has = (uint16_t)((p->has | PACKET_HAS_TUNNEL_ID) & ~PACKET_HAS_OUTER);
    w->at += 6;
    return LAYER_PPP;
}

/* IEEE 802.2: SNAP carries an ethertype. */
static enum layer enter_llc(struct walk *w)
{
    if (!has_bytes(w, w->at, 8))
        return stop(w, PACKET_TRUNCATED);
    if (memcmp(w->data + w->at, "\xaa\xaa\x03\0\0\0", 6) != 0)
        return stop(w, PACKET_UNSUPPORTED);
    w->type = be16(w->data + w->at + 6);
    w->at += 8;
    return w->type < 0x600 ? stop(w, PACKET_UNSUPPORTED) : LAYER_TYPE;
}

static enum layer enter_type(struct walk *w)
{
    struct packet *p = w->p;
    enum layer next;

    for (uint32_t tags = 0; w->type == 0x8100 || w->type == 0x88a8 || w->type == 0x9100; tags++) {
        if (!has_bytes(w, w->at, 4))
            return stop(w, PACKET_TRUNCATED);
        if (tags == PACKET_DEPTH)
            return stop(w, PACKET_UNSUPPORTED);
        if (tags == 0)
            p->vlan_outer = be16(w->data + w->at) & 0xfff;
        if (tags == 1)
            p->vlan_inner = be16(w->data + w->at) & 0xfff;
        p->has |= tags == 0 ? PACKET_HAS_VLAN : PACKET_HAS_VLAN_INNER;
        w->type = be16(w->data + w->at + 2);
        w->at += 4;
    }
    p->ethertype = (uint16_t)w->type;
    p->has |= PACKET_HAS_ETHERTYPE;
    if (w->type == 0x8864)
        return enter_pppoe(w);
    if (w->type < 0x600)
        return enter_llc(w);
    next = by_ethertype(w->type);
    return next == LAYER_END ? stop(w, PACKET_UNSUPPORTED) : next;
}

/* RFC 3032. What follows the stack: IP, or a pseudowire of Ethernet (RFC 4385, 4448). */
static enum layer enter_mpls(struct walk *w)
{
    struct packet *p = w->p;
    uint32_t entry, depth = 0;

    do {
        if (!has_bytes(w, w->at, 4))
            return stop(w, PACKET_TRUNCATED);
        if (depth == 32)
            return stop(w, PACKET_UNSUPPORTED);
        entry = be32(w->data + w->at);
        if (depth++ == 0)
            p->mpls_top = entry >> 12;
        p->mpls_depth = (uint8_t)depth;
        p->has |= PACKET_HAS_MPLS;
        w->at += 4;
    } while ((entry >> 8 & 1) == 0);
    if (!has_bytes(w, w->at, 1))
        return stop(w, PACKET_TRUNCATED);
    switch (w->data[w->at] >> 4) {
    case 4: return LAYER_IP4;
    case 6: return LAYER_IP6;
    case 0: w->at += 4; return LAYER_ETHERNET; /* control word */
    default: return stop(w, PACKET_UNSUPPORTED);
    }
}

static enum layer enter_ppp(struct walk *w)
{
    uint32_t protocol;

    if (has_bytes(w, w->at, 2) && w->data[w->at] == 0xff && w->data[w->at + 1] == 3)
        w->at += 2;
    if (!has_bytes(w, w->at, 2))
        return stop(w, PACKET_TRUNCATED);
    protocol = w->data[w->at++];
    if ((protocol & 1) == 0)
        protocol = protocol << 8 | w->data[w->at++];
    switch (protocol) {
    case 0x21: return LAYER_IP4;
    case 0x57: return LAYER_IP6;
    case 0x281:
    case 0x283: return LAYER_MPLS;
    default: return stop(w, PACKET_UNSUPPORTED);
    }
}

/* ---- tunnels ---- */

/* @next at @at can begin there. */
static bool plausible(const struct walk *w, enum layer next, uint32_t at)
{
    const uint32_t nibble = has_bytes(w, at, 1) ? w->data[at] >> 4 : 0;

    switch (next) {
    case LAYER_IP4: return nibble == 4;
    case LAYER_IP6: return nibble == 6;
    case LAYER_IP: return nibble == 4 || nibble == 6;
    case LAYER_ETHERNET: return has_bytes(w, at, 14);
    case LAYER_MPLS: return has_bytes(w, at, 4);
    case LAYER_PPP: return has_bytes(w, at, 2);
    default: return false;
    }
}

/* Into what a tunnel carries: what was the packet is now outside. LAYER_END: it does not look like that. */
static enum layer enter_tunnel(struct walk *w, enum packet_tunnel kind, bool has_id, uint32_t id,
                               enum layer next, uint32_t at)
{
    struct packet *p = w->p;

    if (!plausible(w, next, at))
        return LAYER_END;
    if (++w->depth == PACKET_DEPTH)
        return stop(w, PACKET_UNSUPPORTED);
    p->outer_src = p->src;
    p->outer_dst = p->dst;
    p->outer_ver = p->ip_ver;
    p->tunnel_kind = (uint8_t)kind;
    p->tunnel_id = has_id ? id : 0;
    p->has |= PACKET_HAS_OUTER;
    p->has &= (uint16_t) ~(PACKET_HAS_IP | PACKET_HAS_IP_ID | PACKET_HAS_L4 | PACKET_HAS_PORTS |
                           PACKET_HAS_TCP | PACKET_HAS_TUNNEL_ID);
    if (has_id)
        p->has |= PACKET_HAS_TUNNEL_ID;
    w->at = at;
    return next;
}

/* RFC 2784, 2890; version 1: RFC 2637; ERSPAN: draft-foschiano-erspan. */
static enum layer enter_gre(struct walk *w, uint32_t at)
{
    const uint8_t *d = w->data + at;
    uint32_t flags, type, to = at + 4, key = 0;
    bool keyed;

    if (!has_bytes(w, at, 4))
        return LAYER_END;
    flags = be16(d);
    type = be16(d + 2);
    keyed = (flags & 0x2000) != 0;
    if ((flags & 0x4000) != 0 || (flags & 7) > 1)
        return LAYER_END;
    if ((flags & 0x8000) != 0)
        to += 4;
    if (keyed && !has_bytes(w, to, 4))
        return LAYER_END;
    if (keyed)
        key = be32(w->data + to);
    to += keyed ? 4 : 0;
    to += (flags & 0x1000) != 0 ? 4 : 0;
    if ((flags & 7) == 1) {
        to += (flags & 0x80) != 0 ? 4 : 0;
        return type == 0x880b ? enter_tunnel(w, TUNNEL_GRE, keyed, key & 0xffff, LAYER_PPP, to)
                              : LAYER_END;
    }
    if (type == 0x88be && (flags & 0x1000) == 0)
        return enter_tunnel(w, TUNNEL_ERSPAN, false, 0, LAYER_ETHERNET, to);
    if (type == 0x88be || type == 0x22eb) {
        const uint32_t header = type == 0x88be ? 8 : 12;

        if (!has_bytes(w, to, header))
            return LAYER_END;
        key = be16(w->data + to + 2) & 0x3ff;
        if (type == 0x22eb && (w->data[to + 11] & 1) != 0)
            to += 8;
        return enter_tunnel(w, TUNNEL_ERSPAN, true, key, LAYER_ETHERNET, to + header);
    }
    return enter_tunnel(w, TUNNEL_GRE, keyed, key, by_ethertype(type), to);
}

/* RFC 7348 */
static enum layer enter_vxlan(struct walk *w, uint32_t at)
{
    if (!has_bytes(w, at, 8) || (w->data[at] & 8) == 0)
        return LAYER_END;
    return enter_tunnel(w, TUNNEL_VXLAN, true, be32(w->data + at + 4) >> 8, LAYER_ETHERNET, at + 8);
}

/* RFC 8926 */
static enum layer enter_geneve(struct walk *w, uint32_t at)
{
    if (!has_bytes(w, at, 8) || w->data[at] >> 6 != 0)
        return LAYER_END;
    return enter_tunnel(w, TUNNEL_GENEVE, true, be32(w->data + at + 4) >> 8,
                        by_ethertype(be16(w->data + at + 2)), at + 8 + 4u * (w->data[at] & 0x3f));
}

/* 3GPP TS 29.281: version 1, G-PDU; extension headers say their length in words and what follows. */
static enum layer enter_gtp(struct walk *w, uint32_t at)
{
    const uint8_t *d = w->data + at;
    uint32_t to = at + 8, next;

    if (!has_bytes(w, at, 8) || (d[0] & 0xf0) != 0x30 || d[1] != 255)
        return LAYER_END;
    if ((d[0] & 7) != 0) {
        if (!has_bytes(w, at, 12))
            return LAYER_END;
        next = (d[0] & 4) != 0 ? d[11] : 0;
        to += 4;
        for (uint32_t n = 0; next != 0; n++) {
            const uint32_t words = has_bytes(w, to, 4) ? w->data[to] : 0;

            if (words == 0 || n == 16 || !has_bytes(w, to, words * 4))
                return LAYER_END;
            to += words * 4;
            next = w->data[to - 1];
        }
    }
    return enter_tunnel(w, TUNNEL_GTP, true, be32(d + 4), LAYER_IP, to);
}

/* RFC 4380: an authentication and an origin indication may stand in front. */
static enum layer enter_teredo(struct walk *w, uint32_t at)
{
    if (has_bytes(w, at, 4) && be16(w->data + at) == 1)
        at += 13u + w->data[at + 2] + w->data[at + 3];
    if (has_bytes(w, at, 8) && be16(w->data + at) == 0)
        at += 8;
    return has_bytes(w, at, 40) ? enter_tunnel(w, TUNNEL_OTHER, false, 0, LAYER_IP6, at)
                                : LAYER_END;
}

/* RFC 2661: data of version 2 */
static enum layer enter_l2tp(struct walk *w, uint32_t at)
{
    uint32_t flags, id;

    if (!has_bytes(w, at, 8))
        return LAYER_END;
    flags = be16(w->data + at);
    if ((flags & 0x800f) != 2)
        return LAYER_END;
    at += 2 + ((flags & 0x4000) != 0 ? 2 : 0);
    id = be32(w->data + at);
    at += 4 + ((flags & 0x0800) != 0 ? 4 : 0);
    if ((flags & 0x0200) != 0)
        at += has_bytes(w, at, 2) ? 2u + be16(w->data + at) : 2;
    return enter_tunnel(w, TUNNEL_OTHER, true, id, LAYER_PPP, at);
}

static enum layer udp_tunnel(struct walk *w, uint32_t at)
{
    const struct packet *p = w->p;

    switch (p->dport) {
    case 4789:
    case 8472: return enter_vxlan(w, at);
    case 6081: return enter_geneve(w, at);
    case 2152: return enter_gtp(w, at);
    case 3544: return enter_teredo(w, at);
    case 1701: return enter_l2tp(w, at);
    default: break;
    }
    switch (p->sport) {
    case 2152: return enter_gtp(w, at);
    case 3544: return enter_teredo(w, at);
    default: return LAYER_END;
    }
}

/* ---- transport ---- */

/* @rest: bytes of the IP packet from l4_off on, by its own length. */
static inline void set_payload(struct packet *p, uint32_t header, uint32_t rest)
{
    p->payload_off = p->l4_off + header;
    p->payload_len = rest > header ? rest - header : 0;
}

static inline enum layer enter_tcp(struct walk *w, uint32_t rest)
{
    struct packet *p = w->p;
    const uint8_t *d = w->data + w->at;
    uint32_t header;

    if (UNLIKELY(!has_bytes(w, w->at, 20))) {
        if (has_bytes(w, w->at, 4)) {
            p->sport = be16(d);
            p->dport = be16(d + 2);
            p->has |= PACKET_HAS_PORTS;
        }
        return stop(w, PACKET_TRUNCATED);
    }
    header = d[12] >> 4 << 2;
    p->sport = be16(d);
    p->dport = be16(d + 2);
    p->seq = be32(d + 4);
    p->ack = be32(d + 8);
    p->tcp_flags = d[13];
    p->win = be16(d + 14);
    p->has |= PACKET_HAS_PORTS | PACKET_HAS_TCP;
    if (UNLIKELY(header < 20 || header > rest)) {
        set_payload(p, 20, rest);
        return stop(w, PACKET_BAD);
    }
    set_payload(p, header, rest);
    return LAYER_END;
}

static inline enum layer enter_udp(struct walk *w, uint32_t rest, bool tunnels)
{
    struct packet *p = w->p;
    const uint8_t *d = w->data + w->at;
    uint32_t length;

    if (has_bytes(w, w->at, 4)) {
        p->sport = be16(d);
        p->dport = be16(d + 2);
        p->has |= PACKET_HAS_PORTS;
    }
    if (UNLIKELY(!has_bytes(w, w->at, 8)))
        return stop(w, PACKET_TRUNCATED);
    length = be16(d + 4);
    if (length >= 8 && length < rest)
        rest = length;
    set_payload(p, 8, rest);
    if (UNLIKELY(length < 8 && length != 0 && p->proto == 17))
        return stop(w, PACKET_BAD);
    return tunnels ? udp_tunnel(w, w->at + 8) : LAYER_END;
}

/* Ports, or what stands in their place, in the first four bytes of a header of @header bytes. */
static enum layer enter_ports(struct walk *w, uint32_t rest, uint32_t header, bool bytes)
{
    struct packet *p = w->p;
    const uint8_t *d = w->data + w->at;

    if (!has_bytes(w, w->at, 4))
        return stop(w, PACKET_TRUNCATED);
    p->sport = bytes ? d[0] : be16(d);
    p->dport = bytes ? d[1] : be16(d + 2);
    p->has |= PACKET_HAS_PORTS;
    set_payload(p, header, rest);
    return has_bytes(w, w->at, min_u32(header, rest)) ? LAYER_END : stop(w, PACKET_TRUNCATED);
}

/* What follows IP, at w->at. */
static enum layer enter_transport(struct walk *w, uint32_t rest)
{
    struct packet *p = w->p;

    p->l4_off = w->at;
    p->has |= PACKET_HAS_L4;
    set_payload(p, 0, rest);
    if (UNLIKELY(p->frag_off != 0)) {
        p->has |= PACKET_HAS_PORTS; /* 0: in the first fragment */
        p->sport = p->dport = 0;
        return stop(w, PACKET_FRAGMENT);
    }
    switch (p->proto) {
    case 6: return enter_tcp(w, rest);
    case 17: return enter_udp(w, rest, true);
    case 1:
    case 58: return enter_ports(w, rest, 8, true);
    case 132: return enter_ports(w, rest, 12, false);
    case 33: return enter_ports(w, rest, 12, false);
    case 136: return enter_udp(w, rest, false);
    case 4: return enter_tunnel(w, TUNNEL_IP, false, 0, LAYER_IP4, w->at);
    case 41: return enter_tunnel(w, TUNNEL_IP, false, 0, LAYER_IP6, w->at);
    case 47: return enter_gre(w, w->at);
    default: return LAYER_END;
    }
}

/* ---- IP ---- */

/* Headers between IP and transport: RFC 8200; AH: RFC 4302. False: stopped. */
static bool skip_extensions(struct walk *w)
{
    struct packet *p = w->p;

    for (uint32_t n = 0;; n++) {
        const uint8_t *d = w->data + w->at;
        const uint32_t kind = p->proto;
        uint32_t bytes;

        if (kind != 0 && kind != 43 && kind != 44 && kind != 51 && kind != 60 && kind != 135 &&
            kind != 139 && kind != 140)
            return true;
        if (p->ip_ver == 4 && kind != 51)
            return true;
        if (!has_bytes(w, w->at, 8)) {
            stop(w, PACKET_TRUNCATED);
            return false;
        }
        if (n == 16) {
            stop(w, PACKET_UNSUPPORTED);
            return false;
        }
        bytes = kind == 44 ? 8 : kind == 51 ? (d[1] + 2u) * 4 : (d[1] + 1u) * 8;
        if (kind == 44) {
            p->frag_off = be16(d + 2) & 0xfff8;
            p->frag_more = d[3] & 1;
            p->ip_id = be32(d + 4);
            p->has |= PACKET_HAS_IP_ID;
        }
        p->proto = d[0];
        w->at += bytes;
        if (p->frag_off != 0)
            return true;
        if (w->at > w->end) {
            stop(w, PACKET_TRUNCATED);
            return false;
        }
    }
}

static enum layer enter_ip4(struct walk *w)
{
    struct packet *p = w->p;
    const uint8_t *d = w->data + w->at;
    uint32_t header, fragment;

    if (UNLIKELY(!has_bytes(w, w->at, 20)))
        return stop(w, PACKET_TRUNCATED);
    header = (d[0] & 15u) * 4;
    if (UNLIKELY(d[0] >> 4 != 4 || header < 20))
        return stop(w, PACKET_BAD);
    fragment = be16(d + 6);
    p->ip_ver = 4;
    p->dscp_ecn = d[1];
    p->ip_len = be16(d + 2);
    p->ip_id = be16(d + 4);
    p->frag_off = (uint16_t)((fragment & 0x1fff) * 8);
    p->frag_more = fragment >> 13 & 1;
    p->ttl = d[8];
    p->proto = d[9];
    p->src = d + 12;
    p->dst = d + 16;
    p->l3_off = w->at;
    p->has |= PACKET_HAS_IP | PACKET_HAS_IP_ID;
    if (UNLIKELY(p->ip_len == 0)) /* left to the card to fill in */
        p->ip_len = p->record.length > w->at ? p->record.length - w->at : 0;
    if (UNLIKELY(p->ip_len < header))
        return stop(w, PACKET_BAD);
    if (UNLIKELY(!has_bytes(w, w->at, header)))
        return stop(w, PACKET_TRUNCATED);
    w->at += header;
    if (UNLIKELY(p->proto == 51) && !skip_extensions(w))
        return LAYER_END;
    header = w->at - p->l3_off;
    return enter_transport(w, p->ip_len > header ? p->ip_len - header : 0);
}

static enum layer enter_ip6(struct walk *w)
{
    struct packet *p = w->p;
    const uint8_t *d = w->data + w->at;
    uint32_t header;

    if (UNLIKELY(!has_bytes(w, w->at, 40)))
        return stop(w, PACKET_TRUNCATED);
    if (UNLIKELY(d[0] >> 4 != 6))
        return stop(w, PACKET_BAD);
    p->ip_ver = 6;
    p->dscp_ecn = (uint8_t)(be16(d) >> 4);
    p->ip_len = be16(d + 4) + 40u;
    p->proto = d[6];
    p->ttl = d[7];
    p->src = d + 8;
    p->dst = d + 24;
    p->l3_off = w->at;
    p->ip_id = p->frag_off = p->frag_more = 0;
    p->has |= PACKET_HAS_IP;
    if (p->ip_len == 40 && p->proto != 59) /* a jumbogram, or left to the card */
        p->ip_len = p->record.length > w->at ? p->record.length - w->at : 0;
    w->at += 40;
    if (!skip_extensions(w))
        return LAYER_END;
    header = w->at - p->l3_off;
    return enter_transport(w, p->ip_len > header ? p->ip_len - header : 0);
}

static enum layer enter_ip(struct walk *w)
{
    if (!has_bytes(w, w->at, 1))
        return stop(w, PACKET_TRUNCATED);
    switch (w->data[w->at] >> 4) {
    case 4: return LAYER_IP4;
    case 6: return LAYER_IP6;
    default: return stop(w, PACKET_BAD);
    }
}

/* ---- links ---- */

/* The address family of BSD: 24, 28 and 30 are IPv6 on one of them. */
static enum layer by_family(struct walk *w)
{
    uint32_t family;

    if (!has_bytes(w, 0, 4))
        return stop(w, PACKET_TRUNCATED);
    memcpy(&family, w->data, 4);
    if (family > 0xffff)
        family = __builtin_bswap32(family);
    w->at = 4;
    switch (family) {
    case 2: return LAYER_IP4;
    case 10:
    case 24:
    case 28:
    case 30: return LAYER_IP6;
    default: return stop(w, PACKET_UNSUPPORTED);
    }
}

static enum layer cooked(struct walk *w, uint32_t header, uint32_t type_at)
{
    if (!has_bytes(w, 0, header))
        return stop(w, PACKET_TRUNCATED);
    w->type = be16(w->data + type_at);
    w->at = header;
    return w->type < 0x600 ? stop(w, PACKET_UNSUPPORTED) : LAYER_TYPE;
}

static enum layer begin_link(struct walk *w)
{
    switch (w->p->record.link) {
    case 1: return LAYER_ETHERNET;
    case 0:
    case 108: return by_family(w);
    case 9: return LAYER_PPP;
    case 12:
    case 14:
    case 101: return LAYER_IP;
    case 113: return cooked(w, 16, 14);
    case 228: return LAYER_IP4;
    case 229: return LAYER_IP6;
    case 276: return cooked(w, 20, 0);
    default: return stop(w, PACKET_UNSUPPORTED);
    }
}

/* Nearly all packets: Ethernet, IPv4 without options and not in fragments, TCP, or UDP that is no tunnel. Does what the
 * layers above do, in one go. False: something else, nothing is set. */
static inline bool decode_plain(struct packet *p)
{
    const uint8_t *d = p->record.data;
    struct walk w = {.p = p, .data = d, .at = 34, .end = p->record.caplen};
    uint32_t rest;

    if (p->record.link != 1 || w.end < 54 || be16(d + 12) != 0x0800 || d[14] != 0x45 ||
        (be16(d + 20) & 0x3fff) != 0 || (d[23] != 6 && d[23] != 17) || be16(d + 16) < 28)
        return false;
    p->eth = d;
    p->ethertype = 0x0800;
    p->ip_ver = 4;
    p->dscp_ecn = d[15];
    p->ip_len = be16(d + 16);
    p->ip_id = be16(d + 18);
    p->ttl = d[22];
    p->proto = d[23];
    p->src = d + 26;
    p->dst = d + 30;
    p->l3_off = 14;
    p->l4_off = 34;
    p->has =
        PACKET_HAS_ETH | PACKET_HAS_ETHERTYPE | PACKET_HAS_IP | PACKET_HAS_IP_ID | PACKET_HAS_L4;
    rest = p->ip_len - 20;
    set_payload(p, 0, rest);
    if (LIKELY(p->proto == 6)) {
        enter_tcp(&w, rest);
        return true;
    }
    if (enter_udp(&w, rest, true) == LAYER_END)
        return true;
    /* a tunnel: from the begin */
    p->has = 0;
    p->status = p->tunnel_kind = 0;
    p->sport = p->dport = 0;
    return false;
}

static inline bool is_tunnel_port(uint32_t sport, uint32_t dport)
{
    const int to = (dport == 4789) | (dport == 8472) | (dport == 6081) | (dport == 2152) |
                   (dport == 3544) | (dport == 1701);

    return (to | (sport == 2152) | (sport == 3544)) != 0;
}

/* Without a branch on the protocol, which nobody can foretell. */
uint16_t packet_plain(const struct capture_record *r)
{
    const uint8_t *d = r->data;
    uint32_t length, header;
    bool tcp, udp;

    if (r->link != 1 || r->caplen < 54 || be16(d + PLAIN_ETHERTYPE) != 0x0800 || d[14] != 0x45 ||
        (be16(d + 20) & 0x3fff) != 0)
        return 0;
    length = be16(d + PLAIN_IP_LEN);
    header = d[46] >> 4 << 2;
    tcp = (d[PLAIN_PROTO] == 6) & (header >= 20) & (header + 20 <= length);
    udp = (d[PLAIN_PROTO] == 17) & (length >= 28) & (be16(d + 38) >= 8) &
          (int)!is_tunnel_port(be16(d + PLAIN_SPORT), be16(d + PLAIN_DPORT));
    return (uint16_t)((PACKET_HAS_ETH | PACKET_HAS_ETHERTYPE | PACKET_HAS_IP | PACKET_HAS_IP_ID |
                       PACKET_HAS_L4 | PACKET_HAS_PORTS | (tcp ? PACKET_HAS_TCP : 0)) &
                      -(int)(tcp | udp));
}

void packet_decode(struct packet *p)
{
    struct walk w = {.p = p, .data = p->record.data, .end = p->record.caplen};
    enum layer layer;

    /* what is valid without a bit, or looked at before it is set */
    p->has = 0;
    p->status = p->mpls_depth = p->tunnel_kind = p->frag_more = 0;
    p->frag_off = p->sport = p->dport = 0;
    if (decode_plain(p))
        return;
    layer = begin_link(&w);
    for (uint32_t n = 0; layer != LAYER_END; n++) {
        if (n == LAYERS_MAX) {
            stop(&w, PACKET_UNSUPPORTED);
            return;
        }
        switch (layer) {
        case LAYER_ETHERNET: layer = enter_ethernet(&w); break;
        case LAYER_TYPE: layer = enter_type(&w); break;
        case LAYER_MPLS: layer = enter_mpls(&w); break;
        case LAYER_PPP: layer = enter_ppp(&w); break;
        case LAYER_IP: layer = enter_ip(&w); break;
        case LAYER_IP4: layer = enter_ip4(&w); break;
        default: layer = enter_ip6(&w); break;
        }
    }
}

/* ---- flows ---- */

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    const uint128 product = (uint128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t flow_end(const uint8_t *address, uint32_t version, uint32_t port)
{
    uint64_t a, b;

    if (version == 4)
        return (uint64_t)be32(address) << 16 | port;
    memcpy(&a, address, 8);
    memcpy(&b, address + 8, 8);
    return mix(a ^ 0x9e3779b97f4a7c15ull, b ^ 0xc2b2ae3d27d4eb4full) + port * 0x165667b19e3779f9ull;
}

static inline uint64_t flow_hash(uint64_t a, uint64_t b, uint32_t proto, uint32_t version)
{
    const uint64_t least = min_u64(a, b), most = max_u64(a, b);

    return mix(least ^ 0xa0761d6478bd642full,
               most ^ 0xe7037ed1a0b428dbull ^ (uint64_t)proto << 56 ^ (uint64_t)version << 48);
}

uint64_t packet_flow_hash(const struct packet *p)
{
    return flow_hash(flow_end(p->src, p->ip_ver, p->sport), flow_end(p->dst, p->ip_ver, p->dport),
                     p->proto, p->ip_ver);
}

uint64_t packet_plain_flow_hash(const struct capture_record *r)
{
    const uint8_t *d = r->data;

    return flow_hash(flow_end(d + PLAIN_SRC, 4, be16(d + PLAIN_SPORT)),
                     flow_end(d + PLAIN_DST, 4, be16(d + PLAIN_DPORT)), d[PLAIN_PROTO], 4);
}

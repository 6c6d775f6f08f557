/* configuration.h - who belongs to the cluster, as an entry of kind ENTRY_CONFIG says it: its uuid, and each member's
 * id, addresses and data id. The newest such entry of a log counts, committed or not (dissertation, section 4.1).
 *
 * Payload:   numbers are little-endian.
 *
 *                 0  16   the cluster's uuid
 *                16  u32  how many members; then for each, by id:
 *                    u32  id
 *                    16   data id; zeros: none, it has not been met yet or was taken out
 *                    3 x  (u16 length, text): its addresses for peers, clients and admins, "host:port"; length 0: none
 *                    */
#ifndef RAFT_CONFIGURATION_H
#define RAFT_CONFIGURATION_H

#include "base/buffer.h"
#include "base/entry.h"
#include "base/member.h"

struct configuration {
    raft_index index; /* of its entry; 0: there is none, the cluster is not born */
    raft_term term;   /* the same */
    struct cluster_uuid uuid;
    struct members members;
    struct data_id data_ids[MEMBERS_MAX]; /* by position among the members */
};

void configuration_encode(const struct configuration *configuration, struct mailraft_buffer *payload);

/* PROTOCOL_ERROR where an entry does not hold one. */
bool configuration_decode(const struct entry *entry, struct configuration *configuration, struct mailraft_error *err);

#endif

/* peer.h - the cluster that targets for what peers send take for theirs: members 1 to 3, of whom we are 1. */
#ifndef FUZZ_PEER_H
#define FUZZ_PEER_H

#include "mail/mailbox.h"

#define PEER_INCARNATION UINT64_C(0x0102030405060708) /* of what seeds say */

static inline void peer_configure(struct mailbox_config *config)
{
    *config = (struct mailbox_config){.cluster_name = "test", .id = 1, .entry_bytes_max = 64 * 1024};
    config->members.count = 3;
    for (int i = 0; i < 3; i++) {
        config->members.list[i].id = i + 1;
        config->members.list[i].peer = (struct address){"127.0.0.1", (uint16_t)(7101 + i)};
    }
    config->data_id.bytes[0] = 1;
    config->cluster_uuid.bytes[0] = 9;
}

#endif

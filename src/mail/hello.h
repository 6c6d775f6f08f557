/* hello.h - the first message of a connection, in each direction: who speaks, to whom, and whether the two belong
 * together. Whoever opened the connection says its hello first; the acceptor answers with its own, which repeats
 * channel and connection number, or closes. */
#ifndef MAIL_HELLO_H
#define MAIL_HELLO_H

#include "base/thread.h"
#include "mail/mailbox.h"

/* The protocol versions that we speak. A connection uses the highest that both ends know, so that a cluster can be
 * upgraded node by node. */
#define VERSION_LOWEST 1
#define VERSION_HIGHEST 1

#define CHANNEL_COUNT 2 /* values of enum channel */

struct hello { /* as it was said: only hello_check tells whether it makes sense */
    uint32_t version_lowest, version_highest;
    char cluster_name[CLUSTER_NAME_MAX];
    struct cluster_uuid cluster_uuid;
    raft_id sender, receiver;
    uint32_t channel;     /* enum channel */
    uint64_t incarnation; /* random, of the process; never 0 */
    uint64_t connection;  /* counted up from 1 by whoever opens connections of this channel to this receiver */
    struct data_id data_id;
    uint64_t members_checksum;
    bool rejoin_empty;
};

/* Who speaks: what a member says of itself in every hello. Fixed while its mailbox runs, but for the cluster's uuid. */
struct speaker {
    raft_id id;
    char cluster_name[CLUSTER_NAME_MAX];
    uint64_t incarnation;
    struct data_id data_id;
    bool rejoin_empty;
    struct members members;
    uint64_t members_checksum;

    struct mutex mutex; /* guards what follows */
    struct cluster_uuid cluster_uuid;
};

/* Draws the incarnation. */
void speaker_init(struct speaker *self, const struct mailbox_config *config);
void speaker_fini(struct speaker *self);
void speaker_set_uuid(struct speaker *self, const struct cluster_uuid *uuid); /* from any thread */

void hello_make(struct hello *hello, struct speaker *self, raft_id receiver, enum channel channel, uint64_t connection);

/* What of it is of interest to the server. */
struct introduction hello_introduction(const struct hello *hello);

/* Whether somebody else's hello is one that we answer, and which version the connection uses. PROTOCOL_ERROR otherwise,
 * whose message goes on from "refused: ". */
bool hello_check(const struct hello *hello, struct speaker *self, uint32_t *version, struct mailraft_error *err);

/* For whoever opened the connection: whether answer, which has passed hello_check, comes from the member that ours was
 * meant for, and belongs to this connection. */
bool hello_check_answer(const struct hello *answer, const struct hello *ours, struct mailraft_error *err);

#endif

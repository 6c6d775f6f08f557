/* subscriptions.h - SUBSCRIBE and its kin, as Redis Sentinel has them. Nobody publishes but the node itself: it tells
 * its subscribers when another member leads, in Sentinel's words, so that clients which listen for that look anew:
 *
 *     +switch-master NAME OLD-IP OLD-PORT NEW-IP NEW-PORT
 *     +slave slave OLD-IP:OLD-PORT OLD-IP OLD-PORT @ NAME NEW-IP NEW-PORT     (node-redis listens for this one)
 *
 * Threads:   the clients' thread. Ownership: a session's subscriptions are its own. */
#ifndef SERVE_SUBSCRIPTIONS_H
#define SERVE_SUBSCRIPTIONS_H

#include "serve/session.h"

/* Of one session, channels and patterns together; one more is refused. */
#define SUBSCRIPTIONS_MAX      64
#define SUBSCRIPTION_BYTES_MAX 512 /* of one name */

struct subscriptions;

enum subscription_kind { SUBSCRIPTION_CHANNEL, SUBSCRIPTION_PATTERN };

size_t subscriptions_count(const struct session *session, enum subscription_kind kind);
void subscriptions_forget(struct session *session); /* as if there had been none */

/* A subscriber that speaks RESP2 may give few commands, since it could not tell answers from news. False: not this one;
 * Redis's error has been put. */
bool subscriptions_allow(struct session *session, const struct command *command);

/* The sessions' status is new: where another member leads than was told last, subscribers are told. */
void subscriptions_tell(struct sessions *sessions);

#endif

/* handshake.h - saying and hearing a hello on a new connection. */
#ifndef MAIL_HANDSHAKE_H
#define MAIL_HANDSHAKE_H

#include "mail/hello.h"
#include "mail/stream.h"

#define HANDSHAKE_US 1000000 /* the hellos of both ends, and all waits between them */

bool handshake_say(struct stream *stream, const struct hello *hello, struct mailraft_error *err);

/* PROTOCOL_ERROR also when the deadline passes first. The bell ends the wait. */
bool handshake_hear(struct stream *stream, struct hello *hello, int64_t deadline_us, const struct bell *stop,
                    struct mailraft_error *err);

#endif

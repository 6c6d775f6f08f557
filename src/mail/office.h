/* office.h - what the threads of one mailbox share. Fixed from the start of the first of them to the end of the last;
 * what changes behind it locks for itself. */
#ifndef MAIL_OFFICE_H
#define MAIL_OFFICE_H

#include "mail/complaints.h"
#include "mail/hello.h"
#include "mail/outbox.h"

struct office {
    struct speaker self;
    struct pile *pile; /* the server's; borrowed */
    struct log *log;   /* borrowed */
    size_t entry_bytes_max; /* of an entry that comes in */
    struct complaints complaints;
    struct bell stop; /* rung once, when the mailbox stops; never silenced */

    /* By the member's position in self.members, and channel; NULL for ourselves. */
    struct outbox *outboxes[MEMBERS_MAX][CHANNEL_COUNT];
    struct credit *credits[MEMBERS_MAX][CHANNEL_COUNT];  /* what a peer's readers may have on the pile */
};

#endif

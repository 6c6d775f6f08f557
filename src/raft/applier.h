/* applier.h - the thread that owns the state machine (include/mailraft/machine.h) and its applied index.
 *
 * Threads:   any thread puts letters on its pile; its own calls the machine.
 * Letters:   LETTER_APPLY: it applies the entries, which follow those before, answers whoever waits for one of them
 *            with LETTER_REPLY on that one's pile, and says LETTER_APPLIED to the server (inner lane), one for all that
 *            it found on its pile. LETTER_QUERY: it asks the machine and answers the same way.
 *            Its last letter, after applier_close, is LETTER_APPLIER_ENDED (control lane).
 * Bounds:    some 16 MiB of large answers that nobody has handled yet: it waits then. Whoever gets them handles them
 *            without waiting for it. */
#ifndef RAFT_APPLIER_H
#define RAFT_APPLIER_H

#include "base/log.h"
#include "base/pile.h"
#include "mailraft/machine.h"

struct applier;

/* machine: borrowed until applier_join; NULL: there is none, and entries are only counted. answers and log: borrowed as
 * long. SERVER_ERROR where no thread can be started. */
struct applier *applier_start(const struct mailraft_machine *machine, struct pile *answers, struct log *log,
                              struct mailraft_error *err);

/* Takes the batch and waits, which are in order of their index; waits: NULL where nobody waits. */
void applier_apply(struct applier *applier, struct batch *entries, struct wait *waits, size_t wait_count);

/* Answers queries, LETTER_QUERY, behind what was to be applied before them; empties the list. One at whose time
 * something is due that no entry has told of goes back to the server as LETTER_READ_EARLY; and so do those that left
 * there before it had taken all that went back (number: how many it had), or they would be answered before them. */
void applier_query(struct applier *applier, struct letter_list *queries);

/* It ends with the batch that it is at: whoever waits for a later one learns that its outcome is uncertain. */
void applier_close(struct applier *applier);
void applier_join(struct applier *applier);    /* after LETTER_APPLIER_ENDED came: frees it */
void applier_abandon(struct applier *applier); /* it is stuck in the machine: leave it, and what it uses, alone */

/* An answer to a proposer; bytes are moved out of the buffer (NULL: none). Nothing where nobody waits. */
void applier_reply(const struct proposer *proposer, enum outcome outcome, raft_index index, raft_id leader_id,
                   struct mailraft_buffer *bytes);

#endif

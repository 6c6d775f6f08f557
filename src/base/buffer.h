/* buffer.h - bytes that grow as they are put: mailraft_buffer (include/mailraft/machine.h) for those who own one. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "mailraft/machine.h"

void buffer_fini(struct mailraft_buffer *buffer);  /* frees the bytes; one that is all zeros is empty */
void buffer_clear(struct mailraft_buffer *buffer); /* empty again, and keeps its room */

#endif

/* reader.h - reads one connection that somebody opened to us: the hello first, then message after message, each of
 * which goes on the server's pile. LETTER_CONNECTED comes before the first of them and LETTER_DISCONNECTED after the
 * last. */
#ifndef MAIL_READER_H
#define MAIL_READER_H

#include "mail/arrivals.h"

/* The thread's main. It cleans up after itself: whatever ends the connection is told here, and nowhere else. */
void reader_main(void *arrival);

#endif

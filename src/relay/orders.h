/* orders.h - what the relay is told, a line an order, and what it answers, a line each: "ok", "ok ADDRESS", or "error"
 * with the reason.
 *
 *     wire A B TARGET [LISTEN]        A reaches B, which is at TARGET, at LISTEN, or at the address that is answered
 *     cut A B [oneway]                nothing is carried between them, and nothing closed
 *     delay A B MS [JITTER] [oneway]  what is said between them takes so long, and up to JITTER longer; 0: no time
 *     slow A B BYTES [oneway]         each connection carries so many bytes a second; 0: as many as there are
 *     stall A B                       on the connections that there are, what A says to B is not read any more
 *     unstall A B                     it is
 *     break A B                       the connections that there are between them end with an RST
 *     vanish A B                      on them, both ends seem gone without a word; new connections are whole
 *     heal [A B]                      no cut, no delay, no slowness, no stall between them; or anywhere
 *
 * A and B are ids of nodes, or "all"; of a wire they are ids. oneway: only what A says to B. Addresses are "host:port",
 * or "[ipv6]:port". Milliseconds may have a fraction. */
#ifndef RELAY_ORDERS_H
#define RELAY_ORDERS_H

#include "relay/relay.h"

#define ORDERS_LINE_MAX   1024 /* bytes of a line, without its newline */
#define ORDERS_ANSWER_MAX (MAILRAFT_ERROR_MESSAGE_MAX + 20)

#define ORDERS_DELAY_MS_MAX 600000

/* Does what one line says. The answer has a newline, and no other; "" for a line without a word. Returns answer. */
const char *orders_obey(struct relay *relay, const char *line, char answer[ORDERS_ANSWER_MAX]);

#endif

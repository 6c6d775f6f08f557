/* post.h - three mailboxes with real sockets on 127.0.0.1, and a test that speaks for member 2: what mail's tests have
 * in common. Ours, which is tested, is member 1 as a rule; members 2 and 3 are mailboxes too where they were started.
 *
 * Whatever is waited for fails the test after WAIT_MS. */
#ifndef TEST_POST_H
#define TEST_POST_H

#include "check.h"
#include "mail/mailbox.h"
#include "mail/wire.h"

#define POST_ENTRY_BYTES_MAX (256 * 1024) /* of an entry that a node takes: more than a frame of many has */

#define POST_HANGING_HOST "hangs.invalid" /* a lookup of it never returns in the program that has post.c */

struct post_node {
    struct mailbox_config config;
    struct pile *pile;
    struct log *log;
    struct mailbox *mailbox; /* NULL: does not run */
    struct letter *laid_by;  /* letters that post_take has passed over, the oldest first */
    int file;                /* what the log says */
    char *text;              /* the same, when it was looked at last */
};

/* Before and after each test: configs for 1 to 3 with ports of their own; whatever runs is stopped. */
void post_open(void);
void post_close(void);

struct post_node *post_node(int id);
struct speaker *post_two(void); /* as which the test speaks */
uint16_t post_port(int id);

void post_start(int id);
void post_stop(int id); /* does nothing when it does not run */

/* How many lines of a node's log contain this. */
int post_count_lines(int id, const char *part);
void post_await_lines(int id, const char *part, int count);

/* A node says so many times that it is connected to a peer, for operators, and at debug of the bulk channel. */
void post_await_connected(int id, int peer, int count);
void post_await_connected_bulk(int id, int peer, int count);

/* The next letter on a node's pile that is about connections like this: of this channel, and opened by us (REACHED,
 * LOST) or by others. It must be of this kind. Others wait for who asks for them. */
struct letter *post_take_of(int id, enum channel channel, enum letter_kind kind);
struct letter *post_take(int id, enum letter_kind kind); /* of the urgent channel */
/* It is that the test connected or disconnected. */
void post_await_link(int id, enum letter_kind kind, uint64_t connection);
/* It is a message: its round. */
uint64_t post_await_message(int id);

void post_send(int from, raft_id to, uint64_t round);
/* Entries of term 1, from index 1 on, and sending them over the bulk channel. */
void post_send_entries(int from, raft_id to, const struct batch *entries);
struct batch *post_entries(size_t count, size_t payload_size);

/* What the test says and hears over a plain socket. */
struct frame *post_append(const struct batch *entries); /* the same entries, from member 2 */
uint8_t *post_frame_bytes(struct frame *frame);         /* all of them, for memory_free; then the frame has left */
void post_say_frame(int fd, struct frame *frame); /* frees it */
void post_say_round(int fd, uint64_t round);
bool post_hear_hello(int fd, struct hello *hello); /* false: the connection was closed instead */
struct hello post_hello(uint64_t connection);
struct hello post_hello_of(enum channel channel, uint64_t connection);

/* Connects to 1 with a hello, whatever it says. */
int post_call_with(const struct hello *hello);
/* Connects to 1, and hears its hello. */
int post_call(uint64_t connection);
int post_call_bulk(uint64_t connection);

/* A hello is refused: the connection is closed, and one line says why and from where. */
void post_assert_refused(const struct hello *hello, const char *reason);
/* Nothing of what happened before keeps member 2 out. */
void post_assert_open(uint64_t connection);

#endif

/* desk.h - sessions with clients that the test speaks for, and a server that it plays: what the tests of sessions have
 * in common. Nothing waits: what a client hears, and what the server is asked, is looked at after each step. */
#ifndef TEST_DESK_H
#define TEST_DESK_H

#include "check.h"
#include "serve/session_state.h"

#define DESK_TIMEOUT_US  (INT64_C(3600) * 1000 * 1000) /* nothing times out by itself, however slow the test */
#define DESK_REQUEST_MAX 4096
#define DESK_FLIGHT_MAX  (512 * 1024)

struct client; /* a connection */

/* Before and after each test. desk_open leaves view 1 open. */
void desk_open(void);
void desk_open_unconnected(void); /* no status has come yet */
void desk_close(void);
struct sessions *desk_sessions(void);
int desk_count_lines(const char *part); /* of the log, that contain this */

struct client *client_open(void);
void client_close(struct client *client);
/* Bytes, once the server has been asked for what was said before. */
void client_says(struct client *client, const char *text);
void client_says_bytes(struct client *client, const void *bytes, size_t size);
const char *client_hears(struct client *client); /* all that it has been sent since */
bool client_is_paused(const struct client *client);
void client_reads_nothing(struct client *client); /* its connection is full from the next answer on */
void client_reads_on(struct client *client);      /* it has drained */
bool client_is_closing(const struct client *client);
size_t client_left(const struct client *client); /* bytes that were not read */
struct session *client_session(const struct client *client);

/* What the server has been asked since, as text: "SET a 1; GET a; GET b behind; COUNT 7; STATUS". A transaction is
 * "[watched=5 SET a 1, GET a]". */
const char *desk_asked(void);
/* Answers the nth of all questions (from 0) but STATUS. */
void desk_reply(size_t question, enum outcome outcome, raft_index index, const char *text);
void desk_reply_bytes(size_t question, enum outcome outcome, raft_index index, const void *bytes, size_t size);
void desk_applies(size_t question, const char *text); /* as entry 100 + question */
void desk_reads(size_t question, const char *text);
uint64_t desk_view_of(size_t question);
void desk_status(uint64_t view, bool open);
void desk_tells(const struct status *status);

int64_t desk_deadline_us(void);
void desk_pass(int64_t us); /* so much later than now, what is due happens */

#endif

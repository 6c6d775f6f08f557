#include "serve/session.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "desk.h"

static struct client *client;

static void prepare(void)
{
    desk_open();
    client = client_open();
}

TestSuite(session, .init = prepare, .fini = desk_close, .timeout = 60);

static void hears(const char *said, const char *heard)
{
    client_says(client, said);
    cr_assert_str_eq(client_hears(client), heard);
}

/* ---- Requests ---- */

Test(session, what_the_store_answers_is_asked_for_and_what_the_session_knows_is_answered_at_once)
{
    hears("PING\r\n", "+PONG\r\n");
    cr_assert_str_eq(desk_asked(), "");
    hears("*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "");
    cr_assert_str_eq(desk_asked(), "get a");
}

Test(session, an_unknown_command_is_an_error_and_no_more)
{
    hears("foo a b\r\nPING\r\n", "-ERR unknown command 'foo', with args beginning with: 'a' 'b' \r\n+PONG\r\n");
    hears("CLIENT FOO\r\nGET\r\n", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n"
                                   "-ERR wrong number of arguments for 'get' command\r\n");
    cr_assert_not(client_is_closing(client));
}

Test(session, an_empty_line_is_no_request)
{
    hears("\r\n\r\nPING\r\n*0\r\n", "+PONG\r\n");
}

Test(session, commands_of_a_container_keep_their_second_word)
{
    client_says(client, "OBJECT ENCODING a\r\n");
    cr_assert_str_eq(desk_asked(), "object ENCODING a");
}

Test(session, what_is_asked_after_hello_3_is_asked_for_resp3)
{
    client_says(client, "GET a\r\nHELLO 3\r\nGET a\r\n");
    cr_assert_str_eq(desk_asked(), "get a; 3:get a");
    hears("RESET\r\n", "");
    client_says(client, "GET a\r\n");
    cr_assert_str_eq(desk_asked(), "get a");
}

Test(session, client_reply_off_silences_all_until_on_and_skip_the_next_one)
{
    hears("SET a 1\r\nCLIENT REPLY SKIP\r\nSET b 1\r\nINCR c\r\n", "");
    desk_asked();
    desk_applies(0, "+1\r\n");
    desk_applies(1, "+2\r\n");
    desk_applies(2, "+3\r\n");
    cr_assert_str_eq(client_hears(client), "+1\r\n+3\r\n");
    hears("CLIENT REPLY OFF\r\nPING\r\nFOO\r\nSET a 1\r\nCLIENT REPLY ON\r\nPING\r\n", "");
    desk_asked();
    desk_applies(3, "+4\r\n");
    cr_assert_str_eq(client_hears(client), "+OK\r\n+PONG\r\n");
    hears("CLIENT REPLY SKIP\r\nPING\r\nPING\r\n", "+PONG\r\n");
}

Test(session, quit_is_answered_in_its_turn_and_ends_the_connection)
{
    client_says(client, "SET a 1\r\nQUIT\r\nSET b 1\r\n");
    cr_assert_str_eq(desk_asked(), "set a 1");
    cr_assert_not(client_is_closing(client));
    desk_applies(0, "+OK\r\n");
    cr_assert_str_eq(client_hears(client), "+OK\r\n+OK\r\n");
    cr_assert(client_is_closing(client));
}

Test(session, what_is_no_request_is_answered_after_what_came_before_and_ends_the_connection)
{
    client_says(client, "GET a\r\n*1\r\nPING\r\nGET b\r\n");
    cr_assert_str_eq(desk_asked(), "get a");
    cr_assert_not(client_is_closing(client));
    desk_reads(0, "$-1\r\n");
    cr_assert_str_eq(client_hears(client), "$-1\r\n-ERR Protocol error: expected '$', got 'P'\r\n");
    cr_assert(client_is_closing(client));
    cr_assert_eq(desk_count_lines("Client 127.0.0.1:50322 is closed: Protocol error: expected"), 1);
}

/* ---- Bytes ---- */

Test(session, a_request_may_come_byte_by_byte)
{
    const char *text = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\nGET a\r\n";
    for (size_t i = 0; i < strlen(text); i++)
        client_says_bytes(client, text + i, 1);
    cr_assert_str_eq(desk_asked(), "set a hello; get a behind");
}

Test(session, it_tells_how_much_it_wants_of_a_large_request)
{
    const char *text = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3000\r\nhello";
    size_t wanted;
    size_t used = session_bytes(client_session(client), (const uint8_t *)text, strlen(text), &wanted);
    cr_assert_eq(used, 0);
    cr_assert_gt(wanted, strlen(text));
}

/* ---- For the commands that a session carries out by itself ---- */

static int finished, dropped;
static char heard[100];

static void finish(struct session *session, void *context, const uint8_t *bytes, size_t size)
{
    finished++;
    snprintf(heard, sizeof heard, "%s %.*s", (const char *)context, (int)size,
             bytes == NULL ? "" : (const char *)bytes);
    resp_put_integer(session_reply(session), finished);
}

static void drop(void *context)
{
    (void)context;
    dropped++;
}

static void finish_plain(struct session *session)
{
    finished++;
    resp_put_simple(session_reply(session), session_status(session)->open ? "open" : "closed");
}

static const struct mailraft_buffer *query(void)
{
    static struct mailraft_buffer bytes;
    struct text key = {(const uint8_t *)"k", 1};
    struct kv_request request;
    buffer_clear(&bytes);
    kv_request_begin(&request, &bytes, 0);
    kv_request_ops(&request);
    kv_request_op(&request, KV_STATE, &key, 1);
    return &bytes;
}

/* The table's commands ask for the same, but for what they make of it. */
static struct session *begin(void)
{
    struct session *session = client_session(client);
    buffer_clear(session_reply(session));
    return session;
}

static void end(struct session *session)
{
    session->current = NULL;
    desk_status(session->sessions->status.view, session->sessions->status.open);
}

Test(session, a_query_is_finished_with_what_was_read)
{
    struct session *session = begin();
    session_ask_query(session, query(), finish, drop, "query");
    end(session);
    cr_assert_str_eq(desk_asked(), "? k");
    client_says(client, "PING\r\n");
    desk_reads(0, "bytes");
    cr_assert_str_eq(heard, "query bytes");
    cr_assert_eq(dropped, 1);
    cr_assert_str_eq(client_hears(client), ":1\r\n+PONG\r\n");
}

Test(session, a_query_without_an_answer_is_dropped_unfinished)
{
    desk_status(1, false);
    struct session *session = begin();
    session_ask_query(session, query(), finish, drop, "query");
    end(session);
    desk_pass(DESK_TIMEOUT_US);
    cr_assert_eq(finished, 0);
    cr_assert_eq(dropped, 1);
    session = begin();
    session_ask_query(session, query(), finish, drop, "query");
    end(session);
    client_close(client);
    cr_assert_eq(finished, 0);
    cr_assert_eq(dropped, 2);
}

Test(session, a_query_that_is_only_tried_is_finished_without_bytes_where_there_is_no_way)
{
    desk_status(1, false);
    struct session *session = begin();
    session_try_query(session, query(), finish, drop, "tried");
    cr_assert_null(session->current);
    cr_assert_eq(finished, 1);
    cr_assert_eq(dropped, 1);
    cr_assert_str_eq(heard, "tried ");
}

Test(session, and_where_the_way_breaks_or_takes_too_long)
{
    struct session *session = begin();
    session_try_query(session, query(), finish, drop, "tried");
    end(session);
    cr_assert_str_eq(desk_asked(), "? k");
    desk_status(2, true);
    desk_reply(0, OUTCOME_NOT_EXECUTED, 0, "");
    cr_assert_eq(finished, 1);
    session = begin();
    session_try_query(session, query(), finish, drop, "tried");
    end(session);
    desk_pass(DESK_TIMEOUT_US);
    cr_assert_eq(finished, 2);
    cr_assert_str_eq(client_hears(client), ":1\r\n:2\r\n");
    cr_assert_eq(dropped, 2);
}

Test(session, the_status_is_asked_for_and_needs_no_leader)
{
    desk_status(1, false);
    struct session *session = begin();
    session_ask_status(session, finish, drop, "status");
    session->current = NULL;
    cr_assert_str_eq(desk_asked(), "STATUS");
    cr_assert_eq(finished, 0);
    desk_status(1, false);
    cr_assert_eq(finished, 1);
    cr_assert_eq(dropped, 1);
    cr_assert_str_eq(client_hears(client), ":1\r\n");
}

Test(session, a_leader_is_awaited_only_where_there_is_none)
{
    struct session *session = begin();
    session_await_leader(session, finish_plain);
    cr_assert_eq(finished, 1);
    cr_assert_null(session->current);
    desk_status(1, false);
    session = begin();
    session_await_leader(session, finish_plain);
    session->current = NULL;
    desk_status(1, false);
    cr_assert_eq(finished, 1);
    desk_status(2, true);
    cr_assert_str_eq(client_hears(client), "+open\r\n");
}

Test(session, a_time_is_awaited_and_nothing_is_read_before_it)
{
    struct session *session = begin();
    session_await_time(session, clock_now_us() + DESK_TIMEOUT_US, finish_plain);
    session->current = NULL;
    hears("PING\r\n", "");
    cr_assert(client_is_paused(client));
    desk_pass(DESK_TIMEOUT_US / 2);
    cr_assert_eq(finished, 0);
    desk_pass(DESK_TIMEOUT_US + 1000);
    cr_assert_str_eq(client_hears(client), "+open\r\n+PONG\r\n");
}

static void finish_by_asking(struct session *session, void *context, const uint8_t *bytes, size_t size)
{
    (void)bytes, (void)size;
    session_ask_query(session, query(), finish, drop, context);
}

Test(session, what_is_finished_may_ask_for_more)
{
    struct session *session = begin();
    session_ask_status(session, finish_by_asking, drop, "second");
    session->current = NULL;
    desk_status(1, true);
    cr_assert_eq(dropped, 1);
    cr_assert_str_eq(desk_asked(), "STATUS; ? k");
    desk_reads(0, "bytes");
    cr_assert_str_eq(heard, "second bytes");
    cr_assert_eq(dropped, 2);
    cr_assert_str_eq(client_hears(client), ":1\r\n");
}

/* ---- For commands about clients ---- */

Test(session, texts_are_set_and_taken_away)
{
    char *text = NULL;
    session_set_text(&text, "one", 3);
    session_set_text(&text, "another", 7);
    cr_assert_str_eq(text, "another");
    session_set_text(&text, "", 0);
    cr_assert_null(text);
}

Test(session, reset_forgets_the_transaction_the_name_the_protocol_and_what_is_watched)
{
    client_says(client, "HELLO 3\r\nCLIENT SETNAME me\r\nWATCH a\r\nMULTI\r\n");
    struct session *session = client_session(client);
    cr_assert_str_eq(session->name, "me");
    client_says(client, "RESET\r\n");
    cr_assert_null(session->name);
    cr_assert_null(session->transaction);
    cr_assert_null(session->watches);
    cr_assert_eq(session->protocol, 2);
    cr_assert_eq(session_multi_count(session), -1);
}

#include "serve/sessions.h"

#include <string.h>

#include "desk.h"

TestSuite(sessions, .init = desk_open_unconnected, .fini = desk_close, .timeout = 60);

/* ---- Clients ---- */

Test(sessions, each_client_has_a_number_of_its_own_and_says_where_it_is)
{
    struct client *first = client_open(), *second = client_open();
    cr_assert_eq(client_session(first)->id, 1);
    cr_assert_eq(client_session(second)->id, 2);
    cr_assert_str_eq(client_session(first)->peer, "127.0.0.1:50322");
    cr_assert_str_eq(client_session(first)->local, "127.0.0.1:6401");
    client_close(second);
    cr_assert_eq(client_session(client_open())->id, 3);
    cr_assert_eq(desk_sessions()->count, 2);
}

Test(sessions, those_that_are_there_are_listed_in_the_order_in_which_they_came)
{
    struct client *clients[4];
    for (int i = 0; i < 4; i++)
        clients[i] = client_open();
    client_close(clients[1]);
    client_close(clients[3]);
    client_open();
    client_close(clients[0]);
    struct session *session = desk_sessions()->all.first;
    cr_assert_eq(session->id, 3);
    cr_assert_eq(session->next->id, 5);
    cr_assert_null(session->next->next);
    cr_assert_eq(desk_sessions()->all.last->previous, session);
}

/* ---- Mail ---- */

Test(sessions, the_first_status_says_where_clients_connect)
{
    desk_status(1, false);
    desk_status(2, true);
    desk_status(3, true);
    cr_assert_eq(desk_count_lines("Clients connect to 127.0.0.1:6401"), 1);
}

Test(sessions, nothing_is_asked_before_the_first_status)
{
    client_says(client_open(), "SET a 1\r\n");
    cr_assert_str_eq(desk_asked(), "");
    desk_status(7, true);
    cr_assert_str_eq(desk_asked(), "set a 1");
    cr_assert_eq(desk_view_of(0), 7);
}

Test(sessions, a_reply_to_nothing_is_nobodys)
{
    struct letter *letter = letter_new(LETTER_REPLY);
    struct client *client = client_open();
    struct clients_calls calls = sessions_calls(desk_sessions());
    letter->number = 12345;
    calls.letter(calls.context, letter);
    cr_assert_str_eq(client_hears(client), "");
}

/* ---- The clock ---- */

Test(sessions, there_is_no_deadline_without_requests)
{
    desk_status(1, true);
    client_open();
    cr_assert_eq(desk_deadline_us(), INT64_MAX);
}

Test(sessions, the_deadline_is_that_of_the_request_that_came_first)
{
    struct client *client = client_open();
    client_says(client, "SET a 1\r\n");
    int64_t first_us = client_session(client)->active_us;
    client_says(client_open(), "SET b 1\r\n");
    cr_assert_eq(desk_deadline_us(), first_us + DESK_TIMEOUT_US);
}

/* ---- The end ---- */

#define STOPS    "-CLUSTERDOWN this node stops; not executed\r\n"
#define STOPPING "-UNCERTAIN this node stops: the command may or may not be executed\r\n"

Test(sessions, at_the_end_each_request_is_answered_by_what_is_known_of_it)
{
    struct client *client = client_open(), *held = client_open();
    desk_status(1, true);
    client_says(client, "SET a 1\r\nGET a\r\nSET b 1\r\n");
    cr_assert_str_eq(desk_asked(), "set a 1; get a behind");
    desk_status(1, false);
    client_says(held, "SET c 1\r\n");
    sessions_end(desk_sessions());
    cr_assert_str_eq(client_hears(client), STOPPING STOPS STOPS);
    cr_assert_str_eq(client_hears(held), STOPS);
    cr_assert(client_is_closing(client));
    cr_assert(client_is_closing(held));
    desk_applies(0, "+OK\r\n");
    cr_assert_str_eq(desk_asked(), "");
}

Test(sessions, what_has_not_left_yet_is_not_executed)
{
    struct client *client = client_open();
    struct clients_calls calls = sessions_calls(desk_sessions());
    const char *text = "SET a 1\r\nINCR b\r\n";
    size_t wanted;
    desk_status(1, true);
    calls.bytes(client_session(client), (const uint8_t *)text, strlen(text), &wanted);
    sessions_end(desk_sessions());
    cr_assert_str_eq(client_hears(client), STOPS STOPS);
    cr_assert_str_eq(desk_asked(), "");
}

Test(sessions, whoever_waits_for_others_is_answered_too)
{
    struct client *client = client_open(), *other = client_open();
    desk_status(1, true);
    client_says(client, "WAIT 1 0\r\n");
    desk_asked();
    desk_status(1, false);
    client_says(other, "SENTINEL MASTERS\r\n");
    sessions_end(desk_sessions());
    cr_assert_str_eq(client_hears(client), STOPS);
    cr_assert_str_eq(client_hears(other), STOPS);
}

Test(sessions, whoever_connects_afterwards_is_closed)
{
    sessions_end(desk_sessions());
    cr_assert(client_is_closing(client_open()));
}

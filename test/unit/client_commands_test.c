/* Tests of serve/client_commands.c: connections, as their clients see and name them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/beside_redis.h"

TestSuite(client_commands, .init = desk_open, .fini = desk_close, .timeout = 60);

static void check(const char *lines, const char *answer)
{
    cr_assert_str_eq(desk_answers(lines), answer, "%s", lines);
}

/* ---- Names ---- */

Test(client_commands, a_name_is_kept_until_an_empty_one_takes_it_away)
{
    check("CLIENT GETNAME\r\nCLIENT SETNAME me\r\nCLIENT GETNAME\r\n", "$-1\r\n+OK\r\n$2\r\nme\r\n");
    check("CLIENT SETNAME me\r\nCLIENT SETNAME \"\"\r\nCLIENT GETNAME\r\n", "+OK\r\n+OK\r\n$-1\r\n");
}

Test(client_commands, a_name_that_would_spoil_the_list_is_refused)
{
    check("CLIENT SETNAME a\r\nCLIENT SETNAME \"b c\"\r\nCLIENT SETNAME \"b\\n\"\r\nCLIENT GETNAME\r\n",
          "+OK\r\n-ERR Client names cannot contain spaces, newlines or special characters.\r\n"
          "-ERR Client names cannot contain spaces, newlines or special characters.\r\n$1\r\na\r\n");
}

Test(client_commands, a_name_has_no_more_than_512_bytes)
{
    char lines[1200];
    snprintf(lines, sizeof lines, "CLIENT SETNAME %0512d\r\nCLIENT SETINFO LIB-VER %0513d\r\n", 0, 0);
    check(lines, "+OK\r\n-ERR LIB-VER cannot be longer than 512 bytes.\r\n");
}

Test(client_commands, a_library_tells_its_name_and_version)
{
    check("CLIENT SETINFO LIB-NAME x\r\nCLIENT SETINFO lib-ver 1.2\r\n", "+OK\r\n+OK\r\n");
    check("CLIENT SETINFO FOO x\r\nCLIENT SETINFO LIB-NAME \"a b\"\r\n",
          "-ERR Unrecognized option 'FOO'\r\n"
          "-ERR LIB-NAME cannot contain spaces, newlines or special characters.\r\n");
}

Test(client_commands, ids_count_up)
{
    struct client *first = client_open(), *second = client_open();
    client_says(first, "CLIENT ID\r\n");
    client_says(second, "CLIENT ID\r\n");
    cr_assert_str_eq(client_hears(first), ":1\r\n");
    cr_assert_str_eq(client_hears(second), ":2\r\n");
}

/* ---- INFO and LIST ---- */

/* The names of the fields of the first line of an answer. */
static void field_names(const char *answer, char *names, size_t room)
{
    const char *at = strstr(answer, "id=");
    size_t size = 0;
    cr_assert_not_null(at, "%s", answer);
    for (; *at && *at != '\n' && size + 2 < room; at += strcspn(at, " \n") + (at[strcspn(at, " \n")] == ' ')) {
        size_t length = strcspn(at, "=");
        memcpy(names + size, at, length);
        size += length;
        names[size++] = ' ';
    }
    names[size] = '\0';
}

static void check_fact(const char *answer, const char *fact)
{
    cr_assert(strstr(answer, fact) != NULL, "%s in %s", fact, answer);
}

Test(client_commands, info_tells_what_is_known_of_the_connection)
{
    struct client *client = client_open();
    client_says(client, "HELLO 3\r\nCLIENT SETNAME me\r\nCLIENT SETINFO LIB-NAME x\r\nCLIENT NO-EVICT on\r\n");
    client_hears(client);
    client_says(client, "CLIENT INFO\r\n");
    const char *answer = client_hears(client);
    cr_assert_eq(answer[0], '=', "%s", answer);
    check_fact(answer, "txt:id=1 addr=127.0.0.1:50322 laddr=127.0.0.1:6401 fd=-1 name=me age=0 idle=0 flags=e db=0 ");
    check_fact(answer, " multi=-1 ");
    check_fact(answer, " cmd=client|info user=default redir=-1 resp=3 lib-name=x lib-ver=\n");
}

Test(client_commands, list_tells_of_those_that_are_asked_for)
{
    struct client *first = client_open(), *second = client_open();
    client_says(second, "SUBSCRIBE a\r\n");
    client_says(first, "CLIENT LIST\r\n");
    const char *answer = client_hears(first);
    check_fact(answer, "id=1 ");
    check_fact(answer, "\nid=2 ");
    check_fact(answer, " flags=P db=0 sub=1 psub=0 ");
    client_says(first, "CLIENT LIST TYPE pubsub\r\n");
    answer = client_hears(first);
    cr_assert_null(strstr(answer, "id=1 "), "%s", answer);
    check_fact(answer, "id=2 ");
    client_says(first, "CLIENT LIST TYPE normal\r\n");
    answer = client_hears(first);
    cr_assert_null(strstr(answer, "id=2 "), "%s", answer);
    check_fact(answer, "id=1 ");
    client_says(first, "CLIENT LIST TYPE replica\r\n");
    cr_assert_str_eq(client_hears(first), "$0\r\n\r\n");
    client_says(first, "CLIENT LIST ID 9 2\r\n");
    answer = client_hears(first);
    cr_assert_null(strstr(answer, "id=1 "), "%s", answer);
    check_fact(answer, "id=2 ");
}

/* ---- KILL ---- */

Test(client_commands, kill_closes_others_by_what_they_are)
{
    struct client *self = client_open(), *other = client_open();
    client_says(self, "CLIENT KILL ID 9\r\nCLIENT KILL ID 2 LADDR 1.2.3.4:5\r\nCLIENT KILL TYPE pubsub\r\n");
    cr_assert_str_eq(client_hears(self), ":0\r\n:0\r\n:0\r\n");
    cr_assert_not(client_is_closing(other));
    client_says(self, "CLIENT KILL LADDR 127.0.0.1:6401\r\n");
    cr_assert_str_eq(client_hears(self), ":1\r\n");
    cr_assert(client_is_closing(other));
    cr_assert_not(client_is_closing(self));
}

Test(client_commands, kill_spares_whoever_asks_unless_told_otherwise)
{
    struct client *client = client_open();
    client_says(client, "CLIENT KILL ID 1\r\n");
    cr_assert_str_eq(client_hears(client), ":0\r\n");
    client_says(client, "CLIENT KILL ID 1 SKIPME no\r\n");
    cr_assert_str_eq(client_hears(client), ":1\r\n");
    cr_assert(client_is_closing(client));
}

Test(client_commands, what_a_killed_client_has_asked_before_is_answered)
{
    struct client *self = client_open(), *other = client_open();
    client_says(other, "SET a 1\r\n");
    client_says(self, "CLIENT KILL ID 2\r\n");
    cr_assert_not(client_is_closing(other));
    desk_applies(0, "+OK\r\n");
    cr_assert_str_eq(client_hears(other), "+OK\r\n");
    cr_assert(client_is_closing(other));
}

Test(client_commands, an_address_alone_kills_whoever_has_it)
{
    struct client *client = client_open();
    client_says(client, "CLIENT KILL 1.2.3.4:5\r\nCLIENT KILL 127.0.0.1:50322\r\n");
    cr_assert_str_eq(client_hears(client), "-ERR No such client\r\n+OK\r\n");
    cr_assert(client_is_closing(client));
}

/* ---- How a client is served ---- */

Test(client_commands, replies_can_be_turned_off_and_on_and_skipped)
{
    check("CLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY SKIP\r\nPING\r\nPING\r\nCLIENT REPLY ON\r\nPING\r\n",
          "+OK\r\n+PONG\r\n");
    check("CLIENT REPLY SKIP\r\nPING\r\nECHO a\r\n", "$1\r\na\r\n");
}

Test(client_commands, no_evict_and_no_touch_are_on_or_off)
{
    check("CLIENT NO-EVICT on\r\nCLIENT NO-EVICT off\r\nCLIENT NO-EVICT x\r\n", "+OK\r\n+OK\r\n-ERR syntax error\r\n");
    check("CLIENT NO-TOUCH ON\r\nCLIENT NO-TOUCH off\r\nCLIENT NO-TOUCH x\r\n", "+OK\r\n+OK\r\n-ERR syntax error\r\n");
}

/* ---- Beside Redis ---- */

Test(client_commands, clients_are_answered_as_redis_does)
{
    struct real_redis redis;
    real_redis_start(&redis);
    assert_same_as_redis(&redis, "CLIENT GETNAME\r\nCLIENT SETNAME \"a b\"\r\nCLIENT SETNAME a\r\nCLIENT GETNAME\r\n"
                                 "CLIENT SETNAME\r\nCLIENT GETNAME a\r\nHELLO 3\r\nCLIENT SETNAME \"\"\r\n"
                                 "CLIENT GETNAME\r\n");
    assert_same_as_redis(&redis, "CLIENT REPLY x\r\nCLIENT NO-EVICT x\r\nCLIENT NO-EVICT on\r\nCLIENT REPLY SKIP\r\n"
                                 "PING\r\nPING\r\nCLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\n"
                                 "PING\r\n");
    assert_same_as_redis(&redis, "CLIENT LIST TYPE foo\r\nCLIENT LIST TYPE replica\r\nCLIENT LIST ID x\r\n"
                                 "CLIENT LIST ID 9999\r\nCLIENT LIST FOO\r\nCLIENT LIST TYPE\r\nCLIENT LIST ID\r\n");
    assert_same_as_redis(&redis, "CLIENT KILL foo\r\nCLIENT KILL ID 9999\r\nCLIENT KILL ID x\r\nCLIENT KILL ID 0\r\n"
                                 "CLIENT KILL FOO BAR\r\nCLIENT KILL ID\r\nCLIENT KILL SKIPME maybe\r\n"
                                 "CLIENT KILL TYPE foo\r\nCLIENT KILL USER foo\r\nCLIENT KILL ADDR 1.2.3.4:5\r\n"
                                 "CLIENT KILL ID 9999 ADDR\r\n");
    real_redis_stop(&redis);
}

Test(client_commands, info_has_the_fields_of_redis)
{
    struct real_redis redis;
    char ours[1024], theirs[1024], wanted[1200];
    real_redis_start(&redis);
    char *answer = redis_answers(&redis, "CLIENT INFO\r\n");
    field_names(answer, theirs, sizeof theirs);
    free(answer);
    real_redis_stop(&redis);
    field_names(desk_answers("CLIENT INFO\r\n"), ours, sizeof ours);
    /* And what later versions have beside them. */
    char *behind_multi = strstr(theirs, "multi ") + strlen("multi ");
    snprintf(wanted, sizeof wanted, "%.*swatch %slib-name lib-ver ", (int)(behind_multi - theirs), theirs,
             behind_multi);
    cr_assert_str_eq(ours, wanted);
}

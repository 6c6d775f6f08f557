#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "check.h"

/* How a caller decides: narrow before wide. */
static const char *caught(const struct mailraft_error *err)
{
    if (error_is(err, &BIND_ERROR))
        return "the port is taken";
    if (error_is(err, &NETWORK_ERROR))
        return "any trouble on the line";
    if (error_is(err, &ERROR))
        return "what nobody caught";
    return "nothing was raised";
}

Test(error, raising_fills_in_class_place_and_a_formatted_message_and_returns_false)
{
    struct mailraft_error err = {.class = NULL};
    int line = __LINE__ + 1;
    bool result = error_raise(&err, &CONFIG_ERROR, "Couldn't use %s: %d is out of range", "heartbeat_ms", 70000);

    cr_assert_not(result);
    cr_assert_eq(err.class, &CONFIG_ERROR);
    cr_assert_str_eq(err.message, "Couldn't use heartbeat_ms: 70000 is out of range");
    cr_assert_eq(err.os_errno, 0);
    cr_assert_eq(err.line, line);
    cr_assert_not_null(strstr(err.file, "error_test.c"));
}

Test(error, raising_after_a_system_call_keeps_errno_and_appends_its_text)
{
    struct mailraft_error err;

    errno = EADDRINUSE;
    cr_assert_not(error_raise_os(&err, &BIND_ERROR, "Couldn't bind to port %d", 7101));
    cr_assert_eq(err.os_errno, EADDRINUSE);
    cr_assert_str_eq(err.message, "Couldn't bind to port 7101: Address already in use");
}

Test(error, a_class_is_caught_by_itself)
{
    struct mailraft_error err;

    error_raise(&err, &BIND_ERROR, "port %d", 1);
    cr_assert_str_eq(caught(&err), "the port is taken");
}

Test(error, a_class_is_caught_by_its_superclass)
{
    struct mailraft_error err;

    error_raise(&err, &CONNECT_ERROR, "refused");
    cr_assert_str_eq(caught(&err), "any trouble on the line");
    error_raise(&err, &UNEXPECTED_MESSAGE_ERROR, "two levels down");
    cr_assert_str_eq(caught(&err), "any trouble on the line");
    cr_assert(error_is(&err, &PROTOCOL_ERROR));
}

Test(error, what_no_narrower_class_catches_is_still_an_error)
{
    struct mailraft_error err;

    error_raise(&err, &DAMAGED_ERROR, "both slots");
    cr_assert_str_eq(caught(&err), "what nobody caught");
}

Test(error, a_superclass_is_not_caught_by_a_class_below_it_nor_by_one_beside_it)
{
    struct mailraft_error err;

    error_raise(&err, &NETWORK_ERROR, "the line");
    cr_assert_not(error_is(&err, &BIND_ERROR));
    cr_assert_not(error_is(&err, &STORAGE_ERROR));
}

Test(error, what_was_never_raised_is_of_no_class)
{
    struct mailraft_error err = {.class = NULL};

    cr_assert_str_eq(caught(&err), "nothing was raised");
}

Test(error, the_tree_is_the_one_that_was_settled)
{
    static const struct {
        const struct mailraft_error_class *class, *parent;
        const char *name;
    } tree[] = {
        {&ERROR, NULL, "ERROR"},
        {&NETWORK_ERROR, &ERROR, "NETWORK_ERROR"},
        {&BIND_ERROR, &NETWORK_ERROR, "BIND_ERROR"},
        {&CONNECT_ERROR, &NETWORK_ERROR, "CONNECT_ERROR"},
        {&PROTOCOL_ERROR, &NETWORK_ERROR, "PROTOCOL_ERROR"},
        {&UNEXPECTED_MESSAGE_ERROR, &PROTOCOL_ERROR, "UNEXPECTED_MESSAGE_ERROR"},
        {&STORAGE_ERROR, &ERROR, "STORAGE_ERROR"},
        {&DAMAGED_ERROR, &STORAGE_ERROR, "DAMAGED_ERROR"},
        {&LOCKED_ERROR, &STORAGE_ERROR, "LOCKED_ERROR"},
        {&FULL_ERROR, &STORAGE_ERROR, "FULL_ERROR"},
        {&CONFIG_ERROR, &ERROR, "CONFIG_ERROR"},
        {&SERVER_ERROR, &ERROR, "SERVER_ERROR"},
    };

    for (size_t i = 0; i < sizeof tree / sizeof *tree; i++) {
        cr_assert_eq(tree[i].class->parent, tree[i].parent, "%s", tree[i].name);
        cr_assert_str_eq(tree[i].class->name, tree[i].name);
    }
}

Test(error, a_message_of_more_than_a_thousand_bytes_is_cut)
{
    char longest[2001];
    struct mailraft_error err;

    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    errno = EIO;
    error_raise_os(&err, &STORAGE_ERROR, "%s", longest);
    cr_assert_eq(strlen(err.message), 1000);
    cr_assert_eq(err.os_errno, EIO);
    error_prefix(&err, "While reading");
    cr_assert_eq(strlen(err.message), 1000);
    cr_assert_eq(strncmp(err.message, "While reading: xxx", 18), 0);
}

Test(error, a_prefix_adds_a_fact_and_keeps_class_errno_and_place)
{
    struct mailraft_error err;
    int line;

    errno = ENOENT;
    line = __LINE__ + 1;
    error_raise_os(&err, &STORAGE_ERROR, "Couldn't open %s", "/x/ballot");
    cr_assert_not(error_prefix(&err, "server %d", 3));
    cr_assert_str_eq(err.message, "server 3: Couldn't open /x/ballot: No such file or directory");
    cr_assert_eq(err.class, &STORAGE_ERROR);
    cr_assert_eq(err.os_errno, ENOENT);
    cr_assert_eq(err.line, line);
}

Test(error, an_error_can_be_raised_again_from_its_own_message)
{
    struct mailraft_error err;

    error_raise(&err, &NETWORK_ERROR, "no answer");
    error_raise(&err, &SERVER_ERROR, "gave up: %s", err.message);
    cr_assert_str_eq(err.message, "gave up: no answer");
    cr_assert(error_is(&err, &SERVER_ERROR));
}

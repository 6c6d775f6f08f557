#include "mail/listener.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "mail/wire.h"
#include "sockets.h"
#include "unit/post.h"

static struct mailraft_error err;

TestSuite(listener, .init = post_open, .fini = post_close, .timeout = 120);

static struct office office;
static struct listener listener;

/* Opens one at the address of member 1, which may have another host. */
static bool open_at(const char *host)
{
    struct mailbox_config *config = &post_node(1)->config;

    snprintf(config->listen.host, sizeof config->listen.host, "%s", host);
    return listener_open(&listener, &office, NULL, config, &err);
}

Test(listener, takes_what_connects_from_when_it_is_open)
{
    int fd;

    cr_assert(open_at("127.0.0.1"), "%s", err.message);
    fd = plain_connect(post_port(1));
    listener_stop(&listener); /* though it never started */
    await_close(fd);
    close(fd);
}

Test(listener, binds_to_a_host_by_its_name)
{
    cr_assert(open_at("localhost"), "%s", err.message);
    listener_stop(&listener);
}

Test(listener, does_not_bind_to_an_address_of_another_machine)
{
    char expected[100];

    cr_assert_not(open_at("192.0.2.1"));
    cr_assert(error_is(&err, &BIND_ERROR));
    cr_assert_eq(err.os_errno, EADDRNOTAVAIL);
    snprintf(expected, sizeof expected, "Couldn't bind to 192.0.2.1:%u: Cannot assign requested address", post_port(1));
    cr_assert_str_eq(err.message, expected);
}

static bool at_the_third_time(void *context)
{
    return ++*(int *)context == 3;
}

Test(listener, waits_for_its_name_until_it_is_interrupted)
{
    char expected[100];
    int asked = 0;

    post_node(1)->config.interrupted = at_the_third_time;
    post_node(1)->config.context = &asked;
    cr_assert_not(open_at(POST_HANGING_HOST));
    cr_assert_eq(asked, 3);
    snprintf(expected, sizeof expected, "Couldn't bind to %s:%u: Couldn't resolve %s: we are stopping",
             POST_HANGING_HOST, post_port(1), POST_HANGING_HOST);
    cr_assert_str_eq(err.message, expected);
}

Test(listener, goes_on_when_there_are_descriptors_again)
{
    struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};
    struct sockaddr_in address = loopback(post_port(1));
    struct hello hello = post_hello(1);
    int taken[100], count = 0, fd;

    post_node(1)->config.members.count = 1; /* so that it has no writers, which take and give back descriptors */
    post_start(1);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    while ((taken[count] = dup(fd)) >= 0)
        count++;
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    post_await_lines(1, "Connections have to wait: Couldn't accept a connection: Too many open files level=warn", 1);
    while (count > 0)
        close(taken[--count]);
    post_say_frame(fd, wire_write_hello(&hello));
    await_close(fd);
    post_await_lines(1, ": it says that it is 2, which is no member level=warn", 1);
    close(fd);
}

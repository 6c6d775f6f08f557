#include "unit/beside_redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sockets.h"

#define ANSWER_MAX (1024 * 1024)
#define GOODBYE    "QUIT\r\n"

static char *without_goodbye(char *answer)
{
    size_t size = strlen(answer);
    cr_assert(size >= 5 && strcmp(answer + size - 5, "+OK\r\n") == 0, "%s", answer);
    answer[size - 5] = '\0';
    return answer;
}

char *redis_answers(const struct real_redis *redis, const char *lines)
{
    char *answer = malloc(ANSWER_MAX);
    int fd = real_redis_connect(redis);
    plain_write(fd, lines, strlen(lines));
    plain_write(fd, GOODBYE, strlen(GOODBYE));
    size_t got = plain_read(fd, answer, ANSWER_MAX - 1);
    cr_assert_lt(got, (size_t)ANSWER_MAX - 1);
    answer[got] = '\0';
    close(fd);
    return without_goodbye(answer);
}

const char *desk_answers(const char *lines)
{
    static struct client *client;
    if (client)
        client_close(client);
    client = client_open();
    client_says(client, lines);
    return client_hears(client);
}

void hide_ids(char *answer)
{
    for (char *at = answer; (at = strstr(at, "$2\r\nid\r\n:"));) {
        at += strlen("$2\r\nid\r\n:");
        size_t digits = strspn(at, "0123456789");
        memmove(at + 1, at + digits, strlen(at + digits) + 1);
        *at = '0';
    }
}

void assert_same_as_redis(const struct real_redis *redis, const char *lines)
{
    char *theirs = redis_answers(redis, lines);
    char *ours = strdup(desk_answers(lines));
    hide_ids(theirs);
    hide_ids(ours);
    cr_assert_str_eq(ours, theirs, "%s", lines);
    free(ours);
    free(theirs);
}

#include "unit/real_redis.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "sockets.h"

static void become_redis(const struct real_redis *redis, int output)
{
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp("redis-check-rdb", "redis-server", "--port", "0", "--unixsocket", redis->path, "--dir", redis->folder,
           "--save", "", "--appendonly", "no", "--enable-debug-command", "yes", NULL);
    _exit(127);
}

/* What it prints until it takes connections, or ends. */
static void read_start(int output, char *text, size_t room)
{
    size_t got = 0;
    text[0] = '\0';
    while (strstr(text, "ready to accept connections") == NULL && got < room - 1) {
        await_readable(output);
        ssize_t more = read(output, text + got, room - 1 - got);
        if (more <= 0)
            break;
        got += (size_t)more;
        text[got] = '\0';
    }
}

void real_redis_start(struct real_redis *redis)
{
    int ends[2];
    char text[16384];
    strcpy(redis->folder, "/tmp/mailraft-redis-XXXXXX");
    cr_assert_not_null(mkdtemp(redis->folder));
    snprintf(redis->path, sizeof(redis->path), "%s/socket", redis->folder);
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    redis->pid = fork();
    cr_assert_geq(redis->pid, 0);
    if (redis->pid == 0)
        become_redis(redis, ends[1]);
    close(ends[1]);
    read_start(ends[0], text, sizeof(text));
    if (strstr(text, "Redis version=7.0.") != NULL) {
        cr_assert(strstr(text, "ready to accept connections") != NULL, "it did not start: %s", text);
        return;
    }
    real_redis_stop(redis);
    cr_skip_test("skipped: no redis-server 7.0 here (redis-check-rdb of Debian's redis-tools)");
}

int real_redis_connect(const struct real_redis *redis)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, redis->path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void real_redis_stop(struct real_redis *redis)
{
    kill(redis->pid, SIGKILL);
    waitpid(redis->pid, NULL, 0);
    unlink(redis->path);
    rmdir(redis->folder);
}

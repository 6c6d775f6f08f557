#include "redis.h"

#include <stdio.h>

#include "child.h"
#include "writer.h"

static void await_service(const struct redis *redis)
{
    struct writer writer;
    writer_init(&writer, &RESP_DIALECT, &redis->port.number, 1);
    writer_persist(&writer);
    writer_fini(&writer);
}

/* Its file is not rewritten meanwhile: ours is not, either. */
void redis_start(struct redis *redis, const struct workplace *workplace)
{
    char number[12];
    *redis = (struct redis){0};
    port_hold(&redis->port);
    snprintf(number, sizeof number, "%d", redis->port.number);
    snprintf(redis->folder, sizeof redis->folder, "%s/redis", workplace->folder);
    folder_make(redis->folder);
    const struct program program = {.file = "redis-check-rdb",
                                    .folder = redis->folder,
                                    .output = "redis.log",
                                    .arguments = {"redis-server", "--port", number, "--bind", "127.0.0.1",
                                                  "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                                                  "--auto-aof-rewrite-percentage", "0"}};
    redis->pid = child_start(&program);
    await_service(redis);
}

void redis_stop(struct redis *redis)
{
    child_kill(redis->pid);
    port_release(&redis->port);
    folder_remove(redis->folder);
}

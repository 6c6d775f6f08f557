#include "writer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench.h"

#define PERSIST_US 30000000
#define RETRY_US   500 /* where nobody listens, say */

const struct dialect RESP_DIALECT = {
    .request = "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$32\r\n01234567890123456789012345678901\r\n",
    .good = "+OK\r\n",
    .patience_ms = 1000};

/* A write that etcd's dead leader had got is not answered for seconds: this client does not wait for that. */
const struct dialect ETCD_DIALECT = {
    .request = "POST /v3/kv/put HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Length: 77\r\n\r\n"
               "{\"key\":\"a2V5OjAwMDAwMDAwMDAwMA==\",\"value\":\"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz\"}",
    .good = "HTTP/1.1 200 OK\r\n",
    .once = true,
    .patience_ms = 20};

void writer_init(struct writer *writer, const struct dialect *dialect, const int *ports, int port_count)
{
    assert(port_count >= 1 && port_count <= WRITER_SERVERS_MAX);
    *writer = (struct writer){.dialect = dialect, .port_count = port_count, .fd = -1};
    memcpy(writer->ports, ports, (size_t)port_count * sizeof *ports);
}

void writer_fini(struct writer *writer)
{
    if (writer->fd >= 0)
        close(writer->fd);
    writer->fd = -1;
}

static bool give_up(struct writer *writer)
{
    writer_fini(writer);
    writer->at = (writer->at + 1) % writer->port_count;
    return false;
}

static bool connect_to(struct writer *writer)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)writer->ports[writer->at]),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    writer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (writer->fd < 0)
        bench_die("Couldn't open a socket: %s", strerror(errno));
    if (connect(writer->fd, (struct sockaddr *)&address, sizeof address) != 0)
        return give_up(writer);
    setsockopt(writer->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return true;
}

bool writer_begin(struct writer *writer)
{
    size_t size = strlen(writer->dialect->request);
    if (writer->fd < 0 && !connect_to(writer))
        return false;
    return send(writer->fd, writer->dialect->request, size, MSG_NOSIGNAL) == (ssize_t)size || give_up(writer);
}

/* Reads up to the first line's end, at least. False: it did not come. */
static bool read_line(struct writer *writer, char *text, size_t room)
{
    size_t got = 0;
    int64_t until_us = clock_now_us() + writer->dialect->patience_ms * 1000;
    for (text[0] = '\0'; strstr(text, "\r\n") == NULL; text[got] = '\0') {
        struct pollfd polled = {.fd = writer->fd, .events = POLLIN};
        int64_t wait_us = until_us - clock_now_us();
        if (wait_us <= 0 || got == room - 1 || poll(&polled, 1, (int)(wait_us + 999) / 1000) <= 0)
            return false;
        ssize_t more = recv(writer->fd, text + got, room - 1 - got, 0);
        if (more <= 0)
            return false;
        got += (size_t)more;
    }
    return true;
}

bool writer_end(struct writer *writer)
{
    const struct dialect *dialect = writer->dialect;
    char text[1024];
    if (writer->fd < 0)
        return false;
    if (!read_line(writer, text, sizeof text) || strncmp(text, dialect->good, strlen(dialect->good)) != 0)
        return give_up(writer);
    if (dialect->once)
        writer_fini(writer);
    return true;
}

int64_t writer_persist(struct writer *writer)
{
    int64_t until_us = clock_now_us() + PERSIST_US;
    while (!writer_begin(writer) || !writer_end(writer)) {
        if (clock_now_us() > until_us)
            bench_die("Waited %d seconds for a write to be acknowledged", PERSIST_US / 1000000);
        usleep(RETRY_US);
    }
    return clock_now_us();
}

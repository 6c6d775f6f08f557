#include "cluster/proxy.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define WIRES_MAX       42 /* seven nodes, each to the six others */
#define CONNECTIONS_MAX 8
#define BYTES_MAX       65536 /* at once */
#define VANISHED_MAX    64
#define LOOK_AGAIN_MS   5 /* for wires that were mended, and for the end */
#define SLOW_EVERY_MS   1000

struct wire {
    int from, to;    /* who opens connections, and to whom */
    int port;        /* where `from` believes `to` to be */
    int target_port; /* where it is */
    int listener;
    atomic_bool cut, slow;
    atomic_bool vanishing; /* its connections are to vanish */
    int64_t carried_ms;    /* slow: when each of its connections carried its last byte */
    int vanished[VANISHED_MAX], vanished_count; /* ends of those that have */
    int ends[CONNECTIONS_MAX][2]; /* both sockets of each connection; -1: free */
};

struct proxy {
    int count; /* of wires */
    struct wire wires[WIRES_MAX];
    atomic_bool ending;
    pthread_t thread;
};

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static void wire_accept(struct wire *wire)
{
    int near = accept4(wire->listener, NULL, NULL, SOCK_CLOEXEC);
    int slot = 0;
    while (slot < CONNECTIONS_MAX && wire->ends[slot][0] >= 0)
        slot++;
    int far = near >= 0 && slot < CONNECTIONS_MAX ? connect_to(wire->target_port) : -1;
    if (far < 0) {
        if (near >= 0)
            close(near);
        return;
    }
    wire->ends[slot][0] = near;
    wire->ends[slot][1] = far;
}

/* Both nodes' packets are dropped before this end's kernel sees them, so that it answers nothing. The connections stay
 * open until the end, since closing would be a word. */
static void wire_vanish(struct wire *wire)
{
    struct sock_filter nothing = {.code = BPF_RET | BPF_K, .k = 0};
    const struct sock_fprog filter = {.len = 1, .filter = &nothing};
    for (int i = 0; i < 2 * CONNECTIONS_MAX; i++) {
        int *end = &wire->ends[i / 2][i % 2];
        if (*end < 0)
            continue;
        if (wire->vanished_count == VANISHED_MAX ||
            setsockopt(*end, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) != 0)
            abort(); /* an assertion would end this thread alone */
        wire->vanished[wire->vanished_count++] = *end;
        *end = -1;
    }
    wire->vanishing = false;
}

/* Passes on what one end of a connection has to say, or a part; the end of one is the end of both. */
static void wire_carry(int ends[2], int which, size_t most)
{
    char bytes[BYTES_MAX];
    ssize_t got = recv(ends[which], bytes, most, MSG_DONTWAIT);
    if (got > 0 && send(ends[1 - which], bytes, (size_t)got, MSG_NOSIGNAL) == got)
        return;
    close(ends[0]);
    close(ends[1]);
    ends[0] = ends[1] = -1;
}

static bool wire_rests(const struct wire *wire)
{
    return wire->cut || (wire->slow && process_now_ms() < wire->carried_ms + SLOW_EVERY_MS);
}

static void wire_serve(struct wire *wire)
{
    struct pollfd fds[1 + 2 * CONNECTIONS_MAX];
    size_t most = wire->slow ? 1 : BYTES_MAX;
    if (wire->vanishing)
        wire_vanish(wire);
    if (wire_rests(wire))
        return;
    wire->carried_ms = process_now_ms();
    fds[0] = (struct pollfd){.fd = wire->listener, .events = POLLIN};
    for (int i = 0; i < 2 * CONNECTIONS_MAX; i++)
        fds[1 + i] = (struct pollfd){.fd = wire->ends[i / 2][i % 2], .events = POLLIN};
    if (poll(fds, 1 + 2 * CONNECTIONS_MAX, 0) <= 0)
        return;
    for (int i = 0; i < 2 * CONNECTIONS_MAX; i++)
        if (fds[1 + i].revents != 0 && wire->ends[i / 2][i % 2] == fds[1 + i].fd)
            wire_carry(wire->ends[i / 2], i % 2, most);
    if (fds[0].revents != 0)
        wire_accept(wire);
}

/* Waits until one of the whole wires has something to carry. */
static void proxy_wait(struct proxy *proxy)
{
    struct pollfd fds[WIRES_MAX * (1 + 2 * CONNECTIONS_MAX)];
    nfds_t count = 0;
    for (int i = 0; i < proxy->count; i++) {
        struct wire *wire = &proxy->wires[i];
        if (wire_rests(wire))
            continue;
        fds[count++] = (struct pollfd){.fd = wire->listener, .events = POLLIN};
        for (int j = 0; j < 2 * CONNECTIONS_MAX; j++)
            if (wire->ends[j / 2][j % 2] >= 0)
                fds[count++] = (struct pollfd){.fd = wire->ends[j / 2][j % 2], .events = POLLIN};
    }
    poll(fds, count, LOOK_AGAIN_MS);
}

static void *proxy_main(void *context)
{
    struct proxy *proxy = context;
    while (!proxy->ending) {
        proxy_wait(proxy);
        for (int i = 0; i < proxy->count; i++)
            wire_serve(&proxy->wires[i]);
    }
    return NULL;
}

static void wire_open(struct wire *wire, int from, int to, int target_port)
{
    wire->from = from;
    wire->to = to;
    wire->target_port = target_port;
    wire->port = port_hold(&wire->listener);
    cr_assert_eq(listen(wire->listener, 16), 0);
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        wire->ends[i][0] = wire->ends[i][1] = -1;
}

struct proxy *proxy_start(struct cluster *cluster, const char *settings)
{
    struct proxy *proxy = calloc(1, sizeof(*proxy));
    cr_assert_not_null(proxy);
    for (int from = 1; from <= cluster->count; from++) {
        int ports[CLUSTER_NODES_MAX];
        for (int to = 1; to <= cluster->count; to++) {
            ports[to - 1] = cluster_node(cluster, to)->port;
            if (to == from)
                continue;
            struct wire *wire = &proxy->wires[proxy->count++];
            wire_open(wire, from, to, ports[to - 1]);
            ports[to - 1] = wire->port;
        }
        cluster_write_config(cluster, from, ports, settings);
    }
    cr_assert_eq(pthread_create(&proxy->thread, NULL, proxy_main, proxy), 0);
    return proxy;
}

static void set_cut(struct proxy *proxy, int id, int other, bool cut)
{
    for (int i = 0; i < proxy->count; i++) {
        struct wire *wire = &proxy->wires[i];
        if ((wire->from == id && wire->to == other) || (wire->from == other && wire->to == id))
            wire->cut = cut;
    }
}

void proxy_cut(struct proxy *proxy, int id, int other)
{
    set_cut(proxy, id, other, true);
}

void proxy_mend(struct proxy *proxy, int id, int other)
{
    set_cut(proxy, id, other, false);
}

void proxy_isolate(struct proxy *proxy, int id, bool isolated)
{
    for (int i = 0; i < proxy->count; i++)
        if (proxy->wires[i].from == id || proxy->wires[i].to == id)
            proxy->wires[i].cut = isolated;
}

void proxy_vanish(struct proxy *proxy, int id, int other)
{
    for (int i = 0; i < proxy->count; i++) {
        struct wire *wire = &proxy->wires[i];
        if ((wire->from == id && wire->to == other) || (wire->from == other && wire->to == id))
            wire->vanishing = true;
    }
}

void proxy_slow(struct proxy *proxy, int id, bool slow)
{
    for (int i = 0; i < proxy->count; i++)
        if (proxy->wires[i].from == id || proxy->wires[i].to == id)
            proxy->wires[i].slow = slow;
}

void proxy_stop(struct proxy *proxy)
{
    proxy->ending = true;
    pthread_join(proxy->thread, NULL);
    for (int i = 0; i < proxy->count; i++) {
        close(proxy->wires[i].listener);
        for (int j = 0; j < proxy->wires[i].vanished_count; j++)
            close(proxy->wires[i].vanished[j]);
        for (int j = 0; j < 2 * CONNECTIONS_MAX; j++)
            if (proxy->wires[i].ends[j / 2][j % 2] >= 0)
                close(proxy->wires[i].ends[j / 2][j % 2]);
    }
    free(proxy);
}

#include "etcd.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "child.h"

#define SETTLE_US 60000000
#define ASK_US    20000 /* between two questions who leads */

static const char ASK[] = "POST /v3/maintenance/status HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n"
                          "Content-Length: 2\r\n\r\n{}";

const struct etcd_settings ETCD_DEFAULTS = {"etcd", 100, 1000};

/* ---- Processes ---- */

void etcd_open(struct etcd *etcd, const struct workplace *workplace, const struct etcd_settings *settings)
{
    *etcd = (struct etcd){.settings = settings};
    snprintf(etcd->folder, sizeof etcd->folder, "%s/%s", workplace->folder, settings->name);
    folder_make(etcd->folder);
    for (int i = 0; i < ETCD_NODES; i++) {
        port_hold(&etcd->nodes[i].peer);
        port_hold(&etcd->nodes[i].client);
    }
}

void etcd_close(struct etcd *etcd)
{
    for (int id = 1; id <= ETCD_NODES; id++) {
        if (etcd->nodes[id - 1].pid != 0)
            etcd_reap(etcd, id);
        port_release(&etcd->nodes[id - 1].peer);
        port_release(&etcd->nodes[id - 1].client);
    }
    folder_remove(etcd->folder);
}

static const char *address_of(const struct port *port, char text[40])
{
    snprintf(text, 40, "http://127.0.0.1:%d", port->number);
    return text;
}

static void name_members(const struct etcd *etcd, char *text, size_t room)
{
    char address[40];
    size_t size = 0;
    for (int i = 0; i < ETCD_NODES; i++)
        size += (size_t)snprintf(text + size, room - size, "%snode%d=%s", i > 0 ? "," : "", i + 1,
                                 address_of(&etcd->nodes[i].peer, address));
}

void etcd_start(struct etcd *etcd, int id)
{
    struct etcd_node *node = &etcd->nodes[id - 1];
    char name[12], log[24], peer[40], client[40], members[200], heartbeat[12], timeout[12];
    snprintf(name, sizeof name, "node%d", id);
    snprintf(log, sizeof log, "node%d.log", id);
    snprintf(heartbeat, sizeof heartbeat, "%d", etcd->settings->heartbeat_ms);
    snprintf(timeout, sizeof timeout, "%d", etcd->settings->election_timeout_ms);
    name_members(etcd, members, sizeof members);
    address_of(&node->peer, peer);
    address_of(&node->client, client);
    const struct program program = {.file = "etcd",
                                    .folder = etcd->folder,
                                    .output = log,
                                    .arguments = {"etcd", "--name", name, "--data-dir", name, "--listen-peer-urls",
                                                  peer, "--initial-advertise-peer-urls", peer, "--listen-client-urls",
                                                  client, "--advertise-client-urls", client, "--initial-cluster",
                                                  members, "--heartbeat-interval", heartbeat, "--election-timeout",
                                                  timeout}};
    node->pid = child_start(&program);
}

void etcd_start_all(struct etcd *etcd)
{
    for (int id = 1; id <= ETCD_NODES; id++)
        etcd_start(etcd, id);
}

void etcd_kill(struct etcd *etcd, int id)
{
    kill(etcd->nodes[id - 1].pid, SIGKILL);
}

void etcd_reap(struct etcd *etcd, int id)
{
    child_kill(etcd->nodes[id - 1].pid);
    etcd->nodes[id - 1].pid = 0;
}

/* ---- Who leads ---- */

/* What a node answers about itself; "" where it does not. */
static void ask_status(const struct etcd_node *node, char *text, size_t room)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)node->client.number),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 1};
    size_t got = 0;
    ssize_t more = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, ASK, sizeof ASK - 1, MSG_NOSIGNAL) == sizeof ASK - 1)
        for (; more > 0 && got<room - 1; got += more> 0 ? (size_t)more : 0)
            more = recv(fd, text + got, room - 1 - got, 0);
    text[got] = '\0';
    close(fd);
}

/* A number of the answer's JSON, in its quotes; "": it has none. */
static void find_number(const char *text, const char *key, char number[24])
{
    const char *at = strstr(text, key);
    if (at == NULL || sscanf(at + strlen(key), "%23[0-9]", number) != 1)
        number[0] = '\0';
}

static int settled_leader(const struct etcd *etcd)
{
    char text[2048], own[24], leaders[ETCD_NODES][24];
    int leader = 0;
    for (int i = 0; i < ETCD_NODES; i++) {
        ask_status(&etcd->nodes[i], text, sizeof text);
        find_number(text, "\"member_id\":\"", own);
        find_number(text, "\"leader\":\"", leaders[i]);
        if (leaders[i][0] == '\0' || strcmp(leaders[i], leaders[0]) != 0)
            return 0;
        if (strcmp(leaders[i], own) == 0)
            leader = i + 1;
    }
    return leader;
}

int etcd_settle(struct etcd *etcd)
{
    int64_t until_us = clock_now_us() + SETTLE_US;
    int leader;
    while ((leader = settled_leader(etcd)) == 0) {
        if (clock_now_us() > until_us)
            bench_die("Waited %d seconds for a leader that every etcd follows", SETTLE_US / 1000000);
        usleep(ASK_US);
    }
    return leader;
}

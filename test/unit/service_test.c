#include "serve/service.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/thread.h"
#include "sockets.h"

static struct mailraft_error err;
static char folder[100];
static struct node_config node_config;
static struct service_config service_config;
static int peer_holder, client_holder, log_file;

/* What runs: a cluster of one. */
static struct log *state_log;
static struct service *service;
static struct node *node;
static struct thread thread;
static bool runs;

static void make_configs(void)
{
    struct member *self = &node_config.members.list[0];

    /* In memory, where there is such a folder: a node whose disk is slow when it stops leaves threads behind. */
    snprintf(folder, sizeof folder, "%s/mailraft-service-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    peer_holder = hold_port(&self->peer.port);
    client_holder = hold_port(&self->client.port);
    snprintf(self->peer.host, sizeof self->peer.host, "127.0.0.1");
    snprintf(self->client.host, sizeof self->client.host, "127.0.0.1");
    self->id = node_config.id = 1;
    node_config.members.count = 1;
    snprintf(node_config.cluster_name, sizeof node_config.cluster_name, "alone");
    snprintf(node_config.data_dir, sizeof node_config.data_dir, "%s/data", folder);
    node_config.listen = self->peer;
    node_config.election_timeout_min_us = 10000;
    node_config.election_timeout_max_us = 20000;
    node_config.heartbeat_us = 5000;
    node_config.disk_stall_us = 1000000;
    node_config.segment_bytes = 1024 * 1024;
    node_config.log_cache_bytes = 1024 * 1024;
    node_config.entry_bytes_max = 64 * 1024;
    service_config = (struct service_config){
        .sessions = {.id = 1,
                     .members = node_config.members,
                     .client = self->client,
                     .client_timeout_us = (int64_t)WAIT_MS * 1000,
                     .request_bytes_max = 32 * 1024,
                     .memory_bytes_max = 64 * 1024 * 1024,
                     .connections_max = 100,
                     .flight_bytes_max = 1024 * 1024},
        .clients = {.listen = self->client,
                    .connections_max = 100,
                    .output_bytes_max = 64 * 1024 * 1024,
                    .output_total_max = 64 * 1024 * 1024,
                    .input_bytes_max = 64 * 1024 * 1024,
                    .client_stall_us = (int64_t)WAIT_MS * 1000},
    };
    log_file = memfd_create("log", MFD_CLOEXEC);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status, (void)type, (void)at;
    return remove(path);
}

static void run_node(void *context)
{
    struct mailraft_error trouble = {0};

    (void)context;
    cr_assert(node_run(node, &trouble), "%s", trouble.message);
}

/* False, and err, where the service does not start. */
static bool make(void)
{
    state_log = log_open(log_file, 1, LOG_INFO, &err);
    service = service_new(&service_config);
    node_config.machine = service_machine(service);
    node_config.watcher = service_pile(service);
    node = node_new(&node_config, state_log);
    return service_start(service, node, state_log, &err);
}

static void start(void)
{
    cr_assert(make(), "%s", err.message);
    cr_assert(thread_start(&thread, "server", run_node, NULL, &err));
    runs = true;
}

static void stop(void)
{
    if (node == NULL)
        return;
    if (runs) {
        node_stop(node);
        thread_join(&thread);
    }
    runs = false;
    service_stop(service);
    cr_assert_not(node_is_stuck(node));
    node_free(node);
    service_free(service);
    log_close(state_log);
    node = NULL;
}

static void clean_up(void)
{
    stop();
    nftw(folder, remove_one, 10, FTW_DEPTH | FTW_PHYS);
    close(log_file);
    close(peer_holder);
    close(client_holder);
}

TestSuite(service, .init = make_configs, .fini = clean_up, .timeout = 120);

static int client(void)
{
    return plain_connect(service_config.clients.listen.port);
}

/* Whether the log says so, once nothing runs. */
static bool has_logged(const char *line)
{
    static char text[100000];
    ssize_t size = pread(log_file, text, sizeof text - 1, 0);

    text[size > 0 ? size : 0] = '\0';
    return strstr(text, line) != NULL;
}

static void ask(int fd, const char *request, const char *reply)
{
    char heard[200] = "";

    plain_write(fd, request, strlen(request));
    plain_read(fd, heard, strlen(reply));
    cr_assert_str_eq(heard, reply);
}

Test(service, a_client_gets_what_it_has_set_also_after_a_restart)
{
    int fd;

    start();
    fd = client(); /* there is no leader yet */
    ask(fd, "SET a 1\r\n", "+OK\r\n");
    ask(fd, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "$1\r\n1\r\n");
    stop();
    await_close(fd);
    close(fd);
    start();
    fd = client();
    ask(fd, "GET a\r\nINCR a\r\n", "$1\r\n1\r\n:2\r\n");
    close(fd);
}

/* The next line that comes; false: the connection ends. */
static bool hear_line(int fd, char *line, size_t size)
{
    size_t length = 0;

    while (length + 1 < size && plain_read(fd, line + length, 1) == 1)
        if (line[length++] == '\n') {
            line[length] = '\0';
            return true;
        }
    cr_assert_eq(length, 0u, "the connection ends within a reply");
    return false;
}

Test(service, a_stop_answers_all_that_it_has_read)
{
    enum { ASKED = 3000 };
    char line[200];
    int fd, counted = 0, down = 0, uncertain = 0, value = 0;

    start();
    fd = client();
    ask(fd, "SET a 0\r\n", "+OK\r\n");
    for (int i = 0; i < ASKED; i++)
        plain_write(fd, "INCR a\r\n", 8);
    await_readable(fd);
    stop();
    while (hear_line(fd, line, sizeof line))
        if (sscanf(line, ":%d", &value) == 1)
            cr_assert_eq(value, ++counted);
        else if (strncmp(line, "-UNCERTAIN ", 11) == 0)
            uncertain++;
        else {
            cr_assert_eq(strncmp(line, "-CLUSTERDOWN ", 13), 0, "%s", line);
            down++;
        }
    cr_assert_gt(counted, 0);
    cr_assert_leq(counted + uncertain + down, ASKED);
    close(fd);
    start();
    fd = client();
    plain_write(fd, "INCR a\r\n", 8);
    cr_assert(hear_line(fd, line, sizeof line));
    cr_assert_eq(sscanf(line, ":%d", &value), 1, "%s", line);
    cr_assert_gt(value, counted);
    cr_assert_leq(value, counted + uncertain + 1);
    close(fd);
}

Test(service, what_waits_for_a_leader_is_answered_by_a_stop)
{
    char line[200];
    int fd;

    cr_assert(make(), "%s", err.message); /* its node never runs */
    fd = client();
    ask(fd, "PING\r\nSET a 1\r\n", "+PONG\r\n");
    stop();
    cr_assert(hear_line(fd, line, sizeof line));
    cr_assert_eq(strncmp(line, "-CLUSTERDOWN ", 13), 0, "%s", line);
    close(fd);
}

Test(service, an_address_that_is_taken_is_told)
{
    int fd = plain_listen(service_config.clients.listen.port, 1);

    cr_assert_not(make());
    cr_assert(error_is(&err, &BIND_ERROR));
    close(fd);
}

Test(service, a_node_without_an_address_for_clients_keeps_the_store_and_serves_nobody)
{
    service_config.clients.listen.port = 0;
    start();
    cr_assert_null(service_pile(service));
    cr_assert_not_null(service_machine(service)->apply);
}

Test(service, there_are_fewer_clients_where_files_are_few)
{
    struct rlimit limit = {.rlim_cur = 120, .rlim_max = 120};
    int fd;

    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    start();
    fd = client();
    ask(fd, "SET a 1\r\n", "+OK\r\n");
    close(fd);
    stop();
    cr_assert(has_logged("No more than 60 clients can connect: a process may have 120 files open here (ulimit -n) "
                         "max_clients=100 level=warn\n"));
}

#include "cluster/cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

/* ---- Ports ---- */

static bool bind_port(int fd, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

int port_hold(int *holder)
{
    static int next; /* each test is a process: they begin at different places */
    for (int tries = 0; tries < 20000; tries++) {
        if (next == 0)
            next = getpid() * 37;
        int port = 10000 + next++ % 20000;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert(fd >= 0);
        if (bind_port(fd, port)) {
            int one = 1;
            cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
            *holder = fd;
            return port;
        }
        close(fd);
    }
    cr_assert_fail("no port of 10000 to 30000 is free");
    return 0;
}

/* ---- Setting up ---- */

void cluster_path(const struct cluster *cluster, const char *name, char path[CLUSTER_PATH_MAX])
{
    snprintf(path, CLUSTER_PATH_MAX, "%s/%s", cluster->folder, name);
}

static void config_path(const struct cluster *cluster, int id, char path[CLUSTER_PATH_MAX])
{
    char name[32];
    snprintf(name, sizeof(name), "node%d.json", id);
    cluster_path(cluster, name, path);
}

static void write_member(FILE *file, const struct node *node, int port, const char *before)
{
    fprintf(file, "%s{\"id\":%d,\"peer\":\"%s:%d\"", before, node->id, node->host, port);
    if (node->client_port != 0)
        fprintf(file, ",\"client\":\"%s:%d\"", node->host, node->client_port);
    fputc('}', file);
}

void cluster_write_config(struct cluster *cluster, int id, const int *ports, const char *settings)
{
    char path[CLUSTER_PATH_MAX];
    config_path(cluster, id, path);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fprintf(file, "{\"id\":%d,\"data_dir\":\"data{id}\",\"cluster\":{\"name\":\"test\",\"members\":[", id);
    for (int i = 0; i < cluster->count; i++)
        write_member(file, &cluster->nodes[i], ports[i], i > 0 ? "," : "");
    fprintf(file, "]}%s%s}\n", settings != NULL ? "," : "", settings != NULL ? settings : "");
    cr_assert_eq(fclose(file), 0);
}

struct cluster *cluster_new(int count, const char *settings)
{
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    int ports[CLUSTER_NODES_MAX];
    cr_assert(cluster != NULL && count <= CLUSTER_NODES_MAX);
    signal(SIGPIPE, SIG_IGN);
    cluster->count = count;
    cluster->program = "MAILRAFTD";
    cluster->wait_ms = PROCESS_WAIT_MS;
    strcpy(cluster->folder, "/tmp/mailraft-test-XXXXXX");
    cr_assert_not_null(mkdtemp(cluster->folder));
    for (int i = 0; i < count; i++) {
        struct node *node = &cluster->nodes[i];
        node->id = i + 1;
        node->host = "127.0.0.1";
        snprintf(node->name, sizeof(node->name), "node %d", node->id);
        ports[i] = node->port = port_hold(&node->port_holder);
    }
    for (int id = 1; id <= count; id++)
        cluster_write_config(cluster, id, ports, settings);
    return cluster;
}

struct cluster *cluster_start(int count, const char *settings)
{
    struct cluster *cluster = cluster_new(count, settings);
    for (int id = 1; id <= count; id++)
        cluster_start_node(cluster, id, NULL);
    return cluster;
}

/* ---- Reading ---- */

struct node *cluster_node(struct cluster *cluster, int id)
{
    cr_assert(id >= 1 && id <= cluster->count);
    return &cluster->nodes[id - 1];
}

/* The value behind " key=", or NULL. */
static const char *value_of(const char *line, const char *key)
{
    char pattern[40];
    snprintf(pattern, sizeof(pattern), " %s=", key);
    const char *found = strstr(line, pattern);
    return found != NULL ? found + strlen(pattern) : NULL;
}

uint64_t line_number(const char *line, const char *key)
{
    const char *value = value_of(line, key);
    cr_assert(value != NULL, "no %s= in: %s", key, line);
    return strtoull(value, NULL, 10);
}

static void note_leader(struct cluster *cluster, struct node *node)
{
    uint64_t place = node->term - cluster->first_term;
    cr_assert(place < CLUSTER_TERMS_MAX, "the terms have run away");
    int other = cluster->leader_of[place];
    cr_assert(other == 0 || other == node->id, "nodes %d and %d both lead in term %llu", other, node->id,
              (unsigned long long)node->term);
    cluster->leader_of[place] = node->id;
    node->follows = node->id;
    node->follows_term = node->term;
    if (node->term > cluster->leader_term) {
        cluster->leader_term = node->term;
        cluster->leader = node->id;
    }
}

/* Whom a candidate that becomes a follower has found to lead, by its line; 0: nobody. */
static int found_leader(const char *line)
{
    static const char CAUSE[] = "cause=\"";
    const char *cause = strstr(line, CAUSE);
    return cause != NULL && strstr(cause, " leads our term\"") != NULL ? atoi(cause + strlen(CAUSE)) : 0;
}

static void note_line(struct cluster *cluster, struct node *node, const char *line)
{
    static const char FOLLOWING[] = " Following leader ";
    uint64_t term = line_number(line, "term");
    cr_assert(term >= node->term, "the term of node %d went back: %s", node->id, line);
    node->term = term;
    const char *following = strstr(line, FOLLOWING);
    if (strstr(line, " Leader! ") != NULL) {
        note_leader(cluster, node);
    } else if (following != NULL) {
        node->follows = node->told = atoi(following + strlen(FOLLOWING));
        node->follows_term = node->told_term = term;
    } else if (strstr(line, " STATE: ") != NULL) {
        node->follows = found_leader(line);
        node->follows_term = term;
        if (node->follows == 0 && node->told_term == term && strstr(line, " -> FOLLOWER ") != NULL)
            node->follows = node->told; /* its pre-vote came to nothing, and it knows the leader of its term already */
    }
}

static void read_lines(struct cluster *cluster, int wait_ms)
{
    struct process *processes[CLUSTER_NODES_MAX];
    for (int i = 0; i < cluster->count; i++)
        processes[i] = &cluster->nodes[i].process;
    process_read(processes, cluster->count, wait_ms);
    for (int i = 0; i < cluster->count; i++) {
        const char *line;
        while ((line = process_next_line(processes[i])) != NULL)
            note_line(cluster, &cluster->nodes[i], line);
    }
}

static void print_logs(const struct cluster *cluster)
{
    for (int i = 0; i < cluster->count; i++)
        for (int which = 0; which < 2; which++)
            if (cluster->nodes[i].process.printed[which].text != NULL)
                fprintf(stderr, "---- node %d%s\n%s", i + 1, which == 1 ? ", standard error" : "",
                        cluster->nodes[i].process.printed[which].text);
}

void cluster_wait(struct cluster *cluster, const char *what, bool (*holds)(struct cluster *cluster, void *context),
                  void *context)
{
    int64_t deadline_ms = process_now_ms() + cluster->wait_ms;
    read_lines(cluster, 0);
    while (!holds(cluster, context)) {
        if (process_now_ms() >= deadline_ms) {
            print_logs(cluster);
            cr_assert_fail("waited in vain for %s", what);
        }
        read_lines(cluster, 50);
    }
}

struct expected {
    int id;
    const char *text, *line;
};

static bool line_has_come(struct cluster *cluster, void *context)
{
    struct expected *expected = context;
    struct process *process = &cluster_node(cluster, expected->id)->process;
    struct printed *printed = &process->printed[0];
    if (printed->text == NULL || strstr(printed->text + printed->seen, expected->text) == NULL ||
        strchr(strstr(printed->text + printed->seen, expected->text), '\n') == NULL)
        return false;
    expected->line = process_expect(process, expected->text);
    return true;
}

const char *cluster_expect(struct cluster *cluster, int id, const char *text)
{
    struct expected expected = {.id = id, .text = text};
    cluster_wait(cluster, text, line_has_come, &expected);
    return expected.line;
}

void cluster_assert_never(struct cluster *cluster, int id, const char *text)
{
    read_lines(cluster, 0);
    const char *printed = cluster_node(cluster, id)->process.printed[0].text;
    cr_assert(printed == NULL || strstr(printed, text) == NULL, "node %d said \"%s\":\n%s", id, text, printed);
}

/* ---- Leaders ---- */

static bool later_leader(struct cluster *cluster, void *context)
{
    return cluster->leader_term > *(uint64_t *)context;
}

int cluster_later_leader(struct cluster *cluster, uint64_t term)
{
    cluster_wait(cluster, "another leader", later_leader, &term);
    return cluster->leader;
}

static bool is_up(const struct node *node)
{
    return node->process.pid != 0 && !node->paused;
}

bool cluster_is_settled(struct cluster *cluster)
{
    if (cluster->leader == 0 || !is_up(cluster_node(cluster, cluster->leader)))
        return false;
    for (int i = 0; i < cluster->count; i++) {
        const struct node *node = &cluster->nodes[i];
        if (is_up(node) && (node->follows != cluster->leader || node->follows_term != cluster->leader_term))
            return false;
    }
    return true;
}

static bool settled(struct cluster *cluster, void *context)
{
    (void)context;
    return cluster_is_settled(cluster);
}

int cluster_settle(struct cluster *cluster)
{
    cluster_wait(cluster, "a leader whom all follow", settled, NULL);
    return cluster->leader;
}

/* ---- What is done to nodes ---- */

void cluster_start_node(struct cluster *cluster, int id, const char *const *environment)
{
    struct node *node = cluster_node(cluster, id);
    char path[CLUSTER_PATH_MAX];
    const char *program = getenv(cluster->program);
    config_path(cluster, id, path);
    cr_assert(program != NULL, "%s must name the program to test", cluster->program);
    node->paused = false;
    node->asked = 0;
    node->follows = 0;
    node->told_term = 0;
    process_start(&node->process, node->name, (const char *[]){program, path, node->option, NULL}, environment);
}

int cluster_await_end(struct cluster *cluster, int id)
{
    struct node *node = cluster_node(cluster, id);
    int status = process_await_end(&node->process);
    node->paused = false;
    read_lines(cluster, 0);
    node->follows = 0;
    return status;
}

void cluster_kill(struct cluster *cluster, int id)
{
    process_signal(&cluster_node(cluster, id)->process, SIGKILL);
    cr_assert_eq(cluster_await_end(cluster, id), 128 + SIGKILL);
}

void cluster_stop(struct cluster *cluster, int id)
{
    struct process *process = &cluster_node(cluster, id)->process;
    process_signal(process, SIGTERM);
    cr_assert_eq(cluster_await_end(cluster, id), 0, "%s", process->printed[1].text);
}

void cluster_pause(struct cluster *cluster, int id)
{
    process_signal(&cluster_node(cluster, id)->process, SIGSTOP);
    cluster_node(cluster, id)->paused = true;
}

void cluster_resume(struct cluster *cluster, int id)
{
    cluster_node(cluster, id)->paused = false;
    process_signal(&cluster_node(cluster, id)->process, SIGCONT);
}

/* ---- The end ---- */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

void cluster_free(struct cluster *cluster)
{
    read_lines(cluster, 0);
    for (int i = 0; i < cluster->count; i++) {
        const char *errors = cluster->nodes[i].process.printed[1].text;
        cr_assert(errors == NULL || strstr(errors, "Sanitizer") == NULL, "node %d:\n%s", i + 1, errors);
        process_fini(&cluster->nodes[i].process);
        close(cluster->nodes[i].port_holder);
        if (cluster->nodes[i].client_port != 0)
            close(cluster->nodes[i].client_port_holder);
    }
    nftw(cluster->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(cluster);
}

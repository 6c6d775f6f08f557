#include "unit/post.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/memory.h"
#include "sockets.h"

#define LOG_BYTES_MAX (1024 * 1024)

static struct mailraft_error err;
static struct post_node nodes[4]; /* by id, from 1 to 3 */
static int holders[4];
static struct speaker two;

/* In the C library's place. */
int getaddrinfo(const char *restrict host, const char *restrict port, const struct addrinfo *restrict hints,
                struct addrinfo **restrict found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    while ((hints->ai_flags & AI_NUMERICHOST) == 0 && strcmp(host, POST_HANGING_HOST) == 0)
        syscall(SYS_pause);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo"); /* as POSIX has it, since ISO C knows no such conversion */
    return real(host, port, hints, found);
}

void post_open(void)
{
    struct members members = {.count = 3};

    for (int id = 1; id <= 3; id++) {
        struct member *member = &members.list[id - 1];

        member->id = id;
        snprintf(member->peer.host, sizeof member->peer.host, "127.0.0.1");
        holders[id] = hold_port(&member->peer.port);
    }
    for (int id = 1; id <= 3; id++) {
        struct mailbox_config *config = &nodes[id].config;

        config->id = id;
        config->members = members;
        config->listen = members.list[id - 1].peer;
        snprintf(config->cluster_name, sizeof config->cluster_name, "home");
        memset(config->data_id.bytes, id, DATA_ID_SIZE);
        config->entry_bytes_max = POST_ENTRY_BYTES_MAX;
        nodes[id].file = memfd_create("log", MFD_CLOEXEC);
        nodes[id].text = memory_new(LOG_BYTES_MAX);
    }
    speaker_init(&two, &nodes[2].config);
}

void post_start(int id)
{
    struct post_node *node = &nodes[id];

    node->pile = pile_new();
    node->log = log_open(node->file, id, LOG_DEBUG, &err);
    cr_assert_not_null(node->log);
    node->mailbox = mailbox_open(&node->config, node->pile, node->log, &err);
    cr_assert_not_null(node->mailbox, "%s", err.message);
    cr_assert(mailbox_start(node->mailbox, &err), "%s", err.message);
}

void post_stop(int id)
{
    struct post_node *node = &nodes[id];
    struct letter *letter;

    if (node->mailbox == NULL)
        return;
    mailbox_stop(node->mailbox);
    while ((letter = node->laid_by) != NULL) {
        node->laid_by = letter->next;
        letter_free(letter);
    }
    pile_free(node->pile);
    mailbox_free(node->mailbox);
    log_close(node->log);
    node->mailbox = NULL;
}

void post_close(void)
{
    for (int id = 1; id <= 3; id++) {
        post_stop(id);
        close(holders[id]);
        close(nodes[id].file);
        memory_free(nodes[id].text);
    }
}

struct post_node *post_node(int id)
{
    return &nodes[id];
}

struct speaker *post_two(void)
{
    return &two;
}

uint16_t post_port(int id)
{
    return nodes[id].config.listen.port;
}

/* How many lines of a node's log contain this. */
int post_count_lines(int id, const char *part)
{
    ssize_t size = pread(nodes[id].file, nodes[id].text, LOG_BYTES_MAX - 1, 0);
    int count = 0;

    cr_assert_geq(size, 0);
    nodes[id].text[size] = '\0';
    for (const char *at = nodes[id].text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

void post_await_lines(int id, const char *part, int count)
{
    int64_t deadline_us = clock_now_us() + WAIT_MS * 1000;

    while (post_count_lines(id, part) < count) {
        cr_assert_lt(clock_now_us(), deadline_us, "no %d lines \"%s\" in\n%s", count, part, nodes[id].text);
        poll(NULL, 0, 1);
    }
}

void post_await_connected(int id, int peer, int count)
{
    char line[60];

    snprintf(line, sizeof line, "Connected to %d at 127.0.0.1:%u\n", peer, post_port(peer));
    post_await_lines(id, line, count);
}

void post_await_connected_bulk(int id, int peer, int count)
{
    char line[80];

    snprintf(line, sizeof line, "Connected to %d at 127.0.0.1:%u channel=bulk level=debug\n", peer, post_port(peer));
    post_await_lines(id, line, count);
}

static bool is_own(enum letter_kind kind)
{
    return kind == LETTER_REACHED || kind == LETTER_LOST;
}

static bool is_about(const struct letter *letter, enum channel channel, enum letter_kind kind)
{
    return letter->link.channel == channel && is_own(letter->kind) == is_own(kind);
}

static struct letter *take_any(struct post_node *node)
{
    int64_t now_us;
    struct letter *letter = pile_take(node->pile, LANE_CLIENTS, clock_now_us() + WAIT_MS * 1000, &now_us);

    cr_assert_not_null(letter, "no letter came in time");
    return letter;
}

struct letter *post_take_of(int id, enum channel channel, enum letter_kind kind)
{
    struct letter **at = &nodes[id].laid_by, *letter;

    while (*at != NULL && !is_about(*at, channel, kind))
        at = &(*at)->next;
    while (*at == NULL) {
        *at = take_any(&nodes[id]);
        (*at)->next = NULL;
        if (!is_about(*at, channel, kind))
            at = &(*at)->next;
    }
    letter = *at;
    *at = letter->next;
    cr_assert_eq(letter->kind, kind, "letter of kind %d, not %d", (int)letter->kind, (int)kind);
    return letter;
}

struct letter *post_take(int id, enum letter_kind kind)
{
    return post_take_of(id, CHANNEL_URGENT, kind);
}

/* The next letter is that the test, as member 2, connected or disconnected. */
void post_await_link(int id, enum letter_kind kind, uint64_t connection)
{
    struct letter *letter = post_take(id, kind);

    cr_assert_eq(letter->link.peer, 2);
    cr_assert_eq(letter->link.connection, connection);
    cr_assert_eq(letter->link.incarnation, two.incarnation);
    letter_free(letter);
}

uint64_t post_await_message(int id)
{
    struct letter *letter = post_take(id, LETTER_MESSAGE);
    uint64_t round = letter->message.round;

    letter_free(letter);
    return round;
}

void post_send(int from, raft_id to, uint64_t round)
{
    struct message message = {.type_of_message = REQUEST_APPEND_ENTRIES, .server_id = from, .round = round};

    mailbox_send(nodes[from].mailbox, to, CHANNEL_URGENT, &message, NULL, true);
}

struct batch *post_entries(size_t count, size_t payload_size)
{
    struct batch *entries = batch_new();
    uint8_t *payload = memory_new(payload_size + 1);

    memset(payload, 'e', payload_size);
    for (size_t i = 1; i <= count; i++)
        batch_add(entries, entry_new(ENTRY_COMMAND, 1, i, 5, payload, payload_size));
    memory_free(payload);
    return entries;
}

static struct message append_of(raft_id sender, const struct batch *entries)
{
    return (struct message){
        .type_of_message = REQUEST_APPEND_ENTRIES,
        .server_id = sender,
        .curr_term = 1,
        .entry_count = (uint32_t)entries->count,
    };
}

void post_send_entries(int from, raft_id to, const struct batch *entries)
{
    struct message message = append_of(from, entries);

    mailbox_send(nodes[from].mailbox, to, CHANNEL_BULK, &message, entries, true);
}

/* What this test says as member 2. */
struct frame *post_append(const struct batch *entries)
{
    struct message message = append_of(2, entries);

    return wire_write_message(&message, entries, true);
}

uint8_t *post_frame_bytes(struct frame *frame)
{
    static struct iovec parts[FRAME_PARTS_MAX];
    uint8_t *bytes = memory_new(frame->size);
    size_t count;

    while (frame_rest(frame, parts, &count) > 0)
        for (size_t i = 0; i < count; frame->sent += parts[i++].iov_len)
            memcpy(bytes + frame->sent, parts[i].iov_base, parts[i].iov_len);
    cr_assert_eq(frame->sent, frame->size);
    return bytes;
}

void post_say_frame(int fd, struct frame *frame)
{
    uint8_t *bytes = post_frame_bytes(frame);

    plain_write(fd, bytes, frame->size);
    memory_free(bytes);
    frame_free(frame);
}

void post_say_round(int fd, uint64_t round)
{
    struct message message = {.type_of_message = REQUEST_VOTE, .server_id = 2, .round = round};

    post_say_frame(fd, wire_write_message(&message, NULL, true));
}

bool post_hear_hello(int fd, struct hello *hello)
{
    uint8_t bytes[WIRE_HELLO_BYTES_MAX];
    struct wire_sizes sizes;

    if (plain_read(fd, bytes, WIRE_HEAD_BYTES) < WIRE_HEAD_BYTES)
        return false;
    cr_assert(wire_read_head(bytes, &WIRE_HELLO_RULES, &sizes, &err), "%s", err.message);
    cr_assert_eq(plain_read(fd, bytes, sizes.message), sizes.message);
    cr_assert(wire_read_hello(bytes, sizes.message, hello, &err), "%s", err.message);
    return true;
}

struct hello post_hello_of(enum channel channel, uint64_t connection)
{
    struct hello hello;

    hello_make(&hello, &two, 1, channel, connection);
    return hello;
}

struct hello post_hello(uint64_t connection)
{
    return post_hello_of(CHANNEL_URGENT, connection);
}

/* Connects to 1 with a hello, whatever it says. */
int post_call_with(const struct hello *hello)
{
    int fd = plain_connect(post_port(1));

    post_say_frame(fd, wire_write_hello(hello));
    return fd;
}

/* Connects to 1 as member 2, and hears its hello. */
static int call(enum channel channel, uint64_t connection)
{
    struct hello ours = post_hello_of(channel, connection), theirs;
    int fd = post_call_with(&ours);

    cr_assert(post_hear_hello(fd, &theirs), "our hello was refused");
    cr_assert_eq(theirs.sender, 1);
    cr_assert_eq(theirs.receiver, 2);
    cr_assert_eq(theirs.channel, (uint32_t)channel);
    cr_assert_eq(theirs.connection, connection);
    return fd;
}

int post_call(uint64_t connection)
{
    return call(CHANNEL_URGENT, connection);
}

int post_call_bulk(uint64_t connection)
{
    return call(CHANNEL_BULK, connection);
}

/* A hello is refused: the connection is closed, and one line says why and from where. */
void post_assert_refused(const struct hello *hello, const char *reason)
{
    struct sockaddr_in here;
    socklen_t size = sizeof here;
    int fd = post_call_with(hello);
    char line[300];

    cr_assert_eq(getsockname(fd, (struct sockaddr *)&here, &size), 0);
    await_close(fd);
    close(fd);
    snprintf(line, sizeof line, "Refused a connection from 127.0.0.1:%u: %s", ntohs(here.sin_port), reason);
    post_await_lines(1, line, 1);
}

/* Nothing of what happened before keeps a peer out. */
void post_assert_open(uint64_t connection)
{
    int fd = post_call(connection);

    post_await_link(1, LETTER_CONNECTED, connection);
    post_say_round(fd, 77);
    cr_assert_eq(post_await_message(1), 77u);
    close(fd);
    post_await_link(1, LETTER_DISCONNECTED, connection);
}

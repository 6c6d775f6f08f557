#include "raft/node.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "raft/server.h"

struct node {
    struct node_config config;
    struct log *log;
    struct pile *pile;       /* the server's */
    struct scribe *scribe;   /* NULL where it has not started */
    struct mailbox *mailbox; /* NULL where it has not started */
    bool scribe_ended;       /* it said its last word: it can be joined */
    bool scribe_stuck;       /* it was abandoned in the disk, and still knows the pile */
    bool serving;            /* server is in use */
    struct server server;
};

struct node *node_new(const struct node_config *config, struct log *log)
{
    struct node *node = memory_new(sizeof *node);
    node->config = *config;
    node->log = log;
    node->pile = pile_new();
    return node;
}

void node_stop(struct node *node)
{
    pile_put(node->pile, LANE_CONTROL, letter_new(LETTER_STOP));
}

const struct server *node_server(const struct node *node)
{
    return node->serving ? &node->server : NULL;
}

void node_free(struct node *node)
{
    if (node == NULL)
        return;
    if (!node->scribe_stuck)
        pile_free(node->pile); /* otherwise left alone, with what the scribe may still put on it */
    mailbox_free(node->mailbox);
    memory_free(node);
}

static bool start_scribe(struct node *node, struct mailraft_error *err)
{
    struct scribe_config config = {.id = node->config.id,
                                   .pid = node->config.pid,
                                   .segment_bytes = node->config.segment_bytes,
                                   .entry_bytes_max = node->config.entry_bytes_max,
                                   .cache_bytes = node->config.log_cache_bytes};
    snprintf(config.data_dir, sizeof config.data_dir, "%s", node->config.data_dir);
    snprintf(config.cluster_name, sizeof config.cluster_name, "%s", node->config.cluster_name);
    node->scribe = scribe_start(&config, node->pile, err);
    return node->scribe != NULL;
}

/* The scribe's first letter. NULL when it failed (err) or a stop came first (err of no class). */
static struct letter *await_storage(struct node *node, struct mailraft_error *err)
{
    int64_t now_us;
    struct letter *letter = pile_take(node->pile, LANE_CONTROL, CLOCK_NEVER, &now_us);
    if (letter->kind == LETTER_STORAGE_OPENED)
        return letter;
    if (letter->kind == LETTER_STORAGE_FAILED)
        *err = *letter->error;
    else
        assert(letter->kind == LETTER_STOP);
    letter_free(letter);
    return NULL;
}

/* Whether a stop waits on the pile. Only stops come between the scribe's first letter and what it is asked for. */
static bool stop_waits(void *context)
{
    struct node *node = context;
    int64_t now_us;
    struct letter *letter = pile_take(node->pile, LANE_CONTROL, clock_now_us(), &now_us);
    if (letter == NULL)
        return false;
    assert(letter->kind == LETTER_STOP);
    pile_put_back(node->pile, LANE_CONTROL, letter);
    return true;
}

/* False also when a stop came first (err of no class). */
static bool open_mailbox(struct node *node, const struct letter *opened, struct mailraft_error *err)
{
    struct mailbox_config *config = memory_new(sizeof *config);
    config->id = node->config.id;
    config->members = node->config.members;
    config->listen = node->config.listen;
    config->data_id = opened->opened->data_id;
    config->interrupted = stop_waits;
    config->context = node;
    snprintf(config->cluster_name, sizeof config->cluster_name, "%s", node->config.cluster_name);
    node->mailbox = mailbox_open(config, node->pile, node->log, err);
    memory_free(config);
    if (node->mailbox == NULL && stop_waits(node))
        err->class = NULL;
    return node->mailbox != NULL;
}

static void tell_start(struct node *node, const struct letter *opened)
{
    char address[ADDRESS_TEXT_MAX], data_id[2 * DATA_ID_SIZE + 1];
    for (int i = 0; i < DATA_ID_SIZE; i++)
        snprintf(data_id + 2 * i, 3, "%02x", opened->opened->data_id.bytes[i]);
    log_set_state(node->log, opened->opened->ballot.term, ROLE_NAMES[FOLLOWER]);
    log_info(node->log, "Started %s data_dir=\"%s\" peer=%s", node->config.about, node->config.data_dir,
             address_format(&node->config.listen, address, sizeof address));
    if (node->config.warning != NULL)
        log_warn(node->log, "%s", node->config.warning);
    log_info(node->log, "Opened storage data_id=%s voted_for=%d sync_ms=%.1f made=%d", data_id,
             opened->opened->ballot.voted_for, (double)opened->opened->sync_us / 1000, opened->opened->made);
    if (opened->opened->damaged >= 0)
        log_warn(node->log,
                 "Slot %d of the ballot was torn or damaged; the other one counted, and both are whole again",
                 opened->opened->damaged);
}

static bool serve(struct node *node, const struct letter *opened, struct mailraft_error *err)
{
    if (!open_mailbox(node, opened, err))
        return err->class == NULL;
    tell_start(node, opened);
    if (!mailbox_start(node->mailbox, err))
        return false;
    server_init(&node->server, &node->config, node->pile, node->log, node->scribe, node->mailbox, opened->opened->ballot,
                opened->opened->sync_us);
    node->serving = true;
    server_run(&node->server);
    *err = node->server.failure;
    return err->class == NULL;
}

/* What the scribe has left to say; its last letter tells that it can be joined. */
static void await_scribe(struct node *node, int64_t deadline_us)
{
    int64_t now_us;
    struct letter *letter;
    while (!node->scribe_ended && (letter = pile_take(node->pile, LANE_CONTROL, deadline_us, &now_us)) != NULL) {
        node->scribe_ended = letter->kind == LETTER_SCRIBE_ENDED;
        letter_free(letter);
    }
}

static void stop_scribe(struct node *node)
{
    scribe_close(node->scribe);
    await_scribe(node, clock_now_us() + NODE_SCRIBE_WAIT_US);
    node->scribe_stuck = !node->scribe_ended;
    if (node->scribe_ended)
        scribe_join(node->scribe);
    else
        scribe_abandon(node->scribe);
    node->scribe = NULL;
}

bool node_run(struct node *node, struct mailraft_error *err)
{
    err->class = NULL;
    if (!start_scribe(node, err))
        return false;
    struct letter *opened = await_storage(node, err);
    bool good = opened != NULL ? serve(node, opened, err) : err->class == NULL;
    letter_free(opened);
    if (node->mailbox != NULL)
        mailbox_stop(node->mailbox);
    stop_scribe(node);
    pile_close(node->pile);
    if (node->serving) {
        server_fini(&node->server);
        if (good)
            log_info(node->log, "Stopped");
        else
            log_error(node->log, "Failed: %s", err->message);
    }
    node->serving = false;
    return good;
}

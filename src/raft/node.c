#include "raft/node.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/credit.h"
#include "base/memory.h"
#include "raft/server.h"

struct node {
    struct node_config config;
    struct log *log;
    struct pile *pile;       /* the server's */
    struct scribe *scribe;   /* NULL where it has not started; and so on */
    struct log_reader *log_reader;
    struct applier *applier;
    struct mailbox *mailbox;
    bool scribe_ended;     /* it said its last word: it can be joined */
    bool log_reader_ended; /* the same; where it has not started, too */
    bool applier_ended;
    bool stuck;            /* one of them was abandoned, and still knows the pile */
    bool serving;          /* server is in use */
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

void node_propose(struct node *node, const void *request, size_t size, const struct proposer *proposer,
                  struct credit *credit)
{
    struct letter *letter = letter_new(LETTER_PROPOSE);
    mailraft_buffer_put(&letter->request, request, size);
    letter->proposer = *proposer;
    letter->credit = credit;
    letter->credit_bytes = size;
    pile_put(node->pile, LANE_CLIENTS, letter);
}

void node_ask(struct node *node, struct letter_list *letters)
{
    pile_put_all(node->pile, LANE_CLIENTS, letters);
}

bool node_is_stuck(const struct node *node)
{
    return node->stuck;
}

const struct server *node_server(const struct node *node)
{
    return node->serving ? &node->server : NULL;
}

void node_free(struct node *node)
{
    if (node == NULL)
        return;
    if (!node->stuck)
        pile_free(node->pile); /* otherwise left alone, with what may still be put on it */
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

/* Whether a stop, or the scribe's failure, waits on the pile. */
static bool end_waits(void *context)
{
    struct node *node = context;
    int64_t now_us;
    struct letter *letter;
    while ((letter = pile_try(node->pile, LANE_CONTROL, &now_us)) != NULL && letter->kind == LETTER_STORAGE_WARNED) {
        log_warn(node->log, "Couldn't make the log's next file ahead: %s", letter->error->message);
        letter_free(letter);
    }
    if (letter != NULL)
        pile_put_back(node->pile, LANE_CONTROL, letter);
    return letter != NULL;
}

/* Why: err of no class where it is a stop. */
static void take_end(struct node *node, struct mailraft_error *err)
{
    int64_t now_us;
    struct letter *letter = pile_try(node->pile, LANE_CONTROL, &now_us);
    err->class = NULL;
    if (letter->kind == LETTER_STORAGE_FAILED)
        *err = *letter->error;
    letter_free(letter);
}

/* False also when a stop came first (err of no class). */
static bool open_mailbox(struct node *node, const struct storage_opened *opened, struct mailraft_error *err)
{
    struct mailbox_config *config = memory_new(sizeof *config);
    config->id = node->config.id;
    config->members = node->config.members;
    for (int i = 0; node->config.reach != NULL && i < config->members.count; i++)
        if (node->config.reach[i].port != 0)
            config->members.list[i].peer = node->config.reach[i];
    config->listen = node->config.listen;
    config->data_id = opened->data_id;
    config->cluster_uuid = opened->cluster_uuid;
    config->rejoin_empty = node->config.rejoin_empty;
    config->entry_bytes_max = MAILBOX_ENTRY_BYTES_MAX; /* others may have another limit, or had one */
    config->interrupted = end_waits;
    config->context = node;
    snprintf(config->cluster_name, sizeof config->cluster_name, "%s", node->config.cluster_name);
    node->mailbox = mailbox_open(config, node->pile, node->log, err);
    memory_free(config);
    if (node->mailbox == NULL && end_waits(node))
        take_end(node, err);
    return node->mailbox != NULL;
}

static void tell_log(struct node *node, const struct storage_opened *opened)
{
    log_info(node->log,
             "Read the log entries=%" PRIu64 " last_log=%" PRIu64 "@%" PRIu64 " files=%" PRIu64 " frames=%" PRIu64
             " bytes=%" PRIu64 " took_ms=%.1f",
             opened->terms.last_index, opened->terms.last_index, terms_last(&opened->terms), opened->files,
             opened->frames, opened->bytes_read, (double)opened->read_us / 1000);
    if (opened->bytes_cut > 0)
        log_warn(node->log, "Cut off what was in flight at the last end bytes=%" PRIu64, opened->bytes_cut);
}

static void tell_start(struct node *node, const struct storage_opened *opened)
{
    char address[ADDRESS_TEXT_MAX], data_id[ID_TEXT_MAX];
    log_set_state(node->log, opened->ballot.term, ROLE_NAMES[FOLLOWER]);
    log_info(node->log, "Started %s data_dir=\"%s\" peer=%s", node->config.about, node->config.data_dir,
             address_format(&node->config.listen, address, sizeof address));
    if (node->config.warning != NULL)
        log_warn(node->log, "%s", node->config.warning);
    log_info(node->log, "Opened storage data_id=%s voted_for=%d sync_ms=%.1f made=%d",
             id_format(opened->data_id.bytes, data_id), opened->ballot.voted_for, (double)opened->sync_us / 1000,
             opened->made);
    if (opened->damaged >= 0)
        log_warn(node->log,
                 "Slot %d of the ballot was torn or damaged; the other one counted, and both are whole again",
                 opened->damaged);
    tell_log(node, opened);
}

static bool start_threads(struct node *node, struct mailraft_error *err)
{
    node->log_reader = log_reader_start(node->config.data_dir, node->pile, err);
    if (node->log_reader == NULL)
        return false;
    node->applier = applier_start(node->config.machine, node->pile, node->log, err);
    return node->applier != NULL && mailbox_start(node->mailbox, err);
}

static bool serve(struct node *node, struct storage_opened *opened, struct mailraft_error *err)
{
    if (!open_mailbox(node, opened, err))
        return err->class == NULL;
    tell_start(node, opened);
    if (!start_threads(node, err))
        return false;
    struct server_tools tools = {node->pile,       node->log,     node->scribe,
                                 node->log_reader, node->applier, node->mailbox};
    if (!server_init(&node->server, &node->config, &tools, opened, err))
        return false;
    node->serving = true;
    server_run(&node->server);
    *err = node->server.failure;
    return err->class == NULL;
}

/* What the threads have left to say; the last letter of each tells that it can be joined. */
static void await_last_words(struct node *node, int64_t deadline_us)
{
    int64_t now_us;
    struct letter *letter;
    while ((!node->scribe_ended || !node->log_reader_ended || !node->applier_ended) &&
           (letter = pile_take(node->pile, LANE_CONTROL, deadline_us, &now_us)) != NULL) {
        node->scribe_ended = node->scribe_ended || letter->kind == LETTER_SCRIBE_ENDED;
        node->log_reader_ended = node->log_reader_ended || letter->kind == LETTER_LOG_READER_ENDED;
        node->applier_ended = node->applier_ended || letter->kind == LETTER_APPLIER_ENDED;
        letter_free(letter);
    }
}

/* One that is stuck, in the disk or in the state machine, is left behind. */
static void leave_threads(struct node *node)
{
    node->stuck = !node->scribe_ended || !node->log_reader_ended || !node->applier_ended;
    if (node->scribe_ended)
        scribe_join(node->scribe);
    else
        scribe_abandon(node->scribe);
    if (node->log_reader != NULL && node->log_reader_ended)
        log_reader_join(node->log_reader);
    else if (node->log_reader != NULL)
        log_reader_abandon(node->log_reader);
    if (node->applier != NULL && node->applier_ended)
        applier_join(node->applier);
    else if (node->applier != NULL)
        applier_abandon(node->applier);
    node->scribe = NULL;
    node->log_reader = NULL;
    node->applier = NULL;
}

static void stop_threads(struct node *node)
{
    if (node->mailbox != NULL)
        mailbox_stop(node->mailbox);
    scribe_close(node->scribe);
    node->log_reader_ended = node->log_reader == NULL;
    node->applier_ended = node->applier == NULL;
    if (node->log_reader != NULL)
        log_reader_close(node->log_reader);
    if (node->applier != NULL)
        applier_close(node->applier);
    await_last_words(node, clock_now_us() + NODE_LAST_WORDS_US);
    leave_threads(node);
    pile_close(node->pile);
}

bool node_run(struct node *node, struct mailraft_error *err)
{
    err->class = NULL;
    if (!start_scribe(node, err))
        return false;
    struct letter *opened = await_storage(node, err);
    bool good = opened != NULL ? serve(node, opened->opened, err) : err->class == NULL;
    letter_free(opened);
    stop_threads(node);
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

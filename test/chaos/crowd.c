#include "chaos/crowd.h"

#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "chaos/dice.h"
#include "check.h"
#include "sim/history.h"

#define CLIENTS         15
#define GROUPS_MAX      65536
#define GROUPS_OPEN     4 /* of keys that they share at one time */
#define BATCH_MAX       4 /* calls that one makes at once */
#define AWAITED_MAX     64
#define AWAITED_BUSY    24     /* whoever waits for so much asks for nothing more */
#define LONG_TEXT       60     /* a value that has become so long is not appended to any more */
#define THINK_US_MAX    120000 /* between two batches */
#define RETRY_US_MAX    100000 /* before another connection */
#define CONNECT_US_MAX  500000
#define PATIENCE_MS_MIN 400
#define PATIENCE_MS_MAX 4000
#define LOOK_AGAIN_MS   5
#define READ_AT_ONCE    50
#define READ_SECONDS    10
#define KEY_MAX         40
#define FAILURE_MAX     600

/* What the next reply is to. */
enum awaited_kind {
    AWAITED_ANSWER, /* its call's */
    AWAITED_BEGUN,  /* MULTI: it is always OK */
    AWAITED_QUEUED, /* a command behind it */
    AWAITED_END,    /* EXEC: its call's answers */
    AWAITED_NOTE,   /* its own key, which it sets once */
    AWAITED_COUNT   /* its own counter */
};

enum outcome { OPEN, DONE, REFUSED, UNKNOWN };

struct awaited {
    enum awaited_kind kind;
    struct record *record;
    struct record *watch; /* END: the WATCH before it; NULL: none */
    unsigned long note;
};

/* Its last call over this connection that was about an open group. */
struct last {
    int group;
    struct record *record;
};

/* A client's own keys. */
struct account {
    unsigned long notes, room; /* keys that it has tried to set: 0 to so many */
    uint8_t *outcomes;         /* by key */
    int64_t added;             /* additions that were acknowledged, ... */
    int64_t unknown;           /* ... and that may have been done */
    int64_t count;             /* what the last one told */
};

struct client {
    struct crowd *crowd;
    unsigned number;
    int node;
    redisContext *context; /* NULL: none */
    bool connecting, unsent;
    int64_t act_at_us; /* connects, or calls, not before; while it connects: gives up */
    int64_t patience_us, patient_until_us;
    struct awaited awaited[AWAITED_MAX]; /* oldest first */
    int awaited_count;
    struct last last[GROUPS_OPEN];
    struct account account;
};

struct open_group {
    int number;
    bool too_long[STORE_KEYS];
    unsigned last_slot;
    uint64_t lost_slots; /* bits: a transaction that nobody knows the end of has it for good */
};

struct crowd {
    const struct cluster *cluster;
    struct dice dice;
    int slowness;
    int64_t began_us;
    pthread_t thread;
    bool started;
    atomic_bool resting;
    atomic_bool failed;
    atomic_ulong writes;
    char failure[FAILURE_MAX];
    struct history *history;
    struct open_group groups[GROUPS_OPEN];
    int group_count; /* that there have ever been */
    uint64_t words;  /* that have been written */
    int64_t last_write_us;
    struct crowd_sums sums, sums_at_rest;
    struct client clients[CLIENTS];
};

static int64_t now_us(const struct crowd *crowd)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - crowd->began_us;
}

/* The first one counts. */
__attribute__((format(printf, 2, 3))) static void fail(struct crowd *crowd, const char *format, ...)
{
    va_list values;
    if (atomic_load(&crowd->failed))
        return;
    va_start(values, format);
    vsnprintf(crowd->failure, sizeof(crowd->failure), format, values);
    va_end(values);
    atomic_store(&crowd->failed, true);
}

const char *crowd_failure(struct crowd *crowd)
{
    return atomic_load(&crowd->failed) ? crowd->failure : NULL;
}

unsigned long crowd_writes(struct crowd *crowd)
{
    return atomic_load(&crowd->writes);
}

struct crowd_sums crowd_sums(const struct crowd *crowd)
{
    return crowd->sums_at_rest;
}

/* ---- Requests ---- */

/* As redisAppendCommand, whose formats are fewer than printf's. */
__attribute__((format(printf, 2, 3))) static void put(redisContext *context, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int result = redisvAppendCommand(context, format, values);
    va_end(values);
    assert(result == REDIS_OK);
}

static void key_name(int group, int key, char name[KEY_MAX])
{
    snprintf(name, KEY_MAX, "shared:%d:%d", group, key);
}

static void put_deed(redisContext *context, const struct store_deed *deed, int group)
{
    static const char *const VERBS[STORE_VERBS] = {"GET", "SET", "SETNX", "INCR", "APPEND", "DEL", "GETDEL"};
    char key[KEY_MAX];
    key_name(group, deed->key, key);
    if (deed->word[0] != '\0')
        put(context, "%s %s %s", VERBS[deed->verb], key, deed->word);
    else
        put(context, "%s %s", VERBS[deed->verb], key);
}

static void put_watch(redisContext *context, const struct store_call *call, int group)
{
    char keys[STORE_KEYS][KEY_MAX];
    int count = 0;
    for (int i = 0; i < STORE_KEYS; i++)
        if ((call->watched >> i & 1) != 0)
            key_name(group, i, keys[count++]);
    if (count == 1)
        put(context, "WATCH %s", keys[0]);
    else
        put(context, "WATCH %s %s", keys[0], keys[1]);
}

/* ---- What is drawn ---- */

/* Words are told from each other also where they stand behind one another. */
static void draw_word(struct crowd *crowd, char word[STORE_WORD_MAX])
{
    uint64_t number = ++crowd->words;
    if (dice_chance(&crowd->dice, 0.15))
        snprintf(word, STORE_WORD_MAX, "%" PRIu64, number * 1000);
    else
        snprintf(word, STORE_WORD_MAX, "<%" PRIu64 ">", number);
}

static enum store_verb draw_verb(struct crowd *crowd)
{
    static const enum store_verb VERBS[] = {STORE_GET,  STORE_GET,    STORE_GET,   STORE_SET, STORE_SET,   STORE_INCR,
                                            STORE_INCR, STORE_APPEND, STORE_SETNX, STORE_DEL, STORE_GETDEL};
    return VERBS[dice_between(&crowd->dice, 0, (int64_t)(sizeof(VERBS) / sizeof(*VERBS)))];
}

/* The first key of a group is counted most of the time, and the second written. */
static struct store_deed draw_deed(struct crowd *crowd, const struct open_group *group)
{
    struct dice *dice = &crowd->dice;
    struct store_deed deed = {.verb = draw_verb(crowd), .key = (int)dice_between(dice, 0, STORE_KEYS)};
    if (history_is_busy(crowd->history, group->number))
        deed.verb = STORE_GET;
    if (deed.key == 0 && deed.verb != STORE_GET && dice_chance(dice, 0.8))
        deed.verb = STORE_INCR;
    else if (deed.key != 0 && deed.verb == STORE_INCR && dice_chance(dice, 0.8))
        deed.verb = STORE_APPEND;
    if (deed.verb == STORE_APPEND && group->too_long[deed.key])
        deed.verb = STORE_SET;
    if (deed.verb == STORE_SET || deed.verb == STORE_SETNX || deed.verb == STORE_APPEND)
        draw_word(crowd, deed.word);
    return deed;
}

/* Where one is full, the next one takes its place. */
static struct open_group *draw_group(struct crowd *crowd)
{
    struct open_group *group = &crowd->groups[dice_between(&crowd->dice, 0, GROUPS_OPEN)];
    if (history_is_full(crowd->history, group->number) && crowd->group_count < GROUPS_MAX)
        *group = (struct open_group){.number = crowd->group_count++};
    return group;
}

/* ---- Calls ---- */

static void await(struct client *client, struct awaited awaited)
{
    client->crowd->sums.calls += awaited.kind != AWAITED_BEGUN && awaited.kind != AWAITED_QUEUED;
    if (client->awaited_count == 0)
        client->patient_until_us = now_us(client->crowd) + client->patience_us;
    client->awaited[client->awaited_count++] = awaited;
    client->unsent = true;
}

static struct record *begin_call(struct client *client, const struct open_group *group, enum store_call_kind kind)
{
    struct crowd *crowd = client->crowd;
    struct last *last = &client->last[group - crowd->groups];
    const struct record *before = last->group == group->number ? last->record : NULL;
    struct record *record = history_add(crowd->history, group->number, now_us(crowd), before);
    record->call.kind = kind;
    record->call.client = client->number;
    *last = (struct last){group->number, record};
    return record;
}

static void add_deed(struct client *client, struct record *record, struct store_deed deed)
{
    record->call.deeds[record->call.deed_count++] = deed;
    put_deed(client->context, &deed, record->group);
}

static void call_plainly(struct client *client, const struct open_group *group, struct store_deed deed)
{
    struct record *record = begin_call(client, group, STORE_PLAIN);
    add_deed(client, record, deed);
    await(client, (struct awaited){.kind = AWAITED_ANSWER, .record = record});
}

/* By when it is used again, whoever had it has long been answered, or is lost. */
static unsigned next_slot(struct open_group *group)
{
    do
        group->last_slot = (group->last_slot + 1) % STORE_SLOTS;
    while ((group->lost_slots >> group->last_slot & 1) != 0);
    return group->last_slot;
}

static struct record *watch(struct client *client, struct open_group *group)
{
    struct record *record = begin_call(client, group, STORE_WATCH);
    record->call.watched = (unsigned)dice_between(&client->crowd->dice, 1, 1 << STORE_KEYS);
    record->call.slot = next_slot(group);
    put_watch(client->context, &record->call, group->number);
    await(client, (struct awaited){.kind = AWAITED_ANSWER, .record = record});
    return record;
}

/* With a watch half of the time, and then half of the time with a read of what is watched, as in compare-and-set. */
static void transact(struct client *client, struct open_group *group)
{
    struct crowd *crowd = client->crowd;
    bool watches = dice_chance(&crowd->dice, 0.5) && !history_is_busy(crowd->history, group->number);
    struct record *watched = watches ? watch(client, group) : NULL;
    if (watched != NULL && dice_chance(&crowd->dice, 0.5))
        call_plainly(client, group, (struct store_deed){.verb = STORE_GET});
    struct record *record = begin_call(client, group, STORE_TRANSACTION);
    if (watched != NULL) {
        record->call.watched = watched->call.watched;
        record->call.slot = watched->call.slot;
        record->watch = watched;
    }
    put(client->context, "MULTI");
    await(client, (struct awaited){.kind = AWAITED_BEGUN, .record = record});
    for (int64_t left = dice_between(&crowd->dice, 1, STORE_DEEDS_MAX + 1); left > 0; left--) {
        add_deed(client, record, draw_deed(crowd, group));
        await(client, (struct awaited){.kind = AWAITED_QUEUED, .record = record});
    }
    put(client->context, "EXEC");
    await(client, (struct awaited){.kind = AWAITED_END, .record = record, .watch = watched});
}

static void note(struct client *client)
{
    struct account *account = &client->account;
    if (account->notes == account->room) {
        account->room = account->room > 0 ? 2 * account->room : 256;
        account->outcomes = realloc(account->outcomes, account->room);
    }
    account->outcomes[account->notes] = OPEN;
    put(client->context, "SET note:%u:%lu noted:%lu", client->number, account->notes, account->notes);
    await(client, (struct awaited){.kind = AWAITED_NOTE, .note = account->notes++});
}

static void count(struct client *client)
{
    put(client->context, "INCR count:%u", client->number);
    await(client, (struct awaited){.kind = AWAITED_COUNT});
}

static void call_for_some(struct client *client)
{
    struct crowd *crowd = client->crowd;
    int64_t left = dice_chance(&crowd->dice, 0.5) ? 1 : dice_between(&crowd->dice, 1, BATCH_MAX + 1);
    for (; left > 0 && client->awaited_count < AWAITED_BUSY; left--) {
        struct open_group *group = draw_group(crowd);
        switch (dice_between(&crowd->dice, 0, 8)) {
        case 0:
        case 1:
            transact(client, group);
            break;
        case 2:
            note(client);
            break;
        case 3:
            count(client);
            break;
        default:
            call_plainly(client, group, draw_deed(crowd, group));
        }
    }
}

/* ---- Answers ---- */

static bool says(const redisReply *reply, int type, const char *begin)
{
    return reply->type == type && strncmp(reply->str, begin, strlen(begin)) == 0;
}

static void fail_reply(struct client *client, const char *to, const redisReply *reply)
{
    fail(client->crowd, "client %u at node %d: %s was answered with type %d, number %lld, \"%s\"", client->number,
         client->node, to, reply->type, reply->integer, reply->str != NULL ? reply->str : "");
}

static struct store_answer answer_of(struct client *client, const redisReply *reply)
{
    struct store_answer answer = {.kind = STORE_NIL};
    if (reply->type == REDIS_REPLY_NIL)
        return answer;
    if (says(reply, REDIS_REPLY_STATUS, "OK")) {
        answer.kind = STORE_FINE;
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        answer.kind = STORE_NUMBER;
        answer.number = reply->integer;
    } else if (reply->type == REDIS_REPLY_STRING && reply->len <= STORE_TEXT_MAX) {
        answer.kind = STORE_TEXT;
        answer.text.size = reply->len;
        memcpy(answer.text.bytes, reply->str, reply->len);
    } else if (says(reply, REDIS_REPLY_ERROR, "ERR value is not an integer")) {
        answer.kind = STORE_WRONG;
    } else {
        fail_reply(client, "what it asked", reply);
    }
    return answer;
}

static struct open_group *open_group_of(struct crowd *crowd, const struct record *record)
{
    for (int i = 0; i < GROUPS_OPEN; i++)
        if (crowd->groups[i].number == record->group)
            return &crowd->groups[i];
    return NULL;
}

static bool only_reads(const struct store_call *call)
{
    for (size_t i = 0; i < call->deed_count; i++)
        if (call->deeds[i].verb != STORE_GET)
            return false;
    return call->kind != STORE_WATCH;
}

/* Nobody will ever tell what became of it. */
static void lose_call(struct crowd *crowd, const struct record *record)
{
    struct open_group *group = open_group_of(crowd, record);
    history_lose(crowd->history, record);
    if (group != NULL && record->call.watched != 0)
        group->lost_slots |= (uint64_t)1 << record->call.slot;
}

static void note_write(struct crowd *crowd)
{
    int64_t now = now_us(crowd);
    if (now - crowd->last_write_us > crowd->sums.longest_gap_us)
        crowd->sums.longest_gap_us = now - crowd->last_write_us;
    crowd->last_write_us = now;
    atomic_fetch_add(&crowd->writes, 1);
}

static void note_length(struct crowd *crowd, const struct record *record, size_t i)
{
    const struct store_deed *deed = &record->call.deeds[i];
    const struct store_answer *answer = &record->call.answers[i];
    struct open_group *group = open_group_of(crowd, record);
    if (group == NULL)
        return;
    if (deed->verb == STORE_APPEND)
        group->too_long[deed->key] = answer->number > LONG_TEXT;
    else if (deed->verb == STORE_GET)
        group->too_long[deed->key] = answer->text.size > LONG_TEXT;
}

static void return_now(struct crowd *crowd, struct record *record)
{
    record->call.returned_us = now_us(crowd);
    history_end(crowd->history, record);
    for (size_t i = 0; i < record->call.deed_count; i++)
        note_length(crowd, record, i);
    crowd->sums.acknowledged++;
    if (!record->call.aborted && record->call.kind != STORE_WATCH && !only_reads(&record->call))
        note_write(crowd);
}

/* What stands in the place of an answer where there is none. */
static enum outcome outcome_of(struct crowd *crowd, const redisReply *reply)
{
    if (says(reply, REDIS_REPLY_ERROR, "CLUSTERDOWN ")) {
        crowd->sums.refused++;
        return REFUSED;
    }
    if (says(reply, REDIS_REPLY_ERROR, "UNCERTAIN ")) {
        crowd->sums.uncertain++;
        return UNKNOWN;
    }
    return DONE;
}

static bool take_no_answer(struct client *client, struct record *record, const redisReply *reply)
{
    enum outcome outcome = outcome_of(client->crowd, reply);
    if (outcome == REFUSED) {
        record->refused = true;
        history_end(client->crowd->history, record);
    } else if (outcome == UNKNOWN) {
        lose_call(client->crowd, record);
        if (record->call.kind == STORE_PLAIN && only_reads(&record->call))
            fail_reply(client, "GET", reply);
    }
    return outcome != DONE;
}

static void take_answer(struct client *client, struct record *record, const redisReply *reply)
{
    if (take_no_answer(client, record, reply))
        return;
    if (record->call.kind == STORE_WATCH && !says(reply, REDIS_REPLY_STATUS, "OK"))
        fail_reply(client, "WATCH", reply);
    if (record->call.kind == STORE_PLAIN)
        record->call.answers[0] = answer_of(client, reply);
    return_now(client->crowd, record);
}

static void take_end(struct client *client, const struct awaited *awaited, const redisReply *reply)
{
    struct store_call *call = &awaited->record->call;
    call->watch_failed = awaited->watch != NULL && awaited->watch->refused;
    if (take_no_answer(client, awaited->record, reply))
        return;
    call->aborted = reply->type == REDIS_REPLY_NIL;
    if (!call->aborted && (reply->type != REDIS_REPLY_ARRAY || reply->elements != call->deed_count)) {
        fail_reply(client, "EXEC", reply);
        return;
    }
    for (size_t i = 0; !call->aborted && i < call->deed_count; i++)
        call->answers[i] = answer_of(client, reply->element[i]);
    return_now(client->crowd, awaited->record);
}

static void take_note(struct client *client, unsigned long number, const redisReply *reply)
{
    enum outcome outcome = outcome_of(client->crowd, reply);
    client->account.outcomes[number] = (uint8_t)outcome;
    if (outcome != DONE)
        return;
    if (!says(reply, REDIS_REPLY_STATUS, "OK"))
        fail_reply(client, "SET", reply);
    client->crowd->sums.acknowledged++;
    note_write(client->crowd);
}

/* Nobody else adds to it: so it tells how many of those were done of which nobody knew. */
static void take_count(struct client *client, const redisReply *reply)
{
    struct account *account = &client->account;
    enum outcome outcome = outcome_of(client->crowd, reply);
    account->unknown += outcome == UNKNOWN;
    if (outcome != DONE)
        return;
    account->added++;
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer <= account->count || reply->integer < account->added ||
        reply->integer > account->added + account->unknown)
        fail(client->crowd,
             "client %u at node %d: INCR was answered %lld (\"%s\") after %" PRId64 "; %" PRId64
             " have been acknowledged, %" PRId64 " are unknown",
             client->number, client->node, reply->integer, reply->str != NULL ? reply->str : "", account->count,
             account->added, account->unknown);
    account->count = reply->integer;
    client->crowd->sums.acknowledged++;
    note_write(client->crowd);
}

static void take_reply(struct client *client, const redisReply *reply)
{
    const struct awaited awaited = client->awaited[0];
    if (client->awaited_count == 0) {
        fail_reply(client, "nothing", reply);
        return;
    }
    memmove(client->awaited, client->awaited + 1, (size_t)--client->awaited_count * sizeof(awaited));
    client->patient_until_us = now_us(client->crowd) + client->patience_us;
    switch (awaited.kind) {
    case AWAITED_ANSWER:
        take_answer(client, awaited.record, reply);
        break;
    case AWAITED_BEGUN:
        if (!says(reply, REDIS_REPLY_STATUS, "OK"))
            fail_reply(client, "MULTI", reply);
        break;
    case AWAITED_QUEUED:
        if (!says(reply, REDIS_REPLY_STATUS, "QUEUED"))
            fail_reply(client, "a command within MULTI", reply);
        break;
    case AWAITED_END:
        take_end(client, &awaited, reply);
        break;
    case AWAITED_NOTE:
        take_note(client, awaited.note, reply);
        break;
    case AWAITED_COUNT:
        take_count(client, reply);
        break;
    }
}

/* ---- Connections ---- */

static void lose_awaited(struct client *client, const struct awaited *awaited)
{
    switch (awaited->kind) {
    case AWAITED_ANSWER:
    case AWAITED_END:
        lose_call(client->crowd, awaited->record);
        break;
    case AWAITED_NOTE:
        client->account.outcomes[awaited->note] = UNKNOWN;
        break;
    case AWAITED_COUNT:
        client->account.unknown++;
        break;
    default:
        break;
    }
}

/* sum: of those that say why. */
static void hang_up(struct client *client, unsigned long *sum)
{
    for (int i = 0; i < client->awaited_count; i++) {
        enum awaited_kind kind = client->awaited[i].kind;
        *sum += kind != AWAITED_BEGUN && kind != AWAITED_QUEUED;
        lose_awaited(client, &client->awaited[i]);
    }
    client->awaited_count = 0;
    memset(client->last, 0, sizeof(client->last));
    redisFree(client->context);
    client->context = NULL;
    client->act_at_us = now_us(client->crowd) + dice_between(&client->crowd->dice, 0, RETRY_US_MAX);
}

static void dial(struct client *client)
{
    struct crowd *crowd = client->crowd;
    client->node = (int)dice_between(&crowd->dice, 1, crowd->cluster->count + 1);
    const struct node *node = &crowd->cluster->nodes[client->node - 1];
    client->context = redisConnectNonBlock(node->host, node->client_port);
    client->connecting = true;
    client->unsent = false;
    client->act_at_us = now_us(crowd) + CONNECT_US_MAX * crowd->slowness;
    client->patience_us = dice_between(&crowd->dice, PATIENCE_MS_MIN, PATIENCE_MS_MAX) * 1000 * crowd->slowness;
    if (client->context != NULL && client->context->err == 0)
        return;
    if (client->context == NULL)
        fail(crowd, "no memory for a connection");
    else
        hang_up(client, &crowd->sums.broken);
}

static void end_connecting(struct client *client)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(client->context->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        hang_up(client, &client->crowd->sums.broken);
        return;
    }
    client->connecting = false;
    client->act_at_us = 0;
    client->crowd->sums.connections++;
}

static void send_some(struct client *client)
{
    int done = 0;
    if (redisBufferWrite(client->context, &done) != REDIS_OK) {
        hang_up(client, &client->crowd->sums.broken);
        return;
    }
    client->unsent = !done;
}

static void hear(struct client *client)
{
    void *reply = NULL;
    bool good = redisBufferRead(client->context) == REDIS_OK;
    while (good && (good = redisGetReplyFromReader(client->context, &reply) == REDIS_OK) && reply != NULL) {
        take_reply(client, reply);
        freeReplyObject(reply);
    }
    if (!good)
        hang_up(client, &client->crowd->sums.broken);
}

/* ---- The thread ---- */

/* What is due without that anything arrives. */
static void act(struct client *client)
{
    struct crowd *crowd = client->crowd;
    int64_t now = now_us(crowd);
    bool resting = atomic_load(&crowd->resting);
    if (client->context == NULL) {
        if (!resting && now >= client->act_at_us)
            dial(client);
        return;
    }
    if (client->connecting) {
        if (now >= client->act_at_us)
            hang_up(client, &crowd->sums.given_up);
        return;
    }
    if (client->awaited_count > 0 && now >= client->patient_until_us) {
        hang_up(client, &crowd->sums.given_up);
        return;
    }
    if (!resting && now >= client->act_at_us && (client->awaited_count == 0 || dice_chance(&crowd->dice, 0.2))) {
        call_for_some(client);
        client->act_at_us = now_us(crowd) + dice_between(&crowd->dice, 0, THINK_US_MAX);
    }
    if (client->unsent)
        send_some(client);
}

static void listen_to_all(struct crowd *crowd)
{
    struct pollfd fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        const struct client *client = &crowd->clients[i];
        bool is_writing = client->connecting || client->unsent;
        fds[i] = (struct pollfd){.fd = client->context != NULL ? client->context->fd : -1,
                                 .events = (short)(POLLIN | (is_writing ? POLLOUT : 0))};
    }
    if (poll(fds, CLIENTS, LOOK_AGAIN_MS) <= 0)
        return;
    for (int i = 0; i < CLIENTS; i++) {
        if (fds[i].revents == 0)
            continue;
        if (crowd->clients[i].connecting)
            end_connecting(&crowd->clients[i]);
        else if ((fds[i].revents & ~POLLOUT) != 0)
            hear(&crowd->clients[i]);
    }
}

static bool is_done(struct crowd *crowd)
{
    bool waits = false;
    for (int i = 0; i < CLIENTS; i++)
        waits = waits || crowd->clients[i].awaited_count > 0;
    return atomic_load(&crowd->failed) || (atomic_load(&crowd->resting) && !waits);
}

static void *crowd_main(void *context)
{
    struct crowd *crowd = context;
    while (!is_done(crowd)) {
        for (int i = 0; i < CLIENTS; i++)
            act(&crowd->clients[i]);
        listen_to_all(crowd);
    }
    return NULL;
}

struct crowd *crowd_new(const struct cluster *cluster, uint64_t seed, int slowness)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    cr_assert_not_null(crowd);
    crowd->cluster = cluster;
    crowd->dice = dice_for(seed, DICE_CLIENTS, 0);
    crowd->slowness = slowness;
    crowd->began_us = now_us(crowd);
    crowd->history = history_new(GROUPS_MAX);
    for (int i = 0; i < GROUPS_OPEN; i++)
        crowd->groups[i].number = crowd->group_count++;
    for (unsigned i = 0; i < CLIENTS; i++) {
        crowd->clients[i].crowd = crowd;
        crowd->clients[i].number = i;
    }
    return crowd;
}

void crowd_start(struct crowd *crowd)
{
    crowd->last_write_us = now_us(crowd);
    crowd->started = true;
    cr_assert_eq(pthread_create(&crowd->thread, NULL, crowd_main, crowd), 0);
}

void crowd_rest(struct crowd *crowd)
{
    if (!crowd->started)
        return;
    atomic_store(&crowd->resting, true);
    pthread_join(crowd->thread, NULL);
    crowd->started = false;
    for (int i = 0; i < CLIENTS; i++)
        if (crowd->clients[i].context != NULL)
            hang_up(&crowd->clients[i], &crowd->sums.broken);
    crowd->sums_at_rest = crowd->sums;
}

void crowd_free(struct crowd *crowd)
{
    for (int i = 0; i < CLIENTS; i++)
        free(crowd->clients[i].account.outcomes);
    history_free(crowd->history);
    free(crowd);
}

/* ---- When all is over ---- */

/* Calls that read so many groups at once, each key of them. They take part in the history. */
static bool read_groups(struct client *reader, int from, int to)
{
    struct record *records[READ_AT_ONCE * STORE_KEYS];
    struct crowd *crowd = reader->crowd;
    int total = 0, taken = 0;
    for (int group = from; group < to; group++)
        for (int key = 0; key < STORE_KEYS; key++, total++) {
            const struct record *before = key > 0 ? records[total - 1] : NULL;
            records[total] = history_add(crowd->history, group, now_us(crowd), before);
            records[total]->call.client = reader->number;
            add_deed(reader, records[total], (struct store_deed){.verb = STORE_GET, .key = key});
        }
    for (void *reply; taken < total && redisGetReply(reader->context, &reply) == REDIS_OK; taken++) {
        take_answer(reader, records[taken], reply);
        freeReplyObject(reply);
    }
    for (int i = taken; i < total; i++)
        history_lose(crowd->history, records[i]);
    return taken == total;
}

static bool read_shared(struct client *reader)
{
    int count = reader->crowd->group_count;
    for (int from = 0; from < count; from += READ_AT_ONCE)
        if (!read_groups(reader, from, from + READ_AT_ONCE < count ? from + READ_AT_ONCE : count))
            return false;
    return true;
}

/* What was acknowledged is there; what was refused is not. */
static void check_note(struct client *reader, const struct client *owner, unsigned long number, const redisReply *reply)
{
    char expected[KEY_MAX];
    snprintf(expected, sizeof(expected), "noted:%lu", number);
    bool is_there = reply->type == REDIS_REPLY_STRING && strcmp(reply->str, expected) == 0;
    enum outcome outcome = owner->account.outcomes[number];
    if (!is_there && reply->type != REDIS_REPLY_NIL)
        fail_reply(reader, "GET note", reply);
    if (outcome == DONE && !is_there)
        fail(reader->crowd, "at node %d, note:%u:%lu is missing, whose SET was acknowledged", reader->node,
             owner->number, number);
    if (outcome == REFUSED && is_there)
        fail(reader->crowd, "at node %d, note:%u:%lu is there, whose SET was refused", reader->node, owner->number,
             number);
}

/* False: it was not answered. */
static bool take_note_read(struct client *reader, const struct client *owner, unsigned long number)
{
    redisReply *reply;
    if (redisGetReply(reader->context, (void **)&reply) != REDIS_OK)
        return false;
    bool answered = outcome_of(reader->crowd, reply) == DONE;
    if (answered)
        check_note(reader, owner, number, reply);
    freeReplyObject(reply);
    return answered;
}

static bool read_notes(struct client *reader, const struct client *owner)
{
    unsigned long notes = owner->account.notes;
    for (unsigned long from = 0; from < notes; from += READ_AT_ONCE) {
        unsigned long to = from + READ_AT_ONCE < notes ? from + READ_AT_ONCE : notes;
        for (unsigned long i = from; i < to; i++)
            put(reader->context, "GET note:%u:%lu", owner->number, i);
        for (unsigned long i = from; i < to; i++)
            if (!take_note_read(reader, owner, i))
                return false;
    }
    return true;
}

static bool read_count(struct client *reader, const struct client *owner)
{
    const struct account *account = &owner->account;
    redisReply *reply = redisCommand(reader->context, "GET count:%u", owner->number);
    bool answered = reply != NULL && outcome_of(reader->crowd, reply) == DONE;
    if (answered) {
        int64_t found = reply->type == REDIS_REPLY_STRING ? strtoll(reply->str, NULL, 10) : 0;
        if (found < account->count || found < account->added || found > account->added + account->unknown)
            fail(reader->crowd,
                 "at node %d, count:%u is %" PRId64 "; %" PRId64 " were acknowledged, the last with %" PRId64
                 ", %" PRId64 " are unknown",
                 reader->node, owner->number, found, account->added, account->count, account->unknown);
    }
    if (reply != NULL)
        freeReplyObject(reply);
    return answered;
}

bool crowd_read(struct crowd *crowd, int id)
{
    const struct node *node = &crowd->cluster->nodes[id - 1];
    const struct timeval patience = {.tv_sec = READ_SECONDS * crowd->slowness};
    struct client reader = {.crowd = crowd, .number = CLIENTS + (unsigned)id, .node = id};
    reader.context = redisConnectWithTimeout(node->host, node->client_port, patience);
    cr_assert_not_null(reader.context);
    unsigned long refused = crowd->sums.refused;
    bool answered = reader.context->err == 0 && redisSetTimeout(reader.context, patience) == REDIS_OK &&
                    read_shared(&reader) && crowd->sums.refused == refused;
    for (int i = 0; i < CLIENTS; i++)
        answered = answered && read_notes(&reader, &crowd->clients[i]) && read_count(&reader, &crowd->clients[i]);
    redisFree(reader.context);
    return answered;
}

bool crowd_check(struct crowd *crowd)
{
    return history_check(crowd->history, now_us(crowd));
}

void crowd_write_history(struct crowd *crowd, FILE *out)
{
    history_write(crowd->history, out);
}

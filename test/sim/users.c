#include "sim/users.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "sim/cable.h"

#define AWAITED_MAX  100 /* replies that one user waits for at most: to reading every key, ... */
#define AWAITED_BUSY 30  /* ... or to what it draws */
#define GROUPS_OPEN  3
#define BATCH_MAX    4      /* calls that it makes at once */
#define RETRY_US_MAX 100000 /* before it opens another cable */
#define LONG_TEXT    60     /* a value that has become so long is not appended to any more */
#define SPAN_US_MIN  5000
#define SPAN_US_MAX  300000

/* What the next reply is to. */
enum awaited_kind {
    AWAITED_ANSWER, /* its call's */
    AWAITED_BEGUN,  /* MULTI: it is always OK */
    AWAITED_QUEUED, /* a command behind it */
    AWAITED_END     /* EXEC: its call's answers */
};

struct awaited {
    enum awaited_kind kind;
    struct record *record;
    struct record *watch; /* END: the WATCH before it; NULL: none */
};

struct user {
    struct event retry;    /* opens a cable */
    struct event patience; /* the oldest reply should have come */
    struct users *users;
    unsigned number;
    raft_id only;        /* it comes to that node alone; NO_ONE: to any */
    struct cable *cable; /* NULL: none */
    raft_id node;        /* to which that leads, or led */
    struct mailraft_buffer output, input;
    struct awaited awaited[AWAITED_MAX]; /* oldest first */
    int awaited_count;
    struct record *last[USERS_GROUPS]; /* over this cable */
};

struct users {
    struct sim *sim;
    struct history *history;
    int count, nodes;
    int64_t patience_us;
    uint64_t words; /* that have been written */
    bool too_long[SIM_KEYS_MAX];
    int groups[GROUPS_OPEN]; /* whose keys clients turn to now */
    int group_count;         /* that they have ever turned to */
    struct slots {
        unsigned last;
        uint64_t lost; /* bits: a transaction that nobody knows the end of has it for good */
    } slots[USERS_GROUPS];
    struct users_unanswered unanswered;
    uint64_t served;
    struct user list[USERS_MAX];
    struct user readers[MEMBERS_MAX];
};

/* ---- Writing requests ---- */

static void put_words(struct mailraft_buffer *out, int count, ...)
{
    va_list words;
    char head[40];

    mailraft_buffer_put(out, head, (size_t)snprintf(head, sizeof head, "*%d\r\n", count));
    va_start(words, count);
    for (int i = 0; i < count; i++) {
        const char *word = va_arg(words, const char *);

        mailraft_buffer_put(out, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", strlen(word)));
        mailraft_buffer_put(out, word, strlen(word));
        mailraft_buffer_put(out, "\r\n", 2);
    }
    va_end(words);
}

static void put_deed(struct mailraft_buffer *out, const struct store_deed *deed, int group)
{
    char key[SIM_KEY_TEXT_MAX], span[24];

    sim_key_name(group * STORE_KEYS + deed->key, key);
    snprintf(span, sizeof span, "%" PRId64, deed->span_us / 1000);
    switch (deed->verb) {
    case STORE_SET:
        if (deed->span_us > 0)
            put_words(out, 5, "SET", key, deed->word, "PX", span);
        else
            put_words(out, 3, "SET", key, deed->word);
        break;
    case STORE_SETNX:
        put_words(out, 3, "SETNX", key, deed->word);
        break;
    case STORE_INCR:
        put_words(out, 2, "incr", key);
        break;
    case STORE_APPEND:
        put_words(out, 3, "Append", key, deed->word);
        break;
    case STORE_DEL:
        put_words(out, 2, "DEL", key);
        break;
    case STORE_GETDEL:
        put_words(out, 2, "GETDEL", key);
        break;
    default:
        put_words(out, 2, "GET", key);
        break;
    }
}

static void put_watch(struct mailraft_buffer *out, const struct store_call *call, int group)
{
    char keys[STORE_KEYS][SIM_KEY_TEXT_MAX];
    int count = 0;

    for (int i = 0; i < STORE_KEYS; i++)
        if ((call->watched >> i & 1) != 0)
            sim_key_name(group * STORE_KEYS + i, keys[count++]);
    if (count == 1)
        put_words(out, 2, "WATCH", keys[0]);
    else
        put_words(out, 3, "WATCH", keys[0], keys[1]);
}

/* ---- Drawing calls ---- */

/* Words are told from each other also where they stand behind one another. */
static void draw_word(struct users *users, char word[STORE_WORD_MAX])
{
    uint64_t number = ++users->words;

    if (sim_chance(users->sim, 0.15))
        snprintf(word, STORE_WORD_MAX, "%" PRIu64, number * 1000);
    else
        snprintf(word, STORE_WORD_MAX, "<%" PRIu64 ">", number);
}

static enum store_verb draw_verb(struct sim *sim)
{
    static const enum store_verb VERBS[] = {STORE_GET,  STORE_GET,  STORE_GET,    STORE_GET,   STORE_SET, STORE_SET,
                                            STORE_INCR, STORE_INCR, STORE_APPEND, STORE_SETNX, STORE_DEL, STORE_GETDEL};

    return VERBS[sim_draw(sim, 0, (int64_t)(sizeof VERBS / sizeof *VERBS))];
}

/* Where one is full, the next one takes its place. */
static int draw_group(struct users *users)
{
    int *group = &users->groups[sim_draw(users->sim, 0, GROUPS_OPEN)];

    if (history_is_full(users->history, *group) && users->group_count < USERS_GROUPS)
        *group = users->group_count++;
    return *group;
}

/* The first key of a group is counted most of the time, and the second written. */
static struct store_deed draw_deed(struct users *users, int group)
{
    struct sim *sim = users->sim;
    struct store_deed deed = {.verb = draw_verb(sim), .key = (int)sim_draw(sim, 0, STORE_KEYS)};

    if (history_is_busy(users->history, group))
        deed.verb = STORE_GET;
    if (deed.key == 0 && deed.verb != STORE_GET && sim_chance(sim, 0.8))
        deed.verb = STORE_INCR;
    else if (deed.key != 0 && deed.verb == STORE_INCR && sim_chance(sim, 0.8))
        deed.verb = STORE_APPEND;
    if (deed.verb == STORE_APPEND && users->too_long[group * STORE_KEYS + deed.key])
        deed.verb = STORE_SET;
    if (deed.verb == STORE_SET || deed.verb == STORE_SETNX || deed.verb == STORE_APPEND)
        draw_word(users, deed.word);
    if (deed.verb == STORE_SET && sim_chance(sim, 0.3))
        deed.span_us = sim_draw(sim, SPAN_US_MIN, SPAN_US_MAX) / 1000 * 1000;
    return deed;
}

/* ---- Calling ---- */

static void await(struct user *user, enum awaited_kind kind, struct record *record, struct record *watch)
{
    assert(user->awaited_count < AWAITED_MAX);
    if (user->awaited_count == 0)
        event_schedule(user->users->sim, &user->patience, user->users->sim->now_us + user->users->patience_us);
    user->awaited[user->awaited_count++] = (struct awaited){kind, record, watch};
}

static struct record *begin_call(struct user *user, int group, enum store_call_kind kind)
{
    struct record *record = history_add(user->users->history, group, user->users->sim->now_us, user->last[group]);

    record->call.kind = kind;
    record->call.client = user->number;
    user->last[group] = record;
    return record;
}

static void call_plainly(struct user *user, int group, struct store_deed deed)
{
    struct record *record = begin_call(user, group, STORE_PLAIN);

    record->call.deeds[record->call.deed_count++] = deed;
    put_deed(&user->output, &deed, group);
    await(user, AWAITED_ANSWER, record, NULL);
}

/* By when it is used again, whoever had it has long been answered, or is lost. */
static unsigned next_slot(struct users *users, int group)
{
    struct slots *slots = &users->slots[group];

    do
        slots->last = (slots->last + 1) % STORE_SLOTS;
    while ((slots->lost >> slots->last & 1) != 0);
    return slots->last;
}

static struct record *watch(struct user *user, int group)
{
    struct record *record = begin_call(user, group, STORE_WATCH);

    record->call.watched = (unsigned)sim_draw(user->users->sim, 1, 1 << STORE_KEYS);
    record->call.slot = next_slot(user->users, group);
    put_watch(&user->output, &record->call, group);
    await(user, AWAITED_ANSWER, record, NULL);
    return record;
}

static void transact(struct user *user, int group)
{
    struct sim *sim = user->users->sim;
    bool watches = sim_flip_coin() && !history_is_busy(user->users->history, group);
    struct record *watched = watches ? watch(user, group) : NULL, *record;
    int64_t count = sim_draw(sim, 1, STORE_DEEDS_MAX + 1);

    if (watched != NULL && sim_flip_coin()) /* as whoever watches does */
        call_plainly(user, group, (struct store_deed){.verb = STORE_GET});
    record = begin_call(user, group, STORE_TRANSACTION);
    if (watched != NULL) {
        record->call.watched = watched->call.watched;
        record->call.slot = watched->call.slot;
        record->watch = watched;
    }
    put_words(&user->output, 1, "MULTI");
    await(user, AWAITED_BEGUN, record, NULL);
    while (count-- > 0) {
        struct store_deed deed = draw_deed(user->users, group);

        record->call.deeds[record->call.deed_count++] = deed;
        put_deed(&user->output, &deed, group);
        await(user, AWAITED_QUEUED, record, NULL);
    }
    put_words(&user->output, 1, "EXEC");
    await(user, AWAITED_END, record, watched);
}

static void send_all(struct user *user)
{
    sim_trace(user->users->sim, "client %u of %d sends %zu bytes and awaits %d replies", user->number, user->node,
              user->output.size, user->awaited_count);
    cable_send(user->cable, user->output.bytes, user->output.size);
    buffer_clear(&user->output);
}

/* Whether another leads a later term than that node, which leads, too, and has yet to find out. */
static bool is_deposed(const struct users *users, raft_id node)
{
    const struct sim *sim = users->sim;
    const struct ghost *ghost = &sim->machines[node - 1]->ghost;
    bool deposed = false;

    for (int i = 0; i < users->nodes; i++)
        deposed = deposed || (sim->machines[i]->ghost.leads && sim->machines[i]->ghost.term > ghost->term);
    return deposed && ghost->leads;
}

/* A leader that has been deposed is only read: what it is told to write it would wait for, and so would each read
 * behind that. */
static void call_for_some(struct user *user)
{
    struct sim *sim = user->users->sim;
    int64_t count = sim_flip_coin() ? 1 : sim_draw(sim, 1, BATCH_MAX + 1);
    bool deposed = is_deposed(user->users, user->node);

    while (count-- > 0 && user->awaited_count < AWAITED_BUSY) {
        int group = draw_group(user->users);

        if (deposed)
            call_plainly(user, group, (struct store_deed){.verb = STORE_GET, .key = (int)sim_draw(sim, 0, STORE_KEYS)});
        else if (sim_chance(sim, 0.25))
            transact(user, group);
        else
            call_plainly(user, group, draw_deed(user->users, group));
    }
    send_all(user);
}

/* ---- Reading replies ---- */

struct heard {
    char kind; /* its first byte; '_' for every nil */
    int64_t number;
    struct store_text text;
};

/* The line at *at, without its end. False: it has not all come. */
static bool take_line(const struct mailraft_buffer *input, size_t *at, const char **line, size_t *size)
{
    const char *begin = (const char *)input->bytes + *at;
    const char *end = *at < input->size ? memmem(begin, input->size - *at, "\r\n", 2) : NULL;

    if (end == NULL)
        return false;
    *line = begin;
    *size = (size_t)(end - begin);
    *at += *size + 2;
    return true;
}

static void set_text(struct store_text *text, const char *bytes, size_t size)
{
    if (size > STORE_TEXT_MAX)
        sim_fail("a reply of %zu bytes", size);
    memcpy(text->bytes, bytes, size);
    text->size = size;
}

/* False: it has not all come. Of an array, the head. */
static bool take_reply(const struct mailraft_buffer *input, size_t *at, struct heard *reply)
{
    size_t size, from = *at;
    const char *line;

    if (!take_line(input, &from, &line, &size))
        return false;
    if (size == 0 || strchr("+-:$*", line[0]) == NULL)
        sim_fail("a client reads no reply: %.*s", (int)size, line);
    *reply = (struct heard){.kind = line[0], .number = strtoll(line + 1, NULL, 10)};
    if ((reply->kind == '$' || reply->kind == '*') && reply->number < 0) {
        reply->kind = '_';
    } else if (reply->kind == '$') {
        if (input->size - from < (size_t)reply->number + 2)
            return false;
        set_text(&reply->text, (const char *)input->bytes + from, (size_t)reply->number);
        from += (size_t)reply->number + 2;
    } else if (reply->kind == '+' || reply->kind == '-') {
        set_text(&reply->text, line + 1, size - 1);
    }
    *at = from;
    return true;
}

static bool says(const struct heard *reply, char kind, const char *begin)
{
    return reply->kind == kind && reply->text.size >= strlen(begin) &&
           memcmp(reply->text.bytes, begin, strlen(begin)) == 0;
}

/* ---- Taking replies ---- */

static struct store_answer answer_of(const struct heard *reply)
{
    struct store_answer answer = {.number = 0};

    if (reply->kind == '_') {
        answer.kind = STORE_NIL;
    } else if (says(reply, '+', "OK")) {
        answer.kind = STORE_FINE;
    } else if (reply->kind == ':') {
        answer.kind = STORE_NUMBER;
        answer.number = reply->number;
    } else if (reply->kind == '$') {
        answer.kind = STORE_TEXT;
        answer.text = reply->text;
    } else if (says(reply, '-', "ERR value is not an integer")) {
        answer.kind = STORE_WRONG;
    } else {
        sim_fail("no answer to what was asked: %c%.*s", reply->kind, (int)reply->text.size, reply->text.bytes);
    }
    return answer;
}

static void note_length(struct users *users, const struct record *record, size_t i)
{
    const struct store_deed *deed = &record->call.deeds[i];
    const struct store_answer *answer = &record->call.answers[i];
    bool *too_long = &users->too_long[record->group * STORE_KEYS + deed->key];

    if (deed->verb == STORE_APPEND)
        *too_long = answer->number > LONG_TEXT;
    else if (deed->verb == STORE_GET)
        *too_long = answer->text.size > LONG_TEXT;
}

/* Nobody will ever tell what became of it. */
static void lose_call(struct users *users, const struct record *record)
{
    history_lose(users->history, record);
    if (record->call.watched != 0)
        users->slots[record->group].lost |= (uint64_t)1 << record->call.slot;
}

/* What stands in the place of an answer where there is none. */
static bool take_no_answer(struct users *users, struct record *record, const struct heard *reply)
{
    if (says(reply, '-', "CLUSTERDOWN ")) {
        users->unanswered.refused++;
        record->refused = true;
        history_end(users->history, record);
        return true;
    }
    if (!says(reply, '-', "UNCERTAIN "))
        return false;
    users->unanswered.uncertain++;
    lose_call(users, record);
    if (record->call.kind == STORE_PLAIN && record->call.deeds[0].verb == STORE_GET)
        sim_fail("what only reads is answered as uncertain");
    return true;
}

static void return_now(struct users *users, struct record *record)
{
    users->served++;
    record->call.returned_us = users->sim->now_us;
    history_end(users->history, record);
    for (size_t i = 0; i < record->call.deed_count; i++)
        note_length(users, record, i);
}

static void take_answer(struct users *users, struct record *record, const struct heard *reply)
{
    if (take_no_answer(users, record, reply))
        return;
    if (record->call.kind == STORE_WATCH && !says(reply, '+', "OK"))
        sim_fail("WATCH is answered with %c%.*s", reply->kind, (int)reply->text.size, reply->text.bytes);
    if (record->call.kind == STORE_PLAIN)
        record->call.answers[0] = answer_of(reply);
    return_now(users, record);
}

/* False: it has not all come. */
static bool take_end(struct user *user, const struct awaited *awaited, size_t *at, const struct heard *head)
{
    struct store_call *call = &awaited->record->call;

    call->watch_failed = awaited->watch != NULL && awaited->watch->refused;
    if (take_no_answer(user->users, awaited->record, head))
        return true;
    call->aborted = head->kind == '_';
    if (!call->aborted && (head->kind != '*' || head->number != (int64_t)call->deed_count))
        sim_fail("EXEC is answered with %c%" PRId64 "%.*s", head->kind, head->number, (int)head->text.size,
                 head->text.bytes);
    for (size_t i = 0; !call->aborted && i < call->deed_count; i++) {
        struct heard reply;

        if (!take_reply(&user->input, at, &reply))
            return false;
        call->answers[i] = answer_of(&reply);
    }
    return_now(user->users, awaited->record);
    return true;
}

/* False: it has not all come. */
static bool take_next(struct user *user, size_t *at)
{
    const struct awaited *awaited = &user->awaited[0];
    size_t from = *at;
    struct heard reply;

    if (!take_reply(&user->input, &from, &reply))
        return false;
    if (user->awaited_count == 0)
        sim_fail("a reply to nothing");
    switch (awaited->kind) {
    case AWAITED_ANSWER:
        take_answer(user->users, awaited->record, &reply);
        break;
    case AWAITED_BEGUN:
    case AWAITED_QUEUED:
        if (!says(&reply, '+', awaited->kind == AWAITED_BEGUN ? "OK" : "QUEUED"))
            sim_fail("within MULTI, a reply is %c%.*s", reply.kind, (int)reply.text.size, reply.text.bytes);
        break;
    case AWAITED_END:
        if (!take_end(user, awaited, &from, &reply))
            return false;
        break;
    }
    *at = from;
    return true;
}

static void forget_first(struct user *user)
{
    struct sim *sim = user->users->sim;

    user->awaited_count--;
    memmove(user->awaited, user->awaited + 1, (size_t)user->awaited_count * sizeof *user->awaited);
    event_cancel(sim, &user->patience);
    if (user->awaited_count > 0)
        event_schedule(sim, &user->patience, sim->now_us + user->users->patience_us);
}

static void hear(void *client, const uint8_t *bytes, size_t size)
{
    struct user *user = client;
    struct mailraft_buffer rest = {.bytes = NULL};
    size_t at = 0;

    mailraft_buffer_put(&user->input, bytes, size);
    while (take_next(user, &at))
        forget_first(user);
    sim_trace(user->users->sim, "client %u of %d hears %zu bytes and awaits %d replies", user->number, user->node, size,
              user->awaited_count);
    mailraft_buffer_put(&rest, user->input.bytes + at, user->input.size - at);
    buffer_fini(&user->input);
    user->input = rest;
}

/* ---- Cables ---- */

static void lose(void *client)
{
    struct user *user = client;
    struct sim *sim = user->users->sim;

    user->cable = NULL;
    user->users->unanswered.lost += user->awaited_count > 0;
    for (int i = 0; i < user->awaited_count; i++)
        if (user->awaited[i].kind == AWAITED_ANSWER || user->awaited[i].kind == AWAITED_END)
            lose_call(user->users, user->awaited[i].record);
    user->awaited_count = 0;
    buffer_clear(&user->input);
    memset(user->last, 0, sizeof user->last);
    event_cancel(sim, &user->patience);
    event_schedule(sim, &user->retry, sim->now_us + sim_draw(sim, 0, RETRY_US_MAX));
}

/* Often to whoever leads: those are the clients to whom a leader that is deposed might tell what is not true any
 * more. */
static raft_id draw_node(const struct users *users)
{
    struct sim *sim = users->sim;

    if (sim_chance(sim, 0.4))
        for (int i = 0; i < users->nodes; i++)
            if (sim->machines[i]->ghost.leads)
                return sim->machines[i]->id;
    return (raft_id)sim_draw(sim, 1, users->nodes + 1);
}

static void retry_fire(struct event *event)
{
    static const struct cable_calls CALLS = {hear, lose};
    struct user *user = (struct user *)event;
    struct users *users = user->users;

    user->node = user->only != NO_ONE ? user->only : draw_node(users);
    user->cable = cable_open(users->sim, user->node, &CALLS, user);
}

static void hang_up(struct user *user)
{
    cable_close(user->cable);
    lose(user);
}

static void patience_fire(struct event *event)
{
    struct user *user = (struct user *)((char *)event - offsetof(struct user, patience)); // NOLINT

    sim_trace(user->users->sim, "client %u of %d gives up", user->number, user->node);
    user->users->unanswered.gave_up++;
    hang_up(user);
}

/* ---- All of them ---- */

static void user_init(struct user *user, struct users *users, unsigned number, raft_id only)
{
    *user = (struct user){.users = users, .number = number, .only = only};
    user->retry.fire = retry_fire;
    user->patience.fire = patience_fire;
    event_schedule(users->sim, &user->retry, sim_draw(users->sim, 0, RETRY_US_MAX));
}

struct users *users_new(struct sim *sim, int count, int nodes, int64_t patience_us)
{
    struct users *users = calloc(1, sizeof *users);

    assert(users != NULL && count <= USERS_MAX);
    *users = (struct users){.sim = sim, .count = count, .nodes = nodes, .patience_us = patience_us};
    users->history = history_new(USERS_GROUPS);
    users->group_count = GROUPS_OPEN;
    for (int i = 0; i < GROUPS_OPEN; i++)
        users->groups[i] = i;
    for (int i = 0; i < count; i++)
        user_init(&users->list[i], users, (unsigned)i, NO_ONE);
    return users;
}

static void user_fini(struct user *user)
{
    if (user->users == NULL)
        return;
    event_cancel(user->users->sim, &user->retry);
    event_cancel(user->users->sim, &user->patience);
    if (user->cable != NULL)
        cable_close(user->cable);
    buffer_fini(&user->output);
    buffer_fini(&user->input);
}

void users_free(struct users *users)
{
    for (int i = 0; i < users->count; i++)
        user_fini(&users->list[i]);
    for (int i = 0; i < users->nodes; i++)
        user_fini(&users->readers[i]);
    history_free(users->history);
    free(users);
}

void users_call(struct users *users)
{
    struct user *user = &users->list[sim_draw(users->sim, 0, users->count)];

    if (user->cable != NULL && (user->awaited_count == 0 || sim_chance(users->sim, 0.2)))
        call_for_some(user);
}

bool users_see_two_leaders(const struct users *users)
{
    for (raft_id node = 1; node <= users->nodes; node++)
        if (is_deposed(users, node))
            return true;
    return false;
}

void users_break(struct users *users)
{
    struct user *user = &users->list[sim_draw(users->sim, 0, users->count)];

    if (user->cable != NULL)
        hang_up(user);
}

static bool is_answered(const struct user *user)
{
    return user->awaited_count == 0;
}

bool users_are_answered(const struct users *users)
{
    bool answered = true;

    for (int i = 0; i < users->count; i++)
        answered = answered && is_answered(&users->list[i]);
    for (int i = 0; i < users->nodes; i++)
        answered = answered && is_answered(&users->readers[i]);
    return answered;
}

/* It has a cable to a node of its own. What is asked before that is open waits on it. */
static struct user *reader_of(struct users *users, int position)
{
    struct user *reader = &users->readers[position];

    if (reader->users == NULL)
        user_init(reader, users, USERS_MAX + (unsigned)position, users->sim->machines[position]->id);
    if (reader->cable == NULL) {
        event_cancel(users->sim, &reader->retry);
        retry_fire(&reader->retry);
    }
    return reader;
}

int users_call_all(struct users *users, const bool *left_out)
{
    int called = 0;

    for (int i = 0; i < users->nodes; i++) {
        struct user *reader;
        int group;

        if (left_out[i])
            continue;
        reader = reader_of(users, i);
        group = draw_group(users);
        call_plainly(reader, group, draw_deed(users, group));
        send_all(reader);
        called++;
    }
    return called;
}

void users_read_all(struct users *users, const bool *left_out)
{
    for (int i = 0; i < users->nodes; i++) {
        struct user *reader;

        if (left_out[i])
            continue;
        reader = reader_of(users, i);
        for (int key = 0; key < STORE_KEYS * users->group_count; key++)
            call_plainly(reader, key / STORE_KEYS, (struct store_deed){.verb = STORE_GET, .key = key % STORE_KEYS});
        send_all(reader);
    }
}

struct users_unanswered users_unanswered(const struct users *users)
{
    return users->unanswered;
}

uint64_t users_served(const struct users *users)
{
    return users->served;
}

struct history *users_history(struct users *users)
{
    return users->history;
}

#include "sim/history.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES_MAX     3000000 /* of one round of one group */
#define CALM_SLACK_US 1000000 /* a key is gone so long after it was due, where nothing goes wrong, and much earlier */
#define TOLD_BEFORE   40      /* calls that are told around one that cannot be so */
#define TOLD_BEHIND   20
#define LOST_MAX      8   /* of a group, ... */
#define CALLS_MAX     300 /* ... before it is full */

struct group {
    struct record **list;
    size_t count, room;
    size_t open; /* calls of which nothing is known yet */
    size_t lost; /* those of which nothing ever will be, and that may have changed something */
};

struct history {
    int group_count;
    struct group *groups;
};

/* What is checked: the calls of one group that were, or may have been, carried out. */
struct checked {
    const struct record **records;
    const struct store_call **calls;
    struct linearizable_operation *operations;
    size_t count;
};

struct history *history_new(int groups)
{
    struct history *history = calloc(1, sizeof *history);

    assert(history != NULL);
    history->group_count = groups;
    history->groups = calloc((size_t)groups, sizeof *history->groups);
    assert(history->groups != NULL);
    return history;
}

void history_free(struct history *history)
{
    for (int i = 0; i < history->group_count; i++) {
        struct group *group = &history->groups[i];

        for (size_t j = 0; j < group->count; j++)
            free(group->list[j]);
        free(group->list);
    }
    free(history->groups);
    free(history);
}

struct record *history_add(struct history *history, int group, int64_t called_us, const struct record *before)
{
    struct group *into = &history->groups[group];
    struct record *record = calloc(1, sizeof *record);

    if (into->count == into->room) {
        into->room = into->room == 0 ? 64 : 2 * into->room;
        into->list = realloc(into->list, into->room * sizeof(struct record *));
    }
    assert(record != NULL && into->list != NULL);
    record->group = group;
    record->call.called_us = called_us;
    record->call.returned_us = LINEARIZABLE_UNKNOWN;
    record->call.gone_by_us = STORE_NEVER;
    record->before = before;
    into->list[into->count++] = record;
    into->open++;
    return record;
}

size_t history_count(const struct history *history)
{
    size_t count = 0;

    for (int i = 0; i < history->group_count; i++)
        count += history->groups[i].count;
    return count;
}

/* ---- What nobody knows the end of ---- */

static bool is_known(const struct record *record)
{
    return record->call.returned_us != LINEARIZABLE_UNKNOWN;
}

/* Nothing comes of it where nobody was told what it read. */
static bool only_reads(const struct store_call *call)
{
    for (size_t i = 0; i < call->deed_count; i++)
        if (call->deeds[i].verb != STORE_GET)
            return false;
    return call->kind != STORE_WATCH;
}

void history_end(struct history *history, const struct record *record)
{
    history->groups[record->group].open--;
}

void history_lose(struct history *history, const struct record *record)
{
    history_end(history, record);
    history->groups[record->group].lost += !only_reads(&record->call);
}

bool history_is_full(const struct history *history, int group)
{
    return history->groups[group].lost >= LOST_MAX || history->groups[group].count >= CALLS_MAX;
}

bool history_is_busy(const struct history *history, int group)
{
    return history->groups[group].lost + history->groups[group].open >= LOST_MAX || history_is_full(history, group);
}

static bool contains(const struct store_text *text, const char *word)
{
    return memmem(text->bytes, text->size, word, strlen(word)) != NULL;
}

static bool was_read(const struct group *group, const char *word)
{
    for (size_t i = 0; i < group->count; i++)
        for (size_t j = 0; is_known(group->list[i]) && j < group->list[i]->call.deed_count; j++)
            if (contains(&group->list[i]->call.answers[j].text, word))
                return true;
    return false;
}

/* Words are written once, so whoever reads one has seen who wrote it; of numbers, and of what writes none, nobody can
 * say. */
static bool may_have_been_seen(const struct group *group, const struct store_call *call)
{
    bool writes_words = call->deed_count > 0;

    for (size_t i = 0; i < call->deed_count; i++) {
        const char *word = call->deeds[i].word;

        if (word[0] == '\0' || isdigit((unsigned char)word[0]))
            writes_words = false;
        else if (was_read(group, word))
            return true;
    }
    return !writes_words;
}

static uint64_t alike(const struct store_call *call)
{
    const struct store_deed *deed = &call->deeds[0];

    if (call->kind != STORE_PLAIN)
        return 0;
    if (deed->verb == STORE_INCR)
        return 1 + (uint64_t)deed->key;
    if (deed->verb == STORE_DEL || deed->verb == STORE_GETDEL)
        return 1 + STORE_KEYS + (uint64_t)deed->key;
    return 0;
}

/* ---- One group ---- */

/* The last call before it, over the same connection, that is known to have been carried out. */
static size_t place_before(const struct record *record)
{
    const struct record *before = record->before;

    while (before != NULL && (before->refused || !is_known(before)))
        before = before->before;
    return before != NULL ? before->place : LINEARIZABLE_NONE;
}

static void set_gone_by(struct record *record, int64_t calm_us)
{
    struct store_call *call = &record->call;
    int64_t from_us = call->returned_us > calm_us ? call->returned_us : calm_us, longest_us = 0;

    for (size_t i = 0; i < call->deed_count; i++)
        if (call->deeds[i].span_us > longest_us)
            longest_us = call->deeds[i].span_us;
    if (is_known(record))
        call->gone_by_us = from_us + longest_us + longest_us / 10 + CALM_SLACK_US;
}

static void checked_add(struct checked *checked, const struct group *group, struct record *record)
{
    record->place = checked->count++;
    checked->records[record->place] = record;
    checked->calls[record->place] = &record->call;
    checked->operations[record->place] = (struct linearizable_operation){
        .called_us = record->call.called_us,
        .returned_us = record->call.returned_us,
        .after = place_before(record),
        .reads = only_reads(&record->call) && record->call.watched == 0,
        .seen = is_known(record) || may_have_been_seen(group, &record->call),
        .alike = alike(&record->call),
    };
}

/* A transaction may have happened right behind the WATCH that was lost together with it: as if it watched nothing. */
static void simplify(struct record *record)
{
    if (record->watch == NULL || is_known(record) || is_known(record->watch) || record->watch->refused)
        return;
    record->call.watched = 0;
    record->watch->refused = true;
}

static void checked_init(struct checked *checked, const struct group *group, int64_t calm_us)
{
    *checked = (struct checked){
        .records = calloc(group->count + 1, sizeof(struct record *)),
        .calls = calloc(group->count + 1, sizeof(struct store_call *)),
        .operations = calloc(group->count + 1, sizeof *checked->operations),
    };
    assert(checked->records != NULL && checked->calls != NULL && checked->operations != NULL);
    for (size_t i = 0; i < group->count; i++)
        simplify(group->list[i]);
    for (size_t i = 0; i < group->count; i++) {
        struct record *record = group->list[i];

        set_gone_by(record, calm_us);
        if (!record->refused && (is_known(record) || !only_reads(&record->call)))
            checked_add(checked, group, record);
    }
}

static void checked_fini(struct checked *checked)
{
    free(checked->records);
    free(checked->calls);
    free(checked->operations);
}

static void tell(const struct checked *checked, int group, size_t stuck, enum linearizable_verdict verdict)
{
    size_t from = stuck > TOLD_BEFORE ? stuck - TOLD_BEFORE : 0;
    char text[STORE_CALL_TEXT_MAX];

    fprintf(stderr, "of the keys %d to %d, %zu calls %s:\n", group * STORE_KEYS, group * STORE_KEYS + STORE_KEYS - 1,
            checked->count,
            verdict == NOT_LINEARIZABLE ? "cannot all have ended as they did, the marked one last of all"
                                        : "may have happened in too many orders to look at");
    for (size_t i = from; i < checked->count && i < stuck + TOLD_BEHIND; i++)
        fprintf(stderr, "%s %s\n", i == stuck ? ">>" : "  ", store_call_describe(checked->calls[i], text, sizeof text));
}

static bool group_check(const struct group *group, int number, int64_t calm_us)
{
    struct checked checked;
    struct store_history told;
    struct linearizable_model model;
    enum linearizable_verdict verdict;
    size_t stuck;

    checked_init(&checked, group, calm_us);
    told = (struct store_history){checked.calls, checked.count};
    model = store_model(&told);
    verdict = linearizable_check(&model, checked.operations, checked.count, TRIES_MAX, &stuck);
    if (verdict != LINEARIZABLE)
        tell(&checked, number, stuck, verdict);
    checked_fini(&checked);
    return verdict == LINEARIZABLE;
}

bool history_check(struct history *history, int64_t calm_us)
{
    bool good = true;

    for (int i = 0; i < history->group_count; i++)
        good = group_check(&history->groups[i], i, calm_us) && good;
    return good;
}

void history_write(const struct history *history, FILE *out)
{
    char text[STORE_CALL_TEXT_MAX];

    for (int i = 0; i < history->group_count; i++)
        for (size_t j = 0; j < history->groups[i].count; j++) {
            const struct record *record = history->groups[i].list[j];

            fprintf(out, "%d: %s%s\n", i, store_call_describe(&record->call, text, sizeof text),
                    record->refused ? ", refused" : "");
        }
}

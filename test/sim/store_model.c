#include "sim/store_model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A clock that is too fast by a tenth is faster than any here. */
#define SHORTEST_SPAN(span_us) ((span_us) - (span_us) / 10)

struct key {
    int64_t gone_from_us; /* it may be gone in what ends then or later; 0: it does not expire */
    int64_t gone_by_us;
    uint64_t clean; /* slots that watch it, and since when it has not changed */
    bool present;
    uint8_t unused[7]; /* zeros: equal states have equal bytes */
    struct store_text text;
};

struct store {
    struct key keys[STORE_KEYS];
};

static void begin(void *context, void *state)
{
    (void)context;
    memset(state, 0, sizeof(struct store));
}

/* ---- One key ---- */

static void change(struct key *key)
{
    key->clean = 0;
}

static void clear_text(struct key *key)
{
    memset(&key->text, 0, sizeof key->text);
}

static void remove_key(struct key *key)
{
    clear_text(key);
    key->present = false;
    key->gone_from_us = key->gone_by_us = 0;
    change(key);
}

/* What does not fit is cut off: no client ever lets a value become so long, only a story that never happened. */
static void append(struct key *key, const char *bytes)
{
    size_t size = strlen(bytes), room = STORE_TEXT_MAX - key->text.size;

    if (size > room)
        size = room;
    memcpy(key->text.bytes + key->text.size, bytes, size);
    key->text.size += size;
    key->present = true;
    change(key);
}

static void put(struct key *key, const char *bytes)
{
    clear_text(key);
    append(key, bytes);
}

/* As Redis reads numbers: no spaces, no plus, no zeros in front. */
static bool read_number(const struct store_text *text, int64_t *number)
{
    char digits[24], again[24];

    if (text->size == 0 || text->size >= sizeof digits)
        return false;
    memcpy(digits, text->bytes, text->size);
    digits[text->size] = '\0';
    *number = strtoll(digits, NULL, 10);
    snprintf(again, sizeof again, "%" PRId64, *number);
    return strcmp(digits, again) == 0;
}

/* ---- Deeds ---- */

static struct store_answer answer_of(enum store_answer_kind kind, int64_t number)
{
    return (struct store_answer){.kind = kind, .number = number};
}

static struct store_answer get(const struct key *key)
{
    struct store_answer answer = answer_of(key->present ? STORE_TEXT : STORE_NIL, 0);

    answer.text = key->text;
    return answer;
}

static struct store_answer set(struct key *key, const struct store_call *call, const struct store_deed *deed)
{
    put(key, deed->word);
    key->gone_from_us = deed->span_us > 0 ? call->called_us + SHORTEST_SPAN(deed->span_us) : 0;
    key->gone_by_us = deed->span_us > 0 ? call->gone_by_us : 0;
    return answer_of(STORE_FINE, 0);
}

static struct store_answer set_if_absent(struct key *key, const struct store_deed *deed)
{
    if (key->present)
        return answer_of(STORE_NUMBER, 0);
    put(key, deed->word);
    return answer_of(STORE_NUMBER, 1);
}

static struct store_answer increase(struct key *key)
{
    int64_t number = 0;
    char digits[24];

    if (key->present && !read_number(&key->text, &number))
        return answer_of(STORE_WRONG, 0);
    snprintf(digits, sizeof digits, "%" PRId64, number + 1);
    put(key, digits);
    return answer_of(STORE_NUMBER, number + 1);
}

static struct store_answer del(struct key *key)
{
    bool present = key->present;

    if (present)
        remove_key(key);
    return answer_of(STORE_NUMBER, present ? 1 : 0);
}

static struct store_answer get_and_delete(struct key *key)
{
    struct store_answer answer = get(key);

    del(key);
    return answer;
}

static struct store_answer carry_out(struct store *store, const struct store_call *call, const struct store_deed *deed)
{
    struct key *key = &store->keys[deed->key];

    switch (deed->verb) {
    case STORE_SET:
        return set(key, call, deed);
    case STORE_SETNX:
        return set_if_absent(key, deed);
    case STORE_INCR:
        return increase(key);
    case STORE_APPEND:
        append(key, deed->word);
        return answer_of(STORE_NUMBER, (int64_t)key->text.size);
    case STORE_DEL:
        return del(key);
    case STORE_GETDEL:
        return get_and_delete(key);
    default:
        return get(key);
    }
}

static bool is_same_answer(const struct store_answer *left, const struct store_answer *right)
{
    return left->kind == right->kind && left->number == right->number && left->text.size == right->text.size &&
           memcmp(left->text.bytes, right->text.bytes, left->text.size) == 0;
}

static bool carry_out_all(struct store *store, const struct store_call *call)
{
    for (size_t i = 0; i < call->deed_count; i++) {
        struct store_answer answer = carry_out(store, call, &call->deeds[i]);

        if (call->returned_us != LINEARIZABLE_UNKNOWN && !is_same_answer(&answer, &call->answers[i]))
            return false;
    }
    return true;
}

/* ---- Watching ---- */

static void forget_watches(struct store *store, unsigned slot)
{
    for (int i = 0; i < STORE_KEYS; i++)
        store->keys[i].clean &= ~((uint64_t)1 << slot);
}

static void watch(struct store *store, const struct store_call *call)
{
    forget_watches(store, call->slot);
    for (int i = 0; i < STORE_KEYS; i++)
        if ((call->watched >> i & 1) != 0)
            store->keys[i].clean |= (uint64_t)1 << call->slot;
}

static bool has_changed(const struct store *store, const struct store_call *call)
{
    for (int i = 0; i < STORE_KEYS; i++)
        if ((call->watched >> i & 1) != 0 && (store->keys[i].clean >> call->slot & 1) == 0)
            return true;
    return false;
}

static bool may_seem_changed(const struct store *store, const struct store_call *call)
{
    for (int i = 0; i < STORE_KEYS; i++)
        if ((call->watched >> i & 1) != 0 && !store->keys[i].present)
            return true;
    return call->watch_failed;
}

static bool transact(struct store *store, const struct store_call *call)
{
    bool changed = has_changed(store, call);

    if (call->aborted && !changed && !may_seem_changed(store, call))
        return false;
    if (!call->aborted && (changed || call->watch_failed))
        return false;
    forget_watches(store, call->slot);
    return call->aborted || carry_out_all(store, call);
}

/* ---- Time ---- */

static bool is_about(const struct store_call *call, int key)
{
    if ((call->watched >> key & 1) != 0)
        return true;
    for (size_t i = 0; i < call->deed_count; i++)
        if (call->deeds[i].key == key)
            return true;
    return false;
}

/* way: the keys whose bits are set are gone by now, for whom it makes a difference. False: that cannot be. */
static bool let_time_pass(struct store *store, const struct store_call *call, unsigned way)
{
    for (int i = 0; i < STORE_KEYS; i++) {
        struct key *key = &store->keys[i];
        bool gone = (way >> i & 1) != 0;
        bool expires = key->gone_from_us > 0 && is_about(call, i);

        if (gone && (!expires || call->returned_us < key->gone_from_us))
            return false;
        if (!gone && expires && call->called_us > key->gone_by_us)
            return false;
        if (gone)
            remove_key(key);
    }
    return true;
}

static bool step(void *context, void *state, size_t operation, unsigned way)
{
    const struct store_call *call = ((const struct store_history *)context)->calls[operation];
    struct store *store = state;

    if (!let_time_pass(store, call, way))
        return false;
    switch (call->kind) {
    case STORE_WATCH:
        watch(store, call);
        return true;
    case STORE_TRANSACTION:
        return transact(store, call);
    default:
        return carry_out_all(store, call);
    }
}

struct linearizable_model store_model(struct store_history *history)
{
    return (struct linearizable_model){
        .context = history,
        .state_size = sizeof(struct store),
        .begin = begin,
        .ways = 1u << STORE_KEYS,
        .step = step,
    };
}

/* ---- Telling ---- */

struct words {
    char *text;
    size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void tell(struct words *words, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(words->text + words->used, words->size - words->used, format, arguments);
    va_end(arguments);
    words->used += (size_t)length;
    if (words->used >= words->size)
        words->used = words->size - 1;
}

static void tell_deed(struct words *words, const struct store_deed *deed)
{
    static const char *const VERBS[STORE_VERBS] = {"GET", "SET", "SETNX", "INCR", "APPEND", "DEL", "GETDEL"};

    tell(words, " %s %d", VERBS[deed->verb], deed->key);
    if (deed->word[0] != '\0')
        tell(words, " %s", deed->word);
    if (deed->span_us > 0)
        tell(words, " for %" PRId64 " us", deed->span_us);
}

static void tell_answer(struct words *words, const struct store_answer *answer)
{
    switch (answer->kind) {
    case STORE_NIL:
        tell(words, " nil");
        break;
    case STORE_FINE:
        tell(words, " OK");
        break;
    case STORE_NUMBER:
        tell(words, " %" PRId64, answer->number);
        break;
    case STORE_TEXT:
        tell(words, " \"%.*s\"", (int)answer->text.size, answer->text.bytes);
        break;
    case STORE_WRONG:
        tell(words, " error");
        break;
    }
}

const char *store_call_describe(const struct store_call *call, char *text, size_t size)
{
    static const char *const KINDS[] = {"plain", "transaction", "watch"};
    struct words words = {text, size, 0};

    tell(&words, "%" PRId64 " to ", call->called_us);
    if (call->returned_us == LINEARIZABLE_UNKNOWN)
        tell(&words, "?");
    else
        tell(&words, "%" PRId64, call->returned_us);
    tell(&words, " %s of %u", KINDS[call->kind], call->client);
    if (call->kind != STORE_PLAIN)
        tell(&words, " watched=%u%s in slot %u", call->watched, call->watch_failed ? " in vain" : "", call->slot);
    for (size_t i = 0; i < call->deed_count; i++)
        tell_deed(&words, &call->deeds[i]);
    tell(&words, " ->");
    if (call->returned_us == LINEARIZABLE_UNKNOWN)
        tell(&words, " unknown");
    else if (call->aborted)
        tell(&words, " aborted");
    else
        for (size_t i = 0; i < call->deed_count; i++)
            tell_answer(&words, &call->answers[i]);
    return text;
}

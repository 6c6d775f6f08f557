#include "sim/linearizable.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* By value, so that nothing of its library has to be linked twice. */
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Calls and returns of operations whose end is known, in the order of their times; at one time, calls come first. */
struct moment {
    int64_t at_us;
    size_t operation;
    bool is_return;
    size_t next, previous; /* of those that have not happened; moments[0] is the head of that list */
};

/* One step of the story so far. */
struct step {
    size_t operation;
    unsigned way;
    size_t run; /* unknown ones in a row before it */
    bool sure;  /* if there is no story in which it is next, there is none at all */
};

struct search {
    const struct linearizable_model *model;
    const struct linearizable_operation *operations;
    size_t count;

    struct moment *moments;
    size_t *calls, *returns; /* by operation: its moments */
    size_t known_left;

    size_t *unknown; /* the operations of unknown end, latest call first */
    size_t unknown_count;
    size_t *twins; /* by operation: the one alike that was called before it; NONE */

    struct step *steps;
    size_t step_count;
    uint8_t *states; /* before each step */
    uint8_t *state, *next_state;
    size_t run;
    uint64_t *happened; /* bits */
    size_t words;

    /* This round's. */
    size_t run_max;
    bool seen_only;
    bool narrow; /* something was left out */
    size_t tries, tries_max;
    XXH128_hash_t *visited; /* zeros: free */
    size_t visited_count, visited_room;

    size_t best_left, stuck;
};

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);

    assert(memory != NULL);
    return memory;
}

/* ---- What has happened ---- */

static bool has_happened(const struct search *search, size_t operation)
{
    return (search->happened[operation / 64] >> operation % 64 & 1) != 0;
}

static void flip(struct search *search, size_t operation)
{
    search->happened[operation / 64] ^= (uint64_t)1 << operation % 64;
}

static bool is_known(const struct search *search, size_t operation)
{
    return search->operations[operation].returned_us != LINEARIZABLE_UNKNOWN;
}

static void unlink_moment(struct search *search, size_t at)
{
    const struct moment *moment = &search->moments[at];

    search->moments[moment->previous].next = moment->next;
    search->moments[moment->next].previous = moment->previous;
}

static void relink_moment(struct search *search, size_t at)
{
    const struct moment *moment = &search->moments[at];

    search->moments[moment->previous].next = at;
    search->moments[moment->next].previous = at;
}

static void take_out(struct search *search, size_t operation)
{
    flip(search, operation);
    if (!is_known(search, operation))
        return;
    unlink_moment(search, search->calls[operation]);
    unlink_moment(search, search->returns[operation]);
    search->known_left--;
}

static void put_back(struct search *search, size_t operation)
{
    flip(search, operation);
    if (!is_known(search, operation))
        return;
    relink_moment(search, search->returns[operation]);
    relink_moment(search, search->calls[operation]);
    search->known_left++;
}

/* ---- Where it has been ---- */

static bool is_free(const XXH128_hash_t *hash)
{
    return hash->low64 == 0 && hash->high64 == 0;
}

static XXH128_hash_t *find_place(XXH128_hash_t *table, size_t room, XXH128_hash_t hash)
{
    size_t at = hash.low64 & (room - 1);

    while (!is_free(&table[at]) && !XXH128_isEqual(table[at], hash))
        at = (at + 1) & (room - 1);
    return &table[at];
}

static void grow_visited(struct search *search)
{
    size_t room = search->visited_room == 0 ? 1024 : 2 * search->visited_room;
    XXH128_hash_t *table = zeroed(room, sizeof *table);

    for (size_t i = 0; i < search->visited_room; i++)
        if (!is_free(&search->visited[i]))
            *find_place(table, room, search->visited[i]) = search->visited[i];
    free(search->visited);
    search->visited = table;
    search->visited_room = room;
}

/* What has happened, the state that it has led to, and how much may still happen unseen. False: it was here before. */
static bool visit(struct search *search, const uint8_t *state)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(state, search->model->state_size, search->run);
    XXH128_hash_t *place;

    hash = XXH3_128bits_withSeed(search->happened, search->words * sizeof *search->happened,
                                 hash.low64 ^ (hash.high64 * 3));
    if (2 * (search->visited_count + 1) > search->visited_room)
        grow_visited(search);
    place = find_place(search->visited, search->visited_room, hash);
    if (!is_free(place))
        return false;
    *place = hash;
    search->visited_count++;
    return true;
}

/* ---- The story ---- */

static bool is_its_turn(const struct search *search, size_t operation)
{
    size_t after = search->operations[operation].after;

    return after == LINEARIZABLE_NONE || has_happened(search, after);
}

/* Whether one alike that was called earlier could happen in its place. */
static bool has_twin(const struct search *search, size_t operation)
{
    for (size_t twin = search->twins[operation]; twin != LINEARIZABLE_NONE; twin = search->twins[twin])
        if (!has_happened(search, twin) && is_its_turn(search, twin))
            return true;
    return false;
}

/* Whether it may be the next to happen, as far as the others are concerned. */
static bool may_happen(struct search *search, size_t operation)
{
    const struct linearizable_operation *it = &search->operations[operation];

    if (!is_its_turn(search, operation))
        return false;
    if (is_known(search, operation))
        return true;
    if (has_twin(search, operation))
        return false;
    if (search->run < search->run_max && (it->seen || !search->seen_only))
        return true;
    search->narrow = true;
    return false;
}

/* Goes a step on, if that leads anywhere new. */
static bool go(struct search *search, size_t operation, unsigned way)
{
    const size_t size = search->model->state_size;
    size_t run = search->run;

    memcpy(search->next_state, search->state, size);
    if (!search->model->step(search->model->context, search->next_state, operation, way))
        return false;
    if (!is_known(search, operation) && memcmp(search->next_state, search->state, size) == 0)
        return false; /* as if it never happened */
    search->tries++;
    take_out(search, operation);
    search->run = is_known(search, operation) ? 0 : run + 1;
    if (!visit(search, search->next_state)) {
        search->run = run;
        put_back(search, operation);
        return false;
    }
    search->steps[search->step_count] = (struct step){.operation = operation, .way = way, .run = run};
    memcpy(search->states + search->step_count * size, search->state, size);
    search->step_count++;
    memcpy(search->state, search->next_state, size);
    return true;
}

/* The first way from `way` on in which it can happen now. */
static bool go_any_way(struct search *search, size_t operation, unsigned way)
{
    if (way < search->model->ways && !may_happen(search, operation))
        return false;
    for (; way < search->model->ways; way++)
        if (go(search, operation, way))
            return true;
    return false;
}

static size_t first_return(const struct search *search)
{
    size_t at = search->moments[0].next;

    while (!search->moments[at].is_return)
        at = search->moments[at].next;
    return at;
}

/* Known ones whose returns come from a moment on. What has returned must happen before anything that was called later.
 * Whoever returns first is tried first: what took long has often waited, and happened at its end. */
static bool go_known(struct search *search, size_t at)
{
    size_t first = first_return(search);

    for (; at != 0; at = search->moments[at].next) {
        size_t operation = search->moments[at].operation;

        if (search->moments[at].is_return && search->calls[operation] < first && go_any_way(search, operation, 0))
            return true;
    }
    return false;
}

static bool go_unknown(struct search *search, size_t from)
{
    int64_t until_us = search->moments[first_return(search)].at_us;

    for (size_t i = from; i < search->unknown_count; i++) {
        size_t operation = search->unknown[i];

        if (search->operations[operation].called_us <= until_us && !has_happened(search, operation) &&
            go_any_way(search, operation, 0))
            return true;
    }
    return false;
}

/* Whether an operation can happen now, and whichever way it does leaves everything as it is. */
static bool changes_nothing(struct search *search, size_t operation)
{
    bool possible = false;

    for (unsigned way = 0; way < search->model->ways; way++) {
        memcpy(search->next_state, search->state, search->model->state_size);
        if (!search->model->step(search->model->context, search->next_state, operation, way))
            continue;
        if (memcmp(search->next_state, search->state, search->model->state_size) != 0)
            return false;
        possible = true;
    }
    return possible;
}

/* A known one that only reads, and may be next: in any story it can be moved to here. NONE: there is none such. */
static size_t find_sure(struct search *search)
{
    size_t at = search->moments[0].next;

    for (; !search->moments[at].is_return; at = search->moments[at].next) {
        size_t operation = search->moments[at].operation;

        if (search->operations[operation].reads && is_its_turn(search, operation) && changes_nothing(search, operation))
            return operation;
    }
    return LINEARIZABLE_NONE;
}

static bool go_on(struct search *search)
{
    size_t sure = find_sure(search);

    if (sure != LINEARIZABLE_NONE) {
        bool gone = go_any_way(search, sure, 0);

        if (gone)
            search->steps[search->step_count - 1].sure = true;
        return gone;
    }
    return go_known(search, search->moments[0].next) || go_unknown(search, 0);
}

static size_t place_of_unknown(const struct search *search, size_t operation)
{
    size_t i = 0;

    while (search->unknown[i] != operation)
        i++;
    return i;
}

/* Takes the last step back, and tries what comes behind it. */
static bool go_elsewhere(struct search *search)
{
    const struct step step = search->steps[--search->step_count];

    put_back(search, step.operation);
    search->run = step.run;
    memcpy(search->state, search->states + search->step_count * search->model->state_size, search->model->state_size);
    if (step.sure)
        return false;
    if (go_any_way(search, step.operation, step.way + 1))
        return true;
    if (is_known(search, step.operation))
        return go_known(search, search->moments[search->returns[step.operation]].next) || go_unknown(search, 0);
    return go_unknown(search, place_of_unknown(search, step.operation) + 1);
}

static void note_stuck(struct search *search)
{
    if (search->known_left >= search->best_left)
        return;
    search->best_left = search->known_left;
    search->stuck = search->moments[first_return(search)].operation;
}

/* ---- Rounds ---- */

static void begin_round(struct search *search)
{
    while (search->step_count > 0)
        put_back(search, search->steps[--search->step_count].operation);
    free(search->visited);
    search->visited = NULL;
    search->visited_count = search->visited_room = 0;
    search->narrow = false;
    search->tries = 0;
    search->run = 0;
    memset(search->state, 0, search->model->state_size);
    search->model->begin(search->model->context, search->state);
}

static enum linearizable_verdict run_round(struct search *search, size_t run_max, bool seen_only)
{
    begin_round(search);
    search->run_max = run_max;
    search->seen_only = seen_only;
    while (search->known_left > 0) {
        bool gone = go_on(search);

        if (!gone)
            note_stuck(search);
        while (!gone && search->step_count > 0)
            gone = go_elsewhere(search);
        if (!gone)
            return NOT_LINEARIZABLE;
        if (search->tries > search->tries_max)
            return LINEARIZABLE_UNDECIDED;
    }
    return LINEARIZABLE;
}

/* From narrow to wide, until there is a story, or nothing was left out. */
static enum linearizable_verdict run_rounds(struct search *search)
{
    bool undecided = false;

    for (size_t run_max = 1;; run_max *= 2)
        for (int seen_only = 1; seen_only >= 0; seen_only--) {
            enum linearizable_verdict verdict = run_round(search, run_max, seen_only == 1);

            if (verdict == LINEARIZABLE || (verdict == NOT_LINEARIZABLE && !search->narrow))
                return verdict;
            undecided = undecided || verdict == LINEARIZABLE_UNDECIDED;
            if (undecided && run_max > 4 && seen_only == 0)
                return LINEARIZABLE_UNDECIDED; /* wider rounds have yet more to look at */
        }
}

/* ---- Before and after ---- */

static int compare_moments(const void *left, const void *right)
{
    const struct moment *a = left, *b = right;

    if (a->at_us != b->at_us)
        return a->at_us < b->at_us ? -1 : 1;
    if (a->is_return != b->is_return)
        return a->is_return ? 1 : -1;
    return a->operation < b->operation ? -1 : 1;
}

static void lay_out_moments(struct search *search)
{
    size_t count = 0;

    for (size_t i = 0; i < search->count; i++) {
        const struct linearizable_operation *it = &search->operations[i];

        assert(it->called_us <= it->returned_us);
        assert(it->after == LINEARIZABLE_NONE || is_known(search, it->after));
        if (!is_known(search, i))
            continue;
        search->moments[++count] = (struct moment){.at_us = it->called_us, .operation = i};
        search->moments[++count] = (struct moment){.at_us = it->returned_us, .operation = i, .is_return = true};
        search->known_left++;
    }
    qsort(search->moments + 1, count, sizeof *search->moments, compare_moments);
    for (size_t at = 0; at <= count; at++) {
        struct moment *moment = &search->moments[at];

        moment->next = at < count ? at + 1 : 0;
        moment->previous = at > 0 ? at - 1 : count;
        if (at > 0)
            (moment->is_return ? search->returns : search->calls)[moment->operation] = at;
    }
}

/* In front of those that were called earlier. */
static void insert_unknown(struct search *search, size_t operation)
{
    size_t at = search->unknown_count++;

    for (; at > 0 && search->operations[search->unknown[at - 1]].called_us <= search->operations[operation].called_us;
         at--)
        search->unknown[at] = search->unknown[at - 1];
    search->unknown[at] = operation;
}

static void lay_out_unknown(struct search *search)
{
    for (size_t i = 0; i < search->count; i++)
        if (!is_known(search, i))
            insert_unknown(search, i);
    for (size_t i = 0; i < search->unknown_count; i++) {
        uint64_t alike = search->operations[search->unknown[i]].alike;
        size_t *twin = &search->twins[search->unknown[i]];

        *twin = LINEARIZABLE_NONE;
        for (size_t j = i + 1; alike != 0 && j < search->unknown_count && *twin == LINEARIZABLE_NONE; j++)
            if (search->operations[search->unknown[j]].alike == alike)
                *twin = search->unknown[j];
    }
}

static void search_init(struct search *search, const struct linearizable_model *model,
                        const struct linearizable_operation *operations, size_t count)
{
    *search = (struct search){.model = model, .operations = operations, .count = count};
    search->words = count / 64 + 1;
    search->moments = zeroed(2 * count + 1, sizeof *search->moments);
    search->calls = zeroed(count, sizeof *search->calls);
    search->returns = zeroed(count, sizeof *search->returns);
    search->unknown = zeroed(count, sizeof *search->unknown);
    search->twins = zeroed(count, sizeof *search->twins);
    search->steps = zeroed(count, sizeof *search->steps);
    search->states = zeroed(count, model->state_size);
    search->state = zeroed(1, model->state_size);
    search->next_state = zeroed(1, model->state_size);
    search->happened = zeroed(search->words, sizeof *search->happened);
    lay_out_moments(search);
    lay_out_unknown(search);
    search->best_left = SIZE_MAX;
}

static void search_fini(struct search *search)
{
    free(search->moments);
    free(search->calls);
    free(search->returns);
    free(search->unknown);
    free(search->twins);
    free(search->steps);
    free(search->states);
    free(search->state);
    free(search->next_state);
    free(search->happened);
    free(search->visited);
}

enum linearizable_verdict linearizable_check(const struct linearizable_model *model,
                                             const struct linearizable_operation *operations, size_t count,
                                             size_t tries_max, size_t *stuck)
{
    struct search search;
    enum linearizable_verdict verdict;

    search_init(&search, model, operations, count);
    search.tries_max = tries_max;
    verdict = run_rounds(&search);
    if (stuck != NULL)
        *stuck = search.stuck;
    search_fini(&search);
    return verdict;
}

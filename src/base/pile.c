#include "base/pile.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

/* What the owner waits for is often on its way: so it lets others run a few times before it sleeps. That spares two
 * thread changes through the kernel's sleep and wake-up; where others keep the processor for longer, it sleeps at once.
 * Where mail has come soon of late, it goes on for twice as long as that took: whoever puts it may have to be woken on
 * another core first, which takes some 30 us. */
#define PASSES_MAX      15
#define PASSES_US_MAX   50
#define SOON_US         50  /* mail that usually takes less comes soon */
#define SOON_PASSES_MAX 300 /* time stands still while the simulator's threads wait like that */
#define SOON_US_LEAST   10
#define USUAL_US_MAX    100 /* a longer wait counts as one of that length */
#define USUAL_SHARE     4   /* of the last wait in what is usual: one in so many */

#define CLIENTS_PORTION 16 /* client letters in a row before the other lanes are looked at */

struct pile {
    struct mutex mutex; /* guards from here to closed; nobody waits while holding it */
    struct wake wake;   /* mail in a lane that the owner waits for, or the pile was closed */
    struct letter_list incoming[LANE_COUNT];
    int lanes_awaited; /* the owner sleeps until one of that many first lanes gets mail; 0: it is awake or woken */
    bool dozing;       /* and does so elsewhere: the alarm wakes it */
    bool closed;

    /* Set before anybody puts. */
    void (*ring)(void *context); /* NULL: it only ever waits here */
    void *ring_context;

    /* The owner's alone. */
    struct letter_list lanes[LANE_COUNT]; /* collected, older than anything incoming in the same lane */
    int64_t usual_us;                     /* how long mail takes to come while waited for; recent waits count most */
    int clients_in_a_row;                 /* client letters taken since incoming mail was last collected */
    int64_t stalled_deadline_us;          /* the deadline that was found stalled last, ... */
    int64_t moved_deadline_us;            /* ... and what it was moved to */
};

/* Moves everything from one list to the end of another. */
static void list_move(struct letter_list *to, struct letter_list *from)
{
    if (from->first == NULL)
        return;
    if (to->first == NULL)
        to->first = from->first;
    else
        to->last->next = from->first;
    to->last = from->last;
    from->first = NULL;
}

static void list_free(struct letter_list *list)
{
    struct letter *letter;

    while ((letter = letter_list_take(list)) != NULL)
        letter_free(letter);
}

struct pile *pile_new(void)
{
    struct pile *pile = memory_new(sizeof *pile);

    mutex_init(&pile->mutex);
    wake_init(&pile->wake);
    pile->stalled_deadline_us = CLOCK_NEVER;
    pile->moved_deadline_us = CLOCK_NEVER;
    return pile;
}

void pile_free(struct pile *pile)
{
    if (pile == NULL)
        return;
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        list_free(&pile->lanes[lane]);
        list_free(&pile->incoming[lane]);
    }
    wake_fini(&pile->wake);
    mutex_fini(&pile->mutex);
    memory_free(pile);
}

/* The mutex is held. Later puts and closes find the owner woken and spare the call: a batch is one wake-up. Whether the
 * alarm is to be rung, once the mutex is not held any more. */
static bool wake_owner(struct pile *pile)
{
    bool dozing = pile->dozing;

    pile->lanes_awaited = 0;
    pile->dozing = false;
    if (!dozing)
        wake_one(&pile->wake);
    return dozing;
}

void pile_put_all(struct pile *pile, enum lane lane, struct letter_list *letters)
{
    bool closed, ring = false;

    if (letters->first == NULL)
        return;
    mutex_lock(&pile->mutex);
    closed = pile->closed;
    if (!closed) {
        int64_t now_us = clock_now_us(); /* under the mutex, so that in a lane it never goes back */
        for (struct letter *letter = letters->first; letter != NULL; letter = letter->next)
            letter->put_us = now_us;
        list_move(&pile->incoming[lane], letters);
        if ((int)lane < pile->lanes_awaited)
            ring = wake_owner(pile);
    }
    mutex_unlock(&pile->mutex);
    if (closed)
        list_free(letters);
    else if (ring)
        pile->ring(pile->ring_context);
}

void pile_put(struct pile *pile, enum lane lane, struct letter *letter)
{
    struct letter_list letters = {0};

    letter_list_add(&letters, letter);
    pile_put_all(pile, lane, &letters);
}

void pile_close(struct pile *pile)
{
    bool ring = false;

    mutex_lock(&pile->mutex);
    pile->closed = true;
    if (pile->lanes_awaited > 0)
        ring = wake_owner(pile);
    mutex_unlock(&pile->mutex);
    if (ring)
        pile->ring(pile->ring_context);
}

/* The deadline that counts for a take at now_us: the one asked for or, after a stall, what it was moved to. */
static int64_t pile_deadline(struct pile *pile, int64_t deadline_us, int64_t now_us)
{
    if (deadline_us == pile->stalled_deadline_us)
        return pile->moved_deadline_us;
    if (deadline_us >= now_us - PILE_STALL_US)
        return deadline_us;
    pile->stalled_deadline_us = deadline_us;
    pile->moved_deadline_us = now_us + PILE_STALL_US;
    return pile->moved_deadline_us;
}

/* Swaps all incoming mail out under one lock. Returns whether the pile has been closed. */
static bool pile_collect(struct pile *pile)
{
    bool closed;

    mutex_lock(&pile->mutex);
    for (int lane = 0; lane < LANE_COUNT; lane++)
        list_move(&pile->lanes[lane], &pile->incoming[lane]);
    closed = pile->closed;
    mutex_unlock(&pile->mutex);
    pile->clients_in_a_row = 0;
    return closed;
}

/* The next collected letter that may be handed out at now_us; NULL when there is none, or when it is time to collect.
 * Within a lane put_us never goes back, so the first letter speaks for all behind it. */
static struct letter *pile_next(struct pile *pile, enum lane upto, int64_t deadline_us, int64_t now_us)
{
    bool early = now_us < deadline_us;

    for (enum lane lane = LANE_CONTROL; lane <= upto && lane <= LANE_INNER; lane++) {
        const struct letter *first = pile->lanes[lane].first;

        if (first != NULL && (early || first->put_us <= deadline_us))
            return letter_list_take(&pile->lanes[lane]);
    }
    if (upto < LANE_CLIENTS || !early || pile->lanes[LANE_CLIENTS].first == NULL)
        return NULL;
    if (pile->clients_in_a_row == CLIENTS_PORTION)
        return NULL;
    pile->clients_in_a_row++;
    return letter_list_take(&pile->lanes[LANE_CLIENTS]);
}

/* The mutex is held. Whether there is something to wake up for. */
static bool pile_has_news(const struct pile *pile, enum lane upto)
{
    for (enum lane lane = LANE_CONTROL; lane <= upto; lane++)
        if (pile->incoming[lane].first != NULL)
            return true;
    return pile->closed;
}

/* The mutex is held, but for while others run. */
static bool pile_linger(struct pile *pile, enum lane upto, int64_t deadline_us, int64_t now_us)
{
    bool soon = pile->usual_us < SOON_US;
    int passes_max = soon ? SOON_PASSES_MAX : PASSES_MAX;
    int64_t until_us = now_us + (soon ? 2 * pile->usual_us + SOON_US_LEAST : PASSES_US_MAX);

    for (int passes = 0; passes < passes_max && now_us < until_us && now_us < deadline_us; passes++) {
        if (pile_has_news(pile, upto))
            return true;
        mutex_unlock(&pile->mutex);
        thread_pass();
        now_us = clock_now_us();
        mutex_lock(&pile->mutex);
    }
    return pile_has_news(pile, upto);
}

/* The mutex is held. Learns from a wait how long mail takes to come. The waking itself does not count. */
static void pile_note_wait(struct pile *pile, enum lane upto, int64_t began_us)
{
    int64_t took_us = USUAL_US_MAX;

    for (enum lane lane = LANE_CONTROL; lane <= upto; lane++) {
        const struct letter *first = pile->incoming[lane].first;

        if (first != NULL && first->put_us - began_us < took_us)
            took_us = first->put_us - began_us;
    }
    if (took_us < 0)
        took_us = 0; /* it came between the look at the pile and the wait */
    pile->usual_us += (took_us - pile->usual_us) / USUAL_SHARE;
}

/* Waits until there is incoming mail in the lanes up to `upto`, the pile is closed, or the deadline passes. */
static void pile_wait(struct pile *pile, enum lane upto, int64_t deadline_us, int64_t now_us)
{
    mutex_lock(&pile->mutex);
    if (!pile_linger(pile, upto, deadline_us, now_us)) {
        pile->lanes_awaited = (int)upto + 1;
        /* Whoever puts or closes sets it to 0: what is left of the loop are wake-ups for no reason. */
        while (pile->lanes_awaited > 0 && wake_wait_until(&pile->wake, &pile->mutex, deadline_us))
            ;
        pile->lanes_awaited = 0;
    }
    pile_note_wait(pile, upto, now_us);
    mutex_unlock(&pile->mutex);
}

void pile_set_alarm(struct pile *pile, void (*ring)(void *context), void *context)
{
    pile->ring = ring;
    pile->ring_context = context;
}

bool pile_doze(struct pile *pile)
{
    bool news;

    mutex_lock(&pile->mutex);
    news = pile_has_news(pile, LANE_CLIENTS);
    for (int lane = 0; lane < LANE_COUNT; lane++)
        news = news || pile->lanes[lane].first != NULL;
    pile->dozing = !news;
    pile->lanes_awaited = news ? 0 : LANE_COUNT;
    mutex_unlock(&pile->mutex);
    return !news;
}

void pile_rouse(struct pile *pile)
{
    mutex_lock(&pile->mutex);
    pile->dozing = false;
    pile->lanes_awaited = 0;
    mutex_unlock(&pile->mutex);
}

/* The clock is read before incoming mail is collected: what was put before a deadline that has passed by then has been
 * collected before the deadline fires. */
struct letter *pile_take(struct pile *pile, enum lane upto, int64_t deadline_us, int64_t *now_us)
{
    for (;;) {
        struct letter *letter;
        int64_t effective_us;
        bool closed;

        *now_us = clock_now_us();
        effective_us = pile_deadline(pile, deadline_us, *now_us);
        letter = pile_next(pile, upto, effective_us, *now_us);
        if (letter != NULL)
            return letter;
        closed = pile_collect(pile);
        if (closed)
            effective_us = CLOCK_NEVER; /* the owner empties it: no deadline stands before what is left */
        letter = pile_next(pile, upto, effective_us, *now_us);
        if (letter != NULL || closed || *now_us >= effective_us)
            return letter;
        pile_wait(pile, upto, effective_us, *now_us);
    }
}

struct letter *pile_try(struct pile *pile, enum lane upto, int64_t *now_us)
{
    struct letter *letter;

    *now_us = clock_now_us();
    letter = pile_next(pile, upto, CLOCK_NEVER, *now_us);
    if (letter != NULL)
        return letter;
    pile_collect(pile);
    return pile_next(pile, upto, CLOCK_NEVER, *now_us);
}

void pile_put_back(struct pile *pile, enum lane lane, struct letter *letter)
{
    struct letter_list *list = &pile->lanes[lane];

    if (list->first == NULL)
        list->last = letter;
    letter->next = list->first;
    list->first = letter;
}

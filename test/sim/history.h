/* history.h - all that clients asked of the service and were told, and whether it can be so.
 *
 * Keys stand in groups of STORE_KEYS, which no call crosses: each group's calls are checked for themselves
 * (store_model.h, linearizable.h). A call of which nobody knows the end may have been carried out at any time, or
 * never; one that was refused for certain was not. So an acknowledged write that is lost, one that was refused and
 * carried out, and one that was carried out twice leave no story that is possible. */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include <stdio.h>

#include "sim/store_model.h"

struct history;

/* A call, and what is known of it besides. */
struct record {
    struct store_call call; /* called_us is set; the rest is the client's to fill in */
    int group;              /* of keys; the call's are counted within it */
    const struct record *before; /* of the same connection, in the same group; NULL: none */
    struct record *watch;        /* of a transaction: the call that watches for it; NULL: none */
    bool refused;  /* certainly not carried out */
    size_t place;  /* among those that are checked */
};

struct history *history_new(int groups); /* that there may be: 0 to groups - 1 */
void history_free(struct history *history);

/* A client calls. before: its last call of the same group over the same connection; NULL: none. */
struct record *history_add(struct history *history, int group, int64_t called_us, const struct record *before);
/* Its client has been told what became of it, or will never be. */
void history_end(struct history *history, const struct record *record);
void history_lose(struct history *history, const struct record *record);
size_t history_count(const struct history *history);

/* Whether so many calls of a group are lost, or are to be checked at all, that clients had better turn to other keys:
 * how long the search takes grows with both. */
bool history_is_full(const struct history *history, int group);
/* The same if all calls are lost of which nothing is known yet: until there is an answer, it is better only to read. */
bool history_is_busy(const struct history *history, int group);

/* Whether all of it can be so. calm_us: since when nothing has gone wrong any more. False: tells what not, to
 * stderr. */
bool history_check(struct history *history, int64_t calm_us);

void history_write(const struct history *history, FILE *out); /* a line a call */

#endif

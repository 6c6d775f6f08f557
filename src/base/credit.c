#include "base/credit.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

struct credit {
    struct mutex mutex; /* guards what follows */
    struct wake wake;   /* some credit is left, or it was closed */
    int64_t whole;      /* bytes, when none is taken */
    int64_t left;       /* of them; below zero after a letter that was larger than what was left */
    bool closed;
    bool abandoned; /* freed when it is whole */
};

struct credit *credit_new(size_t bytes)
{
    struct credit *credit = memory_new(sizeof *credit);

    mutex_init(&credit->mutex);
    wake_init(&credit->wake);
    credit->whole = credit->left = (int64_t)bytes;
    return credit;
}

void credit_free(struct credit *credit)
{
    if (credit == NULL)
        return;
    wake_fini(&credit->wake);
    mutex_fini(&credit->mutex);
    memory_free(credit);
}

bool credit_take(struct credit *credit, size_t bytes)
{
    bool open;

    mutex_lock(&credit->mutex);
    while (!credit->closed && credit->left <= 0)
        wake_wait_until(&credit->wake, &credit->mutex, CLOCK_NEVER);
    open = !credit->closed;
    if (open)
        credit->left -= (int64_t)bytes;
    mutex_unlock(&credit->mutex);
    return open;
}

void credit_charge(struct credit *credit, size_t bytes)
{
    mutex_lock(&credit->mutex);
    credit->left -= (int64_t)bytes;
    mutex_unlock(&credit->mutex);
}

bool credit_await(struct credit *credit)
{
    return credit_take(credit, 0);
}

void credit_give(struct credit *credit, size_t bytes)
{
    bool last;

    mutex_lock(&credit->mutex);
    credit->left += (int64_t)bytes;
    if (credit->left > 0)
        wake_one(&credit->wake);
    last = credit->abandoned && credit->left == credit->whole;
    mutex_unlock(&credit->mutex);
    if (last)
        credit_free(credit);
}

void credit_close(struct credit *credit)
{
    mutex_lock(&credit->mutex);
    credit->closed = true;
    wake_all(&credit->wake);
    mutex_unlock(&credit->mutex);
}

void credit_abandon(struct credit *credit)
{
    bool last;

    mutex_lock(&credit->mutex);
    credit->abandoned = true;
    last = credit->left == credit->whole;
    mutex_unlock(&credit->mutex);
    if (last)
        credit_free(credit);
}

#include "base/credit.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

struct credit {
    struct mutex mutex; /* guards what follows */
    struct wake wake;   /* some credit is left, or it was closed */
    int64_t left;       /* bytes; below zero after a letter that was larger than what was left */
    bool closed;
};

struct credit *credit_new(size_t bytes)
{
    struct credit *credit = memory_new(sizeof *credit);

    mutex_init(&credit->mutex);
    wake_init(&credit->wake);
    credit->left = (int64_t)bytes;
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

void credit_give(struct credit *credit, size_t bytes)
{
    mutex_lock(&credit->mutex);
    credit->left += (int64_t)bytes;
    if (credit->left > 0)
        wake_one(&credit->wake);
    mutex_unlock(&credit->mutex);
}

void credit_close(struct credit *credit)
{
    mutex_lock(&credit->mutex);
    credit->closed = true;
    wake_all(&credit->wake);
    mutex_unlock(&credit->mutex);
}

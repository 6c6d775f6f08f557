/* A member of a cluster that keeps a log of what it agrees on, and serves nothing from it: proposals are refused. */
#include "serve/service.h"

struct service *service_new(const struct service_config *config)
{
    (void)config;
    return NULL;
}

struct pile *service_pile(const struct service *service)
{
    (void)service;
    return NULL;
}

const struct mailraft_machine *service_machine(const struct service *service)
{
    (void)service;
    return NULL;
}

bool service_start(struct service *service, struct node *node, struct log *log, struct mailraft_error *err)
{
    (void)service, (void)node, (void)log, (void)err;
    return true;
}

void service_stop(struct service *service)
{
    (void)service;
}

void service_free(struct service *service)
{
    (void)service;
}

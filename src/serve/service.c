/* The key-value store and its clients: kv.h is driven by the log, sessions.h brings what clients ask to the node, and
 * clients.h holds their sockets. A node without an address for clients keeps the store, and serves nobody. */
#include "serve/service.h"

#include <sys/resource.h>

#include "base/memory.h"
#include "serve/kv.h"

#define LAST_WORDS_US 200000 /* for what has been sent to clients to leave */

/* Files that may be open beside clients' sockets: the log's, and connections of and to 30 members. */
#define OTHER_FILES_MAX 256

struct service {
    struct service_config config;
    struct kv *kv;
    struct mailraft_machine machine;
    struct node *node;
    struct pile *pile; /* the clients' thread's; NULL, as what follows: there is no address for clients */
    struct sessions *sessions;
    struct clients *clients;
};

struct service *service_new(const struct service_config *config)
{
    struct service *service = memory_new(sizeof *service);
    service->config = *config;
    service->kv = kv_new(config->sessions.memory_bytes_max);
    service->machine = kv_machine(service->kv);
    if (config->clients.listen.port != 0)
        service->pile = pile_new();
    return service;
}

struct pile *service_pile(const struct service *service)
{
    return service->pile;
}

const struct mailraft_machine *service_machine(const struct service *service)
{
    return &service->machine;
}

/* Clients must not take the descriptors that the node needs for its files and for its peers. */
static void bound_clients(struct service *service)
{
    struct sessions_config *sessions = &service->config.sessions;
    size_t *max = &service->config.clients.connections_max;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return;
    size_t others = limit.rlim_cur < 2 * OTHER_FILES_MAX ? limit.rlim_cur / 2 : OTHER_FILES_MAX;
    size_t room = limit.rlim_cur - others;
    if (*max <= room)
        return;
    sessions->connections_wanted = *max;
    sessions->files_max = limit.rlim_cur;
    *max = room;
    sessions->connections_max = room;
}

static void ask(void *context, struct letter_list *letters)
{
    const struct service *service = context;
    node_ask(service->node, letters);
}

static bool start_clients(struct service *service, struct log *log, struct mailraft_error *err)
{
    const struct connection_calls connection = {connection_send, connection_pause, connection_close};
    service->sessions = sessions_new(&service->config.sessions, &connection, service->pile, ask, service, log);
    const struct clients_calls calls = sessions_calls(service->sessions);
    service->clients = clients_open(&service->config.clients, &calls, service->pile, log, err);
    return service->clients != NULL && clients_start(service->clients, err);
}

bool service_start(struct service *service, struct node *node, struct log *log, struct mailraft_error *err)
{
    service->node = node;
    if (service->pile == NULL)
        return true;
    bound_clients(service);
    return start_clients(service, log, err);
}

void service_stop(struct service *service)
{
    if (service->clients != NULL)
        clients_stop(service->clients, LAST_WORDS_US);
}

void service_free(struct service *service)
{
    clients_free(service->clients);
    sessions_free(service->sessions);
    pile_free(service->pile);
    kv_free(service->kv);
    memory_free(service);
}

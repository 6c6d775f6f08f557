/* The key-value service of each life, as mailraftd has it (serve/service.h): what its machine is given and comes to is
 * checked, and its clients' sockets are cables. */
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "serve/kv.h"
#include "sim/world.h"

#define LOOK_EVERY 8 /* entries, after which the state is looked at */

/* ---- The machine ---- */

static const struct mailraft_machine *store_of(void *context)
{
    return service_machine(((struct life *)context)->service);
}

static bool machine_prepare(void *context, const struct mailraft_proposal *proposal, struct mailraft_buffer *command)
{
    const struct mailraft_machine *store = store_of(context);

    return store->prepare(store->context, proposal, command);
}

static void machine_read(void *context, const void *query, size_t size, int64_t time_us, struct mailraft_buffer *reply)
{
    const struct mailraft_machine *store = store_of(context);

    store->read(store->context, query, size, time_us, reply);
}

static void put_answer(const struct mailraft_machine *store, enum kv_op op, const struct text *keys, size_t count,
                       int64_t time_us, struct mailraft_buffer *answers)
{
    struct mailraft_buffer query = {.bytes = NULL};
    struct kv_request request;

    kv_request_begin(&request, &query, 0);
    kv_request_ops(&request);
    kv_request_op(&request, op, keys, count);
    store->read(store->context, query.bytes, query.size, time_us, answers);
    buffer_fini(&query);
}

/* What the keys that clients use hold, and the versions of those, and how much there is of everything. */
static uint64_t hash_state(const struct mailraft_machine *store, int64_t time_us)
{
    struct mailraft_buffer answers = {.bytes = NULL};
    struct text keys[SIM_KEYS_MAX];
    char names[SIM_KEYS_MAX][SIM_KEY_TEXT_MAX];
    uint64_t hash;

    for (int i = 0; i < SIM_KEYS_MAX; i++) {
        sim_key_name(i, names[i]);
        keys[i] = (struct text){(const uint8_t *)names[i], strlen(names[i])};
    }
    put_answer(store, KV_MGET, keys, SIM_KEYS_MAX, time_us, &answers);
    put_answer(store, KV_VERSIONS, keys, SIM_KEYS_MAX, time_us, &answers);
    put_answer(store, KV_STATE, NULL, 0, time_us, &answers);
    hash = bytes_checksum(answers.bytes, answers.size);
    buffer_fini(&answers);
    return hash == 0 ? 1 : hash;
}

/* One by one, so that the state is looked at after the same entries everywhere. */
static void machine_apply(void *context, const struct mailraft_entry *entries, size_t count,
                          struct mailraft_standing *standing)
{
    struct life *life = context;
    const struct mailraft_machine *store = store_of(context);

    for (size_t i = 0; i < count; i++) {
        check_applying(life->machine, &entries[i]);
        store->apply(store->context, &entries[i], 1, standing);
        if (entries[i].index % LOOK_EVERY == 0)
            check_state(life->machine, entries[i].index, hash_state(store, entries[i].time_us));
    }
}

static bool machine_write_snapshot(void *context, uint64_t portion, struct mailraft_buffer *bytes)
{
    const struct mailraft_machine *store = store_of(context);

    return store->write_snapshot(store->context, portion, bytes);
}

static bool machine_read_snapshot(void *context, uint64_t portion, const void *bytes, size_t size, bool last,
                                  struct mailraft_error *err)
{
    const struct mailraft_machine *store = store_of(context);

    return store->read_snapshot(store->context, portion, bytes, size, last, err);
}

/* ---- The service ---- */

/* Bounds so small that clients come to them now and then. */
static void configure(struct service_config *config, const struct node_config *node)
{
    *config = (struct service_config){
        .sessions = {.id = node->id,
                     .members = node->members,
                     .client_timeout_us = the_sim->client_timeout_us,
                     .request_bytes_max = 2048,
                     .memory_bytes_max = 1024 * 1024 * 1024,
                     .connections_max = 100,
                     .flight_bytes_max = 16 * 1024,
                     .pid = node->pid},
        .clients = {.connections_max = 100,
                    .output_bytes_max = 1024 * 1024,
                    .output_total_max = 1024 * 1024,
                    .input_bytes_max = 1024 * 1024,
                    .client_stall_us = 60000000},
    };
    strcpy(config->sessions.cluster_name, node->cluster_name);
    strcpy(config->sessions.client.host, node->listen.host);
    config->sessions.client.port = config->clients.listen.port = 6400;
}

void sim_serve(struct sim *sim, int64_t client_timeout_us)
{
    sim->serving = true;
    sim->client_timeout_us = client_timeout_us;
}

void serving_begin(struct life *life)
{
    struct node_config *node = &life->machine->config;
    struct service_config config;

    configure(&config, node);
    life->service = service_new(&config);
    life->serving = (struct mailraft_machine){life,         machine_prepare,        machine_apply,
                                              machine_read, machine_write_snapshot, machine_read_snapshot};
    node->machine = &life->serving;
    node->watcher = service_pile(life->service);
}

void serving_start(struct life *life)
{
    struct mailraft_error err;

    if (!service_start(life->service, life->node, life->machine->log, &err))
        sim_fail("%d cannot serve clients: %s", life->machine->id, err.message);
}

void serving_stop(struct life *life)
{
    service_stop(life->service);
}

void serving_end(struct life *life)
{
    service_free(life->service);
    life->service = NULL;
}

void sim_key_name(int key, char name[SIM_KEY_TEXT_MAX])
{
    snprintf(name, SIM_KEY_TEXT_MAX, "key:%d", key);
}

/* config_fuzz.c - the JSON that a node is started with. What is not plain JSON is refused; what is, json-c reads; what
 * the config takes is within the bounds that the README's table tells; and an error is one line that begins with the
 * file's name.
 *
 * Input: the file. The dictionary config.dict holds its keys. */
#include "fuzz.h"

#include <string.h>

#include <json-c/json.h>

#include "base/memory.h"
#include "memory_disk.h"
#include "serve/address.h"
#include "serve/config.h"
#include "serve/json_strict.h"
#include "storage/segment.h"

#define PATH  "fuzz.json"
#define AGAIN "again.json"

FUZZ_MARK(accepted, "a config that is taken");
FUZZ_MARK(of_several, "one of several members");
FUZZ_MARK(refused, "plain JSON that is refused");
FUZZ_MARK(not_plain, "what is no plain JSON");

/* ---- What is taken ---- */

static void check_address(const struct address *address, bool needed)
{
    size_t length = strlen(address->host);

    assert(length < ADDRESS_HOST_MAX);
    assert((length > 0) == (address->port != 0));
    assert(!needed || length > 0);
}

static void check_members(const struct members *members)
{
    assert(members->count >= 1 && members->count <= MEMBERS_MAX);
    for (int i = 0; i < members->count; i++) {
        const struct member *member = &members->list[i];
        assert(member->id > (i > 0 ? members->list[i - 1].id : 0));
        check_address(&member->peer, true);
        check_address(&member->client, false);
        check_address(&member->admin, false);
        for (int j = 0; j < i; j++)
            assert(!address_same(&member->peer, &members->list[j].peer));
    }
}

static void check_node(const struct node_config *node)
{
    assert(strlen(node->cluster_name) >= 1 && strlen(node->cluster_name) < CLUSTER_NAME_MAX);
    check_members(&node->members);
    assert(members_find(&node->members, node->id) >= 0);
    check_address(&node->listen, true);
    assert(node->data_dir[0] == '/' && strlen(node->data_dir) < DISK_PATH_MAX - 64);
    assert(node->election_timeout_min_us >= CONFIG_TIMEOUT_MS_MIN * 1000);
    assert(node->election_timeout_max_us <= CONFIG_TIMEOUT_MS_MAX * 1000);
    assert(node->election_timeout_min_us < node->election_timeout_max_us);
    assert(node->heartbeat_us > 0 && 2 * node->heartbeat_us <= node->election_timeout_min_us);
    assert(node->entry_bytes_max <= MAILBOX_ENTRY_BYTES_MAX && node->entry_bytes_max <= ENTRY_BYTES_MAX);
    assert(SEGMENT_DATA_OFFSET + frame_bytes(node->entry_bytes_max) <= node->segment_bytes);
    assert(node->log_cache_bytes <= CONFIG_CACHE_BYTES_MAX);
    assert(node->disk_stall_us > 0);
}

static void check_service(const struct service_config *service, const struct node_config *node)
{
    const struct sessions_config *sessions = &service->sessions;

    check_address(&service->clients.listen, false);
    assert(sessions->id == node->id && strcmp(sessions->cluster_name, node->cluster_name) == 0);
    assert(sessions->client_timeout_us > 0 && service->clients.client_stall_us > 0);
    assert(sessions->request_bytes_max > 0 && sessions->request_bytes_max + ENTRY_HEAD_BYTES < node->entry_bytes_max);
    assert(sessions->flight_bytes_max >= sessions->request_bytes_max);
    assert(service->clients.input_bytes_max >= sessions->request_bytes_max);
    assert(sessions->connections_max >= 1 && sessions->connections_max <= CONFIG_CLIENTS_MAX);
    assert(sessions->memory_bytes_max > 0);
}

static void check_trust(const struct config *config)
{
    const struct address *listen = &config->service.clients.listen;

    if (config->trusted_network)
        return;
    assert(listen->port == 0 || address_is_loopback(listen));
    for (int i = 0; i < config->node.members.count; i++) {
        const struct address *client = &config->node.members.list[i].client;
        assert(client->port == 0 || address_is_loopback(client));
    }
}

/* As json-c writes it, it says the same. */
static void check_written(const char *text, const struct config *config)
{
    struct json_object *object = json_tokener_parse(text);
    const char *written = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
    struct config *again = memory_new(sizeof *again);
    struct mailraft_error err;

    memory_disk_put(AGAIN, written, strlen(written));
    bool taken = config_read(AGAIN, 0, again, &err);
    assert(taken && memcmp(again, config, sizeof *config) == 0);
    memory_free(again);
    json_object_put(object);
}

/* ---- What is not ---- */

static void check_error(const struct mailraft_error *err)
{
    assert(error_is(err, &CONFIG_ERROR));
    assert(strncmp(err->message, PATH ": ", strlen(PATH ": ")) == 0);
    for (const char *at = err->message; *at != '\0'; at++)
        assert((unsigned char)*at >= ' ');
}

/* json-c reads whatever we let through to it. */
static void check_reads(const char *text)
{
    enum json_tokener_error trouble;
    struct json_object *object = json_tokener_parse_verbose(text, &trouble);

    assert(trouble == json_tokener_success);
    json_object_put(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct config *config = memory_new(sizeof *config);
    char *text = memory_new(size + 1);
    struct mailraft_error err, strict_err;

    if (size > 0)
        memcpy(text, bytes, size);
    memory_disk_clear();
    memory_disk_put(PATH, bytes, size);
    uint8_t *exact = fuzz_copy(bytes, size);
    bool strict = json_strict_check((const char *)exact, size, &strict_err);
    memory_free(exact);
    if (strict)
        check_reads(text);
    if (config_read(PATH, 0, config, &err)) {
        assert(strict);
        fuzz_reach(accepted);
        if (config->node.members.count > 1)
            fuzz_reach(of_several);
        check_node(&config->node);
        check_service(&config->service, &config->node);
        check_trust(config);
        check_written(text, config);
    } else {
        check_error(&err);
        if (strict)
            fuzz_reach(refused);
        else
            fuzz_reach(not_plain);
    }
    memory_free(text);
    memory_free(config);
    return 0;
}

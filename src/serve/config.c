#include "serve/config.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/memory.h"
#include "serve/address.h"
#include "serve/json_strict.h"
#include "storage/segment.h"

#define PLACE_TEXT_MAX  160
#define KEY_SHOWN_MAX   40 /* bytes of a key that an error shows */
#define MIB             ((int64_t)1024 * 1024)
#define ENTRY_BYTES_LEAST (32 * 1024) /* the entry that names 31 members with the longest addresses fits */
#define REQUEST_BYTES_LEAST 4096
#define REQUEST_HEADS_BYTES 1024 /* at most what an entry has beside a request's arguments */
#define VALUE_SHOWN_MAX 80                   /* bytes of a value that an error shows */
#define DATA_DIR_MAX    (DISK_PATH_MAX - 64) /* leaves room for the names of the files in it */

/* Where in the file a value stands: a chain from the value up to the top, on the stack. */
struct place {
    const struct place *parent; /* NULL: the top of the file */
    const char *key;            /* NULL: an element of an array */
    int index;
};

/* As much of a key as there is room for. It may hold anything: what would break the line is told as JSON has it. */
static void key_append(const char *key, char *text, size_t size)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < KEY_SHOWN_MAX && key[i] != '\0' && length < size; i++) {
        unsigned char byte = (unsigned char)key[i];
        const char *format = byte < ' ' || byte == 0x7f ? "\\u%04x" : "%c";
        length += (size_t)snprintf(text + length, size - length, format, byte);
    }
}

static void place_format(const struct place *place, char *text, size_t size)
{
    text[0] = '\0';
    if (place->parent != NULL)
        place_format(place->parent, text, size);
    size_t length = strlen(text);
    if (place->key == NULL) {
        snprintf(text + length, size - length, "[%d]", place->index);
        return;
    }
    snprintf(text + length, size - length, "%s", length > 0 ? "." : "");
    key_append(place->key, text, size);
}

/* The JSON of a value, cut where it is long. */
static void value_format(struct json_object *value, char text[VALUE_SHOWN_MAX + 4])
{
    const char *json = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    size_t length = strlen(json);
    const char *end = "";
    if (length > VALUE_SHOWN_MAX) {
        length = VALUE_SHOWN_MAX;
        end = "...";
        while (((unsigned char)json[length] & 0xc0) == 0x80)
            length--; /* not within a character */
    }
    snprintf(text, VALUE_SHOWN_MAX + 4, "%.*s%s", (int)length, json, end);
}

/* Raises "PATH: WHAT". */
static bool wrong(const struct place *place, struct mailraft_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool wrong(const struct place *place, struct mailraft_error *err, const char *format, ...)
{
    char path[PLACE_TEXT_MAX];
    char what[640];
    va_list arguments;
    place_format(place, path, sizeof(path));
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    return error_raise(err, &CONFIG_ERROR, "%s: %s", path, what);
}

/* Raises "PATH: VALUE WHAT". */
static bool wrong_value(const struct place *place, struct json_object *value, struct mailraft_error *err,
                        const char *what)
{
    char text[VALUE_SHOWN_MAX + 4];
    value_format(value, text);
    return wrong(place, err, "%s %s", text, what);
}

/* ---- Objects and their keys ---- */

static bool wrong_unknown(const struct place *place, struct json_object *value, const char *const *keys,
                          struct mailraft_error *err)
{
    char what[500] = "is not known; the keys here are";
    for (size_t i = 0; keys[i] != NULL; i++) {
        size_t length = strlen(what);
        snprintf(what + length, sizeof(what) - length, "%s %s", i > 0 ? "," : "", keys[i]);
    }
    return wrong_value(place, value, err, what);
}

/* Whether a value is an object with none but the listed keys. keys: ends with NULL. */
static bool check_object(const struct place *place, struct json_object *value, const char *const *keys,
                         struct mailraft_error *err)
{
    if (!json_object_is_type(value, json_type_object))
        return wrong_value(place, value, err, "must be an object: {...}");
    struct json_object_iterator at = json_object_iter_begin(value);
    struct json_object_iterator end = json_object_iter_end(value);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        struct place key = {place, json_object_iter_peek_name(&at), 0};
        size_t i = 0;
        while (keys[i] != NULL && strcmp(keys[i], key.key) != 0)
            i++;
        if (keys[i] == NULL)
            return wrong_unknown(&key, json_object_iter_peek_value(&at), keys, err);
    }
    return true;
}

/* The value of a key, if it is there. A null is there. */
static bool find(struct json_object *object, const char *key, struct json_object **value)
{
    *value = NULL;
    return object != NULL && json_object_object_get_ex(object, key, value);
}

static bool require(const struct place *parent, struct json_object *object, const char *key, const char *what,
                    struct json_object **value, struct mailraft_error *err)
{
    struct place place = {parent, key, 0};
    return find(object, key, value) || wrong(&place, err, "is missing; write %s", what);
}

/* ---- Plain values: where the key is absent, what they fill in stays as it is ---- */

static bool read_whole(const struct place *parent, struct json_object *object, const char *key, int64_t min,
                       int64_t max, int64_t *number, struct mailraft_error *err)
{
    struct place place = {parent, key, 0};
    struct json_object *value;
    if (!find(object, key, &value))
        return true;
    char right[80];
    snprintf(right, sizeof(right), "is not right; write a whole number from %lld to %lld", (long long)min,
             (long long)max);
    if (!json_object_is_type(value, json_type_int))
        return wrong_value(&place, value, err, right);
    int64_t found = json_object_get_int64(value);
    if (found < min || found > max)
        return wrong_value(&place, value, err, right);
    *number = found;
    return true;
}

static bool read_bool(const struct place *parent, struct json_object *object, const char *key, bool *flag,
                      struct mailraft_error *err)
{
    struct place place = {parent, key, 0};
    struct json_object *value;
    if (!find(object, key, &value))
        return true;
    if (!json_object_is_type(value, json_type_boolean))
        return wrong_value(&place, value, err, "must be true or false");
    *flag = json_object_get_boolean(value);
    return true;
}

/* Of an object within an object: NULL where the key is absent. */
static bool read_object(const struct place *parent, struct json_object *object, const char *key,
                        const char *const *keys, struct json_object **inner, struct mailraft_error *err)
{
    struct place place = {parent, key, 0};
    return !find(object, key, inner) || check_object(&place, *inner, keys, err);
}

static bool read_address(const struct place *parent, struct json_object *object, const char *key,
                         struct address *address, struct mailraft_error *err)
{
    struct place place = {parent, key, 0};
    struct json_object *value;
    if (!find(object, key, &value))
        return true;
    if (!json_object_is_type(value, json_type_string) || !address_parse(json_object_get_string(value), address))
        return wrong_value(&place, value, err, "is not an address; write \"host:port\", with a port from 1 to 65535");
    return true;
}

/* ---- Addresses ---- */

/* Addresses seen so far and where they stand. */
struct claims {
    int count;
    struct {
        struct address address;
        char where[PLACE_TEXT_MAX];
    } list[3 * MEMBERS_MAX];
};

static bool claim(struct claims *claims, const struct place *parent, const char *key, const struct address *address,
                  struct mailraft_error *err)
{
    if (address->port == 0)
        return true;
    struct place place = {parent, key, 0};
    for (int i = 0; i < claims->count; i++) {
        if (!address_same(&claims->list[i].address, address))
            continue;
        char text[ADDRESS_TEXT_MAX];
        return wrong(&place, err, "\"%s\" is taken by %s; each needs an address of its own",
                     address_format(address, text, sizeof(text)), claims->list[i].where);
    }
    assert(claims->count < 3 * MEMBERS_MAX);
    claims->list[claims->count].address = *address;
    place_format(&place, claims->list[claims->count].where, PLACE_TEXT_MAX);
    claims->count++;
    return true;
}

/* ---- cluster ---- */

static bool read_name(const struct place *cluster, struct json_object *object, char *name, struct mailraft_error *err)
{
    static const char WRONG[] = "is no name; write 1 to 64 printable ASCII characters without spaces and quotes";
    struct place place = {cluster, "name", 0};
    struct json_object *value;
    if (!require(cluster, object, "name", "the cluster's name", &value, err))
        return false;
    if (!json_object_is_type(value, json_type_string))
        return wrong_value(&place, value, err, WRONG);
    const char *text = json_object_get_string(value);
    size_t length = strlen(text);
    bool good = length >= 1 && length < CLUSTER_NAME_MAX;
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\'')
            good = false;
    if (!good)
        return wrong_value(&place, value, err, WRONG);
    memcpy(name, text, length + 1);
    return true;
}

/* Where others reach a member, which is not always where it binds. */
static bool read_member_address(const struct place *member, struct json_object *object, const char *key,
                                struct address *address, struct mailraft_error *err)
{
    struct place place = {member, key, 0};
    if (!read_address(member, object, key, address, err))
        return false;
    if (address->port == 0 || address_is_one_machine(address))
        return true;
    char text[ADDRESS_TEXT_MAX];
    return wrong(&place, err,
                 "\"%s\" leads others to no machine; write the member's own address, and what it is to bind in "
                 "listen.%s of its own config",
                 address_format(address, text, sizeof(text)), key);
}

static bool read_member(const struct place *place, struct json_object *value, struct member *member,
                        struct mailraft_error *err)
{
    static const char *const KEYS[] = {"id", "peer", "client", "admin", NULL};
    struct json_object *needed;
    int64_t id = 0;
    if (!check_object(place, value, KEYS, err) ||
        !require(place, value, "id", "a whole number from 1 to 2147483647", &needed, err) ||
        !require(place, value, "peer", "\"host:port\", where the others reach it", &needed, err) ||
        !read_whole(place, value, "id", 1, INT32_MAX, &id, err) ||
        !read_member_address(place, value, "peer", &member->peer, err) ||
        !read_member_address(place, value, "client", &member->client, err) ||
        !read_member_address(place, value, "admin", &member->admin, err))
        return false;
    member->id = (raft_id)id;
    return true;
}

/* Whether a member has nothing that one before it has. */
static bool check_member(const struct place *place, const struct members *members, int index, struct claims *claims,
                         struct mailraft_error *err)
{
    const struct member *member = &members->list[index];
    for (int i = 0; i < index; i++) {
        struct place id = {place, "id", 0};
        if (members->list[i].id == member->id)
            return wrong(&id, err, "%d is the id of cluster.members[%d] too; each needs its own", member->id, i);
    }
    return claim(claims, place, "peer", &member->peer, err) && claim(claims, place, "client", &member->client, err) &&
           claim(claims, place, "admin", &member->admin, err);
}

static int by_id(const void *one, const void *other)
{
    raft_id a = ((const struct member *)one)->id;
    raft_id b = ((const struct member *)other)->id;
    return (a > b) - (a < b);
}

static bool read_members(const struct place *cluster, struct json_object *object, struct members *members,
                         struct mailraft_error *err)
{
    struct place place = {cluster, "members", 0};
    struct json_object *value;
    if (!require(cluster, object, "members", "a list of {\"id\": 1, \"peer\": \"host:port\"}", &value, err))
        return false;
    if (!json_object_is_type(value, json_type_array))
        return wrong_value(&place, value, err, "must be a list: [{\"id\": 1, \"peer\": \"host:port\"}, ...]");
    size_t count = json_object_array_length(value);
    if (count < 1 || count > MEMBERS_MAX)
        return wrong(&place, err, "has %zu members; there must be 1 to %d", count, MEMBERS_MAX);
    struct claims claims = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        struct place element = {&place, NULL, (int)i};
        if (!read_member(&element, json_object_array_get_idx(value, i), &members->list[i], err) ||
            !check_member(&element, members, (int)i, &claims, err))
            return false;
    }
    members->count = (int)count;
    qsort(members->list, count, sizeof(members->list[0]), by_id);
    return true;
}

/* How many votes the first leader needs. */
static bool read_birth(const struct place *cluster, struct json_object *object, bool *all, struct mailraft_error *err)
{
    struct place place = {cluster, "birth", 0};
    struct json_object *value;
    if (!find(object, "birth", &value))
        return true;
    const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
    *all = strcmp(text, "all") == 0;
    return *all || strcmp(text, "majority") == 0 ||
           wrong_value(&place, value, err, "is not right; write \"majority\" or \"all\"");
}

static bool read_cluster(const struct place *top, struct json_object *object, struct config *config,
                         struct mailraft_error *err)
{
    static const char *const KEYS[] = {"name", "members", "birth", NULL};
    struct place place = {top, "cluster", 0};
    struct json_object *cluster;
    return require(top, object, "cluster", "{\"name\": ..., \"members\": [...]}", &cluster, err) &&
           check_object(&place, cluster, KEYS, err) && read_name(&place, cluster, config->node.cluster_name, err) &&
           read_members(&place, cluster, &config->node.members, err) &&
           read_birth(&place, cluster, &config->node.birth_all, err);
}

/* ---- What concerns this node ---- */

static void members_list(const struct members *members, char *text, size_t size)
{
    text[0] = '\0';
    for (int i = 0; i < members->count; i++) {
        size_t length = strlen(text);
        snprintf(text + length, size - length, "%s%d", i > 0 ? ", " : "", members->list[i].id);
    }
}

/* id: from the command line; 0: the file's counts. */
static bool read_id(const struct place *top, struct json_object *object, raft_id id, struct config *config,
                    struct mailraft_error *err)
{
    struct place place = {top, "id", 0};
    int64_t in_file = 0;
    if (!read_whole(top, object, "id", 1, INT32_MAX, &in_file, err))
        return false;
    config->node.id = id != 0 ? id : (raft_id)in_file;
    if (config->node.id == 0)
        return wrong(&place, err, "is missing; write which member this node is, or start it with --id N");
    if (members_find(&config->node.members, config->node.id) >= 0)
        return true;
    char ids[MEMBERS_MAX * 12 + 1];
    members_list(&config->node.members, ids, sizeof(ids));
    return wrong(&place, err, "%d%s is no member; cluster.members lists %s", config->node.id,
                 id != 0 ? " (from --id)" : "", ids);
}

/* Where this node binds: as `listen` says, else as others reach it. */
static bool read_listen(const struct place *top, struct json_object *object, struct config *config,
                        struct mailraft_error *err)
{
    static const char *const KEYS[] = {"peer", "client", "admin", NULL};
    const struct members *members = &config->node.members;
    const struct member *self = &members->list[members_find(members, config->node.id)];
    config->node.listen = self->peer;
    config->service.clients.listen = self->client;
    config->listen_admin = self->admin;
    struct place place = {top, "listen", 0};
    struct json_object *listen;
    if (!read_object(top, object, "listen", KEYS, &listen, err) ||
        !read_address(&place, listen, "peer", &config->node.listen, err) ||
        !read_address(&place, listen, "client", &config->service.clients.listen, err) ||
        !read_address(&place, listen, "admin", &config->listen_admin, err))
        return false;
    struct claims claims = {.count = 0};
    return claim(&claims, &place, "peer", &config->node.listen, err) &&
           claim(&claims, &place, "client", &config->service.clients.listen, err) &&
           claim(&claims, &place, "admin", &config->listen_admin, err);
}

static bool check_trusted(const struct place *parent, const struct address *client, struct mailraft_error *err)
{
    struct place place = {parent, "client", 0};
    char text[ADDRESS_TEXT_MAX];
    if (client->port == 0 || address_is_loopback(client))
        return true;
    return wrong(&place, err,
                 "\"%s\" can be reached by other machines, and clients need no password; use 127.0.0.1, or set "
                 "\"trusted_network\": true where only trusted machines can reach it",
                 address_format(client, text, sizeof(text)));
}

/* Clients need no password yet, so what they may reach must be said. */
static bool read_trusted(const struct place *top, struct json_object *object, struct config *config,
                         struct mailraft_error *err)
{
    if (!read_bool(top, object, "trusted_network", &config->trusted_network, err))
        return false;
    if (config->trusted_network)
        return true;
    struct place cluster = {top, "cluster", 0};
    struct place members = {&cluster, "members", 0};
    for (int i = 0; i < config->node.members.count; i++) {
        struct place member = {&members, NULL, i};
        if (!check_trusted(&member, &config->node.members.list[i].client, err))
            return false;
    }
    struct place listen = {top, "listen", 0};
    return check_trusted(&listen, &config->service.clients.listen, err);
}

static bool read_times(const struct place *top, struct json_object *object, struct config *config,
                       struct mailraft_error *err)
{
    static const char *const KEYS[] = {"min", "max", NULL};
    struct place timeout = {top, "election_timeout_ms", 0};
    struct place timeout_min = {&timeout, "min", 0};
    struct place heartbeat = {top, "heartbeat_ms", 0};
    int64_t min = 150, max = 300, beat = 50;
    struct json_object *inner;
    if (!read_object(top, object, timeout.key, KEYS, &inner, err) ||
        !read_whole(&timeout, inner, "min", CONFIG_TIMEOUT_MS_MIN, CONFIG_TIMEOUT_MS_MAX, &min, err) ||
        !read_whole(&timeout, inner, "max", CONFIG_TIMEOUT_MS_MIN, CONFIG_TIMEOUT_MS_MAX, &max, err) ||
        !read_whole(top, object, heartbeat.key, 1, CONFIG_TIMEOUT_MS_MAX / 2, &beat, err))
        return false;
    if (min >= max)
        return wrong(&timeout_min, err, "%lld is not below max, which is %lld", (long long)min, (long long)max);
    if (2 * beat > min)
        return wrong(&heartbeat, err,
                     "%lld is too slow; with election_timeout_ms.min at %lld it must be at most "
                     "%lld",
                     (long long)beat, (long long)min, (long long)min / 2);
    config->node.election_timeout_min_us = min * 1000;
    config->node.election_timeout_max_us = max * 1000;
    config->node.heartbeat_us = beat * 1000;
    return true;
}

/* The largest entry that a file of the log has room for. */
static int64_t entry_bytes_that_fit(int64_t segment_bytes)
{
    int64_t frames = segment_bytes - SEGMENT_DATA_OFFSET;
    return frames - frames % FRAME_BORDER - FRAME_HEAD_BYTES;
}

static bool read_storage(const struct place *top, struct json_object *object, struct config *config,
                         struct mailraft_error *err)
{
    struct place entry = {top, "max_entry_bytes", 0};
    int64_t segment_bytes = 64 * MIB, cache_bytes = 8 * MIB, entry_bytes = 2 * MIB, stall_ms = 1000;
    if (!read_whole(top, object, "segment_bytes", 64 * 1024, 1024 * MIB, &segment_bytes, err) ||
        !read_whole(top, object, "log_cache_bytes", 64 * 1024, CONFIG_CACHE_BYTES_MAX, &cache_bytes, err) ||
        !read_whole(top, object, entry.key, ENTRY_BYTES_LEAST, 64 * MIB, &entry_bytes, err) ||
        !read_whole(top, object, "disk_stall_ms", 10, CONFIG_TIMEOUT_MS_MAX, &stall_ms, err))
        return false;
    int64_t fits = entry_bytes_that_fit(segment_bytes);
    if (entry_bytes > fits)
        return wrong(&entry, err, "%lld is too large; with segment_bytes at %lld it must be at most %lld",
                     (long long)entry_bytes, (long long)segment_bytes, (long long)fits);
    config->node.segment_bytes = (uint64_t)segment_bytes;
    config->node.log_cache_bytes = (size_t)cache_bytes;
    config->node.entry_bytes_max = (size_t)entry_bytes;
    config->node.disk_stall_us = stall_ms * 1000;
    return true;
}

/* ---- Clients ---- */

/* Half of what the machine has. */
static int64_t memory_bytes_default(void)
{
    int64_t pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_bytes > 0 ? pages / 2 * page_bytes : 1024 * MIB;
}

static size_t at_least(int64_t least, int64_t bytes)
{
    return (size_t)(bytes < least ? least : bytes);
}

/* A request is logged in one entry. */
static bool read_request_bytes(const struct place *top, struct json_object *object, struct config *config,
                               struct mailraft_error *err)
{
    struct place place = {top, "max_request_bytes", 0};
    int64_t entry_bytes = (int64_t)config->node.entry_bytes_max, bytes = entry_bytes / 2;
    if (!read_whole(top, object, place.key, REQUEST_BYTES_LEAST, 64 * MIB, &bytes, err))
        return false;
    if (bytes > entry_bytes - REQUEST_HEADS_BYTES)
        return wrong(&place, err, "%lld is too large; with max_entry_bytes at %lld it must be at most %lld",
                     (long long)bytes, (long long)entry_bytes, (long long)entry_bytes - REQUEST_HEADS_BYTES);
    config->service.sessions.request_bytes_max = (size_t)bytes;
    config->service.sessions.flight_bytes_max = at_least(16 * MIB, 4 * bytes);
    config->service.clients.input_bytes_max = at_least(64 * MIB, 4 * bytes);
    return true;
}

/* What sessions tell of the node. */
static void introduce(struct config *config)
{
    const struct members *members = &config->node.members;
    const struct member *self = &members->list[members_find(members, config->node.id)];
    struct sessions_config *sessions = &config->service.sessions;
    sessions->id = config->node.id;
    sessions->members = *members;
    sessions->client = self->client.port != 0 ? self->client : config->service.clients.listen;
    strcpy(sessions->cluster_name, config->node.cluster_name);
}

static bool read_clients(const struct place *top, struct json_object *object, struct config *config,
                         struct mailraft_error *err)
{
    struct sessions_config *sessions = &config->service.sessions;
    struct clients_config *clients = &config->service.clients;
    int64_t memory_bytes = memory_bytes_default(), count = 10000, output_bytes = 64 * MIB;
    int64_t timeout_ms = 5000, stall_ms = 30000;
    if (!read_whole(top, object, "client_timeout_ms", 1, CONFIG_CLIENT_MS_MAX, &timeout_ms, err) ||
        !read_whole(top, object, "client_stall_ms", 1, CONFIG_CLIENT_MS_MAX, &stall_ms, err) ||
        !read_whole(top, object, "client_output_bytes", MIB, CONFIG_CACHE_BYTES_MAX, &output_bytes, err) ||
        !read_whole(top, object, "max_clients", 1, CONFIG_CLIENTS_MAX, &count, err) ||
        !read_whole(top, object, "max_memory_bytes", MIB, CONFIG_CACHE_BYTES_MAX, &memory_bytes, err) ||
        !read_bool(top, object, "debug_commands", &sessions->debug_commands, err))
        return false;
    sessions->client_timeout_us = timeout_ms * 1000;
    sessions->memory_bytes_max = (size_t)memory_bytes;
    sessions->connections_max = clients->connections_max = (size_t)count;
    clients->client_stall_us = stall_ms * 1000;
    clients->output_bytes_max = (size_t)output_bytes;
    clients->output_total_max = at_least(256 * MIB, 4 * output_bytes);
    introduce(config);
    return read_request_bytes(top, object, config, err);
}

static bool read_log(const struct place *top, struct json_object *object, struct config *config,
                     struct mailraft_error *err)
{
    static const char *const KEYS[] = {"level", NULL};
    struct place log = {top, "log", 0};
    struct place level = {&log, "level", 0};
    struct json_object *inner, *value;
    config->log_level = LOG_INFO;
    if (!read_object(top, object, "log", KEYS, &inner, err))
        return false;
    if (!find(inner, "level", &value))
        return true;
    if (!json_object_is_type(value, json_type_string) ||
        !log_level_from_name(json_object_get_string(value), &config->log_level))
        return wrong_value(&level, value, err,
                           "is no level; write \"error\", \"warn\", \"info\", \"debug\" or \"trace\"");
    return true;
}

/* ---- data_dir ---- */

/* The folder that a file stands in, absolute, as folder[PATH_MAX]. */
static bool folder_of(const char *path, char *folder, struct mailraft_error *err)
{
    char *copy = memory_new(strlen(path) + 3);
    strcpy(copy, path);
    char *slash = strrchr(copy, '/');
    if (slash == NULL)
        strcpy(copy, ".");
    else
        slash[slash == copy ? 1 : 0] = '\0';
    bool good = realpath(copy, folder) != NULL ||
                error_raise_os(err, &CONFIG_ERROR, "Couldn't find the folder \"%.200s\"", copy);
    memory_free(copy);
    return good;
}

/* Appends `length` bytes of text; false where they do not fit. */
static bool append(char *to, size_t size, const char *text, size_t length)
{
    size_t have = strlen(to);
    if (have + length >= size)
        return false;
    memcpy(to + have, text, length);
    to[have + length] = '\0';
    return true;
}

/* Leaves out each "../" and "./" at the beginning of a path, and for each "../" the last part of the folder, which has
 * no symbolic links any more. Returns the rest of the path. */
static const char *climb(char *folder, const char *path)
{
    for (;;) {
        if (strncmp(path, "../", 3) == 0) {
            char *slash = strrchr(folder, '/');
            slash[slash == folder ? 1 : 0] = '\0';
            path += 3;
        } else if (strncmp(path, "./", 2) == 0) {
            path += 2;
        } else {
            return path;
        }
    }
}

/* data_dir as the file writes it, made absolute, with the id in the place of {id}; false where it is too long. */
static bool data_dir_expand(char *folder, const char *text, raft_id id, char data_dir[DATA_DIR_MAX])
{
    static const char MARK[] = "{id}";
    char id_text[12];
    int id_length = snprintf(id_text, sizeof(id_text), "%d", id);
    data_dir[0] = '\0';
    if (text[0] != '/') {
        text = climb(folder, text);
        if (!append(data_dir, DATA_DIR_MAX, folder, strlen(folder)) ||
            !append(data_dir, DATA_DIR_MAX, "/", strcmp(folder, "/") == 0 ? 0 : 1))
            return false;
    }
    for (const char *mark = strstr(text, MARK); mark != NULL; mark = strstr(text, MARK)) {
        if (!append(data_dir, DATA_DIR_MAX, text, (size_t)(mark - text)) ||
            !append(data_dir, DATA_DIR_MAX, id_text, (size_t)id_length))
            return false;
        text = mark + strlen(MARK);
    }
    return append(data_dir, DATA_DIR_MAX, text, strlen(text));
}

static bool read_data_dir(const struct place *top, struct json_object *object, const char *path, struct config *config,
                          struct mailraft_error *err)
{
    struct place place = {top, "data_dir", 0};
    struct json_object *value;
    if (!require(top, object, "data_dir", "the folder for this node's data, such as \"data/{id}\"", &value, err))
        return false;
    if (!json_object_is_type(value, json_type_string) || json_object_get_string_len(value) == 0)
        return wrong_value(&place, value, err, "is no folder; write a path, such as \"data/{id}\"");
    char folder[PATH_MAX];
    if (!folder_of(path, folder, err))
        return false;
    if (!data_dir_expand(folder, json_object_get_string(value), config->node.id, config->node.data_dir))
        return wrong(&place, err, "is too long; the whole path must be shorter than %d bytes", DATA_DIR_MAX);
    return true;
}

/* ---- The file ---- */

static bool read_settings(struct json_object *object, const char *path, raft_id id, struct config *config,
                          struct mailraft_error *err)
{
    static const char *const KEYS[] = {"id",
                                       "data_dir",
                                       "cluster",
                                       "listen",
                                       "election_timeout_ms",
                                       "heartbeat_ms",
                                       "fast_failover",
                                       "segment_bytes",
                                       "log_cache_bytes",
                                       "max_entry_bytes",
                                       "disk_stall_ms",
                                       "client_timeout_ms",
                                       "client_stall_ms",
                                       "client_output_bytes",
                                       "max_request_bytes",
                                       "max_clients",
                                       "max_memory_bytes",
                                       "debug_commands",
                                       "trusted_network",
                                       "log",
                                       NULL};
    static const struct place TOP = {NULL, "", 0};
    memset(config, 0, sizeof(*config));
    config->node.fast_failover = true;
    return check_object(&TOP, object, KEYS, err) && read_cluster(&TOP, object, config, err) &&
           read_id(&TOP, object, id, config, err) && read_data_dir(&TOP, object, path, config, err) &&
           read_listen(&TOP, object, config, err) && read_times(&TOP, object, config, err) &&
           read_bool(&TOP, object, "fast_failover", &config->node.fast_failover, err) &&
           read_storage(&TOP, object, config, err) && read_clients(&TOP, object, config, err) && read_trusted(&TOP, object, config, err) &&
           read_log(&TOP, object, config, err);
}

/* Builds json-c's tree of a zero-terminated text that json_strict_check has passed. The caller puts it. */
static struct json_object *parse(const char *text, struct mailraft_error *err)
{
    struct json_object *object = NULL;
    enum json_tokener_error trouble = json_tokener_success;
    if (text[strspn(text, " \t\r\n")] == '{')
        object = json_tokener_parse_verbose(text, &trouble);
    if (object == NULL)
        error_raise(err, &CONFIG_ERROR, "the file must be one object: {...}%s%s",
                    trouble != json_tokener_success ? "; " : "",
                    trouble != json_tokener_success ? json_tokener_error_desc(trouble) : "");
    return object;
}

static bool read_json(const char *text, size_t size, const char *path, raft_id id, struct config *config,
                      struct mailraft_error *err)
{
    if (size > CONFIG_BYTES_MAX)
        return error_raise(err, &CONFIG_ERROR, "is larger than %d bytes", CONFIG_BYTES_MAX);
    if (!json_strict_check(text, size, err))
        return false;
    struct json_object *object = parse(text, err);
    bool good = object != NULL && read_settings(object, path, id, config, err);
    json_object_put(object);
    return good;
}

bool config_read(const char *path, raft_id id, struct config *config, struct mailraft_error *err)
{
    char *text = memory_new(CONFIG_BYTES_MAX + 1);
    size_t size = 0;
    struct disk_file *file = disk_open(path, DISK_READ, err);
    bool good = file != NULL && disk_read(file, 0, text, CONFIG_BYTES_MAX + 1, &size, err);
    disk_close(file);
    if (!good && err->os_errno == ESPIPE)
        error_raise(err, &CONFIG_ERROR, "%s is not a regular file", path); /* but a pipe or a terminal */
    else if (!good)
        err->class = &CONFIG_ERROR; /* a file that cannot be read is a matter of the config, not of the data folder */
    else
        good = read_json(text, size, path, id, config, err) || error_prefix(err, "%s", path);
    memory_free(text);
    return good;
}

bool config_peers_exposed(const struct config *config)
{
    bool exposed = !address_is_loopback(&config->node.listen);
    for (int i = 0; i < config->node.members.count; i++)
        exposed = exposed || !address_is_loopback(&config->node.members.list[i].peer);
    return exposed;
}

/* seeds.c - writes what the fuzz targets begin with: `seeds FOLDER` makes FOLDER/TARGET/NAME for each. They are checked
 * in (test/fuzz/corpus), beside the inputs that have once found something, and are made anew (make fuzz-seeds) when a
 * format changes. What an input is made of is told at the head of each target. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "fuzz.h"
#include "mail/wire.h"
#include "memory_disk.h"
#include "peer.h"
#include "raft/configuration.h"
#include "serve/kv.h"
#include "serve/kv_snapshot.h"
#include "storage/ballot.h"
#include "storage/identity.h"

#define NUMBER_MAX (INT64_MAX - 1) /* of a term, an index, a time */

static const char *folder;
static struct mailraft_buffer out; /* the seed that is being made */

/* ---- Putting one together ---- */

static void put(const void *bytes, size_t size)
{
    mailraft_buffer_put(&out, bytes, size);
}

static void put_u8(unsigned value)
{
    uint8_t byte = (uint8_t)value;

    put(&byte, 1);
}

static void put_u16(unsigned value)
{
    put_u8(value);
    put_u8(value >> 8);
}

static void put_u64(uint64_t value)
{
    uint8_t bytes[8];

    bytes_put_u64(bytes, value);
    put(bytes, sizeof bytes);
}

static void put_text(const char *text)
{
    put(text, strlen(text));
}

/* Ends the seed. */
static void save(const char *target, const char *name)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
    file = fopen(path, "wb");
    if (file == NULL || fwrite(out.bytes, 1, out.size, file) != out.size || fclose(file) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    buffer_clear(&out);
}

/* ---- Entries ---- */

static struct entry *config_entry(raft_term term, raft_index index)
{
    struct configuration configuration = {.members.count = 3};
    struct mailbox_config cluster;
    struct mailraft_buffer payload = {.bytes = NULL};
    struct entry *entry;

    peer_configure(&cluster);
    configuration.members = cluster.members;
    configuration.members.list[0].client = (struct address){"::1", 6401};
    configuration.uuid = cluster.cluster_uuid;
    configuration.data_ids[0] = cluster.data_id;
    configuration_encode(&configuration, &payload);
    entry = entry_new(ENTRY_CONFIG, term, index, 1000, payload.bytes, payload.size);
    buffer_fini(&payload);
    return entry;
}

static void put_entry(struct entry *entry)
{
    put(entry->bytes, entry->size);
    entry_drop(entry);
}

static void put_entries(raft_term term, raft_index first)
{
    static const uint8_t LEAD[8] = {1, 2, 3};

    put_entry(entry_new(ENTRY_NO_OP, term, first, 1000, LEAD, sizeof LEAD));
    put_entry(entry_new(ENTRY_COMMAND, term, first + 1, 1001, "a command", 9));
    put_entry(config_entry(term + 1, first + 2));
}

static void entry_begin(unsigned flags)
{
    put_u8(flags);
    put_u16(4096);
}

static void make_entries(void)
{
    entry_begin(1);
    put_entries(3, 7);
    save("entry", "three_entries");
    entry_begin(3);
    put_entries(3, 7);
    put("cut", 3);
    save("entry", "a_cut_entry");
    entry_begin(0);
    put_entry(entry_new(ENTRY_TIME, 1, 1, 1000, NULL, 0));
    save("entry", "an_entry_without_payload");
    entry_begin(0);
    put_entry(entry_new(ENTRY_CONFIG, 1, 1, 1000, "nobody", 6));
    save("entry", "a_config_of_nobody");
    entry_begin(1);
    put_entry(entry_new(ENTRY_COMMAND, NUMBER_MAX, NUMBER_MAX, NUMBER_MAX, NULL, 0));
    save("entry", "numbers_at_their_limits");
    entry_begin(0);
    put_entries(3, 7);
    out.bytes[out.size - 1] ^= 1;
    save("entry", "a_damaged_entry");
}

/* ---- Requests and replies ---- */

static void put_requests(void)
{
    requests_put(&out,
                 &(struct request){.kind = REQUEST_COMMAND, .number = 1, .bytes = (const uint8_t *)"do", .size = 2});
    requests_put(&out,
                 &(struct request){.kind = REQUEST_QUERY, .number = 2, .bytes = (const uint8_t *)"tell", .size = 4});
    requests_put(&out, &(struct request){.kind = REQUEST_QUERY_BEHIND, .number = 3});
    requests_put(&out, &(struct request){.kind = REQUEST_COUNT, .number = 4, .index = 9});
}

static void put_replies(void)
{
    replies_put(&out, &(struct reply){.outcome = OUTCOME_APPLIED,
                                      .number = 1,
                                      .index = 9,
                                      .leader_id = 2,
                                      .bytes = (const uint8_t *)"+OK\r\n",
                                      .size = 5});
    replies_put(&out, &(struct reply){.outcome = OUTCOME_NOT_EXECUTED, .number = 2, .leader_id = NO_ONE});
}

static void make_requests(void)
{
    put_u16(0);
    put_requests();
    save("requests", "each_kind_of_request");
    put_u16(1);
    put_replies();
    save("requests", "replies");
    put_u16(0x0400);
    put_requests();
    save("requests", "requests_in_portions");
    put_u16(0x0301);
    put_replies();
    save("requests", "replies_in_portions");
    put_u16(0);
    put_requests();
    put_u8(1);
    save("requests", "requests_and_a_byte");
}

/* ---- What peers say ---- */

static void put_hello_of(raft_id sender, enum channel channel, uint64_t connection, const char *cluster_name)
{
    struct mailbox_config config;
    struct hello hello = {.version_lowest = 1,
                          .version_highest = 1,
                          .sender = sender,
                          .receiver = 1,
                          .channel = channel,
                          .incarnation = PEER_INCARNATION,
                          .connection = connection};

    peer_configure(&config);
    strcpy(hello.cluster_name, cluster_name);
    hello.members_checksum = members_checksum(&config.members);
    hello.data_id.bytes[0] = 2;
    struct frame *frame = wire_write_hello(&hello);
    put(frame->bytes, frame->size);
    frame_free(frame);
}

static void put_hello(enum channel channel, uint64_t connection, const char *cluster_name)
{
    put_hello_of(2, channel, connection, cluster_name);
}

static void make_hellos(void)
{
    put_hello(CHANNEL_URGENT, 1, "test");
    save("hello", "an_urgent_connection");
    put_hello(CHANNEL_BULK, 7, "test");
    save("hello", "an_answer");
    put_hello(CHANNEL_URGENT, 1, "another");
    save("hello", "another_cluster");
    put_hello_of(1, CHANNEL_URGENT, 1, "test");
    save("hello", "from_ourselves");
    put_hello_of(4, CHANNEL_URGENT, 1, "test");
    save("hello", "from_a_stranger");
    put_hello(CHANNEL_URGENT, 1, "test");
    out.size--;
    save("hello", "a_cut_hello");
}

static void put_message(const struct message *message)
{
    struct message said = *message;

    said.server_id = 2;
    struct frame *frame = wire_write_message(&said, NULL, true);
    put(frame->bytes, frame->size);
    frame_free(frame);
}

static void put_entries_message(void)
{
    struct message message = {.type_of_message = REQUEST_APPEND_ENTRIES,
                              .curr_term = 4,
                              .server_id = 2,
                              .prev_index = 6,
                              .prev_term = 2,
                              .commit_index = 5,
                              .round = 8,
                              .time_us = 12345,
                              .entry_count = 3};
    struct batch *entries = batch_new();
    struct frame *frame;

    batch_add(entries, entry_new(ENTRY_NO_OP, 3, 7, 1000, NULL, 0));
    batch_add(entries, entry_new(ENTRY_COMMAND, 3, 8, 1001, "a command", 9));
    batch_add(entries, config_entry(4, 9));
    frame = wire_write_message(&message, entries, true);
    put(frame->bytes, frame->own_size);
    for (size_t i = 0; i < entries->count; i++)
        put(entries->list[i]->bytes, entries->list[i]->size);
    frame_free(frame);
    batch_free(entries);
}

static void put_body_message(enum message_type type)
{
    struct message message = {.type_of_message = type,
                              .curr_term = 4,
                              .server_id = 2,
                              .request_incarnation = 5,
                              .request_connection = 1,
                              .request_channel = CHANNEL_BULK};
    struct mailraft_buffer kept = out;
    struct frame *frame;

    out = (struct mailraft_buffer){.bytes = NULL};
    if (type == FORWARD)
        put_requests();
    else
        put_replies();
    frame = wire_write_body(&message, out.bytes, out.size);
    buffer_fini(&out);
    out = kept;
    put(frame->bytes, frame->size);
    frame_free(frame);
}

static const struct {
    const char *name;
    size_t offset; /* of 64 bits */
} NUMBERS[] = {
    {"term", offsetof(struct message, curr_term)},
    {"prev_index", offsetof(struct message, prev_index)},
    {"prev_term", offsetof(struct message, prev_term)},
    {"last_log_index", offsetof(struct message, last_log_index)},
    {"last_log_term", offsetof(struct message, last_log_term)},
    {"commit_index", offsetof(struct message, commit_index)},
    {"round", offsetof(struct message, round)},
    {"time", offsetof(struct message, time_us)},
    {"match_index", offsetof(struct message, match_index)},
    {"rejected_index", offsetof(struct message, rejected_index)},
    {"conflict_term", offsetof(struct message, conflict_term)},
    {"conflict_index", offsetof(struct message, conflict_index)},
};

static void make_peers(void)
{
    put_u8(1);
    put_hello(CHANNEL_URGENT, 1, "test");
    put_message(&(struct message){.type_of_message = REQUEST_PRE_VOTE,
                                  .curr_term = 4,
                                  .last_log_index = 9,
                                  .last_log_term = 3,
                                  .data_id = {{1}},
                                  .round = 5});
    put_message(&(struct message){.type_of_message = RESPONSE_PRE_VOTE,
                                  .curr_term = 4,
                                  .refusal = REFUSAL_VOTED,
                                  .refusal_detail = 3,
                                  .round = 5});
    put_message(&(struct message){.type_of_message = REQUEST_VOTE, .curr_term = 4, .transfer = true, .round = 6});
    put_message(&(struct message){.type_of_message = RESPONSE_VOTE, .curr_term = 4, .vote_granted = true, .round = 6});
    put_message(&(struct message){.type_of_message = REQUEST_APPEND_ENTRIES, .curr_term = 4, .round_trip_max_us = 7});
    put_message(&(struct message){.type_of_message = RESPONSE_APPEND_ENTRIES,
                                  .curr_term = 4,
                                  .rejected_index = 9,
                                  .conflict_term = 2,
                                  .conflict_index = 5,
                                  .request_incarnation = 5,
                                  .request_connection = 1});
    put_message(&(struct message){.type_of_message = TIMEOUT_NOW, .curr_term = 4});
    save("peer", "each_urgent_message");
    put_u8(1);
    put_hello(CHANNEL_BULK, 1, "test");
    put_entries_message();
    put_body_message(FORWARD);
    put_body_message(FORWARDED);
    save("peer", "each_bulk_message");
    put_u8(1);
    put_hello(CHANNEL_URGENT, 1, "test");
    put_message(&(struct message){.type_of_message = RESPONSE_APPEND_ENTRIES,
                                  .curr_term = NUMBER_MAX,
                                  .prev_index = NUMBER_MAX,
                                  .prev_term = NUMBER_MAX,
                                  .last_log_index = NUMBER_MAX,
                                  .last_log_term = NUMBER_MAX,
                                  .commit_index = NUMBER_MAX,
                                  .round = NUMBER_MAX,
                                  .time_us = NUMBER_MAX,
                                  .match_index = NUMBER_MAX,
                                  .rejected_index = NUMBER_MAX,
                                  .conflict_term = NUMBER_MAX,
                                  .conflict_index = NUMBER_MAX});
    save("peer", "numbers_at_their_limits");
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        struct message message = {.type_of_message = RESPONSE_VOTE};
        char name[64];
        snprintf(name, sizeof name, "%s_beyond_its_limit", NUMBERS[i].name);
        *(uint64_t *)((char *)&message + NUMBERS[i].offset) = NUMBER_MAX + 1;
        put_u8(1);
        put_hello(CHANNEL_URGENT, 1, "test");
        put_message(&message);
        save("peer", name);
    }
    put_u8(3);
    put_hello(CHANNEL_BULK, 1, "test");
    put_entries_message();
    put_entries_message();
    save("peer", "entries_twice");
    put_u8(0);
    put_hello(CHANNEL_BULK, 1, "test");
    put_entries_message();
    out.bytes[out.size - 1] ^= 1;
    save("peer", "damaged_entries");
}

/* ---- Files ---- */

static void put_slot(uint32_t version, uint64_t sequence, uint64_t term, int64_t voted_for)
{
    uint8_t bytes[40];

    bytes_put_u32(bytes, 0x544c4c42u);
    bytes_put_u32(bytes + 4, version);
    bytes_put_u64(bytes + 8, sequence);
    bytes_put_u64(bytes + 16, term);
    bytes_put_u64(bytes + 24, (uint64_t)voted_for);
    bytes_put_u64(bytes + 32, bytes_checksum(bytes, 32));
    put(bytes, sizeof bytes);
}

/* Term 4 with a vote for 2, a save ago term 4 without; then one of each deed. */
static void put_ballot(unsigned flags, unsigned cut)
{
    put_u8(flags);
    put_u8(cut);
    put_slot(1, 9, 4, 2);
    put_slot(1, 8, 4, -1);
}

static void make_ballots(void)
{
    put_ballot(3, 0);
    put("\0\1\0\3\1\2\2\3\4", 9);
    save("ballot", "saves_and_damage");
    put_ballot(0, 0);
    out.bytes[2] ^= 1;
    save("ballot", "a_damaged_slot");
    put_u16(3);
    put_slot(1, 5, 4, -1);
    put_slot(1, 6, 5, 2);
    save("ballot", "the_second_slot_is_newer");
    put_u16(3);
    put_slot(1, NUMBER_MAX - 8, NUMBER_MAX - 4, INT32_MAX);
    put_slot(1, NUMBER_MAX - 8, NUMBER_MAX - 4, INT32_MAX);
    put("\0\1\0\3", 4);
    save("ballot", "numbers_near_their_limits");
    put_ballot(4, 100);
    save("ballot", "a_cut_file");
    put_ballot(3, 0);
    out.bytes[2 + 4] = 2;
    save("ballot", "a_newer_version");
    put_ballot(3, 0);
    out.bytes[2 + 16] = 3;
    save("ballot", "slots_that_contradict");
}

static void put_identity(unsigned flags)
{
    struct identity identity = {.node_id = 3, .cluster_name = "test", .data_id = {{1}}, .cluster_uuid = {{9}}};
    struct mailraft_error err;

    put_u8(flags);
    identity_write("/identity", &identity, &err);
    put(memory_disk_at("/identity")->bytes, memory_disk_at("/identity")->size);
}

static void make_identities(void)
{
    put_identity(1);
    save("identity", "ours");
    put_identity(1);
    out.bytes[1 + 4] = 2;
    save("identity", "a_newer_version");
    put_identity(0);
    out.bytes[1 + 50] ^= 1;
    save("identity", "damaged");
}

/* A frame of the log: how many entries, how many it replaces, and of each kind and size. */
static void put_write(unsigned count, unsigned back)
{
    put_u8(count);
    if (count > 0)
        put_u8(back);
    for (unsigned i = 0; i < count; i++) {
        put_u8(i + 4 * back);
        put_u8(50 * i + 60);
    }
}

static void put_log(unsigned flags)
{
    put_u8(flags);
    put_u8(8);
    put_write(3, 0);
    put_write(4, 0);
    put_write(0, 0);
    put_write(2, 3);
    put_write(4, 0);
    put_write(4, 0);
    put_write(4, 1);
    put_write(0, 0);
}

static void put_damage(unsigned kind, unsigned which, unsigned at)
{
    put_u8(kind);
    put_u8(which);
    put_u16(at);
}

static void put_forged(unsigned flags, unsigned frames, uint64_t number)
{
    put_u8(flags);
    put_u8(frames);
    put_u64(number);
}

static void make_logs(void)
{
    put_log(0);
    save("log", "whole");
    put_log(2);
    save("log", "whole_with_a_file_made_ahead");
    put_log(2);
    put_damage(1, 0, 1);
    save("log", "a_torn_witness");
    put_log(2);
    put_damage(1, 0, 1);
    put_damage(1, 1, 2);
    save("log", "two_torn_frames");
    put_log(2);
    put_damage(1, 2, 1);
    save("log", "a_torn_frame_that_others_build_on");
    put_log(0);
    put_damage(0, 0, 0);
    put_u8(255);
    save("log", "a_damaged_header");
    put_log(0);
    put_damage(5, 0, 0);
    save("log", "a_missing_file");
    put_log(0);
    put_damage(4, 1, 9000);
    save("log", "a_short_file");
    put_log(2);
    put_damage(3, 1, 10000);
    put_u8(5);
    put("dirty", 5);
    save("log", "dirt_behind_the_end");
    put_u8(0);
    put_u8(1);
    put_write(2, 0);
    put_damage(1, 0, 1);
    save("log", "only_a_torn_frame");
    put_u8(0);
    put_u8(3);
    put_write(2, 0);
    put_write(1, 2);
    put_write(1, 0);
    save("log", "everything_replaced");
    put_forged(1, 2, 0);
    put("\2\12\12\1\5", 5);
    save("log", "forged_well");
    put_forged(1, 2, 0);
    put("\2\12\12\101\2\3\0\5\1\0\0", 11);
    save("log", "forged_ill");
    put_forged(5, 0, 0);
    put_u8(1);
    put_u16(4096);
    save("log", "forged_small_file");
}

/* ---- The store ---- */

static void put_key(const char *name, const char *value, int64_t at_us, unsigned clock, unsigned raw)
{
    uint8_t head[26];

    bytes_put_u32(head, (uint32_t)strlen(name));
    bytes_put_u32(head + 4, (uint32_t)strlen(value));
    bytes_put_u64(head + 8, 5);
    bytes_put_u64(head + 16, (uint64_t)at_us);
    head[24] = (uint8_t)clock;
    head[25] = (uint8_t)raw;
    put(head, sizeof head);
    put_text(name);
    put_text(value);
}

static void put_snapshot_head(unsigned flags, unsigned cut, int64_t wall_offset_us, bool secret)
{
    uint8_t head[44] = {0};

    put_u8(flags);
    put_u8(cut);
    bytes_put_u32(head, 0x4e53564bu);
    bytes_put_u32(head + 4, 1);
    bytes_put_u64(head + 8, (uint64_t)wall_offset_us);
    head[16] = secret;
    memcpy(head + 20, "sixteen letters!", secret ? 16 : 0);
    put(head, sizeof head);
    put_u8(1);
    put_u16(77);
    put_u64(4);
    put_u64(1000);
}

static void make_snapshots(void)
{
    put_snapshot_head(5, 0, -55, true);
    put_key("plain", "value", 0, 0, 0);
    put_key("soon", "x", 900, 1, 0);
    put_key("early", "y", -7, 2, 0);
    put_key("far", "w", 9300000000000000, 3, 0);
    put_key("", "raw", 0, 0, 1);
    save("snapshot", "each_kind_of_key");
    put_snapshot_head(5, 0, 0, false);
    save("snapshot", "no_keys");
    put_snapshot_head(5, 0, 0, false);
    put_key("a", "b", 0, 0, 0);
    save("snapshot", "keys_without_a_secret");
    put_snapshot_head(5, 0, 0, true);
    put_key("a", "b", 0, 0, 0);
    put_key("a", "c", 0, 0, 0);
    save("snapshot", "a_key_twice");
    put_snapshot_head(1, 0, 0, true);
    out.bytes[2 + 36] = 2;
    put_key("a", "b", 0, 0, 0);
    save("snapshot", "fewer_keys_than_told");
    put_snapshot_head(0, 0, 0, true);
    save("snapshot", "damaged");
    put_snapshot_head(7, 9, 0, true);
    put_key("a", "b", 0, 0, 0);
    save("snapshot", "cut");
}

static void put_op(enum kv_op op, const char *const *words)
{
    size_t count = 0;

    while (words[count] != NULL)
        count++;
    put_u8((unsigned)op - 1);
    put_u8((unsigned)count);
    for (size_t i = 0; i < count; i++) {
        put_u8((unsigned)strlen(words[i]));
        put_text(words[i]);
    }
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void put_ask(unsigned deed, enum kv_op op, const char *const *words)
{
    put_u8(deed);
    put_u8(0);
    put_u8(0);
    put_op(op, words);
}

static void make_stores(void)
{
    put_ask(0, KV_SET, WORDS("a", "1", "PX", "1000"));
    put_ask(0, KV_INCR, WORDS("a"));
    put_ask(0, KV_APPEND, WORDS("b", "xyz"));
    put_ask(0, KV_INCR, WORDS("b"));
    put_ask(1, KV_GET, WORDS("a"));
    put_ask(1, KV_SCAN, WORDS("0", "MATCH", "*", "COUNT", "5"));
    put_ask(0, KV_MSET, WORDS("c", "3", "d", "4"));
    put_u8(6); /* a snapshot */
    put_u8(5); /* time passes */
    put("\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0", 13);
    put_ask(1, KV_DBSIZE, WORDS(NULL));
    save("kv", "strings");
    put_u8(0);
    put_u8(KV_TRANSACTION | KV_RESP3);
    put_u8(0x21);
    put_u64(0);
    put_u8(1);
    put_text("a");
    put_op(KV_SET, WORDS("a", "1"));
    put_op(KV_GETEX, WORDS("a", "EXAT", "99999999999"));
    put_op(KV_EXPIRETIME, WORDS("a"));
    put_ask(1, KV_OBJECT, WORDS("ENCODING", "a"));
    put_ask(1, KV_KEYS, WORDS("[a-b]*"));
    put_ask(0, KV_COPY, WORDS("a", "b", "REPLACE"));
    put_ask(0, KV_INCRBYFLOAT, WORDS("b", "1.5e3"));
    save("kv", "a_transaction");
    put_ask(0, KV_SETRANGE, WORDS("a", "1048000", "x"));
    put_ask(0, KV_SETRANGE, WORDS("b", "1048000", "x"));
    put_ask(0, KV_LITERAL, WORDS("+OK"));
    put_ask(1, KV_VERSIONS, WORDS("a", "b"));
    put_ask(1, KV_STATE, WORDS(NULL));
    put_ask(0, KV_FLUSHALL, WORDS(NULL));
    save("kv", "no_room");
    for (unsigned deed = 2; deed <= 4; deed++) {
        struct mailraft_buffer bytes = {.bytes = NULL};
        struct kv_request request;
        kv_request_begin(&request, &bytes, 0);
        kv_request_ops(&request);
        kv_request_op(&request, deed == 4 ? KV_GET : KV_INCR, &(struct text){(const uint8_t *)"n", 1}, 1);
        put_u8(deed);
        put_u16((unsigned)bytes.size);
        put(bytes.bytes, bytes.size);
        buffer_fini(&bytes);
    }
    save("kv", "raw_requests");
}

/* ---- Clients ---- */

static void make_sessions(void)
{
    static const struct {
        const char *name, *bytes;
    } STREAMS[] = {
        {"strings",
         "SET a 1\r\nINCR a\r\nGET a\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\nMSET x 1 y 2\r\nMGET x y z\r\nDEL x\r\n"},
        {"a_transaction",
         "WATCH a\r\nMULTI\r\nSET a 1\r\nGET a\r\nNOPE\r\nEXEC\r\nMULTI\r\nINCR a\r\nPING\r\nEXEC\r\n"},
        {"hello", "HELLO 3 SETNAME me\r\nGET a\r\nSUBSCRIBE +switch-master\r\nCLIENT LIST\r\nINFO\r\nPING x\r\n"},
        {"waiting", "SET a 1\r\nWAIT 2 100\r\nWAIT 5 100\r\nDEBUG SLEEP 0.1\r\nGET a\r\nQUIT\r\n"},
        {"reset", "HELLO 3\r\nMULTI\r\nRESET\r\nPING x\r\nCLIENT SETNAME me\r\nCLIENT GETNAME\r\n"},
        {"silence", "CLIENT REPLY SKIP\r\nSET a 1\r\nGET a\r\nCLIENT REPLY OFF\r\nGET a\r\nCLIENT REPLY ON\r\n"},
        {"what_it_knows",
         "COMMAND COUNT\r\nCOMMAND DOCS get\r\nCONFIG GET *\r\nSENTINEL masters\r\nROLE\r\nECHO \"a b\"\r\n"},
        {"wrong", "SET a\r\n*1\r\n$-1\r\n"},
        {"keys",
         "SET k 5 EX 100\r\nTTL k\r\nSCAN 0 MATCH k* COUNT 10\r\nKEYS *\r\nRANDOMKEY\r\nOBJECT FREQ k\r\nTYPE k\r\n"},
    };

    for (size_t i = 0; i < sizeof STREAMS / sizeof *STREAMS; i++) {
        put_u8(0);
        put_text(STREAMS[i].bytes);
        put_u8(3);
        save("session", STREAMS[i].name);
        put_u16(255);
        put_text(STREAMS[i].bytes);
        save("resp", STREAMS[i].name);
    }
    put_u16(0x0320);
    put_text("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3\r\nxyz\r\n*1\r\n$4\r\nPI");
    save("resp", "a_request_under_way");
}

static void put_say(unsigned client, const char *text)
{
    put_u8(client * 64);
    put_u8((unsigned)strlen(text));
    put_text(text);
}

static void put_event(unsigned client, unsigned event)
{
    put_u8(client * 64 + event);
}

/* The numbers of session_fuzz.c's events. */
static void make_events(void)
{
    put_u8(255);
    put_say(0, "SET a 1\r\nGET a\r\n");
    put_say(1, "INCR a\r\nWATCH a\r\nMULTI\r\nGET a\r\nEXEC\r\n");
    put_event(0, 1);
    put_u8(1); /* uncertain */
    put_event(0, 1);
    put_u8(0);
    put_event(0, 3);
    put_u8(0x41); /* another way, not open */
    put_event(0, 1);
    put_u8(3);
    put_event(0, 3);
    put_u8(0x49); /* open again */
    put_event(0, 2);
    save("session", "a_change_of_leader");
    put_u8(255);
    put_say(2, "SET a 1\r\nWAIT 2 0\r\n");
    put_event(2, 4); /* it does not read */
    put_event(2, 2);
    put_say(2, "GET a\r\nGET a\r\n");
    put_event(2, 8);
    put_u16(6000);
    put_event(2, 5); /* it does */
    put_event(2, 7); /* it says no more */
    put_say(3, "SUBSCRIBE +switch-master\r\n");
    put_event(3, 6); /* it goes */
    put_say(1, "SET b 1\r\n");
    put_event(1, 9); /* the node ends */
    save("session", "ends");
}

static void copy_file(const char *path, const char *name)
{
    char bytes[64 * 1024];
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    put(bytes, fread(bytes, 1, sizeof bytes, file));
    fclose(file);
    save("config", name);
}

static void make_configs(void)
{
    copy_file("conf/all-settings.json", "all_settings.json");
    copy_file("conf/node1.json", "node1.json");
    put_text(
        "{\"id\":1,\"data_dir\":\"/d\",\"cluster\":{\"name\":\"c\",\"members\":[{\"id\":1,\"peer\":\"[::1]:7101\"}]}}");
    save("config", "one_member.json");
    put_text("{\"id\":1,\"data_dir\":\"d\",\"cluster\":{\"name\":\"c\",\"birth\":\"all\",\"members\":[{\"id\":1,"
             "\"peer\":\"h:1\"}]},\"election_timeout_ms\":{\"min\":150,\"max\":151},\"heartbeat_ms\":75,"
             "\"segment_bytes\":65536,\"log_cache_bytes\":65536,\"max_entry_bytes\":57280,\"max_request_bytes\":56256,"
             "\"client_timeout_ms\":1,\"client_stall_ms\":3600000,\"max_clients\":1,\"max_memory_bytes\":1048576}");
    save("config", "settings_at_their_limits.json");
    put_text("{\"id\":1,\"id\":2}");
    save("config", "a_key_twice.json");
    put_text("{\"a\":[1.5e9,-0,\"\\ud83d\\ude00\",null,true]}");
    save("config", "each_kind_of_value.json");
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: seeds FOLDER\n");
        return 2;
    }
    folder = argv[1];
    make_entries();
    make_requests();
    make_hellos();
    make_peers();
    make_ballots();
    make_identities();
    make_logs();
    make_snapshots();
    make_stores();
    make_sessions();
    make_events();
    make_configs();
    memory_disk_clear();
    buffer_fini(&out);
    return 0;
}

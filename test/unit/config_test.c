#include "serve/config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bad_configs.h"
#include "check.h"
#include "storage/segment.h"

/* A folder with one config in it, gone again at the end of the test. */
static char folder[] = "/tmp/mailraft-config-XXXXXX";
static char path[sizeof(folder) + 20];

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/node.json", folder);
}

static void remove_folder(void)
{
    unlink(path);
    rmdir(folder);
}

static void write_bytes(const char *bytes, size_t size)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

static void write_config(const char *text)
{
    char json[4096];
    unquoted(text, json, sizeof(json));
    write_bytes(json, strlen(json));
}

/* Reads a config that must be good. */
static struct config *read_good(const char *text, raft_id id)
{
    static struct config config;
    struct mailraft_error err = {0};
    write_config(text);
    cr_assert(config_read(path, id, &config, &err), "%s", err.message);
    return &config;
}

/* What is said of the file that stands there, which must be refused. */
static const char *refusal(raft_id id)
{
    static struct mailraft_error err;
    static struct config config;
    cr_assert_not(config_read(path, id, &config, &err));
    cr_assert(error_is(&err, &CONFIG_ERROR));
    size_t length = strlen(path);
    if (strncmp(err.message, path, length) != 0 || strncmp(err.message + length, ": ", 2) != 0)
        return err.message;
    return err.message + length + 2;
}

TestSuite(config, .init = make_folder, .fini = remove_folder);

Test(config, a_config_with_nothing_but_what_is_needed_gets_the_defaults)
{
    struct config *config = read_good(WITH(""), 0);
    cr_assert_eq(config->node.id, 1);
    cr_assert_str_eq(config->node.cluster_name, "c");
    cr_assert_eq(config->node.members.count, 3);
    cr_assert_str_eq(config->node.members.list[1].peer.host, "127.0.0.1");
    cr_assert_eq(config->node.members.list[1].peer.port, 7102);
    cr_assert_eq(config->node.members.list[1].client.port, 0);
    cr_assert_eq(config->node.listen.port, 7101);
    cr_assert_eq(config->service.clients.listen.port, 0);
    cr_assert_eq(config->node.election_timeout_min_us, 150000);
    cr_assert_eq(config->node.election_timeout_max_us, 300000);
    cr_assert_eq(config->node.heartbeat_us, 50000);
    cr_assert(config->node.fast_failover);
    cr_assert_eq(config->node.segment_bytes, 67108864);
    cr_assert_eq(config->node.log_cache_bytes, 8388608);
    cr_assert_eq(config->node.entry_bytes_max, 2097152);
    cr_assert_eq(config->node.disk_stall_us, 1000000);
    cr_assert_eq(config->service.sessions.client_timeout_us, 5000000);
    cr_assert_eq(config->service.sessions.request_bytes_max, 1048576);
    cr_assert_eq(config->service.sessions.memory_bytes_max,
                 (size_t)sysconf(_SC_PHYS_PAGES) / 2 * (size_t)sysconf(_SC_PAGESIZE));
    cr_assert_eq(config->service.sessions.connections_max, 10000);
    cr_assert_eq(config->service.sessions.client.port, 0);
    cr_assert_not(config->service.sessions.debug_commands);
    cr_assert_eq(config->service.clients.connections_max, 10000);
    cr_assert_eq(config->service.clients.output_bytes_max, 67108864);
    cr_assert_eq(config->service.clients.output_total_max, 268435456);
    cr_assert_eq(config->service.clients.client_stall_us, 30000000);
    cr_assert_not(config->node.birth_all);
    cr_assert_not(config->trusted_network);
    cr_assert_eq(config->log_level, LOG_INFO);
    cr_assert_not(config_peers_exposed(config));
}

Test(config, every_setting_is_taken)
{
    struct config *config =
        read_good("{'id':7,'data_dir':'/d','cluster':{'name':'a-cluster!','members':[{'id':9,'peer':'b.example:9'},"
                  "{'id':7,'peer':'[2001:db8::1]:7','client':'10.0.0.7:6401','admin':'10.0.0.7:8001'}],'birth':'all'},"
                  "'listen':{'peer':'0.0.0.0:17','client':'0.0.0.0:18','admin':'[::]:19'},"
                  "'election_timeout_ms':{'min':1000,'max':2000},'heartbeat_ms':500,'fast_failover':false,"
                  "'segment_bytes':131072,'log_cache_bytes':65536,'max_entry_bytes':32768,'disk_stall_ms':60000,"
                  "'client_timeout_ms':1,'client_stall_ms':2,'client_output_bytes':104857600,'max_request_bytes':31744,"
                  "'max_clients':3,'max_memory_bytes':1048577,'debug_commands':true,"
                  "'trusted_network':true,'log':{'level':'trace'}}",
                  0);
    cr_assert_eq(config->node.id, 7);
    cr_assert_str_eq(config->node.cluster_name, "a-cluster!");
    cr_assert_str_eq(config->node.members.list[0].peer.host, "2001:db8::1");
    cr_assert_eq(config->node.members.list[0].client.port, 6401);
    cr_assert_eq(config->node.members.list[0].admin.port, 8001);
    cr_assert_str_eq(config->node.listen.host, "0.0.0.0");
    cr_assert_eq(config->node.listen.port, 17);
    cr_assert_eq(config->service.clients.listen.port, 18);
    cr_assert_str_eq(config->listen_admin.host, "::");
    cr_assert_eq(config->node.election_timeout_min_us, 1000000);
    cr_assert_eq(config->node.election_timeout_max_us, 2000000);
    cr_assert_eq(config->node.heartbeat_us, 500000);
    cr_assert_not(config->node.fast_failover);
    cr_assert_eq(config->node.segment_bytes, 131072);
    cr_assert_eq(config->node.log_cache_bytes, 65536);
    cr_assert_eq(config->node.entry_bytes_max, 32768);
    cr_assert_eq(config->node.disk_stall_us, 60000000);
    cr_assert_eq(config->service.sessions.id, 7);
    cr_assert_str_eq(config->service.sessions.cluster_name, "a-cluster!");
    cr_assert_eq(config->service.sessions.members.count, 2);
    cr_assert_str_eq(config->service.sessions.client.host, "10.0.0.7");
    cr_assert_eq(config->service.sessions.client_timeout_us, 1000);
    cr_assert_eq(config->service.sessions.request_bytes_max, 31744);
    cr_assert_eq(config->service.sessions.memory_bytes_max, 1048577);
    cr_assert_eq(config->service.sessions.connections_max, 3);
    cr_assert(config->service.sessions.debug_commands);
    cr_assert_eq(config->service.clients.connections_max, 3);
    cr_assert_eq(config->service.clients.output_bytes_max, 104857600);
    cr_assert_eq(config->service.clients.output_total_max, 419430400);
    cr_assert_eq(config->service.clients.client_stall_us, 2000);
    cr_assert(config->node.birth_all);
    cr_assert(config->trusted_network);
    cr_assert_eq(config->log_level, LOG_TRACE);
    cr_assert(config_peers_exposed(config));
}

Test(config, a_request_may_take_half_of_an_entry_and_what_is_buffered_holds_four)
{
    struct config *config = read_good(WITH(",'max_entry_bytes':50000000"), 0);
    cr_assert_eq(config->service.sessions.request_bytes_max, 25000000);
    cr_assert_eq(config->service.sessions.flight_bytes_max, 100000000);
    cr_assert_eq(config->service.clients.input_bytes_max, 100000000);
}

Test(config, members_are_sorted_by_id)
{
    struct config *config = read_good(
        "{'id':5,'data_dir':'d'," CLUSTER_OF("{'id':9,'peer':'a:1'},{'id':5,'peer':'a:2'},{'id':7,'peer':'a:3'}") "}",
        0);
    cr_assert_eq(config->node.members.list[0].id, 5);
    cr_assert_eq(config->node.members.list[1].id, 7);
    cr_assert_eq(config->node.members.list[2].id, 9);
    cr_assert_eq(config->node.listen.port, 2);
}

Test(config, thirty_one_members_are_taken_and_thirty_two_are_not)
{
    char text[4096] = "{'id':1,'data_dir':'d','cluster':{'name':'c','members':[";
    for (int id = 1; id <= 31; id++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s{'id':%d,'peer':'a:%d'}", id > 1 ? "," : "", id,
                 id);
    size_t length = strlen(text);
    strcpy(text + length, "]}}");
    cr_assert_eq(read_good(text, 0)->node.members.count, 31);
    strcpy(text + length, ",{'id':32,'peer':'a:32'}]}}");
    write_config(text);
    cr_assert_str_eq(refusal(0), "cluster.members: has 32 members; there must be 1 to 31");
}

Test(config, an_id_given_beside_the_file_overrides_the_one_in_it)
{
    cr_assert_eq(read_good(WITH(""), 2)->node.id, 2);
    cr_assert_eq(read_good("{'data_dir':'d'," CLUSTER_OF(THREE_MEMBERS) "}", 3)->node.listen.port, 7103);
    cr_assert_str_eq(refusal(4), "id: 4 (from --id) is no member; cluster.members lists 1, 2, 3");
}

Test(config, data_dir_is_relative_to_the_folder_of_the_config_and_knows_the_id)
{
    char real[PATH_MAX];
    char expected[PATH_MAX + 100];
    cr_assert_not_null(realpath(folder, real));
    struct config *config = read_good("{'data_dir':'./../x/{id}/a{id}/..'," CLUSTER_OF(THREE_MEMBERS) "}", 3);
    snprintf(expected, sizeof(expected), "%.*s/x/3/a3/..", (int)(strrchr(real, '/') - real), real);
    cr_assert_str_eq(config->node.data_dir, expected);
    config = read_good("{'data_dir':'../../../d'," CLUSTER_OF(THREE_MEMBERS) "}", 3);
    cr_assert_str_eq(config->node.data_dir, "/d");
    config = read_good("{'data_dir':'/var/{id'," CLUSTER_OF(THREE_MEMBERS) "}", 3);
    cr_assert_str_eq(config->node.data_dir, "/var/{id");
}

Test(config, data_dir_is_absolute_also_where_the_config_is_named_without_a_folder)
{
    static struct config config;
    struct mailraft_error err = {0};
    char real[PATH_MAX];
    char expected[PATH_MAX + 100];
    write_config(WITH(""));
    cr_assert_not_null(realpath(folder, real));
    cr_assert_eq(chdir(folder), 0);
    cr_assert(config_read("node.json", 0, &config, &err), "%s", err.message);
    snprintf(expected, sizeof(expected), "%s/d", real);
    cr_assert_str_eq(config.node.data_dir, expected);
}

Test(config, a_data_dir_that_leaves_no_room_for_the_names_in_it_is_refused)
{
    char text[6000];
    int length = snprintf(text, sizeof(text), "{\"id\":1,\"data_dir\":\"/");
    memset(text + length, 'x', 4031);
    snprintf(text + length + 4031, sizeof(text) - 5000,
             "\",\"cluster\":{\"name\":\"c\",\"members\":"
             "[{\"id\":1,\"peer\":\"a:1\"}]}}");
    write_bytes(text, strlen(text));
    cr_assert_str_eq(refusal(0), "data_dir: is too long; the whole path must be shorter than 4032 bytes");
}

Test(config, every_bad_config_is_refused_with_a_line_that_says_what_would_be_right)
{
    for (size_t i = 0; i < BAD_CONFIGS_COUNT; i++) {
        char message[1200];
        write_config(BAD_CONFIGS[i].text);
        cr_expect_str_eq(refusal(0), unquoted(BAD_CONFIGS[i].message, message, sizeof(message)),
                         "%s\n  said: %s\n  not: %s", BAD_CONFIGS[i].text, refusal(0), message);
    }
}

Test(config, the_largest_entry_that_fits_into_a_file_of_the_log_is_taken)
{
    static const int64_t SIZES[] = {65536, 66047, 66048, 4 * 1024 * 1024};
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        int64_t fits = (SIZES[i] - SEGMENT_DATA_OFFSET) / FRAME_BORDER * FRAME_BORDER - FRAME_HEAD_BYTES;
        char text[500];
        snprintf(text, sizeof(text), WITH(",'segment_bytes':%lld,'max_entry_bytes':%lld"), (long long)SIZES[i],
                 (long long)fits);
        struct config *config = read_good(text, 0);
        cr_assert_leq(SEGMENT_DATA_OFFSET + frame_bytes(config->node.entry_bytes_max), config->node.segment_bytes);
        cr_assert_gt(SEGMENT_DATA_OFFSET + frame_bytes(config->node.entry_bytes_max + 1), config->node.segment_bytes);
    }
}

Test(config, birth_by_a_majority_can_be_written_too)
{
    static const char TEXT[] =
        "{'id':1,'data_dir':'d','cluster':{'name':'c','members':[" THREE_MEMBERS "],'birth':'majority'}}";
    cr_assert_not(read_good(TEXT, 0)->node.birth_all);
}

Test(config, a_client_address_off_the_loopback_is_taken_where_the_network_is_trusted)
{
    struct config *config = read_good(WITH(",'trusted_network':true,'listen':{'client':'0.0.0.0:6401'}"), 0);
    cr_assert_eq(config->service.clients.listen.port, 6401);
    read_good(WITH(",'listen':{'client':'127.1.2.3:6401'}"), 0);
    read_good(WITH(",'listen':{'client':'localhost:6401'}"), 0);
    read_good(WITH(",'listen':{'client':'[::1]:6401'}"), 0);
    read_good(WITH(",'listen':{'client':'[::ffff:127.0.0.1]:6401'}"), 0);
}

Test(config, peers_off_the_loopback_are_told_from_those_on_it)
{
    cr_assert(config_peers_exposed(read_good(WITH(",'listen':{'peer':'0.0.0.0:7101'}"), 0)));
    cr_assert(config_peers_exposed(read_good(WITH_MEMBERS("{'id':1,'peer':'[::1]:1'},{'id':2,'peer':'b:1'}"), 0)));
    cr_assert_not(config_peers_exposed(read_good(WITH_MEMBERS("{'id':1,'peer':'[::1]:1'}"), 0)));
}

Test(config, a_zero_byte_in_the_file_is_refused)
{
    static const char TEXT[] = "{\"id\":1\0}";
    write_bytes(TEXT, sizeof(TEXT) - 1);
    cr_assert_str_eq(refusal(0), "line 1, column 8: byte 0x00 where a comma or } should be");
}

Test(config, a_file_of_a_mebibyte_is_read_and_a_larger_one_is_refused)
{
    static char text[CONFIG_BYTES_MAX + 1];
    char json[1024];
    unquoted(WITH(""), json, sizeof(json));
    memset(text, ' ', sizeof(text));
    memcpy(text, json, strlen(json));
    struct config *config = read_good(WITH(""), 0);
    struct mailraft_error err = {0};
    write_bytes(text, sizeof(text) - 1);
    cr_assert(config_read(path, 0, config, &err), "%s", err.message);
    write_bytes(text, sizeof(text));
    cr_assert_str_eq(refusal(0), "is larger than 1048576 bytes");
}

Test(config, an_object_with_very_many_keys_is_refused)
{
    char text[2000] = "{";
    for (int i = 0; i <= 64; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s'k%02d':1", i > 0 ? "," : "", i);
    strcat(text, "}");
    write_config(text);
    cr_assert_str_eq(refusal(0), "line 1, column 514: too many keys in one object");
}

Test(config, every_config_in_conf_is_good)
{
    static const char *const PATHS[] = {"conf/node1.json", "conf/node2.json", "conf/node3.json",
                                        "conf/all-settings.json"};
    for (int i = 0; i < 4; i++) {
        static struct config config;
        struct mailraft_error err = {0};
        cr_assert(config_read(PATHS[i], 0, &config, &err), "%s", err.message);
        cr_assert_eq(config.node.id, i < 3 ? i + 1 : 1);
        cr_assert_eq(config.node.election_timeout_max_us, 300000); /* they show the defaults */
        cr_assert_eq(config.node.segment_bytes, 67108864);
        cr_assert_eq(config.node.log_cache_bytes, 8388608);
        cr_assert_eq(config.node.entry_bytes_max, 2097152);
        cr_assert_eq(config.node.disk_stall_us, 1000000);
        cr_assert_not(config.node.birth_all);
        cr_assert_eq(config.service.clients.listen.port, 6400 + config.node.id);
    }
}

Test(config, a_file_that_cannot_be_read_is_named)
{
    cr_assert_not_null(strstr(refusal(0), path));
    cr_assert_not_null(strstr(refusal(0), "No such file or directory"));
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_not_null(strstr(refusal(0), path));
    cr_assert_eq(rmdir(path), 0);
}

Test(config, a_pipe_in_the_place_of_a_file_is_refused)
{
    int ends[2];
    char pipe_path[40], expected[80];
    cr_assert_eq(pipe(ends), 0);
    snprintf(pipe_path, sizeof(pipe_path), "/proc/self/fd/%d", ends[0]);
    snprintf(expected, sizeof(expected), "%s is not a regular file", pipe_path);
    static struct config config;
    struct mailraft_error err = {0};
    cr_assert_not(config_read(pipe_path, 0, &config, &err));
    cr_assert(error_is(&err, &CONFIG_ERROR));
    cr_assert_str_eq(err.message, expected);
    close(ends[0]);
    close(ends[1]);
}

Test(config, a_file_that_may_only_be_read_is_enough)
{
    read_good(WITH(""), 0);
    cr_assert_eq(chmod(path, 0400), 0);
    static struct config config;
    struct mailraft_error err = {0};
    cr_assert(config_read(path, 0, &config, &err), "%s", err.message);
}

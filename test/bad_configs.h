/* bad_configs.h - configs that must be refused, each with what is said of it. The unit test reads them, and the
 * cluster test starts the program with them.
 *
 * For the eye's sake they are written with ' where JSON has ", and with ` where the file has '. */
#ifndef TEST_BAD_CONFIGS_H
#define TEST_BAD_CONFIGS_H

#include <stddef.h>
#include <stdio.h>

#define THREE_MEMBERS                                                                                                  \
    "{'id':1,'peer':'127.0.0.1:7101'},{'id':2,'peer':'127.0.0.1:7102'},{'id':3,'peer':'127.0.0.1:7103'}"
#define CLUSTER_OF(members) "'cluster':{'name':'c','members':[" members "]}"
#define WITH(more) "{'id':1,'data_dir':'d'," CLUSTER_OF(THREE_MEMBERS) more "}"
#define WITH_MEMBERS(members) "{'id':1,'data_dir':'d'," CLUSTER_OF(members) "}"
#define ADDRESS_RIGHT "is not an address; write 'host:port', with a port from 1 to 65535"
#define NO_MACHINE(key)                                                                                                \
    "leads others to no machine; write the member`s own address, and what it is to bind in listen." key                \
    " of its own config"
#define NAME_RIGHT "is no name; write 1 to 64 printable ASCII characters without spaces and quotes"
#define SIXTEEN "aaaaaaaaaaaaaaaa"

static const struct bad_config {
    const char *text;
    const char *message; /* after the file's name and ": " */
} BAD_CONFIGS[] = {
    /* What json-c would take, or not, but is not plain JSON. */
    {"", "line 1, column 1: the file ends where a value should be"},
    {"{'id':1", "line 1, column 8: the file ends where a comma or } should be"},
    {"{'id':1,'id':2}", "line 1, column 9: this key stands twice in its object"},
    {"{'id':1,'\\u0069d':2}", "line 1, column 9: this key stands twice in its object"},
    {"{`id`:1}", "line 1, column 2: ` where a key in double quotes should be"},
    {"{\n  'id': NaN}", "line 2, column 9: N where a value should be"},
    {"{'id':Infinity}", "line 1, column 7: I where a value should be"},
    {"{'id':-Infinity}", "line 1, column 8: I where a digit should be"},
    {"{'id':99999999999999999999}", "line 1, column 7: this number is too large"},
    {"{'id':1.}", "line 1, column 9: } where a digit should be"},
    {"{'id':1e}", "line 1, column 9: } where a digit should be"},
    {"{'id':01}", "line 1, column 7: a number must not begin with 0"},
    {"{'id':+1}", "line 1, column 7: + where a value should be"},
    {"{'id':True}", "line 1, column 7: T where a value should be"},
    {"{'id' 1}", "line 1, column 7: 1 where a colon should be"},
    {"{id:1}", "line 1, column 2: i where a key in double quotes should be"},
    {"{'id':1,}", "line 1, column 9: } where a key in double quotes should be"},
    {"[1,]", "line 1, column 4: ] where a value should be"},
    {"[1 2]", "line 1, column 4: 2 where a comma or ] should be"},
    {"/* an id */{'id':1}", "line 1, column 1: / where a value should be"},
    {"{} {}", "line 1, column 4: { where the end of the file should be"},
    {"{'a':'\t'}", "line 1, column 7: a control character in a string; write it as \\n, \\t or \\uNNNN"},
    {"{'a':'\\x'}", "line 1, column 7: this escape stands for no character"},
    {"{'a':'\\ud800'}", "line 1, column 7: this escape stands for no character"},
    {"{'a':'\\ud800\\u0041'}", "line 1, column 7: this escape stands for no character"},
    {"{'a':'\\udc00'}", "line 1, column 7: this escape stands for no character"},
    {"{'a':'\\u0000'}", "line 1, column 7: a string must not contain \\u0000"},
    {"{'\xc3\xa4':'\xff'}", "line 1, column 7: this is not UTF-8"},
    {"{'a':'\xc0\x80'}", "line 1, column 7: this is not UTF-8"},
    {"{'a':'\xed\xa0\x80'}", "line 1, column 7: this is not UTF-8"},
    {"{'a':'\xf4\x90\x80\x80'}", "line 1, column 7: this is not UTF-8"},
    {"{'a':'\xe2\x82'}", "line 1, column 7: this is not UTF-8"},
    {"\xef\xbb\xbf{}", "line 1, column 1: byte 0xef where a value should be"},
    {"{'a':'", "line 1, column 7: the file ends within a string"},
    {"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "line 1, column 17: too many arrays and objects within each other"},

    /* Whole objects. */
    {"[]", "the file must be one object: {...}"},
    {"null", "the file must be one object: {...}"},
    {"{}", "cluster: is missing; write {'name': ..., 'members': [...]}"},
    {WITH(",'colour':'red'"),
     "colour: 'red' is not known; the keys here are id, data_dir, cluster, listen, election_timeout_ms, heartbeat_ms, "
     "fast_failover, segment_bytes, log_cache_bytes, max_entry_bytes, disk_stall_ms, client_timeout_ms, "
     "client_stall_ms, client_output_bytes, max_request_bytes, max_clients, max_memory_bytes, debug_commands, "
     "trusted_network, log"},

    /* id */
    {"{'data_dir':'d'," CLUSTER_OF(THREE_MEMBERS) "}",
     "id: is missing; write which member this node is, or start it with --id N"},
    {"{'id':9,'data_dir':'d'," CLUSTER_OF(THREE_MEMBERS) "}", "id: 9 is no member; cluster.members lists 1, 2, 3"},
    {"{'id':0,'data_dir':'d'," CLUSTER_OF(THREE_MEMBERS) "}",
     "id: 0 is not right; write a whole number from 1 to 2147483647"},
    {"{'id':'1','data_dir':'d'," CLUSTER_OF(THREE_MEMBERS) "}",
     "id: '1' is not right; write a whole number from 1 to 2147483647"},
    {"{'id':null,'data_dir':'d'," CLUSTER_OF(THREE_MEMBERS) "}",
     "id: null is not right; write a whole number from 1 to 2147483647"},

    /* data_dir */
    {"{'id':1," CLUSTER_OF(THREE_MEMBERS) "}",
     "data_dir: is missing; write the folder for this node`s data, such as 'data/{id}'"},
    {"{'id':1,'data_dir':''," CLUSTER_OF(THREE_MEMBERS) "}",
     "data_dir: '' is no folder; write a path, such as 'data/{id}'"},
    {"{'id':1,'data_dir':7," CLUSTER_OF(THREE_MEMBERS) "}",
     "data_dir: 7 is no folder; write a path, such as 'data/{id}'"},

    /* cluster */
    {"{'id':1,'data_dir':'d','cluster':[]}", "cluster: [] must be an object: {...}"},
    {"{'cluster':{'members':[]}}", "cluster.name: is missing; write the cluster`s name"},
    {"{'cluster':{'name':'a b','members':[]}}", "cluster.name: 'a b' " NAME_RIGHT},
    {"{'cluster':{'name':'','members':[]}}", "cluster.name: '' " NAME_RIGHT},
    {"{'cluster':{'name':'\\'','members':[]}}", "cluster.name: '\\'' " NAME_RIGHT},
    {"{'cluster':{'name':5,'members':[]}}", "cluster.name: 5 " NAME_RIGHT},
    {"{'cluster':{'name':'" SIXTEEN SIXTEEN SIXTEEN SIXTEEN "a','members':[]}}",
     "cluster.name: '" SIXTEEN SIXTEEN SIXTEEN SIXTEEN "a' " NAME_RIGHT},
    {"{'cluster':{'name':'c','size':3}}", "cluster.size: 3 is not known; the keys here are name, members, birth"},
    {"{'cluster':{'name':'c','a\\nb\\u007f':3}}",
     "cluster.a\\u000ab\\u007f: 3 is not known; the keys here are name, members, birth"},
    {"{'cluster':{'name':'c'}}", "cluster.members: is missing; write a list of {'id': 1, 'peer': 'host:port'}"},
    {"{'cluster':{'name':'c','members':{}}}",
     "cluster.members: {} must be a list: [{'id': 1, 'peer': 'host:port'}, ...]"},
    {WITH_MEMBERS(""), "cluster.members: has 0 members; there must be 1 to 31"},
    {WITH_MEMBERS("1"), "cluster.members[0]: 1 must be an object: {...}"},
    {WITH_MEMBERS("{'peer':'a:1'}"), "cluster.members[0].id: is missing; write a whole number from 1 to 2147483647"},
    {WITH_MEMBERS("{'id':1}"), "cluster.members[0].peer: is missing; write 'host:port', where the others reach it"},
    {WITH_MEMBERS("{'id':2147483648,'peer':'a:1'}"),
     "cluster.members[0].id: 2147483648 is not right; write a whole number from 1 to 2147483647"},
    {WITH_MEMBERS("{'id':-1,'peer':'a:1'}"),
     "cluster.members[0].id: -1 is not right; write a whole number from 1 to 2147483647"},
    {WITH_MEMBERS("{'id':1,'peer':'a:1','port':1}"),
     "cluster.members[0].port: 1 is not known; the keys here are id, peer, client, admin"},
    {WITH_MEMBERS("{'id':1,'peer':'a:1'},{'id':2,'peer':'foo'}"), "cluster.members[1].peer: 'foo' " ADDRESS_RIGHT},
    {WITH_MEMBERS("{'id':1,'peer':'a:0'}"), "cluster.members[0].peer: 'a:0' " ADDRESS_RIGHT},
    {WITH_MEMBERS("{'id':1,'peer':'a:99999'}"), "cluster.members[0].peer: 'a:99999' " ADDRESS_RIGHT},
    {WITH_MEMBERS("{'id':1,'peer':':7101'}"), "cluster.members[0].peer: ':7101' " ADDRESS_RIGHT},
    {WITH_MEMBERS("{'id':1,'peer':7101}"), "cluster.members[0].peer: 7101 " ADDRESS_RIGHT},
    {WITH_MEMBERS("{'id':1,'peer':'a:1','client':'foo'}"), "cluster.members[0].client: 'foo' " ADDRESS_RIGHT},
    {WITH_MEMBERS("{'id':1,'peer':'a:1','admin':null}"), "cluster.members[0].admin: null " ADDRESS_RIGHT},
    {WITH_MEMBERS("{'id':1,'peer':'a:1'},{'id':1,'peer':'a:2'}"),
     "cluster.members[1].id: 1 is the id of cluster.members[0] too; each needs its own"},
    {WITH_MEMBERS("{'id':1,'peer':'a:1'},{'id':2,'peer':'A:1'}"),
     "cluster.members[1].peer: 'A:1' is taken by cluster.members[0].peer; each needs an address of its own"},
    {WITH_MEMBERS("{'id':1,'peer':'[::1]:1'},{'id':2,'peer':'[0:0::1]:1'}"),
     "cluster.members[1].peer: '[0:0::1]:1' is taken by cluster.members[0].peer; each needs an address of its own"},
    {WITH_MEMBERS("{'id':1,'peer':'127.0.0.1:1','client':'127.0.0.1:2'},{'id':2,'peer':'127.0.0.1:2'}"),
     "cluster.members[1].peer: '127.0.0.1:2' is taken by cluster.members[0].client; each needs an address of its own"},
    {WITH_MEMBERS("{'id':1,'peer':'127.0.0.1:1','client':'127.0.0.1:2','admin':'127.0.0.1:2'}"),
     "cluster.members[0].admin: '127.0.0.1:2' is taken by cluster.members[0].client; each needs an address of its own"},
    {WITH_MEMBERS("{'id':1,'peer':'0.0.0.0:7101'}"), "cluster.members[0].peer: '0.0.0.0:7101' " NO_MACHINE("peer")},
    {WITH_MEMBERS("{'id':1,'peer':'a:1'},{'id':2,'peer':'[::]:7101'}"),
     "cluster.members[1].peer: '[::]:7101' " NO_MACHINE("peer")},
    {WITH_MEMBERS("{'id':1,'peer':'[ff02::1]:7101'}"),
     "cluster.members[0].peer: '[ff02::1]:7101' " NO_MACHINE("peer")},
    {WITH_MEMBERS("{'id':1,'peer':'a:1','client':'224.0.0.1:1'}"),
     "cluster.members[0].client: '224.0.0.1:1' " NO_MACHINE("client")},
    {WITH_MEMBERS("{'id':1,'peer':'a:1','admin':'[::ffff:0.0.0.0]:1'}"),
     "cluster.members[0].admin: '[::ffff:0.0.0.0]:1' " NO_MACHINE("admin")},

    {"{'id':1,'data_dir':'d','cluster':{'name':'c','members':[" THREE_MEMBERS "],'birth':'most'}}",
     "cluster.birth: 'most' is not right; write 'majority' or 'all'"},
    {"{'id':1,'data_dir':'d','cluster':{'name':'c','members':[" THREE_MEMBERS "],'birth':true}}",
     "cluster.birth: true is not right; write 'majority' or 'all'"},

    /* listen */
    {WITH(",'listen':'127.0.0.1:1'"), "listen: '127.0.0.1:1' must be an object: {...}"},
    {WITH(",'listen':{'peers':'127.0.0.1:1'}"),
     "listen.peers: '127.0.0.1:1' is not known; the keys here are peer, client, admin"},
    {WITH(",'listen':{'peer':'127.0.0.1'}"), "listen.peer: '127.0.0.1' " ADDRESS_RIGHT},
    {WITH(",'listen':{'client':'127.0.0.1:7101'}"),
     "listen.client: '127.0.0.1:7101' is taken by listen.peer; each needs an address of its own"},
    {WITH(",'listen':{'client':'127.0.0.1:1','admin':'127.0.0.1:1'}"),
     "listen.admin: '127.0.0.1:1' is taken by listen.client; each needs an address of its own"},

    /* Times. */
    {WITH(",'election_timeout_ms':150"), "election_timeout_ms: 150 must be an object: {...}"},
    {WITH(",'election_timeout_ms':{'mean':150}"),
     "election_timeout_ms.mean: 150 is not known; the keys here are min, max"},
    {WITH(",'election_timeout_ms':{'min':150.0}"),
     "election_timeout_ms.min: 150.0 is not right; write a whole number from 5 to 60000"},
    {WITH(",'election_timeout_ms':{'max':1e2}"),
     "election_timeout_ms.max: 1e2 is not right; write a whole number from 5 to 60000"},
    {WITH(",'election_timeout_ms':{'min':4}"), "election_timeout_ms.min: 4 is not right; write a whole number from 5 to 60000"},
    {WITH(",'election_timeout_ms':{'max':60001}"),
     "election_timeout_ms.max: 60001 is not right; write a whole number from 5 to 60000"},
    {WITH(",'election_timeout_ms':{'min':300}"), "election_timeout_ms.min: 300 is not below max, which is 300"},
    {WITH(",'heartbeat_ms':'50'"), "heartbeat_ms: '50' is not right; write a whole number from 1 to 30000"},
    {WITH(",'heartbeat_ms':0"), "heartbeat_ms: 0 is not right; write a whole number from 1 to 30000"},
    {WITH(",'heartbeat_ms':76"),
     "heartbeat_ms: 76 is too slow; with election_timeout_ms.min at 150 it must be at most 75"},

    /* The log's files. */
    {WITH(",'segment_bytes':65535"),
     "segment_bytes: 65535 is not right; write a whole number from 65536 to 1073741824"},
    {WITH(",'segment_bytes':1073741825"),
     "segment_bytes: 1073741825 is not right; write a whole number from 65536 to 1073741824"},
    {WITH(",'log_cache_bytes':65535"),
     "log_cache_bytes: 65535 is not right; write a whole number from 65536 to 1099511627776"},
    {WITH(",'log_cache_bytes':-1"),
     "log_cache_bytes: -1 is not right; write a whole number from 65536 to 1099511627776"},
    {WITH(",'max_entry_bytes':32767"),
     "max_entry_bytes: 32767 is not right; write a whole number from 32768 to 67108864"},
    {WITH(",'max_entry_bytes':'1M'"),
     "max_entry_bytes: '1M' is not right; write a whole number from 32768 to 67108864"},
    {WITH(",'max_entry_bytes':67108865"),
     "max_entry_bytes: 67108865 is not right; write a whole number from 32768 to 67108864"},
    {WITH(",'max_entry_bytes':67108864"),
     "max_entry_bytes: 67108864 is too large; with segment_bytes at 67108864 it must be at most 67100608"},
    {WITH(",'segment_bytes':65536"),
     "max_entry_bytes: 2097152 is too large; with segment_bytes at 65536 it must be at most 57280"},
    {WITH(",'segment_bytes':66047,'max_entry_bytes':57281"),
     "max_entry_bytes: 57281 is too large; with segment_bytes at 66047 it must be at most 57280"},
    {WITH(",'disk_stall_ms':9"), "disk_stall_ms: 9 is not right; write a whole number from 10 to 60000"},
    {WITH(",'disk_stall_ms':60001"), "disk_stall_ms: 60001 is not right; write a whole number from 10 to 60000"},

    /* Clients. */
    {WITH(",'client_timeout_ms':0"), "client_timeout_ms: 0 is not right; write a whole number from 1 to 3600000"},
    {WITH(",'client_stall_ms':3600001"), "client_stall_ms: 3600001 is not right; write a whole number from 1 to 3600000"},
    {WITH(",'client_output_bytes':1048575"),
     "client_output_bytes: 1048575 is not right; write a whole number from 1048576 to 1099511627776"},
    {WITH(",'max_clients':0"), "max_clients: 0 is not right; write a whole number from 1 to 1000000"},
    {WITH(",'max_memory_bytes':'1G'"),
     "max_memory_bytes: '1G' is not right; write a whole number from 1048576 to 1099511627776"},
    {WITH(",'max_request_bytes':4095"),
     "max_request_bytes: 4095 is not right; write a whole number from 4096 to 67108864"},
    {WITH(",'max_request_bytes':2096129"),
     "max_request_bytes: 2096129 is too large; with max_entry_bytes at 2097152 it must be at most 2096128"},
    {WITH(",'debug_commands':1"), "debug_commands: 1 must be true or false"},

    /* The rest. */
    {WITH(",'fast_failover':1"), "fast_failover: 1 must be true or false"},
    {WITH(",'trusted_network':'yes'"), "trusted_network: 'yes' must be true or false"},
    {WITH_MEMBERS("{'id':1,'peer':'127.0.0.1:1','client':'192.0.2.1:2'}"),
     "cluster.members[0].client: '192.0.2.1:2' can be reached by other machines, and clients need no password; use "
     "127.0.0.1, or set 'trusted_network': true where only trusted machines can reach it"},
    {WITH(",'listen':{'client':'0.0.0.0:2'}"),
     "listen.client: '0.0.0.0:2' can be reached by other machines, and clients need no password; use 127.0.0.1, or set "
     "'trusted_network': true where only trusted machines can reach it"},
    {WITH(",'log':'debug'"), "log: 'debug' must be an object: {...}"},
    {WITH(",'log':{'file':'x'}"), "log.file: 'x' is not known; the keys here are level"},
    {WITH(",'log':{'level':'loud'}"),
     "log.level: 'loud' is no level; write 'error', 'warn', 'info', 'debug' or 'trace'"},
    {WITH(",'log':{'level':2}"), "log.level: 2 is no level; write 'error', 'warn', 'info', 'debug' or 'trace'"},
};

#define BAD_CONFIGS_COUNT (sizeof(BAD_CONFIGS) / sizeof(BAD_CONFIGS[0]))

/* Turns ' into " and ` into '. Returns json, which is cut at its size. */
static inline const char *unquoted(const char *text, char *json, size_t size)
{
    snprintf(json, size, "%s", text);
    for (char *at = json; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at == '`' ? '\'' : *at;
    return json;
}

#endif

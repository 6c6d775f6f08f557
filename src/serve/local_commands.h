/* local_commands.h - the commands that a session carries out by itself, as the table (commands.h) names them.
 *
 * Each puts its answer into session_reply, or asks for what it lacks (session.h) and answers then. arguments[0] is the
 * command's name, of a subcommand its container's; their count has been checked against the arity.
 *
 * Threads:   the clients' thread. */
#ifndef SERVE_LOCAL_COMMANDS_H
#define SERVE_LOCAL_COMMANDS_H

#include "serve/session.h"

#define REDIS_VERSION "7.0.15" /* whose commands these are, as clients are told */

typedef void local_command(struct session *session, const struct text *arguments, size_t count);

/* session_commands.c: the connection */
local_command run_ping, run_echo, run_select, run_quit, run_reset, run_auth, run_hello, run_debug;

/* client_commands.c: connections, as their clients see them */
local_command run_client_id, run_client_getname, run_client_setname, run_client_setinfo, run_client_info,
    run_client_list, run_client_kill, run_client_no_evict, run_client_no_touch, run_client_reply;

/* command_commands.c: what commands there are */
local_command run_command, run_command_count, run_command_docs, run_command_getkeys, run_command_getkeysandflags,
    run_command_info, run_command_list;
local_command run_help; /* of every container */

/* config_commands.c: settings */
local_command run_config_get, run_config_set, run_config_resetstat, run_config_rewrite;

/* info.c: how the node is */
local_command run_info, run_role;

/* sentinel.c: where the leader is */
local_command run_sentinel_ckquorum, run_sentinel_get_master_addr_by_name, run_sentinel_master, run_sentinel_masters,
    run_sentinel_myid, run_sentinel_replicas, run_sentinel_sentinels;

/* subscriptions.c: news of the leader */
local_command run_subscribe, run_psubscribe, run_unsubscribe, run_punsubscribe;

/* ---- What they share ---- */

/* CLIENT SETNAME, for HELLO too. False: it may not be a name; an error was put. */
bool client_set_name(struct session *session, struct text name);

/* Whether a name, which is in lower case, matches a glob pattern in any case. */
bool name_matches(const char *name, struct text pattern);

/* Where clients reach a member; NULL: it tells none, or is no member. */
const struct address *client_address_of(const struct sessions *sessions, raft_id id);

/* What stands for a member where Redis tells the id of a process: the same on every node, and after a restart. */
#define IDENTITY_TEXT_BYTES 41 /* the final zero included */
const char *identity_of(const struct sessions *sessions, raft_id id, char text[IDENTITY_TEXT_BYTES]);

#endif

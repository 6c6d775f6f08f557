/* config.h - the JSON file that a node is started with; the only user of json-c.
 *
 * What json-c accepts beyond plain JSON is refused (json_strict.h), and so is all that the README's table does not
 * list. Errors are CONFIG_ERROR with one line: the file, the path of the key ("cluster.members[1].peer"), the value,
 * and what would be right. */
#ifndef SERVE_CONFIG_H
#define SERVE_CONFIG_H

#include "base/line.h"
#include "serve/service.h"

#define CONFIG_BYTES_MAX (1024 * 1024)

#define CONFIG_TIMEOUT_MS_MIN 5
#define CONFIG_TIMEOUT_MS_MAX 60000

#define CONFIG_CACHE_BYTES_MAX ((int64_t)1 << 40) /* no machine has more */

#define CONFIG_CLIENT_MS_MAX 3600000
#define CONFIG_CLIENTS_MAX   1000000

struct config {
    struct node_config node; /* all but `about`, `pid`, `warning`, `rejoin_empty`, `machine` and `watcher` */
    struct service_config service; /* what clients are served, and how; all but sessions.pid */
    struct address listen_admin; /* none: port 0 */
    bool trusted_network;
    enum log_level log_level;
};

/* Reads and checks a file. id: overrides the file's; 0: as the file says. data_dir becomes absolute, and {id} in it
 * the id. Nothing is opened but the file, and nothing bound or made. */
bool config_read(const char *path, raft_id id, struct config *config, struct mailraft_error *err);

/* Whether peers talk over more than the loopback interface, so that others could listen in or join in. */
bool config_peers_exposed(const struct config *config);

#endif

/* tool.h - programs of the system that are run and waited for: ip, iptables-restore, tc, cp. */
#ifndef CHAOS_TOOL_H
#define CHAOS_TOOL_H

#include <stdbool.h>

/* network: a namespace to run in; -1: ours. input: what it reads; NULL: nothing. arguments: ends with NULL. False: its
 * status was not 0, which it has told on stderr. */
bool tool_run(int network, const char *input, const char *const *arguments);

#define TOOL(Network, Input, ...) tool_run(Network, Input, (const char *const[]){__VA_ARGS__, NULL})

#endif

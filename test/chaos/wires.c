#include "chaos/wires.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaos/tool.h"
#include "check.h"

#define ENDS_MAX   SANDBOX_NETWORKS_MAX
#define SCRIPT_MAX 4096

struct end {
    int network;
    int faults[WIRES_FAULTS][ENDS_MAX]; /* how many there are, by whoever sends */
    int unplugged, choked;
    bool rules_changed;
    bool is_unplugged, is_choked; /* as it was applied */
};

struct wires {
    int count; /* of ends */
    struct end ends[ENDS_MAX];
};

const char *wires_host(int end)
{
    static const char *const HOSTS[ENDS_MAX] = {"10.77.0.100", "10.77.0.1", "10.77.0.2", "10.77.0.3",
                                                "10.77.0.4",   "10.77.0.5", "10.77.0.6", "10.77.0.7"};
    return HOSTS[end];
}

/* ---- Laying them ---- */

static bool ip(int network, const char *script)
{
    return TOOL(network, script, "ip", "-batch", "-");
}

/* The second process of the sandbox, the first that it contains, is where the clients are. */
static bool lay(const struct wires *wires, int node)
{
    char inside[SCRIPT_MAX], outside[SCRIPT_MAX], address[SCRIPT_MAX];
    snprintf(inside, sizeof(inside), "link set lo up\nlink add eth0 type veth peer name node%d netns 1\n", node);
    snprintf(outside, sizeof(outside), "link set node%d master bridge0 up\n", node);
    snprintf(address, sizeof(address), "addr add %s/24 dev eth0\nlink set eth0 up\n", wires_host(node));
    return ip(wires->ends[node].network, inside) && ip(wires->ends[0].network, outside) &&
           ip(wires->ends[node].network, address);
}

static bool lay_all(const struct wires *wires)
{
    char script[SCRIPT_MAX];
    snprintf(script, sizeof(script),
             "link set lo up\nlink add bridge0 type bridge\naddr add %s/24 dev bridge0\nlink set bridge0 up\n",
             wires_host(0));
    if (!ip(wires->ends[0].network, script))
        return false;
    for (int node = 1; node < wires->count; node++)
        if (!lay(wires, node))
            return false;
    return true;
}

/* ---- Faults ---- */

void wires_change(struct wires *wires, enum wires_fault fault, int from, int to, int by)
{
    struct end *end = &wires->ends[to];
    int *count = &end->faults[fault][from];
    bool before = *count > 0;
    *count += by;
    cr_assert_geq(*count, 0);
    end->rules_changed |= before != (*count > 0);
}

void wires_unplug(struct wires *wires, int node, int by)
{
    wires->ends[node].unplugged += by;
}

void wires_choke(struct wires *wires, int node, int by)
{
    wires->ends[node].choked += by;
}

static bool apply_rules(struct end *end, int count)
{
    static const char *const TARGETS[WIRES_FAULTS] = {
        [WIRES_CUT] = "-j DROP",
        [WIRES_LOSS] = "-m statistic --mode random --probability 0.1 -j DROP",
        [WIRES_RESET] = "-p tcp -j REJECT --reject-with tcp-reset",
    };
    char script[SCRIPT_MAX];
    FILE *out = fmemopen(script, sizeof(script), "w");
    cr_assert_not_null(out);
    fputs("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n", out);
    for (int fault = 0; fault < WIRES_FAULTS; fault++)
        for (int from = 0; from < count; from++)
            if (end->faults[fault][from] > 0)
                fprintf(out, "-A INPUT -s %s %s\n", wires_host(from), TARGETS[fault]);
    fputs("COMMIT\n", out);
    cr_assert_eq(fclose(out), 0);
    end->rules_changed = false;
    return TOOL(end->network, script, "iptables-restore");
}

static bool apply_plug(struct wires *wires, int node)
{
    struct end *end = &wires->ends[node];
    char script[SCRIPT_MAX];
    snprintf(script, sizeof(script), "link set node%d %s\n", node, end->unplugged > 0 ? "down" : "up");
    end->is_unplugged = end->unplugged > 0;
    return ip(wires->ends[0].network, script);
}

/* 256 kbit/s are 32 bytes a millisecond: a heartbeat takes five. What waits longer than 300 ms is dropped. */
static bool choke(int network, const char *card, bool on)
{
    if (!on)
        return TOOL(network, NULL, "tc", "qdisc", "del", "dev", card, "root");
    return TOOL(network, NULL, "tc", "qdisc", "replace", "dev", card, "root", "tbf", "rate", "256kbit", "burst", "16kb",
                "latency", "300ms");
}

static bool apply_choke(struct wires *wires, int node)
{
    struct end *end = &wires->ends[node];
    char card[16];
    snprintf(card, sizeof(card), "node%d", node);
    end->is_choked = end->choked > 0;
    return choke(end->network, "eth0", end->is_choked) && choke(wires->ends[0].network, card, end->is_choked);
}

static bool apply(struct wires *wires)
{
    bool done = true;
    for (int i = 0; i < wires->count; i++) {
        struct end *end = &wires->ends[i];
        if (end->rules_changed)
            done = apply_rules(end, wires->count) && done;
        if ((end->unplugged > 0) != end->is_unplugged)
            done = apply_plug(wires, i) && done;
        if ((end->choked > 0) != end->is_choked)
            done = apply_choke(wires, i) && done;
    }
    return done;
}

void wires_apply(struct wires *wires)
{
    cr_assert(apply(wires), "the network did not become as it should");
}

static void end_all(struct wires *wires)
{
    for (int i = 0; i < wires->count; i++) {
        struct end *end = &wires->ends[i];
        memset(end->faults, 0, sizeof(end->faults));
        end->unplugged = end->choked = 0;
        end->rules_changed = true;
    }
}

/* ---- The beginning and the end ---- */

/* Whether all that may go wrong can be made to, here. */
static bool try_all(struct wires *wires)
{
    for (enum wires_fault fault = 0; fault < WIRES_FAULTS; fault++)
        wires_change(wires, fault, 0, 1, 1);
    wires_unplug(wires, 1, 1);
    wires_choke(wires, 1, 1);
    bool good = apply(wires);
    end_all(wires);
    return apply(wires) && good;
}

struct wires *wires_new(const struct sandbox *sandbox, int count)
{
    struct wires *wires = calloc(1, sizeof(*wires));
    cr_assert(wires != NULL && count < ENDS_MAX);
    wires->count = count + 1;
    for (int i = 0; i < wires->count; i++)
        wires->ends[i].network = sandbox->networks[i];
    if (lay_all(wires) && try_all(wires))
        return wires;
    wires_free(wires);
    return NULL;
}

void wires_free(struct wires *wires)
{
    free(wires);
}

#include "chaos/faults.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chaos/chaos.h"
#include "check.h"

#define ACTIVE_MAX   5
#define SHARE_OF_ALL 0.75 /* kinds that a seed has */
#define STORM_MS_MIN 3000
#define STORM_MS_MAX 10000
#define LULL_MS_MIN  800
#define LULL_MS_MAX  2500
#define DELAY_MS_MAX 200
#define PAUSE_MS_MIN 30 /* between two that begin */
#define PAUSE_MS_MAX 900

struct fault {
    const struct kind *kind; /* NULL: none */
    int64_t until_ms;
    unsigned nodes; /* a bit each */
    int delay_ms, jitter_ms;
    bool ways[SANDBOX_NETWORKS_MAX][SANDBOX_NETWORKS_MAX]; /* from, to */
};

struct kind {
    const char *name;
    int64_t ms_min, ms_max; /* how long */
    void (*begin)(struct chaos *chaos, struct fault *fault);
    void (*end)(struct chaos *chaos, struct fault *fault);
    enum wires_fault wires; /* of those about ways; or NO_WIRES */
};

#define NO_WIRES WIRES_FAULTS

#define KINDS_MAX 32

struct faults {
    bool has[KINDS_MAX];
    unsigned long sums[KINDS_MAX];
    uint64_t begun, weathers;
    bool storm;
    int64_t weather_until_ms, next_at_ms;
    int active_max;
    struct fault active[ACTIVE_MAX];
};

/* ---- Whom it strikes ---- */

static int any_node(struct chaos *chaos)
{
    return (int)dice_between(&chaos->dice, 1, chaos->count + 1);
}

/* Leaders have more to lose. */
static int draw_node(struct chaos *chaos)
{
    return chaos->cluster->leader != 0 && dice_chance(&chaos->dice, 0.4) ? chaos->cluster->leader : any_node(chaos);
}

static unsigned all_nodes(const struct chaos *chaos)
{
    return (1u << (chaos->count + 1)) - 2;
}

static unsigned draw_nodes(struct chaos *chaos, int count)
{
    unsigned nodes = 0;
    while (__builtin_popcount(nodes) < count)
        nodes |= 1u << any_node(chaos);
    return nodes;
}

static void shuffle(struct chaos *chaos, int order[CLUSTER_NODES_MAX])
{
    for (int i = 0; i < CLUSTER_NODES_MAX; i++)
        order[i] = i + 1;
    for (int i = chaos->count - 1; i > 0; i--) {
        int j = (int)dice_between(&chaos->dice, 0, i + 1), other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}

/* ---- Ways ---- */

static void strike_way(struct chaos *chaos, struct fault *fault, int from, int to)
{
    if (from == to || fault->ways[from][to])
        return;
    fault->ways[from][to] = true;
    if (fault->kind->wires != NO_WIRES)
        wires_change(chaos->wires, fault->kind->wires, from, to, 1);
}

static void strike_both(struct chaos *chaos, struct fault *fault, int one, int other)
{
    strike_way(chaos, fault, one, other);
    strike_way(chaos, fault, other, one);
}

static void spare_ways(struct chaos *chaos, struct fault *fault)
{
    for (int from = 0; from <= chaos->count; from++)
        for (int to = 0; to <= chaos->count; to++)
            if (fault->ways[from][to])
                wires_change(chaos->wires, fault->kind->wires, from, to, -1);
}

/* Those of each side see each other only. */
static void halves(struct chaos *chaos, struct fault *fault)
{
    fault->nodes = draw_nodes(chaos, (int)dice_between(&chaos->dice, 1, chaos->count));
    for (int one = 1; one <= chaos->count; one++)
        for (int other = 1; other < one; other++)
            if ((fault->nodes >> one & 1) != (fault->nodes >> other & 1))
                strike_both(chaos, fault, one, other);
}

static void isolate(struct chaos *chaos, struct fault *fault, int node)
{
    fault->nodes = 1u << node;
    for (int other = 1; other <= chaos->count; other++)
        strike_both(chaos, fault, node, other);
}

static void isolated_leader(struct chaos *chaos, struct fault *fault)
{
    isolate(chaos, fault, chaos->cluster->leader != 0 ? chaos->cluster->leader : any_node(chaos));
}

static void isolated_node(struct chaos *chaos, struct fault *fault)
{
    int node = any_node(chaos);
    isolate(chaos, fault, node);
    strike_both(chaos, fault, node, 0);
}

/* Two sides that see each other no more, and one node that sees both. */
static void bridge(struct chaos *chaos, struct fault *fault)
{
    int order[CLUSTER_NODES_MAX], middle = chaos->count / 2;
    shuffle(chaos, order);
    fault->nodes = 1u << order[middle];
    for (int i = 0; i < middle; i++)
        for (int j = middle + 1; j < chaos->count; j++)
            strike_both(chaos, fault, order[i], order[j]);
}

/* Each sees two others, or, of three, the ends of the row one. */
static void ring(struct chaos *chaos, struct fault *fault)
{
    int order[CLUSTER_NODES_MAX], last = chaos->count - 1;
    shuffle(chaos, order);
    for (int i = 0; i < chaos->count; i++)
        for (int j = i + 2; j < chaos->count; j++)
            if (i != 0 || j != last || chaos->count < 4)
                strike_both(chaos, fault, order[i], order[j]);
}

static void one_way(struct chaos *chaos, struct fault *fault)
{
    fault->nodes = draw_nodes(chaos, 2);
    int first = __builtin_ctz(fault->nodes), second = __builtin_ctz(fault->nodes & (fault->nodes - 1));
    bool swapped = dice_chance(&chaos->dice, 0.5);
    strike_way(chaos, fault, swapped ? second : first, swapped ? first : second);
}

static void deaf(struct chaos *chaos, struct fault *fault)
{
    int node = draw_node(chaos);
    fault->nodes = 1u << node;
    for (int other = 1; other <= chaos->count; other++)
        strike_way(chaos, fault, other, node);
}

static void mute(struct chaos *chaos, struct fault *fault)
{
    int node = draw_node(chaos);
    fault->nodes = 1u << node;
    for (int other = 1; other <= chaos->count; other++)
        strike_way(chaos, fault, node, other);
}

static void no_clients(struct chaos *chaos, struct fault *fault)
{
    int node = draw_node(chaos);
    fault->nodes = 1u << node;
    strike_way(chaos, fault, node, 0);
    if (dice_chance(&chaos->dice, 0.5))
        strike_way(chaos, fault, 0, node);
}

/* Of what one node sends and gets, or of one pair. */
static void some_ways(struct chaos *chaos, struct fault *fault)
{
    int node = draw_node(chaos);
    bool pair = dice_chance(&chaos->dice, 0.4);
    fault->nodes = 1u << node;
    if (pair)
        strike_both(chaos, fault, node, any_node(chaos));
    for (int other = 0; !pair && other <= chaos->count; other++)
        strike_both(chaos, fault, node, other);
}

/* ---- Relays ---- */

static void on_ways(struct chaos *chaos, const struct fault *fault,
                    void (*change)(struct chaos *chaos, const struct fault *fault, int from, int to))
{
    for (int from = 1; from <= chaos->count; from++)
        for (int to = 1; to <= chaos->count; to++)
            if (fault->ways[from][to])
                change(chaos, fault, from, to);
}

static void delay_way(struct chaos *chaos, const struct fault *fault, int from, int to)
{
    relays_delay(chaos->relays, from, to, fault->delay_ms, fault->jitter_ms);
}

static void delayed(struct chaos *chaos, struct fault *fault)
{
    some_ways(chaos, fault);
    fault->delay_ms = (int)dice_between(&chaos->dice, 0, DELAY_MS_MAX);
    fault->jitter_ms = (int)dice_between(&chaos->dice, 1, DELAY_MS_MAX);
    on_ways(chaos, fault, delay_way);
}

static void in_time(struct chaos *chaos, struct fault *fault)
{
    fault->delay_ms = fault->jitter_ms = 0;
    on_ways(chaos, fault, delay_way);
}

static void stall_way(struct chaos *chaos, const struct fault *fault, int from, int to)
{
    (void)fault;
    relays_stall(chaos->relays, from, to, true);
}

static void unstall_way(struct chaos *chaos, const struct fault *fault, int from, int to)
{
    (void)fault;
    relays_stall(chaos->relays, from, to, false);
}

static void stalled(struct chaos *chaos, struct fault *fault)
{
    some_ways(chaos, fault);
    on_ways(chaos, fault, stall_way);
}

static void unstalled(struct chaos *chaos, struct fault *fault)
{
    on_ways(chaos, fault, unstall_way);
}

/* ---- Cards and machines ---- */

static void on_each(struct chaos *chaos, const struct fault *fault, int by,
                    void (*change)(struct chaos *chaos, int node, int by))
{
    for (int node = 1; node <= chaos->count; node++)
        if ((fault->nodes >> node & 1) != 0)
            change(chaos, node, by);
}

static void change_plug(struct chaos *chaos, int node, int by)
{
    wires_unplug(chaos->wires, node, by);
}

static void change_choke(struct chaos *chaos, int node, int by)
{
    wires_choke(chaos->wires, node, by);
}

static void unplugged(struct chaos *chaos, struct fault *fault)
{
    fault->nodes = 1u << draw_node(chaos);
    on_each(chaos, fault, 1, change_plug);
}

static void plugged(struct chaos *chaos, struct fault *fault)
{
    on_each(chaos, fault, -1, change_plug);
}

static void choked(struct chaos *chaos, struct fault *fault)
{
    fault->nodes = 1u << draw_node(chaos);
    on_each(chaos, fault, 1, change_choke);
}

static void unchoked(struct chaos *chaos, struct fault *fault)
{
    on_each(chaos, fault, -1, change_choke);
}

static void kill_one(struct chaos *chaos, struct fault *fault)
{
    fault->nodes = 1u << draw_node(chaos);
    machines_kill(chaos, fault->nodes);
}

static void kill_minority(struct chaos *chaos, struct fault *fault)
{
    fault->nodes = draw_nodes(chaos, chaos->count / 2);
    machines_kill(chaos, fault->nodes);
}

static void kill_all(struct chaos *chaos, struct fault *fault)
{
    fault->nodes = all_nodes(chaos);
    machines_kill(chaos, fault->nodes);
}

static void revive(struct chaos *chaos, struct fault *fault)
{
    machines_release(chaos, fault->nodes);
}

static void stop_one(struct chaos *chaos, struct fault *fault)
{
    int node = draw_node(chaos);
    fault->nodes = 1u << node;
    machine_stop(chaos, node);
}

static void is_over(struct chaos *chaos, struct fault *fault)
{
    (void)chaos, (void)fault;
}

static void pause_one(struct chaos *chaos, struct fault *fault)
{
    fault->nodes = 1u << draw_node(chaos);
    on_each(chaos, fault, 1, machine_pause);
}

static void pause_many(struct chaos *chaos, struct fault *fault)
{
    fault->nodes = draw_nodes(chaos, (int)dice_between(&chaos->dice, 2, chaos->count + 1));
    on_each(chaos, fault, 1, machine_pause);
}

static void go_on(struct chaos *chaos, struct fault *fault)
{
    on_each(chaos, fault, -1, machine_pause);
}

static void full_disk(struct chaos *chaos, struct fault *fault)
{
    fault->nodes = draw_nodes(chaos, (int)dice_between(&chaos->dice, 1, chaos->count / 2 + 1));
    on_each(chaos, fault, 1, machine_fill);
}

static void room_again(struct chaos *chaos, struct fault *fault)
{
    on_each(chaos, fault, -1, machine_fill);
}

static void bad(struct chaos *chaos, struct fault *fault)
{
    fault->nodes = 1u << draw_node(chaos);
    on_each(chaos, fault, 1, machine_spoil);
}

static void good_again(struct chaos *chaos, struct fault *fault)
{
    on_each(chaos, fault, -1, machine_spoil);
}

static const struct kind KINDS[] = {
    {"halves", 200, 4000, halves, spare_ways, WIRES_CUT},
    {"isolated leader", 200, 4000, isolated_leader, spare_ways, WIRES_CUT},
    {"isolated node", 200, 4000, isolated_node, spare_ways, WIRES_CUT},
    {"bridge", 500, 5000, bridge, spare_ways, WIRES_CUT},
    {"ring", 500, 5000, ring, spare_ways, WIRES_CUT},
    {"one way", 200, 5000, one_way, spare_ways, WIRES_CUT},
    {"deaf", 200, 3000, deaf, spare_ways, WIRES_CUT},
    {"mute", 200, 3000, mute, spare_ways, WIRES_CUT},
    {"no clients", 200, 3000, no_clients, spare_ways, WIRES_CUT},
    {"loss", 500, 5000, some_ways, spare_ways, WIRES_LOSS},
    {"broken connections", 20, 300, some_ways, spare_ways, WIRES_RESET},
    {"delays", 300, 4000, delayed, in_time, NO_WIRES},
    {"stalls", 100, 4000, stalled, unstalled, NO_WIRES},
    {"unplugged", 100, 4000, unplugged, plugged, NO_WIRES},
    {"slow wire", 500, 4000, choked, unchoked, NO_WIRES},
    {"killed", 0, 2000, kill_one, revive, NO_WIRES},
    {"minority killed", 0, 3000, kill_minority, revive, NO_WIRES},
    {"all killed", 0, 1000, kill_all, revive, NO_WIRES},
    {"stopped", 0, 100, stop_one, is_over, NO_WIRES},
    {"short pause", 1, 100, pause_one, go_on, NO_WIRES},
    {"long pause", 200, 4000, pause_one, go_on, NO_WIRES},
    {"many paused", 50, 2000, pause_many, go_on, NO_WIRES},
    {"full disk", 500, 3000, full_disk, room_again, NO_WIRES},
    {"bad machine", 200, 4000, bad, good_again, NO_WIRES},
};
#define KIND_COUNT (sizeof(KINDS) / sizeof(*KINDS))

/* ---- When ---- */

static bool needs_relays(const struct kind *kind)
{
    return kind->begin == delayed || kind->begin == stalled;
}

struct faults *faults_new(struct chaos *chaos)
{
    struct faults *faults = calloc(1, sizeof(*faults));
    cr_assert_not_null(faults);
    _Static_assert(KIND_COUNT <= KINDS_MAX, "there is room for all kinds");
    for (size_t i = 0; i < KIND_COUNT; i++)
        faults->has[i] = dice_chance(&chaos->dice, SHARE_OF_ALL) && (chaos->relays != NULL || !needs_relays(&KINDS[i]));
    faults->has[dice_between(&chaos->dice, 0, 3)] = true;
    return faults;
}

void faults_free(struct faults *faults)
{
    free(faults);
}

static void fault_begin(struct chaos *chaos, struct fault *fault, size_t kind)
{
    *fault = (struct fault){.kind = &KINDS[kind]};
    fault->kind->begin(chaos, fault);
    fault->until_ms = process_now_ms() + dice_between(&chaos->dice, fault->kind->ms_min, fault->kind->ms_max);
    chaos->faults->sums[kind]++;
    chaos_tell(chaos, "%s (%x) begins", fault->kind->name, fault->nodes);
}

static void fault_end(struct chaos *chaos, struct fault *fault)
{
    chaos_tell(chaos, "%s (%x) ends", fault->kind->name, fault->nodes);
    fault->kind->end(chaos, fault);
    fault->kind = NULL;
}

static void end_due(struct chaos *chaos, int64_t now_ms)
{
    for (int i = 0; i < ACTIVE_MAX; i++) {
        struct fault *fault = &chaos->faults->active[i];
        if (fault->kind != NULL && now_ms >= fault->until_ms)
            fault_end(chaos, fault);
    }
}

static struct fault *find_room(struct faults *faults)
{
    for (int i = 0; i < faults->active_max; i++)
        if (faults->active[i].kind == NULL)
            return &faults->active[i];
    return NULL;
}

static void begin_another(struct chaos *chaos, int64_t now_ms)
{
    struct faults *faults = chaos->faults;
    struct fault *fault = now_ms >= faults->next_at_ms ? find_room(faults) : NULL;
    size_t kind;
    if (fault == NULL)
        return;
    chaos->dice = dice_for(chaos->seed, DICE_FAULT, faults->begun++);
    do
        kind = (size_t)dice_between(&chaos->dice, 0, KIND_COUNT);
    while (!faults->has[kind]);
    faults->next_at_ms = now_ms + dice_between(&chaos->dice, PAUSE_MS_MIN, PAUSE_MS_MAX);
    fault_begin(chaos, fault, kind);
}

static void change_weather(struct chaos *chaos, int64_t now_ms)
{
    struct faults *faults = chaos->faults;
    chaos->dice = dice_for(chaos->seed, DICE_WEATHER, faults->weathers++);
    faults->storm = !faults->storm;
    faults->active_max = (int)dice_between(&chaos->dice, 1, ACTIVE_MAX + 1);
    faults->weather_until_ms = now_ms + (faults->storm ? dice_between(&chaos->dice, STORM_MS_MIN, STORM_MS_MAX)
                                                       : dice_between(&chaos->dice, LULL_MS_MIN, LULL_MS_MAX));
    chaos_tell(chaos, "%s", faults->storm ? "a storm" : "a lull");
    if (!faults->storm)
        faults_heal(chaos);
}

void faults_step(struct chaos *chaos)
{
    int64_t now_ms = process_now_ms();
    end_due(chaos, now_ms);
    if (now_ms >= chaos->faults->weather_until_ms)
        change_weather(chaos, now_ms);
    if (chaos->faults->storm)
        begin_another(chaos, now_ms);
    wires_apply(chaos->wires);
}

void faults_heal(struct chaos *chaos)
{
    for (int i = 0; i < ACTIVE_MAX; i++)
        if (chaos->faults->active[i].kind != NULL)
            fault_end(chaos, &chaos->faults->active[i]);
    wires_apply(chaos->wires);
}

unsigned long faults_sum(const struct faults *faults, FILE *out)
{
    const char *separator = "";
    unsigned long all = 0;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (faults->sums[i] == 0)
            continue;
        fprintf(out, "%s%s %lu", separator, KINDS[i].name, faults->sums[i]);
        separator = ", ";
        all += faults->sums[i];
    }
    return all;
}

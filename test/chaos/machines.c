#include "chaos/machines.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "chaos/chaos.h"
#include "check.h"

#define DISK_BYTES_MAX   (4LL << 30)
#define STATUS_FULL      4
#define START_AGAIN_MS   200 /* after an end that was its own */
#define STOP_MS          (20000 * CHAOS_SLOWNESS)
#define SLOW_SYNC_MS_MIN 20
#define SLOW_SYNC_MS_MAX 300

static struct machine *machine_of(struct chaos *chaos, int id)
{
    return &chaos->machines[id - 1];
}

bool machine_runs(struct chaos *chaos, int id)
{
    return cluster_node(chaos->cluster, id)->process.pid != 0;
}

/* ---- Disks ---- */

static bool resize(const struct machine *machine, long long bytes)
{
    char options[40];
    snprintf(options, sizeof(options), "size=%lld", bytes);
    return mount(NULL, machine->disk, NULL, MS_REMOUNT, options) == 0;
}

/* A size of 0 would be none at all. */
static long long bytes_in_use(const struct machine *machine)
{
    struct statvfs space;
    cr_assert_eq(statvfs(machine->disk, &space), 0);
    unsigned long blocks = space.f_blocks - space.f_bfree;
    return (long long)((blocks > 0 ? blocks : 1) * space.f_frsize);
}

/* A node that runs may take what is left before it is gone. */
static void make_full(const struct machine *machine)
{
    while (!resize(machine, bytes_in_use(machine)))
        cr_assert_eq(errno, EINVAL, "%s: %s", machine->disk, strerror(errno)); /* more is in use by now */
}

void machine_fill(struct chaos *chaos, int id, int by)
{
    struct machine *machine = machine_of(chaos, id);
    bool before = machine->full > 0;
    machine->full += by;
    if (machine->full > 0 && !before) {
        make_full(machine);
        machine->was_full = true;
    }
    if (machine->full == 0 && before)
        cr_assert(resize(machine, DISK_BYTES_MAX), "%s: %s", machine->disk, strerror(errno));
}

void machine_spoil(struct chaos *chaos, int id, int by)
{
    struct machine *machine = machine_of(chaos, id);
    machine->bad += by;
    if (machine->bad == 0) {
        unlink(machine->armed);
        return;
    }
    FILE *file = fopen(machine->armed, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fclose(file), 0);
}

static void disk_new(struct chaos *chaos, int id)
{
    struct machine *machine = machine_of(chaos, id);
    char name[32], options[40];
    snprintf(name, sizeof(name), "data%d", id);
    cluster_path(chaos->cluster, name, machine->disk);
    snprintf(name, sizeof(name), "armed%d", id);
    cluster_path(chaos->cluster, name, machine->armed);
    snprintf(options, sizeof(options), "mode=700,size=%lld", DISK_BYTES_MAX);
    cr_assert_eq(mkdir(machine->disk, 0700), 0);
    cr_assert_eq(mount("tmpfs", machine->disk, "tmpfs", 0, options), 0, "%s: %s", machine->disk, strerror(errno));
}

/* ---- Lives ---- */

struct environment {
    char preload[CLUSTER_PATH_MAX + 20], armed[CLUSTER_PATH_MAX + 20], slow_ms[40], asan_options[300];
};

/* In which way it will be bad, should it become so, is drawn for each life. */
static void draw_environment(struct chaos *chaos, struct machine *machine, struct environment *environment)
{
    static const char *const TROUBLES[] = {"PRELOAD_TROUBLE=stall", "PRELOAD_TROUBLE=slow", "PRELOAD_TROUBLE=short"};
    uint64_t life = ++machine->lives * CLUSTER_NODES_MAX + (uint64_t)(machine - chaos->machines);
    struct dice dice = dice_for(chaos->seed, DICE_LIFE, life);
    const char *options = getenv("ASAN_OPTIONS");
    char *library = realpath(getenv("PRELOAD"), NULL);
    cr_assert_not_null(library);
    machine->trouble = TROUBLES[dice_between(&dice, 0, (int64_t)(sizeof(TROUBLES) / sizeof(*TROUBLES)))];
    snprintf(environment->preload, sizeof(environment->preload), "LD_PRELOAD=%s", library);
    snprintf(environment->armed, sizeof(environment->armed), "PRELOAD_ARMED=%s", machine->armed);
    snprintf(environment->slow_ms, sizeof(environment->slow_ms), "PRELOAD_SLOW_MS=%d",
             (int)dice_between(&dice, SLOW_SYNC_MS_MIN, SLOW_SYNC_MS_MAX));
    /* The sanitizer wants to be the first library: here it need not be. */
    snprintf(environment->asan_options, sizeof(environment->asan_options), "ASAN_OPTIONS=%s%sverify_asan_link_order=0",
             options != NULL ? options : "", options != NULL ? ":" : "");
    free(library);
}

static void start(struct chaos *chaos, int id)
{
    struct machine *machine = machine_of(chaos, id);
    struct environment drawn;
    draw_environment(chaos, machine, &drawn);
    const char *environment[] = {drawn.preload, drawn.armed, machine->trouble, drawn.slow_ms, drawn.asan_options, NULL};
    machine->was_killed = machine->was_told_to_stop = false;
    machine->was_full = machine->full > 0;
    chaos_tell(chaos, "node %d starts; %s %s", id, machine->trouble, drawn.slow_ms);
    sandbox_go_to(&chaos->sandbox, id);
    cluster_start_node(chaos->cluster, id, environment);
    sandbox_go_to(&chaos->sandbox, 0);
    machine->printed_before = cluster_node(chaos->cluster, id)->process.printed[0].size;
    if (machine->paused > 0)
        cluster_pause(chaos->cluster, id);
}

static void look_at_errors(struct chaos *chaos, int id)
{
    struct machine *machine = machine_of(chaos, id);
    const struct printed *errors = &cluster_node(chaos->cluster, id)->process.printed[1];
    if (errors->text == NULL || errors->size == machine->errors_seen)
        return;
    machine->errors_seen = errors->size;
    cr_assert(strstr(errors->text, "Sanitizer") == NULL && strstr(errors->text, "runtime error") == NULL,
              "a sanitizer reports of node %d", id);
}

static void take_end(struct chaos *chaos, int id)
{
    struct machine *machine = machine_of(chaos, id);
    int status = cluster_await_end(chaos->cluster, id);
    look_at_errors(chaos, id);
    chaos_tell(chaos, "node %d has ended with status %d", id, status);
    bool expected = (machine->was_killed && status == 128 + SIGKILL) || (machine->was_told_to_stop && status == 0) ||
                    (machine->was_full && status == STATUS_FULL);
    cr_assert(expected, "node %d has ended with status %d", id, status);
    machine->start_at_ms = process_now_ms() + (status == STATUS_FULL ? START_AGAIN_MS : 0);
}

static bool has_ended(const struct process *process)
{
    return process->pid != 0 && process->outputs[0] < 0 && process->outputs[1] < 0;
}

static void keep(struct chaos *chaos, int id)
{
    struct machine *machine = machine_of(chaos, id);
    const struct process *process = &cluster_node(chaos->cluster, id)->process;
    if (has_ended(process))
        take_end(chaos, id);
    look_at_errors(chaos, id);
    if (process->pid != 0 && machine->was_told_to_stop && !machine->was_killed && machine->paused == 0)
        cr_assert_lt(process_now_ms(), machine->stop_by_ms, "node %d does not stop", id);
    if (process->pid == 0 && machine->held_down == 0 && process_now_ms() >= machine->start_at_ms)
        start(chaos, id);
}

void machines_keep(struct chaos *chaos)
{
    for (int id = 1; id <= chaos->count; id++)
        keep(chaos, id);
}

/* ---- What is done to them ---- */

void machines_kill(struct chaos *chaos, unsigned nodes)
{
    for (int id = 1; id <= chaos->count; id++) {
        if ((nodes >> id & 1) == 0)
            continue;
        machine_of(chaos, id)->held_down++;
        if (!machine_runs(chaos, id))
            continue;
        machine_of(chaos, id)->was_killed = true;
        process_signal(&cluster_node(chaos->cluster, id)->process, SIGKILL);
    }
    for (int id = 1; id <= chaos->count; id++)
        if ((nodes >> id & 1) != 0 && machine_runs(chaos, id))
            take_end(chaos, id);
}

void machines_release(struct chaos *chaos, unsigned nodes)
{
    for (int id = 1; id <= chaos->count; id++)
        if ((nodes >> id & 1) != 0)
            machine_of(chaos, id)->held_down--;
}

void machine_stop(struct chaos *chaos, int id)
{
    struct machine *machine = machine_of(chaos, id);
    bool listens = cluster_node(chaos->cluster, id)->process.printed[0].size > machine->printed_before;
    if (!machine_runs(chaos, id) || machine->was_told_to_stop || !listens)
        return;
    machine->was_told_to_stop = true;
    machine->stop_by_ms = process_now_ms() + STOP_MS;
    process_signal(&cluster_node(chaos->cluster, id)->process, SIGTERM);
}

void machine_pause(struct chaos *chaos, int id, int by)
{
    struct machine *machine = machine_of(chaos, id);
    machine->paused += by;
    if (!machine_runs(chaos, id))
        return;
    if (machine->paused > 0) {
        cluster_pause(chaos->cluster, id);
        return;
    }
    cluster_resume(chaos->cluster, id);
    machine->stop_by_ms = process_now_ms() + STOP_MS; /* had it been told to stop, it hears it now */
}

/* ---- The beginning and the end ---- */

void machines_begin(struct chaos *chaos)
{
    for (int id = 1; id <= chaos->count; id++) {
        disk_new(chaos, id);
        start(chaos, id);
    }
}

void machines_stop(struct chaos *chaos)
{
    for (int id = 1; id <= chaos->count; id++) {
        machine_of(chaos, id)->held_down++;
        machine_stop(chaos, id);
        take_end(chaos, id);
    }
}

void machines_end(struct chaos *chaos)
{
    for (int id = 1; id <= chaos->count; id++)
        cr_assert_eq(umount2(machine_of(chaos, id)->disk, MNT_DETACH), 0);
}

/* base/log.h: lines are kept as text, and only where somebody wants to read them. The change of a server's state, which
 * the log is told, is what the checker goes by. */
#include "base/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sim/world.h"

struct log {
    struct machine *machine;
    uint64_t term;
    const char *role;
};

struct log *log_of_machine(struct machine *machine)
{
    struct log *log = calloc(1, sizeof *log);

    assert(log != NULL);
    log->machine = machine;
    log->role = "FOLLOWER";
    return log;
}

/* Nodes are given a log by whoever runs them, here by their machine: none opens one. */
struct log *log_open(int fd, int32_t node_id, enum log_level level, struct mailraft_error *err)
{
    (void)fd, (void)node_id, (void)level;
    error_raise(err, &SERVER_ERROR, "a simulated machine has one log, its own");
    return NULL;
}

void log_close(struct log *log)
{
    (void)log;
}

void log_drain(struct log *log)
{
    (void)log;
}

void log_set_state(struct log *log, uint64_t term, const char *role)
{
    log->term = term;
    log->role = role;
    check_role(log->machine, term, strcmp(role, "LEADER") == 0);
}

bool log_enabled(const struct log *log, enum log_level level)
{
    (void)log;
    return (the_sim->keep_logs || the_sim->trace != NULL) && level <= the_sim->log_level;
}

enum log_level log_level(const struct log *log)
{
    (void)log;
    return the_sim->log_level;
}

void log_set_level(struct log *log, enum log_level level)
{
    (void)log, (void)level; /* whoever watches the run has set it (sim_log_level), for all its machines */
}

static void text_add(struct machine *machine, const char *line, size_t size)
{
    if (machine->text_size + size + 1 > machine->text_room) {
        machine->text_room = 2 * machine->text_room + size + 4096;
        machine->text = realloc(machine->text, machine->text_room);
        assert(machine->text != NULL);
    }
    memcpy(machine->text + machine->text_size, line, size + 1);
    machine->text_size += size;
}

void log_put(struct log *log, enum log_level level, const char *format, ...)
{
    char line[LINE_MAX_BYTES + 1];
    struct line_head head;
    va_list arguments;
    size_t size;

    if (!log_enabled(log, level))
        return;
    head = (struct line_head){clock_wall_us(), log->machine->id, log->term, log->role, level};
    va_start(arguments, format);
    size = line_format(line, &head, format, arguments);
    va_end(arguments);
    if (the_sim->keep_logs)
        text_add(log->machine, line, size);
    if (the_sim->trace != NULL)
        fputs(line, the_sim->trace);
}

/* ---- What tests ask ---- */

struct log *sim_log(struct sim *sim, raft_id id)
{
    return sim_machine(sim, id)->log;
}

void sim_log_level(struct sim *sim, enum log_level level)
{
    sim->log_level = level;
}

void sim_log_keep(struct sim *sim)
{
    sim->keep_logs = true;
}

const char *sim_log_text(struct sim *sim, raft_id id)
{
    const struct machine *machine = sim_machine(sim, id);

    return machine->text != NULL ? machine->text : "";
}

bool sim_log_has(struct sim *sim, raft_id id, const char *text)
{
    return strstr(sim_log_text(sim, id), text) != NULL;
}

int sim_log_count(struct sim *sim, raft_id id, const char *text)
{
    int count = 0;

    for (const char *at = sim_log_text(sim, id); (at = strstr(at, text)) != NULL; at += strlen(text))
        count++;
    return count;
}

void sim_log_clear(struct sim *sim, raft_id id)
{
    struct machine *machine = sim_machine(sim, id);

    machine->text_size = 0;
    if (machine->text != NULL)
        machine->text[0] = '\0';
}

void sim_trace_to(struct sim *sim, void *stream)
{
    sim->trace = stream;
}

/* The simulation's own events begin with its time, in seconds; lines of nodes, with their date. */
void sim_trace(struct sim *sim, const char *format, ...)
{
    va_list arguments;

    if (sim->trace == NULL)
        return;
    fprintf(sim->trace, "%lld.%06lld ", (long long)(sim->now_us / 1000000), (long long)(sim->now_us % 1000000));
    va_start(arguments, format);
    vfprintf(sim->trace, format, arguments);
    va_end(arguments);
    fputc('\n', sim->trace);
}

void sim_fail(const char *format, ...)
{
    char text[2000];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (the_sim != NULL) {
        sim_trace(the_sim, "VIOLATED %s", text);
        if (the_sim->trace != NULL)
            fflush(the_sim->trace);
        fprintf(stderr, "sim: seed %llu, at %lld us: %s\n", (unsigned long long)the_sim->seed,
                (long long)the_sim->now_us, text);
    }
    abort();
}

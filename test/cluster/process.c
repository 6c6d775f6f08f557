#include "cluster/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define LINE_SHOWN_MAX 4000
#define PROCESSES_MAX  40

int64_t process_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* In the child. */
static void become(const char *const *arguments, const char *const *environment, const int ends[3], pid_t parent)
{
    for (int i = 0; i < 3; i++)
        dup2(ends[i], i);
    signal(SIGPIPE, SIG_DFL); /* a program inherits what is ignored: here, */
    signal(SIGINT, SIG_DFL);  /* or by the tests that a shell runs in the background */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126); /* the test ended before it could be told */
    for (int i = 0; environment != NULL && environment[i] != NULL; i++)
        putenv((char *)(uintptr_t)environment[i]);
    execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    _exit(127);
}

/* What one that was killed had printed of its last line must not become part of the first line of the next. */
static void drop_unfinished_line(struct printed *printed)
{
    while (printed->size > 0 && printed->text[printed->size - 1] != '\n')
        printed->text[--printed->size] = '\0';
}

void process_start(struct process *process, const char *name, const char *const *arguments,
                   const char *const *environment)
{
    int in[2], out[2], error[2];
    cr_assert_eq(process->pid, 0, "%s runs already", name);
    cr_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(error, O_CLOEXEC) == 0);
    drop_unfinished_line(&process->printed[0]);
    pid_t parent = getpid();
    process->name = name;
    process->pid = fork();
    cr_assert(process->pid >= 0, "fork: %s", strerror(errno));
    if (process->pid == 0)
        become(arguments, environment, (int[]){in[0], out[1], error[1]}, parent);
    close(in[0]);
    close(out[1]);
    close(error[1]);
    process->in = in[1];
    process->outputs[0] = out[0];
    process->outputs[1] = error[0];
}

void process_signal(struct process *process, int signal)
{
    cr_assert(process->pid > 0, "%s does not run", process->name);
    cr_assert_eq(kill(process->pid, signal), 0);
}

void process_write(struct process *process, const char *text)
{
    cr_assert_eq(write(process->in, text, strlen(text)), (ssize_t)strlen(text));
}

void process_close_input(struct process *process)
{
    if (process->in >= 0)
        close(process->in);
    process->in = -1;
}

void process_close_output(struct process *process)
{
    if (process->outputs[0] >= 0)
        close(process->outputs[0]);
    process->outputs[0] = -1;
}

static void read_output(struct process *process, int which)
{
    struct printed *printed = &process->printed[which];
    printed->text = realloc(printed->text, printed->size + 65537);
    cr_assert_not_null(printed->text);
    ssize_t got = read(process->outputs[which], printed->text + printed->size, 65536);
    if (got <= 0) {
        close(process->outputs[which]);
        process->outputs[which] = -1;
        got = 0;
    }
    printed->size += (size_t)got;
    printed->text[printed->size] = '\0';
}

void process_read(struct process *const *processes, int count, int wait_ms)
{
    struct pollfd fds[2 * PROCESSES_MAX];
    cr_assert(count <= PROCESSES_MAX);
    for (int i = 0; i < 2 * count; i++)
        fds[i] =
            (struct pollfd){.fd = processes[i / 2]->pid > 0 ? processes[i / 2]->outputs[i % 2] : -1, .events = POLLIN};
    if (poll(fds, (nfds_t)(2 * count), wait_ms) <= 0)
        return;
    for (int i = 0; i < 2 * count; i++)
        if (fds[i].revents != 0)
            read_output(processes[i / 2], i % 2);
}

static const char *text_of(const struct process *process, int which)
{
    return process->printed[which].text != NULL ? process->printed[which].text : "";
}

static void fail_waiting(const struct process *process, const char *what)
{
    cr_assert_fail("%s: waited in vain for %s\n---- it printed:\n%s---- and on standard error:\n%s", process->name,
                   what, text_of(process, 0), text_of(process, 1));
}

static void await_closing(struct process *process, int which)
{
    int64_t deadline_ms = process_now_ms() + PROCESS_WAIT_MS;
    while (process->outputs[which] >= 0) {
        if (process_now_ms() >= deadline_ms)
            fail_waiting(process, "its end");
        process_read(&process, 1, 100);
    }
}

void process_await_silence(struct process *process)
{
    await_closing(process, 1);
}

int process_await_end(struct process *process)
{
    int status;
    process_close_input(process);
    await_closing(process, 0);
    await_closing(process, 1);
    cr_assert_eq(waitpid(process->pid, &status, 0), process->pid);
    process->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The whole line with the text behind `seen`, which it moves behind that line; NULL: there is none yet. */
static const char *find_line(struct printed *printed, const char *text)
{
    static char line[LINE_SHOWN_MAX];
    char *found = printed->text != NULL ? strstr(printed->text + printed->seen, text) : NULL;
    char *end = found != NULL ? strchr(found, '\n') : NULL;
    if (end == NULL)
        return NULL;
    while (found > printed->text && found[-1] != '\n')
        found--;
    snprintf(line, sizeof(line), "%.*s", (int)(end - found), found);
    printed->seen = (size_t)(end + 1 - printed->text);
    return line;
}

static const char *expect(struct process *process, int which, const char *text)
{
    int64_t deadline_ms = process_now_ms() + PROCESS_WAIT_MS;
    for (;;) {
        const char *line = find_line(&process->printed[which], text);
        if (line != NULL)
            return line;
        if (process_now_ms() >= deadline_ms || process->outputs[which] < 0)
            fail_waiting(process, text);
        process_read(&process, 1, 100);
    }
}

const char *process_expect(struct process *process, const char *text)
{
    return expect(process, 0, text);
}

const char *process_expect_error(struct process *process, const char *text)
{
    return expect(process, 1, text);
}

const char *process_next_line(struct process *process)
{
    static char line[LINE_SHOWN_MAX];
    struct printed *printed = &process->printed[0];
    char *from = printed->text != NULL ? printed->text + printed->lines : NULL;
    char *end = from != NULL ? strchr(from, '\n') : NULL;
    if (end == NULL)
        return NULL;
    snprintf(line, sizeof(line), "%.*s", (int)(end - from), from);
    printed->lines = (size_t)(end + 1 - printed->text);
    return line;
}

void process_fini(struct process *process)
{
    if (process->pid > 0) {
        kill(process->pid, SIGKILL);
        process_await_end(process);
    }
    free(process->printed[0].text);
    free(process->printed[1].text);
    memset(process->printed, 0, sizeof(process->printed));
}

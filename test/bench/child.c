#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "bench.h"

#define CHILDREN_MAX 16

static pid_t running[CHILDREN_MAX]; /* for atexit alone, which passes nothing; 0: none */

static void leave(void)
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (running[i] != 0)
            child_kill(running[i]);
}

static pid_t *find(pid_t pid)
{
    for (int i = 0; i < CHILDREN_MAX; i++)
        if (running[i] == pid)
            return &running[i];
    bench_die("%d programs run already", CHILDREN_MAX);
}

static void note_start(pid_t pid)
{
    static bool prepared;
    *find(0) = pid;
    if (!prepared)
        atexit(leave);
    prepared = true;
}

static int await_end(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    *find(pid) = 0;
    return status;
}

/* The child: nothing but system calls until it is another program. */
static void become(const struct program *program, pid_t parent)
{
    int output;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || chdir(program->folder) != 0)
        _exit(127);
    output = open(program->output, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (output < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
        _exit(127);
    execvp(program->file, (char *const *)program->arguments);
    _exit(127);
}

pid_t child_start(const struct program *program)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        bench_die("Couldn't start %s: %s", program->file, strerror(errno));
    if (pid == 0)
        become(program, parent);
    note_start(pid);
    return pid;
}

void child_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    await_end(pid);
}

static char *read_output(const struct program *program)
{
    char path[2 * PATH_MAX];
    long size;
    snprintf(path, sizeof path, "%s/%s", program->folder, program->output);
    FILE *file = fopen(path, "r");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0)
        bench_die("Couldn't read %s: %s", path, strerror(errno));
    char *text = memory_new((size_t)size + 1);
    rewind(file);
    text[fread(text, 1, (size_t)size, file)] = '\0';
    fclose(file);
    return text;
}

char *child_run(const struct program *program)
{
    int status = await_end(child_start(program));
    char *text = read_output(program);
    if (status == 0)
        return text;
    fprintf(stderr, "bench: %s ended with %s %d: %.500s\n", program->file, WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), text);
    memory_free(text);
    return NULL;
}

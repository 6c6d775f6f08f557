#include "chaos/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* In the child. */
static void become(int network, int input, const char *const *arguments)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(input >= 0 ? input : nowhere, STDIN_FILENO);
    dup2(nowhere, STDOUT_FILENO);
    if (network >= 0 && setns(network, CLONE_NEWNET) != 0) {
        perror("setns");
        _exit(126);
    }
    execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    perror(arguments[0]);
    _exit(127);
}

bool tool_run(int network, const char *input, const char *const *arguments)
{
    int ends[2] = {-1, -1}, status = 0;
    cr_assert(input == NULL || pipe2(ends, O_CLOEXEC) == 0);
    pid_t pid = fork();
    cr_assert(pid >= 0, "fork: %s", strerror(errno));
    if (pid == 0)
        become(network, ends[0], arguments);
    if (input != NULL) {
        close(ends[0]);
        ssize_t put = write(ends[1], input, strlen(input)); /* at most a few lines: a pipe takes them */
        cr_assert(put == (ssize_t)strlen(input) || errno == EPIPE);
        close(ends[1]);
    }
    while (waitpid(pid, &status, 0) < 0)
        cr_assert_eq(errno, EINTR);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

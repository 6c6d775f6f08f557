#include "chaos/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static volatile pid_t second; /* for the first one's handler */

static void skip(const char *deed)
{
    printf("chaos: skipped: %s: %s (it needs namespaces, as root or as a user)\n", deed, strerror(errno));
    fflush(stdout);
    _exit(0);
}

/* ---- Namespaces ---- */

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return good;
}

/* We are root in it, and whom we were outside. */
static bool enter_users(void)
{
    char users[40], groups[40];
    snprintf(users, sizeof(users), "0 %u 1", (unsigned)geteuid());
    snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getegid());
    return unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/uid_map", users) && write_file("/proc/self/gid_map", groups);
}

static int open_network(void)
{
    int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        skip("/proc/self/ns/net");
    return fd;
}

static void make_networks(struct sandbox *sandbox, int networks)
{
    cr_assert_lt(networks, SANDBOX_NETWORKS_MAX);
    for (int i = 0; i <= networks; i++) {
        if (unshare(CLONE_NEWNET) != 0 && (i > 0 || !enter_users() || unshare(CLONE_NEWNET) != 0))
            skip("a network of our own");
        sandbox->networks[i] = open_network();
    }
    sandbox_go_to(sandbox, 0);
}

void sandbox_go_to(const struct sandbox *sandbox, int network)
{
    cr_assert_eq(setns(sandbox->networks[network], CLONE_NEWNET), 0, "setns: %s", strerror(errno));
}

/* They end with the second process, the last that has them. /proc tells of the processes in here, and /run has room for
 * the locks of tools. */
static void make_mounts(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        skip("mounts of our own");
    if (mount("proc", "/proc", "proc", 0, NULL) != 0)
        skip("a /proc of our own");
    if (mount("tmpfs", "/run", "tmpfs", 0, NULL) != 0)
        skip("a /run of our own");
}

/* ---- The first and the second ---- */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static void end_second(int signal)
{
    (void)signal;
    kill(second, SIGKILL);
}

static int await(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return EXIT_FAILURE;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void be_first(struct sandbox *sandbox)
{
    const struct sigaction action = {.sa_handler = end_second};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    int status = await(second);
    if (sandbox->folder[0] != '\0')
        nftw(sandbox->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    _exit(status);
}

static pid_t split(void)
{
    fflush(NULL);
    pid_t pid = fork();
    cr_assert(pid >= 0, "fork: %s", strerror(errno));
    return pid;
}

void sandbox_enter(struct sandbox *sandbox, int networks)
{
    make_networks(sandbox, networks);
    if (unshare(CLONE_NEWPID) != 0)
        skip("processes of our own");
    sandbox->folder = mmap(NULL, SANDBOX_FOLDER_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(sandbox->folder, MAP_FAILED);
    second = split();
    if (second != 0)
        be_first(sandbox);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    make_mounts();
    pid_t third = split();
    if (third != 0)
        _exit(await(third));
}

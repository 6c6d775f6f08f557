#include "base/memory.h"

#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

Test(memory, new_memory_is_zeroed)
{
    unsigned char *memory = memory_new(1000);

    for (int i = 0; i < 1000; i++)
        cr_assert_eq(memory[i], 0);
    memory_free(memory);
}

Test(memory, even_of_no_bytes_there_is_some)
{
    void *memory = memory_new(0);

    cr_assert_not_null(memory);
    memory = memory_resize(memory, 0);
    cr_assert_not_null(memory);
    memory_free(memory);
}

Test(memory, resizing_keeps_what_was_there)
{
    char *memory = memory_new(5);

    strcpy(memory, "mail");
    memory = memory_resize(memory, 100000);
    cr_assert_str_eq(memory, "mail");
    memory_free(memory);
}

Test(memory, freeing_nothing_is_fine)
{
    memory_free(NULL);
}

/* The allocators of sanitizers end the process in their own way. */
#if !defined(CHECK_LEAKS) && !defined(CHECK_PLAIN_RUNNER)
Test(memory, running_out_ends_the_process_with_status_1_and_one_line)
{
    char text[200];
    int fds[2], status;
    ssize_t size;
    pid_t child;

    cr_assert_eq(pipe(fds), 0);
    child = fork();
    if (child == 0) {
        dup2(fds[1], STDERR_FILENO);
        memory_free(memory_new(SIZE_MAX / 2)); /* more than there are addresses */
        _exit(0);
    }
    close(fds[1]);
    size = read(fds[0], text, sizeof text - 1);
    cr_assert_gt(size, 0);
    text[size] = '\0';
    cr_assert_str_eq(text, "mailraftd: out of memory\n");
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    close(fds[0]);
}
#endif

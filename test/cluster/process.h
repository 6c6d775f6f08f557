/* process.h - programs that a test starts, and what they print.
 *
 * Threads:   all from the test's. What a process prints is read whenever something here waits.
 * Deadlines: whatever waits fails the test after PROCESS_WAIT_MS, with what the process has printed.
 * Ends:      a process is killed when the test ends in whatever way (PR_SET_PDEATHSIG). */
#ifndef CLUSTER_PROCESS_H
#define CLUSTER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_WAIT_MS 30000

struct process {
    const char *name; /* for messages; borrowed */
    pid_t pid;        /* 0: not running */
    int in;           /* its standard input */
    int outputs[2];   /* its standard output and error; -1: ended */
    struct printed {  /* by it and, for a node, by those before it of the same id */
        char *text;   /* zero-terminated; NULL: nothing yet */
        size_t size;
        size_t lines; /* bytes of it that have been given to process_next_line */
        size_t seen;  /* process_expect looks behind this */
    } printed[2];
};

/* arguments: ends with NULL, the first is the program. environment: "KEY=VALUE" beside ours, ends with NULL, or NULL.
 * */
void process_start(struct process *process, const char *name, const char *const *arguments,
                   const char *const *environment);

void process_signal(struct process *process, int signal);
void process_write(struct process *process, const char *text); /* to its standard input */
void process_close_input(struct process *process);
void process_close_output(struct process *process); /* nobody reads its standard output from here on */

/* Its exit status, or 128 plus the signal that ended it. */
int process_await_end(struct process *process);

/* Waits for a line with this text behind the last one that was expected, and returns it. Only until the next call. */
const char *process_expect(struct process *process, const char *text);
const char *process_expect_error(struct process *process, const char *text); /* on standard error */

/* Until it has closed its standard error; its input stays as it is. */
void process_await_silence(struct process *process);

/* Reads what several have printed; waits for something, at most so long. */
void process_read(struct process *const *processes, int count, int wait_ms);

/* The next whole line of standard output that has not been returned yet, without its newline; NULL: none. */
const char *process_next_line(struct process *process);

/* Forgets it; kills it if it runs. */
void process_fini(struct process *process);

int64_t process_now_ms(void); /* for deadlines */

#endif

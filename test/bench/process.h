/* process.h - what the system tells of a process. Ends the benchmark where it does not. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

double process_cpu_seconds(pid_t pid);           /* user and system, of all its threads */
long process_status(pid_t pid, const char *key); /* a number in /proc/PID/status, "VmHWM:" in KiB */
long process_thread_changes(pid_t pid);          /* how often its threads have gone to sleep */

/* Lets all threads of this process run on one core only: that of this number, counted round. Not one: on any. */
void process_pin(bool one, int core);

#endif

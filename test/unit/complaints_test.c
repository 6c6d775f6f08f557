#include "mail/complaints.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"

static struct mailraft_error err;
static struct complaints complaints;
static struct log *log_;
static int file;
static char text[65536];

static void start(void)
{
    file = memfd_create("log", MFD_CLOEXEC);
    log_ = log_open(file, 1, LOG_INFO, &err);
    cr_assert_not_null(log_);
    complaints_init(&complaints, log_);
}

/* Ends the log; how many lines it has that contain this. */
static int count_lines(const char *part)
{
    ssize_t size;
    int count = 0;

    complaints_fini(&complaints);
    log_close(log_);
    size = pread(file, text, sizeof text - 1, 0);
    cr_assert_geq(size, 0);
    close(file);
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static void complain_of_this(int number)
{
    error_raise(&err, &PROTOCOL_ERROR, "this %d", number);
    complaints_tell(&complaints, &err, "Refused %s", "them");
}

static void complain_of_that(void)
{
    error_raise(&err, &PROTOCOL_ERROR, "that");
    complaints_tell(&complaints, &err, "Refused %s", "them");
}

TestSuite(complaints, .init = start, .timeout = 60);

Test(complaints, of_one_cause_come_at_most_once_a_second)
{
    int64_t began_us = clock_now_us();
    int64_t seconds;

    for (int i = 0; i < 1000; i++)
        complain_of_this(i);
    seconds = (clock_now_us() - began_us) / COMPLAINT_INTERVAL_US;
    cr_assert_leq(count_lines("Refused them: this "), (int)seconds + 1);
    cr_assert_not_null(strstr(text, "Refused them: this 0 level=warn\n"));
}

Test(complaints, of_another_cause_come_all_the_same)
{
    complain_of_this(1);
    complain_of_that();
    cr_assert_eq(count_lines("Refused them: this 1 level=warn\n"), 1);
    cr_assert_not_null(strstr(text, "Refused them: that level=warn\n"));
}

Test(complaints, tell_how_many_were_held_back)
{
    complain_of_this(0);
    complaints.list[0].told_us += 3600 * (int64_t)1000000; /* so that nothing is due, however slowly this runs */
    for (int i = 1; i <= 3; i++)
        complain_of_this(i);
    complaints.list[0].told_us = clock_now_us() - COMPLAINT_INTERVAL_US;
    complain_of_this(4);
    cr_assert_eq(count_lines("Refused them: this "), 2);
    cr_assert_not_null(strstr(text, "Refused them: this 4 held_back=3 level=warn\n"));
}

Test(complaints, more_causes_than_can_be_told_apart_do_not_stop_the_telling)
{
    for (int i = 0; i < 3 * COMPLAINTS_MAX; i++) {
        error_raise_at(&err, &PROTOCOL_ERROR, 0, "file", i, "cause %d", i);
        complaints_tell(&complaints, &err, "Refused them");
    }
    cr_assert_eq(count_lines("Refused them: cause "), 3 * COMPLAINTS_MAX);
}

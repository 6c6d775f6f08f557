#include "base/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static char folder[] = "/tmp/mailraft-disk-XXXXXX";
static struct mailraft_error err;

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void remove_folder(void)
{
    char command[100];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(disk, .init = make_folder, .fini = remove_folder, .timeout = 60);

static struct disk_file *opened(const char *path, enum disk_open_mode mode)
{
    struct disk_file *file = disk_open(path, mode, &err);

    cr_assert_not_null(file, "%s", err.message);
    return file;
}

static void make_file(const char *path, const char *text)
{
    struct disk_file *file = opened(path, DISK_REPLACE);

    cr_assert(disk_write(file, 0, text, strlen(text), &err));
    disk_close(file);
}

/* The file's whole text. */
static const char *text_of(const char *path)
{
    static char text[1000];
    struct disk_file *file = opened(path, DISK_OPEN);
    size_t got;

    cr_assert(disk_read(file, 0, text, sizeof text - 1, &got, &err));
    text[got] = '\0';
    disk_close(file);
    return text;
}

static void assert_storage_error(int os_errno, const char *message)
{
    cr_assert_eq(err.class, &STORAGE_ERROR);
    cr_assert_eq(err.os_errno, os_errno);
    cr_assert_str_eq(err.message, message);
}

Test(disk, opening_what_is_not_there_is_an_error_that_names_it)
{
    cr_assert_null(disk_open("ballot", DISK_OPEN, &err));
    assert_storage_error(ENOENT, "Couldn't open ballot: No such file or directory");
}

Test(disk, create_makes_a_file_for_its_user_alone_or_keeps_what_is_there)
{
    struct stat status;

    disk_close(opened("ballot", DISK_CREATE));
    cr_assert_eq(stat("ballot", &status), 0);
    cr_assert_eq(status.st_mode & 0777, 0600);
    make_file("ballot", "term 3");
    disk_close(opened("ballot", DISK_CREATE));
    cr_assert_str_eq(text_of("ballot"), "term 3");
}

Test(disk, replace_makes_a_file_or_empties_what_is_there)
{
    make_file("ballot", "term 3");
    disk_close(opened("ballot", DISK_REPLACE));
    cr_assert_str_eq(text_of("ballot"), "");
}

Test(disk, a_file_opened_to_read_cannot_be_written)
{
    struct disk_file *file;

    make_file("ballot", "term 3");
    file = opened("ballot", DISK_READ);
    cr_assert_not(disk_write(file, 0, "x", 1, &err));
    assert_storage_error(EBADF, "Couldn't write ballot: Bad file descriptor");
    disk_close(file);
    cr_assert_str_eq(text_of("ballot"), "term 3");
    cr_assert_null(disk_open("nowhere", DISK_READ, &err));
    assert_storage_error(ENOENT, "Couldn't open nowhere: No such file or directory");
}

Test(disk, closing_nothing_is_fine)
{
    disk_close(NULL);
}

Test(disk, what_was_written_is_read_at_its_offset_and_less_only_at_the_end)
{
    struct disk_file *file = opened("f", DISK_CREATE);
    char bytes[8];
    size_t got;

    cr_assert(disk_write(file, 0, "abcdef", 6, &err));
    cr_assert(disk_write(file, 4, "EFGH", 4, &err));
    cr_assert(disk_sync(file, &err));
    cr_assert(disk_read(file, 2, bytes, 4, &got, &err));
    cr_assert_eq(got, 4);
    cr_assert_arr_eq(bytes, "cdEF", 4);
    cr_assert(disk_read(file, 6, bytes, 8, &got, &err));
    cr_assert_eq(got, 2);
    cr_assert_arr_eq(bytes, "GH", 2);
    cr_assert(disk_read(file, 100, bytes, 8, &got, &err));
    cr_assert_eq(got, 0);
    disk_close(file);
}

Test(disk, a_file_knows_its_size_and_can_be_cut_or_grown_with_zeros)
{
    struct disk_file *file = opened("f", DISK_CREATE);
    uint64_t size;
    char bytes[4];
    size_t got;

    cr_assert(disk_write(file, 0, "abcdef", 6, &err));
    cr_assert(disk_size(file, &size, &err));
    cr_assert_eq(size, 6);
    cr_assert(disk_truncate(file, 2, &err));
    cr_assert(disk_truncate(file, 4, &err));
    cr_assert(disk_size(file, &size, &err));
    cr_assert_eq(size, 4);
    cr_assert(disk_read(file, 0, bytes, 4, &got, &err));
    cr_assert_arr_eq(bytes, "ab\0\0", 4);
    disk_close(file);
}

Test(disk, a_failed_read_or_write_names_deed_and_path)
{
    struct disk_file *file = opened("f", DISK_CREATE);
    size_t got;
    char byte;

    cr_assert_not(disk_read(file, UINT64_MAX / 2 + 2, &byte, 1, &got, &err));
    assert_storage_error(EINVAL, "Couldn't read f: Invalid argument");
    cr_assert_not(disk_write(file, UINT64_MAX / 2 + 2, &byte, 1, &err));
    assert_storage_error(EINVAL, "Couldn't write f: Invalid argument");
    disk_close(file);
}

Test(disk, a_full_disk_has_a_class_of_its_own)
{
    struct disk_file *file = opened("/dev/full", DISK_OPEN);

    cr_assert_not(disk_write(file, 0, "x", 1, &err));
    cr_assert_eq(err.class, &FULL_ERROR);
    cr_assert(error_is(&err, &STORAGE_ERROR));
    cr_assert_str_eq(err.message, "Couldn't write /dev/full: No space left on device");
    disk_close(file);
}

/* A limit on the size of files cuts the first write short and refuses the second. */
Test(disk, a_write_that_was_cut_short_goes_on_until_it_is_refused)
{
    struct disk_file *file = opened("f", DISK_CREATE);
    const struct rlimit limit = {10, 10};
    uint64_t size;

    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_not(disk_write(file, 0, "0123456789abcdef", 16, &err));
    assert_storage_error(EFBIG, "Couldn't write f: File too large");
    cr_assert(disk_size(file, &size, &err));
    cr_assert_eq(size, 10);
    disk_close(file);
}

static int lock_in_child(void)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct disk_file *file = disk_open("lock", DISK_OPEN, &err);
        bool locked = file != NULL && disk_lock(file, &err);

        _exit(locked ? 0 : error_is(&err, &LOCKED_ERROR) ? 1 : 2);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

Test(disk, a_lock_keeps_other_processes_out_until_it_is_closed)
{
    struct disk_file *file = opened("lock", DISK_CREATE);

    cr_assert(disk_lock(file, &err));
    cr_assert_eq(lock_in_child(), 1);
    disk_close(file);
    cr_assert_eq(lock_in_child(), 0);
}

Test(disk, a_lock_is_refused_to_whoever_opens_the_file_a_second_time)
{
    struct disk_file *first = opened("lock", DISK_CREATE);
    struct disk_file *second = opened("lock", DISK_CREATE);

    cr_assert(disk_lock(first, &err));
    cr_assert_not(disk_lock(second, &err));
    cr_assert_eq(err.class, &LOCKED_ERROR);
    cr_assert_str_eq(err.message, "Couldn't lock lock: another process holds it");
    disk_close(first);
    disk_close(second);
}

Test(disk, a_file_or_folder_exists_or_not)
{
    bool exists;

    make_file("f", "");
    cr_assert(disk_exists("f", &exists, &err) && exists);
    cr_assert(disk_exists(folder, &exists, &err) && exists);
    cr_assert(disk_exists("g", &exists, &err) && !exists);
    cr_assert(disk_exists("f/g", &exists, &err) && !exists);
}

Test(disk, whether_something_exists_cannot_always_be_told)
{
    char path[2 * DISK_PATH_MAX];
    bool exists;

    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    cr_assert_not(disk_exists(path, &exists, &err));
    cr_assert_eq(err.os_errno, ENAMETOOLONG);
}

Test(disk, a_rename_replaces_what_had_the_name)
{
    make_file("new", "new");
    make_file("old", "old");
    cr_assert(disk_rename("new", "old", &err));
    cr_assert_str_eq(text_of("old"), "new");
    cr_assert_not(disk_rename("new", "old", &err));
    assert_storage_error(ENOENT, "Couldn't rename new to old: No such file or directory");
}

Test(disk, what_was_unlinked_is_gone)
{
    bool exists;

    make_file("f", "");
    cr_assert(disk_unlink("f", &err));
    cr_assert(disk_exists("f", &exists, &err) && !exists);
    cr_assert_not(disk_unlink("f", &err));
    assert_storage_error(ENOENT, "Couldn't remove f: No such file or directory");
}

Test(disk, a_folder_is_made_with_its_parents_and_twice_is_fine)
{
    char path[200];
    bool exists;

    snprintf(path, sizeof path, "%s/a//b/c/", folder);
    cr_assert(disk_make_folder(path, &err), "%s", err.message);
    cr_assert(disk_make_folder(path, &err));
    cr_assert(disk_make_folder("a/b/d", &err));
    cr_assert(disk_make_folder("e", &err));
    cr_assert(disk_exists("a/b/c", &exists, &err) && exists);
    cr_assert(disk_exists("a/b/d", &exists, &err) && exists);
    cr_assert(disk_exists("e", &exists, &err) && exists);
}

Test(disk, a_folder_is_not_made_where_a_file_stands)
{
    make_file("f", "");
    cr_assert_not(disk_make_folder("f", &err));
    assert_storage_error(EEXIST, "Couldn't make the folder f: File exists");
    cr_assert_not(disk_make_folder("f/g", &err));
    cr_assert_eq(err.class, &STORAGE_ERROR);
    cr_assert_not(disk_make_folder("", &err));
    assert_storage_error(ENOENT, "Couldn't make the folder : No such file or directory");
}

Test(disk, a_folder_can_be_synced_and_a_missing_one_cannot)
{
    cr_assert(disk_sync_folder(folder, &err));
    cr_assert_not(disk_sync_folder("nowhere", &err));
    assert_storage_error(ENOENT, "Couldn't open nowhere: No such file or directory");
}

Test(disk, names_are_listed_in_the_order_of_their_bytes)
{
    struct disk_names names;

    make_file("b", "");
    make_file("a", "");
    make_file("B", "");
    make_file(".hidden", "");
    make_file("10.seg", "");
    make_file("9.seg", "");
    cr_assert(disk_list(".", &names, &err));
    cr_assert_eq(names.count, 6);
    cr_assert_str_eq(names.names[0], ".hidden");
    cr_assert_str_eq(names.names[1], "10.seg");
    cr_assert_str_eq(names.names[2], "9.seg");
    cr_assert_str_eq(names.names[3], "B");
    cr_assert_str_eq(names.names[4], "a");
    cr_assert_str_eq(names.names[5], "b");
    disk_names_free(&names);
    cr_assert_eq(names.count, 0);
}

Test(disk, an_empty_folder_lists_nothing_and_a_missing_one_is_an_error)
{
    struct disk_names names;

    cr_assert(disk_list(".", &names, &err));
    cr_assert_eq(names.count, 0);
    disk_names_free(&names);
    cr_assert_not(disk_list("nowhere", &names, &err));
    assert_storage_error(ENOENT, "Couldn't open nowhere: No such file or directory");
}

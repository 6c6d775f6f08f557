#include "check.h"

#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "sim/sim.h"
#include "storage/file_maker.h"
#include "storage/segment.h"

#define FOLDER        SIM_DATA_DIR
#define SECOND        FOLDER "/log/00000002.seg"
#define SEGMENT_BYTES (16u * 1024)

static const struct data_id OURS = {{7, 7, 7}};

struct scene {
    struct sim *sim;
    void (*play)(struct scene *scene);
    struct pile *pile;
    struct file_maker *maker;
    bool abandons; /* what it uses stays behind */
};

static void live(void *context)
{
    struct scene *scene = context;
    struct mailraft_error err;
    cr_assert(disk_make_folder(FOLDER "/log", &err), "%s", err.message);
    scene->pile = pile_new();
    scene->maker = file_maker_start(FOLDER, SEGMENT_BYTES, scene->pile, &err);
    cr_assert_not_null(scene->maker, "%s", err.message);
    scene->play(scene);
    if (!scene->abandons)
        pile_free(scene->pile);
}

static struct scene play(void (*part)(struct scene *))
{
    struct scene scene = {.sim = sim_new(0), .play = part};
    sim_add_machine(scene.sim, 1);
    cr_assert(sim_run_on(scene.sim, 1, live, &scene));
    return scene;
}

static struct letter *expect_letter(struct scene *scene, enum letter_kind kind)
{
    int64_t now_us;
    struct letter *letter = pile_take(scene->pile, LANE_CONTROL, CLOCK_NEVER, &now_us);
    cr_assert_eq(letter->kind, kind);
    return letter;
}

static void expect_made(struct scene *scene, uint64_t number)
{
    struct letter *letter = expect_letter(scene, LETTER_FILE_MADE);
    cr_assert_eq(letter->number, number);
    cr_assert_null(letter->error);
    letter_free(letter);
}

static void expect_end(struct scene *scene)
{
    letter_free(expect_letter(scene, LETTER_FILE_MAKER_ENDED));
    file_maker_join(scene->maker);
}

static struct segment_header header_of(struct sim *sim, const char *path)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header header;
    struct mailraft_error err;
    cr_assert_eq(sim_disk_read(sim, 1, path, 0, bytes, sizeof bytes), sizeof bytes);
    cr_assert(segment_header_decode(bytes, &header, &err), "%s", err.message);
    return header;
}

static void make_the_second(struct scene *scene)
{
    file_maker_make(scene->maker, 2, &OURS, 1000);
    expect_made(scene, 2);
    file_maker_close(scene->maker);
    expect_end(scene);
}

Test(file_maker, it_makes_the_file_that_it_is_asked_for)
{
    struct scene scene = play(make_the_second);
    struct segment_header header = header_of(scene.sim, SECOND);
    cr_assert_eq(header.number, 2);
    cr_assert_eq(header.size, SEGMENT_BYTES);
    cr_assert_arr_eq(&header.data_id, &OURS, sizeof OURS);
    sim_free(scene.sim);
}

Test(file_maker, what_it_has_made_outlasts_a_power_cut)
{
    struct scene scene = play(make_the_second);
    sim_power_cut(scene.sim, 1);
    cr_assert_eq(header_of(scene.sim, SECOND).number, 2);
    cr_assert_eq(sim_disk_read(scene.sim, 1, SECOND, SEGMENT_BYTES - 1, (uint8_t[1]){0}, 1), 1);
    sim_free(scene.sim);
}

static void fail_then_make(struct scene *scene)
{
    sim_disk_fail_write(scene->sim, 1, true);
    file_maker_make(scene->maker, 2, &OURS, 1000);
    struct letter *letter = expect_letter(scene, LETTER_FILE_MADE);
    cr_assert_eq(letter->number, 2);
    cr_assert_eq(letter->error->class, &FULL_ERROR);
    cr_assert_not_null(strstr(letter->error->message, SECOND), "%s", letter->error->message);
    letter_free(letter);
    make_the_second(scene);
}

Test(file_maker, a_failure_is_told_and_it_can_be_asked_again)
{
    struct scene scene = play(fail_then_make);
    cr_assert_eq(header_of(scene.sim, SECOND).number, 2);
    sim_free(scene.sim);
}

static void close_at_once(struct scene *scene)
{
    file_maker_make(scene->maker, 2, &OURS, 1000);
    file_maker_close(scene->maker);
    file_maker_close(scene->maker);
    expect_made(scene, 2);
    expect_end(scene);
}

Test(file_maker, it_makes_what_it_was_asked_for_before_it_ends)
{
    struct scene scene = play(close_at_once);
    cr_assert(sim_disk_exists(scene.sim, 1, SECOND));
    sim_free(scene.sim);
}

static void abandon_while_stuck(struct scene *scene)
{
    int64_t now_us;
    sim_disk_hang(scene->sim, 1, true);
    file_maker_make(scene->maker, 2, &OURS, 1000);
    cr_assert_null(pile_take(scene->pile, LANE_CONTROL, clock_now_us() + 1000000, &now_us));
    file_maker_abandon(scene->maker);
    scene->abandons = true;
}

Test(file_maker, it_can_be_left_alone_while_the_disk_hangs)
{
    struct scene scene = play(abandon_while_stuck);
    cr_assert_not(sim_disk_exists(scene.sim, 1, SECOND));
    sim_free(scene.sim);
}

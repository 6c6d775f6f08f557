#include "serve/keyspace.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "check.h"
#include "mailraft/machine.h"

static const uint8_t SECRET[KEYSPACE_SECRET_BYTES] = "sixteen letters";

static struct keyspace *keyspace;
static uint64_t hash_mask; /* what is left of a hash: with fewer bits, keys collide */

/* In the place of libsodium's: nobody finds two keys of one hash otherwise. */
int crypto_shorthash(unsigned char *out, const unsigned char *in, unsigned long long size, const unsigned char *key)
{
    int result = crypto_shorthash_siphash24(out, in, size, key);

    bytes_put_u64(out, bytes_get_u64(out) & (hash_mask != 0 ? hash_mask : UINT64_MAX));
    return result;
}

static void open_keyspace(void)
{
    hash_mask = 0;
    keyspace = keyspace_new();
    keyspace_set_secret(keyspace, SECRET);
}

static void close_keyspace(void)
{
    keyspace_free(keyspace);
}

TestSuite(keyspace, .init = open_keyspace, .fini = close_keyspace);

static struct text text(const char *chars)
{
    return (struct text){(const uint8_t *)chars, strlen(chars)};
}

static struct key *put(const char *name, const char *value, uint64_t index)
{
    return keyspace_put(keyspace, text(name), text(value), false, index);
}

static struct key *find(const char *name)
{
    return keyspace_find(keyspace, text(name));
}

static bool same(struct text a, struct text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0);
}

static void assert_value(const char *name, const char *value)
{
    struct key *key = find(name);

    cr_assert_not_null(key, "%s", name);
    cr_assert(same(key_name(key), text(name)));
    cr_assert(same(key_value(key), text(value)), "%s", name);
}

static void expire_at(const char *name, enum clock_kind clock, int64_t at_us)
{
    keyspace_set_expiry(keyspace, find(name), (struct expiry){clock, at_us}, 1);
}

static void assert_expiry(const char *name, enum clock_kind clock, int64_t at_us)
{
    struct expiry expiry = key_expiry(find(name));

    cr_assert_eq(expiry.clock, clock);
    cr_assert_eq(expiry.at_us, at_us);
}

/* ---- The whole ---- */

Test(keyspace, a_new_one_is_empty_and_has_no_secret)
{
    struct keyspace *empty = keyspace_new();

    cr_assert_null(keyspace_secret(empty));
    cr_assert_eq(keyspace_count(empty), 0);
    cr_assert_eq(keyspace_expiring(empty), 0);
    cr_assert_null(keyspace_find(empty, text("a")));
    cr_assert_eq(keyspace_version(empty, text("a")), 0);
    cr_assert_not(keyspace_remove(empty, text("a"), 1));
    cr_assert_eq(keyspace_deadline_us(empty, 0), MAILRAFT_NO_DEADLINE);
    keyspace_free(empty);
    keyspace_free(NULL);
}

Test(keyspace, the_secret_is_what_was_set)
{
    cr_assert_arr_eq(keyspace_secret(keyspace), SECRET, KEYSPACE_SECRET_BYTES);
}

Test(keyspace, bytes_grow_by_what_was_told_and_shrink_again)
{
    size_t empty = keyspace_bytes(keyspace);

    put("name", "some value", 1);
    cr_assert_eq(keyspace_bytes(keyspace), empty + keyspace_bytes_of(4, 10, false));
    put("name", "a value that is a good deal longer than it was before", 2);
    cr_assert_eq(keyspace_bytes(keyspace), empty + keyspace_bytes_of(4, 53, false));
    keyspace_remove(keyspace, text("name"), 3);
    cr_assert_eq(keyspace_bytes(keyspace), empty);
}

Test(keyspace, only_a_key_with_an_expiry_pays_for_one)
{
    put("name", "some value", 1);
    size_t plain = keyspace_bytes(keyspace);
    expire_at("name", CLOCK_CLUSTER, 5);
    cr_assert_gt(keyspace_bytes(keyspace), plain);
    cr_assert_eq(keyspace_expiring(keyspace), 1);
    expire_at("name", CLOCK_NONE, 0);
    cr_assert_eq(keyspace_bytes(keyspace), plain);
    cr_assert_eq(keyspace_expiring(keyspace), 0);
}

Test(keyspace, a_large_value_takes_whole_pages)
{
    cr_assert_geq(keyspace_bytes_of(10, 1 << 20, false), (1 << 20) + 10);
    cr_assert_lt(keyspace_bytes_of(10, 1 << 20, false), (1 << 20) + 8192);
}

/* ---- Looking ---- */

Test(keyspace, what_was_put_is_found)
{
    cr_assert_eq(put("a", "1", 7), find("a"));
    put("b", "", 8);
    put("", "nameless", 9);
    assert_value("a", "1");
    assert_value("b", "");
    assert_value("", "nameless");
    cr_assert_null(find("c"));
    cr_assert_eq(keyspace_count(keyspace), 3);
}

Test(keyspace, names_and_values_are_bytes)
{
    static const uint8_t name[] = {0, 255, '\n', 0};
    struct text bytes = {name, sizeof name};

    keyspace_put(keyspace, bytes, bytes, false, 1);
    cr_assert(same(key_value(keyspace_find(keyspace, bytes)), bytes));
    cr_assert_null(keyspace_find(keyspace, (struct text){name, 3}));
    keyspace_put(keyspace, (struct text){NULL, 0}, (struct text){NULL, 0}, false, 1);
    cr_assert_eq(key_value(find("")).size, 0);
}

Test(keyspace, a_version_is_the_index_of_the_last_change)
{
    cr_assert_eq(keyspace_version(keyspace, text("a")), 0);
    put("a", "1", 3);
    cr_assert_eq(keyspace_version(keyspace, text("a")), 3);
    cr_assert_eq(key_version(find("a")), 3);
    keyspace_resize(keyspace, text("a"), 1, 4);
    cr_assert_eq(keyspace_version(keyspace, text("a")), 4);
    keyspace_set_expiry(keyspace, find("a"), (struct expiry){CLOCK_CLUSTER, 9}, 5);
    cr_assert_eq(keyspace_version(keyspace, text("a")), 5);
}

Test(keyspace, an_absent_key_that_was_there_has_another_version)
{
    put("a", "1", 3);
    keyspace_remove(keyspace, text("a"), 4);
    cr_assert_eq(keyspace_version(keyspace, text("a")), 4);
    put("a", "1", 5);
    expire_at("a", CLOCK_CLUSTER, 100);
    keyspace_expire(keyspace, 100, 0, 6);
    cr_assert_eq(keyspace_version(keyspace, text("a")), 6);
}

Test(keyspace, other_parts_keep_their_versions)
{
    int changed = 0;
    char name[20];

    put("a", "1", 3);
    keyspace_remove(keyspace, text("a"), 4);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "other %d", i);
        changed += keyspace_version(keyspace, text(name)) != 0;
    }
    cr_assert_lt(changed, 10);
}

Test(keyspace, parts_can_be_told_and_set)
{
    size_t part = 0;

    put("a", "1", 3);
    keyspace_remove(keyspace, text("a"), 4);
    while (keyspace_part_version(keyspace, part) == 0)
        part++;
    cr_assert_eq(keyspace_part_version(keyspace, part), 4);
    keyspace_set_part_version(keyspace, part, 77);
    cr_assert_eq(keyspace_version(keyspace, text("a")), 77);
}

/* ---- Walks ---- */

struct walk {
    size_t count, stop_after; /* 0: never */
    uint64_t last_hash;
    char names[3000];
    size_t stops;
};

static bool visit(void *context, struct key *key)
{
    struct walk *walk = context;
    uint8_t hash[8];

    crypto_shorthash(hash, key_name(key).bytes, key_name(key).size, SECRET);
    cr_assert_geq(bytes_get_u64(hash), walk->last_hash);
    walk->last_hash = bytes_get_u64(hash);
    walk->count++;
    snprintf(walk->names + strlen(walk->names), sizeof walk->names - strlen(walk->names), "%.*s ",
             (int)key_name(key).size, (const char *)key_name(key).bytes);
    return walk->stop_after == 0 || walk->count % walk->stop_after != 0;
}

static void put_numbers(int count)
{
    char name[20];

    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%d", i);
        put(name, "x", 1);
    }
}

Test(keyspace, a_walk_sees_every_key_in_the_order_of_hashes)
{
    struct walk walk = {0};

    put_numbers(500);
    cr_assert_eq(keyspace_walk(keyspace, 0, visit, &walk), 0);
    cr_assert_eq(walk.count, 500);
}

Test(keyspace, a_walk_goes_on_where_it_stopped)
{
    struct walk whole = {0}, walk = {.stop_after = 7};
    uint64_t place = 0;
    int portions = 0;

    put_numbers(500);
    keyspace_walk(keyspace, 0, visit, &whole);
    do {
        place = keyspace_walk(keyspace, place, visit, &walk);
        cr_assert_eq(place >> KEYSPACE_PLACE_BITS, 0);
        portions++;
    } while (place != 0);
    cr_assert_eq(portions, 72);
    cr_assert_str_eq(walk.names, whole.names);
}

Test(keyspace, a_walk_that_stops_at_the_last_key_is_at_the_end)
{
    struct walk walk = {.stop_after = 3};

    put("a", "", 1);
    put("b", "", 1);
    put("c", "", 1);
    cr_assert_eq(keyspace_walk(keyspace, 0, visit, &walk), 0);
    cr_assert_str_eq(walk.names, "c a b ");
    keyspace_remove(keyspace, text("b"), 2);
    walk = (struct walk){.stop_after = 2};
    cr_assert_eq(keyspace_walk(keyspace, 0, visit, &walk), 0);
}

Test(keyspace, a_walk_from_no_place_is_at_the_end)
{
    struct walk walk = {0};

    put_numbers(3);
    cr_assert_eq(keyspace_walk(keyspace, UINT64_MAX, visit, &walk), 0);
    cr_assert_eq(keyspace_walk(keyspace, UINT64_C(1) << KEYSPACE_PLACE_BITS, visit, &walk), 0);
    cr_assert_eq(walk.count, 0);
}

static void assert_portions(size_t stop_after, int expected)
{
    struct walk whole = {0}, walk = {.stop_after = stop_after};
    uint64_t place = 0;
    int portions = 0;

    keyspace_walk(keyspace, 0, visit, &whole);
    do {
        place = keyspace_walk(keyspace, place, visit, &walk);
        portions++;
    } while (place != 0);
    cr_assert_eq(portions, expected);
    cr_assert_eq(walk.count, 200);
    cr_assert_str_eq(walk.names, whole.names);
}

/* The upper 52 bits of a hash are its place: with four bits of them, and those below, there are 16 places. */
Test(keyspace, a_walk_does_not_stop_within_a_place)
{
    hash_mask = UINT64_C(0xf000000000000fff);
    put_numbers(200);
    assert_portions(1, 16);
    assert_portions(2, 16); /* every place has two keys at least */
}

Test(keyspace, the_order_depends_on_the_secret_alone)
{
    struct walk walk = {0};

    put("a", "", 1);
    put("b", "", 1);
    put("c", "", 1);
    keyspace_walk(keyspace, 0, visit, &walk);
    cr_assert_str_eq(walk.names, "c a b ");
}

/* ---- Changing ---- */

Test(keyspace, putting_again_changes_the_value)
{
    put("a", "1", 1);
    put("a", "22", 2);
    assert_value("a", "22");
    put("a", "33", 2);
    assert_value("a", "33");
    cr_assert_eq(keyspace_count(keyspace), 1);
}

Test(keyspace, putting_takes_the_expiry_away_unless_it_is_kept)
{
    for (int i = 0; i < 2; i++) {
        const char *value = i == 0 ? "1" : "longer";
        put("a", "1", 1);
        expire_at("a", CLOCK_CLUSTER, 50);
        keyspace_put(keyspace, text("a"), text(value), true, 2);
        assert_expiry("a", CLOCK_CLUSTER, 50);
        keyspace_put(keyspace, text("a"), text(value), false, 3);
        assert_expiry("a", CLOCK_NONE, 0);
        assert_value("a", value);
        cr_assert_eq(keyspace_deadline_us(keyspace, 0), MAILRAFT_NO_DEADLINE);
    }
}

Test(keyspace, a_value_may_come_from_the_key_itself_or_another)
{
    put("a", "0123456789", 1);
    keyspace_put(keyspace, text("b"), key_value(find("a")), false, 2);
    assert_value("b", "0123456789");
    struct text part = key_value(find("a"));
    keyspace_put(keyspace, key_name(find("a")), (struct text){part.bytes + 2, 5}, false, 3);
    assert_value("a", "23456");
    part = key_value(find("a"));
    keyspace_put(keyspace, text("a"), part, false, 4);
    assert_value("a", "23456");
}

Test(keyspace, resizing_keeps_what_fits_and_adds_zeros)
{
    static const uint8_t grown[] = {'1', '2', '3', 0, 0};

    put("a", "123", 1);
    cr_assert_not(key_is_raw(find("a")));
    uint8_t *bytes = keyspace_resize(keyspace, text("a"), 5, 2);
    cr_assert_eq(key_value(find("a")).bytes, bytes);
    cr_assert(same(key_value(find("a")), (struct text){grown, 5}));
    cr_assert(key_is_raw(find("a")));
    keyspace_resize(keyspace, text("a"), 2, 3);
    assert_value("a", "12");
    memcpy(keyspace_resize(keyspace, text("a"), 2, 3), "xy", 2);
    assert_value("a", "xy");
    put("a", "12", 4);
    cr_assert_not(key_is_raw(find("a")));
}

Test(keyspace, resizing_makes_what_is_absent)
{
    static const uint8_t zeros[3];

    keyspace_resize(keyspace, text("a"), 3, 9);
    cr_assert(same(key_value(find("a")), (struct text){zeros, 3}));
    cr_assert_eq(keyspace_version(keyspace, text("a")), 9);
    cr_assert_eq(keyspace_count(keyspace), 1);
}

Test(keyspace, resizing_keeps_the_expiry)
{
    put("a", "1", 1);
    put("b", "1", 1);
    expire_at("a", CLOCK_WALL, 50);
    expire_at("b", CLOCK_WALL, 50);
    keyspace_resize(keyspace, text("a"), 1000, 2);
    keyspace_resize(keyspace, text("b"), 0, 2);
    assert_expiry("a", CLOCK_WALL, 50);
    assert_expiry("b", CLOCK_WALL, 50);
    keyspace_expire(keyspace, 50, 0, 3);
    cr_assert_eq(keyspace_count(keyspace), 0);
}

Test(keyspace, what_was_removed_is_absent)
{
    put("a", "1", 1);
    cr_assert(keyspace_remove(keyspace, text("a"), 2));
    cr_assert_not(keyspace_remove(keyspace, text("a"), 3));
    cr_assert_null(find("a"));
    cr_assert_eq(keyspace_count(keyspace), 0);
}

Test(keyspace, a_removed_key_is_never_due)
{
    put("a", "1", 1);
    expire_at("a", CLOCK_CLUSTER, 50);
    keyspace_remove(keyspace, text("a"), 2);
    cr_assert_eq(keyspace_expiring(keyspace), 0);
    cr_assert_eq(keyspace_deadline_us(keyspace, 0), MAILRAFT_NO_DEADLINE);
    put("a", "1", 3);
    keyspace_expire(keyspace, 50, 0, 4);
    assert_value("a", "1");
}

Test(keyspace, clearing_leaves_nothing_but_the_secret)
{
    size_t empty = keyspace_bytes(keyspace);

    put_numbers(100);
    expire_at("5", CLOCK_CLUSTER, 50);
    expire_at("6", CLOCK_WALL, 60);
    keyspace_clear(keyspace, 7);
    cr_assert_eq(keyspace_count(keyspace), 0);
    cr_assert_eq(keyspace_expiring(keyspace), 0);
    cr_assert_eq(keyspace_bytes(keyspace), empty);
    cr_assert_eq(keyspace_deadline_us(keyspace, 0), MAILRAFT_NO_DEADLINE);
    cr_assert_eq(keyspace_version(keyspace, text("5")), 7);
    cr_assert_eq(keyspace_version(keyspace, text("never there")), 7);
    cr_assert_arr_eq(keyspace_secret(keyspace), SECRET, KEYSPACE_SECRET_BYTES);
    put("5", "again", 8);
    assert_value("5", "again");
}

/* ---- Time ---- */

Test(keyspace, what_is_due_goes_and_what_is_not_stays)
{
    put("a", "1", 1);
    put("b", "1", 1);
    put("c", "1", 1);
    put("d", "1", 1);
    expire_at("a", CLOCK_CLUSTER, 50);
    expire_at("b", CLOCK_CLUSTER, 50);
    expire_at("c", CLOCK_CLUSTER, 51);
    keyspace_expire(keyspace, 49, 0, 2);
    cr_assert_eq(keyspace_count(keyspace), 4);
    cr_assert_eq(keyspace_deadline_us(keyspace, 0), 50);
    keyspace_expire(keyspace, 50, 0, 3);
    cr_assert_null(find("a"));
    cr_assert_null(find("b"));
    assert_value("c", "1");
    cr_assert_eq(keyspace_deadline_us(keyspace, 0), 51);
    cr_assert_eq(keyspace_expiring(keyspace), 1);
    keyspace_expire(keyspace, INT64_MAX, 0, 3);
    assert_value("d", "1");
    cr_assert_eq(keyspace_count(keyspace), 1);
}

Test(keyspace, a_wall_clock_that_is_ahead_brings_its_times_nearer)
{
    put("a", "1", 1);
    put("b", "1", 1);
    expire_at("a", CLOCK_WALL, 1000);
    cr_assert_eq(keyspace_deadline_us(keyspace, 300), 700);
    cr_assert_eq(keyspace_deadline_us(keyspace, -300), 1300);
    expire_at("b", CLOCK_CLUSTER, 800);
    cr_assert_eq(keyspace_deadline_us(keyspace, 300), 700);
    cr_assert_eq(keyspace_deadline_us(keyspace, 0), 800);
    keyspace_expire(keyspace, 699, 300, 2);
    assert_value("a", "1");
    keyspace_expire(keyspace, 700, 300, 2);
    cr_assert_null(find("a"));
    assert_value("b", "1");
}

Test(keyspace, times_before_1970_and_far_ones_are_in_order)
{
    put("a", "1", 1);
    put("b", "1", 1);
    put("c", "1", 1);
    expire_at("a", CLOCK_WALL, INT64_MIN);
    expire_at("b", CLOCK_WALL, -5);
    expire_at("c", CLOCK_WALL, INT64_MAX - 1);
    cr_assert_eq(keyspace_deadline_us(keyspace, 10), INT64_MIN);
    keyspace_expire(keyspace, -100, -10, 2);
    cr_assert_eq(keyspace_count(keyspace), 2);
    keyspace_expire(keyspace, 0, 0, 2);
    cr_assert_eq(keyspace_count(keyspace), 1);
    cr_assert_eq(keyspace_deadline_us(keyspace, -10), INT64_MAX);
    cr_assert_eq(keyspace_deadline_us(keyspace, INT64_MIN), INT64_MAX);
    cr_assert_eq(keyspace_deadline_us(keyspace, 1), INT64_MAX - 2);
}

Test(keyspace, a_time_that_only_milliseconds_can_tell_never_comes)
{
    put("a", "1", 1);
    expire_at("a", CLOCK_FAR, 9300000000000000);
    assert_expiry("a", CLOCK_FAR, 9300000000000000);
    cr_assert_eq(keyspace_expiring(keyspace), 1);
    cr_assert_eq(keyspace_deadline_us(keyspace, 0), MAILRAFT_NO_DEADLINE);
    keyspace_expire(keyspace, INT64_MAX, INT64_MAX, 2);
    assert_value("a", "1");
    expire_at("a", CLOCK_NONE, 0);
    cr_assert_eq(keyspace_expiring(keyspace), 0);
}

Test(keyspace, an_expiry_can_be_changed_to_another_clock)
{
    put("a", "1", 1);
    expire_at("a", CLOCK_CLUSTER, 50);
    expire_at("a", CLOCK_WALL, 70);
    assert_expiry("a", CLOCK_WALL, 70);
    keyspace_expire(keyspace, 60, 0, 2);
    assert_value("a", "1");
    expire_at("a", CLOCK_NONE, 0);
    keyspace_expire(keyspace, 80, 0, 2);
    assert_value("a", "1");
}

/* ---- Against a model ---- */

#define MODEL_KEYS 300

struct model_key {
    bool there;
    uint8_t value[200];
    size_t size;
    struct expiry expiry;
    uint64_t version;
};

static struct model_key model[MODEL_KEYS];
static uint64_t state = 1;

static size_t draw(size_t below)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (size_t)(state >> 33) % below;
}

static struct text model_name(size_t i, char room[static 20])
{
    snprintf(room, 20, "name %zu", i);
    return text(room);
}

static void change_value(size_t i, struct text name, uint64_t index)
{
    struct model_key *key = &model[i];
    size_t size = draw(sizeof key->value);
    bool keep = draw(2) == 0;

    memset(key->value, (int)index, size);
    keyspace_put(keyspace, name, (struct text){key->value, size}, keep, index);
    if (!keep || !key->there)
        key->expiry = (struct expiry){CLOCK_NONE, 0};
    key->there = true;
    key->size = size;
    key->version = index;
}

static void change_size(size_t i, struct text name, uint64_t index)
{
    struct model_key *key = &model[i];
    size_t size = draw(sizeof key->value);

    keyspace_resize(keyspace, name, size, index);
    if (!key->there)
        *key = (struct model_key){.there = true};
    if (size > key->size)
        memset(key->value + key->size, 0, size - key->size);
    key->size = size;
    key->version = index;
}

static void change_expiry(size_t i, struct text name, uint64_t index)
{
    struct key *key = keyspace_find(keyspace, name);

    if (key == NULL)
        return;
    model[i].expiry.clock = (enum clock_kind)draw(3);
    model[i].expiry.at_us = model[i].expiry.clock == CLOCK_NONE ? 0 : (int64_t)(index + draw(30));
    model[i].version = index;
    keyspace_set_expiry(keyspace, key, model[i].expiry, index);
}

static void pass_time(int64_t time_us, uint64_t index)
{
    keyspace_expire(keyspace, time_us, 5, index);
    for (size_t i = 0; i < MODEL_KEYS; i++)
        if ((model[i].expiry.clock == CLOCK_CLUSTER && model[i].expiry.at_us <= time_us) ||
            (model[i].expiry.clock == CLOCK_WALL && model[i].expiry.at_us <= time_us + 5))
            model[i] = (struct model_key){.there = false};
}

static void change_something(uint64_t index)
{
    char room[20];
    size_t i = draw(MODEL_KEYS);
    struct text name = model_name(i, room);

    switch (draw(8)) {
    case 0:
    case 1:
    case 2:
        change_value(i, name, index);
        break;
    case 3:
        change_size(i, name, index);
        break;
    case 4:
    case 5:
        change_expiry(i, name, index);
        break;
    case 6:
        cr_assert_eq(keyspace_remove(keyspace, name, index), model[i].there);
        model[i] = (struct model_key){.there = false};
        break;
    default:
        pass_time((int64_t)index, index);
    }
}

static void compare_one(size_t i)
{
    char room[20];
    struct text name = model_name(i, room);
    struct key *key = keyspace_find(keyspace, name);
    struct expiry expiry;

    cr_assert_eq(key != NULL, model[i].there);
    if (key == NULL)
        return;
    expiry = key_expiry(key);
    cr_assert(same(key_value(key), (struct text){model[i].value, model[i].size}));
    cr_assert_eq(expiry.clock, model[i].expiry.clock);
    cr_assert_eq(expiry.at_us, model[i].expiry.at_us);
    cr_assert_eq(keyspace_version(keyspace, name), model[i].version);
}

static void compare_all(void)
{
    size_t count = 0, expiring = 0;

    for (size_t i = 0; i < MODEL_KEYS; i++) {
        compare_one(i);
        count += model[i].there;
        expiring += model[i].expiry.clock != CLOCK_NONE;
    }
    cr_assert_eq(keyspace_count(keyspace), count);
    cr_assert_eq(keyspace_expiring(keyspace), expiring);
}

static void run_model(uint64_t mask)
{
    size_t empty = keyspace_bytes(keyspace);
    char room[20];

    hash_mask = mask;
    for (uint64_t index = 1; index <= 20000; index++) {
        change_something(index);
        if (index % 100 == 0)
            compare_all();
    }
    cr_assert_gt(keyspace_bytes(keyspace), empty);
    for (size_t i = 0; i < MODEL_KEYS; i++)
        keyspace_remove(keyspace, model_name(i, room), 1);
    cr_assert_eq(keyspace_bytes(keyspace), empty);
    cr_assert_eq(keyspace_expiring(keyspace), 0);
}

Test(keyspace, does_as_a_simple_model_does)
{
    run_model(UINT64_MAX);
}

Test(keyspace, does_so_where_many_keys_have_the_same_hash)
{
    run_model(UINT64_C(0xff00000000000000)); /* of 256 hashes */
}

Test(keyspace, does_so_where_half_of_all_keys_have_the_same_hash)
{
    run_model(UINT64_C(0x1000)); /* two hashes */
}

Test(keyspace, a_hundred_thousand_keys_come_and_go)
{
    put_numbers(100000);
    char name[20];
    for (int i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "%d", i);
        cr_assert(keyspace_remove(keyspace, text(name), 1));
    }
    cr_assert_eq(keyspace_count(keyspace), 0);
}

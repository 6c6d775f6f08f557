#include "mail/hello.h"

#include <string.h>

#include "check.h"

static struct mailraft_error err;
static struct speaker self;
static struct hello hello; /* of member 2 to us, who are 1 */
static uint32_t version;

static void make_hello(void)
{
    struct mailbox_config config = {
        .cluster_name = "home",
        .id = 1,
        .members = {.count = 3, .list = {{.id = 1}, {.id = 2}, {.id = 3}}},
        .data_id = {"0123456789abcde"},
        .rejoin_empty = true,
    };
    struct speaker other;

    speaker_init(&self, &config);
    config.id = 2;
    speaker_init(&other, &config);
    hello_make(&hello, &other, 1, CHANNEL_URGENT, 4);
    speaker_fini(&other);
}

static void assert_refused(const char *reason)
{
    cr_assert_not(hello_check(&hello, &self, &version, &err));
    cr_assert(error_is(&err, &PROTOCOL_ERROR));
    cr_assert_str_eq(err.message, reason);
}

static void forget(void)
{
    speaker_fini(&self);
}

TestSuite(hello, .init = make_hello, .fini = forget);

Test(hello, says_who_speaks_to_whom)
{
    cr_assert_eq(hello.version_lowest, (uint32_t)VERSION_LOWEST);
    cr_assert_eq(hello.version_highest, (uint32_t)VERSION_HIGHEST);
    cr_assert_str_eq(hello.cluster_name, "home");
    cr_assert_eq(hello.sender, 2);
    cr_assert_eq(hello.receiver, 1);
    cr_assert_eq(hello.channel, (uint32_t)CHANNEL_URGENT);
    cr_assert_eq(hello.connection, (uint64_t)4);
    cr_assert_arr_eq(hello.data_id.bytes, "0123456789abcde", DATA_ID_SIZE);
    cr_assert_eq(hello.members_checksum, members_checksum(&self.members));
    cr_assert(hello.rejoin_empty);
}

Test(hello, shows_the_uuid_of_the_cluster_from_when_it_is_known)
{
    const struct cluster_uuid uuid = {"fedcba987654321"};
    struct mailbox_config config = {.id = 1, .cluster_uuid = uuid};
    struct speaker born;
    struct hello said;

    hello_make(&said, &self, 2, CHANNEL_URGENT, 1);
    cr_assert_arr_eq(said.cluster_uuid.bytes, (uint8_t[CLUSTER_UUID_SIZE]){0}, CLUSTER_UUID_SIZE);
    speaker_set_uuid(&self, &uuid);
    hello_make(&said, &self, 2, CHANNEL_URGENT, 1);
    cr_assert_arr_eq(said.cluster_uuid.bytes, uuid.bytes, CLUSTER_UUID_SIZE);
    speaker_init(&born, &config); /* and it was known at the start */
    hello_make(&said, &born, 2, CHANNEL_URGENT, 1);
    cr_assert_arr_eq(said.cluster_uuid.bytes, uuid.bytes, CLUSTER_UUID_SIZE);
    cr_assert_not(said.rejoin_empty);
    speaker_fini(&born);
}

Test(hello, tells_the_server_of_data_id_uuid_and_rejoining)
{
    struct introduction introduction;

    hello.cluster_uuid.bytes[3] = 7;
    introduction = hello_introduction(&hello);
    cr_assert_arr_eq(introduction.data_id.bytes, hello.data_id.bytes, DATA_ID_SIZE);
    cr_assert_arr_eq(introduction.cluster_uuid.bytes, hello.cluster_uuid.bytes, CLUSTER_UUID_SIZE);
    cr_assert(introduction.rejoin_empty);
}

Test(hello, each_start_of_a_process_is_another_incarnation)
{
    struct mailbox_config config = {.id = 1};
    struct speaker again;

    speaker_init(&again, &config);
    cr_assert_neq(again.incarnation, (uint64_t)0);
    cr_assert_neq(again.incarnation, self.incarnation);
    speaker_fini(&again);
}

Test(hello, of_a_member_is_answered)
{
    cr_assert(hello_check(&hello, &self, &version, &err), "%s", err.message);
    cr_assert_eq(version, 1u);
}

Test(hello, the_highest_version_that_both_know_is_used)
{
    hello.version_highest = VERSION_HIGHEST + 5;
    cr_assert(hello_check(&hello, &self, &version, &err));
    cr_assert_eq(version, (uint32_t)VERSION_HIGHEST);
}

Test(hello, of_a_version_that_we_do_not_speak_is_refused_whatever_else_it_says)
{
    hello.channel = 99;
    hello.version_lowest = VERSION_HIGHEST + 1;
    hello.version_highest = VERSION_HIGHEST + 2;
    assert_refused("it speaks the versions 2 to 3, we 1 to 1");
    hello.version_lowest = hello.version_highest = VERSION_LOWEST - 1;
    assert_refused("it speaks the versions 0 to 0, we 1 to 1");
    hello.version_lowest = 1;
    assert_refused("it speaks the versions 1 to 0, we 1 to 1");
}

Test(hello, of_another_cluster_is_refused)
{
    strcpy(hello.cluster_name, "away");
    assert_refused("it belongs to the cluster \"away\", we to \"home\"");
}

Test(hello, of_another_cluster_of_the_same_name_is_refused_once_both_know_their_uuids)
{
    hello.cluster_uuid.bytes[0] = 1;
    cr_assert(hello_check(&hello, &self, &version, &err)); /* ours is not known yet */
    self.cluster_uuid.bytes[0] = 2;
    assert_refused("it belongs to another cluster of the name \"home\": their uuids differ");
    hello.cluster_uuid.bytes[0] = 2;
    cr_assert(hello_check(&hello, &self, &version, &err));
    hello.cluster_uuid.bytes[0] = 0;
    cr_assert(hello_check(&hello, &self, &version, &err)); /* theirs is not known yet */
}

Test(hello, that_means_somebody_else_is_refused)
{
    hello.receiver = 3;
    assert_refused("it means 3, and we are 1");
}

Test(hello, in_our_own_name_is_refused)
{
    hello.sender = 1;
    assert_refused("it says that it is 1, which is us");
}

Test(hello, of_who_is_no_member_is_refused)
{
    hello.sender = 4;
    assert_refused("it says that it is 4, which is no member");
}

Test(hello, of_who_lists_other_members_is_refused)
{
    hello.members_checksum++;
    assert_refused("2 lists other members than we do");
}

Test(hello, for_an_unknown_channel_is_refused)
{
    hello.channel = CHANNEL_BULK;
    cr_assert(hello_check(&hello, &self, &version, &err));
    hello.channel = CHANNEL_COUNT;
    assert_refused("2 wants the channel 2, which we do not know");
}

Test(hello, without_a_number_of_its_connection_is_refused)
{
    hello.connection = 0;
    assert_refused("2 does not number its connection");
    hello.connection = 4;
    hello.incarnation = 0;
    assert_refused("2 does not number its connection");
}

Test(hello, an_answer_comes_from_whom_we_meant_and_repeats_the_connection)
{
    struct hello ours;

    hello_make(&ours, &self, 2, CHANNEL_URGENT, 4);
    cr_assert(hello_check_answer(&hello, &ours, &err));
    hello.connection = 5;
    cr_assert_not(hello_check_answer(&hello, &ours, &err));
    cr_assert_str_eq(err.message, "2 answers for another connection");
    hello.connection = 4;
    hello.channel = CHANNEL_BULK;
    cr_assert_not(hello_check_answer(&hello, &ours, &err));
    ours.receiver = 3;
    cr_assert_not(hello_check_answer(&hello, &ours, &err));
    cr_assert_str_eq(err.message, "it is 2, and we want 3");
}

#include "base/message.h"

#include <string.h>

#include "check.h"

static char text[MESSAGE_TEXT_MAX];

Test(message, every_type_has_the_name_of_its_constant)
{
    cr_assert_str_eq(message_type_name(HELLO), "HELLO");
    cr_assert_str_eq(message_type_name(REQUEST_PRE_VOTE), "REQUEST_PRE_VOTE");
    cr_assert_str_eq(message_type_name(RESPONSE_PRE_VOTE), "RESPONSE_PRE_VOTE");
    cr_assert_str_eq(message_type_name(REQUEST_VOTE), "REQUEST_VOTE");
    cr_assert_str_eq(message_type_name(RESPONSE_VOTE), "RESPONSE_VOTE");
    cr_assert_str_eq(message_type_name(REQUEST_APPEND_ENTRIES), "REQUEST_APPEND_ENTRIES");
    cr_assert_str_eq(message_type_name(RESPONSE_APPEND_ENTRIES), "RESPONSE_APPEND_ENTRIES");
    cr_assert_str_eq(message_type_name(TIMEOUT_NOW), "TIMEOUT_NOW");
    cr_assert_str_eq(message_type_name(FORWARD), "FORWARD");
    cr_assert_str_eq(message_type_name(FORWARDED), "FORWARDED");
}

Test(message, a_number_that_is_no_type_is_unknown)
{
    cr_assert_str_eq(message_type_name((enum message_type)0), "UNKNOWN");
    cr_assert_str_eq(message_type_name((enum message_type)(MESSAGE_TYPE_LAST + 1)), "UNKNOWN");
    cr_assert_str_eq(message_type_name((enum message_type)4000000000U), "UNKNOWN");
}

Test(message, a_type_is_a_request_or_a_response_or_neither)
{
    for (enum message_type type = HELLO; type <= MESSAGE_TYPE_LAST; type++) {
        const char *name = message_type_name(type);

        cr_assert_eq(message_is_request(type), strncmp(name, "REQUEST_", 8) == 0, "%s", name);
        cr_assert_eq(message_is_response(type), strncmp(name, "RESPONSE_", 9) == 0, "%s", name);
    }
}

Test(message, a_description_tells_each_field_of_the_type)
{
    struct message message = {
        .curr_term = 4,
        .server_id = 2,
        .last_log_index = 17,
        .last_log_term = 3,
        .transfer = true,
        .vote_granted = false,
        .refusal = REFUSAL_VOTED,
        .refusal_detail = 5,
        .prev_index = 11,
        .prev_term = 1,
        .commit_index = 10,
        .entry_count = 3,
        .round_trip_max_us = 250,
        .time_us = 77,
        .entries_appended = true,
        .match_index = 12,
        .request_incarnation = 0xf0,
        .request_connection = 5,
        .request_channel = 1,
        .data_id = {{0xab}},
        .round = 9,
    };
    static const struct {
        enum message_type type;
        const char *text;
    } table[] = {
        {REQUEST_PRE_VOTE, "type_of_message=REQUEST_PRE_VOTE curr_term=4 server_id=2 "
                           "last_log_index=17 last_log_term=3 transfer=1 "
                           "data_id=ab000000000000000000000000000000 round=9"},
        {RESPONSE_PRE_VOTE, "type_of_message=RESPONSE_PRE_VOTE curr_term=4 server_id=2 "
                            "vote_granted=0 refusal=VOTED refusal_detail=5 round=9"},
        {REQUEST_VOTE, "type_of_message=REQUEST_VOTE curr_term=4 server_id=2 "
                       "last_log_index=17 last_log_term=3 transfer=1 "
                       "data_id=ab000000000000000000000000000000 round=9"},
        {RESPONSE_VOTE, "type_of_message=RESPONSE_VOTE curr_term=4 server_id=2 "
                        "vote_granted=0 refusal=VOTED refusal_detail=5 round=9"},
        {REQUEST_APPEND_ENTRIES, "type_of_message=REQUEST_APPEND_ENTRIES curr_term=4 server_id=2 "
                                 "prev_index=11 prev_term=1 commit_index=10 entries=3 round_trip_max_us=250 "
                                 "time_us=77 round=9"},
        {RESPONSE_APPEND_ENTRIES, "type_of_message=RESPONSE_APPEND_ENTRIES curr_term=4 server_id=2 "
                                  "entries_appended=1 match_index=12 request_incarnation=00000000000000f0 "
                                  "request_connection=5 request_channel=1 round=9"},
        {TIMEOUT_NOW, "type_of_message=TIMEOUT_NOW curr_term=4 server_id=2"},
        {FORWARD, "type_of_message=FORWARD curr_term=4 server_id=2"},
        {FORWARDED, "type_of_message=FORWARDED curr_term=4 server_id=2 "
                    "request_incarnation=00000000000000f0 request_connection=5 request_channel=1"},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        message.type_of_message = table[i].type;
        cr_assert_str_eq(message_describe(&message, text, sizeof text), table[i].text);
    }
}

Test(message, a_rejected_append_tells_where_the_logs_part)
{
    const struct message message = {
        .type_of_message = RESPONSE_APPEND_ENTRIES,
        .rejected_index = 20,
        .conflict_term = 3,
        .conflict_index = 15,
    };

    message_describe(&message, text, sizeof text);
    cr_assert_not_null(strstr(text, " entries_appended=0 match_index=0 rejected_index=20 conflict_term=3 "
                                    "conflict_index=15 request_incarnation="));
}

Test(message, the_longest_description_fits_and_a_smaller_room_cuts_it)
{
    const struct message message = {
        .type_of_message = RESPONSE_APPEND_ENTRIES,
        .curr_term = UINT64_MAX,
        .server_id = INT32_MIN,
        .match_index = UINT64_MAX,
        .rejected_index = UINT64_MAX,
        .conflict_term = UINT64_MAX,
        .conflict_index = UINT64_MAX,
        .request_incarnation = UINT64_MAX,
        .request_connection = UINT64_MAX,
        .request_channel = UINT32_MAX,
        .round = UINT64_MAX,
    };

    message_describe(&message, text, sizeof text);
    cr_assert_not_null(strstr(text, " round=18446744073709551615"));
    for (size_t size = 1; size < 60; size++) {
        char cut[60];

        memset(cut, '#', sizeof cut);
        message_describe(&message, cut, size);
        cr_assert_eq(strlen(cut), size - 1);
        cr_assert_eq(strncmp(cut, text, size - 1), 0);
    }
}

Test(message, every_refusal_says_why)
{
    struct message message = {.type_of_message = RESPONSE_VOTE, .curr_term = 7, .refusal_detail = 12};
    static const char *const TEXTS[REFUSAL_LAST + 1] = {
        [REFUSAL_NONE] = "no reason told",
        [REFUSAL_STALE_TERM] = "already in term 7",
        [REFUSAL_LOG_BEHIND] = "behind in the log",
        [REFUSAL_VOTED] = "voted for 12",
        [REFUSAL_LEADER_LIVES] = "heard the leader 12 ms ago",
        [REFUSAL_LEADING] = "leads itself",
        [REFUSAL_NEW_FOLDER] = "its data folder is new to the cluster",
    };

    for (int i = 0; i <= REFUSAL_LAST; i++) {
        message.refusal = (enum refusal)i;
        cr_assert_str_eq(message_refusal_describe(&message, text, sizeof text), TEXTS[i]);
    }
    message.refusal = (enum refusal)99;
    cr_assert_str_eq(message_refusal_describe(&message, text, sizeof text), "reason 99");
}

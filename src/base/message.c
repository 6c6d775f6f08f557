#include "base/message.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const TYPE_NAMES[MESSAGE_TYPE_LAST + 1] = {
    [HELLO] = "HELLO",
    [REQUEST_PRE_VOTE] = "REQUEST_PRE_VOTE",
    [RESPONSE_PRE_VOTE] = "RESPONSE_PRE_VOTE",
    [REQUEST_VOTE] = "REQUEST_VOTE",
    [RESPONSE_VOTE] = "RESPONSE_VOTE",
    [REQUEST_APPEND_ENTRIES] = "REQUEST_APPEND_ENTRIES",
    [RESPONSE_APPEND_ENTRIES] = "RESPONSE_APPEND_ENTRIES",
    [TIMEOUT_NOW] = "TIMEOUT_NOW",
    [FORWARD] = "FORWARD",
    [FORWARDED] = "FORWARDED",
};

static const char *const REFUSAL_NAMES[REFUSAL_LAST + 1] = {
    [REFUSAL_NONE] = "NONE",   [REFUSAL_STALE_TERM] = "STALE_TERM",     [REFUSAL_LOG_BEHIND] = "LOG_BEHIND",
    [REFUSAL_VOTED] = "VOTED", [REFUSAL_LEADER_LIVES] = "LEADER_LIVES", [REFUSAL_LEADING] = "LEADING",
    [REFUSAL_NEW_FOLDER] = "NEW_FOLDER",
};

const char *message_type_name(enum message_type type)
{
    return type >= HELLO && type <= MESSAGE_TYPE_LAST ? TYPE_NAMES[type] : "UNKNOWN";
}

bool message_is_request(enum message_type type)
{
    return type == REQUEST_PRE_VOTE || type == REQUEST_VOTE || type == REQUEST_APPEND_ENTRIES;
}

bool message_is_response(enum message_type type)
{
    return type == RESPONSE_PRE_VOTE || type == RESPONSE_VOTE || type == RESPONSE_APPEND_ENTRIES;
}

struct text {
    char *bytes;
    size_t size, used; /* used < size, the final zero not counted */
};

__attribute__((format(printf, 2, 3))) static void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(text->bytes + text->used, text->size - text->used, format, arguments);
    va_end(arguments);
    text->used += (size_t)length;
    if (text->used >= text->size)
        text->used = text->size - 1;
}

static const char *refusal_name(enum refusal refusal)
{
    return refusal >= REFUSAL_NONE && refusal <= REFUSAL_LAST ? REFUSAL_NAMES[refusal] : "UNKNOWN";
}

static void text_add_data_id(struct text *text, const struct data_id *data_id)
{
    char id[ID_TEXT_MAX];
    text_add(text, " data_id=%s", id_format(data_id->bytes, id));
}

/* The fields that only some types have. */
static void text_add_fields(struct text *text, const struct message *message)
{
    switch (message->type_of_message) {
    case REQUEST_PRE_VOTE:
    case REQUEST_VOTE:
        text_add(text, " last_log_index=%llu last_log_term=%llu transfer=%d",
                 (unsigned long long)message->last_log_index, (unsigned long long)message->last_log_term,
                 message->transfer);
        text_add_data_id(text, &message->data_id);
        break;
    case RESPONSE_PRE_VOTE:
    case RESPONSE_VOTE:
        text_add(text, " vote_granted=%d refusal=%s refusal_detail=%lld", message->vote_granted,
                 refusal_name(message->refusal), (long long)message->refusal_detail);
        break;
    case REQUEST_APPEND_ENTRIES:
        text_add(text, " prev_index=%llu prev_term=%llu commit_index=%llu entries=%u round_trip_max_us=%u time_us=%lld",
                 (unsigned long long)message->prev_index, (unsigned long long)message->prev_term,
                 (unsigned long long)message->commit_index, (unsigned)message->entry_count,
                 (unsigned)message->round_trip_max_us, (long long)message->time_us);
        break;
    case RESPONSE_APPEND_ENTRIES:
        text_add(text, " entries_appended=%d match_index=%llu", message->entries_appended,
                 (unsigned long long)message->match_index);
        if (!message->entries_appended)
            text_add(text, " rejected_index=%llu conflict_term=%llu conflict_index=%llu",
                     (unsigned long long)message->rejected_index, (unsigned long long)message->conflict_term,
                     (unsigned long long)message->conflict_index);
        text_add(text, " request_incarnation=%016llx request_connection=%llu request_channel=%u",
                 (unsigned long long)message->request_incarnation, (unsigned long long)message->request_connection,
                 (unsigned)message->request_channel);
        break;
    case FORWARDED:
        text_add(text, " request_incarnation=%016llx request_connection=%llu request_channel=%u",
                 (unsigned long long)message->request_incarnation, (unsigned long long)message->request_connection,
                 (unsigned)message->request_channel);
        break;
    case HELLO:
    case TIMEOUT_NOW:
    case FORWARD:
        break;
    }
}

const char *message_describe(const struct message *message, char *text, size_t size)
{
    enum message_type type = message->type_of_message;
    struct text out = {text, size, 0};

    text_add(&out, "type_of_message=%s curr_term=%llu server_id=%d", message_type_name(type),
             (unsigned long long)message->curr_term, (int)message->server_id);
    text_add_fields(&out, message);
    if (message_is_request(type) || message_is_response(type))
        text_add(&out, " round=%llu", (unsigned long long)message->round);
    return text;
}

const char *message_refusal_describe(const struct message *message, char *text, size_t size)
{
    long long detail = (long long)message->refusal_detail;

    switch (message->refusal) {
    case REFUSAL_NONE:
        snprintf(text, size, "no reason told");
        break;
    case REFUSAL_STALE_TERM:
        snprintf(text, size, "already in term %llu", (unsigned long long)message->curr_term);
        break;
    case REFUSAL_LOG_BEHIND:
        snprintf(text, size, "behind in the log");
        break;
    case REFUSAL_VOTED:
        snprintf(text, size, "voted for %lld", detail);
        break;
    case REFUSAL_LEADER_LIVES:
        snprintf(text, size, "heard the leader %lld ms ago", detail);
        break;
    case REFUSAL_LEADING:
        snprintf(text, size, "leads itself");
        break;
    case REFUSAL_NEW_FOLDER:
        snprintf(text, size, "its data folder is new to the cluster");
        break;
    default: /* of a later version */
        snprintf(text, size, "reason %d", (int)message->refusal);
        break;
    }
    return text;
}

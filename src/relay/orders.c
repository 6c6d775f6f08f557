#include "relay/orders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 8

struct words {
    int count;
    char *list[WORDS_MAX];
};

static struct words split(char *line)
{
    static const char BETWEEN[] = " \t\r";
    struct words words = {0};
    char *rest;
    for (char *word = strtok_r(line, BETWEEN, &rest); word != NULL && words.count < WORDS_MAX;
         word = strtok_r(NULL, BETWEEN, &rest))
        words.list[words.count++] = word;
    return words;
}

/* ---- Words ---- */

static bool parse_id(const char *word, raft_id *id, struct mailraft_error *err)
{
    char *end;
    errno = 0;
    long number = strtol(word, &end, 10);
    if (word[0] < '1' || word[0] > '9' || *end != '\0' || errno != 0 || number > INT32_MAX)
        return error_raise(err, &CONFIG_ERROR, "\"%.40s\" is no id: a whole number from 1 to 2147483647", word);
    *id = (raft_id)number;
    return true;
}

static bool parse_id_or_all(const char *word, raft_id *id, struct mailraft_error *err)
{
    *id = RELAY_ANY;
    return strcmp(word, "all") == 0 || parse_id(word, id, err);
}

static bool parse_ms(const char *word, int64_t *us, struct mailraft_error *err)
{
    char *end;
    double ms = strtod(word, &end);
    if (word[strspn(word, "0123456789.")] != '\0' || *end != '\0' || end == word || ms > ORDERS_DELAY_MS_MAX)
        return error_raise(err, &CONFIG_ERROR, "\"%.40s\" is no delay: milliseconds from 0 to %d", word,
                           ORDERS_DELAY_MS_MAX);
    *us = (int64_t)(ms * 1000 + 0.5);
    return true;
}

static bool parse_bytes(const char *word, int64_t *bytes, struct mailraft_error *err)
{
    if (word[strspn(word, "0123456789")] != '\0' || strlen(word) > 9)
        return error_raise(err, &CONFIG_ERROR, "\"%.40s\" is no number of bytes a second, 0 to 999999999", word);
    *bytes = strtol(word, NULL, 10);
    return true;
}

static bool parse_address(const char *word, struct address *address, struct mailraft_error *err)
{
    return address_parse(word, address) ||
           error_raise(err, &CONFIG_ERROR, "\"%.80s\" is no address: \"host:port\" or \"[ipv6]:port\"", word);
}

/* ---- Orders ---- */

static bool add_wire(struct relay *relay, const struct words *words, struct endpoint *at, struct mailraft_error *err)
{
    raft_id from, to;
    struct address target, listen;
    if (words->count < 4 || words->count > 5)
        return error_raise(err, &CONFIG_ERROR, "write: wire A B TARGET [LISTEN]");
    return parse_id(words->list[1], &from, err) && parse_id(words->list[2], &to, err) &&
           parse_address(words->list[3], &target, err) &&
           (words->count == 4 || parse_address(words->list[4], &listen, err)) &&
           relay_add_wire(relay, from, to, &target, words->count == 4 ? NULL : &listen, at, err);
}

struct form {
    const char *name, *usage;
    enum relay_verb verb;
    bool both_ways; /* unless it says oneway, which it may then */
    bool may_be_one_way;
    int least, most; /* words, without oneway */
};

static const struct form FORMS[] = {
    {"cut", "cut A B [oneway]", RELAY_CUT, true, true, 3, 3},
    {"delay", "delay A B MS [JITTER] [oneway]", RELAY_DELAY, true, true, 4, 5},
    {"slow", "slow A B BYTES [oneway]", RELAY_SLOW, true, true, 4, 4},
    {"stall", "stall A B", RELAY_STALL, false, false, 3, 3},
    {"unstall", "unstall A B", RELAY_UNSTALL, false, false, 3, 3},
    {"break", "break A B", RELAY_BREAK, true, false, 3, 3},
    {"vanish", "vanish A B", RELAY_VANISH, true, false, 3, 3},
    {"heal", "heal [A B]", RELAY_HEAL, true, false, 3, 3},
};

static const struct form *find_form(const char *name)
{
    for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++)
        if (strcmp(name, FORMS[i].name) == 0)
            return &FORMS[i];
    return NULL;
}

/* What stands behind the two ids. */
static bool parse_numbers(const struct words *words, struct relay_order *order, struct mailraft_error *err)
{
    if (order->verb == RELAY_SLOW)
        return parse_bytes(words->list[3], &order->bytes_per_second, err);
    if (order->verb == RELAY_DELAY)
        return parse_ms(words->list[3], &order->delay_us, err) &&
               (words->count < 5 || parse_ms(words->list[4], &order->jitter_us, err));
    return true;
}

/* words: those that are left when a final "oneway" has been taken away. */
static bool parse_form(const struct form *form, const struct words *words, struct relay_order *order,
                       struct mailraft_error *err)
{
    if (form->verb == RELAY_HEAL && words->count == 1)
        return true; /* everything */
    if (words->count < form->least || words->count > form->most)
        return error_raise(err, &CONFIG_ERROR, "write: %s", form->usage);
    return parse_id_or_all(words->list[1], &order->from, err) && parse_id_or_all(words->list[2], &order->to, err) &&
           parse_numbers(words, order, err);
}

static bool obey(struct relay *relay, const struct form *form, struct words words, struct mailraft_error *err)
{
    struct relay_order order = {.verb = form->verb, .both_ways = form->both_ways};
    if (form->may_be_one_way && strcmp(words.list[words.count - 1], "oneway") == 0) {
        words.count--;
        order.both_ways = false;
    }
    if (!parse_form(form, &words, &order, err))
        return false;
    if (relay_obey(relay, &order) == 0 && words.count > 1)
        return error_raise(err, &CONFIG_ERROR, "no wire leads from %s to %s", words.list[1], words.list[2]);
    return true;
}

static bool obey_words(struct relay *relay, const struct words *words, struct endpoint *at, struct mailraft_error *err)
{
    const struct form *form = find_form(words->list[0]);
    if (words->count == WORDS_MAX)
        return error_raise(err, &CONFIG_ERROR, "too many words");
    if (strcmp(words->list[0], "wire") == 0)
        return add_wire(relay, words, at, err);
    if (form == NULL)
        return error_raise(err, &CONFIG_ERROR,
                           "\"%.40s\" is no order: wire, cut, delay, slow, stall, unstall, break, vanish, heal",
                           words->list[0]);
    return obey(relay, form, *words, err);
}

const char *orders_obey(struct relay *relay, const char *line, char answer[ORDERS_ANSWER_MAX])
{
    char copy[ORDERS_LINE_MAX + 1], where[ENDPOINT_TEXT_MAX];
    struct mailraft_error err;
    struct endpoint at = {.size = 0};
    int length = snprintf(copy, sizeof(copy), "%s", line);
    struct words words = split(copy);
    answer[0] = '\0';
    if (words.count == 0)
        return answer;
    if (length > ORDERS_LINE_MAX)
        snprintf(answer, ORDERS_ANSWER_MAX, "error the line is too long\n");
    else if (!obey_words(relay, &words, &at, &err))
        snprintf(answer, ORDERS_ANSWER_MAX, "error %s\n", err.message);
    else if (at.size > 0)
        snprintf(answer, ORDERS_ANSWER_MAX, "ok %s\n", endpoint_format(&at, where, sizeof(where)));
    else
        snprintf(answer, ORDERS_ANSWER_MAX, "ok\n");
    return answer;
}

#include "mail/mailbox.h"

#include <assert.h>

#include "base/credit.h"
#include "base/memory.h"
#include "mail/listener.h"
#include "mail/writer.h"

/* What a peer's readers may have on the pile. */
static const size_t CREDIT_BYTES[CHANNEL_COUNT] = {[CHANNEL_URGENT] = 256 * 1024, [CHANNEL_BULK] = 1024 * 1024};

#define URGENT_BYTES (256 * 1024) /* that may wait in an outbox */

struct mailbox {
    struct office office;
    struct arrivals *arrivals;
    struct listener listener;
    struct writer writers[MEMBERS_MAX * CHANNEL_COUNT];
    int writer_count; /* those that run */
};

/* What may wait in an outbox. */
static size_t outbox_bytes_max(const struct office *office, enum channel channel)
{
    return channel == CHANNEL_URGENT ? URGENT_BYTES : MAILBOX_BULK_BYTES + WIRE_BULK_BYTES_MAX(office->entry_bytes_max);
}

/* False only for want of descriptors; mailbox_free undoes what was done. */
static bool furnish(struct office *office, struct mailraft_error *err)
{
    const struct members *members = &office->self.members;

    for (int i = 0; i < members->count; i++) {
        if (members->list[i].id == office->self.id)
            continue;
        for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
            office->credits[i][channel] = credit_new(CREDIT_BYTES[channel]);
            office->outboxes[i][channel] = outbox_new(outbox_bytes_max(office, (enum channel)channel), err);
            if (office->outboxes[i][channel] == NULL)
                return false;
        }
    }
    return true;
}

static struct mailbox *mailbox_new(const struct mailbox_config *config, struct pile *pile, struct log *log,
                                   struct mailraft_error *err)
{
    struct mailbox *mailbox = memory_new(sizeof *mailbox);
    struct office *office = &mailbox->office;

    assert(members_find(&config->members, config->id) >= 0);
    if (!bell_init(&office->stop, err)) {
        memory_free(mailbox);
        return NULL;
    }
    speaker_init(&office->self, config);
    office->pile = pile;
    office->log = log;
    office->entry_bytes_max = config->entry_bytes_max;
    complaints_init(&office->complaints, log);
    if (furnish(office, err))
        return mailbox;
    mailbox_free(mailbox);
    return NULL;
}

void mailbox_free(struct mailbox *mailbox)
{
    if (mailbox == NULL)
        return;
    for (int i = 0; i < MEMBERS_MAX; i++)
        for (int channel = 0; channel < CHANNEL_COUNT; channel++) {
            outbox_free(mailbox->office.outboxes[i][channel]);
            credit_free(mailbox->office.credits[i][channel]);
        }
    complaints_fini(&mailbox->office.complaints);
    speaker_fini(&mailbox->office.self);
    bell_fini(&mailbox->office.stop);
    memory_free(mailbox);
}

/* The urgent channel's before the other's: elections are first at every peer's door. */
static bool start_writers(struct mailbox *mailbox, struct mailraft_error *err)
{
    struct office *office = &mailbox->office;

    for (int channel = 0; channel < CHANNEL_COUNT; channel++)
        for (int i = 0; i < office->self.members.count; i++) {
            if (office->outboxes[i][channel] == NULL) /* ourselves */
                continue;
            if (!writer_start(&mailbox->writers[mailbox->writer_count], office, i, (enum channel)channel, err))
                return false;
            mailbox->writer_count++;
        }
    return true;
}

struct mailbox *mailbox_open(const struct mailbox_config *config, struct pile *pile, struct log *log,
                             struct mailraft_error *err)
{
    struct mailbox *mailbox = mailbox_new(config, pile, log, err);

    if (mailbox == NULL)
        return NULL;
    mailbox->arrivals = arrivals_new(&mailbox->office);
    if (listener_open(&mailbox->listener, &mailbox->office, mailbox->arrivals, config, err))
        return mailbox;
    arrivals_free(mailbox->arrivals);
    mailbox_free(mailbox);
    return NULL;
}

bool mailbox_start(struct mailbox *mailbox, struct mailraft_error *err)
{
    return listener_start(&mailbox->listener, err) && start_writers(mailbox, err);
}

static struct outbox *outbox_to(const struct mailbox *mailbox, raft_id to, enum channel channel)
{
    int position = members_find(&mailbox->office.self.members, to);

    assert(position >= 0 && to != mailbox->office.self.id);
    return mailbox->office.outboxes[position][channel];
}

void mailbox_send(struct mailbox *mailbox, raft_id to, enum channel channel, const struct message *message,
                  const struct batch *entries, bool droppable)
{
    assert(entries == NULL || channel == CHANNEL_BULK);
    outbox_send(outbox_to(mailbox, to, channel), wire_write_message(message, entries, droppable));
}

void mailbox_forward(struct mailbox *mailbox, raft_id to, const struct message *message,
                     const struct mailraft_buffer *body)
{
    struct outbox *outbox = outbox_to(mailbox, to, CHANNEL_BULK);
    bool requests = message->type_of_message == FORWARD;

    for (size_t at = 0, end; at < body->size; at = end) {
        end = requests ? requests_portion_end(body, at) : replies_portion_end(body, at);
        outbox_send(outbox, wire_write_body(message, body->bytes + at, end - at));
    }
}

size_t mailbox_waiting_bytes(struct mailbox *mailbox, raft_id to, enum channel channel)
{
    return outbox_waiting_bytes(outbox_to(mailbox, to, channel));
}

uint64_t mailbox_incarnation(const struct mailbox *mailbox)
{
    return mailbox->office.self.incarnation;
}

void mailbox_set_uuid(struct mailbox *mailbox, const struct cluster_uuid *uuid)
{
    speaker_set_uuid(&mailbox->office.self, uuid);
}

static void close_credits(struct office *office)
{
    for (int i = 0; i < office->self.members.count; i++)
        for (int channel = 0; channel < CHANNEL_COUNT; channel++)
            if (office->credits[i][channel] != NULL)
                credit_close(office->credits[i][channel]);
}

void mailbox_stop(struct mailbox *mailbox)
{
    bell_ring(&mailbox->office.stop);
    close_credits(&mailbox->office);
    arrivals_shut(mailbox->arrivals);
    listener_stop(&mailbox->listener);
    for (int i = 0; i < mailbox->writer_count; i++)
        thread_join(&mailbox->writers[i].thread);
    arrivals_free(mailbox->arrivals);
}

/* hello_fuzz.c - the first message of a connection, as both ends hear it (mail/handshake.h, hello.h). What is heard is
 * said in the same bytes again, and whoever is answered is a member of our cluster that means us.
 *
 * Input: what comes over the connection. */
#include "fuzz.h"

#include <string.h>

#include "base/memory.h"
#include "mail/handshake.h"
#include "memory_stream.h"
#include "peer.h"

FUZZ_MARK(heard, "a hello that decodes");
FUZZ_MARK(accepted, "one that is answered");
FUZZ_MARK(answer, "one that is the answer to ours");
FUZZ_MARK(refused, "one that is not answered");
FUZZ_MARK(unreadable, "what is no hello");

static struct speaker self;

static void set_up(void)
{
    struct mailbox_config config;

    if (self.id != 0)
        return;
    peer_configure(&config);
    speaker_init(&self, &config);
}

static struct mailraft_buffer say(const struct hello *hello)
{
    struct stream *stream = memory_stream_new(NULL, 0);
    struct mailraft_buffer said = {.bytes = NULL};
    struct mailraft_error err;

    assert(handshake_say(stream, hello, &err));
    mailraft_buffer_put(&said, memory_stream_written(stream)->bytes, memory_stream_written(stream)->size);
    stream_close(stream);
    return said;
}

static bool hear(const void *bytes, size_t size, struct hello *hello, struct mailraft_error *err)
{
    struct stream *stream = memory_stream_new(bytes, size);
    bool good = handshake_hear(stream, hello, fuzz_now_us + HANDSHAKE_US, NULL, err);

    stream_close(stream);
    return good;
}

static void check_said_again(const struct hello *hello)
{
    struct mailraft_buffer first = say(hello);
    struct hello again;
    struct mailraft_error err;

    assert(hear(first.bytes, first.size, &again, &err));
    struct mailraft_buffer second = say(&again);
    assert(first.size == second.size && memcmp(first.bytes, second.bytes, first.size) == 0);
    buffer_fini(&first);
    buffer_fini(&second);
}

static void check_accepted(const struct hello *hello, uint32_t version)
{
    assert(version >= VERSION_LOWEST && version <= VERSION_HIGHEST);
    assert(strcmp(hello->cluster_name, self.cluster_name) == 0);
    assert(hello->receiver == self.id && hello->sender != self.id);
    assert(members_find(&self.members, hello->sender) >= 0);
    assert(hello->channel < CHANNEL_COUNT && hello->incarnation != 0 && hello->connection != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct hello hello, ours;
    struct mailraft_error err;
    uint32_t version;

    set_up();
    if (!hear(bytes, size, &hello, &err)) {
        fuzz_reach(unreadable);
        assert(error_is(&err, &NETWORK_ERROR));
        return 0;
    }
    fuzz_reach(heard);
    check_said_again(&hello);
    if (!hello_check(&hello, &self, &version, &err)) {
        fuzz_reach(refused);
        assert(error_is(&err, &PROTOCOL_ERROR));
        return 0;
    }
    fuzz_reach(accepted);
    check_accepted(&hello, version);
    hello_make(&ours, &self, 2, CHANNEL_BULK, 7);
    if (hello_check_answer(&hello, &ours, &err)) {
        fuzz_reach(answer);
        assert(hello.sender == 2 && hello.channel == CHANNEL_BULK && hello.connection == 7);
    }
    return 0;
}

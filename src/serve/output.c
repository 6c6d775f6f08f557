#include "serve/output.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/memory.h"

#define CHUNK_BYTES_MIN 1024        /* a small reply or many: most clients never need another chunk */
#define CHUNK_BYTES_MAX (64 * 1024) /* but for what is put at once */
#define PARTS_MAX       64          /* chunks in one call */

struct chunk {
    struct chunk *next;
    size_t begin, end; /* of what has not left; end grows up to room */
    size_t room;
    uint8_t bytes[];
};

/* Room for so many bytes at least; the more waits already, the more is made ahead. */
static struct chunk *chunk_new(size_t size, size_t waiting)
{
    size_t room = waiting < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : waiting < CHUNK_BYTES_MAX ? waiting : CHUNK_BYTES_MAX;
    struct chunk *chunk;

    if (room < size)
        room = size;
    chunk = memory_resize(NULL, sizeof *chunk + room);
    *chunk = (struct chunk){.room = room};
    return chunk;
}

static void chunk_put(struct chunk *chunk, const void *bytes, size_t size)
{
    memcpy(chunk->bytes + chunk->end, bytes, size);
    chunk->end += size;
}

void output_put(struct output *output, const void *bytes, size_t size)
{
    size_t fits = output->first == NULL ? 0 : output->last->room - output->last->end;

    if (fits > size)
        fits = size;
    if (fits > 0)
        chunk_put(output->last, bytes, fits);
    if (size > fits) {
        struct chunk *chunk = chunk_new(size - fits, output->bytes);

        chunk_put(chunk, (const uint8_t *)bytes + fits, size - fits);
        if (output->first == NULL)
            output->first = chunk;
        else
            output->last->next = chunk;
        output->last = chunk;
    }
    output->bytes += size;
}

static size_t output_parts(const struct output *output, struct iovec parts[PARTS_MAX])
{
    size_t count = 0;

    for (struct chunk *chunk = output->first; chunk != NULL && count < PARTS_MAX; chunk = chunk->next)
        parts[count++] = (struct iovec){chunk->bytes + chunk->begin, chunk->end - chunk->begin};
    return count;
}

static void output_left(struct output *output, size_t sent)
{
    output->bytes -= sent;
    while (output->first != NULL) {
        struct chunk *chunk = output->first;
        size_t waiting = chunk->end - chunk->begin;

        if (waiting > sent) {
            chunk->begin += sent;
            return;
        }
        sent -= waiting;
        output->first = chunk->next;
        memory_free(chunk);
    }
}

bool output_send(struct output *output, int socket, struct mailraft_error *err)
{
    while (output->bytes > 0) {
        struct iovec parts[PARTS_MAX];
        const struct msghdr message = {.msg_iov = parts, .msg_iovlen = output_parts(output, parts)};
        ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent > 0)
            output_left(output, (size_t)sent);
        else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        else if (sent == 0 || errno != EINTR)
            return error_raise_os(err, &NETWORK_ERROR, "it broke");
    }
    return true;
}

void output_clear(struct output *output)
{
    output_left(output, output->bytes);
}

/* resp.h - the Redis protocol: requests are read (RESP2 arrays of bulks, and inline commands; RESP3 requests are the
 * same), replies are written (RESP2 and RESP3). https://redis.io/docs/reference/protocol-spec
 *
 * Reading:   zero-copy: arguments point into the caller's bytes. Strict and bounded: nothing is allocated by what a
 *            header announces, only as arguments arrive.
 * Errors:    Redis's own words, to be sent as they are behind "-ERR "; the connection is closed after them. */
#ifndef SERVE_RESP_H
#define SERVE_RESP_H

#include "mailraft/machine.h"
#include "serve/keyspace.h"

#define RESP_BULK_MAX      (512u * 1024 * 1024)
#define RESP_ARGUMENTS_MAX (1024 * 1024)
#define RESP_LINE_MAX      (64 * 1024) /* of an inline command, and of a header line */

enum resp_state {
    RESP_MORE,    /* the bytes end within a request: ask again with all of them and more */
    RESP_REQUEST, /* arguments[0 .. count) of a request; count 0: an empty line, nothing to answer */
    RESP_ERROR    /* error: what is wrong */
};

/* Reads one connection's requests. Where it stands within a request is kept from call to call, so that no byte is
 * looked at twice. */
struct resp_reader;

struct resp_reader *resp_reader_new(size_t request_bytes_max); /* of one request, headers included */
void resp_reader_free(struct resp_reader *reader);             /* NULL is fine */

/* Reads on in the bytes, which begin where the last request ended: as long as RESP_MORE comes, they begin with the same
 * bytes (at another address, maybe). *used: how many of them the request took; 0 with RESP_MORE. What the arguments
 * point to is borrowed with the bytes; the list of them is the reader's, until the next call. */
enum resp_state resp_read(struct resp_reader *reader, const uint8_t *bytes, size_t size, size_t *used);
const struct text *resp_arguments(const struct resp_reader *reader, size_t *count);
const char *resp_error(const struct resp_reader *reader);
/* How many bytes the request under way wants at least, headers told so far included: so a buffer can grow in steps that
 * fit, but never by more than twice what has come. */
size_t resp_wanted(const struct resp_reader *reader);

/* ---- Replies ---- */

void resp_put_simple(struct mailraft_buffer *out, const char *text);           /* +text */
void resp_put_error(struct mailraft_buffer *out, const char *format, ...)      /* -text, the code included; line ends
                                                                                * in it become spaces */
    __attribute__((format(printf, 2, 3)));
void resp_put_integer(struct mailraft_buffer *out, int64_t number);            /* :number */
void resp_put_bulk(struct mailraft_buffer *out, const void *bytes, size_t size);
void resp_put_text(struct mailraft_buffer *out, const char *text);             /* a bulk */
void resp_put_null(struct mailraft_buffer *out, bool resp3);                   /* $-1 or _ */
void resp_put_null_array(struct mailraft_buffer *out, bool resp3);             /* *-1 or _ */
void resp_put_array(struct mailraft_buffer *out, size_t count);                /* its elements follow */
void resp_put_map(struct mailraft_buffer *out, size_t count, bool resp3);      /* %count, or *2count */
void resp_put_set(struct mailraft_buffer *out, size_t count, bool resp3);      /* ~count, or *count */
void resp_put_verbatim(struct mailraft_buffer *out, const void *bytes, size_t size, bool resp3); /* =txt:, or a bulk */
void resp_put_bool(struct mailraft_buffer *out, bool value, bool resp3);       /* #t, or :1 */

#endif

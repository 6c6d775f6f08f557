/* identity_fuzz.c - the file that says whose data folder it is in. What is read writes to the same bytes again.
 *
 * Input: u8: whether the checksum is mended, the file. */
#include "fuzz.h"

#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "memory_disk.h"
#include "storage/identity.h"

#define PATH  "/identity"
#define AGAIN "/identity.again"

FUZZ_MARK(accepted, "a file that is read");
FUZZ_MARK(newer, "one of a newer version");
FUZZ_MARK(refused, "a file that is damaged");

static void check_same_bytes(void)
{
    const struct mailraft_buffer *file = memory_disk_at(PATH), *again = memory_disk_at(AGAIN);

    assert(file->size == again->size && memcmp(file->bytes, again->bytes, file->size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    bool mend = fuzz_take(&input, 1) & 1;
    uint8_t *file = fuzz_copy(input.at, input.left);
    struct identity identity;
    struct mailraft_error err;

    if (mend && input.left >= 8)
        bytes_put_u64(file + input.left - 8, bytes_checksum(file, input.left - 8));
    memory_disk_clear();
    memory_disk_put(PATH, file, input.left);
    memory_free(file);
    if (!identity_read(PATH, &identity, &err)) {
        assert(error_is(&err, &DAMAGED_ERROR));
        if (strstr(err.message, "newer") != NULL)
            fuzz_reach(newer);
        else
            fuzz_reach(refused);
        return 0;
    }
    fuzz_reach(accepted);
    assert(identity.node_id > 0);
    assert(identity_write(AGAIN, &identity, &err));
    check_same_bytes();
    return 0;
}

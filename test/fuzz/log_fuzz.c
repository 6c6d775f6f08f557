/* log_fuzz.c - the log's files as a start finds them (storage/recovery.h, segment.h). Of a log that was written and
 * then damaged, what is read is what was written, up to a frame behind which nothing is whole, or it is refused and
 * left alone; what cannot be told from a write in flight is never refused. Of frames that nobody has written, all
 * checksums sound, whatever is read follows the rules of a log. What was read once is read again, and goes on.
 *
 * Input: u8 flags, u8 how many frames; for each u8 its entries, and what take_write or take_frame take; then damage: u8
 *        kind, and what damage_one takes. */
#include "fuzz.h"

#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "memory_disk.h"
#include "storage/appender.h"

#define DATA_DIR    "/data"
#define FILE_BYTES  (SEGMENT_DATA_OFFSET + 8 * FRAME_BORDER)
#define FILES_MAX   8
#define FRAMES_MAX  24
#define ENTRIES_MAX 128
#define SALT        UINT64_C(0x1234567800000000) /* plus the file's number */

enum { FORGED = 1, MADE_AHEAD = 2, HEADER = 4 };
enum damage { FLIP, TEAR, ZERO, SCRIBBLE, TRUNCATE, REMOVE, KINDS_OF_DAMAGE };

FUZZ_MARK(whole, "a log without damage");
FUZZ_MARK(cut, "a write in flight that is cut off");
FUZZ_MARK(cut_to_nothing, "the only write, which is cut off");
FUZZ_MARK(refused, "damage that is refused");
FUZZ_MARK(replaced, "entries that a later frame replaced");
FUZZ_MARK(in_files, "a log of several files");
FUZZ_MARK(configured, "an entry that says who belongs to the cluster");
FUZZ_MARK(forged, "frames that nobody has written, and that are read");
FUZZ_MARK(forged_refused, "the same, refused");

#define OURS                                                                                                           \
    {                                                                                                                  \
        {                                                                                                              \
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16                                                      \
        }                                                                                                              \
    } /* the folder's data id */

/* ---- What the log is expected to hold ---- */

struct content { /* of a log; entry i + 1 at i */
    size_t count;
    uint64_t checksums[ENTRIES_MAX + 1];
    raft_term terms[ENTRIES_MAX + 1];
};

struct written { /* a frame, and the log as it was with it */
    struct run place;
    size_t bytes; /* of head and entries: what its checksums are about */
    struct content content;
};

static struct written frames[FRAMES_MAX + 1]; /* from 1; at 0 the empty log */
static size_t frame_count;
static uint64_t file_count;
static struct mailraft_buffer laid[FILES_MAX + 1], damaged[FILES_MAX + 1]; /* the files before and after the damage */

static void content_cut(struct content *content, raft_index first)
{
    if (content->count >= first)
        content->count = (size_t)first - 1;
}

static void content_add(struct content *content, const struct entry *entry)
{
    content_cut(content, entry->index);
    assert(content->count + 1 == entry->index);
    content->checksums[content->count] = entry_checksum(entry);
    content->terms[content->count++] = entry->term;
}

/* ---- Files ---- */

static const char *path_of(uint64_t file)
{
    static char path[DISK_PATH_MAX];

    return segment_path(DATA_DIR, file, path);
}

static struct segment_header header_of(uint64_t file)
{
    return (struct segment_header){.data_id = OURS, .number = file, .salt = SALT + file, .size = FILE_BYTES};
}

static void put_file(uint64_t file, const struct segment_header *header)
{
    static uint8_t bytes[FILE_BYTES];

    segment_header_encode(bytes, header);
    segment_header_encode(bytes + SEGMENT_HEADER_COPY, header);
    memory_disk_put(path_of(file), bytes, sizeof bytes);
}

static void make_file(uint64_t file)
{
    struct segment_header header = header_of(file);

    put_file(file, &header);
}

/* ---- Reading it ---- */

struct found {
    struct storage_opened *opened;
    struct tail tail;
};

static bool recover(struct found *found, struct mailraft_error *err)
{
    static const struct recovery_config CONFIG = {
        .data_dir = DATA_DIR, .data_id = OURS, .cache_bytes = FILES_MAX * FILE_BYTES};

    *found = (struct found){.opened = memory_new(sizeof *found->opened)};
    return recovery_run(&CONFIG, found->opened, &found->tail, err);
}

static void found_fini(struct found *found)
{
    disk_close(found->tail.file);
    storage_opened_free(found->opened);
}

/* What it says of the log is of one piece. */
static void take_content(const struct found *found, struct content *content)
{
    const struct storage_opened *opened = found->opened;
    size_t configs = 0;

    *content = (struct content){.count = 0};
    assert(found->tail.last_index == opened->terms.last_index);
    for (size_t i = 0; opened->tail != NULL && i < opened->tail->count; i++) {
        const struct entry *entry = opened->tail->list[i];
        assert(entry->index == i + 1);
        assert(entry->term == terms_at(&opened->terms, entry->index));
        assert(i == 0 || entry->term >= opened->tail->list[i - 1]->term);
        assert(catalog_find(&opened->catalog, entry->index) != NULL);
        if (entry->kind == ENTRY_CONFIG) {
            assert(configs < opened->config_count && opened->configs[configs]->index == entry->index);
            configs++;
        }
        content_add(content, entry);
    }
    assert(content->count == opened->terms.last_index);
    assert(configs == opened->config_count);
    if (configs > 0)
        fuzz_reach(configured);
}

static void check_same(const struct content *one, const struct content *other)
{
    assert(one->count == other->count);
    assert(memcmp(one->checksums, other->checksums, one->count * sizeof *one->checksums) == 0);
}

/* ---- Writing ---- */

static void begin_next_file(struct appender *appender)
{
    struct mailraft_error err;

    make_file(appender->tail.header.number + 1);
    bool begun = appender_begin_file(appender, DATA_DIR, &err);
    assert(begun);
}

static void write_entries(struct appender *appender, struct entry **entries, size_t count, struct run *place)
{
    struct mailraft_error err;

    if (appender_count_fitting(appender, entries, count) < count)
        begin_next_file(appender);
    assert(appender_count_fitting(appender, entries, count) == count);
    bool good = appender_write(appender, entries, count, place, &err);
    assert(good);
}

static void write_witness(struct appender *appender, struct run *place)
{
    struct mailraft_error err;

    if (appender_is_full(appender))
        begin_next_file(appender);
    *place = (struct run){.file = appender->tail.header.number, .offset = appender->tail.offset};
    bool good = appender_write_witness(appender, &err);
    assert(good);
}

/* How many entries (0: a witness), and for each u8 its kind and term, u8 its size; in front of them u8, how many of the
 * log it replaces. */
static void take_write(struct fuzz_input *input, struct appender *appender)
{
    struct written *frame = &frames[frame_count + 1];
    const struct content *before = &frames[frame_count].content;
    struct entry *entries[4];
    size_t count = (size_t)fuzz_take(input, 1) % 5, back = count > 0 ? (size_t)fuzz_take(input, 1) % 8 : 0;
    raft_index first = before->count >= back ? before->count - back + 1 : before->count + 1;
    raft_term term = before->count > 0 ? before->terms[before->count - 1] : 1; /* terms of a log never go back */

    if (before->count + count > ENTRIES_MAX)
        return;
    frame->content = *before;
    frame->bytes = FRAME_HEAD_BYTES;
    for (size_t i = 0; i < count; i++) {
        uint8_t kind = (uint8_t)fuzz_take(input, 1), payload[256];
        size_t size = (size_t)fuzz_take(input, 1);
        term += kind / 4 % 4 == 0;
        memset(payload, kind ^ (int)frame_count, sizeof payload);
        entries[i] = entry_new((enum entry_kind)(1 + kind % 4), term, first + i, 1000 + (int64_t)first, payload, size);
        frame->bytes += entries[i]->size;
        content_add(&frame->content, entries[i]);
    }
    if (count > 0)
        write_entries(appender, entries, count, &frame->place);
    else
        write_witness(appender, &frame->place);
    for (size_t i = 0; i < count; i++)
        entry_drop(entries[i]);
    if (first <= before->count)
        fuzz_reach(replaced);
    frame_count++;
}

static void write_log(struct fuzz_input *input, size_t count)
{
    struct tail tail = {.header = header_of(1), .offset = SEGMENT_DATA_OFFSET};
    struct appender appender;
    struct mailraft_error err;

    make_file(1);
    tail.file = disk_open(path_of(1), DISK_OPEN, &err);
    appender_open(&appender, &tail);
    for (size_t i = 0; i < count && appender.tail.header.number + 2 < FILES_MAX; i++)
        take_write(input, &appender);
    file_count = appender.tail.header.number;
    appender_close(&appender);
    if (file_count > 1)
        fuzz_reach(in_files);
}

/* ---- Forging: heads and entries say what the input says, and all checksums fit ---- */

static int64_t take_offset(struct fuzz_input *input)
{
    return (int8_t)fuzz_take(input, 1);
}

struct forger {
    uint64_t file, offset;
    uint64_t number; /* of the last frame */
    raft_index last;
    raft_term term;
};

/* u8 how many entries, and how far each of them, and the head, is from what would be right. A quarter of all is right,
 * so that others can stand behind it. */
static void take_frame(struct fuzz_input *input, struct forger *forger)
{
    uint8_t bytes[5 * 1024] = {0};
    size_t shape = (size_t)fuzz_take(input, 1), count = shape % 5;
    bool wrong = shape / 64 > 0;
    struct frame_head head = {.salt = SALT + forger->file,
                              .number = forger->number + 1 + (uint64_t)(wrong ? take_offset(input) : 0),
                              .builds_on = forger->number + (uint64_t)(wrong ? take_offset(input) : 0),
                              .first = forger->last + 1 + (uint64_t)(wrong ? take_offset(input) : 0),
                              .count = (uint32_t)count};
    for (size_t i = 0; i < count; i++) {
        struct entry *entry;
        size_t size = (size_t)fuzz_take(input, 1);
        forger->last = head.first + i + (uint64_t)(wrong ? take_offset(input) : 0);
        forger->term += (uint64_t)(wrong ? take_offset(input) : 0);
        if (forger->last == 0 || forger->last >= INT64_MAX || forger->term == 0 || forger->term >= INT64_MAX)
            return;
        entry = entry_new(ENTRY_COMMAND, forger->term, forger->last, 7, bytes, size);
        memcpy(bytes + FRAME_HEAD_BYTES + head.length, entry->bytes, entry->size);
        head.length += entry->size;
        entry_drop(entry);
    }
    head.count += (uint32_t)(wrong ? take_offset(input) : 0);
    head.body_checksum = bytes_checksum(bytes + FRAME_HEAD_BYTES, head.length);
    frame_head_encode(bytes, &head);
    if (forger->offset + frame_bytes(head.length) > FILE_BYTES) {
        if (forger->file + 1 == FILES_MAX)
            return;
        make_file(++forger->file);
        forger->offset = SEGMENT_DATA_OFFSET;
        return;
    }
    memcpy(memory_disk_at(path_of(forger->file))->bytes + forger->offset, bytes, (size_t)frame_bytes(head.length));
    forger->offset += frame_bytes(head.length);
    forger->number = head.number;
}

/* With HEADER, the first file's header says what the input says: u64 number, u64 size. */
static void forge_log(struct fuzz_input *input, size_t count, bool header)
{
    struct forger forger = {.file = 1, .offset = SEGMENT_DATA_OFFSET, .number = fuzz_take(input, 8), .term = 1};
    struct segment_header first = header_of(1);

    if (header)
        first.number = fuzz_take(input, 1);
    if (header)
        first.size = fuzz_take(input, 2);
    put_file(1, &first);
    for (size_t i = 0; i < count; i++)
        take_frame(input, &forger);
    if (first.size < FILE_BYTES)
        memory_disk_at(path_of(1))->size = (size_t)first.size;
    file_count = forger.file;
}

/* ---- Damage ---- */

static void keep_files(struct mailraft_buffer kept[FILES_MAX + 1])
{
    for (uint64_t file = 1; file <= FILES_MAX; file++) {
        const struct mailraft_buffer *bytes = memory_disk_at(path_of(file));
        buffer_clear(&kept[file]);
        if (bytes != NULL)
            mailraft_buffer_put(&kept[file], bytes->bytes, bytes->size);
    }
}

/* Zeros in the place of those sectors of a frame that the bits tell. */
static void tear(const struct written *frame, uint64_t sectors)
{
    struct mailraft_buffer *file = memory_disk_at(path_of(frame->place.file));
    uint64_t end = frame->place.offset + frame_bytes(frame->bytes - FRAME_HEAD_BYTES);

    for (uint64_t at = frame->place.offset; file != NULL && at + FRAME_BORDER <= end; at += FRAME_BORDER) {
        if ((sectors & 1) != 0 && at + FRAME_BORDER <= file->size)
            memset(file->bytes + at, 0, FRAME_BORDER);
        sectors >>= 1;
    }
}

static void scribble(struct mailraft_buffer *file, size_t at, struct fuzz_input *input)
{
    size_t size = (size_t)fuzz_take(input, 1);
    const uint8_t *bytes = fuzz_take_bytes(input, &size);

    if (at + size <= file->size && size > 0)
        memcpy(file->bytes + at, bytes, size);
}

/* u8 which frame or file, and where a place in it is wanted u16. */
static void damage_one(struct fuzz_input *input)
{
    struct mailraft_error err;
    enum damage kind = (enum damage)(fuzz_take(input, 1) % KINDS_OF_DAMAGE);
    size_t which = (size_t)fuzz_take(input, 1);
    const struct written *frame = frame_count > 0 ? &frames[frame_count - which % frame_count] : NULL;
    uint64_t number = 1 + which % file_count;
    struct mailraft_buffer *file = memory_disk_at(path_of(number));
    size_t at = (size_t)fuzz_take(input, 2) % FILE_BYTES;

    if (kind == TEAR || kind == ZERO) {
        if (frame != NULL)
            tear(frame, kind == TEAR ? at : UINT64_MAX);
        return;
    }
    if (file == NULL)
        return;
    if (kind == FLIP && at < file->size)
        file->bytes[at] ^= (uint8_t)fuzz_take(input, 1);
    else if (kind == SCRIBBLE)
        scribble(file, at, input);
    else if (kind == TRUNCATE && at < file->size)
        file->size = at;
    else if (kind == REMOVE)
        disk_unlink(path_of(number), &err);
}

static bool bytes_differ(uint64_t number, size_t at, size_t size)
{
    const struct mailraft_buffer *file = memory_disk_at(path_of(number)), *before = &laid[number];

    return file == NULL || file->size < at + size || memcmp(file->bytes + at, before->bytes + at, size) != 0;
}

static bool is_damaged(const struct written *frame)
{
    return bytes_differ(frame->place.file, (size_t)frame->place.offset, frame->bytes);
}

/* The frame behind which nothing is whole. */
static size_t last_whole(void)
{
    size_t last = frame_count;

    while (last > 0 && is_damaged(&frames[last]))
        last--;
    return last;
}

static bool is_whole_up_to(size_t last)
{
    for (size_t i = 1; i <= last; i++)
        if (is_damaged(&frames[i]))
            return false;
    return true;
}

/* Whether every file has its size and a header that reads. */
static bool files_stand(void)
{
    for (uint64_t file = 1; file <= file_count; file++) {
        const struct mailraft_buffer *bytes = memory_disk_at(path_of(file));
        if (bytes == NULL || bytes->size != FILE_BYTES ||
            (bytes_differ(file, 0, SEGMENT_HEADER_BYTES) &&
             bytes_differ(file, SEGMENT_HEADER_COPY, SEGMENT_HEADER_BYTES)))
            return false;
    }
    return true;
}

/* ---- What must hold ---- */

/* What a refusal leaves: the files as they were. */
static void check_untouched(void)
{
    for (uint64_t file = 1; file <= FILES_MAX; file++) {
        const struct mailraft_buffer *bytes = memory_disk_at(path_of(file)), *before = &damaged[file];
        assert((bytes != NULL ? bytes->size : 0) == before->size);
        assert(before->size == 0 || memcmp(bytes->bytes, before->bytes, before->size) == 0);
    }
}

/* It is read again as it was; then it goes on, and is read with what came. */
static void check_goes_on(struct found *found, struct content *content)
{
    struct entry *entry = entry_new(ENTRY_COMMAND, content->count > 0 ? content->terms[content->count - 1] : 1,
                                    content->count + 1, 9, "goes on", 7);
    struct appender appender;
    struct content again;
    struct run place;
    struct mailraft_error err;

    found_fini(found);
    bool read = recover(found, &err);
    assert(read && found->opened->bytes_cut == 0);
    take_content(found, &again);
    check_same(content, &again);
    appender_open(&appender, &found->tail);
    found->tail.file = NULL;
    write_entries(&appender, &entry, 1, &place);
    write_witness(&appender, &place);
    appender_close(&appender);
    content_add(content, entry);
    entry_drop(entry);
    found_fini(found);
    read = recover(found, &err);
    assert(read && found->opened->bytes_cut == 0);
    take_content(found, &again);
    check_same(content, &again);
}

/* What was written and then damaged, as far as it bears on what must come of it. */
struct state {
    bool forged;      /* nobody has written it: what must come of it is not known */
    size_t last;      /* the frame behind which nothing is whole; 0: none is */
    bool whole;       /* all before it are */
    bool files_stand; /* every file has its size and a header that reads */
};

static struct state state_now(bool is_forged)
{
    struct state state = {.forged = is_forged};

    if (is_forged)
        return state;
    state.last = last_whole();
    state.whole = is_whole_up_to(state.last);
    state.files_stand = files_stand();
    return state;
}

static void check_read(const struct state *state, const struct found *found, const struct content *content)
{
    if (state->forged) {
        fuzz_reach(forged);
        return;
    }
    assert(state->whole);
    check_same(content, &frames[state->last].content);
    assert(found->tail.frame_number == state->last);
    if (state->last == frame_count)
        fuzz_reach(whole);
    else if (state->last > 0)
        fuzz_reach(cut);
    else
        fuzz_reach(cut_to_nothing);
}

static void check_refused(const struct state *state, const struct mailraft_error *err)
{
    assert(error_is(err, &DAMAGED_ERROR));
    if (state->forged) {
        fuzz_reach(forged_refused);
        return;
    }
    assert(!state->files_stand || !state->whole);
    fuzz_reach(refused);
}

static void check_log(bool is_forged)
{
    struct state state = state_now(is_forged);
    struct found found;
    struct content content;
    struct mailraft_error err;

    keep_files(damaged);
    if (recover(&found, &err)) {
        take_content(&found, &content);
        check_read(&state, &found, &content);
        check_goes_on(&found, &content);
    } else {
        check_refused(&state, &err);
        check_untouched();
    }
    found_fini(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    uint64_t flags = fuzz_take(&input, 1);
    size_t count = (size_t)fuzz_take(&input, 1) % (FRAMES_MAX + 1);

    fuzz_seam_reset();
    memory_disk_clear();
    frame_count = 0;
    if (flags & FORGED)
        forge_log(&input, count, (flags & HEADER) != 0);
    else
        write_log(&input, count);
    if (flags & MADE_AHEAD)
        make_file(++file_count);
    keep_files(laid);
    while (input.left > 0 && (flags & FORGED) == 0)
        damage_one(&input);
    check_log((flags & FORGED) != 0);
    return 0;
}

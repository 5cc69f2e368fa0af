#include "predict/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/str.h"

static bool to_stdout(const char *path) { return !path || strcmp(path, "-") == 0; }

dio_status dio_output_check(struct dio_ctx *ctx, const struct dio_predict_options *options)
{
    struct stat st;
    struct dio_place place = {.file = options->output};
    if (to_stdout(options->output)) {
        return options->resume ? dio_fail(ctx, DIO_ERR_USAGE, "A3", NULL, "--resume needs a file to go on with (-o FILE)") : DIO_OK;
    }
    bool exists = stat(options->output, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) return dio_fail(ctx, DIO_ERR_USAGE, "A6", &place, "is a folder; name a .csv or .jsonl file");
    if (exists && !S_ISREG(st.st_mode)) return DIO_OK;
    for (size_t i = 0; i < options->n_paths; i++) {
        bool inside = false;
        DIO_PASS(dio_path_lies_in(ctx, options->output, options->paths[i], &inside));
        if (inside) return dio_fail(ctx, DIO_ERR_USAGE, "A7", &place, "the output lies in an input (%s)", options->paths[i]);
    }
    if (options->root) {
        bool inside = false;
        DIO_PASS(dio_path_lies_in(ctx, options->output, options->root, &inside));
        if (inside) return dio_fail(ctx, DIO_ERR_USAGE, "A7", &place, "the output lies in an input (%s)", options->root);
    }
    if (exists && !options->overwrite && !options->resume) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A6", &place, "exists; --overwrite replaces it");
    }
    if (options->calibrate.save && strcmp(options->calibrate.save, options->output) == 0) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A7", &place, "the predictions and --save-calibration go to one file");
    }
    char *parent = dio_path_parent(ctx, options->output);
    if (!parent) return DIO_ERR_ENV;
    dio_status status = DIO_OK;
    if (!dio_path_is_folder(parent)) {
        status = dio_fail(ctx, DIO_ERR_ENV, "A8", &place, "the folder it should lie in does not exist");
    } else if (access(parent, W_OK | X_OK) != 0) {
        status = dio_fail_errno(ctx, options->output, "open", errno);
    }
    dio_free(ctx, parent);
    return status;
}

static dio_status fail_in_use(struct dio_output *output)
{
    return dio_fail(output->ctx, DIO_ERR_ENV, "E10", &(struct dio_place){.file = output->path}, "is in use by another process");
}

/* Two predictions of one output would mix their records: whoever makes the part holds a lock on it (row E10).  A file system
 * without locks does without. */
static dio_status lock_part(struct dio_output *output)
{
    struct stat own, there;
    output->lock = open(output->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (output->lock < 0) return dio_fail_errno(output->ctx, output->path, "open", errno);
    bool locked = flock(output->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    /* Between open and lock another process may have finished it, or thrown it away. */
    if (locked && fstat(output->lock, &own) == 0 && stat(output->part, &there) == 0 && own.st_ino == there.st_ino) return DIO_OK;
    close(output->lock);
    output->lock = -1;
    return fail_in_use(output);
}

static dio_status remove_part(struct dio_output *output, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool in_use = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (!in_use) (void)unlink(path);
    if (fd >= 0) close(fd);
    return in_use ? fail_in_use(output) : DIO_OK;
}

/* The folder is locked while parts are looked for and one is made, so that of two predictions that begin at once one sees the
 * other.  Held for a moment only; a file system without locks does without. */
static dio_status lock_folder(struct dio_output *output, const char *folder, int *fd)
{
    enum { TRIES = 500, PAUSE_NS = 10000000 };
    *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; *fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK; i++) {
        if (i == TRIES) {
            close(*fd);
            *fd = -1;
            return fail_in_use(output);
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    return DIO_OK;
}

static dio_status fail_other_part(struct dio_output *output, const struct dio_part_key *then, const struct dio_part_key *now)
{
    char differences[256];
    dio_part_differences(then, now, differences, sizeof differences);
    return dio_fail(output->ctx, DIO_ERR_INPUT, "R4", &(struct dio_place){.file = output->path, .hint = "--overwrite starts anew"},
                    "the interrupted prediction differs in %s", differences);
}

/* Other parts of this output: what earlier predictions left.  Removed, or refused where one of them should be gone on with. */
static dio_status clear_parts(struct dio_output *output, const char *folder, const struct dio_part_key *key, bool remove)
{
    struct dio_ctx *ctx = output->ctx;
    struct dio_listing listing;
    struct dio_part_key then;
    DIO_PASS(dio_list_folder(ctx, folder, &listing));
    dio_status status = DIO_OK;
    for (size_t i = 0; status == DIO_OK && i < listing.count; i++) {
        if (!dio_part_read_name(listing.entries[i].name, dio_path_base(output->path), &then)) continue;
        char *path = dio_path_join(ctx, folder, listing.entries[i].name);
        status = !path ? DIO_ERR_ENV : remove ? remove_part(output, path) : fail_other_part(output, &then, key);
        dio_free(ctx, path);
    }
    dio_listing_free(ctx, &listing);
    return status;
}

/* So much of a record fits into a message. */
static int first_line(const char *record)
{
    enum { SHOWN = 240 };
    size_t length = strcspn(record, "\r\n");
    return length < SHOWN ? (int)length : SHOWN;
}

static dio_status fail_other_columns(struct dio_output *output, const struct dio_str *header)
{
    const char *there = (const char *)output->before.data;
    const struct dio_place place = {.file = output->path, .line = 1, .hint = "--overwrite starts anew"};
    return dio_fail(output->ctx, DIO_ERR_INPUT, "R4", &place,
                    "made with other settings: its columns are %.*s, those of this prediction %.*s",
                    first_line(there), there, first_line(header->data), header->data);
}

/* How far the records of an earlier prediction are complete. */
static dio_status take_before(struct dio_output *output, const char *path, const struct dio_records *records,
                              const struct dio_str *header)
{
    DIO_PASS(dio_blob_read(output->ctx, path, DIO_READ_COPY, 0, NULL, &output->before));
    const char *text = (const char *)output->before.data;
    for (size_t length; (length = dio_record_length(records, text + output->before_end, output->before.size - output->before_end)) > 0;) {
        output->before_end += length;
    }
    if (records->json || output->before_end == 0) return DIO_OK;
    output->before_at = dio_record_length(records, text, output->before_end);
    if (output->before_at == header->length && memcmp(text, header->data, header->length) == 0) return DIO_OK;
    return fail_other_columns(output, header);
}

static dio_status take_part(struct dio_output *output, const struct dio_records *records, const struct dio_str *header)
{
    DIO_PASS(take_before(output, output->part, records, header));
    if (output->before_end == output->before.size) return DIO_OK;
    if (truncate(output->part, (off_t)output->before_end) != 0) return dio_fail_errno(output->ctx, output->path, "truncate", errno);
    return DIO_OK;
}

static dio_status choose_part(struct dio_output *output, const struct dio_predict_options *options, const char *folder,
                              const struct dio_part_key *key, const struct dio_records *records, const struct dio_str *header)
{
    bool exists = dio_path_exists(output->path), left = dio_path_is_file(output->part);
    if (exists && !options->overwrite && !options->resume) { /* it came while the model was loaded */
        return dio_fail(output->ctx, DIO_ERR_USAGE, "A6", &(struct dio_place){.file = output->path}, "exists; --overwrite replaces it");
    }
    if (options->resume && left) {
        DIO_PASS(lock_part(output));
        return take_part(output, records, header);
    }
    if (options->resume && exists) {
        output->finished = true;
        DIO_PASS(lock_part(output));
        return take_before(output, output->path, records, header);
    }
    DIO_PASS(clear_parts(output, folder, key, !options->resume));
    return lock_part(output);
}

static dio_status open_part(struct dio_output *output, const struct dio_predict_options *options, const struct dio_part_key *key,
                            const struct dio_records *records, const struct dio_str *header)
{
    struct dio_ctx *ctx = output->ctx;
    int fd = -1;
    dio_status status = DIO_ERR_ENV;
    char *folder = dio_path_parent(ctx, output->path);
    output->part = dio_part_path(ctx, output->path, key);
    if (folder && output->part) status = lock_folder(output, folder, &fd);
    if (status == DIO_OK) status = choose_part(output, options, folder, key, records, header);
    if (fd >= 0) close(fd);
    dio_free(ctx, folder);
    return status;
}

dio_status dio_output_open(struct dio_ctx *ctx, const struct dio_predict_options *options, const struct dio_part_key *key,
                           const struct dio_records *records, struct dio_output *output)
{
    dio_status status;
    struct stat st;
    *output = (struct dio_output){.ctx = ctx, .lock = -1, .before = {.fd = -1}, .stream = {.fd = -1}};
    dio_str_init(&output->held, ctx);
    dio_record_header(records, &output->held);
    output->path = dio_strdup(ctx, to_stdout(options->output) ? "-" : options->output);
    status = dio_str_status(&output->held);
    if (!output->path) status = DIO_ERR_ENV;
    if (status != DIO_OK) goto fail;
    bool special = to_stdout(options->output) || (stat(output->path, &st) == 0 && !S_ISREG(st.st_mode));
    if (!special) DIO_TRY(open_part(output, options, key, records, &output->held));
    if (output->before_end > 0) output->held.length = 0; /* the header is there */
    output->writing = output->before_end > 0 && !output->finished;
    DIO_TRY(dio_stream_open(ctx, special ? output->path : output->part, output->writing, &output->stream));
    if (!special) { /* messages name what was asked for, not the part */
        dio_free(ctx, output->stream.path);
        output->stream.path = dio_strdup(ctx, output->path);
        status = output->stream.path ? DIO_OK : DIO_ERR_ENV;
        if (status != DIO_OK) goto fail;
    }
    return DIO_OK;
fail:
    dio_output_abort(output, false);
    return status;
}

static dio_status other_pictures(struct dio_output *output)
{
    return dio_fail(output->ctx, DIO_ERR_INPUT, "R3", &(struct dio_place){.file = output->path, .hint = "--overwrite starts anew"},
                    "the pictures are not those that the %s prediction %s", output->finished ? "finished" : "interrupted",
                    output->finished ? "was made of" : "began with");
}

dio_status dio_output_take(struct dio_output *output, const struct dio_records *records, const char *path,
                           struct dio_old_record *old)
{
    *old = (struct dio_old_record){0};
    if (output->before_at >= output->before_end) return DIO_OK;
    struct dio_str begin;
    const char *record = (const char *)output->before.data + output->before_at;
    size_t length = dio_record_length(records, record, output->before_end - output->before_at);
    dio_str_init(&begin, output->ctx);
    dio_record_begin(records, path, &begin);
    dio_status status = dio_str_status(&begin);
    if (status == DIO_OK && (begin.length >= length || memcmp(record, begin.data, begin.length) != 0)) {
        status = other_pictures(output);
    }
    if (status == DIO_OK) {
        *old = (struct dio_old_record){record, length, dio_record_is_bad(records, record + begin.length, length - begin.length)};
    }
    output->before_at += length;
    dio_str_free(&begin);
    return status;
}

dio_status dio_output_compare(struct dio_output *output, const struct dio_old_record *old, const struct dio_str *record)
{
    DIO_PASS(dio_str_status(record));
    if (old->length == record->length && memcmp(old->text, record->data, old->length) == 0) return DIO_OK;
    const struct dio_place place = {.file = output->path, .hint = "--overwrite starts anew"};
    return dio_fail(output->ctx, DIO_ERR_INPUT, "R4", &place,
                    "made by another model or with other settings: it has %.*s, this prediction gives %.*s",
                    first_line(old->text), old->text, first_line(record->data), record->data);
}

/* What is held back goes out, behind what a finished file has. */
static dio_status begin_writing(struct dio_output *output)
{
    if (output->finished) DIO_PASS(dio_stream_put(&output->stream, output->before.data, output->before_end));
    output->writing = true;
    if (output->held.length) DIO_PASS(dio_stream_put(&output->stream, output->held.data, output->held.length));
    output->held.length = 0;
    return DIO_OK;
}

dio_status dio_output_put(struct dio_output *output, const struct dio_str *record, bool good)
{
    enum { HELD = 1 << 18 }; /* so many bytes of errors are a result, too */
    DIO_PASS(dio_str_status(record));
    if (output->writing) return dio_stream_put(&output->stream, record->data, record->length);
    dio_str_add_bytes(&output->held, record->data, record->length);
    DIO_PASS(dio_str_status(&output->held));
    return good || output->held.length > HELD ? begin_writing(output) : DIO_OK;
}

dio_status dio_output_end(struct dio_output *output)
{
    return output->before_at < output->before_end ? other_pictures(output) : DIO_OK;
}

bool dio_output_was_complete(const struct dio_output *output)
{
    return output->finished && !output->writing && output->held.length == 0 && output->before_end == output->before.size;
}

static void release(struct dio_output *output)
{
    if (output->stream.fd >= 0) (void)dio_stream_close(&output->stream);
    if (output->before.data) dio_blob_free(output->ctx, &output->before);
    dio_str_free(&output->held);
    dio_free(output->ctx, output->path);
    dio_free(output->ctx, output->part);
    if (output->lock >= 0) close(output->lock);
    *output = (struct dio_output){.ctx = output->ctx, .lock = -1, .before = {.fd = -1}, .stream = {.fd = -1}};
}

dio_status dio_output_commit(struct dio_output *output)
{
    if (dio_output_was_complete(output)) {
        (void)unlink(output->part);
        release(output);
        return DIO_OK;
    }
    if (!output->writing) DIO_PASS(begin_writing(output));
    if (!output->part) {
        DIO_PASS(dio_stream_close(&output->stream));
    } else {
        if (fsync(output->stream.fd) != 0) return dio_fail_errno(output->ctx, output->path, "fsync", errno);
        DIO_PASS(dio_stream_close(&output->stream));
        if (rename(output->part, output->path) != 0) return dio_fail_errno(output->ctx, output->path, "rename", errno);
        DIO_PASS(dio_sync_folder_of(output->ctx, output->path));
    }
    release(output);
    return DIO_OK;
}

void dio_output_abort(struct dio_output *output, bool keep)
{
    /* An interrupted prediction's part stays when it has records; what an earlier one left stays in any case. */
    bool ours = output->lock >= 0 && (output->finished || output->before_end == 0);
    bool has = output->writing || output->held.length > 0;
    if (keep && ours && has && !output->writing && begin_writing(output) != DIO_OK) keep = false;
    if (ours && !(keep && has)) (void)unlink(output->part);
    release(output);
}

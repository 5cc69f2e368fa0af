#include "predict/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

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
    if (exists && !options->overwrite && !options->resume) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A6", &place, "exists; --overwrite replaces it");
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
    if (output->lock < 0) return dio_fail_errno(output->ctx, output->part, "open", errno);
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

/* Other parts of this output: what earlier predictions left.  Counted, and removed unless only looked for. */
static dio_status clean(struct dio_output *output, bool remove, size_t *others)
{
    struct dio_ctx *ctx = output->ctx;
    struct dio_listing listing;
    char *parent = dio_path_parent(ctx, output->path);
    const char *base = dio_path_base(output->path);
    size_t length = strlen(base);
    *others = 0;
    if (!parent) return DIO_ERR_ENV;
    dio_status status = dio_list_folder(ctx, parent, &listing);
    bool listed = status == DIO_OK;
    for (size_t i = 0; status == DIO_OK && i < listing.count; i++) {
        const char *name = listing.entries[i].name;
        if (strncmp(name, base, length) != 0 || strncmp(name + length, ".part-", 6) != 0 || strlen(name + length + 6) != 16) continue;
        ++*others;
        char *path = remove ? dio_path_join(ctx, parent, name) : NULL;
        if (path) status = remove_part(output, path);
        dio_free(ctx, path);
    }
    if (listed) dio_listing_free(ctx, &listing);
    dio_free(ctx, parent);
    return status;
}

/* How far the part's records are complete; what follows is cut off. */
static dio_status take_part(struct dio_output *output, const struct dio_records *records)
{
    DIO_PASS(dio_blob_read(output->ctx, output->part, DIO_READ_COPY, 0, NULL, &output->before));
    const char *text = (const char *)output->before.data;
    for (size_t length; (length = dio_record_length(records, text + output->before_end, output->before.size - output->before_end)) > 0;) {
        output->before_end += length;
    }
    if (!records->json) output->before_at = dio_record_length(records, text, output->before_end); /* the header */
    if (output->before_end == output->before.size) return DIO_OK;
    if (truncate(output->part, (off_t)output->before_end) != 0) return dio_fail_errno(output->ctx, output->part, "truncate", errno);
    return DIO_OK;
}

static dio_status open_part(struct dio_output *output, const struct dio_predict_options *options, const struct dio_digest *key,
                            const struct dio_records *records)
{
    struct dio_ctx *ctx = output->ctx;
    char hex[65];
    size_t others = 0;
    dio_digest_hex(key, hex);
    output->part = dio_sprintf(ctx, "%s.part-%.16s", output->path, hex);
    if (!output->part) return DIO_ERR_ENV;
    if (options->resume && dio_path_is_file(output->part)) {
        DIO_PASS(lock_part(output));
        return take_part(output, records);
    }
    if (options->resume && dio_path_exists(output->path)) {
        output->complete = true;
        return DIO_OK;
    }
    if (options->resume) {
        DIO_PASS(clean(output, false, &others));
        if (others > 0) {
            return dio_fail(ctx, DIO_ERR_INPUT, "R4", &(struct dio_place){.file = output->path, .hint = "--overwrite starts anew"},
                            "the interrupted prediction was made by another model, with other settings or of other paths");
        }
    }
    DIO_PASS(clean(output, true, &others));
    return lock_part(output);
}

dio_status dio_output_open(struct dio_ctx *ctx, const struct dio_predict_options *options, const struct dio_digest *key,
                           const struct dio_records *records, struct dio_output *output)
{
    dio_status status;
    struct stat st;
    struct dio_str header;
    *output = (struct dio_output){.ctx = ctx, .lock = -1, .before = {.fd = -1}, .stream = {.fd = -1}};
    dio_str_init(&header, ctx);
    output->path = dio_strdup(ctx, to_stdout(options->output) ? "-" : options->output);
    if (!output->path) return DIO_ERR_ENV;
    bool special = to_stdout(options->output) || (stat(output->path, &st) == 0 && !S_ISREG(st.st_mode));
    if (!special) DIO_TRY(open_part(output, options, key, records));
    if (output->complete) return DIO_OK;
    bool append = output->before_end > 0;
    DIO_TRY(dio_stream_open(ctx, special ? output->path : output->part, append, &output->stream));
    if (!append) {
        dio_record_header(records, &header);
        DIO_TRY(dio_str_status(&header));
        if (header.length) DIO_TRY(dio_stream_put(&output->stream, header.data, header.length));
    }
    dio_str_free(&header);
    return DIO_OK;
fail:
    dio_str_free(&header);
    dio_output_abort(output, false);
    return status;
}

static dio_status other_pictures(struct dio_output *output)
{
    return dio_fail(output->ctx, DIO_ERR_INPUT, "R3", &(struct dio_place){.file = output->path, .hint = "--overwrite starts anew"},
                    "the pictures are not those that the interrupted prediction began with");
}

dio_status dio_output_skip(struct dio_output *output, const struct dio_records *records, const char *path, bool *there,
                           bool *bad)
{
    *there = output->before_at < output->before_end;
    if (!*there) return DIO_OK;
    struct dio_str begin;
    const char *record = (const char *)output->before.data + output->before_at;
    size_t length = dio_record_length(records, record, output->before_end - output->before_at);
    dio_str_init(&begin, output->ctx);
    dio_record_begin(records, path, &begin);
    dio_status status = dio_str_status(&begin);
    if (status == DIO_OK && (begin.length >= length || memcmp(record, begin.data, begin.length) != 0)) {
        status = other_pictures(output);
    }
    if (status == DIO_OK) *bad = dio_record_is_bad(records, record + begin.length, length - begin.length);
    output->before_at += length;
    dio_str_free(&begin);
    return status;
}

dio_status dio_output_put(struct dio_output *output, const struct dio_str *record)
{
    DIO_PASS(dio_str_status(record));
    return dio_stream_put(&output->stream, record->data, record->length);
}

dio_status dio_output_end(struct dio_output *output)
{
    return output->before_at < output->before_end ? other_pictures(output) : DIO_OK;
}

dio_status dio_output_count(struct dio_output *output, const struct dio_records *records, uint64_t *n, uint64_t *bad)
{
    struct dio_blob file;
    *n = *bad = 0;
    DIO_PASS(dio_blob_read(output->ctx, output->path, DIO_READ_MAP, 0, NULL, &file));
    const char *text = (const char *)file.data;
    size_t at = records->json ? 0 : dio_record_length(records, text, file.size);
    for (size_t length; (length = dio_record_length(records, text + at, file.size - at)) > 0; at += length) {
        size_t begin = dio_record_begin_length(records, text + at, length);
        ++*n;
        if (begin > 0) *bad += dio_record_is_bad(records, text + at + begin, length - begin);
    }
    dio_blob_free(output->ctx, &file);
    return DIO_OK;
}

static void release(struct dio_output *output)
{
    if (output->stream.fd >= 0) (void)dio_stream_close(&output->stream);
    if (output->before.data) dio_blob_free(output->ctx, &output->before);
    dio_free(output->ctx, output->path);
    dio_free(output->ctx, output->part);
    if (output->lock >= 0) close(output->lock);
    *output = (struct dio_output){.ctx = output->ctx, .lock = -1, .before = {.fd = -1}, .stream = {.fd = -1}};
}

dio_status dio_output_commit(struct dio_output *output)
{
    if (output->part && !output->complete) {
        if (fsync(output->stream.fd) != 0) return dio_fail_errno(output->ctx, output->path, "fsync", errno);
        DIO_PASS(dio_stream_close(&output->stream));
        if (rename(output->part, output->path) != 0) return dio_fail_errno(output->ctx, output->path, "rename", errno);
        DIO_PASS(dio_sync_folder_of(output->ctx, output->path));
    } else if (output->stream.fd >= 0) {
        DIO_PASS(dio_stream_close(&output->stream));
    }
    release(output);
    return DIO_OK;
}

void dio_output_abort(struct dio_output *output, bool keep)
{
    /* Not what an earlier prediction left. */
    if (output->lock >= 0 && !keep && output->before_end == 0) unlink(output->part);
    release(output);
}

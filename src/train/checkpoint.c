#include "train/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "train/pack.h"

static const char magic[8] = "DIOCKPT\n";
enum { PRELUDE = 32, DIGEST = 32, MAX_RECORDS = 1 << 22 };

/* File: magic, version (u64), bytes of the head (u64), bytes of the numbers (u64), head, numbers, SHA-256 of all before. */

/* ---- writing ---- */

static void pack_position(struct dio_str *out, const struct dio_train_position *position)
{
    dio_pack_u64(out, (uint64_t)position->phase);
    dio_pack_u64(out, position->epoch);
    dio_pack_u64(out, position->step);
    dio_pack_u64(out, position->steps);
    dio_pack_u64(out, position->optimizer_t);
    dio_pack_f64(out, position->loss_sum);
    dio_pack_u64(out, position->hits);
    dio_pack_u64(out, position->pictures);
    dio_pack_u64(out, position->best_epoch);
    dio_pack_f64(out, position->best_score);
    dio_pack_u64(out, position->refit_epochs);
    dio_pack_u64(out, position->early_stopped);
}

static void unpack_position(struct dio_unpack *in, struct dio_train_position *position)
{
    uint64_t phase = dio_unpack_u64(in);
    if (phase > DIO_PHASE_DONE) in->bad = true;
    position->phase = in->bad ? DIO_PHASE_SEARCH : (enum dio_train_phase)phase;
    position->epoch = dio_unpack_u64(in);
    position->step = dio_unpack_u64(in);
    position->steps = dio_unpack_u64(in);
    position->optimizer_t = dio_unpack_u64(in);
    position->loss_sum = dio_unpack_f64(in);
    position->hits = dio_unpack_u64(in);
    position->pictures = dio_unpack_u64(in);
    position->best_epoch = dio_unpack_u64(in);
    position->best_score = dio_unpack_f64(in);
    position->refit_epochs = dio_unpack_u64(in);
    position->early_stopped = dio_unpack_u64(in) != 0;
}

static void pack_record(struct dio_str *out, const struct dio_epoch_record *record)
{
    const double numbers[] = {record->lr, record->train_loss, record->train_accuracy, record->val_loss,
                              record->val_accuracy, record->val_balanced, record->val_auroc};
    dio_pack_u64(out, record->phase);
    dio_pack_u64(out, record->epoch);
    dio_pack_u64(out, record->steps);
    dio_pack_u64(out, record->pictures);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) dio_pack_f64(out, numbers[i]);
}

static void unpack_record(struct dio_unpack *in, struct dio_epoch_record *record)
{
    record->phase = (uint32_t)dio_unpack_u64(in);
    record->epoch = (uint32_t)dio_unpack_u64(in);
    record->steps = dio_unpack_u64(in);
    record->pictures = dio_unpack_u64(in);
    double *numbers[] = {&record->lr, &record->train_loss, &record->train_accuracy, &record->val_loss,
                         &record->val_accuracy, &record->val_balanced, &record->val_auroc};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) *numbers[i] = dio_unpack_f64(in);
}

static void pack_head(struct dio_str *out, const struct dio_checkpoint *checkpoint, const struct dio_graph *graph,
                      const struct dio_snapshot *best, const struct dio_optimizer_state *optimizer)
{
    dio_pack_text(out, checkpoint->program);
    dio_pack_text(out, checkpoint->model);
    dio_pack_text(out, checkpoint->classes);
    dio_pack_text(out, checkpoint->recipe);
    dio_pack_bytes(out, checkpoint->data.bytes, sizeof checkpoint->data.bytes);
    dio_pack_bytes(out, checkpoint->frozen.bytes, sizeof checkpoint->frozen.bytes);
    dio_pack_bytes(out, checkpoint->class_list.bytes, sizeof checkpoint->class_list.bytes);
    pack_position(out, &checkpoint->position);
    dio_pack_u64(out, checkpoint->n_records);
    for (size_t i = 0; i < checkpoint->n_records; i++) pack_record(out, &checkpoint->records[i]);
    dio_pack_u64(out, checkpoint->n_bad);
    for (size_t i = 0; i < checkpoint->n_bad; i++) dio_pack_u64(out, checkpoint->bad[i]);
    dio_pack_text(out, optimizer->optimizer->name);
    dio_pack_u64(out, optimizer->block_floats);
    dio_pack_u64(out, (uint64_t)best->count);
    for (int n = 0; n < best->count; n++) {
        const struct dio_param *param = &graph->params[best->params[n]];
        dio_pack_text(out, param->name);
        dio_pack_u64(out, dio_snapshot_size(param));
    }
}

struct sink {
    struct dio_writer writer;
    struct dio_sha256 hash;
};

static dio_status put(struct sink *sink, const void *bytes, size_t length)
{
    dio_sha256_add(&sink->hash, bytes, length);
    return dio_writer_put(&sink->writer, bytes, length);
}

static dio_status put_all(struct sink *sink, const struct dio_str *prelude, const struct dio_str *head,
                          const struct dio_graph *graph, const struct dio_snapshot *best,
                          const struct dio_optimizer_state *optimizer)
{
    DIO_PASS(put(sink, prelude->data, prelude->length));
    DIO_PASS(put(sink, head->data, head->length));
    for (int n = 0; n < best->count; n++) {
        const struct dio_param *param = &graph->params[best->params[n]];
        DIO_PASS(put(sink, param->data, dio_snapshot_size(param) * sizeof(float)));
    }
    DIO_PASS(put(sink, best->block, best->floats * sizeof(float)));
    DIO_PASS(put(sink, optimizer->block, optimizer->block_floats * sizeof(float)));
    struct dio_digest digest = dio_sha256_end(&sink->hash);
    DIO_PASS(dio_writer_put(&sink->writer, digest.bytes, sizeof digest.bytes));
    return dio_writer_commit(&sink->writer);
}

dio_status dio_checkpoint_write(struct dio_ctx *ctx, const char *folder, const char *name,
                                const struct dio_checkpoint *checkpoint,
                                const struct dio_graph *graph, const struct dio_snapshot *best,
                                const struct dio_optimizer_state *optimizer)
{
    dio_status status;
    struct dio_str head, prelude;
    struct sink sink = {.writer = {.ctx = ctx, .fd = -1}};
    char *path = name ? dio_path_join(ctx, folder, name)
                      : dio_sprintf(ctx, "%s/ckpt-%" PRIu64, folder, checkpoint->position.steps);
    dio_str_init(&head, ctx);
    dio_str_init(&prelude, ctx);
    pack_head(&head, checkpoint, graph, best, optimizer);
    dio_str_add_bytes(&prelude, magic, sizeof magic);
    dio_pack_u64(&prelude, DIO_CHECKPOINT_VERSION);
    dio_pack_u64(&prelude, head.length);
    dio_pack_u64(&prelude, (2 * best->floats + optimizer->block_floats) * sizeof(float));
    DIO_TRY(path ? DIO_OK : DIO_ERR_ENV);
    DIO_TRY(dio_str_status(&head));
    DIO_TRY(dio_str_status(&prelude));
    DIO_TRY(dio_mkdirs(ctx, folder));
    DIO_TRY(dio_writer_open(ctx, path, &sink.writer));
    dio_sha256_init(&sink.hash);
    DIO_TRY(put_all(&sink, &prelude, &head, graph, best, optimizer));
    DIO_TRY(dio_checkpoint_remove_all(ctx, folder, DIO_CHECKPOINTS_KEPT));
fail:
    if (status != DIO_OK) dio_writer_abort(&sink.writer);
    dio_str_free(&head);
    dio_str_free(&prelude);
    dio_free(ctx, path);
    return status;
}

/* ---- reading ---- */

static bool steps_of(const char *name, uint64_t *steps)
{
    int64_t value;
    if (strncmp(name, "ckpt-", 5) != 0 || !dio_parse_i64(name + 5, strlen(name + 5), &value) || value < 0) return false;
    *steps = (uint64_t)value;
    return true;
}

/* Index of the checkpoint with the most steps below `below`; -1: none. */
static int newest_below(const struct dio_listing *listing, uint64_t below, uint64_t *steps)
{
    int found = -1;
    for (size_t i = 0; i < listing->count; i++) {
        uint64_t value;
        if (!steps_of(listing->entries[i].name, &value) || value >= below) continue;
        if (found >= 0 && value <= *steps) continue;
        found = (int)i;
        *steps = value;
    }
    return found;
}

dio_status dio_checkpoint_remove_all(struct dio_ctx *ctx, const char *folder, int keep)
{
    dio_status status = DIO_OK;
    struct dio_listing listing = {0};
    if (!dio_path_is_folder(folder)) return DIO_OK;
    DIO_PASS(dio_list_folder(ctx, folder, &listing));
    uint64_t steps = UINT64_MAX;
    for (int at, n = 0; (at = newest_below(&listing, steps, &steps)) >= 0; n++) {
        char *path = n < keep ? NULL : dio_path_join(ctx, folder, listing.entries[at].name);
        if (n < keep) continue;
        if (!path) {
            status = DIO_ERR_ENV;
            break;
        }
        if (unlink(path) != 0 && errno != ENOENT) status = dio_fail_errno(ctx, path, "unlink", errno);
        dio_free(ctx, path);
        if (status != DIO_OK) break;
    }
    dio_listing_free(ctx, &listing);
    return status;
}

/* NULL when the file is whole and its checksum right, else what is wrong. */
static const char *damage(const struct dio_blob *blob)
{
    struct dio_unpack in = {.data = blob->data, .length = blob->size, .at = sizeof magic};
    if (blob->size < PRELUDE + DIGEST || memcmp(blob->data, magic, sizeof magic) != 0) return "is not a checkpoint";
    (void)dio_unpack_u64(&in);
    uint64_t head = dio_unpack_u64(&in), numbers = dio_unpack_u64(&in), room = blob->size - PRELUDE - DIGEST;
    if (head > room || numbers != room - head || numbers % sizeof(float)) return "is cut short";
    struct dio_digest digest = dio_sha256_of(blob->data, blob->size - DIGEST);
    return memcmp(digest.bytes, blob->data + blob->size - DIGEST, DIGEST) ? "checksum differs" : NULL;
}

static void unpack_digest(struct dio_unpack *in, struct dio_digest *digest)
{
    size_t length;
    const void *bytes = dio_unpack_bytes(in, &length);
    if (length != sizeof digest->bytes) in->bad = true;
    if (!in->bad) memcpy(digest->bytes, bytes, sizeof digest->bytes);
}

static dio_status read_head(struct dio_ctx *ctx, struct dio_checkpoint_file *file)
{
    struct dio_checkpoint *head = &file->head;
    struct dio_unpack in = {.data = file->blob.data, .length = file->blob.size - DIGEST, .at = sizeof magic};
    struct dio_place place = {.file = file->path};
    uint64_t version = dio_unpack_u64(&in);
    if (version > DIO_CHECKPOINT_VERSION) {
        return dio_fail(ctx, DIO_ERR_INPUT, "R2", &place, "format %" PRIu64 ", this program knows up to %d", version,
                        DIO_CHECKPOINT_VERSION);
    }
    file->numbers_at = PRELUDE + (size_t)dio_unpack_u64(&in);
    (void)dio_unpack_u64(&in);
    head->program = dio_unpack_text(&in);
    head->model = dio_unpack_text(&in);
    head->classes = dio_unpack_text(&in);
    head->recipe = dio_unpack_text(&in);
    unpack_digest(&in, &head->data);
    unpack_digest(&in, &head->frozen);
    unpack_digest(&in, &head->class_list);
    unpack_position(&in, &head->position);
    uint64_t records = dio_unpack_u64(&in);
    if (in.bad || records > MAX_RECORDS) goto broken;
    file->records = dio_alloc_array(ctx, (size_t)records, sizeof *file->records, "checkpoint");
    if (!file->records) return DIO_ERR_ENV;
    for (uint64_t i = 0; i < records; i++) unpack_record(&in, &file->records[i]);
    uint64_t bad = dio_unpack_u64(&in);
    if (in.bad || bad > in.length / 8) goto broken;
    file->bad = dio_alloc_array(ctx, (size_t)bad, sizeof *file->bad, "checkpoint");
    if (!file->bad) return DIO_ERR_ENV;
    for (uint64_t i = 0; i < bad; i++) file->bad[i] = (uint32_t)dio_unpack_u64(&in);
    file->optimizer = dio_unpack_text(&in);
    head->records = file->records;
    head->n_records = (size_t)records;
    head->bad = file->bad;
    head->n_bad = (size_t)bad;
    if (!in.bad) return DIO_OK;
broken:
    return dio_fail(ctx, DIO_ERR_INPUT, "R1", &place, "its head does not read");
}

/* The numbers of a file lie where its head ends, aligned to nothing. */
static bool all_finite(const void *numbers, size_t count)
{
    const unsigned char *bytes = numbers;
    for (size_t i = 0; i < count; i++) {
        float number;
        memcpy(&number, bytes + i * sizeof number, sizeof number);
        if (!isfinite(number)) return false;
    }
    return true;
}

/* The optimiser's name is the last thing in front of its size and the list of tensors. */
static struct dio_unpack behind_optimizer(const struct dio_checkpoint_file *file)
{
    struct dio_unpack in = {.data = file->blob.data, .length = file->numbers_at};
    in.at = (size_t)(file->optimizer - (const char *)file->blob.data) + strlen(file->optimizer) + 1;
    return in;
}

/* As far as the file alone tells; lists that do not fit their numbers are refused when they are loaded.  Counters are no
 * floats: what their bits would be as such says nothing. */
static bool file_finite(const struct dio_checkpoint_file *file)
{
    static const char counter[] = "num_batches_tracked";
    const unsigned char *numbers = file->blob.data + file->numbers_at;
    size_t have = (file->blob.size - DIGEST - file->numbers_at) / sizeof(float), at = 0;
    for (int copy = 0; copy < 2; copy++) { /* now, and at the best epoch */
        struct dio_unpack in = behind_optimizer(file);
        (void)dio_unpack_u64(&in);
        uint64_t count = dio_unpack_u64(&in);
        for (uint64_t n = 0; n < count && !in.bad; n++) {
            const char *name = dio_unpack_text(&in);
            uint64_t size = dio_unpack_u64(&in);
            if (in.bad || size > have - at) return true;
            size_t length = strlen(name), tail = sizeof counter - 1;
            bool counts = length >= tail && strcmp(name + length - tail, counter) == 0;
            if (!counts && !all_finite(numbers + at * sizeof(float), (size_t)size)) return false;
            at += (size_t)size;
        }
    }
    return all_finite(numbers + at * sizeof(float), have - at);
}

static const char not_finite[] = "holds NaN or infinity";

dio_status dio_checkpoint_open(struct dio_ctx *ctx, const char *folder, struct dio_checkpoint_file *file)
{
    dio_status status = DIO_OK;
    struct dio_listing listing = {0};
    char damaged[300] = "";
    const char *row = "R1";
    *file = (struct dio_checkpoint_file){.blob = {.fd = -1}};
    if (dio_path_is_folder(folder)) DIO_PASS(dio_list_folder(ctx, folder, &listing));
    uint64_t steps = UINT64_MAX;
    for (int at; (at = newest_below(&listing, steps, &steps)) >= 0;) {
        char *path = dio_path_join(ctx, folder, listing.entries[at].name);
        if (!path) DIO_TRY(DIO_ERR_ENV);
        file->path = path;
        DIO_TRY(dio_blob_read(ctx, path, DIO_READ_COPY, 0, NULL, &file->blob));
        const char *wrong = damage(&file->blob);
        if (!wrong) {
            DIO_TRY(read_head(ctx, file));
            wrong = file_finite(file) ? NULL : not_finite;
        }
        if (!wrong) break;
        if (!damaged[0]) row = wrong == not_finite ? "R9" : "R1";
        if (!damaged[0]) snprintf(damaged, sizeof damaged, "%s: %s", listing.entries[at].name, wrong);
        dio_checkpoint_close(ctx, file);
    }
    if (!file->path) {
        struct dio_place place = {.file = folder};
        status = damaged[0] ? dio_fail(ctx, DIO_ERR_INPUT, row, &place, "%s, and there is no other checkpoint", damaged)
                            : dio_fail(ctx, DIO_ERR_INPUT, "R1", &place, "no checkpoint to go on from");
        goto fail;
    }
    if (damaged[0]) {
        dio_say(ctx, DIO_LEVEL_WARNING, row, &(struct dio_place){.file = folder}, "%s; the newest good one is %s", damaged,
                dio_path_base(file->path));
    }
fail:
    dio_listing_free(ctx, &listing);
    if (status != DIO_OK) dio_checkpoint_close(ctx, file);
    return status;
}

dio_status dio_checkpoint_open_at(struct dio_ctx *ctx, const char *path, struct dio_checkpoint_file *file)
{
    dio_status status;
    *file = (struct dio_checkpoint_file){.blob = {.fd = -1}};
    file->path = dio_strdup(ctx, path);
    if (!file->path) return DIO_ERR_ENV;
    DIO_TRY(dio_blob_read(ctx, path, DIO_READ_COPY, 0, NULL, &file->blob));
    const char *wrong = damage(&file->blob);
    if (wrong) DIO_TRY(dio_fail(ctx, DIO_ERR_INPUT, "R1", &(struct dio_place){.file = path}, "%s", wrong));
    DIO_TRY(read_head(ctx, file));
    return DIO_OK;
fail:
    dio_checkpoint_close(ctx, file);
    return status;
}

void dio_checkpoint_close(struct dio_ctx *ctx, struct dio_checkpoint_file *file)
{
    dio_blob_free(ctx, &file->blob);
    dio_free(ctx, file->path);
    dio_free(ctx, file->records);
    dio_free(ctx, file->bad);
    *file = (struct dio_checkpoint_file){.blob = {.fd = -1}};
}

/* The list of tensors must be the graph's own. */
static dio_status check_tensors(struct dio_ctx *ctx, const struct dio_checkpoint_file *file, struct dio_unpack *in,
                                const struct dio_graph *graph, const struct dio_snapshot *best)
{
    struct dio_place place = {.file = file->path};
    uint64_t count = dio_unpack_u64(in);
    if (in->bad || count != (uint64_t)best->count) {
        return dio_fail(ctx, DIO_ERR_INPUT, "R5", &place, "holds %" PRIu64 " tensors that learn, the run has %d", count,
                        best->count);
    }
    for (int n = 0; n < best->count; n++) {
        const struct dio_param *param = &graph->params[best->params[n]];
        const char *name = dio_unpack_text(in);
        uint64_t size = dio_unpack_u64(in);
        if (strcmp(name, param->name) == 0 && size == dio_snapshot_size(param)) continue;
        return dio_fail(ctx, DIO_ERR_INPUT, "R5", &place, "tensor %d is %s with %" PRIu64 " numbers, the run has %s with %zu",
                        n, name, size, param->name, dio_snapshot_size(param));
    }
    return DIO_OK;
}

static bool snapshot_finite(const struct dio_graph *graph, const struct dio_snapshot *snapshot)
{
    const float *numbers = snapshot->block;
    for (int n = 0; n < snapshot->count; n++) {
        const struct dio_param *param = &graph->params[snapshot->params[n]];
        if (param->dtype == DIO_F32 && !all_finite(numbers, dio_snapshot_size(param))) return false;
        numbers += dio_snapshot_size(param);
    }
    return true;
}

dio_status dio_checkpoint_load(struct dio_ctx *ctx, const struct dio_checkpoint_file *file, const struct dio_graph *graph,
                               struct dio_snapshot *best, struct dio_optimizer_state *optimizer, bool weights_only)
{
    struct dio_place place = {.file = file->path, .hint = "--weights-only starts anew from the weights"};
    struct dio_unpack in = behind_optimizer(file);
    uint64_t state = dio_unpack_u64(&in);
    DIO_PASS(check_tensors(ctx, file, &in, graph, best));
    bool same = strcmp(file->optimizer, optimizer->optimizer->name) == 0 && state == optimizer->block_floats;
    if (!same && !weights_only) {
        return dio_fail(ctx, DIO_ERR_INPUT, "R8", &place, "has the state of optimizer %s, not of %s", file->optimizer,
                        optimizer->optimizer->name);
    }
    size_t have = (file->blob.size - DIGEST - file->numbers_at) / sizeof(float);
    if (have != 2 * best->floats + state) return dio_fail(ctx, DIO_ERR_INPUT, "R5", &place, "numbers are missing");
    const unsigned char *numbers = file->blob.data + file->numbers_at;
    size_t bytes = best->floats * sizeof(float);
    memcpy(best->block, numbers, bytes);
    dio_snapshot_restore(graph, best);
    bool finite = snapshot_finite(graph, best);
    memcpy(best->block, numbers + bytes, bytes);
    finite = finite && snapshot_finite(graph, best);
    if (same && !weights_only) {
        memcpy(optimizer->block, numbers + 2 * bytes, (size_t)state * sizeof(float));
        finite = finite && all_finite(optimizer->block, optimizer->block_floats);
        optimizer->t = file->head.position.optimizer_t;
    }
    place.hint = NULL;
    return finite ? DIO_OK : dio_fail(ctx, DIO_ERR_INPUT, "R9", &place, "%s", not_finite);
}

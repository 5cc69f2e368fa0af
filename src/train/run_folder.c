#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "text/json_write.h"
#include "train/run.h"

static const char *const own_files[] = {"model.safetensors", "config.json", "metrics.jsonl", "recipe.yaml", "log.txt",
                                        "report.html",       "freeze.txt",  "predictions-val.csv"};
enum { OWN_FILES = sizeof own_files / sizeof *own_files, FEATURES_WORTH_KEEPING = 10000000 };

char *dio_run_path(struct dio_run *run, const char *name)
{
    return dio_path_join(run->ctx, run->folder, name);
}

dio_status dio_run_write(struct dio_run *run, const char *name, const struct dio_str *text)
{
    char *path = dio_run_path(run, name);
    dio_status status = dio_str_status(text);
    if (!path) return DIO_ERR_ENV;
    if (status == DIO_OK) status = dio_write_whole(run->ctx, path, text->data ? text->data : "", text->length);
    dio_free(run->ctx, path);
    return status;
}

/* ---- claiming ---- */

/* runs/<recipe>-N in the recipe's folder, the first N that is free. */
static dio_status default_name(struct dio_run *run)
{
    struct dio_ctx *ctx = run->ctx;
    if (!run->options->recipe) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A3", NULL, "no run folder given; name one with -o RUN");
    }
    const char *base = dio_path_base(run->options->recipe), *dot = strrchr(base, '.');
    int length = (int)(dot && dot > base ? (size_t)(dot - base) : strlen(base));
    char *beside = dio_path_parent(ctx, run->options->recipe), *runs = beside ? dio_path_join(ctx, beside, "runs") : NULL;
    dio_status status = runs ? DIO_OK : DIO_ERR_ENV;
    run->folder_is_default = true;
    for (int n = 1; n < 1000000 && status == DIO_OK && !run->folder; n++) {
        run->folder = dio_sprintf(ctx, "%s/%.*s-%d", runs, length, base, n);
        if (!run->folder) {
            status = DIO_ERR_ENV;
        } else if (dio_path_exists(run->folder)) {
            dio_free(ctx, run->folder);
            run->folder = NULL;
        }
    }
    if (status == DIO_OK && !run->folder) {
        status = dio_fail(ctx, DIO_ERR_ENV, "A6", NULL, "%s/%.*s-1 to -999999 exist", runs, length, base);
    }
    dio_free(ctx, beside);
    dio_free(ctx, runs);
    return status;
}

static dio_status check_inputs(struct dio_run *run)
{
    const struct dio_train_options *options = run->options;
    const char *const inputs[] = {options->data, options->train, options->val, options->model, options->root};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        bool inside = false;
        if (!inputs[i] || !dio_path_exists(inputs[i])) continue;
        DIO_PASS(dio_path_lies_in(run->ctx, run->folder, inputs[i], &inside));
        if (!inside) continue;
        return dio_fail(run->ctx, DIO_ERR_USAGE, "A7", &(struct dio_place){.file = run->folder},
                        "the run folder lies in an input (%s)", dio_path_base(inputs[i]));
    }
    return DIO_OK;
}

dio_status dio_run_check_inputs(struct dio_run *run)
{
    dio_status status = DIO_OK;
    const struct dio_train_options *options = run->options;
    const char *const inputs[] = {options->data, options->train, options->val, options->root, options->recipe};
    for (int i = 0; i < OWN_FILES && status == DIO_OK; i++) {
        char *path = dio_run_path(run, own_files[i]);
        status = path ? dio_loaded_check_output(run->ctx, &run->loaded, path) : DIO_ERR_ENV;
        for (size_t k = 0; k < sizeof inputs / sizeof *inputs && status == DIO_OK; k++) {
            if (!inputs[k] || !dio_same_file(inputs[k], path)) continue;
            status = dio_fail(run->ctx, DIO_ERR_USAGE, "A7", &(struct dio_place){.file = path}, "output and input are the same file");
        }
        dio_free(run->ctx, path);
    }
    return status;
}

static dio_status remove_own(struct dio_run *run)
{
    for (int i = 0; i < OWN_FILES; i++) {
        char *path = dio_run_path(run, own_files[i]);
        if (!path) return DIO_ERR_ENV;
        dio_status status = unlink(path) == 0 || errno == ENOENT ? DIO_OK : dio_fail_errno(run->ctx, path, "unlink", errno);
        dio_free(run->ctx, path);
        DIO_PASS(status);
    }
    char *checkpoints = dio_run_path(run, "checkpoints");
    if (!checkpoints) return DIO_ERR_ENV;
    dio_status status = dio_checkpoint_remove_all(run->ctx, checkpoints, 0);
    dio_free(run->ctx, checkpoints);
    return status;
}

/* Features that took a while (a minute gives some 10 MB) are worth keeping; fewer go.  Bytes that are left. */
static uint64_t drop_features(struct dio_ctx *ctx, const char *cache)
{
    struct dio_listing listing;
    struct stat st;
    uint64_t bytes = 0;
    if (!dio_path_is_folder(cache) || dio_list_folder(ctx, cache, &listing) != DIO_OK) return 0;
    for (int drop = 0; drop < 2; drop++) {
        for (size_t i = 0; i < listing.count; i++) {
            char *path = dio_path_join(ctx, cache, listing.entries[i].name);
            if (path && !drop && stat(path, &st) == 0) bytes += (uint64_t)st.st_size;
            if (path && drop) (void)unlink(path);
            dio_free(ctx, path);
        }
        if (bytes > FEATURES_WORTH_KEEPING) break;
    }
    dio_listing_free(ctx, &listing);
    return rmdir(cache) == 0 ? 0 : bytes;
}

void dio_run_leave_nothing(struct dio_run *run)
{
    struct dio_run quiet = *run; /* the refusal stands, whatever happens here */
    struct dio_ctx ctx = dio_ctx_child(run->ctx);
    char *cache = dio_run_path(run, "cache"), *checkpoints = dio_run_path(run, "checkpoints"), *lock = dio_run_path(run, ".lock");
    quiet.ctx = &ctx;
    (void)remove_own(&quiet);
    if (checkpoints) (void)rmdir(checkpoints);
    uint64_t features = cache && !run->cache_was_there ? drop_features(&ctx, cache) : 0;
    if (features > 0) {
        dio_say(run->ctx, DIO_LEVEL_WARNING, "R1", &(struct dio_place){.file = run->folder},
                "%.0f MB of features that were computed before the refusal stay in its folder cache; the next run there uses them",
                (double)features / 1e6);
    } else if (run->folder_was_made && lock) {
        (void)unlink(lock);
        (void)rmdir(run->folder);
        char *runs = run->runs_was_made ? dio_path_parent(run->ctx, run->folder) : NULL;
        if (runs) (void)rmdir(runs);
        dio_free(run->ctx, runs);
    }
    dio_free(run->ctx, cache);
    dio_free(run->ctx, checkpoints);
    dio_free(run->ctx, lock);
}

/* Features of a run that was refused are no run. */
static bool holds_no_run(const struct dio_listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        if (strcmp(listing->entries[i].name, ".lock") != 0 && strcmp(listing->entries[i].name, "cache") != 0) return false;
    }
    return true;
}

static dio_status check_folder(struct dio_run *run, bool resume)
{
    struct dio_ctx *ctx = run->ctx;
    struct dio_place place = {.file = run->folder};
    struct stat st;
    if (stat(run->folder, &st) == 0) {
        if (!S_ISDIR(st.st_mode)) return dio_fail(ctx, DIO_ERR_USAGE, "A6", &place, "exists and is not a folder");
        if (access(run->folder, W_OK | X_OK) != 0) return dio_fail_errno(ctx, run->folder, "open", errno);
        struct dio_listing listing;
        DIO_PASS(dio_list_folder(ctx, run->folder, &listing));
        run->folder_is_new = holds_no_run(&listing);
        dio_listing_free(ctx, &listing);
        if (resume || run->folder_is_new || run->options->overwrite) return DIO_OK;
        return dio_fail(ctx, DIO_ERR_USAGE, "A6", &place, "exists; --resume goes on with it, --overwrite replaces it");
    }
    if (errno != ENOENT) return dio_fail_errno(ctx, run->folder, "open", errno);
    if (resume) return dio_fail(ctx, DIO_ERR_ENV, "R1", &place, "no such run folder");
    run->folder_is_new = true;
    char *parent = dio_path_parent(ctx, run->folder);
    if (parent && run->folder_is_default && !dio_path_exists(parent)) { /* `runs`, which will be made */
        char *above = dio_path_parent(ctx, parent);
        dio_free(ctx, parent);
        parent = above;
    }
    if (!parent) return DIO_ERR_ENV;
    dio_status status = DIO_OK;
    if (!dio_path_is_folder(parent)) {
        status = dio_fail(ctx, DIO_ERR_ENV, "A8", &place, "the folder it should lie in does not exist");
    } else if (access(parent, W_OK | X_OK) != 0) {
        status = dio_fail_errno(ctx, run->folder, "open", errno);
    }
    dio_free(ctx, parent);
    return status;
}

/* Where features are to be kept: what is there of the path has to be folders, and the last of them open to us. */
static dio_status check_cache(struct dio_run *run)
{
    struct dio_ctx *ctx = run->ctx;
    const struct dio_train_options *options = run->options;
    if (options->no_cache) return DIO_OK;
    char *path = options->cache ? dio_strdup(ctx, options->cache) : dio_run_path(run, "cache");
    while (path && !dio_path_exists(path)) {
        char *parent = dio_path_parent(ctx, path);
        dio_free(ctx, path);
        path = parent;
    }
    if (!path) return DIO_ERR_ENV;
    dio_status status = DIO_OK;
    int i = dio_option_find("cache");
    bool recipe = options->cache && options->origin[i] == DIO_FROM_RECIPE;
    if (!dio_path_is_folder(path)) {
        struct dio_place place = {.file = recipe ? options->recipe : NULL, .line = recipe ? options->line[i] : 0};
        char shown[420];
        dio_escape(shown, sizeof shown, path, strlen(path), 200);
        status = dio_fail(ctx, recipe ? DIO_ERR_INPUT : DIO_ERR_USAGE, recipe ? "Y10" : "A6", &place,
                          "%s: is not a folder; features are kept in one (--cache DIR)", shown);
    } else if (access(path, R_OK | W_OK | X_OK) != 0) {
        status = dio_fail_errno(ctx, path, "open", errno);
    }
    dio_free(ctx, path);
    return status;
}

dio_status dio_run_check_folder(struct dio_run *run, bool resume)
{
    if (!run->folder && run->options->output) {
        run->folder = dio_strdup(run->ctx, run->options->output);
        if (!run->folder) return DIO_ERR_ENV;
    }
    if (!run->folder) DIO_PASS(default_name(run));
    DIO_PASS(check_folder(run, resume));
    if (!resume) DIO_PASS(check_cache(run));
    return resume ? DIO_OK : check_inputs(run);
}

/* The lock is ours to know of: a person knows the folder. */
static void name_folder(struct dio_run *run, const char *lock)
{
    struct dio_message *error = &run->ctx->error;
    if (strstr(error->file, dio_path_base(lock))) dio_escape(error->file, sizeof error->file, run->folder, strlen(run->folder), 200);
}

dio_status dio_run_claim(struct dio_run *run, bool resume)
{
    struct dio_ctx *ctx = run->ctx;
    if (run->folder_is_default) {
        char *runs = dio_path_parent(ctx, run->folder);
        run->runs_was_made = runs && !dio_path_exists(runs);
        dio_status made = runs ? dio_mkdirs(ctx, runs) : DIO_ERR_ENV;
        dio_free(ctx, runs);
        DIO_PASS(made);
    }
    run->folder_was_made = mkdir(run->folder, 0777) == 0;
    if (!run->folder_was_made && errno != EEXIST) return dio_fail_errno(ctx, run->folder, "mkdir", errno);
    char *lock = dio_run_path(run, ".lock");
    if (!lock) return DIO_ERR_ENV;
    dio_status status = dio_lock(ctx, lock, &run->lock);
    if (status != DIO_OK && lock) name_folder(run, lock);
    dio_free(ctx, lock);
    run->claimed = status == DIO_OK;
    char *cache = dio_run_path(run, "cache");
    run->cache_was_there = cache && dio_path_exists(cache);
    dio_free(ctx, cache);
    /* Another run may have been through here since the folder was looked at first. */
    if (status == DIO_OK) status = check_folder(run, resume);
    if (status == DIO_OK && !resume && !run->folder_is_new) status = remove_own(run);
    return status;
}

/* ---- log ---- */

void dio_run_log(struct dio_run *run, const char *format, ...)
{
    char line[2400], now[40];
    if (run->log.fd < 0) return;
    dio_clock_utc(now, sizeof now);
    int head = snprintf(line, sizeof line - 2, "%s ", now);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line + head, sizeof line - 2 - (size_t)head, format, arguments);
    va_end(arguments);
    size_t end = strlen(line);
    if (length < 0) return;
    line[end++] = '\n';
    /* A log that cannot be written is said once; the run goes on. */
    struct dio_ctx quiet = dio_ctx_child(run->ctx);
    if (dio_stream_put(&(struct dio_stream){&quiet, run->log.path, run->log.fd}, line, end) != DIO_OK && !run->trouble_said) {
        run->trouble_said = true;
        run->outer_message ? run->outer_message(run->outer_arg, &quiet.error) : (void)0;
    }
}

static const char place_words[] = " folder: ";

void dio_run_log_place(struct dio_run *run)
{
    char *place = realpath(run->folder, NULL);
    if (place && !strchr(place, '\n')) dio_run_log(run, "%s%s", place_words + 1, place);
    free(place);
}

char *dio_run_logged_place(struct dio_run *run)
{
    struct dio_ctx quiet = dio_ctx_child(run->ctx);
    struct dio_blob blob;
    char *log = dio_run_path(run, "log.txt"), *place = NULL;
    if (log && dio_blob_read(&quiet, log, DIO_READ_COPY, 64 << 20, NULL, &blob) == DIO_OK) {
        const char *text = (const char *)blob.data;
        for (size_t at = 0; at < blob.size;) {
            const char *end = memchr(text + at, '\n', blob.size - at), *blank = end ? memchr(text + at, ' ', (size_t)(end - text) - at) : NULL;
            if (!end) break;
            size_t words = sizeof place_words - 1;
            if (blank && (size_t)(end - blank) > words && memcmp(blank, place_words, words) == 0) {
                dio_free(run->ctx, place);
                place = dio_strndup(run->ctx, blank + words, (size_t)(end - blank) - words);
            }
            at = (size_t)(end - text) + 1;
        }
        dio_blob_free(&quiet, &blob);
    }
    dio_free(run->ctx, log);
    return place;
}

static void take_message(void *arg, const struct dio_message *message)
{
    struct dio_run *run = arg;
    char text[1600];
    dio_message_format(message, text, sizeof text);
    pthread_mutex_lock(&run->lock_messages);
    dio_run_log(run, "%s", text);
    /* The report shows what is said of data and model, not of this machine's caches and limits (R, E), nor of single pictures
     * (I), which workers meet in any order and a cache not at all. */
    bool lasting = message->level == DIO_LEVEL_WARNING && !strchr("REI", message->code[0] ? message->code[0] : '-');
    if (lasting && run->n_warnings < DIO_RUN_WARNINGS) {
        struct dio_ctx quiet = dio_ctx_child(run->ctx);
        char *copy = dio_strdup(&quiet, message->text);
        if (copy) run->warnings[run->n_warnings++] = copy;
    }
    pthread_mutex_unlock(&run->lock_messages);
    if (run->outer_message) run->outer_message(run->outer_arg, message);
}

dio_status dio_run_open_logs(struct dio_run *run, bool resume)
{
    struct dio_ctx *ctx = run->ctx;
    char *log = dio_run_path(run, "log.txt"), *metrics = dio_run_path(run, "metrics.jsonl");
    dio_status status = log && metrics ? DIO_OK : DIO_ERR_ENV;
    if (status == DIO_OK) status = dio_stream_open(ctx, log, resume, &run->log);
    if (status == DIO_OK) status = dio_stream_open(ctx, metrics, false, &run->metrics);
    dio_free(ctx, log);
    dio_free(ctx, metrics);
    DIO_PASS(status);
    run->outer_message = ctx->on_message;
    run->outer_arg = ctx->message_arg;
    ctx->on_message = take_message;
    ctx->message_arg = run;
    run->logging = true;
    for (size_t i = 0; i < run->loop.n_records; i++) DIO_PASS(dio_run_put_metrics(run, &run->loop.records[i]));
    return DIO_OK;
}

dio_status dio_run_put_metrics(struct dio_run *run, const struct dio_epoch_record *record)
{
    struct dio_str line;
    struct dio_json_writer json;
    dio_str_init(&line, run->ctx);
    dio_json_begin(&json, &line, 0);
    dio_json_map(&json, NULL);
    dio_json_text(&json, "phase", record->phase == DIO_PHASE_REFIT ? "refit" : "search");
    dio_json_u64(&json, "epoch", record->epoch);
    dio_json_u64(&json, "steps", record->steps);
    dio_json_u64(&json, "pictures", record->pictures);
    dio_json_double(&json, "lr", record->lr);
    dio_json_double(&json, "train_loss", record->train_loss);
    dio_json_double(&json, "train_accuracy", record->train_accuracy);
    dio_json_double(&json, "val_loss", record->val_loss);
    dio_json_double(&json, "val_accuracy", record->val_accuracy);
    dio_json_double(&json, "val_balanced_accuracy", record->val_balanced);
    dio_json_double(&json, "val_auroc", record->val_auroc);
    dio_json_end_map(&json);
    dio_str_add(&line, "\n");
    dio_status status = dio_str_status(&line);
    if (status == DIO_OK) status = dio_stream_put(&run->metrics, line.data, line.length);
    dio_str_free(&line);
    return status;
}

void dio_run_release(struct dio_run *run)
{
    struct dio_ctx *ctx = run->ctx;
    if (run->logging) {
        ctx->on_message = run->outer_message;
        ctx->message_arg = run->outer_arg;
    }
    if (run->log.fd >= 0) (void)dio_stream_close(&run->log);
    if (run->metrics.fd >= 0) (void)dio_stream_close(&run->metrics);
    for (size_t i = 0; i < run->n_warnings; i++) dio_free(ctx, run->warnings[i]);
    /* The process number in it is of no use any more, and equal runs have equal files. */
    if (run->lock >= 0 && ftruncate(run->lock, 0) == 0) errno = 0;
    if (run->lock >= 0) dio_unlock(run->lock);
    run->lock = -1;
}

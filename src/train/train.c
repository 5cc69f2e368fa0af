#include "train/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/threads.h"
#include "train/run.h"

void dio_train_result_free(struct dio_ctx *ctx, struct dio_train_result *result)
{
    dio_free(ctx, result->run);
    dio_free(ctx, result->model);
    result->run = result->model = NULL;
}

/* ---- checkpoints ---- */

/* The program and its arithmetic: another one gives other bits (row R6). */
static void describe_program(const struct dio_ctx *ctx, char *out, size_t room)
{
    snprintf(out, room, "Diopter %s with %s kernels", DIOPTER_VERSION, ctx->kernels ? dio_isa_name(ctx->kernels->level) : "no");
}

static dio_status write_checkpoint(struct dio_run *run, const char *name)
{
    struct dio_loop *loop = &run->loop;
    char program[128];
    describe_program(run->ctx, program, sizeof program);
    struct dio_checkpoint checkpoint = {
        .position = loop->position, .records = loop->records, .n_records = loop->n_records, .program = program,
        .model = run->model_text, .classes = run->class_text.data, .recipe = run->recipe.data,
        .data = run->data, .frozen = run->frozen, .class_list = run->class_list,
    };
    checkpoint.bad = dio_features_bad(run->features, &checkpoint.n_bad);
    char *folder = dio_run_path(run, "checkpoints");
    if (!folder) return DIO_ERR_ENV;
    dio_status status = dio_checkpoint_write(run->ctx, folder, name, &checkpoint, loop->graph, &loop->best, &loop->optimizer);
    dio_free(run->ctx, folder);
    return status;
}

/* The loop's hook: an epoch has ended, or the run is being stopped. */
static dio_status save(void *arg, const struct dio_epoch_record *record)
{
    struct dio_run *run = arg;
    DIO_PASS(write_checkpoint(run, NULL));
    if (!record) return DIO_OK;
    DIO_PASS(dio_run_put_metrics(run, record));
    char validation[96] = "";
    if (!isnan(record->val_loss)) {
        (void)snprintf(validation, sizeof validation, ", validation loss %.4f accuracy %.4f", record->val_loss, record->val_accuracy);
    }
    dio_run_log(run, "%s epoch %u: lr %.4g, training loss %.4f accuracy %.4f%s",
                record->phase == DIO_PHASE_REFIT ? "refit" : "search", record->epoch, record->lr, record->train_loss,
                record->train_accuracy, validation);
    return DIO_OK;
}

/* ---- the run ---- */

/* Settings of the recipe that the command line changed (row A10), in the log alone. */
static void log_overridden(struct dio_run *run)
{
    const struct dio_train_options *options = run->options;
    for (size_t i = 0; i < dio_option_count(); i++) {
        if (options->origin[i] != DIO_FROM_COMMAND || options->line[i] == 0) continue;
        dio_run_log(run, "%s: the command line takes the place of line %u of %s", dio_option_at(i)->name, options->line[i],
                    options->recipe);
    }
}

static void say_start(struct dio_run *run)
{
    struct dio_ctx *ctx = run->ctx;
    const struct dio_model *model = run->model;
    dio_loaded_say(ctx, &run->loaded);
    if (run->new_head && run->loaded_classes > 0) {
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, NULL, "new head: %lld classes in place of %" PRIu64, (long long)model->n_classes,
                run->loaded_classes);
    } else if (run->new_head) {
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, NULL, "new head: %lld classes, on a backbone that had none", (long long)model->n_classes);
    }
    if (run->loaded.scratch && run->n_receipt > 0) {
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, NULL, "what is frozen has random weights, which nothing has trained: %s is a network from scratch",
                run->options->model);
    }
    dio_say(ctx, DIO_LEVEL_NOTE, NULL, NULL, "%s", dio_features_words(run->features));
    bool views = run->options->views == 1 && dio_features_fixed(run->features);
    if (views && dio_augment_any(&run->options->augment)) {
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, NULL, "random views are not used with one cached view; --views K keeps K of them");
    }
    if (strcmp(run->options->bn, "stats") == 0 && !dio_features_fixed(run->features)) {
        dio_say(ctx, DIO_LEVEL_NOTE, NULL, NULL, "--bn stats: statistics of frozen batch norms move, so what follows the first of "
                "them cannot be cached");
    }
    dio_run_log_place(run);
    dio_run_log(run, "run %s: model %s, data %s, %d threads", run->folder, run->options->model,
                run->options->data ? run->options->data : run->options->train, dio_team_size(ctx->team));
    log_overridden(run);
}

static const struct dio_epoch_record *best_record(const struct dio_loop *loop)
{
    for (size_t i = 0; i < loop->n_records; i++) {
        const struct dio_epoch_record *record = &loop->records[i];
        if (record->phase == DIO_PHASE_SEARCH && record->epoch == loop->position.best_epoch) return record;
    }
    return NULL;
}

/* From the first weights again, on all training pictures, for as long as the best epoch took. */
static dio_status begin_refit(struct dio_run *run)
{
    struct dio_loop *loop = &run->loop;
    struct dio_train_position *position = &loop->position;
    position->phase = DIO_PHASE_REFIT;
    position->refit_epochs = position->best_epoch;
    position->epoch = position->step = position->pictures = position->hits = position->optimizer_t = 0;
    position->loss_sum = 0;
    dio_snapshot_restore(loop->graph, &loop->initial);
    memset(loop->optimizer.block, 0, loop->optimizer.block_floats * sizeof(float));
    loop->optimizer.t = 0;
    return DIO_OK;
}

static dio_status search_and_refit(struct dio_run *run)
{
    struct dio_loop *loop = &run->loop;
    bool refit = run->head_only && run->n_val > 0 && dio_dataset_val_was_cut(run->dataset) && !run->options->no_refit;
    if (loop->position.phase == DIO_PHASE_SEARCH) {
        DIO_PASS(dio_loop_run(loop, run->train, run->n_train, run->options->epochs));
        DIO_PASS(write_checkpoint(run, "search")); /* a run may be lengthened from here */
        if (refit) DIO_PASS(begin_refit(run));
    }
    if (loop->position.phase == DIO_PHASE_REFIT) {
        dio_run_weigh_classes(run, run->all, run->n_all);
        return dio_loop_run(loop, run->all, run->n_all, (int64_t)loop->position.refit_epochs);
    }
    dio_snapshot_restore(loop->graph, &loop->best);
    return DIO_OK;
}

static void fill_result(const struct dio_run *run, struct dio_train_result *result)
{
    const struct dio_loop *loop = &run->loop;
    const struct dio_epoch_record *best = best_record(loop);
    size_t bad = 0;
    if (run->features) (void)dio_features_bad(run->features, &bad);
    result->n_bad = bad;
    result->n_train = run->n_train;
    result->n_val = run->n_val;
    result->best_epoch = (int64_t)loop->position.best_epoch;
    result->early_stopped = loop->position.early_stopped;
    result->refitted = loop->position.refit_epochs > 0;
    result->stopped_epoch = (int64_t)loop->position.epoch + 1;
    result->stopped_step = (int64_t)loop->position.step;
    for (size_t i = 0; i < loop->n_records; i++) result->epochs += loop->records[i].phase == DIO_PHASE_SEARCH;
    if (!best) return;
    result->val_loss = best->val_loss;
    result->val_accuracy = best->val_accuracy;
    result->train_loss = best->train_loss;
}

/* Everything from a claimed folder and a made loop on. */
static dio_status work(struct dio_run *run)
{
    struct dio_loop *loop = &run->loop;
    loop->save = save;
    loop->save_arg = run;
    say_start(run);
    DIO_PASS(dio_run_write(run, "recipe.yaml", &run->recipe));
    if (loop->position.steps == 0) DIO_PASS(write_checkpoint(run, NULL));
    run->resumable = true;
    DIO_PASS(dio_run_cover(run));
    DIO_PASS(dio_run_warn_crop(run));
    DIO_PASS(search_and_refit(run));
    DIO_PASS(dio_bad_finish(&run->bad, run->ctx, run->n_train + run->n_val + run->n_test));
    DIO_PASS(dio_run_finish(run, best_record(loop)));
    loop->position.phase = DIO_PHASE_DONE;
    DIO_PASS(write_checkpoint(run, NULL));
    dio_run_log(run, "done");
    return DIO_OK;
}

static void close_run(struct dio_run *run)
{
    struct dio_ctx *ctx = run->ctx;
    dio_run_release(run);
    if (run->loop_made) {
        dio_optimizer_end(ctx, &run->loop.optimizer);
        dio_snapshot_free(ctx, &run->loop.initial);
        dio_snapshot_free(ctx, &run->loop.best);
        if (run->loop.graph) dio_graph_free(run->loop.graph);
        dio_free(ctx, run->loop.records);
    }
    dio_features_close(run->features);
    dio_prepare_free(ctx, &run->prepare);
    dio_run_release_machine(run);
    dio_loaded_free(ctx, &run->loaded);
    dio_dataset_free(run->dataset);
    dio_free(ctx, run->train);
    dio_free(ctx, run->val);
    dio_free(ctx, run->test);
    dio_free(ctx, run->all);
    dio_free(ctx, run->class_weights);
    dio_free(ctx, run->class_counts);
    dio_free(ctx, run->receipt);
    dio_free(ctx, run->model_text);
    dio_str_free(&run->recipe);
    dio_str_free(&run->class_text);
    dio_free(ctx, run->folder);
    pthread_mutex_destroy(&run->lock_messages);
}

static void open_run(struct dio_ctx *ctx, struct dio_train_options *options, struct dio_run *run)
{
    *run = (struct dio_run){.ctx = ctx, .options = options, .lock = -1, .log = {.fd = -1}, .metrics = {.fd = -1}};
    dio_str_init(&run->recipe, ctx);
    dio_str_init(&run->class_text, ctx);
    pthread_mutex_init(&run->lock_messages, NULL);
}

static dio_status end_run(struct dio_run *run, dio_status status, struct dio_train_result *result)
{
    struct dio_ctx *ctx = run->ctx;
    if (run->loop_made) fill_result(run, result);
    bool nothing_kept = status == DIO_CANCELLED && !run->resumable;
    result->run = run->folder && !nothing_kept ? dio_strdup(ctx, run->folder) : NULL;
    result->model = run->folder ? dio_run_path(run, "model.safetensors") : NULL;
    bool refused = status != DIO_OK && (status != DIO_CANCELLED || !run->resumable);
    if (refused && run->fresh && run->claimed && run->loop.position.steps == 0) {
        dio_run_leave_nothing(run);
        dio_free(ctx, result->run);
        result->run = NULL;
    } else if (status == DIO_CANCELLED && run->resumable) {
        dio_run_log(run, "interrupted at epoch %lld step %lld; resume with --resume %s", (long long)result->stopped_epoch,
                    (long long)result->stopped_step, run->folder);
    } else if (status != DIO_OK) {
        char text[1600];
        dio_message_format(&ctx->error, text, sizeof text);
        dio_run_log(run, "stopped: %s", text);
    }
    close_run(run);
    return status;
}

static void clear_result(struct dio_train_result *result)
{
    *result = (struct dio_train_result){.val_loss = NAN, .val_accuracy = NAN, .train_loss = NAN};
}

dio_status dio_train_run(struct dio_ctx *ctx, struct dio_train_options *options, struct dio_train_result *result)
{
    dio_status status;
    struct dio_run run;
    clear_result(result);
    open_run(ctx, options, &run);
    run.fresh = true;
    DIO_TRY(dio_train_options_check(ctx, options));
    DIO_TRY(dio_run_choose_machine(&run));
    DIO_TRY(dio_run_check_folder(&run, false));
    DIO_TRY(dio_run_open_data(&run));
    DIO_TRY(dio_run_open_model(&run));
    DIO_TRY(dio_run_check_inputs(&run));
    DIO_TRY(dio_run_claim(&run, false));
    DIO_TRY(dio_run_make_loop(&run));
    DIO_TRY(dio_recipe_write(ctx, options, run.folder, &run.recipe));
    DIO_TRY(dio_run_open_logs(&run, false));
    DIO_TRY(work(&run));
fail:
    return end_run(&run, status, result);
}

/* ---- going on ---- */

/* The run's own recipe under what was given beside --resume; differences are refused (row R4). */
static dio_status read_recipe(struct dio_run *run, int64_t *old_epochs)
{
    dio_status status;
    struct dio_ctx *ctx = run->ctx;
    struct dio_train_options before;
    struct dio_str differences;
    char *file = dio_run_path(run, "recipe.yaml");
    dio_str_init(&differences, ctx);
    status = dio_train_options_init(ctx, &before);
    if (status == DIO_OK) status = file ? DIO_OK : DIO_ERR_ENV;
    if (status == DIO_OK) status = dio_recipe_read(ctx, file, &before);
    if (status == DIO_OK) status = dio_recipe_read(ctx, file, run->options);
    *old_epochs = before.epochs;
    if (status == DIO_OK && !run->options->new_recipe && dio_recipe_differences(&before, run->options, &differences) > 0) {
        status = dio_fail(ctx, DIO_ERR_INPUT, "R4", &(struct dio_place){.file = run->folder, .hint = "--new-recipe goes on all the same"},
                          "%s", differences.data ? differences.data : "");
    }
    dio_str_free(&differences);
    dio_train_options_free(&before);
    dio_free(ctx, file);
    return status;
}

/* ".." in front takes a folder off the name: the folder itself may be gone. */
static char *join_by_name(struct dio_ctx *ctx, const char *folder, const char *path)
{
    size_t length = strlen(folder);
    for (; strncmp(path, "../", 3) == 0 && length > 0; path += 3) {
        while (length > 0 && folder[length - 1] != '/') length--;
        if (length > 0) length--;
    }
    return dio_sprintf(ctx, "%.*s/%s", (int)length, folder, path);
}

/* Paths of the recipe are relative to the run; where the run was moved, they still hold from where it was. */
static dio_status find_paths(struct dio_run *run)
{
    struct dio_ctx *ctx = run->ctx;
    struct dio_train_options *options = run->options;
    dio_status status = DIO_OK;
    char *before = dio_run_logged_place(run);
    char *folder = options->recipe ? dio_path_parent(ctx, options->recipe) : NULL;
    size_t skip = !folder || strcmp(folder, ".") == 0 ? 0 : strlen(folder) + 1;
    for (size_t i = 0; i < dio_option_count() && status == DIO_OK; i++) {
        const struct dio_option *option = dio_option_at(i);
        if (!(option->flags & (DIO_OPTION_PATH | DIO_OPTION_MODEL)) || options->origin[i] != DIO_FROM_RECIPE) continue;
        const char **value = (const char **)(void *)((char *)options + option->offset);
        bool named = *value && (option->flags & DIO_OPTION_MODEL) && strncmp(*value, "arch:", 5) == 0;
        if (!*value || named || dio_path_exists(*value)) continue;
        char *there = before && strlen(*value) > skip ? join_by_name(ctx, before, *value + skip) : NULL;
        if (there && dio_path_exists(there)) {
            *value = dio_arena_strndup(&options->arena, there, strlen(there));
            if (!*value) status = DIO_ERR_ENV;
        } else {
            char shown[420], hint[160];
            dio_escape(shown, sizeof shown, *value, strlen(*value), 200);
            (void)snprintf(hint, sizeof hint, "say where it is now: --resume %.80s --%s PATH", dio_path_base(run->folder), option->name);
            status = dio_fail(ctx, DIO_ERR_ENV, "R1", &(struct dio_place){.file = run->folder, .hint = hint},
                              "its %s is not where it was: %s", option->name, shown);
        }
        dio_free(ctx, there);
    }
    dio_free(ctx, before);
    dio_free(ctx, folder);
    return status;
}

/* Is it the same data, model and frozen part (rows R3, R5)? */
static dio_status compare(struct dio_run *run, const struct dio_checkpoint_file *file)
{
    struct dio_ctx *ctx = run->ctx;
    const struct dio_checkpoint *head = &file->head;
    struct dio_place place = {.file = file->path};
    if (memcmp(&head->class_list, &run->class_list, sizeof head->class_list) != 0) {
        return dio_fail(ctx, DIO_ERR_INPUT, "R3", &place, "trained on classes %s; the data has %s", head->classes, run->class_text.data);
    }
    if (memcmp(&head->data, &run->data, sizeof head->data) != 0 && !run->options->new_data) {
        place.hint = "--new-data goes on all the same";
        return dio_fail(ctx, DIO_ERR_INPUT, "R3", &place, "the pictures are not those that the run began with");
    }
    if (strcmp(head->model, run->model_text) != 0) {
        return dio_fail(ctx, DIO_ERR_INPUT, "R5", &place, "belongs to %s; the model is %s", head->model, run->model_text);
    }
    if (memcmp(&head->frozen, &run->frozen, sizeof head->frozen) != 0) {
        return dio_fail(ctx, DIO_ERR_INPUT, "R5", &place, "the frozen weights are not those that the run began with");
    }
    return DIO_OK;
}

static dio_status take_over(struct dio_run *run, const struct dio_checkpoint_file *file)
{
    struct dio_loop *loop = &run->loop;
    bool weights_only = run->options->weights_only;
    DIO_PASS(compare(run, file));
    DIO_PASS(dio_checkpoint_load(run->ctx, file, loop->graph, &loop->best, &loop->optimizer, weights_only));
    if (weights_only) {
        dio_snapshot_update(loop->graph, &loop->best);
        return DIO_OK; /* from epoch 1 on, with these weights */
    }
    char program[128];
    describe_program(run->ctx, program, sizeof program);
    if (strcmp(program, file->head.program) != 0) {
        dio_say(run->ctx, DIO_LEVEL_NOTE, "R6", &(struct dio_place){.file = run->folder},
                "begun by %s, goes on with %s: not to the same bits as without the break", file->head.program, program);
    }
    loop->position = file->head.position;
    void *records = NULL;
    DIO_PASS(dio_grow(run->ctx, &records, &loop->records_capacity, file->head.n_records, sizeof *loop->records, "epoch records"));
    loop->records = records;
    if (file->head.n_records > 0) memcpy(loop->records, file->records, file->head.n_records * sizeof *loop->records);
    loop->n_records = file->head.n_records;
    /* Items of other data have other numbers. */
    if (memcmp(&file->head.data, &run->data, sizeof run->data) != 0) return DIO_OK;
    dio_bad_known(&run->bad, file->head.n_bad);
    return dio_features_known_bad(run->features, file->bad, file->head.n_bad);
}

/* The checkpoint to go on from; of a run that is done, the end of its search, if there are more epochs to come. */
static dio_status open_checkpoint(struct dio_run *run, int64_t old_epochs, struct dio_checkpoint_file *file, bool *complete)
{
    struct dio_ctx *ctx = run->ctx;
    char *folder = dio_run_path(run, "checkpoints"), *search = dio_run_path(run, "checkpoints/search");
    dio_status status = folder && search ? dio_checkpoint_open(ctx, folder, file) : DIO_ERR_ENV;
    bool searched = status == DIO_OK && file->head.position.phase != DIO_PHASE_SEARCH;
    *complete = false;
    if (searched && run->options->epochs > old_epochs && !run->options->weights_only) {
        dio_checkpoint_close(ctx, file);
        status = dio_checkpoint_open_at(ctx, search, file);
    } else if (searched && file->head.position.phase == DIO_PHASE_DONE && !run->options->weights_only) {
        *complete = true;
    }
    dio_free(ctx, folder);
    dio_free(ctx, search);
    return status;
}

static dio_status resume(struct dio_run *run, struct dio_train_result *result)
{
    dio_status status;
    struct dio_ctx *ctx = run->ctx;
    struct dio_checkpoint_file file = {.blob = {.fd = -1}};
    int64_t old_epochs = 0;
    DIO_TRY(dio_run_check_folder(run, true));
    DIO_TRY(read_recipe(run, &old_epochs));
    DIO_TRY(dio_run_claim(run, true));
    DIO_TRY(open_checkpoint(run, old_epochs, &file, &result->already_complete));
    run->resumable = true;
    if (result->already_complete) {
        result->epochs = old_epochs;
        goto fail;
    }
    DIO_TRY(dio_train_options_check(ctx, run->options));
    DIO_TRY(dio_run_choose_machine(run));
    DIO_TRY(find_paths(run));
    DIO_TRY(dio_run_open_data(run));
    DIO_TRY(dio_run_open_model(run));
    DIO_TRY(dio_run_make_loop(run));
    DIO_TRY(take_over(run, &file));
    dio_checkpoint_close(ctx, &file);
    DIO_TRY(dio_recipe_write(ctx, run->options, run->folder, &run->recipe));
    DIO_TRY(dio_run_open_logs(run, true));
    DIO_TRY(work(run));
fail:
    dio_checkpoint_close(ctx, &file);
    return status;
}

dio_status dio_train_resume(struct dio_ctx *ctx, const char *folder, struct dio_train_options *options,
                            struct dio_train_result *result)
{
    struct dio_run run;
    clear_result(result);
    open_run(ctx, options, &run);
    run.folder = dio_strdup(ctx, folder ? folder : options->output ? options->output : ".");
    dio_status status = run.folder ? resume(&run, result) : DIO_ERR_ENV;
    return end_run(&run, status, result);
}

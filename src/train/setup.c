#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/run.h"

/* ---- data ---- */

static dio_status merge(struct dio_run *run)
{
    run->n_all = run->n_train + run->n_val;
    run->all = dio_alloc_array(run->ctx, run->n_all, sizeof *run->all, "list of pictures");
    if (!run->all) return DIO_ERR_ENV;
    size_t t = 0, v = 0;
    for (size_t i = 0; i < run->n_all; i++) {
        bool train = v == run->n_val || (t < run->n_train && run->train[t] < run->val[v]);
        run->all[i] = train ? run->train[t++] : run->val[v++];
    }
    return DIO_OK;
}

static dio_status class_names(struct dio_run *run)
{
    dio_str_init(&run->class_text, run->ctx);
    for (size_t i = 0; i < dio_dataset_classes(run->dataset); i++) {
        dio_str_addf(&run->class_text, "%s%s", i ? ", " : "", dio_dataset_class(run->dataset, i));
    }
    return dio_str_status(&run->class_text);
}

/* Warnings of the data's layout, said before there is a log, stand in the report as well. */
static void keep_warning(void *arg, const struct dio_message *message)
{
    struct dio_run *run = arg;
    if (message->level == DIO_LEVEL_WARNING && run->n_warnings < DIO_RUN_WARNINGS) {
        struct dio_ctx quiet = dio_ctx_child(run->ctx);
        char *copy = dio_strdup(&quiet, message->text);
        if (copy) run->warnings[run->n_warnings++] = copy;
    }
    if (run->outer_message) run->outer_message(run->outer_arg, message);
}

static dio_status open_dataset(struct dio_run *run, const struct dio_dataset_options *layout)
{
    struct dio_ctx *ctx = run->ctx;
    const struct dio_train_options *options = run->options;
    run->outer_message = ctx->on_message;
    run->outer_arg = ctx->message_arg;
    ctx->on_message = keep_warning;
    ctx->message_arg = run;
    dio_status status = options->train ? dio_dataset_open_parts(ctx, options->train, options->val, NULL, layout, &run->dataset)
                                       : dio_dataset_open(ctx, options->data, layout, &run->dataset);
    ctx->on_message = run->outer_message;
    ctx->message_arg = run->outer_arg;
    return status;
}

dio_status dio_run_open_data(struct dio_run *run)
{
    const struct dio_train_options *options = run->options;
    struct dio_dataset_options layout = {.root = options->root, .columns = options->columns, .labels_wanted = true,
                                         .allow_empty = options->allow_empty, .allow_leak = options->allow_leak,
                                         .val_share = options->val_share, .seed = (uint64_t)options->seed};
    DIO_PASS(open_dataset(run, &layout));
    bool splits = dio_dataset_has(run->dataset, DIO_SPLIT_TRAIN);
    DIO_PASS(dio_dataset_select(run->ctx, run->dataset, splits ? DIO_SPLIT_TRAIN : DIO_SPLIT_NONE, &run->train, &run->n_train));
    DIO_PASS(dio_dataset_select(run->ctx, run->dataset, DIO_SPLIT_VAL, &run->val, &run->n_val));
    DIO_PASS(dio_dataset_select(run->ctx, run->dataset, DIO_SPLIT_TEST, &run->test, &run->n_test));
    if (run->n_train == 0) {
        const char *name = options->data ? options->data : options->train;
        return dio_fail(run->ctx, DIO_ERR_INPUT, "D2", &(struct dio_place){.file = name}, "has no training pictures");
    }
    struct dio_sha256 hash;
    dio_sha256_init(&hash);
    dio_dataset_fingerprint(run->dataset, &hash);
    run->data = dio_sha256_end(&hash);
    dio_sha256_init(&hash);
    dio_dataset_classes_fingerprint(run->dataset, &hash);
    run->class_list = dio_sha256_end(&hash);
    DIO_PASS(class_names(run));
    return merge(run);
}

/* ---- model ---- */

static bool same_classes(const struct dio_run *run)
{
    const struct dio_model *model = run->model;
    if (model->logits < 0 || model->classes.count == 0 || model->classes.count != dio_dataset_classes(run->dataset)) return false;
    for (size_t i = 0; i < model->classes.count; i++) {
        if (strcmp(model->classes.names[i], dio_dataset_class(run->dataset, i)) != 0) return false;
    }
    return (int64_t)model->classes.count == model->n_classes;
}

static dio_status fit_head(struct dio_run *run)
{
    struct dio_ctx *ctx = run->ctx;
    struct dio_model *model = run->model;
    size_t count = dio_dataset_classes(run->dataset);
    run->loaded_classes = model->logits < 0 ? 0 : (uint64_t)model->n_classes;
    run->new_head = !same_classes(run) && !(run->loaded.scratch && model->n_classes == (int64_t)count);
    if (run->new_head) DIO_PASS(dio_arch_new_head(model, (int64_t)count, (uint64_t)run->options->seed));
    const char **names = dio_alloc_array(ctx, count, sizeof *names, "class names");
    if (!names) return DIO_ERR_ENV;
    for (size_t i = 0; i < count; i++) names[i] = dio_dataset_class(run->dataset, i);
    dio_status status = dio_model_set_classes(model, names, count);
    dio_free(ctx, names);
    return status;
}

static dio_status freeze(struct dio_run *run)
{
    const struct dio_train_options *options = run->options;
    const struct dio_graph *graph = run->model->graph;
    bool asked = options->origin[dio_option_find("freeze")] != DIO_FROM_DEFAULT;
    struct dio_freeze_policy policy = {.freeze = options->freeze, .train_only = options->train_only,
                                       .frozen_stats_move = strcmp(options->bn, "stats") == 0};
    const char *who = asked ? "freeze" : "train_only";
    if (!asked && options->train_only) {
        policy.freeze = "none";
        run->options->freeze = NULL; /* the resolved recipe says it once */
    }
    DIO_PASS(dio_recipe_blame(run->ctx, options, dio_model_freeze(run->model, &policy), who));
    bool any = false;
    run->head_only = true;
    for (int i = 0; i < graph->n_params; i++) {
        const struct dio_param *param = &graph->params[i];
        bool head = graph->nodes[param->node].stage == graph->n_stages - 1;
        bool learns = param->role == DIO_PARAM_TRAINED && param->trainable;
        any = any || learns;
        if (!head && param->trainable && param->role != DIO_PARAM_COUNTER) run->head_only = false;
    }
    if (!any) {
        dio_status status = dio_fail(run->ctx, DIO_ERR_USAGE, "A4", NULL, "nothing is left to learn; freeze less");
        return dio_recipe_blame(run->ctx, options, status, who);
    }
    return DIO_OK;
}

static dio_status take_receipt(struct dio_run *run)
{
    DIO_PASS(dio_model_receipt(run->model, &run->receipt, &run->n_receipt));
    struct dio_sha256 hash;
    dio_sha256_init(&hash);
    for (size_t i = 0; i < run->n_receipt; i++) {
        dio_sha256_add_text(&hash, run->receipt[i].name);
        dio_sha256_add(&hash, run->receipt[i].digest.bytes, sizeof run->receipt[i].digest.bytes);
    }
    run->frozen = dio_sha256_end(&hash);
    return DIO_OK;
}

static const char *keep(struct dio_train_options *options, const char *text)
{
    return dio_arena_strndup(&options->arena, text, strlen(text));
}

/* What settings left open becomes a number, by what learns and by the optimiser; preprocessing becomes the model's. */
static dio_status fill_in(struct dio_run *run)
{
    struct dio_train_options *options = run->options;
    const struct dio_optimizer *optimizer = dio_optimizer_find(options->optimizer);
    const struct dio_image_recipe *recipe = &run->model->recipe;
    bool scratch = run->loaded.scratch, head = run->head_only;
    if (options->epochs == DIO_UNSET_INT) options->epochs = head || scratch ? 60 : 20;
    if (isnan(options->lr)) options->lr = scratch ? optimizer->lr_scratch : head ? optimizer->lr_head : optimizer->lr_rest;
    if (isnan(options->weight_decay)) options->weight_decay = head ? optimizer->weight_decay_head : optimizer->weight_decay;
    if (options->resize == DIO_UNSET_INT && recipe->resize_height > 0 && recipe->resize_height == recipe->resize_width) {
        options->resize = recipe->resize_height;
    }
    if (options->crop == DIO_UNSET_INT && recipe->height == recipe->width) options->crop = recipe->height;
    if (options->crop != DIO_UNSET_INT) options->image_size = DIO_UNSET_INT; /* resize and crop say it now */
    if (!options->fit) options->fit = keep(options, dio_fit_name(recipe->fit));
    if (!options->interpolation) options->interpolation = keep(options, dio_interpolation_name(recipe->interpolation));
    if (!options->exif) options->exif = keep(options, recipe->ignore_exif ? "ignore" : "apply");
    if (!options->decode && recipe->fast_decode) options->decode = "fast";
    if (options->pillow == DIO_UNSET_INT) options->pillow = (int64_t)recipe->pillow;
    for (int c = 0; c < recipe->channels; c++) { /* what was given is in the model's recipe already */
        options->mean.values[c] = recipe->mean[c];
        options->std.values[c] = recipe->std[c];
    }
    options->mean.count = options->std.count = recipe->channels;
    return options->fit && options->interpolation && options->exif ? DIO_OK : DIO_ERR_ENV;
}

/* Facts that the model was stored with are those of the one it is tuned from. */
static dio_status inherit(struct dio_run *run)
{
    struct dio_model *model = run->model;
    if (run->loaded.scratch) return DIO_OK;
    DIO_PASS(dio_loaded_hash(&run->loaded));
    const char *known = dio_model_fact(model, "source_sha256");
    if (known && strcmp(known, run->loaded.sha256) == 0) return DIO_OK; /* of this very file: foreign weights */
    DIO_PASS(dio_model_prefix_facts(model, "base_"));
    DIO_PASS(dio_model_add_fact(model, "source", dio_path_base(run->options->model)));
    return run->loaded.sha256[0] ? dio_model_add_fact(model, "source_sha256", run->loaded.sha256) : DIO_OK;
}

dio_status dio_run_open_model(struct dio_run *run)
{
    struct dio_ctx *ctx = run->ctx;
    struct dio_train_options *options = run->options;
    struct dio_load_options load = dio_train_load_options(options);
    dio_status loaded = dio_model_load(ctx, options->model, &load, &run->loaded);
    DIO_PASS(dio_recipe_blame(ctx, options, loaded, options->arch ? "arch" : "model"));
    DIO_PASS(dio_loaded_need_model(ctx, &run->loaded));
    run->model = run->loaded.model;
    DIO_PASS(inherit(run));
    if (run->loaded.nonfinite_tensors > 0 && !options->allow_nonfinite) {
        return dio_fail(ctx, DIO_ERR_INPUT, "S18", &(struct dio_place){.file = options->model, .hint = "--allow-nonfinite trains all the same"},
                        "%llu tensors hold NaN or infinity", (unsigned long long)run->loaded.nonfinite_tensors);
    }
    if (run->loaded.scratch && options->origin[dio_option_find("freeze")] == DIO_FROM_DEFAULT) options->freeze = "none";
    DIO_PASS(fit_head(run));
    if (strcmp(options->select, "auroc") == 0 && run->model->n_classes != 2) {
        return dio_fail(ctx, options->recipe ? DIO_ERR_INPUT : DIO_ERR_USAGE, options->recipe ? "Y4" : "A4",
                        &(struct dio_place){.file = options->recipe}, "select auroc is for two classes; the data has %lld",
                        (long long)run->model->n_classes);
    }
    DIO_PASS(freeze(run));
    DIO_PASS(take_receipt(run));
    DIO_PASS(fill_in(run));
    run->model_text = dio_sprintf(ctx, "%s %s %s classes=%lld", run->model->family ? run->model->family : "graph",
                                  run->model->variant ? run->model->variant : "-",
                                  run->model->options ? run->model->options : "", (long long)run->model->n_classes);
    if (!run->model_text) return DIO_ERR_ENV;
    DIO_PASS(dio_augment_check(ctx, &(struct dio_place){.file = options->recipe}, &options->augment, &run->model->recipe));
    return dio_prepare_init(ctx, &run->model->recipe, &run->prepare);
}

/* ---- loop ---- */

void dio_run_weigh_classes(struct dio_run *run, const uint32_t *items, size_t count)
{
    size_t classes = dio_dataset_classes(run->dataset);
    if (!run->class_weights) return;
    memset(run->class_counts, 0, classes * sizeof *run->class_counts);
    for (size_t i = 0; i < count; i++) run->class_counts[dio_dataset_item(run->dataset, items[i])->label]++;
    for (size_t k = 0; k < classes; k++) {
        double of_class = run->class_counts[k] ? (double)run->class_counts[k] : 1;
        run->class_weights[k] = (float)((double)count / ((double)classes * of_class));
    }
}

static dio_status weigh_classes(struct dio_run *run)
{
    size_t classes = dio_dataset_classes(run->dataset);
    struct dio_graph *graph = run->loop.graph;
    int param = dio_graph_find_param(graph, "loss.class_weight");
    if (param < 0) return DIO_OK;
    run->class_counts = dio_alloc_array(run->ctx, classes, sizeof *run->class_counts, "class counts");
    run->class_weights = dio_alloc_array(run->ctx, classes, sizeof *run->class_weights, "class weights");
    if (!run->class_counts || !run->class_weights) return DIO_ERR_ENV;
    graph->params[param].data = run->class_weights;
    graph->params[param].trainable = false;
    dio_run_weigh_classes(run, run->train, run->n_train);
    return DIO_OK;
}

static dio_status add_loss(struct dio_run *run)
{
    struct dio_loop *loop = &run->loop;
    struct dio_shape batch = dio_shape_1(0);
    char smoothing[40];
    DIO_PASS(dio_graph_clone(run->model->graph, &loop->graph));
    dio_format_double(smoothing, sizeof smoothing, run->options->label_smoothing);
    loop->logits = run->model->logits;
    loop->labels = dio_graph_input(loop->graph, "labels", DIO_I32, &batch);
    loop->loss = dio_node2(loop->graph, "softmax_cross_entropy", "loss", loop->logits, loop->labels,
                           "smoothing=%s class_weights=%d", smoothing, strcmp(run->options->class_weights, "balanced") == 0);
    DIO_PASS(loop->graph->status);
    return weigh_classes(run);
}

static enum dio_select select_by(const struct dio_run *run)
{
    static const char *const names[] = {"loss", "accuracy", "balanced_accuracy", "auroc", "last"};
    if (run->n_val == 0) return DIO_SELECT_LAST;
    for (int i = 0; i < 5; i++) {
        if (strcmp(run->options->select, names[i]) == 0) return (enum dio_select)i;
    }
    return DIO_SELECT_LOSS;
}

static dio_status make_features(struct dio_run *run)
{
    const struct dio_train_options *options = run->options;
    char *folder = options->cache ? dio_strdup(run->ctx, options->cache) : dio_run_path(run, "cache");
    struct dio_features_options features = {
        .graph = run->model->graph,
        .dataset = run->dataset,
        .prepare = &run->prepare,
        .augment = &options->augment,
        .decode = {.ignore_exif = run->model->recipe.ignore_exif, .allow_damaged = options->allow_damaged},
        .seed = (uint64_t)options->seed,
        .views = options->views,
        .batch = options->batch_size,
        .folder = folder,
        .limit = (uint64_t)(options->cache_limit * 1e9),
        .no_cache = options->no_cache,
        .exact = options->exact,
        .memory_limit = run->ctx->cpu.memory_limit,
    };
    dio_status status = folder ? dio_features_open(run->ctx, &features, &run->features) : DIO_ERR_ENV;
    dio_free(run->ctx, folder);
    return status;
}

dio_status dio_run_make_loop(struct dio_run *run)
{
    struct dio_ctx *ctx = run->ctx;
    const struct dio_train_options *options = run->options;
    struct dio_loop *loop = &run->loop;
    struct dio_optimizer_settings settings = {.momentum = options->momentum, .weight_decay = options->weight_decay,
                                              .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .nesterov = options->nesterov,
                                              .decay_1d = options->decay_1d};
    *loop = (struct dio_loop){.ctx = ctx, .options = options, .n_classes = run->model->n_classes, .bad = &run->bad,
                              .train = run->train, .n_train = run->n_train, .val = run->val, .n_val = run->n_val,
                              .select = select_by(run)};
    run->loop_made = true;
    dio_bad_init(&run->bad, &(struct dio_bad_options){.stop = strcmp(options->bad, "stop") == 0,
                                                      .max_share = options->max_bad,
                                                      .total = run->n_train + run->n_val + run->n_test});
    DIO_PASS(add_loss(run));
    DIO_PASS(make_features(run));
    loop->features = run->features;
    dio_loop_choose_threads(loop);
    DIO_PASS(dio_optimizer_start(ctx, dio_optimizer_find(options->optimizer), &settings, loop->graph, &loop->optimizer));
    DIO_PASS(dio_snapshot_take(ctx, loop->graph, &loop->initial));
    return dio_snapshot_take(ctx, loop->graph, &loop->best);
}

dio_status dio_run_cover(struct dio_run *run)
{
    bool refit = run->head_only && run->n_val > 0 && dio_dataset_val_was_cut(run->dataset) && !run->options->no_refit;
    const uint32_t *learn = refit ? run->all : run->train;
    size_t n_learn = refit ? run->n_all : run->n_train;
    DIO_PASS(dio_features_cover(run->features, learn, n_learn, true, &run->bad));
    DIO_PASS(dio_features_cover(run->features, run->val, run->n_val, false, &run->bad));
    return dio_features_cover(run->features, run->test, run->n_test, false, &run->bad);
}

#include "format/load.h"
#include "base/memory.h"
#include "base/str.h"
#include "format/load_parts.h"
#include "format/metadata.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dio_load_options dio_load_options_default(void)
{
    return (struct dio_load_options){.stem_padding = -1};
}

/* ---- messages that wait ---- */

dio_status dio_loaded_message(struct dio_ctx *ctx, struct dio_loaded *loaded, enum dio_level level, const char *code,
                              const char *format, ...)
{
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    DIO_PASS(dio_grow(ctx, (void **)&loaded->messages, &loaded->messages_capacity, loaded->n_messages + 1,
                      sizeof *loaded->messages, "messages"));
    char *copy = dio_strdup(ctx, text);
    if (!copy) return DIO_ERR_ENV;
    loaded->messages[loaded->n_messages++] = (struct dio_load_message){level, code, copy};
    return DIO_OK;
}

void dio_loaded_say(struct dio_ctx *ctx, const struct dio_loaded *loaded)
{
    for (size_t i = 0; i < loaded->n_messages; i++) {
        const struct dio_load_message *message = &loaded->messages[i];
        dio_say(ctx, message->level, message->code, &(struct dio_place){.file = loaded->weights_path}, "%s", message->text);
    }
}

dio_status dio_loaded_need_model(struct dio_ctx *ctx, const struct dio_loaded *loaded)
{
    if (loaded->model) return DIO_OK;
    return dio_fail(ctx, DIO_ERR_INPUT, "J5", &(struct dio_place){.file = loaded->weights_path}, "unknown architecture: %s",
                    loaded->unknown ? loaded->unknown : "");
}

void dio_loaded_free(struct dio_ctx *ctx, struct dio_loaded *loaded)
{
    dio_model_free(loaded->model);
    if (loaded->has_weights) dio_weights_free(ctx, &loaded->weights);
    dio_free(ctx, loaded->unknown);
    dio_free(ctx, loaded->weights_path);
    dio_free(ctx, loaded->folder);
    dio_free(ctx, loaded->classes_file);
    for (size_t i = 0; i < loaded->n_messages; i++) dio_free(ctx, loaded->messages[i].text);
    dio_free(ctx, loaded->messages);
    *loaded = (struct dio_loaded){0};
}

/* ---- classes ---- */

static void free_classes(struct dio_ctx *ctx, struct dio_classes *classes)
{
    for (size_t i = 0; i < classes->count; i++) dio_free(ctx, classes->names[i]);
    dio_free(ctx, classes->names);
    *classes = (struct dio_classes){0};
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = *(const char *const *const *)a, *const *y = *(const char *const *const *)b;
    int order = strcmp(*x, *y);
    return order ? order : (x > y) - (x < y);
}

/* Line i + 1 has name i. */
static dio_status refuse_twins(struct dio_ctx *ctx, const char *path, const struct dio_classes *classes)
{
    char **const *first = NULL, **const *second = NULL;
    char ***sorted = dio_alloc_array(ctx, classes->count, sizeof *sorted, "class names");
    if (!sorted) return DIO_ERR_ENV;
    for (size_t i = 0; i < classes->count; i++) sorted[i] = &classes->names[i];
    if (classes->count > 0) qsort(sorted, classes->count, sizeof *sorted, by_text);
    for (size_t i = 1; i < classes->count; i++) {
        if (strcmp(*sorted[i - 1], *sorted[i]) == 0 && (!second || sorted[i] < *second)) first = &sorted[i - 1], second = &sorted[i];
    }
    dio_status status = DIO_OK;
    if (second) {
        char name[220];
        dio_escape(name, sizeof name, **second, strlen(**second), 80);
        struct dio_place place = {.file = path, .line = (uint32_t)(*second - classes->names) + 1};
        status = dio_fail(ctx, DIO_ERR_INPUT, "J7", &place, "class \"%s\" stands in line %zu already", name,
                          (size_t)(*first - classes->names) + 1);
    }
    dio_free(ctx, sorted);
    return status;
}

/* One name a line, UTF-8, empty lines at the end ignored; none twice. */
static dio_status read_classes(struct dio_ctx *ctx, const char *path, struct dio_classes *classes)
{
    *classes = (struct dio_classes){0};
    struct dio_metadata_texts texts;
    DIO_PASS(dio_texts_read_lines(ctx, path, &texts));
    dio_status status = DIO_OK;
    classes->names = dio_alloc_zeroed(ctx, texts.count, sizeof *classes->names, "class names");
    if (!classes->names) status = DIO_ERR_ENV;
    while (status == DIO_OK && classes->count < texts.count) {
        char *copy = dio_strdup(ctx, texts.values[classes->count]);
        if (copy) classes->names[classes->count++] = copy;
        else status = DIO_ERR_ENV;
    }
    dio_metadata_texts_free(&texts);
    if (status == DIO_OK) status = refuse_twins(ctx, path, classes);
    if (status != DIO_OK) free_classes(ctx, classes);
    return status;
}

/* ---- one load ---- */

struct loading {
    struct dio_ctx *ctx;
    const struct dio_load_options *options;
    struct dio_loaded *out;
    struct dio_origin_config config;
    bool has_config;
    struct dio_arch_answer answer;
};

static const char *meta(const struct loading *loading, const char *key)
{
    return dio_weights_meta(&loading->out->weights, key);
}

static bool own_file(const struct loading *loading) { return meta(loading, DIO_META_VERSION) != NULL; }

static dio_status resolve(struct loading *loading)
{
    struct dio_weights *weights = &loading->out->weights;
    struct dio_arch_question question = {
        .file = loading->out->weights_path,
        .option = loading->options->arch,
        .metadata = meta(loading, DIO_META_ARCHITECTURE),
        .config = loading->has_config ? loading->config.architecture : NULL,
        .config_path = loading->config.path,
    };
    question.tensors = dio_alloc_array(loading->ctx, weights->count + 1, sizeof *question.tensors, "names of tensors");
    if (!question.tensors) return DIO_ERR_ENV;
    for (size_t i = 0; i < weights->count; i++) {
        struct dio_named_shape *tensor = &question.tensors[question.count];
        tensor->name = weights->items[i].name;
        bool plain = strlen(tensor->name) == weights->items[i].name_length;
        if (plain && dio_weight_shape(&weights->items[i], &tensor->shape)) question.count++;
    }
    dio_status status = dio_arch_resolve(loading->ctx, &question, &loading->answer);
    dio_free(loading->ctx, question.tensors);
    return status;
}

/* The final recipe; the graph is built for its size. */
static dio_status make_recipe(struct loading *loading, const struct dio_arch_variant *variant, int64_t channels,
                              struct dio_image_recipe *recipe)
{
    struct dio_ctx *ctx = loading->ctx;
    struct dio_loaded *out = loading->out;
    if (variant) dio_arch_recipe(variant, channels, recipe);
    else *recipe = dio_image_recipe_imagenet(256, 224);
    out->assumed_recipe = true;
    const struct dio_recipe_override *over = &loading->options->recipe;
    const char *text = out->has_weights ? meta(loading, DIO_META_PREPROCESSING) : NULL;
    if (loading->has_config && !text) {
        bool said = false;
        DIO_PASS(dio_recipe_from_config(ctx, &loading->config, over, recipe, &said));
        out->assumed_recipe = !said;
        int mean = over->mean_count ? 0 : loading->config.mean_count, std = over->std_count ? 0 : loading->config.std_count;
        if (said && recipe->channels > 1 && (mean == 1 || std == 1)) {
            DIO_PASS(dio_loaded_message(ctx, out, DIO_LEVEL_NOTE, "", "%s in config.json has one number, taken for all %d channels",
                                        mean != 1 ? "std" : std != 1 ? "mean" : "each of mean and std", (int)recipe->channels));
        }
    }
    if (text) {
        DIO_PASS(dio_image_recipe_parse(ctx, out->weights_path, "metadata " DIO_META_PREPROCESSING, text, strlen(text), recipe));
        out->assumed_recipe = false;
    }
    if (variant && recipe->channels != channels) {
        return dio_fail(ctx, DIO_ERR_INPUT, "J8", &(struct dio_place){.file = out->weights_path},
                        "preprocessing is for %d channels, the weights are for %lld", (int)recipe->channels, (long long)channels);
    }
    DIO_PASS(dio_recipe_override_apply(ctx, over, recipe));
    return dio_image_recipe_check(ctx, &(struct dio_place){.file = out->weights_path}, recipe);
}

/* Options over metadata over config.json over the variant's own. */
static void settle_config(const struct loading *loading, struct dio_arch_config *config)
{
    const struct dio_load_options *options = loading->options;
    struct dio_arch_config own = dio_arch_config_default(config->variant);
    loading->answer.arch->defaults(loading->answer.match.variant, &own);
    if (loading->has_config) {
        if (!isnan(loading->config.bn_eps) && loading->config.bn_eps > 0 && own.bn_eps > 0) config->bn_eps = loading->config.bn_eps;
        if (loading->config.padding && own.pad_mode) {
            config->pad_mode = strcmp(loading->config.padding, "same") == 0 ? "same" : "torch";
        }
    }
    const char *stored = meta(loading, DIO_META_OPTIONS);
    if (stored && own_file(loading)) dio_arch_read_options(stored, config);
    if (options->bn_eps > 0) config->bn_eps = options->bn_eps;
    if (options->padding) config->pad_mode = options->padding;
    if (options->stem_padding >= 0) config->stem_padding = options->stem_padding;
}

static dio_status build_known(struct loading *loading)
{
    const struct dio_arch_match *match = &loading->answer.match;
    struct dio_arch_config config = dio_arch_config_default(match->variant->name);
    struct dio_image_recipe recipe;
    if (loading->has_config && !own_file(loading) && !loading->options->arch) {
        DIO_PASS(dio_config_describes(loading->ctx, &loading->config, loading->answer.arch, match->variant,
                                      loading->out->weights_path));
    }
    DIO_PASS(make_recipe(loading, match->variant, match->channels, &recipe));
    settle_config(loading, &config);
    config.naming = match->naming;
    config.classes = match->classes;
    config.channels = recipe.channels;
    config.height = recipe.height;
    config.width = recipe.width;
    DIO_PASS(dio_arch_model(loading->ctx, loading->answer.arch, match->variant, &config, &loading->out->model));
    loading->out->model->recipe = recipe;
    return DIO_OK;
}

/* One picture in, one list of numbers out, and no more parameters than the file has numbers. */
static dio_status check_stored(const struct loading *loading, const struct dio_graph *graph)
{
    struct dio_place place = {.file = loading->out->weights_path, .part = "metadata " DIO_META_GRAPH};
    const struct dio_weights *weights = &loading->out->weights;
    const struct dio_shape *in = graph->n_inputs == 1 ? &graph->values[graph->inputs[0]].type.shape : NULL;
    const struct dio_shape *out = graph->n_outputs == 1 ? &graph->values[graph->outputs[0]].type.shape : NULL;
    if (!in || in->rank != 4 || !out || out->rank != 2) {
        return dio_fail(loading->ctx, DIO_ERR_INPUT, "O9", &place, "the stored graph is not one from a picture to classes");
    }
    uint64_t wanted = 0, there = 0;
    for (size_t i = 0; i < weights->count; i++) there += weights->items[i].elements;
    for (int i = 0; i < graph->n_params; i++) {
        int64_t elements = dio_shape_elements(&graph->params[i].shape);
        if (elements >= 0 && (uint64_t)elements <= there) wanted += (uint64_t)elements;
        else wanted = there + 1;
        if (wanted > there) {
            return dio_fail(loading->ctx, DIO_ERR_INPUT, "J8", &place, "the stored graph wants more numbers than the file has");
        }
    }
    return DIO_OK;
}

/* A stored graph was built for one size. */
static dio_status recipe_of_stored(struct loading *loading)
{
    struct dio_model *model = loading->out->model;
    const struct dio_shape *in = &model->graph->values[model->graph->inputs[0]].type.shape;
    struct dio_image_recipe *recipe = &model->recipe;
    DIO_PASS(make_recipe(loading, NULL, 3, recipe));
    if (recipe->height == in->dims[1] && recipe->width == in->dims[2] && recipe->channels == in->dims[3]) return DIO_OK;
    return dio_fail(loading->ctx, DIO_ERR_INPUT, "J8", &(struct dio_place){.file = loading->out->weights_path},
                    "the stored graph takes pictures of %lld x %lld with %lld channels, the preprocessing gives %d x %d with %d",
                    (long long)in->dims[1], (long long)in->dims[2], (long long)in->dims[3], (int)recipe->height,
                    (int)recipe->width, (int)recipe->channels);
}

/* A graph stored in the file, for a model that no family describes. */
static dio_status build_stored(struct loading *loading, const char *text)
{
    struct dio_graph *graph = NULL;
    DIO_PASS(dio_graph_load(loading->ctx, text, strlen(text), &graph));
    dio_status status = check_stored(loading, graph);
    if (status != DIO_OK) {
        dio_graph_free(graph);
        return status;
    }
    DIO_PASS(dio_model_new(loading->ctx, graph, &loading->out->model));
    struct dio_model *model = loading->out->model;
    const char *features = meta(loading, DIO_META_FEATURES);
    model->features = features ? dio_graph_find_value(model->graph, features) : -1;
    int output = model->graph->outputs[0];
    if (output != model->features) {
        model->logits = output;
        model->n_classes = model->graph->values[output].type.shape.dims[1];
    }
    return recipe_of_stored(loading);
}

static dio_status wrong_class_count(struct loading *loading, const char *source, size_t count)
{
    return dio_fail(loading->ctx, DIO_ERR_INPUT, "J7", &(struct dio_place){.file = source},
                    "%zu class names, the model has %lld classes", count, (long long)loading->out->model->n_classes);
}

static dio_status set_classes(struct loading *loading, const char *source, const char *const *names, size_t count)
{
    if ((int64_t)count != loading->out->model->n_classes) return wrong_class_count(loading, source, count);
    return dio_model_set_classes(loading->out->model, names, count);
}

static dio_status load_classes(struct loading *loading)
{
    struct dio_ctx *ctx = loading->ctx;
    struct dio_loaded *out = loading->out;
    if (loading->options->classes_file) {
        struct dio_classes classes;
        DIO_PASS(read_classes(ctx, loading->options->classes_file, &classes));
        dio_status status = set_classes(loading, loading->options->classes_file, (const char *const *)classes.names, classes.count);
        free_classes(ctx, &classes);
        return status;
    }
    const char *text = meta(loading, DIO_META_CLASSES);
    if (text && own_file(loading)) {
        struct dio_metadata_texts texts;
        DIO_PASS(dio_texts_parse_list(ctx, out->weights_path, "metadata " DIO_META_CLASSES, text, &texts));
        dio_status status = set_classes(loading, out->weights_path, texts.values, texts.count);
        dio_metadata_texts_free(&texts);
        return status;
    }
    if (loading->has_config && loading->config.label_count > 0 && out->model->n_classes > 0) {
        return set_classes(loading, loading->config.path, loading->config.labels, loading->config.label_count);
    }
    return DIO_OK;
}

/* Where the numbers came from: kept through training and saving. */
static dio_status load_provenance(struct loading *loading)
{
    struct dio_model *model = loading->out->model;
    const char *text = meta(loading, DIO_META_PROVENANCE);
    if (text && own_file(loading)) {
        struct dio_metadata_texts texts;
        DIO_PASS(dio_texts_parse_map(loading->ctx, loading->out->weights_path, "metadata " DIO_META_PROVENANCE, text, &texts));
        dio_status status = DIO_OK;
        for (size_t i = 0; i < texts.count && status == DIO_OK; i++) {
            status = dio_model_add_fact(model, texts.keys[i], texts.values[i]);
        }
        dio_metadata_texts_free(&texts);
        return status;
    }
    DIO_PASS(dio_model_add_fact(model, "source", dio_path_base(loading->out->weights_path)));
    if (loading->has_config && loading->config.license) return dio_model_add_fact(model, "license", loading->config.license);
    return DIO_OK;
}

/* What a person should know of how the file was read. */
static dio_status say_assumptions(struct loading *loading)
{
    struct dio_ctx *ctx = loading->ctx;
    struct dio_loaded *out = loading->out;
    const struct dio_load_options *options = loading->options;
    if (!loading->answer.arch) return DIO_OK; /* a stored graph */
    const char *prefix = loading->answer.prefix;
    DIO_PASS(dio_loaded_message(ctx, out, DIO_LEVEL_NOTE, "", "%s%s%s%s", loading->answer.why, prefix[0] ? "; names begin with \"" : "",
                                prefix, prefix[0] ? "\"" : ""));
    bool settled = options->bn_eps > 0 || options->padding || options->stem_padding >= 0 || own_file(loading);
    if (loading->answer.match.assumed && !settled) {
        DIO_PASS(dio_loaded_message(ctx, out, DIO_LEVEL_NOTE, "", "assumed: %s", loading->answer.match.assumed));
    }
    if (out->assumed_recipe) {
        struct dio_str text;
        dio_str_init(&text, ctx);
        dio_image_recipe_describe(&text, &out->model->recipe);
        dio_status status = dio_str_status(&text);
        if (status == DIO_OK) {
            status = dio_loaded_message(ctx, out, DIO_LEVEL_NOTE, "", "preprocessing assumed (usual for %s): %s",
                                        out->model->variant, text.data);
        }
        dio_str_free(&text);
        DIO_PASS(status);
    }
    if (out->model->n_classes > 0) return DIO_OK;
    return dio_loaded_message(ctx, out, DIO_LEVEL_NOTE, "", "weights without a head: a backbone, to which train gives one");
}

/* A config.json whose count of classes is not the head's lies about these weights, or belongs to others. */
static dio_status check_config_classes(struct loading *loading)
{
    const struct dio_origin_config *config = &loading->config;
    long long told = loading->has_config ? (long long)config->num_classes : -1, there = (long long)loading->out->model->n_classes;
    if (own_file(loading) || told <= 0 || there <= 0 || told == there) return DIO_OK;
    return dio_fail(loading->ctx, DIO_ERR_INPUT, "J7", &(struct dio_place){.file = config->path},
                    "num_classes is %lld, the head in %s has %lld", told, loading->out->weights_path, there);
}

/* Of mapped files: they are read again where they are wanted. */
static void drop_pages(const struct dio_weights *weights)
{
    for (size_t i = 0; i < weights->source_count; i++) {
        const struct dio_blob *blob = &weights->blobs[i];
        if (blob->mapped) dio_drop_pages(blob->data, blob->size);
    }
}

static dio_status finish(struct loading *loading)
{
    struct dio_model *model = loading->out->model;
    const char *prefix = loading->answer.arch ? loading->answer.prefix : "";
    DIO_PASS(say_assumptions(loading));
    const char *why = loading->answer.arch ? loading->answer.why : NULL;
    DIO_PASS(dio_load_weights(loading->ctx, loading->out, model, prefix, why, loading->options->view));
    DIO_PASS(check_config_classes(loading));
    const char *stored = meta(loading, DIO_META_PREFIX);
    char *copy = dio_strdup(loading->ctx, stored && own_file(loading) ? stored : prefix);
    if (!copy) return DIO_ERR_ENV;
    dio_free(loading->ctx, model->origin_prefix);
    model->origin_prefix = copy;
    DIO_PASS(load_classes(loading));
    DIO_PASS(load_provenance(loading));
    drop_pages(&loading->out->weights);
    return DIO_OK;
}

/* Keys may change their meaning; what a later version wrote is not guessed at. */
static dio_status check_version(const struct loading *loading)
{
    const char *version = meta(loading, DIO_META_VERSION);
    int64_t number = 0;
    if (!version) return DIO_OK;
    if (dio_parse_i64(version, strlen(version), &number) && number >= 1 && number <= DIO_META_CURRENT_VERSION) return DIO_OK;
    struct dio_place place = {.file = loading->out->weights_path, .part = "metadata " DIO_META_VERSION};
    return dio_fail(loading->ctx, DIO_ERR_INPUT, "S9", &place, "\"%s\" is not known; this program knows versions 1 to %d", version,
                    (int)DIO_META_CURRENT_VERSION);
}

/* PyTorch's files alone: in a folder, that is pytorch_model.bin. */
static bool has_keys(const struct dio_weights *weights)
{
    if (strcmp(weights->format, "torch") == 0) return true;
    return weights->source_count == 1 && strcmp(dio_path_base(weights->sources[0]), "pytorch_model.bin") == 0;
}

static dio_status load_file(struct loading *loading, const char *path)
{
    struct dio_ctx *ctx = loading->ctx;
    struct dio_loaded *out = loading->out;
    DIO_PASS(dio_weights_read(ctx, path, &loading->options->read, &out->weights));
    out->has_weights = true;
    if (out->weights.note) {
        DIO_PASS(dio_loaded_message(ctx, out, DIO_LEVEL_NOTE, out->weights.note_code, "%s", out->weights.note));
    }
    if (loading->options->read.key && !has_keys(&out->weights)) {
        DIO_PASS(dio_loaded_message(ctx, out, DIO_LEVEL_NOTE, "", "--key is not used: only PyTorch's files hold several sets of weights"));
    }
    const char *name = out->weights.source_count == 1 ? out->weights.sources[0] : path;
    out->weights_path = dio_strdup(ctx, name);
    if (!out->weights_path) return DIO_ERR_ENV;
    DIO_PASS(check_version(loading));
    DIO_PASS(dio_read_config(ctx, path, &loading->config, &loading->has_config));
    if (own_file(loading) && dio_path_is_folder(path)) {
        char *recipe = dio_path_join(ctx, path, "recipe.yaml");
        if (!recipe) return DIO_ERR_ENV;
        out->is_run = dio_path_is_file(recipe);
        dio_free(ctx, recipe);
    }

    const char *graph = meta(loading, DIO_META_GRAPH);
    if (graph && own_file(loading) && !loading->options->arch) {
        DIO_PASS(build_stored(loading, graph));
        return finish(loading);
    }
    DIO_PASS(resolve(loading));
    if (!loading->answer.arch) {
        out->unknown = dio_strdup(ctx, loading->answer.why);
        if (!out->unknown) return DIO_ERR_ENV;
        return dio_loaded_scan(ctx, out);
    }
    DIO_PASS(build_known(loading));
    return finish(loading);
}

static dio_status load_scratch(struct loading *loading, const char *tag)
{
    struct dio_ctx *ctx = loading->ctx;
    struct dio_loaded *out = loading->out;
    out->scratch = true;
    struct dio_arch_question question = {.file = tag, .option = tag};
    DIO_PASS(dio_arch_resolve(ctx, &question, &loading->answer));
    const struct dio_arch_variant *variant = loading->answer.match.variant;
    struct dio_arch_config config = dio_arch_config_default(variant->name);
    struct dio_image_recipe recipe;
    DIO_PASS(make_recipe(loading, variant, 3, &recipe));
    const struct dio_load_options *options = loading->options;
    config.bn_eps = options->bn_eps;
    config.pad_mode = options->padding;
    config.stem_padding = options->stem_padding;
    config.height = recipe.height;
    config.width = recipe.width;
    DIO_PASS(dio_arch_model(ctx, loading->answer.arch, variant, &config, &out->model));
    out->model->recipe = recipe;
    dio_graph_init_params(out->model->graph, options->seed);
    return dio_model_add_fact(out->model, "source", "trained from scratch");
}

dio_status dio_loaded_hash(struct dio_loaded *loaded)
{
    const struct dio_weights *weights = &loaded->weights;
    if (!loaded->model || loaded->sha256[0] || weights->source_count != 1 || !weights->blobs[0].data) return DIO_OK;
    const struct dio_digest digest = dio_sha256_of(weights->blobs[0].data, weights->blobs[0].size);
    dio_digest_hex(&digest, loaded->sha256);
    drop_pages(weights);
    const bool told = dio_weights_meta(weights, DIO_META_VERSION) && dio_weights_meta(weights, DIO_META_PROVENANCE);
    return told ? DIO_OK : dio_model_add_fact(loaded->model, "source_sha256", loaded->sha256);
}

/* For dio_loaded_check_output. */
static dio_status remember_inputs(struct loading *loading, const char *path)
{
    struct dio_loaded *out = loading->out;
    const char *classes = loading->options->classes_file;
    bool folder = strncmp(path, "arch:", 5) != 0 && dio_path_is_folder(path);
    out->folder = folder ? dio_strdup(loading->ctx, path) : NULL;
    out->classes_file = classes ? dio_strdup(loading->ctx, classes) : NULL;
    return (folder && !out->folder) || (classes && !out->classes_file) ? DIO_ERR_ENV : DIO_OK;
}

dio_status dio_model_load(struct dio_ctx *ctx, const char *path, const struct dio_load_options *options,
                          struct dio_loaded *out)
{
    *out = (struct dio_loaded){0};
    struct loading loading = {.ctx = ctx, .options = options, .out = out};
    dio_status status = strncmp(path, "arch:", 5) == 0 ? load_scratch(&loading, path + 5) : load_file(&loading, path);
    if (status == DIO_OK) status = remember_inputs(&loading, path);
    dio_origin_free(&loading.config);
    if (status != DIO_OK) dio_loaded_free(ctx, out);
    return status;
}

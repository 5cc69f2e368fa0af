#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "api/private.h"
#include "format/save.h"
#include "image/prepare.h"
#include "train/train.h"

enum { FORWARD_BATCH = 16 };

static void forget(struct dio_ctx *ctx, char **text)
{
    dio_free(ctx, *text);
    *text = NULL;
}

void diopter_model_close(diopter_model *model)
{
    if (!model) return;
    struct dio_ctx *ctx = &model->context->ctx;
    dio_plan_free(model->plan);
    dio_loaded_free(ctx, &model->loaded);
    forget(ctx, &model->path);
    forget(ctx, &model->notes);
    forget(ctx, &model->preprocessing);
    forget(ctx, &model->preprocessing_json);
    forget(ctx, &model->receipt);
    dio_free(ctx, model->stages);
    dio_free(ctx, model);
}

static dio_status finish_text(struct dio_str *text, char **out)
{
    dio_status status = dio_str_status(text);
    if (status == DIO_OK && !text->data) dio_str_add(text, "");
    if (status == DIO_OK) *out = text->data;
    else dio_str_free(text);
    return status;
}

/* The texts that describe and the notes come from, made once so that describing cannot fail. */
static dio_status describe(struct dio_ctx *ctx, diopter_model *model)
{
    struct dio_str text;
    dio_str_init(&text, ctx);
    dio_str_add(&text, "");
    for (size_t i = 0; i < model->loaded.n_messages; i++) {
        const struct dio_load_message *message = &model->loaded.messages[i];
        if (message->level == DIO_LEVEL_NOTE) dio_str_addf(&text, "%s%s", text.length ? "\n" : "", message->text);
    }
    if (model->loaded.unknown) dio_str_addf(&text, "%s%s", text.length ? "\n" : "", model->loaded.unknown);
    DIO_PASS(finish_text(&text, &model->notes));
    const struct dio_model *m = model->loaded.model;
    if (!m) return DIO_OK;
    dio_str_init(&text, ctx);
    dio_image_recipe_describe(&text, &m->recipe);
    DIO_PASS(finish_text(&text, &model->preprocessing));
    dio_str_init(&text, ctx);
    dio_image_recipe_write(&text, &m->recipe);
    DIO_PASS(finish_text(&text, &model->preprocessing_json));
    model->stages = dio_alloc_zeroed(ctx, (size_t)m->graph->n_stages + 1, sizeof *model->stages, "stages");
    if (!model->stages) return DIO_ERR_ENV;
    return dio_model_stages(m, model->stages, &model->n_stages);
}

static dio_status open_model(struct dio_ctx *ctx, const char *path, const diopter_options *options, diopter_model *model)
{
    model->exact = api_extra_flag(options, "exact", DIOPTER_FOR_PREDICT);
    model->path = dio_strdup(ctx, path);
    if (!model->path) return DIO_ERR_ENV;
    struct dio_load_options load = dio_train_load_options(&options->train);
    load.view = true;
    DIO_PASS(dio_model_load(ctx, path, &load, &model->loaded));
    if (model->loaded.is_run) {
        struct dio_str text;
        dio_str_init(&text, ctx);
        dio_status status = dio_train_receipt_text(ctx, path, &text);
        if (status != DIO_OK) dio_str_free(&text);
        DIO_PASS(status);
        DIO_PASS(finish_text(&text, &model->receipt));
    }
    return describe(ctx, model);
}

diopter_status diopter_model_open(diopter_context *context, const char *path, const diopter_options *options,
                                  diopter_model **model)
{
    struct dio_ctx *ctx = &context->ctx;
    diopter_options *made = NULL;
    *model = NULL;
    api_begin(context, options);
    dio_status status = api_default_options(context, &options, &made);
    if (status == DIO_OK) {
        *model = dio_alloc_zeroed(ctx, 1, sizeof **model, "a model");
        status = *model ? DIO_OK : DIO_ERR_ENV;
    }
    if (status == DIO_OK) {
        (*model)->context = context;
        status = open_model(ctx, path, options, *model);
    }
    if (status == DIO_OK) dio_loaded_say(ctx, &(*model)->loaded);
    diopter_options_destroy(made);
    if (status != DIO_OK) {
        diopter_model_close(*model);
        *model = NULL;
    }
    return api_status(status);
}

/* Where the weights came from takes reading them whole: done when somebody asks, not for a prediction. */
static dio_status hash_source(const diopter_model *model)
{
    diopter_model *own = (diopter_model *)(uintptr_t)model;
    return dio_loaded_hash(&own->loaded);
}

diopter_status diopter_model_describe(const diopter_model *model, diopter_model_info *info)
{
    const struct dio_loaded *loaded = &model->loaded;
    const dio_status hashed = hash_source(model);
    if (hashed != DIO_OK) return api_status(hashed);
    const struct dio_model *m = loaded->model;
    diopter_model_info out = {.size = info->size};
    out.format = loaded->is_run ? "run folder" : loaded->has_weights && loaded->weights.format ? loaded->weights.format : "";
    out.notes = model->notes;
    out.tensors = loaded->has_weights ? loaded->weights.count : 0;
    out.family = out.architecture = out.names = out.preprocessing = out.preprocessing_json = "";
    if (m) {
        out.family = m->family ? m->family : "";
        out.architecture = m->variant ? m->variant : "";
        out.names = dio_naming_name(m->naming);
        out.height = m->recipe.height;
        out.width = m->recipe.width;
        out.channels = m->recipe.channels;
        out.classes = m->n_classes;
        out.class_names = m->classes.count > 0;
        out.preprocessing = model->preprocessing;
        out.preprocessing_json = model->preprocessing_json;
        out.stages = (size_t)model->n_stages;
        out.facts = m->n_provenance;
        for (int i = 0; i < model->n_stages; i++) {
            out.parameters += model->stages[i].parameters;
            out.macs += model->stages[i].macs;
        }
    }
    memcpy(info, &out, info->size < sizeof out ? info->size : sizeof out);
    return DIOPTER_OK;
}

const char *diopter_model_class(const diopter_model *model, size_t i)
{
    const struct dio_model *m = model->loaded.model;
    if (!m || m->n_classes <= 0 || i >= (uint64_t)m->n_classes) return NULL;
    diopter_model *own = (diopter_model *)(uintptr_t)model;
    return dio_model_class_name(m, i, own->class_buffer);
}

bool diopter_model_stage(const diopter_model *model, size_t i, diopter_stage_info *stage)
{
    if (i >= (size_t)model->n_stages) return false;
    const struct dio_stage_summary *s = &model->stages[i];
    const diopter_stage_info out = {.size = stage->size, .name = s->name, .parameters = s->parameters, .macs = s->macs};
    memcpy(stage, &out, stage->size < sizeof out ? stage->size : sizeof out);
    return true;
}

bool diopter_model_tensor(const diopter_model *model, size_t i, diopter_tensor_info *tensor)
{
    const struct dio_loaded *loaded = &model->loaded;
    if (!loaded->has_weights || i >= loaded->weights.count) return false;
    const struct dio_weight *w = &loaded->weights.items[i];
    const diopter_tensor_info out = {.size = tensor->size, .name = w->name, .dtype = dio_dtype_name(w->dtype),
                                     .rank = w->rank, .shape = w->dims};
    memcpy(tensor, &out, tensor->size < sizeof out ? tensor->size : sizeof out);
    return true;
}

bool diopter_model_fact(const diopter_model *model, size_t i, const char **key, const char **value)
{
    const struct dio_model *m = model->loaded.model;
    if (hash_source(model) != DIO_OK || !m || i >= m->n_provenance) return false;
    *key = m->provenance[i].key;
    *value = m->provenance[i].value;
    return true;
}

const char *diopter_model_receipt(const diopter_model *model)
{
    return model->receipt ? model->receipt : "";
}

dio_status api_need_head(const diopter_model *model)
{
    struct dio_ctx *ctx = &model->context->ctx;
    DIO_PASS(dio_loaded_need_model(ctx, &model->loaded));
    DIO_PASS(dio_loaded_check(ctx, &model->loaded));
    if (model->loaded.model->logits >= 0) return DIO_OK;
    return dio_fail(ctx, DIO_ERR_INPUT, "J8",
                    &(struct dio_place){.file = model->path, .hint = "diopter train gives it one"},
                    "these weights have no head (a backbone)");
}

static dio_status ready(struct dio_ctx *ctx, diopter_model *model)
{
    DIO_PASS(api_need_head(model));
    if (model->plan) return DIO_OK;
    const struct dio_model *m = model->loaded.model;
    const struct dio_plan_options options = {.batch = FORWARD_BATCH, .exact = model->exact};
    return dio_plan_infer(ctx, m->graph, m->graph->inputs, 1, &m->logits, 1, &options, &model->plan);
}

diopter_status diopter_model_forward(diopter_model *model, const float *pixels, size_t n, float *logits)
{
    api_begin(model->context, NULL);
    dio_status status = ready(&model->context->ctx, model);
    if (status != DIO_OK) return api_status(status);
    const struct dio_model *m = model->loaded.model;
    size_t picture = (size_t)m->recipe.height * (size_t)m->recipe.width * (size_t)m->recipe.channels;
    for (size_t done = 0; done < n;) {
        size_t now = n - done < FORWARD_BATCH ? n - done : FORWARD_BATCH;
        const void *in = pixels + done * picture;
        void *out = logits + done * (size_t)m->n_classes;
        dio_plan_run(model->plan, (int64_t)now, &in, &out);
        done += now;
    }
    return DIOPTER_OK;
}

static dio_status prepare_one(struct dio_ctx *ctx, const struct dio_image_recipe *recipe, const void *bytes, size_t size,
                              float *pixels)
{
    dio_status status = DIO_OK;
    struct dio_picture picture = {0};
    struct dio_prepare prepare = {0};
    struct dio_prepare_scratch scratch = {0};
    DIO_TRY(dio_prepare_init(ctx, recipe, &prepare));
    const struct dio_window window = dio_prepare_evaluation_window(&prepare);
    const struct dio_decode_options decode = {.ignore_exif = recipe->ignore_exif, .window = &window};
    DIO_TRY(dio_picture_decode(ctx, "picture", bytes, size, &decode, &picture));
    DIO_TRY(dio_prepare_run(ctx, &prepare, NULL, "picture", &picture, &scratch, pixels));
fail:
    dio_prepare_scratch_free(ctx, &scratch);
    dio_prepare_free(ctx, &prepare);
    dio_picture_free(ctx, &picture);
    return status;
}

diopter_status diopter_model_forward_file(diopter_model *model, const void *bytes, size_t size, float *logits)
{
    struct dio_ctx *ctx = &model->context->ctx;
    api_begin(model->context, NULL);
    dio_status status = ready(ctx, model);
    if (status != DIO_OK) return api_status(status);
    const struct dio_image_recipe *recipe = &model->loaded.model->recipe;
    size_t count = (size_t)recipe->height * (size_t)recipe->width * (size_t)recipe->channels;
    float *pixels = dio_alloc_array(ctx, count, sizeof *pixels, "a prepared picture");
    if (!pixels) return DIOPTER_ERROR_SYSTEM;
    status = prepare_one(ctx, recipe, bytes, size, pixels);
    if (status == DIO_OK) {
        const void *in = pixels;
        void *out = logits;
        dio_plan_run(model->plan, 1, &in, &out);
    }
    dio_free(ctx, pixels);
    return api_status(status);
}

diopter_status diopter_model_check_output(const diopter_model *model, const char *path)
{
    api_begin(model->context, NULL);
    return api_status(dio_loaded_check_output(&model->context->ctx, &model->loaded, path));
}

/* A folder gets a file of weights and one of configuration. */
static dio_status check_inputs(struct dio_ctx *ctx, const diopter_model *model, const char *path)
{
    static const char *const written[] = {"model.safetensors", "config.json"};
    DIO_PASS(dio_loaded_check_output(ctx, &model->loaded, path));
    for (size_t i = 0; i < 2 && dio_path_is_folder(path); i++) {
        char *file = dio_path_join(ctx, path, written[i]);
        dio_status status = file ? dio_loaded_check_output(ctx, &model->loaded, file) : DIO_ERR_ENV;
        dio_free(ctx, file);
        DIO_PASS(status);
    }
    return DIO_OK;
}

/* Rows A6 and A7: what exists stays unless told otherwise, and the model's own files are never written over. */
static dio_status check_target(struct dio_ctx *ctx, const diopter_model *model, const char *path, bool overwrite)
{
    DIO_PASS(check_inputs(ctx, model, path));
    struct stat there;
    if (stat(path, &there) != 0 || overwrite || S_ISCHR(there.st_mode) || S_ISFIFO(there.st_mode)) return DIO_OK;
    if (S_ISDIR(there.st_mode)) {
        struct dio_listing listing;
        DIO_PASS(dio_list_folder(ctx, path, &listing));
        size_t count = listing.count;
        dio_listing_free(ctx, &listing);
        if (count == 0) return DIO_OK;
    }
    char shown[512];
    dio_escape(shown, sizeof shown, path, strlen(path), 200);
    return dio_fail(ctx, DIO_ERR_USAGE, "A6", NULL, "%s exists; --overwrite replaces it", shown);
}

static dio_status export_model(struct dio_ctx *ctx, const diopter_model *model, const char *path,
                               const diopter_options *options)
{
    struct dio_export_options how = {.naming = DIO_NAMES_ORIGIN, .floats = DIO_F32};
    const char *precision = api_extra(options, "precision", DIOPTER_FOR_EXPORT);
    if (strcmp(precision, "f16") == 0) how.floats = DIO_F16;
    if (strcmp(precision, "bf16") == 0) how.floats = DIO_BF16;
    const char *names = api_extra(options, "names", DIOPTER_FOR_EXPORT);
    how.free_naming = names == NULL;
    if (names && !dio_naming_parse(names, &how.naming)) {
        return dio_fail(ctx, DIO_ERR_USAGE, "A4", NULL, "--names must be one of origin|timm|torchvision");
    }
    DIO_PASS(dio_loaded_need_model(ctx, &model->loaded));
    DIO_PASS(check_target(ctx, model, path, api_extra_flag(options, "overwrite", DIOPTER_FOR_EXPORT)));
    DIO_PASS(hash_source(model));
    return dio_model_export(ctx, model->loaded.model, path, &how);
}

diopter_status diopter_model_export(diopter_model *model, const char *path, const diopter_options *options)
{
    api_begin(model->context, options);
    diopter_options *made = NULL;
    dio_status status = api_default_options(model->context, &options, &made);
    if (status == DIO_OK) status = export_model(&model->context->ctx, model, path, options);
    diopter_options_destroy(made);
    return api_status(status);
}

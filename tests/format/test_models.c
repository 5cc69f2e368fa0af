/* Loading and saving of whole models: the same bits back, what was said stays said, and refusals in the catalogue's words. */
#include "format/load.h"
#include "format/save.h"
#include "support.h"

static struct test_ctx test;
static struct test_folder folder;

static int before(void **state)
{
    (void)state;
    test_begin(&test);
    test_folder_make(&folder);
    return 0;
}

static int after(void **state)
{
    (void)state;
    test_folder_remove(&folder);
    test_end(&test);
    return 0;
}

static struct dio_model *make(const char *tag, enum dio_naming naming, int64_t classes)
{
    const struct dio_arch_variant *variant = NULL;
    const struct dio_arch *arch = dio_arch_find(tag, &variant);
    struct dio_arch_config config = dio_arch_config_default(variant->name);
    config.naming = naming;
    config.classes = classes;
    struct dio_model *model = NULL;
    assert_ok(&test, dio_arch_model(&test.ctx, arch, variant, &config, &model));
    dio_graph_init_params(model->graph, 3);
    return model;
}

/* A plain file as PyTorch would write it, with chosen changes. */
struct plain {
    const char *leave_out, *reshape, *extra, *spoil;
};

static void write_plain(const struct dio_model *model, const char *path, const struct plain *how)
{
    struct dio_weight items[400];
    static float extra[4];
    int64_t one[2] = {2, 2};
    size_t count = 0;
    assert_true(model->graph->n_params < 399);
    for (int i = 0; i < model->graph->n_params; i++) {
        struct dio_param *param = &model->graph->params[i];
        if (how->leave_out && strstr(param->name, how->leave_out)) continue;
        bool reshaped = how->reshape && strcmp(param->name, how->reshape) == 0;
        if (how->spoil && strcmp(param->name, how->spoil) == 0) ((float *)param->data)[1] = NAN;
        items[count++] = reshaped ? dio_weight_of(param->name, DIO_F32, one, 2, extra)
                                  : dio_weight_of(param->name, param->dtype, param->shape.dims, param->shape.rank, param->data);
    }
    if (how->extra) items[count++] = dio_weight_of(how->extra, DIO_F32, one, 2, extra);
    struct dio_save save = {.items = items, .count = count, .floats = DIO_F32};
    assert_ok(&test, dio_weights_write(&test.ctx, path, &save));
}

static dio_status load(const char *path, struct dio_loaded *loaded)
{
    struct dio_load_options options = dio_load_options_default();
    return dio_model_load(&test.ctx, path, &options, loaded);
}

static void assert_same_weights(const struct dio_model *a, const struct dio_model *b)
{
    assert_int_equal(a->graph->n_params, b->graph->n_params);
    assert_int_equal(a->weights_bytes, b->weights_bytes);
    for (int i = 0; i < a->graph->n_params; i++) assert_string_equal(a->graph->params[i].name, b->graph->params[i].name);
    assert_memory_equal(a->weights, b->weights, a->weights_bytes);
}

static void own_file_comes_back(void **state)
{
    (void)state;
    struct dio_model *model = make("tf_efficientnet_lite0", DIO_NAMES_LUKEMELAS, 3);
    const char *names[] = {"a, b", "\"c\"", "d\xc3\xa9\n"};
    assert_ok(&test, dio_model_set_classes(model, names, 3));
    assert_ok(&test, dio_model_add_fact(model, "source", "x.pth"));
    assert_ok(&test, dio_model_add_fact(model, "license", "Apache-2.0"));
    dio_free(&test.ctx, model->options);
    model->options = dio_strdup(&test.ctx, "bn_eps=1e-05 pad_mode=torch");
    dio_free(&test.ctx, model->origin_prefix);
    model->origin_prefix = dio_strdup(&test.ctx, "module.");
    model->recipe.resize_height = model->recipe.resize_width = 250;
    model->recipe.mean[1] = 0.1;
    const char *path = test_in(&folder, "own.safetensors");
    assert_ok(&test, dio_model_save(&test.ctx, model, path));
    struct dio_loaded loaded;
    assert_ok(&test, load(path, &loaded));
    const struct dio_model *again = loaded.model;
    assert_non_null(again);
    assert_string_equal(again->variant, "tf_efficientnet_lite0");
    assert_string_equal(again->options, "bn_eps=1e-05 pad_mode=torch");
    assert_string_equal(again->origin_prefix, "module.");
    assert_int_equal(again->naming, DIO_NAMES_LUKEMELAS);
    assert_int_equal(again->classes.count, 3);
    for (int i = 0; i < 3; i++) assert_string_equal(again->classes.names[i], names[i]);
    assert_string_equal(dio_model_fact(again, "license"), "Apache-2.0");
    assert_string_equal(dio_model_fact(again, "source"), "x.pth");
    assert_memory_equal(&again->recipe, &model->recipe, sizeof model->recipe);
    assert_false(loaded.assumed_recipe);
    assert_same_weights(again, model);
    /* Equal models give equal files. */
    const char *second = test_in(&folder, "again.safetensors");
    assert_ok(&test, dio_model_save(&test.ctx, again, second));
    size_t length, length2;
    char *a = test_read(path, &length), *b = test_read(second, &length2);
    assert_int_equal(length, length2);
    assert_memory_equal(a, b, length);
    free(a);
    free(b);
    dio_loaded_free(&test.ctx, &loaded);
    dio_model_free(model);
}

static void graph_of_no_family(void **state)
{
    (void)state;
    struct dio_graph *graph = NULL;
    assert_ok(&test, dio_graph_new(&test.ctx, &graph));
    struct dio_shape shape = dio_shape_4(0, 8, 8, 3);
    int x = dio_graph_input(graph, "input", DIO_F32, &shape);
    dio_graph_stage(graph, "stem");
    x = dio_node1(graph, "conv", "first", x, "out=4 kernel=3 padding=1 bias=1");
    x = dio_node1(graph, "global_avg_pool", "pool", x, "%s", "");
    dio_graph_stage(graph, "head");
    int logits = dio_node1(graph, "linear", "last", x, "out=2");
    dio_graph_output(graph, logits);
    struct dio_model *model = NULL;
    assert_ok(&test, dio_model_new(&test.ctx, graph, &model));
    model->features = x;
    model->logits = logits;
    model->n_classes = 2;
    model->recipe = dio_image_recipe_imagenet(8, 8);
    dio_graph_init_params(model->graph, 9);
    const char *path = test_in(&folder, "graph.safetensors");
    assert_ok(&test, dio_model_save(&test.ctx, model, path));
    struct dio_loaded loaded;
    assert_ok(&test, load(path, &loaded));
    assert_non_null(loaded.model);
    assert_same_weights(loaded.model, model);
    assert_int_equal(loaded.model->n_classes, 2);
    assert_int_equal(loaded.model->features, x);
    assert_ok(&test, dio_arch_new_head(loaded.model, 5, 1));
    assert_int_equal(loaded.model->n_classes, 5);
    int weight = dio_graph_find_param(loaded.model->graph, "first.weight");
    assert_true(weight >= 0);
    assert_true(((float *)loaded.model->graph->params[weight].data)[3] == ((float *)model->graph->params[0].data)[3]);
    dio_loaded_free(&test.ctx, &loaded);
    dio_model_free(model);
}

static bool says(const struct dio_loaded *loaded, const char *words)
{
    for (size_t i = 0; i < loaded->n_messages; i++) {
        if (strstr(loaded->messages[i].text, words)) return true;
    }
    for (size_t i = 0; i < loaded->n_messages; i++) print_message("  %s\n", loaded->messages[i].text);
    return false;
}

static void what_plain_files_lack(void **state)
{
    (void)state;
    struct dio_loaded loaded;
    struct dio_model *model = make("resnet8_cifar", DIO_NAMES_AKAMASTER, 4);
    char path[1024];
    snprintf(path, sizeof path, "%s", test_in(&folder, "x.safetensors"));

    write_plain(model, path, &(struct plain){.leave_out = "num_batches_tracked"});
    assert_ok(&test, load(path, &loaded));
    assert_true(loaded.assumed_recipe);
    assert_true(says(&loaded, "architecture resnet8_cifar, from key names"));
    assert_true(says(&loaded, "preprocessing assumed"));
    assert_same_weights(loaded.model, model);
    assert_null(dio_model_fact(loaded.model, "source_sha256")); /* not before somebody asks */
    assert_ok(&test, dio_loaded_hash(&loaded));
    assert_non_null(dio_model_fact(loaded.model, "source_sha256"));
    assert_string_equal(dio_model_fact(loaded.model, "source"), "x.safetensors");
    dio_loaded_free(&test.ctx, &loaded);

    write_plain(model, path, &(struct plain){.leave_out = "linear.bias"});
    assert_refused(&test, DIO_ERR_INPUT, "1 tensor of resnet8_cifar missing: linear.bias", load(path, &loaded));
    assert_null(loaded.model);

    write_plain(model, path, &(struct plain){.reshape = "linear.bias"});
    assert_refused(&test, DIO_ERR_INPUT, "tensor linear.bias is [2, 2], expected [4]", load(path, &loaded));

    write_plain(model, path, &(struct plain){.extra = "leftover.weight"});
    assert_ok(&test, load(path, &loaded));
    assert_true(says(&loaded, "1 tensor not used: leftover.weight"));
    dio_loaded_free(&test.ctx, &loaded);

    write_plain(model, path, &(struct plain){.spoil = "layer1.0.bn1.bias"});
    assert_ok(&test, load(path, &loaded));
    assert_int_equal(loaded.nonfinite_tensors, 1);
    assert_true(says(&loaded, "tensor layer1.0.bn1.bias holds 1 NaN values"));
    dio_loaded_free(&test.ctx, &loaded);

    /* Sound, and of no architecture known here. */
    write_plain(model, path, &(struct plain){.leave_out = "conv2.weight"});
    assert_ok(&test, load(path, &loaded));
    assert_null(loaded.model);
    assert_true(loaded.has_weights);
    assert_refused(&test, DIO_ERR_INPUT, "unknown architecture", dio_loaded_need_model(&test.ctx, &loaded));
    dio_loaded_free(&test.ctx, &loaded);

    /* A tag decides, and then its tensors have to be there. */
    struct dio_load_options options = dio_load_options_default();
    options.arch = "resnet20_cifar";
    assert_refused(&test, DIO_ERR_INPUT, "of resnet20_cifar missing", dio_model_load(&test.ctx, path, &options, &loaded));
    options.arch = "resnet21_cifar";
    assert_refused(&test, DIO_ERR_USAGE, "did you mean", dio_model_load(&test.ctx, path, &options, &loaded));

    write_plain(model, path, &(struct plain){.leave_out = "linear"});
    assert_ok(&test, load(path, &loaded));
    assert_int_equal(loaded.model->n_classes, 0);
    assert_true(says(&loaded, "a backbone"));
    dio_loaded_free(&test.ctx, &loaded);
    dio_model_free(model);
}

static void options_and_classes(void **state)
{
    (void)state;
    struct dio_loaded loaded;
    struct dio_model *model = make("squeezenet1_1", DIO_NAMES_TORCHVISION, 2);
    char path[1024], names[1024];
    snprintf(path, sizeof path, "%s", test_in(&folder, "x.safetensors"));
    snprintf(names, sizeof names, "%s", test_in(&folder, "names.txt"));
    write_plain(model, path, &(struct plain){0});

    struct dio_load_options options = dio_load_options_default();
    options.stem_padding = 3;
    options.classes_file = names;
    options.recipe.image_size = 112;
    options.recipe.fit = "pad";
    options.recipe.mean = (const double[]){0.5};
    options.recipe.mean_count = 1;
    options.recipe.pillow = 12;
    test_write(names, "\xef\xbb\xbf" "ant\r\nb e e\r\n\r\n", 17);
    assert_ok(&test, dio_model_load(&test.ctx, path, &options, &loaded));
    assert_string_equal(loaded.model->options, "stem_padding=3");
    assert_string_equal(loaded.model->classes.names[0], "ant");
    assert_string_equal(loaded.model->classes.names[1], "b e e");
    assert_int_equal(loaded.model->recipe.height, 112);
    assert_int_equal(loaded.model->recipe.resize_height, 112); /* nothing is cut off */
    assert_int_equal(loaded.model->recipe.fit, DIO_FIT_PAD);
    assert_int_equal(loaded.model->recipe.pillow, DIO_PILLOW_12);
    assert_true(loaded.model->recipe.mean[2] == 0.5);
    assert_int_equal(loaded.model->graph->values[0].type.shape.dims[1], 112);
    dio_loaded_free(&test.ctx, &loaded);

    test_write(names, "ant\nbee\ncat\n", 12);
    assert_refused(&test, DIO_ERR_INPUT, "3 class names, the model has 2 classes", dio_model_load(&test.ctx, path, &options, &loaded));
    test_write(names, "ant\n\ncat\n", 9);
    assert_refused(&test, DIO_ERR_INPUT, "line 2: empty class name", dio_model_load(&test.ctx, path, &options, &loaded));
    test_write(names, "\n", 1);
    assert_refused(&test, DIO_ERR_INPUT, "no class names", dio_model_load(&test.ctx, path, &options, &loaded));
    test_write(names, "a\xff\nb\n", 5);
    assert_refused(&test, DIO_ERR_INPUT, "not UTF-8", dio_model_load(&test.ctx, path, &options, &loaded));
    options.classes_file = NULL;
    options.padding = "same";
    assert_refused(&test, DIO_ERR_USAGE, "no choice of --padding", dio_model_load(&test.ctx, path, &options, &loaded));
    options.padding = NULL;
    options.recipe.fit = "stretch";
    assert_refused(&test, DIO_ERR_USAGE, "--fit must be crop, pad or squash", dio_model_load(&test.ctx, path, &options, &loaded));
    options.recipe.fit = NULL;
    options.recipe.image_size = 8;
    assert_int_not_equal(dio_model_load(&test.ctx, path, &options, &loaded), DIO_OK); /* nothing is left to pool */
    dio_ctx_clear_error(&test.ctx);
    dio_model_free(model);
}

static void from_scratch(void **state)
{
    (void)state;
    struct dio_loaded a, b;
    struct dio_load_options options = dio_load_options_default();
    options.seed = 7;
    assert_ok(&test, dio_model_load(&test.ctx, "arch:resnet20_cifar", &options, &a));
    assert_ok(&test, dio_model_load(&test.ctx, "arch:resnet20_cifar", &options, &b));
    assert_true(a.scratch && !a.has_weights && a.model->n_classes == 0);
    assert_same_weights(a.model, b.model);
    assert_true(((float *)a.model->graph->params[0].data)[0] != 0);
    assert_ok(&test, dio_arch_new_head(a.model, 10, 7));
    assert_int_equal(a.model->n_classes, 10);
    dio_loaded_free(&test.ctx, &a);
    dio_loaded_free(&test.ctx, &b);
    assert_refused(&test, DIO_ERR_USAGE, "did you mean resnet20_cifar?", dio_model_load(&test.ctx, "arch:resnet20_cifer", &options, &a));
    assert_refused(&test, DIO_ERR_ENV, "no such file", dio_model_load(&test.ctx, "/nowhere/at all", &options, &a));
}

/* A file of ours whose metadata was tampered with. */
static void hostile_metadata(void **state)
{
    (void)state;
    struct dio_loaded loaded;
    struct dio_model *model = make("resnet8_cifar", DIO_NAMES_AKAMASTER, 2);
    char path[1024];
    snprintf(path, sizeof path, "%s", test_in(&folder, "x.safetensors"));
    static const struct {
        const char *key, *value, *words;
    } cases[] = {
        {"diopter.classes", "[\"a\",\"b\",\"c\"]", "3 class names, the model has 2 classes"},
        {"diopter.classes", "{\"a\":1}", "not a list"},
        {"diopter.classes", "[1,2]", "metadata diopter.classes"},
        {"diopter.classes", "[[[[", "metadata diopter.classes"},
        {"diopter.provenance", "[]", "not an object"},
        {"diopter.preprocessing", "{}", "metadata diopter.preprocessing"},
        {"diopter.graph", "nonsense", ""},
        {"architecture", "resnet20_cifar", "of resnet20_cifar missing"},
        {"diopter.version", "2", "\"2\" is not known"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dio_weight items[100];
        for (int p = 0; p < model->graph->n_params; p++) {
            const struct dio_param *param = &model->graph->params[p];
            items[p] = dio_weight_of(param->name, param->dtype, param->shape.dims, param->shape.rank, param->data);
        }
        struct dio_metadata metadata[2] = {{"diopter.version", "1", 15, 1},
                                           {cases[i].key, cases[i].value, strlen(cases[i].key), strlen(cases[i].value)}};
        bool version = strcmp(cases[i].key, "diopter.version") == 0;
        struct dio_save save = {items, (size_t)model->graph->n_params, version ? metadata + 1 : metadata, version ? 1 : 2, DIO_F32};
        assert_ok(&test, dio_weights_write(&test.ctx, path, &save));
        assert_refused(&test, DIO_ERR_INPUT, cases[i].words, load(path, &loaded));
    }
    dio_model_free(model);
}

/* A config.json beside EfficientNet-Lite0 of two classes that says another network, or nothing that can be. */
static void configs_that_contradict(void)
{
#define LITE "{\"architecture\": \"tf_efficientnet_lite0\", "
    static const struct {
        const char *config, *words;
    } cases[] = {
        {"{\"model_type\": \"vit\", \"id2label\": {\"0\": \"a\", \"1\": \"b\"}}", "config.json: model_type \"vit\" does not describe"},
        {"{\"model_type\": \"resnet\"}", "config.json: model_type \"resnet\" does not describe"},
        {LITE "\"pretrained_cfg\": {\"mean\": [0.5, 0.4]}}", "config.json: mean has 2 numbers, the weights have 3 channels"},
        {LITE "\"pretrained_cfg\": {\"std\": [0.5, 0.4, 1, 1]}}", "config.json: std has 4 numbers, the weights have 3 channels"},
        {LITE "\"input_size\": [1, 224, 224], \"mean\": [0.5], \"std\": [0.25]}", "config.json: the number of channels is 1"},
        {LITE "\"model_args\": {\"in_chans\": 4}}", "config.json: the number of channels is 4"},
        {LITE "\"global_pool\": \"max\"}", "config.json: global_pool \"max\" is not supported"},
        {LITE "\"model_args\": {\"global_pool\": \"catavgmax\"}}", "config.json: global_pool \"catavgmax\""},
        {LITE "\"model_args\": {\"drop_rate\": 0.2, \"act_layer\": \"gelu\"}}", "config.json: model_args.act_layer is not supported"},
        {LITE "\"model_args\": {\"pad_type\": \"valid\"}}", "config.json: model_args.pad_type is not supported"},
        {LITE "\"label_names\": [\"a\", \"a\"]}", "config.json: line 1: label_names: the label \"a\" appears twice"},
        {LITE "\"crop_pct\": 1e-9}", "config.json: crop_pct 1e-09"},
        {LITE "\"crop_pct\": 5e-324}", "config.json: crop_pct 4.94066e-324"},
        {LITE "\"std\": [1e-60]}", "config.json: std of channel 0"},
    };
    struct dio_loaded loaded;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_write(test_in(&folder, "config.json"), cases[i].config, strlen(cases[i].config));
        assert_refused(&test, DIO_ERR_INPUT, cases[i].words, load(folder.path, &loaded));
    }
    /* Options settle what the file has wrong or leaves open. */
    struct dio_load_options options = dio_load_options_default();
    options.arch = "tf_efficientnet_lite0";
    test_write(test_in(&folder, "config.json"), cases[0].config, strlen(cases[0].config));
    assert_ok(&test, dio_model_load(&test.ctx, folder.path, &options, &loaded));
    dio_loaded_free(&test.ctx, &loaded);
    const double mean[] = {0.5, 0.25, 0.125};
    options = dio_load_options_default();
    options.recipe.mean = mean;
    options.recipe.mean_count = 3;
    test_write(test_in(&folder, "config.json"), cases[2].config, strlen(cases[2].config));
    assert_ok(&test, dio_model_load(&test.ctx, folder.path, &options, &loaded));
    assert_true(loaded.model->recipe.mean[1] == 0.25);
    dio_loaded_free(&test.ctx, &loaded);
    /* What does not change the network, and one number for all channels, which is said. */
    static const char fine[] = LITE "\"global_pool\": \"avg\", \"mean\": [0.5], \"model_args\": {\"drop_rate\": 0.2, \"act_layer\": null}}";
    test_write(test_in(&folder, "config.json"), fine, sizeof fine - 1);
    assert_ok(&test, load(folder.path, &loaded));
    assert_true(says(&loaded, "mean in config.json has one number, taken for all 3 channels"));
    assert_true(loaded.model->recipe.mean[2] == 0.5);
    dio_loaded_free(&test.ctx, &loaded);
#undef LITE
}

/* Weights as timm keeps them: plain ones with a config.json beside them, which says what they are. */
static void folder_of_timm(void **state)
{
    (void)state;
    struct dio_loaded loaded;
    struct dio_model *model = make("tf_efficientnet_lite0", DIO_NAMES_TIMM, 2);
    assert_ok(&test, dio_model_set_classes(model, (const char *const[]){"ant", "bee"}, 2));
    assert_ok(&test, dio_model_add_fact(model, "license", "apache-2.0"));
    dio_free(&test.ctx, model->options);
    model->options = dio_strdup(&test.ctx, "bn_eps=1e-05 pad_mode=torch");
    model->recipe.resize_height = model->recipe.resize_width = 235;
    model->recipe.std[2] = 0.25;
    bool written = false;
    assert_ok(&test, dio_model_save_config(&test.ctx, model, DIO_NAMES_ORIGIN, folder.path, &written));
    assert_true(written);
    write_plain(model, test_in(&folder, "model.safetensors"), &(struct plain){0});
    assert_ok(&test, load(folder.path, &loaded));
    assert_non_null(loaded.model);
    assert_true(says(&loaded, "architecture tf_efficientnet_lite0, from config.json"));
    assert_false(loaded.assumed_recipe);
    assert_false(loaded.is_run);
    assert_string_equal(loaded.model->options, "bn_eps=1e-05 pad_mode=torch");
    assert_string_equal(loaded.model->classes.names[1], "bee");
    assert_string_equal(dio_model_fact(loaded.model, "license"), "apache-2.0");
    assert_memory_equal(&loaded.model->recipe, &model->recipe, sizeof model->recipe);
    assert_same_weights(loaded.model, model);
    dio_loaded_free(&test.ctx, &loaded);

    /* The file itself, its config.json beside it. */
    assert_ok(&test, load(test_in(&folder, "model.safetensors"), &loaded));
    assert_true(says(&loaded, "from config.json"));
    dio_loaded_free(&test.ctx, &loaded);

    /* One that lies is named. */
    static const char lies[] = "{\"architecture\": \"resnet18\"}", counts[] = "{\"architecture\": \"tf_efficientnet_lite0\", \"num_classes\": 7}";
    test_write(test_in(&folder, "config.json"), lies, sizeof lies - 1);
    assert_refused(&test, DIO_ERR_INPUT, "resnet18, from config.json", load(folder.path, &loaded));
    test_write(test_in(&folder, "config.json"), counts, sizeof counts - 1);
    assert_refused(&test, DIO_ERR_INPUT, "num_classes is 7, the head in ", load(folder.path, &loaded));
    configs_that_contradict();
    unlink(test_in(&folder, "config.json"));
    dio_model_free(model);

    /* timm knows no SqueezeNet, and no other names than its own. */
    model = make("squeezenet1_0", DIO_NAMES_TORCHVISION, 2);
    assert_ok(&test, dio_model_save_config(&test.ctx, model, DIO_NAMES_ORIGIN, folder.path, &written));
    assert_false(written);
    dio_model_free(model);
    model = make("mobilenet_v2", DIO_NAMES_TORCHVISION, 2);
    assert_ok(&test, dio_model_save_config(&test.ctx, model, DIO_NAMES_ORIGIN, folder.path, &written));
    assert_false(written);
    assert_ok(&test, dio_model_save_config(&test.ctx, model, DIO_NAMES_TIMM, folder.path, &written));
    assert_true(written);
    dio_model_free(model);
}

static dio_status round_trip(struct test_ctx *trial, void *arg)
{
    const char *path = arg;
    struct dio_loaded loaded = {0};
    struct dio_load_options options = dio_load_options_default();
    dio_status status = dio_model_load(&trial->ctx, path, &options, &loaded);
    if (status == DIO_OK) {
        char out[1200];
        snprintf(out, sizeof out, "%s.out", path);
        struct dio_export_options how = {.naming = DIO_NAMES_ORIGIN, .floats = DIO_F16};
        status = dio_model_export(&trial->ctx, loaded.model, out, &how);
        if (status == DIO_ERR_USAGE) { /* an ending that is none of ours */
            dio_ctx_clear_error(&trial->ctx);
            snprintf(out, sizeof out, "%s.out.pth", path);
            status = dio_model_export(&trial->ctx, loaded.model, out, &how);
        }
    }
    dio_loaded_free(&trial->ctx, &loaded);
    return status;
}

static void failing_allocations(void **state)
{
    (void)state;
    struct dio_model *model = make("resnet8_cifar", DIO_NAMES_AKAMASTER, 2);
    assert_ok(&test, dio_model_set_classes(model, (const char *const[]){"a", "b"}, 2));
    assert_ok(&test, dio_model_add_fact(model, "source", "x"));
    char path[1024];
    snprintf(path, sizeof path, "%s", test_in(&folder, "x.safetensors"));
    assert_ok(&test, dio_model_save(&test.ctx, model, path));
    dio_model_free(model);
    test_fail_each_allocation(round_trip, path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(own_file_comes_back), TEST(graph_of_no_family), TEST(what_plain_files_lack), TEST(options_and_classes),
        TEST(from_scratch),        TEST(hostile_metadata),   TEST(folder_of_timm),        TEST(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

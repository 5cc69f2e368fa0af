/* Parameters, state dict entries and multiply-adds of every variant, and their names in every naming, against what
 * torchvision, timm and the others have (golden/variants.csv, made by golden/make_variants.py). */
#include "arch/arch.h"
#include "base/hash.h"
#include "support.h"

#include <math.h>

enum { MAX_LINES = 2000, LINE = 200 };

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

/* The file's lines are sorted where modules own parameters of their own, which PyTorch lists before those of their parts. */
static void state_dict_hash(struct dio_model *model, bool counters, bool sorted, int *entries, int64_t *parameters, char hex[65])
{
    struct dio_sha256 hash;
    char(*lines)[LINE] = calloc(MAX_LINES, sizeof *lines);
    assert_non_null(lines);
    dio_sha256_init(&hash);
    *entries = 0;
    *parameters = 0;
    for (int i = 0; i < model->graph->n_params; i++) {
        const struct dio_param *param = &model->graph->params[i];
        if (param->role == DIO_PARAM_COUNTER && !counters) continue;
        char shape[128];
        assert_true(*entries < MAX_LINES);
        if (param->role == DIO_PARAM_COUNTER) snprintf(shape, sizeof shape, "[]"); /* a scalar in PyTorch */
        else dio_shape_format(shape, sizeof shape, &param->shape);
        snprintf(lines[*entries], LINE, "%s %s\n", param->name, shape);
        if (param->role == DIO_PARAM_TRAINED) *parameters += dio_shape_elements(&param->shape);
        ++*entries;
    }
    if (sorted) qsort(lines, (size_t)*entries, sizeof *lines, by_text);
    for (int i = 0; i < *entries; i++) dio_sha256_add(&hash, lines[i], strlen(lines[i]));
    free(lines);
    struct dio_digest digest = dio_sha256_end(&hash);
    dio_digest_hex(&digest, hex);
}

static void names_and_shapes(void **state)
{
    (void)state;
    size_t length;
    char *text = test_read(test_source_path("arch/golden/variants.csv"), &length);
    int lines = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char tag[64], naming_name[32], golden[65], hex[65];
        int golden_entries, entries;
        long long golden_parameters;
        if (sscanf(line, "%63[^,],%31[^,],%d,%lld,%64s", tag, naming_name, &golden_entries, &golden_parameters, golden) != 5) {
            continue; /* the heading */
        }
        struct test_ctx test;
        test_begin(&test);
        const struct dio_arch_variant *variant = NULL;
        const struct dio_arch *arch = dio_arch_find(tag, &variant);
        assert_non_null(arch);
        struct dio_arch_config config = dio_arch_config_default(variant->name);
        config.classes = arch == dio_arch_find("resnet20_cifar", &variant) ? 10 : 1000;
        arch = dio_arch_find(tag, &variant);
        assert_true(dio_naming_parse(naming_name, &config.naming));
        struct dio_model *model = NULL;
        assert_ok(&test, dio_arch_model(&test.ctx, arch, variant, &config, &model));
        int64_t parameters;
        const bool sorted = strcmp(arch->family, "vit") == 0 || strcmp(arch->family, "convnext") == 0;
        state_dict_hash(model, config.naming != DIO_NAMES_AKAMASTER, sorted, &entries, &parameters, hex);
        if (strcmp(hex, golden) != 0) print_error("%s in %s names differs\n", tag, naming_name);
        assert_int_equal(entries, golden_entries);
        assert_int_equal(parameters, golden_parameters);
        assert_string_equal(hex, golden);
        dio_model_free(model);
        test_end(&test);
        lines++;
    }
    free(text);
    assert_int_equal(lines, 92);
}

/* numerics-and-recipes.md, 3.20: GMACs to three places at the variant's own size. */
static void multiply_adds(void **state)
{
    (void)state;
    static const struct {
        const char *tag;
        double gmacs;
    } golden[] = {
        {"resnet18", 1.814}, {"resnet34", 3.664}, {"resnet50", 4.089}, {"resnet101", 7.801}, {"resnet152", 11.514},
        {"wide_resnet50_2", 11.398}, {"wide_resnet101_2", 22.753}, {"resnext50_32x4d", 4.230}, {"resnext101_32x8d", 16.414},
        {"resnext101_64x4d", 15.460}, {"squeezenet1_0", 0.819}, {"squeezenet1_1", 0.349}, {"mobilenet_v2", 0.301},
        {"mobilenetv2_050", 0.097}, {"mobilenetv2_100", 0.301}, {"mobilenetv2_110d", 0.431}, {"mobilenetv2_120d", 0.669},
        {"mobilenetv2_140", 0.582}, {"efficientnet_lite0", 0.385}, {"tf_efficientnet_lite0", 0.385},
        {"tf_efficientnet_lite1", 0.600}, {"tf_efficientnet_lite2", 0.860}, {"tf_efficientnet_lite3", 1.608},
        {"tf_efficientnet_lite4", 3.944}, {"vit_tiny_patch16_224", 1.254}, {"vit_small_patch16_224", 4.599},
        {"vit_small_patch32_224", 1.143}, {"vit_base_patch16_224", 17.564}, {"vit_base_patch32_224", 4.409},
        {"vit_base_patch16_384", 55.484}, {"vit_large_patch16_224", 61.555}, {"deit_tiny_patch16_224", 1.254},
        {"efficientnet_b0", 0.386}, {"tf_efficientnet_b0", 0.386}, {"tf_efficientnet_b1", 0.687}, {"tf_efficientnet_b2", 0.994},
        {"tf_efficientnet_b3", 1.827}, {"tf_efficientnet_b4", 4.394}, {"tf_efficientnet_b5", 10.266}, {"tf_efficientnet_b6", 19.068},
        {"tf_efficientnet_b7", 37.746}, {"efficientnet_b2", 0.860}, {"efficientnet_b4", 3.064}, {"convnext_tiny", 4.456},
        {"convnext_small", 8.684}, {"convnext_base", 15.355}, {"convnext_large", 34.361},
        {"deit_small_patch16_224", 4.599}, {"deit_base_patch16_224", 17.564},
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        struct test_ctx test;
        test_begin(&test);
        const struct dio_arch_variant *variant = NULL;
        const struct dio_arch *arch = dio_arch_find(golden[i].tag, &variant);
        struct dio_arch_config config = dio_arch_config_default(variant->name);
        config.classes = 1000;
        struct dio_model *model = NULL;
        assert_ok(&test, dio_arch_model(&test.ctx, arch, variant, &config, &model));
        struct dio_stage_summary stages[32];
        int count;
        assert_in_range(model->graph->n_stages, 2, 32);
        assert_ok(&test, dio_model_stages(model, stages, &count));
        int64_t macs = 0;
        for (int s = 0; s < count; s++) macs += stages[s].macs;
        if (fabs((double)macs / 1e9 - golden[i].gmacs) > 0.0005001) {
            print_error("%s: %.4f, expected %.3f\n", golden[i].tag, (double)macs / 1e9, golden[i].gmacs);
            fail();
        }
        dio_model_free(model);
        test_end(&test);
    }
}

/* Every variant builds with and without a head, in every naming, and tags are found again. */
static void every_variant(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    for (int i = 0; dio_archs[i]; i++) {
        const struct dio_arch *arch = dio_archs[i];
        for (const struct dio_arch_variant *variant = arch->variants; variant->name; variant++) {
            const struct dio_arch_variant *found = NULL;
            assert_ptr_equal(dio_arch_find(variant->name, &found), arch);
            assert_ptr_equal(found, variant);
            for (int n = 0; n < 4 && arch->namings[n] != DIO_NAMES_ORIGIN; n++) {
                struct dio_arch_config config = dio_arch_config_default(variant->name);
                config.naming = arch->namings[n];
                config.height = config.width = 64;
                config.channels = 1 + n;
                struct dio_model *model = NULL;
                assert_ok(&test, dio_arch_model(&test.ctx, arch, variant, &config, &model));
                assert_int_equal(model->logits, -1);
                assert_int_equal(model->recipe.channels, 1 + n);
                assert_int_equal(model->recipe.height, 64);
                const struct dio_arch_variant *again = NULL;
                struct dio_arch_config back;
                assert_ptr_equal(dio_arch_of(model, &again, &back), arch);
                assert_ptr_equal(again, variant);
                assert_int_equal(back.channels, 1 + n);
                dio_model_free(model);
            }
        }
    }
    const struct dio_arch_variant *variant = NULL;
    assert_non_null(dio_arch_find("timm/tf_efficientnet_lite0.in1k", &variant));
    assert_string_equal(variant->name, "tf_efficientnet_lite0");
    assert_null(dio_arch_find("resnet", &variant));
    assert_null(dio_arch_find("", &variant));
    assert_non_null(dio_arch_in_name("efficientnet-lite0-57934424.pth", &variant));
    assert_string_equal(variant->name, "tf_efficientnet_lite0");
    assert_non_null(dio_arch_in_name("tf_efficientnet_lite0_x.pth", &variant));
    assert_string_equal(variant->name, "tf_efficientnet_lite0");
    assert_non_null(dio_arch_in_name("efficientnet_lite0_ra-37913777.pth", &variant));
    assert_string_equal(variant->name, "efficientnet_lite0");
    assert_null(dio_arch_in_name("resnetblur50-84f4748f.pth", &variant));
    assert_null(dio_arch_in_name("seresnet50.pth", &variant));
    test_end(&test);
}

static void renaming(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    const struct dio_arch_variant *variant = NULL;
    const struct dio_arch *arch = dio_arch_find("tf_efficientnet_lite0", &variant);
    struct dio_arch_config config = dio_arch_config_default(variant->name);
    config.classes = 10;
    config.naming = DIO_NAMES_LUKEMELAS;
    struct dio_model *model = NULL;
    assert_ok(&test, dio_arch_model(&test.ctx, arch, variant, &config, &model));
    char **names = NULL;
    assert_ok(&test, dio_arch_names(model, DIO_NAMES_TIMM, &names));
    int param = dio_graph_find_param(model->graph, "_blocks.1._project_conv.weight");
    assert_true(param >= 0);
    assert_string_equal(names[param], "blocks.1.0.conv_pwl.weight");
    param = dio_graph_find_param(model->graph, "_fc.bias");
    assert_string_equal(names[param], "classifier.bias");
    dio_arch_names_free(&test.ctx, names, model->graph->n_params);
    assert_refused(&test, DIO_ERR_USAGE, "no torchvision names", dio_arch_names(model, DIO_NAMES_TORCHVISION, &names));
    dio_model_free(model);
    test_end(&test);
}

static void options(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    const struct dio_arch_variant *variant = NULL;
    const struct dio_arch *arch = dio_arch_find("tf_efficientnet_lite0", &variant);
    struct dio_arch_config config = dio_arch_config_default(variant->name);
    struct dio_model *model = NULL;
    assert_ok(&test, dio_arch_model(&test.ctx, arch, variant, &config, &model));
    assert_string_equal(model->options, "bn_eps=0.001 pad_mode=same");
    dio_model_free(model);
    config.pad_mode = "torch";
    config.bn_eps = 1e-5;
    assert_ok(&test, dio_arch_model(&test.ctx, arch, variant, &config, &model));
    assert_string_equal(model->options, "bn_eps=1e-05 pad_mode=torch");
    struct dio_arch_config back;
    dio_arch_of(model, &variant, &back);
    assert_string_equal(back.pad_mode, "torch");
    assert_true(back.bn_eps == 1e-5);
    dio_model_free(model);

    arch = dio_arch_find("squeezenet1_0", &variant);
    config = dio_arch_config_default(variant->name);
    config.stem_padding = 3;
    assert_ok(&test, dio_arch_model(&test.ctx, arch, variant, &config, &model));
    assert_string_equal(model->options, "stem_padding=3");
    dio_model_free(model);
    config.bn_eps = 1e-3;
    assert_refused(&test, DIO_ERR_USAGE, "no batch norm", dio_arch_model(&test.ctx, arch, variant, &config, &model));
    test_end(&test);
}

static dio_status new_head_body(struct test_ctx *test, void *arg)
{
    (void)arg;
    const struct dio_arch_variant *variant = NULL;
    const struct dio_arch *arch = dio_arch_find("resnet8_cifar", &variant);
    struct dio_arch_config config = dio_arch_config_default(variant->name);
    config.classes = 10;
    struct dio_model *model = NULL;
    DIO_PASS(dio_arch_model(&test->ctx, arch, variant, &config, &model));
    dio_graph_init_params(model->graph, 1);
    float before = ((float *)model->graph->params[0].data)[5];
    dio_status status = dio_arch_new_head(model, 3, 7);
    if (status == DIO_OK) {
        assert_int_equal(model->n_classes, 3);
        assert_true(((float *)model->graph->params[0].data)[5] == before);
        int weight = dio_graph_find_param(model->graph, "linear.weight");
        assert_true(weight >= 0);
        const struct dio_param *param = &model->graph->params[weight];
        assert_int_equal(param->shape.dims[0], 3);
        assert_int_equal(param->shape.dims[1], 64);
        double largest = 0, sum = 0;
        for (int i = 0; i < 192; i++) {
            double value = ((float *)param->data)[i];
            largest = fmax(largest, fabs(value));
            sum += value * value;
        }
        assert_true(largest <= 0.125 && largest > 0.1); /* 1 / sqrt(64) */
        assert_true(fabs(sqrt(sum / 192) - 0.125 / sqrt(3)) < 0.01);
    }
    dio_model_free(model);
    return status;
}

static void new_head(void **state)
{
    (void)state;
    test_fail_each_allocation(new_head_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_shapes), cmocka_unit_test(multiply_adds), cmocka_unit_test(every_variant),
        cmocka_unit_test(renaming),         cmocka_unit_test(options),       cmocka_unit_test(new_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

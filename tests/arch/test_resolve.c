/* Which architecture a list of tensors is, on what evidence; and which it is not. */
#include "arch/resolve.h"
#include "support.h"

enum { MAX_TENSORS = 2000 };

struct fake {
    char names[MAX_TENSORS][128];
    struct dio_named_shape tensors[MAX_TENSORS];
    size_t count;
};

static void add(struct fake *fake, const char *prefix, const char *name, const struct dio_shape *shape)
{
    assert_true(fake->count < MAX_TENSORS);
    snprintf(fake->names[fake->count], sizeof fake->names[0], "%s%s", prefix, name);
    fake->tensors[fake->count].name = fake->names[fake->count];
    fake->tensors[fake->count++].shape = *shape;
}

/* The tensors that a file of this variant has. */
static void of_variant(struct test_ctx *test, const char *tag, enum dio_naming naming, int64_t classes, const char *prefix,
                       struct fake *fake)
{
    const struct dio_arch_variant *variant = NULL;
    const struct dio_arch *arch = dio_arch_find(tag, &variant);
    assert_non_null(arch);
    struct dio_arch_config config = dio_arch_config_default(variant->name);
    config.naming = naming;
    config.classes = classes;
    struct dio_model *model = NULL;
    assert_ok(test, dio_arch_model(&test->ctx, arch, variant, &config, &model));
    fake->count = 0;
    for (int i = 0; i < model->graph->n_params; i++) {
        add(fake, prefix, model->graph->params[i].name, &model->graph->params[i].shape);
    }
    dio_model_free(model);
}

static void ask(struct test_ctx *test, struct fake *fake, const char *file, struct dio_arch_question *question,
                struct dio_arch_answer *answer)
{
    question->file = file;
    question->tensors = fake->tensors;
    question->count = fake->count;
    assert_ok(test, dio_arch_resolve(&test->ctx, question, answer));
}

static struct fake fake;

static void by_names_and_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *tag;
        enum dio_naming naming;
        const char *prefix, *file, *expected;
        enum dio_evidence evidence;
    } cases[] = {
        {"resnet18", DIO_NAMES_TORCHVISION, "", "model.pth", "resnet18", DIO_EVIDENCE_SHAPES},
        {"resnet18", DIO_NAMES_TORCHVISION, "", "resnet18-f37072fd.pth", "resnet18", DIO_EVIDENCE_FILE_NAME},
        {"resnet50", DIO_NAMES_TORCHVISION, "module.", "x", "resnet50", DIO_EVIDENCE_SHAPES},
        {"resnext50_32x4d", DIO_NAMES_TORCHVISION, "state_dict.model.", "x", "resnext50_32x4d", DIO_EVIDENCE_SHAPES},
        {"wide_resnet50_2", DIO_NAMES_TORCHVISION, "", "resnet50.pth", "wide_resnet50_2", DIO_EVIDENCE_SHAPES},
        {"resnext101_64x4d", DIO_NAMES_TORCHVISION, "a.b.c.", "x", "resnext101_64x4d", DIO_EVIDENCE_SHAPES},
        {"resnet20_cifar", DIO_NAMES_AKAMASTER, "module.", "cifar10-resnet20-12fca82f.th", "resnet20_cifar", DIO_EVIDENCE_NAMES},
        {"resnet8w32_cifar", DIO_NAMES_AKAMASTER, "", "x", "resnet8w32_cifar", DIO_EVIDENCE_NAMES},
        {"resnet56b_cifar", DIO_NAMES_TORCHVISION, "", "x", "resnet56b_cifar", DIO_EVIDENCE_SHAPES},
        {"resnet56b_cifar", DIO_NAMES_TORCHVISION, "", "cifar10_resnet56-187c023a.pt", "resnet56b_cifar", DIO_EVIDENCE_FILE_NAME},
        {"squeezenet1_0", DIO_NAMES_TORCHVISION, "", "squeezenet.pth", "squeezenet1_0", DIO_EVIDENCE_NAMES},
        {"squeezenet1_1", DIO_NAMES_TORCHVISION, "", "x", "squeezenet1_1", DIO_EVIDENCE_NAMES},
        {"mobilenet_v2", DIO_NAMES_TORCHVISION, "", "x", "mobilenet_v2", DIO_EVIDENCE_NAMES},
        {"mobilenet_v2", DIO_NAMES_TIMM, "", "x", "mobilenetv2_100", DIO_EVIDENCE_SHAPES},
        {"mobilenetv2_120d", DIO_NAMES_TIMM, "", "x", "mobilenetv2_120d", DIO_EVIDENCE_SHAPES},
        {"mobilenetv2_050", DIO_NAMES_TORCHVISION, "", "x", "mobilenetv2_050", DIO_EVIDENCE_NAMES},
        {"efficientnet_lite0", DIO_NAMES_TIMM, "", "x.pth", "tf_efficientnet_lite0", DIO_EVIDENCE_SHAPES},
        {"efficientnet_lite0", DIO_NAMES_TIMM, "", "a/efficientnet_lite0_ra-37913777.pth", "efficientnet_lite0", DIO_EVIDENCE_FILE_NAME},
        {"efficientnet_lite4", DIO_NAMES_TIMM, "", "tf_efficientnet_lite4-741542c3.pth", "tf_efficientnet_lite4", DIO_EVIDENCE_FILE_NAME},
        {"tf_efficientnet_lite3", DIO_NAMES_LUKEMELAS, "", "x", "tf_efficientnet_lite3", DIO_EVIDENCE_NAMES},
        {"efficientnet_b0", DIO_NAMES_TIMM, "", "x", "efficientnet_b0", DIO_EVIDENCE_SHAPES},
        {"efficientnet_b3", DIO_NAMES_TIMM, "", "tf_efficientnet_b3_ns-9d44bf68.pth", "tf_efficientnet_b3", DIO_EVIDENCE_FILE_NAME},
        {"convnext_tiny", DIO_NAMES_TIMM, "", "x", "convnext_tiny", DIO_EVIDENCE_SHAPES},
        {"convnext_large", DIO_NAMES_TIMM, "model.", "x", "convnext_large", DIO_EVIDENCE_SHAPES},
        {"deit_tiny_patch16_224", DIO_NAMES_TIMM, "", "deit_tiny_patch16_224-a1311bcf.pth", "deit_tiny_patch16_224", DIO_EVIDENCE_FILE_NAME},
        {"deit_tiny_patch16_224", DIO_NAMES_TIMM, "model.", "x", "vit_tiny_patch16_224", DIO_EVIDENCE_SHAPES},
        {"vit_base_patch16_384", DIO_NAMES_TIMM, "", "x", "vit_base_patch16_384", DIO_EVIDENCE_SHAPES},
        {"vit_large_patch32_224", DIO_NAMES_TIMM, "", "x", "vit_large_patch32_224", DIO_EVIDENCE_SHAPES},
        {"tf_efficientnet_lite0", DIO_NAMES_LUKEMELAS, "", "efficientnet-lite0-57934424.pth", "tf_efficientnet_lite0", DIO_EVIDENCE_NAMES},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int head = 0; head < 2; head++) {
            struct test_ctx test;
            test_begin(&test);
            of_variant(&test, cases[i].tag, cases[i].naming, head ? 7 : 0, cases[i].prefix, &fake);
            struct dio_arch_question question = {0};
            struct dio_arch_answer answer;
            ask(&test, &fake, cases[i].file, &question, &answer);
            if (!answer.arch) print_error("case %zu: %s: %s\n", i, cases[i].tag, answer.why);
            assert_non_null(answer.arch);
            assert_string_equal(answer.match.variant->name, cases[i].expected);
            assert_string_equal(answer.prefix, cases[i].prefix);
            assert_int_equal(answer.match.classes, head ? 7 : 0);
            assert_int_equal(answer.match.channels, 3);
            if (head) assert_int_equal(answer.evidence, cases[i].evidence);
            test_end(&test);
        }
    }
}

/* An earlier kind of evidence stands above a later one. */
static void order_of_evidence(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    of_variant(&test, "efficientnet_lite0", DIO_NAMES_TIMM, 10, "", &fake);
    struct dio_arch_question question = {.config = "tf_efficientnet_lite0", .metadata = "efficientnet_lite0"};
    struct dio_arch_answer answer;
    ask(&test, &fake, "tf_efficientnet_lite0.pth", &question, &answer);
    assert_int_equal(answer.evidence, DIO_EVIDENCE_METADATA);
    assert_string_equal(answer.match.variant->name, "efficientnet_lite0");
    question.option = "tf_efficientnet_lite0.in1k";
    ask(&test, &fake, "efficientnet_lite0.pth", &question, &answer);
    assert_int_equal(answer.evidence, DIO_EVIDENCE_OPTION);
    assert_string_equal(answer.match.variant->name, "tf_efficientnet_lite0");
    assert_null(answer.match.assumed);
    question = (struct dio_arch_question){.config = "efficientnet_lite0"};
    ask(&test, &fake, "tf_efficientnet_lite0.pth", &question, &answer);
    assert_int_equal(answer.evidence, DIO_EVIDENCE_CONFIG);
    assert_string_equal(answer.match.variant->name, "efficientnet_lite0");
    question = (struct dio_arch_question){.config = "resnetblur50"};
    ask(&test, &fake, "x", &question, &answer);
    assert_null(answer.arch);
    assert_non_null(strstr(answer.why, "resnetblur50"));
    question = (struct dio_arch_question){.option = "resnet51"};
    question.file = "x";
    question.tensors = fake.tensors;
    question.count = fake.count;
    assert_refused(&test, DIO_ERR_USAGE, "did you mean resnet50?", dio_arch_resolve(&test.ctx, &question, &answer));
    question.option = "inception_v3";
    assert_refused(&test, DIO_ERR_USAGE, "resnet18 to resnext101_64x4d, ", dio_arch_resolve(&test.ctx, &question, &answer));
    test_end(&test);
}

/* A tensor more outside the modules does no harm; one inside them means another net. */
static void strange_tensors(void **state)
{
    (void)state;
    struct test_ctx test;
    test_begin(&test);
    struct dio_shape shape = dio_shape_1(64);
    struct dio_arch_question question = {0};
    struct dio_arch_answer answer;
    of_variant(&test, "resnet18", DIO_NAMES_TORCHVISION, 10, "", &fake);
    add(&fake, "", "leftover.weight", &shape);
    ask(&test, &fake, "x", &question, &answer);
    assert_non_null(answer.arch);
    add(&fake, "", "conv1.bias", &shape);
    ask(&test, &fake, "x", &question, &answer);
    assert_null(answer.arch);
    assert_non_null(strstr(answer.why, "conv1.bias"));
    of_variant(&test, "resnet18", DIO_NAMES_TORCHVISION, 10, "module.", &fake);
    add(&fake, "", "module.layer1.0.gate.weight", &shape);
    add(&fake, "", "module.layer1.1.gate.weight", &shape);
    ask(&test, &fake, "x", &question, &answer);
    assert_null(answer.arch);
    assert_non_null(strstr(answer.why, "layer1.0.gate.weight and 1 more"));
    question.option = "resnet18";
    ask(&test, &fake, "x", &question, &answer);
    assert_non_null(answer.arch);
    assert_string_equal(answer.prefix, "module.");
    fake.count = 0;
    question.option = NULL;
    ask(&test, &fake, "resnet18.pth", &question, &answer);
    assert_null(answer.arch);
    test_end(&test);
}

/* Other libraries' nets that share names with ours. */
static void relatives(void **state)
{
    (void)state;
    size_t length;
    char *text = test_read(test_source_path("arch/golden/relatives.txt"), &length);
    char title[128] = "";
    int nets = 0;
    fake.count = 0;
    char *line = strtok(text, "\n");
    for (;;) {
        if ((!line || line[0] == '#') && title[0]) {
            struct test_ctx test;
            test_begin(&test);
            struct dio_arch_question question = {0};
            struct dio_arch_answer answer;
            ask(&test, &fake, "x", &question, &answer);
            if (answer.arch) print_error("%s was taken for %s\n", title, answer.match.variant->name);
            assert_null(answer.arch);
            test_end(&test);
            nets++;
            fake.count = 0;
        }
        if (!line) break;
        if (line[0] == '#') {
            snprintf(title, sizeof title, "%s", line + 2);
        } else {
            struct dio_shape shape = {0};
            char *end = line + strcspn(line, " ");
            char *numbers = end;
            while (*numbers && shape.rank < DIO_MAX_RANK) {
                shape.dims[shape.rank++] = strtol(numbers, &numbers, 10);
            }
            *end = '\0';
            add(&fake, "", line, &shape);
        }
        line = strtok(NULL, "\n");
    }
    free(text);
    assert_int_equal(nets, 28);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_names_and_shapes),
        cmocka_unit_test(order_of_evidence),
        cmocka_unit_test(strange_tensors),
        cmocka_unit_test(relatives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

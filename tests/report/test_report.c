/* The report's page: complete, self-contained, the same for the same run; everything from outside escaped.
 * DIOPTER_LOOK=FOLDER also writes the pages there, to be looked at in a browser. */
#include "data/make.h"

#include "base/rng.h"
#include "report/report.h"

struct made {
    struct dio_dataset *dataset;
    struct dio_metrics metrics, val_metrics;
    struct dio_prepare prepare;
    struct dio_augment augment;
    struct dio_report_picture *mistakes, samples[8];
    struct dio_report_epoch epochs[12];
    struct dio_report_split splits[2];
    struct dio_report_fact facts[3], provenance[2];
    const char *names[64];
    struct dio_report report;
};

/* Logits that are mostly right, as a function of the item. */
static void score(const struct dio_dataset *dataset, enum dio_split split, struct made *made, struct dio_metrics *metrics, bool keep)
{
    size_t n, classes = dio_dataset_classes(dataset);
    uint32_t *items;
    assert_ok(&test, dio_dataset_select(&test.ctx, dataset, split, &items, &n));
    float *logits = calloc(n * classes, sizeof *logits);
    int32_t *truth = calloc(n, sizeof *truth);
    for (size_t i = 0; i < n; i++) {
        truth[i] = dio_dataset_item(dataset, items[i])->label;
        struct dio_rng rng = dio_rng_make(1, DIO_RNG_TEST, 0, items[i]);
        for (size_t c = 0; c < classes; c++) {
            logits[i * classes + c] = (float)(1.6 * dio_rng_normal(&rng) + ((int32_t)c == truth[i] ? 3 : 0));
        }
    }
    struct dio_metrics_options options = {.classes = made->names, .n_classes = classes, .positive = -1, .seed = 1, .bootstrap = 200};
    assert_ok(&test, dio_metrics_compute(&test.ctx, logits, truth, n, &options, metrics));
    if (keep) {
        assert_ok(&test, dio_report_mistakes(&test.ctx, logits, truth, items, n, classes, 24, &made->mistakes, &made->report.n_mistakes));
    }
    free(logits);
    free(truth);
    dio_free(&test.ctx, items);
}

static void make(struct made *made, const char *path, int32_t side)
{
    memset(made, 0, sizeof *made);
    struct dio_dataset_options options = {.labels_wanted = true, .val_share = 0.2, .seed = 3};
    assert_ok(&test, dio_dataset_open(&test.ctx, path, &options, &made->dataset));
    for (size_t c = 0; c < dio_dataset_classes(made->dataset); c++) made->names[c] = dio_dataset_class(made->dataset, c);
    bool has_test = dio_dataset_has(made->dataset, DIO_SPLIT_TEST);
    score(made->dataset, has_test ? DIO_SPLIT_TEST : DIO_SPLIT_VAL, made, &made->metrics, true);
    score(made->dataset, DIO_SPLIT_VAL, made, &made->val_metrics, false);
    struct dio_image_recipe recipe = dio_image_recipe_imagenet(side * 8 / 7, side);
    assert_ok(&test, dio_prepare_init(&test.ctx, &recipe, &made->prepare));
    made->augment = dio_augment_none();
    made->augment.crop = DIO_CROP_RANDOM;
    made->augment.scale_min = 0.5;
    made->augment.flip = 0.5;
    for (uint32_t i = 0; i < 12; i++) {
        double fall = exp(-0.3 * i);
        made->epochs[i] = (struct dio_report_epoch){i + 1, 0.2 + fall, 0.95 - 0.4 * fall, 0.35 + 0.8 * fall + 0.01 * (i % 3), 0.88 - 0.35 * fall,
                                                    0.001 * (1 + cos(0.26 * i)) / 2};
    }
    size_t n = dio_dataset_count(made->dataset);
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t item = (uint32_t)(i * n / 8);
        made->samples[i] = (struct dio_report_picture){item, dio_dataset_item(made->dataset, item)->label, -1, NAN};
    }
    made->facts[0] = (struct dio_report_fact){"architecture", "squeezenet1_1"};
    made->facts[1] = (struct dio_report_fact){"parameters", "1,235,496, of which 14,364 learn"};
    made->facts[2] = (struct dio_report_fact){"optimizer", "adamw, lr 0.001 (cosine), weight decay 0.05, batches of 32"};
    made->provenance[0] = (struct dio_report_fact){"source", "squeezenet1_1-<legacy>.pth"};
    made->provenance[1] = (struct dio_report_fact){"sha256", "b8a52dc0a1c3a0ad12ae2f4a5d6d7f9f1b2c3d4e5f60718293a4b5c6d7e8f901"};
    made->splits[0] = (struct dio_report_split){has_test ? "test" : "validation", &made->metrics};
    made->splits[1] = (struct dio_report_split){"validation (cut from train)", &made->val_metrics};
    static const char *const warnings[] = {"class \"owl\" has no pictures in <val>", "the centre crop loses 25 % of the area"};
    static const char *const skipped[] = {"train/cat/1.png: truncated at byte 17"};
    size_t n_mistakes = made->report.n_mistakes;
    made->report = (struct dio_report){.title = "squeezenet1_1 on <data> & more", .subtitle = "A new head was trained on the features of the frozen network.",
        .model = "squeezenet1_1.pth", .data = dio_path_base(path), .facts = made->facts, .n_facts = 3, .epochs = made->epochs, .n_epochs = 12,
        .best_epoch = 10, .splits = made->splits, .n_splits = has_test ? 2 : 1, .dataset = made->dataset, .warnings = warnings, .n_warnings = 2,
        .skipped = skipped, .n_skipped = 3, .n_skipped_lines = 1, .mistakes = made->mistakes, .n_mistakes = n_mistakes,
        .samples = made->samples, .n_samples = 8, .prepare = &made->prepare, .augment = &made->augment, .seed = 1,
        .recipe = "# of the run\nmodel: squeezenet1_1.pth\nlr: 0.001 # <\nepochs: 12\n", .receipt = "24 tensors frozen, all unchanged",
        .receipt_ok = true, .provenance = made->provenance, .n_provenance = 2, .version = "0.1.0"};
}

static void clear(struct made *made)
{
    dio_free(&test.ctx, made->mistakes);
    dio_prepare_free(&test.ctx, &made->prepare);
    dio_metrics_free(&made->metrics);
    dio_metrics_free(&made->val_metrics);
    dio_dataset_free(made->dataset);
}

static void look(const char *name, const struct dio_str *html)
{
    const char *place = getenv("DIOPTER_LOOK");
    if (!place) return;
    char path[1024];
    snprintf(path, sizeof path, "%.900s/%.100s", place, name);
    test_write(path, html->data, html->length);
}

static size_t occurrences(const char *text, const char *word)
{
    size_t n = 0;
    for (; (text = strstr(text, word)) != NULL; text += strlen(word)) n++;
    return n;
}

static void check_page(const char *html)
{
    assert_null(strstr(html, "<script"));
    assert_null(strstr(html, "url("));
    /* The only addresses are XML's name of SVG. */
    assert_int_equal(occurrences(html, "://"), occurrences(html, "xmlns=\"http://www.w3.org/2000/svg\""));
    const char *const pairs[] = {"section", "table", "figure", "div", "svg", "details", "ul", "tr", "figcaption", "main"};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char open[32], with[32], close[32];
        snprintf(open, sizeof open, "<%s>", pairs[i]);
        snprintf(with, sizeof with, "<%s ", pairs[i]);
        snprintf(close, sizeof close, "</%s>", pairs[i]);
        if (occurrences(html, open) + occurrences(html, with) != occurrences(html, close)) fail_msg("<%s> is not balanced", pairs[i]);
    }
}

static void fill(void)
{
    const char *const classes[] = {"a<b>&\"c\"", "caf\xC3\xA9", "plain"};
    for (int i = 0; i < 60; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s/%s/%02d.ppm", i % 4 == 3 ? "test" : "train", classes[i % 3], i);
        make_picture(name, 4 * i);
    }
}

static void test_page(void **state)
{
    make_folder(state);
    fill();
    struct made made;
    make(&made, folder.path, 16);
    struct dio_str html, again;
    dio_str_init(&html, &test.ctx);
    dio_str_init(&again, &test.ctx);
    assert_ok(&test, dio_report_write(&test.ctx, &made.report, &html));
    assert_ok(&test, dio_report_write(&test.ctx, &made.report, &again));
    assert_string_equal(html.data, again.data);
    look("small.html", &html);
    check_page(html.data);
    assert_null(strstr(html.data, folder.path));
    assert_null(strstr(html.data, "a<b>"));
    assert_non_null(strstr(html.data, "a&lt;b&gt;&amp;&quot;c&quot;"));
    assert_non_null(strstr(html.data, "&lt;data&gt; &amp; more"));
    assert_non_null(strstr(html.data, "and 2 more"));
    size_t frames = made.report.n_mistakes + 8;
    assert_int_equal(occurrences(html.data, "data:image/"), frames);
    /* A picture that is gone leaves an empty frame. */
    char gone[1024];
    dio_dataset_display(made.dataset, made.samples[0].item, gone, sizeof gone);
    assert_int_equal(unlink(gone), 0);
    dio_str_free(&again);
    dio_str_init(&again, &test.ctx);
    assert_ok(&test, dio_report_write(&test.ctx, &made.report, &again));
    assert_true(occurrences(again.data, "data:image/") < frames);
    assert_non_null(strstr(again.data, "cannot be read any more"));
    dio_str_free(&again);
    dio_str_free(&html);
    clear(&made);
    remove_folder(state);
}

/* A run without anything to show still gives a page. */
static void test_empty(void **state)
{
    (void)state;
    test_begin(&test);
    struct dio_report report = {.title = "nothing"};
    struct dio_str html;
    dio_str_init(&html, &test.ctx);
    assert_ok(&test, dio_report_write(&test.ctx, &report, &html));
    check_page(html.data);
    dio_str_free(&html);
    test_end(&test);
}

static void real(const char *name, const char *page)
{
    const char *path = test_shared_path(name);
    if (!path) skip();
    test_begin(&test);
    struct made made;
    make(&made, path, 224);
    struct dio_audit audit;
    struct dio_bad bad;
    dio_bad_init(&bad, &(struct dio_bad_options){.max_share = 1, .all = true});
    struct dio_audit_options how = {.recipe = &made.prepare.recipe, .decode = {.quiet = true}, .quiet = true};
    assert_ok(&test, dio_audit_run(&test.ctx, made.dataset, &how, &bad, &audit));
    made.report.audit = &audit;
    struct dio_str html;
    dio_str_init(&html, &test.ctx);
    assert_ok(&test, dio_report_write(&test.ctx, &made.report, &html));
    check_page(html.data);
    print_message("%s: %zu bytes\n", page, html.length);
    assert_in_range(html.length, 50000, 2000000);
    look(page, &html);
    dio_str_free(&html);
    dio_audit_free(&test.ctx, &audit);
    clear(&made);
    test_end(&test);
}

static void test_x_rays(void **state)
{
    (void)state;
    real("data/cxr_pneumonia.tar", "cxr.html");
}

static void test_scenes(void **state)
{
    (void)state;
    real("data/rsscn7.tar", "rsscn7.html");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page), cmocka_unit_test(test_empty), cmocka_unit_test(test_x_rays),
                                       cmocka_unit_test(test_scenes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

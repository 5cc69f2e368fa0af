/* The most confident mistakes, and pictures as the model sees them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/thumbnail.h"
#include "report/page.h"
#include "text/html.h"

enum { SIDE = 200, MISTAKES_SHOWN = 24, SAMPLES_SHOWN = 8 };

static const char *class_name(const struct dio_report *report, int32_t label)
{
    return label >= 0 && (size_t)label < dio_dataset_classes(report->dataset) ? dio_dataset_class(report->dataset, (size_t)label) : "?";
}

static void image(struct dio_str *out, const struct dio_encoded *encoded, const char *alternative)
{
    bool tiny = strcmp(encoded->media_type, "image/png") == 0;
    dio_str_addf(out, "<div class=\"frame\"><img%s loading=\"lazy\" src=\"data:%s;base64,", tiny ? " class=\"tiny\"" : "", encoded->media_type);
    dio_base64(out, encoded->bytes, encoded->size);
    dio_str_add(out, "\" alt=\"");
    dio_html_text(out, alternative);
    dio_str_add(out, "\"></div>\n");
}

/* An unreadable picture leaves an empty frame; want of memory ends the page. */
static void missing(struct dio_ctx *ctx, struct dio_str *out)
{
    if (ctx->error.status != DIO_ERR_INPUT) {
        dio_ctx_adopt_error(out->ctx, ctx);
        out->failed = true;
    }
    dio_ctx_clear_error(ctx);
    dio_str_add(out, "<div class=\"frame\"><span class=\"empty\">cannot be read any more</span></div>\n");
}

/* Decoded as the model's pictures are (--decode fast), but all of it. */
static struct dio_window whole_picture(struct dio_window window)
{
    window.choose = NULL;
    return window;
}

static void mistake(struct dio_ctx *ctx, struct dio_str *out, const struct dio_report *report, const struct dio_report_picture *wrong)
{
    struct dio_picture picture = {0};
    struct dio_encoded encoded = {0};
    const struct dio_window window = whole_picture(report->prepare ? dio_prepare_evaluation_window(report->prepare) : (struct dio_window){0});
    const struct dio_decode_options options = {.quiet = true, .allow_damaged = true, .window = &window,
                                               .ignore_exif = report->prepare && report->prepare->recipe.ignore_exif};
    const char *truth = class_name(report, wrong->truth), *said = class_name(report, wrong->predicted);
    char alternative[512], confidence[32];
    dio_status status = dio_dataset_decode(report->dataset, ctx, wrong->item, &options, &picture);
    if (status == DIO_OK) status = dio_thumbnail(ctx, &picture, SIDE, &encoded);
    snprintf(alternative, sizeof alternative, "%.200s, taken for %.200s", truth, said);
    dio_page_percent(confidence, sizeof confidence, wrong->confidence);
    dio_html_figure_begin(out);
    if (status == DIO_OK) {
        image(out, &encoded, alternative);
    } else {
        missing(ctx, out);
    }
    dio_str_add(out, "<figcaption><b>");
    dio_html_name(out, truth);
    dio_str_add(out, "</b>, taken for <span class=\"wrong\">");
    dio_html_name(out, said);
    dio_str_addf(out, "</span> (%s)<br>", confidence);
    dio_html_name(out, dio_dataset_path(report->dataset, wrong->item));
    dio_str_add(out, "</figcaption></figure>\n");
    dio_free(ctx, encoded.bytes);
    dio_picture_free(ctx, &picture);
}

void dio_page_mistakes(struct dio_ctx *ctx, struct dio_str *out, const struct dio_report *report)
{
    if (report->n_splits == 0 || !report->dataset) return;
    const struct dio_metrics *m = report->splits[0].metrics;
    dio_page_section(out, "mistakes", "Most confident mistakes");
    if (report->n_mistakes == 0) {
        dio_str_add(out, m->n ? "<p class=\"note\">There are none.</p>\n" : "<p class=\"note\">Nothing was measured.</p>\n");
    } else {
        size_t shown = report->n_mistakes < MISTAKES_SHOWN ? report->n_mistakes : MISTAKES_SHOWN;
        dio_str_add(out, "<p class=\"note\">Pictures of ");
        dio_html_text(out, report->splits[0].name);
        dio_str_add(out, " on which the model was wrong and sure of itself: worth a look for wrong labels, odd pictures, and what the data lack. "
                         "In brackets: the probability that the model gave its answer.</p>\n<div class=\"grid\">\n");
        for (size_t i = 0; i < shown; i++) mistake(ctx, out, report, &report->mistakes[i]);
        dio_str_add(out, "</div>\n");
    }
    dio_page_end_section(out);
}

/* ---- what the model sees ---- */

/* The run's own decoding, by the view that is drawn when the size is known. */
struct drawn {
    const struct dio_report *report;
    uint32_t item;
    struct dio_view view;
};

static const struct dio_view *draw_view(struct drawn *drawn, int32_t width, int32_t height)
{
    const struct dio_report *report = drawn->report;
    if (!report->augment) return NULL;
    dio_augment_draw(report->augment, &report->prepare->recipe, width, height, report->seed, 0, drawn->item, &drawn->view);
    return &drawn->view;
}

static int32_t drawn_shrink(void *arg, int32_t width, int32_t height)
{
    struct drawn *drawn = arg;
    return dio_prepare_shrink(drawn->report->prepare, draw_view(drawn, width, height), width, height);
}

static dio_status prepared(struct dio_ctx *ctx, const struct dio_report *report, uint32_t item, struct dio_encoded *encoded)
{
    const struct dio_image_recipe *recipe = &report->prepare->recipe;
    struct dio_picture picture = {0};
    struct dio_prepare_scratch scratch = {0};
    struct drawn drawn = {.report = report, .item = item};
    const struct dio_window window = {.shrink = drawn_shrink, .arg = &drawn};
    const struct dio_decode_options options = {.quiet = true, .allow_damaged = true, .ignore_exif = recipe->ignore_exif, .window = &window};
    size_t slot = (size_t)recipe->height * (size_t)recipe->width * (size_t)recipe->channels;
    uint8_t *pixels = dio_alloc(ctx, slot, "a prepared picture");
    dio_status status = pixels ? dio_dataset_decode(report->dataset, ctx, item, &options, &picture) : DIO_ERR_ENV;
    if (status == DIO_OK) {
        const struct dio_view *view = draw_view(&drawn, picture.full_width, picture.full_height);
        status = dio_prepare_pixels(ctx, report->prepare, view, dio_dataset_path(report->dataset, item), &picture, &scratch, pixels);
    }
    if (status == DIO_OK) status = dio_encode_pixels(ctx, pixels, recipe->width, recipe->height, recipe->channels, encoded);
    dio_free(ctx, pixels);
    dio_prepare_scratch_free(ctx, &scratch);
    dio_picture_free(ctx, &picture);
    return status;
}

void dio_page_samples(struct dio_ctx *ctx, struct dio_str *out, const struct dio_report *report)
{
    if (!report->prepare || report->n_samples == 0 || !report->dataset) return;
    const struct dio_image_recipe *recipe = &report->prepare->recipe;
    if (recipe->channels != 1 && recipe->channels != 3) return;
    dio_page_section(out, "samples", "What the model sees");
    struct dio_str words;
    dio_str_init(&words, ctx);
    dio_image_recipe_describe(&words, recipe);
    dio_str_add(out, "<p class=\"note\">Training pictures after preparation");
    dio_str_add(out, report->augment ? ", one random view of each" : "");
    dio_str_add(out, ": ");
    dio_html_text(out, words.data ? words.data : "");
    dio_str_add(out, ". Is what tells the classes apart still there?</p>\n<div class=\"grid eight\">\n");
    dio_str_free(&words);
    for (size_t i = 0; i < report->n_samples && i < SAMPLES_SHOWN; i++) {
        const struct dio_report_picture *sample = &report->samples[i];
        struct dio_encoded encoded = {0};
        const char *name = class_name(report, sample->truth);
        dio_html_figure_begin(out);
        if (prepared(ctx, report, sample->item, &encoded) == DIO_OK) {
            image(out, &encoded, name);
        } else {
            missing(ctx, out);
        }
        dio_str_add(out, "<figcaption><b>");
        dio_html_name(out, name);
        dio_str_add(out, "</b><br>");
        dio_html_name(out, dio_dataset_path(report->dataset, sample->item));
        dio_str_add(out, "</figcaption></figure>\n");
        dio_free(ctx, encoded.bytes);
    }
    dio_str_add(out, "</div>\n");
    dio_page_end_section(out);
}

/* ---- choosing mistakes ---- */

static int more_confident(const void *a, const void *b)
{
    const struct dio_report_picture *x = a, *y = b;
    if (x->confidence != y->confidence) return (x->confidence < y->confidence) - (x->confidence > y->confidence);
    return (x->item > y->item) - (x->item < y->item);
}

dio_status dio_report_mistakes(struct dio_ctx *ctx, const float *logits, const int32_t *truth, const uint32_t *items,
                               size_t n, size_t n_classes, size_t limit, struct dio_report_picture **out, size_t *count)
{
    *count = 0;
    *out = dio_alloc_array(ctx, n, sizeof **out, "mistakes");
    double *probabilities = dio_alloc_array(ctx, n_classes, sizeof *probabilities, "mistakes");
    dio_status status = *out && probabilities ? DIO_OK : DIO_ERR_ENV;
    for (size_t i = 0; i < n && status == DIO_OK; i++) {
        const float *row = logits + i * n_classes;
        size_t best = 0;
        for (size_t c = 1; c < n_classes; c++) {
            if (row[c] > row[best]) best = c;
        }
        if ((int32_t)best == truth[i]) continue;
        dio_softmax(row, n_classes, probabilities);
        (*out)[(*count)++] = (struct dio_report_picture){items[i], truth[i], (int32_t)best, probabilities[best]};
    }
    if (status == DIO_OK && *count) qsort(*out, *count, sizeof **out, more_confident);
    if (*count > limit) *count = limit;
    dio_free(ctx, probabilities);
    if (status != DIO_OK) {
        dio_free(ctx, *out);
        *out = NULL;
    }
    return status;
}

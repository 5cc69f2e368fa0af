/* The data, the settings, where everything came from. */
#include <stdio.h>
#include <string.h>

#include "report/page.h"
#include "text/html.h"

enum { CLASSES_SHOWN = 200 };

static const enum dio_split splits[] = {DIO_SPLIT_TRAIN, DIO_SPLIT_VAL, DIO_SPLIT_TEST};
enum { SPLITS = sizeof splits / sizeof *splits };

static void count_cell(struct dio_str *out, uint64_t count)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)count);
    dio_html_cell(out, text, true);
}

static dio_status count_table(struct dio_ctx *ctx, struct dio_str *out, const struct dio_dataset *dataset)
{
    size_t classes = dio_dataset_classes(dataset);
    uint64_t *counts = dio_alloc_array(ctx, classes, SPLITS * sizeof *counts, "class counts");
    if (!counts) return DIO_ERR_ENV;
    bool shown[SPLITS];
    dio_str_add(out, "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Class</th>");
    for (int s = 0; s < SPLITS; s++) {
        shown[s] = dio_dataset_has(dataset, splits[s]);
        dio_dataset_class_counts(dataset, splits[s], counts + (size_t)s * classes);
        if (!shown[s]) continue;
        dio_str_addf(out, "<th scope=\"col\" class=\"n\">%s</th>", splits[s] == DIO_SPLIT_TRAIN ? "Training"
                                                                  : splits[s] == DIO_SPLIT_VAL  ? "Validation"
                                                                                                : "Test");
    }
    dio_str_add(out, "</tr></thead>\n<tbody>\n");
    for (size_t c = 0; c < classes && c < CLASSES_SHOWN; c++) {
        dio_html_row_begin(out);
        dio_html_cell_name(out, dio_dataset_class(dataset, c));
        for (int s = 0; s < SPLITS; s++) {
            if (shown[s]) count_cell(out, counts[(size_t)s * classes + c]);
        }
        dio_html_row_end(out);
    }
    dio_html_row_begin(out);
    dio_html_cell_head(out, "all");
    for (int s = 0; s < SPLITS; s++) {
        if (shown[s]) count_cell(out, dio_dataset_split_count(dataset, splits[s]));
    }
    dio_html_row_end(out);
    dio_str_add(out, "</tbody></table></div>\n");
    if (classes > CLASSES_SHOWN) dio_str_addf(out, "<p class=\"note\">And %zu more classes.</p>\n", classes - CLASSES_SHOWN);
    dio_free(ctx, counts);
    return DIO_OK;
}

static void audit_words(struct dio_str *out, const struct dio_audit *audit)
{
    if (audit->good == 0) return;
    dio_str_addf(out, "<p>%llu pictures were read, from %d&#8239;&times;&#8239;%d to %d&#8239;&times;&#8239;%d pixels (median %d&#8239;&times;&#8239;%d)",
                 (unsigned long long)audit->good, audit->min_width, audit->min_height, audit->max_width, audit->max_height,
                 audit->median_width, audit->median_height);
    const struct {
        uint64_t count;
        const char *what;
    } oddities[] = {{audit->grey, "grey"}, {audit->cmyk, "in CMYK"}, {audit->sixteen_bit, "with 16 bits"}, {audit->alpha, "with alpha, which was dropped"},
                    {audit->icc, "with a colour profile, which was ignored"}, {audit->gamma, "with a gamma value, which was ignored"},
                    {audit->turned, "with an EXIF orientation"},
                    {audit->damaged, "slightly damaged"}, {audit->duplicates_within, "the same as another of their part"},
                    {audit->duplicates_across, "the same as one of another part"}};
    for (size_t i = 0; i < sizeof oddities / sizeof *oddities; i++) {
        if (oddities[i].count) dio_str_addf(out, "; %llu %s", (unsigned long long)oddities[i].count, oddities[i].what);
    }
    dio_str_add(out, ".</p>\n");
}

static void lines(struct dio_str *out, const char *title, const char *const *texts, size_t count, uint64_t more)
{
    if (count == 0 && more == 0) return;
    dio_html_heading(out, 3, title);
    dio_str_add(out, "<ul class=\"plain\">\n");
    for (size_t i = 0; i < count; i++) {
        dio_str_add(out, "<li>");
        dio_html_name(out, texts[i]);
        dio_str_add(out, "</li>\n");
    }
    if (more) dio_str_addf(out, "<li>and %llu more</li>\n", (unsigned long long)more);
    dio_str_add(out, "</ul>\n");
}

static const char *layout_words(const char *layout)
{
    if (strcmp(layout, "folder") == 0) return "a folder a class";
    if (strcmp(layout, "manifest") == 0) return "listed by a CSV manifest";
    return strcmp(layout, "cifar") == 0 ? "CIFAR's binary records" : layout;
}

dio_status dio_page_data(struct dio_ctx *ctx, struct dio_str *out, const struct dio_report *report)
{
    const struct dio_dataset *dataset = report->dataset;
    if (!dataset) return DIO_OK;
    dio_page_section(out, "data", "Data");
    dio_str_add(out, "<p>");
    dio_html_name(out, report->data ? report->data : "");
    dio_str_addf(out, ": %zu pictures in %zu classes, ", dio_dataset_count(dataset), dio_dataset_classes(dataset));
    dio_html_text(out, layout_words(dio_dataset_layout(dataset)));
    dio_str_add(out, dio_dataset_in_tar(dataset) ? " in a tar" : "");
    dio_str_add(out, dio_dataset_val_was_cut(dataset) ? (dio_dataset_has_groups(dataset) ? "; validation was cut from the training pictures, whole groups at a time"
                                                                                         : "; validation was cut from the training pictures, class by class")
                                                      : "");
    dio_str_add(out, ".</p>\n");
    DIO_PASS(count_table(ctx, out, dataset));
    if (report->audit) audit_words(out, report->audit);
    lines(out, "Warnings", report->warnings, report->n_warnings, 0);
    size_t shown = report->n_skipped_lines < 10 ? report->n_skipped_lines : 10;
    lines(out, "Skipped, since they could not be read", report->skipped, shown, report->n_skipped > shown ? report->n_skipped - shown : 0);
    dio_page_end_section(out);
    return DIO_OK;
}

static void add_facts(struct dio_str *out, const struct dio_report_fact *facts, size_t count)
{
    if (count == 0) return;
    dio_str_add(out, "<div class=\"wide\"><table class=\"facts\">\n<tbody>\n");
    for (size_t i = 0; i < count; i++) {
        dio_html_row_begin(out);
        dio_html_cell_head(out, facts[i].key);
        dio_html_cell(out, facts[i].value ? facts[i].value : "", false);
        dio_html_row_end(out);
    }
    dio_str_add(out, "</tbody></table></div>\n");
}

/* Line ends stay. */
static void preformatted(struct dio_str *out, const char *text)
{
    dio_str_add(out, "<pre>");
    while (*text) {
        size_t length = strcspn(text, "\n");
        char *line = dio_strndup(out->ctx, text, length);
        if (!line) {
            out->failed = true;
            return;
        }
        dio_html_text(out, line);
        dio_free(out->ctx, line);
        text += length;
        if (*text == '\n') {
            dio_str_add(out, "\n");
            text++;
        }
    }
    dio_str_add(out, "</pre>\n");
}

void dio_page_settings(struct dio_str *out, const struct dio_report *report)
{
    dio_page_section(out, "settings", "How it was made");
    add_facts(out, report->facts, report->n_facts);
    if (report->receipt) {
        dio_html_heading(out, 3, "Freeze receipt");
        dio_str_addf(out, "<p class=\"receipt%s\">", report->receipt_ok ? "" : " broken");
        dio_html_text(out, report->receipt);
        dio_str_add(out, "</p>\n");
    }
    if (report->recipe) {
        dio_str_add(out, "<details><summary>All settings (the resolved recipe)</summary>\n");
        preformatted(out, report->recipe);
        dio_str_add(out, "</details>\n");
    }
    if (report->n_provenance) {
        dio_html_heading(out, 3, "Where the model comes from");
        add_facts(out, report->provenance, report->n_provenance);
    }
    dio_page_end_section(out);
}

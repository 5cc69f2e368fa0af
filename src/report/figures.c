/* Key figures, curves and the tables by class. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/tables.h"
#include "report/page.h"
#include "text/html.h"
#include "text/svg.h"

enum { PLOT_WIDTH = 430, PLOT_HEIGHT = 300, CLASSES_SHOWN = 200, MATRIX_CLASSES = 60 };

void dio_page_percent(char *out, size_t out_size, double share)
{
    if (isnan(share)) {
        snprintf(out, out_size, "-");
        return;
    }
    int tenths = (int)lround(share * 1000);
    snprintf(out, out_size, "%d.%d %%", tenths / 10, tenths % 10);
}

/* Four digits; "-" for what is not known. */
static void print_number(char *out, size_t out_size, double value)
{
    if (isnan(value)) {
        snprintf(out, out_size, "-");
        return;
    }
    long ten_thousandths = lround(value * 10000);
    snprintf(out, out_size, "%s%ld.%04ld", ten_thousandths < 0 ? "-" : "", labs(ten_thousandths) / 10000, labs(ten_thousandths) % 10000);
}

/* ---- cards ---- */

static void card(struct dio_str *out, bool first, const char *name, double value, bool percent, const struct dio_interval *interval,
                 const char *note)
{
    if (isnan(value)) return;
    char text[48], low[48], high[48];
    void (*form)(char *, size_t, double) = percent ? dio_page_percent : print_number;
    form(text, sizeof text, value);
    dio_str_addf(out, "<div class=\"card%s\"><div class=\"name\">", first ? " first" : "");
    dio_html_text(out, name);
    dio_str_add(out, "</div><div class=\"value\">");
    dio_html_text(out, text);
    dio_str_add(out, "</div><div class=\"range\">");
    if (interval && !isnan(interval->low)) {
        form(low, sizeof low, interval->low);
        form(high, sizeof high, interval->high);
        dio_str_addf(out, "95&#8239;%%: %s to %s", low, high);
    }
    if (note) dio_html_text(out, note);
    dio_str_add(out, "</div></div>\n");
}

static void cards(struct dio_str *out, const struct dio_metrics *m)
{
    dio_str_add(out, "<div class=\"cards\">\n");
    card(out, true, "Accuracy (top-1)", m->top1, true, &m->top1_interval, NULL);
    card(out, false, "Balanced accuracy", m->balanced_accuracy, true, &m->balanced_interval, NULL);
    card(out, false, "Macro F1", m->f1_macro, false, &m->f1_interval, NULL);
    if (m->binary) {
        char note[320];
        card(out, false, "AUROC", m->auroc, false, &m->auroc_interval, NULL);
        snprintf(note, sizeof note, "; share of %.120s found (threshold %g)", m->per_class[m->positive].name, m->threshold);
        card(out, false, "Sensitivity", m->sensitivity, true, &m->sensitivity_interval, note);
        snprintf(note, sizeof note, "; share of %.120s left alone", m->per_class[1 - m->positive].name);
        card(out, false, "Specificity", m->specificity, true, &m->specificity_interval, note);
    } else {
        char name[32];
        snprintf(name, sizeof name, "Top-%zu", m->top_k);
        if (m->top_k > 1 && m->top_k < m->n_classes) card(out, false, name, m->topk, true, NULL, NULL);
        card(out, false, "AUROC, one against the rest", m->auroc_macro, false, NULL, "mean over classes");
    }
    card(out, false, "Calibration error", m->ece, true, NULL, "mean gap of confidence and accuracy");
    dio_str_add(out, "</div>\n");
}

static void split_row(struct dio_str *out, const struct dio_report_split *split)
{
    const struct dio_metrics *m = split->metrics;
    char text[48];
    dio_html_row_begin(out);
    dio_html_cell_head(out, split->name);
    snprintf(text, sizeof text, "%llu", (unsigned long long)m->n);
    dio_html_cell(out, text, true);
    dio_page_percent(text, sizeof text, m->top1);
    dio_html_cell(out, text, true);
    dio_page_percent(text, sizeof text, m->balanced_accuracy);
    dio_html_cell(out, text, true);
    print_number(text, sizeof text, m->f1_macro);
    dio_html_cell(out, text, true);
    print_number(text, sizeof text, m->binary ? m->auroc : m->auroc_macro);
    dio_html_cell(out, text, true);
    print_number(text, sizeof text, m->log_loss);
    dio_html_cell(out, text, true);
    dio_html_row_end(out);
}

static void table_head(struct dio_str *out, const char *const *columns, size_t count, size_t left, bool bars)
{
    dio_str_addf(out, "<div class=\"wide%s\"><table>\n<thead><tr>", bars ? " bars" : "");
    for (size_t i = 0; i < count; i++) {
        dio_str_addf(out, "<th scope=\"col\"%s>", i < left ? "" : " class=\"n\"");
        dio_html_text(out, columns[i]);
        dio_str_add(out, "</th>");
    }
    dio_str_add(out, "</tr></thead>\n<tbody>\n");
}

static void table_end(struct dio_str *out)
{
    dio_str_add(out, "</tbody></table></div>\n");
}

void dio_page_key_figures(struct dio_str *out, const struct dio_report *report)
{
    if (report->n_splits == 0) return;
    const struct dio_report_split *first = &report->splits[0];
    char title[160], note[160];
    snprintf(title, sizeof title, "Result on %.100s", first->name);
    dio_page_section(out, "result", title);
    cards(out, first->metrics);
    int used = snprintf(note, sizeof note, "%llu pictures, %zu classes", (unsigned long long)first->metrics->n, first->metrics->n_classes);
    if (first->metrics->skipped) {
        snprintf(note + used, sizeof note - (size_t)used, ", %llu could not be read", (unsigned long long)first->metrics->skipped);
    }
    dio_str_add(out, "<p class=\"note\">");
    dio_html_text(out, note);
    dio_str_add(out, ". Below the figures: 95&#8239;% intervals (Wilson for shares, percentile bootstrap for the rest).</p>\n");
    if (report->n_splits > 1) {
        static const char *const columns[] = {"Part", "Pictures", "Accuracy", "Balanced", "Macro F1", "AUROC", "Log loss"};
        table_head(out, columns, 7, 1, false);
        for (size_t i = 0; i < report->n_splits; i++) split_row(out, &report->splits[i]);
        table_end(out);
    }
    dio_page_end_section(out);
}

/* ---- curves ---- */

struct columns {
    double *x, *values[5]; /* train loss, val loss, train accuracy, val accuracy, lr */
};

static bool any(const double *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isnan(values[i])) return true;
    }
    return false;
}

static void curve(struct dio_str *out, const struct dio_report *report, const struct columns *c, const char *title, int first, int count,
                  bool percent)
{
    static const char *const names[] = {"training", "validation", "training", "validation", NULL};
    struct dio_series series[2];
    size_t n = 0;
    for (int k = first; k < first + count; k++) {
        if (any(c->values[k], report->n_epochs)) series[n++] = (struct dio_series){names[k], c->x, c->values[k], report->n_epochs};
    }
    if (n == 0) return;
    struct dio_plot plot = {.title = title, .x_label = "epoch", .width = PLOT_WIDTH, .height = PLOT_HEIGHT, .percent = percent};
    dio_html_figure_begin(out);
    dio_svg_lines(out, &plot, series, n);
    dio_html_figure_end(out, NULL);
}

void dio_page_curves(struct dio_str *out, const struct dio_report *report)
{
    size_t n = report->n_epochs;
    if (n == 0) return;
    double *block = dio_alloc_array(out->ctx, n, 6 * sizeof *block, "curves");
    if (!block) {
        out->failed = true;
        return;
    }
    struct columns c = {.x = block};
    for (int k = 0; k < 5; k++) c.values[k] = block + (size_t)(k + 1) * n;
    for (size_t i = 0; i < n; i++) {
        const struct dio_report_epoch *e = &report->epochs[i];
        c.x[i] = e->epoch;
        c.values[0][i] = e->train_loss;
        c.values[1][i] = e->val_loss;
        c.values[2][i] = e->train_accuracy;
        c.values[3][i] = e->val_accuracy;
        c.values[4][i] = e->lr;
    }
    dio_page_section(out, "training", "Training");
    dio_str_add(out, "<div class=\"plots\">\n");
    curve(out, report, &c, "Loss", 0, 2, false);
    curve(out, report, &c, "Accuracy", 2, 2, true);
    curve(out, report, &c, "Learning rate", 4, 1, false);
    dio_str_add(out, "</div>\n");
    if (report->best_epoch && report->refit_epochs) {
        dio_str_addf(out, "<p class=\"note\">Validation chose epoch %u; the head was then trained again on training and validation "
                     "pictures together, for %llu epochs. Figures on validation are those of the model that validation chose.</p>\n",
                     report->best_epoch, (unsigned long long)report->refit_epochs);
    } else if (report->best_epoch) {
        dio_str_addf(out, "<p class=\"note\">The model of epoch %u was kept, chosen by validation.</p>\n", report->best_epoch);
    }
    dio_page_end_section(out);
    dio_free(out->ctx, block);
}

/* ---- by class ---- */

static void class_row(struct dio_str *out, const struct dio_class_metrics *own)
{
    char text[48];
    int width = (int)lround(own->recall * 100);
    dio_html_row_begin(out);
    dio_html_cell_name(out, own->name);
    const double values[] = {own->precision, own->recall, own->f1};
    for (int i = 0; i < 3; i++) {
        dio_page_percent(text, sizeof text, values[i]);
        dio_html_cell(out, text, true);
    }
    print_number(text, sizeof text, own->auroc);
    dio_html_cell(out, text, true);
    snprintf(text, sizeof text, "%llu", (unsigned long long)own->support);
    dio_html_cell(out, text, true);
    dio_str_addf(out, "<td><span class=\"bar\" aria-hidden=\"true\"><i style=\"width:%d%%\"></i></span></td>", width);
    dio_html_row_end(out);
}

void dio_page_classes(struct dio_str *out, const struct dio_report *report)
{
    if (report->n_splits == 0) return;
    const struct dio_metrics *m = report->splits[0].metrics;
    dio_page_section(out, "classes", "Class by class");
    dio_str_add(out, "<div class=\"pair\">\n");
    if (m->n_classes <= MATRIX_CLASSES) {
        dio_html_figure_begin(out);
        dio_confusion_svg(out, m);
        dio_html_figure_end(out, "Confusion matrix. Rows: the true class; columns: what the model said.");
    }
    if (m->binary && !isnan(m->auroc)) {
        dio_html_figure_begin(out);
        dio_roc_svg(out, m);
        dio_html_figure_end(out, "ROC curve: sensitivity against false alarms for every threshold.");
    }
    dio_str_add(out, "</div>\n"); /* the table has the width of the page */
    static const char *const columns[] = {"Class", "Precision", "Recall", "F1", "AUROC", "Pictures", ""};
    table_head(out, columns, 7, 1, true);
    size_t shown = 0;
    for (size_t c = 0; c < m->n_classes && shown < CLASSES_SHOWN; c++) {
        if (m->per_class[c].support == 0 && m->per_class[c].predicted == 0) continue;
        class_row(out, &m->per_class[c]);
        shown++;
    }
    table_end(out);
    if (shown < m->n_classes) {
        dio_str_addf(out, "<p class=\"note\">%zu of %zu classes are listed: those that occur, at most %d.</p>\n", shown, m->n_classes,
                     CLASSES_SHOWN);
    }
    dio_page_end_section(out);
}

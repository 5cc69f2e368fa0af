#include "eval/tables.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text/json_write.h"
#include "text/svg.h"

enum { NAME_WIDTH = 28, MATRIX_CLASSES = 20, PLOT_SIDE = 480, PLOT_GAP = 24, REPORT_SIDE = 430 };

/* ---- JSON ---- */

static void interval(struct dio_json_writer *writer, const char *key, const struct dio_interval *interval)
{
    if (isnan(interval->low)) {
        dio_json_null(writer, key);
        return;
    }
    dio_json_row(writer, key);
    dio_json_double(writer, NULL, interval->low);
    dio_json_double(writer, NULL, interval->high);
    dio_json_end_list(writer);
}

static void binary_json(struct dio_json_writer *writer, const struct dio_metrics *m)
{
    dio_json_text(writer, "positive", m->per_class[m->positive].name);
    dio_json_double(writer, "threshold", m->threshold);
    dio_json_double(writer, "auroc", m->auroc);
    interval(writer, "auroc_interval", &m->auroc_interval);
    dio_json_double(writer, "average_precision", m->average_precision);
    dio_json_double(writer, "sensitivity", m->sensitivity);
    interval(writer, "sensitivity_interval", &m->sensitivity_interval);
    dio_json_double(writer, "specificity", m->specificity);
    interval(writer, "specificity_interval", &m->specificity_interval);
}

void dio_metrics_json(struct dio_str *out, const struct dio_metrics *m)
{
    struct dio_json_writer writer;
    dio_json_begin(&writer, out, 0);
    dio_json_map(&writer, NULL);
    dio_json_double(&writer, "top1", m->top1);
    interval(&writer, "top1_interval", &m->top1_interval);
    char key[24];
    snprintf(key, sizeof key, "top%zu", m->top_k);
    if (m->top_k > 1 && m->top_k < m->n_classes) dio_json_double(&writer, key, m->topk);
    dio_json_u64(&writer, "n", m->n);
    dio_json_u64(&writer, "skipped", m->skipped);
    dio_json_double(&writer, "balanced_accuracy", m->balanced_accuracy);
    interval(&writer, "balanced_accuracy_interval", &m->balanced_interval);
    dio_json_double(&writer, "precision_macro", m->precision_macro);
    dio_json_double(&writer, "recall_macro", m->recall_macro);
    dio_json_double(&writer, "f1_macro", m->f1_macro);
    interval(&writer, "f1_macro_interval", &m->f1_interval);
    dio_json_double(&writer, "f1_weighted", m->f1_weighted);
    dio_json_double(&writer, "auroc_macro", m->auroc_macro);
    dio_json_double(&writer, "log_loss", m->log_loss);
    dio_json_double(&writer, "brier", m->brier);
    dio_json_double(&writer, "ece", m->ece);
    if (m->binary) binary_json(&writer, m);
    dio_json_list(&writer, "classes");
    for (size_t c = 0; c < m->n_classes; c++) dio_json_text(&writer, NULL, m->per_class[c].name);
    dio_json_end_list(&writer);
    /* A list, in class order: names may be equal (ImageNet has two cranes). */
    dio_json_list(&writer, "per_class");
    for (size_t c = 0; c < m->n_classes; c++) {
        const struct dio_class_metrics *own = &m->per_class[c];
        dio_json_map(&writer, NULL);
        dio_json_text(&writer, "class", own->name);
        dio_json_double(&writer, "precision", own->precision);
        dio_json_double(&writer, "recall", own->recall);
        dio_json_double(&writer, "f1", own->f1);
        dio_json_u64(&writer, "support", own->support);
        dio_json_double(&writer, "auroc", own->auroc);
        dio_json_double(&writer, "average_precision", own->average_precision);
        dio_json_end_map(&writer);
    }
    dio_json_end_list(&writer);
    dio_json_list(&writer, "confusion");
    for (size_t c = 0; c < m->n_classes; c++) {
        dio_json_row(&writer, NULL);
        for (size_t k = 0; k < m->n_classes; k++) dio_json_u64(&writer, NULL, m->confusion[c * m->n_classes + k]);
        dio_json_end_list(&writer);
    }
    dio_json_end_list(&writer);
    dio_json_end_map(&writer);
}

/* ---- text ---- */

/* How many columns of a terminal a text takes: characters, not bytes (good enough without tables of wide letters). */
static int columns_of(const char *text)
{
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static void padded(struct dio_str *out, const char *text, int width, bool right)
{
    int pad = width - columns_of(text);
    if (right) dio_str_addf(out, "%*s", pad > 0 ? pad : 0, "");
    dio_str_add(out, text);
    if (!right) dio_str_addf(out, "%*s", pad > 0 ? pad : 0, "");
}

/* A class name for the terminal: escaped, cut to `width` characters. */
static void name_for(char *out, size_t out_size, const char *name, int width)
{
    dio_escape(out, out_size, name, strlen(name), 0);
    if (columns_of(out) <= width) return;
    int n = 0;
    char *at = out;
    for (; *at; at++) {
        if (((unsigned char)*at & 0xC0) != 0x80 && ++n == width) break;
    }
    if ((size_t)(at - out) + 4 <= out_size) memcpy(at, "\xE2\x80\xA6", 4); /* ... as one character */
}

static void figure(struct dio_str *out, const char *name, double value, const struct dio_interval *interval, const char *note)
{
    if (isnan(value)) return;
    dio_str_add(out, "  ");
    padded(out, name, 20, false);
    dio_str_addf(out, "%.4f", value);
    if (interval && !isnan(interval->low)) dio_str_addf(out, "   95 %% interval %.4f to %.4f", interval->low, interval->high);
    if (note) dio_str_addf(out, "   %s", note);
    dio_str_add(out, "\n");
}

static void binary_text(struct dio_str *out, const struct dio_metrics *m)
{
    char name[200], note[256];
    name_for(name, sizeof name, m->per_class[m->positive].name, 40);
    snprintf(note, sizeof note, "positive class: %s", name);
    figure(out, "AUROC", m->auroc, &m->auroc_interval, NULL);
    figure(out, "average precision", m->average_precision, NULL, NULL);
    figure(out, "sensitivity", m->sensitivity, &m->sensitivity_interval, note);
    snprintf(note, sizeof note, "threshold: %g", m->threshold);
    figure(out, "specificity", m->specificity, &m->specificity_interval, note);
}

static int name_width(const struct dio_metrics *m)
{
    int width = 5;
    char name[1200];
    for (size_t c = 0; c < m->n_classes; c++) {
        name_for(name, sizeof name, m->per_class[c].name, NAME_WIDTH);
        int own = columns_of(name);
        if (own > width) width = own;
    }
    return width;
}

static void class_table(struct dio_str *out, const struct dio_metrics *m, int width)
{
    char name[1200];
    dio_str_add(out, "\n  ");
    padded(out, "class", width, false);
    dio_str_add(out, "  precision     recall         f1    support\n");
    for (size_t c = 0; c < m->n_classes; c++) {
        const struct dio_class_metrics *own = &m->per_class[c];
        if (m->n_classes > 100 && own->support == 0) continue; /* a few classes of a thousand */
        name_for(name, sizeof name, own->name, NAME_WIDTH);
        dio_str_add(out, "  ");
        padded(out, name, width, false);
        dio_str_addf(out, " %10.4f %10.4f %10.4f %10llu\n", own->precision, own->recall, own->f1, (unsigned long long)own->support);
    }
}

static void matrix(struct dio_str *out, const struct dio_metrics *m, int width)
{
    char name[1200];
    enum { CELL = 9 };
    dio_str_add(out, "\n  confusion (rows: true class, columns: predicted)\n  ");
    padded(out, "", width, false);
    for (size_t c = 0; c < m->n_classes; c++) {
        name_for(name, sizeof name, m->per_class[c].name, CELL - 1);
        padded(out, name, CELL, true);
    }
    dio_str_add(out, "\n");
    for (size_t c = 0; c < m->n_classes; c++) {
        name_for(name, sizeof name, m->per_class[c].name, NAME_WIDTH);
        dio_str_add(out, "  ");
        padded(out, name, width, false);
        for (size_t k = 0; k < m->n_classes; k++) {
            dio_str_addf(out, "%*llu", CELL, (unsigned long long)m->confusion[c * m->n_classes + k]);
        }
        dio_str_add(out, "\n");
    }
}

void dio_metrics_text(struct dio_str *out, const struct dio_metrics *m)
{
    dio_str_addf(out, "%llu pictures, %zu classes", (unsigned long long)m->n, m->n_classes);
    if (m->skipped) dio_str_addf(out, ", %llu skipped", (unsigned long long)m->skipped);
    dio_str_add(out, "\n");
    char top[24];
    snprintf(top, sizeof top, "top-%zu", m->top_k);
    figure(out, "top-1", m->top1, &m->top1_interval, NULL);
    if (m->top_k > 1 && m->top_k < m->n_classes) figure(out, top, m->topk, NULL, NULL);
    figure(out, "balanced accuracy", m->balanced_accuracy, &m->balanced_interval, NULL);
    figure(out, "macro F1", m->f1_macro, &m->f1_interval, NULL);
    if (m->binary) {
        binary_text(out, m);
    } else {
        figure(out, "macro AUROC", m->auroc_macro, NULL, "one class against the rest");
    }
    figure(out, "log loss", m->log_loss, NULL, NULL);
    figure(out, "calibration error", m->ece, NULL, "15 bins");
    int width = name_width(m);
    class_table(out, m, width);
    if (m->n_classes <= MATRIX_CLASSES) matrix(out, m, width);
}

/* ---- SVG ---- */

static void confusion_plot(struct dio_str *out, const struct dio_metrics *m, int side, const char *title)
{
    struct dio_plot plot = {.title = title, .x_label = "predicted", .y_label = "true", .width = side, .height = side};
    const char **labels = dio_alloc_array(out->ctx, m->n_classes, sizeof *labels, "plot labels");
    if (!labels) {
        out->failed = true;
        return;
    }
    for (size_t c = 0; c < m->n_classes; c++) labels[c] = m->per_class[c].name;
    dio_svg_confusion(out, &plot, labels, m->confusion, m->n_classes);
    dio_free(out->ctx, labels);
}

static void roc_plot(struct dio_str *out, const struct dio_metrics *m, int side, const char *title)
{
    struct dio_plot plot = {.title = title, .x_label = "1 - specificity", .y_label = "sensitivity", .width = side, .height = side};
    dio_svg_roc(out, &plot, m->roc_fpr, m->roc_tpr, m->n_roc, m->auroc);
}

void dio_confusion_svg(struct dio_str *out, const struct dio_metrics *metrics)
{
    /* A few classes get large cells; many take what they need. */
    confusion_plot(out, metrics, metrics->n_classes <= 4 ? REPORT_SIDE : 0, NULL);
}

void dio_roc_svg(struct dio_str *out, const struct dio_metrics *metrics)
{
    if (metrics->binary && !isnan(metrics->auroc)) roc_plot(out, metrics, REPORT_SIDE, NULL);
}

void dio_metrics_svg(struct dio_str *out, const struct dio_metrics *m)
{
    int side = PLOT_SIDE;
    if (m->n_classes > 12) side += (int)(m->n_classes > 60 ? 48 : m->n_classes - 12) * 12;
    bool roc = m->binary && !isnan(m->auroc);
    int width = roc ? 2 * side + PLOT_GAP : side;
    dio_str_addf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n", width, side,
                 width, side);
    confusion_plot(out, m, side, "Confusion matrix");
    if (roc) {
        dio_str_addf(out, "<g transform=\"translate(%d 0)\">\n", side + PLOT_GAP);
        roc_plot(out, m, side, "ROC curve");
        dio_str_add(out, "</g>\n");
    }
    dio_str_add(out, "</svg>\n");
}

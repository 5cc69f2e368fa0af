/* Metrics for people and programs: JSON, a terminal's text, SVG. */
#ifndef DIO_EVAL_TABLES_H
#define DIO_EVAL_TABLES_H

#include "base/str.h"
#include "eval/metrics.h"

/* One JSON object on one line (without the line's end): top1, n, skipped, classes, per_class, confusion, ... ; numbers
 * shortest that read back the same, NAN as null. */
void dio_metrics_json(struct dio_str *out, const struct dio_metrics *metrics);
/* Aligned text: key figures with intervals, per-class table, confusion matrix (while it has at most 20 classes). */
void dio_metrics_text(struct dio_str *out, const struct dio_metrics *metrics);
/* One SVG file: the confusion matrix, and for two classes the ROC curve beside it. */
void dio_metrics_svg(struct dio_str *out, const struct dio_metrics *metrics);
/* The two parts alone, as <svg> elements that take their colours from CSS variables, for the report. */
void dio_confusion_svg(struct dio_str *out, const struct dio_metrics *metrics);
void dio_roc_svg(struct dio_str *out, const struct dio_metrics *metrics);

#endif

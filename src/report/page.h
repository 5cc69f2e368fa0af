/* Private to report/: the parts of the page, each in a file with its like. */
#ifndef DIO_REPORT_PAGE_H
#define DIO_REPORT_PAGE_H

#include "report/report.h"

extern const char dio_report_style[], dio_report_style_media[];

/* report/figures.c: numbers and curves */
void dio_page_key_figures(struct dio_str *out, const struct dio_report *report);
void dio_page_curves(struct dio_str *out, const struct dio_report *report);
void dio_page_classes(struct dio_str *out, const struct dio_report *report);

/* report/gallery.c: pictures */
void dio_page_mistakes(struct dio_ctx *ctx, struct dio_str *out, const struct dio_report *report);
void dio_page_samples(struct dio_ctx *ctx, struct dio_str *out, const struct dio_report *report);

/* report/background.c: data, settings, provenance */
dio_status dio_page_data(struct dio_ctx *ctx, struct dio_str *out, const struct dio_report *report);
void dio_page_settings(struct dio_str *out, const struct dio_report *report);

/* "97.2 %"; "-" for what is not known. */
void dio_page_percent(char *out, size_t out_size, double share);
void dio_page_section(struct dio_str *out, const char *id, const char *title);
void dio_page_end_section(struct dio_str *out);

#endif

/* One self-contained HTML page: no scripts, nothing fetched. */
#ifndef DIO_TEXT_HTML_H
#define DIO_TEXT_HTML_H

#include "base/str.h"


void dio_html_text(struct dio_str *out, const char *text); /* escaped */
void dio_html_name(struct dio_str *out, const char *text); /* escaped, and its direction kept to itself */
void dio_html_heading(struct dio_str *out, int level, const char *text);

/* A table row by row; cells are escaped.  `numeric` aligns to the right. */
void dio_html_row_begin(struct dio_str *out);
void dio_html_cell(struct dio_str *out, const char *text, bool numeric);
void dio_html_cell_head(struct dio_str *out, const char *text); /* names its row */
void dio_html_cell_name(struct dio_str *out, const char *text); /* the same, of a name from the data */
void dio_html_row_end(struct dio_str *out);

/* <figure> with inline SVG or a picture as data URI; the caption may be NULL. */
void dio_html_figure_begin(struct dio_str *out);
void dio_html_figure_end(struct dio_str *out, const char *caption);

void dio_base64(struct dio_str *out, const void *bytes, size_t length);

#endif

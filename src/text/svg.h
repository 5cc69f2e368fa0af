/* Plots as SVG text: readable in black and white and for colour-blind readers (line styles and marks differ as well as
 * colours), text escaped, the same bytes for the same numbers. */
#ifndef DIO_TEXT_SVG_H
#define DIO_TEXT_SVG_H

#include "base/str.h"

struct dio_plot {
    const char *title, *x_label, *y_label; /* each may be NULL */
    int width, height;                     /* pixels; 0: a good default */
    double y_min, y_max;                   /* both 0: from the data */
    bool log_y;
    bool percent;                          /* y values are shares: ticks as 0 % to 100 % */
};

struct dio_series {
    const char *name;   /* for the legend; NULL: none */
    const double *x, *y; /* x NULL: 1, 2, 3, ...; values that are not finite leave a gap */
    size_t count;
};

/* Each appends one <svg> element. */
void dio_svg_lines(struct dio_str *out, const struct dio_plot *plot, const struct dio_series *series, size_t count);
/* Rows: true class, columns: predicted class; each row coloured by its share.  Above some 40 classes without numbers. */
void dio_svg_confusion(struct dio_str *out, const struct dio_plot *plot, const char *const *labels, const uint64_t *counts,
                       size_t classes);
/* Receiver operating characteristic: points from (0, 0) to (1, 1), with the diagonal. */
void dio_svg_roc(struct dio_str *out, const struct dio_plot *plot, const double *false_positive, const double *true_positive,
                 size_t count, double auroc);

/* Text as it stands in XML: markup escaped, control characters left out. */
void dio_xml_escape(struct dio_str *out, const char *text);

#endif

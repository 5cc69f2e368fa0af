/* Private to text/: what every plot has: an outer element, a plotting area with scales, axes with round numbers, a legend. */
#ifndef DIO_TEXT_SVG_FRAME_H
#define DIO_TEXT_SVG_FRAME_H

#include "text/svg.h"

struct dio_axis {
    double low, high; /* values at the two ends */
    bool log, percent, whole;
};

struct dio_frame {
    struct dio_str *out;
    double width, height;
    double left, top, right, bottom; /* of the plotting area, in pixels */
    struct dio_axis x, y;
};

/* Opens <svg>, draws background and title; the area is what the margins leave. */
void dio_frame_begin(struct dio_frame *frame, struct dio_str *out, const struct dio_plot *plot, int width, int height,
                     double left_margin, double bottom_margin);
void dio_frame_end(struct dio_frame *frame);

/* Widens to round numbers (an empty range gets some width). */
void dio_axis_round(struct dio_axis *axis);
/* Grid, ticks, tick texts and titles; either may be left out. */
void dio_frame_x_axis(struct dio_frame *frame, const char *label);
void dio_frame_y_axis(struct dio_frame *frame, const char *label);
double dio_frame_x(const struct dio_frame *frame, double x);
double dio_frame_y(const struct dio_frame *frame, double y);

enum dio_anchor { DIO_ANCHOR_START, DIO_ANCHOR_MIDDLE, DIO_ANCHOR_END };
void dio_svg_text(struct dio_str *out, double x, double y, enum dio_anchor anchor, const char *style, const char *text);
/* At most `limit` characters, with an ellipsis. */
void dio_svg_short(char *out, size_t out_size, const char *text, size_t limit);

/* Okabe and Ito's colours, which stay apart for colour-blind readers; line and mark styles go along. */
const char *dio_svg_colour(size_t index);
const char *dio_svg_dash(size_t index);
void dio_svg_mark(struct dio_str *out, size_t index, double x, double y);

#endif

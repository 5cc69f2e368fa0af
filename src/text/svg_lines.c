/* Plots over two scaled axes: lines, receiver operating characteristic, reliability. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text/svg_frame.h"

static double x_of(const struct dio_series *series, size_t i)
{
    return series->x ? series->x[i] : (double)(i + 1);
}

static bool drawable(const struct dio_axis *y, double x, double value)
{
    return isfinite(x) && isfinite(value) && (!y->log || value > 0);
}

static void take_in(struct dio_axis *axis, double value)
{
    if (!(value >= axis->low)) axis->low = value;
    if (!(value <= axis->high)) axis->high = value;
}

/* Ranges of everything that can be drawn. */
static void find_ranges(struct dio_frame *frame, const struct dio_plot *plot, const struct dio_series *series, size_t count)
{
    frame->x = (struct dio_axis){.low = (double)NAN, .high = (double)NAN, .whole = true};
    frame->y = (struct dio_axis){.low = (double)NAN, .high = (double)NAN, .log = plot->log_y, .percent = plot->percent};
    for (size_t s = 0; s < count; s++) {
        for (size_t i = 0; i < series[s].count; i++) {
            double x = x_of(&series[s], i), y = series[s].y[i];
            if (!drawable(&frame->y, x, y)) continue;
            take_in(&frame->x, x);
            take_in(&frame->y, y);
            if (x != floor(x)) frame->x.whole = false;
        }
    }
    if (isnan(frame->x.low)) frame->x.low = frame->x.high = frame->y.low = frame->y.high = 1; /* nothing to draw */
    if (!(frame->x.high > frame->x.low)) {
        frame->x.low -= 1;
        frame->x.high += 1;
    }
    dio_axis_round(&frame->y);
    if (plot->y_min != 0 || plot->y_max != 0) {
        frame->y.low = plot->y_min;
        frame->y.high = plot->y_max;
    }
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* A line of many points keeps the extremes of each stretch: what the eye would see anyway. */
static void draw_line(struct dio_frame *frame, const struct dio_series *series, size_t index)
{
    size_t stretch = series->count / 1000 + 1;
    bool pen_down = false;
    dio_str_addf(frame->out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-linejoin=\"round\" stroke-dasharray=\"%s\" d=\"",
                 dio_svg_colour(index), dio_svg_dash(index));
    for (size_t start = 0; start < series->count; start += stretch) {
        size_t end = start + stretch < series->count ? start + stretch : series->count, low = start, high = start;
        for (size_t i = start; i < end; i++) {
            if (series->y[i] < series->y[low]) low = i;
            if (series->y[i] > series->y[high]) high = i;
        }
        for (int k = 0; k <= (low != high); k++) {
            size_t i = (k == 0) == (low < high) ? low : high;
            double x = x_of(series, i), y = series->y[i];
            if (!drawable(&frame->y, x, y)) {
                pen_down = false;
                continue;
            }
            double py = clamp(dio_frame_y(frame, y), frame->top, frame->bottom);
            dio_str_addf(frame->out, "%s%.2f %.2f", pen_down ? "L" : "M", dio_frame_x(frame, x), py);
            pen_down = true;
        }
    }
    dio_str_add(frame->out, "\"/>\n");
}

static void draw_marks(struct dio_frame *frame, const struct dio_series *series, size_t index)
{
    if (series->count > 40) return;
    for (size_t i = 0; i < series->count; i++) {
        double x = x_of(series, i), y = series->y[i];
        if (!drawable(&frame->y, x, y)) continue;
        dio_svg_mark(frame->out, index, dio_frame_x(frame, x), clamp(dio_frame_y(frame, y), frame->top, frame->bottom));
    }
}

/* In one or more rows above the area, which moves down for them. */
static void draw_legend(struct dio_frame *frame, const struct dio_series *series, size_t count)
{
    double x = frame->left;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (!series[i].name) continue;
        char name[160];
        dio_svg_short(name, sizeof name, series[i].name, 32);
        double width = 46 + 7.0 * (double)strlen(name);
        if (any && x + width > frame->right) {
            x = frame->left;
            frame->top += 18;
        }
        any = true;
        dio_str_addf(frame->out, "<path d=\"M%.2f %.2fh28\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\"/>\n", x, frame->top,
                     dio_svg_colour(i), dio_svg_dash(i));
        if (series[i].count <= 40) dio_svg_mark(frame->out, i, x + 14, frame->top);
        dio_svg_text(frame->out, x + 33, frame->top + 4, DIO_ANCHOR_START, "", name);
        x += width;
    }
    if (any) frame->top += 16;
}

void dio_svg_lines(struct dio_str *out, const struct dio_plot *plot, const struct dio_series *series, size_t count)
{
    struct dio_frame frame;
    dio_frame_begin(&frame, out, plot, 720, 400, plot->y_label ? 78 : 62, plot->x_label ? 50 : 32);
    draw_legend(&frame, series, count);
    find_ranges(&frame, plot, series, count);
    dio_frame_y_axis(&frame, plot->y_label);
    dio_frame_x_axis(&frame, plot->x_label);
    for (size_t i = 0; i < count; i++) draw_line(&frame, &series[i], i);
    for (size_t i = 0; i < count; i++) draw_marks(&frame, &series[i], i);
    dio_frame_end(&frame);
}

/* Both axes from 0 to 1, and the diagonal. */
static void begin_unit_square(struct dio_frame *frame, struct dio_str *out, const struct dio_plot *plot, const char *x_label, const char *y_label)
{
    dio_frame_begin(frame, out, plot, 440, 440, 72, 50);
    frame->x = frame->y = (struct dio_axis){.low = 0, .high = 1};
    dio_frame_y_axis(frame, plot->y_label ? plot->y_label : y_label);
    dio_frame_x_axis(frame, plot->x_label ? plot->x_label : x_label);
}

static void draw_diagonal(struct dio_frame *frame)
{
    dio_str_addf(frame->out, "<path d=\"M%.2f %.2fL%.2f %.2f\" stroke=\"#777\" stroke-dasharray=\"4 4\"/>\n", frame->left, frame->bottom,
                 frame->right, frame->top);
}

void dio_svg_roc(struct dio_str *out, const struct dio_plot *plot, const double *false_positive, const double *true_positive,
                 size_t count, double auroc)
{
    struct dio_frame frame;
    begin_unit_square(&frame, out, plot, "false positive rate (1 - specificity)", "true positive rate (sensitivity)");
    draw_diagonal(&frame);
    dio_str_addf(out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2.2\" stroke-linejoin=\"round\" d=\"", dio_svg_colour(0));
    double last_x = -1, last_y = -1;
    for (size_t i = 0; i < count; i++) {
        double x = dio_frame_x(&frame, false_positive[i]), y = dio_frame_y(&frame, true_positive[i]);
        if (!isfinite(x) || !isfinite(y)) continue;
        bool near = fabs(x - last_x) + fabs(y - last_y) < 0.25 && i + 1 < count; /* thousands of steps below a pixel */
        if (near) continue;
        dio_str_addf(out, "%s%.2f %.2f", last_x < 0 ? "M" : "L", x, y);
        last_x = x;
        last_y = y;
    }
    dio_str_add(out, "\"/>\n");
    if (isfinite(auroc)) {
        struct dio_str text;
        dio_str_init(&text, out->ctx);
        dio_str_addf(&text, "AUROC %.4f", auroc);
        if (dio_str_status(&text) == DIO_OK) {
            dio_svg_text(out, frame.right - 12, frame.bottom - 14, DIO_ANCHOR_END, "font-size=\"14\" font-weight=\"600\"", text.data);
        } else {
            out->failed = true;
        }
        dio_str_free(&text);
    }
    dio_frame_end(&frame);
}

#include "text/svg_frame.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void dio_xml_escape(struct dio_str *out, const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length;) {
        uint32_t c = 0;
        char shown[8];
        size_t size = dio_utf8_decode((const unsigned char *)text + i, length - i, &c);
        if (c == '&') dio_str_add(out, "&amp;");
        else if (c == '<') dio_str_add(out, "&lt;");
        else if (c == '>') dio_str_add(out, "&gt;");
        else if (c == '"') dio_str_add(out, "&quot;");
        else if (c == '\'') dio_str_add(out, "&#39;");
        else if (c == '\t' || c == '\n') dio_str_add(out, " ");
        else if (c != 0xfffe && c != 0xffff) {
            (void)dio_escape_one((const unsigned char *)text + i, length - i, shown); /* as a terminal gets it */
            dio_str_add(out, shown);
        }
        i += size > 0 ? size : 1;
    }
}

void dio_svg_short(char *out, size_t out_size, const char *text, size_t limit)
{
    size_t length = strlen(text), at = 0, characters = 0, cut = 0;
    while (at < length) {
        uint32_t c;
        size_t size = dio_utf8_decode((const unsigned char *)text + at, length - at, &c);
        if (characters + 1 == limit) cut = at;
        if (++characters > limit) break;
        at += size > 0 ? size : 1;
    }
    if (characters <= limit) snprintf(out, out_size, "%s", text);
    else snprintf(out, out_size, "%.*s\xe2\x80\xa6", (int)cut, text);
}

const char *dio_svg_colour(size_t index)
{
    static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
    return colours[index % (sizeof colours / sizeof *colours)];
}

const char *dio_svg_dash(size_t index)
{
    static const char *const dashes[] = {"none", "7 4", "2 3", "10 4 2 4", "4 2", "12 3"};
    return dashes[index % (sizeof dashes / sizeof *dashes)];
}

void dio_svg_mark(struct dio_str *out, size_t index, double x, double y)
{
    const char *colour = dio_svg_colour(index);
    switch (index % 4) {
    case 0: dio_str_addf(out, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"3\" fill=\"%s\"/>\n", x, y, colour); return;
    case 1: dio_str_addf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"5.6\" height=\"5.6\" fill=\"%s\"/>\n", x - 2.8, y - 2.8, colour); return;
    case 2: dio_str_addf(out, "<path d=\"M%.2f %.2fl3.6 6.2h-7.2z\" fill=\"%s\"/>\n", x, y - 4, colour); return;
    default: dio_str_addf(out, "<path d=\"M%.2f %.2fl3.8 3.8l-3.8 3.8l-3.8 -3.8z\" fill=\"%s\"/>\n", x, y - 3.8, colour);
    }
}

void dio_svg_text(struct dio_str *out, double x, double y, enum dio_anchor anchor, const char *style, const char *text)
{
    static const char *const anchors[] = {"start", "middle", "end"};
    dio_str_addf(out, "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"%s\"%s%s>", x, y, anchors[anchor], *style ? " " : "", style);
    dio_xml_escape(out, text);
    dio_str_add(out, "</text>\n");
}

void dio_frame_begin(struct dio_frame *frame, struct dio_str *out, const struct dio_plot *plot, int width, int height,
                     double left_margin, double bottom_margin)
{
    *frame = (struct dio_frame){.out = out};
    frame->width = plot->width > 0 ? plot->width : width;
    frame->height = plot->height > 0 ? plot->height : height;
    frame->left = left_margin;
    frame->right = frame->width - 18;
    frame->top = plot->title ? 44 : 18;
    frame->bottom = frame->height - bottom_margin;
    dio_str_addf(out,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
                 "font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\" font-size=\"12\" fill=\"#222\">\n",
                 frame->width, frame->height, frame->width, frame->height);
    if (plot->title) {
        dio_str_add(out, "<title>");
        dio_xml_escape(out, plot->title);
        dio_str_add(out, "</title>\n");
    }
    dio_str_addf(out, "<rect width=\"%.0f\" height=\"%.0f\" fill=\"#fff\"/>\n", frame->width, frame->height);
    if (plot->title) dio_svg_text(out, frame->width / 2, 24, DIO_ANCHOR_MIDDLE, "font-size=\"15\" font-weight=\"600\"", plot->title);
}

void dio_frame_end(struct dio_frame *frame)
{
    dio_str_add(frame->out, "</svg>\n");
}

/* 1, 2 or 5 times a power of ten, so that about `ticks` fit. */
static double round_step(double range, int ticks, bool whole)
{
    double raw = range / ticks, power = pow(10, floor(log10(raw))), share = raw / power;
    double step = power * (share <= 1.0000001 ? 1 : share <= 2.0000001 ? 2 : share <= 5.0000001 ? 5 : 10);
    return whole && step < 1 ? 1 : step;
}

enum { X_TICKS = 8, Y_TICKS = 6 };

void dio_axis_round(struct dio_axis *axis)
{
    if (!(axis->high > axis->low)) {
        double middle = isfinite(axis->low) ? axis->low : 0, half = middle != 0 && !axis->whole ? fabs(middle) * 0.1 : 1;
        axis->low = axis->log ? middle / 10 : middle - half;
        axis->high = axis->log ? middle * 10 : middle + half;
        if (axis->percent && middle >= 0 && middle <= 1) {
            axis->low = 0;
            axis->high = 1;
        }
    }
    if (axis->log) {
        axis->low = pow(10, floor(log10(axis->low) + 1e-9));
        axis->high = pow(10, ceil(log10(axis->high) - 1e-9));
        return;
    }
    double step = round_step(axis->high - axis->low, Y_TICKS, axis->whole);
    axis->low = floor(axis->low / step + 1e-9) * step;
    axis->high = ceil(axis->high / step - 1e-9) * step;
}

static double position(const struct dio_axis *axis, double value)
{
    if (axis->log) return (log10(value) - log10(axis->low)) / (log10(axis->high) - log10(axis->low));
    return (value - axis->low) / (axis->high - axis->low);
}

double dio_frame_x(const struct dio_frame *frame, double x)
{
    return frame->left + position(&frame->x, x) * (frame->right - frame->left);
}

double dio_frame_y(const struct dio_frame *frame, double y)
{
    return frame->bottom - position(&frame->y, y) * (frame->bottom - frame->top);
}

/* snprintf in the C locale. */
DIO_PRINTF(3, 4) static void print(char *out, size_t out_size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    dio_vformat(out, out_size, format, arguments);
    va_end(arguments);
}

/* "12.5", "3e-05", "80 %": a value as a tick shows it. */
static void axis_number(char *out, size_t out_size, const struct dio_axis *axis, double value, double step)
{
    if (axis->percent) {
        value *= 100;
        step *= 100;
    }
    double size = fmax(fabs(value), step);
    if (fabs(value) < step * 1e-6) value = 0;
    if (value != 0 && (size >= 1e6 || size < 1e-3)) {
        char text[40];
        print(text, sizeof text, "%.2e", value);
        double rounded = 0;
        if (dio_parse_double(text, strlen(text), &rounded)) value = rounded;
        dio_format_double(out, out_size, value);
        return;
    }
    int decimals = step > 0 && step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
    print(out, out_size, "%.*f", decimals > 9 ? 9 : decimals, value);
    size_t used = strlen(out);
    if (axis->percent) snprintf(out + used, out_size - used, " %%");
}

/* The values at which ticks stand. */
static size_t find_ticks(const struct dio_axis *axis, int wanted, double ticks[32], double *step)
{
    size_t count = 0;
    if (axis->log) {
        double decades = log10(axis->high) - log10(axis->low);
        int skip = (int)ceil(decades / wanted - 1e-9);
        *step = 0;
        for (int i = 0; i <= (int)lround(decades) && count < 30; i += skip > 0 ? skip : 1) {
            double power = pow(10, round(log10(axis->low)) + i);
            ticks[count++] = power;
            if (decades < 2.5 && i < (int)lround(decades) && count < 28) {
                ticks[count++] = 2 * power;
                ticks[count++] = 5 * power;
            }
        }
        return count;
    }
    *step = round_step(axis->high - axis->low, wanted, axis->whole);
    for (double at = ceil(axis->low / *step - 1e-9); at * *step <= axis->high + *step * 1e-6 && count < 32; at++) ticks[count++] = at * *step;
    return count;
}

void dio_frame_x_axis(struct dio_frame *frame, const char *label)
{
    double ticks[32], step;
    size_t count = find_ticks(&frame->x, X_TICKS, ticks, &step);
    for (size_t i = 0; i < count; i++) {
        char text[48];
        double x = dio_frame_x(frame, ticks[i]);
        axis_number(text, sizeof text, &frame->x, ticks[i], step > 0 ? step : ticks[i]);
        dio_str_addf(frame->out, "<path d=\"M%.2f %.2fv5\" stroke=\"#555\"/>\n", x, frame->bottom);
        dio_svg_text(frame->out, x, frame->bottom + 19, DIO_ANCHOR_MIDDLE, "", text);
    }
    dio_str_addf(frame->out, "<path d=\"M%.2f %.2fH%.2f\" stroke=\"#555\"/>\n", frame->left, frame->bottom, frame->right);
    if (label) dio_svg_text(frame->out, (frame->left + frame->right) / 2, frame->bottom + 38, DIO_ANCHOR_MIDDLE, "", label);
}

void dio_frame_y_axis(struct dio_frame *frame, const char *label)
{
    double ticks[32], step;
    size_t count = find_ticks(&frame->y, Y_TICKS, ticks, &step);
    for (size_t i = 0; i < count; i++) {
        char text[48];
        double y = dio_frame_y(frame, ticks[i]);
        axis_number(text, sizeof text, &frame->y, ticks[i], step > 0 ? step : ticks[i]);
        dio_str_addf(frame->out, "<path d=\"M%.2f %.2fH%.2f\" stroke=\"#ddd\"/>\n", frame->left, y, frame->right);
        dio_svg_text(frame->out, frame->left - 7, y + 4, DIO_ANCHOR_END, "", text);
    }
    dio_str_addf(frame->out, "<path d=\"M%.2f %.2fV%.2f\" stroke=\"#555\"/>\n", frame->left, frame->top, frame->bottom);
    if (!label) return;
    double middle = (frame->top + frame->bottom) / 2;
    char style[80];
    snprintf(style, sizeof style, "transform=\"rotate(-90 16 %d)\"", (int)middle);
    dio_svg_text(frame->out, 16, (int)middle, DIO_ANCHOR_MIDDLE, style, label);
}

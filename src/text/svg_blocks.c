/* Plots of labelled blocks: bars and confusion matrices. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text/svg_frame.h"

enum { LABEL_LIMIT = 24 };

/* Roughly: the font is the reader's. */
static double text_width(const char *text)
{
    double characters = 0;
    for (; *text; text++) characters += ((unsigned char)*text & 0xc0) != 0x80;
    return 7 * characters;
}

static double widest(const char *const *labels, size_t count)
{
    double width = 30;
    for (size_t i = 0; i < count; i++) {
        char text[160];
        dio_svg_short(text, sizeof text, labels[i], LABEL_LIMIT);
        width = fmax(width, text_width(text));
    }
    return width;
}

/* From white to a blue that prints dark grey. */
static void fill_of_share(double share, char out[8])
{
    int red = (int)lround(255 - share * (255 - 8)), green = (int)lround(255 - share * (255 - 64)), blue = (int)lround(255 - share * (255 - 129));
    snprintf(out, 8, "#%02x%02x%02x", (unsigned)red & 255u, (unsigned)green & 255u, (unsigned)blue & 255u);
}

struct matrix {
    struct dio_str *out;
    double left, top, cell;
    bool numbers;
};

static void draw_cell(const struct matrix *matrix, size_t row, size_t column, uint64_t count, double share)
{
    char fill[8], text[32], style[64];
    double x = matrix->left + matrix->cell * (double)column, y = matrix->top + matrix->cell * (double)row;
    const char *ink = share > 0.5 ? "#fff" : "#222";
    fill_of_share(share, fill);
    if (count > 0) {
        dio_str_addf(matrix->out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n", x, y, matrix->cell, matrix->cell, fill);
    }
    if (!matrix->numbers) return;
    bool with_share = matrix->cell >= 44 && count > 0;
    double size = matrix->cell >= 44 ? 13 : matrix->cell >= 30 ? 11 : 9;
    snprintf(style, sizeof style, "font-size=\"%d\" fill=\"%s\"", (int)size, count > 0 ? ink : "#999");
    snprintf(text, sizeof text, "%" PRIu64, count);
    dio_svg_text(matrix->out, x + matrix->cell / 2, y + matrix->cell / 2 + (with_share ? -1 : size / 3), DIO_ANCHOR_MIDDLE, style, text);
    if (!with_share) return;
    snprintf(style, sizeof style, "font-size=\"10\" fill=\"%s\"", ink);
    snprintf(text, sizeof text, "%d %%", (int)lround(100 * share));
    dio_svg_text(matrix->out, x + matrix->cell / 2, y + matrix->cell / 2 + 13, DIO_ANCHOR_MIDDLE, style, text);
}

static void draw_labels(const struct matrix *matrix, const char *const *labels, size_t classes, double bottom)
{
    for (size_t i = 0; i < classes; i++) {
        char text[160], style[80];
        double at = matrix->cell * ((double)i + 0.5);
        dio_svg_short(text, sizeof text, labels[i], LABEL_LIMIT);
        dio_svg_text(matrix->out, matrix->left - 7, matrix->top + at + 4, DIO_ANCHOR_END, matrix->cell < 12 ? "font-size=\"8\"" : "", text);
        struct dio_str turn;
        dio_str_init(&turn, matrix->out->ctx);
        dio_str_addf(&turn, "%stransform=\"rotate(-45 %.2f %.2f)\"", matrix->cell < 12 ? "font-size=\"8\" " : "", matrix->left + at + 4, bottom + 14);
        snprintf(style, sizeof style, "%s", turn.data ? turn.data : "");
        if (dio_str_status(&turn) != DIO_OK) matrix->out->failed = true;
        dio_str_free(&turn);
        dio_svg_text(matrix->out, matrix->left + at + 4, bottom + 14, DIO_ANCHOR_END, style, text);
    }
}

void dio_svg_confusion(struct dio_str *out, const struct dio_plot *plot, const char *const *labels, const uint64_t *counts,
                       size_t classes)
{
    struct dio_frame frame;
    bool names = classes <= 100;
    double cell = classes <= 4 ? 84 : classes <= 10 ? 52 : classes <= 20 ? 34 : classes <= 40 ? 26 : fmax(700.0 / (double)classes, 1);
    double label_width = names && classes > 0 ? widest(labels, classes) : 20;
    double left = label_width + 46, below = names ? label_width * 0.75 + 48 : 48, top = plot->title ? 44 : 18;
    if (plot->width > 0 && plot->height > 0 && classes > 0) { /* a given size is filled, and never left */
        cell = fmax(fmin(plot->width - left - 40, plot->height - top - below) / (double)classes, 1);
    }
    double side = cell * (double)classes;
    dio_frame_begin(&frame, out, plot, (int)ceil(left + side + 40), (int)ceil(top + side + below), left, below);
    struct matrix matrix = {out, left, top, cell, classes <= 40};
    dio_str_addf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"#fff\" stroke=\"#555\"/>\n", left, top, side, side);
    for (size_t row = 0; row < classes; row++) {
        uint64_t total = 0;
        for (size_t column = 0; column < classes; column++) total += counts[row * classes + column];
        for (size_t column = 0; column < classes; column++) {
            uint64_t count = counts[row * classes + column];
            if (count > 0 || matrix.numbers) draw_cell(&matrix, row, column, count, total > 0 ? (double)count / (double)total : 0);
        }
    }
    for (size_t i = 0; i < classes && matrix.numbers; i++) { /* the diagonal stands out in print, too */
        dio_str_addf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"none\" stroke=\"#222\"/>\n", left + cell * (double)i,
                     top + cell * (double)i, cell, cell);
    }
    if (names) draw_labels(&matrix, labels, classes, top + side);
    char style[80];
    double middle = top + side / 2;
    snprintf(style, sizeof style, "font-weight=\"600\" transform=\"rotate(-90 18 %d)\"", (int)middle);
    dio_svg_text(out, 18, (int)middle, DIO_ANCHOR_MIDDLE, style, plot->y_label ? plot->y_label : "true class");
    dio_svg_text(out, left + side / 2, top + side + below - 12, DIO_ANCHOR_MIDDLE, "font-weight=\"600\"", plot->x_label ? plot->x_label : "predicted class");
    dio_frame_end(&frame);
}

#include "text/html.h"

#include "text/svg.h"

void dio_html_text(struct dio_str *out, const char *text)
{
    dio_xml_escape(out, text);
}

void dio_html_name(struct dio_str *out, const char *text)
{
    dio_str_add(out, "<bdi>");
    dio_html_text(out, text);
    dio_str_add(out, "</bdi>");
}

static void element(struct dio_str *out, const char *tag, const char *attributes, const char *text)
{
    dio_str_addf(out, "<%s%s>", tag, attributes);
    dio_html_text(out, text);
    dio_str_addf(out, "</%s>", tag);
}

void dio_html_heading(struct dio_str *out, int level, const char *text)
{
    static const char *const tags[] = {"h1", "h2", "h3"};
    element(out, tags[level < 1 ? 0 : level > 3 ? 2 : level - 1], "", text);
    dio_str_add(out, "\n");
}

void dio_html_row_begin(struct dio_str *out)
{
    dio_str_add(out, "<tr>");
}

void dio_html_cell(struct dio_str *out, const char *text, bool numeric)
{
    element(out, "td", numeric ? " class=\"n\"" : "", text);
}

void dio_html_cell_head(struct dio_str *out, const char *text)
{
    element(out, "th", " scope=\"row\"", text);
}

void dio_html_cell_name(struct dio_str *out, const char *text)
{
    dio_str_add(out, "<th scope=\"row\">");
    dio_html_name(out, text);
    dio_str_add(out, "</th>");
}

void dio_html_row_end(struct dio_str *out)
{
    dio_str_add(out, "</tr>\n");
}

void dio_html_figure_begin(struct dio_str *out)
{
    dio_str_add(out, "<figure>\n");
}

void dio_html_figure_end(struct dio_str *out, const char *caption)
{
    if (caption) element(out, "figcaption", "", caption);
    dio_str_add(out, "</figure>\n");
}

void dio_base64(struct dio_str *out, const void *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = bytes;
    char buffer[1024];
    size_t used = 0;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t group = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0u);
        buffer[used++] = digits[group >> 18];
        buffer[used++] = digits[group >> 12 & 63];
        buffer[used++] = left > 1 ? digits[group >> 6 & 63] : '=';
        buffer[used++] = left > 2 ? digits[group & 63] : '=';
        if (used == sizeof buffer) {
            dio_str_add_bytes(out, buffer, used);
            used = 0;
        }
    }
    dio_str_add_bytes(out, buffer, used);
}

#include "text/html.h"


#include "text/svg.h"

/* Readable on screen and on paper, light and dark; the plots keep their white ground. */
static const char style[] =
    "body{margin:2rem auto;max-width:62rem;padding:0 1rem;font:16px/1.5 system-ui,'Segoe UI','DejaVu Sans',sans-serif;color:#222;background:#fff}\n"
    "h1{font-size:1.7rem;margin:0 0 .5rem}h2{font-size:1.25rem;margin:2rem 0 .6rem;border-bottom:1px solid #ddd;padding-bottom:.2rem}h3{font-size:1.05rem}\n"
    "table{border-collapse:collapse;margin:.8rem 0}th,td{padding:.25rem .8rem .25rem 0;text-align:left;vertical-align:top;border-bottom:1px solid #eee}\n"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    "figure{margin:.8rem 0;break-inside:avoid}figcaption{font-size:.85rem;color:#555;overflow-wrap:anywhere}svg,img{max-width:100%;height:auto}\n"
    ".grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:1rem}.grid img{width:100%}\n"
    "pre{background:#f6f6f6;padding:.8rem;overflow:auto;font-size:.85rem}.note{color:#555}\n"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}h2{border-color:#444}th,td{border-color:#333}figcaption,.note{color:#aaa}pre{background:#222}}\n";

void dio_html_begin(struct dio_str *out, const char *title)
{
    dio_str_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    dio_html_text(out, title);
    dio_str_add(out, "</title>\n<style>\n");
    dio_str_add(out, style);
    dio_str_add(out, "</style>\n</head>\n<body>\n");
}

void dio_html_end(struct dio_str *out)
{
    dio_str_add(out, "</body>\n</html>\n");
}

void dio_html_text(struct dio_str *out, const char *text)
{
    dio_xml_escape(out, text);
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

void dio_html_paragraph(struct dio_str *out, const char *text)
{
    element(out, "p", "", text);
    dio_str_add(out, "\n");
}

void dio_html_table_begin(struct dio_str *out, const char *const *columns, size_t count)
{
    dio_str_add(out, "<table>\n");
    if (!columns) return;
    dio_html_row_begin(out);
    for (size_t i = 0; i < count; i++) element(out, "th", "", columns[i]);
    dio_html_row_end(out);
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

void dio_html_row_end(struct dio_str *out)
{
    dio_str_add(out, "</tr>\n");
}

void dio_html_table_end(struct dio_str *out)
{
    dio_str_add(out, "</table>\n");
}

void dio_html_figure_begin(struct dio_str *out)
{
    dio_str_add(out, "<figure>\n");
}

void dio_html_image(struct dio_str *out, const char *media_type, const void *bytes, size_t length, const char *alternative)
{
    dio_str_add(out, "<img src=\"data:");
    dio_html_text(out, media_type);
    dio_str_add(out, ";base64,");
    dio_base64(out, bytes, length);
    dio_str_add(out, "\" alt=\"");
    dio_html_text(out, alternative ? alternative : "");
    dio_str_add(out, "\">\n");
}

void dio_html_figure_end(struct dio_str *out, const char *caption)
{
    if (caption) element(out, "figcaption", "", caption);
    dio_str_add(out, "</figure>\n");
}

void dio_html_grid_begin(struct dio_str *out)
{
    dio_str_add(out, "<div class=\"grid\">\n");
}

void dio_html_grid_end(struct dio_str *out)
{
    dio_str_add(out, "</div>\n");
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

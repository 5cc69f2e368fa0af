#include "report/report.h"

#include "report/page.h"
#include "text/html.h"

void dio_page_section(struct dio_str *out, const char *id, const char *title)
{
    dio_str_addf(out, "<section aria-labelledby=\"%s\">\n<h2 id=\"%s\">", id, id);
    dio_html_text(out, title);
    dio_str_add(out, "</h2>\n");
}

void dio_page_end_section(struct dio_str *out)
{
    dio_str_add(out, "</section>\n");
}

static void head(struct dio_str *out, const struct dio_report *report)
{
    const char *title = report->title ? report->title : "Training report";
    dio_str_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    dio_html_text(out, title);
    dio_str_add(out, "</title>\n<style>\n");
    dio_str_add(out, dio_report_style);
    dio_str_add(out, dio_report_style_media);
    dio_str_add(out, "</style>\n</head>\n<body>\n<header>\n");
    dio_html_heading(out, 1, title);
    if (report->subtitle) {
        dio_str_add(out, "<p class=\"lead\">");
        dio_html_text(out, report->subtitle);
        dio_str_add(out, "</p>\n");
    }
    dio_str_add(out, "</header>\n<main>\n");
}

static void foot(struct dio_str *out, const struct dio_report *report)
{
    dio_str_add(out, "</main>\n<footer>Written by Diopter ");
    dio_html_text(out, report->version ? report->version : "");
    dio_str_add(out, ". This page needs no network and holds no script. Times and machine are in log.txt.</footer>\n</body>\n</html>\n");
}

dio_status dio_report_write(struct dio_ctx *ctx, const struct dio_report *report, struct dio_str *html)
{
    head(html, report);
    dio_page_key_figures(html, report);
    dio_page_curves(html, report);
    dio_page_classes(html, report);
    /* A picture that cannot be read leaves an empty frame, not an error. */
    struct dio_ctx child = dio_ctx_child(ctx);
    dio_page_mistakes(&child, html, report);
    dio_page_samples(&child, html, report);
    DIO_PASS(dio_page_data(ctx, html, report));
    dio_page_settings(html, report);
    foot(html, report);
    return dio_str_status(html);
}

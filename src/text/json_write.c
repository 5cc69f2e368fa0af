#include "text/json_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void dio_json_quote(struct dio_str *out, const char *text, size_t length)
{
    static const char names[] = "\"\\bfnrt", meanings[] = "\"\\\b\f\n\r\t";
    const unsigned char *bytes = (const unsigned char *)text;
    size_t run = 0; /* start of what can be copied as it is */
    dio_str_add(out, "\"");
    for (size_t i = 0; i < length;) {
        uint32_t c = bytes[i];
        size_t size = c < 0x80 ? 1 : dio_utf8_decode(bytes + i, length - i, &c);
        const char *meaning = c < 0x80 && c > 0 ? strchr(meanings, (int)c) : NULL;
        bool plain = size > 0 && !meaning && c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0x2028 && c != 0x2029;
        if (!plain) {
            dio_str_add_bytes(out, text + run, i - run);
            run = i + (size > 0 ? size : 1);
            if (size == 0) dio_str_add(out, "\xef\xbf\xbd");
            else if (meaning) dio_str_addf(out, "\\%c", names[meaning - meanings]);
            else dio_str_addf(out, "\\u%04x", (unsigned)c);
        }
        i += size > 0 ? size : 1;
    }
    dio_str_add_bytes(out, text + run, length - run);
    dio_str_add(out, "\"");
}

void dio_json_begin(struct dio_json_writer *writer, struct dio_str *out, int indent)
{
    *writer = (struct dio_json_writer){.out = out, .indent = indent};
}

static void break_line(struct dio_json_writer *writer)
{
    dio_str_add(writer->out, "\n");
    for (int i = 0; i < writer->depth * writer->indent; i++) dio_str_add(writer->out, " ");
}

/* Comma, line break and key before a value. */
static void lead(struct dio_json_writer *writer, const char *key)
{
    bool lines = writer->indent > 0 && writer->row == 0 && writer->depth > 0;
    if (writer->more) dio_str_add(writer->out, lines ? "," : ", ");
    if (lines) break_line(writer);
    if (key) {
        dio_json_quote(writer->out, key, strlen(key));
        dio_str_add(writer->out, ": ");
    }
    writer->more = true;
}

static void open(struct dio_json_writer *writer, const char *key, const char *bracket)
{
    lead(writer, key);
    dio_str_add(writer->out, bracket);
    writer->depth++;
    writer->more = false;
}

static void close(struct dio_json_writer *writer, const char *bracket)
{
    writer->depth--;
    if (writer->indent > 0 && writer->row == 0 && writer->more) break_line(writer);
    if (writer->row > writer->depth) writer->row = 0;
    dio_str_add(writer->out, bracket);
    writer->more = true;
}

void dio_json_map(struct dio_json_writer *writer, const char *key)
{
    open(writer, key, "{");
}

void dio_json_end_map(struct dio_json_writer *writer)
{
    close(writer, "}");
}

void dio_json_list(struct dio_json_writer *writer, const char *key)
{
    open(writer, key, "[");
}

void dio_json_row(struct dio_json_writer *writer, const char *key)
{
    open(writer, key, "[");
    if (writer->row == 0) writer->row = writer->depth;
}

void dio_json_end_list(struct dio_json_writer *writer)
{
    close(writer, "]");
}

void dio_json_text(struct dio_json_writer *writer, const char *key, const char *text)
{
    if (!text) {
        dio_json_null(writer, key);
        return;
    }
    lead(writer, key);
    dio_json_quote(writer->out, text, strlen(text));
}

void dio_json_i64(struct dio_json_writer *writer, const char *key, int64_t value)
{
    lead(writer, key);
    dio_str_addf(writer->out, "%" PRId64, value);
}

void dio_json_u64(struct dio_json_writer *writer, const char *key, uint64_t value)
{
    lead(writer, key);
    dio_str_addf(writer->out, "%" PRIu64, value);
}

void dio_json_double(struct dio_json_writer *writer, const char *key, double value)
{
    char text[40] = "null";
    if (isfinite(value)) dio_format_double(text, sizeof text, value);
    dio_json_raw(writer, key, text);
}

void dio_json_bool(struct dio_json_writer *writer, const char *key, bool value)
{
    dio_json_raw(writer, key, value ? "true" : "false");
}

void dio_json_null(struct dio_json_writer *writer, const char *key)
{
    dio_json_raw(writer, key, "null");
}

void dio_json_raw(struct dio_json_writer *writer, const char *key, const char *json)
{
    lead(writer, key);
    dio_str_add(writer->out, json);
}

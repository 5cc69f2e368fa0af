#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "text/json_write.h"
#include "text/yaml.h"

void dio_yaml_begin(struct dio_yaml_writer *writer, struct dio_str *out)
{
    *writer = (struct dio_yaml_writer){.out = out};
}

static void indent(struct dio_yaml_writer *writer)
{
    for (int i = 0; i < writer->depth; i++) dio_str_add(writer->out, "  ");
}

/* Words that some reader takes for something other than text. */
static bool is_special(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) == 0) return true;
    }
    double number;
    return dio_parse_double(text, strlen(text), &number);
}

/* Without quotes only where every reader agrees. */
static void put_text(struct dio_str *out, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./+-";
    size_t length = strlen(text), run = strspn(text, plain);
    while (text[run] == ':' && text[run + 1] && text[run + 1] != ' ') run += 1 + strspn(text + run + 1, plain);
    bool first_good = length > 0 && !strchr(":-+.0123456789", text[0]); /* ".inf", "1:30" and "0x1f" are numbers in YAML 1.1 */
    if ((text[0] == '/' || (text[0] == '.' && (text[1] == '/' || text[1] == '.'))) && run == length) first_good = true;
    if (run == length && first_good && text[length - 1] != ':' && !is_special(text)) dio_str_add(out, text);
    else dio_json_quote(out, text, length);
}

/* With a point in every number that has an exponent: YAML 1.1 readers take "1e-05" for text. */
static void put_double(struct dio_str *out, double value)
{
    char text[48];
    if (value != value) {
        dio_str_add(out, ".nan");
        return;
    }
    size_t length = dio_format_double(text, sizeof text, value);
    if (strstr(text, "inf")) {
        dio_str_add(out, value < 0 ? "-.inf" : ".inf");
        return;
    }
    size_t mantissa = strcspn(text, "e");
    dio_str_add_bytes(out, text, mantissa);
    if (mantissa < length && !memchr(text, '.', mantissa)) dio_str_add(out, ".0");
    dio_str_add(out, text + mantissa);
}

static void put_key(struct dio_yaml_writer *writer, const char *key)
{
    indent(writer);
    put_text(writer->out, key);
    dio_str_add(writer->out, ":");
}

void dio_yaml_comment(struct dio_yaml_writer *writer, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        indent(writer);
        dio_str_add(writer->out, length > 0 ? "# " : "#");
        dio_str_add_bytes(writer->out, text, length);
        dio_str_add(writer->out, "\n");
        text += length + (text[length] == '\n');
    }
}

void dio_yaml_map(struct dio_yaml_writer *writer, const char *key)
{
    put_key(writer, key);
    dio_str_add(writer->out, "\n");
    writer->depth++;
}

void dio_yaml_end_map(struct dio_yaml_writer *writer)
{
    writer->depth--;
}

void dio_yaml_raw(struct dio_yaml_writer *writer, const char *key, const char *value)
{
    put_key(writer, key);
    dio_str_addf(writer->out, " %s\n", value);
}

void dio_yaml_text(struct dio_yaml_writer *writer, const char *key, const char *text)
{
    put_key(writer, key);
    dio_str_add(writer->out, " ");
    put_text(writer->out, text);
    dio_str_add(writer->out, "\n");
}

void dio_yaml_i64(struct dio_yaml_writer *writer, const char *key, int64_t value)
{
    put_key(writer, key);
    dio_str_addf(writer->out, " %" PRId64 "\n", value);
}

void dio_yaml_double(struct dio_yaml_writer *writer, const char *key, double value)
{
    put_key(writer, key);
    dio_str_add(writer->out, " ");
    put_double(writer->out, value);
    dio_str_add(writer->out, "\n");
}

void dio_yaml_bool(struct dio_yaml_writer *writer, const char *key, bool value)
{
    dio_yaml_raw(writer, key, value ? "true" : "false");
}

void dio_yaml_doubles(struct dio_yaml_writer *writer, const char *key, const double *values, size_t count)
{
    put_key(writer, key);
    dio_str_add(writer->out, " [");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) dio_str_add(writer->out, ", ");
        put_double(writer->out, values[i]);
    }
    dio_str_add(writer->out, "]\n");
}

void dio_yaml_texts(struct dio_yaml_writer *writer, const char *key, const char *const *texts, size_t count)
{
    put_key(writer, key);
    dio_str_add(writer->out, " [");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) dio_str_add(writer->out, ", ");
        put_text(writer->out, texts[i]);
    }
    dio_str_add(writer->out, "]\n");
}

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

/* The resolved recipe of a run, and what sets two recipes apart. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "text/yaml.h"
#include "train/recipe.h"

/* The way from an absolute folder to an absolute path, both without links. */
static void add_relative(struct dio_str *out, const char *folder, const char *path)
{
    size_t common = 0; /* length of the shared folders, with the slash behind them */
    for (size_t i = 0;; i++) {
        bool end_a = folder[i] == 0 || folder[i] == '/', end_b = path[i] == 0 || path[i] == '/';
        if (end_a && end_b) common = i + 1;
        if (folder[i] != path[i] || folder[i] == 0) break;
    }
    size_t length = strlen(folder);
    for (size_t i = common; i < length; i++) {
        if (i == common || folder[i - 1] == '/') dio_str_add(out, "../");
    }
    dio_str_add(out, common <= strlen(path) ? path + common : ".");
}

static void add_path(struct dio_str *out, const struct dio_option *option, const char *path, const char *folder)
{
    char *from = NULL, *to = NULL;
    bool named = (option->flags & DIO_OPTION_MODEL) && strncmp(path, "arch:", 5) == 0;
    if (!named) {
        from = realpath(folder, NULL);
        to = realpath(path, NULL);
    }
    if (from && to) {
        add_relative(out, from, to);
    } else {
        dio_str_add(out, path);
    }
    free(from);
    free(to);
}

/* YAML 1.1 takes 1e-05 for text, and 1.0e-05 for a number. */
static void point_numbers(struct dio_str *value)
{
    struct dio_str with;
    bool point = false;
    dio_str_init(&with, value->ctx);
    for (size_t i = 0; i < value->length; i++) {
        char c = value->data[i];
        bool digit = i > 0 && value->data[i - 1] >= '0' && value->data[i - 1] <= '9';
        if (c == 'e' && digit && !point) dio_str_add(&with, ".0");
        point = c == '.' || (point && c != ',' && c != '[');
        dio_str_add_bytes(&with, &c, 1);
    }
    if (with.failed) value->failed = true;
    struct dio_str old = *value;
    *value = with;
    value->failed = value->failed || old.failed;
    dio_str_free(&old);
}

static void put(struct dio_yaml_writer *yaml, const char *key, const struct dio_train_options *options, size_t i,
                const char *folder, struct dio_str *value)
{
    const struct dio_option *option = dio_option_at(i);
    bool words = option->type == DIO_OPTION_T_TEXT || option->type == DIO_OPTION_T_CHOICE;
    value->length = 0;
    if (option->flags & (DIO_OPTION_PATH | DIO_OPTION_MODEL)) {
        add_path(value, option, *(const char *const *)((const char *)options + option->offset), folder);
    } else {
        bool list = option->type == DIO_OPTION_T_NUMBERS;
        if (list) dio_str_add(value, "[");
        dio_option_print(value, options, i);
        if (list) dio_str_add(value, "]");
        if (!list && !words && value->data && memchr(value->data, ',', value->length)) {
            struct dio_str copy = *value; /* "0.08,1" becomes a list */
            dio_str_init(value, copy.ctx);
            dio_str_addf(value, "[%s]", copy.data);
            dio_str_free(&copy);
        }
    }
    if (!words && value->data) point_numbers(value);
    const char *text = value->data ? value->data : "";
    if (words) {
        dio_yaml_text(yaml, key, text);
    } else {
        dio_yaml_raw(yaml, key, text);
    }
}

static bool belongs(size_t i)
{
    return !(dio_option_at(i)->flags & (DIO_OPTION_MACHINE | DIO_OPTION_COMMAND | DIO_OPTION_OUTPUT));
}

dio_status dio_recipe_write(struct dio_ctx *ctx, const struct dio_train_options *options, const char *folder,
                            struct dio_str *out)
{
    struct dio_yaml_writer yaml;
    struct dio_str value;
    const char *group = "";
    bool augment = false;
    dio_str_init(&value, ctx);
    dio_yaml_begin(&yaml, out);
    for (size_t i = 0; i < dio_option_count(); i++) {
        const struct dio_option *option = dio_option_at(i);
        bool nested = option->type == DIO_OPTION_T_AUGMENT;
        if (!belongs(i) || !dio_option_is_set(options, i)) continue;
        if (augment && !nested) dio_yaml_end_map(&yaml);
        if (strcmp(group, option->group) != 0) {
            if (group[0]) dio_str_add(out, "\n");
            dio_yaml_comment(&yaml, option->group);
            group = option->group;
        }
        if (!augment && nested) dio_yaml_map(&yaml, "augment");
        augment = nested;
        put(&yaml, nested ? option->name + strlen("augment_") : option->name, options, i, folder, &value);
    }
    if (augment) dio_yaml_end_map(&yaml);
    dio_status status = dio_str_status(&value);
    dio_str_free(&value);
    return status == DIO_OK ? dio_str_status(out) : status;
}

int dio_recipe_differences(const struct dio_train_options *old_options, const struct dio_train_options *new_options,
                           struct dio_str *out)
{
    int count = 0;
    struct dio_str a, b;
    dio_str_init(&a, out->ctx);
    dio_str_init(&b, out->ctx);
    for (size_t i = 0; i < dio_option_count(); i++) {
        const struct dio_option *option = dio_option_at(i);
        if (!belongs(i) || (option->flags & (DIO_OPTION_PATH | DIO_OPTION_MODEL | DIO_OPTION_FREE))) continue;
        if (strcmp(option->name, "epochs") == 0 && new_options->epochs >= old_options->epochs) continue;
        a.length = b.length = 0;
        dio_str_add(&a, "");
        dio_str_add(&b, "");
        dio_option_print(&a, old_options, i);
        dio_option_print(&b, new_options, i);
        if (dio_str_status(&a) != DIO_OK || dio_str_status(&b) != DIO_OK || strcmp(a.data, b.data) == 0) continue;
        dio_str_addf(out, "%s%s was %s, is %s", count++ ? "; " : "", option->name, a.length ? a.data : "not set",
                     b.length ? b.data : "not set");
    }
    dio_str_free(&a);
    dio_str_free(&b);
    return count;
}

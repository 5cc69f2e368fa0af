/* Attributes of an operator as text, by the table in its record. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "ops/op.h"

enum { MAX_INTS = 8 };

static void set_int(void *slot, int64_t value) { memcpy(slot, &value, sizeof value); }

static void set_default(const struct dio_attr_def *def, void *attrs)
{
    char *slot = (char *)attrs + def->offset;
    double initial = isnan(def->initial) ? 0 : def->initial;
    switch (def->type) {
    case DIO_ATTR_INT: set_int(slot, (int64_t)initial); break;
    case DIO_ATTR_INTS:
        for (int i = 0; i < def->count; i++) set_int(slot + (size_t)i * sizeof(int64_t), (int64_t)initial);
        break;
    case DIO_ATTR_FLOAT: memcpy(slot, &initial, sizeof initial); break;
    case DIO_ATTR_BOOL: *(bool *)slot = initial != 0; break;
    case DIO_ATTR_ENUM: *(int *)slot = (int)initial; break;
    }
}

static dio_status refuse(struct dio_ctx *ctx, const struct dio_place *place, const struct dio_attr_def *def, const char *value,
                         size_t length)
{
    char shown[64];
    dio_escape(shown, sizeof shown, value, length, 40);
    switch (def->type) {
    case DIO_ATTR_INT:
    case DIO_ATTR_INTS:
        return dio_fail(ctx, DIO_ERR_INPUT, "O8", place, "attribute %s must be %s from %.0f to %.0f, got \"%s\"", def->name,
                        def->type == DIO_ATTR_INT ? "a whole number" : "whole numbers", def->min, def->max, shown);
    case DIO_ATTR_FLOAT:
        return dio_fail(ctx, DIO_ERR_INPUT, "O8", place, "attribute %s must be a number from %g to %g, got \"%s\"", def->name,
                        def->min, def->max, shown);
    case DIO_ATTR_BOOL:
        return dio_fail(ctx, DIO_ERR_INPUT, "O8", place, "attribute %s must be 0 or 1, got \"%s\"", def->name, shown);
    case DIO_ATTR_ENUM: break;
    }
    char names[256] = "";
    size_t used = 0;
    for (const char *const *name = def->names; *name && used + strlen(*name) + 3 < sizeof names; name++) {
        if (used) names[used++] = ',', names[used++] = ' ';
        memcpy(names + used, *name, strlen(*name) + 1);
        used += strlen(*name);
    }
    return dio_fail(ctx, DIO_ERR_INPUT, "O8", place, "attribute %s must be one of %s; got \"%s\"", def->name, names, shown);
}

static bool parse_int(const struct dio_attr_def *def, const char *text, size_t length, int64_t *out)
{
    return dio_parse_i64(text, length, out) && (double)*out >= def->min && (double)*out <= def->max;
}

/* "3" stands for all, "3,5" for pairs (3,5,3,5), otherwise as many as there are. */
static bool parse_ints(const struct dio_attr_def *def, const char *text, size_t length, char *slot)
{
    int64_t numbers[MAX_INTS];
    int given = 0;
    const char *end = text + length;
    for (const char *at = text;; given++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        if (given == def->count || given == MAX_INTS || !parse_int(def, at, (size_t)(stop - at), &numbers[given])) return false;
        if (!comma) break;
        at = comma + 1;
    }
    given++;
    if (given != 1 && given != def->count && !(given == 2 && def->count == 4)) return false;
    for (int i = 0; i < def->count; i++) set_int(slot + (size_t)i * sizeof(int64_t), numbers[i % given]);
    return true;
}

static bool parse_value(const struct dio_attr_def *def, const char *text, size_t length, void *attrs)
{
    char *slot = (char *)attrs + def->offset;
    int64_t whole;
    double number;
    switch (def->type) {
    case DIO_ATTR_INT:
        if (!parse_int(def, text, length, &whole)) return false;
        set_int(slot, whole);
        return true;
    case DIO_ATTR_INTS: return parse_ints(def, text, length, slot);
    case DIO_ATTR_FLOAT:
        if (!dio_parse_double(text, length, &number) || !(number >= def->min && number <= def->max)) return false;
        memcpy(slot, &number, sizeof number);
        return true;
    case DIO_ATTR_BOOL:
        if (length != 1 || (text[0] != '0' && text[0] != '1')) return false;
        *(bool *)slot = text[0] == '1';
        return true;
    case DIO_ATTR_ENUM:
        for (int i = 0; def->names[i]; i++) {
            if (strlen(def->names[i]) == length && memcmp(def->names[i], text, length) == 0) {
                *(int *)slot = i;
                return true;
            }
        }
        return false;
    }
    return false;
}

static int find_attr(const struct dio_op *op, const char *name, size_t length)
{
    for (int i = 0; op->attrs && op->attrs[i].name; i++) {
        if (strlen(op->attrs[i].name) == length && memcmp(op->attrs[i].name, name, length) == 0) return i;
    }
    return -1;
}

static dio_status parse_word(struct dio_ctx *ctx, const struct dio_op *op, const struct dio_place *place, const char *word,
                             size_t length, uint64_t *given, void *attrs)
{
    char shown[64];
    dio_escape(shown, sizeof shown, word, length, 40);
    const char *equals = memchr(word, '=', length);
    if (!equals) return dio_fail(ctx, DIO_ERR_INPUT, "O8", place, "\"%s\" is no attribute (NAME=VALUE)", shown);
    size_t name_length = (size_t)(equals - word);
    int index = find_attr(op, word, name_length);
    if (index < 0) {
        dio_escape(shown, sizeof shown, word, name_length, 40);
        return dio_fail(ctx, DIO_ERR_INPUT, "O8", place, "%s has no attribute %s", op->name, shown);
    }
    const struct dio_attr_def *def = &op->attrs[index];
    if (*given >> index & 1) return dio_fail(ctx, DIO_ERR_INPUT, "O8", place, "attribute %s is given twice", def->name);
    *given |= UINT64_C(1) << index;
    size_t value_length = length - name_length - 1;
    if (!parse_value(def, equals + 1, value_length, attrs)) return refuse(ctx, place, def, equals + 1, value_length);
    return DIO_OK;
}

dio_status dio_attrs_parse(struct dio_ctx *ctx, const struct dio_op *op, const struct dio_place *place, const char *text,
                           void *attrs)
{
    if (op->attrs_size) memset(attrs, 0, op->attrs_size);
    for (int i = 0; op->attrs && op->attrs[i].name; i++) set_default(&op->attrs[i], attrs);
    uint64_t given = 0;
    for (;;) {
        text += strspn(text, " ");
        size_t length = strcspn(text, " ");
        if (length == 0) break;
        DIO_PASS(parse_word(ctx, op, place, text, length, &given, attrs));
        text += length;
    }
    for (int i = 0; op->attrs && op->attrs[i].name; i++) {
        if (isnan(op->attrs[i].initial) && !(given >> i & 1)) {
            return dio_fail(ctx, DIO_ERR_INPUT, "O8", place, "attribute %s is missing", op->attrs[i].name);
        }
    }
    return DIO_OK;
}

/* ---- one attribute ---- */

bool dio_attr_set(const struct dio_op *op, void *attrs, const char *name, const char *value)
{
    int index = find_attr(op, name, strlen(name));
    return index >= 0 && parse_value(&op->attrs[index], value, strlen(value), attrs);
}

bool dio_attr_is(const struct dio_op *op, const void *attrs, const char *name, const char *value)
{
    int index = find_attr(op, name, strlen(name));
    if (index < 0) return false;
    const struct dio_attr_def *def = &op->attrs[index];
    const char *slot = (const char *)attrs + def->offset;
    if (def->type == DIO_ATTR_BOOL) return strcmp(value, *(const bool *)slot ? "1" : "0") == 0;
    if (def->type == DIO_ATTR_ENUM) return strcmp(value, def->names[*(const int *)slot]) == 0;
    return false;
}

/* ---- printing ---- */

static bool is_default(const struct dio_attr_def *def, const void *attrs)
{
    const char *slot = (const char *)attrs + def->offset;
    if (isnan(def->initial)) return false;
    if (def->type == DIO_ATTR_BOOL) return *(const bool *)slot == (def->initial != 0);
    if (def->type == DIO_ATTR_ENUM) return *(const int *)slot == (int)def->initial;
    if (def->type == DIO_ATTR_FLOAT) return memcmp(slot, &def->initial, sizeof def->initial) == 0;
    int64_t initial = (int64_t)def->initial;
    int count = def->type == DIO_ATTR_INTS ? def->count : 1;
    for (int i = 0; i < count; i++) {
        if (memcmp(slot + (size_t)i * sizeof initial, &initial, sizeof initial) != 0) return false;
    }
    return true;
}

static void print_ints(const int64_t *numbers, int count, struct dio_str *out)
{
    bool equal = true;
    for (int i = 1; i < count; i++) equal &= numbers[i] == numbers[0];
    if (equal) count = 1;
    for (int i = 0; i < count; i++) dio_str_addf(out, i ? ",%lld" : "%lld", (long long)numbers[i]);
}

void dio_attrs_print(const struct dio_op *op, const void *attrs, struct dio_str *out)
{
    bool first = true;
    for (const struct dio_attr_def *def = op->attrs; def && def->name; def++) {
        if (is_default(def, attrs)) continue;
        const char *slot = (const char *)attrs + def->offset;
        dio_str_addf(out, "%s%s=", first ? "" : " ", def->name);
        first = false;
        char number[64];
        double value;
        switch (def->type) {
        case DIO_ATTR_INT: print_ints((const int64_t *)(const void *)slot, 1, out); break;
        case DIO_ATTR_INTS: print_ints((const int64_t *)(const void *)slot, def->count, out); break;
        case DIO_ATTR_FLOAT:
            memcpy(&value, slot, sizeof value);
            dio_format_double(number, sizeof number, value);
            dio_str_add(out, number);
            break;
        case DIO_ATTR_BOOL: dio_str_add(out, *(const bool *)slot ? "1" : "0"); break;
        case DIO_ATTR_ENUM: dio_str_add(out, def->names[*(const int *)slot]); break;
        }
    }
}

#include "text/csv.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "text/bytes.h"

enum { MAX_COLUMNS = 100000, MAX_ROWS = 100000000 };

static dio_status fail_at(const struct dio_csv *csv, uint32_t line, const char *code, const char *what)
{
    return dio_fail(csv->ctx, DIO_ERR_INPUT, code, &(struct dio_place){.file = csv->file, .line = line}, "%s", what);
}

dio_status dio_csv_fail(const struct dio_csv *csv, const char *code, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    if (dio_vformat(text, sizeof text, format, arguments) < 0) text[0] = '\0';
    va_end(arguments);
    return fail_at(csv, csv->line, code, text);
}

static dio_status check_lines(struct dio_csv *csv)
{
    uint32_t line = 1;
    for (size_t at = csv->at; at < csv->length; line++) {
        const unsigned char *end = memchr(csv->bytes + at, '\n', csv->length - at);
        size_t length = end ? (size_t)(end - csv->bytes) - at : csv->length - at;
        if (length > DIO_MAX_CSV_LINE) return fail_at(csv, line, "C11", "longer than 1 MB");
        at += length + 1;
    }
    return DIO_OK;
}

/* Cursors into the buffer: reading is never behind writing, since resolving quotes only shortens. */
struct cursor {
    size_t read, write;
    uint32_t line;
};

static bool at_line_end(const struct dio_csv *csv, size_t at)
{
    if (at >= csv->length || csv->bytes[at] == '\n') return true;
    return csv->bytes[at] == '\r' && at + 1 < csv->length && csv->bytes[at + 1] == '\n';
}

/* Behind the opening quote, up to behind the closing one. */
static dio_status read_quoted(struct dio_csv *csv, struct cursor *cursor)
{
    for (;;) {
        if (cursor->read >= csv->length) {
            csv->broken = true;
            return fail_at(csv, csv->line, "C3", "quote never closed");
        }
        unsigned char c = csv->bytes[cursor->read++];
        if (c == '"') {
            if (cursor->read >= csv->length || csv->bytes[cursor->read] != '"') return DIO_OK;
            cursor->read++;
        } else if (c == '\n') {
            cursor->line++;
        }
        csv->bytes[cursor->write++] = c;
    }
}

static void skip_line(struct dio_csv *csv, struct cursor *cursor)
{
    while (!at_line_end(csv, cursor->read)) cursor->read++;
}

/* One field; *last: it ends the row.  The separator behind it is passed over, so there is room for its terminator. */
static dio_status read_field(struct dio_csv *csv, struct cursor *cursor, struct dio_csv_field *field, bool *last)
{
    size_t start = cursor->write = cursor->read;
    if (cursor->read < csv->length && csv->bytes[cursor->read] == '"') {
        cursor->read++;
        DIO_PASS(read_quoted(csv, cursor));
        if (!at_line_end(csv, cursor->read) && csv->bytes[cursor->read] != ',') {
            skip_line(csv, cursor);
            return fail_at(csv, csv->line, "C3", "text after a closing quote");
        }
    } else {
        while (!at_line_end(csv, cursor->read) && csv->bytes[cursor->read] != ',') cursor->read++;
        cursor->write = cursor->read;
    }
    *last = at_line_end(csv, cursor->read);
    *field = (struct dio_csv_field){(const char *)csv->bytes + start, cursor->write - start};
    if (!*last) cursor->read++;
    return DIO_OK;
}

static void pass_line_end(struct dio_csv *csv, struct cursor *cursor)
{
    if (cursor->read < csv->length && csv->bytes[cursor->read] == '\r') cursor->read++;
    if (cursor->read < csv->length) cursor->read++;
    cursor->line++;
}

/* Fields are terminated once the row is read: a terminator falls on a separator, a quote or a line end. */
static void terminate(struct dio_csv *csv)
{
    for (size_t i = 0; i < csv->count; i++) {
        const struct dio_csv_field *field = &csv->fields[i];
        csv->bytes[(size_t)((const unsigned char *)field->text - csv->bytes) + field->length] = '\0';
    }
}

static dio_status read_fields(struct dio_csv *csv, struct cursor *cursor)
{
    bool last = false;
    csv->count = 0;
    while (!last) {
        if (csv->count == MAX_COLUMNS) {
            skip_line(csv, cursor);
            return fail_at(csv, csv->line, "C3", "more than 100000 fields");
        }
        void *fields = csv->fields;
        DIO_PASS(dio_grow(csv->ctx, &fields, &csv->capacity, csv->count + 1, sizeof *csv->fields, "fields of a row"));
        csv->fields = fields;
        DIO_PASS(read_field(csv, cursor, &csv->fields[csv->count], &last));
        csv->count++;
    }
    return DIO_OK;
}

static bool is_blank_row(const struct dio_csv *csv)
{
    if (csv->count != 1) return false;
    const struct dio_csv_field *field = &csv->fields[0];
    for (size_t i = 0; i < field->length; i++) {
        if (field->text[i] != ' ' && field->text[i] != '\t') return false;
    }
    return true;
}

/* The next row that is not blank. */
static dio_status read_row(struct dio_csv *csv)
{
    for (;;) {
        csv->count = 0;
        csv->end = csv->at >= csv->length;
        if (csv->broken) return fail_at(csv, csv->line, "C3", "cannot be read beyond this line");
        if (csv->end) return DIO_OK;
        struct cursor cursor = {csv->at, csv->at, csv->next_line};
        csv->line = csv->next_line;
        bool quoted = csv->bytes[csv->at] == '"';
        dio_status status = read_fields(csv, &cursor);
        pass_line_end(csv, &cursor);
        csv->at = cursor.read;
        csv->next_line = cursor.line;
        if (status != DIO_OK) return status;
        terminate(csv);
        if (quoted || !is_blank_row(csv)) return DIO_OK;
    }
}

dio_status dio_csv_next(struct dio_csv *csv)
{
    DIO_PASS(read_row(csv));
    if (csv->end) return DIO_OK;
    if (++csv->rows > MAX_ROWS) {
        csv->broken = true;
        return dio_csv_fail(csv, "C11", "more than %d rows", MAX_ROWS);
    }
    if (csv->count == csv->columns) return DIO_OK;
    return dio_csv_fail(csv, "C3", "%zu field%s, expected %zu", csv->count, csv->count == 1 ? "" : "s", csv->columns);
}

/* Names outlive the row they stand in. */
static dio_status keep_header(struct dio_csv *csv)
{
    csv->header = dio_alloc_zeroed(csv->ctx, csv->count, sizeof *csv->header, "column names");
    if (!csv->header) return DIO_ERR_ENV;
    csv->columns = csv->count;
    memcpy(csv->header, csv->fields, csv->count * sizeof *csv->header);
    return DIO_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct dio_csv_field *)a)->text, ((const struct dio_csv_field *)b)->text);
}

/* Nameless columns (a comma at the end of each line) may repeat. */
static dio_status check_columns(struct dio_csv *csv)
{
    dio_status status = DIO_OK;
    struct dio_csv_field *sorted = dio_alloc_array(csv->ctx, csv->columns, sizeof *sorted, "column names");
    if (!sorted) return DIO_ERR_ENV;
    memcpy(sorted, csv->header, csv->columns * sizeof *sorted);
    qsort(sorted, csv->columns, sizeof *sorted, by_text);
    for (size_t i = 1; i < csv->columns && status == DIO_OK; i++) {
        if (sorted[i].length == 0 || by_text(&sorted[i - 1], &sorted[i]) != 0) continue;
        char shown[128];
        dio_escape(shown, sizeof shown, sorted[i].text, sorted[i].length, 100);
        status = dio_csv_fail(csv, "C1", "column \"%s\" appears twice", shown);
    }
    dio_free(csv->ctx, sorted);
    return status;
}

dio_status dio_csv_open(struct dio_ctx *ctx, const char *file, const void *bytes, size_t length, struct dio_csv *csv)
{
    dio_status status;
    *csv = (struct dio_csv){.ctx = ctx, .file = file, .length = length, .next_line = 1};
    struct dio_text_rules rules = {.file = file, .code = "C5"};
    DIO_TRY(dio_check_text(ctx, &rules, bytes, length, &csv->at));
    csv->bytes = dio_alloc_array(ctx, length + 1, 1, "CSV file");
    if (!csv->bytes) {
        status = DIO_ERR_ENV;
        goto fail;
    }
    if (length > 0) memcpy(csv->bytes, bytes, length);
    csv->bytes[length] = '\0';
    DIO_TRY(check_lines(csv));
    DIO_TRY(read_row(csv));
    if (csv->end) {
        status = dio_fail(ctx, DIO_ERR_INPUT, "C1", &(struct dio_place){.file = file}, "empty; a header line with column names was expected");
        goto fail;
    }
    DIO_TRY(keep_header(csv));
    DIO_TRY(check_columns(csv));
    return DIO_OK;
fail:
    dio_csv_close(csv);
    return status;
}

dio_status dio_csv_read(struct dio_ctx *ctx, const char *path, uint64_t limit, struct dio_csv *csv)
{
    struct dio_blob blob;
    DIO_PASS(dio_blob_read(ctx, path, DIO_READ_COPY, limit, "--max-file", &blob));
    dio_status status = dio_csv_open(ctx, path, blob.data, blob.size, csv);
    dio_blob_free(ctx, &blob);
    return status;
}

void dio_csv_close(struct dio_csv *csv)
{
    dio_free(csv->ctx, csv->bytes);
    dio_free(csv->ctx, csv->header);
    dio_free(csv->ctx, csv->fields);
    *csv = (struct dio_csv){.ctx = csv->ctx, .end = true};
}

dio_status dio_csv_column(struct dio_csv *csv, const char *name, bool needed, int *index)
{
    *index = -1;
    for (size_t i = 0; i < csv->columns; i++) {
        if (strcmp(csv->header[i].text, name) == 0) {
            *index = (int)i;
            return DIO_OK;
        }
    }
    if (!needed) return DIO_OK;
    struct dio_str list;
    char shown[200];
    dio_str_init(&list, csv->ctx);
    for (size_t i = 0; i < csv->columns && list.length < 200; i++) {
        if (i > 0) dio_str_add(&list, ", ");
        dio_str_add_bytes(&list, csv->header[i].text, csv->header[i].length);
    }
    dio_status status = dio_str_status(&list);
    if (status == DIO_OK) {
        dio_escape(shown, sizeof shown, list.data ? list.data : "", list.length, 160);
        struct dio_place place = {.file = csv->file};
        status = dio_fail(csv->ctx, DIO_ERR_INPUT, "C1", &place, "no column \"%s\" (columns: %s)%s", name, shown,
                          csv->columns == 1 ? "; is the separator a comma?" : "");
    }
    dio_str_free(&list);
    return status;
}

void dio_csv_put(struct dio_str *out, const char *text, bool first)
{
    size_t length = strlen(text);
    bool quote = strpbrk(text, ",\"\r\n") || (length > 0 && (text[0] == ' ' || text[length - 1] == ' ' || text[0] == '\t'));
    if (!first) dio_str_add(out, ",");
    if (!quote) {
        dio_str_add_bytes(out, text, length);
        return;
    }
    dio_str_add(out, "\"");
    for (const char *at = text; *at;) {
        size_t run = strcspn(at, "\"");
        dio_str_add_bytes(out, at, run);
        at += run;
        if (*at == '"') {
            dio_str_add(out, "\"\"");
            at++;
        }
    }
    dio_str_add(out, "\"");
}

void dio_csv_end_row(struct dio_str *out)
{
    dio_str_add(out, "\n");
}

/* Rows that are read and written again have to be read as the same rows. */
#include <string.h>

#include "text/csv.h"

static void check_row(struct dio_ctx *ctx, const struct dio_csv *csv, struct dio_str *text)
{
    struct dio_csv again;
    text->length = 0;
    for (int row = 0; row < 2; row++) {
        for (size_t i = 0; i < csv->count; i++) dio_csv_put(text, row ? csv->fields[i].text : i ? "" : "first", i == 0);
        dio_csv_end_row(text);
    }
    if (text->length > DIO_MAX_CSV_LINE || dio_csv_open(ctx, "again.csv", text->data, text->length, &again) != DIO_OK) return;
    if (dio_csv_next(&again) != DIO_OK) __builtin_trap();
    for (size_t i = 0; i < csv->count && !again.end; i++) {
        if (strcmp(csv->fields[i].text, again.fields[i].text) != 0) __builtin_trap();
    }
    dio_csv_close(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dio_alloc_stats stats = {0};
    struct dio_ctx ctx = {.limits = dio_limits_default(), .alloc = &stats};
    struct dio_csv csv;
    struct dio_str text;
    int index, errors = 0;
    dio_str_init(&text, &ctx);
    if (dio_csv_open(&ctx, "fuzz.csv", data, size, &csv) == DIO_OK) {
        (void)dio_csv_column(&csv, "label", true, &index);
        dio_ctx_clear_error(&ctx);
        while (!csv.end && !csv.broken && errors < 100) {
            if (dio_csv_next(&csv) != DIO_OK) {
                if (ctx.error.status == DIO_OK) __builtin_trap();
                dio_ctx_clear_error(&ctx);
                errors++;
            } else if (!csv.end && csv.count > 0) {
                check_row(&ctx, &csv, &text);
            }
        }
        dio_csv_close(&csv);
    } else if (ctx.error.status == DIO_OK) {
        __builtin_trap();
    }
    dio_str_free(&text);
    if (atomic_load(&stats.live_blocks) != 0) __builtin_trap();
    return 0;
}

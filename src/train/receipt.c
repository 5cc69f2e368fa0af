/* The freeze receipt: every frozen tensor's hash before and after, in RUN/freeze.txt. */
#include <string.h>

#include "train/run.h"

static const char file_name[] = "freeze.txt";

dio_status dio_run_check_receipt(struct dio_run *run)
{
    struct dio_ctx *ctx = run->ctx;
    struct dio_receipt_line *after = NULL;
    struct dio_str text;
    size_t count = 0;
    char before[65], now[65];
    dio_str_init(&text, ctx);
    DIO_PASS(dio_model_receipt(run->model, &after, &count));
    dio_status status = count == run->n_receipt ? DIO_OK
                                                : dio_fail(ctx, DIO_ERR_INTERNAL, NULL, NULL, "the list of frozen tensors changed");
    dio_str_add(&text, "# SHA-256 of each frozen tensor, before and after training\n");
    for (size_t i = 0; i < count && status == DIO_OK; i++) {
        dio_digest_hex(&run->receipt[i].digest, before);
        dio_digest_hex(&after[i].digest, now);
        dio_str_addf(&text, "%s %s %s\n", before, now, after[i].name);
        if (strcmp(before, now) == 0) continue;
        status = dio_fail(ctx, DIO_ERR_INTERNAL, NULL, &(struct dio_place){.file = run->folder, .tensor = after[i].name},
                          "frozen tensor %s changed during training", after[i].name);
    }
    dio_digest_hex(&run->frozen, before);
    dio_str_addf(&text, "# all: %s\n", before);
    if (status == DIO_OK) status = dio_run_write(run, file_name, &text);
    dio_str_free(&text);
    dio_free(ctx, after);
    return status;
}

void dio_run_receipt_words(const struct dio_run *run, struct dio_str *out)
{
    char hex[65];
    dio_digest_hex(&run->frozen, hex);
    hex[16] = 0;
    if (run->n_receipt == 0) {
        dio_str_add(out, "nothing was frozen");
    } else {
        dio_str_addf(out, "%zu tensors frozen, all unchanged (sha256 %s...)", run->n_receipt, hex);
    }
}

dio_status dio_train_receipt_text(struct dio_ctx *ctx, const char *run, struct dio_str *out)
{
    struct dio_blob blob;
    char *path = dio_path_join(ctx, run, file_name);
    if (!path) return DIO_ERR_ENV;
    dio_status status = DIO_OK;
    if (dio_path_is_file(path)) {
        status = dio_blob_read(ctx, path, DIO_READ_COPY, 64 << 20, NULL, &blob);
        uint64_t same = 0, other = 0;
        for (size_t at = 0; status == DIO_OK && at < blob.size;) {
            const unsigned char *line = blob.data + at, *end = memchr(line, '\n', blob.size - at);
            size_t length = end ? (size_t)(end - line) : blob.size - at;
            if (length > 130 && line[0] != '#') memcmp(line, line + 65, 64) == 0 ? same++ : other++;
            at += length + 1;
        }
        if (status == DIO_OK && same + other == 0) dio_str_add(out, "nothing was frozen");
        if (status == DIO_OK && same + other > 0) {
            dio_str_addf(out, "%llu frozen tensors, %llu changed during training", (unsigned long long)(same + other),
                         (unsigned long long)other);
        }
        if (status == DIO_OK) dio_blob_free(ctx, &blob);
    }
    dio_free(ctx, path);
    return status == DIO_OK ? dio_str_status(out) : status;
}

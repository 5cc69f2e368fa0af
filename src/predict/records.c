#include "predict/records.h"

#include <string.h>

#include "base/memory.h"
#include "eval/metrics.h"
#include "text/csv.h"
#include "text/html.h"
#include "text/json_write.h"

dio_status dio_records_init(struct dio_ctx *ctx, const struct dio_model *model, const struct dio_predict_options *options,
                            bool json, struct dio_records *records)
{
    size_t classes = (size_t)model->n_classes, top = options->top > 0 ? (size_t)options->top : 1;
    *records = (struct dio_records){.model = model, .json = json, .classes = classes, .scores = options->scores};
    records->top = top < classes ? top : classes;
    records->probabilities = dio_alloc_array(ctx, classes, sizeof *records->probabilities, "scores");
    records->order = dio_alloc_array(ctx, records->top, sizeof *records->order, "scores");
    return records->probabilities && records->order ? DIO_OK : DIO_ERR_ENV;
}

void dio_records_free(struct dio_ctx *ctx, struct dio_records *records)
{
    dio_free(ctx, records->probabilities);
    dio_free(ctx, records->order);
    *records = (struct dio_records){0};
}

/* The path as valid UTF-8: wrong bytes become \xNN.  True when there were some. */
static bool add_path(struct dio_str *out, const char *path)
{
    bool wrong = false;
    for (size_t length = strlen(path), bad; length > 0; path += bad + 1, length -= bad + 1) {
        if (dio_utf8_valid(path, length, &bad)) {
            dio_str_add_bytes(out, path, length);
            return wrong;
        }
        wrong = true;
        dio_str_add_bytes(out, path, bad);
        dio_str_addf(out, "\\x%02x", (unsigned)(unsigned char)path[bad]);
    }
    return wrong;
}

static void add_score(struct dio_str *out, double score)
{
    char text[40];
    dio_format_float(text, sizeof text, (float)score);
    dio_str_add(out, text);
}

void dio_record_header(const struct dio_records *records, struct dio_str *out)
{
    char buffer[24];
    if (records->json) return;
    dio_str_add(out, "path,label,score");
    for (size_t k = 2; k <= records->top; k++) dio_str_addf(out, ",label_%zu,score_%zu", k, k);
    dio_str_add(out, ",error");
    for (size_t i = 0; i < records->classes && records->scores != DIO_SCORES_NONE; i++) {
        dio_csv_put(out, dio_model_class_name(records->model, i, buffer), false);
    }
    dio_csv_end_row(out);
}

void dio_record_begin(const struct dio_records *records, const char *path, struct dio_str *out)
{
    struct dio_str shown;
    dio_str_init(&shown, out->ctx);
    bool wrong = add_path(&shown, path);
    const char *text = shown.data ? shown.data : "";
    if (records->json) {
        dio_str_add(out, "{\"path\": ");
        dio_json_quote(out, text, strlen(text));
        if (wrong) {
            dio_str_add(out, ", \"path_bytes\": \"");
            dio_base64(out, path, strlen(path));
            dio_str_add(out, "\"");
        }
    } else {
        dio_csv_put(out, text, true);
    }
    if (shown.failed) out->failed = true;
    dio_str_free(&shown);
}

/* The `top` best classes in order; equal scores by class index. */
static void rank(struct dio_records *records)
{
    size_t n = 0;
    for (size_t i = 0; i < records->classes; i++) {
        size_t at = n;
        while (at > 0 && records->probabilities[i] > records->probabilities[records->order[at - 1]]) at--;
        if (at == records->top) continue;
        if (n < records->top) n++;
        memmove(&records->order[at + 1], &records->order[at], (n - 1 - at) * sizeof *records->order);
        records->order[at] = i;
    }
}

static void add_json(struct dio_records *records, const float *logits, struct dio_str *out)
{
    char buffer[24];
    for (size_t k = 0; k < records->top; k++) {
        const char *label = dio_model_class_name(records->model, records->order[k], buffer);
        double score = records->probabilities[records->order[k]];
        for (int twice = k == 0 ? 0 : 1; twice < 2; twice++) {
            dio_str_add(out, twice == 0 ? ", \"label\": " : k == 0 ? ", \"top\": [{\"label\": " : ", {\"label\": ");
            dio_json_quote(out, label, strlen(label));
            dio_str_add(out, ", \"score\": ");
            add_score(out, score);
        }
        dio_str_add(out, "}");
    }
    dio_str_add(out, "]");
    for (size_t i = 0; i < records->classes && records->scores != DIO_SCORES_NONE; i++) {
        dio_str_add(out, i ? ", " : ", \"scores\": [");
        add_score(out, records->scores == DIO_SCORES_PROBS ? records->probabilities[i] : (double)logits[i]);
    }
    if (records->scores != DIO_SCORES_NONE) dio_str_add(out, "]");
    dio_str_add(out, "}\n");
}

static void add_csv(struct dio_records *records, const float *logits, struct dio_str *out)
{
    char buffer[24];
    for (size_t k = 0; k < records->top; k++) {
        dio_csv_put(out, dio_model_class_name(records->model, records->order[k], buffer), false);
        dio_str_add(out, ",");
        add_score(out, records->probabilities[records->order[k]]);
    }
    dio_str_add(out, ",");
    for (size_t i = 0; i < records->classes && records->scores != DIO_SCORES_NONE; i++) {
        dio_str_add(out, ",");
        add_score(out, records->scores == DIO_SCORES_PROBS ? records->probabilities[i] : (double)logits[i]);
    }
    dio_csv_end_row(out);
}

void dio_record_good(struct dio_records *records, const char *path, const float *logits, struct dio_str *out)
{
    dio_softmax(logits, records->classes, records->probabilities);
    rank(records);
    dio_record_begin(records, path, out);
    if (records->json) {
        add_json(records, logits, out);
    } else {
        add_csv(records, logits, out);
    }
}

void dio_record_bad(const struct dio_records *records, const char *path, const struct dio_message *why, struct dio_str *out)
{
    struct dio_message message = *why;
    char text[1600];
    message.file[0] = 0; /* the path stands in front already */
    dio_message_format(&message, text, sizeof text);
    dio_record_begin(records, path, out);
    if (records->json) {
        dio_str_add(out, ", \"error\": ");
        dio_json_quote(out, text, strlen(text));
        dio_str_add(out, "}\n");
        return;
    }
    for (size_t k = 0; k < records->top; k++) dio_str_add(out, ",,");
    dio_csv_put(out, text, false);
    for (size_t i = 0; i < records->classes && records->scores != DIO_SCORES_NONE; i++) dio_str_add(out, ",");
    dio_csv_end_row(out);
}

bool dio_record_is_bad(const struct dio_records *records, const char *rest, size_t length)
{
    const char *mark = records->json ? ", \"error\"" : ",,"; /* a good row has its label there */
    return length >= strlen(mark) && memcmp(rest, mark, strlen(mark)) == 0;
}

size_t dio_record_length(const struct dio_records *records, const char *text, size_t length)
{
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        if (!records->json && text[i] == '"') quoted = !quoted;
        if (text[i] == '\n' && !quoted) return i + 1;
    }
    return 0;
}

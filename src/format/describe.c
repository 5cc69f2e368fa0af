#include "format/describe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_WARNINGS = 10 };

static void warn(struct dio_ctx *ctx, const struct dio_weights *weights, const struct dio_weight *item, uint64_t nan,
                 uint64_t inf)
{
    char name[208];
    dio_escape(name, sizeof name, item->name, item->name_length, 200);
    struct dio_place place = {.file = weights->sources[item->source], .tensor = name};
    if (nan && inf) {
        dio_say(ctx, DIO_LEVEL_WARNING, "S18", &place, "tensor %s holds %" PRIu64 " NaN and %" PRIu64 " infinite values", name,
                nan, inf);
    } else {
        dio_say(ctx, DIO_LEVEL_WARNING, "S18", &place, "tensor %s holds %" PRIu64 " %s values", name, nan + inf,
                nan ? "NaN" : "infinite");
    }
}

dio_status dio_weights_scan(struct dio_ctx *ctx, const struct dio_weights *weights, bool say,
                            struct dio_weights_summary *out)
{
    memset(out, 0, sizeof *out);
    uint64_t warned = 0;
    for (size_t i = 0; i < weights->count; i++) {
        const struct dio_weight *item = &weights->items[i];
        uint64_t nan = 0, inf = 0;
        out->tensors++;
        out->elements += item->elements;
        out->bytes += item->elements * (uint64_t)dio_dtype_bits(item->dtype) / 8;
        out->by_dtype[item->dtype]++;
        DIO_PASS(dio_weight_nonfinite(ctx, weights, item, &nan, &inf));
        if (!nan && !inf) continue;
        out->nan_tensors += nan > 0;
        out->inf_tensors += inf > 0;
        out->nan_values += nan;
        out->inf_values += inf;
        if (!out->first_nonfinite) out->first_nonfinite = item;
        if (say && warned++ < MAX_WARNINGS) warn(ctx, weights, item, nan, inf);
    }
    if (say && warned > MAX_WARNINGS) {
        dio_say(ctx, DIO_LEVEL_WARNING, "S18", &(struct dio_place){.file = weights->path}, "and %" PRIu64 " more tensors",
                warned - MAX_WARNINGS);
    }
    return DIO_OK;
}

static void add_escaped(struct dio_str *out, const char *text, size_t length)
{
    char escaped[208];
    dio_escape(escaped, sizeof escaped, text, length, 200);
    dio_str_add(out, escaped);
}

static void add_tensor(struct dio_str *out, const struct dio_weight *item)
{
    char dims[400];
    dio_dims_format(dims, sizeof dims, item->dims, item->rank);
    dio_str_add(out, "  ");
    add_escaped(out, item->name, item->name_length);
    dio_str_addf(out, "  %s %s\n", dio_dtype_name(item->dtype), dims);
}

dio_status dio_weights_describe(const struct dio_weights *weights, const struct dio_weights_summary *summary,
                                struct dio_str *out)
{
    dio_str_addf(out, "format: %s", weights->format ? weights->format : "unknown");
    if (weights->detail) dio_str_addf(out, " (%s)", weights->detail);
    dio_str_add(out, "\n");
    for (size_t i = 0; weights->source_count > 1 && i < weights->source_count; i++) {
        dio_str_add(out, "file: ");
        add_escaped(out, weights->sources[i], strlen(weights->sources[i]));
        dio_str_add(out, "\n");
    }
    for (size_t i = 0; i < weights->metadata_count; i++) {
        dio_str_add(out, i ? "  " : "metadata:\n  ");
        add_escaped(out, weights->metadata[i].key, weights->metadata[i].key_length);
        dio_str_add(out, " = ");
        add_escaped(out, weights->metadata[i].value, weights->metadata[i].value_length);
        dio_str_add(out, "\n");
    }
    for (size_t i = 0; i < weights->other_count; i++) {
        dio_str_add(out, i ? "  " : "other values:\n  ");
        add_escaped(out, weights->others[i].path, strlen(weights->others[i].path));
        dio_str_add(out, "  ");
        add_escaped(out, weights->others[i].type, strlen(weights->others[i].type));
        if (*weights->others[i].text) dio_str_add(out, " ");
        add_escaped(out, weights->others[i].text, strlen(weights->others[i].text));
        dio_str_add(out, "\n");
    }
    dio_str_add(out, weights->count ? "tensors:\n" : "no tensors\n");
    for (size_t i = 0; i < weights->count; i++) add_tensor(out, &weights->items[i]);
    dio_str_addf(out, "%" PRIu64 " tensors, %" PRIu64 " numbers, %" PRIu64 " bytes", summary->tensors, summary->elements,
                 summary->bytes);
    const char *separator = ": ";
    for (int d = 0; d < DIO_DTYPE_COUNT; d++) {
        if (!summary->by_dtype[d]) continue;
        dio_str_addf(out, "%s%" PRIu64 " %s", separator, summary->by_dtype[d], dio_dtype_name((enum dio_dtype)d));
        separator = ", ";
    }
    dio_str_add(out, "\n");
    return dio_str_status(out);
}

#include "predict/part.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/str.h"

static const char *const scores_names[] = {"none", "probs", "logits"};
static const char mark[] = ".part-";

char *dio_part_path(struct dio_ctx *ctx, const char *path, const struct dio_part_key *key)
{
    return dio_sprintf(ctx, "%s%s%s-%s-%s-%s-%zu-%s", path, mark, key->model, key->pixels, key->paths, key->json ? "jsonl" : "csv",
                       key->top, scores_names[key->scores]);
}

/* The next of the texts between dashes; false: there is none, or it is too long. */
static bool take(const char **at, char *out, size_t out_size)
{
    size_t length = strcspn(*at, "-");
    if (length == 0 || length >= out_size) return false;
    memcpy(out, *at, length);
    out[length] = 0;
    *at += length + ((*at)[length] == '-');
    return true;
}

static bool take_hash(const char **at, char out[DIO_PART_HASH])
{
    return take(at, out, DIO_PART_HASH) && strspn(out, "0123456789abcdef") == DIO_PART_HASH - 1;
}

bool dio_part_read_name(const char *name, const char *base, struct dio_part_key *key)
{
    size_t length = strlen(base);
    char format[8], top[21], scores[8];
    int64_t number;
    if (strncmp(name, base, length) != 0 || strncmp(name + length, mark, sizeof mark - 1) != 0) return false;
    const char *at = name + length + sizeof mark - 1;
    if (!take_hash(&at, key->model) || !take_hash(&at, key->pixels) || !take_hash(&at, key->paths)) return false;
    if (!take(&at, format, sizeof format) || !take(&at, top, sizeof top) || !take(&at, scores, sizeof scores) || *at) return false;
    if (!dio_parse_i64(top, strlen(top), &number) || number < 1) return false;
    key->json = strcmp(format, "jsonl") == 0;
    key->top = (size_t)number;
    for (int i = DIO_SCORES_NONE; i <= DIO_SCORES_LOGITS; i++) {
        key->scores = (enum dio_scores)i;
        if (strcmp(scores, scores_names[i]) == 0) return key->json || strcmp(format, "csv") == 0;
    }
    return false;
}

static void add(char *out, size_t out_size, const char *text)
{
    size_t used = strlen(out);
    (void)snprintf(out + used, out_size - used, "%s%s", used ? ", " : "", text);
}

void dio_part_differences(const struct dio_part_key *then, const struct dio_part_key *now, char *out, size_t out_size)
{
    char text[80];
    out[0] = 0;
    if (strcmp(then->model, now->model) != 0) add(out, out_size, "the model");
    if (strcmp(then->pixels, now->pixels) != 0) add(out, out_size, "the preprocessing");
    if (strcmp(then->paths, now->paths) != 0) add(out, out_size, "the paths given");
    if (then->json != now->json) add(out, out_size, "--format");
    if (then->top != now->top) {
        (void)snprintf(text, sizeof text, "--top (%zu, now %zu)", then->top, now->top);
        add(out, out_size, text);
    }
    if (then->scores != now->scores) {
        (void)snprintf(text, sizeof text, "--scores (%s, now %s)", scores_names[then->scores], scores_names[now->scores]);
        add(out, out_size, text);
    }
}

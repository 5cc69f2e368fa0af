#include "ops/golden_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/harness.h"

static char *read_whole(const char *name)
{
    char path[4096];
    const char *tests = getenv("DIOPTER_TESTS");
    snprintf(path, sizeof path, "%s/%s", tests ? tests : "tests", name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s cannot be opened\n", path);
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    if (text) text[fread(text, 1, (size_t)size, file)] = 0;
    fclose(file);
    return text;
}

/* "key\tcount magnitude condition p0 p1 p2 p3" */
static bool parse(char *line, struct golden_sums *sums)
{
    char *tab = strchr(line, '\t');
    if (!tab) return false;
    *tab = 0;
    sums->key = line;
    char *at = tab + 1;
    sums->count = strtoll(at, &at, 10);
    sums->magnitude = strtod(at, &at);
    sums->condition = strtod(at, &at);
    for (int i = 0; i < GOLDEN_PRODUCTS; i++) sums->product[i] = strtod(at, &at);
    return true;
}

bool golden_open(struct golden *golden, const char *name)
{
    *golden = (struct golden){.text = read_whole(name)};
    if (!golden->text) return false;
    size_t lines = 1;
    for (const char *at = golden->text; *at; at++) lines += *at == '\n';
    golden->items = calloc(lines, sizeof *golden->items);
    if (!golden->items) return false;
    for (char *line = strtok(golden->text, "\n"); line; line = strtok(NULL, "\n")) {
        golden->count += parse(line, &golden->items[golden->count]);
    }
    return true;
}

void golden_close(struct golden *golden)
{
    free(golden->text);
    free(golden->items);
}

const struct golden_sums *golden_find(const struct golden *golden, const char *op, const char *line, const char *mode, const char *tensor)
{
    char key[512];
    snprintf(key, sizeof key, "%s|%s|%s|%s", op, line, mode, tensor);
    for (size_t i = 0; i < golden->count; i++) {
        if (strcmp(golden->items[i].key, key) == 0) return &golden->items[i];
    }
    return NULL;
}

/* Each element carries at most a rounding of `condition / count` times some units; the products' factors are below 1. */
bool golden_agrees(const struct golden_sums *sums, const float *numbers, int64_t count, char *detail, size_t detail_size)
{
    if (count != sums->count) {
        snprintf(detail, detail_size, "%lld elements, expected %lld", (long long)count, (long long)sums->count);
        return false;
    }
    double allowed = 64 * 0x1p-24 * (sums->condition + sums->magnitude) / sqrt((double)count) + 1e-30, magnitude = 0;
    for (int64_t i = 0; i < count; i++) magnitude += fabs((double)numbers[i]);
    if (!(fabs(magnitude - sums->magnitude) <= 64 * 0x1p-24 * (sums->condition + sums->magnitude))) {
        snprintf(detail, detail_size, "sum of magnitudes %.9g, expected %.9g", magnitude, sums->magnitude);
        return false;
    }
    for (int p = 0; p < GOLDEN_PRODUCTS; p++) {
        double product = 0;
        for (int64_t i = 0; i < count; i++) product += (double)numbers[i] * op_number(STREAM_GOLDEN + (uint32_t)p, (uint64_t)i);
        if (fabs(product - sums->product[p]) <= allowed) continue;
        snprintf(detail, detail_size, "product %d is %.9g, expected %.9g, allowed %.2g", p, product, sums->product[p], allowed);
        return false;
    }
    return true;
}

/* Names the most likely class of each picture.
 *
 *     label MODEL PICTURE...
 *
 * cc label.c $(pkg-config --cflags --libs diopter) -o label */
#include <stdio.h>
#include <stdlib.h>

#include <diopter/diopter.h>

/* The whole file, or NULL. */
static void *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *bytes = NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        long length = ftell(file);
        rewind(file);
        bytes = length > 0 ? malloc((size_t)length) : NULL;
        *size = bytes ? fread(bytes, 1, (size_t)length, file) : 0;
    }
    (void)fclose(file);
    return bytes;
}

static int label_picture(diopter_context *context, diopter_model *model, const char *path, float *logits, int64_t classes)
{
    size_t size = 0;
    void *bytes = read_file(path, &size);
    if (!bytes) {
        (void)fprintf(stderr, "label: %s cannot be read\n", path);
        return 1;
    }
    diopter_status status = diopter_model_forward_file(model, bytes, size, logits);
    free(bytes);
    if (status != DIOPTER_OK) {
        (void)fprintf(stderr, "label: %s: %s\n", path, diopter_error_text(context));
        return 1;
    }
    int64_t best = 0;
    for (int64_t i = 1; i < classes; i++) {
        if (logits[i] > logits[best]) best = i;
    }
    printf("%s\t%s\n", path, diopter_model_class(model, (size_t)best));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: label MODEL PICTURE...\n");
        return 2;
    }
    diopter_context *context = NULL;
    diopter_model *model = NULL;
    diopter_status status = diopter_context_create(NULL, &context);
    if (status == DIOPTER_OK) status = diopter_model_open(context, argv[1], NULL, &model);
    diopter_model_info info = {.size = sizeof info};
    if (status == DIOPTER_OK) status = diopter_model_describe(model, &info);
    float *logits = status == DIOPTER_OK && info.classes > 0 ? malloc((size_t)info.classes * sizeof *logits) : NULL;
    int failed = 0;
    if (!logits) {
        (void)fprintf(stderr, "label: %s\n", context && diopter_error_text(context)[0] ? diopter_error_text(context) : "no classes");
        failed = 1;
    }
    for (int i = 2; i < argc && logits; i++) failed |= label_picture(context, model, argv[i], logits, info.classes);
    free(logits);
    diopter_model_close(model);
    diopter_context_destroy(context);
    return failed;
}

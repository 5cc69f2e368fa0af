/* check_manifest MANIFEST|FOLDER|TAR: opens it as train would, decodes each picture, ends with the exit code that `check`
 * gives.  For the hostile manifests of run_vectors.sh (CMD_manifest_csv='{file}') without the command line. */
#include <stdio.h>

#include "data/audit.h"

static void say(void *arg, const struct dio_message *message)
{
    (void)arg;
    char text[4096];
    dio_message_format(message, text, sizeof text);
    fprintf(stderr, "diopter: %s\n", text);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: check_manifest DATA\n");
        return DIO_ERR_USAGE;
    }
    struct dio_alloc_stats stats = {0};
    struct dio_ctx ctx;
    dio_ctx_init(&ctx, &stats);
    ctx.on_message = say;
    struct dio_dataset_options options = {.labels_wanted = true, .val_share = 0.2, .seed = 1};
    struct dio_dataset *dataset = NULL;
    struct dio_audit audit = {0};
    dio_status status = dio_dataset_open(&ctx, argv[1], &options, &dataset);
    if (status == DIO_OK) {
        struct dio_bad bad;
        struct dio_bad_options bad_options = {.max_share = 0.01, .total = dio_dataset_count(dataset), .all = true};
        struct dio_audit_options audit_options = {0};
        dio_bad_init(&bad, &bad_options);
        status = dio_audit_run(&ctx, dataset, &audit_options, &bad, &audit);
    }
    if (status == DIO_OK) {
        printf("%s: %zu pictures, %zu classes, train %zu, val %zu, test %zu; peak %lld bytes\n", dio_dataset_layout(dataset),
               dio_dataset_count(dataset), dio_dataset_classes(dataset), dio_dataset_split_count(dataset, DIO_SPLIT_TRAIN),
               dio_dataset_split_count(dataset, DIO_SPLIT_VAL), dio_dataset_split_count(dataset, DIO_SPLIT_TEST),
               (long long)stats.peak_bytes);
        printf("%dx%d to %dx%d, median %dx%d, duplicates %llu within, %llu across\n", audit.min_width, audit.min_height,
               audit.max_width, audit.max_height, audit.median_width, audit.median_height,
               (unsigned long long)audit.duplicates_within, (unsigned long long)audit.duplicates_across);
    } else {
        say(NULL, &ctx.error);
    }
    dio_audit_free(&ctx, &audit);
    dio_dataset_free(dataset);
    if (stats.live_blocks) {
        fprintf(stderr, "diopter: %lld blocks leaked\n", (long long)stats.live_blocks);
        return DIO_ERR_INTERNAL;
    }
    return (int)status;
}

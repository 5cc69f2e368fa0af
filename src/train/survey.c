/* What the pictures of a run are like: sizes for the warning of a crop that loses much, counts for the report. */
#include "train/run.h"

enum { SAMPLE = 128 };

/* Facts of those items that could be read; *facts is freed by dio_free. */
static dio_status facts_of(struct dio_run *run, const uint32_t *items, size_t count, struct dio_picture_facts **facts, size_t *good)
{
    *good = 0;
    DIO_PASS(dio_features_look_at(run->features, items, count));
    *facts = dio_alloc_array(run->ctx, count, sizeof **facts, "sizes of pictures");
    if (!*facts) return DIO_ERR_ENV;
    for (size_t i = 0; i < count; i++) {
        const struct dio_picture_facts *own = dio_features_facts(run->features, items[i]);
        if (own->width > 0) (*facts)[(*good)++] = *own;
    }
    return DIO_OK;
}

dio_status dio_run_warn_crop(struct dio_run *run)
{
    uint32_t items[SAMPLE];
    size_t n = run->n_train < SAMPLE ? run->n_train : SAMPLE, good = 0;
    struct dio_audit audit = {0};
    struct dio_picture_facts *facts = NULL;
    for (size_t i = 0; i < n; i++) items[i] = run->train[i * run->n_train / n];
    DIO_PASS(facts_of(run, items, n, &facts, &good));
    dio_status status = dio_audit_medians(run->ctx, facts, good, &run->prepare.recipe, &audit);
    dio_free(run->ctx, facts);
    if (status == DIO_OK && dio_audit_crops(&audit, &run->prepare.recipe)) dio_audit_say_crop(run->ctx, &audit);
    return status;
}

dio_status dio_run_survey(struct dio_run *run, struct dio_audit *audit)
{
    size_t count = run->n_all + run->n_test, good = 0;
    struct dio_picture_facts *facts = NULL;
    *audit = (struct dio_audit){.pictures = count};
    uint32_t *items = dio_alloc_array(run->ctx, count, sizeof *items, "list of pictures");
    if (!items) return DIO_ERR_ENV;
    for (size_t i = 0; i < run->n_all; i++) items[i] = run->all[i];
    for (size_t i = 0; i < run->n_test; i++) items[run->n_all + i] = run->test[i];
    dio_status status = facts_of(run, items, count, &facts, &good);
    for (size_t i = 0; status == DIO_OK && i < good; i++) dio_audit_add(audit, &facts[i]);
    if (status == DIO_OK) status = dio_audit_medians(run->ctx, facts, good, &run->prepare.recipe, audit);
    dio_free(run->ctx, facts);
    dio_free(run->ctx, items);
    return status;
}

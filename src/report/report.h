/* A run's report.html: one file that opens anywhere, with no network.
 *
 * Everything comes in through plain records; strings are copied nowhere and escaped here.  No times, no thread counts, no
 * absolute paths: equal runs give equal files. */
#ifndef DIO_REPORT_REPORT_H
#define DIO_REPORT_REPORT_H

#include "base/str.h"
#include "data/audit.h"
#include "data/dataset.h"
#include "eval/metrics.h"
#include "image/prepare.h"

struct dio_report_fact {
    const char *key, *value;
};

struct dio_report_epoch {
    uint32_t epoch;  /* from 1 */
    double train_loss, train_accuracy, val_loss, val_accuracy, lr; /* NAN: not measured */
};

/* A picture that was got wrong, or that shows what the model sees. */
struct dio_report_picture {
    uint32_t item;            /* of `dataset` */
    int32_t truth, predicted; /* class indices; -1: none */
    double confidence;        /* probability of `predicted` */
};

struct dio_report_split {
    const char *name;                   /* "test", "validation (cut from train)" */
    const struct dio_metrics *metrics;
};

struct dio_report {
    const char *title;                  /* "Fine-tuned SqueezeNet 1.1 on cxr_pneumonia" */
    const char *subtitle;               /* one sentence: what was trained, what was frozen */
    const char *model, *data;           /* names, without folders */
    const struct dio_report_fact *facts;       /* about model and run: architecture, parameters, trained, best epoch ... */
    size_t n_facts;
    const struct dio_report_epoch *epochs;
    size_t n_epochs;
    uint32_t best_epoch;                /* 0: none */
    uint64_t refit_epochs;              /* epochs on training and validation pictures together, after the choice; 0: no refit */
    const struct dio_report_split *splits;     /* the first is the one that counts (test where there is one) */
    size_t n_splits;
    const struct dio_dataset *dataset;
    const struct dio_audit *audit;      /* may be NULL */
    const char *const *warnings;        /* one line each */
    size_t n_warnings;
    const char *const *skipped;         /* "train/cat/1.png: truncated at byte 17", at most ten are shown */
    uint64_t n_skipped;                 /* in all */
    size_t n_skipped_lines;
    const struct dio_report_picture *mistakes; /* most confident first; 24 are shown */
    size_t n_mistakes;
    const struct dio_report_picture *samples;  /* as the model sees them; eight are shown */
    size_t n_samples;
    const struct dio_prepare *prepare;  /* how samples are prepared; NULL: none shown */
    const struct dio_augment *augment;  /* NULL: the evaluation transform */
    uint64_t seed;
    const char *recipe;                 /* the resolved recipe's text */
    const char *receipt;                /* freeze receipt in words: "124 tensors frozen, all unchanged (sha256 ...)"; NULL */
    bool receipt_ok;
    const struct dio_report_fact *provenance;
    size_t n_provenance;
    const char *version;                /* of the program */
};

/* Writes the page.  Pictures that cannot be read any more get an empty frame. */
dio_status dio_report_write(struct dio_ctx *ctx, const struct dio_report *report, struct dio_str *html);

/* The most confident mistakes of a set of predictions, in order: by confidence, then by item.  *out is freed by
 * dio_free. */
dio_status dio_report_mistakes(struct dio_ctx *ctx, const float *logits, const int32_t *truth, const uint32_t *items,
                               size_t n, size_t n_classes, size_t limit, struct dio_report_picture **out, size_t *count);

#endif

/* Small sets of pictures and runs over them. */
#ifndef DIO_TESTS_TRAIN_RUN_SUPPORT_H
#define DIO_TESTS_TRAIN_RUN_SUPPORT_H

#include <sys/stat.h>

#include "base/rng.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "support.h"
#include "train/train.h"

enum { SIDE = 32 };

/* A 32 x 32 PPM: one colour a class under noise that is a function of (class, number). */
static inline void write_picture(const char *path, int label, int number)
{
    static const int colours[3][3] = {{170, 100, 100}, {100, 170, 100}, {100, 100, 170}};
    unsigned char bytes[16 + SIDE * SIDE * 3];
    int head = snprintf((char *)bytes, 16, "P6 %d %d 255\n", SIDE, SIDE);
    struct dio_rng rng = dio_rng_make(7, DIO_RNG_TEST, (uint32_t)label, (uint64_t)number);
    for (int i = 0; i < SIDE * SIDE * 3; i++) {
        bytes[head + i] = (unsigned char)(colours[label][i % 3] + (int)dio_rng_below(&rng, 81) - 40);
    }
    test_write(path, bytes, (size_t)head + SIDE * SIDE * 3);
}

/* FOLDER/data/<split>/<class>/N.ppm, or without a split when it is "". */
static inline void write_split(const struct test_folder *folder, const char *split, int classes, int each)
{
    static const char *const names[] = {"blue", "green", "red"};
    char path[1024];
    for (int c = 0; c < classes; c++) {
        snprintf(path, sizeof path, "%s/data/%s%s%s", folder->path, split, *split ? "/" : "", names[c]);
        struct dio_ctx ctx;
        struct dio_alloc_stats stats = {0};
        dio_ctx_init(&ctx, &stats);
        assert_int_equal(dio_mkdirs(&ctx, path), DIO_OK);
        for (int i = 0; i < each; i++) {
            snprintf(path, sizeof path, "%s/data/%s%s%s/%02d.ppm", folder->path, split, *split ? "/" : "", names[c], i);
            write_picture(path, c, i + (strcmp(split, "val") == 0 ? 1000 : 0));
        }
    }
}

/* A context that computes: kernels and a team. */
struct machine {
    struct test_ctx test;
    struct dio_kernels kernels;
    atomic_int cancel;
    int steps, cancel_at;  /* progress reports of training epochs; at which one to cancel */
    uint64_t pictures, cancel_pictures; /* of the feature stage */
};

static inline void count_steps(void *arg, const struct dio_progress *progress)
{
    struct machine *machine = arg;
    if (strcmp(progress->unit, "pictures") == 0) {
        if (++machine->pictures == machine->cancel_pictures) atomic_store(&machine->cancel, 1);
    } else if (++machine->steps == machine->cancel_at) {
        atomic_store(&machine->cancel, 1);
    }
}

static inline void machine_start(struct machine *machine, int threads)
{
    memset(machine, 0, sizeof *machine);
    test_begin(&machine->test);
    struct dio_ctx *ctx = &machine->test.ctx;
    dio_kernels_select(&ctx->cpu, dio_kernels_best(&ctx->cpu), &machine->kernels);
    ctx->kernels = &machine->kernels;
    ctx->cancel = &machine->cancel;
    ctx->on_progress = count_steps;
    ctx->progress_arg = machine;
    assert_ok(&machine->test, dio_team_start(ctx, threads, &ctx->team));
}

static inline void machine_stop(struct machine *machine)
{
    dio_team_stop(&machine->test.ctx, machine->test.ctx.team);
    machine->test.ctx.team = NULL;
    test_end(&machine->test);
}

/* "key=value key=value": settings as the command line gives them. */
static inline void settings(struct machine *machine, struct dio_train_options *options, const char *text)
{
    char copy[2048];
    assert_ok(&machine->test, dio_train_options_init(&machine->test.ctx, options));
    snprintf(copy, sizeof copy, "%s", text);
    for (char *save = NULL, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *value = strchr(word, '=');
        assert_non_null(value);
        *value++ = 0;
        int i = dio_option_find(word);
        if (i < 0) fail_msg("no option %s", word);
        assert_ok(&machine->test, dio_option_set(&machine->test.ctx, options, (size_t)i, value, strlen(value), DIO_FROM_COMMAND,
                                                 DIO_ERR_USAGE, NULL, word));
    }
}

struct ran {
    dio_status status;
    char error[4096];
    int64_t epochs, best_epoch, stopped_epoch, stopped_step;
    double val_accuracy, train_loss;
    uint64_t n_bad;
    bool refitted, early_stopped, already_complete, run_named;
    int steps, warnings;
    char said[16384];
    uint64_t pictures;
};

/* A run, or its continuation, on a machine of its own; cancel_at 0: never, -1: before it begins, -1 - N: at the Nth report of
 * the feature stage. */
static inline struct ran run_on(int threads, int cancel_at, bool resume, const char *text)
{
    struct machine machine;
    struct dio_train_options options;
    struct dio_train_result result;
    struct ran ran;
    memset(&ran, 0, sizeof ran);
    machine_start(&machine, threads);
    machine.cancel_at = cancel_at > 0 ? cancel_at : 0;
    machine.cancel_pictures = cancel_at < -1 ? (uint64_t)(-1 - cancel_at) : 0;
    if (cancel_at == -1) atomic_store(&machine.cancel, 1);
    settings(&machine, &options, text);
    ran.status = resume ? dio_train_resume(&machine.test.ctx, options.output, &options, &result)
                        : dio_train_run(&machine.test.ctx, &options, &result);
    snprintf(ran.error, sizeof ran.error, "%s", test_error(&machine.test));
    ran.epochs = result.epochs;
    ran.best_epoch = result.best_epoch;
    ran.stopped_epoch = result.stopped_epoch;
    ran.stopped_step = result.stopped_step;
    ran.val_accuracy = result.val_accuracy;
    ran.train_loss = result.train_loss;
    ran.n_bad = result.n_bad;
    ran.refitted = result.refitted;
    ran.early_stopped = result.early_stopped;
    ran.already_complete = result.already_complete;
    ran.run_named = result.run != NULL;
    ran.steps = machine.steps;
    ran.warnings = machine.test.warnings;
    ran.pictures = machine.pictures;
    snprintf(ran.said, sizeof ran.said, "%s", machine.test.said);
    dio_train_result_free(&machine.test.ctx, &result);
    dio_train_options_free(&options);
    machine_stop(&machine);
    return ran;
}

static inline void assert_ran(struct ran ran, dio_status expected)
{
    if (ran.status != expected) fail_msg("status %d: %s", (int)ran.status, ran.error);
}

static inline void assert_same_file(const char *a, const char *b)
{
    size_t length_a, length_b;
    char *bytes_a = test_read(a, &length_a), *bytes_b = test_read(b, &length_b);
    if (length_a != length_b || memcmp(bytes_a, bytes_b, length_a) != 0) fail_msg("%s and %s differ", a, b);
    free(bytes_a);
    free(bytes_b);
}

/* Everything that equal runs have equal. */
static inline void assert_same_runs(const struct test_folder *folder, const char *a, const char *b)
{
    static const char *const names[] = {"model.safetensors", "metrics.jsonl", "recipe.yaml", "freeze.txt", "report.html"};
    char one[512], other[512];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(one, sizeof one, "%s/%s/%s", folder->path, a, names[i]);
        snprintf(other, sizeof other, "%s/%s/%s", folder->path, b, names[i]);
        assert_same_file(one, other);
    }
}

#endif

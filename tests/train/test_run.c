/* Whole runs over small pictures: learning, the same bits, going on, the cache, the receipt, refusals. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "train/runs_in_folder.h"

static int setup(void **state)
{
    (void)state;
    test_folder_make(&folder);
    write_split(&folder, "train", 2, 12);
    write_split(&folder, "val", 2, 6);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_folder_remove(&folder);
    return 0;
}

#define FULL "epochs=2 batch_size=8 lr=0.02 optimizer=sgd augment_crop=4 augment_flip=0.5"

static void test_learns(void **state)
{
    (void)state;
    struct ran full = run_on(2, 0, false, with("full", "epochs=6 batch_size=8 lr=0.05 optimizer=sgd"));
    assert_ran(full, DIO_OK);
    assert_int_equal(full.epochs, 6);
    assert_true(full.val_accuracy >= 0.9);
    assert_true(full.train_loss < 0.4);
    struct ran head = run_on(2, 0, false, with("head", "epochs=30 batch_size=8 freeze=backbone lr=0.05"));
    assert_ran(head, DIO_OK);
    assert_true(head.val_accuracy >= 0.75); /* a head on random features */
    assert_false(head.refitted);            /* val was given, not cut */
}

static void test_same_bits_for_any_thread_count(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 7};
    char name[32];
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "threads-%d", threads[i]);
        assert_ran(run_on(threads[i], 0, false, with(name, FULL)), DIO_OK);
        if (i > 0) assert_same_runs(&folder, "threads-1", name);
    }
    assert_ran(run_on(1, 0, false, with("head-1", HEAD)), DIO_OK);
    assert_ran(run_on(7, 0, false, with("head-7", HEAD)), DIO_OK);
    assert_same_runs(&folder, "head-1", "head-7");
}

static void test_cancel_and_resume(void **state)
{
    (void)state;
    char name[32];
    assert_ran(run_on(2, 0, false, with("whole", FULL)), DIO_OK);
    for (int at = 1; at <= 5; at += 2) {
        snprintf(name, sizeof name, "cancelled-%d", at);
        struct ran stopped = run_on(2, at, false, with(name, FULL));
        assert_ran(stopped, DIO_CANCELLED);
        assert_true(stopped.run_named);
        assert_ran(run_on(1, 0, true, on(name, "")), DIO_OK);
        assert_same_runs(&folder, "whole", name);
    }
    /* Before there is a checkpoint nothing promises that the run can be gone on with; its name stays free. */
    struct ran early = run_on(2, -1, false, with("cancelled-early", FULL));
    assert_ran(early, DIO_CANCELLED);
    assert_false(early.run_named);
    assert_ran(run_on(2, 0, false, with("cancelled-early", FULL)), DIO_OK);
    assert_same_runs(&folder, "whole", "cancelled-early");
    struct ran again = run_on(1, 0, true, on("whole", ""));
    assert_ran(again, DIO_OK);
    assert_true(again.already_complete);
}

/* This program again, as a child that trains: what is killed must not be the test. */
static pid_t start_child(const char *run)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "test_run", "train", folder.path, run, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static int child(const char *path, const char *run)
{
    snprintf(folder.path, sizeof folder.path, "%s", path);
    bool resume = dio_path_is_folder(test_in(&folder, run));
    struct ran ran = run_on(2, 0, resume, resume ? on(run, "") : with(run, FULL " epochs=4"));
    return (int)ran.status;
}

/* Waits until the child has written a checkpoint, and then for a while that no checkpoint knows of.  On a busy machine it
 * may be past that one when this is looked at, or done: then there is a later one, and its end is seen by the caller. */
static void wait_for_checkpoint(const char *run, int after_ms)
{
    char paths[4][600];
    bool there = false;
    for (int k = 0; k < 4; k++) snprintf(paths[k], sizeof paths[k], "%s/%s/checkpoints/ckpt-%d", folder.path, run, 3 * (k + 1));
    for (int i = 0; i < 60000 && !there; i++) {
        for (int k = 0; k < 4; k++) there = there || dio_path_exists(paths[k]);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    assert_true(there);
    nanosleep(&(struct timespec){0, after_ms * 1000000L}, NULL);
}

static void test_killed_and_resumed(void **state)
{
    (void)state;
    static const int moments[] = {0, 3, 11, 29, 67}; /* ms after the first epoch's checkpoint */
    int status = 0;
    char name[32];
    assert_ran(run_on(2, 0, false, with("unkilled", FULL " epochs=4")), DIO_OK);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "killed-%d", i);
        pid_t pid = start_child(name);
        wait_for_checkpoint(name, moments[i]);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        pid = start_child(name);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_same_runs(&folder, "unkilled", name);
    }
}

static void first_file(const char *path, char out[1024])
{
    struct dio_listing listing;
    struct test_ctx test;
    test_begin(&test);
    assert_ok(&test, dio_list_folder(&test.ctx, path, &listing));
    assert_true(listing.count > 0);
    snprintf(out, 1024, "%s/%s", path, listing.entries[0].name);
    dio_listing_free(&test.ctx, &listing);
    test_end(&test);
}

static void damage(const char *path, size_t at_end)
{
    size_t length;
    char *bytes = test_read(path, &length);
    bytes[length - at_end] ^= 1;
    test_write(path, bytes, length);
    free(bytes);
}

static void test_cache(void **state)
{
    (void)state;
    char more[600], file[1024];
    snprintf(more, sizeof more, HEAD " cache=%s/cache", folder.path);
    struct ran first = run_on(2, 0, false, with("cache-1", more));
    assert_ran(first, DIO_OK);
    assert_true(first.pictures > 0);
    struct ran second = run_on(2, 0, false, with("cache-2", more)); /* pixels are not decoded again */
    assert_ran(second, DIO_OK);
    assert_int_equal(second.pictures, 0);
    assert_same_runs(&folder, "cache-1", "cache-2");

    first_file(test_in(&folder, "cache"), file);
    damage(file, 3000);
    struct ran third = run_on(2, 0, false, with("cache-3", more)); /* named, and built again */
    assert_ran(third, DIO_OK);
    assert_true(third.pictures > 0 && third.warnings > 0);
    assert_same_runs(&folder, "cache-1", "cache-3");
    test_write(file, "DIOFEAT\nforeign", 15);
    assert_ran(run_on(2, 0, false, with("cache-4", more)), DIO_OK);
    assert_same_runs(&folder, "cache-1", "cache-4");
}

static size_t files_of(const char *path)
{
    struct dio_listing listing;
    struct test_ctx test;
    test_begin(&test);
    assert_ok(&test, dio_list_folder(&test.ctx, path, &listing));
    size_t count = listing.count;
    dio_listing_free(&test.ctx, &listing);
    test_end(&test);
    return count;
}

/* A file of 36 rows of 64 numbers takes 11.3 kB: two go into 25 kB. */
static void test_cache_limit_of_a_shared_folder(void **state)
{
    (void)state;
    char more[900], name[32], shared[300];
    snprintf(shared, sizeof shared, "%.200s/limited", folder.path);
    for (int seed = 1; seed <= 4; seed++) { /* another seed, another network: another file */
        snprintf(name, sizeof name, "limited-%d", seed);
        snprintf(more, sizeof more, HEAD " cache=%s cache_limit=0.000025 seed=%d", shared, seed);
        struct ran ran = run_on(1, 0, false, with(name, more));
        assert_ran(ran, DIO_OK);
        assert_int_equal(files_of(shared), seed < 2 ? 1 : 2);
        assert_true((strstr(ran.said, "1 old feature file removed") != NULL) == (seed > 2));
    }
    snprintf(more, sizeof more, HEAD " cache=%s cache_limit=0.000025 seed=4", shared); /* the newest is still there */
    assert_int_equal(run_on(1, 0, false, with("limited-again", more)).pictures, 0);
    assert_same_runs(&folder, "limited-4", "limited-again");
    /* Rows of other pictures in this run's own file go too, and the numbers stay right. */
    struct test_folder data;
    test_folder_make(&data);
    write_split(&data, "train", 3, 20);
    write_split(&data, "val", 3, 8);
    snprintf(more, sizeof more, HEAD " data=%s/data cache=%s cache_limit=0.000028 seed=4", data.path, shared);
    assert_ran(run_on(1, 0, false, with("limited-other", more)), DIO_OK);
    assert_int_equal(files_of(shared), 1);
    snprintf(more, sizeof more, HEAD " data=%s/data seed=4", data.path);
    assert_ran(run_on(1, 0, false, with("limited-own", more)), DIO_OK);
    assert_same_file(test_in(&folder, "limited-other/model.safetensors"), test_in(&folder, "limited-own/model.safetensors"));
    test_folder_remove(&data);
}

static void test_interrupted_features_are_kept(void **state)
{
    (void)state;
    struct test_folder data;
    char more[600];
    test_folder_make(&data);
    write_split(&data, "train", 3, 40);
    write_split(&data, "val", 3, 4);
    snprintf(more, sizeof more, HEAD " data=%s/data", data.path);
    struct ran whole = run_on(2, 0, false, with("features-whole", more));
    assert_ran(whole, DIO_OK);
    assert_int_equal(whole.pictures, 9); /* batches of 16: eight of training, one of validation */
    assert_ran(run_on(2, -4, false, with("features-cut", more)), DIO_CANCELLED);
    struct ran rest = run_on(1, 0, true, on("features-cut", ""));
    assert_ran(rest, DIO_OK);
    assert_int_equal(rest.pictures, 6);
    assert_same_runs(&folder, "features-whole", "features-cut");
    test_folder_remove(&data);
}

static void test_cached_features_are_the_live_ones(void **state)
{
    (void)state;
    assert_ran(run_on(2, 0, false, with("kept", HEAD)), DIO_OK);
    assert_ran(run_on(3, 0, false, with("live", HEAD " no_cache=true")), DIO_OK);
    assert_same_file(test_in(&folder, "kept/model.safetensors"), test_in(&folder, "live/model.safetensors"));
    const char *views = HEAD " views=3 augment_flip=0.5 augment_crop=4";
    assert_ran(run_on(2, 0, false, with("kept-views", views)), DIO_OK);
    char more[600];
    snprintf(more, sizeof more, "%s no_cache=true", views);
    assert_ran(run_on(1, 0, false, with("live-views", more)), DIO_OK);
    assert_same_file(test_in(&folder, "kept-views/model.safetensors"), test_in(&folder, "live-views/model.safetensors"));
}

/* A picture of any shape: binary PNM, grey (P5) or colour (P6). */
static void write_shape(const char *path, int kind, int width, int height, int shade)
{
    static unsigned char bytes[32 + 64 * 64 * 3];
    int head = snprintf((char *)bytes, 32, "P%d %d %d 255\n", kind, width, height);
    size_t size = (size_t)(width * height) * (kind == 6 ? 3 : 1);
    for (size_t i = 0; i < size; i++) bytes[(size_t)head + i] = (unsigned char)(shade + (int)(i * 7 % 60));
    test_write(path, bytes, (size_t)head + size);
}

/* What the pictures are like is said the same whether they were decoded by this run, an earlier one or both. */
static void test_survey(void **state)
{
    (void)state;
    struct test_folder data;
    char more[700], path[600];
    test_folder_make(&data);
    write_split(&data, "train", 2, 10);
    write_split(&data, "val", 2, 4);
    for (int i = 0; i < 6; i++) { /* of 20 training pictures, 12 become wide and 6 of those grey */
        snprintf(path, sizeof path, "%s/data/train/green/%02d.ppm", data.path, i);
        write_shape(path, 6, 48, 24, 90 + i);
        snprintf(path, sizeof path, "%s/data/train/blue/%02d.ppm", data.path, i);
        write_shape(path, 5, 48, 24, 20 + i);
    }
    static const char warning[] = "the centre crop loses 50 % of the area";
    static const struct {
        const char *name, *more;
        int threads, cancel_at;
    } runs[] = {{"survey-cache", "", 2, 0}, {"survey-hit", "", 1, 0}, {"survey-cut", "", 3, 9},
                {"survey-live", "no_cache=true", 2, 0}, {"survey-live-cut", "no_cache=true", 3, 16}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        snprintf(more, sizeof more, HEAD " data=%s/data cache=%s/survey %s", data.path, folder.path, runs[i].more);
        struct ran ran = run_on(runs[i].threads, runs[i].cancel_at, false, with(runs[i].name, more));
        assert_ran(ran, runs[i].cancel_at ? DIO_CANCELLED : DIO_OK);
        assert_non_null(strstr(ran.said, warning));
        if (strcmp(runs[i].name, "survey-hit") == 0) assert_int_equal(ran.pictures, 0);
        snprintf(more, sizeof more, "cache=%s/survey %s", folder.path, runs[i].more);
        if (runs[i].cancel_at) assert_ran(run_on(1, 0, true, on(runs[i].name, more)), DIO_OK);
        snprintf(path, sizeof path, "%s/report.html", runs[i].name);
        char *page = test_read(test_in(&folder, path), NULL);
        assert_non_null(strstr(page, "28 pictures were read, from 32&#8239;&times;&#8239;24 to 48"));
        assert_non_null(strstr(page, "; 6 grey."));
        assert_non_null(strstr(page, warning));
        free(page);
    }
    assert_same_runs(&folder, "survey-cache", "survey-hit");
    assert_same_runs(&folder, "survey-cache", "survey-cut");
    assert_same_runs(&folder, "survey-live", "survey-live-cut");
    snprintf(more, sizeof more, HEAD " data=%s/data fit=squash", data.path);
    assert_null(strstr(run_on(2, 0, false, with("survey-squash", more)).said, "centre crop"));
    test_folder_remove(&data);
}

static void test_receipt(void **state)
{
    (void)state;
    struct test_ctx test;
    struct dio_str text;
    assert_ran(run_on(1, 0, false, with("receipt", "epochs=1 batch_size=8 freeze=stage:2")), DIO_OK);
    test_begin(&test);
    dio_str_init(&text, &test.ctx);
    assert_ok(&test, dio_train_receipt_text(&test.ctx, test_in(&folder, "receipt"), &text));
    assert_non_null(strstr(text.data, "frozen tensors, 0 changed"));
    dio_str_free(&text);
    test_end(&test);
    char *lines = test_read(test_in(&folder, "receipt/freeze.txt"), NULL);
    assert_non_null(strstr(lines, "conv1.weight"));
    assert_null(strstr(lines, "layer3"));
    free(lines);
}

static void test_refit_and_early_stop(void **state)
{
    (void)state;
    struct test_folder data;
    struct ran refit, plain, early;
    char more[600];
    test_folder_make(&data);
    write_split(&data, "", 3, 10);
    snprintf(more, sizeof more, HEAD " data=%s/data", data.path);
    refit = run_on(2, 0, false, with("refit", more));
    assert_ran(refit, DIO_OK);
    assert_true(refit.refitted && refit.best_epoch >= 1);
    /* Interrupted in the refit, it goes on there. */
    struct ran stopped = run_on(2, refit.steps - 1, false, with("refit-cut", more));
    assert_ran(stopped, DIO_CANCELLED);
    assert_ran(run_on(1, 0, true, on("refit-cut", "")), DIO_OK);
    assert_same_runs(&folder, "refit", "refit-cut");
    snprintf(more, sizeof more, HEAD " data=%s/data no_refit=true", data.path);
    plain = run_on(2, 0, false, with("no-refit", more));
    assert_ran(plain, DIO_OK);
    assert_false(plain.refitted);
    snprintf(more, sizeof more, "epochs=200 batch_size=8 freeze=backbone lr=5 early_stop=3 no_refit=true data=%s/data", data.path);
    early = run_on(2, 0, false, with("early", more));
    assert_ran(early, DIO_OK);
    assert_true(early.early_stopped && early.epochs == early.best_epoch + 3);
    test_folder_remove(&data);
}

static void test_settings(void **state)
{
    (void)state;
    static const char *const runs[] = {
        "class_weights=balanced label_smoothing=0.1 select=auroc schedule=step step_size=1 warmup_epochs=1",
        "select=balanced_accuracy optimizer=sgd nesterov=true decay_1d=true schedule=constant",
        "freeze=stage:1 bn=stats augment_orientations=true",
        "train_only=linear.* select=accuracy",
        "freeze=layer1*",
    };
    char name[32], more[600];
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        snprintf(name, sizeof name, "settings-%zu", i);
        const char *freeze = strstr(runs[i], "train_only") ? "" : "freeze=backbone";
        snprintf(more, sizeof more, "epochs=2 batch_size=8 %s %s", freeze, runs[i]);
        assert_ran(run_on(2, 0, false, with(name, more)), DIO_OK);
    }
    /* Gradients of two batches of 4 are those of one of 8 (no norms learn here): the same course but for rounding. */
    struct ran eight = run_on(1, 0, false, with("eight", HEAD)), fours = run_on(1, 0, false, with("fours", HEAD " batch_size=4 accumulate=2"));
    assert_ran(fours, DIO_OK);
    assert_true(fabs(eight.train_loss - fours.train_loss) < 1e-4);
    /* No validation at all: the last epoch is kept. */
    struct test_folder data;
    test_folder_make(&data);
    write_split(&data, "train", 2, 5);
    snprintf(more, sizeof more, HEAD " val_share=0 data=%s/data", data.path);
    struct ran blind = run_on(1, 0, false, with("blind", more));
    assert_ran(blind, DIO_OK);
    assert_int_equal(blind.best_epoch, 6);
    assert_true(isnan(blind.val_accuracy));
    /* A size of its own, kept over a break. */
    assert_ran(run_on(1, 0, false, with("sized", HEAD " image_size=24")), DIO_OK);
    assert_ran(run_on(1, 2, false, with("sized-cut", HEAD " image_size=24")), DIO_CANCELLED);
    assert_ran(run_on(1, 0, true, on("sized-cut", "")), DIO_OK);
    assert_same_runs(&folder, "sized", "sized-cut");
    test_folder_remove(&data);
}

static void test_longer(void **state)
{
    (void)state;
    assert_ran(run_on(1, 0, false, with("longer", HEAD)), DIO_OK);
    struct ran longer = run_on(1, 0, true, on("longer", "epochs=9"));
    assert_ran(longer, DIO_OK);
    assert_int_equal(longer.epochs, 9);
}

static void test_refusals(void **state)
{
    (void)state;
    char more[600], file[1024], name[64];
    assert_ran(run_on(1, 3, false, with("refused", HEAD)), DIO_CANCELLED);
    assert_refusal(run_on(1, 0, false, with("refused", HEAD)), DIO_ERR_USAGE, "exists; --resume goes on with it");
    assert_refusal(run_on(1, 0, true, on("refused", "batch_size=4")), DIO_ERR_INPUT, "batch_size was 8, is 4");
    assert_refusal(run_on(1, 0, true, on("nothing", "")), DIO_ERR_ENV, "no such run folder");
    snprintf(more, sizeof more, HEAD " output=%s/data/train/run", folder.path);
    assert_refusal(run_on(1, 0, false, with("x", more)), DIO_ERR_USAGE, "lies in an input");
    snprintf(more, sizeof more, HEAD " output=%s/missing/run", folder.path);
    assert_refusal(run_on(1, 0, false, with("x", more)), DIO_ERR_ENV, "does not exist");
    /* Other pictures. */
    write_picture(test_in(&folder, "data/train/green/99.ppm"), 1, 99);
    assert_refusal(run_on(1, 0, true, on("refused", "")), DIO_ERR_INPUT, "not those that the run began with");
    unlink(test_in(&folder, "data/train/green/99.ppm"));
    /* Damaged checkpoints: the newest good one is taken; none left: refused. */
    snprintf(name, sizeof name, "refused/checkpoints");
    for (int i = 0; i < 2; i++) {
        first_file(test_in(&folder, name), file);
        damage(file, 40);
        snprintf(more, sizeof more, "%s/refused/damaged-%d", folder.path, i);
        assert_int_equal(rename(file, more), 0);
    }
    for (int i = 0; i < 2; i++) {
        snprintf(more, sizeof more, "%s/refused/damaged-%d", folder.path, i);
        snprintf(file, sizeof file, "%s/refused/checkpoints/ckpt-%d", folder.path, i);
        assert_int_equal(rename(more, file), 0);
    }
    assert_refusal(run_on(1, 0, true, on("refused", "")), DIO_ERR_INPUT, "checksum differs");
    assert_ran(run_on(1, 0, false, with("refused", HEAD " overwrite=true")), DIO_OK);
    first_file(test_in(&folder, name), file); /* the older of two */
    damage(file, 40);
    assert_ran(run_on(1, 0, true, on("refused", "")), DIO_OK);
}

/* What metrics.jsonl says of the first record with this text. */
static double metric(const char *run, const char *record, const char *name)
{
    char path[64], wanted[64];
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    snprintf(wanted, sizeof wanted, "\"%s\": ", name);
    char *text = test_read(test_in(&folder, path), NULL), *at = strstr(text, record);
    at = at ? strstr(at, wanted) : NULL;
    if (!at) fail_msg("%s: no %s of %s", path, name, record);
    double value = strtod(at + strlen(wanted), NULL);
    free(text);
    return value;
}

/* Classes that are equally many in all, but not in what validation leaves: the refit's weights are all 1. */
static void test_refit_weighs_anew(void **state)
{
    (void)state;
    struct test_folder data;
    struct test_ctx test;
    struct dio_str text;
    char more[600];
    test_folder_make(&data);
    test_begin(&test);
    write_split(&data, "", 2, 10);
    dio_str_init(&text, &test.ctx);
    dio_str_add(&text, "path,label,group\n");
    /* Ten patients with a blue one each, and two with five green ones: validation gets five of those or none. */
    for (int i = 0; i < 10; i++) {
        dio_str_addf(&text, "blue/%02d.ppm,blue,p%d\ngreen/%02d.ppm,green,p%d\n", i, i, i, 10 + i / 5);
    }
    test_write(test_in(&data, "data/list.csv"), text.data, text.length);
    bool told_apart = false;
    for (int seed = 1; seed <= 3; seed++) {
        char plain[32], weighed[32];
        snprintf(plain, sizeof plain, "plain-%d", seed);
        snprintf(weighed, sizeof weighed, "weighed-%d", seed);
        snprintf(more, sizeof more, "epochs=1 batch_size=8 freeze=backbone lr=0.01 data=%s/data/list.csv root=%s/data seed=%d", data.path,
                 data.path, seed);
        struct ran ran = run_on(1, 0, false, with(plain, more));
        assert_ran(ran, DIO_OK);
        assert_true(ran.refitted);
        snprintf(more + strlen(more), sizeof more - strlen(more), " class_weights=balanced");
        assert_ran(run_on(1, 0, false, with(weighed, more)), DIO_OK);
        told_apart |= metric(plain, "\"search\"", "train_loss") != metric(weighed, "\"search\"", "train_loss");
        assert_true(metric(plain, "\"refit\"", "train_loss") == metric(weighed, "\"refit\"", "train_loss"));
    }
    assert_true(told_apart); /* else the test says nothing */
    dio_str_free(&text);
    test_end(&test);
    test_folder_remove(&data);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "train") == 0) return child(argv[2], argv[3]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_same_bits_for_any_thread_count),
        cmocka_unit_test(test_cancel_and_resume),
        cmocka_unit_test(test_killed_and_resumed),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_cache_limit_of_a_shared_folder),
        cmocka_unit_test(test_interrupted_features_are_kept),
        cmocka_unit_test(test_cached_features_are_the_live_ones),
        cmocka_unit_test(test_survey),
        cmocka_unit_test(test_receipt),
        cmocka_unit_test(test_refit_and_early_stop),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_longer),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_refit_weighs_anew),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

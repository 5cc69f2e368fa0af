/* Predictions: rows against the scores of an evaluation, files resumed to the same bytes, names and bad pictures. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "data/dataset.h"
#include "eval/metrics.h"
#include "format/load.h"
#include "predict/evaluate.h"
#include "predict/predict.h"
#include "text/csv.h"
#include "text/json.h"
#include "train/run_support.h"

struct fixture {
    struct machine machine;
    struct test_folder folder;
    struct dio_loaded loaded;
};

static void begin(struct fixture *f, int threads)
{
    struct dio_load_options load = dio_load_options_default();
    machine_start(&f->machine, threads);
    load.seed = 3;
    test_folder_make(&f->folder);
    assert_ok(&f->machine.test, dio_model_load(&f->machine.test.ctx, "arch:resnet20_cifar", &load, &f->loaded));
    assert_non_null(f->loaded.model);
    assert_ok(&f->machine.test, dio_arch_new_head(f->loaded.model, 10, 3));
}

static void end(struct fixture *f)
{
    dio_loaded_free(&f->machine.test.ctx, &f->loaded);
    test_folder_remove(&f->folder);
    machine_stop(&f->machine);
}

static dio_status predict(struct fixture *f, const char *input, const char *output, const struct dio_predict_options *how,
                          struct dio_predict_result *result)
{
    struct dio_predict_options options = how ? *how : (struct dio_predict_options){0};
    char in[1024], out[1024];
    const char *paths[] = {in};
    snprintf(in, sizeof in, "%s/%s", f->folder.path, input);
    snprintf(out, sizeof out, "%s/%s", f->folder.path, output);
    options.paths = paths;
    options.n_paths = 1;
    options.output = out;
    if (!options.batch) options.batch = 4;
    *result = (struct dio_predict_result){0};
    dio_status status = dio_predict_check(&f->machine.test.ctx, &options);
    return status == DIO_OK ? dio_predict_run(&f->machine.test.ctx, f->loaded.model, &options, result) : status;
}

static size_t files_in(struct fixture *f)
{
    struct dio_listing listing;
    assert_ok(&f->machine.test, dio_list_folder(&f->machine.test.ctx, f->folder.path, &listing));
    size_t count = listing.count;
    dio_listing_free(&f->machine.test.ctx, &listing);
    return count;
}

/* Scores of every picture below data/, by evaluate: another way through loader and plan. */
static void evaluate(struct fixture *f, struct dio_dataset **dataset, struct dio_evaluation *scores)
{
    struct dio_ctx *ctx = &f->machine.test.ctx;
    uint32_t *items;
    size_t count;
    struct dio_dataset_options layout = {.labels_wanted = true};
    struct dio_evaluate_options how = {.batch = 7, .max_bad = 1};
    assert_ok(&f->machine.test, dio_dataset_open(ctx, test_in(&f->folder, "data"), &layout, dataset));
    assert_ok(&f->machine.test, dio_evaluate_items(ctx, *dataset, "all", &items, &count));
    assert_ok(&f->machine.test, dio_evaluate(ctx, f->loaded.model, *dataset, items, count, &how, scores));
    dio_free(ctx, items);
}

static double number(const char *text, size_t length)
{
    double value = NAN;
    assert_true(dio_parse_double(text, length, &value));
    return value;
}

static void test_rows(void **state)
{
    (void)state;
    struct fixture f;
    struct dio_predict_result result;
    struct dio_dataset *dataset;
    struct dio_evaluation scores;
    struct dio_csv csv;
    enum { CLASSES = 10, TOP = 3 };
    begin(&f, 2);
    write_split(&f.folder, "", 2, 5);
    evaluate(&f, &dataset, &scores);
    assert_int_equal(scores.count, 10);
    assert_int_equal(scores.n_classes, CLASSES);
    struct dio_predict_options how = {.top = TOP, .scores = DIO_SCORES_LOGITS};
    assert_ok(&f.machine.test, predict(&f, "data", "out.csv", &how, &result));
    assert_int_equal(result.n, 10);
    assert_int_equal(result.bad, 0);
    assert_int_equal(files_in(&f), 2); /* data and out.csv: nothing else is left */

    assert_ok(&f.machine.test, dio_csv_read(&f.machine.test.ctx, test_in(&f.folder, "out.csv"), 0, &csv));
    assert_int_equal(csv.columns, 3 + 2 * (TOP - 1) + 1 + CLASSES);
    assert_string_equal(csv.header[0].text, "path");
    assert_string_equal(csv.header[3].text, "label_2");
    assert_string_equal(csv.header[7].text, "error");
    for (size_t row = 0; row < scores.count; row++) {
        double probabilities[CLASSES], best = 0;
        assert_ok(&f.machine.test, dio_csv_next(&csv));
        assert_false(csv.end);
        const float *logits = scores.logits + row * CLASSES;
        dio_softmax(logits, CLASSES, probabilities);
        for (int k = 0; k < CLASSES; k++) {
            if (probabilities[k] > best) best = probabilities[k];
            assert_true((float)number(csv.fields[8 + k].text, csv.fields[8 + k].length) == logits[k]);
        }
        assert_true((float)number(csv.fields[2].text, csv.fields[2].length) == (float)best);
        int64_t label;
        assert_true(dio_parse_i64(csv.fields[1].text, csv.fields[1].length, &label));
        assert_true(probabilities[label] == best);
        assert_non_null(strstr(csv.fields[0].text, dio_dataset_path(dataset, scores.items[row])));
    }
    dio_csv_close(&csv);
    dio_evaluation_free(&f.machine.test.ctx, &scores);
    dio_dataset_free(dataset);

    how.scores = DIO_SCORES_NONE;
    assert_ok(&f.machine.test, predict(&f, "data", "out.jsonl", &how, &result));
    char *text = test_read(test_in(&f.folder, "out.jsonl"), NULL);
    int seen = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), seen++) {
        struct dio_tree record;
        assert_ok(&f.machine.test, dio_json_parse(&f.machine.test.ctx, "out.jsonl", NULL, "R1", line, strlen(line), &record));
        const struct dio_tree_node *top = dio_node_get(record.root, "top");
        assert_true(top && top->count == TOP);
        assert_string_equal(dio_node_get(&top->items[0], "label")->text, dio_node_get(record.root, "label")->text);
        assert_string_equal(dio_node_get(&top->items[0], "score")->text, dio_node_get(record.root, "score")->text);
        assert_null(dio_node_get(record.root, "scores"));
        dio_tree_free(&record);
    }
    assert_int_equal(seen, 10);
    free(text);
    end(&f);
}

static void stop_soon(void *arg, const struct dio_progress *progress)
{
    struct machine *machine = arg;
    if (++machine->steps == machine->cancel_at) atomic_store(&machine->cancel, 1);
    (void)progress;
}

static void resume_one(const char *name, enum dio_scores scores)
{
    struct fixture f;
    struct dio_predict_result result;
    char part[1024] = "", whole[64], cut[64];
    begin(&f, 2);
    write_split(&f.folder, "", 3, 7);
    /* A name that takes two lines of CSV: a record is more than a line. */
    write_picture(test_in(&f.folder, "data/green/new\nline,\"quoted\".ppm"), 1, 50);
    snprintf(whole, sizeof whole, "whole.%s", name);
    snprintf(cut, sizeof cut, "cut.%s", name);
    struct dio_predict_options how = {.scores = scores};
    assert_ok(&f.machine.test, predict(&f, "data", whole, &how, &result));
    f.machine.test.ctx.on_progress = stop_soon;
    f.machine.cancel_at = 3;
    f.machine.steps = 0;
    assert_int_equal(predict(&f, "data", cut, &how, &result), DIO_CANCELLED);
    atomic_store(&f.machine.cancel, 0);
    dio_ctx_clear_error(&f.machine.test.ctx);
    assert_false(dio_path_exists(test_in(&f.folder, cut)));

    /* As a power cut leaves it: in the middle of a record. */
    struct dio_listing listing;
    assert_ok(&f.machine.test, dio_list_folder(&f.machine.test.ctx, f.folder.path, &listing));
    for (size_t i = 0; i < listing.count; i++) {
        if (strstr(listing.entries[i].name, ".part-")) snprintf(part, sizeof part, "%s", test_in(&f.folder, listing.entries[i].name));
    }
    dio_listing_free(&f.machine.test.ctx, &listing);
    assert_true(part[0]);
    size_t length;
    char *text = test_read(part, &length);
    test_write(part, text, length - 9);
    free(text);

    how.resume = true;
    how.scores = scores == DIO_SCORES_NONE ? DIO_SCORES_PROBS : DIO_SCORES_NONE;
    assert_refused(&f.machine.test, DIO_ERR_INPUT, "differs in --scores (", predict(&f, "data", cut, &how, &result));
    how.scores = scores;
    assert_ok(&f.machine.test, predict(&f, "data", cut, &how, &result));
    assert_true(result.resumed > 0 && result.resumed < result.n);
    assert_int_equal(result.n, 22);
    assert_same_file(test_in(&f.folder, whole), test_in(&f.folder, cut));
    assert_ok(&f.machine.test, predict(&f, "data", cut, &how, &result)); /* complete already */
    assert_int_equal(result.n, 22);
    assert_int_equal(result.resumed, 22);
    assert_int_equal(result.bad, 0);
    assert_non_null(strstr(f.machine.test.said, "is complete already"));
    assert_int_equal(files_in(&f), 3);
    end(&f);
}

static void test_resume(void **state)
{
    (void)state;
    resume_one("csv", DIO_SCORES_NONE);
    resume_one("jsonl", DIO_SCORES_NONE);
    resume_one("csv", DIO_SCORES_PROBS);
}

static void test_same_bytes_for_threads_and_batches(void **state)
{
    (void)state;
    char *first = NULL;
    size_t first_length = 0;
    for (int threads = 1; threads <= 3; threads += 2) {
        struct fixture f;
        struct dio_predict_result result;
        begin(&f, threads);
        write_split(&f.folder, "", 2, 6);
        struct dio_predict_options how = {.scores = DIO_SCORES_LOGITS, .batch = threads == 1 ? 5 : 3};
        assert_ok(&f.machine.test, predict(&f, "data/green", "out.csv", &how, &result));
        size_t length;
        char *text = test_read(test_in(&f.folder, "out.csv"), &length);
        if (threads == 1) {
            first = text;
            first_length = length;
        } else {
            /* Only the folder's name differs, and has the same length. */
            assert_int_equal(length, first_length);
            const char *a = strstr(first, "green"), *b = strstr(text, "green");
            assert_memory_equal(a, b, 40);
            free(text);
        }
        end(&f);
    }
    free(first);
}

static void test_names_and_bad_pictures(void **state)
{
    (void)state;
    struct fixture f;
    struct dio_predict_result result;
    begin(&f, 2);
    write_split(&f.folder, "", 1, 2);
    write_picture(test_in(&f.folder, "data/blue/a \xff" "b.ppm"), 0, 3);
    test_write(test_in(&f.folder, "data/blue/broken.ppm"), "P6 32 32 255\n", 13);
    struct dio_predict_options how = {0};
    assert_ok(&f.machine.test, predict(&f, "data", "out.jsonl", &how, &result));
    assert_int_equal(result.n, 4);
    assert_int_equal(result.bad, 1);
    char *text = test_read(test_in(&f.folder, "out.jsonl"), NULL);
    assert_non_null(strstr(text, "a \\\\xffb.ppm\", \"path_bytes\": \""));
    assert_non_null(strstr(text, "broken.ppm\", \"error\": \""));
    assert_true(dio_utf8_valid(text, strlen(text), &(size_t){0}));
    free(text);
    assert_ok(&f.machine.test, predict(&f, "data", "out.csv", &how, &result));
    text = test_read(test_in(&f.folder, "out.csv"), NULL);
    assert_non_null(strstr(text, "broken.ppm,,,"));
    free(text);

    /* Nothing but bad pictures: no file. */
    size_t before = files_in(&f);
    assert_int_equal(predict(&f, "data/blue/broken.ppm", "none.csv", &how, &result), DIO_ERR_INPUT);
    dio_ctx_clear_error(&f.machine.test.ctx);
    assert_int_equal(files_in(&f), before);
    how.stop_at_bad = true;
    assert_int_equal(predict(&f, "data", "none.csv", &how, &result), DIO_ERR_INPUT);
    dio_ctx_clear_error(&f.machine.test.ctx);
    assert_int_equal(files_in(&f), before);
    end(&f);
}

static void test_outputs(void **state)
{
    (void)state;
    struct fixture f;
    struct dio_predict_result result;
    begin(&f, 1);
    write_split(&f.folder, "", 1, 2);
    test_write(test_in(&f.folder, "there.csv"), "x", 1);
    struct dio_predict_options how = {0};
    struct test_ctx *test = &f.machine.test;
    assert_refused(test, DIO_ERR_USAGE, "exists; --overwrite replaces it", predict(&f, "data", "there.csv", &how, &result));
    assert_refused(test, DIO_ERR_USAGE, "is a folder", predict(&f, "data", "data", &how, &result));
    assert_refused(test, DIO_ERR_USAGE, "lies in an input", predict(&f, "data", "data/blue/out.csv", &how, &result));
    assert_refused(test, DIO_ERR_ENV, "does not exist", predict(&f, "data", "missing/out.csv", &how, &result));
    how.overwrite = true;
    assert_ok(test, predict(&f, "data", "there.csv", &how, &result));
    char *text = test_read(test_in(&f.folder, "there.csv"), NULL);
    assert_true(strncmp(text, "path,label,score,error\n", 23) == 0);
    free(text);
    const char *path = test_in(&f.folder, "data");
    struct dio_predict_options null = {.paths = &path, .n_paths = 1, .output = "/dev/null"};
    assert_ok(test, dio_predict_check(&test->ctx, &null));
    assert_ok(test, dio_predict_run(&test->ctx, f.loaded.model, &null, &result));
    struct stat st;
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    end(&f);
}

/* What another prediction left is not mixed with this one's, and two do not write one file. */
static void test_resume_of_fewer_pictures(void **state)
{
    (void)state;
    static const char *const names[] = {"out.csv", "out.jsonl"};
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        struct dio_predict_result result;
        struct dio_predict_options how = {0};
        begin(&f, 1);
        write_split(&f.folder, "", 2, 4);
        f.machine.test.ctx.on_progress = stop_soon;
        f.machine.cancel_at = 2;
        assert_int_equal(predict(&f, "data", names[i], &how, &result), DIO_CANCELLED);
        atomic_store(&f.machine.cancel, 0);
        dio_ctx_clear_error(&f.machine.test.ctx);
        size_t before = files_in(&f);
        unlink(test_in(&f.folder, "data/green/03.ppm"));
        how.resume = true;
        assert_refused(&f.machine.test, DIO_ERR_INPUT, "not those that the interrupted prediction began with",
                       predict(&f, "data", names[i], &how, &result));
        assert_int_equal(files_in(&f), before); /* the refusal took nothing away */
        write_picture(test_in(&f.folder, "data/green/03.ppm"), 1, 3);
        assert_ok(&f.machine.test, predict(&f, "data", names[i], &how, &result));
        assert_true(result.n == 8 && result.resumed == 8);
        end(&f);
    }
}

static void test_resume_of_a_finished_file_with_errors(void **state)
{
    (void)state;
    static const char *const names[] = {"out.csv", "out.jsonl"};
    struct fixture f;
    struct dio_predict_result result;
    begin(&f, 1);
    write_split(&f.folder, "", 1, 3);
    test_write(test_in(&f.folder, "data/blue/a, \"b\".ppm"), "P6 32 32 255\n", 13);
    test_write(test_in(&f.folder, "data/blue/c \xff.ppm"), "P6 32 32 255\n", 13);
    for (int i = 0; i < 2; i++) {
        struct dio_predict_options how = {.max_bad = 1};
        assert_ok(&f.machine.test, predict(&f, "data", names[i], &how, &result));
        assert_true(result.n == 5 && result.bad == 2);
        how.resume = true;
        assert_ok(&f.machine.test, predict(&f, "data", names[i], &how, &result));
        assert_true(result.n == 5 && result.bad == 2 && result.resumed == 5);
    }
    end(&f);
}

/* A finished file is gone on with by the same prediction alone, which also gives it what it lacks. */
static void test_resume_of_a_finished_file(void **state)
{
    (void)state;
    static const char *const names[] = {"out.csv", "out.jsonl"};
    struct fixture f;
    struct dio_predict_result result;
    begin(&f, 1);
    write_split(&f.folder, "", 2, 4);
    for (int i = 0; i < 2; i++) {
        struct test_ctx *test = &f.machine.test;
        struct dio_predict_options how = {0};
        size_t length;
        assert_ok(test, predict(&f, "data", names[i], &how, &result));
        char *whole = test_read(test_in(&f.folder, names[i]), &length);
        size_t files = files_in(&f);
        how.resume = true;
        how.top = 3;
        assert_refused(test, DIO_ERR_INPUT, "other settings", predict(&f, "data", names[i], &how, &result));
        how.top = 0;
        how.scores = DIO_SCORES_LOGITS;
        assert_refused(test, DIO_ERR_INPUT, "other settings", predict(&f, "data", names[i], &how, &result));
        how.scores = DIO_SCORES_NONE;
        assert_refused(test, DIO_ERR_INPUT, "not those that the finished", predict(&f, "data/green", names[i], &how, &result));
        float *weight = f.loaded.model->graph->params[0].data, before = *weight;
        *weight += 1;
        assert_refused(test, DIO_ERR_INPUT, "by another model", predict(&f, "data", names[i], &how, &result));
        *weight = before;
        assert_int_equal(files_in(&f), files);
        test_write(test_in(&f.folder, names[i]), whole, length - length / 3);
        assert_ok(test, predict(&f, "data", names[i], &how, &result));
        assert_true(result.n == 8 && result.resumed > 2 && result.resumed < 8);
        size_t again_length;
        char *again = test_read(test_in(&f.folder, names[i]), &again_length);
        assert_int_equal(again_length, length);
        assert_memory_equal(again, whole, length);
        assert_int_equal(files_in(&f), files);
        free(whole);
        free(again);
    }
    end(&f);
}

/* A refusal leaves standard output as it is. */
static void test_refusals_print_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct dio_predict_result result;
    struct stat st;
    begin(&f, 1);
    write_split(&f.folder, "", 1, 2);
    test_write(test_in(&f.folder, "bad.ppm"), "P6 32 32 255\n", 13);
    mkdir(test_in(&f.folder, "empty"), 0777);
    int own = dup(1), fd = open(test_in(&f.folder, "said"), O_RDWR | O_CREAT, 0666);
    assert_true(own >= 0 && fd >= 0);
    char paths[3][1024];
    static const char *const inputs[] = {"bad.ppm", "empty", "data"};
    for (int i = 0; i < 3; i++) snprintf(paths[i], sizeof paths[i], "%s/%s", f.folder.path, inputs[i]);
    for (int i = 0; i < 3; i++) {
        const char *path = paths[i];
        struct dio_predict_options how = {.paths = &path, .n_paths = 1};
        fflush(stdout);
        assert_int_equal(dup2(fd, 1), 1);
        dio_status status = dio_predict_run(&f.machine.test.ctx, f.loaded.model, &how, &result);
        assert_int_equal(dup2(own, 1), 1);
        dio_ctx_clear_error(&f.machine.test.ctx);
        assert_int_equal(status, i < 2 ? DIO_ERR_INPUT : DIO_OK);
        assert_int_equal(fstat(fd, &st), 0);
        assert_true((st.st_size > 0) == (i == 2));
    }
    close(own);
    close(fd);
    end(&f);
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    struct fixture f;
    struct dio_predict_result result;
    struct dio_predict_options how = {0};
    struct dio_listing listing;
    int lock = -1;
    begin(&f, 1);
    write_split(&f.folder, "", 2, 4);
    f.machine.test.ctx.on_progress = stop_soon;
    f.machine.cancel_at = 1;
    assert_int_equal(predict(&f, "data", "out.csv", &how, &result), DIO_CANCELLED);
    atomic_store(&f.machine.cancel, 0);
    dio_ctx_clear_error(&f.machine.test.ctx);
    assert_ok(&f.machine.test, dio_list_folder(&f.machine.test.ctx, f.folder.path, &listing));
    for (size_t i = 0; i < listing.count; i++) {
        if (strstr(listing.entries[i].name, ".part-")) lock = open(test_in(&f.folder, listing.entries[i].name), O_RDONLY);
    }
    dio_listing_free(&f.machine.test.ctx, &listing);
    assert_true(lock >= 0);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    for (int resume = 0; resume < 2; resume++) {
        how.resume = resume;
        assert_refused(&f.machine.test, DIO_ERR_ENV, "is in use by another process", predict(&f, "data", "out.csv", &how, &result));
        assert_int_equal(files_in(&f), 2); /* and the other's work stays */
    }
    /* Nor is it taken for the leftover of another prediction. */
    struct dio_predict_options other = {.top = 2};
    assert_refused(&f.machine.test, DIO_ERR_ENV, "is in use by another process", predict(&f, "data", "out.csv", &other, &result));
    assert_int_equal(files_in(&f), 2);
    close(lock);
    other.resume = true;
    assert_refused(&f.machine.test, DIO_ERR_INPUT, "differs in --top (1, now 2)", predict(&f, "data", "out.csv", &other, &result));
    assert_ok(&f.machine.test, predict(&f, "data", "out.csv", &how, &result));
    assert_true(result.resumed == 4 && result.n == 8);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_resume_of_fewer_pictures),
        cmocka_unit_test(test_resume_of_a_finished_file_with_errors),
        cmocka_unit_test(test_resume_of_a_finished_file),
        cmocka_unit_test(test_refusals_print_nothing),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_same_bytes_for_threads_and_batches),
        cmocka_unit_test(test_names_and_bad_pictures),
        cmocka_unit_test(test_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

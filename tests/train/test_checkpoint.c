/* Checkpoints and cache files: what is written comes back; what is damaged, cut, newer or foreign does not. */
#include <math.h>
#include <nettle/sha2.h>
#include <sys/stat.h>

#include "support.h"
#include "train/cache.h"
#include "train/checkpoint.h"

/* A small network whose numbers are known. */
struct net {
    struct dio_graph *graph;
    float weight[12], bias[3];
    struct dio_snapshot best;
    struct dio_optimizer_state optimizer;
};

static dio_status make_net(struct dio_ctx *ctx, struct net *net, float start)
{
    struct dio_shape shape = dio_shape_2(0, 4);
    struct dio_optimizer_settings settings = {.beta1 = 0.9};
    memset(net, 0, sizeof *net);
    DIO_PASS(dio_graph_new(ctx, &net->graph));
    int x = dio_graph_input(net->graph, "x", DIO_F32, &shape);
    dio_graph_output(net->graph, dio_node1(net->graph, "linear", "fc", x, "out=3"));
    DIO_PASS(net->graph->status);
    net->graph->params[0].data = net->weight;
    net->graph->params[1].data = net->bias;
    for (int i = 0; i < 12; i++) net->weight[i] = start + (float)i;
    for (int i = 0; i < 3; i++) net->bias[i] = -start - (float)i;
    DIO_PASS(dio_snapshot_take(ctx, net->graph, &net->best));
    DIO_PASS(dio_optimizer_start(ctx, dio_optimizer_find("adamw"), &settings, net->graph, &net->optimizer));
    for (size_t i = 0; i < net->optimizer.block_floats; i++) net->optimizer.block[i] = start / (float)(i + 1);
    return DIO_OK;
}

static void free_net(struct dio_ctx *ctx, struct net *net)
{
    dio_snapshot_free(ctx, &net->best);
    dio_optimizer_end(ctx, &net->optimizer);
    if (net->graph) dio_graph_free(net->graph);
}

static dio_status write_one(struct dio_ctx *ctx, const char *folder, struct net *net, uint64_t steps)
{
    struct dio_epoch_record record = {.epoch = 2, .train_loss = 0.5, .val_loss = NAN};
    uint32_t bad[] = {3, 9};
    struct dio_checkpoint checkpoint = {
        .position = {.epoch = 2, .steps = steps, .optimizer_t = 7, .best_epoch = 1, .best_score = -0.25},
        .records = &record, .n_records = 1, .bad = bad, .n_bad = 2, .program = "test", .model = "net", .classes = "a, b",
        .recipe = "seed: 1\n",
    };
    return dio_checkpoint_write(ctx, folder, NULL, &checkpoint, net->graph, &net->best, &net->optimizer);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct test_ctx test;
    struct test_folder folder;
    struct net net, other;
    struct dio_checkpoint_file file;
    test_begin(&test);
    test_folder_make(&folder);
    assert_ok(&test, make_net(&test.ctx, &net, 1));
    assert_ok(&test, make_net(&test.ctx, &other, 50));
    for (uint64_t steps = 8; steps <= 10; steps++) assert_ok(&test, write_one(&test.ctx, folder.path, &net, steps));
    assert_false(dio_path_exists(test_in(&folder, "ckpt-8"))); /* two are kept, by number */
    assert_true(dio_path_exists(test_in(&folder, "ckpt-9")));
    assert_ok(&test, dio_checkpoint_open(&test.ctx, folder.path, &file));
    assert_int_equal(file.head.position.steps, 10);
    assert_int_equal(file.head.n_records, 1);
    assert_true(isnan(file.head.records[0].val_loss) && file.head.records[0].train_loss == 0.5);
    assert_true(file.head.n_bad == 2 && file.head.bad[1] == 9);
    assert_string_equal(file.head.recipe, "seed: 1\n");
    assert_ok(&test, dio_checkpoint_load(&test.ctx, &file, other.graph, &other.best, &other.optimizer, false));
    assert_floats_same(other.weight, net.weight, 12);
    assert_floats_same(other.bias, net.bias, 3);
    assert_floats_same(other.best.block, net.best.block, net.best.floats);
    assert_floats_same(other.optimizer.block, net.optimizer.block, net.optimizer.block_floats);
    assert_int_equal(other.optimizer.t, 7);
    /* Another optimiser's state is not taken, but weights alone are. */
    struct dio_optimizer_settings settings = {0};
    dio_optimizer_end(&test.ctx, &other.optimizer);
    assert_ok(&test, dio_optimizer_start(&test.ctx, dio_optimizer_find("sgd"), &settings, other.graph, &other.optimizer));
    assert_refused(&test, DIO_ERR_INPUT, "state of optimizer adamw, not of sgd",
                   dio_checkpoint_load(&test.ctx, &file, other.graph, &other.best, &other.optimizer, false));
    assert_ok(&test, dio_checkpoint_load(&test.ctx, &file, other.graph, &other.best, &other.optimizer, true));
    dio_checkpoint_close(&test.ctx, &file);
    free_net(&test.ctx, &net);
    free_net(&test.ctx, &other);
    test_folder_remove(&folder);
    test_end(&test);
}

static void put_digest(char *bytes, size_t length)
{
    struct dio_digest digest = dio_sha256_of(bytes, length - 32);
    memcpy(bytes + length - 32, digest.bytes, 32);
}

static void test_damage(void **state)
{
    (void)state;
    struct test_ctx test;
    struct test_folder folder;
    struct net net;
    struct dio_checkpoint_file file;
    size_t length;
    test_begin(&test);
    test_folder_make(&folder);
    assert_ok(&test, make_net(&test.ctx, &net, 1));
    assert_ok(&test, write_one(&test.ctx, folder.path, &net, 5));
    char *bytes = test_read(test_in(&folder, "ckpt-5"), &length);
    for (size_t at = 0; at < length; at += 1 + at / 40) { /* every bit flip is seen */
        bytes[at] ^= 0x10;
        test_write(test_in(&folder, "ckpt-5"), bytes, length);
        assert_refused(&test, DIO_ERR_INPUT, "ckpt-5", dio_checkpoint_open(&test.ctx, folder.path, &file));
        bytes[at] ^= 0x10;
    }
    for (size_t cut = 0; cut < length; cut += 1 + cut / 20) {
        test_write(test_in(&folder, "ckpt-5"), bytes, cut);
        assert_refused(&test, DIO_ERR_INPUT, "ckpt-5", dio_checkpoint_open(&test.ctx, folder.path, &file));
    }
    /* Wrong lengths under a right checksum: refused without a step outside. */
    for (size_t at = 16; at + 8 < length - 32; at++) {
        char kept[8];
        memcpy(kept, bytes + at, 8);
        memset(bytes + at, 0xff, 8);
        put_digest(bytes, length);
        test_write(test_in(&folder, "ckpt-5"), bytes, length);
        dio_status status = dio_checkpoint_open(&test.ctx, folder.path, &file);
        if (status == DIO_OK) {
            status = dio_checkpoint_load(&test.ctx, &file, net.graph, &net.best, &net.optimizer, false);
            dio_checkpoint_close(&test.ctx, &file);
        }
        assert_true(status == DIO_OK || status == DIO_ERR_INPUT);
        dio_ctx_clear_error(&test.ctx);
        memcpy(bytes + at, kept, 8);
    }
    bytes[8] = 9; /* the version */
    put_digest(bytes, length);
    test_write(test_in(&folder, "ckpt-5"), bytes, length);
    assert_refused(&test, DIO_ERR_INPUT, "format 9, this program knows up to 1", dio_checkpoint_open(&test.ctx, folder.path, &file));
    free(bytes);
    free_net(&test.ctx, &net);
    test_folder_remove(&folder);
    test_end(&test);
}

static void test_not_finite(void **state)
{
    (void)state;
    struct test_ctx test;
    struct test_folder folder;
    struct net net;
    struct dio_checkpoint_file file;
    for (int where = 0; where < 3; where++) { /* now, at the best epoch, in the optimiser */
        test_begin(&test);
        test_folder_make(&folder);
        assert_ok(&test, make_net(&test.ctx, &net, 1));
        float *number = where == 0 ? &net.weight[5] : where == 1 ? &net.best.block[5] : &net.optimizer.block[5];
        float good = *number;
        assert_ok(&test, write_one(&test.ctx, folder.path, &net, 5));
        *number = where == 1 ? INFINITY : NAN;
        assert_ok(&test, write_one(&test.ctx, folder.path, &net, 6));
        assert_ok(&test, dio_checkpoint_open(&test.ctx, folder.path, &file));
        assert_int_equal(file.head.position.steps, 5);
        assert_non_null(strstr(test.said, "ckpt-6: holds NaN or infinity; the newest good one is ckpt-5"));
        dio_checkpoint_close(&test.ctx, &file);
        unlink(test_in(&folder, "ckpt-5"));
        assert_refused(&test, DIO_ERR_INPUT, "ckpt-6: holds NaN or infinity, and there is no other checkpoint",
                       dio_checkpoint_open(&test.ctx, folder.path, &file));
        *number = good;
        free_net(&test.ctx, &net);
        test_folder_remove(&folder);
        test_end(&test);
    }
}

static void test_cache_file(void **state)
{
    (void)state;
    enum { ROWS = 50, FLOATS = 7 };
    struct test_ctx test;
    struct test_folder folder;
    struct dio_cache_writer writer;
    struct dio_cache cache;
    struct dio_digest key = dio_sha256_of("key", 3), other = dio_sha256_of("other", 5);
    float row[FLOATS];
    bool found;
    size_t length;
    test_begin(&test);
    test_folder_make(&folder);
    const char *path = test_in(&folder, "x.features");
    char own[1024];
    snprintf(own, sizeof own, "%s", path);
    assert_ok(&test, dio_cache_begin(&test.ctx, own, &key, FLOATS, &writer));
    for (int i = 0; i < ROWS; i++) {
        struct dio_cache_entry entry = {dio_sha256_of(&i, sizeof i), (uint64_t)(i % 3), {i + 1, 2, (uint32_t)i}};
        for (int j = 0; j < FLOATS; j++) row[j] = (float)(100 * i + j);
        assert_ok(&test, dio_cache_add(&writer, &entry, row));
    }
    assert_ok(&test, dio_cache_commit(&writer));
    assert_ok(&test, dio_cache_open(&test.ctx, own, &key, FLOATS, &cache, &found));
    assert_true(found);
    for (int i = 0; i < ROWS + 5; i++) {
        struct dio_cache_entry entry = {dio_sha256_of(&i, sizeof i), (uint64_t)(i % 3), {i + 1, 2, (uint32_t)i}};
        int64_t at = dio_cache_find(&cache, &entry);
        if (i < ROWS) assert_true(dio_cache_row(&cache, at)[3] == (float)(100 * i + 3));
        struct dio_cache_entry stored = {0};
        if (i < ROWS) dio_cache_entry_at(&cache, at, &stored);
        if (i < ROWS) assert_memory_equal(&stored.facts, &entry.facts, sizeof stored.facts);
        if (i >= ROWS) assert_int_equal(at, -1);
        entry.view += 5; /* another view of it */
        assert_int_equal(dio_cache_find(&cache, &entry), -1);
    }
    dio_cache_close(&test.ctx, &cache);
    assert_ok(&test, dio_cache_open(&test.ctx, own, &other, FLOATS, &cache, &found));
    assert_false(found);
    assert_non_null(strstr(test.said, "belongs to another model"));
    assert_ok(&test, dio_cache_open(&test.ctx, own, &key, FLOATS + 1, &cache, &found));
    assert_false(found);
    char *bytes = test_read(own, &length);
    for (size_t at = 0; at < length; at += 1 + at / 30) {
        bytes[at] ^= 1;
        test_write(own, bytes, length);
        bytes[at] ^= 1;
        assert_ok(&test, dio_cache_open(&test.ctx, own, &key, FLOATS, &cache, &found));
        assert_false(found);
    }
    for (size_t cut = 0; cut < length; cut += 1 + cut / 10) {
        test_write(own, bytes, cut);
        assert_ok(&test, dio_cache_open(&test.ctx, own, &key, FLOATS, &cache, &found));
        assert_false(found);
    }
    free(bytes);
    /* A file that was made up has a good checksum. */
    static const struct {
        float value;
        int32_t width;
        const char *says;
    } forged[] = {{NAN, 8, "NaN or infinity"}, {INFINITY, 8, "NaN or infinity"}, {1, 0, "without a size"}, {1, -8, "without a size"}};
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        struct dio_cache_entry entry = {dio_sha256_of(&i, sizeof i), 0, {forged[i].width, 8, 0}};
        row[2] = forged[i].value;
        assert_ok(&test, dio_cache_begin(&test.ctx, own, &key, FLOATS, &writer));
        assert_ok(&test, dio_cache_add(&writer, &entry, row));
        assert_ok(&test, dio_cache_commit(&writer));
        test.said[0] = 0;
        assert_ok(&test, dio_cache_open(&test.ctx, own, &key, FLOATS, &cache, &found));
        assert_false(found);
        assert_non_null(strstr(test.said, forged[i].says));
    }
    /* What is no file is not waited for. */
    assert_int_equal(unlink(own), 0);
    assert_int_equal(mkfifo(own, 0600), 0);
    assert_ok(&test, dio_cache_open(&test.ctx, own, &key, FLOATS, &cache, &found));
    assert_false(found);
    assert_non_null(strstr(test.said, "not a regular file"));
    assert_ok(&test, dio_cache_begin(&test.ctx, own, &key, FLOATS, &writer)); /* it was taken away */
    assert_ok(&test, dio_cache_commit(&writer));
    assert_ok(&test, dio_cache_open(&test.ctx, own, &key, FLOATS, &cache, &found));
    assert_true(found);
    dio_cache_close(&test.ctx, &cache);
    test_folder_remove(&folder);
    test_end(&test);
}

static dio_status write_and_read(struct test_ctx *test, void *arg)
{
    dio_status status;
    struct net net;
    struct dio_checkpoint_file file = {.blob = {.fd = -1}};
    DIO_TRY(make_net(&test->ctx, &net, 1));
    DIO_TRY(write_one(&test->ctx, arg, &net, 5));
    DIO_TRY(dio_checkpoint_open(&test->ctx, arg, &file));
    DIO_TRY(dio_checkpoint_load(&test->ctx, &file, net.graph, &net.best, &net.optimizer, false));
fail:
    dio_checkpoint_close(&test->ctx, &file);
    free_net(&test->ctx, &net);
    return status;
}

static void test_short_memory(void **state)
{
    (void)state;
    struct test_folder folder;
    test_folder_make(&folder);
    test_fail_each_allocation(write_and_read, folder.path);
    test_folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_cache_file),
        cmocka_unit_test(test_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

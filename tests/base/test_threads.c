#include "base/threads.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "support.h"

enum { PIECES = 1000, PHASES = 60 };

struct counts {
    atomic_int runs[PIECES];
    atomic_int wrong_thread;
    int threads;
    struct dio_team *team;
};

static void count_piece(void *arg, int64_t piece, int thread)
{
    struct counts *counts = arg;
    atomic_fetch_add(&counts->runs[piece], 1);
    if (thread < 0 || thread >= counts->threads) atomic_fetch_add(&counts->wrong_thread, 1);
}

static void each_once(struct counts *counts, int64_t pieces, int times)
{
    for (int64_t i = 0; i < PIECES; i++) assert_int_equal(atomic_load(&counts->runs[i]), i < pieces ? times : 0);
    assert_int_equal(atomic_load(&counts->wrong_thread), 0);
    memset(counts->runs, 0, sizeof counts->runs);
}

/* Phase k reads what phase k-1 wrote: a barrier too weak gives a wrong sum. */
struct chain {
    int64_t values[2][64];
    int step;
};
static struct chain chain;

static void chain_piece(void *arg, int64_t piece, int thread)
{
    (void)thread;
    int step = *(int *)arg;
    int64_t *from = chain.values[(step + 1) % 2], *to = chain.values[step % 2], sum = 0;
    for (int i = 0; i < 64; i++) sum += from[i] & 0xffff;
    if ((piece + step) % 5 == 0) sched_yield(); /* somebody else's turn, in the middle of a piece */
    to[piece] = sum + piece;
}

static void run_chain(struct dio_team *team, int64_t out[64])
{
    struct dio_phase phases[PHASES];
    int steps[PHASES];
    memset(&chain, 0, sizeof chain);
    for (int i = 0; i < PHASES; i++) {
        steps[i] = i;
        phases[i] = (struct dio_phase){chain_piece, &steps[i], 64};
    }
    dio_team_run(team, phases, PHASES);
    memcpy(out, chain.values[(PHASES - 1) % 2], sizeof chain.values[0]);
}

static void nested_piece(void *arg, int64_t piece, int thread)
{
    struct counts *counts = arg;
    (void)piece;
    (void)thread;
    struct counts inner = {.threads = 1};
    struct dio_phase phases[2] = {{count_piece, &inner, 10}, {count_piece, &inner, 10}};
    dio_team_run(counts->team, phases, 2);
    for (int i = 0; i < 10; i++) {
        if (atomic_load(&inner.runs[i]) == 2) atomic_fetch_add(&counts->runs[i], 1);
    }
    atomic_fetch_add(&counts->wrong_thread, atomic_load(&inner.wrong_thread));
}

static void run_all(struct dio_team *team, int threads)
{
    static struct counts counts;
    int64_t alone[64], together[64];
    memset(&counts, 0, sizeof counts);
    counts.threads = threads;
    counts.team = team;
    assert_int_equal(dio_team_size(team), threads);
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 64, PIECES};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        dio_team_for(team, sizes[i], count_piece, &counts);
        each_once(&counts, sizes[i], 1);
    }
    dio_team_run(team, NULL, 0);
    struct dio_phase mixed[5] = {{count_piece, &counts, 0}, {count_piece, &counts, 5}, {count_piece, &counts, 0}, {count_piece, &counts, 5}, {count_piece, &counts, -3}};
    for (int i = 0; i < 200; i++) dio_team_run(team, mixed, 5);
    each_once(&counts, 5, 400);
    run_chain(NULL, alone);
    for (int i = 0; i < 50; i++) {
        run_chain(team, together);
        assert_memory_equal(alone, together, sizeof alone);
    }
    dio_team_for(team, 8, nested_piece, &counts);
    each_once(&counts, 10, 8);
}

static void test_team(void **state)
{
    (void)state;
    static const int sizes[] = {1, 2, 3, 7};
    run_all(NULL, 1);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct test_ctx test;
        struct dio_team *team;
        test_begin(&test);
        assert_ok(&test, dio_team_start(&test.ctx, sizes[i], &team));
        run_all(team, sizes[i]);
        dio_team_stop(&test.ctx, team);
        test_end(&test);
    }
}

/* Thousands of tiny regions: begin and end, over and over. */
static void test_many_regions(void **state)
{
    (void)state;
    static struct counts counts;
    struct test_ctx test;
    struct dio_team *team;
    test_begin(&test);
    memset(&counts, 0, sizeof counts);
    counts.threads = 2;
    assert_ok(&test, dio_team_start(&test.ctx, 2, &team));
    for (int i = 0; i < 50000; i++) dio_team_for(team, 3, count_piece, &counts);
    each_once(&counts, 3, 50000);
    dio_team_stop(&test.ctx, team);
    test_end(&test);
}

static void test_environment(void **state)
{
    (void)state;
    static const char *const nonsense[] = {"0", "-1", "abc", "", "100000", "1.5"};
    struct test_ctx test;
    struct dio_team *team;
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        test_begin(&test);
        test.ctx.cpu.allowed = 2;
        setenv("OMP_NUM_THREADS", nonsense[i], 1);
        assert_ok(&test, dio_team_start(&test.ctx, 0, &team));
        assert_int_equal(dio_team_size(team), 2);
        assert_int_equal(test.warnings, 1);
        assert_non_null(strstr(test.said, "OMP_NUM_THREADS"));
        dio_team_stop(&test.ctx, team);
        test_end(&test);
    }
    test_begin(&test);
    test.ctx.cpu.allowed = 3;
    setenv("OMP_NUM_THREADS", "2,1", 1);
    assert_ok(&test, dio_team_start(&test.ctx, 0, &team));
    assert_int_equal(dio_team_size(team), 2);
    dio_team_stop(&test.ctx, team);
    assert_ok(&test, dio_team_start(&test.ctx, 4, &team)); /* what is asked for wins */
    assert_int_equal(dio_team_size(team), 4);
    assert_int_equal(test.warnings, 0);
    dio_team_stop(&test.ctx, team);
    unsetenv("OMP_NUM_THREADS");
    assert_ok(&test, dio_team_start(&test.ctx, 0, &team));
    assert_int_equal(dio_team_size(team), 3);
    dio_team_stop(&test.ctx, team);
    test_end(&test);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#elif defined(__has_feature)
enum { SANITIZED = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) };
#else
enum { SANITIZED = 0 };
#endif

/* Exit status of a process that has room for a few threads only: 0 when the team made do with them, and said so. */
static int use_what_starts(void)
{
    static struct counts counts;
    struct test_ctx test;
    struct dio_team *team;
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (!file || fscanf(file, "%lu", &pages) != 1) return 1;
    fclose(file);
    rlim_t room = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)300 << 20);
    struct rlimit limit = {room, room};
    test_begin(&test);
    if (setrlimit(RLIMIT_AS, &limit) != 0 || dio_team_start(&test.ctx, 200, &team) != DIO_OK) return 2;
    int size = dio_team_size(team);
    if (size >= 200 || size < 1 || !strstr(test.said, "warning: cannot start 200 threads; using ")) return 3;
    counts.threads = size;
    for (int i = 0; i < 20; i++) dio_team_for(team, PIECES, count_piece, &counts);
    for (int i = 0; i < PIECES; i++) {
        if (atomic_load(&counts.runs[i]) != 20) return 4;
    }
    return atomic_load(&counts.wrong_thread) ? 5 : 0;
}

static void test_few_threads(void **state)
{
    (void)state;
    if (SANITIZED) {
        print_message("skipped: a sanitizer needs more address space than the limit leaves\n");
        skip();
    }
    int status = 0;
    pid_t child = fork();
    if (child == 0) _exit(use_what_starts());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static dio_status start_team(struct test_ctx *test, void *arg)
{
    struct dio_team *team = NULL;
    (void)arg;
    DIO_PASS(dio_team_start(&test->ctx, 2, &team));
    dio_team_stop(&test->ctx, team);
    return DIO_OK;
}

static void test_memory(void **state)
{
    (void)state;
    test_fail_each_allocation(start_team, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_threads), /* first: it forks, and threads do not outlive a fork */
        cmocka_unit_test(test_team),   cmocka_unit_test(test_many_regions), cmocka_unit_test(test_environment),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

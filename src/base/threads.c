#include "base/threads.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "base/memory.h"
#include "base/str.h"

enum { MAX_THREADS = 1024, SPIN_NS = 20000, LINE = 64 };

/* A ticket is a phase's number and the next of its pieces in one word, so that a thread that comes late takes a piece of
 * whatever phase has come in the meantime.  A phase ends with its last piece, not with the arrival of every thread: one that
 * the system took away holds up the others only if it has a piece. */
enum { PIECE_BITS = 40 };
#define PIECE_OF(ticket) ((int64_t)((ticket) & ((UINT64_C(1) << PIECE_BITS) - 1)))
#define PHASE_OF(ticket) ((size_t)((ticket) >> PIECE_BITS))

struct dio_team {
    int threads;
    int64_t spin_ns; /* 0 where threads outnumber CPUs: a spinning thread would keep the awaited one from running */
    _Alignas(LINE) atomic_uint_fast64_t ticket;
    _Alignas(LINE) atomic_int_fast64_t done; /* pieces of the phase that have run */
    _Alignas(LINE) atomic_uint turns;        /* a futex word: changes with the phase */
    atomic_int sleepers;
    /* The work at hand, published by `opened` and `closed`: race detectors do not see into the OpenMP library. */
    const struct dio_phase *phases;
    size_t count;
    _Alignas(LINE) atomic_int opened, closed;
};
_Static_assert(sizeof(atomic_uint) == 4, "a futex word has 32 bits");

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool spin(struct dio_team *team, size_t phase)
{
    if (team->spin_ns == 0) return false;
    int64_t end = 0;
    for (;;) {
        for (int i = 0; i < 32; i++) {
            if (PHASE_OF(atomic_load_explicit(&team->ticket, memory_order_relaxed)) != phase) return true;
            pause_briefly();
        }
        int64_t now = now_ns();
        if (end == 0) end = now + team->spin_ns;
        if (now >= end) return false;
    }
}

/* Until the phase is over: a short spin, then sleep.  Whoever ends the phase changes the ticket before it looks for
 * sleepers, and a sleeper counts itself before it looks at the ticket: one of the two sees the other. */
static void wait_for_end(struct dio_team *team, size_t phase)
{
    if (spin(team, phase)) return;
    atomic_fetch_add(&team->sleepers, 1);
    for (;;) {
        unsigned turn = atomic_load(&team->turns);
        if (PHASE_OF(atomic_load(&team->ticket)) != phase) break;
        syscall(SYS_futex, &team->turns, FUTEX_WAIT_PRIVATE, turn, NULL, NULL, 0);
    }
    atomic_fetch_sub(&team->sleepers, 1);
}

/* The first phase from `phase` on that has pieces; team->count when there is none. */
static size_t skip_empty(const struct dio_team *team, size_t phase)
{
    while (phase < team->count && team->phases[phase].pieces <= 0) phase++;
    return phase;
}

static void end_phase(struct dio_team *team, size_t phase)
{
    atomic_store_explicit(&team->done, 0, memory_order_relaxed);
    atomic_store(&team->ticket, (uint64_t)skip_empty(team, phase + 1) << PIECE_BITS);
    atomic_fetch_add(&team->turns, 1);
    if (atomic_load(&team->sleepers) > 0) syscall(SYS_futex, &team->turns, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void work(struct dio_team *team, int thread)
{
    for (;;) {
        uint64_t ticket = atomic_fetch_add_explicit(&team->ticket, 1, memory_order_acquire);
        size_t phase = PHASE_OF(ticket);
        if (phase >= team->count) return;
        const struct dio_phase *current = &team->phases[phase];
        if (PIECE_OF(ticket) >= current->pieces) {
            wait_for_end(team, phase);
            continue;
        }
        current->run(current->arg, PIECE_OF(ticket), thread);
        if (atomic_fetch_add_explicit(&team->done, 1, memory_order_acq_rel) + 1 == current->pieces) end_phase(team, phase);
    }
}

static void run_serially(const struct dio_phase *phases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int64_t piece = 0; piece < phases[i].pieces; piece++) phases[i].run(phases[i].arg, piece, 0);
    }
}

/* Is there anything that two threads could do at once? */
static bool worth_a_region(const struct dio_phase *phases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (phases[i].pieces > 1) return true;
    }
    return false;
}

#if defined(__SANITIZE_THREAD__)
#define UNWATCHED __attribute__((no_sanitize_thread, noinline))
#define WATCHED __attribute__((noinline))
#else
#define UNWATCHED
#define WATCHED
#endif

/* One thread's part in a region. */
WATCHED static void take_part(struct dio_team *team, int thread)
{
    atomic_load_explicit(&team->opened, memory_order_acquire);
    work(team, thread);
    atomic_fetch_add_explicit(&team->closed, 1, memory_order_release);
}

#ifdef _OPENMP
static bool inside_region(void)
{
    return omp_in_parallel();
}

UNWATCHED static void run_region(struct dio_team *team)
{
#pragma omp parallel num_threads(team->threads) default(none) shared(team)
    take_part(team, omp_get_thread_num());
}
#else
/* Compilers without OpenMP: threads for each region.  Slow for small work; for checking and fuzzing. */
static _Thread_local bool inside;

struct member {
    struct dio_team *team;
    int number;
};

static bool inside_region(void)
{
    return inside;
}

static void *run_member(void *arg)
{
    struct member *member = arg;
    inside = true;
    take_part(member->team, member->number);
    return NULL;
}

static void run_region(struct dio_team *team)
{
    enum { MOST = 64 };
    struct member members[MOST];
    pthread_t started[MOST];
    int threads = 1;
    for (; threads < team->threads && threads < MOST; threads++) {
        members[threads] = (struct member){team, threads};
        if (pthread_create(&started[threads], NULL, run_member, &members[threads]) != 0) break;
    }
    inside = true;
    take_part(team, 0);
    inside = false;
    for (int i = 1; i < threads; i++) pthread_join(started[i], NULL);
}
#endif

void dio_team_run(struct dio_team *team, const struct dio_phase *phases, size_t count)
{
    if (!team || team->threads == 1 || inside_region() || !worth_a_region(phases, count)) {
        run_serially(phases, count);
        return;
    }
    team->phases = phases;
    team->count = count;
    atomic_store_explicit(&team->ticket, (uint64_t)skip_empty(team, 0) << PIECE_BITS, memory_order_relaxed);
    atomic_fetch_add_explicit(&team->opened, 1, memory_order_release);
    run_region(team);
    atomic_load_explicit(&team->closed, memory_order_acquire);
}

/* libgomp ends the process when a thread cannot start, so threads are tried out before it is asked. */
struct probe {
    pthread_mutex_t lock;
};

static void *wait_for_go(void *arg)
{
    struct probe *probe = arg;
    pthread_mutex_lock(&probe->lock);
    pthread_mutex_unlock(&probe->lock);
    return NULL;
}

static int count_startable(struct dio_ctx *ctx, int wanted)
{
    int started = 0;
    pthread_t *threads = dio_alloc_array(ctx, (size_t)wanted, sizeof *threads, "threads");
    if (!threads) return -1;
    struct probe probe;
    pthread_mutex_init(&probe.lock, NULL);
    pthread_mutex_lock(&probe.lock);
    while (started < wanted && pthread_create(&threads[started], NULL, wait_for_go, &probe) == 0) started++;
    pthread_mutex_unlock(&probe.lock);
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&probe.lock);
    dio_free(ctx, threads);
    return started;
}

/* OMP_NUM_THREADS counts where it makes sense: a positive number, or a list of which the first is ours. */
static int threads_by_default(struct dio_ctx *ctx)
{
    const char *text = getenv("OMP_NUM_THREADS");
    int allowed = ctx->cpu.allowed > 0 ? ctx->cpu.allowed : 1;
    if (!text) return allowed;
    int64_t value;
    if (!dio_parse_i64(text, strcspn(text, ","), &value) || value < 1) {
        char shown[64];
        dio_escape(shown, sizeof shown, text, strlen(text), 0);
        dio_say(ctx, DIO_LEVEL_WARNING, "E13", NULL, "OMP_NUM_THREADS=\"%s\" ignored", shown);
        return allowed;
    }
    if (value > allowed) {
        dio_say(ctx, DIO_LEVEL_WARNING, "E13", NULL, "OMP_NUM_THREADS=%lld capped at the %d CPUs allowed", (long long)value,
                allowed);
        return allowed;
    }
    return (int)value;
}

static void do_nothing(void *arg, int64_t piece, int thread)
{
    (void)arg;
    (void)piece;
    (void)thread;
}

dio_status dio_team_start(struct dio_ctx *ctx, int threads, struct dio_team **team)
{
    *team = NULL;
    if (threads <= 0) threads = threads_by_default(ctx);
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    if (threads > 1) {
        int started = count_startable(ctx, threads - 1);
        if (started < 0) return DIO_ERR_ENV;
        if (started < threads - 1) {
            dio_say(ctx, DIO_LEVEL_WARNING, "E17", NULL, "cannot start %d threads; using %d", threads, started + 1);
            threads = started + 1;
        }
    }
    struct dio_team *made = dio_alloc_aligned(ctx, sizeof *made, "thread team");
    if (!made) return DIO_ERR_ENV;
    made->threads = threads;
    made->spin_ns = threads > ctx->cpu.allowed ? 0 : SPIN_NS;
    dio_team_for(made, threads, do_nothing, NULL); /* the threads start now, while there is room for them */
    *team = made;
    return DIO_OK;
}

void dio_team_stop(struct dio_ctx *ctx, struct dio_team *team)
{
    dio_free(ctx, team);
}

int dio_team_size(const struct dio_team *team)
{
    return team ? team->threads : 1;
}

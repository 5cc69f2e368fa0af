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

#include "base/memory.h"
#include "base/str.h"

enum { MAX_THREADS = 1024, SPIN_NS = 20000, LINE = 64 };

/* A thread has a share of a phase's pieces, neighbours that lie where its share of the phase before lay: what it wrote is
 * still in its own cache.  Who has no pieces left takes those of the others.
 *
 * A ticket is a phase's number, the end of a share and the next of its pieces in one word, so that a thread that comes late
 * takes a piece of whatever phase has come in the meantime, and knows a share that is used up without looking further.  A
 * phase ends with its last piece, and a run with its last phase: nobody waits for a thread that the system took away unless
 * it has a piece. */
enum { PIECE_BITS = 24, PIECE_MASK = (1 << PIECE_BITS) - 1, NUMBER_MASK = (1 << (64 - 2 * PIECE_BITS)) - 1 };
enum { MAX_PIECES = PIECE_MASK - MAX_THREADS }; /* who finds a share used up has counted on */

struct share {
    _Alignas(LINE) atomic_uint_fast64_t ticket;
    struct dio_team *team;
    int owner;
    pthread_t thread; /* the first share's is the caller's */
};

struct dio_team {
    int threads;
    int64_t spin_ns; /* 0 where threads outnumber CPUs: a spinning thread would keep the awaited one from running */
    /* The work at hand: changed while all shares are used up, seen by those who hold a piece. */
    const struct dio_phase *phases;
    size_t count;
    uint32_t first; /* number of phases[0]; numbers go on from run to run, and round */
    atomic_bool stop;
    _Alignas(LINE) atomic_int_fast64_t done; /* pieces of the phase that have run, and 1 more when all shares are open */
    _Alignas(LINE) atomic_uint number;       /* of the phase, set when all shares are open; a futex word */
    atomic_int sleepers;
    struct share shares[];
};
_Static_assert(sizeof(atomic_uint) == 4, "a futex word has 32 bits");

static _Thread_local bool inside; /* a run */

static int64_t piece_of(uint64_t ticket) { return (int64_t)(ticket & PIECE_MASK); }
static int64_t end_of(uint64_t ticket) { return (int64_t)(ticket >> PIECE_BITS & PIECE_MASK); }
static uint32_t number_of(uint64_t ticket) { return (uint32_t)(ticket >> 2 * PIECE_BITS); }

/* The place of a phase in the run's list. */
static size_t index_of(const struct dio_team *team, uint32_t number) { return (number - team->first) & NUMBER_MASK; }

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

static bool spin(struct dio_team *team, uint32_t number)
{
    if (team->spin_ns == 0) return false;
    int64_t end = 0;
    for (;;) {
        for (int i = 0; i < 32; i++) {
            if (atomic_load_explicit(&team->number, memory_order_acquire) != number) return true;
            pause_briefly();
        }
        int64_t now = now_ns();
        if (end == 0) end = now + team->spin_ns;
        if (now >= end) return false;
    }
}

/* Until the phase is over: a short spin, then sleep.  Whoever ends the phase changes the number before it looks for sleepers,
 * and a sleeper counts itself before the system compares the number: one of the two sees the other. */
static void wait_for_end(struct dio_team *team, uint32_t number)
{
    if (spin(team, number)) return;
    atomic_fetch_add(&team->sleepers, 1);
    while (atomic_load(&team->number) == number) syscall(SYS_futex, &team->number, FUTEX_WAIT_PRIVATE, number, NULL, NULL, 0);
    atomic_fetch_sub(&team->sleepers, 1);
}

static void wake_sleepers(struct dio_team *team)
{
    if (atomic_load(&team->sleepers) > 0) syscall(SYS_futex, &team->number, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* The first phase from `index` on that has pieces; team->count when there is none. */
static size_t skip_empty(const struct dio_team *team, size_t index)
{
    while (index < team->count && team->phases[index].pieces <= 0) index++;
    return index;
}

/* The last store is that of the number: with it the run may be over, and the next begin. */
static void open_shares(struct dio_team *team, size_t index)
{
    const uint32_t number = (team->first + (uint32_t)index) & NUMBER_MASK;
    const int64_t pieces = index < team->count ? team->phases[index].pieces : 0, threads = team->threads;
    atomic_store_explicit(&team->done, 0, memory_order_relaxed);
    for (int i = 0; i < threads; i++) {
        const uint64_t begin = (uint64_t)(pieces * i / threads), end = (uint64_t)(pieces * (i + 1) / threads);
        atomic_store_explicit(&team->shares[i].ticket, (uint64_t)number << 2 * PIECE_BITS | end << PIECE_BITS | begin, memory_order_release);
    }
    atomic_store(&team->number, number);
    wake_sleepers(team);
}

/* Is the phase over with this piece, or with the opening of its shares, which counts as one more?  Who opens them would
 * otherwise write over those of the next.  Once counted, the run may be over and its list of phases gone. */
static bool count_done(struct dio_team *team, size_t index)
{
    const int64_t pieces = team->phases[index].pieces;
    return atomic_fetch_add_explicit(&team->done, 1, memory_order_acq_rel) == pieces;
}

/* Opens the first phase from `index` on that has pieces, and those behind it that others end before it is said to be open. */
static void open_phase(struct dio_team *team, size_t index)
{
    bool last;
    do {
        index = skip_empty(team, index);
        last = index == team->count;
        open_shares(team, index);
    } while (!last && count_done(team, index++));
}

/* Runs what is left of a share, of whatever phase it is in; returns that phase's number. */
static uint32_t run_share(struct dio_team *team, struct share *share, int thread)
{
    for (;;) {
        uint64_t ticket = atomic_load_explicit(&share->ticket, memory_order_acquire);
        if (piece_of(ticket) >= end_of(ticket)) return number_of(ticket);
        ticket = atomic_fetch_add_explicit(&share->ticket, 1, memory_order_acquire);
        if (piece_of(ticket) >= end_of(ticket)) continue;
        const size_t index = index_of(team, number_of(ticket));
        team->phases[index].run(team->phases[index].arg, piece_of(ticket), thread);
        if (count_done(team, index)) open_phase(team, index + 1);
    }
}

/* Runs pieces until there are none to take; returns the number of the phase that is to be waited for. */
static uint32_t run_shares(struct dio_team *team, int thread)
{
    const uint32_t number = run_share(team, &team->shares[thread], thread);
    for (int i = 1; i < team->threads; i++) run_share(team, &team->shares[(thread + i) % team->threads], thread);
    return number;
}

static void *run_thread(void *arg)
{
    const struct share *own = arg;
    struct dio_team *team = own->team;
    uint32_t number = 0; /* what it is before the first run */
    inside = true;
    for (;;) {
        wait_for_end(team, number);
        if (atomic_load(&team->stop)) return NULL;
        number = run_shares(team, own->owner);
    }
}

static void run_serially(const struct dio_phase *phases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int64_t piece = 0; piece < phases[i].pieces; piece++) phases[i].run(phases[i].arg, piece, 0);
    }
}

/* Is there anything that two threads could do at once, and can it be counted? */
static bool worth_a_team(const struct dio_phase *phases, size_t count)
{
    bool worth = false;
    for (size_t i = 0; i < count; i++) {
        if (phases[i].pieces > 1) worth = true;
        if (phases[i].pieces > MAX_PIECES) return false;
    }
    return worth && count < NUMBER_MASK;
}

void dio_team_run(struct dio_team *team, const struct dio_phase *phases, size_t count)
{
    if (!team || team->threads == 1 || inside || !worth_a_team(phases, count)) {
        run_serially(phases, count);
        return;
    }
    team->phases = phases;
    team->count = count;
    team->first = (atomic_load(&team->number) + 1) & NUMBER_MASK;
    const uint32_t last = (team->first + (uint32_t)count) & NUMBER_MASK;
    inside = true;
    open_phase(team, 0);
    while (atomic_load(&team->number) != last) {
        const uint32_t number = run_shares(team, 0);
        if (number != last) wait_for_end(team, number);
    }
    inside = false;
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

/* As many of the team's threads as the system allows. */
static void start_threads(struct dio_ctx *ctx, struct dio_team *team)
{
    const int wanted = team->threads;
    for (int i = 0; i < wanted; i++) {
        team->shares[i].team = team;
        team->shares[i].owner = i;
    }
    for (team->threads = 1; team->threads < wanted; team->threads++) {
        struct share *share = &team->shares[team->threads];
        if (pthread_create(&share->thread, NULL, run_thread, share) == 0) continue;
        dio_say(ctx, DIO_LEVEL_WARNING, "E17", NULL, "cannot start %d threads; using %d", wanted, team->threads);
        return;
    }
}

dio_status dio_team_start(struct dio_ctx *ctx, int threads, struct dio_team **team)
{
    *team = NULL;
    if (threads <= 0) threads = threads_by_default(ctx);
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    struct dio_team *made = dio_alloc_aligned(ctx, sizeof *made + (size_t)threads * sizeof made->shares[0], "thread team");
    if (!made) return DIO_ERR_ENV;
    made->threads = threads;
    made->spin_ns = threads > ctx->cpu.allowed ? 0 : SPIN_NS;
    start_threads(ctx, made);
    *team = made;
    return DIO_OK;
}

void dio_team_stop(struct dio_ctx *ctx, struct dio_team *team)
{
    if (!team) return;
    atomic_store(&team->stop, true);
    atomic_fetch_add(&team->number, 1);
    wake_sleepers(team);
    for (int i = 1; i < team->threads; i++) pthread_join(team->shares[i].thread, NULL);
    dio_free(ctx, team);
}

int dio_team_size(const struct dio_team *team)
{
    return team ? team->threads : 1;
}

#include "base/background.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"

enum { MAX_HELPERS = 1024, NICE = 10 };

struct dio_background {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct dio_job *first, *last; /* jobs with pieces that nobody has taken */
    bool stopping;
    int helpers;
    struct helper {
        struct dio_background *owner;
        pthread_t thread;
        int number;
    } *helper;
};

/* With the lock held: a piece of the job, or -1.  A job without pieces left leaves the queue. */
static int64_t take(struct dio_background *background, struct dio_job *job)
{
    if (job->next >= job->pieces) return -1;
    int64_t piece = job->next++;
    if (job->next < job->pieces) return piece;
    struct dio_job *before = NULL;
    for (struct dio_job *at = background->first; at && at != job; at = at->following) before = at;
    if (before) before->following = job->following;
    else background->first = job->following;
    if (background->last == job) background->last = before;
    return piece;
}

static void run_piece(struct dio_background *background, struct dio_job *job, int64_t piece, int thread)
{
    job->run(job->arg, piece, thread);
    pthread_mutex_lock(&background->lock);
    if (++job->done == job->pieces) pthread_cond_broadcast(&background->done);
    pthread_mutex_unlock(&background->lock);
}

static void *help(void *arg)
{
    struct helper *self = arg;
    struct dio_background *background = self->owner;
#ifdef SYS_gettid
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
#endif
    for (;;) {
        pthread_mutex_lock(&background->lock);
        while (!background->first && !background->stopping) pthread_cond_wait(&background->work, &background->lock);
        struct dio_job *job = background->stopping ? NULL : background->first;
        int64_t piece = job ? take(background, job) : -1;
        pthread_mutex_unlock(&background->lock);
        if (!job) return NULL;
        run_piece(background, job, piece, self->number);
    }
}

/* Signals are for the host's threads. */
static int start_helpers(struct dio_background *background, int helpers)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int started = 0;
    for (; started < helpers; started++) {
        struct helper *helper = &background->helper[started];
        helper->owner = background;
        helper->number = started;
        if (pthread_create(&helper->thread, NULL, help, helper) != 0) break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

dio_status dio_background_start(struct dio_ctx *ctx, int helpers, struct dio_background **background)
{
    *background = NULL;
    if (helpers < 0) helpers = 0;
    if (helpers > MAX_HELPERS) helpers = MAX_HELPERS;
    struct dio_background *made = dio_alloc_zeroed(ctx, 1, sizeof *made, "background work");
    if (!made) return DIO_ERR_ENV;
    made->helper = dio_alloc_zeroed(ctx, (size_t)helpers, sizeof *made->helper, "background threads");
    if (!made->helper) {
        dio_free(ctx, made);
        return DIO_ERR_ENV;
    }
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->work, NULL);
    pthread_cond_init(&made->done, NULL);
    made->helpers = start_helpers(made, helpers);
    if (made->helpers < helpers) {
        dio_say(ctx, DIO_LEVEL_WARNING, "E17", NULL, "cannot start %d background threads; using %d", helpers, made->helpers);
    }
    *background = made;
    return DIO_OK;
}

int dio_background_threads(const struct dio_background *background, const struct dio_team *team)
{
    return background->helpers + dio_team_size(team);
}

void dio_background_submit(struct dio_background *background, struct dio_job *job)
{
    job->next = job->done = 0;
    job->following = NULL;
    if (job->pieces <= 0) return;
    pthread_mutex_lock(&background->lock);
    if (background->last) background->last->following = job;
    else background->first = job;
    background->last = job;
    pthread_cond_broadcast(&background->work);
    pthread_mutex_unlock(&background->lock);
}

struct rest {
    struct dio_background *background;
    struct dio_job *job;
};

static void take_one_of_rest(void *arg, int64_t turn, int thread)
{
    struct rest *rest = arg;
    (void)turn; /* helpers take pieces at the same time: a turn may find none left */
    pthread_mutex_lock(&rest->background->lock);
    int64_t piece = take(rest->background, rest->job);
    pthread_mutex_unlock(&rest->background->lock);
    if (piece >= 0) run_piece(rest->background, rest->job, piece, rest->background->helpers + thread);
}

void dio_background_wait(struct dio_background *background, struct dio_job *job, struct dio_team *team)
{
    if (job->pieces <= 0) return;
    pthread_mutex_lock(&background->lock);
    int64_t left = job->pieces - job->next;
    pthread_mutex_unlock(&background->lock);
    struct rest rest = {background, job};
    if (left > 0) dio_team_for(team, left, take_one_of_rest, &rest);
    pthread_mutex_lock(&background->lock);
    while (job->done < job->pieces) pthread_cond_wait(&background->done, &background->lock);
    pthread_mutex_unlock(&background->lock);
}

void dio_background_stop(struct dio_ctx *ctx, struct dio_background *background)
{
    if (!background) return;
    pthread_mutex_lock(&background->lock);
    background->stopping = true;
    pthread_cond_broadcast(&background->work);
    pthread_mutex_unlock(&background->lock);
    for (int i = 0; i < background->helpers; i++) pthread_join(background->helper[i].thread, NULL);
    pthread_cond_destroy(&background->done);
    pthread_cond_destroy(&background->work);
    pthread_mutex_destroy(&background->lock);
    dio_free(ctx, background->helper);
    dio_free(ctx, background);
}

#include "data/bad.h"

#include <stdio.h>

void dio_bad_init(struct dio_bad *bad, const struct dio_bad_options *options)
{
    *bad = (struct dio_bad){.options = *options, .problems = {.level = DIO_LEVEL_WARNING}};
}

void dio_bad_known(struct dio_bad *bad, uint64_t count)
{
    bad->bad += count;
}

/* With `more` bad pictures than were counted so far. */
static bool above(const struct dio_bad *bad, uint64_t more, uint64_t total)
{
    return total && (double)(bad->bad + more) > bad->options.max_share * (double)total;
}

/* The failure is the bad picture's own message, with the count as what to do about it. */
static dio_status fail_with(const struct dio_bad *bad, struct dio_ctx *ctx, const struct dio_message *why, uint64_t total)
{
    struct dio_message failure = *why;
    failure.level = DIO_LEVEL_ERROR;
    failure.status = DIO_ERR_INPUT;
    unsigned long long n = bad->bad, all = total;
    if (bad->options.stop) {
        snprintf(failure.hint, sizeof failure.hint, "stopped, as --bad stop asks");
    } else if (n == all && all > 1) {
        snprintf(failure.hint, sizeof failure.hint, "none of the %llu pictures could be read", all);
    } else if (bad->options.max_share < 1) {
        snprintf(failure.hint, sizeof failure.hint, "%llu of %llu pictures could not be read, more than --max-bad %g allows", n,
                 all, bad->options.max_share);
    }
    if (ctx->error.status == DIO_OK) ctx->error = failure;
    return DIO_ERR_INPUT;
}

dio_status dio_bad_report(struct dio_bad *bad, struct dio_ctx *ctx, const struct dio_message *why)
{
    if (why->status != DIO_ERR_INPUT) {
        if (ctx->error.status == DIO_OK) ctx->error = *why;
        return why->status;
    }
    bool over = above(bad, 1, bad->options.total);
    if (bad->options.all || !(bad->options.stop || over)) {
        bad->bad++;
        dio_problems_add(&bad->problems, ctx, why);
        return DIO_OK;
    }
    dio_problems_flush(&bad->problems, ctx, NULL);
    bad->bad++;
    return fail_with(bad, ctx, why, bad->options.total);
}

dio_status dio_bad_finish(struct dio_bad *bad, struct dio_ctx *ctx, uint64_t seen)
{
    if (bad->bad == 0) return DIO_OK;
    bool fails = bad->bad >= seen || above(bad, 0, seen) || (bad->options.all && bad->options.stop);
    if (fails && bad->bad == 1 && bad->problems.count == 1) return fail_with(bad, ctx, &bad->problems.first, seen);
    dio_problems_flush(&bad->problems, ctx, NULL);
    if (!fails) return DIO_OK;
    if (bad->bad >= seen && bad->problems.count > 0 && !bad->options.stop) return fail_with(bad, ctx, &bad->problems.first, seen);
    unsigned long long n = bad->bad, all = seen;
    if (n >= all) return dio_fail(ctx, DIO_ERR_INPUT, "I1", NULL, "none of the %llu pictures could be read", all);
    return dio_fail(ctx, DIO_ERR_INPUT, "I1", NULL, "%llu of %llu pictures could not be read, more than --max-bad %g allows", n,
                    all, bad->options.max_share);
}

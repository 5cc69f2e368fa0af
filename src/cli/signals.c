/* Signals belong to the command line: the library only has a cancel flag. */
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static diopter_context *volatile watched;
static volatile sig_atomic_t seen;

static void on_signal(int number)
{
    if (seen) {
        (void)signal(number, SIG_DFL);
        (void)raise(number);
        return;
    }
    seen = number;
    if (watched) diopter_cancel(watched);
}

void cli_signals_watch(diopter_context *context)
{
    watched = context;
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction before;
        /* nohup and background jobs come with signals ignored: leave them so. */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN) continue;
        (void)sigaction(numbers[i], &action, NULL);
    }
}

/* Weights are read where their file has them: who cuts the file short takes away pages that the program is about to read,
 * and the system says so with a signal (row S20). */
static char cut_short[1024];
static atomic_flag told = ATOMIC_FLAG_INIT;

static void on_lost_page(int number, siginfo_t *info, void *where)
{
    (void)where;
    if (info->si_code != BUS_ADRERR) cli_die_by_signal(number);
    while (atomic_flag_test_and_set(&told)) (void)pause(); /* two threads may come here at once */
    ssize_t written = write(STDERR_FILENO, cut_short, strlen(cut_short));
    (void)written;
    _exit(DIOPTER_ERROR_INPUT);
}

void cli_signals_guard_weights(const char *name, bool json)
{
    const char *form = json ? "{\"level\":\"error\",\"code\":\"S20\",\"exit\":3,\"file\":null,\"tensor\":null,\"offset\":null,\"line\":null,"
                              "\"message\":\"the weights changed while they were read\",\"hint\":null}\n"
                            : "diopter: %s: changed while it was read\n";
    (void)snprintf(cut_short, sizeof cut_short, form, cli_escaped(name));
    struct sigaction action = {.sa_sigaction = on_lost_page, .sa_flags = SA_SIGINFO};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, NULL);
}

void cli_signals_forget(void)
{
    watched = NULL;
}

void cli_signals_ignore_pipe(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
}

int cli_signal_seen(void)
{
    return (int)seen;
}

void cli_die_by_signal(int number)
{
    (void)signal(number, SIG_DFL);
    (void)raise(number);
    _exit(128 + number);
}

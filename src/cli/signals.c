/* Signals belong to the command line: the library only has a cancel flag. */
#include <signal.h>
#include <stddef.h>
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

/* Row E13: libgomp reads OMP_NUM_THREADS when it is loaded, before main, and complains in its own words of a value that it
 * cannot use; ours are said later, in the form of all messages.  So such a value is taken out of its sight: functions of
 * .preinit_array run before those of any shared library.  Where the loader knows no such array, libgomp's line stays. */
#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"

static char **hidden_at, *hidden;
static char stand_in[] = "DIOPTER_UNUSED=";

/* Runs before libc and sanitizers are set up: plain C alone. */
#define EARLY __attribute__((no_sanitize("address", "undefined")))

/* 4, or 4,2,1: whole numbers from 1 on. */
EARLY static bool is_list_of_counts(const char *text)
{
    for (;; text++) {
        int digits = 0;
        bool above_zero = false;
        for (; *text >= '0' && *text <= '9'; text++, digits++) above_zero = above_zero || *text != '0';
        if (!above_zero || digits > 8) return false;
        if (*text != ',') return *text == '\0';
    }
}

EARLY static void hide_bad_thread_count(int argc, char **argv, char **environment)
{
    static const char name[] = "OMP_NUM_THREADS=";
    (void)argc;
    (void)argv;
    for (; *environment; environment++) {
        size_t i = 0;
        while (name[i] && (*environment)[i] == name[i]) i++;
        if (name[i] || is_list_of_counts(*environment + i)) continue;
        hidden_at = environment;
        hidden = *environment;
        *environment = stand_in;
        return;
    }
}

#ifdef __ELF__
__attribute__((section(".preinit_array"), used)) static void (*first_of_all)(int, char **, char **) = hide_bad_thread_count;
#endif

void cli_environment_restore(void)
{
    if (hidden_at && *hidden_at == stand_in) *hidden_at = hidden;
}

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define DIO_ENTRY(name) extern const struct cli_verb cli_verb_##name;
#include "cli/list.def"
#undef DIO_ENTRY

const struct cli_verb *const cli_verbs[] = {
#define DIO_ENTRY(name) &cli_verb_##name,
#include "cli/list.def"
#undef DIO_ENTRY
    NULL};

const struct cli_verb *cli_find_verb(const char *name)
{
    for (size_t i = 0; cli_verbs[i]; i++) {
        if (strcmp(cli_verbs[i]->name, name) == 0) return cli_verbs[i];
    }
    return NULL;
}

/* A file opened later must not become descriptor 0, 1 or 2 and be written to by a message. */
static void open_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) == -1) {
            int opened = open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
            if (opened >= 0 && opened != fd) {
                (void)dup2(opened, fd);
                (void)close(opened);
            }
        }
    }
}

static int create_context(struct cli *cli)
{
    diopter_settings settings = DIOPTER_SETTINGS_INIT;
    const char *threads = cli_value(cli, "threads");
    settings.threads = threads ? atoi(threads) : 0;
    settings.cpu = cli_value(cli, "cpu");
    if (!settings.cpu) settings.cpu = getenv("DIOPTER_CPU");
    if (settings.cpu && settings.cpu[0] == '\0') settings.cpu = NULL;
    settings.linear = cli_value(cli, "linear");
    cli_console_settings(cli, &settings);
    diopter_status status = diopter_context_create(&settings, &cli->context);
    if (status == DIOPTER_OK) status = diopter_options_create(cli->context, &cli->options);
    for (size_t i = 0; i < cli->n_given && status == DIOPTER_OK; i++) {
        if (cli->given[i].library) {
            status = diopter_options_set(cli->options, cli->given[i].name, cli->given[i].value);
        }
    }
    return status == DIOPTER_OK ? 0 : cli_finish(cli, status);
}

static int run_verb(const struct cli_verb *verb, int argc, char **argv)
{
    struct cli cli = {.verb = verb};
    int code = cli_parse(&cli, argc, argv);
    if (code == 0 && cli_flag(&cli, "help")) {
        cli_help_verb(verb);
        code = cli_flush_output();
    } else if (code == 0) {
        cli.quiet = cli_flag(&cli, "quiet");
        code = create_context(&cli);
        if (code == 0) {
            cli_signals_watch(cli.context);
            if (cli.n_names) cli_signals_guard_weights(cli.names[0], cli.json);
            code = verb->run(&cli);
            int flushed = cli_flush_output();
            if (flushed > code) code = flushed;
        }
    }
    cli_signals_forget();
    diopter_options_destroy(cli.options);
    diopter_context_destroy(cli.context);
    free(cli.given);
    free(cli.names);
    return code;
}

static int help(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[0], "--completion") == 0) return cli_completion(argv[1]);
    if (argc >= 1 && argc <= 2 && strcmp(argv[0], "--man") == 0) return cli_man_page(argc == 2 ? argv[1] : NULL);
    if (argc == 0) {
        cli_help_overview();
        return 0;
    }
    const struct cli_verb *verb = cli_find_verb(argv[0]);
    if (!verb) {
        const struct cli none = {.json = cli_wants_json(argc, argv)};
        return cli_usage_error(&none, "A1", "unknown verb \"%s\"; the verbs are listed by: diopter help", cli_escaped(argv[0]));
    }
    cli_help_verb(verb);
    return 0;
}

int main(int argc, char **argv)
{
    open_standard_descriptors();
    /* A file beyond the size limit is an error of write(2), not a death. */
    (void)signal(SIGXFSZ, SIG_IGN);
    const struct cli none = {.json = cli_wants_json(argc, argv)};
    if (argc < 2) return cli_usage_error(&none, "A1", "no verb given; diopter help lists them");
    const char *first = argv[1];
    int code;
    if (strcmp(first, "help") == 0 || strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) {
        code = help(argc - 2, argv + 2);
    } else if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
        printf("diopter %s\n", diopter_version());
        code = 0;
    } else {
        const struct cli_verb *verb = cli_find_verb(first);
        if (verb) {
            code = run_verb(verb, argc - 2, argv + 2);
            int number = cli_signal_seen();
            if (number && code == DIOPTER_CANCELLED) cli_die_by_signal(number);
            return code;
        }
        if (first[0] == '-') return cli_usage_error(&none, "A1", "a verb comes first, options behind it: not \"%s\"", cli_escaped(first));
        const char *near = cli_nearest_verb(first);
        if (near) return cli_usage_error(&none, "A1", "unknown verb \"%s\"; did you mean \"%s\"?", cli_escaped(first), near);
        return cli_usage_error(&none, "A1", "unknown verb \"%s\"; diopter help lists them", cli_escaped(first));
    }
    int flushed = cli_flush_output();
    return flushed ? flushed : code;
}

/* The command line: one file a verb, each ending in a record; tables from which parsing, --help, man pages and shell
 * completion are all made. */
#ifndef DIO_CLI_CLI_H
#define DIO_CLI_CLI_H

#include <diopter/diopter.h>

/* An option of the command line alone (the library's own come from diopter_option_at). */
struct cli_option {
    const char *name;   /* "output"; written --output */
    char letter;        /* 'o', or 0 */
    const char *value;  /* "FILE"; NULL for a flag */
    const char *choices; /* "bash|zsh|fish", or NULL */
    const char *help;
    bool once_done;     /* answered before anything else: --help, --version */
};

struct cli;

struct cli_verb {
    const char *name;
    const char *synopsis;       /* "MODEL DATA -o RUN" */
    const char *summary;        /* one line */
    const char *about;          /* a paragraph or two */
    const char *examples;       /* lines, each a command that works */
    unsigned uses;              /* DIOPTER_FOR_...: which options of the library it takes */
    const struct cli_option *options; /* its own; name NULL ends them; may be NULL */
    int min_names, max_names;   /* positional arguments; max -1: any number */
    int (*run)(struct cli *cli);
};

extern const struct cli_verb *const cli_verbs[]; /* NULL-terminated */
extern const struct cli_option cli_common_options[];
const struct cli_verb *cli_find_verb(const char *name);

/* One option as given. */
struct cli_given {
    const char *name;       /* as in the tables, with '_' */
    const char *value;      /* "true" or "false" for flags */
    bool library;           /* goes to diopter_options_set */
};

struct cli {
    const struct cli_verb *verb;
    struct cli_given *given;
    size_t n_given;
    const char **names;     /* positional arguments */
    size_t n_names;
    diopter_context *context;
    diopter_options *options;
    bool json, quiet;
};

/* ---- args.c ---- */
/* Does --json stand anywhere?  A mistake in front of it is told as JSON, too. */
bool cli_wants_json(int argc, char **argv);
/* 0, or the exit code after printing what is wrong. */
int cli_parse(struct cli *cli, int argc, char **argv);
const char *cli_value(const struct cli *cli, const char *name); /* NULL: not given */
bool cli_flag(const struct cli *cli, const char *name);
const char *cli_nearest_verb(const char *word); /* NULL: none is near */

/* ---- help.c ---- */
void cli_help_overview(void);
void cli_help_verb(const struct cli_verb *verb);
int cli_man_page(const char *verb_name);        /* NULL or "diopter": the overview */
int cli_completion(const char *shell);
/* Does this verb take option `info`? */
bool cli_takes(const struct cli_verb *verb, const diopter_option_info *info);

/* ---- console.c: messages and progress on stderr ---- */
/* Notes and warnings wait until work begins, so that a refusal is one line. */
void cli_console_settings(struct cli *cli, diopter_settings *settings);
void cli_console_no_notes(void);
/* Ends a progress line, and says how many messages of one kind were left out. */
void cli_console_end(void);
/* "diopter: VERB: text", and returns 2.  code: the row of the catalogue of bad input, which --json shows. */
int cli_usage_error(const struct cli *cli, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Prints the context's error and gives the exit code. */
int cli_finish(struct cli *cli, diopter_status status);
/* Flushes standard output: 0, 4 with a message, or does not return (SIGPIPE). */
int cli_flush_output(void);
/* Before work starts: 0, or the exit code after printing why nothing can be written there (a folder, inside an input, no
 * folder to lie in). */
int cli_check_output(struct cli *cli, const char *path, const char *const *inputs, size_t n_inputs);
/* A whole file, beside its name and renamed; "-" is standard output. */
int cli_write_file(const char *path, const char *text);
/* text escaped for a terminal, in one of some static buffers that are used in turn */
const char *cli_escaped(const char *text);

/* ---- signals.c ---- */
void cli_signals_watch(diopter_context *context); /* INT, TERM, HUP: first one cancels, second one ends at once */
/* A weights file that is cut short while it is read ends the program with a line that names it. */
void cli_signals_guard_weights(const char *name, bool json);
void cli_signals_forget(void);                     /* before the context is destroyed */
void cli_signals_ignore_pipe(void);
int cli_signal_seen(void);                         /* 0: none */
/* Ends the process by the signal that was seen. */
void cli_die_by_signal(int number);

#endif

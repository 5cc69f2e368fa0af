/* --help, man pages and shell completion: three renderings of the same tables. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"

/* One option of either table, ready to be shown. */
struct shown {
    char spelling[192];/* "--lr RATE", "-o, --output FILE" */
    char name[48];      /* "lr", with '-' */
    const char *group;
    char help[768];/* with default and range */
    const char *choices;
    bool value, path;
};

typedef void each_fn(void *arg, const struct shown *option);

static void show_own(const struct cli_option *option, const char *group, struct shown *out)
{
    memset(out, 0, sizeof *out);
    dio_option_spelling(out->name, sizeof out->name, option->name);
    out->group = group;
    out->value = option->value != NULL;
    out->path = option->value && (strstr(option->value, "FILE") || strstr(option->value, "RUN") || strstr(option->value, "DATA"));
    out->choices = option->choices;
    char letter[8] = "";
    if (option->letter) (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
    (void)snprintf(out->spelling, sizeof out->spelling, "%s--%s%s%s", letter, out->name, option->value ? " " : "",
                   option->value ? option->value : "");
    (void)snprintf(out->help, sizeof out->help, "%s%s%s%s", option->help, option->choices ? " (" : "",
                   option->choices ? option->choices : "", option->choices ? ")" : "");
}

static void show_library(const diopter_option_info *info, struct shown *out)
{
    memset(out, 0, sizeof *out);
    dio_option_spelling(out->name, sizeof out->name, info->name);
    out->group = info->group;
    out->value = info->kind != DIOPTER_OPTION_FLAG;
    out->path = info->kind == DIOPTER_OPTION_PATH;
    out->choices = info->choices[0] ? info->choices : NULL;
    const char *value = out->choices ? out->choices : info->value;
    bool long_value = strlen(value) > 22;
    (void)snprintf(out->spelling, sizeof out->spelling, "--%s%s%s", out->name, out->value ? " " : "",
                   !out->value ? "" : long_value && info->value[0] ? info->value : long_value ? "WHAT" : value);
    size_t length = (size_t)snprintf(out->help, sizeof out->help, "%s", info->help);
    if (long_value && out->choices && length < sizeof out->help) {
        length += (size_t)snprintf(out->help + length, sizeof out->help - length, ": %s", out->choices);
    }
    bool number = info->kind == DIOPTER_OPTION_WHOLE || info->kind == DIOPTER_OPTION_NUMBER;
    const char *initial = info->initial[0] && info->kind != DIOPTER_OPTION_FLAG ? info->initial : NULL;
    if (length < sizeof out->help && (initial || number)) {
        char range[96] = "";
        if (number) (void)snprintf(range, sizeof range, "%s%.15g to %.15g", info->above_min ? "above " : "", info->min, info->max);
        (void)snprintf(out->help + length, sizeof out->help - length, " [%s%s%s%s]", initial ? "default " : "",
                       initial ? initial : "", initial && range[0] ? "; " : "", range);
    }
}

/* All options of a verb: its own, the library's by group, then those of every verb. */
static void each_option(const struct cli_verb *verb, each_fn *visit, void *arg)
{
    struct shown shown;
    for (const struct cli_option *o = verb->options; o && o->name; o++) {
        show_own(o, "", &shown);
        visit(arg, &shown);
    }
    diopter_option_info info = {.size = sizeof info}, other = {.size = sizeof other};
    for (size_t i = 0; diopter_option_at(i, &info); i++) {
        if (!cli_takes(verb, &info)) continue;
        bool first = true;
        for (size_t j = 0; j < i && diopter_option_at(j, &other); j++) {
            if (cli_takes(verb, &other) && strcmp(other.group, info.group) == 0) first = false;
        }
        if (!first) continue;
        for (size_t j = i; diopter_option_at(j, &other); j++) {
            if (!cli_takes(verb, &other) || strcmp(other.group, info.group) != 0) continue;
            show_library(&other, &shown);
            visit(arg, &shown);
        }
    }
    for (const struct cli_option *o = cli_common_options; o->name; o++) {
        show_own(o, "Every verb", &shown);
        visit(arg, &shown);
    }
}

void cli_help_overview(void)
{
    printf("Diopter %s: fine-tunes pretrained image classifiers on your own pictures.\n\nusage: diopter VERB ...\n\n",
           diopter_version());
    for (size_t i = 0; cli_verbs[i]; i++) {
        char usage[64];
        (void)snprintf(usage, sizeof usage, "%s %s", cli_verbs[i]->name, cli_verbs[i]->synopsis);
        printf("  diopter %-34s %s\n", usage, cli_verbs[i]->summary);
    }
    printf("\ndiopter VERB --help   options with their defaults, and examples\n"
           "diopter --version\n\n"
           "Exit codes: 0 done; 1 done, but not all is well; 2 wrong usage; 3 bad input; 4 the machine or the files; 5 a bug;\n"
           "128+n stopped by signal n, saved where the verb saves.\n");
}

struct help_state {
    const char *group;
};

static void wrapped(const char *text, int indent, int width)
{
    int column = indent;
    while (*text) {
        int word = (int)strcspn(text, " ");
        if (column > indent && column + 1 + word > width) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            (void)putchar(' ');
            column++;
        }
        printf("%.*s", word, text);
        column += word;
        text += word;
        while (*text == ' ') text++;
    }
    printf("\n");
}

static void print_option(void *arg, const struct shown *option)
{
    enum { INDENT = 32, WIDTH = 118 };
    struct help_state *state = arg;
    if (!state->group || strcmp(state->group, option->group) != 0) {
        printf("\n%s\n", option->group[0] ? option->group : "Options");
        state->group = option->group;
    }
    int used = printf("  %s", option->spelling);
    if (used > INDENT - 2) printf("\n%*s", INDENT, "");
    else printf("%*s", INDENT - used, "");
    wrapped(option->help, INDENT, WIDTH);
}

static void print_examples(const char *examples)
{
    printf("\nExamples\n");
    while (*examples) {
        size_t length = strcspn(examples, "\n");
        printf("  %.*s\n", (int)length, examples);
        examples += length + (examples[length] == '\n');
    }
}

void cli_help_verb(const struct cli_verb *verb)
{
    printf("usage: diopter %s%s%s [options]\n\n%s.\n\n%s\n", verb->name, verb->synopsis[0] ? " " : "", verb->synopsis,
           verb->summary, verb->about);
    struct help_state state = {NULL};
    each_option(verb, print_option, &state);
    print_examples(verb->examples);
}

/* ---- man pages ---- */

static void roff(const char *text)
{
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\'')) (void)fputs("\\&", stdout);
        if (*text == '\\') (void)fputs("\\\\", stdout);
        else if (*text == '-') (void)fputs("\\-", stdout);
        else (void)putchar(*text);
        line_start = *text == '\n';
    }
}

static void man_option(void *arg, const struct shown *option)
{
    struct help_state *state = arg;
    if (!state->group || strcmp(state->group, option->group) != 0) {
        printf(".SS ");
        roff(option->group[0] ? option->group : "Options");
        printf("\n");
        state->group = option->group;
    }
    printf(".TP\n.B ");
    roff(option->spelling);
    printf("\n");
    roff(option->help);
    printf("\n");
}

static void man_examples(const char *examples)
{
    printf(".SH EXAMPLES\n.nf\n");
    roff(examples);
    printf("\n.fi\n");
}

static void man_overview(void)
{
    printf(".TH DIOPTER 1 \"\" \"Diopter %s\" \"User Commands\"\n.SH NAME\n", diopter_version());
    printf("diopter \\- fine\\-tunes pretrained image classifiers on your own pictures\n.SH SYNOPSIS\n.B diopter\nVERB ...\n"
           ".SH VERBS\n");
    for (size_t i = 0; cli_verbs[i]; i++) {
        printf(".TP\n.B diopter %s ", cli_verbs[i]->name);
        roff(cli_verbs[i]->synopsis);
        printf("\n");
        roff(cli_verbs[i]->summary);
        printf(" (see\n.BR diopter\\-%s (1))\n", cli_verbs[i]->name);
    }
    printf(".SH EXIT STATUS\n0 done; 1 done, but not all is well; 2 wrong usage; 3 bad input; 4 the machine or the files; "
           "5 a bug; 128+n stopped by signal n.\n"
           ".SH ENVIRONMENT\n.TP\n.B DIOPTER_CPU\nhighest instruction set: portable, avx2, avx512, vnni, bf16, amx\n");
}

int cli_man_page(const char *verb_name)
{
    if (!verb_name || strcmp(verb_name, "diopter") == 0) {
        man_overview();
        return cli_flush_output();
    }
    const struct cli_verb *verb = cli_find_verb(verb_name);
    struct cli none = {.verb = NULL};
    if (!verb) return cli_usage_error(&none, "A1", "unknown verb \"%s\"", cli_escaped(verb_name));
    printf(".TH DIOPTER\\-%s 1 \"\" \"Diopter %s\" \"User Commands\"\n.SH NAME\ndiopter\\-%s \\- ", verb->name,
           diopter_version(), verb->name);
    roff(verb->summary);
    printf("\n.SH SYNOPSIS\n.B diopter %s\n", verb->name);
    roff(verb->synopsis);
    printf("\n[options]\n.SH DESCRIPTION\n");
    roff(verb->about);
    printf("\n.SH OPTIONS\n");
    struct help_state state = {NULL};
    each_option(verb, man_option, &state);
    man_examples(verb->examples);
    printf(".SH SEE ALSO\n.BR diopter (1)\n");
    return cli_flush_output();
}

/* ---- completion ---- */

static void bash_option(void *arg, const struct shown *option)
{
    (void)arg;
    printf(" --%s", option->name);
}

static void bash_choices(void *arg, const struct shown *option)
{
    const struct cli_verb *verb = arg;
    if (!option->choices) return;
    printf("        %s:--%s) COMPREPLY=($(compgen -W \"", verb->name, option->name);
    for (const char *at = option->choices; *at; at++) (void)putchar(*at == '|' ? ' ' : *at);
    printf("\" -- \"$word\")); return ;;\n");
}

static void bash(void)
{
    printf("# bash completion for diopter; made from its option tables\n_diopter()\n{\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W \"help --version");
    for (size_t i = 0; cli_verbs[i]; i++) printf(" %s", cli_verbs[i]->name);
    printf("\" -- \"$word\"))\n        return\n    fi\n    case $verb:$before in\n");
    for (size_t i = 0; cli_verbs[i]; i++) each_option(cli_verbs[i], bash_choices, (void *)(size_t)cli_verbs[i]);
    printf("    esac\n    if [[ $word == -* ]]; then\n        case $verb in\n");
    for (size_t i = 0; cli_verbs[i]; i++) {
        printf("        %s) COMPREPLY=($(compgen -W \"", cli_verbs[i]->name);
        each_option(cli_verbs[i], bash_option, NULL);
        printf("\" -- \"$word\")) ;;\n");
    }
    printf("        esac\n    fi\n}\ncomplete -o default -F _diopter diopter\n");
}

static void zsh_option(void *arg, const struct shown *option)
{
    (void)arg;
    printf(" \\\n            '--%s[", option->name);
    for (const char *at = option->help; *at; at++) {
        if (*at == '\'') (void)fputs("'\\''", stdout);
        else if (*at == '[' || *at == ']' || *at == ':' || *at == '\\') printf("\\%c", *at);
        else (void)putchar(*at);
    }
    printf("]");
    if (option->value) {
        printf(":value:");
        if (option->choices) {
            printf("(");
            for (const char *at = option->choices; *at; at++) (void)putchar(*at == '|' ? ' ' : *at);
            printf(")");
        } else if (option->path) {
            printf("_files");
        }
    }
    printf("'");
}

static void zsh(void)
{
    printf("#compdef diopter\n# made from diopter's option tables\nif (( CURRENT == 2 )); then\n    _values verb");
    for (size_t i = 0; cli_verbs[i]; i++) printf(" '%s[%s]'", cli_verbs[i]->name, cli_verbs[i]->summary);
    printf(" help\nelse\n    case $words[2] in\n");
    for (size_t i = 0; cli_verbs[i]; i++) {
        printf("        %s) shift words; (( CURRENT-- )); _arguments", cli_verbs[i]->name);
        each_option(cli_verbs[i], zsh_option, NULL);
        printf(" \\\n            '*:file:_files' ;;\n");
    }
    printf("    esac\nfi\n");
}

static void fish_option(void *arg, const struct shown *option)
{
    const struct cli_verb *verb = arg;
    printf("complete -c diopter -n '__fish_seen_subcommand_from %s' -l %s%s", verb->name, option->name, option->value ? " -r" : "");
    if (option->choices) {
        printf(" -f -a '");
        for (const char *at = option->choices; *at; at++) (void)putchar(*at == '|' ? ' ' : *at);
        printf("'");
    }
    printf(" -d '");
    for (const char *at = option->help; *at; at++) {
        if (*at == '\'' || *at == '\\') (void)putchar('\\');
        (void)putchar(*at);
    }
    printf("'\n");
}

static void fish(void)
{
    printf("# fish completion for diopter; made from its option tables\n");
    for (size_t i = 0; cli_verbs[i]; i++) {
        printf("complete -c diopter -n __fish_use_subcommand -a %s -d '%s'\n", cli_verbs[i]->name, cli_verbs[i]->summary);
        each_option(cli_verbs[i], fish_option, (void *)(size_t)cli_verbs[i]);
    }
}

int cli_completion(const char *shell)
{
    struct cli none = {.verb = NULL};
    if (strcmp(shell, "bash") == 0) bash();
    else if (strcmp(shell, "zsh") == 0) zsh();
    else if (strcmp(shell, "fish") == 0) fish();
    else return cli_usage_error(&none, "A4", "--completion must be bash, zsh or fish, not \"%s\"", cli_escaped(shell));
    return cli_flush_output();
}

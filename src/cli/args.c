/* Options and names from argv, by the tables alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"

const struct cli_option cli_common_options[] = {
    {"threads", 0, "N", NULL, "threads that compute (default: as many as the machine allows)", false},
    {"cpu", 0, "LEVEL", "portable|avx2|avx512|vnni|bf16|amx",
     "highest instruction set to use (default: the CPU's; the variable DIOPTER_CPU says the same)", false},
    {"linear", 0, "WHO", "auto|blas|own", "who computes linear layers (default: auto)", false},
    {"json", 0, NULL, NULL, "results and messages as JSON", false},
    {"quiet", 'q', NULL, NULL, "no progress, no notes", false},
    {"help", 'h', NULL, NULL, "this text", true},
    {NULL, 0, NULL, NULL, NULL, false}};

/* What a spelling on the command line stands for. */
struct found {
    bool own, library;
    bool flag, negated;
    const char *name; /* in table spelling */
    const char *choices; /* of this verb, where another knows others by the same name; else NULL */
    char buffer[64];
};

const char *cli_nearest_verb(const char *word)
{
    const char *names[16];
    size_t count = 0;
    while (cli_verbs[count] && count < 15) {
        names[count] = cli_verbs[count]->name;
        count++;
    }
    names[count++] = "help";
    return dio_nearest(word, names, count);
}

bool cli_takes(const struct cli_verb *verb, const diopter_option_info *info)
{
    return (info->uses & verb->uses) != 0;
}

static const struct cli_option *find_in(const struct cli_option *options, const char *name, char letter)
{
    char spelling[64];
    for (; options && options->name; options++) {
        dio_option_spelling(spelling, sizeof spelling, options->name);
        if (letter ? options->letter == letter : strcmp(spelling, name) == 0) return options;
    }
    return NULL;
}

static const struct cli_option *find_own(const struct cli_verb *verb, const char *name, char letter)
{
    const struct cli_option *option = find_in(verb->options, name, letter);
    return option ? option : find_in(cli_common_options, name, letter);
}

/* The library takes a value that any entry of the name knows. */
static bool stands_twice(const char *name)
{
    diopter_option_info info = {.size = sizeof info};
    int count = 0;
    for (size_t i = 0; diopter_option_at(i, &info); i++) count += strcmp(info.name, name) == 0;
    return count > 1;
}

static bool find_library(const struct cli_verb *verb, const char *name, struct found *found)
{
    diopter_option_info info = {.size = sizeof info};
    for (size_t i = 0; diopter_option_at(i, &info); i++) {
        if (!cli_takes(verb, &info)) continue;
        char spelling[64];
        dio_option_spelling(spelling, sizeof spelling, info.name);
        bool flag = info.kind == DIOPTER_OPTION_FLAG;
        bool negated = flag && strncmp(name, "no-", 3) == 0 && strcmp(name + 3, spelling) == 0;
        if (negated || strcmp(name, spelling) == 0) {
            found->library = true;
            found->flag = flag;
            found->negated = negated;
            found->name = info.name;
            found->choices = info.choices[0] && stands_twice(info.name) ? info.choices : NULL;
            return true;
        }
    }
    return false;
}

/* The verbs that know an option which this one does not: "train, eval and check"; false: there are none. */
static bool verbs_with(const char *name, char *out, size_t size)
{
    const char *verbs[16];
    size_t count = 0, length = 0;
    for (size_t i = 0; cli_verbs[i] && count < 16; i++) {
        struct found found;
        memset(&found, 0, sizeof found);
        if (find_own(cli_verbs[i], name, 0) || find_library(cli_verbs[i], name, &found)) verbs[count++] = cli_verbs[i]->name;
    }
    for (size_t i = 0; i < count && length < size; i++) {
        const char *between = i == 0 ? "" : i + 1 < count ? ", " : " and ";
        length += (size_t)snprintf(out + length, size - length, "%s%s", between, verbs[i]);
    }
    return count > 0;
}

static const char *nearest_option(const struct cli_verb *verb, const char *name, char *out, size_t size)
{
    enum { MOST = 256 };
    static char spellings[MOST][64];
    const char *candidates[MOST];
    size_t count = 0;
    const struct cli_option *tables[2] = {verb->options, cli_common_options};
    for (int t = 0; t < 2; t++) {
        for (const struct cli_option *o = tables[t]; o && o->name && count < MOST; o++) {
            dio_option_spelling(spellings[count], sizeof spellings[count], o->name);
            candidates[count] = spellings[count];
            count++;
        }
    }
    diopter_option_info info = {.size = sizeof info};
    for (size_t i = 0; diopter_option_at(i, &info) && count < MOST; i++) {
        if (!cli_takes(verb, &info)) continue;
        dio_option_spelling(spellings[count], sizeof spellings[count], info.name);
        candidates[count] = spellings[count];
        count++;
    }
    const char *near = dio_nearest(name, candidates, count);
    if (near) (void)snprintf(out, size, "%s", near);
    return near ? out : NULL;
}

static int unknown_option(const struct cli *cli, const char *name)
{
    char others[128];
    if (verbs_with(name, others, sizeof others)) return cli_usage_error(cli, "A11", "--%s belongs to %s", cli_escaped(name), others);
    char near[64];
    if (nearest_option(cli->verb, name, near, sizeof near)) {
        return cli_usage_error(cli, "A2", "unknown flag --%s; did you mean --%s?", cli_escaped(name), near);
    }
    return cli_usage_error(cli, "A2", "unknown flag --%s; see: diopter %s --help", cli_escaped(name), cli->verb->name);
}

static int refuse_choice(const struct cli *cli, const char *name, const char *choices, const char *value)
{
    return cli_usage_error(cli, "A4", "--%s must be one of %s, not \"%s\"", name, choices, cli_escaped(value));
}

static int check_own(const struct cli *cli, const struct cli_option *option, const char *value)
{
    if (option->choices && !dio_is_choice(option->choices, value, strlen(value))) {
        return refuse_choice(cli, option->name, option->choices, value);
    }
    int64_t number;
    if (option->value && strcmp(option->value, "N") == 0 &&
        (!dio_parse_i64(value, strlen(value), &number) || number < 1 || number > 1024)) {
        return cli_usage_error(cli, "A4", "--%s must be a whole number from 1 to 1024, not \"%s\"", option->name,
                               cli_escaped(value));
    }
    return 0;
}

static int add(struct cli *cli, const char *name, const char *value, bool library)
{
    for (size_t i = 0; i < cli->n_given; i++) {
        if (strcmp(cli->given[i].name, name) == 0) {
            if (strcmp(cli->given[i].value, value) == 0) return 0;
            char spelling[64];
            dio_option_spelling(spelling, sizeof spelling, name);
            return cli_usage_error(cli, "A3", "--%s is given twice, as \"%s\" and as \"%s\"", spelling,
                                   cli_escaped(cli->given[i].value), cli_escaped(value));
        }
    }
    cli->given[cli->n_given++] = (struct cli_given){name, value, library};
    return 0;
}

/* --name, --name=value, --name value */
static int parse_long(struct cli *cli, int argc, char **argv, int *at)
{
    const char *text = argv[*at] + 2;
    const char *equals = strchr(text, '=');
    char name[64];
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    if (length >= sizeof name) return unknown_option(cli, text);
    memcpy(name, text, length);
    name[length] = '\0';
    struct found found;
    memset(&found, 0, sizeof found);
    const struct cli_option *own = find_own(cli->verb, name, 0);
    if (own) {
        found.flag = own->value == NULL;
        found.name = own->name;
    } else if (!find_library(cli->verb, name, &found)) {
        return unknown_option(cli, name);
    }
    if (found.flag) {
        if (equals) return cli_usage_error(cli, "A3", "--%s takes no value", cli_escaped(name));
        return add(cli, found.name, found.negated ? "false" : "true", found.library);
    }
    const char *value = equals ? equals + 1 : NULL;
    if (!value) {
        if (*at + 1 >= argc) return cli_usage_error(cli, "A3", "--%s needs a value", cli_escaped(name));
        value = argv[++*at];
        /* "--lr --epochs 3" is a forgotten value; a negative number is a value. */
        if (value[0] == '-' && value[1] == '-') return cli_usage_error(cli, "A3", "--%s needs a value", cli_escaped(name));
    }
    int code = own ? check_own(cli, own, value) : 0;
    if (!code && found.choices && !dio_is_choice(found.choices, value, strlen(value))) {
        code = refuse_choice(cli, name, found.choices, value);
    }
    return code ? code : add(cli, found.name, value, found.library);
}

static int parse_short(struct cli *cli, int argc, char **argv, int *at)
{
    const char *text = argv[*at] + 1;
    const struct cli_option *own = find_own(cli->verb, "", text[0]);
    if (!own) return cli_usage_error(cli, "A2", "unknown flag -%s; see: diopter %s --help", cli_escaped(text), cli->verb->name);
    if (!own->value) {
        if (text[1]) return cli_usage_error(cli, "A3", "-%c takes no value", text[0]);
        return add(cli, own->name, "true", false);
    }
    const char *value = text + 1;
    if (!*value) {
        if (*at + 1 >= argc) return cli_usage_error(cli, "A3", "-%c needs a value", text[0]);
        value = argv[++*at];
    }
    return add(cli, own->name, value, false);
}

bool cli_wants_json(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) return true;
    }
    return false;
}

int cli_parse(struct cli *cli, int argc, char **argv)
{
    cli->given = calloc((size_t)argc + 1, sizeof *cli->given);
    cli->names = calloc((size_t)argc + 1, sizeof *cli->names);
    if (!cli->given || !cli->names) {
        (void)cli_usage_error(cli, "E3", "out of memory");
        return 4;
    }
    bool options_end = false;
    cli->json = cli_wants_json(argc, argv);
    for (int i = 0; i < argc; i++) {
        int code = 0;
        const char *text = argv[i];
        if (!options_end && strcmp(text, "--") == 0) options_end = true;
        else if (!options_end && text[0] == '-' && text[1] == '-') code = parse_long(cli, argc, argv, &i);
        else if (!options_end && text[0] == '-' && text[1]) code = parse_short(cli, argc, argv, &i);
        else cli->names[cli->n_names++] = text;
        if (code) return code;
    }
    if (cli_flag(cli, "help")) return 0;
    const struct cli_verb *verb = cli->verb;
    if (cli->n_names < (size_t)verb->min_names) {
        return cli_usage_error(cli, "A3", "too few arguments; usage: diopter %s %s", verb->name, verb->synopsis);
    }
    if (verb->max_names >= 0 && cli->n_names > (size_t)verb->max_names) {
        return cli_usage_error(cli, "A3", "unexpected argument \"%s\"; usage: diopter %s %s",
                               cli_escaped(cli->names[verb->max_names]), verb->name, verb->synopsis);
    }
    for (size_t i = 0; i < cli->n_names; i++) {
        if (cli->names[i][0] == '\0') return cli_usage_error(cli, "A4", "argument %zu is empty", i + 1);
    }
    return 0;
}

const char *cli_value(const struct cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->n_given; i++) {
        if (strcmp(cli->given[i].name, name) == 0) return cli->given[i].value;
    }
    return NULL;
}

bool cli_flag(const struct cli *cli, const char *name)
{
    const char *value = cli_value(cli, name);
    return value && strcmp(value, "true") == 0;
}

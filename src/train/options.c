#include "train/options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the table ---- */

#define DIO_ENTRY(name, kind) DIO_ENTRY_##kind(name)
static const char optimizer_choices[] = ""
#define DIO_ENTRY_schedule(name)
#define DIO_ENTRY_optimizer(name) "|" #name
#include "train/list.def"
#undef DIO_ENTRY_schedule
#undef DIO_ENTRY_optimizer
    ;
static const char schedule_choices[] = ""
#define DIO_ENTRY_optimizer(name)
#define DIO_ENTRY_schedule(name) "|" #name
#include "train/list.def"
    ;

#define AT(member) offsetof(struct dio_train_options, member)
#define DIO_OPTIMIZER_CHOICES (optimizer_choices + 1)
#define DIO_SCHEDULE_CHOICES (schedule_choices + 1)
#define DIO_OPTION_TEXT(name_, initial_, flags_, value_, help_)                                                        \
    {.name = #name_, .group = DIO_OPTION_TITLE, .initial = initial_, .value = value_, .help = help_, .type = DIO_OPTION_T_TEXT, .flags = (flags_), .offset = AT(name_)},
#define DIO_OPTION_FLAG(name_, flags_, help_)                                                                          \
    {.name = #name_, .group = DIO_OPTION_TITLE, .initial = "false", .help = help_, .type = DIO_OPTION_T_FLAG, .flags = (flags_), .offset = AT(name_)},
#define DIO_OPTION_INT(name_, initial_, min_, max_, flags_, value_, help_)                                             \
    {.name = #name_, .group = DIO_OPTION_TITLE, .initial = initial_, .value = value_, .help = help_, .type = DIO_OPTION_T_INT, .flags = (flags_), .min = (double)(min_), .max = (double)(max_), .offset = AT(name_)},
#define DIO_OPTION_NUMBER(name_, initial_, min_, max_, flags_, value_, help_)                                          \
    {.name = #name_, .group = DIO_OPTION_TITLE, .initial = initial_, .value = value_, .help = help_, .type = DIO_OPTION_T_NUMBER, .flags = (flags_), .min = (min_), .max = (max_), .offset = AT(name_)},
#define DIO_OPTION_CHOICE(name_, initial_, choices_, flags_, help_)                                                    \
    {.name = #name_, .group = DIO_OPTION_TITLE, .initial = initial_, .help = help_, .choices = choices_, .type = DIO_OPTION_T_CHOICE, .flags = (flags_), .offset = AT(name_)},
#define DIO_OPTION_NUMBERS(name_, flags_, value_, help_)                                                               \
    {.name = #name_, .group = DIO_OPTION_TITLE, .value = value_, .help = help_, .type = DIO_OPTION_T_NUMBERS, .flags = (flags_), .offset = AT(name_)},
#define DIO_OPTION_AUGMENT(name_, value_, help_)                                                                       \
    {.name = "augment_" #name_, .group = DIO_OPTION_TITLE, .value = value_, .help = help_, .type = DIO_OPTION_T_AUGMENT},
static const struct dio_option table[] = {
#include "train/options.def"
};
enum { ROWS = sizeof table / sizeof *table, AUGMENT_PREFIX = 8 };
_Static_assert(ROWS <= sizeof(((struct dio_train_options *)0)->origin), "room for the origin of every option");

const struct dio_option *dio_option_at(size_t i)
{
    return i < ROWS ? &table[i] : NULL;
}

size_t dio_option_count(void)
{
    return ROWS;
}

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        if ((*a == '-' ? '_' : *a) != *b) return false;
    }
    return !*a && !*b;
}

int dio_option_find(const char *name)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (same_name(name, table[i].name)) return (int)i;
    }
    return -1;
}

const char *dio_option_nearest_behind(const char *prefix, const char *name)
{
    const char *names[ROWS];
    size_t count = 0, length = strlen(prefix);
    for (size_t i = 0; i < ROWS; i++) {
        if (strncmp(table[i].name, prefix, length) == 0) names[count++] = table[i].name + length;
    }
    return dio_nearest(name, names, count);
}

const char *dio_option_nearest(const char *name)
{
    return dio_option_nearest_behind("", name);
}

/* ---- values ---- */

static void *member(struct dio_train_options *options, const struct dio_option *option)
{
    return (char *)options + option->offset;
}

static const void *member_const(const struct dio_train_options *options, const struct dio_option *option)
{
    return (const char *)options + option->offset;
}

/* What is being set, for messages. */
struct setting {
    struct dio_ctx *ctx;
    const struct dio_option *option;
    const char *text;
    size_t length;
    dio_status status;
    const struct dio_place *place;
    const char *shown;
};

static dio_status refuse(const struct setting *setting, const char *wanted)
{
    char found[220];
    struct dio_place place = setting->place ? *setting->place : (struct dio_place){0};
    const char *code = setting->status == DIO_ERR_USAGE ? "A4" : "Y4";
    bool number = setting->option->type == DIO_OPTION_T_NUMBER || setting->option->type == DIO_OPTION_T_NUMBERS;
    if (number && memchr(setting->text, ',', setting->length)) place.hint = "use a point for decimals";
    if (setting->option->type == DIO_OPTION_T_NUMBERS) place.hint = NULL;
    dio_escape(found, sizeof found, setting->text, setting->length, 80);
    return dio_fail(setting->ctx, setting->status, code, &place, "%s must be %s, not \"%s\"", setting->shown, wanted, found);
}

static dio_status refuse_range(const struct setting *setting)
{
    char wanted[160], low[40], high[40];
    const struct dio_option *option = setting->option;
    dio_format_double(low, sizeof low, option->min);
    dio_format_double(high, sizeof high, option->max);
    if (option->type == DIO_OPTION_T_INT && option->max > 9e18) {
        snprintf(wanted, sizeof wanted, "a whole number from %.0f to 9223372036854775807", option->min);
    } else if (option->type == DIO_OPTION_T_INT) {
        snprintf(wanted, sizeof wanted, "a whole number from %.0f to %.0f", option->min, option->max);
    } else if (option->flags & DIO_OPTION_ABOVE) {
        snprintf(wanted, sizeof wanted, "a number above %s and up to %s", low, high);
    } else {
        snprintf(wanted, sizeof wanted, "a number from %s to %s", low, high);
    }
    return refuse(setting, wanted);
}

static dio_status refuse_choice(const struct setting *setting)
{
    char copy[256], found[220], hint[100];
    const char *words[24];
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", setting->option->choices);
    for (char *save = NULL, *word = strtok_r(copy, "|", &save); word && count < 24; word = strtok_r(NULL, "|", &save)) {
        words[count++] = word;
    }
    dio_escape(found, sizeof found, setting->text, setting->length, 80);
    const char *near = dio_nearest(found, words, count);
    struct dio_place place = setting->place ? *setting->place : (struct dio_place){0};
    if (near) {
        snprintf(hint, sizeof hint, "did you mean \"%s\"?", near);
        place.hint = hint;
    }
    char list[256] = "";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " or ", words[i]);
    }
    return dio_fail(setting->ctx, setting->status, setting->status == DIO_ERR_USAGE ? "A4" : "Y4", &place,
                    "%s must be %s, not \"%s\"", setting->shown, list, found);
}

static char *keep(struct dio_train_options *options, const char *text, size_t length)
{
    return dio_arena_strndup(&options->arena, text, length);
}

static dio_status set_int(const struct setting *setting, int64_t *out)
{
    int64_t value = 0;
    if (!dio_parse_i64(setting->text, setting->length, &value)) return refuse_range(setting);
    if ((double)value < setting->option->min || (double)value > setting->option->max) return refuse_range(setting);
    *out = value;
    return DIO_OK;
}

static dio_status set_number(const struct setting *setting, double *out)
{
    double value = 0;
    const struct dio_option *option = setting->option;
    if (!dio_parse_double(setting->text, setting->length, &value) || !isfinite(value)) return refuse_range(setting);
    if (value < option->min || value > option->max) return refuse_range(setting);
    if ((option->flags & DIO_OPTION_ABOVE) && value <= option->min) return refuse_range(setting);
    *out = value;
    return DIO_OK;
}

/* mean and std: one number for all channels, or one for each. */
static dio_status set_numbers(const struct setting *setting, struct dio_option_numbers *out)
{
    bool positive = strcmp(setting->option->name, "std") == 0;
    const char *wanted = positive ? "1 or 3 numbers above 0" : "1 or 3 numbers";
    struct dio_option_numbers numbers = {0};
    for (size_t begin = 0; begin <= setting->length;) {
        const char *comma = memchr(setting->text + begin, ',', setting->length - begin);
        size_t end = comma ? (size_t)(comma - setting->text) : setting->length;
        double value = 0;
        if (numbers.count == DIO_OPTION_MAX_NUMBERS) return refuse(setting, wanted);
        if (!dio_parse_double(setting->text + begin, end - begin, &value)) return refuse(setting, wanted);
        if (!(fabs(value) <= 1e6) || (positive && !(value > 0))) return refuse(setting, wanted);
        numbers.values[numbers.count++] = value;
        begin = end + 1;
    }
    if (numbers.count != 1 && numbers.count != 3) return refuse(setting, wanted);
    *out = numbers;
    return DIO_OK;
}

static dio_status set_augment(struct dio_train_options *options, const struct setting *setting)
{
    char *text = keep(options, setting->text, setting->length);
    const char *name = setting->option->name + AUGMENT_PREFIX;
    int64_t pixels;
    if (!text) return DIO_ERR_ENV;
    if (strcmp(name, "crop") == 0 && dio_parse_i64(text, setting->length, &pixels)) { /* crop: 8 is shift with pad 8 */
        DIO_PASS(dio_augment_set(setting->ctx, setting->place, "pad", text, &options->augment));
        text = keep(options, "shift", 5);
        if (!text) return DIO_ERR_ENV;
    }
    dio_status status = dio_augment_set(setting->ctx, setting->place, name, text, &options->augment);
    if (status == DIO_ERR_INPUT && setting->status != status) {
        setting->ctx->error.status = setting->status; /* the same refusal, of an argument instead of a file */
        status = setting->status;
    }
    return status;
}

static dio_status set_value(struct dio_train_options *options, const struct setting *setting)
{
    const struct dio_option *option = setting->option;
    void *out = member(options, option);
    switch (option->type) {
    case DIO_OPTION_T_INT: return set_int(setting, out);
    case DIO_OPTION_T_NUMBER: return set_number(setting, out);
    case DIO_OPTION_T_NUMBERS: return set_numbers(setting, out);
    case DIO_OPTION_T_AUGMENT: return set_augment(options, setting);
    case DIO_OPTION_T_FLAG:
        if (!dio_is_choice("true|false", setting->text, setting->length)) return refuse(setting, "true or false");
        *(bool *)out = setting->length == 4;
        return DIO_OK;
    case DIO_OPTION_T_CHOICE:
        if (!dio_is_choice(option->choices, setting->text, setting->length)) return refuse_choice(setting);
        break;
    case DIO_OPTION_T_TEXT:
        if (setting->length == 0) return refuse(setting, "a name");
        break;
    }
    char *copy = keep(options, setting->text, setting->length);
    if (!copy) return DIO_ERR_ENV;
    *(const char **)out = copy;
    return DIO_OK;
}

dio_status dio_option_set(struct dio_ctx *ctx, struct dio_train_options *options, size_t i, const char *text,
                          size_t length, enum dio_option_origin origin, dio_status status,
                          const struct dio_place *place, const char *shown)
{
    if (i >= ROWS) return dio_fail(ctx, DIO_ERR_INTERNAL, NULL, NULL, "no option %zu", i);
    struct setting setting = {ctx, &table[i], text, length, status, place, shown};
    if (origin >= options->origin[i]) {
        DIO_PASS(set_value(options, &setting));
        options->origin[i] = (uint8_t)origin;
        if (origin == DIO_FROM_RECIPE && place) options->line[i] = place->line;
        return DIO_OK;
    }
    /* What a stronger origin has set stays; the weaker value is checked all the same. */
    if (origin == DIO_FROM_RECIPE && place) options->line[i] = place->line;
    struct dio_train_options *aside = dio_alloc(ctx, sizeof *aside, "options");
    if (!aside) return DIO_ERR_ENV;
    *aside = *options;
    dio_status result = set_value(aside, &setting);
    options->arena = aside->arena;
    dio_free(ctx, aside);
    return result;
}

dio_status dio_train_options_init(struct dio_ctx *ctx, struct dio_train_options *options)
{
    memset(options, 0, sizeof *options);
    dio_arena_init(&options->arena, ctx);
    options->augment = dio_augment_none();
    for (size_t i = 0; i < ROWS; i++) {
        if (table[i].type == DIO_OPTION_T_INT) *(int64_t *)member(options, &table[i]) = DIO_UNSET_INT;
        if (table[i].type == DIO_OPTION_T_NUMBER) *(double *)member(options, &table[i]) = NAN;
        if (!table[i].initial || !table[i].initial[0]) continue;
        DIO_PASS(dio_option_set(ctx, options, i, table[i].initial, strlen(table[i].initial), DIO_FROM_DEFAULT,
                                DIO_ERR_INTERNAL, NULL, table[i].name));
    }
    return DIO_OK;
}

void dio_train_options_free(struct dio_train_options *options)
{
    dio_arena_free(&options->arena);
    memset(options, 0, sizeof *options);
}

bool dio_option_is_set(const struct dio_train_options *options, size_t i)
{
    const void *value = member_const(options, &table[i]);
    switch (table[i].type) {
    case DIO_OPTION_T_INT: return *(const int64_t *)value != DIO_UNSET_INT;
    case DIO_OPTION_T_NUMBER: return !isnan(*(const double *)value);
    case DIO_OPTION_T_NUMBERS: return ((const struct dio_option_numbers *)value)->count > 0;
    case DIO_OPTION_T_FLAG:
    case DIO_OPTION_T_AUGMENT: return true;
    case DIO_OPTION_T_CHOICE:
    case DIO_OPTION_T_TEXT: return *(const char *const *)value != NULL;
    }
    return false;
}

static void add_double(struct dio_str *out, double value)
{
    char text[40];
    dio_format_double(text, sizeof text, value);
    dio_str_add(out, text);
}

void dio_option_print(struct dio_str *out, const struct dio_train_options *options, size_t i)
{
    if (!dio_option_is_set(options, i)) return;
    const void *value = member_const(options, &table[i]);
    const struct dio_option_numbers *numbers = value;
    switch (table[i].type) {
    case DIO_OPTION_T_INT: dio_str_addf(out, "%lld", (long long)*(const int64_t *)value); break;
    case DIO_OPTION_T_NUMBER: add_double(out, *(const double *)value); break;
    case DIO_OPTION_T_FLAG: dio_str_add(out, *(const bool *)value ? "true" : "false"); break;
    case DIO_OPTION_T_AUGMENT: dio_augment_get(out, table[i].name + AUGMENT_PREFIX, &options->augment); break;
    case DIO_OPTION_T_CHOICE:
    case DIO_OPTION_T_TEXT: dio_str_add(out, *(const char *const *)value); break;
    case DIO_OPTION_T_NUMBERS:
        for (int n = 0; n < numbers->count; n++) {
            if (n > 0) dio_str_add(out, ",");
            add_double(out, numbers->values[n]);
        }
        break;
    }
}

dio_status dio_train_options_copy(struct dio_ctx *ctx, const struct dio_train_options *from, struct dio_train_options *to)
{
    memcpy(to, from, sizeof *to);
    dio_arena_init(&to->arena, ctx);
    for (size_t i = 0; i < ROWS; i++) {
        if (table[i].type != DIO_OPTION_T_TEXT && table[i].type != DIO_OPTION_T_CHOICE) continue;
        const char **text = member(to, &table[i]);
        if (*text) *text = keep(to, *text, strlen(*text));
        if (*(const char *const *)member_const(from, &table[i]) && !*text) return DIO_ERR_ENV;
    }
    if (from->recipe) to->recipe = keep(to, from->recipe, strlen(from->recipe));
    return from->recipe && !to->recipe ? DIO_ERR_ENV : DIO_OK;
}

dio_status dio_train_options_check(struct dio_ctx *ctx, const struct dio_train_options *options)
{
    if (options->model) return dio_train_options_check_but_model(ctx, options);
    struct dio_place place = {.file = options->recipe};
    return dio_fail(ctx, options->recipe ? DIO_ERR_INPUT : DIO_ERR_USAGE, options->recipe ? "Y3" : "A3", &place, "model is missing");
}

dio_status dio_train_options_check_but_model(struct dio_ctx *ctx, const struct dio_train_options *options)
{
    dio_status status = options->recipe ? DIO_ERR_INPUT : DIO_ERR_USAGE;
    struct dio_place place = {.file = options->recipe};
    const char *code = options->recipe ? "Y3" : "A3";
    if (options->val && !options->train) {
        return dio_fail(ctx, status, code, &place, "train is missing; val stands beside train, or data holds both");
    }
    if (!options->data && !options->train) return dio_fail(ctx, status, code, &place, "data (or train) is missing");
    if (options->data && options->train) {
        return dio_fail(ctx, status, code, &place, "data and train exclude each other");
    }
    int freeze = dio_option_find("freeze"), only = dio_option_find("train_only");
    if (options->train_only && options->origin[freeze] != DIO_FROM_DEFAULT) {
        bool command = options->origin[only] == DIO_FROM_COMMAND;
        place.line = options->line[only];
        if (command) return dio_fail(ctx, DIO_ERR_USAGE, "A3", NULL, "--freeze and --train-only exclude each other: one says what stays, the other what learns");
        return dio_fail(ctx, DIO_ERR_INPUT, "Y3", &place, "freeze and train_only exclude each other: one says what stays, the other what learns");
    }
    if (options->nesterov && strcmp(options->optimizer, "sgd") != 0) {
        return dio_fail(ctx, status, code, &place, "nesterov belongs to optimizer sgd");
    }
    return DIO_OK;
}

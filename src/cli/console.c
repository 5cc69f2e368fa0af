/* Messages and progress.  This is a program's console, hence the one file with state of its own. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "cli/cli.h"

enum { MOST_OF_ONE_KIND = 10, KINDS = 64 };

static struct {
    bool json, quiet, no_notes, working, terminal;
    char **waiting;         /* lines held back until work begins */
    size_t n_waiting;
    struct {
        char code[8];
        unsigned long count;
    } kinds[KINDS];
    size_t n_kinds;
    bool bar_open;          /* a progress line stands on the terminal without its end */
    char stage[64];
    double stage_start, last_shown;
    uint64_t last_plain;
} console;

const char *cli_escaped(const char *text)
{
    static char buffers[4][512];
    static unsigned turn;
    char *out = buffers[turn++ % 4];
    dio_escape(out, sizeof buffers[0], text, strlen(text), 200);
    return out;
}

static void close_bar(void)
{
    if (!console.bar_open) return;
    (void)fputs("\r\x1b[K", stderr);
    console.bar_open = false;
}

static void emit(const char *before, const char *text)
{
    close_bar();
    (void)fprintf(stderr, "%s%s\n", before, text);
}

/* At most ten lines of one kind; the rest is counted. */
static bool wanted(const char *code)
{
    size_t i = 0;
    while (i < console.n_kinds && strcmp(console.kinds[i].code, code) != 0) i++;
    if (i == console.n_kinds) {
        if (i == KINDS) return true;
        (void)snprintf(console.kinds[i].code, sizeof console.kinds[i].code, "%s", code);
        console.n_kinds++;
    }
    return ++console.kinds[i].count <= MOST_OF_ONE_KIND;
}

static void hold(const char *before, const char *text)
{
    char **grown = realloc(console.waiting, (console.n_waiting + 1) * sizeof *grown);
    size_t size = strlen(before) + strlen(text) + 1;
    char *copy = grown ? malloc(size) : NULL;
    if (grown) console.waiting = grown;
    if (!copy) return;
    (void)snprintf(copy, size, "%s%s", before, text);
    console.waiting[console.n_waiting++] = copy;
}

static void on_message(void *user, const diopter_message *message)
{
    (void)user;
    if ((console.quiet || console.no_notes) && message->level == DIOPTER_NOTE) return;
    if (message->code[0] && !wanted(message->code)) return;
    /* Errors in a manifest's rows are the reasons of the refusal that follows: they do not wait for work to start. */
    bool now = console.working || message->level == DIOPTER_ERROR;
    (now ? emit : hold)(console.json ? "" : "diopter: ", console.json ? message->json : message->human);
}

static void clock_text(char *out, size_t size, double seconds)
{
    long whole = lround(seconds);
    if (whole >= 3600) (void)snprintf(out, size, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else (void)snprintf(out, size, "%ld:%02ld", whole / 60, whole % 60);
}

static void figures(char *out, size_t size, const diopter_progress *p, double seconds)
{
    char loss[48] = "", accuracy[48] = "", left[32] = "";
    if (!isnan(p->loss)) (void)snprintf(loss, sizeof loss, ", loss %.4f", p->loss);
    if (!isnan(p->accuracy)) (void)snprintf(accuracy, sizeof accuracy, ", accuracy %.1f %%", 100 * p->accuracy);
    double rate = seconds > 0 ? (double)p->done / seconds : 0;
    if (p->total > p->done && rate > 0) {
        char text[24];
        clock_text(text, sizeof text, (double)(p->total - p->done) / rate);
        (void)snprintf(left, sizeof left, ", %s left", text);
    }
    char of[32] = "";
    if (p->total) (void)snprintf(of, sizeof of, " of %llu", (unsigned long long)p->total);
    (void)snprintf(out, size, "%llu%s %s, %.3g/s%s%s%s", (unsigned long long)p->done, of, p->unit, rate, left, loss, accuracy);
}

static void show_bar(const diopter_progress *p, double seconds)
{
    enum { WIDTH = 24 };
    char bar[WIDTH * 3 + 1] = "", text[256];
    if (p->total) {
        int full = (int)(WIDTH * (p->done < p->total ? p->done : p->total) / p->total);
        for (int i = 0; i < WIDTH; i++) (void)strcat(bar, i < full ? "\xe2\x94\x81" : "\xe2\x94\x80");
    }
    figures(text, sizeof text, p, seconds);
    (void)fprintf(stderr, "\r\x1b[K%s %s %s", p->stage, bar, text);
    (void)fflush(stderr);
    console.bar_open = true;
}

static void begin_working(void)
{
    if (console.working) return;
    console.working = true;
    for (size_t i = 0; i < console.n_waiting; i++) {
        emit("", console.waiting[i]);
        free(console.waiting[i]);
    }
    free(console.waiting);
    console.waiting = NULL;
    console.n_waiting = 0;
}

static void on_progress(void *user, const diopter_progress *p)
{
    (void)user;
    begin_working();
    if (console.quiet || console.json) return;
    double now = dio_clock_seconds();
    bool last = p->total && p->done >= p->total;
    if (strcmp(console.stage, p->stage) != 0) {
        close_bar();
        (void)snprintf(console.stage, sizeof console.stage, "%s", p->stage);
        console.stage_start = now;
        console.last_shown = 0;
    }
    double seconds = now - console.stage_start;
    if (console.terminal) {
        if (!last && now - console.last_shown < 0.1) return;
        show_bar(p, seconds);
        if (last) {
            (void)fputc('\n', stderr);
            console.bar_open = false;
        }
    } else {
        /* A file gets a line every ten seconds within a long stage, and one at its end; nothing for a short one. */
        if (last ? seconds < 2 : (console.last_shown == 0 ? seconds < 10 : now - console.last_shown < 10)) return;
        char text[256];
        figures(text, sizeof text, p, seconds);
        (void)fprintf(stderr, "%s: %s\n", p->stage, text);
    }
    console.last_shown = now;
}

void cli_console_settings(struct cli *cli, diopter_settings *settings)
{
    console.json = cli->json;
    console.quiet = cli->quiet;
    console.terminal = isatty(STDERR_FILENO) == 1;
    settings->on_message = on_message;
    settings->on_progress = on_progress;
    settings->user = NULL;
}

void cli_console_no_notes(void)
{
    console.no_notes = true;
}

void cli_console_end(void)
{
    close_bar();
    for (size_t i = 0; i < console.n_kinds && console.working; i++) {
        if (console.kinds[i].count > MOST_OF_ONE_KIND && !console.json) {
            (void)fprintf(stderr, "diopter: and %lu more like these (%s)\n", console.kinds[i].count - MOST_OF_ONE_KIND,
                          console.kinds[i].code);
        }
    }
    console.n_kinds = 0;
    for (size_t i = 0; i < console.n_waiting; i++) free(console.waiting[i]);
    free(console.waiting);
    console.waiting = NULL;
    console.n_waiting = 0;
}

static void print_error_json(const char *code, const char *text, int exit_code)
{
    (void)fprintf(stderr,
                  "{\"level\":\"error\",\"code\":\"%s\",\"exit\":%d,\"file\":null,\"tensor\":null,\"offset\":null,"
                  "\"line\":null,\"message\":\"",
                  code, exit_code);
    for (const char *at = text; *at; at++) {
        if (*at == '"' || *at == '\\') (void)fputc('\\', stderr);
        (void)fputc(*at, stderr);
    }
    (void)fputs("\",\"hint\":null}\n", stderr);
}

int cli_usage_error(const struct cli *cli, const char *code, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cli_console_end();
    if (cli->json) print_error_json(code, text, 2);
    else if (cli->verb) (void)fprintf(stderr, "diopter: %s: %s\n", cli->verb->name, text);
    else (void)fprintf(stderr, "diopter: %s\n", text);
    return 2;
}

int cli_finish(struct cli *cli, diopter_status status)
{
    if (status == DIOPTER_OK || status == DIOPTER_PARTIAL) begin_working();
    cli_console_end();
    if (status == DIOPTER_OK || status == DIOPTER_PARTIAL || !cli->context) return (int)status;
    const char *text = cli->json ? diopter_error_json(cli->context) : diopter_error_text(cli->context);
    if (text[0]) {
        bool usage = status == DIOPTER_ERROR_USAGE && !cli->json;
        (void)fprintf(stderr, "%s%s%s%s\n", cli->json ? "" : "diopter: ", usage ? cli->verb->name : "", usage ? ": " : "", text);
    }
    return (int)status;
}

static int print_error(const struct dio_message *error)
{
    char message[DIO_MESSAGE_JSON_SIZE];
    if (console.json) (void)dio_message_json(error, message, sizeof message);
    else (void)dio_message_format(error, message, sizeof message);
    emit(console.json ? "" : "diopter: ", message);
    return (int)error->status;
}

int cli_flush_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    int error = errno;
    if (error == EPIPE) cli_die_by_signal(SIGPIPE);
    struct dio_ctx ctx;
    struct dio_alloc_stats stats = {0};
    char reason[128];
    dio_ctx_init(&ctx, &stats);
    dio_errno_text(error, reason, sizeof reason);
    (void)dio_fail(&ctx, DIO_ERR_ENV, "E8", &(struct dio_place){.file = "standard output"}, "%s", reason);
    return print_error(&ctx.error);
}

int cli_check_output(struct cli *cli, const char *path, const char *const *inputs, size_t n_inputs)
{
    struct dio_ctx ctx;
    struct dio_alloc_stats stats = {0};
    dio_ctx_init(&ctx, &stats);
    if (dio_path_is_folder(path)) return cli_usage_error(cli, "A6", "%s: is a folder", cli_escaped(path));
    for (size_t i = 0; i < n_inputs; i++) {
        bool inside = false;
        if (dio_path_lies_in(&ctx, path, inputs[i], &inside) != DIO_OK) return print_error(&ctx.error);
        if (inside) return cli_usage_error(cli, "A7", "%s: the output lies in an input (%s)", cli_escaped(path), cli_escaped(inputs[i]));
    }
    char *parent = dio_path_parent(&ctx, path);
    if (parent && !dio_path_is_folder(parent)) {
        (void)dio_fail(&ctx, DIO_ERR_ENV, "A8", &(struct dio_place){.file = path}, "the folder it should lie in does not exist");
    } else if (parent && access(parent, W_OK | X_OK) != 0) {
        (void)dio_fail_errno(&ctx, path, "open", errno);
    }
    dio_free(&ctx, parent);
    return ctx.error.status == DIO_OK ? 0 : print_error(&ctx.error);
}

int cli_write_file(const char *path, const char *text)
{
    struct dio_ctx ctx;
    struct dio_alloc_stats stats = {0};
    dio_ctx_init(&ctx, &stats);
    return dio_write_whole(&ctx, path, text, strlen(text)) == DIO_OK ? 0 : print_error(&ctx.error);
}

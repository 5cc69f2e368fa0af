#include "text/yaml.h"

#include <string.h>

#include <yaml.h>

#include "text/bytes.h"
#include "text/tree_build.h"

enum { MAX_KEY = 256 };

struct reader {
    struct dio_ctx *ctx;
    struct dio_tree_build build;
    yaml_parser_t parser;
    const char *file;
    int documents;
    bool want_key;
    bool in_map[DIO_MAX_RECIPE_DEPTH + 1];
};

static dio_status refuse(const struct reader *reader, const yaml_mark_t *mark, const char *code, const char *what)
{
    struct dio_place place = {.file = reader->file, .line = (uint32_t)mark->line + 1, .column = (uint32_t)mark->column + 1};
    return dio_fail(reader->ctx, DIO_ERR_INPUT, code, &place, "%s", what);
}

static dio_status refuse_line(const struct reader *reader, const yaml_mark_t *mark, const char *code, const char *what)
{
    struct dio_place place = {.file = reader->file, .line = (uint32_t)mark->line + 1};
    return dio_fail(reader->ctx, DIO_ERR_INPUT, code, &place, "%s", what);
}

/* Anchors, aliases and tags by the name they have in the file. */
static dio_status refuse_named(const struct reader *reader, const yaml_mark_t *mark, const char *what, const char *sign,
                               const char *name)
{
    static const char standard[] = "tag:yaml.org,2002:";
    char shown[120], text[240];
    if (strncmp(name, standard, sizeof standard - 1) == 0) {
        sign = "!!";
        name += sizeof standard - 1;
    }
    dio_escape(shown, sizeof shown, name, strlen(name), 60);
    snprintf(text, sizeof text, "%s (%s%s) are not allowed in recipes", what, sign, shown);
    return refuse_line(reader, mark, "Y6", text);
}

/* libyaml's problems in words for somebody who writes recipes.  `begin`: the construct's begin is the place to look at. */
static const struct {
    const char *context, *problem, *words;
    bool begin;
} problems[] = {
    {"while scanning a quoted scalar", "found unexpected end of stream", "quote never closed", true},
    {"while scanning a quoted scalar", "found unexpected document indicator", "quote never closed", true},
    {"while scanning a simple key", "could not find expected ':'", "no colon and blank behind the key", true},
    {"while parsing a block mapping", "did not find expected key", "the indentation fits no line above, or a quote is misplaced", false},
    {"while parsing a block collection", "did not find expected '-' indicator", "the indentation fits no line above", false},
    {"while parsing a flow sequence", "did not find expected ',' or ']'", "bracket [ never closed, or a comma is missing", true},
    {"while parsing a flow mapping", "did not find expected ',' or '}'", "bracket { never closed, or a comma is missing", true},
    {"while parsing a quoted scalar", "found unknown escape character", "unknown escape in a quoted text", false},
    {NULL, "mapping values are not allowed in this context", "a colon where no key can stand; look at indentation and quotes", false},
    {NULL, "found incompatible YAML document", "this YAML version is not known; 1.1 and 1.2 are", false},
    {NULL, "block sequence entries are not allowed in this context", "a dash where no list can stand; look at the indentation", false},
    {NULL, "found character that cannot start any token", "a character that no value can begin with; put it in quotes", false},
};

static dio_status refuse_syntax(const struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem ? parser->problem : "not YAML", *context = parser->context ? parser->context : "";
    if (parser->error == YAML_MEMORY_ERROR) return dio_fail(reader->ctx, DIO_ERR_ENV, "E3", NULL, "out of memory for a recipe");
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        if (strcmp(problems[i].problem, problem) != 0) continue;
        if (problems[i].context && strcmp(problems[i].context, context) != 0) continue;
        return refuse(reader, problems[i].begin ? &parser->context_mark : &parser->problem_mark, "Y5", problems[i].words);
    }
    char text[256];
    snprintf(text, sizeof text, "%s%s%s", problem, *context ? " " : "", context);
    return refuse(reader, &parser->problem_mark, "Y5", text);
}

/* YAML forbids tabs as indentation; libyaml names them only in some places. */
static dio_status check_tabs(struct dio_ctx *ctx, const char *file, const char *text, size_t length)
{
    uint32_t line = 1;
    for (size_t at = 0; at < length; line++) {
        size_t indent = at;
        while (indent < length && text[indent] == ' ') indent++;
        size_t first = indent;
        while (first < length && (text[first] == ' ' || text[first] == '\t')) first++;
        bool empty = first == length || strchr("\r\n#", text[first]) != NULL;
        if (first > indent && text[indent] == '\t' && !empty) {
            struct dio_place place = {.file = file, .line = line, .column = (uint32_t)(indent - at) + 1};
            return dio_fail(ctx, DIO_ERR_INPUT, "Y5", &place, "tab used for indentation");
        }
        const char *end = memchr(text + at, '\n', length - at);
        at = end ? (size_t)(end - text) + 1 : length;
    }
    return DIO_OK;
}

static dio_status take_key(struct reader *reader, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    const yaml_mark_t *mark = &event->start_mark;
    if (length == 0) return refuse(reader, mark, "Y5", "empty key");
    if (length > MAX_KEY) return refuse_line(reader, mark, "Y7", "key longer than 256 bytes");
    if (strcmp(text, "<<") == 0 && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        return refuse_line(reader, mark, "Y6", "merge keys (<<) are not allowed in recipes");
    }
    reader->want_key = false;
    return dio_build_key(&reader->build, text, length, (uint32_t)mark->line + 1);
}

static dio_status refuse_empty(struct reader *reader, const yaml_mark_t *mark)
{
    char shown[120] = "an item of a list", text[160];
    if (reader->build.key) dio_escape(shown, sizeof shown, reader->build.key, strlen(reader->build.key), 100);
    snprintf(text, sizeof text, "%s has no value", shown);
    yaml_mark_t at = *mark;
    if (reader->build.key) at.line = reader->build.key_line - 1;
    return refuse_line(reader, &at, "Y3", text);
}

static bool is_null_word(const char *text)
{
    return *text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 || strcmp(text, "Null") == 0 ||
           strcmp(text, "NULL") == 0;
}

static dio_status take_scalar(struct reader *reader, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    const yaml_mark_t *mark = &event->start_mark;
    yaml_scalar_style_t style = event->data.scalar.style;
    if (style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE) {
        return refuse(reader, mark, "Y5", "text blocks (| and >) are not allowed in recipes");
    }
    if (memchr(text, 0, length)) return refuse(reader, mark, "Y9", "NUL character in a quoted text");
    if (reader->want_key) return take_key(reader, event);
    bool plain = style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && is_null_word(text)) return refuse_empty(reader, mark);
    if (reader->build.depth > 0) reader->want_key = reader->in_map[reader->build.depth];
    return dio_build_scalar(&reader->build, plain ? DIO_NODE_PLAIN : DIO_NODE_TEXT, text, length, (uint32_t)mark->line + 1,
                            (uint32_t)mark->column + 1);
}

static dio_status open(struct reader *reader, const yaml_event_t *event, bool map)
{
    const yaml_mark_t *mark = &event->start_mark;
    if (reader->want_key) return refuse(reader, mark, "Y5", "a key has to be a word");
    if (reader->build.depth == DIO_MAX_RECIPE_DEPTH) return refuse_line(reader, mark, "Y7", "nested deeper than 16");
    DIO_PASS(dio_build_open(&reader->build, map ? DIO_NODE_MAP : DIO_NODE_LIST, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1));
    reader->in_map[reader->build.depth] = reader->want_key = map;
    return DIO_OK;
}

static dio_status close_one(struct reader *reader)
{
    DIO_PASS(dio_build_close(&reader->build));
    reader->want_key = reader->build.depth > 0 && reader->in_map[reader->build.depth];
    return DIO_OK;
}

static dio_status check_properties(const struct reader *reader, const yaml_event_t *event, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor) return refuse_named(reader, &event->start_mark, "anchors", "&", (const char *)anchor);
    if (tag) return refuse_named(reader, &event->start_mark, "tags", "", (const char *)tag);
    return DIO_OK;
}

static dio_status begin_document(struct reader *reader, const yaml_event_t *event)
{
    if (++reader->documents > 1) return refuse_line(reader, &event->start_mark, "Y6", "a second document; a recipe is one");
    if (event->data.document_start.tag_directives.start != event->data.document_start.tag_directives.end) {
        return refuse_line(reader, &event->start_mark, "Y6", "%TAG directives are not allowed in recipes");
    }
    return DIO_OK;
}

static dio_status take_event(struct reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT: return begin_document(reader, event);
    case YAML_ALIAS_EVENT:
        return refuse_named(reader, &event->start_mark, "aliases", "*", (const char *)event->data.alias.anchor);
    case YAML_SCALAR_EVENT:
        DIO_PASS(check_properties(reader, event, event->data.scalar.anchor, event->data.scalar.tag));
        return take_scalar(reader, event);
    case YAML_SEQUENCE_START_EVENT:
        DIO_PASS(check_properties(reader, event, event->data.sequence_start.anchor, event->data.sequence_start.tag));
        return open(reader, event, false);
    case YAML_MAPPING_START_EVENT:
        DIO_PASS(check_properties(reader, event, event->data.mapping_start.anchor, event->data.mapping_start.tag));
        return open(reader, event, true);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return close_one(reader);
    default: return DIO_OK;
    }
}

static dio_status read_events(struct reader *reader)
{
    for (bool end = false; !end;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&reader->parser, &event)) return refuse_syntax(reader);
        dio_status status = take_event(reader, &event);
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (status != DIO_OK) return status;
    }
    return DIO_OK;
}

static dio_status finish(struct reader *reader)
{
    static const char rule[] = "a recipe is a mapping of keys to values";
    struct dio_place place = {.file = reader->file, .line = 1};
    if (reader->build.used == 0) return dio_fail(reader->ctx, DIO_ERR_INPUT, "Y1", &place, "empty; %s", rule);
    DIO_PASS(dio_build_finish(&reader->build));
    const struct dio_tree_node *root = reader->build.tree->root;
    place.line = root->line;
    if (root->type != DIO_NODE_MAP) return dio_fail(reader->ctx, DIO_ERR_INPUT, "Y1", &place, "%s", rule);
    return DIO_OK;
}

static dio_status check_bytes(struct dio_ctx *ctx, const char *file, const void *bytes, size_t length, size_t *start)
{
    struct dio_text_rules rules = {.file = file, .code = "Y9", .refuse_controls = true};
    if (length > DIO_MAX_RECIPE) {
        return dio_fail(ctx, DIO_ERR_INPUT, "Y7", &(struct dio_place){.file = file}, "longer than 1 MB; that is no recipe");
    }
    DIO_PASS(dio_check_text(ctx, &rules, bytes, length, start));
    return check_tabs(ctx, file, (const char *)bytes + *start, length - *start);
}

dio_status dio_yaml_parse(struct dio_ctx *ctx, const char *file, const void *bytes, size_t length, struct dio_tree *tree)
{
    dio_status status;
    size_t start = 0;
    struct reader reader = {.ctx = ctx};
    *tree = (struct dio_tree){.root = NULL};
    DIO_PASS(check_bytes(ctx, file, bytes, length, &start));
    if (!yaml_parser_initialize(&reader.parser)) return dio_fail(ctx, DIO_ERR_ENV, "E3", NULL, "out of memory for a recipe");
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)bytes + start, length - start);
    DIO_TRY(dio_build_begin(&reader.build, ctx, file, NULL, "Y4", tree));
    reader.build.twice_code = "Y3";
    reader.file = tree->file;
    DIO_TRY(read_events(&reader));
    DIO_TRY(finish(&reader));
fail:
    yaml_parser_delete(&reader.parser);
    dio_build_free(&reader.build);
    if (status != DIO_OK) dio_tree_free(tree);
    return status;
}

dio_status dio_yaml_read(struct dio_ctx *ctx, const char *path, struct dio_tree *tree)
{
    struct dio_blob blob;
    *tree = (struct dio_tree){.root = NULL};
    DIO_PASS(dio_blob_read(ctx, path, DIO_READ_COPY, DIO_MAX_RECIPE, NULL, &blob));
    dio_status status = dio_yaml_parse(ctx, path, blob.data, blob.size, tree);
    dio_blob_free(ctx, &blob);
    return status;
}

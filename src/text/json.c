#include "text/json.h"

#include "base/str.h"
#include "text/tree_build.h"

static dio_status take_token(struct dio_tree_build *build, const struct dio_json_scan *scan)
{
    enum dio_node_type type = DIO_NODE_NULL;
    switch (scan->event) {
    case DIO_JSON_END: return dio_build_finish(build);
    case DIO_JSON_BEGIN_MAP: return dio_build_open(build, DIO_NODE_MAP, scan->token_line, scan->column);
    case DIO_JSON_BEGIN_LIST: return dio_build_open(build, DIO_NODE_LIST, scan->token_line, scan->column);
    case DIO_JSON_END_MAP:
    case DIO_JSON_END_LIST: return dio_build_close(build);
    case DIO_JSON_KEY: return dio_build_key(build, scan->text, scan->text_length, scan->token_line);
    case DIO_JSON_TEXT: type = DIO_NODE_TEXT; break;
    case DIO_JSON_NUMBER: type = DIO_NODE_NUMBER; break;
    case DIO_JSON_TRUE:
    case DIO_JSON_FALSE: type = DIO_NODE_BOOL; break;
    case DIO_JSON_NULL: break;
    }
    return dio_build_scalar(build, type, scan->text, scan->text_length, scan->token_line, scan->column);
}

static dio_status build_tree(struct dio_tree_build *build, struct dio_json_scan *scan)
{
    do {
        DIO_PASS(dio_json_scan_next(scan));
        DIO_PASS(take_token(build, scan));
    } while (scan->event != DIO_JSON_END);
    return DIO_OK;
}

dio_status dio_json_parse(struct dio_ctx *ctx, const char *file, const char *part, const char *code, const void *bytes,
                          size_t length, struct dio_tree *tree)
{
    dio_status status;
    struct dio_tree_build build;
    struct dio_json_scan scan;
    struct dio_str buffer;
    dio_str_init(&buffer, ctx);
    DIO_TRY(dio_build_begin(&build, ctx, file, part, code, tree));
    if (code && code[0] == 'J') build.twice_code = "J4";
    DIO_TRY(dio_json_scan_begin(&scan, ctx, tree->file, tree->part, tree->code, bytes, length, &buffer));
    DIO_TRY(build_tree(&build, &scan));
fail:
    dio_str_free(&buffer);
    dio_build_free(&build);
    if (status != DIO_OK) dio_tree_free(tree);
    return status;
}

dio_status dio_json_read(struct dio_ctx *ctx, const char *path, uint64_t limit, const char *code, struct dio_tree *tree)
{
    struct dio_blob blob;
    *tree = (struct dio_tree){.root = NULL};
    DIO_PASS(dio_blob_read(ctx, path, DIO_READ_COPY, limit, NULL, &blob));
    dio_status status = dio_json_parse(ctx, path, NULL, code, blob.data, blob.size, tree);
    dio_blob_free(ctx, &blob);
    return status;
}

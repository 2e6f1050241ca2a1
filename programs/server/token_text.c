/* The vocabulary by id. The engine's own table goes from text to id only and is private to it, so the file is read once more.
 */
#include "server/token_text.h"

#include <jansson.h>
#include <string.h>

#include "common/file.h"
#include "model/config.h"

static senvec_status keep(sv_token_text *out, size_t id, const char *text, size_t length, senvec_error *err) {
    if (id >= out->count)
        return SENVEC_OK;
    return sv_arena_string(&out->arena, text, length, &out->tokens[id], err);
}

static senvec_status read_json(sv_token_text *out, const json_t *root, senvec_error *err) {
    const char *text;
    const json_t *id, *entry;
    json_t *vocabulary = json_object_get(json_object_get(root, "model"), "vocab");
    json_object_foreach(vocabulary, text, id) {
        SENVEC_TRY(keep(out, (size_t)json_integer_value(id), text, strlen(text), err));
    }
    size_t index;
    json_array_foreach(json_object_get(root, "added_tokens"), index, entry) {
        text = json_string_value(json_object_get(entry, "content"));
        if (text)
            SENVEC_TRY(keep(out, (size_t)json_integer_value(json_object_get(entry, "id")), text, strlen(text), err));
    }
    return SENVEC_OK;
}

static senvec_status read_lines(sv_token_text *out, const char *text, size_t length, senvec_error *err) {
    const char *end = text + length;
    for (size_t id = 0; text < end; id++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        size_t size = (size_t)(stop - text) - (stop > text && stop[-1] == '\r');
        SENVEC_TRY(keep(out, id, text, size, err));
        text = stop + 1;
    }
    return SENVEC_OK;
}

static senvec_status read_vocabulary(sv_token_text *out, const char *directory, senvec_error *err) {
    char path[SV_MAX_PATH];
    sv_file_map file = {0};
    SENVEC_TRY(sv_path_join(directory, "tokenizer.json", path, err));
    bool json = sv_path_is_file(path);
    if (!json)
        SENVEC_TRY(sv_path_join(directory, "vocab.txt", path, err));
    SENVEC_TRY(sv_file_map_open(path, &file, err));
    senvec_status status;
    if (json) {
        json_error_t error;
        json_t *root = json_loadb((const char *)file.data, file.size, JSON_ALLOW_NUL, &error);
        status =
            root ? read_json(out, root, err) : sv_fail(err, SENVEC_FORMAT, 0, "%s: line %d: %s", path, error.line, error.text);
        json_decref(root);
    } else {
        status = read_lines(out, (const char *)file.data, file.size, err);
    }
    sv_file_map_close(&file);
    return status;
}

senvec_status sv_token_text_open(const senvec_model *model, const char *directory, sv_token_text *out, senvec_error *err) {
    senvec_model_info info;
    senvec_model_describe(model, &info);
    sv_config config;
    char transformer[SV_MAX_PATH];
    SENVEC_TRY(sv_config_load(directory, &config, err));
    SENVEC_TRY(sv_path_join(directory, config.transformer_directory, transformer, err));
    sv_token_text tokens = {.count = info.vocabulary};
    sv_arena_init(&tokens.arena, NULL);
    void *table;
    uint32_t frame[2];
    size_t framed;
    senvec_status status = sv_arena_alloc(&tokens.arena, tokens.count, sizeof *tokens.tokens, "tokens by id", &table, err);
    if (status == SENVEC_OK) {
        tokens.tokens = table;
        status = read_vocabulary(&tokens, transformer, err);
    }
    if (status == SENVEC_OK)
        status = senvec_tokenize(model, (senvec_text){NULL, 0}, frame, 2, &framed, NULL, err);
    if (status != SENVEC_OK) {
        sv_token_text_close(&tokens);
        return status;
    }
    tokens.begin = frame[0];
    tokens.end = frame[1];
    *out = tokens;
    return SENVEC_OK;
}

void sv_token_text_close(sv_token_text *tokens) {
    if (tokens->tokens)
        sv_arena_release(&tokens->arena);
    *tokens = (sv_token_text){0};
}

const char *sv_token_text_of(const sv_token_text *tokens, uint64_t id) {
    return id < tokens->count ? tokens->tokens[id] : NULL;
}

/* "##ing" goes on with the word before it. */
static bool continues(const char *token) {
    return token[0] == '#' && token[1] == '#' && token[2];
}

size_t sv_token_text_size(const sv_token_text *tokens, const uint32_t *ids, size_t count) {
    size_t size = 1;
    for (size_t i = 0; i < count; i++) {
        const char *token = sv_token_text_of(tokens, ids[i]);
        size += token ? strlen(token) + 1 : 0;
    }
    return size;
}

size_t sv_token_text_write(const sv_token_text *tokens, const uint32_t *ids, size_t count, char *out) {
    char *to = out;
    for (size_t i = 1; i + 1 < count; i++) {
        const char *token = sv_token_text_of(tokens, ids[i]);
        if (!token)
            continue;
        if (continues(token) && to > out)
            token += 2;
        else if (to > out)
            *to++ = ' ';
        size_t length = strlen(token);
        memcpy(to, token, length);
        to += length;
    }
    return (size_t)(to - out);
}

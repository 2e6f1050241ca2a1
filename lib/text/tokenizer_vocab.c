/* Reading vocab.txt, one token a line, the line's number is its id, and tokenizer_config.json, the options of transformers'
 * BertTokenizer (every one of them optional):
 *
 *     do_lower_case, tokenize_chinese_chars (true), strip_accents (null: as do_lower_case)
 *     unk_token, cls_token, sep_token, pad_token, mask_token: a string, or an object with "content"
 *
 * The special tokens are added tokens, as in the tokenizer.json that transformers makes from these files. */
#include <jansson.h>

#include "common/file.h"
#include "text/tokenizer_internal.h"

/* The option `key` of config (NULL: no file), which may be absent or null. */
static senvec_status option_bool(const json_t *config, const char *key, const char *path, bool *value, senvec_error *err) {
    const json_t *option = json_object_get(config, key);
    if (!option || json_is_null(option))
        return SENVEC_OK;
    if (!json_is_boolean(option))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"%s\" is not true, false or null", path, key);
    *value = json_is_true(option);
    return SENVEC_OK;
}

/* Refuses what would change ids and isn't done here. */
static senvec_status check_options(const json_t *config, const char *path, senvec_error *err) {
    bool basic = true;
    SENVEC_TRY(option_bool(config, "do_basic_tokenize", path, &basic, err));
    if (!basic)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: do_basic_tokenize false is not supported", path);
    const json_t *never_split = json_object_get(config, "never_split");
    if (never_split && !json_is_null(never_split) && json_array_size(never_split) > 0)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: never_split is not supported", path);
    const json_t *class = json_object_get(config, "tokenizer_class");
    const char *name = json_is_string(class) ? json_string_value(class) : "BertTokenizer";
    if (strcmp(name, "BertTokenizer") != 0 && strcmp(name, "BertTokenizerFast") != 0)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: tokenizer_class \"%s\" is not supported, only BertTokenizer", path,
                       name);
    return SENVEC_OK;
}

static senvec_status read_options(sv_tokenizer *tokenizer, const json_t *config, const char *path, senvec_error *err) {
    SENVEC_TRY(check_options(config, path, err));
    tokenizer->clean_text = tokenizer->pad_cjk = tokenizer->lowercase = true;
    SENVEC_TRY(option_bool(config, "do_lower_case", path, &tokenizer->lowercase, err));
    SENVEC_TRY(option_bool(config, "tokenize_chinese_chars", path, &tokenizer->pad_cjk, err));
    tokenizer->strip_accents = tokenizer->lowercase;
    return option_bool(config, "strip_accents", path, &tokenizer->strip_accents, err);
}

/* One line at `at`, without its "\n" or "\r\n"; returns the start of the next. */
static const char *next_line(const char *at, const char *end, size_t *length) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    const char *stop = newline ? newline : end;
    *length = (size_t)(stop - at);
    if (*length > 0 && at[*length - 1] == '\r')
        --*length;
    return newline ? newline + 1 : end;
}

static senvec_status read_lines(sv_tokenizer *tokenizer, const sv_file_map *file, const char *path, senvec_error *err) {
    const char *start = (const char *)file->data, *end = start + file->size;
    size_t length, lines = 0;
    for (const char *at = start; at < end; at = next_line(at, end, &length))
        lines++;
    SENVEC_TRY(sv_tokenizer_reserve(tokenizer, lines, file->size, path, err));
    uint64_t id = 0;
    for (const char *at = start; at < end; id++) {
        const char *line = at;
        at = next_line(at, end, &length);
        SENVEC_TRY(sv_tokenizer_add(tokenizer, line, length, id, path, err));
    }
    return SENVEC_OK;
}

/* Finds the special token `key` and makes it an added token; one that a text needs (`id` isn't NULL) has to be there. */
static senvec_status add_special(sv_tokenizer *tokenizer, const json_t *config, const char *key, const char *usual,
                                 const char *path, uint32_t *id, senvec_error *err) {
    const json_t *option = json_object_get(config, key);
    if (json_is_object(option))
        option = json_object_get(option, "content");
    const char *text = json_is_string(option) ? json_string_value(option) : usual;
    uint32_t found;
    if (!sv_tokenizer_id(tokenizer, text, strlen(text), &found)) {
        if (!id)
            return SENVEC_OK;
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: the %s \"%.40s\" is not in it", path, key, text);
    }
    if (id)
        *id = found;
    sv_added_token *added = &tokenizer->added[tokenizer->added_count++];
    *added = (sv_added_token){.length = strlen(text), .id = found};
    return sv_arena_string(&tokenizer->arena, text, added->length, &added->text, err);
}

static senvec_status read_both(sv_tokenizer *tokenizer, const char *path, sv_file_map file, const json_t *config,
                               const char *config_path, senvec_error *err) {
    SENVEC_TRY(read_options(tokenizer, config, config_path, err));
    tokenizer->prefix = "##";
    tokenizer->prefix_length = 2;
    tokenizer->max_word_chars = 100;

    if (file.size > SV_MAX_JSON_BYTES)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: %zu bytes, but at most %u are read", path, file.size, SV_MAX_JSON_BYTES);
    if (file.size == 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: the file is empty; fetch it again", path);
    SENVEC_TRY(read_lines(tokenizer, &file, path, err));

    void *memory;
    SENVEC_TRY(sv_arena_alloc(&tokenizer->arena, 5, sizeof *tokenizer->added, "added tokens", &memory, err));
    tokenizer->added = memory;
    SENVEC_TRY(add_special(tokenizer, config, "unk_token", "[UNK]", path, &tokenizer->unknown, err));
    SENVEC_TRY(add_special(tokenizer, config, "cls_token", "[CLS]", path, &tokenizer->first, err));
    SENVEC_TRY(add_special(tokenizer, config, "sep_token", "[SEP]", path, &tokenizer->last, err));
    SENVEC_TRY(add_special(tokenizer, config, "pad_token", "[PAD]", path, NULL, err));
    return add_special(tokenizer, config, "mask_token", "[MASK]", path, NULL, err);
}

senvec_status sv_tokenizer_read_vocabulary(sv_tokenizer *tokenizer, const char *path, sv_file_map file, const char *config_path,
                                           const sv_file_map *config, senvec_error *err) {
    json_t *options = NULL;
    if (config) {
        /* Integers as reals: model_max_length is often 1e30 written out, which no integer holds. */
        SENVEC_TRY(sv_json_parse(config_path, *config, JSON_DECODE_INT_AS_REAL, &options, err));
        if (!json_is_object(options)) {
            json_decref(options);
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: not a JSON object", config_path);
        }
    }
    senvec_status status = read_both(tokenizer, path, file, options, config_path, err);
    json_decref(options);
    return status;
}

/* Reading tokenizer.json, the file of Hugging Face `tokenizers` (version "1.0").
 *
 *     added_tokens     [{id, content, single_word, lstrip, rstrip, normalized, special}, ...]
 *     normalizer       {type: "BertNormalizer", clean_text, handle_chinese_chars, strip_accents, lowercase}
 *     pre_tokenizer    {type: "BertPreTokenizer"}
 *     model            {type: "WordPiece", unk_token, continuing_subword_prefix, max_input_chars_per_word, vocab: {token: id}}
 *     post_processor   {type: "TemplateProcessing", single: [...], special_tokens: {...}} or {type: "BertProcessing", cls, sep}
 *
 * `truncation` and `padding` are ignored (tokenizer.h says why), and so is `decoder`. Everything else that would change ids
 * is either honoured or refused by its name. JSON is parsed with jansson, whose memory is its own and is gone after loading. */
#include <jansson.h>
#include <string.h>

#include "common/utf8.h"
#include "text/charclass.h"
#include "text/tokenizer_internal.h"

/* A part of the file, for looking into it and for messages about it: "path: model: ...". */
typedef struct part {
    const char *path;
    const char *name;
    const json_t *object;
    senvec_error *err;
} part;

static senvec_status fail_missing(const part *p, const char *key, const char *type) {
    return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: %s: \"%s\" is missing or not %s", p->path, p->name, key, type);
}

static senvec_status get_bool(const part *p, const char *key, bool *out) {
    const json_t *value = json_object_get(p->object, key);
    if (!json_is_boolean(value))
        return fail_missing(p, key, "true or false");
    *out = json_is_true(value);
    return SENVEC_OK;
}

static senvec_status get_string(const part *p, const char *key, const char **out) {
    const json_t *value = json_object_get(p->object, key);
    if (!json_is_string(value))
        return fail_missing(p, key, "a string");
    *out = json_string_value(value);
    return SENVEC_OK;
}

static senvec_status get_object(const part *p, const char *key, json_t **out) {
    json_t *value = json_object_get(p->object, key);
    if (!json_is_object(value))
        return fail_missing(p, key, "an object");
    *out = value;
    return SENVEC_OK;
}

/* An id as JSON: an integer from 0 to below SV_MAX_VOCABULARY. */
static bool is_id(const json_t *value, uint32_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) >= (json_int_t)SV_MAX_VOCABULARY)
        return false;
    *out = (uint32_t)json_integer_value(value);
    return true;
}

/* Opens a top-level part that has a "type", which must be one of the two given (the second may be NULL). */
static senvec_status open_part(const part *file, const char *name, const char *type, const char *other_type, part *out) {
    const json_t *object = json_object_get(file->object, name);
    if (json_is_null(object) || !object)
        return sv_fail(file->err, SENVEC_UNSUPPORTED, 0, "%s: no %s; only %s is supported", file->path, name, type);
    *out = (part){file->path, name, object, file->err};
    const char *is;
    SENVEC_TRY(get_string(out, "type", &is));
    if (strcmp(is, type) != 0 && !(other_type && strcmp(is, other_type) == 0))
        return sv_fail(file->err, SENVEC_UNSUPPORTED, 0, "%s: %s \"%s\" is not supported, only %s", file->path, name, is, type);
    return SENVEC_OK;
}

static senvec_status read_normalizer(sv_tokenizer *tokenizer, const part *file) {
    part p;
    SENVEC_TRY(open_part(file, "normalizer", "BertNormalizer", NULL, &p));
    SENVEC_TRY(get_bool(&p, "clean_text", &tokenizer->clean_text));
    SENVEC_TRY(get_bool(&p, "handle_chinese_chars", &tokenizer->pad_cjk));
    SENVEC_TRY(get_bool(&p, "lowercase", &tokenizer->lowercase));
    tokenizer->strip_accents = tokenizer->lowercase; /* what null means */
    const json_t *strip_accents = json_object_get(p.object, "strip_accents");
    if (strip_accents && !json_is_null(strip_accents))
        SENVEC_TRY(get_bool(&p, "strip_accents", &tokenizer->strip_accents));
    return SENVEC_OK;
}

static senvec_status read_vocabulary(sv_tokenizer *tokenizer, const part *model) {
    json_t *vocabulary = NULL;
    SENVEC_TRY(get_object(model, "vocab", &vocabulary));
    size_t bytes = 0;
    const char *token;
    json_t *value;
    json_object_foreach(vocabulary, token, value) bytes += strlen(token);
    SENVEC_TRY(sv_tokenizer_reserve(tokenizer, json_object_size(vocabulary), bytes, model->path, model->err));
    json_object_foreach(vocabulary, token, value) {
        uint32_t id;
        if (!is_id(value, &id))
            return sv_fail(model->err, SENVEC_FORMAT, 0, "%s: model: the id of token \"%.40s\" is not an integer from 0 to %u",
                           model->path, token, SV_MAX_VOCABULARY - 1);
        SENVEC_TRY(sv_tokenizer_add(tokenizer, token, strlen(token), id, model->path, model->err));
    }
    return SENVEC_OK;
}

static senvec_status read_model(sv_tokenizer *tokenizer, const part *file) {
    part p;
    SENVEC_TRY(open_part(file, "model", "WordPiece", NULL, &p));
    const char *prefix, *unknown;
    SENVEC_TRY(get_string(&p, "continuing_subword_prefix", &prefix));
    tokenizer->prefix_length = strlen(prefix);
    SENVEC_TRY(sv_arena_string(&tokenizer->arena, prefix, tokenizer->prefix_length, &tokenizer->prefix, p.err));

    const json_t *max = json_object_get(p.object, "max_input_chars_per_word");
    if (!json_is_integer(max) || json_integer_value(max) < 0)
        return fail_missing(&p, "max_input_chars_per_word", "a number from 0 up");
    if (json_integer_value(max) > (json_int_t)SV_MAX_WORD_CHARS)
        return sv_fail(p.err, SENVEC_TOO_LARGE, 0, "%s: model: max_input_chars_per_word is %lld, but at most %u is supported",
                       p.path, (long long)json_integer_value(max), SV_MAX_WORD_CHARS);
    tokenizer->max_word_chars = (uint32_t)json_integer_value(max);

    SENVEC_TRY(read_vocabulary(tokenizer, &p));
    SENVEC_TRY(get_string(&p, "unk_token", &unknown));
    if (!sv_tokenizer_id(tokenizer, unknown, strlen(unknown), &tokenizer->unknown))
        return sv_fail(p.err, SENVEC_FORMAT, 0, "%s: model: unk_token \"%.40s\" is not in the vocabulary", p.path, unknown);
    return SENVEC_OK;
}

/* The id of an added token: the vocabulary's, else the next behind the vocabulary. The reference computes it like this and
 * ignores what the file says; a file that says something else is refused here. */
static senvec_status check_added_id(const sv_tokenizer *tokenizer, const part *p, const char *content, uint32_t id,
                                    uint32_t *next) {
    uint32_t expected;
    if (!sv_tokenizer_id(tokenizer, content, strlen(content), &expected))
        expected = (*next)++;
    if (id != expected)
        return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: added token \"%.40s\" has id %u, but the vocabulary makes it %u", p->path,
                       content, id, expected);
    return SENVEC_OK;
}

/* What an added token may look like. lstrip and rstrip need nothing: they give the token the white space beside it, and white
 * space has no ids anyway. (A token that starts with white space itself could be disturbed by them.) */
static senvec_status check_added_options(const part *p, const char *content) {
    bool single_word, normalized, lstrip, rstrip;
    SENVEC_TRY(get_bool(p, "single_word", &single_word));
    SENVEC_TRY(get_bool(p, "normalized", &normalized));
    SENVEC_TRY(get_bool(p, "lstrip", &lstrip));
    SENVEC_TRY(get_bool(p, "rstrip", &rstrip));
    const char *problem = NULL;
    uint32_t first;
    bool invalid = false;
    sv_utf8_decode((const uint8_t *)content, (const uint8_t *)content + strlen(content), &first, &invalid);
    sv_char_class class = sv_char_classify(first);
    if (single_word)
        problem = "single_word";
    else if (normalized)
        problem = "normalized";
    else if (class == SV_CHAR_SPACE || class == SV_CHAR_BREAK)
        problem = "white space at the start";
    else if (strstr(content, "\xef\xbf\xbd"))
        problem = "U+FFFD in it"; /* would have to match invalid bytes */
    if (problem)
        return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: added token \"%.40s\": %s is not supported", p->path, content,
                       problem);
    return SENVEC_OK;
}

static senvec_status read_added_tokens(sv_tokenizer *tokenizer, const part *file) {
    const json_t *list = json_object_get(file->object, "added_tokens");
    if (!list)
        return SENVEC_OK;
    if (!json_is_array(list))
        return sv_fail(file->err, SENVEC_FORMAT, 0, "%s: \"added_tokens\" is not a list", file->path);
    if (json_array_size(list) > SV_MAX_VOCABULARY)
        return sv_fail(file->err, SENVEC_TOO_LARGE, 0, "%s: %zu added tokens, but at most %u are read", file->path,
                       json_array_size(list), SV_MAX_VOCABULARY);
    void *memory;
    SENVEC_TRY(
        sv_arena_alloc(&tokenizer->arena, json_array_size(list), sizeof *tokenizer->added, "added tokens", &memory, file->err));
    tokenizer->added = memory;
    uint32_t next = (uint32_t)tokenizer->tokens;
    size_t i;
    json_t *value;
    json_array_foreach(list, i, value) {
        part p = {file->path, "added_tokens", value, file->err};
        const char *content;
        uint32_t id;
        SENVEC_TRY(get_string(&p, "content", &content));
        if (!is_id(json_object_get(value, "id"), &id))
            return fail_missing(&p, "id", "a token id");
        if (!*content)
            continue; /* as the reference does */
        SENVEC_TRY(check_added_options(&p, content));
        SENVEC_TRY(check_added_id(tokenizer, &p, content, id, &next));
        sv_added_token *added = &tokenizer->added[tokenizer->added_count++];
        added->length = strlen(content);
        added->id = id;
        SENVEC_TRY(sv_arena_string(&tokenizer->arena, content, added->length, &added->text, file->err));
        if (id >= tokenizer->size)
            tokenizer->size = (size_t)id + 1;
    }
    return SENVEC_OK;
}

/* One special token of a template: {"SpecialToken": {"id": name}}, where special_tokens has name: {"ids": [id]}. */
static senvec_status template_id(const part *p, const json_t *piece, uint32_t *id) {
    const json_t *name = json_object_get(json_object_get(piece, "SpecialToken"), "id");
    if (!json_is_string(name))
        return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: post_processor: only [CLS] text [SEP] is supported", p->path);
    const json_t *special = json_object_get(json_object_get(p->object, "special_tokens"), json_string_value(name));
    const json_t *ids = json_object_get(special, "ids");
    if (json_array_size(ids) != 1 || !is_id(json_array_get(ids, 0), id))
        return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: post_processor: special token \"%.40s\" is not one id", p->path,
                       json_string_value(name));
    return SENVEC_OK;
}

static senvec_status read_post_processor(sv_tokenizer *tokenizer, const part *file) {
    part p;
    SENVEC_TRY(open_part(file, "post_processor", "TemplateProcessing", "BertProcessing", &p));
    const char *type = json_string_value(json_object_get(p.object, "type"));
    if (strcmp(type, "BertProcessing") == 0) { /* cls and sep are [token, id] */
        if (!is_id(json_array_get(json_object_get(p.object, "cls"), 1), &tokenizer->first))
            return fail_missing(&p, "cls", "a token and its id");
        if (!is_id(json_array_get(json_object_get(p.object, "sep"), 1), &tokenizer->last))
            return fail_missing(&p, "sep", "a token and its id");
    } else {
        const json_t *single = json_object_get(p.object, "single");
        if (!json_is_array(single))
            return fail_missing(&p, "single", "a list");
        const json_t *sequence = json_object_get(json_object_get(json_array_get(single, 1), "Sequence"), "id");
        if (json_array_size(single) != 3 || !json_is_string(sequence) || strcmp(json_string_value(sequence), "A") != 0)
            return sv_fail(p.err, SENVEC_UNSUPPORTED, 0, "%s: post_processor: only [CLS] text [SEP] is supported", p.path);
        SENVEC_TRY(template_id(&p, json_array_get(single, 0), &tokenizer->first));
        SENVEC_TRY(template_id(&p, json_array_get(single, 2), &tokenizer->last));
    }
    size_t largest = tokenizer->first > tokenizer->last ? tokenizer->first : tokenizer->last;
    if (largest >= tokenizer->size)
        return sv_fail(p.err, SENVEC_FORMAT, 0, "%s: post_processor: id %zu is beyond the vocabulary of %zu", p.path, largest,
                       tokenizer->size);
    return SENVEC_OK;
}

static senvec_status read_parts(sv_tokenizer *tokenizer, const part *file) {
    if (!json_is_object(file->object))
        return sv_fail(file->err, SENVEC_FORMAT, 0, "%s: not a JSON object", file->path);
    const json_t *version = json_object_get(file->object, "version");
    if (version && (!json_is_string(version) || strcmp(json_string_value(version), "1.0") != 0))
        return sv_fail(file->err, SENVEC_UNSUPPORTED, 0, "%s: version is not \"1.0\"", file->path);
    part pre_tokenizer;
    SENVEC_TRY(read_model(tokenizer, file));
    SENVEC_TRY(read_normalizer(tokenizer, file));
    SENVEC_TRY(open_part(file, "pre_tokenizer", "BertPreTokenizer", NULL, &pre_tokenizer));
    SENVEC_TRY(read_added_tokens(tokenizer, file));
    return read_post_processor(tokenizer, file);
}

senvec_status sv_tokenizer_read_json(sv_tokenizer *tokenizer, const char *path, sv_file_map file, senvec_error *err) {
    json_t *json;
    SENVEC_TRY(sv_json_parse(path, file, 0, &json, err));
    part whole = {path, "the file", json, err};
    senvec_status status = read_parts(tokenizer, &whole);
    json_decref(json);
    return status;
}

/* Reading tokenizer.json, the file of Hugging Face `tokenizers` (version "1.0").
 *
 *     added_tokens     [{id, content, single_word, lstrip, rstrip, normalized, special}, ...]    tokenizer_config.c
 *     normalizer       normalizer_json.c
 *     pre_tokenizer    pre_tokenizer_json.c
 *     model            WordPiece (here), Unigram (unigram_json.c) or BPE (bpe_json.c)
 *     post_processor   post_processor_json.c
 *     truncation       its direction only
 *
 * `padding` and the rest of `truncation` are ignored (tokenizer.h says why), and so is `decoder`. Everything else that would
 * change ids is either honoured or refused by its name. */
#include <string.h>

#include "text/tokenizer_config.h"
#include "text/tokenizer_read.h"

senvec_status sv_tokenizer_note(sv_tokenizer *tokenizer, const char *text, size_t length, uint32_t id, const char *path,
                                senvec_error *err) {
    if (length > SV_MAX_TOKEN_BYTES)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: token %u has %zu bytes, but at most %u are read", path, id, length,
                       SV_MAX_TOKEN_BYTES);
    tokenizer->tokens++;
    if (id >= tokenizer->size)
        tokenizer->size = (size_t)id + 1;
    sv_token_texts_add(&tokenizer->texts, id, text, length);
    return SENVEC_OK;
}

senvec_status sv_vocabulary_measure(const sv_part *model, sv_json vocabulary, size_t *count, size_t *bytes, size_t *size) {
    sv_json_items items = sv_json_walk(vocabulary);
    sv_json token, value;
    *count = *bytes = *size = 0;
    for (; sv_json_step(&items, &token, &value); ++*count) {
        uint32_t id;
        *bytes += sv_json_text_length(token);
        if (!sv_json_id(value, &id))
            return sv_fail(model->err, SENVEC_FORMAT, 0, "%s: model: the id of token \"%.40s\" is not an integer from 0 to %u",
                           model->path, sv_json_text(token), SV_MAX_VOCABULARY - 1);
        if (id >= *size)
            *size = (size_t)id + 1;
    }
    if (*count > SV_MAX_VOCABULARY)
        return sv_fail(model->err, SENVEC_TOO_LARGE, 0, "%s: %zu tokens, but at most %u are read", model->path, *count,
                       SV_MAX_VOCABULARY);
    return SENVEC_OK;
}

static senvec_status read_wordpiece_vocabulary(sv_tokenizer *tokenizer, const sv_part *model) {
    sv_json vocabulary, token, value;
    size_t count, bytes, size;
    SENVEC_TRY(sv_part_object(model, "vocab", &vocabulary));
    SENVEC_TRY(sv_vocabulary_measure(model, vocabulary, &count, &bytes, &size));
    SENVEC_TRY(sv_tokenizer_reserve(tokenizer, count, bytes, size, model->path, model->err));
    sv_json_items items = sv_json_walk(vocabulary);
    while (sv_json_step(&items, &token, &value)) {
        uint32_t id;
        sv_json_id(value, &id);
        SENVEC_TRY(sv_tokenizer_add(tokenizer, sv_json_text(token), sv_json_text_length(token), id, model->path, model->err));
    }
    return SENVEC_OK;
}

senvec_status sv_wordpiece_read(sv_tokenizer *tokenizer, const sv_part *p, bool anew) {
    sv_wordpiece *model = &tokenizer->wordpiece;
    const char *prefix = "##";
    int64_t max = 100;
    if (!anew) {
        SENVEC_TRY(sv_part_string(p, "continuing_subword_prefix", &prefix));
        if (!sv_json_integer(sv_part_get(p, "max_input_chars_per_word"), &max) || max < 0)
            return sv_part_missing(p, "max_input_chars_per_word", "a number from 0 up");
    }
    if (max > (int64_t)SV_MAX_WORD_CHARS)
        return sv_fail(p->err, SENVEC_TOO_LARGE, 0, "%s: model: max_input_chars_per_word is %lld, but at most %u is supported",
                       p->path, (long long)max, SV_MAX_WORD_CHARS);
    model->max_word_chars = (uint32_t)max;
    model->prefix_length = strlen(prefix);
    SENVEC_TRY(sv_arena_string(&tokenizer->arena, prefix, model->prefix_length, &model->prefix, p->err));
    SENVEC_TRY(read_wordpiece_vocabulary(tokenizer, p));
    if (anew)
        return SENVEC_OK; /* sv_tokenizer_config_anew finds the rest */
    const char *unknown;
    SENVEC_TRY(sv_part_string(p, "unk_token", &unknown));
    if (!sv_tokenizer_id(tokenizer, unknown, strlen(unknown), &model->unknown))
        return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: model: unk_token \"%.40s\" is not in the vocabulary", p->path, unknown);
    return SENVEC_OK;
}

static senvec_status read_model(sv_tokenizer *tokenizer, const sv_part *p, const char *type, bool anew) {
    if (strcmp(type, "WordPiece") == 0)
        return sv_wordpiece_read(tokenizer, p, anew);
    if (strcmp(type, "Unigram") == 0)
        return sv_unigram_read(tokenizer, p);
    if (strcmp(type, "BPE") == 0)
        return sv_bpe_read(tokenizer, p, anew);
    return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: model \"%.40s\" is not supported", p->path, type);
}

/* ByteLevel gives bytes to the model, which only BPE can take. */
static senvec_status check_steps(const sv_tokenizer *tokenizer, const sv_part *file, const char *type) {
    if (tokenizer->model != SV_MODEL_BPE && sv_pre_tokenizers_give_bytes(tokenizer))
        return sv_fail(file->err, SENVEC_UNSUPPORTED, 0, "%s: pre_tokenizer ByteLevel with model \"%s\" is not supported",
                       file->path, type);
    return SENVEC_OK;
}

/* The side that tokenizer.json truncates on; everything else about truncation is ignored. */
static void read_truncation_side(sv_tokenizer *tokenizer, const sv_part *file) {
    tokenizer->truncate_left = sv_json_is(sv_json_member(sv_part_get(file, "truncation"), "direction"), "Left");
}

static senvec_status read_parts(sv_tokenizer *tokenizer, const sv_part *file, const sv_tokenizer_config *config) {
    if (file->object.kind != SV_JSON_OBJECT)
        return sv_fail(file->err, SENVEC_FORMAT, 0, "%s: not a JSON object", file->path);
    const sv_json version = sv_part_get(file, "version");
    if (version.kind != SV_JSON_NONE && !sv_json_is(version, "1.0"))
        return sv_fail(file->err, SENVEC_UNSUPPORTED, 0, "%s: version is not \"1.0\"", file->path);
    const sv_json object = sv_part_get(file, "model");
    if (object.kind != SV_JSON_OBJECT)
        return sv_fail(file->err, SENVEC_UNSUPPORTED, 0, "%s: no model", file->path);
    const sv_part model = sv_part_of(file->path, "model", object, file->err);
    const char *type;
    sv_tokenizer_class class;
    SENVEC_TRY(sv_part_string(&model, "type", &type));
    SENVEC_TRY(sv_tokenizer_config_class(config, type, &class));
    bool anew = class != SV_CLASS_PLAIN;
    if (anew) {
        SENVEC_TRY(sv_tokenizer_config_steps(tokenizer, config, class, file));
    } else {
        SENVEC_TRY(sv_normalizers_read(tokenizer, file));
        SENVEC_TRY(sv_pre_tokenizers_read(tokenizer, file));
    }
    SENVEC_TRY(read_model(tokenizer, &model, type, anew));
    SENVEC_TRY(check_steps(tokenizer, file, type));
    SENVEC_TRY(sv_tokenizer_config_added(tokenizer, config, class, file->path, sv_part_get(file, "added_tokens"), file->err));
    if (anew)
        SENVEC_TRY(sv_tokenizer_config_anew(tokenizer, config, class, file->path));
    else
        SENVEC_TRY(sv_post_processor_read(tokenizer, file));
    read_truncation_side(tokenizer, file);
    return sv_tokenizer_config_common(tokenizer, config, file->err);
}

senvec_status sv_tokenizer_read_json(sv_tokenizer *tokenizer, const char *path, sv_file_map file,
                                     const sv_tokenizer_config *config, senvec_error *err) {
    sv_json_document document;
    SENVEC_TRY(sv_json_document_open(path, file.data, file.size, &document, err));
    const sv_part whole = sv_part_of(path, "the file", document.root, err);
    senvec_status status = read_parts(tokenizer, &whole, config);
    sv_json_document_close(&document);
    return status;
}

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

#include "text/json_part.h"
#include "text/tokenizer_config.h"

/* Opens a top-level part that has a "type", which must be one of the two given (the second may be NULL). */
static senvec_status open_part(const sv_part *file, const char *name, const char *type, const char *other_type, sv_part *out) {
    const json_t *object = json_object_get(file->object, name);
    if (json_is_null(object) || !object)
        return sv_fail(file->err, SENVEC_UNSUPPORTED, 0, "%s: no %s; only %s is supported", file->path, name, type);
    *out = (sv_part){file->path, name, object, file->err};
    const char *is;
    SENVEC_TRY(sv_part_string(out, "type", &is));
    if (strcmp(is, type) != 0 && !(other_type && strcmp(is, other_type) == 0))
        return sv_fail(file->err, SENVEC_UNSUPPORTED, 0, "%s: %s \"%s\" is not supported, only %s", file->path, name, is, type);
    return SENVEC_OK;
}

static senvec_status read_normalizer(sv_tokenizer *tokenizer, const sv_part *file) {
    sv_part p;
    SENVEC_TRY(open_part(file, "normalizer", "BertNormalizer", NULL, &p));
    SENVEC_TRY(sv_part_bool(&p, "clean_text", &tokenizer->clean_text));
    SENVEC_TRY(sv_part_bool(&p, "handle_chinese_chars", &tokenizer->pad_cjk));
    SENVEC_TRY(sv_part_bool(&p, "lowercase", &tokenizer->lowercase));
    tokenizer->strip_accents = tokenizer->lowercase; /* what null means */
    return sv_part_option_bool(&p, "strip_accents", &tokenizer->strip_accents);
}

static senvec_status read_vocabulary(sv_tokenizer *tokenizer, const sv_part *model) {
    json_t *vocabulary = NULL;
    SENVEC_TRY(sv_part_object(model, "vocab", &vocabulary));
    size_t bytes = 0, size = 0;
    const char *token;
    json_t *value;
    uint32_t id;
    json_object_foreach(vocabulary, token, value) {
        bytes += strlen(token);
        if (!sv_json_id(value, &id))
            return sv_fail(model->err, SENVEC_FORMAT, 0, "%s: model: the id of token \"%.40s\" is not an integer from 0 to %u",
                           model->path, token, SV_MAX_VOCABULARY - 1);
        if (id >= size)
            size = (size_t)id + 1;
    }
    SENVEC_TRY(sv_tokenizer_reserve(tokenizer, json_object_size(vocabulary), bytes, size, model->path, model->err));
    json_object_foreach(vocabulary, token, value) {
        sv_json_id(value, &id);
        SENVEC_TRY(sv_tokenizer_add(tokenizer, token, strlen(token), id, model->path, model->err));
    }
    return SENVEC_OK;
}

static senvec_status read_wordpiece(sv_tokenizer *tokenizer, const sv_part *p, bool anew) {
    sv_wordpiece *model = &tokenizer->wordpiece;
    const char *prefix = "##";
    json_int_t max = 100;
    if (!anew) {
        SENVEC_TRY(sv_part_string(p, "continuing_subword_prefix", &prefix));
        const json_t *value = json_object_get(p->object, "max_input_chars_per_word");
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return sv_part_missing(p, "max_input_chars_per_word", "a number from 0 up");
        max = json_integer_value(value);
    }
    if (max > (json_int_t)SV_MAX_WORD_CHARS)
        return sv_fail(p->err, SENVEC_TOO_LARGE, 0, "%s: model: max_input_chars_per_word is %lld, but at most %u is supported",
                       p->path, (long long)max, SV_MAX_WORD_CHARS);
    model->max_word_chars = (uint32_t)max;
    model->prefix_length = strlen(prefix);
    SENVEC_TRY(sv_arena_string(&tokenizer->arena, prefix, model->prefix_length, &model->prefix, p->err));
    SENVEC_TRY(read_vocabulary(tokenizer, p));
    if (anew)
        return SENVEC_OK; /* sv_tokenizer_config_bert finds the rest */
    const char *unknown;
    SENVEC_TRY(sv_part_string(p, "unk_token", &unknown));
    if (!sv_tokenizer_id(tokenizer, unknown, strlen(unknown), &model->unknown))
        return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: model: unk_token \"%.40s\" is not in the vocabulary", p->path, unknown);
    return SENVEC_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- templates */

/* The id of a special token of a template; special_tokens has name: {"ids": [id]}. */
static senvec_status special_id(const sv_part *p, const json_t *name, uint32_t *id) {
    const char *text = json_is_string(name) ? json_string_value(name) : "";
    const json_t *ids = json_object_get(json_object_get(json_object_get(p->object, "special_tokens"), text), "ids");
    if (json_array_size(ids) != 1 || !sv_json_id(json_array_get(ids, 0), id))
        return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: post_processor: special token \"%.40s\" is not one id", p->path, text);
    return SENVEC_OK;
}

/* A list of {"SpecialToken": {"id": name, "type_id"}} and {"Sequence": {"id": "A" or "B", "type_id"}}, with each of `texts`
 * texts once and in order. */
static senvec_status read_template(const sv_part *p, const char *key, int texts, sv_template *out) {
    json_t *list;
    SENVEC_TRY(sv_part_array(p, key, &list));
    if (json_array_size(list) > SV_MAX_TEMPLATE)
        return sv_fail(p->err, SENVEC_TOO_LARGE, 0, "%s: post_processor: \"%s\" has %zu parts, but at most %u are supported",
                       p->path, key, json_array_size(list), SV_MAX_TEMPLATE);
    sv_template template = {0};
    int next = 0;
    size_t i;
    json_t *value;
    json_array_foreach(list, i, value) {
        const json_t *special = json_object_get(value, "SpecialToken"), *sequence = json_object_get(value, "Sequence");
        const char *text = json_string_value(json_object_get(sequence, "id"));
        struct sv_template_piece *piece = &template.pieces[template.count++];
        piece->text = -1;
        const json_t *type = json_object_get(special ? special : sequence, "type_id");
        if (!sv_json_id(type, &piece->type))
            return sv_part_missing(p, key, "a template whose parts have a type_id");
        if (special) {
            SENVEC_TRY(special_id(p, json_object_get(special, "id"), &piece->id));
            template.specials++;
        } else if (text && next < texts && strcmp(text, next == 0 ? "A" : "B") == 0) {
            piece->text = next++;
        } else {
            break;
        }
    }
    if (i < json_array_size(list) || next != texts)
        return sv_fail(p->err, SENVEC_UNSUPPORTED, 0,
                       "%s: post_processor: only a \"%s\" with each text once is supported, as in %s", p->path, key,
                       texts == 1 ? "[CLS] A [SEP]" : "[CLS] A [SEP] B [SEP]");
    *out = template;
    return SENVEC_OK;
}

/* Ids of the templates have to be ids of tokens. */
static senvec_status check_template(const sv_tokenizer *tokenizer, const sv_part *p, const sv_template *template) {
    for (size_t i = 0; i < template->count; i++)
        if (template->pieces[i].text < 0 && template->pieces[i].id >= tokenizer->size)
            return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: post_processor: id %u is beyond the vocabulary of %zu", p->path,
                           template->pieces[i].id, tokenizer->size);
    return SENVEC_OK;
}

static senvec_status read_post_processor(sv_tokenizer *tokenizer, const sv_part *file) {
    sv_part p;
    SENVEC_TRY(open_part(file, "post_processor", "TemplateProcessing", "BertProcessing", &p));
    const char *type = json_string_value(json_object_get(p.object, "type"));
    if (strcmp(type, "BertProcessing") == 0) { /* cls and sep are [token, id] */
        uint32_t first, last;
        if (!sv_json_id(json_array_get(json_object_get(p.object, "cls"), 1), &first))
            return sv_part_missing(&p, "cls", "a token and its id");
        if (!sv_json_id(json_array_get(json_object_get(p.object, "sep"), 1), &last))
            return sv_part_missing(&p, "sep", "a token and its id");
        sv_template_usual(tokenizer, first, last, false);
    } else {
        SENVEC_TRY(read_template(&p, "single", 1, &tokenizer->single));
        if (json_array_size(json_object_get(p.object, "pair")) > 0)
            SENVEC_TRY(read_template(&p, "pair", 2, &tokenizer->pair));
    }
    SENVEC_TRY(check_template(tokenizer, &p, &tokenizer->single));
    return check_template(tokenizer, &p, &tokenizer->pair);
}

/* The side that tokenizer.json truncates on; everything else about truncation is ignored. */
static void read_truncation_side(sv_tokenizer *tokenizer, const sv_part *file) {
    const char *side = json_string_value(json_object_get(json_object_get(file->object, "truncation"), "direction"));
    tokenizer->truncate_left = side && strcmp(side, "Left") == 0;
}

static senvec_status read_parts(sv_tokenizer *tokenizer, const sv_part *file, const sv_tokenizer_config *config) {
    if (!json_is_object(file->object))
        return sv_fail(file->err, SENVEC_FORMAT, 0, "%s: not a JSON object", file->path);
    const json_t *version = json_object_get(file->object, "version"), *added = json_object_get(file->object, "added_tokens");
    if (version && (!json_is_string(version) || strcmp(json_string_value(version), "1.0") != 0))
        return sv_fail(file->err, SENVEC_UNSUPPORTED, 0, "%s: version is not \"1.0\"", file->path);
    sv_part model, pre_tokenizer;
    sv_tokenizer_class class;
    SENVEC_TRY(open_part(file, "model", "WordPiece", NULL, &model));
    SENVEC_TRY(sv_tokenizer_config_class(config, "WordPiece", &class));
    SENVEC_TRY(read_wordpiece(tokenizer, &model, class != SV_CLASS_PLAIN));
    if (class == SV_CLASS_PLAIN) {
        SENVEC_TRY(read_normalizer(tokenizer, file));
        SENVEC_TRY(open_part(file, "pre_tokenizer", "BertPreTokenizer", NULL, &pre_tokenizer));
    }
    SENVEC_TRY(sv_tokenizer_config_added(tokenizer, config, class, file->path, added, file->err));
    if (class == SV_CLASS_PLAIN)
        SENVEC_TRY(read_post_processor(tokenizer, file));
    else
        SENVEC_TRY(sv_tokenizer_config_bert(tokenizer, config, class, file->path, file->err));
    read_truncation_side(tokenizer, file);
    return sv_tokenizer_config_common(tokenizer, config, file->err);
}

senvec_status sv_tokenizer_read_json(sv_tokenizer *tokenizer, const char *path, sv_file_map file,
                                     const sv_tokenizer_config *config, senvec_error *err) {
    json_t *json;
    SENVEC_TRY(sv_json_parse(path, file, 0, &json, err));
    sv_part whole = {path, "the file", json, err};
    senvec_status status = read_parts(tokenizer, &whole, config);
    json_decref(json);
    return status;
}

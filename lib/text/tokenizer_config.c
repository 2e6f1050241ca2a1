/* Obeying tokenizer_config.json as transformers 5 does.
 *
 * transformers chooses a class by "tokenizer_class". PreTrainedTokenizerFast takes tokenizer.json as it is. The classes of the
 * table below take the vocabulary alone and make the rest by themselves, whatever tokenizer.json says: BertTokenizer and its
 * like BertNormalizer with clean_text, and with
 *
 *     do_lower_case (true), tokenize_chinese_chars (true), strip_accents (null: as do_lower_case)
 *
 * and "##", 100 characters a word; XLMRobertaTokenizer the charsmap of tokenizer.json, WhitespaceSplit and Metaspace;
 * RobertaTokenizer ByteLevel, both by add_prefix_space; all of them the template from their special tokens, and as added tokens
 * those of "added_tokens_decoder" or else of tokenizer.json, and the special ones. Where no class is named it depends on the
 * model's type, which for WordPiece is always BERT's. Where there is no tokenizer_config.json, tokenizer.json is taken as it
 * is.
 *
 *     truncation_side                which end of a text is cut ("right")
 *     split_special_tokens           special tokens in a text are text (false)
 *     added_tokens_decoder           {"id": {content, single_word, lstrip, rstrip, normalized, special}, ...}
 *     unk_token, cls_token, sep_token, pad_token, mask_token, bos_token, eos_token: a string, or an object with "content"
 *     extra_special_tokens or additional_special_tokens: a list of them */
#include "text/tokenizer_config.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/model_files.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_read.h"
#include "text/unigram.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *name; /* without "Fast" */
    sv_tokenizer_class class;
} classes[] = {
    {"BertTokenizer", SV_CLASS_BERT},           {"DistilBertTokenizer", SV_CLASS_BERT},
    {"ElectraTokenizer", SV_CLASS_BERT},        {"MobileBertTokenizer", SV_CLASS_BERT},
    {"SqueezeBertTokenizer", SV_CLASS_BERT},    {"LxmertTokenizer", SV_CLASS_BERT},
    {"LayoutLMTokenizer", SV_CLASS_BERT},       {"MPNetTokenizer", SV_CLASS_MPNET},
    {"RobertaTokenizer", SV_CLASS_ROBERTA},     {"LongformerTokenizer", SV_CLASS_ROBERTA},
    {"BartTokenizer", SV_CLASS_ROBERTA},        {"XLMRobertaTokenizer", SV_CLASS_XLM_ROBERTA},
    {"CamembertTokenizer", SV_CLASS_CAMEMBERT},
};

/* The special tokens that have a name, and what they are where the arguments don't say. */
static const struct {
    const char *key, *bert, *mpnet, *others;
} specials[] = {
    {"bos_token", NULL, "<s>", "<s>"},
    {"eos_token", NULL, "</s>", "</s>"},
    {"unk_token", "[UNK]", "[UNK]", "<unk>"},
    {"sep_token", "[SEP]", "</s>", "</s>"},
    {"pad_token", "[PAD]", "<pad>", "<pad>"},
    {"cls_token", "[CLS]", "<s>", "<s>"},
    {"mask_token", "[MASK]", "<mask>", "<mask>"},
};

/* The model that a class is for. */
static const char *model_of(sv_tokenizer_class class) {
    switch (class) {
    case SV_CLASS_PLAIN:
        break;
    case SV_CLASS_BERT:
    case SV_CLASS_MPNET:
        return "WordPiece";
    case SV_CLASS_ROBERTA:
        return "BPE";
    case SV_CLASS_XLM_ROBERTA:
    case SV_CLASS_CAMEMBERT:
        return "Unigram";
    }
    return NULL;
}

static senvec_status read_class(sv_tokenizer_config *config, senvec_error *err) {
    const char *name = NULL;
    SENVEC_TRY(sv_part_option_string(&config->part, "tokenizer_class", &name));
    if (!name)
        return SENVEC_OK;
    config->named = true;
    config->class_name = name;
    if (strncmp(name, "BertJapanese", 12) == 0)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: tokenizer_class \"%s\" is not supported", config->path, name);
    for (size_t i = 0; i < COUNT(classes); i++) {
        size_t length = strlen(classes[i].name);
        if (strncmp(name, classes[i].name, length) == 0 && (!name[length] || strcmp(name + length, "Fast") == 0))
            config->class = classes[i].class;
    }
    return SENVEC_OK;
}

senvec_status sv_tokenizer_config_open(sv_tokenizer_config *config, const char *folder, const sv_file_map *file,
                                       senvec_error *err) {
    *config = (sv_tokenizer_config){0};
    SENVEC_TRY(sv_path_join(folder, SV_MODEL_TOKENIZER_CONFIG, config->path, err));
    config->part = sv_part_of(config->path, "the file", (sv_json){0}, err);
    if (!file)
        return SENVEC_OK;
    SENVEC_TRY(sv_json_document_open(config->path, file->data, file->size, &config->document, err));
    config->part = sv_part_of(config->path, "the file", config->document.root, err);
    if (config->part.object.kind != SV_JSON_OBJECT)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: not a JSON object", config->path);
    return read_class(config, err);
}

void sv_tokenizer_config_close(sv_tokenizer_config *config) {
    sv_json_document_close(&config->document);
}

senvec_status sv_tokenizer_config_class(const sv_tokenizer_config *config, const char *model, sv_tokenizer_class *out) {
    *out = SV_CLASS_PLAIN;
    if (config->part.object.kind == SV_JSON_NONE)
        return SENVEC_OK;
    *out = config->named ? config->class : strcmp(model, "WordPiece") == 0 ? SV_CLASS_BERT : SV_CLASS_PLAIN;
    const char *wanted = model_of(*out);
    if (wanted && strcmp(wanted, model) != 0)
        return sv_fail(config->part.err, SENVEC_UNSUPPORTED, 0,
                       "%s: tokenizer_class \"%.40s\" is for %s, but tokenizer.json has model \"%.40s\"", config->path,
                       config->class_name, wanted, model);
    return SENVEC_OK;
}

/* ------------------------------------------------------------------------------------------------------------ added tokens */

/* An added token as JSON: a string, which is special, or an object with its options. Absent options are false. */
static senvec_status read_token(const sv_part *p, sv_json value, sv_added_token *out) {
    *out = (sv_added_token){.special = true};
    if (value.kind == SV_JSON_STRING) {
        out->text = sv_json_text(value);
        out->length = sv_json_text_length(value);
        return SENVEC_OK;
    }
    const sv_part token = sv_part_of(p->path, p->name, value, p->err);
    SENVEC_TRY(sv_part_string(&token, "content", &out->text));
    out->length = strlen(out->text);
    SENVEC_TRY(sv_part_option_bool(&token, "special", &out->special));
    out->normalized = !out->special;
    SENVEC_TRY(sv_part_option_bool(&token, "single_word", &out->single_word));
    SENVEC_TRY(sv_part_option_bool(&token, "lstrip", &out->lstrip));
    SENVEC_TRY(sv_part_option_bool(&token, "rstrip", &out->rstrip));
    return sv_part_option_bool(&token, "normalized", &out->normalized);
}

/* The added tokens of tokenizer.json, which all options are written out in. */
static senvec_status add_listed(sv_tokenizer *tokenizer, const char *path, sv_json list, senvec_error *err) {
    sv_json_items items = sv_json_walk(list);
    sv_json value;
    while (sv_json_step(&items, NULL, &value)) {
        const sv_part p = sv_part_of(path, "added_tokens", value, err);
        sv_added_token token = {0};
        uint32_t id;
        SENVEC_TRY(sv_part_string(&p, "content", &token.text));
        if (!sv_json_id(sv_part_get(&p, "id"), &id))
            return sv_part_missing(&p, "id", "a token id");
        token.length = strlen(token.text);
        if (token.length == 0)
            continue; /* as the reference does */
        SENVEC_TRY(sv_part_bool(&p, "single_word", &token.single_word));
        SENVEC_TRY(sv_part_bool(&p, "normalized", &token.normalized));
        SENVEC_TRY(sv_part_bool(&p, "lstrip", &token.lstrip));
        SENVEC_TRY(sv_part_bool(&p, "rstrip", &token.rstrip));
        SENVEC_TRY(sv_part_option_bool(&p, "special", &token.special));
        SENVEC_TRY(sv_added_tokens_put(tokenizer, path, &token, &id, err));
    }
    return SENVEC_OK;
}

typedef struct decoded {
    uint32_t id;
    sv_json token;
} decoded;

static int compare_decoded(const void *left, const void *right) {
    const decoded *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

/* added_tokens_decoder, by ascending id. */
static senvec_status add_decoder(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, sv_json decoder,
                                 senvec_error *err) {
    const sv_part p = sv_part_of(config->path, "added_tokens_decoder", decoder, err);
    size_t count = 0;
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&tokenizer->arena, sv_json_count(decoder), sizeof(decoded), "added tokens", &memory, err));
    decoded *sorted = memory;
    sv_json_items items = sv_json_walk(decoder);
    sv_json name, value;
    while (sv_json_step(&items, &name, &value)) {
        const char *key = sv_json_text(name);
        char *end;
        unsigned long id = strtoul(key, &end, 10);
        if (*end || end == key || id >= SV_MAX_VOCABULARY)
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: added_tokens_decoder: \"%.40s\" is not a token id", p.path, key);
        sorted[count++] = (decoded){(uint32_t)id, value};
    }
    if (count > 1)
        qsort(sorted, count, sizeof *sorted, compare_decoded);
    for (size_t i = 0; i < count; i++) {
        sv_added_token token;
        SENVEC_TRY(read_token(&p, sorted[i].token, &token));
        if (token.length > 0)
            SENVEC_TRY(sv_added_tokens_put(tokenizer, p.path, &token, &sorted[i].id, err));
    }
    return SENVEC_OK;
}

static const char *usual_token(size_t i, sv_tokenizer_class class) {
    if (class == SV_CLASS_PLAIN)
        return NULL;
    return class == SV_CLASS_BERT ? specials[i].bert : class == SV_CLASS_MPNET ? specials[i].mpnet : specials[i].others;
}

/* specials[i]: what the arguments say, else what is usual; length 0: there is none. */
static senvec_status named_special(const sv_tokenizer_config *config, sv_tokenizer_class class, size_t i, sv_added_token *out) {
    const sv_json value = sv_part_option(&config->part, specials[i].key);
    const sv_part p = sv_part_of(config->path, specials[i].key, (sv_json){0}, config->part.err);
    const char *usual = usual_token(i, class);
    *out = (sv_added_token){.text = usual, .length = usual ? strlen(usual) : 0, .special = true};
    if (value.kind != SV_JSON_NONE)
        SENVEC_TRY(read_token(&p, value, out));
    out->special = true;
    if ((class == SV_CLASS_MPNET || class == SV_CLASS_CAMEMBERT) && value.kind != SV_JSON_OBJECT &&
        strcmp(specials[i].key, "mask_token") == 0)
        out->lstrip = true;
    return SENVEC_OK;
}

/* Adds a special token that isn't an added token yet, where the vocabulary has it. One that it doesn't have would get an id
 * that the model has no row for. */
static senvec_status add_special(sv_tokenizer *tokenizer, const char *path, const sv_added_token *token, senvec_error *err) {
    uint32_t id;
    if (token->length == 0 || sv_added_tokens_has(tokenizer, token->text, token->length) ||
        !sv_tokenizer_id(tokenizer, token->text, token->length, &id))
        return SENVEC_OK;
    return sv_added_tokens_put(tokenizer, path, token, NULL, err);
}

/* A list, or an object whose values count. */
static sv_json extra_specials(const sv_tokenizer_config *config) {
    const sv_json list = sv_part_option(&config->part, "extra_special_tokens");
    if (list.kind == SV_JSON_NONE || (list.kind == SV_JSON_ARRAY && sv_json_count(list) == 0))
        return sv_part_get(&config->part, "additional_special_tokens");
    return list;
}

static size_t text_bytes(sv_json value) {
    return sv_json_text_length(value.kind == SV_JSON_OBJECT ? sv_json_member(value, "content") : value);
}

/* Of all items together. */
static size_t texts_bytes(sv_json list) {
    sv_json_items items = sv_json_walk(list);
    sv_json value;
    size_t bytes = 0;
    while (sv_json_step(&items, NULL, &value))
        bytes += text_bytes(value);
    return bytes;
}

/* Room for all that could be added. */
static senvec_status reserve(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, sv_json list, sv_json decoder,
                             senvec_error *err) {
    const sv_json extra = extra_specials(config);
    size_t count = sv_json_count(list) + sv_json_count(decoder) + sv_json_count(extra) + COUNT(specials);
    if (count > SV_MAX_ADDED_TOKENS)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: %zu added tokens, but at most %u are read", config->path, count,
                       SV_MAX_ADDED_TOKENS);
    size_t bytes = texts_bytes(list) + texts_bytes(decoder) + texts_bytes(extra);
    for (size_t i = 0; i < COUNT(specials); i++)
        bytes += 8 + text_bytes(sv_part_get(&config->part, specials[i].key));
    return sv_added_tokens_reserve(tokenizer, count, bytes, err);
}

senvec_status sv_tokenizer_config_added(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, sv_tokenizer_class class,
                                        const char *path, sv_json list, senvec_error *err) {
    const sv_json decoder = sv_part_get(&config->part, "added_tokens_decoder");
    if (decoder.kind != SV_JSON_NONE && decoder.kind != SV_JSON_OBJECT)
        return sv_part_missing(&config->part, "added_tokens_decoder", "an object");
    if (list.kind != SV_JSON_NONE && list.kind != SV_JSON_ARRAY)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: \"added_tokens\" is not a list", path);
    SENVEC_TRY(reserve(tokenizer, config, list, decoder, err));
    if (class == SV_CLASS_PLAIN || decoder.kind == SV_JSON_NONE)
        SENVEC_TRY(add_listed(tokenizer, path, list, err));
    SENVEC_TRY(add_decoder(tokenizer, config, decoder, err));
    sv_added_token token;
    for (size_t i = 0; i < COUNT(specials); i++) {
        SENVEC_TRY(named_special(config, class, i, &token));
        SENVEC_TRY(add_special(tokenizer, config->path, &token, err));
    }
    const sv_json extra = extra_specials(config);
    const sv_part p = sv_part_of(config->path, "extra_special_tokens", (sv_json){0}, err);
    sv_json_items items = sv_json_walk(extra);
    sv_json value;
    while (sv_json_step(&items, NULL, &value)) {
        SENVEC_TRY(read_token(&p, value, &token));
        SENVEC_TRY(add_special(tokenizer, config->path, &token, err));
    }
    return SENVEC_OK;
}

/* ------------------------------------------------------------------------------------------------- what a class makes anew */

static senvec_status bert_steps(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, const sv_part *file) {
    sv_normalizer *normalizer = NULL;
    sv_pre_tokenizer *pre_tokenizer = NULL;
    SENVEC_TRY(sv_normalizer_add(tokenizer, file->path, &normalizer, file->err));
    *normalizer = (sv_normalizer){.kind = SV_NORMALIZER_BERT, .clean_text = true, .pad_cjk = true, .lowercase = true};
    SENVEC_TRY(sv_part_option_bool(&config->part, "do_lower_case", &normalizer->lowercase));
    SENVEC_TRY(sv_part_option_bool(&config->part, "tokenize_chinese_chars", &normalizer->pad_cjk));
    normalizer->strip_accents = normalizer->lowercase;
    SENVEC_TRY(sv_part_option_bool(&config->part, "strip_accents", &normalizer->strip_accents));
    SENVEC_TRY(sv_pre_tokenizer_add(tokenizer, file->path, &pre_tokenizer, file->err));
    pre_tokenizer->kind = SV_PRE_TOKENIZER_BERT;
    return SENVEC_OK;
}

senvec_status sv_tokenizer_config_steps(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, sv_tokenizer_class class,
                                        const sv_part *file) {
    bool prefix = class != SV_CLASS_ROBERTA;
    if (class == SV_CLASS_BERT || class == SV_CLASS_MPNET)
        return bert_steps(tokenizer, config, file);
    SENVEC_TRY(sv_part_option_bool(&config->part, "add_prefix_space", &prefix));
    if (class == SV_CLASS_ROBERTA)
        return sv_pre_tokenizers_byte_level(tokenizer, file->path, prefix, file->err);
    SENVEC_TRY(sv_charsmap_normalizer_read(tokenizer, file));
    return sv_pre_tokenizers_sentencepiece(tokenizer, file->path, prefix, file->err);
}

/* The id of the special token `key`. */
static senvec_status special_id(const sv_tokenizer *tokenizer, const sv_tokenizer_config *config, sv_tokenizer_class class,
                                const char *key, const char *path, uint32_t *id) {
    sv_added_token token = {0};
    for (size_t i = 0; i < COUNT(specials); i++)
        if (strcmp(specials[i].key, key) == 0)
            SENVEC_TRY(named_special(config, class, i, &token));
    if (!sv_tokenizer_any_id(tokenizer, token.text, token.length, id))
        return sv_fail(config->part.err, SENVEC_FORMAT, 0, "%s: the %s \"%.40s\" is not in it", path, key, token.text);
    return SENVEC_OK;
}

senvec_status sv_tokenizer_config_anew(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, sv_tokenizer_class class,
                                       const char *path) {
    bool sentencepiece = class == SV_CLASS_XLM_ROBERTA || class == SV_CLASS_CAMEMBERT;
    uint32_t first, last;
    if (class == SV_CLASS_BERT || class == SV_CLASS_MPNET)
        SENVEC_TRY(special_id(tokenizer, config, class, "unk_token", path, &tokenizer->wordpiece.unknown));
    if (class == SV_CLASS_XLM_ROBERTA) {
        tokenizer->unigram->unknown = 3; /* whatever its unk_id */
        if (tokenizer->tokens <= 3)
            return sv_fail(config->part.err, SENVEC_FORMAT, 0, "%s: a vocabulary of %zu pieces has no unknown one", path,
                           tokenizer->tokens);
    }
    if (class == SV_CLASS_CAMEMBERT)
        SENVEC_TRY(special_id(tokenizer, config, class, "unk_token", path, &tokenizer->unigram->unknown));
    if (sentencepiece)
        tokenizer->unigram->byte_fallback = false;
    SENVEC_TRY(special_id(tokenizer, config, class, sentencepiece ? "bos_token" : "cls_token", path, &first));
    SENVEC_TRY(special_id(tokenizer, config, class, sentencepiece ? "eos_token" : "sep_token", path, &last));
    sv_template_usual(tokenizer, first, last, class != SV_CLASS_BERT);
    return SENVEC_OK;
}

senvec_status sv_tokenizer_config_common(sv_tokenizer *tokenizer, const sv_tokenizer_config *config, senvec_error *err) {
    const char *side = NULL;
    SENVEC_TRY(sv_part_option_string(&config->part, "truncation_side", &side));
    if (side && strcmp(side, "left") != 0 && strcmp(side, "right") != 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: truncation_side \"%.40s\" is neither \"left\" nor \"right\"", config->path,
                       side);
    if (side)
        tokenizer->truncate_left = strcmp(side, "left") == 0;
    return sv_part_option_bool(&config->part, "split_special_tokens", &tokenizer->split_specials);
}

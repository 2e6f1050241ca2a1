/* Reading "normalizer" of tokenizer.json: null, one of these, or {"type": "Sequence", "normalizers": [...]}.
 *
 *     NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Nmt
 *     BertNormalizer   clean_text, handle_chinese_chars, strip_accents, lowercase
 *     Precompiled      precompiled_charsmap
 *     Replace          pattern {"String"} or {"Regex"}, content
 *     Prepend          prepend
 *     Strip            strip_left, strip_right */
#include <string.h>

#include "text/normalizer.h"
#include "text/tokenizer_read.h"

senvec_status sv_normalizer_add(sv_tokenizer *tokenizer, const char *path, sv_normalizer **out, senvec_error *err) {
    if (!tokenizer->normalizers) {
        void *memory;
        SENVEC_TRY(sv_arena_alloc(&tokenizer->arena, SV_MAX_STEPS, sizeof(sv_normalizer), "normalizers", &memory, err));
        tokenizer->normalizers = memory;
    }
    if (tokenizer->normalizer_count == SV_MAX_STEPS)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: more than %u normalizers are not supported", path, SV_MAX_STEPS);
    *out = &tokenizer->normalizers[tokenizer->normalizer_count++];
    return SENVEC_OK;
}

static senvec_status copy(sv_tokenizer *tokenizer, const sv_part *p, const char *key, const char **out, size_t *length) {
    const char *text;
    SENVEC_TRY(sv_part_string(p, key, &text));
    *length = strlen(text);
    return sv_arena_string(&tokenizer->arena, text, *length, out, p->err);
}

static senvec_status read_bert(sv_normalizer *out, const sv_part *p) {
    out->kind = SV_NORMALIZER_BERT;
    SENVEC_TRY(sv_part_bool(p, "clean_text", &out->clean_text));
    SENVEC_TRY(sv_part_bool(p, "handle_chinese_chars", &out->pad_cjk));
    SENVEC_TRY(sv_part_bool(p, "lowercase", &out->lowercase));
    out->strip_accents = out->lowercase; /* what null means */
    return sv_part_option_bool(p, "strip_accents", &out->strip_accents);
}

/* The regular expressions that known models replace: runs of spaces, or of white space. */
static senvec_status read_expression(sv_normalizer *out, const sv_part *p, const char *expression) {
    static const struct {
        const char *expression;
        sv_normalizer_kind kind;
        size_t least;
    } known[] = {
        {" {2,}", SV_NORMALIZER_REPLACE_SPACES, 2},  {"[ ]{2,}", SV_NORMALIZER_REPLACE_SPACES, 2},
        {" +", SV_NORMALIZER_REPLACE_SPACES, 1},     {"\\s+", SV_NORMALIZER_REPLACE_WHITE, 1},
        {"\\s{2,}", SV_NORMALIZER_REPLACE_WHITE, 2},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].expression, expression) == 0) {
            out->kind = known[i].kind;
            out->least = known[i].least;
            return SENVEC_OK;
        }
    return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: normalizer Replace: the regular expression \"%.100s\" is not supported",
                   p->path, expression);
}

static senvec_status read_replace(sv_tokenizer *tokenizer, sv_normalizer *out, const sv_part *p) {
    sv_json pattern;
    SENVEC_TRY(sv_part_object(p, "pattern", &pattern));
    SENVEC_TRY(copy(tokenizer, p, "content", &out->content, &out->content_length));
    const sv_json expression = sv_json_member(pattern, "Regex");
    if (expression.kind == SV_JSON_STRING)
        return read_expression(out, p, sv_json_text(expression));
    const sv_part of_pattern = sv_part_of(p->path, "normalizer Replace", pattern, p->err);
    out->kind = SV_NORMALIZER_REPLACE;
    return copy(tokenizer, &of_pattern, "String", &out->pattern, &out->pattern_length);
}

static senvec_status read_precompiled(sv_tokenizer *tokenizer, sv_normalizer *out, const sv_part *p) {
    const char *charsmap;
    out->kind = SV_NORMALIZER_PRECOMPILED;
    SENVEC_TRY(sv_part_string(p, "precompiled_charsmap", &charsmap));
    return sv_charsmap_read(&out->charsmap, charsmap, strlen(charsmap), p->path, &tokenizer->arena, p->err);
}

static senvec_status read_one(sv_tokenizer *tokenizer, const sv_part *p, unsigned depth);

static senvec_status read_list(sv_tokenizer *tokenizer, const sv_part *p, unsigned depth) {
    sv_json list, value;
    SENVEC_TRY(sv_part_array(p, "normalizers", &list));
    sv_json_items items = sv_json_walk(list);
    while (sv_json_step(&items, NULL, &value)) {
        const sv_part step = sv_part_of(p->path, "normalizer", value, p->err);
        SENVEC_TRY(read_one(tokenizer, &step, depth + 1));
    }
    return SENVEC_OK;
}

static senvec_status read_one(sv_tokenizer *tokenizer, const sv_part *p, unsigned depth) {
    static const struct {
        const char *type;
        sv_normalizer_kind kind;
    } simple[] = {
        {"NFC", SV_NORMALIZER_NFC},
        {"NFD", SV_NORMALIZER_NFD},
        {"NFKC", SV_NORMALIZER_NFKC},
        {"NFKD", SV_NORMALIZER_NFKD},
        {"Nmt", SV_NORMALIZER_NMT},
        {"Lowercase", SV_NORMALIZER_LOWERCASE},
        {"StripAccents", SV_NORMALIZER_STRIP_ACCENTS},
    };
    const char *type;
    SENVEC_TRY(sv_part_string(p, "type", &type));
    if (strcmp(type, "Sequence") == 0 && depth < SV_MAX_STEPS)
        return read_list(tokenizer, p, depth);
    sv_normalizer *step = NULL;
    SENVEC_TRY(sv_normalizer_add(tokenizer, p->path, &step, p->err));
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++)
        if (strcmp(type, simple[i].type) == 0) {
            step->kind = simple[i].kind;
            return SENVEC_OK;
        }
    if (strcmp(type, "BertNormalizer") == 0)
        return read_bert(step, p);
    if (strcmp(type, "Precompiled") == 0)
        return read_precompiled(tokenizer, step, p);
    if (strcmp(type, "Replace") == 0)
        return read_replace(tokenizer, step, p);
    if (strcmp(type, "Prepend") == 0) {
        step->kind = SV_NORMALIZER_PREPEND;
        return copy(tokenizer, p, "prepend", &step->content, &step->content_length);
    }
    if (strcmp(type, "Strip") == 0) {
        step->kind = SV_NORMALIZER_STRIP;
        SENVEC_TRY(sv_part_bool(p, "strip_left", &step->left));
        return sv_part_bool(p, "strip_right", &step->right);
    }
    return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: normalizer \"%.40s\" is not supported", p->path, type);
}

senvec_status sv_normalizers_read(sv_tokenizer *tokenizer, const sv_part *file) {
    const sv_json object = sv_part_option(file, "normalizer");
    if (object.kind == SV_JSON_NONE)
        return SENVEC_OK;
    const sv_part p = sv_part_of(file->path, "normalizer", object, file->err);
    return read_one(tokenizer, &p, 0);
}

senvec_status sv_charsmap_normalizer_read(sv_tokenizer *tokenizer, const sv_part *file) {
    const sv_json object = sv_part_get(file, "normalizer"), list = sv_json_member(object, "normalizers");
    sv_json_items items = sv_json_walk(list);
    sv_json value = object;
    while (list.kind == SV_JSON_NONE || sv_json_step(&items, NULL, &value)) {
        const sv_part p = sv_part_of(file->path, "normalizer", value, file->err);
        if (sv_json_is(sv_part_get(&p, "type"), "Precompiled"))
            return read_one(tokenizer, &p, 0);
        if (list.kind == SV_JSON_NONE)
            break;
    }
    return SENVEC_OK;
}

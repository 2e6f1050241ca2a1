/* Reading "pre_tokenizer" of tokenizer.json: null, one of these, or {"type": "Sequence", "pretokenizers": [...]}.
 *
 *     BertPreTokenizer, Whitespace, WhitespaceSplit
 *     Punctuation          behavior ("Isolated")
 *     Digits               individual_digits
 *     Split                pattern {"String"} or {"Regex"}, behavior, invert
 *     CharDelimiterSplit   delimiter
 *     Metaspace            replacement, prepend_scheme ("always"), split (true)
 *     ByteLevel            add_prefix_space, use_regex (true); the last one */
#include <string.h>

#include "text/pre_tokenizer.h"
#include "text/tokenizer_read.h"

senvec_status sv_pre_tokenizer_add(sv_tokenizer *tokenizer, const char *path, sv_pre_tokenizer **out, senvec_error *err) {
    if (!tokenizer->pre_tokenizers) {
        void *memory;
        SENVEC_TRY(sv_arena_alloc(&tokenizer->arena, SV_MAX_STEPS, sizeof(sv_pre_tokenizer), "pre-tokenizers", &memory, err));
        tokenizer->pre_tokenizers = memory;
    }
    if (tokenizer->pre_tokenizer_count == SV_MAX_STEPS)
        return sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: more than %u pre-tokenizers are not supported", path, SV_MAX_STEPS);
    *out = &tokenizer->pre_tokenizers[tokenizer->pre_tokenizer_count++];
    return SENVEC_OK;
}

static senvec_status copy(sv_tokenizer *tokenizer, const sv_part *p, const char *key, sv_pre_tokenizer *out) {
    const char *text;
    SENVEC_TRY(sv_part_string(p, key, &text));
    out->length = strlen(text);
    if (out->length == 0)
        return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: pre_tokenizer: an empty \"%s\" is not supported", p->path, key);
    return sv_arena_string(&tokenizer->arena, text, out->length, &out->string, p->err);
}

static senvec_status read_behavior(const sv_part *p, sv_split_behavior *out) {
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    const char *name;
    SENVEC_TRY(sv_part_string(p, "behavior", &name));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0) {
            *out = (sv_split_behavior)i;
            return SENVEC_OK;
        }
    return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: pre_tokenizer: behavior \"%.40s\" is not supported", p->path, name);
}

static senvec_status read_split(sv_tokenizer *tokenizer, sv_pre_tokenizer *out, const sv_part *p) {
    sv_json pattern;
    SENVEC_TRY(sv_part_object(p, "pattern", &pattern));
    SENVEC_TRY(read_behavior(p, &out->behavior));
    SENVEC_TRY(sv_part_bool(p, "invert", &out->invert));
    const char *expression = sv_json_text(sv_json_member(pattern, "Regex"));
    if (!expression) {
        const sv_part of_pattern = sv_part_of(p->path, "pre_tokenizer Split", pattern, p->err);
        out->kind = SV_PRE_TOKENIZER_STRING;
        return copy(tokenizer, &of_pattern, "String", out);
    }
    out->kind = SV_PRE_TOKENIZER_PATTERN;
    out->pattern = sv_pattern_of(expression, &out->covers);
    if (!out->pattern)
        return sv_fail(p->err, SENVEC_UNSUPPORTED, 0,
                       "%s: pre_tokenizer Split: the regular expression \"%.200s\" is not supported", p->path, expression);
    return SENVEC_OK;
}

static senvec_status read_metaspace(sv_tokenizer *tokenizer, sv_pre_tokenizer *out, const sv_part *p) {
    static const char *const schemes[] = {"always", "first", "never"};
    const char *scheme = "always";
    bool prefix = true, known = false;
    out->kind = SV_PRE_TOKENIZER_METASPACE;
    out->split = true;
    out->behavior = SV_SPLIT_MERGED_WITH_NEXT;
    SENVEC_TRY(copy(tokenizer, p, "replacement", out));
    SENVEC_TRY(sv_part_option_string(p, "prepend_scheme", &scheme));
    SENVEC_TRY(sv_part_option_bool(p, "split", &out->split));
    SENVEC_TRY(sv_part_option_bool(p, "add_prefix_space", &prefix));
    for (size_t i = 0; i < 3; i++)
        if (strcmp(schemes[i], scheme) == 0) {
            out->prepend = (sv_prepend_scheme)i;
            known = true;
        }
    if (!known)
        return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: pre_tokenizer Metaspace: prepend_scheme \"%.40s\" is not supported",
                       p->path, scheme);
    if (!prefix && out->prepend != SV_PREPEND_NEVER)
        return sv_fail(p->err, SENVEC_FORMAT, 0,
                       "%s: pre_tokenizer Metaspace: add_prefix_space false contradicts prepend_scheme", p->path);
    return SENVEC_OK;
}

static senvec_status read_one(sv_tokenizer *tokenizer, const sv_part *p, unsigned depth);

static senvec_status read_list(sv_tokenizer *tokenizer, const sv_part *p, unsigned depth) {
    sv_json list, value;
    SENVEC_TRY(sv_part_array(p, "pretokenizers", &list));
    sv_json_items items = sv_json_walk(list);
    while (sv_json_step(&items, NULL, &value)) {
        const sv_part step = sv_part_of(p->path, "pre_tokenizer", value, p->err);
        SENVEC_TRY(read_one(tokenizer, &step, depth + 1));
    }
    return SENVEC_OK;
}

static senvec_status read_one(sv_tokenizer *tokenizer, const sv_part *p, unsigned depth) {
    const char *type;
    bool single = false;
    SENVEC_TRY(sv_part_string(p, "type", &type));
    if (strcmp(type, "Sequence") == 0 && depth < SV_MAX_STEPS)
        return read_list(tokenizer, p, depth);
    sv_pre_tokenizer *step = NULL;
    SENVEC_TRY(sv_pre_tokenizer_add(tokenizer, p->path, &step, p->err));
    if (strcmp(type, "BertPreTokenizer") == 0) {
        step->kind = SV_PRE_TOKENIZER_BERT;
    } else if (strcmp(type, "Whitespace") == 0) {
        step->kind = SV_PRE_TOKENIZER_WHITESPACE;
    } else if (strcmp(type, "WhitespaceSplit") == 0) {
        step->kind = SV_PRE_TOKENIZER_WHITESPACE_SPLIT;
    } else if (strcmp(type, "Punctuation") == 0) {
        step->kind = SV_PRE_TOKENIZER_PUNCTUATION;
        step->behavior = SV_SPLIT_ISOLATED;
        if (sv_part_get(p, "behavior").kind != SV_JSON_NONE)
            SENVEC_TRY(read_behavior(p, &step->behavior));
    } else if (strcmp(type, "Digits") == 0) {
        step->kind = SV_PRE_TOKENIZER_DIGITS;
        SENVEC_TRY(sv_part_bool(p, "individual_digits", &single));
        step->behavior = single ? SV_SPLIT_ISOLATED : SV_SPLIT_CONTIGUOUS;
    } else if (strcmp(type, "Split") == 0) {
        return read_split(tokenizer, step, p);
    } else if (strcmp(type, "CharDelimiterSplit") == 0) {
        step->kind = SV_PRE_TOKENIZER_STRING;
        step->behavior = SV_SPLIT_REMOVED;
        return copy(tokenizer, p, "delimiter", step);
    } else if (strcmp(type, "Metaspace") == 0) {
        return read_metaspace(tokenizer, step, p);
    } else if (strcmp(type, "ByteLevel") == 0) {
        step->kind = SV_PRE_TOKENIZER_BYTE_LEVEL;
        step->split = true;
        SENVEC_TRY(sv_part_bool(p, "add_prefix_space", &step->prefix_space));
        SENVEC_TRY(sv_part_option_bool(p, "use_regex", &step->split));
    } else {
        return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: pre_tokenizer \"%.40s\" is not supported", p->path, type);
    }
    return SENVEC_OK;
}

/* ByteLevel changes what the steps behind it would see, and one step at most may write a piece anew (pre_tokenizer.c). */
static senvec_status check_order(const sv_tokenizer *tokenizer, const sv_part *file) {
    size_t writers = 0;
    for (size_t i = 0; i < tokenizer->pre_tokenizer_count; i++) {
        const sv_pre_tokenizer *step = &tokenizer->pre_tokenizers[i];
        bool bytes = step->kind == SV_PRE_TOKENIZER_BYTE_LEVEL;
        if (bytes && i + 1 < tokenizer->pre_tokenizer_count)
            return sv_fail(file->err, SENVEC_UNSUPPORTED, 0, "%s: pre_tokenizer ByteLevel is only supported as the last one",
                           file->path);
        writers += step->kind == SV_PRE_TOKENIZER_METASPACE || (bytes && step->prefix_space);
    }
    if (writers > 1)
        return sv_fail(file->err, SENVEC_UNSUPPORTED, 0, "%s: pre_tokenizer: only one that adds a prefix is supported",
                       file->path);
    return SENVEC_OK;
}

senvec_status sv_pre_tokenizers_read(sv_tokenizer *tokenizer, const sv_part *file) {
    const sv_json object = sv_part_option(file, "pre_tokenizer");
    if (object.kind == SV_JSON_NONE)
        return SENVEC_OK;
    const sv_part p = sv_part_of(file->path, "pre_tokenizer", object, file->err);
    SENVEC_TRY(read_one(tokenizer, &p, 0));
    return check_order(tokenizer, file);
}

senvec_status sv_pre_tokenizers_sentencepiece(sv_tokenizer *tokenizer, const char *path, bool prefix, senvec_error *err) {
    sv_pre_tokenizer *step = NULL;
    SENVEC_TRY(sv_pre_tokenizer_add(tokenizer, path, &step, err));
    step->kind = SV_PRE_TOKENIZER_WHITESPACE_SPLIT;
    SENVEC_TRY(sv_pre_tokenizer_add(tokenizer, path, &step, err));
    *step = (sv_pre_tokenizer){
        .kind = SV_PRE_TOKENIZER_METASPACE,
        .behavior = SV_SPLIT_MERGED_WITH_NEXT,
        .split = true,
        .prepend = prefix ? SV_PREPEND_ALWAYS : SV_PREPEND_NEVER,
        .string = "\xe2\x96\x81",
        .length = 3,
    };
    return SENVEC_OK;
}

senvec_status sv_pre_tokenizers_byte_level(sv_tokenizer *tokenizer, const char *path, bool prefix, senvec_error *err) {
    sv_pre_tokenizer *step = NULL;
    SENVEC_TRY(sv_pre_tokenizer_add(tokenizer, path, &step, err));
    *step = (sv_pre_tokenizer){.kind = SV_PRE_TOKENIZER_BYTE_LEVEL, .split = true, .prefix_space = prefix};
    return SENVEC_OK;
}

bool sv_pre_tokenizers_give_bytes(const sv_tokenizer *tokenizer) {
    size_t count = tokenizer->pre_tokenizer_count;
    return count > 0 && tokenizer->pre_tokenizers[count - 1].kind == SV_PRE_TOKENIZER_BYTE_LEVEL;
}

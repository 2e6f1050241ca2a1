/* Reading "post_processor" of tokenizer.json: one of these, or {"type": "Sequence", "processors": [...]} with one of the first
 * three.
 *
 *     TemplateProcessing   single: [...], pair: [...], special_tokens: {...}
 *     BertProcessing       cls: [token, id], sep: [token, id]
 *     RobertaProcessing    the same
 *     ByteLevel            changes no ids */
#include <string.h>

#include "text/tokenizer_read.h"

/* The id of a special token of a template; special_tokens has name: {"ids": [id]}. */
static senvec_status special_id(const sv_part *p, sv_json name, uint32_t *id) {
    const char *text = name.kind == SV_JSON_STRING ? sv_json_text(name) : "";
    const sv_json ids = sv_json_member(sv_json_member(sv_part_get(p, "special_tokens"), text), "ids");
    if (sv_json_count(ids) != 1 || !sv_json_id(sv_json_at(ids, 0), id))
        return sv_fail(p->err, SENVEC_FORMAT, 0, "%s: post_processor: special token \"%.40s\" is not one id", p->path, text);
    return SENVEC_OK;
}

/* A list of {"SpecialToken": {"id": name, "type_id"}} and {"Sequence": {"id": "A" or "B", "type_id"}}, with each of `texts`
 * texts once and in order. */
static senvec_status read_template(const sv_part *p, const char *key, int texts, sv_template *out) {
    sv_json list;
    SENVEC_TRY(sv_part_array(p, key, &list));
    if (sv_json_count(list) > SV_MAX_TEMPLATE)
        return sv_fail(p->err, SENVEC_TOO_LARGE, 0, "%s: post_processor: \"%s\" has %zu parts, but at most %u are supported",
                       p->path, key, sv_json_count(list), SV_MAX_TEMPLATE);
    sv_template template = {0};
    int next = 0;
    bool usual = true;
    sv_json value;
    sv_json_items items = sv_json_walk(list);
    while (usual && sv_json_step(&items, NULL, &value)) {
        const sv_json special = sv_json_member(value, "SpecialToken"), sequence = sv_json_member(value, "Sequence");
        const bool is_special = special.kind != SV_JSON_NONE;
        const char *text = sv_json_text(sv_json_member(sequence, "id"));
        struct sv_template_piece *piece = &template.pieces[template.count++];
        piece->text = -1;
        const sv_json type = sv_json_member(is_special ? special : sequence, "type_id");
        if (!sv_json_id(type, &piece->type))
            return sv_part_missing(p, key, "a template whose parts have a type_id");
        if (is_special) {
            SENVEC_TRY(special_id(p, sv_json_member(special, "id"), &piece->id));
            template.specials++;
        } else if (text && next < texts && strcmp(text, next == 0 ? "A" : "B") == 0) {
            piece->text = next++;
        } else {
            usual = false;
        }
    }
    if (!usual || next != texts)
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

static senvec_status read_pair_of_ids(sv_tokenizer *tokenizer, const sv_part *p, bool roberta) {
    uint32_t first, last; /* cls and sep are [token, id] */
    if (!sv_json_id(sv_json_at(sv_part_get(p, "cls"), 1), &first))
        return sv_part_missing(p, "cls", "a token and its id");
    if (!sv_json_id(sv_json_at(sv_part_get(p, "sep"), 1), &last))
        return sv_part_missing(p, "sep", "a token and its id");
    sv_template_usual(tokenizer, first, last, roberta);
    return SENVEC_OK;
}

static senvec_status read_one(sv_tokenizer *tokenizer, const sv_part *p, unsigned depth) {
    const char *type;
    SENVEC_TRY(sv_part_string(p, "type", &type));
    if (strcmp(type, "ByteLevel") == 0)
        return SENVEC_OK;
    if (strcmp(type, "Sequence") == 0 && depth < SV_MAX_STEPS) {
        sv_json list, value;
        SENVEC_TRY(sv_part_array(p, "processors", &list));
        sv_json_items items = sv_json_walk(list);
        while (sv_json_step(&items, NULL, &value)) {
            const sv_part step = sv_part_of(p->path, "post_processor", value, p->err);
            SENVEC_TRY(read_one(tokenizer, &step, depth + 1));
        }
        return SENVEC_OK;
    }
    if (tokenizer->single.count > 0)
        return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: post_processor: two templates are not supported", p->path);
    if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0)
        return read_pair_of_ids(tokenizer, p, *type == 'R');
    if (strcmp(type, "TemplateProcessing") != 0)
        return sv_fail(p->err, SENVEC_UNSUPPORTED, 0, "%s: post_processor \"%.40s\" is not supported", p->path, type);
    SENVEC_TRY(read_template(p, "single", 1, &tokenizer->single));
    if (sv_json_count(sv_part_get(p, "pair")) > 0)
        return read_template(p, "pair", 2, &tokenizer->pair);
    return SENVEC_OK;
}

senvec_status sv_post_processor_read(sv_tokenizer *tokenizer, const sv_part *file) {
    const sv_json object = sv_part_option(file, "post_processor");
    if (object.kind == SV_JSON_NONE)
        return sv_fail(file->err, SENVEC_UNSUPPORTED, 0, "%s: no post_processor; a template such as [CLS] A [SEP] is needed",
                       file->path);
    const sv_part p = sv_part_of(file->path, "post_processor", object, file->err);
    SENVEC_TRY(read_one(tokenizer, &p, 0));
    if (tokenizer->single.count == 0)
        return sv_fail(file->err, SENVEC_UNSUPPORTED, 0, "%s: post_processor: no template; one such as [CLS] A [SEP] is needed",
                       file->path);
    SENVEC_TRY(check_template(tokenizer, &p, &tokenizer->single));
    return check_template(tokenizer, &p, &tokenizer->pair);
}

/* Inputs. Texts aren't copied: they point into the parsed body. Token ids become the text that they are the ids of. */
#include "server/inputs.h"

#include <stdlib.h>
#include <string.h>

static const char not_ours[] = "these token ids were made by another model's tokenizer; send text instead (LangChain: "
                               "check_embedding_ctx_length=False)";

static bool make_room(sv_exchange *exchange, size_t count) {
    exchange->texts = NULL;
    if (!sv_exchange_reserve(exchange, count * sizeof *exchange->texts))
        return false;
    exchange->texts = calloc(count, sizeof *exchange->texts);
    if (!exchange->texts)
        sv_exchange_fail(exchange, 500, "no memory for %zu texts", count);
    exchange->count = count;
    return exchange->texts != NULL;
}

/* ---------------------------------------------------------------- members */

/* The value of a member, or NULL where it is missing or null. */
static const json_t *find(const sv_exchange *exchange, const char *name) {
    const json_t *value = exchange->root;
    while (value && *name) {
        size_t length = strcspn(name, ".");
        char part[64];
        snprintf(part, sizeof part, "%.*s", (int)length, name);
        value = json_object_get(value, part);
        name += length + (name[length] == '.');
    }
    return json_is_null(value) ? NULL : value;
}

bool sv_inputs_has(const sv_exchange *exchange, const char *name) {
    return find(exchange, name) != NULL;
}

bool sv_inputs_names(const sv_exchange *exchange, const char *name) {
    return json_object_get(exchange->root, name) != NULL;
}

bool sv_inputs_is_object(const sv_exchange *exchange, const char *name) {
    return json_is_object(find(exchange, name));
}

bool sv_inputs_is_string(const sv_exchange *exchange, const char *name) {
    return json_is_string(find(exchange, name));
}

bool sv_inputs_flag(sv_exchange *exchange, const char *name, bool *out) {
    const json_t *value = find(exchange, name);
    if (!value)
        return true;
    if (!json_is_boolean(value)) {
        sv_exchange_fail(exchange, 422, "%s must be true or false", name);
        return false;
    }
    *out = json_is_true(value);
    return true;
}

bool sv_inputs_number(sv_exchange *exchange, const char *name, size_t least, size_t most, size_t *out) {
    const json_t *value = find(exchange, name);
    if (!value)
        return true;
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (uint64_t)number < least || (uint64_t)number > most) {
        sv_exchange_fail(exchange, 400, "%s must be a whole number from %zu to %zu", name, least, most);
        return false;
    }
    *out = (size_t)number;
    return true;
}

bool sv_inputs_string(sv_exchange *exchange, const char *name, const char **out) {
    const json_t *value = find(exchange, name);
    if (!value)
        return true;
    if (!json_is_string(value)) {
        sv_exchange_fail(exchange, 400, "%s must be a string", name);
        return false;
    }
    *out = json_string_value(value);
    return true;
}

/* "\"float\", \"base64\"" */
static void list_choices(const char *const *choices, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; choices[i] && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s\"%s\"", i ? ", " : "", choices[i]);
}

static bool choose(sv_exchange *exchange, const json_t *value, const char *name, const char *const *choices, unsigned *out) {
    const char *given = json_string_value(value);
    char known[300];
    for (unsigned i = 0; given && choices[i]; i++)
        if (strcasecmp(given, choices[i]) == 0) {
            *out = i;
            return true;
        }
    list_choices(choices, known, sizeof known);
    if (given)
        sv_exchange_fail(exchange, 400, "%s: this server takes %s, not \"%.60s\"", name, known, given);
    else
        sv_exchange_fail(exchange, 400, "%s must be one of %s", name, known);
    return false;
}

bool sv_inputs_choice(sv_exchange *exchange, const char *name, const char *const *choices, unsigned *out) {
    const json_t *value = find(exchange, name);
    return !value || choose(exchange, value, name, choices, out);
}

bool sv_inputs_choices(sv_exchange *exchange, const char *name, const char *const *choices, unsigned *bits) {
    const json_t *value = find(exchange, name), *item;
    unsigned chosen = 0, all = 0;
    size_t index;
    if (!value)
        return true;
    if (!json_is_array(value)) {
        if (!choose(exchange, value, name, choices, &chosen))
            return false;
        *bits = 1u << chosen;
        return true;
    }
    json_array_foreach(value, index, item) {
        if (!choose(exchange, item, name, choices, &chosen))
            return false;
        all |= 1u << chosen;
    }
    if (!all) {
        sv_exchange_fail(exchange, 400, "%s is an empty list", name);
        return false;
    }
    *bits = all;
    return true;
}

/* -------------------------------------------------------------- token ids */

/* `item` as one list of token ids in `ids`, at most as many as the model reads. */
static bool read_ids(sv_exchange *exchange, const json_t *item, const char *where, uint32_t *ids, size_t *count) {
    const sv_token_text *tokens = &exchange->server->tokens;
    size_t length = json_array_size(item), most = exchange->server->info.max_seq_length;
    for (size_t i = 0; i < length; i++) {
        const json_t *value = json_array_get(item, i);
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value)) {
            sv_exchange_fail(exchange, 400, "%s: item %zu isn't a token id, as the items before it are", where, i);
            return false;
        }
        if (id < 0 || !sv_token_text_of(tokens, (uint64_t)id)) {
            sv_exchange_fail(exchange, 400, "%s: this model has no token %lld: %s", where, (long long)id, not_ours);
            return false;
        }
        if (i < most)
            ids[i] = (uint32_t)id;
    }
    if (length < 2 || ids[0] != tokens->begin ||
        (uint32_t)json_integer_value(json_array_get(item, length - 1)) != tokens->end) {
        sv_exchange_fail(exchange, 400, "%s: token ids must begin with %u and end with %u, as /tokenize gives them; %s", where,
                         tokens->begin, tokens->end, not_ours);
        return false;
    }
    *count = length < most ? length : most;
    ids[*count - 1] = tokens->end;
    return true;
}

/* The text of ids[0 .. count) at `out`; false if it doesn't tokenize to them. */
static bool decode(const sv_exchange *exchange, const uint32_t *ids, size_t count, char *out, senvec_text *text) {
    uint32_t again[SV_MAX_POSITIONS];
    size_t again_count = 0;
    *text = (senvec_text){out, sv_token_text_write(&exchange->server->tokens, ids, count, out)};
    return senvec_tokenize(exchange->server->model, *text, again, exchange->server->info.max_seq_length, &again_count, NULL,
                           NULL) == SENVEC_OK &&
           again_count == count && memcmp(again, ids, count * sizeof *ids) == 0;
}

/* List i of ids, and what messages call it. `lists` has lists (nested) or is the only one itself. */
static const json_t *id_list(const json_t *lists, bool nested, size_t i, const char *name, char where[80]) {
    if (nested)
        snprintf(where, 80, "%s[%zu]", name, i);
    else
        snprintf(where, 80, "%s", name);
    return nested ? json_array_get(lists, i) : lists;
}

/* First what room the texts take, then the texts. */
static bool read_id_lists(sv_exchange *exchange, const json_t *lists, bool nested, const char *name) {
    uint32_t ids[SV_MAX_POSITIONS];
    char where[80];
    size_t size = 0, count;
    for (size_t i = 0; i < exchange->count; i++) {
        const json_t *item = id_list(lists, nested, i, name, where);
        if (!json_is_array(item)) {
            sv_exchange_fail(exchange, 400, "%s isn't a list of token ids, as the items before it are", where);
            return false;
        }
        if (!read_ids(exchange, item, where, ids, &count))
            return false;
        size += sv_token_text_size(&exchange->server->tokens, ids, count);
    }
    if (!sv_exchange_reserve(exchange, size))
        return false;
    char *to = exchange->decoded = malloc(size);
    if (!to) {
        sv_exchange_fail(exchange, 500, "no memory for the text of token ids");
        return false;
    }
    for (size_t i = 0; i < exchange->count; i++) {
        read_ids(exchange, id_list(lists, nested, i, name, where), where, ids, &count);
        if (!decode(exchange, ids, count, to, &exchange->texts[i])) {
            sv_exchange_fail(exchange, 400, "%s: %s", where, not_ours);
            return false;
        }
        to += exchange->texts[i].length;
    }
    return true;
}

/* ------------------------------------------------------------------ texts */

/* A string, or what stands for one; NULL: neither. */
static const json_t *text_of(const json_t *item, sv_input_forms forms) {
    if (forms & SV_INPUT_OBJECTS && json_is_object(item))
        item = json_object_get(item, "text");
    return json_is_string(item) ? item : NULL;
}

static bool read_strings(sv_exchange *exchange, const json_t *list, sv_input_forms forms, const char *name) {
    size_t index;
    const json_t *item;
    json_array_foreach(list, index, item) {
        const json_t *text = text_of(item, forms);
        if (!text) {
            sv_exchange_fail(exchange, 400, "%s[%zu] isn't a string%s%s", name, index,
                             forms & SV_INPUT_OBJECTS ? " or an object with a \"text\"" : "",
                             index ? ", as the items before it are" : "");
            return false;
        }
        exchange->texts[index] = (senvec_text){json_string_value(text), json_string_length(text)};
    }
    return true;
}

/* Texts, with room for `more` behind them. */
static bool read_list(sv_exchange *exchange, const json_t *list, sv_input_forms forms, const char *name, size_t more) {
    const json_t *first = json_array_get(list, 0);
    if (!first) {
        sv_exchange_fail(exchange, 400, "%s is an empty list", name);
        return false;
    }
    bool ids = forms & SV_INPUT_IDS && (json_is_integer(first) || json_is_array(first));
    if (!ids && !text_of(first, forms)) {
        sv_exchange_fail(exchange, 400, "%s[0] must be a string%s%s", name, forms & SV_INPUT_OBJECTS ? ", {\"text\": ...}" : "",
                         forms & SV_INPUT_IDS ? " or token ids" : "");
        return false;
    }
    exchange->single = json_is_integer(first);
    if (!make_room(exchange, (exchange->single ? 1 : json_array_size(list)) + more))
        return false;
    exchange->count -= more;
    return ids ? read_id_lists(exchange, list, json_is_array(first), name) : read_strings(exchange, list, forms, name);
}

bool sv_inputs_texts(sv_exchange *exchange, const char *name, sv_input_forms forms) {
    const json_t *value = find(exchange, name);
    if (json_is_array(value))
        return read_list(exchange, value, forms, name, 0);
    const json_t *text = text_of(value, forms);
    if (!text) {
        sv_exchange_fail(exchange, value ? 400 : 422, "%s %s", name,
                         value ? "must be a string or a list of strings" : "is missing");
        return false;
    }
    exchange->single = true;
    if (!make_room(exchange, 1))
        return false;
    exchange->texts[0] = (senvec_text){json_string_value(text), json_string_length(text)};
    return true;
}

bool sv_inputs_texts_and(sv_exchange *exchange, const char *name, sv_input_forms forms, const char *last) {
    const json_t *list = find(exchange, name), *text = text_of(find(exchange, last), forms);
    if (!text) {
        sv_exchange_fail(exchange, 422, "%s must be a string", last);
        return false;
    }
    if (!json_is_array(list) || json_array_size(list) == 0) {
        sv_exchange_fail(exchange, 422, "%s must be a list of strings, not empty", name);
        return false;
    }
    if (!read_list(exchange, list, forms, name, 1))
        return false;
    exchange->texts[exchange->count++] = (senvec_text){json_string_value(text), json_string_length(text)};
    return true;
}

bool sv_inputs_check_lengths(sv_exchange *exchange) {
    uint32_t ids[SV_MAX_POSITIONS];
    for (size_t i = 0; exchange->strict && i < exchange->count; i++) {
        senvec_embed_stats stats = {0};
        size_t count;
        senvec_tokenize(exchange->server->model, exchange->texts[i], ids, exchange->server->info.max_seq_length, &count, &stats,
                        NULL);
        if (stats.truncated) {
            sv_exchange_fail(exchange, 413, "input %zu has more than the %zu tokens that this model reads; shorten it, or %s",
                             i, exchange->server->info.max_seq_length,
                             exchange->at_start ? "let its end be cut instead of its start, which this server can't"
                                                : "let it be cut (\"truncate\": true)");
            return false;
        }
    }
    return true;
}

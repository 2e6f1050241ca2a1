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

static bool read_strings(sv_exchange *exchange, const json_t *list, const char *name) {
    size_t index;
    const json_t *item;
    json_array_foreach(list, index, item) {
        if (!json_is_string(item)) {
            sv_exchange_fail(exchange, 400, "%s[%zu] isn't a string, as the items before it are", name, index);
            return false;
        }
        exchange->texts[index] = (senvec_text){json_string_value(item), json_string_length(item)};
    }
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

/* ----------------------------------------------------------------- bodies */

bool sv_inputs_read(sv_exchange *exchange, const json_t *value, const char *name) {
    if (json_is_string(value)) {
        exchange->single = true;
        if (!make_room(exchange, 1))
            return false;
        exchange->texts[0] = (senvec_text){json_string_value(value), json_string_length(value)};
        return true;
    }
    if (!json_is_array(value)) {
        sv_exchange_fail(exchange, value ? 400 : 422, "%s %s", name,
                         value ? "must be a string or a list of strings" : "is missing");
        return false;
    }
    const json_t *first = json_array_get(value, 0);
    if (!first) {
        sv_exchange_fail(exchange, 400, "%s is an empty list", name);
        return false;
    }
    exchange->single = json_is_integer(first);
    if (!json_is_string(first) && !json_is_integer(first) && !json_is_array(first)) {
        sv_exchange_fail(exchange, 400, "%s[0] must be a string or token ids", name);
        return false;
    }
    if (!make_room(exchange, json_is_integer(first) ? 1 : json_array_size(value)))
        return false;
    return json_is_string(first) ? read_strings(exchange, value, name)
                                 : read_id_lists(exchange, value, json_is_array(first), name);
}

bool sv_inputs_texts(sv_exchange *exchange, const char *name) {
    return sv_inputs_read(exchange, json_object_get(exchange->root, name), name);
}

bool sv_inputs_dimensions(sv_exchange *exchange) {
    const json_t *value = json_object_get(exchange->root, "dimensions");
    if (!value || json_is_null(value))
        return true;
    json_int_t dimensions = json_integer_value(value);
    if (!json_is_integer(value) || dimensions < 1 || (uint64_t)dimensions > exchange->server->info.dimensions) {
        sv_exchange_fail(exchange, 400, "dimensions must be a whole number from 1 to %zu", exchange->server->info.dimensions);
        return false;
    }
    exchange->dimensions = (size_t)dimensions;
    return true;
}

bool sv_inputs_flag(sv_exchange *exchange, const json_t *object, const char *name, bool *out) {
    const json_t *value = json_object_get(object, name);
    if (!value || json_is_null(value))
        return true;
    if (!json_is_boolean(value)) {
        sv_exchange_fail(exchange, 422, "%s must be true or false", name);
        return false;
    }
    *out = json_is_true(value);
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
            sv_exchange_fail(exchange, 413,
                             "input %zu has more than the %zu tokens that this model reads; shorten it, or let it be cut "
                             "with \"truncate\": true",
                             i, exchange->server->info.max_seq_length);
            return false;
        }
    }
    return true;
}

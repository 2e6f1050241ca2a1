/* Inputs. Texts are walked twice: first to see that they are what they must be and how much room they take, then to keep them.
 * One without escapes isn't copied, but stays in the body. Token ids become the text that they are the ids of. */
#include "server/inputs.h"

#include <stdlib.h>
#include <string.h>

static const char not_ours[] = "these token ids were made by another model's tokenizer; send text instead (LangChain: "
                               "check_embedding_ctx_length=False), or give the server that one's tokens (--token-table)";

/* ---------------------------------------------------------------- members */

/* The value of a member; NONE where it is missing or null. */
static sv_json find(const sv_exchange *exchange, const char *name) {
    sv_json value = {NULL, 0, SV_JSON_NONE};
    for (bool first = true; *name; first = false) {
        size_t length = strcspn(name, ".");
        char part[64];
        snprintf(part, sizeof part, "%.*s", (int)length, name);
        value = first ? sv_json_look_up(&exchange->members, part) : sv_json_member(value, part);
        name += length + (name[length] == '.');
    }
    if (value.kind == SV_JSON_NULL)
        value.kind = SV_JSON_NONE;
    return value;
}

bool sv_inputs_has(const sv_exchange *exchange, const char *name) {
    return find(exchange, name).kind != SV_JSON_NONE;
}

bool sv_inputs_names(const sv_exchange *exchange, const char *name) {
    return sv_json_look_up(&exchange->members, name).kind != SV_JSON_NONE;
}

bool sv_inputs_is_object(const sv_exchange *exchange, const char *name) {
    return find(exchange, name).kind == SV_JSON_OBJECT;
}

bool sv_inputs_is_string(const sv_exchange *exchange, const char *name) {
    return find(exchange, name).kind == SV_JSON_STRING;
}

bool sv_inputs_flag(sv_exchange *exchange, const char *name, bool *out) {
    sv_json value = find(exchange, name);
    if (value.kind == SV_JSON_NONE)
        return true;
    if (value.kind != SV_JSON_TRUE && value.kind != SV_JSON_FALSE) {
        sv_exchange_fail(exchange, 422, "%s must be true or false", name);
        return false;
    }
    *out = value.kind == SV_JSON_TRUE;
    return true;
}

bool sv_inputs_number(sv_exchange *exchange, const char *name, size_t least, size_t most, size_t *out) {
    sv_json value = find(exchange, name);
    int64_t number;
    if (value.kind == SV_JSON_NONE)
        return true;
    if (!sv_json_integer(value, &number) || number < 0 || (uint64_t)number < least || (uint64_t)number > most) {
        sv_exchange_fail(exchange, 400, "%s must be a whole number from %zu to %zu", name, least, most);
        return false;
    }
    *out = (size_t)number;
    return true;
}

bool sv_inputs_string(sv_exchange *exchange, const char *name, const char **out) {
    sv_json value = find(exchange, name);
    if (value.kind == SV_JSON_NONE)
        return true;
    if (value.kind != SV_JSON_STRING) {
        sv_exchange_fail(exchange, 400, "%s must be a string", name);
        return false;
    }
    const char *kept = sv_exchange_keep_string(exchange, value);
    if (kept)
        *out = kept;
    return kept != NULL;
}

/* "\"float\", \"base64\"" */
static void list_choices(const char *const *choices, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; choices[i] && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s\"%s\"", i ? ", " : "", choices[i]);
}

static bool choose(sv_exchange *exchange, sv_json value, const char *name, const char *const *choices, unsigned *out) {
    char given[64], known[300];
    bool is_string = value.kind == SV_JSON_STRING, is_short = is_string && value.length <= sizeof given;
    if (is_short)
        given[sv_json_decode(value, given)] = '\0';
    for (unsigned i = 0; is_short && choices[i]; i++)
        if (strcasecmp(given, choices[i]) == 0) {
            *out = i;
            return true;
        }
    list_choices(choices, known, sizeof known);
    if (is_string)
        sv_exchange_fail(exchange, 400, "%s: this server takes %s, not \"%s\"", name, known, is_short ? given : "...");
    else
        sv_exchange_fail(exchange, 400, "%s must be one of %s", name, known);
    return false;
}

bool sv_inputs_choice(sv_exchange *exchange, const char *name, const char *const *choices, unsigned *out) {
    sv_json value = find(exchange, name);
    return value.kind == SV_JSON_NONE || choose(exchange, value, name, choices, out);
}

bool sv_inputs_choices(sv_exchange *exchange, const char *name, const char *const *choices, unsigned *bits) {
    sv_json value = find(exchange, name), item;
    unsigned chosen = 0, all = 0;
    if (value.kind == SV_JSON_NONE)
        return true;
    if (value.kind != SV_JSON_ARRAY) {
        if (!choose(exchange, value, name, choices, &chosen))
            return false;
        *bits = 1u << chosen;
        return true;
    }
    for (sv_json_items items = sv_json_walk(value); sv_json_step(&items, NULL, &item); all |= 1u << chosen)
        if (!choose(exchange, item, name, choices, &chosen))
            return false;
    if (!all) {
        sv_exchange_fail(exchange, 400, "%s is an empty list", name);
        return false;
    }
    *bits = all;
    return true;
}

/* ------------------------------------------------------------------- room */

/* For `count` texts, and for `bytes` of those that don't stand in the body as they are. */
static bool make_room(sv_exchange *exchange, size_t count, size_t bytes) {
    size_t most = exchange->server->options.batcher.max_texts;
    if (count > most) {
        sv_exchange_fail(exchange, 413,
                         "%zu texts are more than the %zu that are taken (--max-queue-texts); send them in parts", count, most);
        return false;
    }
    exchange->texts = sv_exchange_alloc(exchange, count, sizeof *exchange->texts, "the texts");
    if (exchange->texts && bytes)
        exchange->decoded = sv_exchange_alloc(exchange, bytes, 1, "the texts");
    return exchange->texts && (!bytes || exchange->decoded);
}

static void add_text(sv_exchange *exchange, const char *text, size_t length) {
    exchange->texts[exchange->count++] = (senvec_text){text, length};
    exchange->characters += length;
}

/* What a string takes of `decoded`. */
static size_t room_of(sv_json string) {
    return sv_json_is_escaped(string) ? string.length : 0;
}

/* The string as the next text; *room is where `decoded` is free. */
static void add_string(sv_exchange *exchange, sv_json string, char **room) {
    if (!sv_json_is_escaped(string)) {
        add_text(exchange, string.text + 1, string.length - 2);
        return;
    }
    size_t length = sv_json_decode(string, *room);
    add_text(exchange, *room, length);
    *room += length;
}

/* -------------------------------------------------------------- token ids */

/* A longer list is cut where the model doesn't read it, so far from what is read that a word cut in two doesn't show there. */
#define READ_TIMES 4

typedef struct id_lists {
    uint32_t *ids;   /* (READ_TIMES * most) of a list, */
    size_t count;    /* so many */
    uint32_t *again; /* (most): what the model reads of the text that they stand for */
    size_t most;
} id_lists;

static bool is_cut_on_the_left(const sv_exchange *exchange) {
    const senvec_truncation side = exchange->truncation;
    return (side == SENVEC_TRUNCATION_AUTO ? exchange->served->info.truncation : side) == SENVEC_TRUNCATION_LEFT;
}

/* `list` as token ids in lists->ids, as far as they matter. */
static bool read_ids(sv_exchange *exchange, sv_json list, const char *where, id_lists *lists) {
    const sv_token_text *tokens = &exchange->served->tokens;
    const size_t room = READ_TIMES * lists->most, all = sv_json_count(list);
    const size_t skipped = all > room && is_cut_on_the_left(exchange) ? all - room : 0; /* behind the first */
    size_t length = 0;
    uint32_t last = 0;
    sv_json value;
    for (sv_json_items items = sv_json_walk(list); sv_json_step(&items, NULL, &value); length++) {
        int64_t id = -1;
        bool fits = sv_json_integer(value, &id);
        if (value.kind != SV_JSON_INTEGER) {
            sv_exchange_fail(exchange, 400, "%s: item %zu isn't a token id, as the items before it are", where, length);
            return false;
        }
        if (!fits || id < 0 || !sv_token_text_of(tokens, (uint64_t)id)) {
            sv_exchange_fail(exchange, 400, "%s: this model has no token %.*s: %s", where, (int)(fits ? value.length : 20),
                             value.text, not_ours);
            return false;
        }
        last = (uint32_t)id;
        if (length == 0)
            lists->ids[0] = last;
        else if (length > skipped && length - skipped < room)
            lists->ids[length - skipped] = last;
    }
    if (length < 2 || lists->ids[0] != tokens->begin || last != tokens->end) {
        sv_exchange_fail(exchange, 400, "%s: token ids must begin with %u and end with %u, as /tokenize gives them; %s", where,
                         tokens->begin, tokens->end, not_ours);
        return false;
    }
    lists->count = length < room ? length : room;
    lists->ids[lists->count - 1] = tokens->end;
    return true;
}

/* Adds the text of the ids, written at *room; false if the model reads other ids of it. */
static bool add_ids(sv_exchange *exchange, const id_lists *lists, char **room) {
    const sv_served *served = exchange->served;
    size_t count = 0, length = sv_token_text_write(&served->tokens, lists->ids, lists->count, *room);
    senvec_text text = {*room, length};
    const size_t kept = lists->count < lists->most ? lists->count : lists->most;
    const size_t skipped = is_cut_on_the_left(exchange) ? lists->count - kept : 0;
    if (senvec_tokenize_with(served->facts, text, exchange->truncation, lists->again, lists->most, &count, NULL, NULL) !=
            SENVEC_OK ||
        count != kept || memcmp(lists->again + 1, lists->ids + skipped + 1, (kept - 2) * sizeof *lists->ids) != 0)
        return false;
    add_text(exchange, text.data, text.length);
    *room += length;
    return true;
}

/* Ids of this model: they begin and end as its tokenizer has it. */
static bool is_own(const sv_exchange *exchange, sv_json list) {
    const sv_token_text *tokens = &exchange->served->tokens;
    sv_json_items items = sv_json_walk(list);
    sv_json value;
    int64_t first = -1, last = -1;
    if (sv_json_step(&items, NULL, &value) && sv_json_integer(value, &first))
        last = first;
    while (sv_json_step(&items, NULL, &value))
        if (!sv_json_integer(value, &last))
            last = -1;
    return first == tokens->begin && last == tokens->end;
}

/* Ids of the other model whose tokens the server was given: the bytes that they stand for are counted and, where `room` isn't
 * NULL, added as a text. */
static bool read_foreign(sv_exchange *exchange, sv_json list, const char *where, size_t *bytes, char **room) {
    char *begin = room ? *room : NULL;
    size_t count = 0, length;
    sv_json value;
    for (sv_json_items items = sv_json_walk(list); sv_json_step(&items, NULL, &value); count++) {
        int64_t id = -1;
        const char *token = NULL;
        if (sv_json_integer(value, &id) && id >= 0)
            token = sv_token_table_find(&exchange->server->table, (uint64_t)id, &length);
        if (!token) {
            sv_exchange_fail(exchange, 400, "%s: item %zu is no token of --token-table", where, count);
            return false;
        }
        *bytes += length;
        if (room) {
            memcpy(*room, token, length);
            *room += length;
        }
    }
    if (count == 0)
        sv_exchange_fail(exchange, 400, "%s is an empty list", where);
    if (room)
        add_text(exchange, begin, (size_t)(*room - begin));
    return count > 0;
}

/* Walks through one list (of ids) or many: how many there are, and the room that their texts take; or, where `room` isn't NULL,
 * adds the texts. */
static bool walk_ids(sv_exchange *exchange, sv_json value, bool nested, const char *name, id_lists *lists, size_t *count,
                     size_t *bytes, char *room) {
    sv_json_items items = sv_json_walk(value);
    sv_json list = value;
    char where[80];
    *count = *bytes = 0;
    while (nested ? sv_json_step(&items, NULL, &list) : *count == 0) {
        if (nested)
            snprintf(where, sizeof where, "%s[%zu]", name, *count);
        else
            snprintf(where, sizeof where, "%s", name);
        if (list.kind != SV_JSON_ARRAY) {
            sv_exchange_fail(exchange, 400, "%s isn't a list of token ids, as the items before it are", where);
            return false;
        }
        ++*count;
        if (exchange->server->table.count && !is_own(exchange, list)) {
            if (!read_foreign(exchange, list, where, bytes, room ? &room : NULL))
                return false;
            continue;
        }
        if (!read_ids(exchange, list, where, lists))
            return false;
        *bytes += sv_token_text_size(&exchange->served->tokens, lists->ids, lists->count);
        if (room && !add_ids(exchange, lists, &room)) {
            sv_exchange_fail(exchange, 400, "%s: %s", where, not_ours);
            return false;
        }
    }
    return true;
}

static bool read_id_lists(sv_exchange *exchange, sv_json value, bool nested, const char *name) {
    id_lists lists = {.most = exchange->served->info.max_seq_length};
    size_t count, bytes;
    lists.ids = sv_exchange_alloc(exchange, (READ_TIMES + 1) * lists.most, sizeof *lists.ids, "token ids");
    if (!lists.ids)
        return false;
    lists.again = lists.ids + READ_TIMES * lists.most;
    bool read = walk_ids(exchange, value, nested, name, &lists, &count, &bytes, NULL) && make_room(exchange, count, bytes) &&
                walk_ids(exchange, value, nested, name, &lists, &count, &bytes, exchange->decoded);
    free(lists.ids);
    return read;
}

/* One list. `ids` has room for as many as the longest has. */
static bool pass_ids(sv_exchange *exchange, sv_json list, const char *name, uint32_t *ids, sv_inputs_each_ids *each,
                     void *context) {
    size_t count = 0;
    sv_json value;
    if (list.kind != SV_JSON_ARRAY) {
        sv_exchange_fail(exchange, 400, "%s must be a list of token ids, or of such lists", name);
        return false;
    }
    for (sv_json_items items = sv_json_walk(list); sv_json_step(&items, NULL, &value); count++) {
        int64_t id = -1;
        if (!sv_json_integer(value, &id) || id < 0 || !sv_token_text_of(&exchange->served->tokens, (uint64_t)id)) {
            sv_exchange_fail(exchange, 400, "%s: item %zu isn't a token id of this model", name, count);
            return false;
        }
        ids[count] = (uint32_t)id;
    }
    return each(exchange, ids, count, context);
}

bool sv_inputs_ids(sv_exchange *exchange, const char *name, sv_inputs_each_ids *each, void *context) {
    sv_json value = find(exchange, name), list;
    sv_json_items items = sv_json_walk(value);
    if (value.kind != SV_JSON_ARRAY || !sv_json_step(&items, NULL, &list)) {
        sv_exchange_fail(exchange, value.kind == SV_JSON_NONE ? 422 : 400, "%s must be a list of token ids, or of such lists",
                         name);
        return false;
    }
    uint32_t *ids = sv_exchange_alloc(exchange, value.length / 2 + 1, sizeof *ids, "token ids"); /* an id and a comma each */
    bool done = ids != NULL;
    if (done && list.kind != SV_JSON_ARRAY)
        done = pass_ids(exchange, value, name, ids, each, context);
    else if (done)
        do
            done = pass_ids(exchange, list, name, ids, each, context);
        while (done && sv_json_step(&items, NULL, &list));
    free(ids);
    return done;
}

/* ------------------------------------------------------------------ texts */

static const sv_json none = {NULL, 0, SV_JSON_NONE};

/* The item of a list that has no other; NONE: it isn't such a list. */
static sv_json only_item(sv_json list) {
    sv_json item, other;
    sv_json_items items = sv_json_walk(list);
    bool only = list.kind == SV_JSON_ARRAY && sv_json_step(&items, NULL, &item) && !sv_json_step(&items, NULL, &other);
    return only ? item : none;
}

/* A string, or what stands for one; NONE: neither. */
static sv_json text_of(sv_json item, sv_input_forms forms) {
    const bool object = item.kind == SV_JSON_OBJECT;
    if (forms & SV_INPUT_CONTENTS && object)
        item = sv_json_member(only_item(sv_json_member(item, "content")), "text");
    else if (forms & SV_INPUT_OBJECTS && object)
        item = sv_json_member(item, "text");
    return item.kind == SV_JSON_STRING ? item : none;
}

/* For messages: the object that may stand for a text; "": none may. */
static const char *object_form(sv_input_forms forms) {
    return forms & SV_INPUT_CONTENTS  ? "{\"content\": [{\"type\": \"text\", \"text\": ...}]}"
           : forms & SV_INPUT_OBJECTS ? "{\"text\": ...}"
                                      : "";
}

/* `last`, a string or NONE, stands behind them. */
static bool read_strings(sv_exchange *exchange, sv_json list, sv_input_forms forms, const char *name, sv_json last) {
    size_t count = 0, bytes = room_of(last);
    sv_json item;
    for (sv_json_items items = sv_json_walk(list); sv_json_step(&items, NULL, &item); count++) {
        sv_json text = text_of(item, forms);
        if (text.kind == SV_JSON_NONE) {
            const char *form = object_form(forms);
            sv_exchange_fail(exchange, 400, "%s[%zu] isn't a string%s%s%s", name, count, *form ? " or " : "", form,
                             count ? ", as the items before it are" : "");
            return false;
        }
        bytes += room_of(text);
    }
    bool more = last.kind == SV_JSON_STRING;
    if (!make_room(exchange, count + more, bytes))
        return false;
    char *room = exchange->decoded;
    for (sv_json_items items = sv_json_walk(list); sv_json_step(&items, NULL, &item);)
        add_string(exchange, text_of(item, forms), &room);
    if (more)
        add_string(exchange, last, &room);
    return true;
}

static bool read_list(sv_exchange *exchange, sv_json list, sv_input_forms forms, const char *name, sv_json last) {
    sv_json_items items = sv_json_walk(list);
    sv_json first;
    if (!sv_json_step(&items, NULL, &first)) {
        sv_exchange_fail(exchange, 400, "%s is an empty list", name);
        return false;
    }
    bool ids = forms & SV_INPUT_IDS && (first.kind == SV_JSON_INTEGER || first.kind == SV_JSON_ARRAY);
    if (!ids && text_of(first, forms).kind == SV_JSON_NONE) {
        const char *form = object_form(forms);
        sv_exchange_fail(exchange, 400, "%s[0] must be a string%s%s%s", name, *form ? ", " : "", form,
                         forms & SV_INPUT_IDS ? " or token ids" : "");
        return false;
    }
    exchange->single = first.kind == SV_JSON_INTEGER;
    return ids ? read_id_lists(exchange, list, first.kind == SV_JSON_ARRAY, name)
               : read_strings(exchange, list, forms, name, last);
}

bool sv_inputs_texts(sv_exchange *exchange, const char *name, sv_input_forms forms) {
    sv_json value = find(exchange, name), text = text_of(value, forms);
    if (value.kind == SV_JSON_ARRAY)
        return read_list(exchange, value, forms, name, none);
    if (text.kind == SV_JSON_NONE) {
        sv_exchange_fail(exchange, value.kind != SV_JSON_NONE ? 400 : 422, "%s %s", name,
                         value.kind != SV_JSON_NONE ? "must be a string or a list of strings" : "is missing");
        return false;
    }
    exchange->single = true;
    return read_strings(exchange, none, forms, name, text);
}

bool sv_inputs_texts_and(sv_exchange *exchange, const char *name, sv_input_forms forms, const char *last) {
    sv_json list = find(exchange, name), text = text_of(find(exchange, last), forms);
    if (text.kind == SV_JSON_NONE) {
        sv_exchange_fail(exchange, 422, "%s must be a string", last);
        return false;
    }
    if (list.kind != SV_JSON_ARRAY || sv_json_count(list) == 0) {
        sv_exchange_fail(exchange, 422, "%s must be a list of strings, not empty", name);
        return false;
    }
    return read_list(exchange, list, forms & ~(unsigned)SV_INPUT_IDS, name, text);
}

/* ------------------------------------------------------------------ pairs */

/* The item of an input, text `second` of it or NONE. A string is its own first. */
static sv_json part_of(sv_json item, bool second) {
    sv_json part = {NULL, 0, SV_JSON_NONE};
    sv_json_items parts = sv_json_walk(item);
    if (item.kind == SV_JSON_STRING)
        return second ? part : item;
    for (int i = 0; i <= second; i++)
        if (!sv_json_step(&parts, NULL, &part))
            part.kind = SV_JSON_NONE;
    return part;
}

/* One or two strings. *two is set by the first item and must be so of all. */
static bool check_pair(sv_exchange *exchange, sv_json item, const char *where, bool first, bool *two, size_t *bytes) {
    size_t parts = item.kind == SV_JSON_STRING ? 1 : item.kind == SV_JSON_ARRAY ? sv_json_count(item) : 0;
    sv_json one = part_of(item, false), other = part_of(item, true);
    if (parts < 1 || parts > 2 || one.kind != SV_JSON_STRING || (parts == 2 && other.kind != SV_JSON_STRING)) {
        sv_exchange_fail(exchange, 422, "%s must be a text or a list of one or two texts", where);
        return false;
    }
    if (!first && *two != (parts == 2)) {
        sv_exchange_fail(exchange, 422, "%s: single texts and pairs can't be mixed", where);
        return false;
    }
    *two = parts == 2;
    *bytes += room_of(one) + (*two ? room_of(other) : 0);
    return true;
}

bool sv_inputs_pairs(sv_exchange *exchange, const char *name) {
    sv_json value = find(exchange, name), item = {NULL, 0, SV_JSON_NONE};
    sv_json_items items = sv_json_walk(value);
    size_t count = 0, bytes = 0;
    bool two = false;
    char where[80];
    bool many = value.kind == SV_JSON_ARRAY && sv_json_step(&items, NULL, &item) && item.kind == SV_JSON_ARRAY;
    exchange->single = !many;
    if (!many && !check_pair(exchange, value, name, true, &two, &bytes))
        return false;
    for (items = sv_json_walk(value); many && sv_json_step(&items, NULL, &item); count++) {
        snprintf(where, sizeof where, "%s[%zu]", name, count);
        if (!check_pair(exchange, item, where, count == 0, &two, &bytes))
            return false;
    }
    count = many ? count : 1;
    if (!make_room(exchange, count << two, bytes))
        return false;
    char *room = exchange->decoded;
    for (int second = 0; second <= two; second++) {
        items = sv_json_walk(value);
        item = value;
        for (size_t i = 0; i < count; i++) {
            if (many)
                sv_json_step(&items, NULL, &item);
            add_string(exchange, part_of(item, second), &room);
        }
    }
    exchange->count = count;
    exchange->seconds = two ? exchange->texts + count : NULL;
    return true;
}

bool sv_inputs_are_pairs(const sv_exchange *exchange) {
    return exchange->seconds || exchange->query.data;
}

senvec_pair sv_inputs_pair(const sv_exchange *exchange, size_t i) {
    const senvec_text text = exchange->texts[i];
    if (exchange->seconds)
        return (senvec_pair){text, exchange->seconds[i]};
    return exchange->query.data ? (senvec_pair){exchange->query, text} : (senvec_pair){.first = text};
}

/* ---------------------------------------------------------------- lengths */

/* Whether the model can't read all of text i, or of its pair. `ids` has room for what it reads. */
static bool is_too_long(const sv_exchange *exchange, size_t i, uint32_t *ids) {
    const sv_served *served = exchange->served;
    const size_t most = served->info.max_seq_length;
    const bool is_query = exchange->query_prompt && i + 1 == exchange->count;
    const senvec_embed_options options = {.prompt = is_query ? exchange->query_prompt : exchange->prompt};
    const senvec_pair pair = sv_inputs_pair(exchange, i);
    senvec_embed_stats stats = {0};
    size_t count = 0;
    if (sv_inputs_are_pairs(exchange)) {
        senvec_tokenize_pair(served->facts, &pair, exchange->truncation, ids, NULL, &count, &stats, NULL);
        return stats.truncated > 0;
    }
    senvec_tokenize(served->facts, pair.first, ids, most, &count, &stats, NULL);
    return stats.truncated || count + sv_batcher_prompt_tokens(served->facts, &options) > most;
}

bool sv_inputs_check_lengths(sv_exchange *exchange) {
    size_t most = exchange->served->info.max_seq_length;
    if (!exchange->strict)
        return true;
    uint32_t *ids = sv_exchange_alloc(exchange, most, sizeof *ids, "token ids");
    for (size_t i = 0; ids && i < exchange->count && !exchange->status; i++)
        if (is_too_long(exchange, i, ids))
            sv_exchange_fail(exchange, 413,
                             "input %zu%s has more than the %zu tokens that this model reads; shorten it, or let it be cut "
                             "(\"truncate\": true)",
                             i, sv_inputs_are_pairs(exchange) ? " with the text that it is compared with" : "", most);
    free(ids);
    return exchange->status == 0;
}

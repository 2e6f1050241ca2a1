/* Members that change the answer. */
#include "server/members.h"

#include <string.h>

#include "server/inputs.h"

bool sv_members_dimensions(sv_exchange *exchange, const char *name) {
    return sv_inputs_number(exchange, name, 1, exchange->served->info.dimensions, &exchange->dimensions);
}

bool sv_members_normalize(sv_exchange *exchange, const char *name) {
    bool normalize;
    if (!sv_inputs_has(exchange, name))
        return true;
    if (!sv_inputs_flag(exchange, name, &normalize))
        return false;
    exchange->normalize = normalize ? SENVEC_NORMALIZE_ON : SENVEC_NORMALIZE_OFF;
    return true;
}

bool sv_members_type(sv_exchange *exchange, const char *name) {
    unsigned type = exchange->type;
    bool known = sv_inputs_choice(exchange, name, sv_vector_type_names, &type);
    exchange->type = (sv_vector_type)type;
    return known;
}

/* The APIs have several members that name a side; those that are given must agree. */
static bool set_side(sv_exchange *exchange, const char *name, senvec_truncation side) {
    if (exchange->truncation != SENVEC_TRUNCATION_AUTO && exchange->truncation != side) {
        sv_exchange_fail(exchange, 422, "%s: another member says that texts are cut on the other side; send one of them", name);
        return false;
    }
    exchange->truncation = side;
    return true;
}

bool sv_members_truncate(sv_exchange *exchange, const char *name) {
    static const char *const ends[] = {"end", "start", "none", NULL};
    bool cut = true;
    unsigned end = 0;
    if (!sv_inputs_is_string(exchange, name)) {
        if (!sv_inputs_flag(exchange, name, &cut))
            return false;
        exchange->strict |= !cut;
        return true;
    }
    if (!sv_inputs_choice(exchange, name, ends, &end))
        return false;
    exchange->strict |= end == 2;
    return end == 2 || set_side(exchange, name, end == 0 ? SENVEC_TRUNCATION_RIGHT : SENVEC_TRUNCATION_LEFT);
}

bool sv_members_direction(sv_exchange *exchange, const char *name) {
    static const char *const directions[] = {"right", "left", NULL};
    unsigned direction = 0;
    if (!sv_inputs_has(exchange, name))
        return true;
    return sv_inputs_choice(exchange, name, directions, &direction) &&
           set_side(exchange, name, direction == 0 ? SENVEC_TRUNCATION_RIGHT : SENVEC_TRUNCATION_LEFT);
}

bool sv_members_truncation(sv_exchange *exchange) {
    return sv_members_truncate(exchange, "truncate") && sv_members_truncate(exchange, "truncation") &&
           sv_members_direction(exchange, "truncation_direction");
}

/* ---------------------------------------------------------------- prompts */

/* The text of the first of these prompts (ends with NULL) that the model has; NULL: it has none of them. */
static const char *find_prompt(const sv_served *served, const char *const *names) {
    for (; *names; names++)
        for (size_t i = 0; i < served->info.prompt_count; i++)
            if (strcmp(served->info.prompts[i].name, *names) == 0 && *served->info.prompts[i].text)
                return served->info.prompts[i].text;
    return NULL;
}

static const char *const for_queries[] = {"query", NULL};
static const char *const for_documents[] = {"document", "passage", "corpus", NULL};

const char *sv_members_default_prompt(const sv_served *served) {
    const char *prompt = served->info.default_prompt_name
                             ? find_prompt(served, (const char *const[]){served->info.default_prompt_name, NULL})
                             : NULL;
    return prompt ? prompt : "";
}

/* Where a model has a prompt for something else by default, a query or document without one gets none. */
static const char *prompt_for(const sv_served *served, const char *const *names) {
    const char *prompt = find_prompt(served, names);
    return prompt ? prompt : "";
}

bool sv_members_prompt(sv_exchange *exchange, const char *name) {
    const sv_served *served = exchange->served;
    const char *given = NULL;
    char known[300] = "";
    size_t used = 0;
    if (!sv_inputs_string(exchange, name, &given))
        return false;
    if (!given)
        return true;
    for (size_t i = 0; i < served->info.prompt_count; i++) {
        if (strcmp(served->info.prompts[i].name, given) == 0) {
            exchange->prompt = served->info.prompts[i].text;
            return true;
        }
        if (used < sizeof known)
            used +=
                (size_t)snprintf(known + used, sizeof known - used, "%s\"%.40s\"", i ? ", " : "", served->info.prompts[i].name);
    }
    if (strcmp(given, "query") == 0 ||
        strcmp(given, "document") == 0) { /* every model has these, as sentence-transformers does */
        exchange->prompt = "";
        return true;
    }
    if (*known) /* in the words of text-embeddings-inference, in which clients look for the names */
        sv_exchange_fail(exchange, 422, "%s: this model has no prompt \"%.60s\". Available prompts: [%s]", name, given, known);
    else
        sv_exchange_fail(exchange, 422, "%s: this model has no prompt \"%.60s\", and no other", name, given);
    return false;
}

bool sv_members_purpose(sv_exchange *exchange, const char *name) {
    static const char *const queries[] = {"query", "search_query", "retrieval.query", NULL};
    static const char *const documents[] = {"document", "passage", "search_document", "retrieval.passage", NULL};
    const char *given = NULL;
    if (!sv_inputs_string(exchange, name, &given))
        return false;
    if (!given)
        return true;
    for (size_t i = 0; queries[i]; i++)
        if (strcasecmp(given, queries[i]) == 0)
            exchange->prompt = prompt_for(exchange->served, for_queries);
    for (size_t i = 0; documents[i]; i++)
        if (strcasecmp(given, documents[i]) == 0)
            exchange->prompt = prompt_for(exchange->served, for_documents);
    if (!exchange->prompt)
        exchange->prompt = find_prompt(exchange->served, (const char *const[]){given, NULL});
    return true;
}

void sv_members_documents_and_query(sv_exchange *exchange) {
    exchange->prompt = prompt_for(exchange->served, for_documents);
    exchange->query_prompt = prompt_for(exchange->served, for_queries);
}

bool sv_members_refuse(sv_exchange *exchange, const char *name, bool refused, const char *why) {
    bool given = !refused;
    if (!sv_inputs_flag(exchange, name, &given))
        return false;
    if (given == refused)
        sv_exchange_fail(exchange, 422, "%s %s", name, why);
    return given != refused;
}

/* ---------------------------------------------------------------- vectors */

/* Whether these members can be had together. */
static bool agree(sv_exchange *exchange) {
    if (exchange->type != SV_VECTOR_INT8 && exchange->type != SV_VECTOR_UINT8)
        return true;
    if (exchange->normalize == SENVEC_NORMALIZE_OFF) {
        sv_exchange_fail(exchange, 422, "%s is for vectors of length 1; leave out normalize, or ask for floats",
                         sv_vector_type_names[exchange->type]);
        return false;
    }
    exchange->normalize = SENVEC_NORMALIZE_ON;
    return true;
}

const char *const sv_members_types[] = {"float", "int8", "uint8", "binary", "ubinary", "base64", NULL};

/* Jina's and NVIDIA's name for a type, or Cohere's; one, as a string or a list, of which "base64" is that of floats. */
static bool read_types(sv_exchange *exchange, const char *name) {
    unsigned bits = 0;
    if (!sv_inputs_choices(exchange, name, sv_members_types, &bits))
        return false;
    if (bits == 1u << SV_VECTOR_TYPES)
        exchange->base64 = true;
    for (unsigned type = 0; type < SV_VECTOR_TYPES; type++)
        if (bits == 1u << type)
            exchange->type = (sv_vector_type)type;
    if (bits & (bits - 1))
        sv_exchange_fail(exchange, 422, "%s: one at a time; /v2/embed gives several", name);
    return !exchange->status;
}

/* vLLM's way to say how much of a text is read. All that the model reads, or more, is what is done. */
static bool read_cut(sv_exchange *exchange, const char *name) {
    size_t most = exchange->served->info.max_seq_length, tokens = most;
    if (!sv_inputs_has(exchange, name))
        return true;
    if (!sv_inputs_number(exchange, name, 1, SIZE_MAX >> 1, &tokens))
        return false;
    if (tokens < most)
        sv_exchange_fail(exchange, 422, "%s: texts are cut at %zu tokens and nowhere else; leave it out", name, most);
    return tokens >= most;
}

bool sv_members_of_vectors(sv_exchange *exchange, unsigned *types) {
    static const char *const formats[] = {"float", "base64", NULL};
    unsigned format = 0;
    bool read = sv_inputs_choice(exchange, "encoding_format", formats, &format) && sv_members_type(exchange, "output_dtype") &&
                read_types(exchange, "embedding_type") &&
                (types ? sv_inputs_choices(exchange, "embedding_types", sv_members_types, types)
                       : read_types(exchange, "embedding_types")) &&
                sv_members_dimensions(exchange, "dimensions") && sv_members_dimensions(exchange, "output_dimension") &&
                sv_members_normalize(exchange, "normalize") && sv_members_normalize(exchange, "normalized") &&
                sv_members_truncation(exchange) && read_cut(exchange, "truncate_prompt_tokens") &&
                sv_members_purpose(exchange, "input_type") && sv_members_purpose(exchange, "task") &&
                sv_members_prompt(exchange, "prompt_name") &&
                sv_members_refuse(exchange, "late_chunking", true, "isn't done by this server; leave it out") &&
                sv_members_refuse(exchange, "return_multivector", true, "isn't done by this server: a text has one vector") &&
                sv_members_refuse(exchange, "add_special_tokens", false, "must be true: the model was trained with them");
    exchange->base64 |= format == 1;
    return read && agree(exchange);
}

/* Reading a request's body: the texts in it, and other members. Inside of the server.
 *
 * Members are named as messages call them; a point leads into an object ("inputs.sentences"). A member that is missing or null
 * doesn't change `out`, unless the function's comment says otherwise. Each function returns false after sv_exchange_fail. */
#ifndef SV_SERVER_INPUTS_H
#define SV_SERVER_INPUTS_H

#include "server/exchange.h"

/* The elements that a list of texts may have. A single string is always accepted. */
typedef enum sv_input_forms {
    SV_INPUT_STRINGS = 0,
    SV_INPUT_IDS = 1,      /* a list of token ids, or a list of such lists */
    SV_INPUT_OBJECTS = 2,  /* {"text": "..."} */
    SV_INPUT_CONTENTS = 4, /* {"content": [{"type": "text", "text": "..."}]}, with one part */
} sv_input_forms;

/* Makes the member the exchange's texts. A missing member is an error. */
bool sv_inputs_texts(sv_exchange *exchange, const char *name, sv_input_forms forms);
/* Makes a list the exchange's texts, followed by the text of the member `last`, a string. */
bool sv_inputs_texts_and(sv_exchange *exchange, const char *name, sv_input_forms forms, const char *last);
/* TEI's inputs of a classifier: a text; a list of one or two, which then go together; or a list of such lists, all of the same
 * length. The second ones are the exchange's `seconds`. */
bool sv_inputs_pairs(sv_exchange *exchange, const char *name);
/* Whether the texts are parts of pairs: each goes with one of `seconds`, or with the query. */
bool sv_inputs_are_pairs(const sv_exchange *exchange);
/* The pair that text i is a part of; of a single text, only `first` counts. */
senvec_pair sv_inputs_pair(const sv_exchange *exchange, size_t i);
/* Refuses texts and pairs that are longer than the model reads, if the exchange is `strict`. After the texts and the query. */
bool sv_inputs_check_lengths(sv_exchange *exchange);

/* Token ids of this model, a list or lists of them, of any length: calls `each` for every list, which returns false after
 * sv_exchange_fail. Missing is an error. */
typedef bool sv_inputs_each_ids(sv_exchange *exchange, const uint32_t *ids, size_t count, void *context);
bool sv_inputs_ids(sv_exchange *exchange, const char *name, sv_inputs_each_ids *each, void *context);

/* Whether the member is there and not null. */
bool sv_inputs_has(const sv_exchange *exchange, const char *name);
/* Whether the member is there, even if it is null. */
bool sv_inputs_names(const sv_exchange *exchange, const char *name);
bool sv_inputs_is_object(const sv_exchange *exchange, const char *name);
bool sv_inputs_is_string(const sv_exchange *exchange, const char *name);
bool sv_inputs_flag(sv_exchange *exchange, const char *name, bool *out);
/* A whole number from `least` to `most`. */
bool sv_inputs_number(sv_exchange *exchange, const char *name, size_t least, size_t most, size_t *out);
/* NUL-terminated; lives as long as the exchange. */
bool sv_inputs_string(sv_exchange *exchange, const char *name, const char **out);
/* One of `choices` (ends with NULL), in any case of letters, as its index. */
bool sv_inputs_choice(sv_exchange *exchange, const char *name, const char *const *choices, unsigned *out);
/* A list of `choices`, or a single one, as bits by index. The list must not be empty. */
bool sv_inputs_choices(sv_exchange *exchange, const char *name, const char *const *choices, unsigned *bits);

#endif

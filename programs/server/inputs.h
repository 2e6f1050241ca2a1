/* Reading a request's body: the texts in it, and other members. Each function returns false after sv_exchange_fail. */
#ifndef SV_SERVER_INPUTS_H
#define SV_SERVER_INPUTS_H

#include "server/exchange.h"

/* The member `name` of the body as the exchange's texts: a string, a list of strings, a list of token ids, or a list of lists
 * of token ids. */
bool sv_inputs_texts(sv_exchange *exchange, const char *name);
/* `value` (which may be NULL) as texts; `name` is what messages call it. */
bool sv_inputs_read(sv_exchange *exchange, const json_t *value, const char *name);

/* Members that change the answer. Where they are missing or null, the exchange stays as it is. */
bool sv_inputs_dimensions(sv_exchange *exchange); /* "dimensions" */
bool sv_inputs_flag(sv_exchange *exchange, const json_t *object, const char *name, bool *out);
/* Refuses texts that are longer than the model reads, if the exchange is `strict`. */
bool sv_inputs_check_lengths(sv_exchange *exchange);

#endif

/* Members of a request's body that change its answer, by whatever name an API calls them. What can't be done is refused by that
 * name rather than ignored. All read the exchange's body and set its fields; a member that is missing or null changes nothing.
 * Each function returns false after sv_exchange_fail. Inside of the server. */
#ifndef SV_SERVER_MEMBERS_H
#define SV_SERVER_MEMBERS_H

#include "server/exchange.h"

/* All members by which any API says what vectors are wanted: how long, of what type, in what form, of texts treated in what
 * way. They mean the same on every route that gives vectors, whoever invented them, so that none is ever ignored. Of
 * "embedding_types" there may be several where `types` isn't NULL: it gets their bits, of sv_members_types. */
extern const char *const sv_members_types[]; /* sv_vector_type_names, and "base64" of floats */
bool sv_members_of_vectors(sv_exchange *exchange, unsigned *types);

/* A whole number: vectors are cut to it. */
bool sv_members_dimensions(sv_exchange *exchange, const char *name);
/* true or false: vectors of length 1, or without the model's last step where that is to normalise. */
bool sv_members_normalize(sv_exchange *exchange, const char *name);
/* One of sv_vector_type_names. */
bool sv_members_type(sv_exchange *exchange, const char *name);
/* true or "end": texts that are too long are cut at their end. false or "none": they are refused. "start": they are refused,
 * too, since they can't be cut there. */
bool sv_members_truncate(sv_exchange *exchange, const char *name);
/* The same in other words: "right" or "left". */
bool sv_members_direction(sv_exchange *exchange, const char *name);
/* The name of one of the model's prompts. */
bool sv_members_prompt(sv_exchange *exchange, const char *name);
/* What the texts are for, as Cohere ("search_query"), Jina ("retrieval.query"), Voyage and NVIDIA ("query") say it: a prompt of
 * the model, if it has one for that. Any word is taken. */
bool sv_members_purpose(sv_exchange *exchange, const char *name);
/* The texts are documents, and the last one is a query: the model's prompts for that, if it has them. */
void sv_members_documents_and_query(sv_exchange *exchange);
/* A switch that must not be `refused`; `why` ends the sentence that begins with the member's name. */
bool sv_members_refuse(sv_exchange *exchange, const char *name, bool refused, const char *why);
#endif

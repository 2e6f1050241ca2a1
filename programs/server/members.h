/* Members of a request's body that change its answer, under the names that the APIs use. A value that the server can't obey is
 * refused by name, never ignored. All read the exchange's body and set its fields; a member that is missing or null changes
 * nothing. Each function returns false after sv_exchange_fail. Inside of the server. */
#ifndef SV_SERVER_MEMBERS_H
#define SV_SERVER_MEMBERS_H

#include "server/exchange.h"

/* Reads all members by which any API describes the wanted vectors: dimensions, type, encoding, and the treatment of texts. They
 * mean the same on every route that gives vectors, whichever API they come from, so none is ever ignored. Of "embedding_types"
 * there may be several where `types` isn't NULL: it gets their bits, of sv_members_types. */
extern const char *const sv_members_types[]; /* sv_vector_type_names, and "base64" of floats */
bool sv_members_of_vectors(sv_exchange *exchange, unsigned *types);

/* A whole number: vectors are cut to it. */
bool sv_members_dimensions(sv_exchange *exchange, const char *name);
/* true or false: vectors of length 1, or without the model's last step where that is to normalise. */
bool sv_members_normalize(sv_exchange *exchange, const char *name);
/* One of sv_vector_type_names. */
bool sv_members_type(sv_exchange *exchange, const char *name);
/* true: texts that are too long are cut on the side that the model's tokenizer names, or another member; "end", "start": they
 * are cut there. false or "none": they are refused. */
bool sv_members_truncate(sv_exchange *exchange, const char *name);
/* The side on which long texts are cut: "right" (their end is lost) or "left". */
bool sv_members_direction(sv_exchange *exchange, const char *name);
/* All members about texts that are too long: "truncate", "truncation" and "truncation_direction". */
bool sv_members_truncation(sv_exchange *exchange);
/* The text that the model puts before each text unless a call says otherwise; "" for none. */
const char *sv_members_default_prompt(const sv_served *served);

/* The name of one of the model's prompts. */
bool sv_members_prompt(sv_exchange *exchange, const char *name);
/* The purpose of the texts, in the words of Cohere ("search_query"), Jina ("retrieval.query"), Voyage and NVIDIA ("query"). It
 * selects the model's prompt for that purpose, if there is one. Any word is accepted. */
bool sv_members_purpose(sv_exchange *exchange, const char *name);
/* The texts are documents, and the last one is a query: the model's prompts for that, if it has them. */
void sv_members_documents_and_query(sv_exchange *exchange);
/* A switch that must not be `refused`; `why` ends the sentence that begins with the member's name. */
bool sv_members_refuse(sv_exchange *exchange, const char *name, bool refused, const char *why);
#endif

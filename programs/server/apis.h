/* The parts of each API, which its api_*.c defines: the dialect and the `begin` functions of its routes (see sv_route). */
#ifndef SV_SERVER_APIS_H
#define SV_SERVER_APIS_H

#include "server/exchange.h"

/* api_openai.c */
extern const sv_dialect sv_openai;
void sv_openai_begin(sv_exchange *exchange);
void sv_openai_models(sv_exchange *exchange);
void sv_openai_model(sv_exchange *exchange);

/* api_tei.c */
extern const sv_dialect sv_tei;
void sv_tei_embed_begin(sv_exchange *exchange);
void sv_tei_root_begin(sv_exchange *exchange);
void sv_tei_similarity_begin(sv_exchange *exchange);
void sv_tei_info(sv_exchange *exchange);
void sv_tei_health(sv_exchange *exchange);

/* api_tokens.c */
void sv_tei_tokenize(sv_exchange *exchange);
void sv_tei_decode(sv_exchange *exchange);

/* api_tasks.c */
void sv_tei_predict(sv_exchange *exchange);
void sv_tei_embed_sparse(sv_exchange *exchange);
void sv_tei_embed_all(sv_exchange *exchange);

/* api_rerank.c */
extern const sv_dialect sv_cohere;
void sv_rerank_begin(sv_exchange *exchange);
void sv_tei_rerank_begin(sv_exchange *exchange);

/* api_cohere.c */
void sv_cohere_embed_v1_begin(sv_exchange *exchange);
void sv_cohere_embed_v2_begin(sv_exchange *exchange);

/* api_weaviate.c */
void sv_weaviate_vectors_begin(sv_exchange *exchange);
void sv_weaviate_ready(sv_exchange *exchange);
void sv_weaviate_meta(sv_exchange *exchange);

/* api_ollama.c */
extern const sv_dialect sv_ollama;
void sv_ollama_embed_begin(sv_exchange *exchange);
void sv_ollama_embeddings_begin(sv_exchange *exchange);
void sv_ollama_tags(sv_exchange *exchange);
void sv_ollama_ps(sv_exchange *exchange);
void sv_ollama_show(sv_exchange *exchange);
void sv_ollama_pull(sv_exchange *exchange);
void sv_ollama_version(sv_exchange *exchange);

#endif

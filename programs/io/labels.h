/* Files with the reader's own labels: documents and queries with judgements, texts with a class. */
#ifndef SV_IO_LABELS_H
#define SV_IO_LABELS_H

#include "io/texts.h"
#include "stats/quality.h"

/* Texts with a name each: BEIR's JSON lines ("_id" or "id", "title", "text") or TREC's lines with a tab (name, text). A title
 * stands before the text, with a space between them. */
typedef struct sv_named_texts {
    sv_texts texts;
    const char **names; /* [texts.count], unique */
    size_t *by_name;    /* [texts.count]: indices in the order of the names */
} sv_named_texts;

typedef struct sv_search_task {
    sv_named_texts documents, queries;
    sv_judgement *judged; /* [judged_count], by query: those of query q are judged[first[q] .. first[q + 1]) */
    size_t judged_count;
    size_t *first; /* [queries.texts.count + 1] */
} sv_search_task;

/* `qrels`: BEIR's (a header; query, document, relevance, between tabs) or TREC's (query, 0, document, relevance). Queries that
 * it doesn't name are left out. Errors: those of sv_corpus_open; FORMAT (names the line: a name twice, a judgement of a query
 * or document that isn't there), TOO_LARGE (SV_MAX_STUDY_TEXTS), OUT_OF_MEMORY. */
senvec_status sv_search_task_load(sv_search_task *task, const char *documents, const char *queries, const char *qrels,
                                  senvec_error *err);
/* A zeroed one is accepted. */
void sv_search_task_release(sv_search_task *task);

/* Of each class every fifth text, in the file's order, is for testing, the others are for training. */
typedef struct sv_class_task {
    sv_texts texts;
    size_t *classes; /* [texts.count]: the class's place in the alphabet */
    size_t class_count;
    bool *for_test; /* [texts.count] */
} sv_class_task;

/* CSV (or a file with tabs): text, class; a first line whose second field is "label", "class", "category" or "target" names the
 * columns. Errors: those of sv_corpus_open; FORMAT (fewer than two classes, or nothing to test),
 * TOO_LARGE, OUT_OF_MEMORY. */
senvec_status sv_class_task_load(sv_class_task *task, const char *path, senvec_error *err);
/* A zeroed one is accepted. */
void sv_class_task_release(sv_class_task *task);

#endif

/* The quality of vectors at a task: search, classification. The definitions are trec_eval's and scikit-learn's. */
#ifndef SV_STATS_QUALITY_H
#define SV_STATS_QUALITY_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

/* A document that somebody judged for a query. Above 0 it is relevant. */
typedef struct sv_judgement {
    size_t query, document; /* indices */
    double relevance;
} sv_judgement;

/* Of one query. */
typedef struct sv_search_scores {
    double ndcg10;          /* ndcg_cut_10: gain is the relevance, discount log2(rank + 1), ideal over all judged documents */
    double recall10;        /* recall_10: the part of the relevant documents that are among the first ten */
    double reciprocal_rank; /* recip_rank: one over the rank of the first relevant document */
} sv_search_scores;

/* scores[i] (count): of document i for the query; of equal ones the one whose name is later in the alphabet comes first, as in
 * trec_eval. `names` (count). judged[0 .. judged_count): of this query alone. All zero where no document is relevant. */
sv_search_scores sv_score_search(const float *scores, const char *const *names, size_t count, const sv_judgement *judged,
                                 size_t judged_count);

/* Fills right[i] (test_count) with 1 where the majority of the `k` nearest training vectors by cosine has the class of test
 * vector i, else 0; of classes with as many votes the smallest counts. `train` [train_count, dimensions] and `test`
 * [test_count, dimensions] are vectors of one length; of equally near ones the first counts; classes are below `classes`.
 * Error: OUT_OF_MEMORY. */
senvec_status sv_score_neighbours(const float *train, const size_t *train_classes, size_t train_count, const float *test,
                                  const size_t *test_classes, size_t test_count, size_t dimensions, size_t classes, size_t k,
                                  double *right, senvec_error *err);

/* The same with multinomial logistic regression on the training vectors: half of the squared weights, without the intercepts,
 * plus the sum of the losses, at its minimum (scikit-learn's LogisticRegression with C = 1). Error: OUT_OF_MEMORY. */
senvec_status sv_score_probe(const float *train, const size_t *train_classes, size_t train_count, const float *test,
                             const size_t *test_classes, size_t test_count, size_t dimensions, size_t classes, double *right,
                             senvec_error *err);

/* A value less another one on the same items, with its 95 % interval. */
typedef struct sv_difference {
    double value, low, high;
} sv_difference;

/* The mean of a[i] - b[i]; the interval is of a bootstrap over the items. Error: OUT_OF_MEMORY. */
senvec_status sv_bootstrap_means(const double *a, const double *b, size_t count, uint64_t seed, sv_difference *out,
                                 senvec_error *err);
/* Spearman's correlation of a and the labels less that of b and the labels; the items are drawn together. Error: OUT_OF_MEMORY.
 */
senvec_status sv_bootstrap_spearman(const double *a, const double *b, const double *labels, size_t count, uint64_t seed,
                                    sv_difference *out, senvec_error *err);

#endif

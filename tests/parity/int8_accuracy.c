/* int8_accuracy [FILE[#COLUMN]]...: how far int8 vectors are from fp32 ones, through
 * senvec.h: one row for each FILE of texts, one a line or a COLUMN (name or number) of a CSV file. FILE#1#2#3 is a CSV file of
 * labelled pairs (text, text, number): Spearman's correlation too. Without files: the texts below, none of which calibration
 * has seen, and the exit status says whether each kind keeps its bounds. Exit 77 where the real model is missing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/hub.h"
#include "io/corpus.h"
#include "io/texts.h"
#include "senvec.h"
#include "study/compare.h"

/* Weaker than the goals (0.9995 and 0.998), as kernels of different tiers round differently; the vectors are the same at each
 * run, so that a failure is never bad luck. */
#define LEAST_MEAN 0.9994
#define LEAST_COSINE 0.9975

static const char *const documentation[] = {
    "Writes the buffer to the disk and waits until the device has confirmed it.",
    "The timeout is given in milliseconds; zero means that the call returns at once.",
    "If no port is given, the system chooses a free one, which is printed on standard output.",
    "Names are compared byte by byte, so two spellings of one accented letter are different names.",
    "Calling close twice is an error that the debug build catches and the release build does not.",
    "A trailing slash tells the program to copy what is in the folder rather than the folder itself.",
    "Since 1.8 the parser accepts comments, but it drops them when the file is written again.",
    "The iterator stays valid until the container is changed in any way but through it.",
    "Environment variables win over the configuration file, and options on the command line win over both.",
    "To update, stop the service, replace the binary, and start it; sessions are kept in the database.",
    "Rows are locked in the order of their keys, which makes deadlocks between two updates impossible.",
    "Returns NULL and sets errno if the name is longer than NAME_MAX.",
    "The hash is not stable across versions and must not be stored.",
    "Set log_level to 3 to see every query with its plan, and expect it to run at half the speed.",
    "This page lists the exit codes: 0 for success, 1 for a failed check, 2 for a wrong command line.",
    "See also: readv(2), sendfile(2).",
};

static const char *const reports[] = {
    "A cargo ship ran aground in the strait on Monday and blocks the way for about forty other vessels.",
    "The airline will cut one flight in ten from its winter schedule because pilots are hard to find.",
    "Three people were slightly injured when a crane fell onto an empty office building.",
    "The prime minister promised tax relief for families, but left open how it would be paid for.",
    "Fishermen on the island welcomed the ruling, which gives them back the waters of their grandparents.",
    "Unemployment fell to 4.1 percent in August, the lowest figure since the series began.",
    "The museum reopens after six years of repairs that cost twice as much as planned.",
    "Thousands marched through the capital to demand cheaper rents.",
    "A software fault stopped all trains in the north for two hours on Thursday evening.",
    "The champions sold their best striker for a sum that neither club wanted to confirm.",
    "Wildfires came within a mile of the observatory before the wind turned.",
    "Two banks are in talks about a merger that would create the third largest lender of the region.",
    "The jury awarded the prize to a first novel about a lighthouse keeper and his deaf daughter.",
    "Researchers say that the glacier has lost a fifth of its volume within ten years.",
    "The soup was lukewarm, the waiter was not, and the terrace at sunset makes up for everything.",
    "I returned these boots after two walks in the rain; the left one leaks at the seam.",
    "Fast delivery, honest description, works with my old camera. Would buy from this seller again.",
    "The second season loses its way, and by the end you no longer care who did it.",
    "Comfortable bed, noisy street, and a breakfast for which you have to queue.",
    "It does what it says, but the app that you need for it wants to know far too much about you.",
};

static const char *const questions[] = {
    "Why do cats purr?",
    "How do I get rid of moss in my lawn?",
    "What is the fastest way to sort a million integers?",
    "Do I need a visa for a stopover of ten hours?",
    "Is it normal that a new laptop gets this hot?",
    "Which countries drive on the left?",
    "How long can cooked rice stay in the fridge?",
    "What happens to my pension if I work abroad for a year?",
    "Can somebody explain the difference between a process and a thread?",
    "When should tomato seedlings be moved outside?",
    "Who decides where a new school is built?",
    "Does anybody know why my bread never rises in winter?",
    "How is the consumer price index computed?",
    "What does the light with the snowflake on my dashboard mean?",
    "Are there any good books about the history of maps?",
    "Where does the phrase come from, and do people still use it?",
};

/* -------------------------------------------------------------------------------------------------------------------- texts */

/* Copies of texts; `labels` of every second one where there are pairs. */
typedef struct set {
    const char *name;
    senvec_text *texts;
    double *labels;
    size_t count, capacity;
} set;

static int fail(const char *message) {
    fprintf(stderr, "int8_accuracy: %s\n", message);
    exit(1);
}

static void *must(void *memory) {
    if (!memory)
        fail("out of memory");
    return memory;
}

static void try(senvec_status status, const senvec_error *err) {
    if (status != SENVEC_OK)
        fail(err->message);
}

static void add(set *to, const char *text, size_t length) {
    if (to->count == to->capacity) {
        to->capacity = to->capacity ? 2 * to->capacity : 256;
        to->texts = must(realloc(to->texts, to->capacity * sizeof *to->texts));
    }
    char *copy = must(malloc(length + 1));
    memcpy(copy, text, length);
    copy[length] = '\0';
    to->texts[to->count++] = (senvec_text){copy, length};
}

static void release(set *texts) {
    for (size_t i = 0; i < texts->count; i++)
        free((char *)texts->texts[i].data);
    free(texts->texts);
    free(texts->labels);
    *texts = (set){0};
}

static set list(const char *name, const char *const *texts, size_t count) {
    set made = {.name = name};
    for (size_t i = 0; i < count; i++)
        add(&made, texts[i], strlen(texts[i]));
    return made;
}

static set read_column(const char *path, const char *column) {
    set made = {.name = path};
    sv_corpus_options options = {.column = column};
    sv_corpus *corpus;
    senvec_error err;
    try(sv_corpus_open(path, &options, &corpus, &err), &err);
    for (bool more = true; more;) {
        senvec_text text;
        try(sv_corpus_next(corpus, &text, &more, &err), &err);
        if (more)
            add(&made, text.data, text.length);
    }
    sv_corpus_close(corpus);
    return made;
}

/* FILE, FILE#COLUMN or FILE#TEXT#TEXT#LABEL. */
static set read_set(char *argument) {
    char *parts[4] = {argument};
    size_t count = 1;
    for (char *hash = strchr(argument, '#'); hash && count < 4; hash = strchr(hash + 1, '#')) {
        *hash = '\0';
        parts[count++] = hash + 1;
    }
    if (count < 4)
        return read_column(parts[0], parts[1]);
    set a = read_column(parts[0], parts[1]), b = read_column(parts[0], parts[2]), labels = read_column(parts[0], parts[3]);
    set made = {.name = parts[0], .labels = must(malloc(a.count * sizeof(double)))};
    for (size_t i = 0; i < a.count; i++) {
        add(&made, a.texts[i].data, a.texts[i].length);
        add(&made, b.texts[i].data, b.texts[i].length);
        made.labels[i] = strtod(labels.texts[i].data, NULL);
    }
    release(&a);
    release(&b);
    release(&labels);
    return made;
}

/* ------------------------------------------------------------------------------------------------------------------ vectors */

static float *embed(const char *directory, senvec_precision precision, const set *texts, size_t *dimensions) {
    senvec_model_options options = {.precision = precision};
    senvec_model *model;
    senvec_session *session;
    senvec_model_info info;
    senvec_error err;
    try(senvec_model_open(directory, &options, &model, &err), &err);
    try(senvec_session_open(model, NULL, &session, &err), &err);
    senvec_model_describe(model, &info);
    *dimensions = info.dimensions;
    float *vectors = must(malloc((texts->count + 1) * info.dimensions * sizeof(float)));
    try(senvec_embed(session, texts->texts, texts->count, vectors, info.dimensions, NULL, &err), &err);
    senvec_session_free(session);
    senvec_model_free(model);
    return vectors;
}

/* Prints a row; returns whether it keeps the bounds. */
static bool compare(const char *directory, const set *texts) {
    size_t dimensions;
    float *reference = embed(directory, SENVEC_PRECISION_FP32, texts, &dimensions);
    float *vectors = embed(directory, SENVEC_PRECISION_INT8, texts, &dimensions);
    double *cosines = must(malloc((texts->count + 1) * sizeof(double))), mean = 0, least = 1;
    sv_comparison comparison;
    senvec_error err;
    try(sv_compare_vectors(vectors, reference, texts->count, dimensions, cosines, &comparison, &err), &err);
    size_t worst = 0;
    for (size_t i = 0; i < texts->count; i++) {
        mean += cosines[i] / (double)texts->count;
        if (cosines[i] < least) {
            least = cosines[i];
            worst = i;
        }
    }
    printf("%-40.40s %6zu  %.6f  %.6f  %.4f  %.4f", texts->name, texts->count, mean, least, comparison.pairwise_error_max,
           comparison.neighbours);
    if (texts->labels) {
        double scores[2];
        try(sv_score_pairs(reference, texts->labels, texts->count / 2, dimensions, &scores[0], &err), &err);
        try(sv_score_pairs(vectors, texts->labels, texts->count / 2, dimensions, &scores[1], &err), &err);
        printf("  %.3f -> %.3f", 100 * scores[0], 100 * scores[1]);
    }
    printf("  (%.60s)\n", texts->texts[worst].data);
    free(reference);
    free(vectors);
    free(cosines);
    return mean >= LEAST_MEAN && least >= LEAST_COSINE;
}

int main(int argc, char **argv) {
    char directory[SV_MAX_PATH];
    const char *given = getenv("SENVEC_TEST_MODEL");
    senvec_error err;
    if (sv_hub_resolve(given && *given ? given : SV_DEFAULT_MODEL, directory, &err) != SENVEC_OK) {
        printf("SKIP: %s\n", err.message);
        return 77;
    }
    printf("%-40s %6s  %-8s  %-8s  %-6s  %-6s  Spearman  (worst text)\n", "", "texts", "mean", "min", "pairs", "top 10");
    if (argc > 1) {
        for (int i = 1; i < argc; i++) {
            set texts = read_set(argv[i]);
            compare(directory, &texts);
            release(&texts);
        }
        return 0;
    }
#define LIST(name, texts) list(name, texts, sizeof texts / sizeof *texts)
    set sets[] = {list("skills", sv_default_corpus, sv_default_corpus_count), LIST("documentation", documentation),
                  LIST("news and reviews", reports), LIST("questions", questions)};
    bool kept = true;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        kept = compare(directory, &sets[i]) && kept;
        release(&sets[i]);
    }
    if (!kept)
        printf("FAILED: a mean below %g or a cosine below %g\n", LEAST_MEAN, LEAST_COSINE);
    return kept ? 0 : 1;
}

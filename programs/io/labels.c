#include "io/labels.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/file.h"
#include "common/limits.h"

enum { FIRST_ROOM = 1024, CLASS_STEP = 5 };

/* Doubles the room of an array in the texts' arena when `used` elements fill it. */
static senvec_status make_room(sv_arena *arena, size_t used, size_t *room, size_t size, void **array, senvec_error *err) {
    void *memory;
    if (used < *room)
        return SENVEC_OK;
    size_t more = *room ? 2 * *room : FIRST_ROOM;
    SENVEC_TRY(sv_arena_alloc(arena, more, size, "labels", &memory, err));
    if (used)
        memcpy(memory, *array, used * size);
    *array = memory;
    *room = more;
    return SENVEC_OK;
}

static senvec_status check_count(const char *path, size_t count, senvec_error *err) {
    return count < SV_MAX_STUDY_TEXTS
               ? SENVEC_OK
               : sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: over %u texts; give a sample", path, SV_MAX_STUDY_TEXTS);
}

/* ---------------------------------------------------------------- named texts */

static const sv_named_texts *sorted; /* what compare_names compares; the study loads labels in one thread */

static int compare_names(const void *a, const void *b) {
    return strcmp(sorted->names[*(const size_t *)a], sorted->names[*(const size_t *)b]);
}

static senvec_status sort_names(sv_named_texts *out, const char *path, senvec_error *err) {
    void *memory;
    const size_t count = out->texts.count;
    SENVEC_TRY(sv_arena_alloc(&out->texts.arena, count, sizeof(size_t), "names", &memory, err));
    out->by_name = memory;
    for (size_t i = 0; i < count; i++)
        out->by_name[i] = i;
    sorted = out;
    qsort(out->by_name, count, sizeof *out->by_name, compare_names);
    for (size_t i = 1; i < count; i++)
        if (strcmp(out->names[out->by_name[i - 1]], out->names[out->by_name[i]]) == 0)
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: two texts have the name \"%s\"", path, out->names[out->by_name[i]]);
    return SENVEC_OK;
}

/* The text of that name; SIZE_MAX if there is none. */
static size_t find_name(const sv_named_texts *texts, const char *name) {
    size_t low = 0, high = texts->texts.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(texts->names[texts->by_name[middle]], name);
        if (order == 0)
            return texts->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

/* A kept value as text: a string or a whole number; empty where there is neither. Error: OUT_OF_MEMORY. */
static senvec_status as_text(sv_arena *arena, sv_corpus_value value, senvec_text *out, senvec_error *err) {
    void *memory;
    *out = (senvec_text){"", 0};
    if (value.kind == SV_VALUE_STRING)
        *out = value.text;
    else if (value.kind == SV_VALUE_JSON && value.json.kind == SV_JSON_INTEGER)
        *out = (senvec_text){value.json.text, value.json.length};
    if (value.kind != SV_VALUE_JSON || value.json.kind != SV_JSON_STRING)
        return SENVEC_OK;
    SENVEC_TRY(sv_arena_alloc(arena, value.json.length, 1, "a name", &memory, err));
    *out = (senvec_text){memory, sv_json_decode(value.json, memory)};
    return SENVEC_OK;
}

static senvec_status add_named(sv_named_texts *out, senvec_text title, senvec_text text, senvec_error *err) {
    if (!title.length)
        return sv_texts_append(&out->texts, text, err);
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&out->texts.arena, title.length + 1 + text.length, 1, "a text", &memory, err));
    char *whole = memory;
    memcpy(whole, title.data, title.length);
    whole[title.length] = ' ';
    memcpy(whole + title.length + 1, text.data, text.length);
    return sv_texts_append(&out->texts, (senvec_text){whole, title.length + 1 + text.length}, err);
}

static senvec_status read_named(sv_named_texts *out, sv_corpus *corpus, bool json, const char *path, senvec_error *err) {
    size_t room = 0, names_room = 0;
    for (;;) {
        senvec_text text;
        bool more;
        SENVEC_TRY(sv_corpus_next(corpus, &text, &more, err));
        if (!more)
            break;
        SENVEC_TRY(check_count(path, out->texts.count, err));
        senvec_text name, title = {"", 0};
        SENVEC_TRY(as_text(&out->texts.arena, sv_corpus_kept(corpus, 0), &name, err));
        if (json && !name.length)
            SENVEC_TRY(as_text(&out->texts.arena, sv_corpus_kept(corpus, 1), &name, err));
        if (json)
            SENVEC_TRY(as_text(&out->texts.arena, sv_corpus_kept(corpus, 2), &title, err));
        if (!name.length)
            return sv_fail(err, SENVEC_FORMAT, 0, "%s: record %llu has no name; %s", path,
                           (unsigned long long)sv_corpus_records(corpus),
                           json ? "give it as the member \"_id\"" : "a line is a name, a tab and a text");
        size_t used = out->texts.count;
        SENVEC_TRY(make_room(&out->texts.arena, used, &room, sizeof(senvec_text), (void **)&out->texts.texts, err));
        SENVEC_TRY(make_room(&out->texts.arena, used, &names_room, sizeof(char *), (void **)&out->names, err));
        SENVEC_TRY(sv_arena_string(&out->texts.arena, name.data, name.length, &out->names[used], err));
        SENVEC_TRY(add_named(out, title, text, err));
    }
    if (!out->texts.count)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: holds no text", path);
    return sort_names(out, path, err);
}

static senvec_status load_named(sv_named_texts *out, const char *path, senvec_error *err) {
    static const char *const members[] = {"_id", "id", "title"}, *const columns[] = {"1"};
    const bool json = strstr(path, ".json") || strstr(path, ".ndjson");
    const sv_corpus_options options = {.format = json ? SV_CORPUS_JSONL : SV_CORPUS_TSV,
                                       .key = json ? "text" : NULL,
                                       .column = json ? NULL : "2",
                                       .keep = json ? members : columns,
                                       .keep_count = json ? 3 : 1};
    sv_corpus *corpus;
    out->texts.source = path;
    SENVEC_TRY(sv_corpus_open(path, &options, &corpus, err));
    senvec_status status = read_named(out, corpus, json, path, err);
    sv_corpus_close(corpus);
    return status;
}

/* -------------------------------------------------------------------- qrels */

/* One line of three or four words into *out; `place` is its number. *named: it names a query that is there. */
static senvec_status parse_qrel(const sv_search_task *task, char *line, const char *path, size_t place, sv_judgement *out,
                                bool *used, senvec_error *err) {
    char *words[5], *rest = line, *end;
    size_t count = 0;
    while (count < 5 && (words[count] = strtok_r(rest, " \t\r\n", &rest)))
        count++;
    *used = false;
    if (count == 0)
        return SENVEC_OK;
    if (count != 3 && count != 4)
        return sv_fail(err, SENVEC_FORMAT, 0,
                       "%s: line %zu: %zu words; a judgement is \"query document relevance\" or \"query 0 document relevance\"",
                       path, place, count);
    out->relevance = strtod(words[count - 1], &end);
    if (*end) {
        if (place == 1)
            return SENVEC_OK; /* BEIR's header */
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: line %zu: the relevance \"%.40s\" isn't a number", path, place,
                       words[count - 1]);
    }
    out->query = find_name(&task->queries, words[0]);
    out->document = find_name(&task->documents, words[count - 2]);
    if (out->query == SIZE_MAX || out->document == SIZE_MAX)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: line %zu: there is no %s \"%.60s\" in %s", path, place,
                       out->query == SIZE_MAX ? "query" : "document", out->query == SIZE_MAX ? words[0] : words[count - 2],
                       out->query == SIZE_MAX ? task->queries.texts.source : task->documents.texts.source);
    *used = true;
    return SENVEC_OK;
}

static int compare_judgements(const void *a, const void *b) {
    const sv_judgement *x = a, *y = b;
    if (x->query != y->query)
        return x->query < y->query ? -1 : 1;
    return (x->document > y->document) - (x->document < y->document);
}

static senvec_status read_qrels(sv_search_task *task, const char *path, senvec_error *err) {
    sv_arena *arena = &task->queries.texts.arena;
    const sv_corpus_options options = {.format = SV_CORPUS_LINES};
    size_t room = 0, place = 0;
    sv_corpus *corpus;
    SENVEC_TRY(sv_corpus_open(path, &options, &corpus, err));
    senvec_status status = SENVEC_OK;
    while (status == SENVEC_OK) {
        senvec_text text;
        bool more, used = false;
        status = sv_corpus_next(corpus, &text, &more, err);
        if (status != SENVEC_OK || !more)
            break;
        char line[1024];
        snprintf(line, sizeof line, "%.*s", text.length < sizeof line ? (int)text.length : (int)sizeof line - 1, text.data);
        sv_judgement found = {0};
        status = parse_qrel(task, line, path, ++place, &found, &used, err);
        if (status != SENVEC_OK || !used)
            continue;
        status = make_room(arena, task->judged_count, &room, sizeof(sv_judgement), (void **)&task->judged, err);
        if (status == SENVEC_OK)
            task->judged[task->judged_count++] = found;
    }
    sv_corpus_close(corpus);
    if (status == SENVEC_OK && !task->judged_count)
        status = sv_fail(err, SENVEC_FORMAT, 0, "%s: holds no judgement", path);
    return status;
}

static senvec_status index_queries(sv_search_task *task, senvec_error *err) {
    void *memory;
    const size_t queries = task->queries.texts.count;
    SENVEC_TRY(sv_arena_alloc(&task->queries.texts.arena, queries + 1, sizeof(size_t), "queries", &memory, err));
    task->first = memory;
    qsort(task->judged, task->judged_count, sizeof *task->judged, compare_judgements);
    for (size_t j = 0; j < task->judged_count; j++)
        task->first[task->judged[j].query + 1]++;
    for (size_t q = 0; q < queries; q++)
        task->first[q + 1] += task->first[q];
    return SENVEC_OK;
}

senvec_status sv_search_task_load(sv_search_task *task, const char *documents, const char *queries, const char *qrels,
                                  senvec_error *err) {
    *task = (sv_search_task){0};
    sv_arena_init(&task->documents.texts.arena, NULL);
    sv_arena_init(&task->queries.texts.arena, NULL);
    senvec_status status = load_named(&task->documents, documents, err);
    if (status == SENVEC_OK)
        status = load_named(&task->queries, queries, err);
    if (status == SENVEC_OK)
        status = read_qrels(task, qrels, err);
    if (status == SENVEC_OK)
        status = index_queries(task, err);
    if (status != SENVEC_OK)
        sv_search_task_release(task);
    return status;
}

void sv_search_task_release(sv_search_task *task) {
    sv_texts_release(&task->documents.texts);
    sv_texts_release(&task->queries.texts);
    *task = (sv_search_task){0};
}

/* ------------------------------------------------------------------ classes */

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* names[i] is text i's class, as text: numbers them by the alphabet, and marks every fifth of each. */
static senvec_status number_classes(sv_class_task *task, const char *const *names, const char *path, senvec_error *err) {
    void *order, *classes, *marks, *seen;
    sv_arena *arena = &task->texts.arena;
    const size_t count = task->texts.count;
    SENVEC_TRY(sv_arena_alloc(arena, count, sizeof(char *), "classes", &order, err));
    SENVEC_TRY(sv_arena_alloc(arena, count, sizeof(size_t), "classes", &classes, err));
    SENVEC_TRY(sv_arena_alloc(arena, count, sizeof(bool), "classes", &marks, err));
    SENVEC_TRY(sv_arena_alloc(arena, count, sizeof(size_t), "classes", &seen, err));
    const char **known = order;
    size_t *counts = seen, tests = 0;
    task->classes = classes;
    task->for_test = marks;
    if (count)
        memcpy(known, names, count * sizeof *names);
    qsort(known, count, sizeof *known, compare_strings);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(known[task->class_count - 1], known[i]) != 0)
            known[task->class_count++] = known[i];
    for (size_t i = 0; i < count; i++) {
        const char **place = bsearch(&names[i], known, task->class_count, sizeof *known, compare_strings);
        task->classes[i] = (size_t)(place - known);
        task->for_test[i] = ++counts[task->classes[i]] % CLASS_STEP == 0;
        tests += task->for_test[i];
    }
    if (task->class_count < 2 || tests == 0)
        return sv_fail(err, SENVEC_FORMAT, 0,
                       "%s: %zu %s, %zu texts to test with; give lines of: text, class, at least %d of a class", path,
                       task->class_count, task->class_count == 1 ? "class" : "classes", tests, CLASS_STEP);
    return SENVEC_OK;
}

/* The first line of a file may name its columns. */
static bool is_header(senvec_text word) {
    static const char *const names[] = {"label", "class", "category", "target"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (word.length == strlen(names[i]) && strncasecmp(word.data, names[i], word.length) == 0)
            return true;
    return false;
}

senvec_status sv_class_task_load(sv_class_task *task, const char *path, senvec_error *err) {
    static const char *const columns[] = {"2"};
    const bool tabs = strstr(path, ".tsv");
    const sv_corpus_options options = {
        .format = tabs ? SV_CORPUS_TSV : SV_CORPUS_CSV, .column = "1", .keep = columns, .keep_count = 1};
    sv_corpus *corpus;
    const char **names = NULL;
    size_t room = 0, names_room = 0;
    *task = (sv_class_task){.texts = {.source = path}};
    sv_arena *arena = &task->texts.arena;
    sv_arena_init(arena, NULL);
    SENVEC_TRY(sv_corpus_open(path, &options, &corpus, err));
    senvec_status status = SENVEC_OK;
    while (status == SENVEC_OK) {
        senvec_text text;
        bool more;
        const size_t used = task->texts.count;
        status = sv_corpus_next(corpus, &text, &more, err);
        if (status != SENVEC_OK || !more)
            break;
        const sv_corpus_value name = sv_corpus_kept(corpus, 0);
        if (used == 0 && is_header(name.text))
            continue;
        if (name.kind == SV_VALUE_MISSING)
            status = sv_fail(err, SENVEC_FORMAT, 0, "%s: record %llu has no class; a line is: text, class", path,
                             (unsigned long long)sv_corpus_records(corpus));
        if (status == SENVEC_OK)
            status = check_count(path, used, err);
        if (status == SENVEC_OK)
            status = make_room(arena, used, &room, sizeof(senvec_text), (void **)&task->texts.texts, err);
        if (status == SENVEC_OK)
            status = make_room(arena, used, &names_room, sizeof(char *), (void **)&names, err);
        if (status == SENVEC_OK)
            status = sv_arena_string(arena, name.text.data, name.text.length, &names[used], err);
        if (status == SENVEC_OK)
            status = sv_texts_append(&task->texts, text, err);
    }
    sv_corpus_close(corpus);
    if (status == SENVEC_OK)
        status = number_classes(task, names, path, err);
    if (status != SENVEC_OK)
        sv_class_task_release(task);
    return status;
}

void sv_class_task_release(sv_class_task *task) {
    sv_texts_release(&task->texts);
    *task = (sv_class_task){0};
}
